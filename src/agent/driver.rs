//! Carries out the turn machine's steps: model calls through the router, tools through their registry, everything that
//! happened to the journal and to the face. It decides nothing that the machine, the plan or the policy decide.

use super::border::Border;
use super::cancel::Stopper;
use super::event::{AgentEvent, Approver, EventSink};
use super::policy::{self, Decision, Kind};
use super::scribe::Scribe;
use super::slim::Slimmer;
use super::steps::Steps;
use super::turn::{Outcome, Ran, Step, Turn};
use crate::base::{Cause, Failure};
use crate::config::Approve;
use crate::model::history::Checker;
use crate::model::{Accumulator, Delta, Reply, Request, StreamEvent, ToolCall, ToolResult, ToolSpec};
use crate::route::{self, Ask, Attempt, Exhausted, LiveEvent, Operation, Router};
use crate::tool::person::Asked;
use crate::tool::{self, Context, FileChange, Registry, ToolError};
use crate::workspace::checkpoint::{About, Open};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What a run needs. Lives as long as the run.
pub struct Driver<'a> {
    pub router: &'a Router,
    pub registry: &'a Registry,
    /// The tools once something was taken out of the conversation; none where it cannot be found again.
    pub recalling: Option<&'a Registry>,
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
        self.recalling.filter(|_| self.slimmer.has_gaps()).unwrap_or(self.registry)
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

    async fn call_model(&mut self, turn: &mut Turn) -> Result<Called, Failure> {
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
        if reply.stop == crate::model::Stop::Unknown {
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
        let question = super::event::Question { tool: "failover", line: &line, preview: None };
        let token = self.stopper.token().clone();
        let answer = tokio::select! {
            biased;
            () = token.cancelled() => super::event::Answer::No,
            answer = self.approver.ask(question) => answer,
        };
        self.switches = answer == super::event::Answer::Always;
        answer != super::event::Answer::No
    }

    fn show(&mut self, event: &StreamEvent) {
        match event {
            StreamEvent::Delta { delta: Delta::Text { text }, .. } => self.sink.emit(AgentEvent::Text { text }),
            StreamEvent::Delta { delta: Delta::Thinking { text }, .. } => self.sink.emit(AgentEvent::Thinking { text }),
            StreamEvent::Unknown { raw } => {
                tracing::warn!(event = crate::base::text::one_line(raw, 200), "skipped an event that could not be read");
            }
            _ => {}
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

    async fn run_tools(&mut self, turn: &mut Turn, calls: &[ToolCall]) -> Result<(), Failure> {
        let kinds: Vec<Option<Kind>> = calls.iter().map(|c| self.kind(c)).collect();
        for batch in policy::batches(&kinds) {
            if self.stopper.cause().is_some() {
                return Ok(());
            }
            let (Some(calls), Some(kinds)) = (calls.get(batch.clone()), kinds.get(batch)) else { continue };
            match (calls, kinds) {
                ([call], [Some(kind)]) => self.effect(turn, call, *kind).await?,
                (calls, _) => self.reads(turn, calls).await?,
            }
        }
        Ok(())
    }

    /// A call whose effect cannot be told (unknown tool, wrong arguments) has none: running it only says so.
    fn kind(&self, call: &ToolCall) -> Option<Kind> {
        let (tool, args) = (self.registry().get(&call.name)?, call.args().ok()?);
        tool.effect(&args, self.context).ok().and_then(|e| Kind::of(&e))
    }

    /// Calls that only read, side by side.
    async fn reads(&mut self, turn: &mut Turn, calls: &[ToolCall]) -> Result<(), Failure> {
        for call in calls {
            self.announce(call);
        }
        let (registry, context, token) = (self.registry(), self.context, self.stopper.token().clone());
        let running = calls.iter().map(|call| run_one(registry, context, &token, call));
        let mut running = std::pin::pin!(futures_util::future::join_all(running));
        let results = loop {
            tokio::select! {
                results = &mut running => break results,
                Some(asked) = self.inquiries.recv() => self.border.inquire(asked, self.approver, &token).await,
            }
        };
        for (call, result) in calls.iter().zip(results) {
            self.settle(turn, call, result?, Ran::Allowed(None));
        }
        Ok(())
    }

    /// A call with an effect: asked about, journalled before and after, alone.
    async fn effect(&mut self, turn: &mut Turn, call: &ToolCall, kind: Kind) -> Result<(), Failure> {
        self.announce(call);
        if let Some(refusal) = self.refused(call, kind).await {
            let done = Done { ok: false, text: refusal, summary: "denied".to_owned(), diff: None, changes: Vec::new() };
            self.settle(turn, call, done, Ran::Denied(kind));
            return Ok(());
        }
        let args = call.args().unwrap_or_default();
        let changes = self.registry().get(&call.name).and_then(|t| t.plan(&args, self.context).ok()).unwrap_or_default();
        let begun = self.checkpoint(call, &args).await;
        self.scribe.intent(call, kind, &changes, begun.as_ref().map(Open::id))?;
        let (registry, token) = (self.registry(), self.stopper.token().clone());
        let context = self.context;
        let mut running = std::pin::pin!(run_one(registry, context, &token, call));
        let done = loop {
            tokio::select! {
                done = &mut running => break done?,
                Some((id, text)) = self.output.recv() => self.sink.emit(AgentEvent::ToolOutput { id: &id, text: &text }),
            }
        };
        while let Ok((id, text)) = self.output.try_recv() {
            self.sink.emit(AgentEvent::ToolOutput { id: &id, text: &text });
        }
        if let Some(open) = begun {
            self.steps.end(open);
        }
        self.scribe.receipt(call, done.ok, &done.text, &done.changes)?;
        self.settle(turn, call, done, Ran::Allowed(Some(kind)));
        Ok(())
    }

    /// Keeps what the call may change. Without that it runs all the same, and the user knows.
    async fn checkpoint(&mut self, call: &ToolCall, args: &tool::Args) -> Option<Open> {
        let tool = self.registry().get(&call.name)?;
        let effect = tool.effect(args, self.context).ok()?;
        let about = About {
            session: self.context.session.as_deref().map(str::to_owned),
            call: call.id.clone(),
            tool: call.name.clone(),
            line: self.context.redactor.redact(&tool.describe(args)).into_owned(),
        };
        let (open, notes) = self.steps.begin(about, &effect).await;
        for note in notes {
            self.sink.emit(AgentEvent::Warning { text: &note });
        }
        open
    }

    /// Why the call may not run, if it may not.
    async fn refused(&mut self, call: &ToolCall, kind: Kind) -> Option<String> {
        let asked = match policy::decide(self.approve, Some(kind)) {
            Decision::Allow => return None,
            Decision::Deny => false,
            Decision::Ask => {
                if kind == Kind::Exec {
                    self.steps.warm();
                }
                let args = call.args().unwrap_or_default();
                let tool = self.registry().get(&call.name)?;
                let question =
                    super::event::Question { tool: &call.name, line: &tool.describe(&args), preview: tool.preview(&args, self.context) };
                let token = self.stopper.token().clone();
                let answer = tokio::select! {
                    biased;
                    () = token.cancelled() => super::event::Answer::No,
                    answer = self.approver.ask(question) => answer,
                };
                match answer {
                    super::event::Answer::Yes => return None,
                    super::event::Answer::Always => {
                        self.approve = policy::widened(kind);
                        return None;
                    }
                    super::event::Answer::No => true,
                }
            }
        };
        let who = match self.approve {
            _ if asked => "the user did not allow it",
            Approve::Plan => "plan mode is on: look, think and give the plan",
            _ => "this run may only read",
        };
        Some(format!("Error: denied, {who}. Nothing was run. Do what you can without it, or say what is needed."))
    }

    fn announce(&mut self, call: &ToolCall) {
        let args = call.args().unwrap_or_default();
        let line = self.registry().get(&call.name).map_or_else(|| call.name.clone(), |t| t.describe(&args));
        self.sink.emit(AgentEvent::ToolCall { id: &call.id, name: &call.name, args: &serde_json::Value::Object(args), line: &line });
    }

    fn settle(&mut self, turn: &mut Turn, call: &ToolCall, done: Done, ran: Ran) {
        let Done { ok, text, summary, diff, .. } = done;
        self.border.touch(call, self.registry(), self.context);
        self.sink.emit(AgentEvent::ToolResult {
            id: &call.id,
            name: &call.name,
            ok,
            summary: &summary,
            output: &text,
            diff: diff.as_deref(),
        });
        turn.tool_done(ToolResult::text(&call.id, text, !ok), ran);
    }
}

enum Called {
    Replied(Box<Reply>),
    GaveUp(Exhausted),
    /// The conversation has to be made smaller first.
    TooLong,
    Stopped,
}

/// A call's result, as the model and people get it.
struct Done {
    ok: bool,
    text: String,
    summary: String,
    diff: Option<String>,
    changes: Vec<FileChange>,
}

async fn run_one(
    registry: &Registry,
    context: &Context,
    token: &tokio_util::sync::CancellationToken,
    call: &ToolCall,
) -> Result<Done, Failure> {
    let failed = |text: String| {
        let summary = crate::base::text::one_line(&text, 120);
        Done { ok: false, text: format!("Error: {text}"), summary, diff: None, changes: Vec::new() }
    };
    let Some(tool) = registry.get(&call.name) else {
        return Ok(failed(registry.unknown(&call.name)));
    };
    let args = match call.args() {
        Ok(args) => args,
        Err(e) => return Ok(failed(e.to_string())),
    };
    match tool::call(tool.as_ref(), &args, &context.for_call(&call.id, token.child_token())).await {
        Ok(out) => Ok(Done { ok: true, text: out.text, summary: out.summary, diff: out.diff, changes: out.changes }),
        Err(ToolError::Model(text)) => Ok(failed(text)),
        Err(ToolError::Fatal(failure)) => Err(failure),
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
