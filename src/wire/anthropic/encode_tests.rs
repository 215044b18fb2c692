//! Requests as bytes: order, roles, what is never sent, thinking, cache marks, and the same bytes turn after turn.

use super::*;
use crate::model::{ImageSource, Origin, Part, ResponseFormat, ToolCall, ToolChoice, ToolResult};
use crate::wire::{Wire, encode};
use proptest::prelude::*;
use serde_json::json;

fn body(dialect: &Dialect, request: &Request) -> (String, Vec<String>) {
    let (bytes, losses) = encode(Wire::Anthropic, dialect, request);
    (String::from_utf8(bytes).unwrap(), losses.into_iter().map(|l| l.at).collect())
}

fn ask(messages: Vec<Message>) -> Request {
    Request { model: "claude-sonnet-4-5".into(), messages: messages.into_iter().collect(), ..Request::default() }
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

fn said(text: &str) -> Block {
    Block::Text { text: text.into() }
}

#[test]
fn a_turn_with_everything_is_compact_and_in_a_fixed_order() {
    let request = Request {
        tools: vec![tool("f")].into(),
        tool_choice: ToolChoice::Tool("f".into()),
        parallel_tool_calls: Some(false),
        response_format: Some(ResponseFormat::JsonSchema { name: String::new(), schema: json!({"type": "object"}), strict: None }),
        max_output: Some(9),
        temperature: Some(0.5),
        stop: vec!["x".into()],
        metadata: [("user_id".to_owned(), "u1".to_owned())].into(),
        stream: true,
        ..ask(vec![
            Message::system("s"),
            Message::user("u"),
            Message::new(Role::Assistant, vec![said("t"), call("a", ""), call("b", r#"{"k": 1}"#)]),
            Message::results(vec![ToolResult::text("a", "1", false), ToolResult::text("b", "2", true)]),
            Message::user("and now?"),
        ])
    };
    let (got, losses) = body(&Dialect::default(), &request);
    assert_eq!(losses, Vec::<String>::new());
    assert_eq!(
        got,
        concat!(
            r#"{"model":"claude-sonnet-4-5","tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}],"#,
            r#""system":[{"type":"text","text":"s"}],"#,
            r#""messages":[{"role":"user","content":[{"type":"text","text":"u"}]},"#,
            r#"{"role":"assistant","content":[{"type":"text","text":"t"},{"type":"tool_use","id":"a","name":"f","input":{}},"#,
            r#"{"type":"tool_use","id":"b","name":"f","input":{"k": 1}}]},"#,
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"1"},"#,
            r#"{"type":"tool_result","tool_use_id":"b","content":"2","is_error":true},{"type":"text","text":"and now?"}]}],"#,
            r#""max_tokens":9,"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}},"#,
            r#""tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true},"temperature":0.5,"stop_sequences":["x"],"#,
            r#""metadata":{"user_id":"u1"},"stream":true}"#,
        )
    );
}

#[test]
fn a_bound_of_the_output_is_always_sent() {
    let bound = |model: &str, limit: Option<u64>| {
        let request = Request { model: model.into(), ..ask(vec![Message::user("u")]) };
        let (got, _) = body(&Dialect { default_output: limit, ..Dialect::default() }, &request);
        serde_json::from_str::<Value>(&got).unwrap()["max_tokens"].as_u64().unwrap()
    };
    assert_eq!(bound("claude-sonnet-4-5", None), 32_000);
    assert_eq!(bound("claude-sonnet-4-5", Some(64_000)), 32_000);
    assert_eq!(bound("claude-sonnet-4-5", Some(16_000)), 16_000);
    assert_eq!(bound("claude-3-haiku-20240307", None), 4_096);
    assert_eq!(bound("mock-model", None), 8_192);
    assert_eq!(bound("mock-model", Some(128_000)), 32_000);
}

#[test]
fn roles_alternate_however_the_history_is_cut_into_messages() {
    let image = Part::Image { source: ImageSource::Inline { media_type: "image/png".into(), data: "AA".into() } };
    let request = ask(vec![
        Message::user("a"),
        Message::user("b"),
        Message::new(Role::Assistant, vec![call("1", "{}")]),
        Message::new(Role::Assistant, vec![call("2", "{}")]),
        Message::results(vec![ToolResult { call_id: "1".into(), parts: vec![image], is_error: false }]),
        Message::results(vec![ToolResult::text("2", "two", false)]),
        Message::user("c"),
    ]);
    let (got, losses) = body(&Dialect::default(), &request);
    assert_eq!(losses, Vec::<String>::new());
    let got: Value = serde_json::from_str(&got).unwrap();
    let roles: Vec<&str> = got["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    let last: Vec<&str> = got["messages"][2]["content"].as_array().unwrap().iter().map(|b| b["type"].as_str().unwrap()).collect();
    assert_eq!(last, ["tool_result", "tool_result", "text"], "results first");
    assert_eq!(got["messages"][2]["content"][0]["content"][0]["source"]["data"], "AA", "the image stays in its result");
}

#[test]
fn what_the_server_would_refuse_is_never_sent() {
    let request = ask(vec![
        Message::new(Role::Assistant, vec![said("first"), said(" \n"), call("functions.f:0", "{\"k"), call("", "[1]")]),
        Message::results(vec![
            ToolResult::text("functions.f:0", "", true),
            ToolResult { call_id: String::new(), parts: vec![Part::Text { text: "\n".into() }], is_error: false },
        ]),
        Message::new(
            Role::User,
            vec![said(""), Block::Image { source: ImageSource::Inline { media_type: "image/bmp".into(), data: "Qk0".into() } }],
        ),
        Message::new(Role::User, vec![Block::Document { media_type: "text/csv".into(), data: "QQ==".into(), name: Some("a.csv".into()) }]),
        Message::system("late"),
    ]);
    let (got, losses) = body(&Dialect::default(), &request);
    let got: Value = serde_json::from_str(&got).unwrap();
    let messages = got["messages"].as_array().unwrap();
    assert_eq!((messages[0]["role"].as_str(), messages[1]["role"].as_str()), (Some("user"), Some("assistant")), "{messages:?}");
    let assistant = messages[1]["content"].as_array().unwrap();
    assert_eq!(assistant.len(), 3, "no blank text: {assistant:?}");
    assert_eq!(assistant[1]["input"], json!({"unparsed_arguments": "{\"k"}));
    assert_eq!(assistant[2]["input"], json!({"unparsed_arguments": "[1]"}));
    let user = messages[2]["content"].as_array().unwrap();
    for (call, result) in assistant[1..].iter().zip(user) {
        let id = call["id"].as_str().unwrap();
        assert!(!id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)), "{id}");
        assert_eq!(result["tool_use_id"], id);
    }
    assert_eq!((user[0]["is_error"].as_bool(), user[0]["content"].as_str().map(str::is_empty)), (Some(true), Some(false)));
    assert!(user[1].get("content").is_none());
    let words: Vec<&str> = user[2..].iter().map(|b| b["text"].as_str().unwrap()).collect();
    assert!(words[0].contains("image/bmp") && words[1].contains("a.csv") && words[2] == "late", "{words:?}");
    assert_eq!(
        losses,
        [
            "messages[0]",
            "messages[0].blocks[1]",
            "messages[0].blocks[2]",
            "messages[0].blocks[3]",
            "messages[1].blocks[1]",
            "messages[2].blocks[0]",
            "messages[2].blocks[1]",
            "messages[3].blocks[0]",
            "messages[4].blocks[0]"
        ]
    );
}

/// The thinking of one assistant message as it is sent, and where something was lost.
fn thinking(target: &str, from: &str, blocks: Vec<Block>, effort: Option<&str>) -> (Vec<Value>, Vec<String>) {
    let assistant = Message { origin: Some(origin(from)), ..Message::new(Role::Assistant, blocks) };
    let request = Request {
        model: target.into(),
        reasoning_effort: effort.map(str::to_owned),
        ..ask(vec![Message::user("u"), assistant, Message::results(vec![ToolResult::text("a", "r", false)])])
    };
    let (got, losses) = body(&Dialect::default().to_target(origin(target)), &request);
    let got: Value = serde_json::from_str(&got).unwrap();
    let content = got["messages"][1]["content"].as_array().cloned().unwrap_or_default();
    (content.into_iter().filter(|b| b["type"] != "tool_use").collect(), losses)
}

#[test]
fn thinking_goes_back_byte_for_byte_and_only_to_its_own_origin() {
    let blocks = || {
        vec![
            Block::Thinking { text: "Ünïcode \"q\" \u{1}".into(), signature: Some("Sig+/=".into()), redacted: false },
            Block::Thinking { text: String::new(), signature: Some("only".into()), redacted: false },
            Block::Thinking { text: String::new(), signature: Some("DATA".into()), redacted: true },
            Block::Thinking { text: "unsigned".into(), signature: None, redacted: false },
            Block::Opaque { wire: "anthropic".into(), raw: r#"{"type":"server_tool_use","x":1.50}"#.into() },
            call("a", "{}"),
        ]
    };
    let (home, losses) = thinking("claude-sonnet-4-5", "claude-sonnet-4-5", blocks(), Some("low"));
    let want = [
        json!({"type": "thinking", "thinking": "Ünïcode \"q\" \u{1}", "signature": "Sig+/="}),
        json!({"type": "thinking", "thinking": "", "signature": "only"}),
        json!({"type": "redacted_thinking", "data": "DATA"}),
        json!({"type": "server_tool_use", "x": 1.5}),
    ];
    assert_eq!(home, want);
    assert_eq!(losses, ["messages[1].blocks[3]"], "what nobody signed stays here");
    let (abroad, losses) = thinking("claude-sonnet-4-5", "claude-opus-4-5", blocks(), None);
    assert_eq!(abroad, Vec::<Value>::new());
    assert_eq!(losses.len(), 5, "{losses:?}");
    let (refused, losses) = thinking("claude-sonnet-4-5", "claude-sonnet-4-5", blocks(), None);
    assert_eq!(refused.len(), 1, "without being asked to think, this model takes no thinking");
    assert_eq!(losses.len(), 4);
}

#[test]
fn a_paused_reply_goes_back_as_it_came_and_the_rest_joins_it() {
    let searched = r#"{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query": "x"}}"#;
    let found = r#"{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"encrypted_content":"E+/="}]}"#;
    let opaque = |raw: &str| Block::Opaque { wire: "anthropic".into(), raw: raw.into() };
    let thought = || Block::Thinking { text: "t".into(), signature: Some("s".into()), redacted: false };
    let model = "claude-sonnet-4-5";
    let by = |blocks| Message { origin: Some(origin(model)), ..Message::new(Role::Assistant, blocks) };
    let mut request = Request {
        model: model.into(),
        reasoning_effort: Some("low".into()),
        ..ask(vec![Message::user("u"), by(vec![thought(), opaque(searched), opaque(found)])])
    };
    let mut encoder = Encoder::new(Dialect::default().to_target(origin(model)));
    let mut sent = |request: &Request| String::from_utf8(crate::wire::codec::Encode::encode(&mut encoder, request).to_vec()).unwrap();
    let thinking = r#"{"type":"thinking","thinking":"t","signature":"s"}"#;
    let paused = format!(r#"{{"role":"assistant","content":[{thinking},{searched},{found}"#);
    let first = sent(&request);
    assert!(first.contains(&format!("{paused}]}}],")) && first.contains(r#""type":"enabled""#), "{first}");
    request.messages.push(by(vec![thought(), said("done")]));
    request.messages.push(Message::user("more"));
    let second = sent(&request);
    assert!(second.contains(&format!(r#"{paused},{thinking},{{"type":"text","text":"done"}}]}}"#)), "one message: {second}");
}

#[test]
fn a_message_never_ends_in_thinking() {
    let proof = |text: &str| Block::Thinking { text: text.into(), signature: Some("s".into()), redacted: false };
    let sent = |blocks| thinking("claude-sonnet-5", "claude-sonnet-5", blocks, None);
    let (kept, losses) = sent(vec![proof("a"), said("t"), proof("b"), said(" ")]);
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!(losses, ["messages[1].blocks[2]", "messages[1].blocks[3]"]);
    let (kept, losses) = sent(vec![proof("alone")]);
    assert_eq!((kept, losses.len()), (vec![], 1), "the message is gone, and the user's two are one");
}

#[test]
fn sampling_is_what_model_and_thinking_allow() {
    let sent = |model: &str, temperature: f64, effort: Option<&str>| {
        let request = Request {
            model: model.into(),
            temperature: Some(temperature),
            top_p: Some(0.9),
            reasoning_effort: effort.map(str::to_owned),
            ..ask(vec![Message::user("u")])
        };
        let (got, losses) = body(&Dialect::default(), &request);
        let got: Value = serde_json::from_str(&got).unwrap();
        (got["temperature"].as_f64(), got["top_p"].as_f64(), losses)
    };
    let none: [&str; 0] = [];
    let check = |got: (Option<f64>, Option<f64>, Vec<String>), temperature, top_p, losses: &[&str]| {
        assert_eq!((got.0, got.1, got.2.iter().map(String::as_str).collect::<Vec<_>>()), (temperature, top_p, losses.to_vec()));
    };
    check(sent("claude-sonnet-4-20250514", 0.5, None), Some(0.5), Some(0.9), &none);
    check(sent("claude-sonnet-4-20250514", 1.7, None), Some(1.0), Some(0.9), &["temperature"]);
    check(sent("claude-sonnet-4-5", 0.5, None), Some(0.5), None, &["top_p"]);
    check(sent("claude-sonnet-4-5", 0.5, Some("low")), None, None, &["temperature", "top_p"]);
    check(sent("claude-opus-4-7", 0.5, None), None, None, &["temperature", "top_p"]);
    check(sent("glm-4.7", 0.5, None), Some(0.5), Some(0.9), &none);
}

#[test]
fn marks_stand_in_their_blocks_and_the_bytes_around_them_are_the_same_every_turn() {
    let mark = |message, block, long| CacheMark { message, block, long };
    let mut history: History = [Message::system("s"), Message::new(Role::User, vec![said("u"), said("")])].into_iter().collect();
    let mut encoder = Encoder::new(Dialect::default());
    let mut request = Request { tools: vec![tool("f")].into(), messages: history.clone(), ..ask(vec![]) };
    request.cache_marks = vec![mark(0, 0, true), mark(1, 1, false)];
    let first = encoder.encode(&request);
    let text = String::from_utf8(first.to_vec()).unwrap();
    assert!(text.contains(r#""system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}]"#), "{text}");
    assert!(text.contains(r#"{"type":"text","text":"u","cache_control":{"type":"ephemeral"}}]}"#), "an empty block takes no mark: {text}");
    let long: String = "x".repeat(4000);
    history.push(Message::new(Role::Assistant, vec![said(&long), call("a", "{}")]));
    history.push(Message::results(vec![ToolResult::text("a", "r", false)]));
    request.messages = history;
    request.cache_marks = vec![mark(0, 0, true), mark(3, 0, false)];
    let second = encoder.encode(&request);
    let moved = String::from_utf8(second.to_vec()).unwrap();
    assert!(moved.contains(r#""content":"r","cache_control":{"type":"ephemeral"}}]}"#), "{moved}");
    let plain = |t: &str| t.replace(r#","cache_control":{"type":"ephemeral"}"#, "");
    let common = plain(&text).find(r#"]}],"max_tokens""#).unwrap();
    assert_eq!(plain(&text).get(..common), plain(&moved).get(..common), "only the marks moved");
    request.cache_marks.clear();
    let third = encoder.encode(&request);
    let kept: Vec<*const u8> = third.body.iter().map(|s| s.as_ptr()).collect();
    assert!(second.body.iter().any(|s| kept.contains(&s.as_ptr())), "nothing was serialised again");
}

#[test]
fn marks_beyond_four_or_without_a_place_are_named() {
    let mark = |message, long| CacheMark { message, block: 0, long };
    let messages = (0..6).map(|n| if n % 2 == 0 { Message::user(format!("u{n}")) } else { Message::assistant(format!("a{n}")) });
    let mut request = ask(messages.collect());
    request.cache_marks = (0..6).map(|n| mark(n, false)).chain([mark(9, false)]).collect();
    let (got, losses) = body(&Dialect::default(), &request);
    assert_eq!(got.matches("cache_control").count(), 4);
    assert!(got.contains(r#""u0","cache_control""#) && got.contains(r#""a5","cache_control""#), "{got}");
    assert_eq!(losses, ["cache_marks[6]", "cache_marks[1]", "cache_marks[2]"]);
    request.cache_marks = vec![mark(0, false), mark(2, true)];
    let (got, losses) = body(&Dialect::default(), &request);
    assert_eq!((got.matches("\"ttl\"").count(), losses), (0, vec!["cache_marks[1]".to_owned()]), "a long one may not follow a short one");
}

#[test]
fn callers_own_fields_are_merged_and_never_override() {
    let mut request = Request { temperature: Some(0.0), tools: vec![tool("f"), tool("g")].into(), ..ask(vec![Message::user("u")]) };
    let own = json!({
        "temperature": 2, "stream": true, "system": "x", "top_k": 5,
        "output_config": {"task_budget": 7},
        "tools": [{"name": "g", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}, {"type": "web_search_20250305", "name": "web_search"}],
    });
    request.extensions.insert("anthropic".into(), own.as_object().unwrap().clone());
    request.extensions.insert("openai-chat".into(), json!({"logit_bias": {}}).as_object().unwrap().clone());
    let (got, mut losses) = body(&Dialect::default(), &request);
    let got: Value = serde_json::from_str(&got).unwrap();
    let tools: Vec<&str> = got["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(tools, ["g", "web_search", "f"]);
    assert_eq!(got["tools"][0]["cache_control"]["type"], "ephemeral");
    assert_eq!((&got["top_k"], &got["output_config"]["task_budget"], &got["temperature"]), (&json!(5), &json!(7), &json!(0.0)));
    losses.sort();
    assert_eq!(
        losses,
        [
            "extensions.anthropic.stream",
            "extensions.anthropic.system",
            "extensions.anthropic.temperature",
            "extensions.openai-chat.logit_bias"
        ]
    );
}

#[test]
fn a_schema_without_a_type_gets_one() {
    let bare = ToolSpec { name: "f".into(), description: String::new(), parameters: json!({"properties": {}}) };
    let (got, _) = body(&Dialect::default(), &Request { tools: vec![bare].into(), ..ask(vec![Message::user("u")]) });
    assert!(got.contains(r#"{"name":"f","input_schema":{"type":"object","properties":{}}}"#), "{got}");
}

#[test]
fn a_long_conversation_is_a_handful_of_segments() {
    let mut history = History::default();
    let mut encoder = Encoder::new(Dialect::default());
    let mut request = ask(vec![]);
    for n in 0..500 {
        history.push(if n % 2 == 0 { Message::user(format!("{n}")) } else { Message::assistant(format!("{n}")) });
        request.messages = history.clone();
        request.cache_marks = vec![CacheMark { message: n, block: 0, long: false }];
        assert!(encoder.encode(&request).body.len() < 18);
    }
}

/// What a conversation may do between two requests.
#[derive(Debug, Clone)]
enum Step {
    Push(u8),
    Drop(prop::sample::Index),
    Replace(prop::sample::Index, u8),
    Effort(bool),
    Mark(prop::sample::Index),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..8).prop_map(Step::Push),
        1 => any::<prop::sample::Index>().prop_map(Step::Drop),
        1 => (any::<prop::sample::Index>(), 0u8..8).prop_map(|(at, kind)| Step::Replace(at, kind)),
        1 => any::<bool>().prop_map(Step::Effort),
        2 => any::<prop::sample::Index>().prop_map(Step::Mark),
    ]
}

fn make(kind: u8, n: usize) -> Arc<Message> {
    let image = Part::Image { source: ImageSource::Url { url: format!("http://x/{n}") } };
    let home = |blocks| Message { origin: Some(origin("claude-sonnet-4-5")), ..Message::new(Role::Assistant, blocks) };
    let proof = || Block::Thinking { text: "t".into(), signature: Some(format!("s{n}")), redacted: n.is_multiple_of(2) };
    Arc::new(match kind {
        0 => Message::user(format!("user {n}")),
        1 => home(vec![call(&format!("c{n}"), "{}")]),
        2 => Message::results(vec![ToolResult::text(format!("c{n}"), "r", false)]),
        3 => Message::results(vec![ToolResult { call_id: format!("c{n}"), parts: vec![image], is_error: false }]),
        // A message that leaves no bytes.
        4 => home(vec![Block::Thinking { text: "t".into(), signature: None, redacted: false }]),
        5 => home(vec![proof(), said("thought"), proof()]),
        6 => Message::system(format!("system {n}")),
        _ => Message::assistant(format!("said {n}")),
    })
}

proptest! {
    #[test]
    fn turn_by_turn_is_the_same_as_at_once(steps in prop::collection::vec((any_step(), any::<bool>()), 1..40)) {
        let mut messages: Vec<Arc<Message>> = Vec::new();
        let dialect = Dialect::default().to_target(origin("claude-sonnet-4-5"));
        let mut encoder = Encoder::new(dialect.clone());
        let tools: Arc<[ToolSpec]> = vec![tool("f")].into();
        let mut settings = Request { tools, ..ask(vec![]) };
        for (n, (step, send)) in steps.iter().enumerate() {
            match step {
                Step::Push(kind) => messages.push(make(*kind, n)),
                Step::Drop(at) => messages.truncate(at.index(messages.len() + 1)),
                Step::Replace(at, kind) if !messages.is_empty() => {
                    let at = at.index(messages.len());
                    messages[at] = make(*kind, n);
                }
                Step::Replace(..) => {}
                Step::Effort(on) => settings.reasoning_effort = on.then(|| "low".to_owned()),
                Step::Mark(at) => settings.cache_marks = vec![CacheMark { message: at.index(messages.len() + 1), block: 1, long: n % 2 == 0 }],
            }
            if *send {
                let request = Request { messages: messages.iter().cloned().collect(), ..settings.clone() };
                let turn = String::from_utf8(encoder.encode(&request).to_vec()).unwrap();
                let once = String::from_utf8(encode(Wire::Anthropic, &dialect, &request).0).unwrap();
                prop_assert_eq!(&turn, &once);
                let value: Value = serde_json::from_str(&turn).unwrap();
                let roles: Vec<&str> = value["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
                prop_assert!(roles.first().is_none_or(|r| *r == "user") && roles.windows(2).all(|w| w[0] != w[1]), "{:?}", roles);
            }
        }
    }
}
