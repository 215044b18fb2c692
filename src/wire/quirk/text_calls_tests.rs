//! Calls read out of text: what is one, what is not, and that ordinary text passes unchanged.

use super::*;
use crate::model::{Accumulator, Block, Reply, Stop, ToolSpec};
use proptest::prelude::*;

fn request() -> Request {
    let tool = |name: &str| ToolSpec { name: name.into(), description: String::new(), parameters: serde_json::json!({}) };
    Request { tools: vec![tool("f"), tool("g")].into(), ..Request::default() }
}

fn run(pieces: &[&str], stop: Stop) -> (Reply, Vec<StreamEvent>) {
    let mut filter = TextCalls::new(&request());
    let mut out = Vec::new();
    filter.push(StreamEvent::BlockStart { ix: 3, kind: BlockKind::Text }, &mut out);
    for piece in pieces {
        filter.push(StreamEvent::Delta { ix: 3, delta: Delta::Text { text: (*piece).to_owned() } }, &mut out);
    }
    filter.push(StreamEvent::End { stop, reason: None }, &mut out);
    let mut all = Accumulator::default();
    for event in &out {
        all.push(event);
    }
    (all.finish(), out)
}

/// The reply as one line: text in brackets, calls as `name(args)`.
fn shape(text: &str) -> String {
    render(&run(&[text], Stop::End).0)
}

fn render(reply: &Reply) -> String {
    let one = |b: &Block| match b {
        Block::Text { text } => format!("[{text}]"),
        Block::ToolCall(c) => format!("{}({})", c.name, c.args_raw),
        other => panic!("{other:?}"),
    };
    reply.message.blocks.iter().map(one).collect::<Vec<_>>().join(" ")
}

const CALL: &str = r#"{"name":"f","arguments":{"k":"}"}}"#;

