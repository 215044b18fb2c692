//! The conversation as an append-only list, and the invariants that every request must meet.
//!
//! A provider that sees an unpaired tool call, an empty id or an empty message answers 400 on every later turn; so
//! the check stands here, before any wire, and [`repair`] mends what crashes and imports leave behind.

use super::message::{Block, Message, Part, Role, ToolResult};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An append-only conversation; only its system message can be exchanged, when another agent takes it over. Clones share
/// their messages, and pushing to the only holder copies nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History {
    messages: Arc<Vec<Arc<Message>>>,
    /// The same for all that came of one history by pushing.
    #[serde(skip)]
    line: Arc<()>,
}

/// A history as it was, to be recognised in a later one.
#[derive(Debug, Clone, Default)]
pub struct Mark {
    line: Arc<()>,
    len: usize,
    last: Option<Arc<Message>>,
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.messages, &other.messages) || self.messages == other.messages
    }
}

impl History {
    pub fn push(&mut self, message: Message) {
        Arc::make_mut(&mut self.messages).push(Arc::new(message));
    }

    /// A message that another history holds too. Two histories of one line must not get the same one at the same place
    /// behind different ones: [`Self::grew_from`] would not tell them apart.
    pub(crate) fn push_shared(&mut self, message: Arc<Message>) {
        Arc::make_mut(&mut self.messages).push(message);
    }

    /// Puts this in the place of the system messages at the beginning. The conversation stays as it is.
    pub fn set_system(&mut self, message: Message) {
        let said = self.messages.iter().skip_while(|m| m.role == Role::System).cloned();
        *self = std::iter::once(Arc::new(message)).chain(said).collect();
    }

    /// The history as it is now.
    pub fn mark(&self) -> Mark {
        Mark { line: Arc::clone(&self.line), len: self.len(), last: self.messages.last().cloned() }
    }

