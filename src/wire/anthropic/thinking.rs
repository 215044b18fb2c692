//! Whether and how a request asks for thinking, and what that allows beside it.
//!
//! Facts of the protocol: a budget is at least 1,024 and below `max_tokens`; temperature stays away; a forced tool choice
//! and thinking exclude each other; with a budget, an assistant message whose tool results are being sent has to begin
//! with its thinking; without thinking, a model of the budget kind refuses it in the history.

use super::claude::{Claude, Thinks};
use crate::model::{Block, Loss, Message, Origin, Request, Role, ToolChoice};
use serde_json::Value;
use std::sync::Arc;

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
    /// Nothing, since the turn in progress was begun without it. The next one thinks again.
    NotThisTurn,
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
            Thinks::Budget if !BUDGETS.iter().any(|(word, _)| *word == asked) => {
                lose(NO_WORD);
                Self::Unasked
            }
            Thinks::Budget => match turn(request, target) {
                Turn::Open => Self::by_budget(asked, max_tokens, &mut lose),
                Turn::Unthought { later } => {
                    lose("the turn in progress was begun without thinking, or by another model");
                    if later { Self::Unasked } else { Self::NotThisTurn }
                }
            },
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
            Self::Unasked | Self::NotThisTurn => false,
            Self::Budget(_) => true,
            Self::Adaptive { think, .. } => *think,
            Self::Own { on, .. } => *on,
        }
    }

    /// The effort to be written, on models that have one.
    pub const fn effort(&self) -> Option<&'static str> {
        match self {
            Self::Unasked | Self::NotThisTurn | Self::Budget(_) => None,
            Self::Adaptive { effort, .. } => Some(*effort),
            Self::Own { effort, .. } => *effort,
        }
    }

    pub fn past(&self, model: &str) -> Past {
        let strict = Claude::of(model).is_some_and(|c| c.thinks() != Thinks::Adaptive);
        // It is refused in the last message only, and the next turn would send it again: so the bytes stay the same.
        let kept = self.is_on() || *self == Self::NotThisTurn;
        if strict && !kept { Past::LeftOut } else { Past::Sent }
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

/// Whether a block of the assistant's is sent, leaving thinking aside: a message that has none of these is not sent at all.
pub fn stands(block: &Block, home: bool) -> bool {
    match block {
        Block::Text { text } => !text.trim().is_empty(),
        Block::ToolCall(_) | Block::Image { .. } => true,
        Block::Opaque { wire, .. } => home && wire == super::NAME,
        Block::Thinking { .. } | Block::ToolResult(_) | Block::Document { .. } => false,
    }
}

/// What the turn in progress says of thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There is none, or it thinks.
    Open,
    /// It has calls, or the beginning of the answer, and does not start with its own signed thinking.
    Unthought {
        /// There is some behind the start.
        later: bool,
    },
}

/// Looks at the last message of the assistant's as it is sent: neighbours are one message.
fn turn(request: &Request, target: Option<&Origin>) -> Turn {
    let home = |message: &Message| target.is_some() && message.origin.as_ref() == target;
    let sent = |message: &Message| message.blocks.iter().any(|b| stands(b, home(message)));
    let signed = |block: &Block| matches!(block, Block::Thinking { signature: Some(s), .. } if !s.is_empty());
    let newest = || request.messages.iter().rev().map(Arc::as_ref);
    let behind = newest().take_while(|m| m.role != Role::Assistant || !sent(m)).count();
    let run = || newest().skip(behind).take_while(|m| m.role == Role::Assistant).filter(|m| sent(m));
    let Some(first) = run().last() else { return Turn::Open };
    let finished = behind > 0 && !run().any(|m| m.calls().next().is_some());
    // What is not sent begins nothing.
    let begins = first.blocks.iter().find(|b| signed(b) || stands(b, home(first)));
    if finished || home(first) && begins.is_some_and(signed) {
        return Turn::Open;
    }
    // Thinking at the end of a message is not sent.
    let later = |m: &&Message| {
        let last = m.blocks.iter().rposition(|b| stands(b, home(m)));
        home(m) && m.blocks.iter().take(last.unwrap_or(0)).any(signed)
    };
    Turn::Unthought { later: run().any(|m| later(&m)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ToolCall, ToolResult, ToolSpec};
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
        let thinks = |blocks: Vec<Block>, origin: Option<Origin>, more: Vec<Message>| {
            let assistant = Message { origin, ..Message::new(Role::Assistant, blocks) };
            let messages = [Message::user("u"), assistant].into_iter().chain(more).collect();
            plan(&Request { messages, ..ask("claude-sonnet-4-5", "low") }).0.is_on()
        };
        let result = || vec![Message::results(vec![ToolResult::text("a", "r", false)])];
        assert!(thinks(vec![thought(), call()], Some(home.clone()), result()));
        assert!(!thinks(vec![thought(), call()], None, result()), "another model's turn");
        assert!(!thinks(vec![call()], Some(home.clone()), result()));
        assert!(thinks(vec![Block::Text { text: "said".into() }], None, vec![Message::user("next")]), "a finished turn binds nobody");
        let unsent = || Message::new(Role::Assistant, vec![thought()]);
        let gone = || result().into_iter().chain([unsent(), Message::user("next")]).collect();
        assert!(!thinks(vec![call()], None, gone()), "a message of which nothing is sent finishes nothing");
        let own = Message { origin: Some(home), ..Message::new(Role::Assistant, vec![thought(), call()]) };
        let joined = [own].into_iter().chain(result()).collect();
        assert!(!thinks(vec![Block::Text { text: "said".into() }], None, joined), "neighbours are one message, which begins with the text");
    }

    #[test]
    fn only_a_model_that_refuses_it_gets_no_past_thinking() {
        assert_eq!(Thinking::Unasked.past("claude-sonnet-4-5"), Past::LeftOut);
        assert_eq!(Thinking::Budget(2_048).past("claude-sonnet-4-5"), Past::Sent);
        assert_eq!(Thinking::Unasked.past("claude-sonnet-5"), Past::Sent);
        assert_eq!(Thinking::Unasked.past("kimi-k2"), Past::Sent);
        assert_eq!(Thinking::NotThisTurn.past("claude-sonnet-4-5"), Past::Sent, "the next turn's bytes begin with this one's");
    }
}
