//! Every recorded Responses exchange, read by the codec, gives what an independent reader made of the same bytes; and what
//! the codec writes of it, it reads again.

use super::recordings::{Exchange, exchanges};
use code_pup::model::{Accumulator, Block, Class, History, Message, Origin, Reply, Request, Role, Scope, StreamEvent};
use code_pup::wire::openai_responses::{Head, decode_request, encode_events, encode_reply};
use code_pup::wire::{Decoder, Dialect, Wire, classify, encode};
use serde_json::Value;
use std::sync::Arc;

/// How many exchanges have `"api": "responses"`.
const RESPONSES: usize = 46;

fn read(pieces: &[&[u8]]) -> (Reply, Vec<StreamEvent>) {
    let mut decoder = Decoder::new(Wire::OpenaiResponses, &Dialect::default());
    let mut events = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut events);
    }
    decoder.finish(&mut events);
    let mut all = Accumulator::default();
    for event in &events {
        all.push(event);
    }
    (all.finish(), events)
}

#[test]
fn every_responses_recording_gives_what_is_expected_of_it() {
    let Some(exchanges) = exchanges("responses") else { return };
    assert_eq!(exchanges.len(), RESPONSES);
    for exchange in &exchanges {
        if exchange.status == 200 { good(exchange) } else { refused(exchange) }
    }
}

