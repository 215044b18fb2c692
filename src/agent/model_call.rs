//! One call to a model: its events to the face, its attempts to the journal, its reply to the turn.

use super::driver::Driver;
use super::event::{AgentEvent, Answer, Question};
use super::turn::Turn;
use crate::base::{Failure, text};
use crate::model::{Accumulator, Delta, Reply, Request, Stop, StreamEvent};
use crate::route::{self, Ask, Attempt, Exhausted, LiveEvent, Operation};
use std::time::Instant;

/// What came of it.
pub(super) enum Called {
    Replied(Box<Reply>),
    GaveUp(Exhausted),
    /// The conversation has to be made smaller first.
    TooLong,
    Stopped,
}

impl Driver<'_> {
    pub(super) async fn call_model(&mut self, turn: &mut Turn) -> Result<Called, Failure> {
        let request = Request {
            messages: turn.history().clone(),
            tools: self.tools(),
            temperature: self.temperature,
            stream: true,
            ..Request::default()
        };
        let deadline = self.until.map(|(at, _)| at.saturating_duration_since(Instant::now()));
        let mut live = self.router.start(Ask { operation: Operation::Generate(request), deadline });
        let mut reply = Accumulator::default();
        let mut discarded = 0;
        let mut answered = None;
        loop {
            let event = tokio::select! {
                biased;
                () = self.stopper.token().cancelled() => return Ok(Called::Stopped),
                event = live.next() => event,
            };
            match event {
                Some(LiveEvent::Event(event)) => {
                    reply.push(&event);
                    self.show(&event);
                }
                Some(LiveEvent::Discarded { chars }) => {
                    reply = Accumulator::default();
                    discarded = chars;
                }
                Some(LiveEvent::Failed { attempt, error }) => {
                    self.scribe.attempt(&attempt)?;
                    let discarded_chars = std::mem::take(&mut discarded);
                    if discarded_chars > 0 {
                        self.scribe.discarded(&attempt, discarded_chars, error.class.as_str())?;
                    }
                    self.sink.emit(AgentEvent::AttemptFailed { attempt: &attempt, error: &error, discarded_chars });
                    let too_long = self.too_long(turn, &attempt.model, &error);
                    self.attempts.push(attempt);
                    if too_long {
                        return Ok(Called::TooLong);
                    }
                }
                // Only an operation that is no answer has one.
                Some(LiveEvent::Result(_)) => {}
                Some(LiveEvent::Answered { attempt, origin: from, .. }) => {
                    self.scribe.attempt(&attempt)?;
                    answered = Some((attempt.clone(), from));
                    self.attempts.push(attempt);
                }
                Some(LiveEvent::Quarantined(quarantine)) => {
                    self.scribe.quarantine(&quarantine)?;
                    turn.set_aside(&quarantine);
                    self.sink.emit(AgentEvent::Warning { text: &route::told(&quarantine) });
                }
                Some(LiveEvent::Gated { link, lacks, passed_over }) => {
                    self.sink.emit(AgentEvent::Warning { text: &route::lacking(&link, &lacks, passed_over) });
                }
                Some(LiveEvent::Notice(notice)) => self.sink.emit(AgentEvent::Notice { notice: &notice }),
                Some(LiveEvent::MaySwitch { from, to, why }) => {
                    if !self.may_switch(&from, &to, &why).await {
                        live.stay();
                    }
                }
                Some(LiveEvent::Waiting { pause, link }) => self.sink.emit(AgentEvent::Waiting { pause, link: &link }),
                Some(LiveEvent::GaveUp(report)) => return Ok(Called::GaveUp(report)),
                None => break,
            }
        }
        let mut reply = reply.finish();
        if let Some((Attempt { model, provider, cost_usd, .. }, origin)) = answered {
            self.scribe.reply(&model, &provider, &reply, cost_usd)?;
            self.slimmer.reported(turn.history(), &self.tools(), &reply.usage);
            reply.message.origin = Some(origin);
            self.sink.emit(AgentEvent::Usage { usage: &reply.usage, model: &model });
        }
        if reply.stop == Stop::Unknown {
            let word = reply.reason.as_deref().unwrap_or("nothing");
            self.sink.emit(AgentEvent::Warning { text: &format!("the provider stopped with an unknown reason: {word}") });
        }
        Ok(Called::Replied(Box::new(reply)))
    }

    /// Whether another model may go on.
    async fn may_switch(&mut self, from: &str, to: &str, why: &str) -> bool {
        if self.switches {
            return true;
        }
        let line = format!("going on with {to} instead of {from} ({why})");
        let question = Question { tool: "failover", line: &line, preview: None };
        let token = self.stopper.token().clone();
        let answer = tokio::select! {
            biased;
            () = token.cancelled() => Answer::No,
            answer = self.approver.ask(question) => answer,
        };
        self.switches = answer == Answer::Always;
        answer != Answer::No
    }

    fn show(&mut self, event: &StreamEvent) {
        match event {
            StreamEvent::Delta { delta: Delta::Text { text }, .. } => self.sink.emit(AgentEvent::Text { text }),
            StreamEvent::Delta { delta: Delta::Thinking { text }, .. } => self.sink.emit(AgentEvent::Thinking { text }),
            StreamEvent::Unknown { raw } => {
                tracing::warn!(event = text::one_line(raw, 200), "skipped an event that could not be read");
            }
            _ => {}
        }
    }
}
