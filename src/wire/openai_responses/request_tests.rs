//! The server's half of requests, and the law that decoding undoes encoding up to what a loss names.

use super::*;
use crate::model::{History, Origin, ToolCall};
use crate::wire::Ids;
use crate::wire::names::wire_name;
use crate::wire::{Dialect, Wire, encode};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

fn read(json: &str) -> Request {
    decode_request(json.as_bytes()).unwrap()
}

#[test]
fn clients_spellings_mean_the_same() {
    let r = read(
        r#"{"model":"m","instructions":"s","max_output_tokens":50,"store":false,"include":["reasoning.encrypted_content"],"prompt_cache_key":"k","metadata":{"n":1},
        "reasoning":{"effort":"low","summary":null},"text":{"format":{"type":"json_schema","name":"n","schema":{},"description":"d"},"verbosity":"low"},
        "tool_choice":{"type":"function","name":"f"},"tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":false},{"type":"web_search"}],
        "input":[{"role":"developer","content":"more"},{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"data:image/png;base64,QQ==","detail":"auto"},
        {"type":"input_image","file_id":"file_1"},{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,QQ=="}]},
        {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"t"}],"encrypted_content":"x", "n":1.50},
        {"role":"assistant","content":"said"},{"type":"function_call","id":"fc_1","call_id":"1","name":"f","arguments":"{}"},{"type":"web_search_call","id":"ws"},
        {"type":"function_call_output","call_id":"1","output":[{"type":"input_text","text":"r"},{"type":"input_image","image_url":"https://x"}]},
        {"type":"function_call_output","call_id":"2","output":"s"},{"type":"mcp_approval_response","id":"x"},{"role":"user","content":"next"}]}"#,
    );
    let roles: Vec<Role> = r.messages.iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::System, Role::System, Role::User, Role::Assistant, Role::Tool, Role::User, Role::User]);
    let kinds: Vec<&str> = r.messages.get(2).unwrap().blocks.iter().map(Block::kind).collect();
    assert_eq!(kinds, ["text", "an image", "an opaque block", "a document"]);
    let made = r.messages.get(3).unwrap();
    let Block::Thinking { text, signature: Some(proof), .. } = &made.blocks[0] else { panic!("{made:?}") };
    assert!(text == "t" && proof.ends_with(r#""encrypted_content":"x", "n":1.50}"#), "{proof}");
    assert_eq!(
        (made.joined_text().as_str(), made.calls().next().unwrap().signature.as_deref()),
        ("said", Some(r#"{"type":"function_call","id":"fc_1"}"#))
    );
    assert_eq!(made.blocks.last(), Some(&Block::Opaque { wire: NAME.into(), raw: r#"{"type":"web_search_call","id":"ws"}"#.into() }));
    let results: Vec<_> = r.messages.get(4).unwrap().tool_results().map(|t| (t.call_id.as_str(), t.parts.len())).collect();
    assert_eq!(results, [("1", 2), ("2", 1)]);
    assert_eq!((r.max_output, r.reasoning_effort.as_deref(), &r.tool_choice), (Some(50), Some("low"), &ToolChoice::Tool("f".into())));
    assert!(matches!(&r.response_format, Some(ResponseFormat::JsonSchema { name, strict: None, .. }) if name == "n"));
    let own = Value::Object(r.extensions[NAME].clone());
    assert_eq!((&own["text"], &own["prompt_cache_key"]), (&json!({"verbosity": "low", "format": {"description": "d"}}), &json!("k")));
    assert_eq!((own["tools"].as_array().unwrap().len(), r.tools.len(), own.as_object().unwrap().len()), (2, 1, 3));
    assert_eq!(read(r#"{"model":"m","input":"hi"}"#).messages, [Message::user("hi")].into_iter().collect());
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let input = |items: &str| format!(r#"{{"model":"m","input":[{items}]}}"#);
    for (body, says) in [
        ("{".to_owned(), "not valid JSON"),
        ("[]".to_owned(), "the body: expected an object"),
        ("{}".to_owned(), "input: expected"),
        (r#"{"input":"x"}"#.to_owned(), "model: expected"),
        (input(""), "input: expected at least one"),
        (input(r#"{"role":"system","content":"x"}"#), "input: expected at least one"),
        (input("7"), "input[0]: expected an object"),
        (input("{}"), "input[0].type: expected a string"),
        (input(r#"{"role":"robot","content":"x"}"#), "input[0].role"),
        (input(r#"{"role":"user"}"#), "input[0].content"),
        (input(r#"{"role":"user","content":[{"type":"input_text"}]}"#), "input[0].content[0].text: expected a string"),
        (input(r#"{"type":"function_call","name":"f"}"#), "input[0].call_id: expected a string"),
        (input(r#"{"type":"function_call","call_id":"f"}"#), "input[0].name: expected a string"),
        (input(r#"{"type":"function_call_output","output":"f"}"#), "input[0].call_id"),
        (input(r#"{"type":"function_call_output","call_id":"f"}"#), "input[0].output"),
        (r#"{"model":"m","input":"x","tools":[{"type":"function"}]}"#.to_owned(), "tools[0]"),
        (r#"{"model":"m","input":"x","tool_choice":"maybe"}"#.to_owned(), "tool_choice: expected auto"),
        (r#"{"model":"m","input":"x","text":{"format":{"type":"xml"}}}"#.to_owned(), "text.format.type"),
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
    let mut push = |role: Role, blocks: Vec<Block>| match out.last_mut() {
        _ if blocks.is_empty() => {}
        // Runs of what the model made, and of results, are one message each.
        Some(last) if last.role == role && matches!(role, Role::Assistant | Role::Tool) => last.blocks.extend(blocks),
        _ => out.push(Message::new(role, blocks)),
    };
    let leading = request.messages.iter().take_while(|m| m.role == Role::System).count();
    let mut prompt: Vec<String> = Vec::new();
    for (at, message) in request.messages.iter().enumerate() {
        let mut lose = |n: usize| {
            lost.insert(format!("messages[{at}].blocks[{n}]"));
        };
        let mut kept: Vec<Block> = Vec::new();
        match message.role {
            Role::Assistant => kept = made(message, home, &mut lose),
            Role::Tool => {
                for (n, block) in message.blocks.iter().enumerate() {
                    let Block::ToolResult(r) = block else { panic!("{block:?}") };
                    if r.is_error {
                        lose(n);
                    }
                    let text = r.parts.iter().all(|p| matches!(p, Part::Text { .. }));
                    let blank = |p: &Part| matches!(p, Part::Text { text } if text.trim().is_empty());
                    if !text && r.parts.iter().any(|p| blank(p) && *p != Part::Text { text: String::new() }) {
                        lose(n);
                    }
                    let solid = r.parts.iter().filter(|p| !blank(p)).cloned().collect();
                    let parts = if text { vec![Part::Text { text: r.joined() }] } else { solid };
                    kept.push(Block::ToolResult(ToolResult {
                        call_id: Ids::Responses.fit(&r.call_id).into_owned(),
                        parts,
                        is_error: false,
                    }));
                }
            }
            Role::User | Role::System => {
                for (n, block) in message.blocks.iter().enumerate() {
                    match block {
                        Block::Text { text } if text.trim().is_empty() => lose(n),
                        Block::Document { media_type, .. } if media_type == "text/csv" => {
                            lose(n);
                            kept.push(Block::Text {
                                text: "[A document was attached here, unnamed (text/csv), but this model cannot be shown it.]".into(),
                            });
                        }
                        Block::Opaque { raw, .. } if raw.contains("item_reference") => lose(n),
                        // An item stands for itself.
                        Block::Opaque { raw, .. } if raw.contains("_output") => {
                            push(Role::User, std::mem::take(&mut kept));
                            push(Role::User, vec![block.clone()]);
                        }
                        other => kept.push(other.clone()),
                    }
                }
            }
        }
        if at < leading {
            let text: String = kept.iter().map(|b| if let Block::Text { text } = b { text.as_str() } else { "" }).collect();
            prompt.extend(Some(text).filter(|t| !t.is_empty()));
        } else {
            push(message.role, kept);
        }
    }
    let mut want = request.clone();
    let system = (!prompt.is_empty()).then(|| Message::system(prompt.join("\n\n")));
    want.messages = system.into_iter().chain(out).collect();
    settings_kept(request, &mut want, &mut lost);
    (want, lost)
}

/// What the model made, as it comes back.
fn made(message: &Message, home: bool, lose: &mut impl FnMut(usize)) -> Vec<Block> {
    let mut kept = Vec::new();
    let mut proven = false;
    let mut notes: Option<(Option<String>, Option<String>)> = None;
    let stands = |b: &Block| match b {
        Block::Text { text } => !text.trim().is_empty(),
        Block::ToolCall(_) | Block::Image { .. } => true,
        Block::Opaque { wire, raw } => home && wire == NAME && !raw.contains("\"message\"") && !raw.contains("item_reference"),
        _ => false,
    };
    let last = message.blocks.iter().rposition(stands);
    for (n, block) in message.blocks.iter().enumerate() {
        match block {
            Block::Text { text } if text.trim().is_empty() => lose(n),
            Block::Text { .. } | Block::Image { .. } => {
                if let Some((id, phase)) = notes.take() {
                    let id = id.filter(|_| proven);
                    kept.extend(about::message(id.as_deref(), phase.as_deref()).map(|raw| Block::Opaque { wire: NAME.into(), raw }));
                }
                if matches!(block, Block::Image { .. }) {
                    lose(n);
                    kept.push(Block::Text { text: "[An image stood here.]".into() });
                } else {
                    kept.push(block.clone());
                }
            }
            Block::Thinking { text, signature, redacted } => {
                notes = None;
                let own = home && !redacted && signature.as_deref().is_some_and(|s| s.contains("encrypted_content"));
                if !own || last.is_none_or(|last| last < n) {
                    lose(n);
                    continue;
                }
                proven = true;
                kept.push(Block::Thinking { text: text.clone(), signature: signature.clone(), redacted: false });
            }
            Block::ToolCall(c) => {
                notes = None;
                let custom = home && about::is_custom(c.signature.as_deref());
                let own = home && c.signature.as_deref().is_some_and(|s| about::of_call(s).is_some());
                if c.signature.is_some() && !own {
                    lose(n);
                }
                let signature = match (own, custom, proven) {
                    (true, true, false) => Some(about::call(about::CUSTOM_CALL, None)),
                    (true, _, true) => c.signature.clone(),
                    _ => None,
                };
                let raw = c.args_raw.trim();
                let args_raw = if !custom && (raw.is_empty() || raw == "null") { "{}".to_owned() } else { c.args_raw.clone() };
                let (id, name) = (Ids::Responses.fit(&c.id).into_owned(), wire_name(&c.name).into_owned());
                kept.push(Block::ToolCall(ToolCall { id, name, args_raw, signature }));
            }
            Block::Opaque { wire, raw } if home && wire == NAME && raw.contains("\"message\"") => {
                let value: Value = serde_json::from_str(raw).unwrap();
                let of = |key: &str| value[key].as_str().map(str::to_owned);
                notes = Some((of("id"), of("phase")));
            }
            Block::Opaque { .. } if stands(block) => {
                notes = None;
                kept.push(block.clone());
            }
            _ => lose(n),
        }
    }
    kept
}

fn settings_kept(request: &Request, want: &mut Request, lost: &mut BTreeSet<String>) {
    let reasons = request.model == "gpt-5";
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
    }
    if request.max_output.is_some_and(|max| max < 16) {
        want.max_output = Some(16);
        lose("max_output");
    }
    if reasons {
        for (at, value) in [("temperature", &mut want.temperature), ("top_p", &mut want.top_p)] {
            if value.take().is_some() {
                lose(at);
            }
        }
    } else if want.reasoning_effort.take().is_some() {
        lose("reasoning_effort");
    }
    if !std::mem::take(&mut want.stop).is_empty() {
        lose("stop");
    }
    if want.seed.take().is_some() {
        lose("seed");
    }
    if want.n.take().is_some_and(|n| n != 1) {
        lose("n");
    }
    if !std::mem::take(&mut want.cache_marks).is_empty() {
        lose("cache_marks");
    }
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
    if let Some(key) = want.metadata.remove("prompt_cache_key") {
        own(want).insert("prompt_cache_key".into(), key.into());
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![1 => Just(String::new()), 1 => Just(" \n".to_owned()), 6 => "[a-zé😀\"\\\\\n]{1,8}"]
}

fn args() -> impl Strategy<Value = String> {
    let fixed = ["", "null", "{}", r#"{"k": [1, "é"]}"#, r#"{"k"#, "not json"];
    prop::sample::select(fixed.map(str::to_owned).to_vec())
}

fn image() -> impl Strategy<Value = ImageSource> {
    prop_oneof![
        Just(ImageSource::Url { url: "https://x/y.png".into() }),
        Just(ImageSource::Inline { media_type: "image/png".into(), data: "QUJD".into() }),
    ]
}

fn proof(text: &str) -> String {
    let summary = if text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": text}]) };
    json!({"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "x"}).to_string()
}

fn block(role: Role) -> BoxedStrategy<Block> {
    let said = text().prop_map(|text| Block::Text { text });
    let picture = image().prop_map(|source| Block::Image { source });
    let opaque = |raw: &str| Just(Block::Opaque { wire: NAME.into(), raw: raw.into() });
    match role {
        Role::System => said.boxed(),
        Role::User => prop_oneof![
            5 => said,
            2 => picture,
            1 => Just(Block::Document { media_type: "application/pdf".into(), data: "QQ==".into(), name: Some("a.pdf".into()) }),
            1 => Just(Block::Document { media_type: "application/pdf".into(), data: "QQ==".into(), name: None }),
            1 => Just(Block::Document { media_type: "text/csv".into(), data: "QQ==".into(), name: None }),
            1 => opaque(r#"{"type":"computer_call_output","n":1.50}"#),
            1 => opaque(r#"{"type":"input_audio","n":1.50}"#),
            1 => opaque(r#"{"type":"item_reference","id":"x"}"#),
        ]
        .boxed(),
        Role::Assistant => prop_oneof![
            4 => said,
            1 => picture,
            3 => prop_oneof!["[a-z]{1,5}", Just(String::new())].prop_map(|text| Block::Thinking { signature: Some(proof(&text)), text, redacted: false }),
            1 => Just(Block::Thinking { text: "loud".into(), signature: None, redacted: false }),
            1 => any::<bool>().prop_map(|redacted| Block::Thinking { text: String::new(), signature: Some("EqQB".into()), redacted }),
            4 => (prop_oneof!["[a-z]{1,9}", "[a-z.:]{1,80}"], prop_oneof!["[a-z_]{1,9}", "[a-z.]{60,80}"], args(), 0..4u8).prop_map(|(id, name, args_raw, kind)| {
                let signature = match kind {
                    0 => Some("g".to_owned()),
                    1 => Some(about::call(about::CALL, Some("fc_1"))),
                    2 => Some(about::call(about::CUSTOM_CALL, Some("ctc_1"))),
                    _ => None,
                };
                Block::ToolCall(ToolCall { id, name, args_raw, signature })
            }),
            2 => opaque(r#"{"type":"message","id":"msg_1","phase":"commentary"}"#),
            1 => opaque(r#"{"type":"message","id":"msg_2"}"#),
            1 => opaque(r#"{"type":"web_search_call","n":1.50}"#),
            1 => Just(Block::Opaque { wire: "anthropic".into(), raw: r#"{"type":"web_search_call"}"#.into() }),
        ]
        .boxed(),
        Role::Tool => {
            let part = prop_oneof![3 => text().prop_map(|text| Part::Text { text }), 1 => image().prop_map(|source| Part::Image { source })];
            (prop_oneof!["[a-z]{1,9}", "[a-z.:]{1,80}"], prop::collection::vec(part, 0..3), any::<bool>())
                .prop_map(|(call_id, parts, is_error)| Block::ToolResult(ToolResult { call_id, parts, is_error }))
                .boxed()
        }
    }
}

fn home(model: &str) -> Origin {
    Origin { provider: "p".into(), account: Some("a".into()), model: model.into() }
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![1 => Just(Role::System), 3 => Just(Role::User), 5 => Just(Role::Assistant), 3 => Just(Role::Tool)]
        .prop_flat_map(|role| (Just(role), prop::collection::vec(block(role), 1..6)))
        .prop_map(|(role, blocks)| Message::new(role, blocks))
}

fn settings() -> impl Strategy<Value = Request> {
    let tools = prop::collection::vec(prop_oneof!["[a-z]{1,9}", "[a-z.]{60,80}"], 0..3).prop_map(|names| {
        let spec = |name: String| ToolSpec { name, description: "d".into(), parameters: json!({"type": "object", "properties": {}}) };
        names.into_iter().map(spec).collect::<Arc<[ToolSpec]>>()
    });
    let choice = prop_oneof![
        3 => Just(ToolChoice::Auto),
        1 => Just(ToolChoice::None),
        1 => Just(ToolChoice::Required),
        1 => "[a-z.]{1,70}".prop_map(ToolChoice::Tool)
    ];
    let schema = (prop_oneof![Just(""), Just("n")], prop::option::of(any::<bool>()))
        .prop_map(|(name, strict)| Some(ResponseFormat::JsonSchema { name: name.into(), schema: json!({"type": "object"}), strict }));
    let format = prop_oneof![Just(None), Just(Some(ResponseFormat::JsonObject)), schema];
    let extension = prop::option::of((prop_oneof![Just(NAME), Just("openai-chat")], prop_oneof![Just("extra"), Just("stream")]));
    let tenths = || prop::option::of((0u8..20).prop_map(|tenths| f64::from(tenths) / 10.0));
    let first = (tools, choice, prop::option::of(any::<bool>()), format, prop::option::of(0u64..100), tenths(), tenths());
    let second = (
        prop::collection::vec("[a-z]{1,3}", 0..2),
        prop::option::of(any::<i64>()),
        prop::option::of(0u32..3),
        prop::option::of("low|high"),
        any::<bool>(),
        prop::option::of(prop_oneof![Just(("k", "v")), Just(("prompt_cache_key", "s"))]),
        extension,
        prop_oneof![2 => Just("gpt-5"), 1 => Just("gpt-4.1")],
    );
    (first, second).prop_map(|((tools, tool_choice, parallel_tool_calls, response_format, max_output, temperature, top_p), second)| {
        let (stop, seed, n, reasoning_effort, stream, pair, extension, model) = second;
        let extensions: BTreeMap<String, Map<String, Value>> = extension
            .into_iter()
            .map(|(wire, name)| (wire.to_owned(), std::iter::once((name.to_owned(), Value::Bool(true))).collect()))
            .collect();
        Request {
            model: model.into(),
            tools,
            tool_choice,
            parallel_tool_calls,
            response_format,
            max_output,
            temperature,
            top_p,
            stop,
            seed,
            n,
            reasoning_effort,
            stream,
            metadata: pair.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect(),
            extensions,
            ..Request::default()
        }
    })
}

fn request() -> impl Strategy<Value = Request> {
    let system = prop::collection::vec(prop::collection::vec(block(Role::System), 1..3), 0..3);
    (settings(), system, prop::collection::vec(message(), 0..7)).prop_map(|(settings, system, messages)| {
        let system = system.into_iter().map(|blocks| Message::new(Role::System, blocks));
        let messages = [Message::user("first")].into_iter().chain(messages);
        let marked = messages.map(|m| Message { origin: (m.role == Role::Assistant).then(|| home(&settings.model)), ..m });
        let messages: History = system.chain(marked).collect();
        Request { messages, ..settings }
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_again_and_every_drop_is_named(request in request(), at_home in any::<bool>()) {
        let dialect = if at_home { Dialect::default().to_target(home(&request.model)) } else { Dialect::default() };
        let (body, losses) = encode(Wire::OpenaiResponses, &dialect, &request);
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
        let pair = |f: &dyn Fn(&Block, &Block) -> bool| r.messages.iter().any(|m| m.blocks.windows(2).any(|w| f(&w[0], &w[1])));
        let own = |s: &Option<String>| s.as_deref().is_some_and(|s| s.starts_with('{'));
        saw("tools", !r.tools.is_empty());
        saw("choice without tools", r.tools.is_empty() && r.tool_choice != ToolChoice::Auto);
        saw("odd id", any(&|b| matches!(b, Block::ToolCall(c) if c.id.contains('.'))));
        saw("bad arguments", any(&|b| matches!(b, Block::ToolCall(c) if c.args().is_err())));
        saw("call of free text", any(&|b| matches!(b, Block::ToolCall(c) if about::is_custom(c.signature.as_deref()))));
        saw("image in a result", any(&|b| matches!(b, Block::ToolResult(t) if t.parts.iter().any(|p| matches!(p, Part::Image { .. })))));
        saw("own proof", any(&|b| matches!(b, Block::Thinking { signature, .. } if own(signature))));
        saw("foreign proof", any(&|b| matches!(b, Block::Thinking { signature: Some(s), .. } if s == "EqQB")));
        saw(
            "proof before a call",
            pair(&|a, b| matches!((a, b), (Block::Thinking { signature, .. }, Block::ToolCall(_)) if own(signature))),
        );
        saw("proof before text", pair(&|a, b| matches!((a, b), (Block::Thinking { signature, .. }, Block::Text { .. }) if own(signature))));
        saw("notes before text", pair(&|a, b| matches!((a, b), (Block::Opaque { raw, .. }, Block::Text { .. }) if raw.contains("msg_"))));
        saw("document", any(&|b| matches!(b, Block::Document { .. })));
        saw("blank text", any(&|b| matches!(b, Block::Text { text } if text.trim().is_empty())));
        saw("late system", r.messages.iter().skip(4).any(|m| m.role == Role::System));
        saw("extension", !r.extensions.is_empty());
        saw("neighbours of one role", r.messages.iter().zip(r.messages.iter().skip(1)).any(|(a, b)| a.role == b.role));
    }
    for (what, times) in seen {
        assert!(times >= 5, "{what} appeared {times} times");
    }
}
