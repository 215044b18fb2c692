//! One job from prepared parts to exit code: session, signals, the agent's run, and what is printed at the end.
//! Shared by `pup run` and `pup demo`.

use super::ask::TerminalApprover;
use super::engine::{Engine, Parts, Report};
use super::output::{Counts, ErrorObject, Format, Notes, ResultObject, Screen, StreamFace, Style, TextFace, json_line};
use super::resume::Taken;
use super::stop;
use crate::agent::turn::Outcome;
use crate::agent::{AgentEvent, EventSink, Stopper};
use crate::base::{Cause, Failure, text};
use std::time::{Duration, Instant};

/// What is to be done.
pub enum Task {
    New {
        prompt: String,
    },
    /// Without a prompt the session finishes what was cut off.
    Resume {
        taken: Box<Taken>,
        prompt: Option<String>,
    },
}

/// A task, the parts of the session that works on it, and how it is shown.
pub struct Job {
    pub task: Task,
    pub parts: Parts,
    /// For the whole run.
    pub timeout: Option<Duration>,
    /// Said once, before the run.
    pub notes: Vec<String>,
    pub format: Format,
    pub quiet: bool,
    pub no_color: bool,
}

/// Reports a failure that no run came of; its exit code.
pub fn report(failure: &Failure, format: Format) -> u8 {
    if format == Format::Text {
        let screen = Screen::detect(false, false);
        screen.always(Style::Red, &format!("pup: {}", failure.message));
        if let Some(hint) = &failure.hint {
            screen.always(Style::Plain, &format!("  {hint}"));
        }
    } else {
        json_line(&ResultObject::failed(failure));
    }
    failure.cause.exit_code()
}

/// Runs a job to its end and prints the result; the exit code.
pub fn finish(job: Job) -> Result<u8, Failure> {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::internal(format!("cannot start the runtime: {e}")))?;
    let code = runtime.block_on(work(job, started));
    // A question that nobody answered may still hold a thread in a read of the terminal: do not wait for it.
    runtime.shutdown_background();
    code
}

async fn work(job: Job, started: Instant) -> Result<u8, Failure> {
    let screen = Screen::detect(job.no_color, job.quiet);
    let (model, provider) = job.parts.links.first().map(|l| (l.id.clone(), l.provider.id().to_owned())).unwrap_or_default();
    let (mut engine, found, prompt) = match job.task {
        Task::New { prompt } => (Engine::open(job.parts, &prompt)?, Vec::new(), Some(prompt)),
        Task::Resume { taken, prompt } => {
            let (engine, found) = Engine::resume(job.parts, *taken, prompt.as_deref()).await?;
            (engine, found, prompt)
        }
    };
    let stopper = Stopper::default();
    stop::watch(&stopper, job.timeout)?;

    let mut text = TextFace::new(screen, job.quiet);
    let (mut stream, mut notes) = (StreamFace::default(), Notes::default());
    let sink: &mut dyn EventSink = match job.format {
        Format::Text => &mut text,
        Format::Json => &mut notes,
        Format::StreamJson => {
            StreamFace::session(engine.session.as_deref(), &engine.agent.name, &model, &provider);
            &mut stream
        }
    };
    for note in job.notes.iter().chain(&found).chain(&engine.notes) {
        sink.emit(AgentEvent::Warning { text: note });
    }
    let mut approver = TerminalApprover::new(screen);
    let report = if let Some(prompt) = prompt {
        engine.work(prompt, sink, &mut approver, stopper, job.timeout).await
    } else {
        let report = engine.go_on(sink, &mut approver, stopper, job.timeout).await;
        report.ok_or_else(|| Failure::internal("there is nothing to go on with"))?
    };
    for note in engine.close().await {
        sink.emit(AgentEvent::Warning { text: &note });
    }
    notes.0.append(&mut stream.notes.0);
    let result = ResultObject { notes: notes.0, ..result(report, &engine, started) };
    match job.format {
        Format::Text => show(&mut text, screen, &result),
        Format::Json | Format::StreamJson => json_line(&result),
    }
    Ok(result.exit_code)
}

fn result(report: Report, engine: &Engine, started: Instant) -> ResultObject {
    let Outcome { cause, message, hint } = report.outcome;
    let resumable = engine.session.as_ref().filter(|_| matches!(cause, Cause::Interrupted | Cause::Terminated));
    let hint = hint.or_else(|| resumable.map(|id| format!("what was done is recorded; go on with: pup run --resume {id}")));
    ResultObject {
        text: report.answer,
        session: engine.session.clone(),
        agent: Some(engine.agent.name.clone()),
        model: report.model,
        provider: report.provider,
        turns: report.turns,
        tool_calls: report.tool_calls,
        usage: Counts::from(&report.usage),
        cost_usd: report.cost_usd,
        attempts: report.attempts,
        error: message.map(|message| ErrorObject { message, hint }),
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        ..ResultObject::new(cause)
    }
}

/// The end of a run in text: the answer on stdout, the rest on stderr.
fn show(face: &mut TextFace, screen: Screen, result: &ResultObject) {
    face.finish(&result.text);
    if let Some(error) = &result.error {
        screen.always(Style::Red, &format!("pup: {}", error.message));
        if let Some(hint) = &error.hint {
            screen.always(Style::Plain, &format!("  {hint}"));
        }
    }
    let cost = result.cost_usd.map(|c| format!(", ${c:.4}")).unwrap_or_default();
    let model = result.model.as_deref().unwrap_or("no model");
    let usage = result.usage;
    screen.line(
        Style::Dim,
        &format!(
            "{model}: {}, {}, {} tokens in, {} out{cost}, {:.1} s",
            text::counted(result.turns.into(), "turn"),
            text::counted(result.tool_calls.into(), "tool call"),
            usage.input + usage.cache_read + usage.cache_write,
            usage.output,
            result.duration_ms as f64 / 1000.0
        ),
    );
}
