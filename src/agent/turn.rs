//! The turn machine: what happens next between a user's prompt and the end of the agent's work.
//!
//! It does no IO and reads no clock. The driver asks [`Turn::step`] for a step, carries it out and reports back; the
//! whole state serialises, so a turn can be stopped at any step and taken up again. Its history is valid at every
//! moment at which it could be sent.

use super::guard::{Guard, Loop};
use super::policy::Kind;
use super::resume::Unfinished;
use crate::base::{Cause, Failure};
use crate::model::aside;
use crate::model::{Block, History, Message, Reply, Role, Stop, ToolCall, ToolResult, Usage};
use crate::session::Quarantine;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};

/// How often an empty reply is answered with a nudge before the turn is given up.
const NUDGES: u32 = 2;
/// How many replies in a row a provider may pause before the turn is given up. Each goes back to it, and it goes on.
const PAUSES: u32 = 8;

/// The bounds of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Model calls.
    pub max_turns: u32,
    /// Rounds of calls in a row that bring only results that were there before.
    pub loop_guard: u32,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub cause: Cause,
    /// Why, where it is not simply done.
    pub message: Option<String>,
    pub hint: Option<String>,
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        let Failure { cause, message, hint } = failure;
        Self { cause, message: Some(message), hint }
    }
}

/// What to do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Send [`Turn::history`] to a model; answer with [`Turn::replied`] or [`Turn::stop`].
    CallModel,
    /// Run these calls, in this order where they have effects; answer each with [`Turn::tool_done`].
    RunTools(Vec<ToolCall>),
    Finish(Outcome),
}

/// What became of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ran {
    Allowed(Option<Kind>),
    Denied(Kind),
}

/// The state of a turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Turn {
    history: History,
    phase: Phase,
    limits: Limits,
    turns: u32,
    tool_calls: u32,
    guard: Guard,
    /// Kinds of call that were denied and not allowed since.
    denied: BTreeSet<Kind>,
    steering: Vec<String>,
    nudges: u32,
    /// Replies in a row that were paused.
    #[serde(default)]
    pauses: u32,
    usage: Usage,
    ids: HashSet<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Phase {
    Ready,
    Model,
    Tools(Round),
    Ended(Outcome),
}

/// A message's calls and what is known of their results.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Round {
    calls: Vec<ToolCall>,
    results: Vec<Option<ToolResult>>,
    handed_out: bool,
}

impl Turn {
    /// A turn over `history`, which ends with the user's message.
    pub fn new(history: History, limits: Limits) -> Self {
        let ids = history.iter().flat_map(|m| m.calls().map(|c| c.id.clone()).collect::<Vec<_>>()).collect();
        Self {
            history,
            phase: Phase::Ready,
            limits,
            turns: 0,
            tool_calls: 0,
            guard: Guard::default(),
            denied: BTreeSet::new(),
            steering: Vec::new(),
            nudges: 0,
            pauses: 0,
            usage: Usage::default(),
            ids,
        }
    }

    /// Takes up a turn that was cut off. `history` is valid, but the calls of its last reply may wait for results: those
    /// that are settled are over, the others are handed out. Prompts reach the model with the next call. Where the answer
    /// was given and there is no prompt, the turn has ended; a paused one goes back to its provider.
    pub fn resume(history: History, unfinished: Unfinished, limits: Limits) -> Self {
        let Unfinished { settled, prompts, paused } = unfinished;
        let mut turn = Self { steering: prompts, ..Self::new(history, limits) };
        let open = turn.open_calls();
        let answered = turn.history.last().filter(|m| m.role == Role::Assistant).map(|m| !m.joined_text().trim().is_empty());
        match answered {
            _ if !open.is_empty() => {
                turn.begin_round(open, Stop::ToolUse, settled);
            }
            _ if paused => {}
            Some(true) if turn.steering.is_empty() => turn.finish(),
            Some(false) if turn.steering.is_empty() => turn.nudge(),
            _ => {}
        }
        turn
    }

