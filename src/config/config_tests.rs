//! Layers win in their order and say where they come from; every fault names its place; `set` keeps what it finds.

use super::*;
use crate::base::Failure;
use crate::base::places::Places;
use std::path::PathBuf;

struct Home {
    dir: tempfile::TempDir,
    vars: Vec<(&'static str, &'static str)>,
    flags: Vec<(String, String)>,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), vars: vec![], flags: vec![] }
    }

    fn path(&self, layer: &str) -> PathBuf {
        self.dir.path().join(match layer {
            "system" => "etc.toml",
            "user" => "config/config.toml",
            _ => "repo/.pup/config.toml",
        })
    }

    fn with(self, layer: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(layer);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn var(mut self, name: &'static str, value: &'static str) -> Self {
        self.vars.push((name, value));
        self
    }

    fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.push((name.into(), value.into()));
        self
    }

    fn places(&self) -> Places {
        let d = self.dir.path();
        Places { config: d.join("config"), state: d.join("state"), cache: d.join("cache") }
    }

    fn load(&self) -> Result<Config, Failure> {
        let env = |n: &str| self.vars.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned());
        Config::load_with(Some(self.path("system")), &self.places(), Some(&self.dir.path().join("repo")), &self.flags, &env)
    }

    fn shown(&self, failure: &Failure) -> String {
        format!("{}: {}\nhint: {}", failure.cause.as_str(), failure.message, failure.hint.as_deref().unwrap_or("-"))
            .replace(&self.dir.path().display().to_string(), "~")
    }

    fn refused(self) -> String {
        let failure = self.load().unwrap_err();
        self.shown(&failure)
    }
}

