//! The sessions of agents that work for another one, driven beside its own: begun as the governor lets them, shown on the
//! same face, ended with it. They are part of the session's own future, so nothing of them can outlive it.

use super::engine::{Below, Engine, Report};
use super::home::Home;
use super::resume::Taken;
use super::shared_face::{SharedFace, Theirs};
use crate::agent::delegate::governor::{Class, Governor, Step};
use crate::agent::delegate::{Ended, Office, Order};
use crate::agent::turn::Outcome;
use crate::agent::{Approve, ChildEvent, Stopper};
use crate::base::clock::Clock;
use crate::base::places::Places;
use crate::base::{Cause, Failure};
use crate::route::{Purse, Rules};
use crate::session;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// What all of these sessions have in common with the one that they work for.
pub struct House {
    pub home: Home,
    pub places: Option<Places>,
    pub purse: Option<Purse>,
    pub rules: Rules,
    /// The session that pays, and its run.
    pub payer: Option<String>,
    pub run: String,
    pub approve: Rc<Cell<Approve>>,
    pub office: Office,
    pub stopper: Stopper,
    pub until: Option<(Instant, Duration)>,
}

type Waiting = (oneshot::Sender<Ended>, Ended);
type Work<'s> = Pin<Box<dyn Future<Output = (Order, Ended)> + 's>>;

/// Who works and who waits.
pub struct Nursery<'s, 'a> {
    house: &'s House,
    face: &'s SharedFace<'a>,
    orders: mpsc::UnboundedReceiver<Order>,
    clock: Clock,
    governor: Governor,
    queued: BTreeMap<String, Order>,
    running: FuturesUnordered<Work<'s>>,
    /// Those that work, by whether they wait for others: for how many, and the answers that are there.
    resting: BTreeMap<String, (usize, Vec<Waiting>)>,
    at_work: Vec<String>,
    ended: Vec<Ended>,
}

