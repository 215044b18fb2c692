//! The screens of `pup config`, `pup trust` and `pup sessions`, as a person sees them.

use super::config::{self, ConfigCommand};
use super::sessions::{self, SessionsCommand};
use super::trust::{self, TrustCommand};
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Cause, Failure};
use crate::model::{Block, Message, Role, ToolCall, ToolResult};
use crate::session::{Effect, End, Entry, Intent, Journal, Session};
use clap::Parser;
use std::io::{self, Write};
use std::path::PathBuf;

#[derive(Debug, Parser)]
enum Pup {
    #[command(subcommand)]
    Config(ConfigCommand),
    #[command(subcommand)]
    Trust(TrustCommand),
    #[command(subcommand)]
    Sessions(SessionsCommand),
}

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(home.repo().join(".pup")).unwrap();
        home
    }

    fn repo(&self) -> PathBuf {
        self.0.path().join("repo")
    }

    fn places(&self) -> Places {
        let d = self.0.path();
        Places { config: d.join("config"), state: d.join("state"), cache: d.join("cache") }
    }

    fn run_into(&self, line: &str, out: &mut dyn Write) -> Result<(), Failure> {
        let (repo, places) = (self.repo(), self.places());
        let env = |n: &str| (n == "PUP_AGENT").then(|| "helios".to_owned());
        match Pup::try_parse_from(std::iter::once("pup").chain(line.split(' '))).unwrap() {
            Pup::Config(c) => config::run(&c, &places, Some(&repo), &env, out),
            Pup::Trust(c) => trust::run(&c, &places, &repo, out),
            Pup::Sessions(c) => sessions::run(&c, &places, out),
        }
    }

    fn run(&self, line: &str) -> String {
        let mut out = Vec::new();
        let result = self.run_into(line, &mut out);
        let mut text = String::from_utf8(out).unwrap();
        if let Err(f) = result {
            text = format!("{text}{}: {}\nhint: {}", f.cause.as_str(), f.message, f.hint.unwrap_or_default());
        }
        let text = text.replace(&self.0.path().display().to_string(), "~");
        let stamp = regex::Regex::new(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d\.\d+Z)?").unwrap();
        stamp.replace_all(&text, "TIME").into_owned()
    }

    fn session(&self) -> Journal {
        let session = Session {
            id: "20261123-000000-aaaaaa".into(),
            agent: "code-puppy".into(),
            model: Some("gpt-4.1".into()),
            cwd: "/repo".into(),
            prompt: Some("fix \u{1b}[31mit".into()),
            ..Session::default()
        };
        let mut journal = Journal::create(&self.places(), session, Redactor::default()).unwrap();
        let call = ToolCall { id: "c".into(), name: "shell".into(), args_raw: r#"{"command":"make"}"#.into(), signature: None };
        let output = (1..=12).map(|n| format!("line {n}\u{1b}]0;evil\u{7}")).collect::<Vec<_>>().join("\n");
        for message in [
            Message::system("You are"),
            Message::user("fix \u{1b}[31mit"),
            Message::new(Role::Assistant, vec![Block::Text { text: "Running it.".into() }, Block::ToolCall(call)]),
            Message::results(vec![ToolResult::text("c", output, true)]),
        ] {
            journal.append(&Entry::Message { message }).unwrap();
        }
        journal
    }
}

