//! Stop reasons: what the provider's word for the end means, and the word for what we mean.

use crate::model::Stop;

pub fn read(word: &str) -> Stop {
    match word.to_ascii_lowercase().as_str() {
        // The last words of most lines are those of servers that translate from the other wire.
        "end_turn" | "stop" => Stop::End,
        "max_tokens" | "model_context_window_exceeded" | "length" => Stop::MaxTokens,
        "stop_sequence" => Stop::StopSequence,
        "tool_use" | "tool_calls" => Stop::ToolUse,
        // Behind a compaction, too, the conversation is sent back and goes on.
        "pause_turn" | "compaction" => Stop::Pause,
        "refusal" => Stop::Refusal,
        "sensitive" | "content_filter" => Stop::ContentFilter,
        _ => Stop::Unknown,
    }
}

/// The word for a reply that ran into the end of the window.
pub const WINDOW_FULL: &str = "model_context_window_exceeded";

/// The word of this wire that a client understands.
pub const fn write(stop: Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Unknown | Stop::Error => "end_turn",
        Stop::MaxTokens => "max_tokens",
        Stop::StopSequence => "stop_sequence",
        Stop::ToolUse => "tool_use",
        Stop::Pause => "pause_turn",
        Stop::Refusal | Stop::ContentFilter => "refusal",
    }
}
