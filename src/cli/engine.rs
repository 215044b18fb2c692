//! A session at work: the parts that outlive one prompt, put together once. `pup run` gives it one prompt, a chat many.

use super::resume::Taken;
use crate::agent::compact::limits_of;
use crate::agent::resume::{Continued, Unfinished};
use crate::agent::scribe::{Live, Scribe};
use crate::agent::slim::{self, Slimmed, Slimmer};
use crate::agent::steps::Steps;
use crate::agent::turn::Outcome;
use crate::agent::{AgentEvent, Approve, Approver, Border, Compacting, Driver, EventSink, Inbox, Limits, Stopper, Turn, plan_mode, prompt};
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Failure, id};
use crate::catalog::{Agent, Skill, Skills};
use crate::config::Failover;
use crate::config::instructions::{Instruction, Sources};
use crate::model::history::Checker;
use crate::model::{History, Message, Usage};
use crate::route::{Attempt, Caller, Link, Purse, Rotation, Router, Rules};
use crate::session::{self, Journal, Session};
use crate::tool::person::{self, Asked};
use crate::tool::{self, Context, Jobs, Offers, Registry};
use crate::workspace::checkpoint::{self, Keeper, Store};
use crate::workspace::{Workspace, rollback};
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
    pub rotation: Rotation,
    pub failover: Failover,
    /// None keeps no ledger and shares nothing.
    pub purse: Option<Purse>,
    pub approve: Approve,
    pub limits: Limits,
    pub tool_limits: tool::Limits,
    pub compacting: Compacting,
    /// Where instructions come from.
    pub instructions: Sources,
    pub audience: Audience,
    pub skills: Skills,
    /// None records nothing.
    pub places: Option<Places>,
    /// The folder of the locks by which all of the user's pups write a file one after the other.
    pub leases: Option<PathBuf>,
    /// Pup's state folder, if what steps change is to be kept there so that they can be undone.
    pub checkpoints: Option<PathBuf>,
    pub redactor: Redactor,
    /// Environment variables that commands do not get.
    pub hidden: Vec<String>,
}

/// Whether there is somebody who can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    Person,
    Nobody,
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
    /// Where sessions are recorded, if they are.
    places: Option<Places>,
    /// The user's and the project's own, part of every agent's prompt.
    instructions: Vec<Instruction>,
    border: Border,
    audience: Audience,
    skills: Skills,
    inquiries: mpsc::UnboundedReceiver<Asked>,
    /// What was allowed before plan mode, while it is on.
    before_plan: Option<Approve>,
    offers: Offers,
    /// Bounds of outputs, which the model's diet may narrow.
    tool_limits: tool::Limits,
    compacting: Compacting,
    slimmer: Slimmer,
    context: Context,
    router: Router,
    /// Names this run in the ledger.
    run: String,
    scribe: Scribe,
    steps: Steps,
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

impl Report {
    /// Nothing was begun.
    fn failed(failure: Failure) -> Self {
        Self {
            outcome: failure.into(),
            answer: String::new(),
            turns: 0,
            tool_calls: 0,
            usage: Usage::default(),
            cost_usd: None,
            attempts: Vec::new(),
            model: None,
            provider: None,
        }
    }
}

impl Engine {
    /// Opens a session; `prompt` is its first task, for the journal's first line.
    pub fn open(parts: Parts, prompt: &str) -> Result<Self, Failure> {
        let mut engine = Self::idle(parts)?;
        engine.record(prompt)?;
        Ok(engine)
    }

    /// A session that nothing is recorded of before its first prompt.
    pub fn idle(parts: Parts) -> Result<Self, Failure> {
        let workspace = Workspace::open(&parts.root)?;
        let registry = registry(&parts.agent, first_id(&parts.links), parts.audience, &parts.skills)?;
        let (instructions, notes) = instructions(&parts, &workspace);
        let mut engine = Self::assemble(parts, workspace, &registry, instructions, Scribe::default());
        engine.notes.extend(notes);
        engine.clear();
        Ok(engine)
    }

