//! `effort-...`: how a server is asked for more or less thinking, where it is not OpenAI's `reasoning_effort` with any word.
//!
//! What a server does not know is not sent and named as a loss: most answer 400 to a word or a field that is not theirs.

use super::Quirk;
use serde_json::{Value, json};

/// The spelling of an effort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// `"reasoning_effort":"high"`, any word.
    #[default]
    Field,
    /// The same with `low`, `medium`, `high` and `none` alone.
    Three,
    /// The same with `high` and `none` alone.
    Two,
    /// `"reasoning":{"effort":"high"}`.
    Object,
    /// `"thinking":{"type":"enabled"}` and the efforts `high` and `max`.
    Switch,
    /// The same with `low` too, and past thinking kept.
    Zai,
    /// Arguments of the model's chat template.
    Template,
    /// What each Grok takes.
    Grok,
    Never,
}

const fn quirk(name: &'static str, what: &'static str, apply: fn(&mut super::Dialect)) -> Quirk {
    Quirk { name, what, apply }
}

pub(super) const THREE: Quirk =
    quirk("effort-three", "knows the efforts low, medium, high and none; the nearest is sent", |d| d.effort = Effort::Three);
pub(super) const TWO: Quirk =
    quirk("effort-on-off", "knows the efforts high and none (Mistral); the nearer is sent", |d| d.effort = Effort::Two);
pub(super) const OBJECT: Quirk =
    quirk("effort-object", "sends `\"reasoning\":{\"effort\":...}` instead of `reasoning_effort` (OpenRouter)", |d| {
        d.effort = Effort::Object;
    });
pub(super) const SWITCH: Quirk =
    quirk("effort-switch", "sends `thinking` with its type, and the efforts high and max (DeepSeek)", |d| d.effort = Effort::Switch);
pub(super) const ZAI: Quirk =
    quirk("effort-zai", "sends `thinking` with its type, past thinking kept, and the efforts low, high and max (Z.AI)", |d| {
        d.effort = Effort::Zai;
    });
pub(super) const TEMPLATE: Quirk = quirk(
    "effort-template",
    "sends `\"chat_template_kwargs\":{\"enable_thinking\":...}` (models of Qwen and others on llama.cpp and vLLM)",
    |d| d.effort = Effort::Template,
);
pub(super) const GROK: Quirk =
    quirk("effort-grok", "sends the efforts that each Grok takes, and none to those that refuse the field (xAI)", |d| {
        d.effort = Effort::Grok;
    });
pub(super) const NEVER: Quirk = quirk("no-effort", "never sends an effort", |d| d.effort = Effort::Never);

/// What is written for an effort, and what of it is lost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Spelled {
    pub fields: Vec<(&'static str, Value)>,
    pub loss: Option<&'static str>,
}

/// An effort as a neutral request has it, weakest first; anything else is some server's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Level {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "none" | "off" | "disabled" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    /// Of low, medium and high.
    const fn of_three(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal | Self::Low => "low",
            Self::Medium => "medium",
            Self::High | Self::XHigh | Self::Max => "high",
        }
    }
}

const NEAREST: &str = "the server knows fewer words for it; the nearest was sent";
const NO_FIELD: &str = "this model takes none";
const NO_WORD: &str = "not a word that this server knows for it";

impl Effort {
    /// Spells `word` for a model.
    pub fn spell(self, word: &str, model: &str) -> Spelled {
        if self == Self::Field {
            return Spelled { fields: vec![("reasoning_effort", word.into())], loss: None };
        }
        let Some(level) = Level::of(word) else {
            return Spelled { fields: Vec::new(), loss: Some(if self == Self::Never { NO_FIELD } else { NO_WORD }) };
        };
        let on = level != Level::None;
        let exactly = |sent: &str| (sent != word).then_some(NEAREST);
        let field = |sent: &'static str| Spelled { fields: vec![("reasoning_effort", sent.into())], loss: exactly(sent) };
        match self {
            Self::Field => Spelled::default(),
            Self::Three => field(level.of_three()),
            Self::Two => field(if on { "high" } else { "none" }),
            Self::Object => {
                let sent = if level == Level::Max { "xhigh" } else { word };
                Spelled { fields: vec![("reasoning", json!({"effort": sent}))], loss: exactly(sent) }
            }
            Self::Switch | Self::Zai if !on => Spelled { fields: vec![("thinking", json!({"type": "disabled"}))], loss: None },
            Self::Switch => {
                let sent = if level > Level::High { "max" } else { "high" };
                Spelled { fields: vec![("thinking", json!({"type": "enabled"})), ("reasoning_effort", sent.into())], loss: exactly(sent) }
            }
            Self::Zai => {
                let sent = match level {
                    Level::None | Level::Minimal | Level::Low => "low",
                    Level::Medium | Level::High => "high",
                    Level::XHigh | Level::Max => "max",
                };
                let thinking = json!({"type": "enabled", "clear_thinking": false});
                Spelled { fields: vec![("thinking", thinking), ("reasoning_effort", sent.into())], loss: exactly(sent) }
            }
            // A template reads the arguments that it knows: gpt-oss the second, most others the first.
            Self::Template if on => {
                let sent = level.of_three();
                let arguments = json!({"enable_thinking": true, "reasoning_effort": sent});
                Spelled { fields: vec![("chat_template_kwargs", arguments)], loss: exactly(sent) }
            }
            Self::Template => Spelled { fields: vec![("chat_template_kwargs", json!({"enable_thinking": false}))], loss: None },
            Self::Grok => match grok(model) {
                Grok::Two => field(if level >= Level::Medium { "high" } else { "low" }),
                Grok::Graded => field(if on { level.of_three() } else { "low" }),
                Grok::Refuses => Spelled { fields: Vec::new(), loss: Some(NO_FIELD) },
            },
            Self::Never => Spelled { fields: Vec::new(), loss: Some(NO_FIELD) },
        }
    }
}

