//! `send-reasoning-content` and its like: the model expects its own reasoning back while it works with tools.
//!
//! DeepSeek, Z.AI and Moonshot read `reasoning_content`; Cerebras, vLLM's newer versions and OpenRouter read `reasoning`
//! (Cerebras answers 400 to the other name, Groq to both); Mistral takes it as parts of the content. It is sent only to
//! the provider and model that wrote it. DeepSeek's thinking mode refuses an assistant message without the field, be it
//! empty: a turn that another model began has none.

use super::Quirk;

/// Whether, and in which field, a model's reasoning goes back to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReasoningBack {
    #[default]
    Drop,
    ReasoningContent,
    /// As before, and empty where there is none.
    ReasoningContentAlways,
    Reasoning,
    /// `{"type":"thinking",...}` before the text.
    Parts,
}

pub(super) const CONTENT: Quirk = Quirk {
    name: "send-reasoning-content",
    what: "sends a model's own reasoning back to it, in `reasoning_content`",
    apply: |dialect| dialect.reasoning_back = ReasoningBack::ReasoningContent,
};

pub(super) const ALWAYS: Quirk = Quirk {
    name: "need-reasoning-content",
    what: "as `send-reasoning-content`, and an empty one where an assistant message has none",
    apply: |dialect| dialect.reasoning_back = ReasoningBack::ReasoningContentAlways,
};

pub(super) const PLAIN: Quirk = Quirk {
    name: "send-reasoning",
    what: "sends a model's own reasoning back to it, in `reasoning`",
    apply: |dialect| dialect.reasoning_back = ReasoningBack::Reasoning,
};

pub(super) const PARTS: Quirk = Quirk {
    name: "send-thinking-parts",
    what: "sends a model's own reasoning back to it, as a part of the content",
    apply: |dialect| dialect.reasoning_back = ReasoningBack::Parts,
};
