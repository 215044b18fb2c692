//! A call in progress: carries out what the plan decides and hands the reply's events up as they come.

use super::admit::{self, Admission, Flight};
use super::event::{LiveEvent, Product};
use super::link::Link;
use super::notice::Notice;
use super::plan::{Plan, Step};
use super::purse::{Purse, Settled};
use super::query::Progress;
use super::reading::{Reading, State, Torn};
use super::receipt::Exhausted;
use super::record;
use super::router::{Operation, Router};
use super::suspect::Suspects;
use crate::base::clock::Moment;
use crate::model::{ProviderError, StreamEvent};
use crate::provider::{Exchange, Refused};
use crate::wire::limits::Limits;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long a wait lasts before another look at what other processes know.
const LOOK: Duration = Duration::from_secs(5);

/// A call in progress.
#[derive(Debug)]
pub struct Live<'r> {
    pub(super) router: &'r Router,
    pub(super) operation: Operation,
    /// What earlier attempts at an operation already have.
    pub(super) progress: Progress,
    pub(super) plan: Plan,
    /// The plan's links as those of the router.
    pub(super) order: Vec<usize>,
    open: Option<Open<'r>>,
    pub(super) queue: VecDeque<LiveEvent>,
    /// The wait that the plan asks for has been announced.
    announced: bool,
    /// The link that is asked again at once, without what it refused.
    again: Option<usize>,
    suspects: Suspects,
    /// The link of the plan that was to be tried when the asker was asked.
    pub(super) asked: Option<usize>,
    /// Another model than the first of this call was tried.
    pub(super) switched: bool,
    /// The links of the plan that sent an event that was torn.
    tore: Vec<usize>,
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
    reading: Reading,
    began: Moment,
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
            suspects: Suspects::default(),
            asked: None,
            switched: false,
            tore: Vec::new(),
            began: router.clock.now(),
            over: false,
        }
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
            // One without a piece that it refused, or no word came against another model.
            if let Some(link) = self.again.take().or(self.asked.take()) {
                self.attempt(link).await;
                continue;
            }
            self.router.show(&mut self.plan, &self.order);
            if !self.plan.tries(self.router.clock.now()) {
                // An attempt looks by itself.
                self.router.look().await;
                self.router.show(&mut self.plan, &self.order);
            }
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
        result.ok_or_else(|| Exhausted { errors: Vec::new(), soonest_s: None, attempts: self.plan.attempts(), held: false })
    }

    /// A link of the plan.
    pub(super) fn link(&self, ix: usize) -> Option<&'r Link> {
        link(self.router, &self.order, ix)
    }

    /// Sends the request over a link.
    async fn attempt(&mut self, ix: usize) {
        let Some(link) = self.link(ix) else { return };
        let began = self.router.clock.now();
        let Operation::Generate(request) = &mut self.operation else {
            return self.query(ix, link, began).await;
        };
        let tools = Arc::clone(&request.tools);
        let admitted = admit::conversation(self.router, link, request).await;
        if !self.stands(ix) {
            return;
        }
        let Admission { encoded, filter, mut flight, notice } = match admitted.map(|a| a.book(began)) {
            Ok(Ok(admission)) => admission,
            Ok(Err((until, why))) => return self.plan.hold(until, why, began),
            Err(why) => return self.plan.forbid(why, began),
        };
        self.goes(link);
        self.tell(notice);
        tracing::debug!(link = link.id, bytes = encoded.len(), attempt = self.plan.attempts(), "sending");
        flight.goes();
        let sent = match self.in_time(link.provider.send(&encoded, &tools)).await {
            Ok(sent) => sent,
            Err(late) => Err(late.into()),
        };
        match sent {
            Ok(exchange) => {
                let skips = self.tore.contains(&ix) && self.plan.alone(ix, self.router.clock.now());
                let torn = if skips { Torn::Skipped } else { Torn::Breaks };
                let reading = Reading::new(filter, link.provider.wire(), torn);
                self.open = Some(Open { ix, link, exchange, flight, reading, began });
            }
            Err(Refused { error, limits }) => {
                let settled = flight.failed(&error, false, &limits, self.router.clock.now()).await;
                if link.relax(&error) {
                    return self.once_more(ix);
                }
                self.failed(ix, link, began, error, settled);
            }
        }
    }

    /// The link is asked again at once, with another request.
    fn once_more(&mut self, ix: usize) {
        self.plan.again();
        self.again = Some(ix);
    }

    /// What other processes know was looked at: whether this link still is the one to be tried.
    pub(super) fn stands(&mut self, ix: usize) -> bool {
        let note = self.router.purse().and_then(Purse::note);
        self.tell(note);
        self.router.show(&mut self.plan, &self.order);
        self.plan.stands(ix, self.router.clock.now())
    }

    pub(super) fn answered(&mut self, link: &Link, began: Moment, limits: Limits, settled: Settled) {
        let now = self.router.clock.now();
        let attempt = record::of(link, None, (began, now), &settled);
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
        let (events, state) = open.reading.next(event);
        for event in events {
            open.flight.heard(&event);
            self.queue.push_back(LiveEvent::Event(event));
        }
        match state {
            State::Goes => self.open = Some(open),
            State::Broke(error) => {
                if open.reading.tore() {
                    self.tore.push(open.ix);
                }
                self.broke(open, error).await;
            }
            State::Whole => {
                let request = if let Operation::Generate(request) = &self.operation { Some(request) } else { None };
                if let Some(request) = request {
                    open.link.took(request.messages.len());
                }
                let limits = open.exchange.limits().clone();
                let settled = open.flight.answered(request, &limits, self.router.clock.now()).await;
                self.answered(open.link, open.began, limits, settled);
            }
        }
    }

    /// The open attempt failed in the middle: what it showed is void.
    async fn broke(&mut self, open: Open<'r>, mut error: ProviderError) {
        self.queue.extend(open.reading.void(&mut error));
        let settled = open.flight.failed(&error, true, open.exchange.limits(), self.router.clock.now()).await;
        self.failed(open.ix, open.link, open.began, error, settled);
    }

    pub(super) fn failed(&mut self, ix: usize, link: &Link, began: Moment, error: ProviderError, settled: Settled) {
        let error = link.hush(error);
        let now = self.router.clock.now();
        let attempt = record::of(link, Some(&error), (began, now), &settled);
        let quarantine = self.suspects.take_out(&mut self.operation, link, &error);
        if quarantine.is_none() {
            self.plan.failed(&error, &mut self.router.health(), now, (self.router.jitter)());
            self.router.failed(link, &error, now);
        }
        self.queue.push_back(LiveEvent::Failed { attempt, error });
        self.tell(settled.notices);
        if let Some(quarantine) = quarantine {
            self.once_more(ix);
            self.queue.push_back(LiveEvent::Quarantined(quarantine));
        }
    }

    /// Runs a future up to the call's deadline.
    pub(super) async fn in_time<T>(&self, future: impl Future<Output = T>) -> Result<T, ProviderError> {
        let Some(deadline) = self.plan.deadline() else { return Ok(future.await) };
        let left = deadline.since(self.router.clock.now());
        let late = |_| ProviderError::timeout("the deadline of this call passed");
        tokio::time::timeout(left, future).await.map_err(late)
    }
}

/// A link of a plan over these.
pub(super) fn link<'r>(router: &'r Router, order: &[usize], ix: usize) -> Option<&'r Link> {
    router.links().get(*order.get(ix)?)
}