    /// Goes on with a session; `prompt` is what it is given to do now, for the journal. Also returns what the user must
    /// know of what was found. The work that was cut off is taken up by [`Engine::go_on`], or with the next prompt.
    pub async fn resume(parts: Parts, taken: Taken, prompt: Option<&str>) -> Result<(Self, Vec<String>), Failure> {
        let workspace = Workspace::open(&parts.root)?;
        let registry = registry(&parts.agent, first_id(&parts.links), parts.audience, &parts.skills)?;
        let session = header(taken.id().to_owned(), &parts.agent, parts.links.first(), &workspace, prompt);
        let id = session.id.clone();
        let (instructions, _) = instructions(&parts, &workspace);
        let system = system(&parts.agent, &workspace, &instructions, &parts.skills);
        let (journal, Continued { history, unfinished, notes }) = taken.go_on(&parts, session, system).await?;
        let scribe = Scribe::resume(journal, history.len());
        let mut engine = Self { history, unfinished, ..Self::assemble(parts, workspace, &registry, instructions, scribe) };
        engine.name(Some(id));
        engine.slimmer.begin_anew(&engine.history);
        Ok((engine, notes))
    }

    /// An engine without a conversation.
    fn assemble(parts: Parts, workspace: Workspace, registry: &Registry, instructions: Vec<Instruction>, scribe: Scribe) -> Self {
        let (live, output) = Live::new(scribe.clone());
        let (person, inquiries) = person::line();
        let taken_back = parts.leases.as_deref().map(rollback::recover).unwrap_or_default();
        let store = parts.checkpoints.map(|state| Store::new(workspace.root(), &state, checkpoint::Limits::default()));
        let context = Context {
            limits: parts.tool_limits,
            redactor: Arc::new(parts.redactor),
            events: Arc::new(live),
            hidden: Arc::from(parts.hidden),
            person: (parts.audience == Audience::Person).then_some(person),
            leases: parts.leases.map(Arc::from),
            ..Context::new(workspace)
        };
        Self {
            session: None,
            notes: context.workspace.warn(super::app::home().as_deref()).into_iter().chain(taken_back).collect(),
            agent: parts.agent,
            approve: parts.approve,
            limits: parts.limits,
            offers: Offers::new(registry, parts.places.is_some()),
            places: parts.places,
            instructions,
            border: Border::new(parts.instructions),
            audience: parts.audience,
            skills: parts.skills,
            inquiries,
            before_plan: (parts.approve == Approve::Plan).then_some(Approve::Ask),
            tool_limits: parts.tool_limits,
            compacting: parts.compacting,
            slimmer: Slimmer::default(),
            context,
            router: Router::new(parts.links, parts.rules, parts.rotation).paying(parts.purse).switching(parts.failover),
            run: id::fresh(12),
            scribe,
            steps: Steps::new(store.map(Keeper::new)),
            output,
            history: History::default(),
            checker: Checker::default(),
            unfinished: None,
        }
    }

    /// The ways to a model, in the order in which they are tried.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// Where the user can say something while a turn runs.
    pub fn inbox(&self) -> Inbox {
        self.border.inbox()
    }

    /// Turns plan mode on, or off again; whether it is on now.
    pub fn toggle_plan(&mut self) -> bool {
        match self.before_plan.take() {
            Some(before) => self.approve = before,
            None => self.before_plan = Some(std::mem::replace(&mut self.approve, Approve::Plan)),
        }
        self.approve == Approve::Plan
    }

    /// The conversation so far, the system message first.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Forgets the conversation. The next prompt begins a session of its own.
    pub fn clear(&mut self) {
        self.name(None);
        self.scribe.restart(None);
        self.history = std::iter::once(self.system(&self.agent)).collect();
        self.checker = Checker::default();
        self.slimmer.begin_anew(&self.history);
        self.unfinished = None;
        // What the model has read belongs to the conversation that it no longer knows.
        self.context.seen = Arc::default();
    }

    /// Another agent goes on with the conversation, with its own prompt and tools, and over `links` if there are any.
    /// The changed prompt costs the provider's prompt cache once.
    pub fn switch_agent(&mut self, agent: Agent, limits: Limits, links: Option<Vec<Link>>) -> Result<(), Failure> {
        let first = links.as_ref().map_or(self.router.links().first(), |l| l.first());
        let registry = registry(&agent, first.map(|l| l.id.as_str()), self.audience, &self.skills)?;
        let system = self.system(&agent);
        let first = links.as_deref().unwrap_or(self.router.links()).first();
        self.scribe.switched(&self.header(&agent, first), Some(&system))?;
        self.history.set_system(system);
        if let Some(links) = links {
            self.router.set_links(links);
        }
        self.offers = Offers::new(&registry, self.places.is_some());
        (self.agent, self.limits) = (agent, limits);
        Ok(())
    }

    /// The conversation goes on over other links.
    pub fn switch_model(&mut self, links: Vec<Link>) -> Result<(), Failure> {
        self.scribe.switched(&self.header(&self.agent, links.first()), None)?;
        self.router.set_links(links);
        Ok(())
    }

