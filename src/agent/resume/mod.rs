//! What a journal says of a turn that was cut off, and what becomes of the calls that were under way.
//!
//! A call without an intent was never begun: it runs now. One with a receipt is over, and the receipt has its output.
//! One with an intent and no receipt is never made again: edits are recognised by their digests, anything else is an
//! unknown outcome, which the model and the user are told.

mod settle;
mod take_up;

pub use settle::{Due, Settled, settle};
pub use take_up::{Continued, Unfinished, take_up};

use crate::base::{Cause, redact, text};
use crate::model::aside;
use crate::model::history::{self, Mended};
use crate::model::{Message, Role, ToolCall};
use crate::session::{Effect, Entry, Intent, Line, Loaded, Quarantine, Receipt};
use crate::workspace::process::survivors::Recorded;
use std::sync::Arc;

/// A session as its journal leaves it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The system message that was in force; `None` where the journal has none.
    pub system: Option<Message>,
    /// The rest of the conversation, valid but for the calls at its end that are `open`.
    pub messages: Vec<Message>,
    pub open: Vec<Open>,
    /// What must still be said: prompts that had not become messages yet, and calls that the conversation has lost.
    pub prompts: Vec<String>,
    /// How the last run ended, if it did.
    pub ended: Option<Cause>,
    /// The conversation ends with a reply that its provider paused, and that nobody has answered.
    pub paused: bool,
    /// Commands that may still run.
    pub commands: Vec<Recorded>,
    /// What was repaired, in words.
    pub notes: Vec<String>,
}

/// A call without a result, and what the journal knows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    pub call: ToolCall,
    pub known: Known,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// It has had no effect: it may run.
    Untouched,
    /// It has had no effect, and its arguments as they stand in the journal are not all that the model wrote.
    Incomplete(Missing),
    /// It may have had its effect.
    Began(Intent),
    Finished(Receipt),
}

/// What of a call's arguments is not in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// A secret was redacted.
    Secret,
    /// All of them, and the output limit may have cut them off.
    All,
}

impl Plan {
    pub fn of(loaded: &Loaded) -> Self {
        let (written, misfits) = written(&loaded.entries);
        // A later system message is that of another agent, to which the session went over.
        let system = written.iter().rfind(|m| m.role == Role::System).map(|m| Message::clone(m));
        let said = written.into_iter().filter(|m| m.role != Role::System).map(Arc::unwrap_or_clone);
        let Mended { messages, mut notes, open } = history::mend(said);
        notes.extend(misfits);
        let recent = after_the_last_reply(&loaded.entries);
        let calls: Vec<ToolCall> = last_calls(&messages).cloned().collect();
        let mut prompts = lost_calls(recent, &calls).into_iter().collect::<Vec<_>>();
        prompts.extend(undelivered(&loaded.entries));
        let last = calls.last().map(|c| c.id.clone());
        let waiting = calls.into_iter().filter(|c| open.contains(&c.id));
        let open = waiting.map(|call| Open { known: known(&call, last.as_deref(), recent), call }).collect();
        let paused = messages.last().is_some_and(|m| m.role == Role::Assistant) && last_reply_was_paused(&loaded.entries);
        let ended = loaded.ended.as_ref().map(|e| e.cause);
        Self { system, messages, open, prompts, ended, paused, commands: commands(loaded), notes }
    }

    /// What there is to do without a further prompt.
    pub fn rest(&self) -> Rest {
        let last = self.messages.last().map(|m| m.role);
        match (last, self.ended) {
            _ if !self.open.is_empty() || !self.prompts.is_empty() => Rest::Work,
            (Some(Role::User | Role::Tool), _) => Rest::Work,
            _ if self.paused => Rest::Work,
            (Some(Role::Assistant), None) => Rest::Answered,
            (Some(Role::Assistant | Role::System) | None, _) => Rest::Nothing,
        }
    }
}

/// The messages as they are sent: without what was set aside of them later, and made as small as they were made. A
/// compaction that does not fit, because the record has lost messages, is left out and named: it can be made again.
fn written(entries: &[Line]) -> (Vec<Arc<Message>>, Vec<String>) {
    let mut written: Vec<Arc<Message>> = Vec::new();
    let mut misfits = Vec::new();
    for line in entries {
        match &line.entry {
            Entry::Message { message } => written.push(Arc::new(message.clone())),
            Entry::Quarantine(Quarantine { pieces, why, .. }) => {
                for message in &mut written {
                    *message = aside::without(message, &|p| pieces.contains(p), why);
                }
            }
            Entry::Compaction(compaction) => {
                let (system, said): (Vec<_>, Vec<_>) = written.drain(..).partition(|m| m.role == Role::System);
                // What it is of was the conversation as it was sent, mended.
                let mended = history::mend(said.iter().map(|m| Message::clone(m)));
                let said = if mended.notes.is_empty() { said } else { mended.messages.into_iter().map(Arc::new).collect() };
                let view = compaction.apply(&said).unwrap_or_else(|| {
                    misfits.push(format!("a compaction of {} messages does not fit the {} that are there", compaction.of, said.len()));
                    said
                });
                written = system.into_iter().chain(view).collect();
            }
            _ => {}
        }
    }
    (written, misfits)
}

