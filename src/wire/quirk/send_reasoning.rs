//! `send-reasoning-content` and `send-reasoning`: the model expects its own reasoning back while it works with tools.
//!
//! DeepSeek, Z.AI and Moonshot read `reasoning_content`; vLLM's newer versions and OpenRouter read `reasoning`. It is
//! sent only to the provider and model that wrote it.

use super::{Dialect, ReasoningBack};

pub const CONTENT: &str = "send-reasoning-content";
pub const PLAIN: &str = "send-reasoning";

pub(super) fn apply_content(dialect: &mut Dialect) {
    dialect.reasoning_back = ReasoningBack::ReasoningContent;
}

pub(super) fn apply_plain(dialect: &mut Dialect) {
    dialect.reasoning_back = ReasoningBack::Reasoning;
}
