//! `shell`: one command line, with its output bounded and its processes gone at the end.

use super::shell_output::{self, LiveText};
use super::{Args, Context, Effect, Output, Running, Tool, ToolError, args, schema};
use crate::base::{Failure, text};
use crate::model::ToolSpec;
use crate::workspace::process::{self, Command, Ended, Finished, ProcessError, Spawned, Watch, names};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// Characters of the command in a line for people.
const SHOWN: usize = 120;

pub struct Shell {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct ShellArgs {
    command: String,
    cwd: Option<String>,
    timeout_s: Option<u64>,
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
        let cwd = ctx.workspace.resolve(args.cwd.as_deref().filter(|c| !c.is_empty()).unwrap_or("."))?;
        if !cwd.is_dir() {
            return Err(ToolError::model(format!("cwd: {} is not a folder", ctx.workspace.show(&cwd))));
        }
        let wanted = args.timeout_s.map_or(ctx.limits.shell_timeout, Duration::from_secs);
        let timeout = wanted.clamp(Duration::from_secs(1), ctx.limits.shell_timeout_max);
        let keep = ctx.limits.output_bytes + 3 * shell_output::SLACK;
        let command = Command { line: &args.command, cwd: &cwd, timeout, hidden: &ctx.hidden, session: ctx.session.as_deref(), keep };
        let mut report = Report { ctx, live: LiveText::default() };
        let finished = process::run(&command, &ctx.cancel, &mut report).await.map_err(|e| match e {
            ProcessError::Watch(failure) => ToolError::Fatal(failure),
            ProcessError::Spawn(_) | ProcessError::Io(_) => ToolError::model(e.to_string()),
        })?;
        report.live.end(&ctx.redactor, |line| ctx.events.output(&ctx.call, line));
        Ok(output(&finished, timeout, ctx))
    }
}

struct Report<'a> {
    ctx: &'a Context,
    live: LiveText,
}

impl Watch for Report<'_> {
    fn spawned(&mut self, process: &Spawned) -> Result<(), Failure> {
        self.ctx.events.spawned(&self.ctx.call, process)
    }

    fn output(&mut self, bytes: &[u8]) {
        self.live.push(bytes, &self.ctx.redactor, |line| self.ctx.events.output(&self.ctx.call, line));
    }
}

fn output(finished: &Finished, timeout: Duration, ctx: &Context) -> Output {
    let mut out = shell_output::render(&finished.output, &ctx.redactor, ctx.limits.output_bytes);
    let mut note = |line: String| {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(&line);
    };
    let seconds = timeout.as_secs();
    let summary = match finished.ended {
        Ended::Exit(code) => format!("exit {code}"),
        Ended::Signal(signal) => format!("killed by signal {signal}"),
        Ended::TimedOut => format!("timed out after {seconds} s"),
        Ended::Cancelled => "cancelled".to_owned(),
    };
    match finished.ended {
        Ended::Exit(0) => {
            if !finished.stopped.is_empty() {
                let (names, count) = (names(&finished.stopped), finished.stopped.len());
                let es = if count == 1 { "" } else { "es" };
                note(format!("[ended {count} process{es} that the command left running: {names}]"));
            }
        }
        Ended::Exit(_) | Ended::Signal(_) => note(format!("[{summary}]")),
        Ended::TimedOut => note(format!("[{summary}; it and what it started were ended. timeout_s allows more, stdin is empty]")),
        Ended::Cancelled => note("[cancelled by the user; it and what it started were ended]".to_owned()),
    }
    if !finished.left.is_empty() {
        note(format!("[could not end: {}]", names(&finished.left)));
    }
    if out.is_empty() {
        out.push_str("(no output)");
    }
    Output { text: out, summary, ..Output::default() }
}

impl Tool for Shell {
    fn name(&self) -> &'static str {
        "shell"
    }

    fn spec(&self) -> ToolSpec {
        let description = "Run a bash command. No stdin; background processes end with it.";
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
