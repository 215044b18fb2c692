//! Carries out the turn machine's steps: model calls through the router, tools through their registry, everything that
//! happened to the journal and to the face. It decides nothing that the machine, the plan or the policy decide.

use super::border::Border;
use super::cancel::Stopper;
use super::event::{AgentEvent, Approver, EventSink};
use super::model_call::Called;
use super::scribe::Scribe;
use super::slim::Slimmer;
use super::steps::Steps;
use super::turn::{Outcome, Step, Turn};
use crate::base::{Cause, Failure};
use crate::config::Approve;
use crate::model::ToolSpec;
use crate::model::history::Checker;
use crate::route::{Attempt, Exhausted, Router};
use crate::tool::person::Asked;
use crate::tool::{Context, Offers, Registry};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What a run needs. Lives as long as the run.
pub struct Driver<'a> {
    pub router: &'a Router,
    pub offers: &'a Offers,
    pub context: &'a Context,
    /// Live output of commands, from the context's call events.
    pub output: &'a mut mpsc::UnboundedReceiver<(String, String)>,
    pub scribe: &'a Scribe,
    /// Takes a checkpoint around each effect, where checkpoints are kept.
    pub steps: &'a mut Steps,
    /// What reaches the model between its calls.
    pub border: &'a mut Border,
    /// Questions of running tools to the user.
    pub inquiries: &'a mut mpsc::UnboundedReceiver<Asked>,
    pub sink: &'a mut dyn EventSink,
    pub approver: &'a mut dyn Approver,
    pub approve: Approve,
    pub stopper: Stopper,
    /// When the whole run must be over, and how long that was.
    pub until: Option<(Instant, Duration)>,
    pub temperature: Option<f64>,
    pub checker: &'a mut Checker,
    pub slimmer: &'a mut Slimmer,
    pub compacting: Compacting,
    /// How often the call that is being made was begun anew because the conversation was too long.
    pub shortened: u32,
    pub attempts: Vec<Attempt>,
    /// Other models may go on without a question.
    pub switches: bool,
}

/// Whether a conversation that is too long is made smaller by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compacting {
    On,
    Off,
}

impl<'a> Driver<'a> {
    /// The tools that the model has now.
    pub(super) fn registry(&self) -> &'a Registry {
        self.offers.at(self.slimmer.has_gaps(), self.context.jobs.any())
    }

    pub(super) fn tools(&self) -> Arc<[ToolSpec]> {
        self.registry().specs()
    }

    /// Runs the turn to its end. An `Err` is a failure of pup's own surroundings (journal, bug), not of the turn.
    pub async fn run(&mut self, turn: &mut Turn) -> Result<Outcome, Failure> {
        loop {
            self.scribe.messages(turn.history())?;
            if let Some(cause) = self.stopper.cause() {
                stop(turn, cause, self.until);
            }
            self.border.cross(turn, self.context, self.sink);
            match turn.step() {
                Step::CallModel => {
                    self.scribe.messages(turn.history())?;
                    self.slim(turn).await?;
                    self.check(turn)?;
                    self.sink.emit(AgentEvent::TurnStart { turn: turn.turns() });
                    match self.call_model(turn).await? {
                        Called::Replied(reply) => {
                            self.shortened = 0;
                            self.border.hear(turn);
                            turn.replied(*reply);
                        }
                        Called::TooLong => self.shortened += 1,
                        Called::GaveUp(report) => self.gave_up(turn, &report),
                        Called::Stopped => {}
                    }
                }
                Step::RunTools(calls) => self.run_tools(turn, &calls).await?,
                Step::Finish(outcome) => {
                    self.scribe.messages(turn.history())?;
                    return Ok(outcome);
                }
            }
        }
    }

    /// No request leaves with a broken history: a provider would refuse this and every later one.
    fn check(&mut self, turn: &Turn) -> Result<(), Failure> {
        let history = turn.history();
        let mut found = Vec::new();
        for message in history.iter().skip(self.checker.seen()) {
            found.extend(self.checker.push(message));
        }
        found.extend(self.checker.pending());
        match found.first() {
            None => Ok(()),
            Some(first) => {
                Err(Failure::internal(format!("the history is not valid: {first}")).hint("please report this with the session's journal"))
            }
        }
    }

    /// Every link failed, or the run's time ran out during the only attempt.
    fn gave_up(&self, turn: &mut Turn, report: &Exhausted) {
        let failure = report.failure();
        let out_of_time = self.until.is_some_and(|(at, _)| Instant::now() >= at);
        if out_of_time && report.attempts <= 1 && failure.cause == Cause::Exhausted {
            return stop(turn, Cause::Limit, self.until);
        }
        turn.stop(failure.cause, Some(failure.message), failure.hint);
    }
}

/// Ends the turn for a reason from outside.
fn stop(turn: &mut Turn, cause: Cause, until: Option<(Instant, Duration)>) {
    let message = match (cause, until) {
        (Cause::Limit, Some((_, time))) => format!("the time limit of {} s is reached", time.as_secs()),
        (Cause::Terminated, _) => "terminated".to_owned(),
        _ => "interrupted".to_owned(),
    };
    let hint = (cause == Cause::Limit).then(|| "raise it with `--timeout 30m`".to_owned());
    turn.stop(cause, Some(message), hint);
}
