//! Who answered: some rules hold for one vendor only.

use crate::wire::Wire;

/// The vendors whose refusals mean something of their own. Everybody else gets the rules that hold for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Vendor {
    OpenAi,
    ChatGpt,
    Anthropic,
    /// Gemini's API and Vertex.
    Google,
    Antigravity,
    OpenRouter,
    Groq,
    Together,
    Cerebras,
    Zai,
    Synthetic,
    /// A known name without rules of its own.
    Plain,
    #[default]
    Unknown,
}

/// Parts of provider ids. An id is compared as a whole first, then by its parts: `my-groq` is Groq's.
const NAMES: [(&str, Vendor); 37] = [
    ("openai", Vendor::OpenAi),
    ("azure", Vendor::OpenAi),
    ("chatgpt", Vendor::ChatGpt),
    ("codex", Vendor::ChatGpt),
    ("anthropic", Vendor::Anthropic),
    ("claude_code", Vendor::Anthropic),
    ("claude", Vendor::Anthropic),
    ("antigravity", Vendor::Antigravity),
    ("cloudcode", Vendor::Antigravity),
    ("gemini", Vendor::Google),
    ("google", Vendor::Google),
    ("vertex", Vendor::Google),
    ("openrouter", Vendor::OpenRouter),
    ("groq", Vendor::Groq),
    ("together", Vendor::Together),
    ("cerebras", Vendor::Cerebras),
    ("zai", Vendor::Zai),
    ("zai_api", Vendor::Zai),
    ("zai_coding", Vendor::Zai),
    ("zhipu", Vendor::Zai),
    ("bigmodel", Vendor::Zai),
    ("synthetic", Vendor::Synthetic),
    ("openai-compat", Vendor::Plain),
    ("openai-compatible", Vendor::Plain),
    ("copilot", Vendor::Plain),
    ("deepseek", Vendor::Plain),
    ("fireworks", Vendor::Plain),
    ("huggingface", Vendor::Plain),
    ("llamacpp", Vendor::Plain),
    ("lmstudio", Vendor::Plain),
    ("local", Vendor::Plain),
    ("mistral", Vendor::Plain),
    ("moonshot", Vendor::Plain),
    ("oauth", Vendor::Plain),
    ("ollama", Vendor::Plain),
    ("vllm", Vendor::Plain),
    ("xai", Vendor::Plain),
];

impl Vendor {
    /// The vendor behind a provider's id. A name that says nothing is judged by what it speaks.
    pub fn of(provider: &str, wire: Wire) -> Self {
        let id = provider.to_ascii_lowercase();
        let whole = NAMES.iter().find(|(name, _)| *name == id);
        let part = || NAMES.iter().find(|(name, _)| id.split(['_', '-', '.', '/']).any(|part| part == *name));
        whole.or_else(part).map_or(Self::of_wire(wire), |(_, vendor)| *vendor)
    }

    const fn of_wire(wire: Wire) -> Self {
        match wire {
            Wire::OpenaiChat => Self::Unknown,
            Wire::OpenaiResponses | Wire::CodexCli => Self::OpenAi,
            Wire::Anthropic | Wire::ClaudeCli => Self::Anthropic,
            Wire::Gemini => Self::Google,
            Wire::Antigravity => Self::Antigravity,
        }
    }

    /// The names that stand for a vendor.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_catalogues_and_peoples_own_names() {
        for (id, vendor) in [
            ("together", Vendor::Together),
            ("claude_code", Vendor::Anthropic),
            ("zai_coding", Vendor::Zai),
            ("my-groq", Vendor::Groq),
            ("azure.eu", Vendor::OpenAi),
            ("openai-compat", Vendor::Plain),
            ("Cerebras", Vendor::Cerebras),
            ("acme", Vendor::Unknown),
            ("", Vendor::Unknown),
        ] {
            assert_eq!(Vendor::of(id, Wire::OpenaiChat), vendor, "{id}");
        }
        assert_eq!(Vendor::of("acme", Wire::Anthropic), Vendor::Anthropic);
    }
}
