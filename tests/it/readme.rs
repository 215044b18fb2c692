//! README.md tells the truth: its commands run as written, and CI runs its test command.
//!
//! A fenced block marked `sh test` is run by `sh` in a project of its own. There `pup` is the binary under test, and `cargo`
//! is a stand-in that lets `cargo run --release -- ...` run that binary and `cargo install` do nothing, since both would
//! only build again what is being tested. Providers and local servers are a scripted one.

use crate::support::{Outcome, Reply, Request, Server, TestEnv, need};
use std::fs;
use std::time::Duration;

/// The address that the README gives as an example of a local server.
const EXAMPLE_SERVER: &str = "http://127.0.0.1:8080/v1";

#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// Of its first line, from 1.
    line: usize,
    mark: String,
    text: String,
}

/// The fenced blocks of a Markdown text.
fn blocks(markdown: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (i, line) in markdown.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(mark) => {
                open = true;
                found.push(Block { line: i + 2, mark: mark.trim().to_owned(), text: String::new() });
            }
            None if open => {
                if let Some(block) = found.last_mut() {
                    block.text += line;
                    block.text.push('\n');
                }
            }
            None => {}
        }
    }
    assert!(!open, "a block is not closed");
    found
}

fn readme() -> Vec<Block> {
    blocks(&fs::read_to_string(need::root().join("README.md")).expect("README.md"))
}

/// One answer, in the form that is asked for: small models get a schema instead of tools.
fn answer(request: &Request) -> Reply {
    let constrained = request.body["response_format"]["type"] == "json_schema";
    Reply::text(if constrained { r#"{"answer":"It says hello."}"# } else { "It says hello." })
}

fn run(block: &str) -> (Outcome, Vec<Request>) {
    let server = Server::respond(answer);
    let env = TestEnv::new();
    env.write("hello.py", "print('hello')\n");
    let bin = env.home().join("bin");
    fs::create_dir(&bin).unwrap();
    let pup = env!("CARGO_BIN_EXE_pup");
    let cargo = format!(
        "#!/bin/sh\ncase \"$*\" in\n'run --release -- '*) shift 3; exec '{pup}' \"$@\";;\n'install --locked --path .') exit 0;;\nesac\n\
         echo \"the README test knows no: cargo $*\" >&2\nexit 64\n"
    );
    for (name, text) in [("cargo", cargo), ("pup", format!("#!/bin/sh\nexec '{pup}' \"$@\"\n"))] {
        executable(&bin.join(name), &text);
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let script = block.replace(EXAMPLE_SERVER, &server.base_url());
    let shell = env.command("sh").args(["-euc", &script]).env("PATH", path);
    let out = shell.model_server(&server).limit(Duration::from_mins(1)).run();
    (out, server.finish())
}

fn executable(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn every_marked_command_works_as_written() {
    let marked: Vec<Block> = readme().into_iter().filter(|b| b.mark == "sh test").collect();
    assert!(marked.iter().any(|b| b.text.trim() == "cargo run --release -- demo"), "the demo is the first thing to try: {marked:?}");
    assert!(marked.len() >= 4, "{marked:?}");
    for block in marked {
        let (out, requests) = run(&block.text);
        assert!(out.code == Some(0), "README.md:{}\n{}\n{}", block.line, block.text, out.report());
        let asks_a_model = block.text.contains("pup run");
        assert_eq!(!requests.is_empty(), asks_a_model, "README.md:{}: {} requests\n{}", block.line, requests.len(), out.report());
        if asks_a_model && !block.text.contains('>') {
            assert!(out.stdout.contains("It says hello."), "README.md:{}\n{}", block.line, out.report());
        }
    }
}

#[test]
fn every_shell_block_is_run_by_something() {
    for block in readme().iter().filter(|b| b.mark.starts_with("sh")) {
        assert!(
            matches!(block.mark.as_str(), "sh test" | "sh ci"),
            "README.md:{}: marked `{}`, so nothing runs it",
            block.line,
            block.mark
        );
    }
}

#[test]
fn ci_runs_the_test_command_of_the_readme() {
    let ci = fs::read_to_string(need::root().join(".ci/run")).expect(".ci/run");
    let blocks: Vec<Block> = readme().into_iter().filter(|b| b.mark == "sh ci").collect();
    assert_eq!(blocks.len(), 1, "one block says how to test: {blocks:?}");
    let command = blocks[0].text.trim();
    let steps: Vec<&str> = ci.lines().filter_map(|l| l.strip_prefix("step ")).collect();
    assert_eq!(steps.last(), Some(&command), ".ci/run's steps: {steps:?}");
    assert!(ci.starts_with("#!/usr/bin/env bash\n") && ci.contains("set -euo pipefail"), "a failing step must end it");
}

#[test]
fn links_lead_somewhere() {
    let text = fs::read_to_string(need::root().join("README.md")).unwrap();
    let targets: Vec<&str> = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(targets.len() > 3, "{targets:?}");
    for target in targets.into_iter().filter(|t| !t.contains("://")) {
        assert!(need::root().join(target).exists(), "README.md links to {target}, which is not there");
    }
}

#[test]
fn blocks_are_read_with_their_marks_and_lines() {
    let found = blocks("a\n```sh test\nb\nc\n```\n```\nd\n```\n");
    let block = |line, mark: &str, text: &str| Block { line, mark: mark.to_owned(), text: text.to_owned() };
    assert_eq!(found, [block(3, "sh test", "b\nc\n"), block(7, "", "d\n")]);
}

#[test]
fn a_wrong_command_fails_the_test() {
    assert_eq!(run("cargo publish").0.code, Some(64));
    assert_eq!(run("false\ntrue").0.code, Some(1));
    assert_eq!(run("no-such-program-here || exit 7").0.code, Some(7));
}
