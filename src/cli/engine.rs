//! A session at work: the parts that outlive one prompt, put together once. `pup run` gives it one prompt, a chat many.

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
        let (model, provider) = parts.links.first().map(|l| (l.id.clone(), l.provider.id().to_owned())).unzip();
        let journal = match &parts.places {
            Some(places) => {
                let session = Session {
                    id: id::session(),
                    agent: parts.agent.name.clone(),
                    model,
                    provider,
                    cwd: workspace.root().display().to_string(),
                    prompt: Some(prompt.to_owned()),
                    pup: env!("CARGO_PKG_VERSION").to_owned(),
                };
                Some(Journal::create(places, session, parts.redactor.clone())?)
            }
            None => None,
        };
        let session = journal.as_ref().map(|j| j.id().to_owned());
        let scribe = Scribe::new(journal);
        let (live, output) = Live::new(scribe.clone());
        let mut history = History::default();
        let (instructions, note) = prompt::instructions(workspace.root());
        let instructions = instructions.map(|text| parts.redactor.redact(&text).into_owned());
        history.push(Message::system(prompt::system(&parts.agent.prompt, workspace.root(), instructions.as_deref())));
        let context = Context {
            limits: parts.tool_limits,
            redactor: Arc::new(parts.redactor),
            events: Arc::new(live),
            hidden: Arc::from(parts.hidden),
            ..Context::new(workspace)
        };
        let notes = context.workspace.warn(super::app::home().as_deref()).into_iter().chain(note).collect();
        Ok(Self {
            session,
            notes,
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
        })
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
        self.history.push(Message::user(prompt));
        let mut turn = Turn::new(std::mem::take(&mut self.history), self.limits);
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
        let outcome = ended.unwrap_or_else(|f| Outcome { cause: f.cause, message: Some(f.message), hint: f.hint });
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
