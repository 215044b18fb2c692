//! The binary's surface: version, help, wrong words, a reader that leaves, and no home folder.

use crate::support::{Stdout, TestEnv};

#[test]
fn version_is_one_line_and_needs_no_home() {
    let env = TestEnv::new();
    for flag in ["--version", "-V"] {
        let out = env.pup().arg(flag).env_remove("HOME").env_remove("PUP_HOME").run().expect_code(0);
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), (concat!("pup ", env!("CARGO_PKG_VERSION"), "\n"), ""));
    }
}

#[test]
fn help_names_the_commands_and_goes_to_stdout_without_colours() {
    let env = TestEnv::new();
    let out = env.pup().arg("--help").run().expect_code(0);
    for command in ["run", "demo", "agents", "models", "config", "trust", "sessions", "doctor", "debug"] {
        assert!(out.stdout.lines().any(|l| l.trim_start().starts_with(&format!("{command} "))), "no `{command}`\n{}", out.report());
        let help = env.pup().args([command, "--help"]).run().expect_code(0);
        assert!(help.stdout.contains("Usage:") && !help.stdout.contains('\x1b'), "{}", help.report());
    }
    assert!(out.stderr.is_empty() && !out.stdout.contains('\x1b'), "{}", out.report());
}

#[test]
fn wrong_words_are_usage_errors_that_name_what_was_meant() {
    let env = TestEnv::new();
    for (args, says) in [
        (&["rnu", "x"][..], "run"),
        (&["run", "--modle", "x", "y"], "--model"),
        (&["run", "--output", "jsn", "y"], "json"),
        (&["sessions", "lst"], "list"),
    ] {
        let out = env.pup().args(args).run().expect_code(2);
        assert!(out.stdout.is_empty() && out.stderr.contains(says) && !out.stderr.contains('\x1b'), "{}", out.report());
    }
}

#[test]
fn an_empty_prompt_is_refused_and_nothing_is_asked() {
    let env = TestEnv::new();
    for prompt in ["", "  \n"] {
        let out = env.pup().args(["run", prompt]).run().expect_code(2);
        assert!(!out.stderr.is_empty() && out.stdout.is_empty(), "{}", out.report());
        let out = env.pup().args(["run", "--output", "json", prompt]).run().expect_code(2);
        let result = out.json();
        assert_eq!(
            (&result["cause"], &result["exit_code"], &result["ok"]),
            (&"usage".into(), &2.into(), &false.into()),
            "{}",
            out.report()
        );
    }
}

#[test]
fn a_reader_that_leaves_is_no_crash() {
    let env = TestEnv::new();
    for args in [&["--help"][..], &["--version"], &["config", "path", "--json"], &["debug", "tools"], &["sessions", "list"]] {
        let out = env.pup().args(args).stdout(Stdout::ReaderGone).run();
        assert!(out.stderr.is_empty() && out.code != Some(1) && out.code != Some(101), "{}", out.report());
    }
}

#[test]
fn no_home_is_a_clear_error_only_where_a_home_is_needed() {
    let env = TestEnv::new();
    let homeless = || env.pup().env_remove("HOME").env_remove("PUP_HOME");
    homeless().arg("--help").run().expect_code(0);
    let out = homeless().args(["config", "path"]).run().expect_code(3);
    assert!(out.stdout.is_empty() && out.stderr.contains("HOME") && out.stderr.contains("PUP_HOME=DIR"), "{}", out.report());
}

#[test]
fn places_are_where_pup_home_says() {
    let env = TestEnv::new();
    let out = env.pup().args(["config", "path", "--json"]).run().expect_code(0);
    let places = out.json();
    for name in ["config", "state", "cache"] {
        assert_eq!(places[name], env.pup_home().join(name).to_string_lossy().as_ref(), "{}", out.report());
    }
}
