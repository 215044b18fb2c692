//! A round of tool calls: those that only read side by side, each with an effect alone, asked about and journalled.

use super::driver::Driver;
use super::event::{AgentEvent, Answer, Question};
use super::policy::{self, Decision, Kind};
use super::turn::{Ran, Turn};
use crate::base::{Failure, text};
use crate::config::Approve;
use crate::model::{ToolCall, ToolResult};
use crate::tool::{self, Context, FileChange, Registry, ToolError};
use crate::workspace::checkpoint::{About, Open};
use tokio_util::sync::CancellationToken;

impl Driver<'_> {
    pub(super) async fn run_tools(&mut self, turn: &mut Turn, calls: &[ToolCall]) -> Result<(), Failure> {
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
            let done = Done { ok: false, text: refusal, summary: "denied".to_owned(), diff: None, changes: Vec::new(), denied: Vec::new() };
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
            self.steps.end(open, self.background());
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
        let (open, notes) = self.steps.begin(about, &effect, self.context.jobs.running().is_some()).await;
        for note in notes {
            self.sink.emit(AgentEvent::Warning { text: &note });
        }
        open
    }

    /// What goes on changing files when a call is over.
    fn background(&self) -> Option<About> {
        let line = format!("in the background: {}", self.context.jobs.running()?);
        let session = self.context.session.as_deref().map(str::to_owned);
        Some(About { session, call: String::new(), tool: "shell".to_owned(), line })
    }

    /// Why the call may not run, if it may not.
    async fn refused(&mut self, call: &ToolCall, kind: Kind) -> Option<String> {
        let asked = match policy::decide(self.approve.get(), Some(kind)) {
            Decision::Allow => return None,
            Decision::Deny => false,
            Decision::Ask => {
                if kind == Kind::Exec {
                    self.steps.warm();
                }
                let args = call.args().unwrap_or_default();
                let tool = self.registry().get(&call.name)?;
                let question = Question { tool: &call.name, line: &tool.describe(&args), preview: tool.preview(&args, self.context) };
                let token = self.stopper.token().clone();
                let answer = tokio::select! {
                    biased;
                    () = token.cancelled() => Answer::No,
                    answer = self.approver.ask(question) => answer,
                };
                match answer {
                    Answer::Yes => return None,
                    Answer::Always => {
                        self.approve.set(policy::widened(kind));
                        return None;
                    }
                    Answer::No => true,
                }
            }
        };
        let who = match self.approve.get() {
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
        let Done { ok, text, summary, diff, denied, .. } = done;
        self.border.touch(call, self.registry(), self.context);
        self.sink.emit(AgentEvent::ToolResult {
            id: &call.id,
            name: &call.name,
            ok,
            summary: &summary,
            output: &text,
            diff: diff.as_deref(),
        });
        turn.denied(&denied);
        turn.tool_done(ToolResult::text(&call.id, text, !ok), ran);
    }
}

/// A call's result, as the model and people get it.
struct Done {
    ok: bool,
    text: String,
    summary: String,
    diff: Option<String>,
    changes: Vec<FileChange>,
    /// What another agent needed for it, and was not allowed.
    denied: Vec<Kind>,
}

async fn run_one(registry: &Registry, context: &Context, token: &CancellationToken, call: &ToolCall) -> Result<Done, Failure> {
    let failed = |text: String| {
        let summary = text::one_line(&text, 120);
        Done { ok: false, text: format!("Error: {text}"), summary, diff: None, changes: Vec::new(), denied: Vec::new() }
    };
    let Some(tool) = registry.get(&call.name) else {
        return Ok(failed(registry.unknown(&call.name, context.person.is_none())));
    };
    let args = match call.args() {
        Ok(args) => args,
        Err(e) => return Ok(failed(e.to_string())),
    };
    match tool::call(tool.as_ref(), &args, &context.for_call(&call.id, token.child_token())).await {
        Ok(out) => Ok(Done { ok: true, text: out.text, summary: out.summary, diff: out.diff, changes: out.changes, denied: Vec::new() }),
        Err(ToolError::Model(text)) => Ok(failed(text)),
        Err(ToolError::Denied(text, kinds)) => Ok(Done { denied: kinds, ..failed(text) }),
        Err(ToolError::Fatal(failure)) => Err(failure),
    }
}
