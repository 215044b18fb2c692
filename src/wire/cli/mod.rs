//! What a vendor's own command line program is told and says: a conversation as a prompt, and its lines of JSON as events.
//!
//! Such a program has one door, its standard input, and shows one model to the user who is logged in to it. It is asked
//! for text alone: its own tools are off, and calls of pup's tools go the way of `constrained-calls`.

mod claude;
mod codex;
mod prompt;
mod refusal;
#[cfg(test)]
mod tests;

pub use claude::ReplyDecoder as ClaudeDecoder;
pub use codex::ReplyDecoder as CodexDecoder;
pub use prompt::{Ask, Encoder};

/// The wires' names.
pub const CLAUDE: &str = "claude-cli";
pub const CODEX: &str = "codex-cli";
