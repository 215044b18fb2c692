//! Settings of a model that its wire does not have, because another vendor's spells them so: nothing would be sent of them,
//! or the server would refuse every request.

use super::format::WireId;
use crate::model::google_fields;

/// What Google's servers refuse.
const NOT_GOOGLES: [&str; 15] = [
    "max_tokens",
    "max_completion_tokens",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "output_config",
    "effort",
    "response_format",
    "tool_choice",
    "parallel_tool_calls",
    "verbosity",
    "logit_bias",
    "store",
    "stop",
    "n",
];
/// What Anthropic's refuse.
const NOT_ANTHROPICS: [&str; 6] =
    ["max_completion_tokens", "reasoning_effort", "response_format", "logit_bias", "frequency_penalty", "presence_penalty"];
/// What OpenAI's refuse on Responses.
const NOT_OF_RESPONSES: [&str; 8] =
    ["max_tokens", "max_completion_tokens", "reasoning_effort", "response_format", "thinking", "output_config", "stop", "stop_sequences"];

/// Why the setting has no place on this wire, and what would have.
pub fn why(wire: WireId, name: &str) -> Option<(&'static str, &'static str)> {
    let google = google_fields::is_of_body(name) || google_fields::is_of_generation(name);
    match wire {
        WireId::Gemini | WireId::Antigravity => NOT_GOOGLES.contains(&name).then_some((
            "is a field that Google's servers refuse",
            "use Google's own fields, such as `maxOutputTokens` or `thinkingConfig`",
        )),
        WireId::OpenaiChat | WireId::OpenaiResponses | WireId::Anthropic if google => {
            Some(("is a field of Google's wires", "remove it, or spell it as this model's provider does"))
        }
        WireId::Anthropic => NOT_ANTHROPICS.contains(&name).then_some(("is a field that Anthropic's wire does not have", "remove it")),
        WireId::OpenaiResponses => NOT_OF_RESPONSES
            .contains(&name)
            .then_some(("is a field that Responses does not have", "its own are `reasoning`, `text` and `max_output_tokens`")),
        // Servers of all kinds speak it, with fields of their own; a program takes no fields at all, and is not sent any.
        WireId::OpenaiChat | WireId::ClaudeCli | WireId::CodexCli => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wire_keeps_its_own_fields() {
        for (wire, good, bad) in [
            (WireId::Gemini, "thinkingConfig", "reasoning_effort"),
            (WireId::Antigravity, "topK", "max_tokens"),
            (WireId::OpenaiChat, "thinking", "thinkingConfig"),
            (WireId::OpenaiResponses, "service_tier", "max_tokens"),
            (WireId::OpenaiResponses, "truncation", "safetySettings"),
            (WireId::Anthropic, "top_k", "topK"),
            (WireId::Anthropic, "thinking", "reasoning_effort"),
        ] {
            assert_eq!(why(wire, good), None, "{wire:?} {good}");
            assert!(why(wire, bad).is_some(), "{wire:?} {bad}");
        }
    }
}
