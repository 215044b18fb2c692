//! Runs that are stopped from outside: by a signal while they read, work or wait, or by the end of their server.
//! Nothing that they started goes on, what they did is recorded, and the exit says what happened.
#![cfg(target_os = "linux")]

use crate::journal;
use crate::support::launch::Running;
use crate::support::{Reply, Server, Stdout, TestEnv};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A command with a background job, a daemon in a session of its own, and a child that ignores every polite request.
/// The numbers of them all go into `pids`.
const STUBBORN: &str = "echo $$ >> pids; sleep 300 & echo $! >> pids; setsid sleep 300 & echo $! >> pids; \
    (trap '' TERM INT HUP; echo $BASHPID >> pids; echo they all run; while :; do sleep 1; done) & wait";

fn start(env: &TestEnv, server: &Server) -> Running {
    env.pup().args(["run", "--yolo", "--output", "stream-json", "x"]).model_server(server).limit(Duration::from_secs(30)).spawn()
}

/// Fails unless everything whose number is in `pids` ends. Death by a signal takes its moment.
#[track_caller]
fn assert_gone(env: &TestEnv) {
    let pids = env.read("pids");
    assert_eq!(pids.lines().count(), 4, "{pids}");
    let until = Instant::now() + Duration::from_secs(10);
    for pid in pids.lines() {
        loop {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if state.is_empty() || state.contains(") Z") || state.contains(") X") {
                break;
            }
            assert!(Instant::now() < until, "still alive: {state}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The journal of the session that a stream names, which ended for this cause with every call answered.
#[track_caller]
fn assert_recorded(env: &TestEnv, lines: &[Value], cause: &str) -> Vec<Value> {
    let entries = journal::of(env, &lines[0]);
    let end = entries.last().unwrap();
    assert_eq!((&end["kind"], &end["cause"]), (&json!("end"), &json!(cause)), "{entries:#?}");
    let count = |kind: &str| entries.iter().filter(|e| e["kind"] == kind).count();
    assert_eq!(count("intent"), count("receipt"), "{entries:#?}");
    let roles: Vec<&str> = entries.iter().filter(|e| e["kind"] == "message").filter_map(|e| e["message"]["role"].as_str()).collect();
    assert!(roles.last().is_some_and(|last| *last != "assistant"), "a call or half an answer is left open: {roles:?}");
    entries
}

#[test]
fn a_signal_in_the_middle_of_an_answer_ends_the_run_and_keeps_no_half_of_it() {
    for (signal, code, recorded) in [(Signal::INT, 130, "interrupted"), (Signal::TERM, 143, "terminated")] {
        let env = TestEnv::new();
        let server = Server::script([Reply::text("half of an answer that never ends").stall_after(4)]);
        let mut running = start(&env, &server);
        running.wait_until("text", |out, _| out.contains(r#""type":"text""#));
        running.signal(signal);
        let out = running.wait().expect_code(code);
        let lines = out.json_lines();
        let result = lines.last().unwrap();
        assert_eq!((&result["type"], &result["cause"], &result["exit_code"]), (&json!("result"), &json!("interrupted"), &json!(code)));
        assert_eq!(result["text"], "", "{}", out.report());
        assert_recorded(&env, &lines, recorded);
        server.wait_for_hangup(0);
    }
    // People are told how it goes on.
    let env = TestEnv::new();
    let server = Server::script([Reply::text("never").stall_after(0)]);
    let running = env.pup().args(["run", "--approve", "edits", "x"]).model_server(&server).spawn();
    server.wait_for(1);
    running.signal(Signal::INT);
    let out = running.wait().expect_code(130);
    assert!(out.stdout.is_empty() && out.stderr.contains("interrupted") && out.stderr.contains("pup run --resume "), "{}", out.report());
}

/// Whether these tests themselves were started with SIGHUP ignored, which every program that they start inherits.
fn hang_ups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|l| l.strip_prefix("SigIgn:")).and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 != 0)
}

#[test]
fn a_signal_in_the_middle_of_a_command_ends_all_that_the_command_started() {
    for (signal, code, recorded) in [(Signal::INT, 130, "interrupted"), (Signal::TERM, 143, "terminated"), (Signal::HUP, 143, "terminated")]
    {
        if signal == Signal::HUP && hang_ups_are_ignored() {
            println!("hang-ups are ignored here, as under nohup, and so pup ignores them too: not tried");
            continue;
        }
        let env = TestEnv::new();
        let server = Server::script([Reply::tool_calls([
            ("shell", json!({"command": STUBBORN})),
            ("shell", json!({"command": "touch never"})),
            ("create_file", json!({"path": "never", "content": ""})),
        ])]);
        let mut running = start(&env, &server);
        running.wait_until("the command's word", |out, _| out.contains(r#""type":"tool_output""#));
        running.signal(signal);
        let out = running.wait().expect_code(code);
        assert_gone(&env);
        assert!(!env.exists("never"), "{}", out.report());
        let entries = assert_recorded(&env, &out.json_lines(), recorded);
        let told = entries.iter().filter(|e| e["message"]["role"] == "tool").map(|e| e["message"]["blocks"].as_array().unwrap().len());
        assert_eq!(told.sum::<usize>(), 3, "each of the three calls has its answer: {entries:#?}");
    }
}

#[test]
fn impatience_leaves_nothing_behind_either() {
    let env = TestEnv::new();
    let server = Server::script([Reply::tool_call("shell", json!({"command": STUBBORN}))]);
    let mut running = start(&env, &server);
    running.wait_until("the command's word", |out, _| out.contains(r#""type":"tool_output""#));
    running.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(100));
    running.signal(Signal::INT);
    let out = running.wait().expect_code(130);
    assert_gone(&env);
    assert_eq!(out.json_lines().last().unwrap()["type"], "result", "{}", out.report());
}

#[test]
fn a_signal_ends_a_wait_for_the_provider() {
    let env = TestEnv::new();
    let server = Server::script([Reply::error(429, "rate_limit_exceeded", "slow down").header("retry-after", "300")]);
    let mut running = start(&env, &server);
    running.wait_until("the wait", |out, _| out.contains(r#""type":"waiting""#));
    running.signal(Signal::INT);
    let out = running.wait().expect_code(130);
    let result = out.json_lines().pop().unwrap();
    assert_eq!(result["attempts"][0]["retry_after_s"], json!(300.0), "{}", out.report());
}

#[test]
fn a_reader_that_stopped_reading_cannot_keep_the_run_from_ending() {
    let rows: [(&[&str], Option<Signal>, i32); 3] =
        [(&[], Some(Signal::INT), 130), (&[], Some(Signal::TERM), 143), (&["--timeout", "1s"], None, 7)];
    for (flags, signal, code) in rows {
        let env = TestEnv::new();
        let server = Server::respond(|_| Reply::text("x".repeat(200_000)));
        let launch = env.pup().args(["run", "--output", "stream-json", "x"]).args(flags).model_server(&server);
        let running = launch.stdout(Stdout::Unread).limit(Duration::from_secs(30)).spawn();
        server.wait_for(1);
        if let Some(signal) = signal {
            // By now its pipe is full.
            std::thread::sleep(Duration::from_millis(700));
            running.signal(signal);
        }
        running.wait().expect_code(code);
    }
}

#[test]
fn what_was_told_to_ignore_hangups_goes_on_after_one() {
    let env = TestEnv::new();
    let server =
        Server::script([Reply::text("all of it").delay_each(Duration::from_millis(150)).first_byte_after(Duration::from_millis(100))]);
    let script = format!("trap '' HUP; exec {} run --output stream-json x", env!("CARGO_BIN_EXE_pup"));
    let mut running = env.command("sh").args(["-c", &script]).model_server(&server).spawn();
    running.wait_until("its first line", |out, _| out.contains("turn_start"));
    running.signal(Signal::HUP);
    let out = running.wait().expect_code(0);
    assert_eq!(out.json_lines().last().unwrap()["text"], "all of it");
}

#[test]
fn a_server_that_dies_in_the_middle_is_an_outage_after_the_deadline() {
    let env = TestEnv::new();
    let server = Server::respond(|request| match request.turn() {
        0 => Reply::tool_call("shell", json!({"command": "echo ran >> log.txt"})),
        _ => Reply::text("this is where it dies").stall_after(3),
    });
    let launch = env.pup().args(["run", "--yolo", "--output", "stream-json", "--timeout", "3s", "x"]).model_server(&server);
    let mut running = launch.spawn();
    running.wait_until("text", |out, _| out.contains(r#""type":"text""#));
    drop(server);
    let out = running.wait().expect_code(5);
    let result = out.json_lines().pop().unwrap();
    let attempts = crate::task::attempts(&result);
    assert!(attempts.len() > 2 && attempts[0] == "ok" && attempts[1..].iter().all(|a| a == "network"), "{}", out.report());
    assert_eq!(env.read("log.txt"), "ran\n");
    let hint = result["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("server") && hint.contains("--timeout"), "{}", out.report());
}
