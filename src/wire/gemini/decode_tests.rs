//! Replies as servers of this wire really send them.

use super::*;
use crate::model::{Accumulator, Block, Reply, ToolCall};
use crate::wire::{Decoder, Dialect, Wire};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fmt::Write;

fn read(body: &[u8]) -> (Reply, Vec<StreamEvent>) {
    let mut decoder = Decoder::new(Wire::Gemini, &Dialect::default());
    let mut events = Vec::new();
    decoder.feed(body, &mut events);
    decoder.finish(&mut events);
    let mut all = Accumulator::default();
    for event in &events {
        all.push(event);
    }
    (all.finish(), events)
}

/// A stream of chunks with these parts; the last one ends it with this word.
fn stream(chunks: &[Value], finish: &str) -> Vec<u8> {
    let mut out = String::new();
    for (n, parts) in chunks.iter().enumerate() {
        let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
        if n + 1 == chunks.len() && !finish.is_empty() {
            candidate["finishReason"] = finish.into();
        }
        let chunk = json!({"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r1"});
        write!(out, "data: {chunk}\r\n\r\n").unwrap();
    }
    out.into_bytes()
}

fn blocks(chunks: &[Value]) -> Vec<Block> {
    let (reply, _) = read(&stream(chunks, "STOP"));
    assert!(reply.complete, "{:?}", reply.error);
    reply.message.blocks
}

fn text(text: &str) -> Block {
    Block::Text { text: text.into() }
}

fn thought(text: &str, signature: Option<&str>) -> Block {
    Block::Thinking { text: text.into(), signature: signature.map(str::to_owned), redacted: false }
}

fn raw(json: &str) -> Block {
    Block::Opaque { wire: "gemini".into(), raw: json.into() }
}

