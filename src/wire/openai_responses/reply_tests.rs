//! The server's half of replies: what it writes is read again, and clients can follow it.

use super::*;
use crate::model::{Accumulator, Class, Message, Role, Scope, ToolCall};
use crate::wire::names::wire_name;
use crate::wire::{Decoder, Dialect, Wire};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use std::collections::BTreeMap;

fn read(bytes: &[u8]) -> Reply {
    let mut decoder = Decoder::new(Wire::OpenaiResponses, &Dialect::default());
    let mut events = Vec::new();
    decoder.feed(bytes, &mut events);
    decoder.finish(&mut events);
    assert!(!events.iter().any(|e| matches!(e, StreamEvent::Unknown { .. })), "{}", String::from_utf8_lossy(bytes));
    gather(&events)
}

fn gather(events: &[StreamEvent]) -> Reply {
    let mut all = Accumulator::default();
    for event in events {
        all.push(event);
    }
    all.finish()
}

/// How a provider of another wire mixes its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    OneByOne,
    /// All blocks start, then grow in turns, then end.
    Mixed,
}

fn halves(text: &str) -> [String; 2] {
    let at = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let (a, b) = text.split_at(at);
    [a.to_owned(), b.to_owned()]
}

/// The reply's blocks as events, with names and texts in two pieces.
fn events_of(reply: &Reply, order: Order) -> Vec<StreamEvent> {
    let split = |event: StreamEvent| match event {
        StreamEvent::Delta { ix, delta: Delta::Text { text } } => {
            halves(&text).map(|text| StreamEvent::Delta { ix, delta: Delta::Text { text } }).to_vec()
        }
        StreamEvent::Delta { ix, delta: Delta::Args { text } } => {
            halves(&text).map(|text| StreamEvent::Delta { ix, delta: Delta::Args { text } }).to_vec()
        }
        StreamEvent::BlockStart { ix, kind: BlockKind::ToolCall { id, name } } => {
            let [name, rest] = halves(&name);
            vec![
                StreamEvent::BlockStart { ix, kind: BlockKind::ToolCall { id, name } },
                StreamEvent::Delta { ix, delta: Delta::Name { text: rest } },
            ]
        }
        other => vec![other],
    };
    let columns: Vec<Vec<StreamEvent>> =
        reply.message.blocks.iter().enumerate().map(|(ix, block)| events(ix, block).into_iter().flat_map(split).collect()).collect();
    let mut out = vec![StreamEvent::Start { id: reply.id.clone(), model: reply.model.clone() }];
    match order {
        Order::OneByOne => out.extend(columns.into_iter().flatten()),
        Order::Mixed => {
            let longest = columns.iter().map(Vec::len).max().unwrap_or(0);
            for row in 0..longest {
                out.extend(columns.iter().filter_map(|c| c.get(row).cloned()));
            }
        }
    }
    out.push(StreamEvent::Usage { usage: reply.usage });
    out.push(match &reply.error {
        Some(error) => StreamEvent::Error { error: error.clone() },
        None => StreamEvent::End { stop: reply.stop, reason: reply.reason.clone() },
    });
    out
}

/// The blocks without notes: which of them a stream has depends on what stood before, and the recordings test them.
fn plain(blocks: &[Block]) -> Vec<Block> {
    let kept = blocks.iter().filter(|b| !matches!(b, Block::Opaque { raw, .. } if about::of_message(raw).is_some()));
    kept.map(|block| match block {
        Block::ToolCall(c) => {
            let signature = about::is_custom(c.signature.as_deref()).then(|| "custom".to_owned());
            Block::ToolCall(ToolCall { signature, ..c.clone() })
        }
        other => other.clone(),
    })
    .collect()
}

