//! `pup run` over the built binary: the forms of its output, where the prompt comes from, and how it ends.

use crate::support::{Outcome, Reply, Server, Stdin, Stdout, TestEnv};
use serde_json::{Value, json};
use std::time::Duration;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().map(|o| o.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// A run that ended as `code` says, in text and in JSON alike.
#[track_caller]
fn assert_end(out: &Outcome, code: i32, cause: &str) -> Value {
    let result = out.json();
    assert_eq!((&result["type"], &result["cause"]), (&json!("result"), &json!(cause)), "{}", out.report());
    assert_eq!((&result["exit_code"], out.code), (&json!(code), Some(code)), "{}", out.report());
    assert_eq!(result["ok"], json!(code == 0), "{}", out.report());
    assert_eq!(result["error"].is_null(), code == 0, "{}", out.report());
    result
}

/// A look at a file, then an answer.
fn look() -> [Reply; 2] {
    [Reply::tool_call("read_file", json!({"path": "a.txt"})).thinking("what is in it?"), Reply::text("It says hi.\nThat is all.\n")]
}

#[test]
fn text_into_a_pipe_is_the_answer_alone_once() {
    let env = TestEnv::new();
    env.write("a.txt", "hi\n");
    let server = Server::script(look());
    let out = env.pup().args(["run", "--approve", "edits", "what is in a.txt?"]).model_server(&server).run().expect_code(0);
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("It says hi.\nThat is all.\n", ""));
    let requests = server.finish();
    assert_eq!(requests[0].last_text(), "what is in a.txt?");
    assert!(requests[1].results()[0].contains("hi"), "{:?}", requests[1].results());
}

#[test]
fn json_is_one_object_of_the_documented_shape() {
    let env = TestEnv::new();
    env.write("a.txt", "hi\n");
    let server = Server::script(look().map(|r| r.usage(1000, 50)));
    let out = env.pup().args(["run", "--output", "json", "--quiet", "what is in a.txt?"]).model_server(&server).run();
    let result = assert_end(&out, 0, "done");
    assert_eq!(out.stdout.lines().count(), 1, "{}", out.report());
    assert_eq!(out.stderr, "");
    let wanted = [
        "type",
        "ok",
        "cause",
        "exit_code",
        "text",
        "session",
        "agent",
        "model",
        "provider",
        "turns",
        "tool_calls",
        "usage",
        "cost_usd",
        "cache",
        "attempts",
        "children",
        "error",
        "notes",
        "duration_ms",
    ];
    assert_eq!(keys(&result), wanted);
    assert_eq!(keys(&result["usage"]), ["input", "cache_read", "cache_write", "output", "reasoning"]);
    let attempt = ["model", "provider", "account", "outcome", "status", "scope", "latency_ms", "retry_after_s", "cost_usd"];
    assert_eq!(keys(&result["attempts"][1]), attempt);
    assert_eq!((&result["turns"], &result["tool_calls"]), (&json!(2), &json!(1)));
    assert_eq!((&result["agent"], &result["provider"], &result["model"]), (&json!("code-puppy"), &json!("openai"), &json!("gpt-4.1")));
    assert_eq!((&result["usage"]["input"], &result["usage"]["output"]), (&json!(2000), &json!(100)));
    // 2000 tokens at 2 dollars and 100 at 8 dollars a million.
    let cost = result["cost_usd"].as_f64().unwrap();
    assert!((cost - 0.0048).abs() < 1e-9, "{cost}");
    assert_eq!(result["text"].as_str().map(str::trim_end), Some("It says hi.\nThat is all."));
    let session = result["session"].as_str().unwrap();
    assert!(env.pup_home().join("state/sessions").join(session).join("journal.jsonl").is_file());
}

