//! Replies of Responses, streamed and whole: as they should be, as they are met, cut, split and spoilt at every place.

use super::super::about;
use super::*;
use crate::model::{Accumulator, Block, Class, Reply};
use crate::wire::{Decoder, Dialect, Wire};
use proptest::prelude::*;
use serde_json::{Value, json};

fn events(pieces: &[&[u8]]) -> Vec<StreamEvent> {
    let mut decoder = Decoder::new(Wire::OpenaiResponses, &Dialect::default());
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

/// Events with numbers, as OpenAI frames them.
fn stream(all: &[Value]) -> String {
    let frame = |(n, event): (usize, &Value)| {
        let mut event = event.clone();
        event["sequence_number"] = n.into();
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
    };
    all.iter().enumerate().map(frame).collect()
}

/// The same as a server would send them that does not count.
fn bare(all: &[Value]) -> String {
    all.iter().map(|event| format!("data: {event}\n\n")).collect::<Vec<_>>().concat()
}

fn created() -> Value {
    json!({"type": "response.created", "response": {"id": "resp_1", "object": "response", "model": "m", "status": "in_progress", "output": []}})
}

fn completed(output: &[Value]) -> Value {
    let usage = json!({"input_tokens": 5, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 14});
    json!({"type": "response.completed", "response": {"id": "resp_1", "model": "m", "status": "completed", "output": output, "usage": usage}})
}

fn added(index: u64, item: &Value) -> Value {
    json!({"type": "response.output_item.added", "output_index": index, "item": item})
}

fn done(index: u64, item: &Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

fn piece(family: &str, index: u64, id: &str, delta: &str) -> Value {
    json!({"type": format!("response.{family}.delta"), "output_index": index, "item_id": id, "content_index": 0, "summary_index": 0, "delta": delta})
}

fn message(id: &str, text: &str) -> Value {
    let content = if text.is_empty() { json!([]) } else { json!([{"type": "output_text", "text": text, "annotations": []}]) };
    json!({"type": "message", "id": id, "role": "assistant", "status": "completed", "content": content})
}

fn call(n: u64, args: &str) -> Value {
    json!({"type": "function_call", "id": format!("fc_{n}"), "call_id": format!("call_{n}"), "name": "f", "arguments": args, "status": "completed"})
}

fn reasoning(id: &str, thoughts: &[&str], proof: Option<&str>) -> Value {
    let summary: Vec<Value> = thoughts.iter().map(|t| json!({"type": "summary_text", "text": t})).collect();
    json!({"type": "reasoning", "id": id, "summary": summary, "encrypted_content": proof})
}

/// A turn with everything: reasoning with a proof, text, two calls whose pieces mix.
fn turn() -> Vec<Value> {
    let (thought, said) = (reasoning("rs_1", &["one", "two"], Some("BLOB")), message("msg_1", "hello"));
    let part = |n: u64, delta: &str| json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "item_id": "rs_1", "summary_index": n, "delta": delta});
    vec![
        created(),
        added(0, &reasoning("rs_1", &[], Some("HALF"))),
        part(0, "one"),
        part(1, "tw"),
        part(1, "o"),
        done(0, &thought),
        added(1, &message("msg_1", "")),
        json!({"type": "response.content_part.added", "output_index": 1, "item_id": "msg_1", "content_index": 0, "part": {"type": "output_text", "text": ""}}),
        piece("output_text", 1, "msg_1", "hel"),
        piece("output_text", 1, "msg_1", "lo"),
        json!({"type": "response.output_text.done", "output_index": 1, "item_id": "msg_1", "content_index": 0, "text": "hello"}),
        done(1, &said),
        added(2, &call(1, "")),
        added(3, &call(2, "")),
        piece("function_call_arguments", 2, "fc_1", "{\"x\""),
        piece("function_call_arguments", 3, "fc_2", "{}"),
        piece("function_call_arguments", 2, "fc_1", ":1}"),
        done(3, &call(2, "{}")),
        done(2, &call(1, "{\"x\":1}")),
        completed(&[thought, said, call(1, "{\"x\":1}"), call(2, "{}")]),
    ]
}

fn calls(reply: &Reply) -> Vec<(&str, &str, &str)> {
    reply.message.calls().map(|c| (c.id.as_str(), c.name.as_str(), c.args_raw.as_str())).collect()
}