    /// Whether it is the marked one, or that with messages behind it, told without a look at each. A `false` may only
    /// mean that it came to be by another way.
    pub fn grew_from(&self, mark: &Mark) -> bool {
        // Clones of one line part where they push different messages, so the last common one tells.
        let last = mark.len.checked_sub(1).and_then(|at| self.get(at));
        Arc::ptr_eq(&self.line, &mark.line)
            && match (last, &mark.last) {
                (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs),
                (mine, theirs) => mine.is_none() && theirs.is_none(),
            }
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Arc<Message>> {
        self.messages.iter()
    }

    pub fn get(&self, ix: usize) -> Option<&Arc<Message>> {
        self.messages.get(ix)
    }

    pub fn last(&self) -> Option<&Message> {
        self.messages.last().map(Arc::as_ref)
    }
}

impl FromIterator<Message> for History {
    fn from_iter<I: IntoIterator<Item = Message>>(iter: I) -> Self {
        iter.into_iter().map(Arc::new).collect()
    }
}

impl FromIterator<Arc<Message>> for History {
    fn from_iter<I: IntoIterator<Item = Arc<Message>>>(iter: I) -> Self {
        Self { messages: Arc::new(iter.into_iter().collect()), line: Arc::default() }
    }
}

impl<'a> IntoIterator for &'a History {
    type Item = &'a Arc<Message>;
    type IntoIter = std::slice::Iter<'a, Arc<Message>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A broken invariant and the message that breaks it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("message {at}: {what}")]
pub struct Violation {
    pub at: usize,
    pub what: Broken,
}

/// What can be wrong with a history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("tool call `{0}` has no result")]
    Unanswered(String),
    #[error("tool result `{0}` answers no call of the message before it")]
    OrphanResult(String),
    #[error("tool call `{0}` is answered twice")]
    AnsweredTwice(String),
    #[error("a tool call or result has an empty id")]
    EmptyId,
    #[error("two tool calls of one message share the id `{0}`")]
    SharedId(String),
    #[error("a tool call has no name")]
    NoName,
    #[error("the message has no content")]
    Empty,
    #[error("a {0} block cannot stand in a message of this role")]
    WrongRole(&'static str),
    #[error("a system message after the conversation began")]
    LateSystem,
}

/// Checks messages one by one, so that a growing history costs only what is new.
#[derive(Debug, Clone, Default)]
pub struct Checker {
    seen: usize,
    began: bool,
    /// Calls of the last assistant message that still wait for their result.
    open: Vec<String>,
    answered: Vec<String>,
}

impl Checker {
    /// How many messages have been checked.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Checks the next message.
    pub fn push(&mut self, message: &Message) -> Vec<Violation> {
        let at = self.seen;
        self.seen += 1;
        let mut found = Vec::new();
        let mut broken = |what| found.push(Violation { at, what });
        if message.role != Role::Tool {
            for id in std::mem::take(&mut self.open) {
                broken(Broken::Unanswered(id));
            }
            self.answered.clear();
        }
        match message.role {
            Role::System if self.began => broken(Broken::LateSystem),
            Role::System => {}
            _ => self.began = true,
        }
        if !message.blocks.iter().any(has_content) {
            broken(Broken::Empty);
        }
        for block in &message.blocks {
            if let Some(kind) = misplaced(message.role, block) {
                broken(Broken::WrongRole(kind));
                continue;
            }
            match block {
                Block::ToolCall(call) => {
                    if call.id.is_empty() {
                        broken(Broken::EmptyId);
                    } else if self.open.contains(&call.id) {
                        broken(Broken::SharedId(call.id.clone()));
                    }
                    if call.name.is_empty() {
                        broken(Broken::NoName);
                    }
                    self.open.push(call.id.clone());
                }
                Block::ToolResult(result) => {
                    if let Some(i) = self.open.iter().position(|id| *id == result.call_id) {
                        self.answered.push(self.open.remove(i));
                    } else if self.answered.contains(&result.call_id) {
                        broken(Broken::AnsweredTwice(result.call_id.clone()));
                    } else {
                        broken(Broken::OrphanResult(result.call_id.clone()));
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// What is still open if the history is sent now.
    pub fn pending(&self) -> Vec<Violation> {
        self.open.iter().map(|id| Violation { at: self.seen.saturating_sub(1), what: Broken::Unanswered(id.clone()) }).collect()
    }
}

/// All violations of a whole history, as it would be sent now.
pub fn check(history: &History) -> Vec<Violation> {
    let mut checker = Checker::default();
    let mut found: Vec<Violation> = history.iter().flat_map(|m| checker.push(m)).collect();
    found.extend(checker.pending());
    found
}

fn has_content(block: &Block) -> bool {
    match block {
        Block::Text { text } => !text.trim().is_empty(),
        Block::Thinking { text, signature, .. } => !text.is_empty() || signature.is_some(),
        Block::ToolCall(_) | Block::ToolResult(_) | Block::Image { .. } | Block::Document { .. } | Block::Opaque { .. } => true,
    }
}

/// The name of the block's kind if it may not stand in a message of this role.
fn misplaced(role: Role, block: &Block) -> Option<&'static str> {
    let (kind, fits) = match block {
        Block::Text { .. } => ("text", role != Role::Tool),
        Block::Thinking { .. } => ("thinking", role == Role::Assistant),
        Block::ToolCall(_) => ("tool call", role == Role::Assistant),
        Block::ToolResult(_) => ("tool result", role == Role::Tool),
        Block::Image { .. } => ("image", matches!(role, Role::User | Role::Assistant)),
        Block::Document { .. } => ("document", role == Role::User),
        Block::Opaque { .. } => ("opaque", role != Role::Tool),
    };
    (!fits).then_some(kind)
}

/// What a result says when its call was never answered.
pub const NO_RESULT: &str = "No result: the call was interrupted before it finished. Its effect is unknown.";

/// Makes any list of messages valid, changing as little as possible, and says what it changed.
///
/// Valid input comes back unchanged: orphan calls get an error result, orphan results become user text (a real result
/// is never dropped), missing ids are minted by position, later system messages become user text, empty messages go.
pub fn repair(messages: impl IntoIterator<Item = Message>) -> (Vec<Message>, Vec<String>) {
    let Mended { mut messages, mut notes, mut open } = mend(messages);
    close(&mut messages, &mut open, &mut notes);
    (messages, notes)
}

/// A repaired history that may end in the middle of a round of calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mended {
    pub messages: Vec<Message>,
    /// What was changed.
    pub notes: Vec<String>,
    /// Ids of calls at the end that still wait for their result. Nothing but tool messages follows theirs.
    pub open: Vec<String>,
}

/// Like [`repair`], but the calls at the end may stay open. What is mended of a longer list begins with what is mended
/// of a shorter one, as long as a message with results follows the open calls.
pub fn mend(messages: impl IntoIterator<Item = Message>) -> Mended {
    let mut out: Vec<Message> = Vec::new();
    let mut notes = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut began = false;
    for (at, mut message) in messages.into_iter().enumerate() {
        if message.role == Role::System && began {
            message.role = Role::User;
            notes.push(format!("message {at}: a late system message became user text"));
        }
        began |= message.role != Role::System;
        if message.role == Role::Tool {
            let stray = answer(&mut message, &mut open, at, &mut notes);
            if !message.blocks.is_empty() {
                out.push(message);
            }
            if !stray.is_empty() {
                close(&mut out, &mut open, &mut notes);
                out.push(Message::new(Role::User, stray));
            }
            continue;
        }
        close(&mut out, &mut open, &mut notes);
        message.blocks.retain(|b| misplaced(message.role, b).is_none() && has_content(b));
        if message.blocks.is_empty() {
            notes.push(format!("message {at}: dropped, it had no content"));
            continue;
        }
        for (n, block) in message.blocks.iter_mut().enumerate() {
            if let Block::ToolCall(call) = block {
                if call.id.is_empty() || open.contains(&call.id) {
                    call.id = format!("call_{at}_{n}");
                    notes.push(format!("message {at}: minted the id {}", call.id));
                }
                if call.name.is_empty() {
                    "unknown".clone_into(&mut call.name);
                    notes.push(format!("message {at}: named a nameless call"));
                }
                open.push(call.id.clone());
            }
        }
        out.push(message);
    }
    Mended { messages: out, notes, open }
}

/// Keeps the results of a tool message that answer an open call; returns the others as text blocks.
fn answer(message: &mut Message, open: &mut Vec<String>, at: usize, notes: &mut Vec<String>) -> Vec<Block> {
    let mut stray = Vec::new();
    let single = open.len() == 1 && message.blocks.len() == 1;
    message.blocks.retain_mut(|block| match block {
        Block::ToolResult(result) => {
            // A result whose id is empty, or varies, and that can answer only one call does answer it.
            if single
                && !open.contains(&result.call_id)
                && let Some(id) = open.first()
            {
                notes.push(format!("message {at}: gave the result of `{}` to the only open call", result.call_id));
                result.call_id.clone_from(id);
            }
            if let Some(i) = open.iter().position(|id| *id == result.call_id) {
                open.remove(i);
                return true;
            }
            notes.push(format!("message {at}: a result without a call became text"));
            stray.extend(demote(result));
            false
        }
        other => {
            notes.push(format!("message {at}: moved a block out of a tool message"));
            if has_content(other) && misplaced(Role::User, other).is_none() {
                stray.push(other.clone());
            }
            false
        }
    });
    stray
}

fn demote(result: &ToolResult) -> Vec<Block> {
    let parts = result.parts.iter().map(|p| match p {
        Part::Text { text } => Block::Text { text: format!("[result of an earlier tool call]\n{text}") },
        Part::Image { source } => Block::Image { source: source.clone() },
    });
    parts.collect()
}

/// Answers every open call with an error, right behind the results that did arrive.
fn close(out: &mut Vec<Message>, open: &mut Vec<String>, notes: &mut Vec<String>) {
    if open.is_empty() {
        return;
    }
    notes.push(format!("answered {} interrupted call(s) with an error", open.len()));
    let missing = open.drain(..).map(|id| Block::ToolResult(ToolResult::text(id, NO_RESULT, true)));
    match out.last_mut() {
        Some(last) if last.role == Role::Tool => last.blocks.extend(missing),
        _ => out.push(Message::new(Role::Tool, missing.collect())),
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
