//! Replies of Messages, streamed and whole: as they should be, as they are met, cut, split and spoilt at every place.

use super::*;
use crate::model::{Accumulator, Block, Reply};
use crate::wire::{Decoder, Dialect, Wire};

fn events(pieces: &[&[u8]]) -> Vec<StreamEvent> {
    let mut decoder = Decoder::new(Wire::Anthropic, &Dialect::default());
    let mut out = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn gather(events: &[StreamEvent]) -> Reply {
    let mut all = Accumulator::default();
    for event in events {
        all.push(event);
    }
    all.finish()
}

fn reply(body: &str) -> Reply {
    gather(&events(&[body.as_bytes()]))
}

fn frame(data: &str) -> String {
    let kind = serde_json::from_str::<serde_json::Value>(data).unwrap()["type"].as_str().unwrap().to_owned();
    format!("event: {kind}\ndata: {data}\n\n")
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":5,"output_tokens":1}}}"#;

/// A stream of these events between a message's start and its end with this reason.
fn stream(middle: &[&str], reason: &str) -> String {
    let delta =
        format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":null}},"usage":{{"output_tokens":9}}}}"#);
    let all = [START].into_iter().chain(middle.iter().copied()).chain([delta.as_str(), r#"{"type":"message_stop"}"#]);
    all.map(frame).collect()
}

fn start(index: usize, block: &str) -> String {
    format!(r#"{{"type":"content_block_start","index":{index},"content_block":{block}}}"#)
}

fn delta(index: usize, delta: &str) -> String {
    format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#)
}

fn stop(index: usize) -> String {
    format!(r#"{{"type":"content_block_stop","index":{index}}}"#)
}

/// A stream with these blocks, each given by its start and its deltas.
fn blocks(all: &[(&str, &[&str])], reason: &str) -> String {
    let events = all
        .iter()
        .enumerate()
        .flat_map(|(n, (block, deltas))| std::iter::once(start(n, block)).chain(deltas.iter().map(move |d| delta(n, d))).chain([stop(n)]));
    let events: Vec<String> = events.collect();
    stream(&events.iter().map(String::as_str).collect::<Vec<_>>(), reason)
}

fn calls(reply: &Reply) -> Vec<(&str, &str, &str)> {
    reply.message.calls().map(|c| (c.id.as_str(), c.name.as_str(), c.args_raw.as_str())).collect()
}

const TEXT: (&str, &[&str]) =
    (r#"{"type":"text","text":""}"#, &[r#"{"type":"text_delta","text":"he"}"#, r#"{"type":"text_delta","text":"llo"}"#]);
const CALL: &str = r#"{"type":"tool_use","id":"toolu_1","name":"f","input":{}}"#;

#[test]
fn a_turn_with_text_thinking_and_calls() {
    let r = reply(&blocks(
        &[
            (
                r#"{"type":"thinking","thinking":"","signature":""}"#,
                &[
                    r#"{"type":"thinking_delta","thinking":"hm"}"#,
                    r#"{"type":"signature_delta","signature":"a+"}"#,
                    r#"{"type":"signature_delta","signature":"b="}"#,
                ],
            ),
            TEXT,
            (
                CALL,
                &[
                    r#"{"type":"input_json_delta","partial_json":""}"#,
                    r#"{"type":"input_json_delta","partial_json":"{\"x\""}"#,
                    r#"{"type":"input_json_delta","partial_json":":1}"}"#,
                ],
            ),
            (r#"{"type":"tool_use","id":"toolu_2","name":"g","input":{}}"#, &[]),
        ],
        "tool_use",
    ));
    assert_eq!(r.message.blocks[0], Block::Thinking { text: "hm".into(), signature: Some("a+b=".into()), redacted: false });
    assert_eq!(r.message.joined_text(), "hello");
    assert_eq!(calls(&r), [("toolu_1", "f", "{\"x\":1}"), ("toolu_2", "g", "")]);
    assert!(r.message.calls().all(|c| c.args().is_ok()), "no arguments are the empty object");
    assert_eq!((r.stop, r.complete, r.id.as_deref(), r.model.as_deref()), (Stop::ToolUse, true, Some("msg_1"), Some("m")));
    assert_eq!((r.usage.input, r.usage.output), (Some(5), Some(9)));
}

#[test]
fn proofs_without_text_and_redacted_thinking_are_two_things() {
    let r = reply(&blocks(
        &[
            (r#"{"type":"thinking","thinking":"","signature":""}"#, &[r#"{"type":"signature_delta","signature":"only"}"#]),
            (r#"{"type":"redacted_thinking","data":"DATA"}"#, &[]),
            (CALL, &[r#"{"type":"input_json_delta","partial_json":"{}"}"#]),
        ],
        "tool_use",
    ));
    let thinking = |s: &str, redacted| Block::Thinking { text: String::new(), signature: Some(s.into()), redacted };
    assert_eq!(r.message.blocks[..2], [thinking("only", false), thinking("DATA", true)]);
    assert_eq!(calls(&r), [("toolu_1", "f", "{}")], "the call behind them is whole");
}

#[test]
fn what_only_this_wire_understands_is_kept_whole() {
    let result = r#"{"type":"web_search_tool_result","tool_use_id":"s1","content":[{"encrypted_content":"E+/=","n":1.50}]}"#;
    let r = reply(&blocks(
        &[
            (
                r#"{"type":"server_tool_use","id":"s1","name":"web_search","input":{}}"#,
                &[r#"{"type":"input_json_delta","partial_json":"{\"query\":"}"#, r#"{"type":"input_json_delta","partial_json":" \"q\"}"}"#],
            ),
            (result, &[]),
            (r#"{"type":"compaction","content":null}"#, &[r#"{"type":"compaction_delta","content":"short"}"#]),
            (r#"{"type":"martian","x":[1]}"#, &[]),
            TEXT,
        ],
        "pause_turn",
    ));
    let raw: Vec<&str> =
        r.message.blocks.iter().filter_map(|b| if let Block::Opaque { raw, .. } = b { Some(raw.as_str()) } else { None }).collect();
    assert_eq!(
        raw,
        [
            r#"{"id":"s1","input":{"query": "q"},"name":"web_search","type":"server_tool_use"}"#,
            result,
            r#"{"content":"short","type":"compaction"}"#,
            r#"{"type":"martian","x":[1]}"#,
        ]
    );
    assert_eq!((r.stop, r.message.calls().count()), (Stop::Pause, 0));
}

#[test]
fn stop_reasons_of_all_kinds() {
    for (word, stop) in [
        ("end_turn", Stop::End),
        ("max_tokens", Stop::MaxTokens),
        ("stop_sequence", Stop::StopSequence),
        ("pause_turn", Stop::Pause),
        ("compaction", Stop::Pause),
        ("refusal", Stop::Refusal),
        ("model_context_window_exceeded", Stop::MaxTokens),
        ("sensitive", Stop::ContentFilter),
        ("martian", Stop::Unknown),
        ("tool_use", Stop::Unknown),
        // From servers that translate from the other wire.
        ("stop", Stop::End),
        ("length", Stop::MaxTokens),
        ("content_filter", Stop::ContentFilter),
        ("tool_calls", Stop::Unknown),
    ] {
        let r = reply(&blocks(&[TEXT], word));
        assert_eq!((r.stop, r.reason.as_deref(), r.complete), (stop, Some(word), true));
    }
    assert_eq!(reply(&blocks(&[TEXT, (CALL, &[])], "end_turn")).stop, Stop::ToolUse, "a call that can be run is a tool turn");
    let cut: (&str, &[&str]) = (CALL, &[r#"{"type":"input_json_delta","partial_json":"{\"x"}"#]);
    assert_eq!(reply(&blocks(&[cut], "max_tokens")).stop, Stop::MaxTokens);
    assert_eq!(reply(&blocks(&[cut], "end_turn")).stop, Stop::End);
    assert!(reply(&stream(&[], "end_turn")).complete, "an empty turn with a reason is one");
    let full = reply(&stream(&[], "model_context_window_exceeded"));
    assert_eq!(full.error.map(|e| e.class), Some(Class::ContextTooLong));
}

#[test]
fn pings_and_unknown_events_end_nothing_wherever_they_stand() {
    let good = blocks(&[TEXT, (CALL, &[r#"{"type":"input_json_delta","partial_json":"{\"x\":1}"}"#])], "tool_use");
    let frames: Vec<&str> = good.split_inclusive("\n\n").collect();
    let want = reply(&good);
    for at in 0..frames.len() {
        for junk in [
            "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            "event: ping\ndata: {}\n\n",
            "event: vendor_news\ndata: {\"type\":\"vendor_news\",\"index\":0}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_de \"oops\n\n",
            "data: hello\n\n",
            "data: [1]\n\n",
            ": comment\n\n",
            "data: : keepalive\n\n",
            "data: [DONE]\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"citations_delta\",\"citation\":{}}}\n\n",
        ] {
            let mut all = frames.clone();
            all.insert(at, junk);
            let got = reply(&all.concat());
            assert_eq!((&got.message, got.stop, got.complete), (&want.message, want.stop, true), "{junk:?} before frame {at}");
        }
    }
}

#[test]
fn a_doubled_start_is_one_and_a_second_answer_is_none() {
    let twice = reply(&stream(&[START, &start(0, TEXT.0), &start(0, TEXT.0), &delta(0, TEXT.1[0]), &stop(0)], "end_turn"));
    assert_eq!((twice.message.blocks.len(), twice.message.joined_text().as_str(), twice.complete), (1, "he", true));
    let other = START.replace("msg_1", "msg_2");
    let early = reply(&stream(&[&other, &start(0, TEXT.0), &delta(0, TEXT.1[0])], "end_turn"));
    assert_eq!((early.complete, early.id.as_deref()), (true, Some("msg_2")), "nothing of the first had come");
    let spliced = reply(&stream(&[&start(0, TEXT.0), &delta(0, TEXT.1[0]), &other, &start(0, TEXT.0), &delta(0, TEXT.1[1])], "end_turn"));
    assert_eq!((spliced.complete, spliced.message.joined_text().as_str()), (false, "he"));
    assert_eq!(spliced.error.map(|e| e.class), Some(Class::Network));
}

#[test]
fn a_start_may_bring_the_whole_content_but_not_the_end() {
    let content = r#""content":[{"type":"code_execution_tool_result","tool_use_id":"s"},{"type":"tool_use","id":"t","name":"f","input":{"a":1}}],"stop_reason":"tool_use""#;
    let full = START.replace(r#""content":[],"stop_reason":null"#, content);
    let end = frame(r#"{"type":"message_stop"}"#);
    let whole = reply(&(frame(&full) + &end));
    assert_eq!((whole.complete, whole.stop, calls(&whole)), (true, Stop::ToolUse, vec![("t", "f", r#"{"a":1}"#)]));
    assert_eq!(calls(&reply(&(frame(&full) + &frame(&full) + &end))).len(), 1, "twice is once");
    assert!(!reply(&frame(&full)).complete, "cut");
    // Other blocks may follow, and an empty text is none.
    let bare = START.replace(r#""content":[]"#, r#""content":[{"type":"text","text":""}]"#);
    let more = reply(&stream(&[&start(0, TEXT.0), &delta(0, TEXT.1[0]), &stop(0)], "end_turn").replace(START, &bare));
    assert_eq!((more.complete, more.message.blocks.len()), (true, 1));
}

#[test]
fn blocks_under_one_number_and_pieces_without_a_start_never_mix() {
    let args = |json: &str| format!(r#"{{"type":"input_json_delta","partial_json":{json:?}}}"#);
    let second = CALL.replace("toolu_1", "toolu_2");
    let r =
        reply(&stream(&[&start(0, CALL), &delta(0, &args("{\"x\":1}")), &start(0, &second), &delta(0, &args("{}")), &stop(0)], "tool_use"));
    assert_eq!(calls(&r), [("toolu_1", "f", "{\"x\":1}"), ("toolu_2", "f", "{}")]);
    let interleaved = [start(0, CALL), start(1, &second), delta(1, &args("{\"b\":")), delta(0, &args("{\"a\":1}")), delta(1, &args("2}"))];
    let r = reply(&stream(&interleaved.each_ref().map(String::as_str), "tool_use"));
    assert_eq!(calls(&r), [("toolu_1", "f", "{\"a\":1}"), ("toolu_2", "f", "{\"b\":2}")]);
    let lost = reply(&stream(&[&delta(0, TEXT.1[0]), &delta(1, &args("{\"x\":1}"))], "tool_use"));
    assert_eq!(lost.message.joined_text(), "he");
    let gone = reply(&stream(&[&start(0, TEXT.0), &delta(0, TEXT.1[0]), &stop(0), &stop(1)], "tool_use"));
    assert!(!gone.complete, "the call that the reason speaks of is gone");
    assert!(!lost.complete && lost.error.is_some_and(|e| e.message.contains("without its name")), "nobody knows which tool was meant");
    let late = events(&[stream(&[&start(0, CALL), &stop(0), &delta(0, &args("{\"x\":1}"))], "tool_use").as_bytes()]);
    assert!(late.iter().any(|e| matches!(e, StreamEvent::Unknown { .. })));
    assert_eq!(calls(&gather(&late)), [("toolu_1", "f", "")]);
}

#[test]
fn ids_that_are_missing_or_taken_are_made_and_always_the_same() {
    let nameless = r#"{"type":"tool_use","id":"","name":"f","input":{}}"#;
    let body = blocks(&[(nameless, &[]), (CALL, &[]), (CALL, &[])], "tool_use");
    let (a, b) = (reply(&body), reply(&body));
    assert_eq!(a, b);
    let ids: std::collections::HashSet<&str> = a.message.calls().map(|c| c.id.as_str()).collect();
    assert!(ids.len() == 3 && ids.contains("toolu_1") && ids.iter().all(|id| !id.is_empty()), "{ids:?}");
}

#[test]
fn arguments_in_the_start_count_where_no_pieces_come() {
    let seeded = r#"{"type":"tool_use","id":"a","name":"f","input":{"x": 1.0}}"#;
    assert_eq!(calls(&reply(&blocks(&[(seeded, &[])], "tool_use"))), [("a", "f", "{\"x\": 1.0}")]);
    let string = r#"{"type":"tool_use","id":"a","name":"f","input":"{\"x\": 1.0}"}"#;
    assert_eq!(calls(&reply(&blocks(&[(string, &[])], "tool_use"))), [("a", "f", "{\"x\": 1.0}")], "a string of JSON");
    let pieces: &[&str] = &[r#"{"type":"input_json_delta","partial_json":"{\"y\":2}"}"#];
    assert_eq!(calls(&reply(&blocks(&[(seeded, pieces)], "tool_use"))), [("a", "f", "{\"y\":2}")]);
}

#[test]
fn a_whole_message_is_a_reply_however_it_is_labelled() {
    let body = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"thinking","thinking":"","signature":"s"},{"type":"text","text":"hi"},{"type":"tool_use","id":"a","name":"f","input":{"x": 1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":4,"cache_read_input_tokens":2}}"#;
    for text in [body.to_owned(), format!("data: {body}\n\n"), format!("\u{feff}{body}\n"), format!("event: message\ndata: {body}\n")] {
        let r = reply(&text);
        assert_eq!((r.message.joined_text().as_str(), r.stop, r.complete), ("hi", Stop::ToolUse, true), "{text}");
        assert_eq!(calls(&r), [("a", "f", "{\"x\": 1}")]);
        assert_eq!((r.usage.input, r.usage.cache_read, r.usage.output), (Some(3), Some(2), Some(4)));
    }
    assert!(!reply(body.split_at(300).0).complete, "cut");
    assert!(!reply(r#"{"id":"x","type":"message","content":7}"#).complete);
}

#[test]
fn a_whole_message_may_leave_its_type_out() {
    let body = r#"{"id":"m","role":"assistant","content":[{"type":"text","text":"a"}],"stop_reason":"end_turn"}"#;
    let whole = reply(body);
    assert_eq!((whole.complete, whole.message.joined_text().as_str()), (true, "a"));
    assert!(!reply(&body.replace(r#","stop_reason":"end_turn""#, "")).complete);
}

#[test]
fn content_may_be_one_text_without_a_list() {
    let r = reply(r#"{"id":"m","type":"message","role":"assistant","content":"a \"b\"","stop_reason":"end_turn"}"#);
    assert_eq!((r.message.joined_text().as_str(), r.stop, r.complete), ("a \"b\"", Stop::End, true));
}

#[test]
fn errors_inside_a_good_reply() {
    let error = r#"{"type":"error","error":{"details":null,"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#;
    let begun = frame(START) + &frame(&start(0, TEXT.0)) + &frame(&delta(0, TEXT.1[0]));
    let ended = begun.clone() + &frame(r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{}}"#);
    for body in [frame(error), error.to_owned(), format!("data: {error}\n\n"), begun.clone() + &frame(error), ended + &frame(error)] {
        let r = reply(&body);
        let got = r.error.unwrap_or_else(|| panic!("{body}"));
        assert_eq!((r.complete, got.class, got.scope, got.message.as_str()), (false, Class::Overloaded, Scope::Model, "Overloaded"));
        assert_eq!((got.code.as_deref(), got.request_id.as_deref()), (Some("overloaded_error"), Some("req_1")));
    }
    let plain = reply(&(begun + "event: error\ndata: boom\n\n"));
    assert_eq!(plain.error.map(|e| e.message), Some("boom".to_owned()));
    let other = reply(r#"{"error":{"message":"boom"}}"#);
    assert_eq!(other.error.map(|e| e.message), Some("boom".to_owned()), "another vendor's form");
}

#[test]
fn one_end_is_required() {
    let whole = blocks(&[TEXT], "end_turn");
    let (without_stop, _) = whole.split_at(whole.find("event: message_stop").unwrap());
    assert!(reply(without_stop).complete, "everything was there");
    let (without_reason, _) = whole.split_at(whole.find("event: message_delta").unwrap());
    assert_eq!(reply(without_reason).error.map(|e| e.class), Some(Class::Network));
    let lost = reply(&(without_reason.to_owned() + &frame(r#"{"type":"message_stop"}"#)));
    assert_eq!((lost.complete, lost.stop, lost.reason), (true, Stop::End, None), "one event that cannot be read ends nothing");
    for nothing in [frame(START) + &frame(r#"{"type":"message_stop"}"#), frame(START), String::new(), ": ping\n\n".to_owned()] {
        assert_eq!(reply(&nothing).error.map(|e| e.class), Some(Class::Network), "{nothing:?}");
    }
    for (body, says) in [
        ("<!doctype html><title>Sign in</title>", "Sign in"),
        ("Internal Server Error", "Internal Server Error"),
        (r#"{"id":"#, "cut"),
        ("42", "42"),
        (r#"{"choices":[]}"#, "choices"),
    ] {
        let error = reply(body).error.unwrap_or_else(|| panic!("{body}"));
        assert!(error.class == Class::Network && error.message.contains(says), "{body}: {}", error.message);
    }
}

#[test]
fn nothing_follows_an_end() {
    let one = blocks(&[TEXT], "end_turn");
    let all = events(&[(one.clone() + &one).as_bytes()]);
    assert!(matches!(all.last(), Some(StreamEvent::End { .. })));
    assert_eq!(gather(&all).message.joined_text(), "hello");
    let whole = r#"{"id":"m","type":"message","role":"assistant","content":"a","stop_reason":"end_turn"}}"#;
    let all = events(&[whole.as_bytes()]);
    assert!(matches!(all.last(), Some(StreamEvent::End { .. })), "not even word of a brace too many: {all:?}");
}

#[test]
fn events_without_a_blank_line_between_them_are_read_one_by_one() {
    let framed = blocks(&[TEXT], "end_turn");
    let lines: Vec<&str> = framed.lines().filter(|l| l.starts_with("data")).collect();
    let r = reply(&lines.join("\n"));
    assert_eq!((r.message.joined_text().as_str(), r.complete), ("hello", true));
}

#[test]
fn shortened_tool_names_come_back_whole() {
    let long = "mcp__".to_owned() + &"x".repeat(90);
    let tools = [ToolSpec { name: long.clone(), description: String::new(), parameters: serde_json::json!({}) }];
    let wire = crate::wire::names::wire_name(&long).into_owned();
    let body = blocks(&[(&CALL.replace("\"f\"", &format!("{wire:?}")), &[])], "tool_use");
    let mut decoder = Decoder::new(Wire::Anthropic, &Dialect::default()).with_tools(&tools);
    let mut out = Vec::new();
    decoder.feed(body.as_bytes(), &mut out);
    assert_eq!(calls(&gather(&out))[0].1, long);
}

/// A stream with everything in it, for the tests below.
fn rich() -> String {
    blocks(
        &[
            (
                r#"{"type":"thinking","thinking":"","signature":""}"#,
                &[r#"{"type":"thinking_delta","thinking":"hm é€😀"}"#, r#"{"type":"signature_delta","signature":"s="}"#],
            ),
            (r#"{"type":"redacted_thinking","data":"DATA"}"#, &[]),
            (r#"{"type":"text","text":""}"#, &[r#"{"type":"text_delta","text":"text é€😀 "}"#, r#"{"type":"text_delta","text":"more"}"#]),
            (
                r#"{"type":"server_tool_use","id":"s","name":"w","input":{}}"#,
                &[r#"{"type":"input_json_delta","partial_json":"{\"q\":1}"}"#],
            ),
            (CALL, &[r#"{"type":"input_json_delta","partial_json":"{\"x\":"}"#, r#"{"type":"input_json_delta","partial_json":"\"é\"}"}"#]),
            (r#"{"type":"tool_use","id":"toolu_2","name":"g","input":{}}"#, &[]),
        ],
        "tool_use",
    )
}

#[test]
fn split_at_every_byte_it_is_the_same_reply() {
    let body = rich();
    let whole = events(&[body.as_bytes()]);
    for at in 0..=body.len() {
        let (a, b) = body.as_bytes().split_at(at);
        assert_eq!(events(&[a, b]), whole, "split at {at}");
    }
}

#[test]
fn cut_at_every_byte_it_is_an_error_until_the_stop_reason_was_there() {
    let body = rich();
    let whole = reply(&body);
    let reason = body.find(r#""output_tokens":9}}"#).unwrap() + r#""output_tokens":9}}"#.len();
    for at in 0..body.len() {
        let cut = gather(&events(&[&body.as_bytes()[..at]]));
        assert_eq!(cut.complete, at >= reason, "cut at {at}");
        if cut.complete {
            assert_eq!((cut.message, cut.stop, cut.usage), (whole.message.clone(), whole.stop, whole.usage), "cut at {at}");
        }
    }
}

#[test]
fn each_event_malformed_doubled_or_dropped_never_panics_and_never_makes_a_complete_reply_of_nothing() {
    let body = rich();
    let frames: Vec<&str> = body.split_inclusive("\n\n").collect();
    for at in 0..frames.len() {
        let with = |replacement: &[&str]| {
            let mut all = frames.clone();
            all.splice(at..=at, replacement.iter().copied());
            reply(&all.concat())
        };
        let half: String = frames[at].chars().take(frames[at].chars().count() / 2).collect::<String>() + "\n\n";
        for r in [with(&[]), with(&[&half]), with(&[frames[at], frames[at]])] {
            let begins_a_call = frames[at].contains("content_block_start") && frames[at].contains("tool_use");
            assert!(r.complete || begins_a_call, "one bad event does not end a healthy stream: {at}: {:?}", r.error);
            let mut ids = std::collections::HashSet::new();
            for call in r.message.calls() {
                assert!(!call.id.is_empty() && !call.name.is_empty() && ids.insert(call.id.clone()), "{at}: {r:?}");
            }
            assert!(r.stop != Stop::ToolUse || r.message.calls().next().is_some());
        }
    }
}

#[test]
fn words_in_place_of_a_reply_are_the_error() {
    for (body, class) in [
        (r#"{"detail":"it broke"}"#, Class::Server),
        (r#"{"message":"Unauthorized"}"#, Class::Auth),
        ("event: error\ndata: {\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}\n\n", Class::Overloaded),
        ("data: {\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}\n\n", Class::Overloaded),
    ] {
        let reply = reply(body);
        assert_eq!((reply.complete, reply.error.map(|e| e.class)), (false, Some(class)), "{body}");
    }
}
