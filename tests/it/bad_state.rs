//! The shared state when it cannot be used: locked, damaged inside, from a newer version, on a disk that takes nothing; and
//! clocks, headers and limits that make no sense. Work goes on where nothing is promised, and stops where a cap is.

use crate::support::{Launch, Reply, Server, TestEnv, need};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn database(env: &TestEnv) -> PathBuf {
    env.pup_home().join("state").join("state.db")
}

fn run(env: &TestEnv, server: &Server) -> Launch {
    env.pup().args(["run", "--output", "json", "--model", "openai/gpt-4.1", "hi"]).model_server(server)
}

/// A ledger with one call in it, and the server that answered.
fn used(env: &TestEnv) -> Server {
    let server = Server::respond(|_| Reply::text("done").usage(1_000, 100));
    run(env, &server).run().expect_code(0);
    server
}

fn total(env: &TestEnv) -> f64 {
    env.pup().args(["costs", "--json"]).run().expect_code(0).json()["total_usd"].as_f64().unwrap()
}

/// Without a cap it answers; with one it is refused before anything is sent, and says why.
fn works_but_promises_nothing(env: &TestEnv, server: &Server, why: &str) {
    let before = server.requests().len();
    let out = run(env, server).run().expect_code(0);
    assert_eq!((&out.json()["text"], server.requests().len()), (&json!("done"), before + 1), "{}", out.report());
    let out = run(env, server).env("PUP_DAILY_BUDGET", "5").run().expect_code(6);
    let message = out.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains(why) && message.contains("there is a cap"), "{}", out.report());
    assert_eq!(server.requests().len(), before + 1, "nothing was sent");
}

#[test]
fn a_ledger_that_another_process_locks_is_waited_for_and_then_done_without() {
    let env = TestEnv::new();
    let server = used(&env);
    let spent = total(&env);
    let other = Connection::open(database(&env)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    works_but_promises_nothing(&env, &server, "locked");
    other.execute_batch("ROLLBACK").unwrap();
    assert!((total(&env) - 2.0 * spent).abs() < 1e-9, "what was in it still is, and what could not be written is now");
    run(&env, &server).env("PUP_DAILY_BUDGET", "5").run().expect_code(0);
}

#[test]
fn a_ledger_of_a_newer_version_is_left_as_it_is() {
    let env = TestEnv::new();
    let server = used(&env);
    Connection::open(database(&env)).unwrap().execute_batch("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let before = std::fs::read(database(&env)).unwrap();
    works_but_promises_nothing(&env, &server, "not shared with other runs");
    let status = env.pup().args(["status", "--json"]).run().expect_code(0).json();
    assert!(status["note"].as_str().is_some_and(|n| n.contains("newer pup (version 99")), "{status}");
    assert_eq!(std::fs::read(database(&env)).unwrap(), before);
}

#[test]
fn a_ledger_that_is_damaged_inside_ends_nothing_and_breaks_no_cap() {
    let env = TestEnv::new();
    let server = used(&env);
    Connection::open(database(&env)).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let mut bytes = std::fs::read(database(&env)).unwrap();
    // The header is whole, all else is not.
    bytes[4096..].fill(0xa5);
    std::fs::write(database(&env), bytes).unwrap();
    run(&env, &server).run().expect_code(0);
    let sent = server.requests().len();
    let out = run(&env, &server).env("PUP_DAILY_BUDGET", "0.0001").run().expect_code(6);
    assert_eq!((out.json()["cause"].as_str(), server.requests().len()), (Some("budget"), sent), "{}", out.report());
    assert!(out.json()["error"]["message"].as_str().is_some_and(|m| m.contains("are spent")), "made again: {}", out.report());
    for command in ["status", "costs", "quota"] {
        env.pup().args([command, "--json"]).run().expect_code(0);
    }
}

#[cfg(unix)]
#[test]
fn damage_that_comes_during_a_run_is_said_and_mended_in_it() {
    let env = TestEnv::new();
    let before = used(&env);
    let spent = total(&env);
    before.finish();
    let path = database(&env);
    let server = Server::respond(move |request| {
        let turn = request.body["messages"].as_array().map_or(0, Vec::len);
        if turn > 3 {
            return Reply::text("done").usage(1_000, 100);
        }
        // All that this process has not read yet, and nothing is left in the log.
        let other = Connection::open(&path).unwrap();
        other.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4096..].fill(0xa5);
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes[4096..], 4096).unwrap();
        Reply::tool_call("list_files", json!({})).usage(1_000, 100)
    });
    let out = run(&env, &server).env("PUP_DAILY_BUDGET", "5").run().expect_code(0);
    let notes = out.json()["notes"].to_string();
    assert_eq!((out.json()["text"].as_str(), notes.contains("was damaged")), (Some("done"), true), "{}", out.report());
    assert!((total(&env) - 3.0 * spent).abs() < 1e-9, "{} {spent}", total(&env));
}

