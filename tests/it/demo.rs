//! `pup demo`: it shows what it says it shows, really changes what it says it changes, and leaves nothing behind.
#![cfg(unix)]

use crate::journal;
use crate::support::{Stdout, Terminal, TestEnv};
use crate::task;
use serde_json::{Value, json};
use std::time::Duration;

/// How the project's own test ends.
fn check(env: &TestEnv, folder: &str) -> (Option<i32>, String) {
    let out = env.command("sh").args([&format!("{folder}/check.sh")]).run();
    (out.code, out.stdout)
}

fn left_in_tmp(env: &TestEnv) -> usize {
    std::fs::read_dir(env.home().with_file_name("tmp")).unwrap().count()
}

#[test]
fn it_needs_nothing_and_leaves_nothing_but_its_session() {
    let env = TestEnv::new();
    let out = env.pup().arg("demo").run().expect_code(0);
    assert!(
        out.stdout.contains("Fixed:") && out.stdout.contains("OPENAI_API_KEY") && out.stdout.contains("pup run \""),
        "{}",
        out.report()
    );
    assert!(!out.stdout.contains('\x1b') && !out.stderr.contains('\x1b'), "{}", out.report());
    assert_eq!(out.stdout.matches("Fixed:").count(), 1, "{}", out.report());
    assert_eq!(left_in_tmp(&env), 0);
    assert_eq!(std::fs::read_dir(env.project()).unwrap().count(), 0);
    // The record that it points at is there.
    assert!(out.stdout.contains("pup sessions show last"), "{}", out.report());
    let shown = env.pup().args(["sessions", "show", "last"]).run().expect_code(0);
    assert!(shown.stdout.contains("sh check.sh"), "{}", shown.report());

    // Without a home, in a folder that cannot be written, with keys that must not matter.
    let homeless = env.pup().arg("demo").env_remove("HOME").env_remove("PUP_HOME").cwd("/proc").env("OPENAI_API_KEY", "not a key");
    let out = homeless.run().expect_code(0);
    assert!(out.stdout.contains("Fixed:") && !out.stdout.contains("sessions show"), "{}", out.report());
    assert_eq!(left_in_tmp(&env), 0);

    // A home that is none.
    let out = env.pup().arg("demo").env_remove("PUP_HOME").env("HOME", "/dev/null").run().expect_code(0);
    assert!(out.stdout.contains("Fixed:"), "{}", out.report());
}

#[test]
fn its_result_names_the_faults_and_its_journal_shows_the_test_failing_then_passing() {
    let env = TestEnv::new();
    let out = env.pup().args(["demo", "--json"]).run().expect_code(0);
    let result = out.json();
    assert_eq!((out.stdout.lines().count(), out.stderr.as_str()), (1, ""), "{}", out.report());
    assert_eq!(
        (&result["type"], &result["ok"], &result["cause"], &result["turns"]),
        (&json!("result"), &json!(true), &json!("done"), &json!(5))
    );
    assert!(result["text"].as_str().unwrap().starts_with("Fixed:"), "{}", out.report());
    let attempts = task::attempts(&result);
    assert!(attempts.contains(&"network".to_owned()) && attempts.iter().filter(|a| *a == "ok").count() == 5, "{attempts:?}");
    let entries = journal::of(&env, &result);
    journal::assert_effects_once(&entries, 3);
    let told: Vec<Value> = entries.iter().filter(|e| e["message"]["role"] == "tool").map(|e| e["message"].clone()).collect();
    let says = |n: usize, what: &str| told[n].to_string().contains(what);
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(says(1, "FAILED") && says(1, "exit 1") && says(3, "ok: ") && !says(3, "FAILED"), "{told:#?}");
}

#[test]
fn what_it_keeps_passes_its_own_test_fails_when_reverted_and_can_be_shown_again() {
    let env = TestEnv::new();
    for round in ["made", "already repaired", "broken again by hand"] {
        let out = env.pup().args(["demo", "--json", "--keep", "kept/here"]).run().expect_code(0);
        let (code, said) = check(&env, "kept/here");
        assert_eq!(code, Some(0), "{round}: {said}\n{}", out.report());
        let right = env.read("kept/here/greet.sh");
        let wrong = right.replace("\"$1\"", "\"$2\"");
        assert_ne!(right, wrong, "the repair is the one that is announced");
        env.write("kept/here/greet.sh", &wrong);
        let (code, said) = check(&env, "kept/here");
        assert!(code == Some(1) && said.contains("FAILED"), "{round}: {said}");
        if round == "made" {
            env.write("kept/here/greet.sh", &right);
        }
    }
    let out = env.pup().args(["demo", "--keep", "kept/here"]).run().expect_code(0);
    assert!(out.stdout.contains("kept/here") && out.stdout.contains("sh check.sh"), "{}", out.report());
}

#[test]
fn it_never_writes_over_what_is_not_its_own() {
    let env = TestEnv::new();
    env.write("mine/greet.sh", "echo mine\n");
    let out = env.pup().args(["demo", "--json", "--keep", "mine"]).run().expect_code(2);
    assert_eq!(out.json()["cause"], "usage");
    assert!(out.json()["error"]["message"].as_str().unwrap().contains("greet.sh"), "{}", out.report());
    assert_eq!((env.read("mine/greet.sh").as_str(), env.exists("mine/check.sh")), ("echo mine\n", false));
    env.write("file", "x");
    let out = env.pup().args(["demo", "--keep", "file"]).run();
    assert!(matches!(out.code, Some(2 | 3)) && out.stderr.contains("file"), "{}", out.report());
    assert_eq!(env.read("file"), "x");
}

#[test]
fn at_a_terminal_it_is_watched_as_it_goes() {
    let env = TestEnv::new();
    let mut terminal = Terminal::start(env.pup().arg("demo").limit(Duration::from_secs(30)), 100, 80);
    // The text streams: its beginning stands there before the call that follows it.
    terminal.wait_for("I will look at");
    terminal.wait_for("sh check.sh").wait_for("FAILED").wait_for("Fixed:").wait_for("pup run \"");
    assert_eq!(terminal.wait_exit(), 0);
    let screen = terminal.screen();
    assert!(screen.contains("void") && screen.contains("ok: everybody"), "{screen}");
    assert_eq!(screen.matches("Fixed:").count(), 1, "{screen}");
    assert!(terminal.raw().windows(2).any(|w| w == b"\x1b["), "no colour at a terminal");
}

#[test]
fn a_reader_that_leaves_early_is_no_crash() {
    let env = TestEnv::new();
    for args in [&["demo"][..], &["demo", "--json"]] {
        let out = env.pup().args(args).stdout(Stdout::ReaderGone).run().expect_code(0);
        // Which model went on is said; nothing else is.
        assert!(out.stderr.lines().all(|l| l.starts_with("pup: first/demo -> second/demo: ")), "{args:?}: {}", out.stderr);
    }
}