#[test]
fn a_turn_with_reasoning_text_and_calls_that_mix() {
    let r = reply(&stream(&turn()));
    let proof = reasoning("rs_1", &["one", "two"], Some("BLOB")).to_string();
    let thinking = |text: &str, signature| Block::Thinking { text: text.into(), signature, redacted: false };
    assert_eq!(r.message.blocks[..2], [thinking("one", None), thinking("two", Some(proof))], "the item is kept byte for byte");
    let notes = Block::Opaque { wire: "openai-responses".into(), raw: r#"{"type":"message","id":"msg_1"}"#.into() };
    assert_eq!(r.message.blocks[2..4], [notes, Block::Text { text: "hello".into() }]);
    assert_eq!(calls(&r), [("call_1", "f", "{\"x\":1}"), ("call_2", "f", "{}")]);
    let ids: Vec<&str> = r.message.calls().filter_map(|c| c.signature.as_deref()).collect();
    assert_eq!(ids, [r#"{"type":"function_call","id":"fc_1"}"#, r#"{"type":"function_call","id":"fc_2"}"#]);
    assert_eq!((r.stop, r.reason.as_deref(), r.complete), (Stop::ToolUse, Some("completed"), true));
    assert_eq!((r.id.as_deref(), r.model.as_deref()), (Some("resp_1"), Some("m")));
    assert_eq!(r.usage, Usage { input: Some(3), cache_read: Some(2), output: Some(9), reasoning: Some(4), ..Usage::default() });
    assert_eq!(reply(&bare(&turn())), r, "neither names nor numbers are needed");
    let Value::Object(mut whole) = turn().pop().unwrap()["response"].clone() else { panic!() };
    whole.insert("object".into(), "response".into());
    assert_eq!(reply(&Value::Object(whole).to_string()), r, "the same reply as one body");
}

#[test]
fn without_reasoning_that_goes_back_no_ids_are_kept() {
    let plain = [created(), done(0, &message("msg_1", "a")), done(1, &call(1, "{}")), completed(&[])];
    let r = reply(&stream(&plain));
    assert_eq!(r.message.blocks[0], Block::Text { text: "a".into() });
    assert_eq!(r.message.calls().next().unwrap().signature, None);
    let mut phased = message("msg_1", "a");
    phased["phase"] = "commentary".into();
    let r = reply(&stream(&[created(), done(0, &phased), completed(&[])]));
    let notes = r#"{"type":"message","id":"msg_1","phase":"commentary"}"#;
    assert_eq!(r.message.blocks[0], Block::Opaque { wire: "openai-responses".into(), raw: notes.into() });
    let unproven = reply(&stream(&[created(), done(0, &reasoning("rs_1", &["hm"], None)), done(1, &call(1, "{}")), completed(&[])]));
    assert_eq!(unproven.message.blocks[0], Block::Thinking { text: "hm".into(), signature: None, redacted: false });
    assert_eq!(unproven.message.calls().next().unwrap().signature, None);
}

#[test]
fn what_pieces_did_not_bring_is_taken_from_the_whole_form_and_nothing_comes_twice() {
    let said = message("msg_1", "hello");
    let start = added(0, &message("msg_1", ""));
    for (how, middle) in [
        ("all of it", vec![start.clone(), done(0, &said)]),
        ("the rest", vec![start.clone(), piece("output_text", 0, "msg_1", "hel"), done(0, &said)]),
        ("nothing", vec![start.clone(), piece("output_text", 0, "msg_1", "hello"), done(0, &said), done(0, &said)]),
        ("no start", vec![piece("output_text", 0, "msg_1", "hel"), done(0, &said)]),
        ("only the end", vec![done(0, &said)]),
        ("no end", vec![start.clone(), piece("output_text", 0, "msg_1", "hel"), piece("output_text", 0, "msg_1", "lo")]),
        ("a start that comes twice", vec![start.clone(), start.clone(), piece("output_text", 0, "msg_1", "hello"), done(0, &said)]),
        ("only the response", vec![]),
    ] {
        let body = bare(&[&[created()], middle.as_slice(), &[completed(std::slice::from_ref(&said))]].concat());
        let r = reply(&body);
        assert_eq!((r.message.blocks.len(), r.message.joined_text().as_str(), r.stop), (1, "hello", Stop::End), "{how}");
    }
    // Only in the items' own events: some servers' final response has none.
    let r = reply(&bare(&[created(), done(0, &call(1, "{\"a\":1}")), done(1, &said), completed(&[])]));
    assert_eq!((calls(&r), r.message.joined_text().as_str()), (vec![("call_1", "f", "{\"a\":1}")], "hello"));
}

#[test]
fn items_are_told_apart_whatever_their_ids_and_indexes() {
    let twice = |a: Value, b: Value| reply(&bare(&[created(), a, b, completed(&[])]));
    // Ids that change from event to event.
    let body: Vec<Value> = turn()
        .into_iter()
        .enumerate()
        .map(|(n, mut event)| {
            if event.get("item_id").is_some() {
                event["item_id"] = format!("x{n}").into();
            }
            if event.get("item").is_some() {
                event["item"]["id"] = format!("y{n}").into();
            }
            event
        })
        .collect();
    let r = reply(&stream(&body));
    assert_eq!((calls(&r), r.message.joined_text().as_str()), (vec![("call_1", "f", "{\"x\":1}"), ("call_2", "f", "{}")], "hello"));
    // Every index is 0, or there is none at all.
    for index in [Some(0), None] {
        let body: Vec<Value> = turn()
            .into_iter()
            .map(|mut event| {
                if let Some(fields) = event.as_object_mut().filter(|e| e.contains_key("output_index")) {
                    match index {
                        Some(n) => fields.insert("output_index".into(), n.into()),
                        None => fields.remove("output_index"),
                    };
                }
                event
            })
            .collect();
        assert_eq!(reply(&bare(&body)), reply(&stream(&turn())), "index {index:?}");
    }
    // The same call id twice, none, and none but the item's.
    let mut none = call(2, "{}");
    none.as_object_mut().unwrap().remove("call_id");
    let r = twice(done(0, &call(1, "{}")), done(1, &none));
    assert_eq!(calls(&r).iter().map(|c| c.0).collect::<Vec<_>>(), ["call_1", "fc_2"]);
    none.as_object_mut().unwrap().remove("id");
    let r = twice(done(0, &none), done(1, &none));
    let ids: Vec<&str> = calls(&r).iter().map(|c| c.0).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1] && ids.iter().all(|id| id.starts_with("call_")), "{ids:?}");
    assert_eq!(r, twice(done(0, &none), done(1, &none)), "the same bytes give the same ids");
}

#[test]
fn pieces_that_name_no_item_are_those_of_the_whole_form_that_begins_like_them() {
    let nameless = |text: &str| json!({"type": "response.output_text.delta", "delta": text});
    for output in [vec![], vec![message("msg_1", "hey")]] {
        let r = reply(&bare(&[created(), nameless("he"), nameless("y"), completed(&output)]));
        assert_eq!((r.complete, r.message.joined_text().as_str()), (true, "hey"), "{output:?}");
    }
    let r = reply(&bare(&[created(), nameless("he"), done(0, &message("msg_1", "hey")), completed(&[message("msg_1", "hey")])]));
    assert_eq!((r.complete, r.message.joined_text().as_str()), (true, "hey"));
}

#[test]
fn arguments_that_contradict_their_whole_form_are_never_run() {
    let pieces = |whole: &str| {
        let middle = [added(0, &call(1, "")), piece("function_call_arguments", 0, "fc_1", "{\"a\": 1}"), done(0, &call(1, whole))];
        reply(&bare(&[&[created()], middle.as_slice(), &[completed(&[])]].concat()))
    };
    assert_eq!(calls(&pieces("{\"a\":1}")), [("call_1", "f", "{\"a\": 1}")], "other spaces are the same object");
    let r = pieces("{\"a\":2}");
    assert!(!r.complete && r.error.as_ref().unwrap().class == Class::Network, "{r:?}");
    assert!(pieces("").complete, "a server that leaves them out of the end");
}

#[test]
fn what_was_lost_on_the_way_is_taken_from_the_whole_form() {
    let said = message("msg_1", "hello world");
    let all = [
        created(),
        added(0, &message("msg_1", "")),
        piece("output_text", 0, "msg_1", "hel"),
        piece("output_text", 0, "msg_1", "lo "),
        piece("output_text", 0, "msg_1", "world"),
        done(0, &said),
        completed(&[]),
    ];
    let want = reply(&stream(&all));
    let frames: Vec<String> = stream(&all).split_inclusive("\n\n").map(str::to_owned).collect();
    for at in 0..frames.len() - 1 {
        let broken = format!("data: {}\n\n", &frames[at][..frames[at].len() / 2].split_once("data: ").map_or("{", |(_, d)| d));
        for instead in [String::new(), broken, frames[at].repeat(2)] {
            let mut spoilt = frames.clone();
            spoilt[at] = instead;
            let got = reply(&spoilt.concat());
            assert_eq!((got.message.joined_text(), got.stop), (want.message.joined_text(), Stop::End), "event {at}: {}", spoilt[at]);
        }
    }
    // Without the whole form, what is there is all there is; a wrong one shows that something is missing.
    let lost = |end: Value| reply(&stream(&all).replace("hel\"", "hel").replace(&done(0, &said)["item"].to_string(), &end.to_string()));
    assert_eq!(lost(message("msg_1", "")).message.joined_text(), "lo world");
    let other = reply(&bare(&[created(), all[2].clone(), done(0, &message("msg_1", "other")), completed(&[])]));
    assert_eq!((other.message.joined_text().as_str(), other.complete), ("hel", true), "a server's own idea of its text");
    let holed =
        format!("{}data: {{\"type\n\n{}", bare(&[created(), all[2].clone()]), bare(&[done(0, &message("msg_1", "other")), completed(&[])]));
    assert_eq!(reply(&holed).error.unwrap().class, Class::Network);
}

#[test]
fn reasoning_whose_whole_form_was_lost_is_no_success() {
    let proven = reasoning("rs_1", &[], Some("BLOB"));
    let events = |output: &[Value]| {
        let all = [
            created(),
            added(0, &reasoning("rs_1", &[], Some("HALF"))),
            done(0, &proven),
            added(1, &call(1, "{}")),
            done(1, &call(1, "{}")),
        ];
        [&all[..], &[completed(output)]].concat()
    };
    // Neither without it, nor from the list at the end, where it would stand behind the call that it led to.
    for output in [vec![], vec![proven.clone(), call(1, "{}")]] {
        let all = events(&output);
        assert!(reply(&stream(&all)).complete);
        let whole = stream(&all);
        let frames: Vec<&str> = whole.split_inclusive("\n\n").collect();
        let without = [&frames[..2], &frames[3..]].concat().concat();
        let got = reply(&without);
        assert!(!got.complete && got.error.is_some_and(|e| e.class == Class::Network), "{output:?}");
    }
}

#[test]
fn every_way_to_end_has_its_meaning() {
    let end = |kind: &str, response: Value| {
        let said = [created(), done(0, &message("msg_1", "so far")), json!({"type": kind, "response": response})];
        reply(&stream(&said))
    };
    let status = |status: &str, reason: &str| json!({"id": "resp_1", "status": status, "incomplete_details": {"reason": reason}});
    for (kind, response, stop, word) in [
        ("response.completed", json!({"status": "completed"}), Stop::End, "completed"),
        ("response.completed", json!({"status": "in_progress"}), Stop::End, "completed"),
        ("response.done", json!({}), Stop::End, "completed"),
        ("response.done", status("incomplete", "max_output_tokens"), Stop::MaxTokens, "incomplete:max_output_tokens"),
        ("response.incomplete", status("incomplete", "content_filter"), Stop::ContentFilter, "incomplete:content_filter"),
        ("response.incomplete", status("incomplete", "full_moon"), Stop::Unknown, "incomplete:full_moon"),
        ("response.incomplete", json!({}), Stop::Unknown, "incomplete"),
    ] {
        let r = end(kind, response.clone());
        assert_eq!((r.stop, r.reason.as_deref(), r.complete), (stop, Some(word), true), "{kind} {response}");
    }
    for (kind, response, class) in [
        ("response.failed", json!({"error": {"code": "rate_limit_exceeded", "message": "m"}}), Class::RateLimit),
        ("response.failed", json!({"status": "failed", "error": null}), Class::Server),
        ("response.done", json!({"status": "failed", "error": {"code": "context_length_exceeded", "message": "m"}}), Class::ContextTooLong),
        ("response.cancelled", json!({"status": "cancelled"}), Class::Server),
        ("response.completed", json!({"status": "cancelled"}), Class::Server),
    ] {
        let r = end(kind, response.clone());
        assert_eq!((r.error.as_ref().map(|e| e.class), r.complete), (Some(class), false), "{kind} {response}");
    }
    let flat = [created(), json!({"type": "error", "code": "server_error", "message": "it broke", "param": null})];
    let r = reply(&stream(&flat));
    assert_eq!((r.error.as_ref().map(|e| e.class), r.error.unwrap().message.as_str()), (Some(Class::Server), "it broke"));
    let failed = [
        created(),
        json!({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "m"}, "usage": {"input_tokens": 7}}}),
    ];
    assert_eq!(reply(&stream(&failed)).usage.input, Some(7), "what a failure cost is known");
}

