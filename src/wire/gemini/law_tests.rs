//! The law of requests: decoding undoes encoding up to what a loss names.

use super::*;
use crate::model::history::NO_RESULT;
use crate::model::request::CacheMark;
use crate::model::{History, Origin, Part, ToolSpec};
use crate::wire::arbitrary::{args, image_of_any_type as image, text as words};
use crate::wire::names::letter_first;
use crate::wire::{Dialect, Encoder, Wire};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What this wire keeps of a conversation, written down a second time and independently, with the places of what it drops.
#[derive(Default)]
struct Kept {
    out: Vec<Message>,
    lost: BTreeSet<String>,
}

impl Kept {
    fn lose(&mut self, at: usize, n: usize) {
        self.lost.insert(format!("messages[{at}].blocks[{n}]"));
    }

    fn push(&mut self, at: usize, role: Role, block: Block) {
        if role == Role::Assistant && self.out.iter().all(|m| m.role == Role::System) {
            self.lost.insert(format!("messages[{at}]"));
            self.push(at, Role::User, text("[The conversation begins with the assistant.]"));
        }
        match self.out.last_mut() {
            Some(m) if m.role == role => m.blocks.push(block),
            _ => self.out.push(Message::new(role, vec![block])),
        }
    }

    fn image(&mut self, at: usize, role: Role, source: &ImageSource) {
        let shown = match source {
            ImageSource::Inline { media_type, .. } if media_type == "image/bmp" => {
                text("[An image of type image/bmp stood here, which this model cannot be shown.]")
            }
            other => Block::Image { source: other.clone() },
        };
        self.push(at, role, shown);
    }

    /// One answer for each call, in their order; then what cannot stand among them.
    fn answers(&mut self, asked: Option<(usize, &Message)>, mut results: Vec<ToolResult>) {
        let mut shown = Vec::new();
        if let Some((at, message)) = asked {
            let mut blocks = Vec::new();
            for call in message.calls() {
                let found = results.iter().position(|r| r.call_id == call.id).map(|ix| results.remove(ix));
                let Some(result) = found else {
                    self.lost.insert(format!("messages[{at}]"));
                    blocks.push(Block::ToolResult(ToolResult::text(&call.id, NO_RESULT, true)));
                    continue;
                };
                let pictures = pictures(&result);
                let said = if result.joined().is_empty() && !pictures.is_empty() {
                    "[The result is shown in the next message.]".into()
                } else {
                    result.joined()
                };
                blocks.push(Block::ToolResult(ToolResult::text(&call.id, said, result.is_error)));
                if !pictures.is_empty() {
                    shown.push((format!("Images in the result of {}:", letter_first(&call.name)), pictures));
                }
            }
            self.out.push(Message::new(Role::Tool, blocks));
        }
        for stray in results {
            shown.push((format!("[result of an earlier tool call]\n{}", stray.joined()), pictures(&stray)));
        }
        for (words, pictures) in shown {
            self.push(0, Role::User, text(&words));
            for source in &pictures {
                self.image(0, Role::User, source);
            }
        }
    }
}

fn text(text: &str) -> Block {
    Block::Text { text: text.into() }
}

fn pictures(result: &ToolResult) -> Vec<ImageSource> {
    result.parts.iter().filter_map(|p| if let Part::Image { source } = p { Some(source.clone()) } else { None }).collect()
}

fn is_bmp(source: &ImageSource) -> bool {
    matches!(source, ImageSource::Inline { media_type, .. } if media_type == "image/bmp")
}

