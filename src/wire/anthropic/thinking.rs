//! Whether and how a request asks for thinking, and what that allows beside it.
//!
//! Facts of the protocol: a budget is at least 1,024 and below `max_tokens`; temperature stays away; a forced tool choice
//! and thinking exclude each other; with a budget, an assistant message whose tool results are being sent has to begin
//! with its thinking; without thinking, a model of the budget kind refuses it in the history.

use super::claude::{Claude, Thinks};
use crate::model::{Block, Loss, Origin, Request, Role, ToolChoice};
use serde_json::Value;

/// The extension with which a caller sets the field itself.
pub const EXTENSION: &str = "thinking";
const LEAST_BUDGET: u64 = 1_024;
/// What is left for the answer where a budget would take everything.
const ANSWER: u64 = 1_024;

const NO_WORD: &str = "not a word that this wire knows for it";

/// The budgets, in tokens, that effort words stand for on models without efforts of their own.
const BUDGETS: [(&str, u64); 6] =
    [("minimal", 1_024), ("low", 2_048), ("medium", 8_192), ("high", 16_384), ("xhigh", 24_576), ("max", 30_976)];

/// What is written of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thinking {
    /// Nothing: the model does as it does by default.
    Unasked,
    Budget(u64),
    /// Without `think`, where something else excludes it, the effort is all that is said.
    Adaptive {
        effort: &'static str,
        think: bool,
    },
    /// The caller's own field, and the effort beside it.
    Own {
        on: bool,
        effort: Option<&'static str>,
    },
}

/// Whether the history's thinking goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Past {
    #[default]
    Sent,
    /// The model would refuse it.
    LeftOut,
}

impl Thinking {
    /// Decides for a request that goes to `target` with this bound of the output.
    pub fn plan(request: &Request, max_tokens: u64, target: Option<&Origin>, losses: &mut Vec<Loss>) -> Self {
        let mut lose = |what: &str| losses.push(Loss::new("reasoning_effort", what));
        let kind = Claude::of(&request.model).map_or(Thinks::Budget, Claude::thinks);
        let forced = matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Tool(_)) && !request.tools.is_empty();
        let own = request.extensions.get(super::NAME).and_then(|own| own.get(EXTENSION));
        let asked = request.reasoning_effort.as_deref();
        if let Some(own) = own {
            let on = own.get("type").and_then(Value::as_str).is_some_and(|t| t != "disabled");
            let effort = asked.filter(|_| kind == Thinks::Adaptive).and_then(adaptive);
            if asked.is_some() && effort.is_none() {
                lose("the request's own field `thinking` says it");
            }
            return Self::Own { on, effort };
        }
        let Some(asked) = asked else { return Self::Unasked };
        match kind {
            Thinks::Never => {
                lose("this model does not think");
                Self::Unasked
            }
            Thinks::Adaptive => Self::by_effort(asked, forced, &mut lose),
            Thinks::Budget if forced => {
                lose("a forced tool choice excludes thinking");
                Self::Unasked
            }
            Thinks::Budget if unthought_turn(request, target) => {
                lose("the turn in progress was begun without thinking, or by another model");
                Self::Unasked
            }
            Thinks::Budget => Self::by_budget(asked, max_tokens, &mut lose),
        }
    }

    fn by_effort(asked: &str, forced: bool, lose: &mut impl FnMut(&str)) -> Self {
        let Some(effort) = adaptive(asked) else {
            lose(NO_WORD);
            return Self::Unasked;
        };
        if effort != asked {
            lose("the wire's lowest effort is `low`");
        }
        if forced {
            lose("a forced tool choice excludes thinking; the effort alone was sent");
        }
        Self::Adaptive { effort, think: !forced }
    }

    fn by_budget(asked: &str, max_tokens: u64, lose: &mut impl FnMut(&str)) -> Self {
        let room = max_tokens.saturating_sub(ANSWER);
        let Some((_, budget)) = BUDGETS.iter().find(|(word, _)| *word == asked) else {
            lose(NO_WORD);
            return Self::Unasked;
        };
        if room < LEAST_BUDGET {
            lose("the bound of the output leaves no room for thinking");
            return Self::Unasked;
        }
        if *budget > room {
            lose("the budget was lowered to fit below the bound of the output");
        }
        Self::Budget(room.min(*budget))
    }

    pub const fn is_on(&self) -> bool {
        match self {
            Self::Unasked => false,
            Self::Budget(_) => true,
            Self::Adaptive { think, .. } => *think,
            Self::Own { on, .. } => *on,
        }
    }

    /// The effort to be written, on models that have one.
    pub const fn effort(&self) -> Option<&'static str> {
        match self {
            Self::Unasked | Self::Budget(_) => None,
            Self::Adaptive { effort, .. } => Some(*effort),
            Self::Own { effort, .. } => *effort,
        }
    }

    pub fn past(&self, model: &str) -> Past {
        let strict = Claude::of(model).is_some_and(|c| c.thinks() != Thinks::Adaptive);
        if strict && !self.is_on() { Past::LeftOut } else { Past::Sent }
    }
}

/// The wire's own word for an effort.
fn adaptive(word: &str) -> Option<&'static str> {
    match word {
        "minimal" | "low" => Some("low"),
        "medium" => Some("medium"),
        "high" => Some("high"),
        "xhigh" => Some("xhigh"),
        "max" => Some("max"),
        _ => None,
    }
}

