//! A call in progress: carries out what the plan decides and hands the reply's events up as they come.

use super::admit::{self, Admit, Admitted, Flight};
use super::link::Link;
use super::notice::Notice;
use super::plan::{Plan, Step};
use super::purse::Settled;
use super::query::{self, Progress};
use super::receipt::Exhausted;
use super::router::{Operation, Router};
use super::suspect;
use crate::base::clock::{self, Moment};
use crate::base::id;
use crate::config::Failover;
use crate::model::aside::{self, Kind};
use crate::model::{Class, Delta, Embeddings, Listed, Origin, ProviderError, StreamEvent};
use crate::provider::Exchange;
use crate::session::{Attempt, Outcome, Quarantine};
use crate::wire::limits::Limits;
use crate::wire::quirk::ReplyFilter;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long a wait lasts before another look at what other processes know.
const LOOK: Duration = Duration::from_secs(5);

/// What happens while a question is answered, in order.
#[derive(Debug)]
pub enum LiveEvent {
    /// An attempt failed.
    Failed {
        attempt: Attempt,
        error: ProviderError,
    },
    /// The whole reply is there; the last event of a call that succeeded.
    Answered {
        attempt: Attempt,
        origin: Origin,
        /// What the reply's headers said of allowances; nothing where it was no answer.
        limits: Box<Limits>,
    },
    /// Pieces of the conversation were refused; it goes on without them. The asker's own copy has to lose them as well.
    Quarantined(Quarantine),
    /// What the conversation holds and this link cannot take: it is passed over, or where no link can, it gets a line in
    /// the place of each such piece. Told once in a session.
    Gated {
        link: String,
        lacks: Vec<Kind>,
        passed_over: bool,
    },
    /// The next attempt is due in this time.
    Waiting {
        pause: Duration,
        link: String,
    },
    Event(StreamEvent),
    /// Something about the way of the call.
    Notice(Notice),
    /// Another model would go on, and the user wants to be asked: [`Live::stay`] says no, the next [`Live::next`] yes.
    MaySwitch {
        from: String,
        to: String,
        why: String,
    },
    /// What an operation that is no answer brought.
    Result(Product),
    /// What this attempt had shown is void; nothing of it will be repeated or continued.
    Discarded {
        chars: usize,
    },
    /// The last event of a call that failed on every link.
    GaveUp(Exhausted),
}

/// What an operation brings that is no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Product {
    Embeddings(Embeddings),
    Tokens(u64),
    Models(Vec<Listed>),
}

/// A call in progress.
#[derive(Debug)]
pub struct Live<'r> {
    router: &'r Router,
    operation: Operation,
    /// What earlier attempts at an operation already have.
    progress: Progress,
    plan: Plan,
    /// The plan's links as those of the router.
    order: Vec<usize>,
    open: Option<Open<'r>>,
    queue: VecDeque<LiveEvent>,
    /// The wait that the plan asks for has been announced.
    announced: bool,
    /// The link that is asked again at once, without what it refused.
    again: Option<usize>,
    /// How often in this call something was left out.
    rounds: u32,
    /// What the asker was asked for: the model, and the link of the plan that was to be tried.
    asked: Option<(String, usize)>,
    /// Another model than the first of this call was tried.
    switched: bool,
    began: Moment,
    over: bool,
}

/// The attempt that is being read.
#[derive(Debug)]
struct Open<'r> {
    ix: usize,
    link: &'r Link,
    exchange: Exchange,
    flight: Flight<'r>,
    filter: ReplyFilter,
    began: Moment,
    /// Characters of text handed out so far.
    shown: usize,
    committed: bool,
    ended: bool,
}

impl<'r> Live<'r> {
    pub(super) fn new(router: &'r Router, operation: Operation, plan: Plan, order: Vec<usize>, told: Vec<LiveEvent>) -> Self {
        Self {
            router,
            operation,
            progress: Progress::default(),
            plan,
            order,
            open: None,
            queue: told.into(),
            announced: false,
            again: None,
            rounds: 0,
            asked: None,
            switched: false,
            began: router.clock.now(),
            over: false,
        }
    }