/// What this wire keeps of a finished reply, and the places of what it drops when it is streamed.
fn normalise(reply: &Reply, streamed: bool) -> (Reply, Vec<String>) {
    let mut lost = Vec::new();
    let mut want = reply.clone();
    want.message.blocks.clear();
    for (ix, block) in plain(&reply.message.blocks).into_iter().enumerate() {
        let mut lose = || lost.push(format!("blocks[{ix}]"));
        let kept = match block {
            Block::ToolCall(c) => {
                let foreign = reply
                    .message
                    .blocks
                    .iter()
                    .any(|b| matches!(b, Block::ToolCall(o) if o.id == c.id && o.signature.as_deref() == Some("g")));
                if foreign {
                    lose();
                }
                let (id, name) = (Ids::Responses.fit(&c.id).into_owned(), wire_name(&c.name).into_owned());
                Block::ToolCall(ToolCall { id, name, ..c })
            }
            Block::Thinking { redacted: true, .. } => {
                lose();
                continue;
            }
            Block::Thinking { text, signature, .. } => {
                let own = signature.as_deref().is_some_and(|s| about::of_reasoning(s).is_some());
                if signature.is_some() && !own {
                    lose();
                }
                if text.is_empty() && !own {
                    continue;
                }
                Block::Thinking { text, signature: signature.filter(|_| own), redacted: false }
            }
            Block::Opaque { wire, .. } if wire != NAME => {
                lose();
                continue;
            }
            other => other,
        };
        want.message.blocks.push(kept);
    }
    let usage = reply.usage;
    let written = usage.cache_write.or(usage.cache_write_1h).map(|_| usage.cache_write.unwrap_or(0) + usage.cache_write_1h.unwrap_or(0));
    let known = |n: Option<u64>| Some(n.unwrap_or(0));
    want.usage = Usage {
        cache_read: known(usage.cache_read),
        cache_write: written,
        cache_write_1h: None,
        reasoning: known(usage.reasoning),
        ..usage
    };
    let said = want.message.blocks.iter().any(|b| matches!(b, Block::Text { .. }));
    let word = if reply.stop == Stop::Refusal && !streamed { finish::COMPLETED } else { finish::write(reply.stop) };
    want.reason = Some(word.to_owned());
    want.stop = match finish::read(word) {
        Stop::End if want.message.calls().next().is_some() => Stop::ToolUse,
        Stop::End if reply.stop == Stop::Refusal && said => Stop::Refusal,
        stop => stop,
    };
    (want, lost)
}

/// The reply that was read, as far as [`normalise`] says what it must be.
fn got(bytes: &[u8], order: Order) -> Reply {
    let mut reply = read(bytes);
    reply.message.blocks = plain(&reply.message.blocks);
    sorted(reply, order)
}

/// Where blocks are mixed, another one may be the first to say something.
fn sorted(mut reply: Reply, order: Order) -> Reply {
    if order == Order::Mixed {
        reply.message.blocks.sort_by_key(|b| format!("{b:?}"));
    }
    reply
}

fn usage() -> impl Strategy<Value = Usage> {
    let n = || prop::option::of(0u64..1_000_000);
    (0u64..1_000_000, n(), n(), n(), 1u64..1_000_000, n()).prop_map(|(input, cache_read, cache_write, cache_write_1h, output, part)| {
        Usage {
            input: Some(input),
            cache_read,
            cache_write,
            cache_write_1h,
            output: Some(output),
            reasoning: part.map(|p| p % (output + 1)),
        }
    })
}

/// A reasoning item of this wire with this text.
fn proof(text: &str) -> String {
    let summary = if text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": text}]) };
    json!({"type": "reasoning", "id": format!("rs_{text}"), "summary": summary, "encrypted_content": "x+/="}).to_string()
}

