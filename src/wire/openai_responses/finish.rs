//! How a response ended: its status, with the reason where it is incomplete (`incomplete:max_output_tokens`).

use crate::model::Stop;

pub const COMPLETED: &str = "completed";
pub const INCOMPLETE: &str = "incomplete";

pub fn read(word: &str) -> Stop {
    match word {
        COMPLETED => Stop::End,
        "incomplete:max_output_tokens" | "incomplete:max_tokens" => Stop::MaxTokens,
        "incomplete:content_filter" => Stop::ContentFilter,
        _ => Stop::Unknown,
    }
}

/// Status and reason by which a client understands it.
pub const fn write(stop: Stop) -> &'static str {
    match stop {
        Stop::End | Stop::ToolUse | Stop::StopSequence | Stop::Pause | Stop::Unknown | Stop::Error => COMPLETED,
        Stop::MaxTokens => "incomplete:max_output_tokens",
        Stop::ContentFilter | Stop::Refusal => "incomplete:content_filter",
    }
}

/// The provider's own word where it means on this wire what we mean; else ours.
pub fn word(stop: Stop, reason: Option<&str>) -> &str {
    let means = |r: &&str| match (stop, read(r)) {
        (Stop::ToolUse, Stop::End) => true,
        (Stop::Unknown, Stop::Unknown) => r.starts_with(INCOMPLETE),
        (stop, read) => stop == read,
    };
    reason.filter(means).unwrap_or(write(stop))
}
