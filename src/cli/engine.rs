//! A session at work: the parts that outlive one prompt, put together once. `pup run` gives it one prompt, a chat many.

use super::begun::{Begun, bound};
use super::home::{Home, LazySummaries};
use super::nursery::{House, Nursery};
use super::resume::Taken;
use super::shared_face::{Own, SharedFace};
use crate::agent::compact::limits_of;
use crate::agent::delegate::{Candidate, Chief, Office, Order};
use crate::agent::resume::{Continued, Unfinished};
use crate::agent::scribe::{Live, Scribe};
use crate::agent::slim::{self, Slimmed, Slimmer};
use crate::agent::steps::Steps;
use crate::agent::{AgentEvent, Approve, Approver, Border, Compacting, Driver, EventSink, Inbox, Limits, Stopper, Turn, plan_mode, prompt};
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Failure, id};
use crate::catalog::{Agent, Skill, Skills};
use crate::config::Failover;
use crate::config::instructions::{Instruction, Sources};
use crate::model::history::Checker;
use crate::model::{History, Message};
use crate::route::{Caller, Link, Purse, Rotation, Router, Rules};
use crate::session::caching::{Broke, Caching};
use crate::session::{self, Journal, Session};
use crate::tool::person::{self, Asked};
use crate::tool::{self, Context, Delegate, Jobs, Offers, Registry};
use crate::workspace::checkpoint::{self, Keeper, Store};
use crate::workspace::{Workspace, rollback};
use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

pub use super::report::Report;

/// What a session is made of, chosen and checked.
pub struct Parts {
    pub root: PathBuf,
    pub agent: Agent,
    /// What other agents' sessions are made from; none where no work is handed on.
    pub home: Option<Home>,
    /// Where this session stands, if it works for another one.
    pub below: Option<Below>,
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

/// The place of a session that works for another one.
pub struct Below {
    pub id: String,
    pub parent: String,
    /// The session whose costs are its costs, and that one's run.
    pub payer: Option<String>,
    pub run: String,
    /// The agents above, the first one first.
    pub above: Vec<String>,
    /// The same for all.
    pub approve: Rc<Cell<Approve>>,
    pub office: Office,
}

/// A session at work.
pub struct Engine {
    /// Its id, if it is recorded.
    pub session: Option<String>,
    /// What a person should know before the first turn.
    pub notes: Vec<String>,
    pub agent: Agent,
    pub limits: Limits,
    /// What may be done without a question, by this agent and those that work for it.
    approve: Rc<Cell<Approve>>,
    home: Option<Home>,
    below: Option<Below>,
    office: Office,
    orders: Option<mpsc::UnboundedReceiver<Order>>,
    chief: Option<Arc<Chief>>,
    /// Agents in the background that a resumed session's last run has left over.
    left: Vec<Order>,
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
    summaries: LazySummaries,
    caching: Caching,
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

impl Parts {
    /// Whom this agent may hand work to.
    fn candidates(&self) -> Vec<Candidate> {
        let above = self.below.as_ref().map_or(&[][..], |b| &b.above);
        self.home.as_ref().map(|h| h.candidates(&self.agent, above)).unwrap_or_default()
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
        let registry = registry(&parts.agent, first_id(&parts.links), parts.audience, &parts.skills, &parts.candidates())?;
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
        let registry = registry(&parts.agent, first_id(&parts.links), parts.audience, &parts.skills, &parts.candidates())?;
        let mut session = header(taken.id().to_owned(), &parts.agent, parts.links.first(), &workspace, prompt);
        session.parent = taken.session().and_then(|s| s.parent.clone());
        let caching = Caching::of(taken.loaded());
        let (known, left) = taken.children(parts.places.as_ref());
        let id = session.id.clone();
        let (instructions, _) = instructions(&parts, &workspace);
        let system = system(&parts.agent, &workspace, &instructions, &parts.skills);
        let (journal, Continued { history, unfinished, notes }) = taken.go_on(&parts, session, system).await?;
        let scribe = Scribe::resume(journal, history.len());
        let mut engine = Self { left, caching, history, unfinished, ..Self::assemble(parts, workspace, &registry, instructions, scribe) };
        engine.name(Some(id));
        engine.slimmer.begin_anew(&engine.history);
        for child in known {
            engine.office.board.put(child);
        }
        Ok((engine, notes))
    }

