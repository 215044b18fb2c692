//! `docs/cli.md` is made from the parser and the exit codes, `docs/quirks.md` from the wires and the catalogue; these tests
//! hold them to it.

use super::args::Cli;
use crate::base::Cause;
use crate::catalog::Catalog;
use crate::wire::quirk;
use clap::{Command, CommandFactory};
use std::fmt::Write;
use std::path::PathBuf;

const HEAD: &str = "# The command line

Made from the program by a test (`UPDATE_SCHEMAS=1 cargo test --lib published_schema` writes it anew). Every `list` and `show` takes `--json`.
Nothing prints escape codes, progress or questions when stdout or stdin is not a terminal; `NO_COLOR` is honoured.
";

const CODES: [(Cause, &str); 12] = [
    (Cause::Done, "the turn ended by itself and no required action was denied"),
    (Cause::Internal, "a bug in pup"),
    (Cause::Usage, "bad arguments, an empty prompt, an unknown agent or model (nearest names are offered)"),
    (Cause::Config, "config, catalogue or agent file is wrong (file, line and key are named)"),
    (Cause::Auth, "no usable credentials for any link"),
    (Cause::Exhausted, "every link is out beyond the deadline (the soonest return is printed)"),
    (Cause::Budget, "a cost cap would be exceeded"),
    (Cause::Limit, "turns, time or context ran out"),
    (Cause::Denied, "a needed call was denied"),
    (Cause::Rejected, "the provider refused the input on every link that could take it"),
    (Cause::Interrupted, "SIGINT; the session goes on with `pup run --resume ID`"),
    (Cause::Terminated, "SIGTERM; the session goes on with `pup run --resume ID`"),
];

fn section(out: &mut String, command: &mut Command, path: &str) {
    let help = command.render_long_help().to_string();
    let body: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = writeln!(out, "\n## `{path}`\n\n```text\n{}\n```", body.join("\n").trim());
    for sub in command.get_subcommands_mut().filter(|s| s.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        section(out, sub, &path);
    }
}

#[test]
fn published_schema_of_the_command_line() {
    let mut text = HEAD.to_owned();
    text.push_str("\n## Exit codes\n\n| code | cause | meaning |\n|---|---|---|\n");
    for (cause, meaning) in CODES {
        let _ = writeln!(text, "| {} | `{}` | {meaning} |", cause.exit_code(), cause.as_str());
    }
    let mut command = Cli::command().term_width(100);
    command.build();
    section(&mut text, &mut command, "pup");
    crate::base::published(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md"), &text);
}

const QUIRKS: &str = "# Quirks

How servers differ from the protocol that they say they speak. A provider of [models.json](models.md) lists its quirks by name; they
compose, and a later one wins over an earlier one. Your own providers can use them too:

```json
{\"providers\": {\"mine\": {\"wire\": \"openai-chat\", \"base_url\": \"https://llm.example/v1\", \"api_key_env\": [\"MINE_KEY\"], \"quirks\": [\"max-tokens\", \"think-tags\"]}}}
```

What a server cannot take of a request is left out and named in the log, never dropped in silence. A server found on this machine
(`local`) is spoken to as the provider of its software is.

Made from the program by a test (`UPDATE_SCHEMAS=1 cargo test --lib published_schema` writes it anew).

| quirk | what pup does | who has it |
|---|---|---|
";

#[test]
fn published_schema_of_the_quirks() {
    let nowhere = PathBuf::from("/nonexistent-place-for-tests");
    let places = crate::base::places::Places { config: nowhere.clone(), state: nowhere.clone(), cache: nowhere };
    let catalog = Catalog::load(&places, None, &|_| None).unwrap();
    let mut text = QUIRKS.to_owned();
    for quirk in quirk::ALL {
        let has = |p: &&std::sync::Arc<crate::catalog::Provider>| p.quirks.iter().any(|name| name == quirk.name);
        let who: Vec<&str> = catalog.providers().iter().filter(has).map(|p| p.id.as_str()).collect();
        let who = if who.is_empty() { "-".to_owned() } else { who.join(", ") };
        let _ = writeln!(text, "| `{}` | {} | {who} |", quirk.name, quirk.what);
    }
    crate::base::published(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/quirks.md"), &text);
}
