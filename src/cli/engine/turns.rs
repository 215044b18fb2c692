//! A session's turns: how each begins, who works on it, and how it ends.

use super::{Engine, Report};
use crate::agent::compact::limits_of;
use crate::agent::delegate::Chief;
use crate::agent::{AgentEvent, Approve, Approver, Driver, EventSink, Stopper, Turn, plan_mode};
use crate::base::Failure;
use crate::cli::begun::{Begun, bound};
use crate::cli::nursery::{House, Nursery};
use crate::cli::shared_face::{Own, SharedFace};
use crate::route::{Attempt, Outcome, Purse};
use crate::tool::Delegate;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Engine {
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
    pub(in crate::cli) async fn work_below(
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
    pub(in crate::cli) async fn go_on_below(
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

    /// What carries out one turn.
    pub(super) fn driver<'a>(
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
        let answered = attempts.iter().rev().find(|a| a.outcome == Outcome::Ok).or(attempts.last());
        let link = answered.and_then(|a| self.router.links().iter().find(|l| l.id == a.model)).or(self.router.links().first());
        let report = Report {
            answer: turn.answer(),
            denied: turn.still_denied(),
            turns: turn.turns(),
            tool_calls: turn.tool_calls(),
            usage: *turn.usage(),
            cost_usd: Attempt::cost_of(&attempts),
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