    /// An engine without a conversation.
    fn assemble(parts: Parts, workspace: Workspace, registry: &Registry, instructions: Vec<Instruction>, scribe: Scribe) -> Self {
        let (live, output) = Live::new(scribe.clone());
        let (person, inquiries) = person::line();
        let taken_back = parts.leases.as_deref().map(rollback::recover).unwrap_or_default();
        let summaries = LazySummaries::new(parts.home.clone(), parts.purse.as_ref().map(Purse::share), parts.rules);
        let (orders, taken) = mpsc::unbounded_channel();
        let office = parts.below.as_ref().map_or_else(|| Office { orders, board: Arc::default() }, |b| b.office.clone());
        let approve = parts.below.as_ref().map_or_else(|| Rc::new(Cell::new(parts.approve)), |b| Rc::clone(&b.approve));
        let run = parts.below.as_ref().map_or_else(|| id::fresh(12), |b| b.run.clone());
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
            limits: parts.limits,
            approve,
            home: parts.home,
            office,
            orders: parts.below.is_none().then_some(taken),
            below: parts.below,
            chief: None,
            left: Vec::new(),
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
            summaries,
            caching: Caching::default(),
            context,
            router: Router::new(parts.links, parts.rules, parts.rotation).paying(parts.purse).switching(parts.failover),
            run,
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
            Some(before) => self.approve.set(before),
            None => self.before_plan = Some(self.approve.replace(Approve::Plan)),
        }
        self.approve() == Approve::Plan
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
        self.caching = Caching::default();
        self.unfinished = None;
        // What the model has read belongs to the conversation that it no longer knows.
        self.context.seen = Arc::default();
    }

    /// Another agent goes on with the conversation, with its own prompt and tools, and over `links` if there are any.
    /// The changed prompt costs the provider's prompt cache once.
    pub fn switch_agent(&mut self, agent: Agent, limits: Limits, links: Option<Vec<Link>>) -> Result<(), Failure> {
        let first = links.as_ref().map_or(self.router.links().first(), |l| l.first());
        let candidates = self.home.as_ref().map(|h| h.candidates(&agent, &[])).unwrap_or_default();
        let registry = registry(&agent, first.map(|l| l.id.as_str()), self.audience, &self.skills, &candidates)?;
        let system = self.system(&agent);
        let first = links.as_deref().unwrap_or(self.router.links()).first();
        self.scribe.switched(&self.header(&agent, first), Some(&system))?;
        self.caching.changed(Broke::Agent);
        self.history.set_system(system);
        if let Some(links) = links {
            self.router.set_links(links);
        }
        self.offers = Offers::new(&registry, self.places.is_some());
        (self.agent, self.limits) = (agent, limits);
        Ok(())
    }

    /// Who works for this session works on this model from now on, too.
    pub fn insist_on(&mut self, model: &str) {
        if let Some(home) = &mut self.home {
            home.model = Some(model.to_owned());
        }
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
        let (id, parent) = self.below.as_ref().map_or_else(|| (id::session(), None), |b| (b.id.clone(), Some(b.parent.clone())));
        let entry = header(id, &self.agent, self.router.links().first(), &self.context.workspace, Some(prompt));
        let journal = Journal::create(places, Session { parent, ..entry }, Redactor::clone(&self.context.redactor))?;
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
            let session = self.below.as_ref().map_or_else(|| self.session.clone(), |b| b.payer.clone());
            let caller = Caller { agent, workload, session, run: self.run.clone() };
            self.summaries.says_who(&caller);
            purse.set_caller(caller);
        }
    }

    fn header(&self, agent: &Agent, link: Option<&Link>) -> Session {
        let parent = self.below.as_ref().map(|b| b.parent.clone());
        Session { parent, ..header(self.session.clone().unwrap_or_default(), agent, link, &self.context.workspace, None) }
    }

    fn system(&self, agent: &Agent) -> Message {
        system(agent, &self.context.workspace, &self.instructions, &self.skills)
    }

    /// What of the input came from prompt caches.
    pub fn caching(&self) -> &Caching {
        &self.caching
    }

    /// What may be done without a question.
    pub fn approve(&self) -> Approve {
        self.approve.get()
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
        match self.begin(prompt) {
            Ok(begun) => Box::pin(self.drive(begun, sink, approver, stopper, bound(time))).await,
            Err(failure) => Report::failed(failure),
        }
    }

    /// Takes up the work that was cut off, without a prompt. `None` where there is none.
    pub async fn go_on(
        &mut self,
        sink: &mut dyn EventSink,
        approver: &mut dyn Approver,
        stopper: Stopper,
        time: Option<Duration>,
    ) -> Option<Report> {
        let begun = self.left_over()?;
        Some(Box::pin(self.drive(begun, sink, approver, stopper, bound(time))).await)
    }

    /// The same for a session that works for another one, which drives those that work for this one.
    pub(super) async fn work_below(
        &mut self,
        prompt: String,
        sink: &mut dyn EventSink,
        approver: &mut dyn Approver,
        stopper: Stopper,
        until: Option<(Instant, Duration)>,
    ) -> Report {
        match self.begin(prompt) {
            Ok(begun) => Box::pin(self.alone(begun.turn(self.limits), sink, approver, stopper, until)).await,
            Err(failure) => Report::failed(failure),
        }
    }

    /// See [`Self::work_below`].
    pub(super) async fn go_on_below(
        &mut self,
        sink: &mut dyn EventSink,
        approver: &mut dyn Approver,
        stopper: Stopper,
        until: Option<(Instant, Duration)>,
    ) -> Option<Report> {
        let begun = self.left_over()?;
        Some(Box::pin(self.alone(begun.turn(self.limits), sink, approver, stopper, until)).await)
    }

