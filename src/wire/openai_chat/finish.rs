//! Finish reasons: what the provider's word for the end means, and the word for what we mean.

use crate::model::Stop;

/// What a finish reason stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    Stop(Stop),
    /// The reply broke off; the word is the only trace of the error.
    Failed,
    /// The model had no capacity left for it.
    Exhausted,
    /// The context window is full.
    WindowFull,
}

pub fn read(word: &str) -> Finish {
    Finish::Stop(match word.to_ascii_lowercase().as_str() {
        "stop" | "eos" | "eos_token" | "end_turn" | "end" | "completed" | "complete" | "done" => Stop::End,
        "stop_sequence" => Stop::StopSequence,
        "length" | "max_tokens" | "max_output_tokens" | "model_length" => Stop::MaxTokens,
        "tool_calls" | "function_call" | "tool_use" | "tool_call" => Stop::ToolUse,
        "content_filter"
        | "content_filtered"
        | "safety"
        | "sensitive"
        | "prohibited_content"
        | "recitation"
        | "blocklist"
        | "spii"
        | "guardrail_intervened" => Stop::ContentFilter,
        "refusal" => Stop::Refusal,
        "pause" | "pause_turn" => Stop::Pause,
        // The last two are Google's: the model wrote a call that is none; the next try may go right.
        "error" | "network_error" | "abort" | "cancelled" | "malformed_function_call" | "unexpected_tool_call" => return Finish::Failed,
        "insufficient_system_resource" | "engine_overloaded" => return Finish::Exhausted,
        "model_context_window_exceeded" => return Finish::WindowFull,
        _ => Stop::Unknown,
    })
}

/// The word of this wire that a client understands.
pub const fn write(stop: Stop) -> &'static str {
    match stop {
        Stop::End | Stop::StopSequence | Stop::Pause | Stop::Unknown => "stop",
        Stop::ToolUse => "tool_calls",
        Stop::MaxTokens => "length",
        Stop::ContentFilter | Stop::Refusal => "content_filter",
        Stop::Error => "error",
    }
}