#[test]
fn a_stream_without_an_end_is_never_a_success() {
    for ending in ["", "data: [DONE]\n\n", "event: response.completed\ndata: {\"type\":\"response.compl\n\n"] {
        let whole = bare(&turn()[..turn().len() - 1]) + ending;
        let r = reply(&whole);
        assert!(!r.complete && r.error.as_ref().unwrap().message.contains("before its terminal event"), "{ending}: {r:?}");
    }
    for (body, says) in [
        ("", "without an answer"),
        ("<html><title>Sign in</title>", "a web page"),
        (r#"{"id":"chatcmpl-1","choices":[]}"#, "not a response"),
        (r#"{"object":"response","status":"queued","output":[]}"#, "queued"),
        (r#"{"object":"response","output":["#, "or it was cut"),
    ] {
        let error = reply(body).error.unwrap();
        assert!(error.class == Class::Network && error.message.contains(says), "{body}: {error}");
    }
    let refused = reply(r#"{"error":{"message":"no","code":"insufficient_quota"}}"#).error.unwrap();
    assert_eq!((refused.class, refused.message.as_str()), (Class::Billing, "no"));
    assert_eq!(reply(r#"{"detail":"Not that"}"#).error.unwrap().message, "Not that");
    let two = [turn(), vec![json!({"type": "response.created", "response": {"id": "resp_2"}})]].concat();
    let body = bare(&[&two[..10], &two[two.len() - 1..]].concat());
    assert!(reply(&body).error.unwrap().message.contains("second answer"));
}

#[test]
fn refusals_custom_calls_and_the_vendors_own_items() {
    let refusal = json!({"type": "message", "id": "m", "role": "assistant", "content": [{"type": "refusal", "refusal": "I must not"}]});
    for middle in [vec![done(0, &refusal)], vec![piece("refusal", 0, "m", "I must"), piece("refusal", 0, "m", " not"), done(0, &refusal)]] {
        let r = reply(&bare(&[&[created()], middle.as_slice(), &[completed(&[])]].concat()));
        assert_eq!((r.message.joined_text().as_str(), r.stop), ("I must not", Stop::Refusal));
    }
    let custom = json!({"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "math", "input": "4 + 4"});
    let mut start = custom.clone();
    start["input"] = "".into();
    let streamed = [created(), added(0, &start), piece("custom_tool_call_input", 0, "ctc_1", "4 +"), done(0, &custom), completed(&[])];
    let r = reply(&stream(&streamed));
    assert_eq!((calls(&r), r.stop), (vec![("call_1", "math", "4 + 4")], Stop::ToolUse));
    assert!(about::is_custom(r.message.calls().next().unwrap().signature.as_deref()));

    let search = r#"{"id": "ws_1", "type":"web_search_call", "action": {"query": "é", "n": 1.50}}"#;
    let body = format!(
        "{}data: {{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{search}}}\n\n{}",
        bare(&[
            created(),
            added(0, &json!({"id": "ws_1", "type": "web_search_call"})),
            json!({"type": "response.web_search_call.searching", "output_index": 0})
        ]),
        bare(&[completed(&[])]),
    );
    let all = events(&[body.as_bytes()]);
    assert!(!all.iter().any(|e| matches!(e, StreamEvent::Unknown { .. })), "{all:?}");
    let opaque = |raw: &str| Block::Opaque { wire: "openai-responses".into(), raw: raw.into() };
    assert_eq!(gather(&all).message.blocks, [opaque(search)]);
    let unfinished = reply(&bare(&[created(), added(0, &json!({"id": "ws_1", "type": "web_search_call"})), completed(&[])]));
    assert_eq!(unfinished.message.blocks, [opaque(r#"{"id":"ws_1","type":"web_search_call"}"#)]);
}

#[test]
fn what_is_not_known_is_handed_on_and_ends_nothing() {
    let odd = [
        created(),
        json!({"type": "codex.rate_limits", "plan_type": "plus", "rate_limits": {"primary": {"used_percent": 12.5}}}),
        json!({"type": "response.brand_new.delta", "delta": "x", "output_index": 7}),
        json!({"type": "keepalive"}),
        json!({"type": "response.output_item.added", "item": 5}),
        json!({"type": "response.output_text.annotation.added", "output_index": 0, "annotation": {"type": "url_citation"}}),
        done(0, &message("msg_1", "fine")),
        completed(&[]),
    ];
    let body = format!(": comment\n\nevent: ping\ndata: {{\"x\":1}}\n\ndata: : keep-alive\n\n{}data: [DONE]\n\n", stream(&odd));
    let all = events(&[body.as_bytes()]);
    let unknown: Vec<&str> =
        all.iter().filter_map(|e| if let StreamEvent::Unknown { raw } = e { Some(raw.as_str()) } else { None }).collect();
    assert!(unknown.len() == 3 && unknown[0].contains("codex.rate_limits") && unknown[1].contains("brand_new"), "{unknown:?}");
    assert_eq!((gather(&all).message.joined_text().as_str(), gather(&all).complete), ("fine", true));
    // Events that lack the blank line between them, and a JSON line for each.
    let lines = bare(&[created(), done(0, &message("msg_1", "fine")), completed(&[])]);
    assert_eq!(reply(&lines.replace("\n\n", "\n")).message.joined_text(), "fine");
    assert_eq!(reply(&lines.replace("data: ", "").replace("\n\n", "\n")).message.joined_text(), "fine");
    assert_eq!(reply(&lines.replace('\n', "\r\n")).message.joined_text(), "fine");
}

#[test]
fn words_in_place_of_a_reply_are_the_error() {
    for (body, class) in [
        (r#"{"detail":"it broke"}"#, Class::Server),
        (r#"{"message":"Unauthorized"}"#, Class::Auth),
        ("event: error\ndata: {\"type\":\"invalid_request_error\",\"message\":\"m\"}\n\n", Class::BadRequest),
        ("data: {\"type\":\"invalid_request_error\",\"message\":\"m\"}\n\n", Class::BadRequest),
    ] {
        let reply = reply(body);
        assert_eq!((reply.complete, reply.error.map(|e| e.class)), (false, Some(class)), "{body}");
    }
}

#[test]
fn shortened_names_come_back_whole() {
    let long = format!("mcp__{}", "x".repeat(80));
    let tools = [ToolSpec { name: long.clone(), description: String::new(), parameters: json!({}) }];
    let mut item = call(1, "{}");
    item["name"] = crate::wire::names::wire_name(&long).into_owned().into();
    let mut decoder = Decoder::new(Wire::OpenaiResponses, &Dialect::default()).with_tools(&tools);
    let mut out = Vec::new();
    decoder.feed(bare(&[created(), done(0, &item), completed(&[])]).as_bytes(), &mut out);
    assert_eq!(gather(&out).message.calls().next().unwrap().name, long);
}

#[test]
fn cut_and_split_at_every_byte() {
    let body = stream(&turn());
    let whole = reply(&body);
    for at in 0..body.len() {
        let (a, b) = body.as_bytes().split_at(at);
        assert_eq!(gather(&events(&[a, b])), whole, "split at {at}");
        let cut = gather(&events(&[a]));
        assert!(cut == whole || (!cut.complete && cut.error.is_some()), "cut at {at}");
    }
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        events(&[&body]);
    }

    /// Whatever becomes of the order and number of good events, a call is run only with arguments that it had.
    #[test]
    fn no_order_of_events_makes_a_wrong_call(order in prop::collection::vec(0usize..20, 0..40), numbered in any::<bool>()) {
        let all = turn();
        let some: Vec<Value> = order.iter().map(|n| all[*n].clone()).collect();
        let r = reply(&if numbered { stream(&some) } else { bare(&some) });
        if r.complete {
            for call in r.message.calls() {
                let want = if call.id == "call_1" { json!({"x": 1}) } else { json!({}) };
                let given = call.args().map(Value::Object);
                prop_assert!(given.is_err() || given == Ok(want), "{:?}", call);
            }
        }
    }
}
