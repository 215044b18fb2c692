//! `pup doctor`: what it finds, that it shows no key, and the exit code of what is wrong.

use crate::support::TestEnv;

const KEY: &str = "sk-canary-0123456789-wxyz";

#[test]
fn a_key_is_found_and_never_printed() {
    let env = TestEnv::new();
    let out = env.pup().args(["doctor"]).env("OPENAI_API_KEY", KEY).run().expect_code(0);
    assert!(out.stdout.contains("OPENAI_API_KEY = sk-...wxyz") && !out.stdout.contains("canary"), "{}", out.report());
    assert!(out.stdout.contains("next: pup run"), "{}", out.report());
    let out = env.pup().args(["doctor", "--json"]).env("OPENAI_API_KEY", KEY).run().expect_code(0);
    let found = out.json();
    assert_eq!((&found["ok"], &found["exit_code"]), (&true.into(), &0.into()));
    let names: Vec<&str> = found["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    for name in ["folders", "config", "key", "local", "terminal", "git", "sandbox"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert!(!out.stdout.contains("canary"));
}

#[test]
fn a_broken_file_is_named_with_its_line_and_decides_the_exit_code() {
    let env = TestEnv::new();
    env.write_config("config.toml", "model = 'a'\nmax_turn = 3\n");
    let out = env.pup().args(["doctor"]).env("OPENAI_API_KEY", KEY).run().expect_code(3);
    assert!(
        out.stdout.contains("wrong config") && out.stdout.contains("config.toml:2:1") && out.stdout.contains("max_turns"),
        "{}",
        out.report()
    );
    assert!(out.stdout.contains("then: pup doctor"), "{}", out.report());
}

#[test]
fn no_home_is_told_and_not_fatal_for_the_rest() {
    let env = TestEnv::new();
    let out = env.pup().args(["doctor"]).env_remove("HOME").env_remove("PUP_HOME").run().expect_code(3);
    assert!(out.stdout.contains("wrong folders") && out.stdout.contains("PUP_HOME"), "{}", out.report());
    assert!(out.stdout.contains("git"), "{}", out.report());
}
