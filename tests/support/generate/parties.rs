//! Who takes part in generated conversations: providers with their accounts and models, each on its wire.

use super::SERVED;
use crate::support::rules::Api;
use code_pup::model::Origin;
use code_pup::wire::{Dialect, Wire};

/// A provider, an account and a model, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Party {
    pub wire: Wire,
    pub api: Api,
    pub origin: Origin,
    pub dialect: Dialect,
}

/// All parties; every wire that a server speaks has at least two, so that one may be foreign to the other.
pub fn all() -> Vec<Party> {
    SERVED.into_iter().flat_map(of).collect()
}

fn of(wire: Wire) -> Vec<Party> {
    let party = |api, provider: &str, account: Option<&str>, model: &str, dialect: Dialect| {
        let origin = Origin { provider: provider.to_owned(), account: account.map(str::to_owned), model: model.to_owned() };
        Party { wire, api, dialect: dialect.to_target(origin.clone()), origin }
    };
    let project = || Dialect { project: Some("p-1".to_owned()), ..Dialect::default() };
    let quirks = |names: &[&str]| Dialect::from_quirks(names).unwrap();
    // As the catalogue has it.
    let known = |provider: &str| {
        let catalogue: serde_json::Value = serde_json::from_str(include_str!("../../../models.json")).unwrap();
        let names = catalogue["providers"][provider]["quirks"].as_array().cloned().unwrap_or_default();
        Dialect::from_quirks(&names.iter().map(|n| n.as_str().unwrap()).collect::<Vec<_>>()).unwrap()
    };
    match wire {
        Wire::OpenaiChat => vec![
            party(Api::Chat, "groq", None, "kimi-k2", known("groq")),
            party(Api::Chat, "openrouter", Some("one"), "glm-5", quirks(&["max-tokens", "send-reasoning", "null-content"])),
            party(Api::Chat, "gemini_openai", None, "gemini-3-pro-preview", known("gemini_openai")),
            party(Api::Mistral, "mistral", None, "mistral-large", known("mistral")),
        ],
        Wire::OpenaiResponses => vec![
            party(Api::Responses, "openai", None, "gpt-5", Dialect::default()),
            party(Api::Responses, "openai", Some("other"), "gpt-5", Dialect::default()),
            party(Api::Codex, "chatgpt", Some("me"), "gpt-5.4-codex", known("chatgpt")),
        ],
        Wire::Anthropic => vec![
            party(Api::Anthropic, "anthropic", Some("work"), "claude-sonnet-4-5", Dialect::default()),
            party(Api::Anthropic, "anthropic", Some("home"), "claude-sonnet-4-5", Dialect::default()),
            party(Api::Anthropic, "anthropic", Some("work"), "claude-opus-4-6", Dialect::default()),
        ],
        Wire::Gemini => vec![
            party(Api::Gemini, "gemini", None, "gemini-2.5-pro", Dialect::default()),
            party(Api::Gemini, "gemini", None, "gemini-3-pro-preview", Dialect::default()),
        ],
        Wire::Antigravity => vec![
            party(Api::Antigravity, "antigravity", Some("me"), "gemini-3-pro-high", project()),
            party(Api::Antigravity, "antigravity", Some("me"), "claude-sonnet-4-5", project()),
        ],
        Wire::ClaudeCli | Wire::CodexCli => unreachable!("no server speaks it"),
    }
}
