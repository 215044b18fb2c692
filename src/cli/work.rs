//! One job from prepared parts to exit code: session, signals, the agent's run, and what is printed at the end.
//! Shared by `pup run` and `pup demo`.

use super::ask::TerminalApprover;
use super::output::{Counts, ErrorObject, Format, ResultObject, Screen, Silent, StreamFace, Style, TextFace, json_line};
use super::stop;
use crate::agent::scribe::{Live, Scribe};
use crate::agent::turn;
use crate::agent::{AgentEvent, Approve, Driver, EventSink, Limits, Stopper, Turn, prompt};
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Cause, Failure, id};
use crate::catalog::Agent;
use crate::model::history::Checker;
use crate::model::{History, Message};
use crate::route::{Attempt, Link, Outcome, Router, Rules};
use crate::session::{Journal, Session};
use crate::tool::{self, Context, Registry};
use crate::workspace::Workspace;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Everything that a run needs, chosen and checked.
pub struct Job {
    pub prompt: String,
    pub root: PathBuf,
    pub agent: Agent,
    pub links: Vec<Link>,
    pub approve: Approve,
    pub limits: Limits,
    pub tool_limits: tool::Limits,
    pub rules: Rules,
    /// For the whole run.
    pub timeout: Option<Duration>,
    /// None records nothing.
    pub places: Option<Places>,
    pub redactor: Redactor,
    /// Environment variables that commands do not get.
    pub hidden: Vec<String>,
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
    let workspace = Workspace::open(&job.root)?;
    let screen = Screen::detect(job.no_color, job.quiet);
    let registry = Registry::builtin().select(&job.agent.tools)?;
    let (model, provider) = job.links.first().map(|l| (l.id.clone(), l.provider.id().to_owned())).unwrap_or_default();
    let redactor = Arc::new(job.redactor);

    let journal = match &job.places {
        Some(places) => {
            let session = Session {
                id: id::session(),
                agent: job.agent.name.clone(),
                model: Some(model.clone()),
                provider: Some(provider.clone()),
                cwd: workspace.root().display().to_string(),
                prompt: Some(job.prompt.clone()),
                pup: env!("CARGO_PKG_VERSION").to_owned(),
            };
            Some(Journal::create(places, session, (*redactor).clone())?)
        }
        None => None,
    };
    let session = journal.as_ref().map(|j| j.id().to_owned());
    let scribe = Scribe::new(journal);
    let (live, output) = Live::new(scribe.clone());
    let stopper = Stopper::default();
    stop::watch(&stopper, job.timeout)?;

    let mut history = History::default();
    history.push(Message::system(prompt::system(&job.agent.prompt, workspace.root())));
    history.push(Message::user(job.prompt));
    let mut turn = Turn::new(history, job.limits);

    let mut text = TextFace::new(screen, job.quiet);
    let (mut stream, mut silent) = (StreamFace, Silent);
    let sink: &mut dyn EventSink = match job.format {
        Format::Text => &mut text,
        Format::Json => &mut silent,
        Format::StreamJson => {
            StreamFace::session(session.as_deref(), &job.agent.name, &model, &provider);
            &mut stream
        }
    };
    for note in job.notes.iter().chain(workspace.warn(super::app::home().as_deref()).as_ref()) {
        sink.emit(AgentEvent::Warning { text: note });
    }

    let router = Router::new(job.links, job.rules);
    let context = Context {
        workspace,
        limits: job.tool_limits,
        redactor,
        events: Arc::new(live),
        hidden: Arc::from(job.hidden),
        ..Context::new(Workspace::open(&job.root)?)
    };
    let mut approver = TerminalApprover::new(screen);
    let mut driver = Driver {
        router: &router,
        registry: &registry,
        tools: registry.specs(),
        context,
        output,
        scribe: scribe.clone(),
        sink,
        approver: &mut approver,
        approve: job.approve,
        stopper,
        until: job.timeout.map(|t| (started + t, t)),
        temperature: job.agent.temperature,
        checker: Checker::default(),
        attempts: Vec::new(),
    };
    let ended = driver.run(&mut turn).await;
    let attempts = std::mem::take(&mut driver.attempts);
    drop(driver);

    let outcome = ended.unwrap_or_else(|f| turn::Outcome { cause: f.cause, message: Some(f.message), hint: f.hint });
    let answer = turn.answer();
    scribe.end(outcome.cause, &answer);

    let result = result(&turn, &outcome, answer, attempts, &router, started);
    let result = ResultObject { session, agent: Some(job.agent.name), ..result };
    match job.format {
        Format::Text => show(&mut text, screen, &result, outcome.cause),
        Format::Json | Format::StreamJson => json_line(&result),
    }
    Ok(result.exit_code)
}

fn result(turn: &Turn, outcome: &turn::Outcome, answer: String, attempts: Vec<Attempt>, router: &Router, started: Instant) -> ResultObject {
    let answered = attempts.iter().rev().find(|a| a.outcome == Outcome::Ok).or(attempts.last());
    let link = answered.and_then(|a| router.links().iter().find(|l| l.id == a.model)).or(router.links().first());
    ResultObject {
        text: answer,
        model: link.map(|l| l.id.clone()),
        provider: link.map(|l| l.provider.id().to_owned()),
        turns: turn.turns(),
        tool_calls: turn.tool_calls(),
        usage: Counts::from(turn.usage()),
        cost_usd: link.and_then(|l| l.cost_usd(turn.usage())),
        attempts,
        error: outcome.message.clone().map(|message| ErrorObject { message, hint: outcome.hint.clone() }),
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        ..ResultObject::new(outcome.cause)
    }
}

/// The end of a run in text: the answer on stdout, the rest on stderr.
fn show(face: &mut TextFace, screen: Screen, result: &ResultObject, cause: Cause) {
    face.finish(&result.text);
    if let Some(error) = &result.error {
        screen.always(Style::Red, &format!("pup: {}", error.message));
        if let Some(hint) = &error.hint {
            screen.always(Style::Plain, &format!("  {hint}"));
        }
    }
    if let (Some(id), Cause::Interrupted | Cause::Terminated) = (&result.session, cause) {
        screen.always(Style::Plain, &format!("  what was done is recorded: pup sessions show {id}"));
    }
    let cost = result.cost_usd.map(|c| format!(", ${c:.4}")).unwrap_or_default();
    let model = result.model.as_deref().unwrap_or("no model");
    let usage = result.usage;
    screen.line(
        Style::Dim,
        &format!(
            "{model}: {} turns, {} tool calls, {} tokens in, {} out{cost}, {:.1} s",
            result.turns,
            result.tool_calls,
            usage.input + usage.cache_read + usage.cache_write,
            usage.output,
            result.duration_ms as f64 / 1000.0
        ),
    );
}
