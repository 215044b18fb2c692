//! How much a model is asked to think: an effort inside pup, a budget or a level on this wire.

use super::family::{Family, Level, Maker, Off, Thinks};
use crate::model::{Loss, Request};
use serde_json::{Map, Value, json};

/// The field of `generationConfig`, with which a caller may set it itself.
pub const FIELD: &str = "thinkingConfig";
/// What is left for the answer where a budget would take everything.
const ANSWER: u64 = 1_024;
/// The bound that Claude gets where the request sets none, for its budget has to lie below one.
const CLAUDE_OUTPUT: u64 = 64_000;

/// The budgets, in tokens, that effort words stand for.
const BUDGETS: [(&str, u64); 7] =
    [("none", 0), ("minimal", 512), ("low", 1_024), ("medium", 8_192), ("high", 24_576), ("xhigh", 28_672), ("max", 32_768)];

/// The levels that effort words stand for.
const LEVELS: [(&str, Level); 7] = [
    ("minimal", Level::Minimal),
    ("low", Level::Low),
    ("medium", Level::Medium),
    ("high", Level::High),
    ("none", Level::Minimal),
    ("xhigh", Level::High),
    ("max", Level::High),
];

/// What is written of it: the config, and a bound of the output that it needs.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    pub config: Option<Value>,
    pub output: Option<u64>,
}

pub fn plan(request: &Request, family: Family, own: Option<&Value>, losses: &mut Vec<Loss>) -> Plan {
    let mut lose = |what: &str| losses.push(Loss::new("reasoning_effort", what));
    let budget_of = |config: &Value| config.get("thinkingBudget").and_then(Value::as_u64);
    if let Some(own) = own {
        if request.reasoning_effort.is_some() {
            lose("the request's own field `thinkingConfig` says it");
        }
        return Plan { config: Some(own.clone()), output: budget_of(own).and_then(|b| bound(request, family, b)) };
    }
    let Some(asked) = request.reasoning_effort.as_deref() else { return Plan::default() };
    match family.thinks {
        Thinks::Never => {
            lose("this model does not think");
            Plan::default()
        }
        Thinks::Budget { off, least, most } => {
            let Some((_, wanted)) = BUDGETS.iter().find(|(word, _)| *word == asked) else {
                lose("not a word that this wire knows for it");
                return Plan::default();
            };
            let room = match (family.maker, request.max_output) {
                (Maker::Claude, Some(bound)) => bound.saturating_sub(ANSWER),
                _ => most,
            };
            if *wanted == 0 && off == Off::Can {
                return Plan { config: Some(json!({"thinkingBudget": 0})), output: None };
            }
            if room < least {
                lose("the bound of the output leaves no room for thinking");
                return Plan::default();
            }
            let budget = (*wanted).clamp(least, most.min(room));
            if budget != *wanted {
                lose("the budget was moved to what this model takes");
            }
            let config = json!({"includeThoughts": true, "thinkingBudget": budget});
            Plan { config: Some(config), output: bound(request, family, budget) }
        }
        Thinks::Level(levels) => {
            let Some((_, wanted)) = LEVELS.iter().find(|(word, _)| *word == asked) else {
                lose("not a word that this wire knows for it");
                return Plan::default();
            };
            let level = levels.iter().find(|l| *l >= wanted).or(levels.last()).unwrap_or(wanted);
            if word(*level) != Some(asked) {
                lose("the effort was moved to what this model takes");
            }
            Plan { config: Some(json!({"includeThoughts": true, "thinkingLevel": level.as_str()})), output: None }
        }
    }
}

/// The bound of the output beside a budget of Claude's, which has to lie below it.
fn bound(request: &Request, family: Family, budget: u64) -> Option<u64> {
    (family.maker == Maker::Claude && request.max_output.is_none()).then(|| CLAUDE_OUTPUT.max(budget.saturating_add(ANSWER)))
}

/// The effort whose first word a level is.
fn word(level: Level) -> Option<&'static str> {
    LEVELS.iter().find(|(_, l)| *l == level).map(|(word, _)| *word)
}