impl<'s, 'a> Nursery<'s, 'a> {
    pub fn new(house: &'s House, face: &'s SharedFace<'a>, orders: mpsc::UnboundedReceiver<Order>) -> Self {
        Self {
            house,
            face,
            orders,
            clock: Clock::system(),
            governor: Governor::new(house.home.seats()),
            queued: BTreeMap::new(),
            running: FuturesUnordered::new(),
            resting: BTreeMap::new(),
            at_work: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Drives them for as long as it is polled.
    pub async fn attend(&mut self) -> Infallible {
        loop {
            self.turn().await;
        }
    }

    /// Drives them until nobody is left.
    pub async fn finish(&mut self) {
        while self.is_busy() {
            self.turn().await;
        }
    }

    /// Stops all of them, and waits until they have ended what they had begun.
    pub async fn close(mut self) -> (mpsc::UnboundedReceiver<Order>, Vec<Ended>) {
        if self.is_busy() {
            self.house.stopper.stop(Cause::Interrupted);
            self.finish().await;
        }
        (self.orders, self.ended)
    }

    fn is_busy(&self) -> bool {
        !self.queued.is_empty() || !self.running.is_empty() || !self.orders.is_empty()
    }

    /// An errand that is not new: its session is taken up where there is one.
    pub fn take(&mut self, order: Order) {
        let parent = order.parent.clone();
        if order.tell.is_some() && self.at_work.contains(&parent) {
            let resting = self.resting.entry(parent.clone()).or_insert_with(|| {
                self.governor.rests(&parent);
                (0, Vec::new())
            });
            resting.0 += 1;
        }
        self.governor.ask(&order.id, Class::of(order.workload));
        self.queued.insert(order.id.clone(), order);
    }

    /// Until something has happened, and what follows from it.
    async fn turn(&mut self) {
        if let Some(cause) = self.house.stopper.cause() {
            self.give_up(cause);
        }
        let wake = self.begin();
        let stopping = self.house.stopper.cause().is_some();
        tokio::select! {
            biased;
            () = self.house.stopper.token().cancelled(), if !stopping => {}
            Some(order) = self.orders.recv() => self.take(order),
            Some((order, ended)) = self.running.next(), if !self.running.is_empty() => self.over(order, ended),
            () = tokio::time::sleep(wake.unwrap_or(Duration::MAX)), if wake.is_some() => {}
        }
    }

    /// Everybody begins or goes on that may. The time until the next one may.
    fn begin(&mut self) -> Option<Duration> {
        loop {
            let now = self.clock.now();
            match self.governor.step(now) {
                Step::Go(id) => {
                    if let Some((_, answers)) = self.resting.remove(&id) {
                        answers.into_iter().for_each(answer);
                    } else if let Some(order) = self.queued.remove(&id) {
                        self.at_work.push(id);
                        self.running.push(Box::pin(work(self.house, self.face, order)));
                    }
                }
                Step::Wait(until) => return Some(until.since(now)),
                Step::Idle => return None,
            }
        }
    }

    /// The run is stopped: nobody begins any more, and nobody waits for a place.
    fn give_up(&mut self, cause: Cause) {
        for (id, order) in std::mem::take(&mut self.queued) {
            self.governor.done(&id, false);
            let outcome = Outcome { cause, message: Some("stopped before it began".to_owned()), hint: None };
            let ended = Ended::without_work(&id, &order.agent, outcome);
            self.tell(order, ended);
        }
        for (_, answers) in self.resting.values_mut() {
            std::mem::take(answers).into_iter().for_each(answer);
        }
    }

    fn over(&mut self, order: Order, ended: Ended) {
        let rested = self.resting.remove(&order.id);
        self.governor.done(&order.id, rested.is_none());
        self.at_work.retain(|id| *id != order.id);
        self.ended.push(ended.clone());
        self.tell(order, ended);
    }

    /// Hands an answer to whoever waits for it, once that one may go on.
    fn tell(&mut self, order: Order, ended: Ended) {
        self.house.office.board.ended(&ended);
        let Some(tell) = order.tell else { return };
        match self.resting.get_mut(&order.parent) {
            Some((left, answers)) => {
                *left = left.saturating_sub(1);
                answers.push((tell, ended));
                if *left == 0 {
                    self.governor.wants_on(&order.parent);
                }
            }
            None => answer((tell, ended)),
        }
    }
}

/// Whoever asked may be gone.
fn answer((tell, ended): Waiting) {
    let _ = tell.send(ended);
}

/// One errand from its beginning, or from where it was cut off, to its end.
async fn work<'s>(house: &'s House, face: &'s SharedFace<'_>, order: Order) -> (Order, Ended) {
    let theirs = || Theirs { face, board: house.office.board.clone(), id: order.id.clone(), agent: order.agent.clone() };
    let (mut sink, mut approver) = (theirs(), theirs());
    sink.tell(ChildEvent::Begins { parent: &order.parent, call: &order.call, prompt: &order.prompt });
    house.office.board.works(&order.id, Some(0), None);
    let ended = match Box::pin(session_of(house, &order, &mut sink, &mut approver)).await {
        Ok(report) => Ended {
            answer: report.answer,
            denied: report.denied,
            turns: report.turns,
            tool_calls: report.tool_calls,
            usage: report.usage,
            attempts: report.attempts,
            ..Ended::without_work(&order.id, &order.agent, report.outcome)
        },
        Err(failure) => Ended::without_work(&order.id, &order.agent, failure.into()),
    };
    sink.tell(ChildEvent::Ended(&ended));
    (order, ended)
}

async fn session_of(house: &House, order: &Order, sink: &mut Theirs<'_, '_>, approver: &mut Theirs<'_, '_>) -> Result<Report, Failure> {
    let agent = house.home.app.agents.get(&order.agent)?;
    let purse = house.purse.as_ref().map_or_else(|| house.home.app.purse(None), Purse::share);
    let mut parts = house.home.parts(agent, house.approve.get(), house.places.clone(), purse, house.rules)?;
    parts.below = Some(Below {
        id: order.id.clone(),
        parent: order.parent.clone(),
        payer: house.payer.clone(),
        run: house.run.clone(),
        above: order.above.clone(),
        approve: Rc::clone(&house.approve),
        office: house.office.clone(),
    });
    let stopper = house.stopper.below();
    let known = house.places.as_ref().filter(|places| session::journal_path(places, &order.id).is_file());
    let Some(places) = known else {
        let mut engine = Engine::open(parts, &order.prompt)?;
        return Ok(engine.work_below(order.prompt.clone(), sink, approver, stopper, house.until).await);
    };
    let taken = Taken::open(places, &order.id, parts.redactor.clone())?;
    if let Some(report) = taken.ended() {
        return Ok(report);
    }
    let (mut engine, notes) = Engine::resume(parts, taken, None).await?;
    for note in &notes {
        crate::agent::EventSink::emit(sink, crate::agent::AgentEvent::Warning { text: note });
    }
    let report = engine.go_on_below(sink, approver, stopper, house.until).await;
    report.ok_or_else(|| Failure::internal(format!("nothing is left to do in session {}", order.id)))
}
