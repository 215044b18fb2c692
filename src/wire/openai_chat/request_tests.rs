//! The round trip of requests: written by the client half, read by the server half.

use super::*;
use crate::model::{History, Origin, Part};
use crate::wire::Ids;
use crate::wire::arbitrary::{args, image, text};
use crate::wire::names::wire_name;
use crate::wire::{Dialect, Wire, encode};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn read(json: &str) -> Request {
    decode_request(json.as_bytes()).unwrap()
}

#[test]
fn other_clients_spellings_mean_the_same() {
    let r = read(
        r#"{"model":"m","max_tokens":5,"stop":"x","user":"u1","tool_choice":"any","messages":[
        {"role":"developer","content":[{"type":"text","text":"s"}]},
        {"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,QQ=="}},{"type":"image_url","image_url":"http://x"}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":{"k":1}}},{"id":"2","function":{"name":"g","arguments":""}}]},
        {"role":"tool","tool_call_id":"1","content":[{"type":"text","text":"r"}]},{"role":"tool","tool_call_id":"2","content":"s"}]}"#,
    );
    assert_eq!((r.max_output, r.stop.as_slice(), &r.tool_choice), (Some(5), &["x".to_owned()][..], &ToolChoice::Required));
    assert_eq!(r.extensions["openai-chat"]["user"], "u1");
    let roles: Vec<Role> = r.messages.iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool]);
    assert_eq!(
        r.messages.get(1).unwrap().blocks[1],
        Block::Image { source: ImageSource::Inline { media_type: "image/png".into(), data: "QQ==".into() } }
    );
    let calls: Vec<&str> = r.messages.get(2).unwrap().calls().map(|c| c.args_raw.as_str()).collect();
    assert_eq!(calls, [r#"{"k":1}"#, ""]);
    assert_eq!(r.messages.get(3).unwrap().tool_results().count(), 2);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (body, says) in [
        ("{", "not valid JSON"),
        ("[]", "the body: expected an object"),
        ("{}", "model: expected"),
        (r#"{"model":"m"}"#, "messages: expected at least one"),
        (r#"{"model":"m","messages":"x"}"#, "messages: expected a list"),
        (r#"{"model":"m","messages":[{"content":"x"}]}"#, "messages[0].role"),
        (r#"{"model":"m","messages":[{"role":"robot"}]}"#, "messages[0].role: expected system"),
        (r#"{"model":"m","messages":[{"role":"user","content":7}]}"#, "messages[0].content"),
        (r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}"#, "messages[0].content[0].text"),
        (r#"{"model":"m","messages":[{"role":"tool","content":"x"}]}"#, "messages[0].tool_call_id"),
        (r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"1"}]}]}"#, "messages[0].tool_calls[0].function"),
        (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{}]}"#, "tools[0].function"),
        (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tool_choice":"maybe"}"#, "tool_choice"),
        (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":{"type":"xml"}}"#, "response_format.type"),
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
fn normalise(request: &Request, home: bool, thinks: bool) -> (Request, BTreeSet<String>) {
    let mut lost = BTreeSet::new();
    let mut out: Vec<Message> = Vec::new();
    let mut images: Vec<Message> = Vec::new();
    for (at, message) in request.messages.iter().enumerate() {
        if message.role != Role::Tool {
            out.append(&mut images);
        }
        let mut kept: Vec<Block> = Vec::new();
        let mut text = String::new();
        let mut thinking = String::new();
        let mut opaque = None;
        let mut late: Vec<Block> = Vec::new();
        for (n, block) in message.blocks.iter().enumerate() {
            let mut lose = || lost.insert(format!("messages[{at}].blocks[{n}]"));
            match (message.role, block) {
                (Role::System | Role::User | Role::Assistant, Block::Text { text: t }) if t.trim().is_empty() => {
                    lose();
                }
                (Role::System | Role::Assistant, Block::Text { text: t }) => text += t,
                (Role::User, Block::Text { .. } | Block::Image { .. }) => kept.push(block.clone()),
                (Role::User, Block::Document { media_type, name, .. }) => {
                    lose();
                    let name = name.as_deref().unwrap_or("unnamed");
                    kept.push(Block::Text {
                        text: format!("[A document was attached here, {name} ({media_type}), but this model cannot be shown it.]"),
                    });
                }
                (Role::Assistant, Block::Image { .. }) => {
                    lose();
                    text += "[An image stood here.]";
                }
                (Role::Assistant, Block::Thinking { text: t, signature, .. }) => {
                    if home && thinks {
                        thinking += t;
                    }
                    if !(home && thinks) || signature.is_some() || t.is_empty() {
                        lose();
                    }
                }
                (Role::Assistant, Block::ToolCall(c)) => {
                    if c.signature.is_some() && !home {
                        lose();
                    }
                    let args = if matches!(c.args_raw.trim(), "" | "null") { "{}".to_owned() } else { c.args_raw.clone() };
                    late.push(Block::ToolCall(ToolCall {
                        id: Ids::Chat.fit(&c.id).into_owned(),
                        name: wire_name(&c.name).into_owned(),
                        args_raw: args,
                        signature: c.signature.clone().filter(|_| home),
                    }));
                }
                (Role::Assistant, Block::Opaque { wire, .. }) if home && wire == NAME => opaque = Some(block.clone()),
                (Role::Tool, Block::ToolResult(r)) => {
                    if r.is_error {
                        lose();
                    }
                    let id = Ids::Chat.fit(&r.call_id).into_owned();
                    let pictures: Vec<Block> = r
                        .parts
                        .iter()
                        .filter_map(|p| if let Part::Image { source } = p { Some(Block::Image { source: source.clone() }) } else { None })
                        .collect();
                    let mut said = r.joined();
                    if !pictures.is_empty() {
                        if said.is_empty() {
                            "[The result is shown in the next user message.]".clone_into(&mut said);
                        }
                        let lead = Block::Text { text: format!("Images in the result of tool call {id}:") };
                        images.push(Message::new(Role::User, std::iter::once(lead).chain(pictures).collect()));
                    }
                    kept.push(Block::ToolResult(ToolResult::text(id, said, false)));
                }
                _ => {
                    lose();
                }
            }
        }
        if !thinking.is_empty() {
            kept.push(Block::Thinking { text: thinking, signature: None, redacted: false });
        }
        if !text.is_empty() {
            kept.push(Block::Text { text });
        }
        kept.extend(late);
        kept.extend(opaque);
        if !kept.is_empty() {
            out.push(Message::new(message.role, kept));
        }
    }
    out.append(&mut images);
    let mut want = request.clone();
    let none = vec![Vec::new(); out.len()];
    want.messages = join_results(out, none).0.into_iter().collect();
    want.tools = request.tools.iter().map(|t| ToolSpec { name: wire_name(&t.name).into_owned(), ..t.clone() }).collect();
    if request.tools.is_empty() {
        if want.tool_choice != ToolChoice::Auto {
            lost.insert("tool_choice".into());
        }
        if want.parallel_tool_calls.take().is_some() {
            lost.insert("parallel_tool_calls".into());
        }
        want.tool_choice = ToolChoice::Auto;
    } else if let ToolChoice::Tool(name) = &request.tool_choice {
        want.tool_choice = ToolChoice::Tool(wire_name(name).into_owned());
    }
    if want.stop.len() > 4 {
        want.stop.truncate(4);
        lost.insert("stop".into());
    }
    if want.n.is_some_and(|n| n != 1) {
        want.n = None;
        lost.insert("n".into());
    }
    if !std::mem::take(&mut want.cache_marks).is_empty() {
        lost.insert("cache_marks".into());
    }
    for (wire, fields) in std::mem::take(&mut want.extensions) {
        for (name, value) in fields {
            // The generator's own field names: `extra` is free, `seed` is the request's if it sets one.
            if wire != NAME || (name == "seed" && request.seed.is_some()) || name == "stream" {
                lost.insert(format!("extensions.{wire}.{name}"));
            } else if name == "seed" {
                want.seed = value.as_i64();
            } else {
                want.extensions.entry(wire.clone()).or_default().insert(name, value);
            }
        }
    }
    (want, lost)
}

fn block(role: Role) -> BoxedStrategy<Block> {
    let said = text().prop_map(|text| Block::Text { text });
    let picture = image().prop_map(|source| Block::Image { source });
    match role {
        Role::System => said.boxed(),
        Role::User => prop_oneof![
            4 => said,
            2 => picture,
            1 => Just(Block::Document { media_type: "application/pdf".into(), data: "QQ==".into(), name: Some("a.pdf".into()) }),
        ]
        .boxed(),
        Role::Assistant => prop_oneof![
            3 => said,
            1 => picture,
            2 => (text(), prop::option::of(Just("sig".to_owned()))).prop_map(|(text, signature)| Block::Thinking { redacted: false, text, signature }),
            3 => ("[a-z]{1,60}", prop_oneof!["[a-z_]{1,9}", "[a-z.]{60,80}"], args(), prop::option::of(Just("g".to_owned())))
                .prop_map(|(id, name, args_raw, signature)| Block::ToolCall(ToolCall { id, name, args_raw, signature })),
            1 => prop_oneof![Just(NAME), Just("anthropic")]
                .prop_map(|wire| Block::Opaque { wire: wire.into(), raw: r#"{"reasoning_details":[{"type":"x"}]}"#.into() }),
        ]
        .boxed(),
        Role::Tool => {
            let part = prop_oneof![3 => text().prop_map(|text| Part::Text { text }), 1 => image().prop_map(|source| Part::Image { source })];
            ("[a-z]{1,60}", prop::collection::vec(part, 0..3), any::<bool>())
                .prop_map(|(call_id, parts, is_error)| Block::ToolResult(ToolResult { call_id, parts, is_error }))
                .boxed()
        }
    }
}

fn home() -> Origin {
    Origin { provider: "p".into(), account: Some("a".into()), model: "m".into() }
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![1 => Just(Role::System), 3 => Just(Role::User), 4 => Just(Role::Assistant), 3 => Just(Role::Tool)]
        .prop_flat_map(|role| (Just(role), prop::collection::vec(block(role), 1..4)))
        .prop_map(|(role, blocks)| Message { origin: (role == Role::Assistant).then(home), ..Message::new(role, blocks) })
}

fn settings() -> impl Strategy<Value = Request> {
    let tools = prop::collection::vec(prop_oneof!["[a-z]{1,9}", "[a-z.]{60,80}"], 0..3).prop_map(|names| {
        let spec =
            |name: String| ToolSpec { name, description: "d".into(), parameters: serde_json::json!({"type": "object", "properties": {}}) };
        names.into_iter().map(spec).collect::<Arc<[ToolSpec]>>()
    });
    let choice =
        prop_oneof![Just(ToolChoice::Auto), Just(ToolChoice::None), Just(ToolChoice::Required), "[a-z.]{1,70}".prop_map(ToolChoice::Tool)];
    let format = prop_oneof![
        Just(None),
        Just(Some(ResponseFormat::JsonObject)),
        prop::option::of(any::<bool>()).prop_map(|strict| Some(ResponseFormat::JsonSchema {
            name: "n".into(),
            schema: serde_json::json!({"type": "object"}),
            strict
        }))
    ];
    let extension =
        prop::option::of((prop_oneof![Just(NAME), Just("anthropic")], prop_oneof![Just("extra"), Just("seed"), Just("stream")]));
    let first = (
        tools,
        choice,
        prop::option::of(any::<bool>()),
        format,
        prop::option::of(0u64..99999),
        prop::option::of((0u8..20).prop_map(|tenths| f64::from(tenths) / 10.0)),
    );
    let second = (
        prop::collection::vec("[a-z]{1,3}", 0..6),
        prop::option::of(any::<i64>()),
        prop::option::of(0u32..3),
        prop::option::of("low|high"),
        any::<bool>(),
        prop::option::of(Just(("k".to_owned(), "v".to_owned()))),
        any::<bool>(),
        extension,
    );
    (first, second).prop_map(|((tools, tool_choice, parallel_tool_calls, response_format, max_output, temperature), second)| {
        let (stop, seed, n, reasoning_effort, stream, pair, marked, extension) = second;
        let value = |name: &str| if name == "seed" { serde_json::json!(4) } else { serde_json::json!(true) };
        let extensions: BTreeMap<String, Map<String, Value>> = extension
            .into_iter()
            .map(|(wire, name)| (wire.to_owned(), std::iter::once((name.to_owned(), value(name))).collect()))
            .collect();
        let mark = crate::model::request::CacheMark { message: 0, block: 0, long: false };
        Request {
            model: "m".into(),
            tools,
            tool_choice,
            parallel_tool_calls,
            response_format,
            max_output,
            temperature,
            top_p: temperature,
            stop,
            seed,
            n,
            reasoning_effort,
            stream,
            metadata: pair.into_iter().collect(),
            cache_marks: marked.then_some(mark).into_iter().collect(),
            extensions,
            ..Request::default()
        }
    })
}

fn request() -> impl Strategy<Value = Request> {
    // One message that always survives, so that there is always something to send.
    (settings(), prop::collection::vec(message(), 0..7)).prop_map(|(settings, messages)| {
        let messages: History = std::iter::once(Message::user("first")).chain(messages).collect();
        Request { messages, ..settings }
    })
}

#[test]
fn marks_for_a_cache_are_read_and_written_again() {
    let body = r#"{"model":"anthropic/claude-opus-4.5","messages":[
        {"role":"system","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"text","text":"b"}]},
        {"role":"user","content":"u","cache_control":null},
        {"role":"assistant","reasoning":"t","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}],"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}},{"id":"2","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"1","content":"r"},
        {"role":"tool","tool_call_id":"2","content":[{"type":"text","text":"r","cache_control":{"type":"ephemeral"}}],"cache_control":{"type":"ephemeral"}}]}"#;
    let request = decode_request(body.as_bytes()).unwrap();
    let marks: Vec<_> = request.cache_marks.iter().map(|m| (m.message, m.block, m.long)).collect();
    assert_eq!(marks, [(0, 0, true), (2, 1, false), (3, 1, false)]);
    let (sent, losses) = encode(Wire::OpenaiChat, &Dialect::from_quirks(&["claude-cache-marks"]).unwrap(), &request);
    assert!(!losses.iter().any(|l| l.at.starts_with("cache_marks")), "{losses:?}");
    let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(sent["messages"][0]["content"][0]["cache_control"]["ttl"], "1h");
    for marked in ["/messages/2", "/messages/4"] {
        assert_eq!(sent.pointer(marked).unwrap()["cache_control"]["type"], "ephemeral", "{marked}");
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_again_and_every_drop_is_named(request in request(), at_home in any::<bool>(), thinks in any::<bool>()) {
        let mut dialect = Dialect::from_quirks(if thinks { &["send-reasoning-content"][..] } else { &[] }).unwrap();
        if at_home {
            dialect = dialect.to_target(home());
        }
        let (body, losses) = encode(Wire::OpenaiChat, &dialect, &request);
        let (want, lost) = normalise(&request, at_home, thinks);
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
        saw("parallel calls", r.messages.iter().any(|m| m.calls().count() > 1));
        saw("long id", any(&|b| matches!(b, Block::ToolCall(c) if c.id.len() > 40)));
        saw("long name", any(&|b| matches!(b, Block::ToolCall(c) if c.name.len() > 64)));
        saw("bad arguments", any(&|b| matches!(b, Block::ToolCall(c) if c.args().is_err())));
        saw("image in a result", any(&|b| matches!(b, Block::ToolResult(t) if t.parts.iter().any(|p| matches!(p, Part::Image { .. })))));
        saw("error result", any(&|b| matches!(b, Block::ToolResult(t) if t.is_error)));
        saw("signed thinking", any(&|b| matches!(b, Block::Thinking { signature: Some(_), .. })));
        saw("foreign opaque", any(&|b| matches!(b, Block::Opaque { wire, .. } if wire == "anthropic")));
        saw("document", any(&|b| matches!(b, Block::Document { .. })));
        saw("blank text", any(&|b| matches!(b, Block::Text { text } if text.trim().is_empty())));
        saw("too many stops", r.stop.len() > 4);
        saw("extension", !r.extensions.is_empty());
        saw(
            "results in two messages",
            r.messages.iter().zip(r.messages.iter().skip(1)).any(|(a, b)| a.role == Role::Tool && b.role == Role::Tool),
        );
    }
    for (what, times) in seen {
        assert!(times >= 5, "{what} appeared {times} times");
    }
}