    /// Starts the journal, where there is to be one.
    fn record(&mut self, prompt: &str) -> Result<(), Failure> {
        let Some(places) = &self.places else { return Ok(()) };
        let entry = header(id::session(), &self.agent, self.router.links().first(), &self.context.workspace, Some(prompt));
        let journal = Journal::create(places, entry, Redactor::clone(&self.context.redactor))?;
        self.name(Some(journal.id().to_owned()));
        self.scribe.restart(Some(journal));
        Ok(())
    }

    fn name(&mut self, session: Option<String>) {
        let journal = |id: &String| self.places.as_ref().map(|p| Arc::from(session::journal_path(p, id)));
        self.context.journal = session.as_ref().and_then(journal);
        let logs = self.context.journal.as_ref().and_then(|journal| Some(journal.parent()?.join("commands")));
        // Commands belong to their session: those of the one before end here, if nobody has ended them.
        self.context.jobs = Arc::new(logs.map_or_else(Jobs::default, Jobs::recorded));
        self.context.session = session.as_deref().map(Arc::from);
        self.session = session;
    }

    /// Ends what runs in the background. The session is over, or another one takes its place. Also says what was ended.
    pub async fn close(&mut self) -> Vec<String> {
        let jobs = Arc::clone(&self.context.jobs);
        let ended = tokio::task::spawn_blocking(move || jobs.end_all()).await.unwrap_or_default();
        let lines: Vec<String> = ended.iter().map(|job| job.line.clone()).collect();
        let note = (!lines.is_empty()).then(|| format!("ended with the session: {}", lines.join("; ")));
        note.into_iter().chain(self.steps.finish().await).collect()
    }

    /// Whose calls they are from now on.
    fn says_who(&self) {
        if let Some(purse) = self.router.purse() {
            let (agent, workload) = (Some(self.agent.name.clone()), Some(self.agent.workload.as_str().to_owned()));
            purse.set_caller(Caller { agent, workload, session: self.session.clone(), run: self.run.clone() });
        }
    }

    fn header(&self, agent: &Agent, link: Option<&Link>) -> Session {
        header(self.session.clone().unwrap_or_default(), agent, link, &self.context.workspace, None)
    }