fn normalise(request: &Request, home: bool) -> (Request, BTreeSet<String>) {
    let mut kept = Kept::default();
    let mut conversation = false;
    let mut asked: Option<(usize, &Message)> = None;
    let mut results: Vec<ToolResult> = Vec::new();
    for (at, message) in request.messages.iter().enumerate() {
        if message.role != Role::Tool {
            kept.answers(asked.take(), std::mem::take(&mut results));
        }
        let late = message.role == Role::System && conversation;
        conversation |= message.role != Role::System;
        let role = if late { Role::User } else { message.role };
        let mut skip = false;
        for (n, block) in message.blocks.iter().enumerate() {
            if std::mem::take(&mut skip) {
                continue;
            }
            if late {
                kept.lose(at, n);
            }
            match (role, block) {
                (Role::Assistant, Block::Text { text: t }) => {
                    let mark = message.blocks.get(n + 1).filter(|b| home && matches!(b, Block::Opaque { wire, raw } if wire == NAME && !raw.contains("text") && raw.contains("Signature")));
                    if t.trim().is_empty() && (mark.is_none() || t.is_empty()) {
                        kept.lose(at, n);
                        continue;
                    }
                    kept.push(at, role, text(t));
                    if let Some(mark) = mark {
                        kept.push(at, role, mark.clone());
                        skip = true;
                    }
                }
                (_, Block::Text { text: t }) if t.trim().is_empty() => kept.lose(at, n),
                (_, Block::Image { source }) => {
                    if is_bmp(source) {
                        kept.lose(at, n);
                    }
                    kept.image(at, role, source);
                }
                (_, Block::Document { media_type, data, name }) => {
                    if media_type == "application/zip" {
                        kept.lose(at, n);
                        kept.push(
                            at,
                            role,
                            text("[A document was attached here, unnamed (application/zip), but this model cannot be shown it.]"),
                        );
                    } else {
                        if name.is_some() {
                            kept.lose(at, n);
                        }
                        kept.push(at, role, Block::Document { media_type: media_type.clone(), data: data.clone(), name: None });
                    }
                }
                (Role::Assistant, Block::Thinking { signature, redacted, .. }) => {
                    if home && signature.is_some() && !redacted {
                        kept.push(at, role, block.clone());
                    } else {
                        kept.lose(at, n);
                    }
                }
                (Role::Assistant, Block::ToolCall(c)) => {
                    if (c.signature.is_some() && !home) || c.args().is_err() {
                        kept.lose(at, n);
                    }
                    let args_raw =
                        if c.args().is_ok_and(|a| a.is_empty()) { String::new() } else { c.args_raw.replace(": ", ":").replace(", ", ",") };
                    let args_raw = if c.args().is_err() { c.args_raw.clone() } else { args_raw };
                    let signature = c.signature.clone().filter(|_| home);
                    kept.push(
                        at,
                        role,
                        Block::ToolCall(ToolCall { id: c.id.clone(), name: letter_first(&c.name).into_owned(), args_raw, signature }),
                    );
                }
                (Role::Assistant, Block::Opaque { wire, raw }) if home && wire == NAME => {
                    let alone = !raw.contains("text") && raw.contains("Signature");
                    let raw = if alone { raw.replace('{', r#"{"text":"","#) } else { raw.clone() };
                    kept.push(at, role, Block::Opaque { wire: wire.clone(), raw });
                }
                (Role::Assistant, Block::Opaque { .. }) => kept.lose(at, n),
                (Role::Tool, Block::ToolResult(r)) => {
                    let strays = asked.is_none_or(|(_, m)| m.calls().all(|c| c.id != r.call_id))
                        || results.iter().any(|before| before.call_id == r.call_id);
                    if strays || pictures(r).iter().any(is_bmp) {
                        kept.lose(at, n);
                    }
                    results.push(r.clone());
                }
                _ => kept.push(at, role, block.clone()),
            }
        }
        if message.calls().next().is_some() {
            asked = Some((at, message));
        }
    }
    kept.answers(asked.take(), results);
    let Kept { out, mut lost } = kept;
    let mut want = request.clone();
    want.messages = out.into_iter().collect();
    settings_kept(request, &mut want, &mut lost);
    (want, lost)
}

fn settings_kept(request: &Request, want: &mut Request, lost: &mut BTreeSet<String>) {
    let mut lose = |at: &str| {
        lost.insert(at.to_owned());
    };
    want.tools = request.tools.iter().map(|t| ToolSpec { name: letter_first(&t.name).into_owned(), ..t.clone() }).collect();
    if request.tools.is_empty() {
        if want.tool_choice != ToolChoice::Auto {
            lose("tool_choice");
        }
        want.tool_choice = ToolChoice::Auto;
    } else if let ToolChoice::Tool(name) = &request.tool_choice {
        want.tool_choice = ToolChoice::Tool(letter_first(name).into_owned());
    }
    if want.parallel_tool_calls.take() == Some(false) {
        lose("parallel_tool_calls");
    }
    if request.response_format.is_some() && request.model.starts_with("gemini-2") && !request.tools.is_empty() {
        want.response_format = None;
        lose("response_format");
    } else if let Some(ResponseFormat::JsonSchema { name, strict, .. }) = &mut want.response_format {
        let named = !std::mem::take(name).is_empty();
        if strict.take().is_some() || named {
            lose("response_format");
        }
    }
    let effort = match (request.model.as_str(), request.reasoning_effort.as_deref()) {
        ("gemini-3-pro-preview", Some("none" | "minimal")) => Some("low"),
        ("gemini-3-pro-preview", Some("medium" | "max")) | ("gemini-2.5-flash", Some("max")) => Some("high"),
        (_, Some("bogus")) => None,
        (_, same) => same,
    };
    if effort != request.reasoning_effort.as_deref() {
        lose("reasoning_effort");
    }
    want.reasoning_effort = effort.map(str::to_owned);
    if request.temperature.is_some_and(|t| t > 2.0) {
        want.temperature = Some(2.0);
        lose("temperature");
    }
    if request.top_p.is_some_and(|p| p > 1.0) {
        want.top_p = Some(1.0);
        lose("top_p");
    }
    want.stop.retain(|s| !s.is_empty());
    if want.stop.len() < request.stop.len() || want.stop.len() > 5 {
        want.stop.truncate(5);
        lose("stop");
    }
    if request.seed.is_some_and(|s| i32::try_from(s).is_err()) {
        want.seed = None;
        lose("seed");
    }
    if request.n.is_some_and(|n| n != 1) {
        want.n = None;
        lose("n");
    }
    for key in std::mem::take(&mut want.metadata).keys() {
        lose(&format!("metadata.{key}"));
    }
    if !std::mem::take(&mut want.cache_marks).is_empty() {
        lose("cache_marks");
    }
    for (wire, fields) in &request.extensions {
        for name in fields.keys() {
            // The generator's own field names: `safetySettings` is free, `contents` is the request's.
            if wire != NAME || name == "contents" {
                lose(&format!("extensions.{wire}.{name}"));
                want.extensions.get_mut(wire).unwrap().remove(name);
            }
        }
    }
    want.extensions.retain(|_, fields| !fields.is_empty());
}

/// Ids do not go over the wire unless it gave them, so calls are told by their place.
fn by_place(mut request: Request) -> Request {
    let mut names: HashMap<String, String> = HashMap::new();
    let renamed = |mut message: Message| {
        for block in &mut message.blocks {
            match block {
                Block::ToolCall(c) => {
                    let place = format!("call {}", names.len());
                    c.id.clone_from(names.entry(c.id.clone()).or_insert(place));
                }
                Block::ToolResult(r) => r.call_id = names.get(&r.call_id).cloned().unwrap_or_default(),
                _ => {}
            }
        }
        message
    };
    request.messages = request.messages.iter().map(|m| m.as_ref().clone()).map(renamed).collect();
    request
}

fn block(role: Role) -> BoxedStrategy<Block> {
    let said = words().prop_map(|text| Block::Text { text });
    let picture = image().prop_map(|source| Block::Image { source });
    let document = prop_oneof![
        Just(Block::Document { media_type: "application/pdf".into(), data: "QQ==".into(), name: Some("a.pdf".into()) }),
        Just(Block::Document { media_type: "text/csv".into(), data: "QQ==".into(), name: None }),
        Just(Block::Document { media_type: "application/zip".into(), data: "QQ==".into(), name: None })
    ];
    match role {
        Role::System => said.boxed(),
        Role::User => prop_oneof![
            4 => said,
            2 => picture,
            1 => document,
            1 => Just(Block::Opaque { wire: NAME.into(), raw: r#"{"videoMetadata":{"n":1.50}}"#.into() }),
        ]
        .boxed(),
        _ => prop_oneof![
            4 => said,
            1 => picture,
            2 => (words(), prop::option::weighted(0.7, Just("sig+/=".to_owned())), prop::bool::weighted(0.2)).prop_map(|(text, signature, redacted)| Block::Thinking { redacted, text, signature }),
            4 => (prop::bool::ANY, prop_oneof!["[a-z_]{1,9}", "[a-z.]{60,80}", "[0-9]{1,4}"], args(), prop::option::weighted(0.4, Just("call+/=".to_owned())))
                .prop_map(|(minted, name, args_raw, signature)| Block::ToolCall(ToolCall { id: if minted { "gcall_".into() } else { "given".into() }, name, args_raw, signature })),
            3 => prop::sample::select(vec![r#"{"thoughtSignature":"m+/="}"#, r#"{"text":"","thoughtSignature":"e+/="}"#, r#"{"executableCode":{"n":1.50}}"#])
                .prop_flat_map(|raw| (Just(raw), prop_oneof![4 => Just(NAME), 1 => Just("openai-chat")]))
                .prop_map(|(raw, wire)| Block::Opaque { wire: wire.into(), raw: raw.into() }),
        ]
        .boxed(),
    }
}

fn home(model: &str) -> Origin {
    Origin { provider: "p".into(), account: Some("a".into()), model: model.into() }
}

/// One message, or a round: an assistant's message and results for its calls, in any order, some missing, some stray.
fn round() -> impl Strategy<Value = Vec<Message>> {
    let single = prop_oneof![1 => Just(Role::System), 4 => Just(Role::User)]
        .prop_flat_map(|role| (Just(role), prop::collection::vec(block(role), 1..4)))
        .prop_map(|(role, blocks)| vec![Message::new(role, blocks)]);
    let part = || prop_oneof![3 => words().prop_map(|text| Part::Text { text }), 1 => image().prop_map(|source| Part::Image { source })];
    let result = move || (0usize..4, prop::collection::vec(part(), 0..3), any::<bool>());
    let results = prop::collection::vec(prop::collection::vec(result(), 1..4), 0..3);
    let mark = Block::Opaque { wire: NAME.into(), raw: r#"{"thoughtSignature":"m+/="}"#.into() };
    let signed = words().prop_map(move |text| vec![Block::Text { text }, mark.clone()]);
    let said = prop_oneof![6 => block(Role::Assistant).prop_map(|b| vec![b]), 1 => signed];
    let asked = (prop::collection::vec(said, 1..5), results).prop_map(|(blocks, results)| {
        let mut all = vec![Message::new(Role::Assistant, blocks.concat())];
        for group in results {
            let answer = |(which, parts, is_error): (usize, Vec<Part>, bool)| ToolResult { call_id: format!("#{which}"), parts, is_error };
            all.push(Message::results(group.into_iter().map(answer).collect()));
        }
        all
    });
    prop_oneof![1 => single, 2 => asked]
}

/// Gives each call its own id, and each result that of the call whose place it names.
fn with_ids(rounds: Vec<Vec<Message>>, model: &str) -> Vec<Message> {
    let mut calls = 0;
    let mut out = Vec::new();
    for mut round in rounds {
        let mut ids = Vec::new();
        for message in &mut round {
            for block in &mut message.blocks {
                match block {
                    Block::ToolCall(c) => {
                        c.id = format!("{}{calls}", c.id);
                        calls += 1;
                        ids.push(c.id.clone());
                    }
                    Block::ToolResult(r) => {
                        let which: usize = r.call_id[1..].parse().unwrap();
                        r.call_id = ids.get(which).cloned().unwrap_or_else(|| format!("stray{which}"));
                    }
                    _ => {}
                }
            }
            if message.role == Role::Assistant {
                message.origin = Some(home(model));
            }
        }
        out.extend(round);
    }
    out
}

fn settings() -> impl Strategy<Value = Request> {
    let model = prop_oneof![Just("gemini-2.5-flash"), Just("gemini-3-pro-preview")];
    let tools = prop::collection::vec(prop_oneof!["[a-z]{1,9}", "[a-z.]{60,80}", "[0-9]{1,4}"], 0..3).prop_map(|names| {
        let spec = |name: String| ToolSpec {
            name,
            description: "d".into(),
            parameters: json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}),
        };
        names.into_iter().map(spec).collect::<Arc<[ToolSpec]>>()
    });
    let choice = prop_oneof![3 => Just(ToolChoice::Auto), 1 => Just(ToolChoice::None), 1 => Just(ToolChoice::Required), 1 => "[a-z.0]{1,70}".prop_map(ToolChoice::Tool)];
    let format =
        prop_oneof![
            Just(None),
            Just(Some(ResponseFormat::JsonObject)),
            (prop_oneof![Just(""), Just("n")], prop::option::of(any::<bool>())).prop_map(|(name, strict)| Some(
                ResponseFormat::JsonSchema { name: name.into(), schema: json!({"type": "array", "items": {"type": "integer"}}), strict }
            ))
        ];
    let extension = prop::option::of((prop_oneof![Just(NAME), Just("openai-chat")], prop_oneof![Just("safetySettings"), Just("contents")]));
    let tenths = || prop::option::of((0u8..25).prop_map(|tenths| f64::from(tenths) / 10.0));
    let first = (model, tools, choice, prop::option::of(any::<bool>()), format, prop::option::of(0u64..40_000), tenths());
    let second = (
        prop::collection::vec(prop_oneof![6 => "[a-z]{1,3}", 1 => Just(String::new())], 0..8),
        prop::option::of(prop_oneof![any::<i64>(), -9i64..9]),
        prop::option::of(0u32..3),
        prop::option::weighted(0.7, "low|high|max|bogus|none|minimal|medium"),
        any::<bool>(),
        prop::option::of(Just(("k".to_owned(), "v".to_owned()))),
        tenths(),
        extension,
        prop::bool::weighted(0.2),
    );
    (first, second).prop_map(|((model, tools, tool_choice, parallel_tool_calls, response_format, max_output, temperature), second)| {
        let (stop, seed, n, reasoning_effort, stream, pair, top_p, extension, marked) = second;
        let extensions = extension
            .into_iter()
            .map(|(wire, name)| (wire.to_owned(), std::iter::once((name.to_owned(), json!([true]))).collect()))
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
            metadata: pair.into_iter().collect(),
            cache_marks: marked.then_some(CacheMark { message: 0, block: 0, long: false }).into_iter().collect(),
            extensions,
            ..Request::default()
        }
    })
}

fn request() -> impl Strategy<Value = Request> {
    let system = prop::collection::vec(prop::collection::vec(block(Role::System), 1..3), 0..2);
    (settings(), system, any::<bool>(), prop::collection::vec(round(), 0..5)).prop_map(|(settings, system, user_first, rounds)| {
        let system = system.into_iter().map(|blocks| Message::new(Role::System, blocks));
        let first = user_first.then(|| Message::user("first"));
        // Something that survives has to be there.
        let last = Message::user("last");
        let messages: History = system.chain(first).chain(with_ids(rounds, &settings.model)).chain([last]).collect();
        Request { messages, ..settings }
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_again_and_every_drop_is_named(request in request(), at_home in any::<bool>()) {
        let dialect = if at_home { Dialect::default().to_target(home(&request.model)) } else { Dialect::default() };
        let encoded = Encoder::new(Wire::Gemini, dialect).encode(&request);
        let body = encoded.to_vec();
        let (want, lost) = normalise(&request, at_home);
        let got = decode_request(&encoded.path, &body).unwrap();
        if at_home {
            // What the server gave it gets back.
            let given = |r: &Request| r.messages.iter().flat_map(|m| m.calls().map(|c| c.id.clone()).collect::<Vec<_>>()).filter(|id| id.starts_with("given")).collect::<Vec<_>>();
            prop_assert_eq!(given(&got), given(&want));
        }
        prop_assert_eq!(by_place(got), by_place(want), "{}", String::from_utf8_lossy(&body));
        prop_assert_eq!(encoded.losses.into_iter().map(|l| l.at).collect::<BTreeSet<_>>(), lost);
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
        let pairs = || r.messages.iter().zip(r.messages.iter().skip(1));
        saw("tools", !r.tools.is_empty());
        saw("a name that begins with a digit", r.tools.iter().any(|t| t.name.as_bytes()[0].is_ascii_digit()));
        saw("a form of the answer beside tools", !r.tools.is_empty() && r.response_format.is_some());
        saw("bad arguments", any(&|b| matches!(b, Block::ToolCall(c) if c.args().is_err())));
        saw("empty arguments", any(&|b| matches!(b, Block::ToolCall(c) if c.args_raw.is_empty())));
        saw("a signed call", any(&|b| matches!(b, Block::ToolCall(c) if c.signature.is_some())));
        saw("parallel calls", r.messages.iter().any(|m| m.calls().count() > 1));
        saw("a call without a result", pairs().any(|(a, b)| a.calls().next().is_some() && b.role != Role::Tool));
        saw("a stray result", any(&|b| matches!(b, Block::ToolResult(t) if t.call_id.starts_with("stray"))));
        saw("an image in a result", any(&|b| matches!(b, Block::ToolResult(t) if !pictures(t).is_empty())));
        saw("results in two messages", pairs().any(|(a, b)| a.role == Role::Tool && b.role == Role::Tool));
        saw("signed thinking", any(&|b| matches!(b, Block::Thinking { signature: Some(_), .. })));
        saw("a signed text", r.messages.iter().any(|m| m.blocks.windows(2).any(|w| matches!(w, [Block::Text { text }, Block::Opaque { wire, raw }] if !text.is_empty() && wire == NAME && raw.starts_with("{\"thought")))));
        saw("a foreign opaque block", any(&|b| matches!(b, Block::Opaque { wire, .. } if wire != NAME)));
        saw("a document", any(&|b| matches!(b, Block::Document { .. })));
        saw("blank text", any(&|b| matches!(b, Block::Text { text } if text.trim().is_empty())));
        saw("late system", r.messages.iter().skip(3).any(|m| m.role == Role::System));
        saw("the assistant first", r.messages.iter().find(|m| m.role != Role::System).is_some_and(|m| m.role == Role::Assistant));
        saw("an extension", !r.extensions.is_empty());
    }
    for (what, times) in seen {
        assert!(times >= 10, "{what} appeared {times} times");
    }
}
