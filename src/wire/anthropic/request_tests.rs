//! The server's half of requests, and the law that decoding undoes encoding up to what a loss names.

use super::*;
use crate::model::{History, Origin};
use crate::wire::Ids;
use crate::wire::arbitrary::{args, image_of_any_type as image, text};
use crate::wire::names::wire_name;
use crate::wire::{Dialect, Wire, encode};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;
use std::sync::Arc;

fn read(json: &str) -> Request {
    decode_request(json.as_bytes()).unwrap()
}

#[test]
fn clients_spellings_mean_the_same() {
    let r = read(
        r#"{"model":"m","max_tokens":5,"system":"s","stop_sequences":["x"],"top_k":3,"metadata":{"user_id":"u"},"tool_choice":{"type":"any","disable_parallel_tool_use":true},
        "thinking":{"type":"enabled","budget_tokens":8192},"output_config":{"format":{"type":"json_schema","schema":{}}},
        "tools":[{"name":"f","input_schema":{"type":"object"}},{"type":"custom","name":"g","description":"d","input_schema":{},"strict":true},{"type":"web_search_20250305","name":"web_search"}],
        "messages":[{"role":"user","content":"a"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s+/="},{"type":"redacted_thinking","data":"D"},{"type":"tool_use","id":"1","name":"f","input":{"k": 1.0}},{"type":"tool_use","id":"2","name":"g","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"text","text":"r"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"QQ=="}}],"is_error":true},
        {"type":"tool_result","tool_use_id":"2"},{"type":"text","text":"next","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"search_result","n":1.50}]}]}"#,
    );
    let roles: Vec<Role> = r.messages.iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool, Role::User]);
    assert_eq!(
        (r.max_output, r.stop.as_slice(), &r.tool_choice, r.parallel_tool_calls),
        (Some(5), &["x".to_owned()][..], &ToolChoice::Required, Some(false))
    );
    assert_eq!((r.reasoning_effort.as_deref(), r.metadata["user_id"].as_str()), (Some("medium"), "u"));
    assert!(matches!(&r.response_format, Some(ResponseFormat::JsonSchema { strict: None, .. })));
    assert_eq!(r.tools.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["f", "g"]);
    let own = &r.extensions["anthropic"];
    assert_eq!(own["top_k"], 3);
    assert_eq!(own["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect::<Vec<_>>(), ["f", "g", "web_search"]);
    let calls: Vec<&str> = r.messages.get(2).unwrap().calls().map(|c| c.args_raw.as_str()).collect();
    assert_eq!(calls, ["{\"k\": 1.0}", ""]);
    let results: Vec<_> = r.messages.get(3).unwrap().tool_results().map(|t| (t.parts.len(), t.is_error)).collect();
    assert_eq!(results, [(2, true), (0, false)]);
    assert_eq!(r.cache_marks, [CacheMark { message: 4, block: 0, long: true }]);
    assert_eq!(
        r.messages.get(4).unwrap().blocks[1],
        Block::Opaque { wire: NAME.into(), raw: r#"{"type":"search_result","n":1.50}"#.into() }
    );
}

#[test]
fn thinking_becomes_an_effort_and_what_that_leaves_out_stays() {
    let asked = |fields: &str| {
        let r = read(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],{fields}}}"#));
        let own = r.extensions.get(NAME).map(|own| own.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        (r.reasoning_effort, own)
    };
    let kept = || vec!["thinking".to_owned()];
    assert_eq!(asked(r#""thinking":{"type":"enabled","budget_tokens":2048}"#), (Some("low".into()), vec![]));
    assert_eq!(asked(r#""thinking":{"type":"enabled","budget_tokens":16000}"#), (Some("high".into()), kept()));
    assert_eq!(asked(r#""thinking":{"type":"enabled","budget_tokens":2048,"display":"omitted"}"#), (Some("low".into()), kept()));
    assert_eq!(asked(r#""thinking":{"type":"adaptive"},"output_config":{"effort":"max"}"#), (Some("max".into()), vec![]));
    assert_eq!(asked(r#""thinking":{"type":"adaptive"}"#), (None, kept()));
    assert_eq!(asked(r#""thinking":{"type":"disabled"}"#), (None, kept()));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (body, says) in [
        ("{", "not valid JSON"),
        ("[]", "the body: expected an object"),
        ("{}", "messages: expected at least one"),
        (r#"{"messages":[{"role":"user","content":"x"}]}"#, "model: expected"),
        (r#"{"model":"m","messages":"x"}"#, "messages: expected a list"),
        (r#"{"model":"m","messages":["x"]}"#, "messages[0]: expected an object"),
        (r#"{"model":"m","messages":[{"role":"system","content":"x"}]}"#, "messages[0].role: expected user"),
        (r#"{"model":"m","messages":[{"role":"user"}]}"#, "messages[0].content"),
        (r#"{"model":"m","messages":[{"role":"user","content":7}]}"#, "messages[0].content"),
        (r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}"#, "messages[0].content[0].text: expected a string"),
        (r#"{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result"}]}]}"#, "messages[0].content[0].tool_use_id"),
        (r#"{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a"}]}]}"#, "messages[0].content[0].name"),
        (r#"{"model":"m","system":[{"type":"text"}],"messages":[]}"#, "system[0].text"),
        (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{}]}"#, "tools[0].name"),
        (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tool_choice":{"type":"maybe"}}"#, "tool_choice.type"),
    ] {
        let error = decode_request(body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{body}: {error}");
    }
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in prop_oneof![any::<Vec<u8>>(), "[{}\\[\\]\":a-z0-9, ]{0,60}".prop_map(String::into_bytes)]) {
        let _ = decode_request(&body);
    }
}

// The law: decode(encode(x)) = normalise(x), and everything that normalise drops is named in a loss.

/// What this wire keeps of a request, written down a second time and independently, with the places of what it drops.
fn normalise(request: &Request, home: bool) -> (Request, BTreeSet<String>) {
    let mut lost = BTreeSet::new();
    let mut out: Vec<Message> = Vec::new();
    // Where each block that takes a mark went.
    let mut places: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
    let mut conversation = false;
    let on = thinks(request);
    // A turn in progress that did not think is no reason to send other bytes of the past.
    let sent = on || request.reasoning_effort.is_some() && !forced(request) && in_progress(request);
    for (at, message) in request.messages.iter().enumerate() {
        let late = message.role == Role::System && conversation;
        conversation |= message.role != Role::System;
        let solid = |b: &Block| match b {
            Block::Text { text } => !text.trim().is_empty(),
            Block::Opaque { wire, .. } => home && wire == NAME,
            Block::Thinking { .. } => false,
            _ => true,
        };
        let last = message.blocks.iter().rposition(solid);
        for (n, block) in message.blocks.iter().enumerate() {
            let mut lose = || lost.insert(format!("messages[{at}].blocks[{n}]"));
            if late {
                lose();
            }
            let role = if late { Role::User } else { message.role };
            let kept = match (role, block) {
                (Role::System | Role::User | Role::Assistant, Block::Text { text }) if text.trim().is_empty() => {
                    lose();
                    continue;
                }
                (Role::User, Block::Image { source: ImageSource::Inline { media_type, .. } }) if media_type == "image/bmp" => {
                    lose();
                    Block::Text { text: "[An image of type image/bmp stood here, which this model cannot be shown.]".into() }
                }
                (Role::User, Block::Document { media_type, .. }) if media_type == "text/csv" => {
                    lose();
                    Block::Text { text: "[A document was attached here, unnamed (text/csv), but this model cannot be shown it.]".into() }
                }
                (Role::Assistant, Block::Image { .. }) => {
                    lose();
                    Block::Text { text: "[An image stood here.]".into() }
                }
                (Role::Assistant, Block::Thinking { signature, .. }) => {
                    if !home || signature.is_none() || !sent || last.is_none_or(|last| last < n) {
                        lose();
                        continue;
                    }
                    block.clone()
                }
                (Role::Assistant, Block::ToolCall(c)) => {
                    if c.signature.is_some() || c.args().is_err() {
                        lose();
                    }
                    let args_raw = if c.args().is_ok_and(|a| a.is_empty()) { String::new() } else { c.args_raw.clone() };
                    let (id, name) = (Ids::Anthropic.fit(&c.id).into_owned(), wire_name(&c.name).into_owned());
                    Block::ToolCall(ToolCall { id, name, args_raw, signature: None })
                }
                (Role::Assistant, Block::Opaque { .. }) if !solid(block) => {
                    lose();
                    continue;
                }
                (Role::Tool, Block::ToolResult(r)) => {
                    let mut parts = Vec::new();
                    for part in &r.parts {
                        match part {
                            Part::Text { text } if text.trim().is_empty() => {
                                if !text.is_empty() {
                                    lose();
                                }
                            }
                            Part::Image { source: ImageSource::Inline { media_type, .. } } if media_type == "image/bmp" => {
                                lose();
                                parts.push(Part::Text {
                                    text: "[An image of type image/bmp stood here, which this model cannot be shown.]".into(),
                                });
                            }
                            other => parts.push(other.clone()),
                        }
                    }
                    if parts.is_empty() && r.is_error {
                        parts.push(Part::Text { text: "[The tool failed without a message.]".into() });
                    }
                    Block::ToolResult(ToolResult { call_id: Ids::Anthropic.fit(&r.call_id).into_owned(), parts, is_error: r.is_error })
                }
                _ => block.clone(),
            };
            let takes_mark = !matches!(kept, Block::Thinking { .. } | Block::Opaque { .. });
            match out.last_mut() {
                Some(m) if m.role == role => m.blocks.push(kept),
                _ => out.push(Message::new(role, vec![kept])),
            }
            if takes_mark {
                places.insert((at, n), (out.len() - 1, out.last().unwrap().blocks.len() - 1));
            }
        }
    }
    let mut want = request.clone();
    want.messages = out.into_iter().collect();
    want.cache_marks.clear();
    for (n, mark) in request.cache_marks.iter().enumerate() {
        match places.range((mark.message, 0)..=(mark.message, mark.block)).next_back() {
            Some((_, (message, block))) => want.cache_marks.push(CacheMark { message: *message, block: *block, long: mark.long }),
            None => {
                lost.insert(format!("cache_marks[{n}]"));
            }
        }
    }
    settings_kept(request, &mut want, &mut lost, on);
    (want, lost)
}

/// Whether the generator's requests, whose model takes a budget, end up with thinking on.
fn thinks(request: &Request) -> bool {
    let room = request.max_output.unwrap_or(32_000) >= 2_048;
    request.reasoning_effort.is_some() && !forced(request) && room && !in_progress(request)
}

fn forced(request: &Request) -> bool {
    !request.tools.is_empty() && matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Tool(_))
}

fn in_progress(request: &Request) -> bool {
    request.messages.last().is_some_and(|m| m.role == Role::Tool)
}

fn settings_kept(request: &Request, want: &mut Request, lost: &mut BTreeSet<String>, on: bool) {
    let mut lose = |at: &str| {
        lost.insert(at.to_owned());
    };
    want.tools = request.tools.iter().map(|t| ToolSpec { name: wire_name(&t.name).into_owned(), ..t.clone() }).collect();
    if request.tools.is_empty() {
        if want.tool_choice != ToolChoice::Auto {
            lose("tool_choice");
        }
        if want.parallel_tool_calls.take().is_some() {
            lose("parallel_tool_calls");
        }
        want.tool_choice = ToolChoice::Auto;
    } else if let ToolChoice::Tool(name) = &request.tool_choice {
        want.tool_choice = ToolChoice::Tool(wire_name(name).into_owned());
    } else if request.tool_choice == ToolChoice::None && want.parallel_tool_calls.take().is_some() {
        lose("parallel_tool_calls");
    }
    match &mut want.response_format {
        Some(ResponseFormat::JsonObject) => {
            want.response_format = None;
            lose("response_format");
        }
        Some(ResponseFormat::JsonSchema { name, strict, .. }) => {
            let named = !std::mem::take(name).is_empty();
            if strict.take().is_some() || named {
                lose("response_format");
            }
        }
        None => {}
    }
    let most = request.max_output.unwrap_or(32_000);
    want.max_output = Some(most);
    if let Some(effort) = &request.reasoning_effort {
        let full = if effort == "low" { 2_048 } else { 16_384 };
        if !on {
            want.reasoning_effort = None;
            lose("reasoning_effort");
        } else if full > most - 1_024 {
            lose("reasoning_effort");
            let (word, how) = thinking::effort_of(most - 1_024);
            want.reasoning_effort = Some(word.to_owned());
            if how == Match::Near {
                own(want).insert("thinking".into(), serde_json::json!({"type": "enabled", "budget_tokens": most - 1_024}));
            }
        }
    }
    match request.temperature {
        Some(_) if on => {
            want.temperature = None;
            lose("temperature");
        }
        Some(t) if t > 1.0 => {
            want.temperature = Some(1.0);
            lose("temperature");
        }
        _ => {}
    }
    if request.top_p.is_some_and(|p| want.temperature.is_some() || (on && p < 0.95)) {
        want.top_p = None;
        lose("top_p");
    }
    if request.stop.iter().any(|s| s.trim().is_empty()) {
        want.stop.retain(|s| !s.trim().is_empty());
        lose("stop");
    }
    if want.seed.take().is_some() {
        lose("seed");
    }
    if want.n.take().is_some_and(|n| n != 1) {
        lose("n");
    }
    want.metadata.retain(|k, _| {
        k == "user_id" || {
            lose(&format!("metadata.{k}"));
            false
        }
    });
    for (wire, fields) in &request.extensions {
        for name in fields.keys() {
            // The generator's own field names: `extra` is free, `stream` is the request's.
            if wire != NAME || name == "stream" {
                lose(&format!("extensions.{wire}.{name}"));
                want.extensions.get_mut(wire).unwrap().remove(name);
            }
        }
    }
    want.extensions.retain(|_, fields| !fields.is_empty());
}

/// So long that none comes twice: `ids.rs` has the tests of those that do.
fn id() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{8,10}", "[a-z.:]{8,80}"]
}

fn block(role: Role) -> BoxedStrategy<Block> {
    let said = text().prop_map(|text| Block::Text { text });
    let picture = image().prop_map(|source| Block::Image { source });
    let document = prop_oneof![
        Just(Block::Document { media_type: "application/pdf".into(), data: "QQ==".into(), name: Some("a.pdf".into()) }),
        Just(Block::Document { media_type: "text/csv".into(), data: "QQ==".into(), name: None })
    ];
    let raw = r#"{"type":"server_tool_use","id":"s","n":1.50}"#;
    match role {
        Role::System => said.boxed(),
        Role::User => prop_oneof![
            4 => said,
            2 => picture,
            1 => document,
            1 => Just(Block::Opaque { wire: NAME.into(), raw: r#"{"type":"search_result","n":1.50}"#.into() }),
        ]
        .boxed(),
        Role::Assistant => prop_oneof![
            3 => said,
            1 => picture,
            3 => (text(), prop::option::weighted(0.7, Just("sig".to_owned()))).prop_map(|(text, signature)| Block::Thinking { redacted: false, text, signature }),
            1 => Just(Block::Thinking { redacted: true, text: String::new(), signature: Some("DATA".into()) }),
            3 => (id(), prop_oneof!["[a-z_]{1,9}", "[a-z.]{60,80}"], args(), prop::option::weighted(0.2, Just("g".to_owned())))
                .prop_map(|(id, name, args_raw, signature)| Block::ToolCall(ToolCall { id, name, args_raw, signature })),
            1 => prop_oneof![Just(NAME), Just("openai-chat")].prop_map(move |wire| Block::Opaque { wire: wire.into(), raw: raw.into() }),
        ]
        .boxed(),
        Role::Tool => {
            let part = prop_oneof![3 => text().prop_map(|text| Part::Text { text }), 1 => image().prop_map(|source| Part::Image { source })];
            (id(), prop::collection::vec(part, 0..3), any::<bool>())
                .prop_map(|(call_id, parts, is_error)| Block::ToolResult(ToolResult { call_id, parts, is_error }))
                .boxed()
        }
    }
}

const MODEL: &str = "claude-sonnet-4-5";

fn home() -> Origin {
    Origin { provider: "p".into(), account: Some("a".into()), model: MODEL.into() }
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![1 => Just(Role::System), 3 => Just(Role::User), 4 => Just(Role::Assistant), 3 => Just(Role::Tool)]
        .prop_flat_map(|role| (Just(role), prop::collection::vec(block(role), 1..4)))
        .prop_map(|(role, blocks)| Message { origin: (role == Role::Assistant).then(home), ..Message::new(role, blocks) })
}

fn settings() -> impl Strategy<Value = Request> {
    let tools = prop::collection::vec(prop_oneof!["[a-z]{1,9}", "[a-z.]{60,80}"], 0..3).prop_map(|names| {
        let spec = |name: String| ToolSpec { name, description: "d".into(), parameters: serde_json::json!({"type": "object"}) };
        names.into_iter().map(spec).collect::<Arc<[ToolSpec]>>()
    });
    let choice = prop_oneof![
        3 => Just(ToolChoice::Auto),
        1 => Just(ToolChoice::None),
        1 => Just(ToolChoice::Required),
        1 => "[a-z.]{1,70}".prop_map(ToolChoice::Tool)
    ];
    let format =
        prop_oneof![
            Just(None),
            Just(Some(ResponseFormat::JsonObject)),
            (prop_oneof![Just(""), Just("n")], prop::option::of(any::<bool>())).prop_map(|(name, strict)| Some(
                ResponseFormat::JsonSchema { name: name.into(), schema: serde_json::json!({"type": "object"}), strict }
            ))
        ];
    let extension = prop::option::of((prop_oneof![Just(NAME), Just("openai-chat")], prop_oneof![Just("extra"), Just("stream")]));
    let tenths = || prop::option::of((0u8..20).prop_map(|tenths| f64::from(tenths) / 10.0));
    let first = (tools, choice, prop::option::of(any::<bool>()), format, prop::option::of(0u64..40_000), tenths());
    let second = (
        prop::collection::vec(prop_oneof![6 => "[a-z]{1,3}", 1 => Just(" ".to_owned())], 0..4),
        prop::option::of(any::<i64>()),
        prop::option::of(0u32..3),
        prop::option::weighted(0.7, "low|high"),
        any::<bool>(),
        prop::option::of(prop_oneof![Just(("k".to_owned(), "v".to_owned())), Just(("user_id".to_owned(), "u".to_owned()))]),
        tenths(),
        extension,
    );
    (first, second).prop_map(|((tools, tool_choice, parallel_tool_calls, response_format, max_output, temperature), second)| {
        let (stop, seed, n, reasoning_effort, stream, pair, top_p, extension) = second;
        let extensions: BTreeMap<String, Map<String, Value>> = extension
            .into_iter()
            .map(|(wire, name)| (wire.to_owned(), std::iter::once((name.to_owned(), Value::Bool(true))).collect()))
            .collect();
        Request {
            model: MODEL.into(),
            tools,
            tool_choice,
            parallel_tool_calls,
            response_format,
            max_output,
            temperature,
            top_p: top_p.filter(|p| *p <= 1.0),
            stop,
            seed,
            n,
            reasoning_effort,
            stream,
            metadata: pair.into_iter().collect(),
            extensions,
            ..Request::default()
        }
    })
}

fn request() -> impl Strategy<Value = Request> {
    let mark = prop::option::of((0usize..6, 0usize..3, any::<bool>()));
    let system = prop::collection::vec(prop::collection::vec(block(Role::System), 1..3), 0..2);
    // A user's message that always survives stands first, and last where no call is open, so that no turn is in progress.
    (settings(), system, prop::collection::vec(message(), 0..7), mark, any::<bool>()).prop_map(
        |(settings, system, messages, mark, open)| {
            let system = system.into_iter().map(|blocks| Message::new(Role::System, blocks));
            let results = Message::results(vec![ToolResult::text("a1", "r", false)]);
            let unthought = Message { origin: Some(home()), ..Message::new(Role::Assistant, vec![said_call()]) };
            let end = if open {
                vec![Message::user("next"), unthought, results]
            } else {
                vec![Message::user("next"), Message::assistant("done"), Message::user("last")]
            };
            let messages: History = system.chain([Message::user("first")]).chain(messages).chain(end).collect();
            let cache_marks = mark.map(|(message, block, long)| CacheMark { message, block, long }).into_iter().collect();
            Request { messages, cache_marks, ..settings }
        },
    )
}

fn said_call() -> Block {
    Block::ToolCall(ToolCall { id: "a1".into(), name: "f".into(), args_raw: String::new(), signature: None })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_again_and_every_drop_is_named(request in request(), at_home in any::<bool>()) {
        let dialect = if at_home { Dialect::default().to_target(home()) } else { Dialect::default() };
        let (body, losses) = encode(Wire::Anthropic, &dialect, &request);
        let (want, lost) = normalise(&request, at_home);
        let got = decode_request(&body).unwrap();
        prop_assert_eq!(got, want, "{}", String::from_utf8_lossy(&body));
        prop_assert_eq!(losses.into_iter().map(|l| l.at).collect::<BTreeSet<_>>(), lost);
    }
}

#[test]
fn the_generator_makes_each_interesting_shape() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let strategy = request();
    for _ in 0..256 {
        let r = strategy.new_tree(&mut runner).unwrap().current();
        let mut saw = |what: &'static str, is: bool| *seen.entry(what).or_default() += usize::from(is);
        let any = |f: &dyn Fn(&Block) -> bool| r.messages.iter().flat_map(|m| &m.blocks).any(f);
        saw("tools", !r.tools.is_empty());
        saw("choice without tools", r.tools.is_empty() && r.tool_choice != ToolChoice::Auto);
        saw("thinking", thinks(&r));
        saw("effort that cannot be", !thinks(&r) && r.reasoning_effort.is_some());
        saw("lowered budget", thinks(&r) && r.max_output.is_some_and(|m| m < 17_000));
        saw("odd id", any(&|b| matches!(b, Block::ToolCall(c) if c.id.contains('.'))));
        saw("bad arguments", any(&|b| matches!(b, Block::ToolCall(c) if c.args().is_err())));
        saw("image in a result", any(&|b| matches!(b, Block::ToolResult(t) if t.parts.iter().any(|p| matches!(p, Part::Image { .. })))));
        saw("silent error", any(&|b| matches!(b, Block::ToolResult(t) if t.is_error && t.parts.is_empty())));
        saw("signed thinking", any(&|b| matches!(b, Block::Thinking { signature: Some(_), .. })));
        saw("unsigned thinking", any(&|b| matches!(b, Block::Thinking { signature: None, .. })));
        saw("foreign opaque", any(&|b| matches!(b, Block::Opaque { wire, .. } if wire != NAME)));
        saw("document", any(&|b| matches!(b, Block::Document { .. })));
        saw("blank text", any(&|b| matches!(b, Block::Text { text } if text.trim().is_empty())));
        saw("late system", r.messages.iter().skip(3).any(|m| m.role == Role::System));
        saw("mark", !r.cache_marks.is_empty());
        saw("extension", !r.extensions.is_empty());
        saw("neighbours of one role", r.messages.iter().zip(r.messages.iter().skip(1)).any(|(a, b)| a.role == b.role));
    }
    for (what, times) in seen {
        assert!(times >= 5, "{what} appeared {times} times");
    }
}
