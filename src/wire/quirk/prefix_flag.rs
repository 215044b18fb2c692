//! `prefix-flag`: DeepSeek and Mistral go on with a last assistant message only if it says that it is a beginning.
//!
//! Without `"prefix":true` they answer 400, for they expect the last word to be the user's or a tool's.

use super::Quirk;

/// How a conversation that ends with the assistant is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LastAssistant {
    #[default]
    AsItIs,
    Flagged,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "prefix-flag",
    what: "marks an assistant message that stands last with `\"prefix\":true`",
    apply: |dialect| dialect.last_assistant = LastAssistant::Flagged,
};
