//! `chatgpt-backend`: the Responses of a ChatGPT login, which refuses what the API takes.
//!
//! It stores nothing and only streams; a request that says otherwise, bounds the output, samples, or has any field that it
//! does not know gets 400 `Unsupported parameter`. The field `instructions` has to be there. Which efforts it takes differs
//! from model to model.

use super::Quirk;

/// Whose Responses they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    #[default]
    Api,
    /// Those of a ChatGPT login.
    Chatgpt,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "chatgpt-backend",
    what: "speaks Responses as a ChatGPT login takes them: nothing stored, always streamed, fewer fields",
    apply: |dialect| dialect.backend = Backend::Chatgpt,
};

/// The fields of a caller's own that it takes, besides those that pup sets.
pub const FIELDS: &[&str] = &["include", "prompt_cache_key", "reasoning", "text", "tools", "tool_choice", "parallel_tool_calls"];

/// The effort that a model of this version takes, nearest to the one that is asked for. `is` tells the words of its variant.
pub fn effort(version: (u32, u32), is: impl Fn(&str) -> bool, asked: &str) -> &str {
    if version == (5, 1) && is("codex") && is("mini") {
        return if matches!(asked, "high" | "xhigh" | "max") { "high" } else { "medium" };
    }
    match asked {
        "minimal" if version >= (5, 2) => "low",
        "xhigh" | "max" if version <= (5, 1) && !is("max") => "high",
        "max" if version < (5, 6) => "xhigh",
        asked => asked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efforts_are_those_that_each_model_takes() {
        /// Version, words of the variant, what is asked for, what is sent.
        type Row<'a> = ((u32, u32), &'a [&'a str], &'a str, &'a str);
        let rows: [Row<'_>; 12] = [
            ((5, 2), &["codex"], "minimal", "low"),
            ((5, 4), &[], "minimal", "low"),
            ((5, 0), &[], "minimal", "minimal"),
            ((5, 1), &[], "xhigh", "high"),
            ((5, 1), &["codex", "max"], "xhigh", "xhigh"),
            ((5, 1), &["codex", "mini"], "low", "medium"),
            ((5, 1), &["codex", "mini"], "xhigh", "high"),
            ((5, 1), &["codex", "mini"], "minimal", "medium"),
            ((5, 4), &[], "max", "xhigh"),
            ((5, 6), &["sol"], "max", "max"),
            ((5, 1), &[], "max", "high"),
            ((5, 2), &[], "none", "none"),
        ];
        for (version, words, asked, want) in rows {
            assert_eq!(effort(version, |w| words.contains(&w), asked), want, "{version:?} {words:?} {asked}");
        }
    }
}
