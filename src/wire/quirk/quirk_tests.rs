//! What each quirk changes of a body, by small literals; and that no combination of them makes a body wrong.

use super::*;
use crate::model::{Block, CacheMark, ImageSource, Message, Part, ResponseFormat, Role, ToolCall, ToolResult, ToolSpec};
use crate::wire::Encoder;
use proptest::prelude::*;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

fn home() -> Origin {
    Origin { provider: "p".into(), account: None, model: "gemini-3-pro".into() }
}

fn call(id: &str, signature: Option<&str>) -> Block {
    Block::ToolCall(ToolCall { id: id.into(), name: "f".into(), args_raw: "{}".into(), signature: signature.map(Into::into) })
}

fn thought(text: &str) -> Block {
    Block::Thinking { text: text.into(), signature: None, redacted: false }
}

fn assistant(blocks: Vec<Block>, origin: Option<Origin>) -> Message {
    Message { origin, ..Message::new(Role::Assistant, blocks) }
}

fn ask(messages: Vec<Message>) -> Request {
    Request { model: "m".into(), messages: messages.into_iter().collect(), ..Request::default() }
}

fn tool() -> ToolSpec {
    let parameters = json!({"$schema": "s", "type": "object", "properties": {"a": {"const": 1}}});
    ToolSpec { name: "f".into(), description: String::new(), parameters }
}

/// A body and where something was lost, after everything that a router does to a request.
fn sent(quirks: &[&str], request: &Request) -> (Value, BTreeSet<String>) {
    let dialect = Dialect::from_quirks(quirks).unwrap().to_target(home());
    let prepared = prepare(Wire::OpenaiChat, &dialect, request);
    let encoded = Encoder::new(Wire::OpenaiChat, dialect).encode(&prepared);
    (serde_json::from_slice(&encoded.to_vec()).unwrap(), encoded.losses.into_iter().map(|l| l.at).collect())
}

/// The fields of a body behind its messages.
fn fields(quirks: &[&str], request: &Request) -> (Value, Vec<String>) {
    let (mut body, losses) = sent(quirks, request);
    for gone in ["model", "messages", "tools"] {
        body.as_object_mut().unwrap().remove(gone);
    }
    (body, losses.into_iter().collect())
}