/// What a Grok takes.
enum Grok {
    /// `low` and `high`.
    Two,
    /// `low`, `medium` and `high`; it always thinks.
    Graded,
    Refuses,
}

/// `grok-3-mini` was the first to be asked; those of 4 up to 4.4 answer 400, later ones take the field.
fn grok(model: &str) -> Grok {
    let Some((_, version)) = model.split_once("grok-") else { return Grok::Refuses };
    if version.starts_with("3-mini") {
        return Grok::Two;
    }
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().ok());
    let major = parts.next().flatten().unwrap_or(0);
    // `4.20` is the twentieth of another count, made before 4.5; `4-0709` has a date.
    let minor = parts.next().flatten().filter(|minor| *minor < 10).unwrap_or(0);
    if (major, minor) >= (4, 5) && major < 100 { Grok::Graded } else { Grok::Refuses }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(effort: Effort, word: &str, model: &str) -> (Value, bool) {
        let Spelled { fields, loss } = effort.spell(word, model);
        (fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<serde_json::Map<_, _>>().into(), loss.is_some())
    }

    #[test]
    fn each_server_is_asked_in_its_own_words_and_told_losses_where_they_are_fewer() {
        for (effort, word, sent, lossy) in [
            (Effort::Field, "whatever", json!({"reasoning_effort": "whatever"}), false),
            (Effort::Three, "high", json!({"reasoning_effort": "high"}), false),
            (Effort::Three, "max", json!({"reasoning_effort": "high"}), true),
            (Effort::Three, "minimal", json!({"reasoning_effort": "low"}), true),
            (Effort::Three, "none", json!({"reasoning_effort": "none"}), false),
            (Effort::Three, "whatever", json!({}), true),
            (Effort::Two, "low", json!({"reasoning_effort": "high"}), true),
            (Effort::Two, "none", json!({"reasoning_effort": "none"}), false),
            (Effort::Object, "low", json!({"reasoning": {"effort": "low"}}), false),
            (Effort::Object, "max", json!({"reasoning": {"effort": "xhigh"}}), true),
            (Effort::Switch, "high", json!({"thinking": {"type": "enabled"}, "reasoning_effort": "high"}), false),
            (Effort::Switch, "low", json!({"thinking": {"type": "enabled"}, "reasoning_effort": "high"}), true),
            (Effort::Switch, "none", json!({"thinking": {"type": "disabled"}}), false),
            (Effort::Zai, "max", json!({"thinking": {"type": "enabled", "clear_thinking": false}, "reasoning_effort": "max"}), false),
            (Effort::Zai, "medium", json!({"thinking": {"type": "enabled", "clear_thinking": false}, "reasoning_effort": "high"}), true),
            (Effort::Zai, "none", json!({"thinking": {"type": "disabled"}}), false),
            (Effort::Template, "none", json!({"chat_template_kwargs": {"enable_thinking": false}}), false),
            (Effort::Template, "low", json!({"chat_template_kwargs": {"enable_thinking": true, "reasoning_effort": "low"}}), false),
            (Effort::Never, "low", json!({}), true),
        ] {
            assert_eq!(spelled(effort, word, "m"), (sent, lossy), "{effort:?} {word}");
        }
    }

    #[test]
    fn each_grok_is_asked_for_what_it_takes() {
        let sent = |model: &str, word: &str| spelled(Effort::Grok, word, model).0;
        for (model, low) in [("grok-3-mini", "low"), ("x-ai/grok-4.6", "low"), ("grok-5", "low")] {
            assert_eq!(sent(model, "minimal"), json!({"reasoning_effort": low}), "{model}");
            assert_eq!(sent(model, "max"), json!({"reasoning_effort": "high"}), "{model}");
        }
        assert_eq!(sent("grok-3-mini", "medium"), json!({"reasoning_effort": "high"}));
        assert_eq!(sent("grok-4.5", "medium"), json!({"reasoning_effort": "medium"}));
        for model in ["grok-4", "grok-4-0709", "grok-4-fast", "grok-4.20-reasoning", "grok-code-fast-1", "grok-3", "other"] {
            assert_eq!(sent(model, "high"), json!({}), "{model}");
        }
    }
}
