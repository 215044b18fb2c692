//! Where a provider is told to cache a prompt, for wires that have to be told.
//!
//! A mark says "keep everything up to here", and the next request finds it again if it has a mark there or shortly behind.
//! Four are allowed. They go, from the beginning,
//! 1. to the end of the system prompt, which covers the tools too: every session of an agent begins with these bytes,
//! 2. to the user's message that began the turn: what stands before it survives whatever becomes of the turn,
//! 3. to where the request before this one ended: that is what was stored last, however many blocks have come since,
//! 4. to the newest message, for the request after this one.
//!
//! They depend on nothing but the history, so a session that is taken up again, or comes back from another provider,
//! marks the same places.

use super::json_out;
use super::quirk::{Dialect, Marks};
use super::{Wire, anthropic, openai_chat};
use crate::model::{Block, CacheMark, History, Message, Part, Request, Role};
use serde_json::Value;
use std::borrow::Cow;

/// No model stores less than 1,024 tokens, and no text has more tokens than bytes. Many store only more than that, which
/// costs nothing: a mark in front of too little is passed over.
const LEAST_BYTES: usize = 1_024;

/// The request with marks, where the dialect has them and the request brings none.
pub fn prepare<'a>(wire: Wire, dialect: &Dialect, request: Cow<'a, Request>) -> Cow<'a, Request> {
    let wanted = dialect.marks.are_for(&request.model) || (wire == Wire::Anthropic && dialect.marks != Marks::Never);
    if !wanted || is_marked(&request) {
        return request;
    }
    let marks = place(&request);
    if marks.is_empty() { request } else { Cow::Owned(Request { cache_marks: marks, ..request.into_owned() }) }
}

/// Whether the caller has placed marks, also where only a wire's own fields have them.
fn is_marked(request: &Request) -> bool {
    let own = [anthropic::NAME, openai_chat::NAME].into_iter().filter_map(|wire| request.extensions.get(wire));
    let tools = own.clone().filter_map(|fields| fields.get("tools")?.as_array()).flatten();
    !request.cache_marks.is_empty()
        || own.clone().any(|fields| fields.contains_key("cache_control"))
        || tools.into_iter().any(|tool| tool.get("cache_control").is_some())
}

fn place(request: &Request) -> Vec<CacheMark> {
    let messages = &request.messages;
    let system = messages.iter().take_while(|m| m.role == Role::System).count();
    let mut marks = Vec::new();
    let mut mark = |at: usize| {
        let found = messages.get(at).and_then(|message| Some(CacheMark { message: at, block: last_block(message)?, long: false }));
        marks.extend(found.filter(|new| !marks.contains(new)));
    };
    let head = request.tools.iter().map(|t| t.description.len() + json_len(&t.parameters)).sum::<usize>()
        + messages.iter().take(system).map(|m| len(m)).sum::<usize>();
    if head >= LEAST_BYTES
        && let Some(at) = before(messages, system, |_| true)
    {
        mark(at);
    }
    // A question without tools is asked once; storing it would cost more than it could save.
    let goes_on = !request.tools.is_empty() || messages.iter().any(|m| m.role == Role::Assistant);
    let whole = head + messages.iter().skip(system).map(|m| len(m)).sum::<usize>();
    if goes_on && whole >= LEAST_BYTES {
        let reply = messages.iter().rposition(|m| m.role == Role::Assistant).unwrap_or(0);
        let sent = before(messages, reply, |m| m.role != Role::Assistant).filter(|at| *at >= system);
        let turn = sent.and_then(|sent| before(messages, sent, |m| m.role == Role::User));
        let newest = before(messages, messages.len(), |_| true).filter(|at| *at >= system);
        [turn, sent, newest].into_iter().flatten().for_each(mark);
    }
    marks
}

/// The last message before `end` that can be marked and is of this kind.
fn before(messages: &History, end: usize, is: impl Fn(&Message) -> bool) -> Option<usize> {
    (0..end).rev().find(|at| messages.get(*at).is_some_and(|m| is(m) && last_block(m).is_some()))
}

/// The last block that takes a mark: not thinking, and nothing blank.
fn last_block(message: &Message) -> Option<usize> {
    message.blocks.iter().rposition(|block| match block {
        Block::Text { text } => !text.trim().is_empty(),
        Block::ToolCall(_) | Block::ToolResult(_) | Block::Image { .. } | Block::Document { .. } => true,
        Block::Thinking { .. } | Block::Opaque { .. } => false,
    })
}

/// About how many bytes of a message a model reads.
fn len(message: &Message) -> usize {
    message
        .blocks
        .iter()
        .map(|block| match block {
            Block::Text { text } | Block::Thinking { text, .. } => text.len(),
            Block::ToolCall(call) => call.name.len() + call.args_raw.len(),
            Block::ToolResult(result) => {
                result.parts.iter().map(|part| if let Part::Text { text } = part { text.len() } else { LEAST_BYTES }).sum()
            }
            Block::Image { .. } | Block::Document { .. } | Block::Opaque { .. } => LEAST_BYTES,
        })
        .sum()
}

