//! Requests of Chat Completions: bytes, losses, and the stable prefix.

use super::*;
use crate::model::{Block, History, ImageSource, Message, Origin, Part, ResponseFormat, Role, ToolCall, ToolChoice, ToolResult};
use crate::wire::{Wire, encode};
use proptest::prelude::*;
use serde_json::{Value, json};

fn body(dialect: &Dialect, request: &Request) -> (String, Vec<String>) {
    let (bytes, losses) = encode(Wire::OpenaiChat, dialect, request);
    (String::from_utf8(bytes).unwrap(), losses.into_iter().map(|l| l.at).collect())
}

fn ask(messages: Vec<Message>) -> Request {
    Request { model: "m".into(), messages: messages.into_iter().collect(), ..Request::default() }
}

fn call(id: &str, args: &str) -> Block {
    Block::ToolCall(ToolCall { id: id.into(), name: "f".into(), args_raw: args.into(), signature: None })
}

fn tool(name: &str) -> ToolSpec {
    ToolSpec { name: name.into(), description: "d".into(), parameters: json!({"type": "object"}) }
}

fn origin(model: &str) -> Origin {
    Origin { provider: "p".into(), account: None, model: model.into() }
}

#[test]
fn a_turn_with_everything_is_compact_and_in_a_fixed_order() {
    let request = Request {
        tools: vec![tool("f")].into(),
        tool_choice: ToolChoice::Required,
        parallel_tool_calls: Some(false),
        response_format: Some(ResponseFormat::JsonSchema { name: "n".into(), schema: json!({"type": "object"}), strict: Some(true) }),
        max_output: Some(9),
        temperature: Some(0.5),
        stop: vec!["x".into()],
        seed: Some(7),
        reasoning_effort: Some("low".into()),
        stream: true,
        ..ask(vec![
            Message::system("s"),
            Message::user("u"),
            Message::new(Role::Assistant, vec![Block::Text { text: "t".into() }, call("a", ""), call("b", "{\"k")]),
            Message::results(vec![ToolResult::text("a", "1", false), ToolResult::text("b", "2", false)]),
        ])
    };
    let (got, losses) = body(&Dialect::default(), &request);
    assert_eq!(losses, Vec::<String>::new());
    assert_eq!(
        got,
        concat!(
            r#"{"model":"m","tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{}}}}],"#,
            r#""messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},"#,
            r#"{"role":"assistant","content":"t","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},"#,
            r#"{"id":"b","type":"function","function":{"name":"f","arguments":"{\"k"}}]},"#,
            r#"{"role":"tool","tool_call_id":"a","content":"1"},{"role":"tool","tool_call_id":"b","content":"2"}],"#,
            r#""tool_choice":"required","parallel_tool_calls":false,"#,
            r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":true}},"#,
            r#""max_completion_tokens":9,"temperature":0.5,"stop":["x"],"seed":7,"reasoning_effort":"low","#,
            r#""stream":true,"stream_options":{"include_usage":true}}"#,
        )
    );
}

#[test]
fn images_of_results_follow_behind_all_results() {
    let image = |n: &str| Part::Image { source: ImageSource::Inline { media_type: "image/png".into(), data: n.into() } };
    let request = ask(vec![
        Message::user("u"),
        Message::new(Role::Assistant, vec![call("a", "{}"), call("b", "{}")]),
        Message::results(vec![ToolResult { call_id: "a".into(), parts: vec![image("AA")], is_error: false }]),
        Message::results(vec![ToolResult::text("b", "two", false)]),
        Message::assistant("ok"),
    ]);
    let (got, losses) = body(&Dialect::default(), &request);
    let at = |needle: &str| got.find(needle).unwrap_or_else(|| panic!("{needle} in {got}"));
    assert!(at("\"two\"") < at("data:image/png;base64,AA") && at("base64,AA") < at("\"ok\""), "{got}");
    assert!(got.contains("Images in the result of tool call a:"));
    assert!(losses.is_empty());
}