/// The effort that a config says exactly.
pub fn effort(config: &Map<String, Value>) -> Option<&'static str> {
    let shown = config.get("includeThoughts").and_then(Value::as_bool).unwrap_or(false);
    let known = config.keys().all(|k| matches!(k.as_str(), "includeThoughts" | "thinkingBudget" | "thinkingLevel"));
    let (budget, level) = (config.get("thinkingBudget"), config.get("thinkingLevel").and_then(Value::as_str));
    match (budget.and_then(Value::as_u64), level) {
        _ if !known => None,
        (Some(0), None) if !shown => Some("none"),
        (Some(budget), None) if shown => BUDGETS.iter().find(|(_, b)| *b == budget && budget > 0).map(|(word, _)| *word),
        (None, Some(level)) if shown && budget.is_none() => {
            LEVELS.iter().find(|(_, l)| l.as_str().eq_ignore_ascii_case(level)).map(|(word, _)| *word)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(model: &str, effort: &str, max_output: Option<u64>) -> (Value, Option<u64>, usize) {
        let request = Request { reasoning_effort: Some(effort.into()), max_output, ..Request::default() };
        let mut losses = Vec::new();
        let plan = plan(&request, Family::of(model), None, &mut losses);
        (plan.config.unwrap_or_default(), plan.output, losses.len())
    }

    #[test]
    fn each_model_is_asked_in_its_own_way() {
        let budget = |n: u64| json!({"includeThoughts": true, "thinkingBudget": n});
        let level = |l: &str| json!({"includeThoughts": true, "thinkingLevel": l});
        for (model, effort, want, losses) in [
            ("gemini-2.5-flash", "high", budget(24_576), 0),
            ("gemini-2.5-flash", "max", budget(24_576), 1),
            ("gemini-2.5-flash", "none", json!({"thinkingBudget": 0}), 0),
            ("gemini-2.5-pro", "none", budget(128), 1),
            ("gemini-2.5-pro", "max", budget(32_768), 0),
            ("gemini-2.0-flash", "low", Value::Null, 1),
            ("gemini-3-pro-preview", "medium", level("HIGH"), 1),
            ("gemini-3-pro-preview", "minimal", level("LOW"), 1),
            ("gemini-3.1-pro-preview", "medium", level("MEDIUM"), 0),
            ("gemini-3-flash-preview", "minimal", level("MINIMAL"), 0),
            ("gemini-3-flash-preview", "none", level("MINIMAL"), 1),
            ("gemini-3-flash-preview", "enormous", Value::Null, 1),
        ] {
            assert_eq!(planned(model, effort, None), (want.clone(), None, losses), "{model} {effort}");
            if losses == 0 {
                assert_eq!(super::effort(want.as_object().unwrap()), Some(effort), "{model} {effort} comes back");
            }
        }
    }

    #[test]
    fn claudes_budget_lies_below_the_bound_of_the_output() {
        let budget = |n: u64| json!({"includeThoughts": true, "thinkingBudget": n});
        assert_eq!(planned("claude-opus-4-5-thinking", "high", None), (budget(24_576), Some(64_000), 0));
        assert_eq!(planned("claude-opus-4-5-thinking", "high", Some(8_000)), (budget(6_976), None, 1));
        assert_eq!(planned("claude-opus-4-5-thinking", "high", Some(1_500)), (Value::Null, None, 1));
    }

    #[test]
    fn a_config_that_says_more_than_an_effort_is_none() {
        for config in [
            json!({"includeThoughts": true, "thinkingBudget": -1}),
            json!({"includeThoughts": true, "thinkingBudget": 1000}),
            json!({"thinkingBudget": 1024}),
            json!({"includeThoughts": true}),
            json!({"includeThoughts": true, "thinkingLevel": "LOW", "thinkingBudget": 1024}),
        ] {
            assert_eq!(effort(config.as_object().unwrap()), None, "{config}");
        }
    }
}
