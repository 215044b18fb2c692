//! What a streaming reply is made of. Every delta names its block, so interleaved blocks cannot mix.

use super::fault::ProviderError;
use super::usage::Usage;
use serde::{Deserialize, Serialize};

/// One event of a reply, in the order in which it arrived.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StreamEvent {
    /// The provider accepted the request. Carries no content and does not commit the attempt.
    Start {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
    },
    BlockStart {
        ix: usize,
        kind: BlockKind,
    },
    Delta {
        ix: usize,
        delta: Delta,
    },
    BlockEnd {
        ix: usize,
    },
    /// Cumulative: a later one replaces an earlier one.
    Usage {
        usage: Usage,
    },
    /// The terminal event. A stream that ends without one was cut.
    End {
        stop: Stop,
        /// The provider's own word for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An error inside the stream, or the stream's own (malformed beyond use, cut).
    Error {
        error: ProviderError,
    },
    /// An event that this version does not know, or one that could not be parsed. It never ends a stream.
    Unknown {
        raw: String,
    },
}

/// What kind of block starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BlockKind {
    Text,
    /// Its signature may come with text or, where a provider shows none, alone.
    Thinking,
    /// Reasoning that only its maker can read; [`Delta::Signature`] carries the encrypted form.
    RedactedThinking,
    ToolCall {
        id: String,
        name: String,
    },
    /// Kept whole for its own wire; see [`super::Block::Opaque`].
    Opaque {
        wire: String,
    },
}

/// A piece of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "delta", rename_all = "snake_case")]
pub enum Delta {
    Text {
        text: String,
    },
    Thinking {
        text: String,
    },
    /// Replaces the block's signature; several pieces append.
    Signature {
        text: String,
    },
    /// A piece of a tool call's arguments, as raw text.
    Args {
        text: String,
    },
    /// A piece of a tool's name, from providers that stream it.
    Name {
        text: String,
    },
    /// The whole raw JSON of an opaque block.
    Raw {
        text: String,
    },
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    End,
    ToolUse,
    MaxTokens,
    StopSequence,
    ContentFilter,
    Refusal,
    /// The provider paused a long turn; sending the reply back continues it.
    Pause,
    Error,
    /// A word we do not know. The reply is kept; whether the turn goes on is decided by its content.
    Unknown,
}

impl Stop {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::ToolUse => "tool_use",
            Self::MaxTokens => "max_tokens",
            Self::StopSequence => "stop_sequence",
            Self::ContentFilter => "content_filter",
            Self::Refusal => "refusal",
            Self::Pause => "pause",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

impl StreamEvent {
    /// Whether a person or a client could have seen something of the reply: the commit point.
    pub fn is_content(&self) -> bool {
        match self {
            Self::Delta { delta, .. } => match delta {
                Delta::Text { text } | Delta::Thinking { text } | Delta::Args { text } | Delta::Name { text } => !text.is_empty(),
                Delta::Signature { .. } | Delta::Raw { .. } => true,
            },
            Self::BlockStart { kind, .. } => matches!(kind, BlockKind::ToolCall { .. }),
            Self::Start { .. }
            | Self::BlockEnd { .. }
            | Self::Usage { .. }
            | Self::End { .. }
            | Self::Error { .. }
            | Self::Unknown { .. } => false,
        }
    }
}
