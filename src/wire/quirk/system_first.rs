//! `system-first`: the server, or the chat template of its model, takes system messages at the beginning only.
//!
//! Mistral answers 400 (`Unexpected role 'system' after role 'user'`); templates of Qwen, Gemma and others raise an error.

use super::Quirk;

/// How a system message inside the conversation is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LateSystem {
    #[default]
    AsItIs,
    AsUser,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "system-first",
    what: "sends a system message inside the conversation as the user's",
    apply: |dialect| dialect.late_system = LateSystem::AsUser,
};
