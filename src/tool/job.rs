//! `job`: the commands in the background: listed, shown, waited for, stopped. It is offered once there was one.

use super::jobs::Job;
use super::{Args, Context, Effect, Output, Running, Tool, ToolError, args, schema, shell};
use crate::base::{bytesize, text};
use crate::model::ToolSpec;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::PoisonError;
use std::time::Duration;

pub const NAME: &str = "job";

pub struct JobTool {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct JobArgs {
    id: Option<u64>,
    wait_s: Option<u64>,
    #[serde(default)]
    stop: bool,
}

impl JobTool {
    pub fn new() -> Self {
        Self { schema: schema::of::<JobArgs>() }
    }

    async fn execute(&self, args: &Args, ctx: &Context) -> Result<Output, ToolError> {
        let args: JobArgs = args::read(NAME, &self.schema, args)?;
        let Some(id) = args.id else {
            if args.stop || args.wait_s.is_some() {
                return Err(ToolError::model(format!("`id` is missing. {}", listed(ctx))));
            }
            return Ok(Output { text: listed(ctx), summary: "listed".to_owned(), ..Output::default() });
        };
        let Some(job) = ctx.jobs.get(id) else {
            return Err(ToolError::model(format!("no command {id} is in the background. {}", listed(ctx))));
        };
        if args.stop {
            job.stop();
            job.ended().await;
        } else if let Some(seconds) = args.wait_s {
            let patience = Duration::from_secs(seconds).min(ctx.limits.shell_timeout_max);
            tokio::select! {
                () = job.ended() => {}
                () = ctx.cancel.cancelled() => {}
                () = tokio::time::sleep(patience) => {}
            }
        }
        Ok(told(&job, ctx))
    }
}

fn listed(ctx: &Context) -> String {
    let jobs = ctx.jobs.all();
    if jobs.is_empty() {
        return "Nothing runs in the background.".to_owned();
    }
    let line = |j: &std::sync::Arc<Job>| format!("{}: {}: {}", j.number, state(j), j.line);
    jobs.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn state(job: &Job) -> String {
    match job.end() {
        None => format!("running for {} s of at most {} s", job.started.elapsed().as_secs(), job.timeout.as_secs()),
        Some(Ok(finished)) => shell::summary(finished.ended, job.timeout).replace("cancelled", "stopped"),
        Some(Err(why)) => why,
    }
}

/// What is new of a command: its output since the last look, and its state.
pub fn told(job: &Job, ctx: &Context) -> Output {
    let state = state(job);
    let mut out = match news(job, ctx.limits.output_bytes) {
        Ok(out) => out,
        Err(e) => format!("[its log cannot be read: {e}]"),
    };
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    let (n, running) = (job.number, job.end().is_none());
    let more = if running { format!("; the tool {NAME} with id {n} shows more, waits, or stops it") } else { String::new() };
    Output { text: format!("{out}[{NAME} {n}: {state}{more}]"), summary: state, ..Output::default() }
}

/// The end of what has come since the last look, at most about `max` bytes of it. The log is clean text already.
fn news(job: &Job, max: usize) -> io::Result<String> {
    let mut shown = job.shown.lock().unwrap_or_else(PoisonError::into_inner);
    let mut file = File::open(&job.log)?;
    let end = file.metadata()?.len();
    let new = end.saturating_sub(*shown);
    let skipped = new.saturating_sub(max as u64);
    file.seek(SeekFrom::Start(end - new + skipped))?;
    let mut bytes = Vec::new();
    file.take(new - skipped).read_to_end(&mut bytes)?;
    *shown = end;
    let tail = String::from_utf8_lossy(&bytes);
    if skipped == 0 {
        return Ok(tail.into_owned());
    }
    let tail = tail.trim_start_matches('\u{fffd}');
    let tail = tail.find('\n').filter(|at| at * 2 < tail.len()).and_then(|at| tail.get(at + 1..)).unwrap_or(tail);
    Ok(format!(
        "[... {} left out; read_file and grep find all of it under the path log:{} ...]\n{tail}",
        bytesize::human(skipped),
        job.number
    ))
}

impl Tool for JobTool {
    fn name(&self) -> &'static str {
        NAME
    }

    fn spec(&self) -> ToolSpec {
        let description =
            "Commands in the background: without id all of them, with id one's new output. wait_s waits for its end, stop ends it.";
        ToolSpec { name: NAME.into(), description: description.into(), parameters: self.schema.clone() }
    }

    /// To end what was allowed to begin needs no further permission.
    fn effect(&self, args: &Args, _: &Context) -> Result<Effect, ToolError> {
        args::read::<JobArgs>(NAME, &self.schema, args).map(|_| Effect::ReadOnly)
    }

    fn describe(&self, args: &Args) -> String {
        let id = args.get("id").filter(|v| !v.is_null()).map_or_else(String::new, |id| format!(" {}", text::one_line(&id.to_string(), 20)));
        let stop = args.get("stop").is_some_and(|v| v == &Value::Bool(true));
        let wait = args.get("wait_s").is_some_and(|v| !v.is_null());
        format!(
            "{NAME}{}",
            if stop {
                format!(":{id} stop")
            } else if wait {
                format!(":{id} wait")
            } else {
                format!(":{id}")
            }
        )
    }

    fn run<'a>(&'a self, args: &'a Args, ctx: &'a Context) -> Running<'a> {
        Box::pin(self.execute(args, ctx))
    }
}
