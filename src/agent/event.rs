//! What a running agent tells its face, and what it asks of it. Implemented by the faces, in a higher row.

use super::slim::Slimmed;
use crate::model::{ProviderError, Usage};
use crate::route::{Attempt, Notice};
use crate::tool::person::Inquiry;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Something that happened, in order.
#[derive(Debug)]
pub enum AgentEvent<'a> {
    TurnStart {
        turn: u32,
    },
    Text {
        text: &'a str,
    },
    Thinking {
        text: &'a str,
    },
    ToolCall {
        id: &'a str,
        name: &'a str,
        args: &'a serde_json::Value,
        line: &'a str,
    },
    /// Output of a running command as it comes.
    ToolOutput {
        id: &'a str,
        text: &'a str,
    },
    ToolResult {
        id: &'a str,
        name: &'a str,
        ok: bool,
        summary: &'a str,
        output: &'a str,
        diff: Option<&'a str>,
    },
    /// An attempt failed; the text that it had shown, if any, is void.
    AttemptFailed {
        attempt: &'a Attempt,
        error: &'a ProviderError,
        discarded_chars: usize,
    },
    Waiting {
        pause: Duration,
        link: &'a str,
    },
    /// What a whole reply used, and our id of the model that gave it.
    Usage {
        usage: &'a Usage,
        model: &'a str,
    },
    /// The conversation was made smaller.
    Compacted {
        slimmed: &'a Slimmed,
    },
    Warning {
        text: &'a str,
    },
    /// Something about the way of a call.
    Notice {
        notice: &'a Notice,
    },
}

/// Takes events. Must not block for long: the agent waits for it.
pub trait EventSink {
    fn emit(&mut self, event: AgentEvent<'_>);
}

/// A call that needs a person's word.
#[derive(Debug)]
pub struct Question<'a> {
    pub tool: &'a str,
    /// One line: `shell: cargo test`.
    pub line: &'a str,
    /// The diff or the whole command.
    pub preview: Option<String>,
}

/// A person's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// Yes, and to every further call of this kind in this run.
    Always,
}

/// Asks a person. A face without one answers [`Answer::No`].
pub trait Approver {
    fn ask<'a>(&'a mut self, question: Question<'a>) -> Pin<Box<dyn Future<Output = Answer> + 'a>>;

    /// Puts a question of the model's; `None` where nobody answers.
    fn inquire<'a>(&'a mut self, inquiry: &'a Inquiry) -> Pin<Box<dyn Future<Output = Option<String>> + 'a>>;
}
