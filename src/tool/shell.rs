//! `shell`: one command line, with its output bounded and its processes gone at the end.

use super::command_log::Log;
use super::jobs::{Line, MOST, NotBegun};
use super::shell_output::{self, LiveText, Rendered};
use super::{Args, Context, Effect, Output, Running, Tool, ToolError, args, job, schema};
use crate::base::{Failure, text};
use crate::model::ToolSpec;
use crate::workspace::process::{self, Command, Ended, Finished, ProcessError, Spawned, Watch, names};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Characters of the command in a line for people.
const SHOWN: usize = 120;
/// How long a command in the background is looked at before the call returns: what fails at once is told at once.
const BEGINNING: Duration = Duration::from_millis(500);

pub struct Shell {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct ShellArgs {
    command: String,
    cwd: Option<String>,
    timeout_s: Option<u64>,
    #[serde(default)]
    background: bool,
    #[serde(default)]
    tty: bool,
}

impl Shell {
    pub fn new() -> Self {
        Self { schema: schema::of::<ShellArgs>() }
    }

    async fn execute(&self, args: &Args, ctx: &Context) -> Result<Output, ToolError> {
        let args: ShellArgs = args::read(self.name(), &self.schema, args)?;
        if args.command.trim().is_empty() || args.command.contains('\0') {
            return Err(ToolError::model("the command is empty or contains a NUL byte"));
        }
        let cwd = folder(args.cwd.as_deref(), ctx)?;
        let usual = if args.background { ctx.limits.shell_timeout_max } else { ctx.limits.shell_timeout };
        let timeout = args.timeout_s.map_or(usual, Duration::from_secs).clamp(Duration::from_secs(1), ctx.limits.shell_timeout_max);
        if args.background {
            return begin(Line { line: args.command, cwd, timeout, tty: args.tty }, ctx).await;
        }
        let keep = ctx.limits.output_bytes + 3 * shell_output::SLACK;
        let (line, tty) = (args.command.as_str(), args.tty);
        let (session, supervisor) = (ctx.session.as_deref(), ctx.supervisor.as_deref());
        let command = Command { line, cwd: &cwd, timeout, hidden: &ctx.hidden, session, tty, supervisor, keep };
        let mut report = Report { ctx, live: LiveText::default(), log: ctx.jobs.log() };
        let finished = process::run(&command, &ctx.cancel, &mut report).await.map_err(|e| match e {
            ProcessError::Watch(failure) => ToolError::Fatal(failure),
            ProcessError::Spawn(_) | ProcessError::Io(_) => ToolError::model(e.to_string()),
        })?;
        report.live.end(&ctx.redactor, |line| ctx.events.output(&ctx.call, line));
        Ok(output(&finished, timeout, report.log, ctx))
    }
}

/// The folder to run in, looked at before anything runs.
fn folder(named: Option<&str>, ctx: &Context) -> Result<PathBuf, ToolError> {
    let cwd = ctx.workspace.resolve(named.filter(|c| !c.is_empty()).unwrap_or("."))?;
    let shown = ctx.workspace.show(&cwd);
    let why = match std::fs::metadata(&cwd) {
        Ok(meta) if !meta.is_dir() => "is not a folder".to_owned(),
        Ok(_) => match std::fs::read_dir(cwd.join(".")) {
            Ok(_) => return Ok(cwd),
            // What cannot be listed may still be entered.
            Err(_) if cwd.join(".").metadata().is_ok() => return Ok(cwd),
            Err(e) => format!("cannot be entered: {e}"),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        Err(e) => format!("cannot be entered: {e}"),
    };
    Err(ToolError::model(format!("cwd: {shown} {why}; nothing was run")))
}

/// Starts a command in the background, and shows how it begins.
async fn begin(line: Line, ctx: &Context) -> Result<Output, ToolError> {
    let job = ctx.jobs.start(line, ctx).await.map_err(|e| match e {
        NotBegun::TooMany => ToolError::model(format!("{MOST} commands run in the background; stop one of them first")),
        NotBegun::Log(e) => ToolError::model(format!("the command was not started: its log cannot be written: {e}")),
        NotBegun::Command(why) => ToolError::Model(why),
        NotBegun::Fatal(failure) => ToolError::Fatal(failure),
    })?;
    tokio::select! {
        () = job.ended() => {}
        () = ctx.cancel.cancelled() => {}
        () = tokio::time::sleep(BEGINNING) => {}
    }
    Ok(job::told(&job, ctx))
}

struct Report<'a> {
    ctx: &'a Context,
    live: LiveText,
    log: Option<Log>,
}

impl Watch for Report<'_> {
    fn spawned(&mut self, process: &Spawned) -> Result<(), Failure> {
        self.ctx.events.spawned(&self.ctx.call, process)
    }

