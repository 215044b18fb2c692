//! Calls bound to a schema: the request's new form, and the reply read back.

use super::*;
use crate::model::{Accumulator, Loss, Reply, Stop, ToolSpec};
use crate::wire::{Dialect, Wire, encode};
use proptest::prelude::*;

fn request(messages: Vec<Message>) -> Request {
    let tool = |name: &str| ToolSpec {
        name: name.into(),
        description: "Does it.".into(),
        parameters: json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}),
    };
    Request {
        model: "m".into(),
        tools: vec![tool("read_file"), tool("shell")].into(),
        messages: messages.into_iter().collect(),
        ..Request::default()
    }
}

fn call(id: &str, name: &str, args: &str) -> Block {
    Block::ToolCall(ToolCall { id: id.into(), name: name.into(), args_raw: args.into(), signature: None })
}

fn read_pieces(pieces: &[&str], stop: Stop) -> (Reply, Vec<StreamEvent>) {
    let mut filter = CallFilter::new(&request(vec![]));
    let mut out = Vec::new();
    filter.push(StreamEvent::Start { id: Some("r".into()), model: None }, &mut out);
    filter.push(StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text }, &mut out);
    for piece in pieces {
        filter.push(StreamEvent::Delta { ix: 0, delta: Delta::Text { text: (*piece).to_owned() } }, &mut out);
    }
    filter.push(StreamEvent::BlockEnd { ix: 0 }, &mut out);
    filter.push(StreamEvent::End { stop, reason: None }, &mut out);
    let mut all = Accumulator::default();
    for event in &out {
        all.push(event);
    }
    (all.finish(), out)
}

fn read(text: &str) -> Reply {
    read_pieces(&[text], Stop::End).0
}

fn calls(reply: &Reply) -> Vec<(String, String)> {
    reply.message.calls().map(|c| (c.name.clone(), c.args_raw.clone())).collect()
}

#[test]
fn the_request_asks_for_one_branch_a_tool_and_one_for_the_answer() {
    let asked = rewrite(&request(vec![Message::system("Be good."), Message::user("hi")]));
    assert!(asked.tools.is_empty());
    let system = asked.messages.get(0).unwrap().joined_text();
    assert!(
        system.starts_with("Be good.\n\nTools:\nread_file(path: string) - Does it.\nshell(")
            && system.contains("Reply with one JSON object"),
        "{system}"
    );
    let Some(ResponseFormat::JsonSchema { schema, .. }) = &asked.response_format else { panic!() };
    let branches = schema["anyOf"].as_array().unwrap();
    assert_eq!(branches.len(), 3);
    assert_eq!(branches[0]["properties"]["tool"], json!({"const": "read_file"}));
    assert_eq!(branches[0]["properties"]["arguments"]["required"], json!(["path"]));
    assert_eq!(branches[2]["properties"], json!({"answer": {"type": "string"}}));
    let (_, losses): (_, Vec<Loss>) = encode(Wire::OpenaiChat, &Dialect::default(), &asked);
    assert_eq!(losses, []);
}

#[test]
fn the_choice_of_tools_chooses_the_branches() {
    let branches = |choice: ToolChoice| {
        let asked = rewrite(&Request { tool_choice: choice, ..request(vec![Message::user("hi")]) });
        asked
            .response_format
            .map(|f| if let ResponseFormat::JsonSchema { schema, .. } = f { schema["anyOf"].as_array().unwrap().len() } else { 0 })
    };
    assert_eq!(branches(ToolChoice::Auto), Some(3));
    assert_eq!(branches(ToolChoice::Required), Some(2));
    assert_eq!(branches(ToolChoice::Tool("shell".into())), Some(1));
    assert_eq!(branches(ToolChoice::None), None);
}

