//! A session at work: the parts that outlive one prompt, put together once. `pup run` gives it one prompt, a chat many.

use super::resume::Taken;
use crate::agent::resume::{Continued, Unfinished};
use crate::agent::scribe::{Live, Scribe};
use crate::agent::turn::Outcome;
use crate::agent::{Approve, Approver, Driver, EventSink, Limits, Stopper, Turn, prompt};
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Failure, id};
use crate::catalog::Agent;
use crate::model::history::Checker;
use crate::model::{History, Message, Usage};
use crate::route::{Attempt, Link, Router, Rules};
use crate::session::{Journal, Session};
use crate::tool::{self, Context, Registry};
use crate::workspace::Workspace;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What a session is made of, chosen and checked.
pub struct Parts {
    pub root: PathBuf,
    pub agent: Agent,
    pub links: Vec<Link>,
    pub rules: Rules,
    pub approve: Approve,
    pub limits: Limits,
    pub tool_limits: tool::Limits,
    /// None records nothing.
    pub places: Option<Places>,
    pub redactor: Redactor,
    /// Environment variables that commands do not get.
    pub hidden: Vec<String>,
}

/// A session at work.
pub struct Engine {
    /// Its id, if it is recorded.
    pub session: Option<String>,
    /// What a person should know before the first turn.
    pub notes: Vec<String>,
    pub agent: Agent,
    pub approve: Approve,
    pub limits: Limits,
    registry: Registry,
    context: Context,
    router: Router,
    scribe: Scribe,
    output: mpsc::UnboundedReceiver<(String, String)>,
    history: History,
    checker: Checker,
    /// What a resumed session's last turn has left over.
    unfinished: Option<Unfinished>,
}

/// What came of one prompt.
#[derive(Debug, Clone)]
pub struct Report {
    pub outcome: Outcome,
    pub answer: String,
    pub turns: u32,
    pub tool_calls: u32,
    pub usage: Usage,
    pub cost_usd: Option<f64>,
    pub attempts: Vec<Attempt>,
    /// The link that answered last, or the first one: our id of the model, and its provider.
    pub model: Option<String>,
    pub provider: Option<String>,
}

impl Engine {
    /// Opens a session; `prompt` is its first task, for the journal's first line.
    pub fn open(parts: Parts, prompt: &str) -> Result<Self, Failure> {
        let workspace = Workspace::open(&parts.root)?;
        let registry = Registry::builtin().select(&parts.agent.tools)?;
        let journal = match &parts.places {
            Some(places) => {
                let session = header(&parts, id::session(), &workspace, Some(prompt));
                Some(Journal::create(places, session, parts.redactor.clone())?)
            }
            None => None,
        };
        let session = journal.as_ref().map(|j| j.id().to_owned());
        let (system, note) = system(&parts, &workspace);
        let mut engine = Self::assemble(parts, workspace, registry, session, Scribe::new(journal), std::iter::once(system).collect());
        engine.notes.extend(note);
        Ok(engine)
    }

    /// Goes on with a session; `prompt` is what it is given to do now, for the journal. Also returns what the user must
    /// know of what was found. The work that was cut off is taken up by [`Engine::go_on`], or with the next prompt.
    pub async fn resume(parts: Parts, taken: Taken, prompt: Option<&str>) -> Result<(Self, Vec<String>), Failure> {
        let workspace = Workspace::open(&parts.root)?;
        let registry = Registry::builtin().select(&parts.agent.tools)?;
        let session = header(&parts, taken.id().to_owned(), &workspace, prompt);
        let id = session.id.clone();
        let (system, _) = system(&parts, &workspace);
        let (journal, Continued { history, unfinished, notes }) = taken.go_on(&parts, session, system).await?;
        let scribe = Scribe::resume(journal, history.len());
        let engine = Self::assemble(parts, workspace, registry, Some(id), scribe, history);
        Ok((Self { unfinished, ..engine }, notes))
    }

    fn assemble(parts: Parts, workspace: Workspace, registry: Registry, session: Option<String>, scribe: Scribe, history: History) -> Self {
        let (live, output) = Live::new(scribe.clone());
        let context = Context {
            limits: parts.tool_limits,
            redactor: Arc::new(parts.redactor),
            events: Arc::new(live),
            hidden: Arc::from(parts.hidden),
            session: session.as_deref().map(Arc::from),
            ..Context::new(workspace)
        };
        Self {
            session,
            notes: context.workspace.warn(super::app::home().as_deref()).into_iter().collect(),
            agent: parts.agent,
            approve: parts.approve,
            limits: parts.limits,
            registry,
            context,
            router: Router::new(parts.links, parts.rules),
            scribe,
            output,
            history,
            checker: Checker::default(),
            unfinished: None,
        }
    }

