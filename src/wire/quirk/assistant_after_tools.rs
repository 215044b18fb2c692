//! `assistant-after-tools`: Mistral wants the assistant to speak between tool results and the user.
//!
//! It answers 400 (`Unexpected role 'user' after role 'tool'`), and since the history stays, to every later request too.
//! A user who steers while tools run, and images of results, stand exactly there.

use super::Quirk;

/// Who may speak behind tool results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterResults {
    #[default]
    Anybody,
    /// The assistant, with these words where it said nothing.
    Assistant,
}

/// What the assistant says where it said nothing.
pub const WORDS: &str = "[The tool results are above.]";

pub(super) const QUIRK: Quirk = Quirk {
    name: "assistant-after-tools",
    what: "puts a short assistant message between tool results and a user message",
    apply: |dialect| dialect.after_results = AfterResults::Assistant,
};