    /// The calls of the last reply that nothing has answered; none once anybody but a tool has spoken since.
    fn open_calls(&self) -> Vec<ToolCall> {
        let answers = self.history.iter().rev().take_while(|m| m.role == Role::Tool).count();
        let Some(reply) = self.history.len().checked_sub(answers + 1).and_then(|at| self.history.get(at)) else { return Vec::new() };
        let answered: HashSet<&str> =
            self.history.iter().rev().take(answers).flat_map(|m| m.tool_results()).map(|r| r.call_id.as_str()).collect();
        reply.calls().filter(|c| !answered.contains(c.id.as_str())).cloned().collect()
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    /// These pieces were refused: they are not sent again.
    pub fn set_aside(&mut self, quarantine: &Quarantine) {
        self.history = aside::set_aside(&self.history, &|p| quarantine.pieces.contains(p), &quarantine.why);
    }

    /// The conversation was made smaller. What it ends with is as it was.
    pub fn slimmed(&mut self, history: History) {
        self.history = history;
    }

    /// A call beside the turn's own used this.
    pub fn spent(&mut self, usage: &Usage) {
        self.usage.add(usage);
    }

    pub fn into_history(self) -> History {
        self.history
    }

    /// Model calls so far.
    pub fn turns(&self) -> u32 {
        self.turns
    }

    pub fn tool_calls(&self) -> u32 {
        self.tool_calls
    }

    /// The sum over all replies.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The text of the last assistant message that has any: the answer, once the turn has ended.
    pub fn answer(&self) -> String {
        let said = self.history.iter().rev().take_while(|m| m.role != Role::User).filter(|m| m.role == Role::Assistant);
        said.map(|m| m.joined_text()).find(|t| !t.trim().is_empty()).unwrap_or_default()
    }

    /// The next step. Asking again before the answer is in gives the same step.
    pub fn step(&mut self) -> Step {
        match &mut self.phase {
            Phase::Ended(outcome) => Step::Finish(outcome.clone()),
            Phase::Model => Step::CallModel,
            Phase::Tools(round) => {
                round.handed_out = true;
                Step::RunTools(round.open().cloned().collect())
            }
            Phase::Ready => {
                self.take_steering();
                if self.turns >= self.limits.max_turns {
                    let message = format!("the limit of {} model calls is reached", self.limits.max_turns);
                    self.end(Cause::Limit, Some(message), Some("raise it with `--max-turns N`, or continue the session".to_owned()));
                    return self.step();
                }
                self.turns += 1;
                self.phase = Phase::Model;
                Step::CallModel
            }
        }
    }

    /// A whole reply arrived.
    pub fn replied(&mut self, reply: Reply) {
        if self.phase != Phase::Model {
            return;
        }
        self.usage.add(&reply.usage);
        let Reply { mut message, stop, reason, .. } = reply;
        self.pauses = if stop == Stop::Pause { self.pauses + 1 } else { 0 };
        self.claim_ids(&mut message);
        let calls: Vec<ToolCall> = message.calls().cloned().collect();
        let said = !message.joined_text().trim().is_empty();
        if !message.blocks.is_empty() {
            self.history.push(message);
        }
        if matches!(stop, Stop::ContentFilter | Stop::Refusal) && calls.is_empty() {
            let what =
                if stop == Stop::Refusal { "the model refused to answer" } else { "the provider's content filter stopped the answer" };
            return self.end(Cause::Rejected, Some(what.to_owned()), None);
        }
        if !calls.is_empty() {
            return self.begin_round(calls, stop, Vec::new());
        }
        match stop {
            Stop::MaxTokens => {
                let message = "the answer was cut off at the model's output limit".to_owned();
                self.end(Cause::Limit, Some(message), Some("ask it to continue, or choose a model with a larger output".to_owned()));
            }
            Stop::Pause if self.pauses > PAUSES => {
                let message = format!("the provider paused its answer {} times in a row and never finished it", self.pauses);
                self.end(Cause::Limit, Some(message), Some("ask for less at once, or choose another model".to_owned()));
            }
            Stop::Pause => self.phase = Phase::Ready,
            _ if !self.steering.is_empty() => self.phase = Phase::Ready,
            _ if said => self.finish(),
            _ if self.nudges < NUDGES => {
                self.nudge();
                self.phase = Phase::Ready;
            }
            _ => {
                let word = reason.map(|r| format!(" (it stopped with `{r}`)")).unwrap_or_default();
                self.end(Cause::Rejected, Some(format!("the model returned an empty reply {} times{word}", NUDGES + 1)), None);
            }
        }
    }

    fn nudge(&mut self) {
        self.nudges += 1;
        self.steering.push("Your reply was empty. Continue the task, or say that it is done.".to_owned());
    }

    /// Some providers count their ids from zero in every reply. Inside pup an id names one call of the session.
    fn claim_ids(&mut self, message: &mut Message) {
        for block in &mut message.blocks {
            if let Block::ToolCall(call) = block {
                let base = if call.id.is_empty() { "call".to_owned() } else { call.id.clone() };
                let mut id = call.id.clone();
                let mut n = 2;
                while id.is_empty() || !self.ids.insert(id.clone()) {
                    id = format!("{base}_{n}");
                    n += 1;
                }
                call.id = id;
                if call.name.is_empty() {
                    "unknown".clone_into(&mut call.name);
                }
            }
        }
    }

    /// Calls with unusable arguments are answered here and never reach a tool, not even in part. What is `settled` has its
    /// result, whatever its arguments look like.
    fn begin_round(&mut self, calls: Vec<ToolCall>, stop: Stop, mut settled: Vec<ToolResult>) {
        let last = calls.len().saturating_sub(1);
        let refuse = |(ix, call): (usize, &ToolCall)| {
            let cut = stop == Stop::MaxTokens && ix == last;
            match call.args() {
                // No arguments at all, where the output limit struck: they were still to come.
                Ok(_) if cut && call.args_raw.trim().is_empty() => {
                    Some("the call was cut off at the output limit; nothing was run".to_owned())
                }
                Ok(_) => None,
                Err(e) if cut => Some(format!("{e} (it was cut off at the output limit: make the call shorter)")),
                Err(e) => Some(e.to_string()),
            }
        };
        let results = calls.iter().enumerate().map(|c| {
            if let Some(at) = settled.iter().position(|r| r.call_id == c.1.id) {
                return Some(settled.swap_remove(at));
            }
            let text = refuse(c)?;
            Some(ToolResult::text(&c.1.id, format!("Error: {text}"), true))
        });
        let results = results.collect();
        self.tool_calls = self.tool_calls.saturating_add(u32::try_from(calls.len()).unwrap_or(u32::MAX));
        self.phase = Phase::Tools(Round { calls, results, handed_out: false });
        if self.turns >= self.limits.max_turns {
            let message = format!("the limit of {} model calls is reached; the last tool calls were not run", self.limits.max_turns);
            return self.stop(Cause::Limit, Some(message), Some("raise it with `--max-turns N`, or continue the session".to_owned()));
        }
        self.close_round();
    }

    /// One call was run or denied.
    pub fn tool_done(&mut self, result: ToolResult, ran: Ran) {
        match ran {
            Ran::Allowed(Some(kind)) => {
                self.denied.remove(&kind);
            }
            Ran::Denied(kind) => {
                self.denied.insert(kind);
            }
            Ran::Allowed(None) => {}
        }
        if let Phase::Tools(round) = &mut self.phase {
            round.set(result);
            self.close_round();
        }
    }

    /// Another agent that works for this one needed this, and it was denied.
    pub fn denied(&mut self, kinds: &[Kind]) {
        self.denied.extend(kinds);
    }

    /// What was needed, denied and not allowed since.
    pub fn still_denied(&self) -> Vec<Kind> {
        self.denied.iter().copied().collect()
    }

    /// Once every call has its result, the results join the history and the model is next.
    fn close_round(&mut self) {
        let Phase::Tools(round) = &mut self.phase else { return };
        if round.open().next().is_some() {
            return;
        }
        let Round { calls, results, .. } = std::mem::take(round);
        let mut results: Vec<ToolResult> = results.into_iter().flatten().collect();
        let texts: Vec<String> = results.iter().map(ToolResult::joined).collect();
        let seen = calls.iter().zip(&texts).map(|(c, t)| (c.name.as_str(), c.args_raw.as_str(), t.as_str()));
        let verdict = self.guard.round(seen, self.limits.loop_guard);
        let repeats = match verdict {
            Loop::Tell(n) => {
                Some(format!("[Nothing new, {n} times in a row: you had this result before. Use it, do something else, or finish.]"))
            }
            Loop::None | Loop::Stop(_) => None,
        };
        // Who is cut off in the middle has said nothing; who knows it in time can say what is done and what is not.
        let final_call = self.turns + 1 == self.limits.max_turns && !matches!(verdict, Loop::Stop(_));
        let ends = final_call.then(|| "[One answer is left and no tool runs any more: say what is done and what is not.]".to_owned());
        if let Some(result) = results.last_mut() {
            result.parts.extend(repeats.into_iter().chain(ends).map(|note| crate::model::Part::Text { text: format!("\n{note}") }));
        }
        self.history.push(Message::results(results));
        self.phase = Phase::Ready;
        if let Loop::Stop(n) = verdict {
            let names: Vec<&str> = calls.iter().map(|c| c.name.as_str()).collect();
            let message = format!("stopped a loop: `{}` brought nothing new, {n} times in a row", names.join("`, `"));
            self.end(Cause::Limit, Some(message), Some("rephrase the task, or choose another model".to_owned()));
        }
    }

    /// The user says something while the agent works; it reaches the model with the next call.
    pub fn steer(&mut self, text: String) {
        self.steering.push(text);
    }

    /// What the model was still to be told when the turn ended.
    pub fn unsaid(&mut self) -> Vec<String> {
        std::mem::take(&mut self.steering)
    }

    /// Whether the next step begins a call of the model, with whatever it is told until then.
    pub fn is_between_calls(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Ends the turn from outside: cancelled, out of time, no link left. The history stays valid: calls without a
    /// result get an error.
    pub fn stop(&mut self, cause: Cause, message: Option<String>, hint: Option<String>) {
        if let Phase::Tools(round) = &mut self.phase {
            let handed_out = round.handed_out;
            let open: Vec<String> = round.open().map(|c| c.id.clone()).collect();
            for id in open {
                let text = if handed_out {
                    "Error: interrupted before it finished; its effect is unknown."
                } else {
                    "Error: not run, the turn was stopped before it."
                };
                round.set(ToolResult::text(id, text, true));
            }
            self.close_round();
        }
        if !matches!(self.phase, Phase::Ended(_)) {
            self.end(cause, message, hint);
        }
    }

    fn take_steering(&mut self) {
        for text in std::mem::take(&mut self.steering) {
            self.history.push(Message::user(text));
        }
    }

    /// The model is finished; whether the work is depends on what it was not allowed to do.
    fn finish(&mut self) {
        if self.denied.is_empty() {
            return self.end(Cause::Done, None, None);
        }
        let kinds: Vec<&str> = self.denied.iter().map(|k| k.as_str()).collect();
        let message = format!("the task needed {}, which this run does not allow", kinds.join(" and "));
        self.end(Cause::Denied, Some(message), Some("allow it with `--approve all` (or `--yolo`)".to_owned()));
    }

    fn end(&mut self, cause: Cause, message: Option<String>, hint: Option<String>) {
        self.phase = Phase::Ended(Outcome { cause, message, hint });
    }
}

impl Round {
    /// Calls that have no result yet.
    fn open(&self) -> impl Iterator<Item = &ToolCall> {
        self.calls.iter().zip(&self.results).filter(|(_, r)| r.is_none()).map(|(c, _)| c)
    }

    /// The first result of a call stands; a second one is ignored.
    fn set(&mut self, result: ToolResult) {
        let slot = self.calls.iter().zip(&mut self.results).find(|(c, r)| c.id == result.call_id && r.is_none());
        if let Some((_, slot)) = slot {
            *slot = Some(result);
        }
    }
}

#[cfg(test)]
#[path = "turn_tests.rs"]
mod tests;