#[test]
fn config_screens() {
    let home = Home::new();
    std::fs::write(home.repo().join(".pup/config.toml"), "max_turns = 9\n").unwrap();
    insta::assert_snapshot!(home.run("config set max_turns 7"), @r#"
    set max_turns in ~/config/config.toml
    note: ~/repo/.pup/config.toml:1 still wins with 9 (project)
    "#);
    insta::assert_snapshot!(home.run("config set shell.timeout 90"), @"set shell.timeout in ~/config/config.toml");
    insta::assert_snapshot!(home.run("config get max_turns"), @"9");
    insta::assert_snapshot!(home.run("config get model"), @"(not set)");
    insta::assert_snapshot!(home.run("config get shell.timeout --json"), @r#"
    {
      "key": "shell.timeout",
      "value": "90s"
    }
    "#);
    insta::assert_snapshot!(home.run("config get"), @r#"
    model                    (not set)
    paid_models              true
    agent                    helios
    approve                  (not set)
    max_turns                9
    compact                  true
    timeout                  (not set)
    loop_guard               24
    auth.store               auto
    auth.rotation            sticky
    failover                 auto
    failover_orchestrator    (not set)
    failover_reasoning       (not set)
    failover_coding          (not set)
    failover_librarian       (not set)
    budget.daily             50
    budget.monthly           500
    budget.session           (not set)
    budget.providers         (not set)
    budget.ceiling           (not set)
    cli.claude               (not set)
    cli.codex                (not set)
    http.connect_timeout     10s
    http.first_byte_timeout  2m
    http.idle_timeout        90s
    http.deadline            10m
    http.retries             (not set)
    http.ca_file             (not set)
    shell.timeout            90s
    shell.max_output         16000
    "#);
    insta::assert_snapshot!(home.run("config explain max_turns"), @r#"
    max_turns: Model calls in one run. (variable PUP_MAX_TURNS)
        built-in  200
        user      7    ~/config/config.toml:1
    =>  project   9    ~/repo/.pup/config.toml:1
    "#);
    insta::assert_snapshot!(home.run("config explain agent --json"), @r#"
    {
      "key": "agent",
      "value": "helios",
      "layers": [
        {
          "layer": "built-in",
          "source": "",
          "value": "code-puppy",
          "won": false
        },
        {
          "layer": "environment",
          "source": "PUP_AGENT",
          "value": "helios",
          "won": true
        }
      ]
    }
    "#);
    insta::assert_snapshot!(home.run("config explain modl"), @r#"
    usage: there is no setting `modl`
    hint: did you mean `model`?
    "#);
    insta::assert_snapshot!(home.run("config path"), @r#"
    config  ~/config
    state   ~/state
    cache   ~/cache
    "#);
    insta::assert_snapshot!(home.run("config path --json"), @r#"
    {
      "config": "~/config",
      "state": "~/state",
      "cache": "~/cache"
    }
    "#);
    assert_eq!(home.run("config explain").lines().filter(|l| !l.starts_with([' ', '='])).count(), crate::config::KEYS.len());
}

#[test]
fn trust_screens() {
    let home = Home::new();
    insta::assert_snapshot!(home.run("trust add"), @r#"
    usage: ~/repo has no pup files to trust
    hint: pup reads .pup/, .claude/agents/, .claude/commands/, .claude/skills/ of a repository, and AGENTS.md, CLAUDE.md, GEMINI.md in its folders
    "#);
    std::fs::write(home.repo().join(".pup/config.toml"), "").unwrap();
    insta::assert_snapshot!(home.run("trust list"), @"no repository is trusted");
    insta::assert_snapshot!(home.run("trust add"), @"trusted ~/repo (1 file; a change of any of them ends it)");
    insta::assert_snapshot!(home.run("trust list --json"), @r#"
    [
      {
        "path": "~/repo",
        "state": "trusted",
        "since": "TIME"
      }
    ]
    "#);
    std::fs::write(home.repo().join(".pup/models.json"), "{}").unwrap();
    insta::assert_snapshot!(home.run("trust list"), @"changed  TIME  ~/repo");
    insta::assert_snapshot!(home.run("trust add --json"), @r#"
    {
      "path": "~/repo",
      "state": "trusted",
      "files": 2
    }
    "#);
    insta::assert_snapshot!(home.run("trust remove"), @"~/repo is no longer trusted");
    insta::assert_snapshot!(home.run("trust remove"), @r#"
    usage: ~/repo is not trusted
    hint: `pup trust list` shows what is
    "#);
}

#[test]
fn sessions_screens() {
    let home = Home::new();
    insta::assert_snapshot!(home.run("sessions list"), @"there are no sessions yet");
    insta::assert_snapshot!(home.run("sessions show last"), @r#"
    usage: there are no sessions yet
    hint: `pup run "..."` starts one
    "#);
    let mut journal = home.session();
    insta::assert_snapshot!(home.run("sessions list"), @"20261123-000000-aaaaaa  TIME  running  fix it");
    let intent =
        Intent { call_id: "d".into(), tool: "shell".into(), args: "{}".into(), effect: Effect::Exec, files: vec![], checkpoint: None };
    journal.append(&Entry::Intent(intent)).unwrap();
    insta::assert_snapshot!(home.run("sessions show last"), @r#"
    session 20261123-000000-aaaaaa
    agent code-puppy, model gpt-4.1, in /repo

    --- user
    fix it

    --- assistant
    Running it.
    > shell {"command":"make"}

    --- tool
    error: line 1
    line 2
    line 3
    line 4
    line 5
    line 6
    line 7
    line 8
    line 9
    line 10
    ... 2 more lines

    unknown outcome: shell {}
    it is running
    "#);
    journal.append(&Entry::End(End { cause: Cause::Limit, text: None })).unwrap();
    insta::assert_snapshot!(home.run("sessions list --json"), @r#"
    [
      {
        "id": "20261123-000000-aaaaaa",
        "updated": "TIME",
        "agent": "code-puppy",
        "model": "gpt-4.1",
        "cwd": "/repo",
        "prompt": "fix \u001b[31mit",
        "messages": 4,
        "status": "running",
        "ended": "limit",
        "problem": null
      }
    ]
    "#);
    let shown: serde_json::Value = serde_json::from_str(&home.run("sessions show 2026 --json")).unwrap();
    assert_eq!((shown["ended"]["cause"].as_str(), shown["messages"].as_array().map(Vec::len)), (Some("limit"), Some(4)));
    assert_eq!(shown["dangling"][0]["intent"]["effect"], "exec");
}

struct Closed(io::ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_left_is_no_error_but_a_full_disk_is() {
    let home = Home::new();
    assert_eq!(home.run_into("config get", &mut Closed(io::ErrorKind::BrokenPipe)), Ok(()));
    let full = home.run_into("config get", &mut Closed(io::ErrorKind::StorageFull)).unwrap_err();
    assert!(full.message.contains("standard output"), "{full}");
}

#[test]
fn config_catalogue_and_wire_agree() {
    let places = Home::new().places();
    let settings = crate::config::Config::load(&places, None, &[], &|_| None).unwrap().settings();
    assert_eq!(settings.agent, crate::catalog::DEFAULT_AGENT);
    for provider in crate::catalog::Catalog::load(&places, None, &|_| None).unwrap().providers() {
        let dialect = crate::wire::Dialect::from_quirks(&provider.quirks);
        assert!(dialect.is_ok(), "{}: {dialect:?}", provider.id);
    }
}