#[test]
fn a_signature_stays_on_exactly_the_part_that_it_came_on() {
    let got = blocks(&[
        json!([{"text": "hm ", "thought": true}]),
        json!([{"text": "so", "thought": true}, {"text": "a"}]),
        json!([{"text": "b"}, {"text": "c", "thoughtSignature": "S1=="}, {"text": "d"}]),
        json!([{"text": "", "thoughtSignature": "S2"}]),
    ]);
    let want = [
        thought("hm so", None),
        text("ab"),
        text("c"),
        raw(r#"{"thoughtSignature":"S1=="}"#),
        text("d"),
        raw(r#"{"text":"","thoughtSignature":"S2"}"#),
    ];
    assert_eq!(got, want);
    let signed_thought = blocks(&[
        json!([{"text": "a", "thought": true}]),
        json!([{"text": "b", "thought": true, "thoughtSignature": "S"}, {"text": "c", "thought": true}]),
    ]);
    assert_eq!(signed_thought, [thought("a", None), thought("b", Some("S")), thought("c", None)]);
}

#[test]
fn claudes_signature_comes_last_and_covers_all_of_its_thinking() {
    let chunk = |parts: Value| json!({"response": {"candidates": [{"content": {"role": "model", "parts": parts}}], "modelVersion": "claude-opus-4-5-thinking", "responseId": "msg_vrtx_1"}, "traceId": "t"});
    let mut body = String::new();
    for parts in [
        json!([{"text": "let me ", "thought": true}]),
        json!([{"text": "see", "thought": true}]),
        json!([{"text": "", "thought": true, "thoughtSignature": "PROOF"}]),
        json!([{"functionCall": {"id": "toolu_vrtx_1", "name": "f", "args": {}}}]),
    ] {
        write!(body, "data: {}\n\n", chunk(parts)).unwrap();
    }
    body.push_str("data: {\"response\":{\"candidates\":[{\"finishReason\":\"OTHER\"}],\"usageMetadata\":{\"promptTokenCount\":3}}}\n\n");
    let (reply, _) = read(body.as_bytes());
    let call = ToolCall { id: "toolu_vrtx_1".into(), name: "f".into(), args_raw: "{}".into(), signature: None };
    assert_eq!(reply.message.blocks, [thought("let me see", Some("PROOF")), Block::ToolCall(call)]);
    assert_eq!((reply.stop, reply.usage.input, reply.id.as_deref()), (Stop::ToolUse, Some(3), Some("msg_vrtx_1")));
}

#[test]
fn ids_that_are_missing_are_made_and_always_the_same() {
    let call = |args: Value| json!({"functionCall": {"name": "f", "args": args}});
    let chunks =
        [json!([call(json!({"k": 1})), call(json!({"k": 1}))]), json!([call(json!(null)), {"functionCall": {"name": "g", "id": "given"}}])];
    let ids = |chunks: &[Value]| {
        blocks(chunks).iter().filter_map(|b| if let Block::ToolCall(c) = b { Some(c.id.clone()) } else { None }).collect::<Vec<_>>()
    };
    let first = ids(&chunks);
    assert_eq!(first, ids(&chunks), "the same bytes give the same ids");
    assert!(first[..3].iter().all(|id| id.starts_with("gcall_") && id.len() <= 40) && first[3] == "given", "{first:?}");
    assert_eq!(first.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    let elsewhere = String::from_utf8(stream(&chunks, "STOP")).unwrap().replace("\"r1\"", "\"r2\"");
    let (other, _) = read(elsewhere.as_bytes());
    assert_ne!(other.message.calls().next().unwrap().id, first[0], "another reply's ids are others");
}

#[test]
fn calls_in_every_form() {
    let call = |args: Value| blocks(&[json!([{"functionCall": {"id": "c", "name": "f", "args": args}}])]);
    let raw_args = |args: Value| if let [Block::ToolCall(c)] = call(args).as_slice() { c.args_raw.clone() } else { panic!() };
    assert_eq!(raw_args(json!({"a": {"b": [1.50, "x y"]}})), r#"{"a":{"b":[1.5,"x y"]}}"#);
    assert_eq!((raw_args(json!({})), raw_args(json!(null))), ("{}".into(), String::new()));
    assert_eq!(raw_args(json!("{\"a\":1}")), r#"{"a":1}"#, "a proxy's string");
    assert_eq!(raw_args(json!({"unparsed_arguments": "{\"cut"})), "{\"cut", "our own wrapping");
    assert_eq!(raw_args(json!({"_placeholder": true, "a": 1})), r#"{"a":1}"#);
    // The same event twice; another one of the same id.
    let twice = json!([{"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}}]);
    let other = json!([{"functionCall": {"id": "c", "name": "f", "args": {"a": 2}}}]);
    let got = blocks(&[twice.clone(), twice, other]);
    assert_eq!(got.len(), 2);
    assert!(matches!(&got[1], Block::ToolCall(c) if c.id.starts_with("gcall_") && c.args_raw == r#"{"a":2}"#));
    // Without an id, only the whole event again is the same one.
    let bare = json!([{"functionCall": {"name": "f", "args": {"a": 1}}}]);
    let again = stream(std::slice::from_ref(&bare), "");
    let body = [again.clone(), again, stream(&[json!([{"text": "x"}]), bare], "STOP")].concat();
    assert_eq!(read(&body).0.message.calls().count(), 2);
    let names = blocks(&[
        json!([{"functionCall": {"name": "default_api.read_file", "args": {}}}, {"functionCall": {"args": {"x": 1}}}, {"functionCall": {}}]),
    ]);
    let names: Vec<_> = names.iter().map(|b| if let Block::ToolCall(c) = b { c.name.as_str() } else { "" }).collect();
    assert_eq!(names, ["read_file", "unknown"]);
}

#[test]
fn words_in_place_of_a_reply_are_the_error() {
    for (body, class) in [
        (r#"{"detail":"it broke"}"#, Class::Server),
        (r#"{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}"#, Class::RateLimit),
        ("data: {\"message\":\"prompt is too long\"}\n\n", Class::ContextTooLong),
    ] {
        let (reply, _) = read(body.as_bytes());
        assert_eq!((reply.complete, reply.error.map(|e| e.class)), (false, Some(class)), "{body}");
    }
}

#[test]
fn an_open_connection_is_waited_for_unless_the_reason_can_be_trusted() {
    let whole = |chunks: &[&[u8]]| {
        let mut decoder = Decoder::new(Wire::Gemini, &Dialect::default());
        decoder.feed(&chunks.concat(), &mut Vec::new());
        decoder.is_whole()
    };
    let plain = stream(&[json!([{"text": "a"}])], "");
    let last = stream(&[json!([{"text": "b"}])], "STOP");
    let open = stream(&[json!([{"text": "b"}])], "FINISH_REASON_UNSPECIFIED");
    let counts = b"data: {\"usageMetadata\":{\"promptTokenCount\":9}}\n\n";
    assert!(whole(&[&plain, &last]));
    assert!(whole(&[&last, counts]));
    assert!(!whole(&[&last]), "perhaps the first of many");
    assert!(!whole(&[&last, &last]), "a reason in every chunk");
    assert!(!whole(&[&last, &last, counts]));
    assert!(!whole(&[&plain, &open]));
    assert!(!whole(&[&plain, &last, &plain]), "there was more behind it");
}

#[test]
fn shortened_names_come_back_whole() {
    let tool = ToolSpec { name: "9lives".into(), description: String::new(), parameters: json!({}) };
    let wire = names::letter_first("9lives").into_owned();
    let mut decoder = Decoder::new(Wire::Gemini, &Dialect::default()).with_tools(std::slice::from_ref(&tool));
    let mut events = Vec::new();
    decoder.feed(&stream(&[json!([{"functionCall": {"name": wire, "args": {}}}])], "STOP"), &mut events);
    assert!(
        events
            .iter()
            .any(|e| matches!(e, StreamEvent::BlockStart { kind: crate::model::BlockKind::ToolCall { name, .. }, .. } if name == "9lives")),
        "{events:?}"
    );
}

#[test]
fn arguments_that_come_in_pieces_are_put_together_and_cut_ones_are_never_whole() {
    let piece = |path: &str, value: &str, more: bool| {
        let mut piece = json!({"jsonPath": path, "stringValue": value});
        if more {
            piece["willContinue"] = true.into();
        }
        json!([{"functionCall": {"partialArgs": [piece], "willContinue": true}}])
    };
    let open = json!([{"functionCall": {"name": "f", "willContinue": true}, "thoughtSignature": "S"}]);
    let whole = [open.clone(), piece("$.a", "rm -rf /tmp", true), piece("$.a", "/x", false), json!([{"functionCall": {}}])];
    let got = blocks(&whole);
    assert!(
        matches!(got.as_slice(), [Block::ToolCall(c)] if c.args_raw == r#"{"a":"rm -rf /tmp/x"}"# && c.signature.as_deref() == Some("S")),
        "{got:?}"
    );
    // Ended without its end mark, and pushed aside by the next call.
    let next = json!([{"functionCall": {"name": "g", "args": {}}}]);
    for cut in [vec![open.clone(), piece("$.a", "rm -rf /", true)], vec![open.clone(), piece("$.a", "x", false), next]] {
        let (reply, _) = read(&stream(&cut, "STOP"));
        let first = reply.message.calls().next().unwrap().clone();
        assert!(first.args().is_err(), "{first:?}");
    }
    // Both at once, and a part of one call that repeats its name and id.
    let once = blocks(&[json!([{"functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$.n", "numberValue": 2}]}}])]);
    assert!(matches!(&once[0], Block::ToolCall(c) if c.args_raw == r#"{"n":2}"#), "{once:?}");
    let named = blocks(&[
        json!([{"functionCall": {"id": "i", "name": "f", "willContinue": true}}]),
        json!([{"functionCall": {"id": "i", "name": "f", "partialArgs": [{"jsonPath": "$.b", "boolValue": true}]}}]),
    ]);
    assert!(matches!(named.as_slice(), [Block::ToolCall(c)] if c.args_raw == r#"{"b":true}"#), "{named:?}");
}

#[test]
fn finish_reasons_are_understood_or_are_failures() {
    for (word, stop) in [
        ("STOP", Stop::End),
        ("MAX_TOKENS", Stop::MaxTokens),
        ("SAFETY", Stop::ContentFilter),
        ("RECITATION", Stop::ContentFilter),
        ("PROHIBITED_CONTENT", Stop::ContentFilter),
        ("LANGUAGE", Stop::Refusal),
        ("OTHER", Stop::Unknown),
        ("SOMETHING_NEW", Stop::Unknown),
    ] {
        let (reply, _) = read(&stream(&[json!([{"text": "x"}])], word));
        assert_eq!((reply.complete, reply.stop, reply.reason.as_deref()), (true, stop, Some(word)));
    }
    for (word, class) in [
        ("MALFORMED_FUNCTION_CALL", Class::Server),
        ("UNEXPECTED_TOOL_CALL", Class::Server),
        ("MISSING_THOUGHT_SIGNATURE", Class::BadRequest),
    ] {
        let body = format!(r#"{{"candidates":[{{"content":{{}},"finishReason":"{word}","finishMessage":"print(default_api.f("}}]}}"#);
        let error = read(body.as_bytes()).0.error.unwrap();
        assert_eq!((error.class, error.scope, error.code.as_deref()), (class, Scope::Request, Some(word)));
        assert!(error.message.contains("print("), "{error}");
    }
    // A call makes a tool turn of any ordinary end, and an empty end is one too.
    let call = json!([{"functionCall": {"name": "f", "args": {}}}]);
    for (word, stop) in [("STOP", Stop::ToolUse), ("OTHER", Stop::ToolUse), ("MAX_TOKENS", Stop::MaxTokens)] {
        assert_eq!(read(&stream(std::slice::from_ref(&call), word)).0.stop, stop);
    }
    let (empty, _) = read(br#"{"candidates":[{"content":{"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":5,"totalTokenCount":5}}"#);
    assert!(empty.complete && empty.message.blocks.is_empty() && empty.stop == Stop::End, "{empty:?}");
}

#[test]
fn a_blocked_prompt_is_an_error_of_its_own() {
    for body in [
        r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":7},"modelVersion":"m"}"#,
        "data: {\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\",\"safetyRatings\":[]}}\n\n",
        r#"{"response":{"candidates":[],"promptFeedback":{"blockReason":"PROHIBITED_CONTENT","blockReasonMessage":"no"}}}"#,
    ] {
        let error = read(body.as_bytes()).0.error.unwrap();
        assert_eq!(
            (error.class, error.scope, error.code.as_deref()),
            (Class::ContentFilter, Scope::Request, Some("PROHIBITED_CONTENT")),
            "{body}"
        );
    }
    let rated = r#"{"promptFeedback":{"safetyRatings":[]},"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}"#;
    assert!(read(rated.as_bytes()).0.complete);
}

#[test]
fn errors_inside_a_good_status_are_errors() {
    let busy = r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#;
    let started = String::from_utf8(stream(&[json!([{"text": "x"}])], "")).unwrap();
    for body in [
        busy.to_owned(),
        format!("[{busy}]"),
        format!("data: {busy}\n\n"),
        format!("{started}data: {busy}\n\n"),
        format!("{started}{busy}\n"),
        format!("{started}event: error\ndata: {busy}\n\n"),
        format!("[{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"x\"}}]}}}}]}}\n,\n{busy}]"),
    ] {
        let (reply, _) = read(body.as_bytes());
        let error = reply.error.unwrap();
        assert_eq!((error.class, error.scope, reply.complete), (Class::Overloaded, Scope::Model, false), "{body}");
    }
}

#[test]
fn one_whole_object_ends_by_itself() {
    let candidate = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"x"}]}}],"modelVersion":"gemini-1.5-flash"}"#;
    for body in [candidate.to_owned(), format!(r#"{{"response":{candidate},"traceId":"t"}}"#)] {
        let (reply, _) = read(body.as_bytes());
        assert_eq!((reply.complete, reply.stop, reply.reason), (true, Stop::End, None), "{body}");
        for at in 1..body.len() {
            assert!(!read(&body.as_bytes()[..at]).0.complete, "cut at {at}");
        }
    }
    let call = read(br#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1}}}]}}]}"#).0;
    assert_eq!((call.complete, call.stop), (true, Stop::ToolUse));
}

#[test]
fn an_array_is_read_while_it_arrives() {
    let chunk = |t: &str, end: &str| format!(r#"{{"candidates": [{{"content": {{"parts": [{{"text": "{t}"}}]}}{end}}}]}}"#);
    let body = format!("[{}\n,\r\n{}\n]\n", chunk("a", ""), chunk("b", r#","finishReason":"STOP""#));
    let mut decoder = Decoder::new(Wire::Gemini, &Dialect::default());
    let mut events = Vec::new();
    let (first, rest) = body.split_at(body.find('\n').unwrap());
    decoder.feed(first.as_bytes(), &mut events);
    assert!(events.iter().any(StreamEvent::is_content), "the first element is there: {events:?}");
    decoder.feed(rest.as_bytes(), &mut events);
    decoder.finish(&mut events);
    assert!(matches!(events.last(), Some(StreamEvent::End { stop: Stop::End, .. })), "{events:?}");
    assert!(!events.iter().any(|e| matches!(e, StreamEvent::Unknown { .. })), "{events:?}");
}

#[test]
fn what_has_no_end_or_is_something_else_is_no_reply() {
    let half = stream(&[json!([{"text": "x"}])], "");
    for (body, says) in [
        (half.as_slice(), "before its terminal event"),
        (b"", "without an answer"),
        (b"<html><title>Sign in</title></html>", "Sign in"),
        (br#"{"status":"ok"}"#, "not a generated content"),
        (br#"[{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}]"#, "before its terminal event"),
        (br#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}{"candidates":[{"cont"#, "before its terminal event"),
        (
            br#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}{"candidates":[{"content":{"parts":[{"text":"y"}]}}]}"#,
            "before its terminal",
        ),
        (br#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}{"text":"y"}"#, "before its terminal event"),
        (br#"{"candidates":[{"content":{"parts":[]}}]}"#, "before its terminal event"),
        (
            br#"{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"FINISH_REASON_UNSPECIFIED"}]}"#,
            "before its terminal event",
        ),
        (b"[", "not a generated content"),
        (b"data: [DONE]\n\n", "before its terminal event"),
    ] {
        let error = read(body).0.error.unwrap();
        assert!(error.class == Class::Network && error.message.contains(says), "{error}");
    }
}

#[test]
fn odd_streams_are_read_as_what_they_mean() {
    let good = |body: &str| {
        let (reply, events) = read(body.as_bytes());
        assert!(reply.complete, "{body}: {:?}", reply.error);
        (reply.message.joined_text(), events.iter().filter(|e| matches!(e, StreamEvent::Unknown { .. })).count())
    };
    let chunk = |t: &str, end: &str| format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{t}"}}]}}{end}}}]}}"#);
    let (a, b) = (chunk("a", ""), chunk("b", r#","finishReason":"STOP""#));
    // A reason in every chunk; counts behind the end; keep-alives and the other wire's mark; one event that is broken.
    assert_eq!(good(&format!("data: {}\n\ndata: {b}\n\n", chunk("a", r#","finishReason":"STOP""#))), ("ab".into(), 0));
    assert_eq!(good(&format!("data: {a}\n\ndata: {b}\n\ndata: {{\"usageMetadata\":{{\"promptTokenCount\":1}}}}\n\n")), ("ab".into(), 0));
    assert_eq!(good(&format!(": hi\n\ndata: : keepalive\n\ndata:{a}\n\ndata: {b}\n\ndata: [DONE]\n\n")), ("ab".into(), 0));
    assert_eq!(good(&format!("data: {a}\n\ndata: {{\"candi\n\ndata: {b}\n\n")), ("ab".into(), 1));
    assert_eq!(good(&format!("{a}\n{b}\n")), ("ab".into(), 0), "bare lines");
    assert_eq!(good(&format!("\u{feff}data: {a}\rdata: {b}\r\r")), ("ab".into(), 0), "lone carriage returns, no blank line");
    assert_eq!(good(&format!("data: [{a},{b}]\n\n")), ("ab".into(), 0));
    // A second answer, null fields, unknown parts, other spellings.
    assert_eq!(good(r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP","index":0},{"content":{"parts":[{"text":"b"}]},"index":1}]}"#).0, "a");
    assert_eq!(
        good(
            r#"{"error":null,"candidates":[{"content":null,"finishReason":null},{"content":{"parts":null},"finishReason":"STOP"}],"promptFeedback":null,"usageMetadata":null}"#
        ),
        (String::new(), 0)
    );
    assert_eq!(
        good(
            r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"executableCode":{"code":"1"}},{"newThing":{}},{},{"text":null}]},"finish_reason":"STOP","groundingMetadata":{}}],"model_version":"m"}"#
        ),
        ("a".into(), 0)
    );
    assert_eq!(good(r#"{"candidates":[{"content":{"parts":[7,{"text":"a"}]},"finishReason":1}]}"#), ("a".into(), 1));
}

#[test]
fn parts_that_only_this_wire_knows_are_kept_without_their_line_breaks() {
    let body = "{\"candidates\":[{\"content\":{\"parts\":[{\n \"inlineData\": {\"mimeType\": \"image/png\",\n\"data\": \"QQ==\"}, \"thoughtSignature\": \"S\"}]},\"finishReason\":\"STOP\"}]}";
    assert_eq!(
        read(body.as_bytes()).0.message.blocks,
        [raw(r#"{"inlineData":{"mimeType":"image/png","data":"QQ=="},"thoughtSignature":"S"}"#)]
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_succeed_without_an_end(body in prop_oneof![
        any::<Vec<u8>>(),
        prop::collection::vec(prop::sample::select(vec![
            "data: ", "\n", "[", "]", "{", "}", ",", "\"candidates\":", "[{\"content\":{\"parts\":[", "{\"text\":\"x\"}", "{\"functionCall\":{\"name\":\"f\",\"willContinue\":true}}",
            "{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":\"$.a\",\"stringValue\":\"x\"}]}}", "]}}]", "\"response\":", "\"error\":{\"code\":429}", "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"y\"}]}}]}",
        ]), 0..30).prop_map(|pieces| pieces.concat().into_bytes()),
    ]) {
        let (reply, _) = read(&body);
        // One whole object is an end by itself.
        let one = body.trim_ascii().starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
        prop_assert!(one || (!reply.complete && reply.error.is_some()));
    }
}
