//! How one provider's flavour of a wire differs. One oddity a file; a catalogue names them, and they compose.
//!
//! | name | what it does |
//! |---|---|
//! | `max-tokens` | sends `max_tokens` instead of `max_completion_tokens` |
//! | `no-stream-options` | never sends `stream_options` |
//! | `null-content` | writes `"content":null` beside tool calls instead of leaving it out |
//! | `send-reasoning-content`, `send-reasoning` | sends a model's own reasoning back to it, in that field |
//! | `chatgpt-backend` | Responses as a ChatGPT login takes them ([`chatgpt_backend`]) |
//! | `constrained-calls` | asks for tool calls as schema-bound text ([`constrained_calls`]) |
//! | `text-calls` | reads tool calls out of plain text ([`text_calls`]) |

pub mod chatgpt_backend;
pub mod constrained_calls;
mod emit;
pub mod max_tokens;
pub mod no_stream_options;
pub mod null_content;
pub mod send_reasoning;
mod signature;
pub mod text_calls;

use super::{Ids, KeyStyle};
use crate::base::nearest;
use crate::model::{Origin, Request, StreamEvent};
use std::borrow::Cow;

/// A flavour of a wire. The default is the vendor's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dialect {
    pub max_output: MaxOutput,
    pub stream_usage: StreamUsage,
    pub missing_content: MissingContent,
    pub reasoning_back: ReasoningBack,
    pub calls: Calls,
    pub backend: Backend,
    pub ids: Ids,
    /// How a key is shown, where that is not the wire's own way.
    pub key: Option<KeyStyle>,
    /// The bound of the output, in tokens, for a wire that requires one where the request sets none.
    pub default_output: Option<u64>,
    /// The most texts that one call for embeddings may hold, where that is not the wire's own number.
    pub embed_inputs: Option<usize>,
    /// The account's project, for a service that wants it named in each request.
    pub project: Option<String>,
    /// Who the request goes to. Signatures, opaque blocks and reasoning are sent only to the origin that made them;
    /// without this, to nobody.
    pub target: Option<Origin>,
}

/// The name of the field that bounds the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MaxOutput {
    #[default]
    MaxCompletionTokens,
    MaxTokens,
}

/// Whether a stream's usage has to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamUsage {
    #[default]
    Ask,
    /// The server sends it unasked, or refuses the question.
    DoNotAsk,
}

/// How an assistant message without text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingContent {
    #[default]
    LeaveOut,
    Null,
}

/// Whether, and in which field, a model's reasoning goes back to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReasoningBack {
    #[default]
    Drop,
    ReasoningContent,
    Reasoning,
}

/// How the model is asked for tool calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Calls {
    /// The wire's own fields.
    #[default]
    Native,
    /// As text that the server binds to a schema.
    Constrained,
    /// As free text that is searched for calls.
    Text,
}

/// Whose Responses they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    #[default]
    Api,
    /// Those of a ChatGPT login.
    Chatgpt,
}

type Apply = fn(&mut Dialect);

const ALL: &[(&str, Apply)] = &[
    (max_tokens::NAME, max_tokens::apply),
    (no_stream_options::NAME, no_stream_options::apply),
    (null_content::NAME, null_content::apply),
    (send_reasoning::CONTENT, send_reasoning::apply_content),
    (send_reasoning::PLAIN, send_reasoning::apply_plain),
    (chatgpt_backend::NAME, chatgpt_backend::apply),
    (constrained_calls::NAME, |d| d.calls = Calls::Constrained),
    (text_calls::NAME, |d| d.calls = Calls::Text),
];

/// The names of all quirks, as a catalogue spells them.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

/// A quirk's name that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown quirk `{name}`{}; known: {}", .suggestion.as_ref().map(|s| format!(" ({s})")).unwrap_or_default(), names().collect::<Vec<_>>().join(", "))]
pub struct UnknownQuirk {
    pub name: String,
    suggestion: Option<String>,
}

impl Dialect {
    /// The plain wire with these quirks on it; a later one wins over an earlier one.
    pub fn from_quirks<S: AsRef<str>>(quirks: &[S]) -> Result<Self, UnknownQuirk> {
        let mut dialect = Self::default();
        for quirk in quirks {
            let name = quirk.as_ref();
            let Some((_, apply)) = ALL.iter().find(|(known, _)| *known == name) else {
                return Err(UnknownQuirk { name: name.to_owned(), suggestion: nearest::did_you_mean(name, names()) });
            };
            apply(&mut dialect);
        }
        Ok(dialect)
    }

    /// Whether a message was made by the one that it goes to: same provider, same account, same model. Only then does it
    /// take its signatures and opaque blocks along.
    pub fn is_home(&self, origin: Option<&Origin>) -> bool {
        self.target.is_some() && self.target.as_ref() == origin
    }

    /// The same flavour, spoken to this target.
    #[must_use]
    pub fn to_target(mut self, target: Origin) -> Self {
        self.target = Some(target);
        self
    }
}

/// The request as this dialect wants to be asked, before it is encoded.
pub fn prepare<'a>(dialect: &Dialect, request: &'a Request) -> Cow<'a, Request> {
    match dialect.calls {
        Calls::Native | Calls::Text => Cow::Borrowed(request),
        Calls::Constrained => Cow::Owned(constrained_calls::rewrite(request)),
    }
}

/// What stands between a decoder's events and everybody else, where a dialect writes calls as text.
#[derive(Debug)]
pub enum ReplyFilter {
    None,
    Constrained(constrained_calls::CallFilter),
    Text(text_calls::TextCalls),
}

impl ReplyFilter {
    /// The filter for the reply to `request`, as it was before [`prepare`].
    pub fn of(dialect: &Dialect, request: &Request) -> Self {
        match dialect.calls {
            _ if request.tools.is_empty() => Self::None,
            Calls::Native => Self::None,
            Calls::Constrained if request.tool_choice == crate::model::ToolChoice::None => Self::None,
            Calls::Constrained => Self::Constrained(constrained_calls::CallFilter::new(request)),
            Calls::Text => Self::Text(text_calls::TextCalls::new(request)),
        }
    }

    /// Takes an event and appends what it becomes.
    pub fn push(&mut self, event: StreamEvent, out: &mut Vec<StreamEvent>) {
        match self {
            Self::None => out.push(event),
            Self::Constrained(filter) => filter.push(event, out),
            Self::Text(filter) => filter.push(event, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_changes_the_dialect_and_a_wrong_one_is_answered_with_the_nearest() {
        for name in names() {
            assert_ne!(Dialect::from_quirks(&[name]).unwrap(), Dialect::default(), "{name}");
        }
        let error = Dialect::from_quirks(&["max_tokens".to_owned()]).unwrap_err();
        assert!(error.to_string().starts_with("unknown quirk `max_tokens` (did you mean `max-tokens`?); known: max-tokens, "), "{error}");
    }
}