#[test]
fn fields_of_a_request() {
    let base = || ask(vec![Message::user("u")]);
    let with = |change: &dyn Fn(&mut Request)| {
        let mut request = base();
        change(&mut request);
        request
    };
    let seed = with(&|r| r.seed = Some(7));
    let stops = with(&|r| r.stop = vec!["a".into(), "b".into()]);
    let metadata = with(&|r| drop(r.metadata.insert("k".into(), "v".into())));
    let bound = with(&|r| r.max_output = Some(9));
    let stream = with(&|r| r.stream = true);
    let tools = with(&|r| r.tools = vec![tool()].into());
    let named = Request { tool_choice: ToolChoice::Tool("f".into()), ..tools.clone() };
    let required = Request { tool_choice: ToolChoice::Required, ..tools.clone() };
    let parallel = Request { parallel_tool_calls: Some(true), ..tools.clone() };
    let streamed_tools = Request { stream: true, ..tools.clone() };
    let effort = with(&|r| r.reasoning_effort = Some("high".into()));
    let reasoner = with(&|r| (r.model, r.temperature, r.top_p, r.stop) = ("gpt-5".into(), Some(0.5), Some(0.5), vec!["a".into()]));
    let any_json = with(&|r| r.response_format = Some(ResponseFormat::JsonObject));
    let schema = with(&|r| r.response_format = Some(ResponseFormat::JsonSchema { name: "n".into(), schema: json!({}), strict: None }));
    let as_schema = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "object", "schema": {"type": "object"}}}});
    for (quirk, request, plain, quirky, lost) in [
        ("max-tokens", &bound, json!({"max_completion_tokens": 9}), json!({"max_tokens": 9}), &[][..]),
        ("bound-output", &base(), json!({}), json!({"max_completion_tokens": 16_384}), &[]),
        ("bound-output", &bound, json!({"max_completion_tokens": 9}), json!({"max_completion_tokens": 9}), &[]),
        ("no-stream-options", &stream, json!({"stream": true, "stream_options": {"include_usage": true}}), json!({"stream": true}), &[]),
        ("no-metadata", &metadata, json!({"metadata": {"k": "v"}}), json!({}), &["metadata"]),
        ("no-seed", &seed, json!({"seed": 7}), json!({}), &["seed"]),
        ("random-seed", &seed, json!({"seed": 7}), json!({"random_seed": 7}), &[]),
        ("no-stop", &stops, json!({"stop": ["a", "b"]}), json!({}), &["stop"]),
        ("one-stop", &stops, json!({"stop": ["a", "b"]}), json!({"stop": ["a"]}), &["stop"]),
        ("no-parallel-tool-calls", &parallel, json!({"parallel_tool_calls": true}), json!({}), &["parallel_tool_calls"]),
        (
            "no-reasoner-sampling",
            &reasoner,
            json!({"temperature": 0.5, "top_p": 0.5, "stop": ["a"]}),
            json!({}),
            &["stop", "temperature", "top_p"],
        ),
        ("tool-choice-auto", &required, json!({"tool_choice": "required"}), json!({}), &["tool_choice"]),
        ("tool-choice-words", &required, json!({"tool_choice": "required"}), json!({"tool_choice": "required"}), &[]),
        (
            "tool-choice-words",
            &named,
            json!({"tool_choice": {"type": "function", "function": {"name": "f"}}}),
            json!({"tool_choice": "required"}),
            &["tool_choice"],
        ),
        (
            "json-object-only",
            &schema,
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}}),
            json!({"response_format": {"type": "json_object"}}),
            &["response_format"],
        ),
        ("json-schema-only", &any_json, json!({"response_format": {"type": "json_object"}}), as_schema, &[]),
        ("effort-object", &effort, json!({"reasoning_effort": "high"}), json!({"reasoning": {"effort": "high"}}), &[]),
        (
            "effort-switch",
            &effort,
            json!({"reasoning_effort": "high"}),
            json!({"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
            &[],
        ),
        ("no-effort", &effort, json!({"reasoning_effort": "high"}), json!({}), &["reasoning_effort"]),
        ("cache-prompt", &base(), json!({}), json!({"cache_prompt": true}), &[]),
        ("tool-stream", &tools, json!({}), json!({}), &[]),
        (
            "tool-stream",
            &streamed_tools,
            json!({"stream": true, "stream_options": {"include_usage": true}}),
            json!({"stream": true, "stream_options": {"include_usage": true}, "tool_stream": true}),
            &[],
        ),
    ] {
        assert_eq!(fields(&[], request).0, plain, "without {quirk}");
        let lost: Vec<String> = lost.iter().map(|at| (*at).to_owned()).collect();
        assert_eq!(fields(&[quirk], request), (quirky, lost), "{quirk}");
    }
}

#[test]
fn tools() {
    let plain = Request { tools: vec![tool()].into(), ..ask(vec![Message::user("u")]) };
    let parameters = |quirks: &[&str]| sent(quirks, &plain).0["tools"][0]["function"]["parameters"].clone();
    assert_eq!(parameters(&[]), tool().parameters);
    assert_eq!(parameters(&["plain-schemas"]), json!({"type": "object", "properties": {"a": {"enum": [1]}}}));
    let none = Request { tool_choice: ToolChoice::None, ..plain };
    assert_eq!(sent(&[], &none).0["tool_choice"], "none");
    let (body, losses) = sent(&["tool-choice-auto"], &none);
    assert!(body.get("tools").is_none() && body.get("tool_choice").is_none() && losses.is_empty(), "none is kept by offering none");
}

