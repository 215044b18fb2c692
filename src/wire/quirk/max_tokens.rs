//! `max-tokens`: the server knows only the older name of the output bound.
//!
//! OpenAI's newer models refuse `max_tokens` with 400 `unsupported_parameter`; most compatible servers know nothing else,
//! and some (Mistral) refuse the newer name.

use super::Quirk;

/// The name of the field that bounds the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MaxOutput {
    #[default]
    MaxCompletionTokens,
    MaxTokens,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "max-tokens",
    what: "sends `max_tokens` instead of `max_completion_tokens`",
    apply: |dialect| dialect.max_output = MaxOutput::MaxTokens,
};