#[test]
fn calls_in_every_form() {
    let f = r#"f({"k":"}"})"#;
    let rows = [
        (CALL.to_owned(), f.to_owned()),
        (format!("  {CALL}  \n"), f.to_owned()),
        (r#"{"tool": "g", "parameters": {}}"#.to_owned(), "g({})".to_owned()),
        (r#"{"arguments": {"a": 1}, "name": "g"}"#.to_owned(), r#"g({"a": 1})"#.to_owned()),
        (r#"{"name":"g","arguments":"{\"a\":1}"}"#.to_owned(), r#"g({"a":1})"#.to_owned()),
        (format!("```json\n{CALL}\n```"), f.to_owned()),
        (format!("```\n{CALL}\n```\n"), f.to_owned()),
        (format!("```json \n{CALL}"), f.to_owned()),
        (format!("<tool_call>\n{CALL}\n</tool_call>"), f.to_owned()),
        (format!("<tool_call>{CALL}"), f.to_owned()),
        (format!("Let me see. <tool_call>{CALL}</tool_call>"), format!("[Let me see. ] {f}")),
        (format!("{CALL}\n{CALL}\n\n{CALL}"), format!("{f} {f} {f}")),
        (format!("{CALL}{CALL}"), format!("{f} {f}")),
        (format!("[{CALL}, {CALL}]"), format!("{f} {f}")),
        (format!("<tool_call>\n{CALL}\n</tool_call>\n<tool_call>\n{CALL}\n</tool_call>"), format!("{f} {f}")),
        (format!("First.\n\n{CALL}\n\nThen.\n"), format!("[First.\n\n] {f} [Then.\n]")),
        (format!("First.\n```json\n{CALL}\n```\nThen."), format!("[First.\n] {f} [\nThen.]")),
    ];
    for (text, want) in rows {
        assert_eq!(shape(&text), want, "{text}");
        let (reply, _) = run(&[&text], Stop::End);
        assert_eq!(reply.stop, Stop::ToolUse);
        let ids: std::collections::HashSet<&str> = reply.message.calls().map(|c| c.id.as_str()).collect();
        assert_eq!(ids.len(), reply.message.calls().count(), "ids are shared: {text}");
    }
}

#[test]
fn what_is_not_exactly_a_call_stays_text() {
    for text in [
        r#"{"name":"rm","arguments":{}}"#.to_owned(),
        r#"{"name":"f"}"#.to_owned(),
        r#"{"name":"f","arguments":[]}"#.to_owned(),
        r#"{"name":"f","arguments":{},"why":"x"}"#.to_owned(),
        r#"{"name":"f","arguments":{"k":1}"#.to_owned(),
        r#"{"name":"f","arguments":{k:1}}"#.to_owned(),
        r#"{"name":"f","arguments":"not json"}"#.to_owned(),
        format!("Write {CALL} to call it."),
        format!("{CALL} is how."),
        format!("```python\n{CALL}\n```"),
        format!("```json\n{CALL}\nand so on\n```"),
        format!("```jsonc\n{CALL}\n```"),
        format!("{CALL}\n{{\"a\":1}}"),
        format!("[{CALL}, 1]"),
        format!("[{CALL}, [\"g\", {{}}]]"),
        format!("{CALL}\n{{\"name\":\"f\",\"arg"),
        "<tool_call>nothing</tool_call>".to_owned(),
        "<tool_calls>".to_owned(),
        "```json\n```".to_owned(),
        "a < b <t".to_owned(),
        "[]".to_owned(),
        String::new(),
    ] {
        let want = if text.is_empty() { String::new() } else { format!("[{text}]") };
        assert_eq!(shape(&text), want);
        assert_eq!(run(&[&text], Stop::End).0.stop, Stop::End);
    }
}

#[test]
fn only_what_could_become_a_call_is_held_back() {
    let shown = |text: &str| {
        let mut filter = TextCalls::new(&request());
        let mut out = Vec::new();
        filter.push(StreamEvent::Delta { ix: 0, delta: Delta::Text { text: text.to_owned() } }, &mut out);
        out.iter()
            .filter_map(|e| if let StreamEvent::Delta { delta: Delta::Text { text }, .. } = e { Some(text.clone()) } else { None })
            .collect::<String>()
    };
    for (text, now) in [
        ("Hello", "Hello"),
        ("Hello\n", "Hello\n"),
        ("Hello\n  ", "Hello\n"),
        ("```", ""),
        ("```py", "```py"),
        ("```json\n{\"na", ""),
        ("```json\n{\"no", "```json\n{\"no"),
        ("{\"name\": \"f\"", ""),
        ("{\"a", ""),
        ("{\"ab", "{\"ab"),
        ("[link", "[link"),
        ("x <", "x "),
        ("x <b", "x <b"),
    ] {
        assert_eq!(shown(text), now, "{text:?}");
    }
}

#[test]
fn other_blocks_pass_and_keep_their_own_numbers() {
    let mut filter = TextCalls::new(&request());
    let mut out = Vec::new();
    let text = |ix, t: &str| StreamEvent::Delta { ix, delta: Delta::Text { text: t.into() } };
    for event in [
        StreamEvent::BlockStart { ix: 0, kind: BlockKind::Thinking },
        StreamEvent::Delta { ix: 0, delta: Delta::Thinking { text: CALL.into() } },
        StreamEvent::BlockEnd { ix: 0 },
        StreamEvent::BlockStart { ix: 1, kind: BlockKind::Text },
        text(1, CALL),
        StreamEvent::BlockEnd { ix: 1 },
        StreamEvent::BlockStart { ix: 2, kind: BlockKind::ToolCall { id: "x".into(), name: "g".into() } },
        StreamEvent::Delta { ix: 2, delta: Delta::Args { text: "{}".into() } },
        StreamEvent::End { stop: Stop::ToolUse, reason: None },
    ] {
        filter.push(event, &mut out);
    }
    let mut all = Accumulator::default();
    for event in &out {
        all.push(event);
    }
    let reply = all.finish();
    assert!(matches!(&reply.message.blocks[0], Block::Thinking { text, .. } if text == CALL), "calls in thinking are thoughts");
    assert_eq!(reply.message.calls().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["f", "g"]);
}

#[test]
fn a_reply_that_was_cut_or_blocked_stays_so() {
    assert_eq!(run(&[CALL], Stop::MaxTokens).0.stop, Stop::MaxTokens);
    assert_eq!(run(&[CALL], Stop::ContentFilter).0.stop, Stop::ContentFilter);
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-zé😀 .,]{0,6}",
        2 => Just("\n".to_owned()),
        1 => prop::sample::select(vec!["```", "```json\n", "```py\n", "<tool_call>", "</tool_call>", "{", "}", "[", "\"", "{\"name\":", "{\"a\":1}", "  ", "<", "`"]).prop_map(str::to_owned),
        1 => Just(r#"{"name":"other","arguments":{}}"#.to_owned()),
        1 => Just(r#"{"name":"f","arguments":{"#.to_owned()),
    ]
}

fn with_calls() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![3 => piece(), 1 => Just(format!("\n{CALL}\n")), 1 => Just(format!("<tool_call>{CALL}</tool_call>"))],
        0..12,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn ordinary_text_comes_through_unchanged(pieces in prop::collection::vec(piece(), 0..14)) {
        let text = pieces.concat();
        let parts: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let (reply, _) = run(&parts, Stop::End);
        // A random text may be a call after all (an opening, a name, a closing); then it is no ordinary text.
        if reply.message.calls().count() == 0 {
            prop_assert_eq!(reply.message.joined_text(), text);
            prop_assert_eq!(reply.stop, Stop::End);
        } else {
            prop_assert!(text.contains("\"name\":\"f\""));
        }
    }

    #[test]
    fn where_text_is_cut_into_pieces_changes_nothing(text in with_calls(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10)) {
        let mut at: Vec<usize> = cuts.iter().map(|c| c.index(text.len() + 1)).filter(|at| text.is_char_boundary(*at)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces: Vec<&str> = at.windows(2).map(|w| &text[w[0]..w[1]]).collect();
        prop_assert_eq!(run(&pieces, Stop::End).0, run(&[&text], Stop::End).0);
    }

    #[test]
    fn a_cut_call_is_never_run(at in any::<prop::sample::Index>(), form in 0..3usize) {
        let (before, after) = [("", ""), ("```json\n", "\n```"), ("<tool_call>", "</tool_call>")][form];
        let whole = format!("{before}{CALL}{after}");
        let cut = &whole[..at.index(before.len() + CALL.len())];
        let (reply, _) = run(&[cut], Stop::End);
        prop_assert_eq!((reply.message.calls().count(), reply.message.joined_text()), (0, cut.to_owned()));
    }
}