/// What is left of a session to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    Work,
    /// The answer is there; only the end of the run is not recorded.
    Answered,
    Nothing,
}

/// The entries behind the last message of the model: whatever its calls left is there, and no call of an earlier
/// message that happened to have the same id.
fn after_the_last_reply(entries: &[Line]) -> &[Line] {
    let reply = |l: &Line| matches!(&l.entry, Entry::Message { message } if message.role == Role::Assistant);
    let start = entries.iter().rposition(reply).map_or(0, |at| at + 1);
    entries.get(start..).unwrap_or_default()
}

/// Whether what stands before the model's last message says that its provider paused there.
fn last_reply_was_paused(entries: &[Line]) -> bool {
    let before = entries.len() - after_the_last_reply(entries).len();
    let earlier = entries.iter().take(before).rev().skip(1).map_while(|line| match &line.entry {
        Entry::Message { message } if message.role == Role::Assistant => None,
        Entry::Usage(used) => Some(Some(used.paused)),
        _ => Some(None),
    });
    earlier.flatten().next().unwrap_or(false)
}

fn last_calls(messages: &[Message]) -> impl Iterator<Item = &ToolCall> {
    messages.iter().rfind(|m| m.role == Role::Assistant).into_iter().flat_map(Message::calls)
}

fn known(call: &ToolCall, last: Option<&str>, recent: &[Line]) -> Known {
    let mut known = Known::Untouched;
    for line in recent {
        match &line.entry {
            Entry::Receipt(receipt) if receipt.call_id == call.id => return Known::Finished(receipt.clone()),
            Entry::Intent(intent) if intent.call_id == call.id && intent.effect != Effect::ReadOnly => known = Known::Began(intent.clone()),
            _ => {}
        }
    }
    match known {
        Known::Untouched if call.args_raw.contains(redact::MARK) => Known::Incomplete(Missing::Secret),
        Known::Untouched if call.args_raw.trim().is_empty() && last == Some(call.id.as_str()) => Known::Incomplete(Missing::All),
        known => known,
    }
}

/// Prompts of the session's first line and of each later resume that had not become messages when the process died. The
/// model is never asked before all of them have.
fn undelivered(entries: &[Line]) -> Vec<String> {
    let mut waiting: Vec<String> = Vec::new();
    for line in entries {
        match &line.entry {
            Entry::Session(session) => waiting.extend(session.prompt.clone().filter(|p| !p.trim().is_empty())),
            Entry::Message { message } if message.role == Role::Assistant => waiting.clear(),
            Entry::Message { message } if message.role == Role::User => {
                let text = message.joined_text();
                if let Some(at) = waiting.iter().position(|p| *p == text) {
                    waiting.remove(at);
                }
            }
            _ => {}
        }
    }
    waiting
}

/// Calls that were begun, and whose message a damaged journal has lost. The model must not think that nothing happened.
fn lost_calls(recent: &[Line], shown: &[ToolCall]) -> Option<String> {
    let mut lost: Vec<(&Intent, &str)> = Vec::new();
    for line in recent {
        match &line.entry {
            Entry::Intent(intent) if !shown.iter().any(|c| c.id == intent.call_id) => lost.push((intent, "its outcome is unknown")),
            Entry::Receipt(receipt) => {
                let of_call = lost.iter_mut().filter(|(i, _)| i.call_id == receipt.call_id);
                of_call.for_each(|(_, end)| *end = if receipt.ok { "it ended well" } else { "it ended with an error" });
            }
            // Told already.
            Entry::Message { message } if message.role == Role::User => lost.clear(),
            _ => {}
        }
    }
    if lost.is_empty() {
        return None;
    }
    let lines: Vec<String> = lost.iter().map(|(i, end)| format!("- {} {}: {end}", i.tool, text::one_line(&i.args, 300))).collect();
    let lines = lines.join("\n");
    Some(format!(
        "[pup was killed, and the record of this conversation is damaged. These calls of yours were begun and are missing above:\n{lines}\nLook at the state of the project before you go on.]"
    ))
}

/// The processes of all commands: one in the background outlives its call. Each is told by its age from a later process that
/// has its number.
fn commands(loaded: &Loaded) -> Vec<Recorded> {
    let recorded = loaded.entries.iter().filter_map(|line| {
        let Entry::Spawned(spawned) = &line.entry else { return None };
        let at = line.ts.parse::<jiff::Timestamp>().ok().and_then(|t| u64::try_from(t.as_millisecond()).ok()).unwrap_or(0);
        Some(Recorded { pid: spawned.pid, start_time: spawned.start_time, at })
    });
    recorded.collect()
}

#[cfg(test)]
mod resume_tests;