#[test]
fn stream_json_says_what_happens_in_order_and_ends_with_the_result() {
    let env = TestEnv::new();
    env.write("a.txt", "hi\n");
    let server = Server::script(look());
    let out = env.pup().args(["run", "--output", "stream-json", "what is in a.txt?"]).model_server(&server).run().expect_code(0);
    let lines = out.json_lines();
    let kinds: Vec<&str> = lines.iter().map(|l| l["type"].as_str().unwrap()).collect();
    let order: Vec<&str> = kinds.iter().fold(Vec::new(), |mut order, kind| {
        if order.last() != Some(kind) {
            order.push(kind);
        }
        order
    });
    let wanted = [
        "session",
        "warning",
        "turn_start",
        "event",
        "thinking",
        "usage",
        "tool_call",
        "tool_result",
        "turn_start",
        "text",
        "usage",
        "result",
    ];
    assert_eq!(order, wanted, "{}", out.report());
    let joined = |kind: &str| lines.iter().filter(|l| l["type"] == kind).map(|l| l["text"].as_str().unwrap()).collect::<String>();
    assert_eq!((joined("thinking").as_str(), joined("text").as_str()), ("what is in it?", "It says hi.\nThat is all.\n"));
    let find = |kind: &str| lines.iter().find(|l| l["type"] == kind).unwrap();
    let (call, result) = (find("tool_call"), find("tool_result"));
    assert_eq!((&call["name"], &call["arguments"]), (&json!("read_file"), &json!({"path": "a.txt"})));
    assert_eq!((&result["id"], &result["ok"]), (&call["id"], &json!(true)), "{}", out.report());
    assert_eq!(lines.last().unwrap()["session"], find("session")["session"], "{}", out.report());
    assert_eq!(out.stderr, "", "a note belongs into the stream\n{}", out.report());
}

#[test]
fn no_escape_code_and_no_progress_goes_into_a_pipe() {
    for format in ["text", "json", "stream-json"] {
        let env = TestEnv::new();
        let server = Server::script([
            Reply::tool_call("shell", json!({"command": "printf '\\033[31mred\\033[0m\\n'"})),
            Reply::text("red, \u{1b}[31mas asked\u{1b}[0m"),
        ]);
        let launch = env.pup().args(["run", "--yolo", "--output", format, "print red"]).env("TERM", "xterm-256color");
        let out = launch.env("CLICOLOR_FORCE", "1").model_server(&server).run().expect_code(0);
        assert_eq!(out.stderr, "", "{format}");
        assert!(!out.stdout.contains('\x1b'), "{}", out.report());
        let seen = server.finish()[1].results()[0].clone();
        assert!(seen.contains("red") && !seen.contains('\x1b'), "{seen:?}");
    }
}

#[test]
fn the_prompt_comes_from_the_argument_the_pipe_or_both() {
    let big = "x".repeat(200_000);
    let long = format!("read\n\n<stdin>\n{big}\n</stdin>");
    let rows: [(&[&str], &str, &str); 6] = [
        (&["say hi"], "", "say hi"),
        (&[], "say hi\nin French\n", "say hi\nin French"),
        (&["sum up"], "a\nb\n", "sum up\n\n<stdin>\na\nb\n</stdin>"),
        (&["Grüße 🐶"], "", "Grüße 🐶"),
        (&["--", "--help me"], "", "--help me"),
        (&["read"], &big, &long),
    ];
    for (args, input, want) in rows {
        let env = TestEnv::new();
        let server = Server::script([Reply::text("ok")]);
        let launch = env.pup().args(["run", "--quiet"]).args(args).model_server(&server);
        let out = if input.is_empty() { launch.run() } else { launch.input(input).run() }.expect_code(0);
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("ok\n", ""), "{args:?}");
        assert!(server.finish()[0].last_text() == want, "{args:?}");
    }
}