#[test]
fn the_history_shows_the_form_that_is_asked_for() {
    let history = vec![
        Message::user("do it"),
        Message::new(
            Role::Assistant,
            vec![Block::Text { text: "Looking.".into() }, call("a", "read_file", "{\"path\":\"x\"}"), call("b", "shell", "{\"pa")],
        ),
        Message::results(vec![ToolResult::text("b", "boom", true)]),
        Message::results(vec![ToolResult::text("a", "text", false)]),
        Message::user("and now?"),
        Message::assistant("Done."),
        Message::user("thanks"),
    ];
    let asked = rewrite(&request(history));
    let shown: Vec<(Role, String)> = asked.messages.iter().skip(1).map(|m| (m.role, m.joined_text())).collect();
    let want = [
        (Role::User, "do it"),
        (Role::Assistant, r#"{"tool": "shell", "arguments": "{\"pa"}"#),
        (
            Role::User,
            "[Before this call you said: Looking.]\nError from shell:\nboom\n\nThe call did nothing. Look at what is there, then make a call that fits it.",
        ),
        (Role::Assistant, r#"{"tool": "read_file", "arguments": {"path":"x"}}"#),
        (Role::User, "Result of read_file:\ntext\n\nWhat does the task still need? Make the next call, or answer if nothing.\n\nand now?"),
        (Role::Assistant, r#"{"answer": "Done."}"#),
        (Role::User, "thanks"),
    ];
    assert_eq!(shown.iter().map(|(r, t)| (*r, t.as_str())).collect::<Vec<_>>(), want);
    assert!(asked.messages.iter().all(|m| m.calls().count() == 0 && m.role != Role::Tool));
}

#[test]
fn a_call_comes_back_as_a_call() {
    let r = read(r#" {"tool": "shell", "arguments": {"path": "a b", "n": 1.50}} "#);
    assert_eq!(calls(&r), [("shell".to_owned(), r#"{"path": "a b", "n": 1.50}"#.to_owned())]);
    assert_eq!((r.stop, r.message.joined_text().as_str()), (Stop::ToolUse, ""));
    let id = r.message.calls().next().unwrap().id.clone();
    assert!(!id.is_empty() && id.len() <= 40);
    assert_eq!(read(r#" {"tool": "shell", "arguments": {"path": "a b", "n": 1.50}} "#).message.calls().next().unwrap().id, id);
}

#[test]
fn what_is_not_a_whole_call_of_a_known_tool_is_text() {
    for text in [
        r#"{"tool":"shell","arguments":{"path":"a"#,
        r#"{"tool":"rm","arguments":{}}"#,
        r#"{"tool":"shell","arguments":"x"}"#,
        r#"{"tool":"shell"}"#,
        r#"{"tool":"shell","arguments":{},"more":1}"#,
        "plain words",
        "[1]",
    ] {
        let r = read(text);
        assert_eq!((calls(&r), r.message.joined_text().as_str(), r.stop), (vec![], text, Stop::End), "{text}");
    }
    let (cut, _) = read_pieces(&[r#"{"tool":"shell","arguments":{"path":"a"#], Stop::MaxTokens);
    assert_eq!((calls(&cut).len(), cut.stop), (0, Stop::MaxTokens));
}

#[test]
fn a_server_that_passes_over_the_schema_is_read_as_free_text() {
    let r = read("Sure.\n```json\n{\"tool\": \"shell\", \"arguments\": {\"path\": \"x\"}}\n```");
    assert_eq!((calls(&r).len(), r.message.joined_text().as_str(), r.stop), (1, "Sure.\n", Stop::ToolUse));
}

#[test]
fn an_answer_arrives_as_it_is_written() {
    let (r, events) = read_pieces(&["{\"ans", "wer\": \"Hel", "lo \\", "n \\u00", "e9 \\ud83d", "\\ude00 \\\"q", "\\\"\"", "}"], Stop::End);
    assert_eq!(r.message.joined_text(), "Hello \n é 😀 \"q\"");
    let deltas: Vec<&str> = events
        .iter()
        .filter_map(|e| if let StreamEvent::Delta { delta: Delta::Text { text }, .. } = e { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!(deltas, ["Hel", "lo ", "\n ", "é ", "😀 \"q", "\""]);
    assert_eq!(r.stop, Stop::End);
}

#[test]
fn nothing_of_an_odd_answer_is_lost() {
    for (text, shown) in [
        (r#"{"answer":"cut \u00"#, "cut \\u00"),
        (r#"{"answer":"cut \"#, "cut \\"),
        (r#"{"answer":"bad \uzzé9 x"}"#, "bad \\uzzé9 x"),
        (r#"{"answer":"half \ud83d x"}"#, "half \\ud83d x"),
        ("{\"answer\":\"line\nbreak\"}", "line\nbreak"),
        (r#"{"answer":"x"} and more"#, "x and more"),
        (r#"{"answer":{"k":1}}"#, r#"{"k":1}"#),
        (r#"{"answer":""}"#, ""),
    ] {
        assert_eq!(read(text).message.joined_text(), shown, "{text}");
    }
}

#[test]
fn a_prepared_request_and_its_filter_belong_together() {
    use crate::wire::Wire;
    use crate::wire::quirk::{ReplyFilter, prepare};
    let dialect = Dialect::from_quirks(&["constrained-calls"]).unwrap();
    let through = |request: &Request| {
        let (mut filter, mut out) = (ReplyFilter::of(&dialect, request), Vec::new());
        for event in [
            StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text },
            StreamEvent::Delta { ix: 0, delta: Delta::Text { text: r#"{"answer": "x"}"#.into() } },
            StreamEvent::End { stop: Stop::End, reason: None },
        ] {
            filter.push(event, &mut out);
        }
        let mut all = Accumulator::default();
        for event in &out {
            all.push(event);
        }
        all.finish().message.joined_text()
    };
    let asked = request(vec![Message::user("hi")]);
    assert!(prepare(Wire::OpenaiChat, &dialect, &asked).tools.is_empty());
    assert_eq!(through(&asked), "x");
    let plain = Request { tools: [].into(), ..asked };
    assert_eq!(through(&plain), r#"{"answer": "x"}"#);
    assert_eq!(prepare(Wire::OpenaiChat, &dialect, &plain).into_owned(), plain);
}

proptest! {
    #[test]
    fn an_answer_is_itself_however_it_is_cut(text in "[a-zé😀\"\\\\\n\t{}]{0,40}", cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let json = json!({"answer": text}).to_string();
        let mut at: Vec<usize> = cuts.iter().map(|c| c.index(json.len() + 1)).filter(|at| json.is_char_boundary(*at)).collect();
        at.extend([0, json.len()]);
        at.sort_unstable();
        let pieces: Vec<&str> = at.windows(2).map(|w| &json[w[0]..w[1]]).collect();
        prop_assert_eq!(read_pieces(&pieces, Stop::End).0.message.joined_text(), text);
    }

    #[test]
    fn a_cut_call_is_never_a_call(at in any::<prop::sample::Index>()) {
        let json = json!({"tool": "shell", "arguments": {"path": "x", "list": [1, {"k": "}"}]}}).to_string();
        let cut = &json[..at.index(json.len())];
        let r = read(cut);
        prop_assert_eq!((calls(&r), r.message.joined_text()), (vec![], cut.to_owned()));
    }
}
