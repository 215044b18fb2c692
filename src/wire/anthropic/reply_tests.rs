//! The server's half of replies: what it writes is read again, and clients can follow it.

use super::*;
use crate::model::{Accumulator, Class, Message, Role, Scope, ToolCall};
use crate::wire::{Decoder, Dialect, Wire};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;

fn read(bytes: &[u8]) -> Reply {
    let mut decoder = Decoder::new(Wire::Anthropic, &Dialect::default());
    let mut events = Vec::new();
    decoder.feed(bytes, &mut events);
    decoder.finish(&mut events);
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

fn events(reply: &Reply, order: Order) -> Vec<StreamEvent> {
    let mut columns: Vec<Vec<StreamEvent>> = Vec::new();
    for (ix, block) in reply.message.blocks.iter().enumerate() {
        let (kind, deltas) = match block {
            Block::Text { text } => (BlockKind::Text, halves(text).map(|text| Delta::Text { text }).to_vec()),
            Block::Thinking { text, signature, redacted } => {
                let mut deltas: Vec<Delta> =
                    halves(text).into_iter().filter(|t| !t.is_empty()).map(|text| Delta::Thinking { text }).collect();
                deltas.extend(signature.iter().flat_map(|s| halves(s)).map(|text| Delta::Signature { text }));
                (if *redacted { BlockKind::RedactedThinking } else { BlockKind::Thinking }, deltas)
            }
            Block::ToolCall(c) => {
                let mut deltas: Vec<Delta> = halves(&c.name).into_iter().skip(1).map(|text| Delta::Name { text }).collect();
                deltas.extend(halves(&c.args_raw).into_iter().filter(|t| !t.is_empty()).map(|text| Delta::Args { text }));
                deltas.extend(c.signature.clone().map(|text| Delta::Signature { text }));
                let [name, _] = halves(&c.name);
                (BlockKind::ToolCall { id: c.id.clone(), name }, deltas)
            }
            Block::Opaque { wire, raw } => (BlockKind::Opaque { wire: wire.clone() }, vec![Delta::Raw { text: raw.clone() }]),
            other => panic!("{other:?}"),
        };
        let mut column = vec![StreamEvent::BlockStart { ix, kind }];
        column.extend(deltas.into_iter().map(|delta| StreamEvent::Delta { ix, delta }));
        column.push(StreamEvent::BlockEnd { ix });
        columns.push(column);
    }
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

fn halves(text: &str) -> [String; 2] {
    let at = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let (a, b) = text.split_at(at);
    [a.to_owned(), b.to_owned()]
}

/// What this wire keeps of a finished reply, and the places of what it drops when it is streamed.
fn normalise(reply: &Reply) -> (Reply, Vec<String>) {
    let mut lost = Vec::new();
    let mut want = reply.clone();
    want.message.blocks.clear();
    for (ix, block) in reply.message.blocks.iter().enumerate() {
        let kept = match block {
            Block::ToolCall(c) => {
                lost.extend(c.signature.as_ref().map(|_| format!("blocks[{ix}]")));
                let (id, name) = (Ids::Anthropic.fit(&c.id).into_owned(), wire_name(&c.name).into_owned());
                Block::ToolCall(ToolCall { id, name, signature: None, ..c.clone() })
            }
            Block::Opaque { wire, .. } if wire != NAME => {
                lost.push(format!("blocks[{ix}]"));
                continue;
            }
            other => other.clone(),
        };
        want.message.blocks.push(kept);
    }
    want.usage.cache_write = match (reply.usage.cache_write, reply.usage.cache_write_1h) {
        (None, Some(_)) => Some(0),
        (short, _) => short,
    };
    let calls = want.message.calls().count() > 0;
    let runnable = want.message.calls().any(|c| c.args().is_ok());
    let word = finish::write(reply.stop);
    want.reason = Some(word.to_owned());
    want.stop = match finish::read(word) {
        Stop::ToolUse if !calls => Stop::Unknown,
        Stop::End if runnable => Stop::ToolUse,
        stop => stop,
    };
    (want, lost)
}

/// The failure as a client of this wire understands it.
fn heard(error: &ProviderError) -> (Class, Scope) {
    match error.class {
        Class::RateLimit | Class::Quota => (Class::RateLimit, Scope::Key),
        Class::Server | Class::Network => (Class::Server, Scope::Model),
        Class::Billing | Class::Auth | Class::Permission => (error.class, Scope::Key),
        Class::Overloaded | Class::NotFound => (error.class, Scope::Model),
        Class::ContextTooLong | Class::BadRequest | Class::ContentFilter => (error.class, Scope::Request),
        Class::Timeout => (Class::Timeout, Scope::Provider),
    }
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

fn block() -> impl Strategy<Value = Block> {
    let text = || "[a-zé😀\"\\\\\n]{1,10}";
    let args = prop_oneof![Just(String::new()), Just(r#"{"k":"é"}"#.to_owned()), Just(r#"{"k"#.to_owned())];
    let proof = || prop::option::of("[A-Za-z+/=]{1,9}");
    prop_oneof![
        3 => text().prop_map(|text| Block::Text { text }),
        2 => (text(), proof()).prop_map(|(text, signature)| Block::Thinking { text, signature, redacted: false }),
        1 => any::<bool>().prop_map(|redacted| Block::Thinking { text: String::new(), signature: Some("ab=".into()), redacted }),
        4 => (prop_oneof!["[a-z]{1,9}", "[a-z.:]{9,80}"], prop_oneof!["[a-z_]{1,9}", "[a-z.]{60,80}"], args, prop::option::of(Just("g".to_owned())))
            .prop_map(|(id, name, args_raw, signature)| Block::ToolCall(ToolCall { id, name, args_raw, signature })),
        2 => prop_oneof![3 => Just(NAME), 1 => Just("openai-chat")]
            .prop_map(|wire| Block::Opaque { wire: wire.into(), raw: r#"{"type":"server_tool_use","input":{"q":1.50}}"#.into() }),
    ]
}

const CLASSES: [Class; 13] = [
    Class::RateLimit,
    Class::Quota,
    Class::Billing,
    Class::Overloaded,
    Class::Server,
    Class::Auth,
    Class::Permission,
    Class::ContextTooLong,
    Class::BadRequest,
    Class::ContentFilter,
    Class::NotFound,
    Class::Network,
    Class::Timeout,
];

const STOPS: [Stop; 8] =
    [Stop::End, Stop::ToolUse, Stop::MaxTokens, Stop::StopSequence, Stop::ContentFilter, Stop::Refusal, Stop::Pause, Stop::Unknown];

fn reply() -> impl Strategy<Value = Reply> {
    (prop::collection::vec(block(), 0..6), prop::sample::select(&STOPS[..]), usage()).prop_map(|(mut blocks, stop, usage)| {
        for (n, block) in blocks.iter_mut().enumerate() {
            if let Block::ToolCall(c) = block {
                c.id = format!("{n}{}", c.id);
            }
        }
        Reply {
            message: Message::new(Role::Assistant, blocks),
            stop,
            reason: None,
            usage,
            id: Some("msg_1".into()),
            model: Some("m1".into()),
            complete: true,
            error: None,
        }
    })
}

proptest! {
    #[test]
    fn a_streamed_reply_is_read_again_and_every_drop_is_named(reply in reply(), order in prop::sample::select(vec![Order::OneByOne, Order::Mixed])) {
        let events = events(&reply, order);
        let (bytes, losses) = encode_events(Head::default(), &events);
        let (want, mut lost) = normalise(&gather(&events));
        let mut named: Vec<String> = losses.into_iter().map(|l| l.at).collect();
        named.sort();
        lost.sort();
        prop_assert_eq!(read(&bytes), want, "{}", String::from_utf8_lossy(&bytes));
        prop_assert_eq!(named, lost);
        one_after_the_other(&String::from_utf8(bytes).unwrap());
    }

    #[test]
    fn a_whole_reply_is_read_again(reply in reply()) {
        let (want, _) = normalise(&reply);
        prop_assert_eq!(read(&encode_reply(&reply)), want);
    }

    #[test]
    fn a_failure_is_heard_as_what_it_was(reply in reply(), class in prop::sample::select(&CLASSES[..])) {
        let failed = Reply { error: Some(ProviderError::new(class, Scope::Provider, "what happened")), ..reply };
        let want = heard(failed.error.as_ref().unwrap());
        let streamed = encode_events(Head::default(), &events(&failed, Order::OneByOne)).0;
        for got in [read(&streamed), read(&encode_reply(&failed))] {
            prop_assert!(!got.complete);
            let error = got.error.unwrap();
            prop_assert_eq!((error.class, error.scope), want);
            prop_assert!(error.message.ends_with("what happened"), "{}", error.message);
        }
        prop_assert!(!String::from_utf8(streamed).unwrap().contains("message_stop"));
    }
}

/// Clients take a block's start, its deltas and its stop before the next block's.
fn one_after_the_other(stream: &str) {
    let mut open = None;
    let mut next = 0;
    for line in stream.lines().filter_map(|l| l.strip_prefix("data: ")) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let index = event["index"].as_u64();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(next)), "{stream}");
                open = index;
                next += 1;
            }
            "content_block_delta" => assert!(open.is_some() && open == index, "{stream}"),
            "content_block_stop" => {
                assert!(open.is_some() && open == index, "{stream}");
                open = None;
            }
            "message_delta" | "message_stop" => assert_eq!(open, None, "{stream}"),
            _ => {}
        }
    }
}

#[test]
fn the_generator_makes_each_interesting_shape() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let strategy = reply();
    for _ in 0..256 {
        let r = strategy.new_tree(&mut runner).unwrap().current();
        let blocks = &r.message.blocks;
        let mut saw = |what: &'static str, is: bool| *seen.entry(what).or_default() += usize::from(is);
        saw("parallel calls", r.message.calls().count() > 1);
        saw("cut arguments", r.message.calls().any(|c| c.args().is_err()));
        saw("odd id", r.message.calls().any(|c| c.id.contains('.')));
        saw("long name", r.message.calls().any(|c| c.name.len() > 64));
        saw("unsigned thinking", blocks.iter().any(|b| matches!(b, Block::Thinking { signature: None, .. })));
        saw("redacted thinking", blocks.iter().any(|b| matches!(b, Block::Thinking { redacted: true, .. })));
        saw("a proof alone", blocks.iter().any(|b| matches!(b, Block::Thinking { redacted: false, text, .. } if text.is_empty())));
        saw("own opaque", blocks.iter().any(|b| matches!(b, Block::Opaque { wire, .. } if wire == NAME)));
        saw("foreign opaque", blocks.iter().any(|b| matches!(b, Block::Opaque { wire, .. } if wire != NAME)));
        saw("nothing", blocks.is_empty());
        saw("a tool turn without calls", r.stop == Stop::ToolUse && r.message.calls().count() == 0);
        saw("an hour's cache", r.usage.cache_write_1h.is_some() && r.usage.cache_write.is_none());
    }
    for (what, times) in seen {
        assert!(times >= 3, "{what} appeared {times} times");
    }
}

#[test]
fn a_stream_is_what_clients_of_this_wire_read() {
    let events = [
        StreamEvent::Start { id: Some("msg_1".into()), model: Some("m".into()) },
        StreamEvent::Usage { usage: Usage { input: Some(3), output: Some(1), ..Usage::default() } },
        StreamEvent::BlockStart { ix: 4, kind: BlockKind::ToolCall { id: "a".into(), name: "f".into() } },
        StreamEvent::Delta { ix: 4, delta: Delta::Args { text: "{}".into() } },
        StreamEvent::BlockEnd { ix: 4 },
        StreamEvent::Usage { usage: Usage { output: Some(2), ..Usage::default() } },
        StreamEvent::End { stop: Stop::ToolUse, reason: None },
    ];
    let (bytes, _) = encode_events(Head::default(), &events);
    let want = [
        r#"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}"#,
        r#"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}"#,
        r#"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
        r#"content_block_stop","index":0}"#,
        r#"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":3,"output_tokens":2}}"#,
        r#"message_stop"}"#,
    ];
    let frames = want.map(|line| format!("event: {}\ndata: {{\"type\":\"{line}\n\n", line.split('"').next().unwrap()));
    let want = frames.concat();
    assert_eq!(String::from_utf8(bytes).unwrap(), want);
}

#[test]
fn text_is_written_as_it_comes_while_another_block_waits() {
    let mut writer = ReplyWriter::new(Head { id: "r".into(), model: "m".into() });
    let mut out = Vec::new();
    let text = |ix, text: &str| StreamEvent::Delta { ix, delta: Delta::Text { text: text.into() } };
    for event in [
        StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text },
        StreamEvent::BlockStart { ix: 1, kind: BlockKind::ToolCall { id: "a".into(), name: "f".into() } },
        StreamEvent::Delta { ix: 1, delta: Delta::Args { text: "{}".into() } },
        text(0, "now"),
    ] {
        writer.push(&event, &mut out);
    }
    let so_far = String::from_utf8(out.clone()).unwrap();
    assert!(so_far.contains("\"now\"") && !so_far.contains("tool_use"), "{so_far}");
    writer.push(&StreamEvent::BlockEnd { ix: 0 }, &mut out);
    assert!(String::from_utf8(out).unwrap().contains("tool_use"), "its turn has come");
}