    fn output(&mut self, bytes: &[u8]) {
        if let Some(log) = &mut self.log {
            log.push(bytes, &self.ctx.redactor);
        }
        self.live.push(bytes, &self.ctx.redactor, |line| self.ctx.events.output(&self.ctx.call, line));
    }
}

fn output(finished: &Finished, timeout: Duration, log: Option<Log>, ctx: &Context) -> Output {
    let Rendered { text: mut out, cut } = shell_output::render(&finished.output, &ctx.redactor, ctx.limits.output_bytes);
    let mut note = |line: String| {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(&line);
    };
    let summary = summary(finished.ended, timeout);
    let notes: Vec<String> = log.and_then(|log| kept(log, cut, ctx)).into_iter().chain(ending(finished, &summary)).collect();
    if !notes.is_empty() {
        note(notes.join("\n"));
    }
    if out.is_empty() {
        out.push_str("(no output)");
    }
    Output { text: out, summary, ..Output::default() }
}

/// Where the rest of an output is that was cut; a log that nobody needs goes.
fn kept(mut log: Log, cut: bool, ctx: &Context) -> Option<String> {
    if !cut {
        log.discard();
        return None;
    }
    let whole = if log.end(&ctx.redactor) { "all of the output" } else { "more of the output" };
    Some(format!("[read_file and grep find {whole} under the path log:{}]", log.number))
}

/// How a command ended, in few words.
pub fn summary(ended: Ended, timeout: Duration) -> String {
    match ended {
        Ended::Exit(code) => format!("exit {code}"),
        Ended::Signal(signal) => format!("killed by signal {signal}"),
        Ended::TimedOut => format!("timed out after {} s", timeout.as_secs()),
        Ended::Cancelled => "cancelled".to_owned(),
    }
}

/// What the model has to know of the end of a command, beside its output.
fn ending(finished: &Finished, summary: &str) -> Vec<String> {
    let mut notes = Vec::new();
    match finished.ended {
        Ended::Exit(0) => {
            if !finished.stopped.is_empty() {
                let (names, count) = (names(&finished.stopped), finished.stopped.len());
                let es = if count == 1 { "" } else { "es" };
                notes.push(format!("[ended {count} process{es} that the command left running: {names}]"));
            }
        }
        Ended::Exit(_) | Ended::Signal(_) => notes.push(format!("[{summary}]")),
        Ended::TimedOut => notes.push(format!("[{summary}; it and what it started were ended. timeout_s allows more, stdin is empty]")),
        Ended::Cancelled => notes.push("[cancelled by the user; it and what it started were ended]".to_owned()),
    }
    if !finished.left.is_empty() {
        notes.push(format!("[could not end: {}]", names(&finished.left)));
    }
    notes
}

impl Tool for Shell {
    fn name(&self) -> &'static str {
        "shell"
    }

    fn spec(&self) -> ToolSpec {
        let description = "Run a bash command. No stdin; what it leaves running ends with it, unless background is set.";
        ToolSpec { name: self.name().into(), description: description.into(), parameters: self.schema.clone() }
    }

    fn effect(&self, args: &Args, _: &Context) -> Result<Effect, ToolError> {
        // Nobody should be asked to approve what cannot run.
        args::read::<ShellArgs>(self.name(), &self.schema, args).map(|_| Effect::Exec)
    }

    fn describe(&self, args: &Args) -> String {
        let place = args::peek(args, "cwd").filter(|c| !c.is_empty() && *c != ".").map_or_else(String::new, |c| format!(" (in {c})"));
        format!("{}: {}{place}", self.name(), text::one_line(args::peek(args, "command").unwrap_or("?"), SHOWN))
    }

    /// The whole command, where the line has only its beginning.
    fn preview(&self, args: &Args, ctx: &Context) -> Option<String> {
        let command = args::peek(args, "command")?.trim();
        let whole = command.lines().nth(1).is_none() && command.chars().count() <= SHOWN;
        (!whole).then(|| ctx.redactor.redact(command).into_owned())
    }

    fn run<'a>(&'a self, args: &'a Args, ctx: &'a Context) -> Running<'a> {
        Box::pin(self.execute(args, ctx))
    }
}