/// A file system of its own in this folder, until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at).output();
        need::given(mount.is_ok_and(|m| m.status.success()), "the right to mount a file system").then(|| Self(at.to_owned()))
    }

    fn read_only(&self) {
        assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn on_a_read_only_home_looking_works_and_a_cap_is_not_broken() {
    let env = TestEnv::new();
    let Some(mounted) = Mounted::new(&env.pup_home(), "8m") else { return };
    let server = used(&env);
    mounted.read_only();
    let status = env.pup().args(["status", "--json"]).run().expect_code(0).json();
    assert!(status["note"].is_string(), "{status}");
    let sent = server.requests().len();
    let out = run(&env, &server).env("PUP_DAILY_BUDGET", "5").run();
    assert!(!out.stderr.contains("panicked") && out.json()["ok"] != json!(true), "{}", out.report());
    assert_eq!(server.requests().len(), sent, "{}", out.report());
}

#[test]
fn on_a_full_disk_looking_works_and_a_cap_is_not_broken() {
    let env = TestEnv::new();
    let Some(_mounted) = Mounted::new(&env.pup_home(), "1m") else { return };
    let server = used(&env);
    let fill = env.pup_home().join("fill");
    let _ = std::fs::write(&fill, vec![0u8; 4 << 20]);
    let status = env.pup().args(["status", "--json"]).run();
    assert!(!status.stderr.contains("panicked"), "{}", status.report());
    let sent = server.requests().len();
    let out = run(&env, &server).env("PUP_DAILY_BUDGET", "5").run();
    assert!(!out.stderr.contains("panicked") && out.code != Some(0), "{}", out.report());
    assert_eq!(server.requests().len(), sent, "{}", out.report());
    std::fs::remove_file(fill).unwrap();
    run(&env, &server).env("PUP_DAILY_BUDGET", "5").run().expect_code(0);
}

#[test]
fn a_clock_that_went_back_an_hour_lengthens_no_rest() {
    let env = TestEnv::new();
    env.write_config(
        "models.json",
        r#"{"models": {"a": {"provider": "groq", "name": "a-there"}, "b": {"provider": "openai", "name": "b-there"}},
            "chains": {"orchestrator": ["a", "b"], "coding": ["a", "b"], "reasoning": ["a", "b"], "librarian": ["a", "b"]}}"#,
    );
    let (broken, good) = (Server::respond(|_| Reply::error(500, "server_error", "sorry")), Server::respond(|_| Reply::text("done")));
    let pup = || {
        let launch = env.pup().args(["run", "--output", "json", "hi"]).model_server(&good).env_remove("PUP_MODEL");
        launch.env("GROQ_API_KEY", "groq-key-0001").env("GROQ_BASE_URL", broken.base_url())
    };
    pup().run().expect_code(0);
    // What a clock wrote that was an hour ahead of the one of now.
    let hour = "3600000";
    let later = format!(
        "UPDATE state SET until = until + {hour} WHERE until > 0; UPDATE used SET at = at + {hour}; UPDATE receipts SET at = at + {hour}"
    );
    Connection::open(database(&env)).unwrap().execute_batch(&later).unwrap();
    let status = env.pup().args(["status", "--json"]).run().expect_code(0).json();
    let rests: Vec<u64> = status["resting"].as_array().unwrap().iter().filter_map(|r| r["back_s"].as_u64()).collect();
    assert!(!rests.is_empty() && rests.iter().all(|s| *s <= 300), "{status}");
    assert_eq!(pup().run().expect_code(0).json()["model"], "b");
}

#[test]
fn headers_that_make_no_sense_change_nothing() {
    let odd = [
        ("retry-after", "-7"),
        ("x-ratelimit-limit-tokens", "banana"),
        ("x-ratelimit-remaining-tokens", "-1"),
        ("x-ratelimit-reset-tokens", "NaN"),
        ("x-ratelimit-remaining-requests", "99999999999999999999999"),
        ("x-ratelimit-reset-requests", "1e300s"),
        ("anthropic-ratelimit-unified-5h-utilization", "inf"),
        ("date", "yesterday"),
    ];
    let with = move |reply: Reply| odd.iter().fold(reply, |reply, (name, value)| reply.header(name, value));
    let env = TestEnv::new();
    let mut asked = 0;
    let server = Server::respond(move |_| {
        asked += 1;
        if asked == 1 { with(Reply::error(503, "server_error", "sorry")) } else { with(Reply::text("done")) }
    });
    let out = run(&env, &server).run().expect_code(0);
    assert_eq!((&out.json()["text"], server.requests().len()), (&json!("done"), 2), "{}", out.report());
    assert_eq!(env.pup().args(["quota", "--json"]).run().expect_code(0).json(), json!([]));
}

#[test]
fn a_limit_below_zero_is_refused_with_its_place() {
    let env = TestEnv::new();
    for (file, word) in [
        (r#"{"quotas": {"mine": {"rpm": -5}}}"#, "-5"),
        (r#"{"quotas": {"mine": {"tpm": 1.5}}}"#, "whole number"),
        (r#"{"models": {"x": {"provider": "openai", "name": "x", "context": -1}}}"#, "-1"),
    ] {
        let path = env.write_config("models.json", file);
        let out = env.pup().args(["models", "list", "--json"]).run();
        let shown = format!("{}{}", out.stdout, out.stderr);
        assert!(out.code != Some(0) && shown.contains("models.json") && shown.contains(word), "{file}: {}", out.report());
        assert!(!shown.contains("panicked"));
        std::fs::remove_file(path).unwrap();
    }
    let _: Value = env.pup().args(["models", "list", "--json"]).run().expect_code(0).json();
}
