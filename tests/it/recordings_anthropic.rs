//! Every recorded Messages exchange, read by the codec, gives what an independent reader made of the same bytes; and what
//! the codec writes of it, it reads again.

use super::recordings::{Exchange, exchanges};
use code_pup::model::{Accumulator, Block, Class, History, Origin, Reply, Role, Scope, StreamEvent};
use code_pup::wire::anthropic::{Head, decode_count, decode_request, encode_events, encode_reply};
use code_pup::wire::{Decoder, Dialect, Wire, classify, encode};
use serde_json::Value;
use std::sync::Arc;

/// How many exchanges have `"api": "messages"`.
const MESSAGES: usize = 37;
/// And `"api": "count_tokens"`.
const COUNTS: usize = 2;

fn read(pieces: &[&[u8]]) -> (Reply, Vec<StreamEvent>) {
    let mut decoder = Decoder::new(Wire::Anthropic, &Dialect::default());
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
fn every_messages_recording_gives_what_is_expected_of_it() {
    let Some(exchanges) = exchanges("messages") else { return };
    assert_eq!(exchanges.len(), MESSAGES);
    for exchange in &exchanges {
        if exchange.status == 200 { good(exchange) } else { refused(exchange) }
    }
}

fn good(x: &Exchange) {
    let (reply, events) = read(&[&x.body]);
    let (name, want) = (&x.name, &x.expect);
    assert!(!events.iter().any(|e| matches!(e, StreamEvent::Unknown { .. })), "{name}: something was not understood: {events:?}");
    assert_eq!(reply.message.joined_text(), want["text"].as_str().unwrap_or(""), "{name}: text");
    let (mut thought, mut chars, mut signed, mut redacted) = (false, 0, false, false);
    for block in &reply.message.blocks {
        if let Block::Thinking { text, signature, redacted: hidden } = block {
            thought |= !text.is_empty() || *hidden;
            chars += text.chars().count() as u64;
            signed |= signature.is_some() && !hidden;
            redacted |= hidden;
        }
    }
    assert_eq!((thought, chars), (want["thinking_present"] == true, want["thinking_chars"].as_u64().unwrap()), "{name}: thinking");
    assert_eq!((signed, redacted), (want["signature_present"] == true, want["redacted_thinking"] == true), "{name}: proofs");
    calls(name, &reply, want);
    usage(x, &reply);
    let servers: Vec<String> = reply.message.blocks.iter().filter_map(server_call).collect();
    let wanted: Vec<&str> = want["server_side_calls"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(servers, wanted, "{name}: server's calls");
    if let Some(error) = want.get("error").filter(|e| !e.is_null()) {
        let got = reply.error.as_ref().unwrap_or_else(|| panic!("{name}: no error"));
        assert!(!reply.complete && got.message == error["message"].as_str().unwrap(), "{name}: {got}");
        assert_eq!((got.class, got.scope, got.code.as_deref()), (Class::Overloaded, Scope::Model, error["type"].as_str()), "{name}");
        return;
    }
    assert_eq!(reply.complete, want["terminal"], "{name}: {:?}", reply.error);
    assert_eq!(reply.reason.as_deref(), want["finish_reason"].as_str(), "{name}: finish_reason");
    let stop = match want["finish_reason"].as_str().unwrap() {
        "end_turn" => "end",
        "pause_turn" => "pause",
        other => other,
    };
    assert_eq!(reply.stop.as_str(), stop, "{name}: stop");
}

fn server_call(block: &Block) -> Option<String> {
    let Block::Opaque { wire, raw } = block else { return None };
    assert_eq!(wire, "anthropic");
    let value: Value = serde_json::from_str(raw).unwrap();
    if value["type"] != "server_tool_use" {
        return None;
    }
    assert!(!value["input"].as_object().unwrap().is_empty(), "the streamed input is in its place: {raw}");
    value["name"].as_str().map(str::to_owned)
}

fn calls(name: &str, reply: &Reply, want: &Value) {
    let wanted = want["tool_calls"].as_array().unwrap();
    let got: Vec<_> = reply.message.calls().collect();
    assert_eq!(got.len(), wanted.len(), "{name}: number of calls");
    for (got, want) in got.iter().zip(wanted) {
        assert_eq!((got.id.as_str(), got.name.as_str()), (want["id"].as_str().unwrap(), want["name"].as_str().unwrap()), "{name}");
        assert_eq!(Value::Object(got.args().unwrap()), want["arguments"], "{name}");
    }
}

fn usage(x: &Exchange, reply: &Reply) {
    let n = |key: &str| x.expect["usage"][key].as_u64();
    let (got, name) = (reply.usage, &x.name);
    assert_eq!(got.input, n("input"), "{name}: input");
    assert_eq!(got.cache_read, n("cached"), "{name}: cached");
    let written = got.cache_write.map(|short| short + got.cache_write_1h.unwrap_or(0));
    assert_eq!(written, n("cache_write"), "{name}: cache_write");
    assert_eq!(got.output, n("output"), "{name}: output");
    // The independent reader passes over `thinking_tokens`; where the bytes have it, they are believed.
    let said = String::from_utf8_lossy(&x.body).rsplit_once("\"thinking_tokens\":").map(|(_, rest)| {
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap()
    });
    assert_eq!(got.reasoning, said, "{name}: reasoning");
}

fn refused(x: &Exchange) {
    let name = &x.name;
    let want = &x.expect["error"];
    let got = classify(Wire::Anthropic, x.status, &x.headers, &x.body);
    assert_eq!(u64::from(got.status.unwrap()), want["status"], "{name}");
    assert_eq!(got.message, want["message"].as_str().unwrap(), "{name}");
    assert_eq!(got.code.as_deref(), want["type"].as_str(), "{name}");
    assert_eq!(got.retry_after_s, want["retry_after_s"].as_f64(), "{name}: retry_after_s");
    let verdict = match (name.as_str(), x.status) {
        ("anthropic/error-context-length-claude-haiku-4-5", _) => (Class::ContextTooLong, Scope::Request),
        (_, 400) => (Class::BadRequest, Scope::Request),
        (_, 401) => (Class::Auth, Scope::Key),
        (_, 404) => (Class::NotFound, Scope::Model),
        (_, 529) => (Class::Overloaded, Scope::Model),
        (_, other) => panic!("{name}: no verdict is written down for status {other}"),
    };
    assert_eq!((got.class, got.scope), verdict, "{name}");
}

#[test]
fn every_count_recording_gives_its_count_or_its_refusal() {
    let Some(mut exchanges) = exchanges("count_tokens") else { return };
    exchanges.retain(|x| x.provider == "anthropic");
    assert_eq!(exchanges.len(), COUNTS);
    for x in &exchanges {
        let request = decode_request(x.request.to_string().as_bytes()).unwrap();
        assert_eq!(request.max_output, None, "{}", x.name);
        if x.status == 200 {
            assert_eq!(decode_count(&x.body).ok(), x.expect["input_tokens"].as_u64(), "{}", x.name);
        } else {
            refused(x);
        }
    }
}

#[test]
fn where_a_body_is_split_changes_nothing() {
    let Some(exchanges) = exchanges("messages") else { return };
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
fn a_body_cut_anywhere_is_never_a_wrong_success() {
    let Some(exchanges) = exchanges("messages") else { return };
    for x in exchanges.iter().filter(|x| x.status == 200) {
        let (whole, _) = read(&[&x.body]);
        let step = (x.body.len() / 199).max(1);
        for at in (0..x.body.len()).step_by(step) {
            let (cut, _) = read(&[&x.body[..at]]);
            if cut.complete {
                assert_eq!((cut.message, cut.stop, cut.usage), (whole.message.clone(), whole.stop, whole.usage), "{}: cut at {at}", x.name);
            } else {
                assert!(cut.error.is_some(), "{}: cut at {at}", x.name);
            }
        }
    }
}

#[test]
fn what_the_server_half_writes_of_a_recorded_reply_is_read_as_the_same_reply() {
    let Some(exchanges) = exchanges("messages") else { return };
    for x in exchanges.iter().filter(|x| x.status == 200) {
        let (want, events) = read(&[&x.body]);
        let (bytes, losses) = encode_events(Head::default(), &events);
        assert_eq!(losses, [], "{}", x.name);
        for (how, bytes) in [("streamed", bytes), ("whole", encode_reply(&want))] {
            let (got, _) = read(&[&bytes]);
            assert_eq!(got.message, want.message, "{}: {how}", x.name);
            assert_eq!((got.stop, &got.reason, &got.error), (want.stop, &want.reason, &want.error), "{}: {how}", x.name);
            if want.error.is_none() {
                assert_eq!((got.usage, &got.id, &got.model), (want.usage, &want.id, &want.model), "{}: {how}", x.name);
            }
        }
    }
}

#[test]
fn every_recorded_request_is_read_and_written_again() {
    let Some(exchanges) = exchanges("messages") else { return };
    let mut read = 0;
    for x in &exchanges {
        if x.request.is_null() || x.request.to_string().contains("\"_elided\"") {
            continue;
        }
        let once = decode_request(x.request.to_string().as_bytes());
        if x.name == "anthropic/error-400-claude-3-opus" {
            assert_eq!(once.unwrap_err().to_string(), "messages[0]: expected an object");
            continue;
        }
        let want = once.unwrap_or_else(|e| panic!("{}: {e}", x.name));
        // As a session would hold it: what the model said comes from the one that is asked.
        let home = Origin { provider: "anthropic".into(), account: None, model: want.model.clone() };
        let mark = |m: &Arc<code_pup::model::Message>| {
            let mut m = m.as_ref().clone();
            m.origin = (m.role == Role::Assistant).then(|| home.clone());
            m
        };
        let mut sent = want.clone();
        sent.messages = want.messages.iter().map(mark).collect::<History>();
        let (bytes, losses) = encode(Wire::Anthropic, &Dialect::default().to_target(home.clone()), &sent);
        let mut got = decode_request(&bytes).unwrap_or_else(|e| panic!("{}: {e}", x.name));
        let lost: Vec<&str> =
            losses.iter().map(|l| l.at.as_str()).filter(|at| !matches!(*at, "temperature" | "reasoning_effort")).collect();
        assert_eq!(lost, Vec::<&str>::new(), "{}", x.name);
        got.temperature = want.temperature;
        assert_eq!(got, want, "{}", x.name);
        read += 1;
    }
    assert!(read > 20, "{read} requests");
}
