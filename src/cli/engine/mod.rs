//! A session at work: the parts that outlive one prompt, put together once. `pup run` gives it one prompt, a chat many.

mod parts;
mod turns;

use super::home::{Home, LazySummaries};
use super::resume::Taken;
use crate::agent::compact::limits_of;
use crate::agent::delegate::{Chief, Office, Order};
use crate::agent::resume::{Continued, Unfinished};
use crate::agent::scribe::{Live, Scribe};
use crate::agent::slim::{self, Slimmed, Slimmer};
use crate::agent::steps::Steps;
use crate::agent::{Approve, Approver, Border, Compacting, EventSink, Inbox, Limits, Stopper};
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Failure, id};
use crate::catalog::{Agent, Skills};
use crate::config::instructions::Instruction;
use crate::model::history::Checker;
use crate::model::{History, Message};
use crate::route::{Caller, Link, Purse, Router};
use crate::session::caching::{Broke, Caching};
use crate::session::{self, Journal, Session};
use crate::tool::person::{self, Asked};
use crate::tool::{self, Context, Jobs, Offers, Registry};
use crate::workspace::checkpoint::{self, Keeper, Store};
use crate::workspace::process::supervisor;
use crate::workspace::{Workspace, rollback};
use parts::{header, system};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::mpsc;

pub use super::report::Report;
pub use parts::{Audience, Below, Parts, offered, registry};

/// A session at work.
pub struct Engine {
    /// Its id, if it is recorded.
    pub session: Option<String>,
    /// The id of the first session to come, if it is not to get a fresh one.
    wanted: Option<String>,
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
        let registry = parts.registry()?;
        let (instructions, notes) = parts.instructions(&workspace);
        let mut engine = Self::assemble(parts, workspace, &registry, instructions, Scribe::default());
        engine.notes.extend(notes);
        engine.clear();
        Ok(engine)
    }

    /// Goes on with a session; `prompt` is what it is given to do now, for the journal. Also returns what the user must
    /// know of what was found. The work that was cut off is taken up by [`Engine::go_on`], or with the next prompt.
    pub async fn resume(parts: Parts, taken: Taken, prompt: Option<&str>) -> Result<(Self, Vec<String>), Failure> {
        let workspace = Workspace::open(&parts.root)?;
        let registry = parts.registry()?;
        let mut session = header(taken.id().to_owned(), &parts.agent, parts.links.first(), &workspace, prompt);
        session.parent = taken.session().and_then(|s| s.parent.clone());
        let caching = Caching::of(taken.loaded());
        let (known, left) = taken.children(parts.places.as_ref());
        let id = session.id.clone();
        let (instructions, _) = parts.instructions(&workspace);
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
            supervisor: supervisor::program().map(Arc::from),
            person: (parts.audience == Audience::Person).then_some(person),
            leases: parts.leases.map(Arc::from),
            ..Context::new(workspace)
        };
        Self {
            session: None,
            wanted: parts.session,
            notes: context.workspace.warn(crate::cli::app::home().as_deref()).into_iter().chain(taken_back).collect(),
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
        let (id, parent) = match &self.below {
            Some(below) => (below.id.clone(), Some(below.parent.clone())),
            None => (self.wanted.take().unwrap_or_else(id::session), None),
        };
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