    /// No to the last [`LiveEvent::MaySwitch`]: only the model that was left can still answer this call.
    pub fn stay(&mut self) {
        if self.asked.take().is_none() {
            return;
        }
        let first = self.router.links().first().map_or("", |l| l.id.as_str());
        let current = self.router.way().current(first).to_owned();
        let links: Vec<bool> = (0..self.order.len()).map(|ix| self.link(ix).is_some_and(|l| l.id == current)).collect();
        self.plan.unpick();
        self.plan.keep(|ix| links.get(ix).copied().unwrap_or(false));
    }

    /// The next event; none once the call is over: after `Answered` or `GaveUp`.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            if self.open.is_some() {
                self.read().await;
                continue;
            }
            if let Some(link) = self.again.take() {
                self.attempt(link).await;
                continue;
            }
            if let Some((_, link)) = &self.asked {
                // No word against it.
                let link = *link;
                self.attempt(link).await;
                continue;
            }
            self.router.look(&mut self.plan, &self.order).await;
            match self.plan.next(self.router.clock.now()) {
                Step::Try { link } => {
                    self.announced = false;
                    if let Some(question) = self.question(link) {
                        return Some(question);
                    }
                    self.attempt(link).await;
                }
                Step::Wait { until, link } => {
                    let pause = until.since(self.router.clock.now());
                    if !std::mem::replace(&mut self.announced, true) {
                        let link = self.link(link).map(|l| l.id.clone()).unwrap_or_default();
                        return Some(LiveEvent::Waiting { pause, link });
                    }
                    tokio::time::sleep(pause.min(LOOK)).await;
                }
                Step::GiveUp(report) => {
                    self.over = true;
                    return Some(LiveEvent::GaveUp(report));
                }
            }
        }
    }

    /// What the operation brought, or why nothing did. Only for those that are no answer.
    pub async fn result(mut self) -> Result<Product, Exhausted> {
        let mut result = None;
        while let Some(event) = self.next().await {
            match event {
                LiveEvent::Result(product) => result = Some(product),
                LiveEvent::GaveUp(report) => return Err(report),
                _ => {}
            }
        }
        result.ok_or_else(|| Exhausted { errors: Vec::new(), soonest_s: None, attempts: self.plan.attempts() })
    }

    /// A link of the plan.
    fn link(&self, ix: usize) -> Option<&'r Link> {
        self.router.links().get(*self.order.get(ix)?)
    }

    /// Why the link that is left cannot be used.
    fn why(&self, from: &str) -> Option<String> {
        let of = |ix: &usize| self.link(*ix).is_some_and(|l| l.id == from);
        (0..self.order.len()).filter(of).find_map(|ix| self.plan.why(ix)).map(ToString::to_string)
    }

    /// What the asker has to say before another model is tried.
    fn question(&mut self, ix: usize) -> Option<LiveEvent> {
        if self.router.failover != Failover::Ask {
            return None;
        }
        let first = self.router.links().first().map_or("", |l| l.id.as_str());
        let (from, to) = (self.router.way().current(first).to_owned(), self.link(ix)?.id.clone());
        if from == to {
            return None;
        }
        let why = self.why(&from).unwrap_or_else(|| format!("{to} can be used again"));
        self.asked = Some((to.clone(), ix));
        Some(LiveEvent::MaySwitch { from, to, why })
    }

    /// Says that the next attempt goes over this link, where that is news.
    fn goes(&mut self, link: &Link) {
        self.asked = None;
        let notices = self.router.goes(link, |from| self.why(from));
        self.switched |= notices.iter().any(|n| matches!(n, Notice::Switched { .. }));
        self.tell(notices);
    }

    fn tell(&mut self, notices: impl IntoIterator<Item = Notice>) {
        for notice in notices {
            notice.log();
            self.queue.push_back(LiveEvent::Notice(notice));
        }
    }

    /// Sends the request over a link.
    async fn attempt(&mut self, ix: usize) {
        let Some(link) = self.link(ix) else { return };
        let began = self.router.clock.now();
        if let Some(purse) = self.router.purse() {
            let note = purse.note().await;
            self.tell(note);
        }
        let Operation::Generate(request) = &mut self.operation else {
            return self.query(ix, link, began).await;
        };
        let tools = Arc::clone(&request.tools);
        let admitted = match admit::conversation(self.router, link, request, began).await {
            Admit::Go(admitted) => *admitted,
            Admit::Later(until, why) => return self.plan.hold(until, why, began),
            Admit::No(why) => return self.plan.forbid(why, began),
        };
        let Admitted { encoded, filter, mut flight, notice } = admitted;
        self.goes(link);
        self.tell(notice);
        tracing::debug!(link = link.id, bytes = encoded.len(), attempt = self.plan.attempts(), "sending");
        flight.goes();
        match self.in_time(link.provider.send(&encoded, &tools)).await.and_then(|sent| sent) {
            Ok(exchange) => {
                self.open = Some(Open { ix, link, exchange, flight, filter, began, shown: 0, committed: false, ended: false });
            }
            Err(error) if link.relax(&error) => {
                flight.failed(&error, false).await;
                Box::pin(self.attempt(ix)).await;
            }
            Err(error) => {
                let settled = flight.failed(&error, false).await;
                self.failed(ix, link, began, error, settled);
            }
        }
    }

    /// One attempt at an operation that is no answer.
    async fn query(&mut self, ix: usize, link: &'r Link, began: Moment) {
        let bytes =
            if let Operation::Embed(request) = &self.operation { request.input.iter().map(|t| t.len() as u64 + 16).sum() } else { 0 };
        let (mut flight, notice) = match admit::input(self.router, link, bytes, began).await {
            Ok(admitted) => admitted,
            Err(why) => return self.plan.forbid(why, began),
        };
        self.goes(link);
        self.tell(notice);
        flight.goes();
        let mut progress = std::mem::take(&mut self.progress);
        progress.start(ix);
        let done = self.in_time(query::attempt(link, &self.operation, &mut progress)).await.and_then(|done| done);
        self.progress = progress;
        match done {
            Ok(product) => {
                if let Product::Embeddings(found) = &product {
                    flight.used(&found.usage);
                }
                self.queue.push_back(LiveEvent::Result(product));
                let settled = flight.answered(None, &Limits::default(), self.router.clock.now()).await;
                self.answered(link, began, Limits::default(), settled);
            }
            Err(error) => {
                let settled = flight.failed(&error, false).await;
                self.failed(ix, link, began, error, settled);
            }
        }
    }

    fn answered(&mut self, link: &Link, began: Moment, limits: Limits, settled: Settled) {
        let now = self.router.clock.now();
        let mut attempt = record(link, Outcome::Ok, began, now);
        (attempt.cost_usd, attempt.estimated) = (settled.cost_usd, settled.estimated);
        self.over = true;
        self.router.answered(link);
        let recovered = self.switched.then(|| Notice::Recovered { model: link.id.clone(), took: now.since(self.began) });
        self.tell(settled.notices.into_iter().chain(recovered));
        self.queue.push_back(LiveEvent::Answered { attempt, origin: link.origin.clone(), limits: Box::new(limits) });
    }

    /// Reads the open attempt up to its next event.
    async fn read(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let event = match self.in_time(open.exchange.next()).await {
            Ok(event) => event,
            Err(error) => Some(StreamEvent::Error { error }),
        };
        match event {
            Some(StreamEvent::Error { error }) => self.broke(open, error).await,
            None if open.ended => {
                let request = if let Operation::Generate(request) = &self.operation { Some(request) } else { None };
                if let Some(request) = request {
                    open.link.took(request.messages.len());
                }
                let limits = open.exchange.limits().clone();
                let settled = open.flight.answered(request, &limits, self.router.clock.now()).await;
                self.answered(open.link, open.began, limits, settled);
            }
            None => self.broke(open, ProviderError::network("the stream ended before its terminal event")).await,
            Some(event) => {
                let mut out = Vec::new();
                open.filter.push(event, &mut out);
                for event in out {
                    // A filter may find that the end is none.
                    if let StreamEvent::Error { error } = event {
                        return self.broke(open, error).await;
                    }
                    open.flight.heard(&event);
                    open.committed |= event.is_content();
                    open.ended |= matches!(event, StreamEvent::End { .. });
                    if let StreamEvent::Delta { delta: Delta::Text { text }, .. } = &event {
                        open.shown += text.chars().count();
                    }
                    self.queue.push_back(LiveEvent::Event(event));
                }
                self.open = Some(open);
            }
        }
    }

    /// The open attempt failed in the middle: what it showed is void.
    async fn broke(&mut self, open: Open<'r>, mut error: ProviderError) {
        error.committed = open.committed;
        if open.committed {
            self.queue.push_back(LiveEvent::Discarded { chars: open.shown });
        }
        let settled = open.flight.failed(&error, true).await;
        self.failed(open.ix, open.link, open.began, error, settled);
    }

    fn failed(&mut self, ix: usize, link: &Link, began: Moment, error: ProviderError, settled: Settled) {
        let error = link.hush(error);
        let now = self.router.clock.now();
        let mut attempt = record(link, Outcome::Failed(error.class), began, now);
        attempt.status = error.status;
        attempt.scope = Some(error.scope);
        attempt.retry_after_s = error.retry_after_s;
        (attempt.cost_usd, attempt.estimated) = (settled.cost_usd, settled.estimated);
        let quarantine = self.quarantine(link, &error);
        if quarantine.is_none() {
            self.plan.failed(&error, &mut self.router.health(), now, jitter());
            self.router.failed(link, &error, now);
        }
        if matches!(error.class, Class::RateLimit | Class::Quota) {
            tracing::info!(event = "rate_limit", link = link.id, class = error.class.as_str(), retry_after_s = error.retry_after_s);
        }
        self.queue.push_back(LiveEvent::Failed { attempt, error });
        self.tell(settled.notices);
        if let Some(quarantine) = quarantine {
            self.again = Some(ix);
            self.queue.push_back(LiveEvent::Quarantined(quarantine));
        }
    }

    /// Leaves out of the request what this refusal is about, if that can be told. The link is as good as before.
    fn quarantine(&mut self, link: &Link, error: &ProviderError) -> Option<Quarantine> {
        let Operation::Generate(request) = &mut self.operation else { return None };
        let record = suspect::Record { accepted: link.accepted(), rounds: self.rounds };
        let quarantine = suspect::suspects(&request.messages, error, &link.origin, record)?;
        request.messages = aside::set_aside(&request.messages, &|p| quarantine.pieces.contains(p), &quarantine.why);
        self.rounds += 1;
        Some(quarantine)
    }

    /// Runs a future up to the call's deadline.
    async fn in_time<T>(&self, future: impl Future<Output = T>) -> Result<T, ProviderError> {
        let Some(deadline) = self.plan.deadline() else { return Ok(future.await) };
        let left = deadline.since(self.router.clock.now());
        let late = |_| ProviderError::timeout("the deadline of this call passed");
        tokio::time::timeout(left, future).await.map_err(late)
    }
}

fn record(link: &Link, outcome: Outcome, began: Moment, now: Moment) -> Attempt {
    Attempt {
        model: link.id.clone(),
        provider: link.provider.id().to_owned(),
        account: link.origin.account.clone(),
        outcome,
        status: None,
        scope: None,
        latency_ms: clock::millis(now.since(began)),
        retry_after_s: None,
        cost_usd: None,
        estimated: false,
    }
}

/// Spreads the retries of processes that failed together. Any cheap source will do.
fn jitter() -> f64 {
    u32::from_str_radix(&id::fresh(4), 16).map_or(0.5, |n| f64::from(n) / 65535.0)
}