    /// Works on a prompt until its turn ends. `time` bounds the whole of it.
    pub async fn work(
        &mut self,
        prompt: String,
        sink: &mut dyn EventSink,
        approver: &mut dyn Approver,
        stopper: Stopper,
        time: Option<Duration>,
    ) -> Report {
        let mut history = std::mem::take(&mut self.history);
        let turn = match self.unfinished.take() {
            Some(Unfinished { settled, mut prompts }) => {
                prompts.push(prompt);
                Turn::resume(history, settled, prompts, self.limits)
            }
            None => {
                history.push(Message::user(prompt));
                Turn::new(history, self.limits)
            }
        };
        self.drive(turn, sink, approver, stopper, time).await
    }

    /// Takes up the work that was cut off, without a prompt. `None` where there is none.
    pub async fn go_on(
        &mut self,
        sink: &mut dyn EventSink,
        approver: &mut dyn Approver,
        stopper: Stopper,
        time: Option<Duration>,
    ) -> Option<Report> {
        let Unfinished { settled, prompts } = self.unfinished.take()?;
        let turn = Turn::resume(std::mem::take(&mut self.history), settled, prompts, self.limits);
        Some(self.drive(turn, sink, approver, stopper, time).await)
    }

    async fn drive(
        &mut self,
        mut turn: Turn,
        sink: &mut dyn EventSink,
        approver: &mut dyn Approver,
        stopper: Stopper,
        time: Option<Duration>,
    ) -> Report {
        let mut driver = Driver {
            router: &self.router,
            registry: &self.registry,
            tools: self.registry.specs(),
            context: &self.context,
            output: &mut self.output,
            scribe: &self.scribe,
            sink,
            approver,
            approve: self.approve,
            stopper,
            // A time that no clock can show is no bound.
            until: time.and_then(|t| Some((Instant::now().checked_add(t)?, t))),
            temperature: self.agent.temperature,
            checker: &mut self.checker,
            attempts: Vec::new(),
        };
        let ended = driver.run(&mut turn).await;
        self.approve = driver.approve;
        let attempts = std::mem::take(&mut driver.attempts);
        let outcome = ended.unwrap_or_else(|f| {
            // The calls that it was in the middle of get a result, or no later prompt could be sent.
            turn.stop(f.cause, Some(f.message.clone()), f.hint.clone());
            Outcome { cause: f.cause, message: Some(f.message), hint: f.hint }
        });
        let answered = attempts.iter().rev().find(|a| a.outcome == crate::route::Outcome::Ok).or(attempts.last());
        let link = answered.and_then(|a| self.router.links().iter().find(|l| l.id == a.model)).or(self.router.links().first());
        let report = Report {
            answer: turn.answer(),
            turns: turn.turns(),
            tool_calls: turn.tool_calls(),
            usage: *turn.usage(),
            cost_usd: link.and_then(|l| l.cost_usd(turn.usage())),
            model: link.map(|l| l.id.clone()),
            provider: link.map(|l| l.provider.id().to_owned()),
            attempts,
            outcome,
        };
        self.history = turn.into_history();
        self.scribe.end(report.outcome.cause, &report.answer);
        report
    }
}

/// What the journal says of the session: at its beginning, and again when it goes on.
fn header(parts: &Parts, id: String, workspace: &Workspace, prompt: Option<&str>) -> Session {
    let (model, provider) = parts.links.first().map(|l| (l.id.clone(), l.provider.id().to_owned())).unzip();
    Session {
        id,
        agent: parts.agent.name.clone(),
        model,
        provider,
        cwd: workspace.root().display().to_string(),
        prompt: prompt.map(ToOwned::to_owned),
        pup: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The system message, and what should be said of the project's instructions.
fn system(parts: &Parts, workspace: &Workspace) -> (Message, Option<String>) {
    let (instructions, note) = prompt::instructions(workspace.root());
    let instructions = instructions.map(|text| parts.redactor.redact(&text).into_owned());
    (Message::system(prompt::system(&parts.agent.prompt, workspace.root(), instructions.as_deref())), note)
}