fn good(x: &Exchange) {
    let (reply, events) = read(&[&x.body]);
    let (name, want) = (&x.name, &x.expect);
    // The recording's own fault: its first and last event are one brace short.
    let broken = name == "openai/responses-stream-parallel-wrapper-gpt-5_4";
    let unknown = events.iter().filter(|e| matches!(e, StreamEvent::Unknown { .. })).count();
    assert_eq!(unknown, if broken { 2 } else { 0 }, "{name}: not understood: {events:?}");
    let refusal = want["refusal"].as_str().unwrap_or("");
    assert_eq!(reply.message.joined_text(), format!("{}{refusal}", want["text"].as_str().unwrap_or("")), "{name}: text");
    let (mut thought, mut signed) = (String::new(), false);
    for block in &reply.message.blocks {
        if let Block::Thinking { text, signature, redacted } = block {
            assert!(!redacted, "{name}");
            thought += text;
            signed |= signature.is_some();
        }
    }
    assert_eq!(!thought.is_empty(), want["thinking_present"], "{name}: thinking");
    assert_eq!(thought.chars().count() as u64, want["thinking_chars"].as_u64().unwrap(), "{name}: thinking_chars");
    assert_eq!(signed, want["signature_present"], "{name}: signature");
    calls(name, &reply, want);
    usage(x, &reply);
    let servers: Vec<String> = reply.message.blocks.iter().filter_map(server_call).collect();
    let wanted: Vec<&str> = want["server_side_calls"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(servers, wanted, "{name}: server's calls");
    if let Some(error) = want.get("error").filter(|e| !e.is_null()) {
        let got = reply.error.as_ref().unwrap_or_else(|| panic!("{name}: no error"));
        let verdict = match name.as_str() {
            "openai/responses-stream-error-event-gpt-5-nano" => (Class::Billing, Scope::Key),
            _ => (Class::Quota, Scope::Key),
        };
        assert!(!reply.complete && got.message == error["message"].as_str().unwrap(), "{name}: {got}");
        assert_eq!((got.class, got.scope), verdict, "{name}");
        assert_eq!(got.code.as_deref(), error["code"].as_str().or(error["type"].as_str()), "{name}");
        assert_eq!(got.retry_after_s, error["retry_after_s"].as_f64(), "{name}");
        return;
    }
    assert_eq!(reply.complete, want["terminal"], "{name}: {:?}", reply.error);
    assert_eq!(reply.reason.as_deref(), want["finish_reason"].as_str(), "{name}: finish_reason");
    let stop = match want["finish_reason"].as_str() {
        Some("completed") if !refusal.is_empty() => "refusal",
        Some("completed") if !want["tool_calls"].as_array().unwrap().is_empty() => "tool_use",
        Some("completed") => "end",
        Some("incomplete:max_output_tokens") => "max_tokens",
        None => "error",
        other => panic!("{name}: no stop is written down for {other:?}"),
    };
    assert_eq!(reply.stop.as_str(), stop, "{name}: stop");
}

/// Items that are kept whole; notes on messages are none.
fn server_call(block: &Block) -> Option<String> {
    let Block::Opaque { wire, raw } = block else { return None };
    assert_eq!(wire, "openai-responses");
    let item: Value = serde_json::from_str(raw).unwrap();
    let kind = item["type"].as_str().unwrap();
    (kind != "message").then(|| kind.to_owned())
}

fn calls(name: &str, reply: &Reply, want: &Value) {
    let wanted = want["tool_calls"].as_array().unwrap();
    let got: Vec<_> = reply.message.calls().collect();
    assert_eq!(got.len(), wanted.len(), "{name}: number of calls");
    for (got, want) in got.iter().zip(wanted) {
        assert_eq!((got.id.as_str(), got.name.as_str()), (want["id"].as_str().unwrap(), want["name"].as_str().unwrap()), "{name}");
        match want.get("arguments_raw").and_then(Value::as_str) {
            Some(raw) => assert_eq!(got.args_raw, raw, "{name}"),
            None => assert_eq!(Value::Object(got.args().unwrap()), want["arguments"], "{name}"),
        }
    }
}

fn usage(x: &Exchange, reply: &Reply) {
    let n = |key: &str| x.expect["usage"][key].as_u64();
    let (got, name) = (reply.usage, &x.name);
    // The provider's count of the input includes what came from the cache and went into it; ours does not.
    let input = got.input.map(|i| i + got.cache_read.unwrap_or(0) + got.cache_write.unwrap_or(0));
    assert_eq!(input, n("input"), "{name}: input");
    assert_eq!(got.cache_read, n("cached"), "{name}: cached");
    // The independent reader passes over `cache_write_tokens`; where the bytes have it, they are believed.
    let body = String::from_utf8_lossy(&x.body);
    let said = body.rsplit_once("\"cache_write_tokens\":").map(|(_, rest)| {
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap()
    });
    assert_eq!(got.cache_write, said, "{name}: cache_write");
    assert_eq!((got.output, got.reasoning), (n("output"), n("reasoning")), "{name}: output");
}

fn refused(x: &Exchange) {
    let name = &x.name;
    let want = &x.expect["error"];
    let got = classify(Wire::OpenaiResponses, x.status, &x.headers, &x.body);
    assert_eq!(u64::from(got.status.unwrap()), want["status"], "{name}");
    assert_eq!(got.message, want["message"].as_str().unwrap(), "{name}");
    assert_eq!(got.code.as_deref(), want["code"].as_str().or(want["type"].as_str()), "{name}");
    assert_eq!(got.retry_after_s, want["retry_after_s"].as_f64(), "{name}: retry_after_s");
    let verdict = match (name.as_str(), x.status) {
        ("openai/responses-error-context-length-gpt-5-nano", _) => (Class::ContextTooLong, Scope::Request),
        ("openai/responses-error-400-this-model-does-not-exist", _) => (Class::NotFound, Scope::Model),
        ("xai/responses-error-400-grok-4_3", _) | (_, 401) => (Class::Auth, Scope::Key),
        (_, 400) => (Class::BadRequest, Scope::Request),
        (_, 429) => (Class::Quota, Scope::Key),
        (_, other) => panic!("{name}: no verdict is written down for status {other}"),
    };
    assert_eq!((got.class, got.scope), verdict, "{name}");
}

#[test]
fn where_a_body_is_split_changes_nothing() {
    let Some(exchanges) = exchanges("responses") else { return };
    for x in exchanges.iter().filter(|x| x.status == 200) {
        let whole = read(&[&x.body]);
        let bytes: Vec<&[u8]> = x.body.chunks(1).collect();
        assert_eq!(read(&bytes), whole, "{}: byte by byte", x.name);
        let step = (x.body.len() / 97).max(1);
        for at in (0..x.body.len()).step_by(step) {
            let (a, b) = x.body.split_at(at);
            assert_eq!(read(&[a, b]), whole, "{}: split at {at}", x.name);
        }
    }
}

#[test]
fn a_body_cut_anywhere_is_never_a_success() {
    let Some(exchanges) = exchanges("responses") else { return };
    for x in exchanges.iter().filter(|x| x.status == 200) {
        let (whole, _) = read(&[&x.body]);
        let step = (x.body.len() / 199).max(1);
        for at in (0..x.body.len()).step_by(step) {
            let (cut, _) = read(&[&x.body[..at]]);
            if cut.complete {
                assert_eq!(cut, whole, "{}: cut at {at}", x.name);
            } else {
                assert!(cut.error.is_some(), "{}: cut at {at}", x.name);
            }
        }
    }
}

/// A stream's events, each with the blank line behind it.
fn frames(body: &[u8]) -> Vec<String> {
    String::from_utf8(body.to_vec()).unwrap().split_inclusive("\n\n").map(str::to_owned).collect()
}

/// What must not differ however an event was mistreated; ids of items may be those of another event.
fn seen(reply: &Reply) -> (String, Vec<(String, String, Value)>, code_pup::model::Stop) {
    let calls = reply.message.calls().map(|c| (c.id.clone(), c.name.clone(), c.args().map_or(Value::Null, Value::Object)));
    (reply.message.joined_text(), calls.collect(), reply.stop)
}

#[test]
fn an_event_that_is_lost_or_comes_twice_or_cannot_be_read_gives_the_same_reply_or_an_error() {
    let Some(exchanges) = exchanges("responses") else { return };
    let (mut same, mut failed) = (0, 0);
    for x in exchanges.iter().filter(|x| x.status == 200 && x.body.starts_with(b"event") || x.body.starts_with(b"data")) {
        let all = frames(&x.body);
        let (whole, _) = read(&[&x.body]);
        let step = (all.len() / 40).max(1);
        for at in (0..all.len()).step_by(step) {
            let half = all[at].len() / 2;
            let half = (0..=half).rev().find(|n| all[at].is_char_boundary(*n)).unwrap();
            let broken = format!("{}\n\n", &all[at][..half]);
            for (how, instead) in [("lost", vec![]), ("twice", vec![all[at].clone(); 2]), ("cut", vec![broken])] {
                let spoilt = [&all[..at], &instead, &all[at + 1..]].concat().concat();
                let (got, _) = read(&[spoilt.as_bytes()]);
                if got.complete {
                    assert_eq!(seen(&got), seen(&whole), "{}: event {at} {how}: {}", x.name, all[at]);
                    same += 1;
                } else {
                    assert!(got.error.is_some());
                    failed += 1;
                }
            }
        }
    }
    assert!(same > 10 * failed && failed > 0, "{same} the same, {failed} failed");
}

#[test]
fn what_the_server_half_writes_of_a_recorded_reply_is_read_as_the_same_reply() {
    let Some(exchanges) = exchanges("responses") else { return };
    for x in exchanges.iter().filter(|x| x.status == 200) {
        let (want, events) = read(&[&x.body]);
        let (bytes, losses) = encode_events(Head::default(), &events);
        let unknown = losses.iter().filter(|l| l.at == "events").count();
        assert_eq!(losses.len(), unknown, "{}: {losses:?}", x.name);
        for (how, bytes) in [("streamed", bytes), ("whole", encode_reply(&want, 1))] {
            let (got, _) = read(&[&bytes]);
            let context = format!("{}: {how}", x.name);
            if let Some(error) = &want.error {
                let got = got.error.unwrap();
                assert_eq!((got.class, got.scope, got.message), (error.class, error.scope, error.message.clone()), "{context}");
                continue;
            }
            assert_eq!(got.message, want.message, "{context}");
            assert_eq!((got.usage, &got.id, &got.model), (want.usage, &want.id, &want.model), "{context}");
            // A stream that is already written cannot be called a refusal.
            if how == "streamed" && want.stop.as_str() == "refusal" {
                assert_eq!(got.stop.as_str(), "content_filter", "{context}");
            } else {
                assert_eq!((got.stop, &got.reason), (want.stop, &want.reason), "{context}");
            }
        }
    }
}

/// As a session would hold it: what the model said comes from the one that is asked.
fn at_home(request: &Request, home: &Origin) -> Request {
    let mark = |m: &Arc<Message>| {
        let mut m = m.as_ref().clone();
        m.origin = (m.role == Role::Assistant).then(|| home.clone());
        m
    };
    Request { messages: request.messages.iter().map(mark).collect::<History>(), ..request.clone() }
}

#[test]
fn every_recorded_request_is_read_and_written_again() {
    let Some(exchanges) = exchanges("responses") else { return };
    let (mut read, mut reasoned) = (0, 0);
    for x in &exchanges {
        if x.request.is_null() || x.request.to_string().contains("\"_elided\"") || x.request.get("model").is_none() {
            continue;
        }
        let want = decode_request(x.request.to_string().as_bytes()).unwrap_or_else(|e| panic!("{}: {e}", x.name));
        let home = Origin { provider: "openai".into(), account: None, model: want.model.clone() };
        let (bytes, losses) = encode(Wire::OpenaiResponses, &Dialect::default().to_target(home.clone()), &at_home(&want, &home));
        let lost: Vec<&str> = losses.iter().map(|l| l.at.as_str()).filter(|at| *at != "temperature").collect();
        assert_eq!(lost, Vec::<&str>::new(), "{}: {losses:?}", x.name);
        let mut got = decode_request(&bytes).unwrap_or_else(|e| panic!("{}: {e}", x.name));
        got.temperature = want.temperature;
        assert_eq!(got, want, "{}", x.name);
        let again: Value = serde_json::from_slice(&bytes).unwrap();
        let reasoning =
            |items: &Value| items.as_array().into_iter().flatten().filter(|i| i["type"] == "reasoning").cloned().collect::<Vec<_>>();
        assert_eq!(reasoning(&again["input"]), reasoning(&x.request["input"]), "{}", x.name);
        reasoned += reasoning(&again["input"]).len();
        read += 1;
    }
    assert!(read > 20 && reasoned > 0, "{read} requests, {reasoned} reasoning items");
}