    fn begin(&mut self, prompt: String) -> Result<Begun, Failure> {
        if self.session.is_none() {
            self.record(&prompt)?;
        }
        let prompt = plan_mode::told(&self.history, self.approve(), prompt);
        let history = std::mem::take(&mut self.history);
        Ok(Begun { history, unfinished: self.unfinished.take(), prompt: Some(prompt) })
    }

    fn left_over(&mut self) -> Option<Begun> {
        let unfinished = self.unfinished.take()?;
        Some(Begun { history: std::mem::take(&mut self.history), unfinished: Some(unfinished), prompt: None })
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
        until: Option<(Instant, Duration)>,
    ) -> Driver<'a> {
        self.says_who();
        self.appoint();
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
            approve: &self.approve,
            chief: self.chief.as_deref(),
            stopper,
            until,
            temperature: self.agent.temperature,
            checker: &mut self.checker,
            slimmer: &mut self.slimmer,
            compacting: self.compacting,
            summaries: &self.summaries,
            caching: &mut self.caching,
            shortened: 0,
            attempts: Vec::new(),
            switches: false,
        }
    }

    /// Who hands work on, if this agent may: its calls find it in their context.
    fn appoint(&mut self) {
        let above = self.below.as_ref().map(|b| b.above.clone()).unwrap_or_default();
        let may = self.home.as_ref().map(|h| h.candidates(&self.agent, &above)).unwrap_or_default();
        self.chief = (!may.is_empty()).then(|| {
            let session = self.below.as_ref().map(|b| b.id.clone()).or_else(|| self.session.clone()).unwrap_or_else(|| self.run.clone());
            let (agent, office, scribe) = (self.agent.name.clone(), self.office.clone(), self.scribe.clone());
            Arc::new(Chief { session, agent, above, may, office, scribe })
        });
        self.context.delegate = self.chief.clone().map(|chief| chief as Arc<dyn Delegate>);
    }

    /// A turn with those who work for its agent.
    async fn drive(
        &mut self,
        begun: Begun,
        sink: &mut dyn EventSink,
        approver: &mut dyn Approver,
        stopper: Stopper,
        until: Option<(Instant, Duration)>,
    ) -> Report {
        self.says_who();
        let (Some(home), Some(orders)) = (self.home.clone(), self.orders.take()) else {
            return Box::pin(self.alone(begun.turn(self.limits), sink, approver, stopper, until)).await;
        };
        let house = House {
            home,
            places: self.places.clone(),
            purse: self.router.purse().map(Purse::share),
            rules: self.router.rules(),
            payer: self.session.clone(),
            run: self.run.clone(),
            approve: Rc::clone(&self.approve),
            office: self.office.clone(),
            stopper: stopper.below(),
            until,
        };
        let face = SharedFace::new(sink, approver);
        let mut nursery = Nursery::new(&house, &face, orders);
        let (mut own, mut asks) = (Own(&face), Own(&face));
        let turn = begun.turn(self.limits);
        let report = tokio::select! {
            report = Box::pin(self.alone(turn, &mut own, &mut asks, stopper, until)) => report,
            never = nursery.attend() => match never {},
        };
        let (orders, children) = nursery.close().await;
        self.orders = Some(orders);
        report.with(children)
    }

    /// A turn of this agent.
    async fn alone(
        &mut self,
        mut turn: Turn,
        sink: &mut dyn EventSink,
        approver: &mut dyn Approver,
        stopper: Stopper,
        until: Option<(Instant, Duration)>,
    ) -> Report {
        if self.approve() == Approve::All {
            self.steps.warm();
        }
        self.border.begin(turn.history());
        for order in std::mem::take(&mut self.left) {
            // Whoever drives this session drives those, too, and outlives it.
            let _ = self.office.orders.send(order);
        }
        let mut driver = self.driver(sink, approver, stopper, until);
        let ended = driver.run(&mut turn).await;
        for note in driver.steps.settle().await {
            driver.sink.emit(AgentEvent::Warning { text: &note });
        }
        let attempts = std::mem::take(&mut driver.attempts);
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
            denied: turn.still_denied(),
            turns: turn.turns(),
            tool_calls: turn.tool_calls(),
            usage: *turn.usage(),
            cost_usd: attempts.iter().map(|a| a.cost_usd).sum(),
            model: link.map(|l| l.id.clone()),
            provider: link.map(|l| l.provider.id().to_owned()),
            attempts,
            children: Vec::new(),
            caching: self.caching.clone(),
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
pub fn registry(agent: &Agent, model: Option<&str>, audience: Audience, skills: &Skills, may: &[Candidate]) -> Result<Registry, Failure> {
    let selected = Registry::builtin().select(&agent.tools)?;
    let usable = if audience == Audience::Nobody { selected.unattended() } else { selected };
    let names: Vec<String> = may.iter().map(|c| c.name.clone()).collect();
    Ok(usable.suited_to(model).with_skills(offered(agent, skills)).delegating_to(&names))
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
        parent: None,
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
