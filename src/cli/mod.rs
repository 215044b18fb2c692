//! Row 8: the command line. Parsing, dispatch, and the one place where a failure becomes text and an exit code.

pub(crate) mod agents;
pub(crate) mod app;
mod args;
pub(crate) mod ask;
mod auth;
mod auth_login;
mod auth_logins;
mod auth_terms;
mod auth_way;
mod begun;
mod config;
mod costs;
mod debug;
mod debug_classify;
mod debug_tool;
mod debug_wire;
mod demo;
mod doctor;
mod doors;
pub(crate) mod engine;
mod hidden;
pub(crate) mod home;
pub(crate) mod log;
mod means;
mod models;
mod nursery;
pub(crate) mod output;
pub(crate) mod print;
mod report;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod select;
mod sessions;
mod shared_face;
mod status;
pub(crate) mod stop;
mod trust;
mod undo;
pub(crate) mod work;

#[cfg(test)]
mod data_tests;
#[cfg(test)]
mod doc_tests;

use crate::base::places::Places;
use crate::base::{Cause, Failure, nearest};
use crate::config::Trust;
use crate::workspace::checkpoint::Direction;
use crate::workspace::process::supervisor;
pub use args::ChatArgs;
use args::{Cli, Command, Sessions};
use clap::{CommandFactory, Parser};
use output::Format;
use status::View;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// Opens the chat; its exit code. Handed in by the binary, because the chat stands on this module and not the reverse.
pub type Chat = fn(ChatArgs) -> u8;

/// Runs pup with these arguments, the program's own name first.
pub fn main(args: Vec<OsString>, chat: Chat) -> ExitCode {
    if let Some(code) = supervisor::main(&args) {
        return code;
    }
    // Before anything else is set up: scripts ask for it often.
    if let [_, only] = args.as_slice()
        && (only == "--version" || only == "-V")
    {
        let _ = writeln!(io::stdout(), concat!("pup ", env!("CARGO_PKG_VERSION")));
        return ExitCode::SUCCESS;
    }
    let format = wanted_format(&args);
    let code = match Cli::try_parse_from(args) {
        Ok(Cli { command: Some(command), .. }) => dispatch(command),
        Ok(Cli { chat: args, command: None }) => chat(args),
        Err(error) if error.use_stderr() && format != Format::Text => work::report(&usage(&error), format),
        Err(error) => {
            let _ = error.print();
            if let Some(tip) = tip(&error) {
                let _ = writeln!(io::stderr(), "\n{tip}");
            }
            if error.use_stderr() { Cause::Usage.exit_code() } else { 0 }
        }
    };
    ExitCode::from(code)
}

fn dispatch(command: Command) -> u8 {
    let mut out = io::stdout().lock();
    let here = || app::App::load(std::path::Path::new("."), &[]);
    let done = match command {
        Command::Run(args) => {
            drop(out);
            return run::run(*args);
        }
        Command::Demo(args) => {
            drop(out);
            return demo::run(&args);
        }
        Command::Undo(args) => undo::turn(&args, Direction::Undo, &mut out).map(|()| 0),
        Command::Redo(args) => undo::turn(&args, Direction::Redo, &mut out).map(|()| 0),
        Command::Checkpoints(args) => undo::list(&args, &mut out).map(|()| 0),
        Command::Doctor(args) => doctor::run(&args, &mut out),
        Command::Debug(args) => debug::run(args, &mut out),
        Command::Models { command } => models::run(&command, &mut out),
        Command::Status(args) => here().and_then(|app| status::run(View::Status, &args, &app, &mut out)).map(|()| 0),
        Command::Quota(args) => here().and_then(|app| status::run(View::Quota, &args, &app, &mut out)).map(|()| 0),
        Command::Costs(args) => here().and_then(|app| costs::run(&args, &app, &mut out)).map(|()| 0),
        Command::Agents { command } => Places::from_env().and_then(|p| agents::run(&command, &p, &app::project(), &mut out)),
        Command::Sessions { command: Sessions::Resume(resume) } => {
            drop(out);
            return run::run(resume.into_run());
        }
        Command::Sessions { command: Sessions::Look(command) } => {
            Places::from_env().and_then(|p| sessions::run(&command, &p, &mut out)).map(|()| 0)
        }
        Command::Auth { command } => {
            drop(out);
            auth::run(&command)
        }
        Command::Config { command } => settings(&command, &mut out).map(|()| 0),
        Command::Trust { command } => Places::from_env().and_then(|p| trust::run(&command, &p, &app::project(), &mut out)).map(|()| 0),
    };
    done.unwrap_or_else(|failure| work::report(&failure, Format::Text))
}

fn settings(command: &config::ConfigCommand, out: &mut dyn Write) -> Result<(), Failure> {
    let places = Places::from_env()?;
    let project = app::project();
    let trusted = Trust::load(&places)?.is_trusted(&project)?.then_some(project.as_path());
    config::run(command, &places, trusted, &app::env, out)
}

/// The form that was asked for, even where the rest of the line is wrong: a script still gets its object.
fn wanted_format(args: &[OsString]) -> Format {
    let words: Vec<&str> = args.iter().filter_map(|a| a.to_str()).take_while(|a| *a != "--").collect();
    let pairs = words.windows(2).filter_map(|w| if let [a, b] = w { (*a == "--output").then_some(*b) } else { None });
    let joined = words.iter().filter_map(|w| w.strip_prefix("--output="));
    match pairs.chain(joined).next_back() {
        Some("json") => Format::Json,
        Some("stream-json") => Format::StreamJson,
        _ => Format::Text,
    }
}

/// The command that was meant, where the parser's own guess found none.
fn tip(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue};
    if error.get(ContextKind::SuggestedSubcommand).is_some() {
        return None;
    }
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let command = Cli::command();
    nearest::did_you_mean(wrong, command.get_subcommands().map(clap::Command::get_name))
}

fn usage(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let message = text.lines().next().unwrap_or("wrong arguments").trim_start_matches("error: ");
    Failure::usage(message).hint("pup --help")
}
