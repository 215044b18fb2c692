//! The server's half of replies: what it writes is read again, and clients can follow it.

use super::*;
use crate::model::{Accumulator, Message, Role, Scope};
use crate::wire::{Decoder, Dialect, Wire};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use std::collections::BTreeMap;

fn read(bytes: &[u8]) -> Reply {
    let mut decoder = Decoder::new(Wire::Gemini, &Dialect::default());
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

fn halves(text: &str) -> [String; 2] {
    let at = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let (a, b) = text.split_at(at);
    [a.to_owned(), b.to_owned()]
}

/// The events of a reply, block by block or with the blocks growing in turns.
fn events(reply: &Reply, mixed: bool) -> Vec<StreamEvent> {
    let mut columns: Vec<Vec<StreamEvent>> = Vec::new();
    for (ix, block) in reply.message.blocks.iter().enumerate() {
        let (kind, deltas) = match block {
            Block::Text { text } => (BlockKind::Text, halves(text).map(|text| Delta::Text { text }).to_vec()),
            Block::Thinking { text, signature, redacted } => {
                let mut deltas: Vec<Delta> = halves(text).map(|text| Delta::Thinking { text }).to_vec();
                deltas.retain(|_| !redacted);
                deltas.extend(signature.iter().flat_map(|s| halves(s)).map(|text| Delta::Signature { text }));
                (if *redacted { BlockKind::RedactedThinking } else { BlockKind::Thinking }, deltas)
            }
            Block::ToolCall(c) => {
                let [name, rest] = halves(&c.name);
                let mut deltas = vec![Delta::Name { text: rest }];
                deltas.extend(halves(&c.args_raw).map(|text| Delta::Args { text }));
                deltas.extend(c.signature.clone().map(|text| Delta::Signature { text }));
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
    if mixed {
        let longest = columns.iter().map(Vec::len).max().unwrap_or(0);
        for row in 0..longest {
            out.extend(columns.iter().filter_map(|c| c.get(row).cloned()));
        }
    } else {
        out.extend(columns.into_iter().flatten());
    }
    out.push(StreamEvent::Usage { usage: reply.usage });
    out.push(match &reply.error {
        Some(error) => StreamEvent::Error { error: error.clone() },
        None => StreamEvent::End { stop: reply.stop, reason: reply.reason.clone() },
    });
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Streamed,
    Whole,
}

/// What this wire keeps of a finished reply, and the places of what it drops.
fn normalise(reply: &Reply, form: Form) -> (Reply, Vec<String>) {
    let mut lost = Vec::new();
    let mut want = reply.clone();
    let mut kept: Vec<Block> = Vec::new();
    // Whether the last block goes on where another one of its kind follows.
    let mut open = false;
    for (ix, block) in reply.message.blocks.iter().enumerate() {
        let mut lose = || lost.push(format!("blocks[{ix}]"));
        match block {
            Block::Text { text } => {
                match kept.last_mut() {
                    Some(Block::Text { text: before }) if open => before.push_str(text),
                    _ => kept.push(block.clone()),
                }
                open = true;
            }
            Block::Thinking { redacted: true, .. } => lose(),
            Block::Thinking { text, signature, .. } => {
                // A signature that comes whole with its text stands alone; one that comes behind it ends what is open.
                let alone = form == Form::Whole && signature.is_some() && !text.is_empty();
                match kept.last_mut() {
                    Some(Block::Thinking { text: before, signature: proof, .. }) if open && !alone => {
                        before.push_str(text);
                        proof.clone_from(signature);
                    }
                    _ => kept.push(block.clone()),
                }
                open = signature.is_none();
            }
            Block::ToolCall(c) => {
                let args_raw = match c.args_raw.as_str() {
                    "" => "{}".to_owned(),
                    other => other.replace("\n ", ""),
                };
                kept.push(Block::ToolCall(ToolCall { name: letter_first(&c.name).into_owned(), args_raw, ..c.clone() }));
                open = false;
            }
            Block::Opaque { wire, .. } if wire != NAME => lose(),
            Block::Opaque { wire, raw } => {
                let signature = parts::marked(raw);
                let on_text = form == Form::Whole && ix > 0 && matches!(reply.message.blocks[ix - 1], Block::Text { .. });
                let raw = match signature {
                    Some(_) if on_text => {
                        // The text before it is a part of its own then.
                        let Block::Text { text } = &reply.message.blocks[ix - 1] else { unreachable!() };
                        let Some(Block::Text { text: joined }) = kept.last_mut() else { unreachable!() };
                        if joined.len() > text.len() {
                            joined.truncate(joined.len() - text.len());
                            kept.push(Block::Text { text: text.clone() });
                        }
                        raw.clone()
                    }
                    Some(signature) => parts::signed_nothing(&signature),
                    None => raw.replace("\n ", ""),
                };
                kept.push(Block::Opaque { wire: wire.clone(), raw });
                open = false;
            }
            _ => {}
        }
    }
    want.message.blocks = kept;
    want.usage = Usage {
        input: sum([reply.usage.input, reply.usage.cache_write, reply.usage.cache_write_1h]),
        cache_write: None,
        cache_write_1h: None,
        ..reply.usage
    };
    let calls = want.message.calls().count() > 0;
    let runnable = want.message.calls().any(|c| c.args().is_ok());
    let word = finish::write(reply.stop);
    want.reason = Some(word.to_owned());
    want.stop = match finish::read(word) {
        finish::Finish::Stop(Stop::End | Stop::Unknown) if runnable => Stop::ToolUse,
        finish::Finish::Stop(Stop::Unknown) if calls => Stop::ToolUse,
        finish::Finish::Stop(stop) => stop,
        other => panic!("{other:?}"),
    };
    (want, lost)
}

fn sum(counts: [Option<u64>; 3]) -> Option<u64> {
    counts.into_iter().flatten().reduce(|a, b| a + b)
}

/// The failure as a client of this wire understands it.
fn heard(error: &ProviderError) -> (Class, Scope) {
    match error.class {
        Class::RateLimit | Class::Quota | Class::Billing | Class::Auth | Class::Permission => (error.class, Scope::Key),
        Class::Server | Class::Network => (Class::Server, Scope::Model),
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
    let args = prop_oneof![Just(String::new()), Just("{\"k\":\n \"é\"}".to_owned()), Just(r#"{"k"#.to_owned()), Just("{}".to_owned())];
    let proof = || prop::option::of("[A-Za-z+/=]{1,9}");
    prop_oneof![
        4 => text().prop_map(|text| Block::Text { text }),
        2 => (text(), proof()).prop_map(|(text, signature)| Block::Thinking { text, signature, redacted: false }),
        1 => any::<bool>().prop_map(|redacted| Block::Thinking { text: String::new(), signature: Some("ab=".into()), redacted }),
        4 => ("[a-z.:]{1,80}", prop_oneof!["[a-z_]{1,9}", "[a-z.]{60,80}"], args, proof())
            .prop_map(|(id, name, args_raw, signature)| Block::ToolCall(ToolCall { id, name, args_raw, signature })),
        4 => (prop_oneof![5 => Just(NAME), 1 => Just("openai-chat")], prop::sample::select(vec![r#"{"thoughtSignature":"m+/="}"#, r#"{"text":"","thoughtSignature":"e+/="}"#, "{\"executableCode\":{\"n\":\n 1.50}}"]))
            .prop_map(|(wire, raw)| Block::Opaque { wire: wire.into(), raw: raw.into() }),
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
    (prop::collection::vec(block(), 0..7), prop::sample::select(&STOPS[..]), usage()).prop_map(|(mut blocks, stop, usage)| {
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
            id: Some("r1".into()),
            model: Some("m1".into()),
            complete: true,
            error: None,
        }
    })
}

proptest! {
    #[test]
    fn a_streamed_reply_is_read_again_and_every_drop_is_named(reply in reply(), mixed in any::<bool>()) {
        let events = events(&reply, mixed);
        let (bytes, losses) = encode_events(Head::default(), &events);
        let (want, lost) = normalise(&gather(&events), Form::Streamed);
        prop_assert_eq!(read(&bytes), want, "{}", String::from_utf8_lossy(&bytes));
        prop_assert_eq!(losses.into_iter().map(|l| l.at).collect::<Vec<_>>(), lost);
        each_frame_is_a_line(&String::from_utf8(bytes).unwrap());
    }

    #[test]
    fn a_whole_reply_is_read_again(reply in reply()) {
        let (want, _) = normalise(&reply, Form::Whole);
        let bytes = encode_reply(&reply);
        prop_assert_eq!(read(&bytes), want, "{}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_failure_is_heard_as_what_it_was(reply in reply(), class in prop::sample::select(&CLASSES[..])) {
        let mut error = ProviderError::new(class, Scope::Provider, "what happened");
        error.retry_after_s = Some(1.5);
        let failed = Reply { error: Some(error), ..reply };
        let want = heard(failed.error.as_ref().unwrap());
        let streamed = encode_events(Head::default(), &events(&failed, false)).0;
        for got in [read(&streamed), read(&encode_reply(&failed))] {
            prop_assert!(!got.complete);
            let error = got.error.unwrap();
            prop_assert_eq!((error.class, error.scope), want);
            prop_assert!(error.message.ends_with("what happened"), "{}", error.message);
            if matches!(class, Class::RateLimit | Class::Quota | Class::Overloaded) {
                prop_assert_eq!(error.retry_after_s, Some(1.5));
            }
        }
        prop_assert!(!String::from_utf8(streamed).unwrap().contains("finishReason"));
    }
}

/// Clients read a frame a line, each of them JSON with a candidate whose parts belong to the model.
fn each_frame_is_a_line(stream: &str) {
    for frame in stream.split_terminator("\n\n") {
        let chunk: Value = serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap();
        assert!(!frame.contains('\n') && chunk["candidates"][0]["content"]["role"] == "model", "{frame}");
    }
    assert_eq!(stream.matches("finishReason").count(), 1);
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
        let pair = |f: &dyn Fn(&Block, &Block) -> bool| blocks.windows(2).any(|w| f(&w[0], &w[1]));
        saw("parallel calls", r.message.calls().count() > 1);
        saw("cut arguments", r.message.calls().any(|c| c.args().is_err()));
        saw("a signed call", r.message.calls().any(|c| c.signature.is_some()));
        saw(
            "a signed text",
            pair(
                &|a, b| matches!((a, b), (Block::Text { .. }, Block::Opaque { raw, wire }) if wire == NAME && parts::marked(raw).is_some()),
            ),
        );
        saw("text behind text", pair(&|a, b| matches!((a, b), (Block::Text { .. }, Block::Text { .. }))));
        saw("thinking behind thinking", pair(&|a, b| matches!((a, b), (Block::Thinking { .. }, Block::Thinking { .. }))));
        saw("redacted thinking", blocks.iter().any(|b| matches!(b, Block::Thinking { redacted: true, .. })));
        saw("a foreign opaque block", blocks.iter().any(|b| matches!(b, Block::Opaque { wire, .. } if wire != NAME)));
        saw("nothing", blocks.is_empty());
    }
    for (what, times) in seen {
        assert!(times >= 5, "{what} appeared {times} times");
    }
}

#[test]
fn a_stream_is_what_clients_of_this_wire_read() {
    let text = |text: &str| StreamEvent::Delta { ix: 0, delta: Delta::Text { text: text.into() } };
    let events = [
        StreamEvent::Start { id: Some("r".into()), model: Some("m".into()) },
        StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text },
        text("he"),
        text("llo"),
        StreamEvent::BlockEnd { ix: 0 },
        StreamEvent::BlockStart { ix: 1, kind: BlockKind::ToolCall { id: "a".into(), name: "f".into() } },
        StreamEvent::Delta { ix: 1, delta: Delta::Signature { text: "S".into() } },
        StreamEvent::Delta { ix: 1, delta: Delta::Args { text: "{\"k\": 1}".into() } },
        StreamEvent::Usage {
            usage: Usage { input: Some(3), cache_read: Some(2), output: Some(9), reasoning: Some(4), ..Usage::default() },
        },
        StreamEvent::End { stop: Stop::ToolUse, reason: None },
        text("late"),
    ];
    let (bytes, losses) = encode_events(Head::default(), &events);
    let frame = |parts: &str, end: &str, usage: &str| {
        format!(
            r#"data: {{"candidates":[{{"content":{{"role":"model","parts":[{parts}]}}{end},"index":0}}]{usage},"modelVersion":"m","responseId":"r"}}"#
        ) + "\n\n"
    };
    let usage = r#","usageMetadata":{"promptTokenCount":5,"cachedContentTokenCount":2,"candidatesTokenCount":5,"thoughtsTokenCount":4,"totalTokenCount":14}"#;
    let want = [
        frame(r#"{"text":"he"}"#, "", ""),
        frame(r#"{"text":"llo"}"#, "", ""),
        frame(r#"{"functionCall":{"id":"a","name":"f","args":{"k":1}},"thoughtSignature":"S"}"#, "", ""),
        frame(r#"{"text":""}"#, r#","finishReason":"STOP""#, usage),
    ];
    assert_eq!((String::from_utf8(bytes).unwrap(), losses), (want.concat(), Vec::new()));
}