#[test]
fn messages() {
    let results = || Message::results(vec![ToolResult::text("c1", "r", false)]);
    let turn = |first: Message| vec![Message::user("u"), first, results()];
    let foreign = || turn(assistant(vec![thought("t"), call("c1", Some("s"))], None));
    let own = || turn(assistant(vec![thought("t"), call("c1", None)], Some(home())));
    let at = |quirks: &[&str], messages: Vec<Message>, at: usize| sent(quirks, &ask(messages)).0["messages"][at].clone();
    let plain_call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let with = |fields: Value| {
        let mut message = json!({"role": "assistant", "tool_calls": [plain_call]});
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        message
    };
    assert_eq!(at(&[], own(), 1), with(json!({})));
    assert_eq!(at(&["null-content"], own(), 1), with(json!({"content": null})));
    assert_eq!(at(&["send-reasoning"], own(), 1), with(json!({"reasoning": "t"})));
    assert_eq!(at(&["send-reasoning-content"], own(), 1), with(json!({"reasoning_content": "t"})));
    assert_eq!(at(&["send-reasoning-content"], foreign(), 1), with(json!({})), "another's thinking stays here");
    assert_eq!(at(&["need-reasoning-content"], own(), 1), with(json!({"reasoning_content": "t"})));
    assert_eq!(at(&["need-reasoning-content"], foreign(), 1), with(json!({"reasoning_content": ""})));
    let part = json!({"type": "thinking", "thinking": [{"type": "text", "text": "t"}]});
    assert_eq!(at(&["send-thinking-parts"], own(), 1), with(json!({"content": [part]})));
    let answer = assistant(vec![thought("t"), Block::Text { text: "a".into() }], Some(home()));
    assert_eq!(at(&["send-thinking-parts"], vec![Message::user("u"), answer], 1)["content"], json!([part, {"type": "text", "text": "a"}]));

    let nine = sent(&["ids-nine"], &ask(own())).0["messages"].clone();
    let id = nine[1]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() == 9 && nine[2]["tool_call_id"] == id, "{nine}");

    assert_eq!(at(&[], own(), 2), json!({"role": "tool", "tool_call_id": "c1", "content": "r"}));
    assert_eq!(at(&["name-in-results"], own(), 2), json!({"role": "tool", "tool_call_id": "c1", "name": "f", "content": "r"}));

    let stand_in = json!({"google": {"thought_signature": "skip_thought_signature_validator"}});
    assert_eq!(at(&["stand-in-signatures"], foreign(), 1)["tool_calls"][0]["extra_content"], stand_in);
    let signed = turn(assistant(vec![call("c0", None), call("c1", Some("s"))], Some(home())));
    assert_eq!(at(&["stand-in-signatures"], signed, 1)["tool_calls"][0].get("extra_content"), None, "it has its own");

    let roles = |quirks: &[&str], messages: Vec<Message>| -> Vec<String> {
        let body = sent(quirks, &ask(messages)).0;
        body["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap().to_owned()).collect()
    };
    let steered = || own().into_iter().chain([Message::user("stop")]).collect::<Vec<_>>();
    assert_eq!(roles(&[], steered()), ["user", "assistant", "tool", "user"]);
    assert_eq!(roles(&["assistant-after-tools"], steered()), ["user", "assistant", "tool", "assistant", "user"]);
    let image = Part::Image { source: ImageSource::Url { url: "http://i".into() } };
    let shown = Message::results(vec![ToolResult { call_id: "c1".into(), parts: vec![image], is_error: false }]);
    let mut with_image = own();
    with_image[2] = shown;
    assert_eq!(roles(&["assistant-after-tools"], with_image), ["user", "assistant", "tool", "assistant", "user"]);

    let late = || vec![Message::system("a"), Message::system("b"), Message::user("u"), Message::system("c")];
    assert_eq!(roles(&[], late()), ["system", "system", "user", "system"]);
    assert_eq!(roles(&["system-first"], late()), ["system", "system", "user", "user"]);
    assert_eq!(sent(&["system-first"], &ask(late())).1, BTreeSet::from(["messages[3].blocks[0]".to_owned()]));

    let begun = || vec![Message::user("u"), Message::assistant("Once upon")];
    assert_eq!(at(&[], begun(), 1), json!({"role": "assistant", "content": "Once upon"}));
    assert_eq!(at(&["prefix-flag"], begun(), 1), json!({"role": "assistant", "content": "Once upon", "prefix": true}));
    assert_eq!(at(&["prefix-flag"], own(), 1).get("prefix"), None, "only where it stands last");
}