#[test]
fn a_flag_is_true_or_false_in_every_layer() {
    let paid = |home: Home| home.load().unwrap().settings().paid_models;
    assert!(paid(Home::new()));
    assert!(!paid(Home::new().with("user", "paid_models = false\n")));
    assert!(!paid(Home::new().var("USE_PAID_MODELS", "False")));
    assert!(paid(Home::new().var("USE_PAID_MODELS", "false").var("PUP_PAID_MODELS", "1")));
    assert!(paid(Home::new().with("user", "paid_models = false\n").flag("paid_models", "yes")));
    insta::assert_snapshot!(Home::new().var("USE_PAID_MODELS", "maybe").refused(), @r#"
    config: USE_PAID_MODELS must be true or false, not "maybe"
    hint: -
    "#);
    insta::assert_snapshot!(Home::new().with("user", "paid_models = \"false\"\n").refused(), @r#"
    config: ~/config/config.toml:1:15: `paid_models` must be true or false, not "false"
    hint: -
    "#);
}

#[test]
fn each_layer_wins_over_those_below_and_says_where_it_stands() {
    let home = Home::new()
        .with("system", "max_turns = 1\n")
        .with("user", "# mine\nmodel = \"a\"\nmax_turns = 2\n\n[http]\nidle_timeout = 5\n")
        .with("project", "http.idle_timeout = \"6s\"\nmax_turns = 3\n")
        .var("PUP_MAX_TURNS", " 4 ")
        .var("PUP_MODEL", "")
        .flag("max_turns", "5");
    let config = home.load().unwrap();
    let lines: Vec<String> = ["model", "max_turns", "http.idle_timeout", "timeout"]
        .iter()
        .flat_map(|k| config.explain(k).unwrap())
        .map(|v| format!("{} | {} | {}{}", v.layer, v.source, v.value, if v.won { " *" } else { "" }))
        .collect();
    insta::assert_snapshot!(lines.join("\n").replace(&home.dir.path().display().to_string(), "~"), @r#"
    user | ~/config/config.toml:2 | a *
    built-in |  | 200
    system | ~/etc.toml:1 | 1
    user | ~/config/config.toml:3 | 2
    project | ~/repo/.pup/config.toml:2 | 3
    environment | PUP_MAX_TURNS | 4
    command line | --max-turns | 5 *
    built-in |  | 90s
    user | ~/config/config.toml:6 | 5s
    project | ~/repo/.pup/config.toml:1 | 6s *
    "#);
    let settings = config.settings();
    assert_eq!((settings.max_turns, settings.model.as_deref(), settings.http.idle_timeout.as_secs()), (5, Some("a"), 6));
}

#[test]
fn every_default_of_the_table_fits_its_kind() {
    for key in KEYS {
        assert!(key.default.is_none_or(|d| Value::from_text(key.kind, d).is_some()), "{}", key.name);
    }
    let words = KEYS.iter().find(|k| k.name == "approve").unwrap();
    let Kind::OneOf(words) = words.kind else { panic!("approve is a choice") };
    assert!(words.iter().all(|w| Approve::from_word(w).is_some_and(|a| a.as_str() == *w)));
    let settings = Home::new().load().unwrap().settings();
    assert_eq!((settings.agent.as_str(), settings.loop_guard, settings.shell.max_output), ("code-puppy", 24, 16_000));
    assert_eq!((settings.approve, settings.http.retries, settings.shell.timeout.as_secs()), (None, None, 120));
}

#[test]
fn faults_of_files() {
    let user = |text: &str| Home::new().with("user", text).refused();
    insta::assert_snapshot!(user("model = \"a\"\nmax_turn = 3\n"), @r#"
    config: ~/config/config.toml:2:1: there is no setting `max_turn`
    hint: did you mean `max_turns`?
    "#);
    insta::assert_snapshot!(user("[http]\nretires = 3\n"), @r#"
    config: ~/config/config.toml:2:1: there is no setting `http.retires`
    hint: did you mean `http.retries`?
    "#);
    insta::assert_snapshot!(user("idle_timeout = 3\n"), @r#"
    config: ~/config/config.toml:1:1: there is no setting `idle_timeout`
    hint: did you mean `http.idle_timeout`, `timeout`?
    "#);
    insta::assert_snapshot!(user("[zoo]\nx = 3\n"), @r#"
    config: ~/config/config.toml:1:2: there is no setting `zoo`
    hint: the settings are model, paid_models, agent, approve, max_turns, compact, timeout, loop_guard, auth.store, auth.rotation, failover, failover_orchestrator, failover_reasoning, failover_coding, failover_librarian, budget.daily, budget.monthly, budget.session, budget.providers, budget.ceiling, cli.claude, cli.codex, http.connect_timeout, http.first_byte_timeout, http.idle_timeout, http.deadline, http.retries, http.ca_file, shell.timeout, shell.max_output
    "#);
    insta::assert_snapshot!(user("[http]\nca_file = \"ca.pem\"\n"), @r#"
    config: ~/config/config.toml:2:11: `http.ca_file` must be the absolute path of a file, not "ca.pem"
    hint: -
    "#);
    insta::assert_snapshot!(user("model = 3\n"), @r#"
    config: ~/config/config.toml:1:9: `model` must be text, not 3
    hint: -
    "#);
    insta::assert_snapshot!(user("[shell]\n\ntimeout = \"soon\"\n"), @r#"
    config: ~/config/config.toml:3:11: `shell.timeout` must be a time such as "90s", "10m" or a number of seconds, not "soon"
    hint: -
    "#);
    insta::assert_snapshot!(user("max_turns = 0\n"), @r#"
    config: ~/config/config.toml:1:13: `max_turns` must be a whole number from 1, not 0
    hint: -
    "#);
    insta::assert_snapshot!(user("approve = \"yes\"\n"), @r#"
    config: ~/config/config.toml:1:11: `approve` must be one of ask, edits, all, read-only, plan, not "yes"
    hint: -
    "#);
    insta::assert_snapshot!(user("http = 3\n"), @r#"
    config: ~/config/config.toml:1:1: `http` is a table of settings, not one value
    hint: write it as [http]
    "#);
    insta::assert_snapshot!(user("[model]\nx = 3\n"), @r#"
    config: ~/config/config.toml:1:1: `model` must be text, not a table
    hint: -
    "#);
    insta::assert_snapshot!(user("model = \"a\nagent = 1\n"), @r#"
    config: ~/config/config.toml:1:11: this is not TOML: invalid basic string, expected `"`
    hint: -
    "#);
    insta::assert_snapshot!(user("model = \"a\"\nmodel = \"b\"\n"), @r#"
    config: ~/config/config.toml:2:1: this is not TOML: duplicate key
    hint: -
    "#);
    insta::assert_snapshot!(Home::new().with("user", b"model = \"\xff\"").refused(), @r#"
    config: ~/config/config.toml: the file is not UTF-8 text
    hint: save it as UTF-8
    "#);
    insta::assert_snapshot!(Home::new().with("project", "modell = 1").refused(), @r#"
    config: ~/repo/.pup/config.toml:1:1: there is no setting `modell`
    hint: did you mean `model`?
    "#);
}

#[test]
fn faults_of_the_environment_and_the_command_line() {
    insta::assert_snapshot!(Home::new().var("PUP_APPROVE", "everything").refused(), @r#"
    config: PUP_APPROVE must be one of ask, edits, all, read-only, plan, not "everything"
    hint: -
    "#);
    insta::assert_snapshot!(Home::new().flag("max_turns", "-1").refused(), @r#"
    usage: --max-turns must be a whole number from 1, not "-1"
    hint: -
    "#);
    let failure = Home::new().load().unwrap().explain("htp.retries").unwrap_err();
    insta::assert_snapshot!(Home::new().shown(&failure), @r#"
    usage: there is no setting `htp.retries`
    hint: did you mean `http.retries`?
    "#);
}

#[test]
fn setting_a_value_keeps_comments_and_order() {
    let home = Home::new().with("user", "# top\nmodel = \"a\" # the good one\n\n[shell] # tools\ntimeout = \"1m\"\n");
    let path = set(&home.places(), "model", "b").unwrap();
    set(&home.places(), "http.retries", "3").unwrap();
    set(&home.places(), "shell.max_output", "2000").unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    insta::assert_snapshot!(text, @r#"
    # top
    model = "b" # the good one

    [shell] # tools
    timeout = "1m"
    max_output = 2000

    [http]
    retries = 3
    "#);
    let settings = home.load().unwrap().settings();
    assert_eq!((settings.model.as_deref(), settings.http.retries, settings.shell.max_output), (Some("b"), Some(3), 2000));
}

#[test]
fn setting_makes_the_file_and_follows_a_link() {
    let home = Home::new();
    set(&home.places(), "timeout", "90s").unwrap();
    assert_eq!(std::fs::read_to_string(home.path("user")).unwrap(), "timeout = \"90s\"\n");
    #[cfg(unix)]
    {
        let real = home.dir.path().join("dotfiles.toml");
        std::fs::rename(home.path("user"), &real).unwrap();
        std::os::unix::fs::symlink(&real, home.path("user")).unwrap();
        set(&home.places(), "timeout", "2m").unwrap();
        assert!(home.path("user").is_symlink());
        assert_eq!(std::fs::read_to_string(real).unwrap(), "timeout = \"2m\"\n");
    }
}

#[test]
fn a_refused_set_changes_nothing() {
    let home = Home::new().with("user", "model = broken\n");
    let refused = |name: &str, value: &str| home.shown(&set(&home.places(), name, value).unwrap_err());
    insta::assert_snapshot!(refused("modle", "x"), @r#"
    usage: there is no setting `modle`
    hint: did you mean `model`?
    "#);
    insta::assert_snapshot!(refused("max_turns", "many"), @r#"
    usage: `max_turns` must be a whole number from 1, not "many"
    hint: -
    "#);
    insta::assert_snapshot!(refused("model", "x"), @r#"
    config: ~/config/config.toml:1:9: this is not TOML: string values must be quoted, expected literal string
    hint: -
    "#);
    assert_eq!(std::fs::read_to_string(home.path("user")).unwrap(), "model = broken\n");
}
