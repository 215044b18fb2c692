//! Replies of Chat Completions as they come, from frames written here.

use super::*;
use crate::model::{Accumulator, Block, Reply};
use crate::wire::{Decoder, Dialect, Wire};

fn events(pieces: &[&[u8]]) -> Vec<StreamEvent> {
    let mut decoder = Decoder::new(Wire::OpenaiChat, &Dialect::default());
    let mut out = Vec::new();
    for p in pieces {
        decoder.feed(p, &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn reply(body: &str) -> Reply {
    let mut all = Accumulator::default();
    for e in &events(&[body.as_bytes()]) {
        all.push(e);
    }
    all.finish()
}

/// A stream of these chunks' deltas, with a finish reason and `[DONE]`.
fn stream(deltas: &[&str], finish: &str) -> String {
    let chunk = |choice: &str| format!("data: {{\"id\":\"r\",\"choices\":[{choice}]}}\n\n");
    let middle: Vec<String> = deltas.iter().map(|d| chunk(&format!(r#"{{"index":0,"delta":{d}}}"#))).collect();
    let last = chunk(&format!(r#"{{"index":0,"delta":{{}},"finish_reason":"{finish}"}}"#));
    format!("{}{last}data: [DONE]\n\n", middle.concat())
}

fn calls(reply: &Reply) -> Vec<(&str, &str, &str)> {
    reply.message.calls().map(|c| (c.id.as_str(), c.name.as_str(), c.args_raw.as_str())).collect()
}

fn kinds(reply: &Reply) -> Vec<&'static str> {
    let name = |b: &Block| match b {
        Block::Text { .. } => "text",
        Block::Thinking { .. } => "thinking",
        Block::ToolCall(_) => "call",
        Block::Opaque { .. } => "opaque",
        _ => "?",
    };
    reply.message.blocks.iter().map(name).collect()
}

#[test]
fn parallel_calls_are_told_apart_by_index_however_they_interleave() {
    let r = reply(&stream(
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}},{"index":1,"id":"b","function":{"name":"g"}}]}"#,
            r#"{"tool_calls":[{"index":1,"function":{"arguments":"{\"y\""}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1}"}},{"index":1,"function":{"arguments":":2}"}}]}"#,
        ],
        "tool_calls",
    ));
    assert_eq!(calls(&r), [("a", "f", r#"{"x":1}"#), ("b", "g", r#"{"y":2}"#)]);
    assert_eq!((r.stop, r.complete), (Stop::ToolUse, true));
}

#[test]
fn calls_without_index_or_id_or_with_index_zero_for_all_are_still_told_apart() {
    let no_index = reply(&stream(
        &[
            r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}"#,
            r#"{"tool_calls":[{"function":{"arguments":":1}"}}]}"#,
            r#"{"tool_calls":[{"id":"b","function":{"name":"f","arguments":"{}"}}]}"#,
        ],
        "tool_calls",
    ));
    assert_eq!(calls(&no_index), [("a", "f", r#"{"x":1}"#), ("b", "f", "{}")]);
    let nothing = reply(&stream(
        &[r#"{"tool_calls":[{"function":{"name":"f","arguments":"{\"x\":1}"}},{"function":{"name":"f","arguments":"{\"x\":2}"}}]}"#],
        "stop",
    ));
    let ids: Vec<&str> = nothing.message.calls().map(|c| c.id.as_str()).collect();
    assert_eq!(nothing.message.calls().map(|c| c.args_raw.as_str()).collect::<Vec<_>>(), [r#"{"x":1}"#, r#"{"x":2}"#]);
    assert!(ids.iter().all(|id| !id.is_empty()) && ids[0] != ids[1], "{ids:?}");
    assert_eq!(nothing.stop, Stop::ToolUse, "stop after a complete call is a tool turn");
    let zeros = reply(&stream(
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]}"#,
        ],
        "tool_calls",
    ));
    assert_eq!(calls(&zeros), [("a", "f", "{}"), ("b", "g", "{}")]);
}

#[test]
fn minted_ids_are_the_same_for_the_same_bytes_and_never_shared() {
    let body = stream(
        &[
            r#"{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"x","function":{"name":"f"}},{"index":2,"id":"x","function":{"name":"f"}}]}"#,
        ],
        "tool_calls",
    );
    let (a, b) = (reply(&body), reply(&body));
    assert_eq!(a, b);
    let ids: std::collections::HashSet<&str> = a.message.calls().map(|c| c.id.as_str()).collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert!(ids.contains("x") && !ids.contains(""));
}

#[test]
fn repeated_names_and_ids_are_one_call_and_split_names_are_joined() {
    let repeated = reply(&stream(
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":":1}"}}]}"#,
        ],
        "tool_calls",
    ));
    assert_eq!(calls(&repeated), [("a", "f", r#"{"x":1}"#)]);
    let split = reply(&stream(
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"read_"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"name":"file","arguments":"{}"}}]}"#,
        ],
        "tool_calls",
    ));
    assert_eq!(calls(&split), [("a", "read_file", "{}")]);
}

#[test]
fn arguments_in_every_form() {
    for (given, want) in [
        (r#""{\"x\":1}""#, r#"{"x":1}"#),
        (r#"{"x": 12345678901234567890123}"#, r#"{"x": 12345678901234567890123}"#),
        ("null", ""),
        (r#""""#, ""),
        (r#""{\"x\":""#, r#"{"x":"#),
    ] {
        let r = reply(&stream(
            &[&format!(r#"{{"tool_calls":[{{"index":0,"id":"a","function":{{"name":"f","arguments":{given}}}}}]}}"#)],
            "tool_calls",
        ));
        assert_eq!(calls(&r), [("a", "f", want)], "{given}");
    }
    let seeded = reply(&stream(
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]}"#,
        ],
        "tool_calls",
    ));
    assert_eq!(calls(&seeded), [("a", "f", r#"{"a":1}"#)], "a false start is not glued to the arguments");
}

#[test]
fn a_tool_turn_is_claimed_only_where_a_call_can_be_run() {
    let cut = r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x"}}]}"#;
    assert_eq!(reply(&stream(&[cut], "stop")).stop, Stop::End, "stop with a broken call stays what it is");
    assert_eq!(reply(&stream(&[cut], "length")).stop, Stop::MaxTokens);
    assert_eq!(reply(&stream(&[r#"{"content":"x"}"#], "tool_calls")).stop, Stop::Unknown, "no call at all");
    assert_eq!(reply(&stream(&[cut], "tool_calls")).stop, Stop::ToolUse, "the provider's word; the call is answered, not run");
}

#[test]
fn reasoning_in_all_three_fields_and_in_parts() {
    for delta in [
        r#"{"reasoning":"hm"}"#,
        r#"{"reasoning_content":"hm"}"#,
        r#"{"reasoning":"hm","reasoning_content":"hm"}"#,
        r#"{"reasoning_details":[{"type":"reasoning.text","text":"hm"}]}"#,
        r#"{"reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm"}]}"#,
        r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}"#,
        r#"{"content":[{"type":"thinking","thinking":"hm"}]}"#,
    ] {
        let r = reply(&stream(&[delta, r#"{"content":"yes"}"#], "stop"));
        assert!(matches!(&r.message.blocks[0], Block::Thinking { text, .. } if text == "hm"), "{delta}: {r:?}");
        assert_eq!(r.message.joined_text(), "yes");
    }
    let r = reply(&stream(
        &[r#"{"content":[{"type":"thinking","thinking":"a"},{"type":"text","text":"b"},{"type":"reference","ids":[1]}]}"#],
        "stop",
    ));
    assert_eq!(kinds(&r), ["thinking", "text"]);
}

#[test]
fn what_only_the_maker_understands_is_kept_for_it() {
    let r = reply(&stream(
        &[
            r#"{"reasoning_details":[{"type":"reasoning.text","text":"a","index":0}]}"#,
            r#"{"reasoning_details":[{"type":"reasoning.text","signature":"s","index":0}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"g"}}}]}"#,
        ],
        "tool_calls",
    ));
    assert_eq!(kinds(&r), ["thinking", "call", "opaque"]);
    let Block::Opaque { wire, raw } = &r.message.blocks[2] else { panic!() };
    assert_eq!(wire, "openai-chat");
    assert_eq!(raw, r#"{"reasoning_details":[{"type":"reasoning.text","text":"a","index":0,"signature":"s"}]}"#);
    assert_eq!(r.message.calls().next().unwrap().signature.as_deref(), Some("g"));
}

#[test]
fn refusals_legacy_calls_and_whole_messages() {
    let r = reply(&stream(&[r#"{"refusal":"I "}"#, r#"{"refusal":"won't"}"#], "stop"));
    assert_eq!((r.message.joined_text().as_str(), r.stop), ("I won't", Stop::Refusal));
    let r =
        reply(&stream(&[r#"{"function_call":{"name":"f","arguments":""}}"#, r#"{"function_call":{"arguments":"{}"}}"#], "function_call"));
    assert_eq!((r.stop, r.message.calls().count()), (Stop::ToolUse, 1));
    assert!(!r.message.calls().next().unwrap().id.is_empty());
    let r = reply("\u{feff} \n{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":null}]}");
    assert!(r.complete, "a whole message ends by itself: {r:?}");
    let r = reply("data: {\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n");
    assert_eq!((r.message.joined_text().as_str(), r.complete), ("a", true));
}

#[test]
fn finish_reasons_of_all_kinds() {
    for (word, stop) in [
        ("stop", Stop::End),
        ("eos", Stop::End),
        ("length", Stop::MaxTokens),
        ("content_filter", Stop::ContentFilter),
        ("sensitive", Stop::ContentFilter),
        ("pause_turn", Stop::Pause),
        ("martian", Stop::Unknown),
        ("model_context_window_exceeded", Stop::MaxTokens),
    ] {
        let r = reply(&stream(&[r#"{"content":"x"}"#], word));
        assert_eq!((r.stop, r.reason.as_deref(), r.complete), (stop, Some(word), true));
    }
    for (word, class) in [("error", Class::Server), ("network_error", Class::Server), ("insufficient_system_resource", Class::Overloaded)] {
        let r = reply(&stream(&[r#"{"content":"x"}"#], word));
        assert_eq!((r.complete, r.error.map(|e| e.class)), (false, Some(class)), "{word}");
    }
    let full = reply(&stream(&[], "model_context_window_exceeded"));
    assert_eq!(full.error.map(|e| e.class), Some(Class::ContextTooLong));
    let native = reply(
        "data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\",\"native_finish_reason\":\"network_error\"}]}\n\n",
    );
    assert!(!native.complete);
}

#[test]
fn any_terminal_is_accepted_and_one_is_required() {
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    assert!(reply(&format!("{chunk}data: [DONE]")).complete, "[DONE] alone, without a line end");
    let no_done = reply(&format!("{chunk}data: {{\"choices\":[{{\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}"));
    assert!(no_done.complete);
    for cut in [chunk, "data: [DONE]\n\n", ": keepalive\n\n", "", "   \n", "data: {\"choices\":[]}\n\n"] {
        let r = reply(cut);
        assert_eq!((r.complete, r.error.as_ref().map(|e| e.class)), (false, Some(Class::Network)), "{cut:?}");
    }
    assert!(reply(&stream(&[], "stop")).complete, "an empty turn with a finish reason is one");
}

#[test]
fn usage_on_any_chunk_replaces_and_may_follow_the_end() {
    let r = reply(concat!(
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n"
    ));
    assert_eq!((r.usage.input, r.usage.output, r.complete), (Some(5), Some(3), true));
    let groq = reply(
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}],\"x_groq\":{\"usage\":{\"prompt_tokens\":7}}}\n\n",
    );
    assert_eq!(groq.usage.input, Some(7));
}

#[test]
fn errors_inside_a_good_reply() {
    for body in [
        r#"{"error":{"message":"boom","code":502}}"#,
        r#"[{"error":{"message":"boom","code":502,"status":"UNAVAILABLE"}}]"#,
        r#"{"object":"error","message":"boom","code":502}"#,
        "data: {\"error\":{\"message\":\"boom\"}}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\nevent: error\ndata: boom\n\ndata: [DONE]\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}],\"error\":{\"message\":\"boom\"}}\n\ndata: [DONE]\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n{\"error\":{\"message\":\"boom\"}}\n",
        "{\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n{\"error\":\"boom\"}\n",
    ] {
        let r = reply(body);
        assert!(!r.complete, "{body}");
        assert_eq!(r.error.as_ref().map(|e| e.message.as_str()), Some("boom"), "{body}");
    }
}

#[test]
fn other_bodies_are_network_errors_that_say_what_came() {
    for (body, says) in [
        ("<!doctype html><title>Sign in</title>", "Sign in"),
        ("Internal Server Error", "Internal Server Error"),
        (r#"{"id":"#, "cut"),
        (r#"{"started":"nope"}"#, "nope"),
        ("42", "42"),
    ] {
        let r = reply(body);
        let error = r.error.unwrap_or_else(|| panic!("{body}"));
        assert_eq!(error.class, Class::Network, "{body}");
        assert!(error.message.contains(says), "{body}: {}", error.message);
    }
}

#[test]
fn a_malformed_event_is_kept_as_unknown_and_ends_nothing() {
    let good = stream(&[r#"{"content":"a"}"#, r#"{"content":"b"}"#], "stop");
    let frames: Vec<&str> = good.split_inclusive("\n\n").collect();
    for at in 0..frames.len() {
        for junk in [
            "data: {\"choices\":[{\"del \"oops\n\n",
            "data: hello\n\n",
            "data: {\"type\":\"ping\"}\n\n",
            "data: \u{fffd}\n\n",
            "data: [1,2]\n\n",
            ": c\n\n",
            "data: : keepalive\n\n",
        ] {
            let mut all = frames.clone();
            all.insert(at, junk);
            let r = reply(&all.concat());
            assert_eq!((r.message.joined_text().as_str(), r.complete), ("ab", true), "{junk:?} before frame {at}");
        }
    }
    let raw = events(&[b"data: {\"x\n\n"]);
    assert!(raw.contains(&StreamEvent::Unknown { raw: "{\"x".into() }), "{raw:?}");
}

#[test]
fn events_without_a_blank_line_between_them_are_read_one_by_one() {
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}]}\ndata: [DONE]\n";
    let r = reply(body);
    assert_eq!((r.message.joined_text().as_str(), r.complete), ("ab", true));
}

#[test]
fn nothing_follows_a_terminal_event() {
    let body = stream(&[r#"{"content":"a"}"#], "stop") + &stream(&[r#"{"content":"late"}"#], "stop");
    let all = events(&[body.as_bytes()]);
    assert!(matches!(all.last(), Some(StreamEvent::End { .. })));
    assert_eq!(reply(&body).message.joined_text(), "a");
    let all = events(&[br#"{"error":{"message":"boom"}}}"#]);
    assert!(matches!(all.last(), Some(StreamEvent::Error { .. })), "not even word of a brace too many: {all:?}");
}

#[test]
fn shortened_tool_names_come_back_whole() {
    let long = "mcp__".to_owned() + &"x".repeat(90);
    let tools = [ToolSpec { name: long.clone(), description: String::new(), parameters: serde_json::json!({}) }];
    let wire = crate::wire::names::wire_name(&long).into_owned();
    let body =
        stream(&[&format!(r#"{{"tool_calls":[{{"index":0,"id":"a","function":{{"name":"{wire}","arguments":"{{}}"}}}}]}}"#)], "tool_calls");
    let mut decoder = Decoder::new(Wire::OpenaiChat, &Dialect::default()).with_tools(&tools);
    let (mut out, mut all) = (Vec::new(), Accumulator::default());
    decoder.feed(body.as_bytes(), &mut out);
    decoder.finish(&mut out);
    for e in &out {
        all.push(e);
    }
    assert_eq!(all.finish().message.calls().next().unwrap().name, long);
}

/// A stream with everything in it, for the tests below.
fn rich() -> String {
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3}}\n\n";
    let body = stream(
        &[
            r#"{"role":"assistant","content":""}"#,
            r#"{"reasoning_content":"hm é€😀"}"#,
            r#"{"content":"text é€😀 "}"#,
            r#"{"content":"more"}"#,
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}"#,
            r#"{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":":\"é\"}"}}]}"#,
        ],
        "tool_calls",
    );
    body.replace("data: [DONE]", &format!("{usage}data: [DONE]"))
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
fn cut_at_every_byte_it_is_an_error_until_the_finish_reason_was_there() {
    let body = rich();
    let whole = reply(&body);
    let finish = body.find("\"tool_calls\"}]}").unwrap() + "\"tool_calls\"}]}".len();
    for at in 0..body.len() {
        let mut all = Accumulator::default();
        for e in &events(&[&body.as_bytes()[..at]]) {
            all.push(e);
        }
        let cut = all.finish();
        assert_eq!(cut.complete, at >= finish, "cut at {at}");
        if cut.complete {
            assert_eq!(cut.message, whole.message, "cut at {at}");
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
            for call in r.message.calls() {
                assert!(!call.id.is_empty() && !call.name.is_empty());
            }
            if r.stop == Stop::ToolUse {
                assert!(r.message.calls().next().is_some());
            }
        }
    }
}