fn block() -> impl Strategy<Value = Block> {
    let text = || "[a-zé😀\"\\\\\n]{2,10}";
    let args = prop_oneof![Just(String::new()), Just(r#"{"k":"é"}"#.to_owned()), Just(r#"{"k"#.to_owned())];
    let thinking = |text: &str, signature: Option<String>| Block::Thinking { text: text.into(), signature, redacted: false };
    let custom = || about::call(about::CUSTOM_CALL, Some("ctc_1"));
    prop_oneof![
        3 => text().prop_map(|text| Block::Text { text }),
        3 => text().prop_map(move |t| thinking(&t, None)),
        2 => prop_oneof![3 => text().prop_map(Some), 1 => Just(None)].prop_map(move |t| {
            let t = t.unwrap_or_default();
            thinking(&t, Some(proof(&t)))
        }),
        1 => prop_oneof![Just("t"), Just("")].prop_map(move |t| thinking(t, Some("EqQB".into()))),
        1 => Just(Block::Thinking { text: String::new(), signature: Some("ab=".into()), redacted: true }),
        4 => (prop_oneof!["[a-z]{1,9}", "[a-z.:]{9,80}"], prop_oneof!["[a-z_]{1,9}", "[a-z.]{60,80}"], args, prop_oneof![3 => Just(None), 1 => Just(Some("g".to_owned())), 1 => Just(Some(custom()))])
            .prop_map(|(id, name, args_raw, signature)| Block::ToolCall(ToolCall { id, name, args_raw, signature })),
        2 => prop_oneof![3 => Just(NAME), 1 => Just("anthropic")]
            .prop_map(|wire| Block::Opaque { wire: wire.into(), raw: r#"{"type":"web_search_call","q":1.50}"#.into() }),
    ]
}

const CLASSES: [(Class, Scope); 13] = [
    (Class::RateLimit, Scope::Key),
    (Class::Quota, Scope::Key),
    (Class::Billing, Scope::Key),
    (Class::Overloaded, Scope::Model),
    (Class::Server, Scope::Model),
    (Class::Auth, Scope::Key),
    (Class::Permission, Scope::Key),
    (Class::ContextTooLong, Scope::Request),
    (Class::BadRequest, Scope::Request),
    (Class::ContentFilter, Scope::Request),
    (Class::NotFound, Scope::Model),
    (Class::Network, Scope::Provider),
    (Class::Timeout, Scope::Provider),
];

const STOPS: [Stop; 8] =
    [Stop::End, Stop::ToolUse, Stop::MaxTokens, Stop::StopSequence, Stop::ContentFilter, Stop::Refusal, Stop::Pause, Stop::Unknown];

fn reply() -> impl Strategy<Value = Reply> {
    (prop::collection::vec(block(), 0..6), prop::sample::select(&STOPS[..]), usage()).prop_map(|(mut blocks, stop, usage)| {
        // The parts of one reasoning item: blocks of their own, of which the last one has the proof of all.
        let mut parts: Vec<String> = Vec::new();
        for block in &mut blocks {
            let Block::Thinking { text, signature, .. } = block else {
                parts.clear();
                continue;
            };
            match signature {
                None => parts.push(text.clone()),
                Some(s) if about::of_reasoning(s).is_some() && !parts.is_empty() => {
                    "last part".clone_into(text);
                    parts.push(text.clone());
                    let summary: Vec<Value> = parts.drain(..).map(|t| json!({"type": "summary_text", "text": t})).collect();
                    *s = json!({"type": "reasoning", "id": "rs_", "summary": summary, "encrypted_content": "x"}).to_string();
                }
                Some(_) => parts.clear(),
            }
        }
        for (n, block) in blocks.iter_mut().enumerate() {
            match block {
                Block::ToolCall(c) => c.id = format!("{n}{}", c.id),
                // Items that share an id at one place would be one item.
                Block::Thinking { signature: Some(s), .. } => *s = s.replace("\"rs_", &format!("\"rs_{n}")),
                _ => {}
            }
        }
        let message = Message::new(Role::Assistant, blocks);
        Reply { message, stop, reason: None, usage, id: Some("resp_1".into()), model: Some("m1".into()), complete: true, error: None }
    })
}

proptest! {
    #[test]
    fn a_streamed_reply_is_read_again_and_every_drop_is_named(reply in reply(), order in prop::sample::select(vec![Order::OneByOne, Order::Mixed])) {
        let (bytes, losses) = encode_events(Head::default(), &events_of(&reply, order));
        let (want, mut lost) = normalise(&reply, true);
        let mut named: Vec<String> = losses.into_iter().map(|l| l.at).collect();
        named.sort();
        lost.sort();
        prop_assert_eq!(got(&bytes, order), sorted(want, order), "{}", String::from_utf8_lossy(&bytes));
        prop_assert_eq!(named, lost);
        well_formed(&String::from_utf8(bytes).unwrap());
    }

    #[test]
    fn a_whole_reply_is_read_again(reply in reply()) {
        let (want, _) = normalise(&reply, false);
        prop_assert_eq!(got(&encode_reply(&reply, 1), Order::OneByOne), want);
    }

    #[test]
    fn a_failure_is_heard_as_what_it_was(reply in reply(), (class, scope) in prop::sample::select(&CLASSES[..])) {
        let mut error = ProviderError::new(class, Scope::Provider, "what happened");
        error.retry_after_s = Some(2.5);
        let failed = Reply { error: Some(error), ..reply };
        let streamed = encode_events(Head::default(), &events_of(&failed, Order::OneByOne)).0;
        for got in [read(&streamed), read(&encode_reply(&failed, 1))] {
            let error = got.error.unwrap();
            prop_assert_eq!((got.complete, error.class, error.scope, error.message.as_str()), (false, class, scope, "what happened"));
            if matches!(class, Class::RateLimit | Class::Quota | Class::Overloaded | Class::Server) {
                prop_assert_eq!(error.retry_after_s, Some(2.5));
            }
        }
        prop_assert!(!String::from_utf8(streamed).unwrap().contains("response.completed"));
    }
}

/// Clients count events, and take every item's beginning before its pieces and its end behind them.
fn well_formed(stream: &str) {
    let mut open: BTreeMap<u64, String> = BTreeMap::new();
    let mut done: Vec<u64> = Vec::new();
    for (number, frame) in stream.split_terminator("\n\n").enumerate() {
        let (name, data) = frame.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        let event: Value = serde_json::from_str(data).unwrap();
        assert_eq!((event["type"].as_str(), event["sequence_number"].as_u64()), (Some(name), Some(number as u64)), "{frame}");
        let Some(index) = event["output_index"].as_u64() else { continue };
        let id = event["item_id"].as_str().or(event["item"]["id"].as_str()).unwrap_or_default();
        match name {
            "response.output_item.added" => assert!(open.insert(index, id.to_owned()).is_none(), "{stream}"),
            "response.output_item.done" => {
                assert!(open.contains_key(&index), "{stream}");
                assert!(!done.contains(&index), "{stream}");
                done.push(index);
            }
            _ => assert_eq!(open.get(&index).map(String::as_str), Some(id), "{frame}\n{stream}"),
        }
    }
    assert_eq!(open.len(), done.len(), "{stream}");
}

#[test]
fn the_generator_makes_each_interesting_shape() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let strategy = reply();
    for _ in 0..256 {
        let r = strategy.new_tree(&mut runner).unwrap().current();
        let blocks = &r.message.blocks;
        let any = |f: &dyn Fn(&Block) -> bool| blocks.iter().any(f);
        let own = |s: &Option<String>| s.as_deref().is_some_and(|s| about::of_reasoning(s).is_some());
        let mut saw = |what: &'static str, is: bool| *seen.entry(what).or_default() += usize::from(is);
        saw("parallel calls", r.message.calls().count() > 1);
        saw("cut arguments", r.message.calls().any(|c| c.args().is_err()));
        saw("odd id", r.message.calls().any(|c| c.id.contains('.')));
        saw("long name", r.message.calls().any(|c| c.name.len() > 64));
        saw("call of free text", r.message.calls().any(|c| about::is_custom(c.signature.as_deref())));
        saw("unsigned thinking", any(&|b| matches!(b, Block::Thinking { signature: None, .. })));
        saw("foreign proof", any(&|b| matches!(b, Block::Thinking { signature: Some(s), redacted: false, .. } if s == "EqQB")));
        saw("own proof", any(&|b| matches!(b, Block::Thinking { signature, .. } if own(signature))));
        saw("own proof alone", any(&|b| matches!(b, Block::Thinking { signature, text, .. } if own(signature) && text.is_empty())));
        saw(
            "several parts",
            blocks
                .windows(2)
                .any(|w| matches!(w, [Block::Thinking { signature: None, .. }, Block::Thinking { signature, .. }] if own(signature))),
        );
        saw("own opaque", any(&|b| matches!(b, Block::Opaque { wire, .. } if wire == NAME)));
        saw("foreign opaque", any(&|b| matches!(b, Block::Opaque { wire, .. } if wire != NAME)));
        saw("neighbours of text", blocks.windows(2).any(|w| matches!(w, [Block::Text { .. }, Block::Text { .. }])));
        saw("nothing", blocks.is_empty());
        saw("refusal", r.stop == Stop::Refusal);
    }
    for (what, times) in seen {
        assert!(times >= 3, "{what} appeared {times} times");
    }
}

#[test]
fn a_stream_is_what_openais_clients_read() {
    let text = |ix, text: &str| StreamEvent::Delta { ix, delta: Delta::Text { text: text.into() } };
    let events = [
        StreamEvent::Start { id: Some("resp_1".into()), model: Some("m".into()) },
        StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text },
        text(0, "a"),
        text(0, "b"),
        StreamEvent::BlockEnd { ix: 0 },
        StreamEvent::BlockStart { ix: 4, kind: BlockKind::ToolCall { id: "call_a".into(), name: "f".into() } },
        StreamEvent::Delta { ix: 4, delta: Delta::Args { text: "{}".into() } },
        StreamEvent::BlockEnd { ix: 4 },
        StreamEvent::Usage { usage: Usage { input: Some(3), cache_read: Some(1), output: Some(2), ..Usage::default() } },
        StreamEvent::End { stop: Stop::ToolUse, reason: None },
    ];
    let (bytes, losses) = encode_events(Head { created: 7, ..Head::default() }, &events);
    let stream = String::from_utf8(bytes).unwrap();
    let names: Vec<&str> = stream.lines().filter_map(|l| l.strip_prefix("event: response.")).collect();
    let want = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!((names.as_slice(), losses.len()), (&want[..], 0));
    let last: Value = serde_json::from_str(stream.trim_end().rsplit_once("data: ").unwrap().1).unwrap();
    let response = &last["response"];
    assert_eq!((&response["id"], &response["status"], &response["created_at"]), (&json!("resp_1"), &json!("completed"), &json!(7)));
    assert_eq!(response["output"][0]["content"][0], json!({"type": "output_text", "text": "ab", "annotations": []}));
    let call = &response["output"][1];
    assert_eq!((&call["call_id"], &call["name"], &call["arguments"]), (&json!("call_a"), &json!("f"), &json!("{}")));
    assert_eq!((&response["usage"]["input_tokens"], &response["usage"]["total_tokens"]), (&json!(4), &json!(6)));
}

#[test]
fn text_is_written_as_it_comes() {
    let mut writer = ReplyWriter::new(Head::default());
    let mut out = Vec::new();
    writer.push(&StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text }, &mut out);
    writer.push(&StreamEvent::Delta { ix: 0, delta: Delta::Text { text: "now".into() } }, &mut out);
    assert!(String::from_utf8(out).unwrap().contains(r#""delta":"now""#));
}
