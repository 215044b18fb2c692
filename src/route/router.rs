//! The door itself: carries out what the plan decides and hands the reply's events up as they come.

use super::cooldown::{Cooldowns, Identity, Ready};
use super::cost::cost_usd;
use super::plan::{Plan, Rules, Step};
use super::receipt::Exhausted;
use crate::base::clock::{self, Clock, Moment};
use crate::base::id;
use crate::catalog::Price;
use crate::model::{Class, Delta, Origin, ProviderError, Request, StreamEvent, Usage};
use crate::provider::{Exchange, Provider};
use crate::session::{Attempt, Outcome};
use crate::wire::quirk::{self, Calls, Dialect, ReplyFilter};
use crate::wire::{Encoded, Encoder};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One way to a model: a provider and the name under which it knows the model.
#[derive(Debug)]
pub struct Link {
    /// Our id of the model: the catalogue's, or `provider/name`.
    pub id: String,
    pub provider: Provider,
    /// Who answers, as replies are marked.
    origin: Origin,
    price: Option<Price>,
    speech: Mutex<Speech>,
}

/// How a link is spoken to.
#[derive(Debug)]
struct Speech {
    dialect: Dialect,
    encoder: Encoder,
}

impl Link {
    /// `upstream` is the provider's name of the model, `account` a label of the key in use.
    pub fn new(id: String, upstream: String, provider: Provider, account: Option<String>, price: Option<Price>) -> Self {
        let origin = Origin { provider: provider.id().to_owned(), account, model: upstream };
        let dialect = provider.dialect().to_target(origin.clone());
        let encoder = Encoder::new(provider.wire(), dialect.clone());
        Self { id, provider, origin, price, speech: Mutex::new(Speech { dialect, encoder }) }
    }

    /// The request in this link's own words, and how its reply is to be read back.
    fn encode(&self, request: &Request) -> (Encoded, ReplyFilter) {
        // The encoder keeps only bytes that it can make again, so one left by a panic is as good as new.
        let Speech { dialect, encoder } = &mut *self.speech.lock().unwrap_or_else(PoisonError::into_inner);
        let encoded = encoder.encode(&quirk::prepare(dialect, request));
        (encoded, ReplyFilter::of(dialect, request))
    }

    /// A server that cannot hold a reply to a schema is asked without one from now on. Whether that is news.
    fn relax(&self, error: &ProviderError) -> bool {
        let mut speech = self.speech.lock().unwrap_or_else(PoisonError::into_inner);
        if error.class != Class::BadRequest || speech.dialect.calls != Calls::Constrained {
            return false;
        }
        tracing::debug!(link = self.id, %error, "no schema for replies; reading calls out of text");
        speech.dialect.calls = Calls::Text;
        speech.encoder = Encoder::new(self.provider.wire(), speech.dialect.clone());
        true
    }

    fn identity(&self) -> Identity {
        let Origin { provider, account, model } = self.origin.clone();
        Identity { provider, account, upstream: model }
    }

    /// What this usage costs here, in US dollars; none where a price is unknown.
    pub fn cost_usd(&self, usage: &Usage) -> Option<f64> {
        cost_usd(self.price.as_ref(), usage)
    }
}

/// The router of a session.
#[derive(Debug)]
pub struct Router {
    links: Vec<Link>,
    rules: Rules,
    clock: Clock,
    cooldowns: Mutex<Cooldowns>,
}

/// Whether a link may be tried, and what keeps it from it.
#[derive(Debug, Clone, PartialEq)]
pub enum Rest {
    Ready,
    For(Duration, ProviderError),
    /// Until something changes outside of this process.
    Out(ProviderError),
}

/// A question to a model.
#[derive(Debug)]
pub struct Ask {
    /// `model` is filled in by the link that answers.
    pub request: Request,
    /// For this call, from now; the rules' own deadline applies as well.
    pub deadline: Option<Duration>,
}

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
    },
    /// The next attempt is due in this time.
    Waiting {
        pause: Duration,
        link: String,
    },
    Event(StreamEvent),
    /// What this attempt had shown is void; nothing of it will be repeated or continued.
    Discarded {
        chars: usize,
    },
    /// The last event of a call that failed on every link.
    GaveUp(Exhausted),
}

impl Router {
    pub fn new(links: Vec<Link>, rules: Rules) -> Self {
        Self { links, rules, clock: Clock::system(), cooldowns: Mutex::default() }
    }

    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// From now on these links are used. What is known of links that failed stays.
    pub fn set_links(&mut self, links: Vec<Link>) {
        self.links = links;
    }

    /// Each link with the time until it may be tried.
    pub fn rests(&self) -> Vec<(&Link, Rest)> {
        let (now, cooldowns) = (self.clock.now(), self.cooldowns());
        let rest = |link: &Link| match cooldowns.ready(&link.identity(), now) {
            Ready::Now => Rest::Ready,
            Ready::At(until, error, _) => Rest::For(until.since(now), error),
            Ready::Never(error, _) => Rest::Out(error),
        };
        self.links.iter().map(|l| (l, rest(l))).collect()
    }

