//! The round trip of replies: written by the server half, read by the client half.

use super::*;
use crate::model::{Accumulator, Message, Role, Scope, ToolCall};
use crate::wire::{Decoder, Dialect, Wire};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap as Map;

fn read(bytes: &[u8]) -> Reply {
    let mut decoder = Decoder::new(Wire::OpenaiChat, &Dialect::default());
    let mut events = Vec::new();
    decoder.feed(bytes, &mut events);
    decoder.finish(&mut events);
    gather(&events)
}

fn gather(events: &[StreamEvent]) -> Reply {
    let mut all = Accumulator::default();
    for e in events {
        all.push(e);
    }
    all.finish()
}

/// The events of a reply, as a provider of another wire might have sent them.
fn events(reply: &Reply) -> Vec<StreamEvent> {
    let mut out = vec![StreamEvent::Start { id: reply.id.clone(), model: reply.model.clone() }];
    for (ix, block) in reply.message.blocks.iter().enumerate() {
        let (kind, deltas) = match block {
            Block::Text { text } => (BlockKind::Text, halves(text).map(|text| Delta::Text { text }).to_vec()),
            Block::Thinking { text, signature, .. } => {
                let mut deltas = halves(text).map(|text| Delta::Thinking { text }).to_vec();
                deltas.extend(signature.clone().map(|text| Delta::Signature { text }));
                (BlockKind::Thinking, deltas)
            }
            Block::ToolCall(c) => {
                let mut deltas = halves(&c.args_raw).map(|text| Delta::Args { text }).to_vec();
                deltas.extend(c.signature.clone().map(|text| Delta::Signature { text }));
                (BlockKind::ToolCall { id: c.id.clone(), name: c.name.clone() }, deltas)
            }
            Block::Opaque { wire, raw } => (BlockKind::Opaque { wire: wire.clone() }, vec![Delta::Raw { text: raw.clone() }]),
            other => panic!("{other:?}"),
        };
        out.push(StreamEvent::BlockStart { ix, kind });
        out.extend(deltas.into_iter().map(|delta| StreamEvent::Delta { ix, delta }));
        out.push(StreamEvent::BlockEnd { ix });
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

/// What this wire keeps of a reply, streamed, and the places of what it drops.
fn normalise(reply: &Reply) -> (Reply, Vec<String>) {
    let mut lost = Vec::new();
    let mut want = reply.clone();
    want.message.blocks.clear();
    let mut own = Vec::new();
    for (ix, block) in reply.message.blocks.iter().enumerate() {
        match block {
            Block::Thinking { text, signature, .. } => {
                lost.extend(signature.as_ref().map(|_| format!("blocks[{ix}]")));
                if let Some(Block::Thinking { text: last, .. }) = want.message.blocks.last_mut() {
                    last.push_str(text);
                } else if !text.is_empty() {
                    want.message.blocks.push(Block::Thinking { text: text.clone(), signature: None, redacted: false });
                }
            }
            Block::Text { text } => {
                if let Some(Block::Text { text: last }) = want.message.blocks.last_mut() {
                    last.push_str(text);
                } else {
                    want.message.blocks.push(block.clone());
                }
            }
            Block::ToolCall(c) => want.message.blocks.push(Block::ToolCall(ToolCall {
                id: Ids::Chat.fit(&c.id).into_owned(),
                name: wire_name(&c.name).into_owned(),
                ..c.clone()
            })),
            Block::Opaque { wire, .. } if wire == "openai-chat" => own = vec![block.clone()],
            _ => lost.push(format!("blocks[{ix}]")),
        }
    }
    want.message.blocks.append(&mut own);
    if let Some(error) = &reply.error {
        want.error = Some(ProviderError { code: Some(error_words(error.class).1.to_owned()), ..error.clone() });
        want.message.blocks.retain(|b| !matches!(b, Block::Opaque { .. }));
        want.usage = Usage::default();
    }
    want.usage.cache_write = match (reply.usage.cache_write, reply.usage.cache_write_1h) {
        _ if reply.error.is_some() => None,
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    };
    want.usage.cache_write_1h = None;
    if want.error.is_none() {
        let calls = want.message.calls().count() > 0;
        let runnable = want.message.calls().any(|c| c.args().is_ok());
        let word = finish::write(reply.stop);
        want.reason = Some(word.to_owned());
        want.stop = match word {
            "tool_calls" if calls => Stop::ToolUse,
            "tool_calls" => Stop::Unknown,
            "stop" if runnable => Stop::ToolUse,
            "stop" => Stop::End,
            "length" => Stop::MaxTokens,
            _ => Stop::ContentFilter,
        };
    }
    (want, lost)
}

fn usage() -> impl Strategy<Value = Usage> {
    let n = || prop::option::of(0u64..1_000_000);
    (0u64..1_000_000, n(), n(), n(), 0u64..1_000_000, n()).prop_map(|(input, cache_read, cache_write, cache_write_1h, output, part)| {
        Usage {
            input: Some(input),
            cache_read,
            cache_write,
            cache_write_1h,
            output: Some(output),
            // Reasoning is a part of the output.
            reasoning: part.map(|p| p % (output + 1)),
        }
    })
}

fn block() -> impl Strategy<Value = Block> {
    let text = || "[a-zé😀\"\\\\\n]{1,10}";
    let args = prop_oneof![Just(String::new()), Just("{}".to_owned()), Just(r#"{"k":"é"}"#.to_owned()), Just(r#"{"k"#.to_owned())];
    prop_oneof![
        3 => text().prop_map(|text| Block::Text { text }),
        2 => (text(), prop::option::of(Just("sig".to_owned()))).prop_map(|(text, signature)| Block::Thinking { text, signature, redacted: false }),
        4 => (prop_oneof!["[a-z]{1,9}", "[a-z]{41,60}"], prop_oneof!["[a-z_]{1,9}", "[a-z.]{60,80}"], args, prop::option::of(Just("g".to_owned())))
            .prop_map(|(id, name, args_raw, signature)| Block::ToolCall(ToolCall { id, name, args_raw, signature })),
        1 => Just(Block::Opaque { wire: "openai-chat".into(), raw: r#"{"reasoning_details":[{"type":"x","data":"y"}]}"#.into() }),
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

/// The scope that the classifier gives to a class inside a stream.
fn scope(class: Class) -> Scope {
    match class {
        Class::RateLimit | Class::Quota | Class::Billing | Class::Auth | Class::Permission => Scope::Key,
        Class::Overloaded | Class::Server | Class::NotFound => Scope::Model,
        Class::ContextTooLong | Class::BadRequest | Class::ContentFilter => Scope::Request,
        Class::Network | Class::Timeout => Scope::Provider,
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    let stop = prop_oneof![
        Just(Stop::End),
        Just(Stop::ToolUse),
        Just(Stop::MaxTokens),
        Just(Stop::ContentFilter),
        Just(Stop::Refusal),
        Just(Stop::Pause)
    ];
    let error = prop::option::weighted(0.3, prop::sample::select(&CLASSES[..]));
    (prop::collection::vec(block(), 0..6), stop, usage(), error).prop_map(|(mut blocks, stop, usage, class)| {
        // Ids are unique within a message, and at most one opaque block is made by a wire.
        let mut opaque = 0;
        blocks.retain(|b| !matches!(b, Block::Opaque { .. }) || std::mem::replace(&mut opaque, 1) == 0);
        for (n, block) in blocks.iter_mut().enumerate() {
            if let Block::ToolCall(c) = block {
                c.id = format!("{n}{}", c.id);
            }
        }
        let error = class.map(|class| ProviderError::new(class, scope(class), "what happened"));
        Reply {
            message: Message::new(Role::Assistant, blocks),
            stop: if error.is_some() { Stop::Error } else { stop },
            reason: None,
            usage,
            id: Some("r1".into()),
            model: Some("m1".into()),
            complete: error.is_none(),
            error,
        }
    })
}

proptest! {
    #[test]
    fn a_streamed_reply_is_read_again_and_every_drop_is_named(reply in reply()) {
        let events = events(&reply);
        let (bytes, losses) = encode_events(Head::default(), &events);
        let (want, lost) = normalise(&gather(&events));
        prop_assert_eq!(read(&bytes), want, "{}", String::from_utf8_lossy(&bytes));
        prop_assert_eq!(losses.into_iter().map(|l| l.at).collect::<Vec<_>>(), lost);
    }

    #[test]
    fn a_whole_reply_is_read_again(reply in reply()) {
        let got = read(&encode_reply(&reply, 5));
        let (mut want, _) = normalise(&reply);
        if want.error.is_some() {
            want.message.blocks.clear();
            (want.id, want.model) = (None, None);
        } else {
            // One text, one reasoning text, then the calls: a whole message has one field for each.
            let mut blocks = Vec::new();
            let thinking: String = want.message.blocks.iter().filter_map(|b| if let Block::Thinking { text, .. } = b { Some(text.as_str()) } else { None }).collect();
            if !thinking.is_empty() {
                blocks.push(Block::Thinking { text: thinking, signature: None, redacted: false });
            }
            let text = want.message.joined_text();
            if !text.is_empty() {
                blocks.push(Block::Text { text });
            }
            blocks.extend(want.message.blocks.drain(..).filter(|b| matches!(b, Block::ToolCall(_) | Block::Opaque { .. })));
            blocks.sort_by_key(|b| matches!(b, Block::Opaque { .. }));
            want.message.blocks = blocks;
        }
        prop_assert_eq!(got, want);
    }
}

#[test]
fn the_generator_makes_each_interesting_shape() {
    let mut runner = TestRunner::deterministic();
    let mut seen: Map<String, usize> = Map::new();
    let strategy = reply();
    for _ in 0..512 {
        let r = strategy.new_tree(&mut runner).unwrap().current();
        let blocks = &r.message.blocks;
        let mut saw = |what: &str, is: bool| *seen.entry(what.to_owned()).or_default() += usize::from(is);
        saw("parallel calls", r.message.calls().count() > 1);
        saw("cut arguments", r.message.calls().any(|c| c.args().is_err()));
        saw("signed thinking", blocks.iter().any(|b| matches!(b, Block::Thinking { signature: Some(_), .. })));
        saw("text behind a call", blocks.windows(2).any(|w| matches!(w, [Block::ToolCall(_), Block::Text { .. }])));
        saw("opaque", blocks.iter().any(|b| matches!(b, Block::Opaque { .. })));
        saw("nothing", blocks.is_empty());
        saw("a tool turn without calls", r.stop == Stop::ToolUse && r.message.calls().count() == 0);
        for class in CLASSES {
            saw(class.as_str(), r.error.as_ref().is_some_and(|e| e.class == class));
        }
    }
    for (what, times) in seen {
        assert!(times >= 3, "{what} appeared {times} times");
    }
}

#[test]
fn a_stream_is_what_openai_clients_read() {
    let events = [
        StreamEvent::Start { id: Some("r".into()), model: Some("m".into()) },
        StreamEvent::BlockStart { ix: 4, kind: BlockKind::ToolCall { id: "a".into(), name: "f".into() } },
        StreamEvent::Delta { ix: 4, delta: Delta::Args { text: "{}".into() } },
        StreamEvent::BlockEnd { ix: 4 },
        StreamEvent::Usage { usage: Usage { input: Some(3), output: Some(2), ..Usage::default() } },
        StreamEvent::End { stop: Stop::ToolUse, reason: None },
    ];
    let (bytes, _) = encode_events(Head { created: 7, ..Head::default() }, &events);
    let chunk = |choices: &str| {
        format!("data: {{\"id\":\"r\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":{choices}")
    };
    let delta = |d: &str, finish: &str| chunk(&format!("[{{\"index\":0,\"delta\":{d},\"finish_reason\":{finish}}}]}}\n\n"));
    let want = [
        delta(r#"{"role":"assistant","content":""}"#, "null"),
        delta(r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#, "null"),
        delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#, "null"),
        delta("{}", "\"tool_calls\""),
        chunk("[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n"),
        "data: [DONE]\n\n".to_owned(),
    ];
    assert_eq!(String::from_utf8(bytes).unwrap(), want.concat());
}

#[test]
fn a_failed_stream_has_no_done() {
    let events = [
        StreamEvent::Delta { ix: 0, delta: Delta::Text { text: "half".into() } },
        StreamEvent::Error { error: ProviderError::network("cut") },
        StreamEvent::End { stop: Stop::End, reason: None },
    ];
    let (bytes, _) = encode_events(Head::default(), &events);
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(!text.contains("[DONE]") && text.contains("\"message\":\"cut\""), "{text}");
    assert_eq!(read(&bytes).error.map(|e| e.class), Some(Class::Network));
}