#[test]
fn a_last_message_that_is_flagged_is_itself_again_when_others_follow() {
    let mut encoder = Encoder::new(Wire::OpenaiChat, Dialect::from_quirks(&["prefix-flag"]).unwrap());
    let mut request = ask(vec![Message::user("u"), Message::assistant("Once")]);
    assert!(String::from_utf8(encoder.encode(&request).to_vec()).unwrap().contains(r#""content":"Once","prefix":true}"#));
    request.messages.push(Message::user("more"));
    assert!(!String::from_utf8(encoder.encode(&request).to_vec()).unwrap().contains("prefix"));
}

#[test]
fn marks_for_claude_stand_in_parts_and_leave_the_bytes_between_them_alone() {
    let mut encoder = Encoder::new(Wire::OpenaiChat, Dialect::from_quirks(&["claude-cache-marks"]).unwrap());
    let messages = vec![
        Message::new(Role::System, vec![Block::Text { text: "s1".into() }, Block::Text { text: "s2".into() }]),
        Message::user("u"),
        assistant(vec![Block::Text { text: "a".into() }, call("c1", None), call("c2", None)], None),
        Message::results(vec![ToolResult::text("c1", "r1", false), ToolResult::text("c2", "r2", false)]),
    ];
    let mut request = Request { model: "anthropic/claude-sonnet-4.5".into(), ..ask(messages) };
    let mark = |message, block| CacheMark { message, block, long: false };
    let marked = |encoder: &mut Encoder, request: &Request| String::from_utf8(encoder.encode(request).to_vec()).unwrap();
    let bare = marked(&mut encoder, &request);
    request.cache_marks = vec![mark(0, 0), mark(1, 0), mark(2, 2), mark(3, 1)];
    let body = marked(&mut encoder, &request);
    let control = r#","cache_control":{"type":"ephemeral"}"#;
    assert_eq!(body.replace(control, ""), bare);
    let body: Value = serde_json::from_str(&body).unwrap();
    let ephemeral = json!({"type": "ephemeral"});
    for marked in ["/messages/0/content/0", "/messages/1/content/0", "/messages/2", "/messages/4"] {
        assert_eq!(body.pointer(marked).unwrap()["cache_control"], ephemeral, "{marked}");
    }
    for bare in ["/messages/0/content/1", "/messages/3"] {
        assert_eq!(body.pointer(bare).unwrap().get("cache_control"), None, "{bare}");
    }
    request.cache_marks = vec![mark(3, 0)];
    request.messages.push(Message::user("next"));
    let grown = marked(&mut encoder, &request).replace(control, "");
    assert!(grown.starts_with(bare.strip_suffix("]}").unwrap()), "{grown}");
    let other = Request { model: "openai/gpt-4.1".into(), ..request };
    let encoded = encoder.encode(&other);
    assert!(encoded.losses.iter().any(|l| l.at == "cache_marks"));
    let body: Value = serde_json::from_slice(&encoded.to_vec()).unwrap();
    assert_eq!(body["messages"][1]["content"], "u", "strings for everybody else");
}

/// All keys of an object, in order, so that one that stands twice is seen.
struct Keys(Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for Keys {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> serde::de::Visitor<'de> for Each {
            type Value = Keys;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Keys(all))
            }
        }
        from.deserialize_map(Each)
    }
}