    fn cooldowns(&self) -> MutexGuard<'_, Cooldowns> {
        self.cooldowns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a call. Nothing happens until the first [`Live::next`]; dropping the `Live` cancels it upstream.
    pub fn start(&self, ask: Ask) -> Live<'_> {
        let mut rules = self.rules;
        rules.deadline = match (rules.deadline, ask.deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let links = self.links.iter().map(|l| (l.id.clone(), l.identity()));
        let plan = Plan::new(rules, links, &self.cooldowns(), self.clock.now());
        Live { router: self, request: ask.request, plan, open: None, queue: VecDeque::new(), announced: false, over: false }
    }
}

/// A call in progress.
#[derive(Debug)]
pub struct Live<'r> {
    router: &'r Router,
    request: Request,
    plan: Plan,
    open: Option<Open<'r>>,
    queue: VecDeque<LiveEvent>,
    /// The wait that the plan asks for has been announced.
    announced: bool,
    over: bool,
}

/// The attempt that is being read.
#[derive(Debug)]
struct Open<'r> {
    link: &'r Link,
    exchange: Exchange,
    filter: ReplyFilter,
    began: Moment,
    /// Characters of text handed out so far.
    shown: usize,
    committed: bool,
    ended: bool,
}

impl Live<'_> {
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
            match self.plan.next(self.router.clock.now()) {
                Step::Try { link } => {
                    self.announced = false;
                    self.attempt(link).await;
                }
                Step::Wait { until, link } => {
                    let pause = until.since(self.router.clock.now());
                    if !std::mem::replace(&mut self.announced, true) {
                        let link = self.router.links.get(link).map(|l| l.id.clone()).unwrap_or_default();
                        return Some(LiveEvent::Waiting { pause, link });
                    }
                    tokio::time::sleep(pause).await;
                }
                Step::GiveUp(report) => {
                    self.over = true;
                    return Some(LiveEvent::GaveUp(report));
                }
            }
        }
    }

    /// Sends the request over a link.
    async fn attempt(&mut self, ix: usize) {
        let Some(link) = self.router.links.get(ix) else { return };
        let began = self.router.clock.now();
        self.request.model.clone_from(&link.origin.model);
        let (encoded, filter) = link.encode(&self.request);
        for loss in &encoded.losses {
            tracing::debug!(link = link.id, at = loss.at, what = loss.what, "not carried by this wire");
        }
        tracing::debug!(link = link.id, bytes = encoded.len(), attempt = self.plan.attempts(), "sending");
        match self.in_time(link.provider.send(&encoded)).await.and_then(|sent| sent) {
            Ok(exchange) => self.open = Some(Open { link, exchange, filter, began, shown: 0, committed: false, ended: false }),
            Err(error) if link.relax(&error) => Box::pin(self.attempt(ix)).await,
            Err(error) => self.failed(link, began, error),
        }
    }

    /// Reads the open attempt up to its next event.
    async fn read(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let event = match self.in_time(open.exchange.next()).await {
            Ok(event) => event,
            Err(error) => Some(StreamEvent::Error { error }),
        };
        match event {
            Some(StreamEvent::Error { error }) => self.broke(&open, error),
            None if open.ended => {
                let attempt = record(open.link, Outcome::Ok, open.began, self.router.clock.now());
                self.over = true;
                self.router.cooldowns().clear(&open.link.identity());
                self.queue.push_back(LiveEvent::Answered { attempt, origin: open.link.origin.clone() });
            }
            None => self.broke(&open, ProviderError::network("the stream ended before its terminal event")),
            Some(event) => {
                let mut out = Vec::new();
                open.filter.push(event, &mut out);
                for event in out {
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
    fn broke(&mut self, open: &Open<'_>, mut error: ProviderError) {
        error.committed = open.committed;
        if open.committed {
            self.queue.push_back(LiveEvent::Discarded { chars: open.shown });
        }
        self.failed(open.link, open.began, error);
    }

    fn failed(&mut self, link: &Link, began: Moment, error: ProviderError) {
        let now = self.router.clock.now();
        let mut attempt = record(link, Outcome::Failed(error.class), began, now);
        attempt.status = error.status;
        attempt.scope = Some(error.scope);
        attempt.retry_after_s = error.retry_after_s;
        self.plan.failed(&error, &mut self.router.cooldowns(), now, jitter());
        self.queue.push_back(LiveEvent::Failed { attempt, error });
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
        outcome,
        status: None,
        scope: None,
        latency_ms: clock::millis(now.since(began)),
        retry_after_s: None,
    }
}

/// Spreads the retries of processes that failed together. Any cheap source will do.
fn jitter() -> f64 {
    u32::from_str_radix(&id::fresh(4), 16).map_or(0.5, |n| f64::from(n) / 65535.0)
}