#[test]
fn what_cannot_start_says_why_and_costs_no_request() {
    let rows: [(&[&str], i32, &str, &[&str]); 11] = [
        (&["run", " \n"], 2, "usage", &["empty", "pup run"]),
        (&["run"], 2, "usage", &["empty"]),
        (&["run", "--agent", "code-pupy", "x"], 2, "usage", &["code-pupy", "code-puppy"]),
        (&["run", "--model", "gpt-4.1-mni", "x"], 2, "usage", &["gpt-4.1-mni", "gpt-4.1-mini"]),
        (&["run", "--model", "opnai/x", "x"], 2, "usage", &["opnai", "openai"]),
        (&["run", "--provider", "opnai", "x"], 2, "usage", &["opnai", "openai"]),
        (&["run", "--approve", "some", "x"], 2, "usage", &["some", "edits", "read-only"]),
        (&["run", "--cwd", "no/such/folder", "x"], 2, "usage", &["no/such/folder", "--cwd"]),
        (&["run", "--cwd", "file", "x"], 2, "usage", &["file", "not a folder", "--cwd"]),
        (&["run", "--modle", "m", "x"], 2, "usage", &["--modle"]),
        (&["run", "--provider", "groq", "x"], 4, "auth", &["groq", "GROQ_API_KEY"]),
    ];
    for (args, code, cause, says) in rows {
        let env = TestEnv::new();
        env.write("file", "");
        let server = Server::script([]);
        let out = env.pup().args(args).model_server(&server).run().expect_code(code);
        assert!(out.stdout.is_empty() && says.iter().all(|s| out.stderr.contains(s)), "{says:?}\n{}", out.report());
        assert!(out.stderr.starts_with("pup: ") || out.stderr.starts_with("error: "), "{}", out.report());
        for format in ["json", "stream-json"] {
            let out = env.pup().args(args).args(["--output", format]).model_server(&server).run();
            let result = assert_end(&out, code, cause);
            assert_eq!(out.stderr, "", "{}", out.report());
            let said = format!("{} {}", result["error"]["message"], result["error"]["hint"]);
            // The usage line of a wrong flag is for people; scripts get its first line.
            assert!(says.first().is_some_and(|s| said.contains(s)), "{said}");
        }
        assert!(server.others().is_empty(), "{:?}", server.others());
    }
}

#[test]
fn without_a_key_or_a_server_three_ways_to_get_one_are_named() {
    let env = TestEnv::new();
    // Somebody's own server on the usual ports must not answer for the test.
    let bare = || env.pup().args(["run", "x"]).env("PUP_LOCAL_BASE_URL", "http://127.0.0.1:9/v1");
    let out = bare().run().expect_code(4);
    for way in ["_API_KEY=", "Ollama", "PUP_LOCAL_BASE_URL=", "pup demo"] {
        assert!(out.stderr.contains(way), "{way}\n{}", out.report());
    }
    let out = bare().args(["--output", "json"]).run();
    assert_end(&out, 4, "auth");
    // A blank key is none.
    let out = bare().env("OPENAI_API_KEY", "  ").run().expect_code(4);
    assert!(out.stderr.contains("no key is set"), "{}", out.report());
    assert!(!env.pup_home().join("state/sessions").exists(), "a run that never began has no session");
}

#[test]
fn a_local_server_is_found_without_a_key() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("hello from here")]);
    let out = env.pup().args(["run", "--output", "json", "hi"]).env("PUP_LOCAL_BASE_URL", server.base_url()).run();
    let result = assert_end(&out, 0, "done");
    assert_eq!((&result["provider"], &result["model"]), (&json!("local"), &json!("local/mock-model")), "{}", out.report());
    let requests = server.finish();
    assert_eq!(requests[0].header("authorization"), None);
    assert_eq!(requests[0].body["model"], "mock-model");
}

#[test]
fn turns_and_time_are_limits_with_their_own_code() {
    let call = || Reply::tool_call("shell", json!({"command": "echo x >> log"}));
    let env = TestEnv::new();
    let server = Server::script([call(), call()]);
    let out = env.pup().args(["run", "--yolo", "--output", "json", "--max-turns", "2", "x"]).model_server(&server).run();
    let result = assert_end(&out, 7, "limit");
    assert_eq!(env.read("log"), "x\n", "calls of the last turn, whose results nobody would see, are not run");
    assert!(result["error"]["message"].as_str().unwrap().contains('2'), "{}", out.report());
    assert!(result["error"]["hint"].as_str().unwrap().contains("--max-turns"), "{}", out.report());

    let env = TestEnv::new();
    let server = Server::script([Reply::text("never comes to an end").stall_after(2)]);
    let out = env.pup().args(["run", "--output", "json", "--timeout", "1s", "x"]).model_server(&server).run();
    let result = assert_end(&out, 7, "limit");
    assert!(result["error"]["hint"].as_str().unwrap().contains("--timeout"), "{}", out.report());
    server.wait_for_hangup(0);

    let env = TestEnv::new();
    let server = Server::script([Reply::tool_call("shell", json!({"command": "echo begun > log; sleep 60"}))]);
    let out = env.pup().args(["run", "--yolo", "--output", "json", "--timeout", "1s", "x"]).model_server(&server).run();
    assert_end(&out, 7, "limit");
    assert_eq!(env.read("log"), "begun\n");
}