fn no_key_twice(json: &str) {
    if let Ok(Keys(all)) = serde_json::from_str::<Keys>(json) {
        let distinct: BTreeSet<&String> = all.iter().map(|(key, _)| key).collect();
        assert_eq!(distinct.len(), all.len(), "a key stands twice in {json}");
        for (_, value) in &all {
            no_key_twice(value.get());
        }
    } else if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json) {
        for item in items {
            no_key_twice(item.get());
        }
    }
}

/// The rules of the wire, whatever the server's flavour is.
fn valid(body: &str) {
    no_key_twice(body);
    let body: Value = serde_json::from_str(body).unwrap();
    let fields: BTreeMap<&String, &Value> = body.as_object().unwrap().iter().collect();
    let has = |name: &str| body.get(name).is_some();
    assert!(fields.values().all(|value| !value.is_null()), "a field without a value: {body}");
    assert!(!(has("max_tokens") && has("max_completion_tokens")), "two bounds");
    assert!(!(has("seed") && has("random_seed")), "two seeds");
    assert!(!(has("tool_choice") || has("parallel_tool_calls") || has("tool_stream")) || has("tools"), "a choice without tools");
    assert!(!has("stream_options") || body["stream"] == true, "options of a stream that is none");
    assert!(!(has("reasoning") && has("reasoning_effort")), "two efforts");
    if has("tools") {
        assert!(body["tools"].as_array().unwrap().iter().all(|t| t["function"]["parameters"].is_object()));
    }
    assert!(body["stop"].as_array().is_none_or(|stops| (1..=4).contains(&stops.len())));
    let mut open: BTreeSet<String> = BTreeSet::new();
    let mut marks = 0;
    for message in body["messages"].as_array().unwrap() {
        let role = message["role"].as_str().unwrap();
        assert!(matches!(role, "system" | "user" | "assistant" | "tool"));
        let parts = message["content"].as_array();
        let empty = parts.is_some_and(Vec::is_empty) || message["content"] == "" && role != "tool";
        assert!(!empty, "empty content: {message}");
        marks += usize::from(message.get("cache_control").is_some());
        marks += parts.into_iter().flatten().filter(|part| part.get("cache_control").is_some()).count();
        match role {
            "tool" => {
                assert!(message["content"].is_string());
                assert!(open.remove(message["tool_call_id"].as_str().unwrap()), "a result of no open call: {message}");
            }
            "assistant" => {
                assert!(open.is_empty(), "calls without results");
                assert!(message.get("content").is_some() || message.get("tool_calls").is_some(), "{message}");
                let calls = message["tool_calls"].as_array().into_iter().flatten();
                open.extend(calls.map(|c| c["id"].as_str().unwrap().to_owned()));
            }
            _ => {
                assert!(open.is_empty(), "calls without results");
                assert!(message["content"].is_string() || parts.is_some(), "{message}");
            }
        }
    }
    assert!(open.is_empty() && marks <= 4);
}

fn message(n: usize) -> impl Strategy<Value = Vec<Message>> {
    let id = move |c: usize| format!("call_{n}_{c}");
    let origin = prop::bool::ANY.prop_map(|own| own.then(home));
    let turn = (1..4usize, any::<bool>(), any::<bool>(), origin.clone()).prop_map(move |(calls, said, shown, origin)| {
        let text = said.then(|| Block::Text { text: "said".into() });
        let blocks = std::iter::once(thought("t")).chain(text).chain((0..calls).map(|c| call(&id(c), (c == 1).then_some("sig"))));
        let image = shown.then(|| Part::Image { source: ImageSource::Url { url: "http://i".into() } });
        let parts: Vec<Part> = std::iter::once(Part::Text { text: "r".into() }).chain(image).collect();
        let results = (0..calls).map(|c| ToolResult { call_id: id(c), parts: parts.clone(), is_error: c == 0 }).collect();
        vec![assistant(blocks.collect(), origin), Message::results(results)]
    });
    prop_oneof![
        Just(vec![Message::user("u")]),
        Just(vec![Message::user(" ")]),
        Just(vec![Message::system("late")]),
        origin.prop_map(|origin| vec![assistant(vec![thought("t"), Block::Text { text: "a".into() }], origin)]),
        turn,
    ]
}