fn json_len(value: &Value) -> usize {
    let mut out = Vec::new();
    json_out::value(&mut out, value);
    out.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ToolCall, ToolResult, ToolSpec};

    fn call(id: &str) -> Message {
        let call = ToolCall { id: id.into(), name: "f".into(), args_raw: "{}".into(), signature: None };
        let thought = Block::Thinking { text: "t".into(), signature: Some("s".into()), redacted: false };
        Message::new(Role::Assistant, vec![thought, Block::ToolCall(call)])
    }

    fn result(id: &str) -> Message {
        Message::results(vec![ToolResult::text(id, "r", false), ToolResult::text(format!("{id}2"), "r", false)])
    }

    fn request(messages: Vec<Message>) -> Request {
        let tool = ToolSpec { name: "f".into(), description: "d".repeat(LEAST_BYTES), parameters: serde_json::json!({}) };
        Request {
            model: "claude-sonnet-4-5".into(),
            messages: messages.into_iter().collect(),
            tools: vec![tool].into(),
            ..Request::default()
        }
    }

    fn placed(request: &Request) -> Vec<(usize, usize)> {
        place(request).into_iter().map(|mark| (mark.message, mark.block)).collect()
    }

    #[test]
    fn what_is_newest_now_is_marked_again_by_the_next_request() {
        let mut all = vec![Message::system("s"), Message::user("old"), Message::assistant("a"), Message::user("u")];
        assert_eq!(placed(&request(all.clone())), [(0, 0), (1, 0), (3, 0)]);
        let mut newest = (3, 0);
        for n in 0..3 {
            all.extend([call(&format!("c{n}")), result(&format!("c{n}"))]);
            let marks = placed(&request(all.clone()));
            assert!(marks.contains(&newest) && marks.len() <= 4, "{n}: {marks:?}");
            assert_eq!((marks[0], marks[1]), ((0, 0), if n == 0 { (1, 0) } else { (3, 0) }), "the head and the turn");
            newest = *marks.last().unwrap();
            assert_eq!(newest, (all.len() - 1, 1));
        }
    }

    #[test]
    fn nothing_blank_and_no_thinking_is_marked() {
        let blank = Block::Text { text: " \n".into() };
        let text = || Block::Text { text: "x".into() };
        let thought = Block::Thinking { text: "t".into(), signature: None, redacted: false };
        let messages = vec![
            Message::new(Role::System, vec![text(), blank.clone()]),
            Message::new(Role::User, vec![text(), blank.clone()]),
            Message::new(Role::Assistant, vec![text(), thought]),
            Message::new(Role::User, vec![blank]),
        ];
        assert_eq!(placed(&request(messages)), [(0, 0), (1, 0), (2, 0)]);
    }

    #[test]
    fn what_is_too_short_or_asked_once_is_not_stored() {
        let bare = |text: &str| Request { tools: [].into(), ..request(vec![Message::system("s"), Message::user(text)]) };
        assert!(placed(&bare("short")).is_empty());
        assert!(placed(&bare(&"long ".repeat(LEAST_BYTES))).is_empty(), "no tools: it will not be asked again");
        let mut short = request(vec![Message::system("s"), Message::user("u")]);
        short.tools = [].into();
        short.messages.push(Message::assistant("a"));
        assert!(placed(&short).is_empty());
        short.messages.push(Message::user("long ".repeat(LEAST_BYTES)));
        assert_eq!(placed(&short), [(1, 0), (3, 0)], "the head alone is too short");
        assert!(placed(&request(vec![])).is_empty(), "a mark needs a block");
    }

    #[test]
    fn wire_dialect_and_caller_decide_whether() {
        let request = request(vec![Message::system("s"), Message::user("u")]);
        let marks = |wire, quirks: &[&str], request: &Request| {
            prepare(wire, &Dialect::from_quirks(quirks).unwrap(), Cow::Borrowed(request)).cache_marks.len()
        };
        assert_eq!(marks(Wire::Anthropic, &[], &request), 2);
        assert_eq!(marks(Wire::Anthropic, &["no-cache-marks"], &request), 0);
        assert_eq!(marks(Wire::OpenaiChat, &[], &request), 0);
        assert_eq!(marks(Wire::OpenaiChat, &["claude-cache-marks"], &request), 2);
        let other = Request { model: "openai/gpt-4.1".into(), ..request.clone() };
        assert_eq!(marks(Wire::OpenaiChat, &["claude-cache-marks"], &other), 0);
        let own = Request { cache_marks: vec![CacheMark { message: 1, block: 0, long: true }], ..request.clone() };
        assert_eq!(marks(Wire::Anthropic, &[], &own), 1, "the caller's own stay");
        let mut tools = request;
        let whole = serde_json::json!([{"name": "f", "cache_control": {"type": "ephemeral"}}]);
        tools.extensions.entry("anthropic".into()).or_default().insert("tools".into(), whole);
        assert_eq!(marks(Wire::Anthropic, &[], &tools), 0);
    }
}
