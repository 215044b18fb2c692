//! `docs/cli.md` is made from the parser and the exit codes; this test holds it to them.

use super::args::Cli;
use crate::base::Cause;
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
