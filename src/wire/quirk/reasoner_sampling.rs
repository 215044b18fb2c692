//! `no-reasoner-sampling`: OpenAI's reasoning models refuse temperature, `top_p` and stop sequences, its others take them.

use super::Quirk;

/// Who takes sampling parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sampling {
    #[default]
    All,
    /// All but OpenAI's reasoning models.
    NotReasoners,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "no-reasoner-sampling",
    what: "leaves out `temperature`, `top_p` and `stop` for OpenAI's reasoning models (`o3`, `gpt-5`, ...)",
    apply: |dialect| dialect.sampling = Sampling::NotReasoners,
};

impl Sampling {
    pub fn takes(self, model: &str, field: &str) -> bool {
        self == Self::All || !matches!(field, "temperature" | "top_p" | "stop") || !is_reasoner(model)
    }
}

/// The `o` series, and `gpt-5` and later but for the variants that only chat.
fn is_reasoner(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().ok();
    match name.strip_prefix("gpt-") {
        Some(version) => number(version).is_some_and(|n| n >= 5) && !name.contains("-chat"),
        None => name.strip_prefix('o').is_some_and(|rest| number(rest).is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoners_are_told_by_their_names() {
        for yes in ["o3", "o4-mini", "o1-2024-12-17", "gpt-5", "gpt-5.2-codex", "openai/gpt-5-mini"] {
            assert!(!Sampling::NotReasoners.takes(yes, "temperature"), "{yes}");
            assert!(Sampling::NotReasoners.takes(yes, "seed") && Sampling::All.takes(yes, "temperature"), "{yes}");
        }
        for no in ["gpt-4.1", "gpt-4o", "gpt-5-chat-latest", "openrouter", "omni", "gpt-oss-120b"] {
            assert!(Sampling::NotReasoners.takes(no, "temperature"), "{no}");
        }
    }
}