fn history() -> impl Strategy<Value = Vec<Message>> {
    let rest = (0..6usize).prop_flat_map(|len| (0..len).map(message).collect::<Vec<_>>()).prop_map(|all| all.concat());
    rest.prop_map(|rest| [Message::system("s".repeat(4_000)), Message::user("u")].into_iter().chain(rest).collect())
}

prop_compose! {
    fn request()(
        messages in history(),
        model in prop::sample::select(vec!["gpt-5", "grok-4.5", "anthropic/claude-opus-4.5", "gemini-3-pro"]),
        with_tools in any::<bool>(),
        choice in prop::sample::select(vec![ToolChoice::Auto, ToolChoice::None, ToolChoice::Required, ToolChoice::Tool("f".into())]),
        parallel in prop::option::of(any::<bool>()),
        stream in any::<bool>(),
        numbers in (prop::option::of(1..9i64), prop::option::of(1..9u64), prop::option::of(0.0..2.0f64)),
        stop in prop::collection::vec("[a-c]", 0..6),
        effort in prop::option::of(prop::sample::select(vec!["none", "low", "xhigh", "odd"])),
        format in prop::sample::select(vec![None, Some(ResponseFormat::JsonObject), Some(ResponseFormat::JsonSchema { name: "n".into(), schema: json!({"type": "object"}), strict: Some(true) })]),
        noted in any::<bool>(),
    ) -> Request {
        Request {
            model: model.into(),
            messages: messages.into_iter().collect(),
            tools: if with_tools { vec![tool()] } else { vec![] }.into(),
            tool_choice: choice,
            parallel_tool_calls: parallel,
            response_format: format,
            stream,
            seed: numbers.0,
            max_output: numbers.1,
            temperature: numbers.2,
            top_p: numbers.2,
            stop,
            reasoning_effort: effort.map(Into::into),
            metadata: noted.then(|| ("k".to_owned(), "v".to_owned())).into_iter().collect(),
            ..Request::default()
        }
    }
}

proptest! {
    #[test]
    fn any_combination_of_quirks_leaves_a_valid_body_and_the_bytes_of_a_growing_history(
        request in request(),
        quirks in prop::sample::subsequence(names().collect::<Vec<_>>(), 0..=names().count()).prop_shuffle(),
    ) {
        let dialect = Dialect::from_quirks(&quirks).unwrap().to_target(home());
        let mut encoder = Encoder::new(Wire::OpenaiChat, dialect.clone());
        let mut last = String::new();
        for len in 2..=request.messages.len() {
            let grown = Request { messages: request.messages.iter().take(len).cloned().collect(), ..request.clone() };
            // A history that ends with calls is never sent.
            if grown.messages.last().unwrap().calls().next().is_some() {
                continue;
            }
            let body = String::from_utf8(encoder.encode(&prepare(Wire::OpenaiChat, &dialect, &grown)).to_vec()).unwrap();
            valid(&body);
            // Calls bound to a schema are shown in messages that later ones join.
            if dialect.calls != Calls::Constrained {
                let kept = kept(&body);
                prop_assert!(kept.starts_with(last.trim_end_matches(']')), "{}\n{}", last, kept);
                last = kept;
            }
        }
    }
}

/// The messages as they stand in the body, without what is put between their bytes.
fn kept(body: &str) -> String {
    let Keys(fields) = serde_json::from_str(body).unwrap();
    let messages = fields.iter().find(|(key, _)| key == "messages").unwrap().1.get();
    messages.replace(r#","cache_control":{"type":"ephemeral"}"#, "").replace(r#","prefix":true"#, "")
}