#[test]
fn a_new_session_gets_the_id_that_was_asked_for() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("ok"), Reply::text("more")]);
    let out = env.pup().args(["run", "--session", "nightly_1", "--output", "json", "x"]).model_server(&server).run();
    assert_eq!(assert_end(&out, 0, "done")["session"], "nightly_1");
    assert!(env.pup_home().join("state/sessions/nightly_1/journal.jsonl").is_file());
    // It is never begun twice, and no request is made for what cannot be.
    let long = "a".repeat(37);
    for (id, why) in [
        ("nightly_1", "--resume nightly_1"),
        ("a.b", "`.` marks"),
        ("last", "`last`"),
        ("", "cannot be"),
        ("../x", "cannot be"),
        (&long, "up to 36"),
    ] {
        let out = env.pup().args(["run", "--session", id, "--output", "json", "x"]).model_server(&server).run();
        let error = assert_end(&out, 2, "usage")["error"].to_string();
        assert!(error.contains(why), "{error}");
    }
    let both = env.pup().args(["run", "--session", "b", "--no-session", "x"]).model_server(&server).run().expect_code(2);
    assert!(both.stderr.contains("--no-session"), "{}", both.report());
    let out = env.pup().args(["run", "--resume", "nightly_1", "--output", "json", "y"]).model_server(&server).run();
    assert_eq!(assert_end(&out, 0, "done")["session"], "nightly_1");
    server.finish();
}

#[test]
fn no_session_leaves_no_trace_and_quiet_says_nothing() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("ok"), Reply::text("ok")]);
    let out = env.pup().args(["run", "--no-session", "--output", "json", "x"]).model_server(&server).run();
    let result = assert_end(&out, 0, "done");
    assert!(result["session"].is_null());
    let state = env.pup_home().join("state");
    assert!(!state.join("sessions").exists(), "{:?}", std::fs::read_dir(state).unwrap().flatten().map(|e| e.path()).collect::<Vec<_>>());
    let out = env.pup().args(["run", "--quiet", "x"]).model_server(&server).run().expect_code(0);
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("ok\n", ""));
}

#[test]
fn an_unwritable_place_for_sessions_is_told_with_the_way_round_it() {
    let env = TestEnv::new();
    std::fs::create_dir(env.pup_home().join("state")).unwrap();
    std::fs::write(env.pup_home().join("state/sessions"), "a file where a folder belongs").unwrap();
    let server = Server::script([Reply::text("ok")]);
    let out = env.pup().args(["run", "x"]).model_server(&server).run().expect_code(3);
    assert!(out.stdout.is_empty() && out.stderr.contains("--no-session") && out.stderr.contains("state/sessions"), "{}", out.report());
    env.pup().args(["run", "--no-session", "x"]).model_server(&server).run().expect_code(0);
}

#[test]
fn an_open_stdin_that_says_nothing_does_not_hang_the_run() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("ok")]);
    let launch = env.pup().args(["run", "--approve", "edits", "x"]).model_server(&server).stdin(Stdin::Open);
    let out = launch.limit(Duration::from_secs(20)).run().expect_code(0);
    assert_eq!(out.stdout, "ok\n");
    assert!(out.stderr.contains("stdin") && out.stderr.lines().count() == 1, "{}", out.report());
    assert_eq!(server.finish()[0].last_text(), "x");
}

