//! Making a conversation smaller while a session runs: when, for which model, and the summary that a model is asked for.
//! How it is done is the slimmer's to decide.

use super::driver::{Compacting, Driver};
use super::event::AgentEvent;
use super::slim::{Limits, Recall, Slimmed, Step, Why};
use super::turn::Turn;
use crate::base::Failure;
use crate::model::history::Checker;
use crate::model::{Accumulator, Class, History, ProviderError, Request, Role, Usage};
use crate::route::{Ask, Link, LiveEvent, Operation, Rest};
use std::time::{Duration, Instant};

/// How often one call is begun anew because the conversation was too long.
const AGAIN: u32 = 3;
/// A summary that takes longer is gone without.
const PATIENCE: Duration = Duration::from_secs(90);

/// The limits of a link, as far as the catalogue knows them.
pub fn limits_of(link: &Link) -> Limits {
    let dialect = link.provider.dialect();
    Limits::of(link.slimmer.as_ref(), dialect.window, dialect.default_output)
}

/// What a summary cost.
type Summary = (Option<String>, Usage);

impl Driver<'_> {
    /// Makes the conversation smaller, where that is due.
    pub(super) async fn slim(&mut self, turn: &mut Turn) -> Result<(), Failure> {
        let Some((_, limits)) = self.limits().filter(|_| self.compacting == Compacting::On) else { return Ok(()) };
        let count = self.slimmer.count(turn.history(), &self.tools());
        if !self.slimmer.due(count, &limits) {
            return Ok(());
        }
        let history = turn.history().clone();
        match self.compact(&history, limits, Why::Limit).await? {
            Some((slimmed, usage)) => {
                turn.slimmed(slimmed.history);
                turn.spent(&usage);
            }
            None => self.slimmer.kept(count.tokens),
        }
        Ok(())
    }

    /// The user wants the conversation smaller. `None`: nothing can be taken out.
    pub async fn compact_now(&mut self, history: &History) -> Result<Option<Slimmed>, Failure> {
        let Some((_, limits)) = self.limits() else { return Ok(None) };
        Ok(self.compact(history, limits, Why::Asked).await?.map(|(slimmed, _)| slimmed))
    }

    async fn compact(&mut self, history: &History, limits: Limits, why: Why) -> Result<Option<(Slimmed, Usage)>, Failure> {
        let tools = self.tools();
        let (slimmed, usage) = match self.slimmer.begin(history, &tools, limits, self.recall(), why) {
            Step::Keep => return Ok(None),
            Step::Done(slimmed) => (*slimmed, Usage::default()),
            Step::Summarise(job) => {
                let (summary, usage) = self.summary(job.request()).await?;
                if self.stopper.cause().is_some() {
                    return Ok(None);
                }
                (job.finish(summary.as_deref()), usage)
            }
        };
        self.scribe.messages(history)?;
        self.scribe.compaction(&slimmed.compaction, slimmed.history.len())?;
        let fresh = history.iter().rev().take_while(|m| m.role != Role::Assistant).count();
        self.router.shortened(slimmed.history.len(), fresh);
        *self.checker = Checker::default();
        self.slimmer.took(&slimmed, &tools, &limits);
        self.sink.emit(AgentEvent::Compacted { slimmed: &slimmed });
        Ok(Some((slimmed, usage)))
    }

    fn recall(&self) -> Recall {
        if self.offers.recalls() { Recall::Offered } else { Recall::Missing }
    }

    /// The link that would be asked now, and its limits.
    fn limits(&self) -> Option<(String, Limits)> {
        let rests = self.router.rests();
        let ready = rests.iter().find(|(_, rest)| *rest == Rest::Ready).or(rests.first());
        ready.map(|(link, _)| (link.id.clone(), self.slimmer.limits(&link.id, limits_of(link))))
    }

    /// After a failed attempt: whether the conversation is better made smaller than sent to the next link as it is. That is
    /// so where the model says that it is too long, or the next one's maximum does; and where it can be made smaller
    /// without touching what is pinned. Else a link with a larger window may take it.
    pub(super) fn too_long(&mut self, turn: &Turn, link: &str, error: &ProviderError) -> bool {
        if self.compacting == Compacting::Off || self.shortened >= AGAIN {
            return false;
        }
        let (history, tools) = (turn.history(), self.tools());
        let tokens = self.slimmer.count(history, &tools).tokens;
        let limits = if error.class == Class::ContextTooLong {
            self.slimmer.refused(link, tokens);
            self.router.links().iter().find(|l| l.id == link).map(|l| self.slimmer.limits(&l.id, limits_of(l)))
        } else {
            let rests = self.router.rests();
            let next = rests.into_iter().find(|(_, rest)| *rest == Rest::Ready).filter(|(l, _)| l.id != link);
            next.map(|(l, _)| self.slimmer.limits(&l.id, limits_of(l))).filter(|l| tokens > l.most)
        };
        let Some(limits) = limits else { return false };
        match self.slimmer.begin(history, &tools, limits, self.recall(), Why::Limit) {
            Step::Keep => false,
            Step::Done(slimmed) => slimmed.fits && slimmed.did.squeezed.pinned == 0,
            Step::Summarise(_) => true,
        }
    }

    /// Asks a model for a summary, through the same door as everything else. What comes of it is journalled and counted;
    /// a failure only means that there is none.
    async fn summary(&mut self, request: Request) -> Result<Summary, Failure> {
        let left = self.until.map_or(PATIENCE, |(at, _)| at.saturating_duration_since(Instant::now()).min(PATIENCE));
        let mut live = self.router.start(Ask { operation: Operation::Generate(request), deadline: Some(left) });
        let (mut reply, mut usage, mut answered) = (Accumulator::default(), Usage::default(), None);
        loop {
            let event = tokio::select! {
                biased;
                () = self.stopper.token().cancelled() => return Ok((None, usage)),
                event = live.next() => event,
            };
            match event {
                Some(LiveEvent::Event(event)) => reply.push(&event),
                Some(LiveEvent::Discarded { .. }) => reply = Accumulator::default(),
                Some(LiveEvent::Failed { attempt, error }) => {
                    self.scribe.attempt(&attempt)?;
                    self.sink.emit(AgentEvent::AttemptFailed { attempt: &attempt, error: &error, discarded_chars: 0 });
                    self.attempts.push(attempt);
                }
                Some(LiveEvent::Answered { attempt, .. }) => {
                    self.scribe.attempt(&attempt)?;
                    answered = Some((attempt.model.clone(), attempt.provider.clone(), attempt.cost_usd));
                    self.attempts.push(attempt);
                }
                Some(LiveEvent::GaveUp(report)) => {
                    tracing::warn!(why = report.failure().message, "no summary; going on without one");
                    return Ok((None, usage));
                }
                Some(LiveEvent::Notice(notice)) => self.sink.emit(AgentEvent::Notice { notice: &notice }),
                // A summary is not worth a question.
                Some(LiveEvent::MaySwitch { .. }) => live.stay(),
                Some(LiveEvent::Result(_) | LiveEvent::Quarantined(_) | LiveEvent::Gated { .. } | LiveEvent::Waiting { .. }) => {}
                None => break,
            }
        }
        let reply = reply.finish();
        if let Some((model, provider, cost)) = answered {
            usage = reply.usage;
            self.scribe.usage(&model, &provider, &usage, cost)?;
            self.sink.emit(AgentEvent::Usage { usage: &usage, model: &model });
        }
        Ok((Some(reply.message.joined_text()), usage))
    }
}