/// The word whose budget this is, exactly or nearly.
pub fn effort_of(budget: u64) -> (&'static str, Match) {
    let nearest = BUDGETS.iter().min_by_key(|(_, b)| b.abs_diff(budget));
    nearest.map_or(("medium", Match::Near), |(word, b)| (*word, if *b == budget { Match::Exact } else { Match::Near }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    Exact,
    Near,
}

/// Whether the last assistant message is a tool turn, or the beginning of the answer, that does not start with its
/// own signed thinking.
fn unthought_turn(request: &Request, target: Option<&Origin>) -> bool {
    let behind = request.messages.iter().rev().take_while(|m| m.role != Role::Assistant).count();
    let Some(at) = request.messages.len().checked_sub(behind + 1) else { return false };
    let Some(last) = request.messages.get(at) else { return false };
    if behind > 0 && last.calls().next().is_none() {
        return false;
    }
    let home = target.is_some() && last.origin.as_ref() == target;
    let signed = matches!(last.blocks.first(), Some(Block::Thinking { signature: Some(s), .. }) if !s.is_empty());
    !(home && signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Message, ToolCall, ToolResult, ToolSpec};
    use serde_json::json;

    fn plan(request: &Request) -> (Thinking, usize) {
        let mut losses = Vec::new();
        let target = Origin { provider: "p".into(), account: None, model: request.model.clone() };
        let thinking = Thinking::plan(request, request.max_output.unwrap_or(32_000), Some(&target), &mut losses);
        (thinking, losses.len())
    }

    fn ask(model: &str, effort: &str) -> Request {
        Request { model: model.into(), reasoning_effort: Some(effort.into()), ..Request::default() }
    }

    #[test]
    fn each_model_is_asked_in_its_own_way() {
        for (model, effort, want, losses) in [
            ("claude-sonnet-4-5", "high", Thinking::Budget(16_384), 0),
            ("claude-opus-4-6", "high", Thinking::Adaptive { effort: "high", think: true }, 0),
            ("claude-opus-4-6", "minimal", Thinking::Adaptive { effort: "low", think: true }, 1),
            ("claude-3-haiku-20240307", "high", Thinking::Unasked, 1),
            ("kimi-k2", "low", Thinking::Budget(2_048), 0),
            ("claude-opus-4-6", "none", Thinking::Unasked, 1),
            ("claude-sonnet-4-5", "enormous", Thinking::Unasked, 1),
        ] {
            assert_eq!(plan(&ask(model, effort)), (want, losses), "{model} {effort}");
        }
    }

    #[test]
    fn the_bound_of_the_output_and_a_forced_choice_limit_it() {
        let bounded = |max| plan(&Request { max_output: Some(max), ..ask("claude-sonnet-4-5", "high") });
        assert_eq!(bounded(5_000), (Thinking::Budget(3_976), 1));
        assert_eq!(bounded(2_047), (Thinking::Unasked, 1));
        let tools = vec![ToolSpec { name: "f".into(), description: String::new(), parameters: json!({}) }];
        let forced = |model| plan(&Request { tools: tools.clone().into(), tool_choice: ToolChoice::Required, ..ask(model, "high") });
        assert_eq!(forced("claude-sonnet-4-5"), (Thinking::Unasked, 1));
        assert_eq!(forced("claude-sonnet-5"), (Thinking::Adaptive { effort: "high", think: false }, 1));
    }

    #[test]
    fn a_tool_turn_that_began_without_thinking_goes_on_without() {
        let call = || Block::ToolCall(ToolCall { id: "a".into(), name: "f".into(), args_raw: String::new(), signature: None });
        let thought = || Block::Thinking { text: "t".into(), signature: Some("s".into()), redacted: false };
        let home = Origin { provider: "p".into(), account: None, model: "claude-sonnet-4-5".into() };
        let turn = |blocks: Vec<Block>, origin: Option<Origin>, more: Vec<Message>| {
            let assistant = Message { origin, ..Message::new(Role::Assistant, blocks) };
            let messages = [Message::user("u"), assistant].into_iter().chain(more).collect();
            plan(&Request { messages, ..ask("claude-sonnet-4-5", "low") }).0.is_on()
        };
        let result = || vec![Message::results(vec![ToolResult::text("a", "r", false)])];
        assert!(turn(vec![thought(), call()], Some(home.clone()), result()));
        assert!(!turn(vec![thought(), call()], None, result()), "another model's turn");
        assert!(!turn(vec![call()], Some(home), result()));
        assert!(turn(vec![Block::Text { text: "said".into() }], None, vec![Message::user("next")]), "a finished turn binds nobody");
    }

    #[test]
    fn only_a_model_that_refuses_it_gets_no_past_thinking() {
        assert_eq!(Thinking::Unasked.past("claude-sonnet-4-5"), Past::LeftOut);
        assert_eq!(Thinking::Budget(2_048).past("claude-sonnet-4-5"), Past::Sent);
        assert_eq!(Thinking::Unasked.past("claude-sonnet-5"), Past::Sent);
        assert_eq!(Thinking::Unasked.past("kimi-k2"), Past::Sent);
    }
}