#[test]
fn a_pipe_that_never_ends_is_waited_for_no_longer_than_the_run_may_take() {
    let env = TestEnv::new();
    let server = Server::script([]);
    let run = |args: &[&str]| env.pup().args(["run", "--output", "json", "--timeout", "1s"]).args(args).model_server(&server);
    for (args, stdin) in [(&[][..], Stdin::Open), (&["sum up"], Stdin::BytesThenOpen(b"it goes on".to_vec()))] {
        let out = run(args).stdin(stdin).limit(Duration::from_secs(20)).run();
        let result = assert_end(&out, 7, "limit");
        assert!(result["error"]["message"].as_str().unwrap().contains("stdin"), "{}", out.report());
    }
}

#[test]
fn a_time_limit_beyond_all_clocks_is_none() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("ok")]);
    let out = env.pup().args(["run", "--quiet", "--timeout", "18000000000000000000s", "x"]).model_server(&server).run().expect_code(0);
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("ok\n", ""));
}

#[cfg(unix)]
#[test]
fn closed_streams_are_no_failure() {
    let env = TestEnv::new();
    let server = Server::respond(|_| Reply::text("ok"));
    let pup = env!("CARGO_BIN_EXE_pup");
    let sh = |redirect: &str| {
        let script = format!("exec {pup} run --approve edits x {redirect}");
        env.command("sh").args(["-c", &script]).model_server(&server).run()
    };
    assert_eq!(sh("<&-").expect_code(0).stdout, "ok\n");
    let out = sh(">&-").expect_code(0);
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("", ""));
    assert_eq!(sh("2>&-").expect_code(0).stdout, "ok\n");
    assert_eq!(sh("<&- 2>&- >&-").expect_code(0).stdout, "");
    for format in ["text", "json", "stream-json"] {
        let launch = env.pup().args(["run", "--approve", "edits", "--output", format, "x"]).model_server(&server);
        let out = launch.stdout(Stdout::ReaderGone).run().expect_code(0);
        assert_eq!(out.stderr, "", "{format}");
    }
}

#[test]
fn a_missing_home_is_a_config_error_in_every_form() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("ok")]);
    let homeless = || env.pup().args(["run", "x"]).env_remove("HOME").env_remove("PUP_HOME").model_server(&server);
    let out = homeless().run().expect_code(3);
    assert!(out.stdout.is_empty() && out.stderr.contains("HOME") && out.stderr.contains("PUP_HOME=DIR"), "{}", out.report());
    assert_end(&homeless().args(["--output", "json"]).run(), 3, "config");
    // PUP_HOME alone is enough.
    env.pup().args(["run", "x"]).env_remove("HOME").model_server(&server).run().expect_code(0);
}

#[cfg(unix)]
#[test]
fn a_workspace_that_is_gone_or_far_too_wide_is_told() {
    let env = TestEnv::new();
    let server = Server::respond(|_| Reply::text("ok"));
    let script = format!("mkdir gone && cd gone && rmdir ../gone && exec {} run x", env!("CARGO_BIN_EXE_pup"));
    let out = env.command("sh").args(["-c", &script]).model_server(&server).run().expect_code(2);
    assert!(out.stdout.is_empty() && out.stderr.contains("--cwd"), "{}", out.report());
    for (cwd, says) in [(env.home(), "home folder"), ("/".into(), "root of the file system")] {
        let out = env.pup().args(["run", "--approve", "edits", "x"]).cwd(cwd).model_server(&server).run().expect_code(0);
        assert_eq!(out.stdout, "ok\n");
        assert!(out.stderr.contains(says) && out.stderr.contains("--cwd"), "{}", out.report());
    }
}

#[test]
fn a_pipe_that_is_no_text_is_refused_before_anything_is_asked() {
    let env = TestEnv::new();
    let server = Server::script([]);
    let launch = |prompt: &[&str]| env.pup().args(["run"]).args(prompt).input(b"caf\xe9 \xff\xfe".as_slice()).model_server(&server);
    for prompt in [&[][..], &["read this"]] {
        let out = launch(prompt).run().expect_code(2);
        assert!(out.stdout.is_empty() && out.stderr.contains("UTF-8") && out.stderr.contains("file"), "{}", out.report());
    }
    assert_end(&launch(&["--output", "json"]).run(), 2, "usage");
}