#[test]
fn nothing_foreign_is_ever_written() {
    let signed = |origin: Origin| Message {
        origin: Some(origin),
        ..Message::new(
            Role::Assistant,
            vec![
                Block::Thinking { text: "secret".into(), signature: Some("SIG".into()), redacted: false },
                Block::Opaque { wire: "openai-chat".into(), raw: r#"{"reasoning_details":[1.50],"role":"x"}"#.into() },
                Block::Opaque { wire: "anthropic".into(), raw: r#"{"reasoning_details":["other"]}"#.into() },
                Block::ToolCall(ToolCall { id: "a".into(), name: "f".into(), args_raw: "{}".into(), signature: Some("THOUGHT".into()) }),
            ],
        )
    };
    let history = |o: Origin| ask(vec![Message::user("u"), signed(o), Message::results(vec![ToolResult::text("a", "r", false)])]);
    let home = Dialect::from_quirks(&["send-reasoning-content"]).unwrap().to_target(origin("m"));
    let strangers = [
        body(&Dialect::default(), &history(origin("m"))),
        body(&home, &history(origin("other"))),
        body(&home, &history(Origin { account: Some("b".into()), ..origin("m") })),
    ];
    for (got, losses) in strangers {
        for foreign in ["secret", "SIG", "reasoning_details", "THOUGHT"] {
            assert!(!got.contains(foreign), "{foreign} in {got}");
        }
        assert_eq!(losses.len(), 4, "{losses:?}");
    }
    let (got, losses) = body(&home, &history(origin("m")));
    assert!(got.contains(r#""reasoning_content":"secret""#) && got.contains(r#""reasoning_details":[1.50]"#), "{got}");
    assert!(got.contains(r#""extra_content":{"google":{"thought_signature":"THOUGHT"}}"#) && !got.contains("other"), "{got}");
    assert_eq!(losses, ["messages[1].blocks[0]", "messages[1].blocks[2]"], "the signature has no place; the other wire's block neither");
}

#[test]
fn dialects_change_only_what_they_name() {
    let request = Request {
        max_output: Some(5),
        stream: true,
        ..ask(vec![Message::user("u"), Message::new(Role::Assistant, vec![call("a", "{}")])])
    };
    let with = |quirk: &str| body(&Dialect::from_quirks(&[quirk]).unwrap(), &request).0;
    let (plain, _) = body(&Dialect::default(), &request);
    assert_eq!(with("max-tokens"), plain.replace("max_completion_tokens", "max_tokens"));
    assert_eq!(with("no-stream-options"), plain.replace(r#","stream_options":{"include_usage":true}"#, ""));
    assert_eq!(with("null-content"), plain.replace(r#""assistant","tool"#, r#""assistant","content":null,"tool"#));
    assert_eq!(with("send-reasoning"), plain);
}

#[test]
fn extensions_are_merged_and_never_override() {
    let mut request = Request { temperature: Some(0.0), ..ask(vec![Message::user("u")]) };
    let own = json!({"temperature": 2, "stream": true, "messages": [], "logit_bias": {"1": 2}, "top_p": 0.1});
    request.extensions.insert("openai-chat".into(), own.as_object().unwrap().clone());
    request.extensions.insert("anthropic".into(), json!({"thinking": {}}).as_object().unwrap().clone());
    let (got, mut losses) = body(&Dialect::default(), &request);
    assert!(got.ends_with(r#"],"temperature":0.0,"logit_bias":{"1":2},"top_p":0.1}"#), "{got}");
    losses.sort();
    assert_eq!(
        losses,
        [
            "extensions.anthropic.thinking",
            "extensions.openai-chat.messages",
            "extensions.openai-chat.stream",
            "extensions.openai-chat.temperature"
        ]
    );
}

#[test]
fn what_was_serialised_once_is_handed_out_again() {
    let long: String = "x".repeat(5000);
    let mut history: History = [Message::user(long)].into_iter().collect();
    let mut encoder = Encoder::new(Dialect::default());
    let mut request = Request { model: "m".into(), tools: vec![tool("f")].into(), messages: history.clone(), ..Request::default() };
    let first = encoder.encode(&request);
    history.push(Message::assistant("ok"));
    history.push(Message::user("go on"));
    request.messages = history;
    request.max_output = Some(3);
    let second = encoder.encode(&request);
    assert_eq!((first.body[0].as_ptr(), first.body[1].as_ptr()), (second.body[0].as_ptr(), second.body[1].as_ptr()));
    assert_eq!(second.to_vec(), encode(Wire::OpenaiChat, &Dialect::default(), &request).0);
}

#[test]
fn a_long_conversation_is_a_handful_of_segments() {
    let mut history = History::default();
    let mut encoder = Encoder::new(Dialect::default());
    let mut request = Request { model: "m".into(), ..Request::default() };
    for n in 0..500 {
        history.push(Message::user(format!("{n}")));
        request.messages = history.clone();
        assert!(encoder.encode(&request).body.len() < 16);
    }
}

/// What a conversation may do between two requests.
#[derive(Debug, Clone)]
enum Step {
    Push(u8),
    Drop(prop::sample::Index),
    Replace(prop::sample::Index, u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..6).prop_map(Step::Push),
        1 => any::<prop::sample::Index>().prop_map(Step::Drop),
        1 => (any::<prop::sample::Index>(), 0u8..6).prop_map(|(at, kind)| Step::Replace(at, kind)),
    ]
}

fn make(kind: u8, n: usize) -> Arc<Message> {
    let image = Part::Image { source: ImageSource::Url { url: format!("http://x/{n}") } };
    Arc::new(match kind {
        0 => Message::user(format!("user {n}")),
        1 => Message::new(Role::Assistant, vec![call(&format!("c{n}"), "{}")]),
        2 => Message::results(vec![ToolResult::text(format!("c{n}"), "r", false)]),
        3 => Message::results(vec![ToolResult { call_id: format!("c{n}"), parts: vec![image], is_error: false }]),
        // A message that leaves no bytes.
        4 => Message::new(Role::Assistant, vec![Block::Thinking { text: "t".into(), signature: None, redacted: false }]),
        _ => Message::assistant(format!("said {n}")),
    })
}

proptest! {
    #[test]
    fn turn_by_turn_is_the_same_as_at_once(steps in prop::collection::vec((any_step(), any::<bool>()), 1..40)) {
        let mut messages: Vec<Arc<Message>> = Vec::new();
        let mut encoder = Encoder::new(Dialect::default());
        let tools: Arc<[ToolSpec]> = vec![tool("f")].into();
        for (n, (step, send)) in steps.iter().enumerate() {
            match step {
                Step::Push(kind) => messages.push(make(*kind, n)),
                Step::Drop(at) => messages.truncate(at.index(messages.len() + 1)),
                Step::Replace(at, kind) if !messages.is_empty() => {
                    let at = at.index(messages.len());
                    messages[at] = make(*kind, n);
                }
                Step::Replace(..) => {}
            }
            if *send {
                let request = Request { model: "m".into(), tools: tools.clone(), messages: messages.iter().cloned().collect(), ..Request::default() };
                let turn = String::from_utf8(encoder.encode(&request).to_vec()).unwrap();
                let once = String::from_utf8(encode(Wire::OpenaiChat, &Dialect::default(), &request).0).unwrap();
                prop_assert_eq!(&turn, &once);
                prop_assert!(serde_json::from_str::<Value>(&turn).is_ok(), "{}", turn);
            }
        }
    }
}