    fn system(&self, agent: &Agent) -> Message {
        system(agent, &self.context.workspace, &self.instructions, &self.skills)
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
        if self.session.is_none()
            && let Err(failure) = self.record(&prompt)
        {
            return Report::failed(failure);
        }
        let prompt = plan_mode::told(&self.history, self.approve, prompt);
        let mut history = std::mem::take(&mut self.history);
        let turn = if let Some(mut unfinished) = self.unfinished.take() {
            unfinished.prompts.push(prompt);
            Turn::resume(history, unfinished, self.limits)
        } else {
            history.push(Message::user(prompt));
            Turn::new(history, self.limits)
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
        let unfinished = self.unfinished.take()?;
        let turn = Turn::resume(std::mem::take(&mut self.history), unfinished, self.limits);
        Some(self.drive(turn, sink, approver, stopper, time).await)
    }

    /// Makes the conversation smaller, because the user wants it. `None`: nothing can be taken out.
    pub async fn compact(
        &mut self,
        sink: &mut dyn EventSink,
        approver: &mut dyn Approver,
        stopper: Stopper,
    ) -> Result<Option<Slimmed>, Failure> {
        if self.unfinished.is_some() {
            return Err(Failure::usage("the last turn of this session is not finished")
                .hint("say something first: the work goes on, and the conversation can be made smaller after it"));
        }
        let history = self.history.clone();
        let done = self.driver(sink, approver, stopper, None).compact_now(&history).await?;
        if let Some(slimmed) = &done {
            self.history = slimmed.history.clone();
        }
        Ok(done)
    }

    /// What fills the next request.
    pub fn filling(&self) -> Filling {
        let tools = self.offers.at(self.slimmer.has_gaps(), self.context.jobs.any()).specs();
        let first = self.router.links().first();
        Filling {
            parts: self.slimmer.parts(&self.history, &tools),
            tokens: self.slimmer.count(&self.history, &tools).tokens,
            limits: first.map(|l| self.slimmer.limits(&l.id, limits_of(l))),
            compacting: self.compacting,
        }
    }

    /// What carries out one turn.
    fn driver<'a>(
        &'a mut self,
        sink: &'a mut dyn EventSink,
        approver: &'a mut dyn Approver,
        stopper: Stopper,
        time: Option<Duration>,
    ) -> Driver<'a> {
        self.says_who();
        let shown = self.router.links().first().and_then(|l| limits_of(l).regime().shown);
        self.context.limits = shown.map_or(self.tool_limits, |bytes| self.tool_limits.capped(bytes));
        Driver {
            router: &self.router,
            offers: &self.offers,
            context: &self.context,
            output: &mut self.output,
            scribe: &self.scribe,
            steps: &mut self.steps,
            border: &mut self.border,
            inquiries: &mut self.inquiries,
            sink,
            approver,
            approve: self.approve,
            stopper,
            // A time that no clock can show is no bound.
            until: time.and_then(|t| Some((Instant::now().checked_add(t)?, t))),
            temperature: self.agent.temperature,
            checker: &mut self.checker,
            slimmer: &mut self.slimmer,
            compacting: self.compacting,
            shortened: 0,
            attempts: Vec::new(),
            switches: false,
        }
    }

    async fn drive(
        &mut self,
        mut turn: Turn,
        sink: &mut dyn EventSink,
        approver: &mut dyn Approver,
        stopper: Stopper,
        time: Option<Duration>,
    ) -> Report {
        if self.approve == Approve::All {
            self.steps.warm();
        }
        self.border.begin(turn.history());
        let mut driver = self.driver(sink, approver, stopper, time);
        let ended = driver.run(&mut turn).await;
        for note in driver.steps.settle().await {
            driver.sink.emit(AgentEvent::Warning { text: &note });
        }
        let (approve, attempts) = (driver.approve, std::mem::take(&mut driver.attempts));
        self.approve = approve;
        let outcome = ended.unwrap_or_else(|f| {
            // The calls that it was in the middle of get a result, or no later prompt could be sent.
            turn.stop(f.cause, Some(f.message.clone()), f.hint.clone());
            f.into()
        });
        self.border.end(&mut turn);
        let answered = attempts.iter().rev().find(|a| a.outcome == crate::route::Outcome::Ok).or(attempts.last());
        let link = answered.and_then(|a| self.router.links().iter().find(|l| l.id == a.model)).or(self.router.links().first());
        let report = Report {
            answer: turn.answer(),
            turns: turn.turns(),
            tool_calls: turn.tool_calls(),
            usage: *turn.usage(),
            cost_usd: attempts.iter().map(|a| a.cost_usd).sum(),
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

/// What fills the next request, and how much there is room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filling {
    pub parts: slim::Parts,
    /// As counted: reported, and estimated since.
    pub tokens: u64,
    /// Of the first model that is asked.
    pub limits: Option<slim::Limits>,
    pub compacting: Compacting,
}

/// The agent's tools, as they suit the model and whoever is there.
pub fn registry(agent: &Agent, model: Option<&str>, audience: Audience, skills: &Skills) -> Result<Registry, Failure> {
    let selected = Registry::builtin().select(&agent.tools)?;
    let usable = if audience == Audience::Nobody { selected.unattended() } else { selected };
    Ok(usable.suited_to(model).with_skills(offered(agent, skills)))
}

/// The skills that the agent is told of.
pub fn offered(agent: &Agent, skills: &Skills) -> Vec<Skill> {
    skills.offered(&agent.skills).cloned().collect()
}

fn first_id(links: &[Link]) -> Option<&str> {
    links.first().map(|l| l.id.as_str())
}

/// What the journal says of the session: at its beginning, and again when it goes on or over to somebody else.
fn header(id: String, agent: &Agent, link: Option<&Link>, workspace: &Workspace, prompt: Option<&str>) -> Session {
    let (model, provider) = link.map(|l| (l.id.clone(), l.provider.id().to_owned())).unzip();
    Session {
        id,
        agent: agent.name.clone(),
        model,
        provider,
        cwd: workspace.root().display().to_string(),
        prompt: prompt.map(ToOwned::to_owned),
        pup: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The instructions that hold from the beginning, and what should be said of them.
fn instructions(parts: &Parts, workspace: &Workspace) -> (Vec<Instruction>, Vec<String>) {
    let found = parts.instructions.at_start(workspace.root());
    let clean = |one: Instruction| Instruction { text: parts.redactor.redact(&one.text).into_owned(), ..one };
    (found.texts.into_iter().map(clean).collect(), found.notes)
}

fn system(agent: &Agent, workspace: &Workspace, instructions: &[Instruction], skills: &Skills) -> Message {
    Message::system(prompt::system(&agent.prompt, workspace.root(), instructions, &offered(agent, skills)))
}
