//! Every recorded exchange of Google's wire (the API, Vertex, and the internal door), read by the codec, gives what an
//! independent reader made of the same bytes; and what the codec writes of it, it reads again.

use super::recordings::{Exchange, exchanges};
use code_pup::model::{Accumulator, Block, Class, History, Message, Origin, Reply, Role, Scope, Stop, StreamEvent};
use code_pup::wire::gemini::{Head, decode_count, decode_embed, decode_models, decode_request, encode_events, encode_reply};
use code_pup::wire::{Decoder, Dialect, Wire, antigravity, classify, encode};
use serde_json::Value;
use std::sync::Arc;

/// How many exchanges have each of the APIs.
const APIS: [(&str, usize); 3] = [("gemini", 15), ("gemini_stream", 15), ("cloudcode", 5)];

fn all() -> Option<Vec<(Wire, Exchange)>> {
    let mut found = Vec::new();
    for (api, count) in APIS {
        let wire = if api == "cloudcode" { Wire::Antigravity } else { Wire::Gemini };
        let of_api = exchanges(api)?;
        assert_eq!(of_api.len(), count, "{api}");
        found.extend(of_api.into_iter().map(|x| (wire, x)));
    }
    Some(found)
}

fn good() -> Option<Vec<(Wire, Exchange)>> {
    all().map(|all| all.into_iter().filter(|(_, x)| x.status == 200).collect())
}

fn read(wire: Wire, pieces: &[&[u8]]) -> (Reply, Vec<StreamEvent>) {
    let mut decoder = Decoder::new(wire, &Dialect::default());
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
fn every_recording_gives_what_is_expected_of_it() {
    let Some(all) = all() else { return };
    for (wire, x) in &all {
        if x.status == 200 { answered(*wire, x) } else { refused(*wire, x) }
    }
}

fn answered(wire: Wire, x: &Exchange) {
    let (reply, events) = read(wire, &[&x.body]);
    let (name, want) = (&x.name, &x.expect);
    assert!(!events.iter().any(|e| matches!(e, StreamEvent::Unknown { .. })), "{name}: something was not understood: {events:?}");
    assert_eq!(reply.message.joined_text(), want["text"].as_str().unwrap_or(""), "{name}: text");
    let (mut thought, mut chars, mut signed, mut own) = (false, 0, false, Vec::new());
    for block in &reply.message.blocks {
        match block {
            Block::Thinking { text, signature, .. } => {
                thought = true;
                chars += text.chars().count() as u64;
                signed |= signature.is_some();
            }
            Block::ToolCall(call) => signed |= call.signature.is_some(),
            Block::Opaque { wire, raw } => {
                assert_eq!(wire, "gemini", "{name}");
                let part: Value = serde_json::from_str(raw).unwrap();
                signed |= part["thoughtSignature"].is_string();
                own.extend(["executableCode", "codeExecutionResult"].iter().filter(|key| !part[**key].is_null()).map(|_| "code_execution"));
            }
            _ => {}
        }
    }
    assert_eq!((thought, chars), (want["thinking_present"] == true, want["thinking_chars"].as_u64().unwrap()), "{name}: thinking");
    assert_eq!(signed, want["signature_present"] == true, "{name}: signature");
    let servers: Vec<&str> = want["server_side_calls"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(own, servers, "{name}: the server's own calls");
    calls(name, &reply, want);
    usage(x, &reply);
    assert_eq!(reply.complete, want["terminal"], "{name}: {:?}", reply.error);
    assert_eq!(reply.reason.as_deref(), want["finish_reason"].as_str(), "{name}: finish_reason");
    let stop = match want["finish_reason"].as_str().unwrap() {
        "STOP" | "OTHER" if reply.message.calls().next().is_some() => Stop::ToolUse,
        "STOP" => Stop::End,
        "MAX_TOKENS" => Stop::MaxTokens,
        "SAFETY" => Stop::ContentFilter,
        other => panic!("{name}: no meaning is written down for {other}"),
    };
    assert_eq!(reply.stop, stop, "{name}: stop");
}

fn calls(name: &str, reply: &Reply, want: &Value) {
    let wanted = want["tool_calls"].as_array().unwrap();
    let got: Vec<_> = reply.message.calls().collect();
    assert_eq!(got.len(), wanted.len(), "{name}: number of calls");
    for (n, (got, want)) in got.iter().zip(wanted).enumerate() {
        assert_eq!(got.name, want["name"], "{name}");
        match want["id"].as_str() {
            Some(id) => assert_eq!(got.id, id, "{name}"),
            None => assert!(!got.id.is_empty(), "{name}: an id had to be minted"),
        }
        assert!(reply.message.calls().take(n).all(|c| c.id != got.id), "{name}: an id twice");
        assert_eq!(Value::Object(got.args().unwrap()), want["arguments"], "{name}");
    }
}

fn usage(x: &Exchange, reply: &Reply) {
    let n = |key: &str| x.expect["usage"][key].as_u64();
    let (got, name) = (reply.usage, &x.name);
    // The provider's prompt count includes what came from the cache and leaves out what its tools added; ours does neither.
    let prompt = got.input.map(|i| i + got.cache_read.unwrap_or(0) - n("tool_prompt").unwrap_or(0));
    assert_eq!(prompt, n("input"), "{name}: prompt");
    assert_eq!(got.cache_read, n("cached"), "{name}: cached");
    assert_eq!(got.reasoning, n("reasoning"), "{name}: reasoning");
    assert_eq!(got.output.map(|o| o - got.reasoning.unwrap_or(0)), n("output"), "{name}: output");
}

fn refused(wire: Wire, x: &Exchange) {
    let name = &x.name;
    let want = &x.expect["error"];
    let got = classify(wire, x.status, &x.headers, &x.body);
    assert_eq!(u64::from(got.status.unwrap()), want["status"], "{name}");
    assert!(want["message"].as_str().unwrap().starts_with(got.message.trim_end_matches('.')), "{name}: {got}");
    let near = |a: f64, b: f64| (a - b).abs() < 1e-5;
    assert!(
        got.retry_after_s.zip(want["retry_after_s"].as_f64()).is_none_or(|(a, b)| near(a, b))
            && got.retry_after_s.is_some() == want["retry_after_s"].is_f64(),
        "{name}: {:?}",
        got.retry_after_s
    );
    let verdict = match (name.as_str(), x.status) {
        ("gemini/error-400-gemini-2_5-flash", _) => (Class::Auth, Scope::Key),
        (_, 400) => (Class::BadRequest, Scope::Request),
        (_, 404) => (Class::NotFound, Scope::Model),
        (_, 429) => (Class::RateLimit, Scope::Model),
        (_, other) => panic!("{name}: no verdict is written down for status {other}"),
    };
    assert_eq!((got.class, got.scope), verdict, "{name}");
}

#[test]
fn where_a_body_is_split_changes_nothing() {
    let Some(all) = good() else { return };
    for (wire, x) in &all {
        let whole = read(*wire, &[&x.body]);
        let bytes: Vec<&[u8]> = x.body.chunks(1).collect();
        assert_eq!(read(*wire, &bytes), whole, "{}: byte by byte", x.name);
        let step = (x.body.len() / 97).max(1);
        for at in (0..x.body.len()).step_by(step) {
            let (a, b) = x.body.split_at(at);
            assert_eq!(read(*wire, &[a, b]), whole, "{}: split at {at}", x.name);
        }
    }
}

#[test]
fn a_body_cut_anywhere_is_never_a_wrong_success() {
    let Some(all) = good() else { return };
    // A client's library, not the provider, put two replies into one stream there: the first one ends by itself.
    for (wire, x) in all.iter().filter(|(_, x)| x.name != "gemini/stream-function-call-gemini-2_5-flash-2") {
        let (whole, _) = read(*wire, &[&x.body]);
        let step = (x.body.len() / 199).max(1);
        for at in (0..x.body.len()).step_by(step) {
            let (cut, _) = read(*wire, &[&x.body[..at]]);
            if cut.complete {
                assert_eq!((cut.message, cut.stop, cut.usage), (whole.message.clone(), whole.stop, whole.usage), "{}: cut at {at}", x.name);
            } else {
                assert!(cut.error.is_some(), "{}: cut at {at}", x.name);
            }
        }
    }
}

/// What the wire makes of a stream's arguments when they are written again: nothing is an empty object.
fn rewritten(message: &Message) -> Message {
    let mut message = message.clone();
    for block in &mut message.blocks {
        if let Block::ToolCall(call) = block
            && call.args_raw.is_empty()
        {
            "{}".clone_into(&mut call.args_raw);
        }
    }
    message
}

#[test]
fn what_the_server_half_writes_of_a_recorded_reply_is_read_as_the_same_reply() {
    let Some(all) = good() else { return };
    for (wire, x) in &all {
        let (want, events) = read(*wire, &[&x.body]);
        let (streamed, whole) = match wire {
            Wire::Antigravity => (antigravity::encode_events(Head::default(), &events), antigravity::encode_reply(&want)),
            _ => (encode_events(Head::default(), &events), encode_reply(&want)),
        };
        let lost: Vec<&str> = streamed.1.iter().map(|l| l.at.as_str()).filter(|at| *at != "usage").collect();
        assert_eq!(lost, Vec::<&str>::new(), "{}", x.name);
        for (how, bytes) in [("streamed", streamed.0), ("whole", whole)] {
            let (got, _) = read(*wire, &[&bytes]);
            assert_eq!(got.message.joined_text(), want.message.joined_text(), "{}: {how}", x.name);
            if how == "whole" {
                assert_eq!(got.message, rewritten(&want.message), "{}", x.name);
            }
            let calls = |r: &Reply| rewritten(&r.message).calls().cloned().collect::<Vec<_>>();
            assert_eq!(calls(&got), calls(&want), "{}: {how}", x.name);
            assert_eq!((got.stop, &got.reason, &got.error), (want.stop, &want.reason, &want.error), "{}: {how}", x.name);
            assert_eq!((got.usage, &got.id, &got.model), (want.usage, &want.id, &want.model), "{}: {how}", x.name);
        }
    }
}

#[test]
fn every_recorded_request_is_read_and_written_again() {
    let Some(all) = all() else { return };
    let mut read = 0;
    for (wire, x) in all.iter().filter(|(wire, x)| *wire == Wire::Gemini && !x.request.is_null()) {
        if x.name == "vertex/error-400-gemini-2_5-pro" {
            let error = decode_request(&x.path, x.request.to_string().as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), "contents[0].role: expected user or model");
            continue;
        }
        let want = decode_request(&x.path, x.request.to_string().as_bytes()).unwrap_or_else(|e| panic!("{}: {e}", x.name));
        // As a session would hold it: what the model said comes from the one that is asked.
        let home = Origin { provider: "gemini".into(), account: None, model: want.model.clone() };
        let mark = |m: &Arc<Message>| {
            let mut m = m.as_ref().clone();
            m.origin = (m.role == Role::Assistant).then(|| home.clone());
            m
        };
        let mut sent = want.clone();
        sent.messages = want.messages.iter().map(mark).collect::<History>();
        let (bytes, losses) = encode(*wire, &Dialect::default().to_target(home.clone()), &sent);
        let mut got = decode_request(&x.path, &bytes).unwrap_or_else(|e| panic!("{}: {e}", x.name));
        let lost: Vec<&str> = losses.iter().map(|l| l.at.as_str()).filter(|at| !at.starts_with("tools[")).collect();
        assert_eq!(lost, Vec::<&str>::new(), "{}", x.name);
        got.tools = want.tools.clone();
        assert_eq!(got, want, "{}", x.name);
        read += 1;
    }
    assert!(read > 20, "{read} requests");
}

#[test]
fn counts_vectors_and_the_list_of_models_are_read() {
    let Some(counts) = exchanges("count_tokens") else { return };
    let mine = |mut all: Vec<Exchange>| {
        all.retain(|x| x.provider == "gemini");
        assert_eq!(all.len(), 1);
        all.remove(0)
    };
    let count = mine(counts);
    assert_eq!(decode_count(&count.body).ok(), count.expect["input_tokens"].as_u64());
    let counted = decode_request(&count.path, count.request.to_string().as_bytes()).unwrap();
    assert_eq!(counted.messages.last().unwrap().joined_text(), "What's the current date?");
    let vectors = mine(exchanges("embeddings").unwrap());
    let got = decode_embed(1, &vectors.body).unwrap();
    assert_eq!(got.vectors.iter().map(Vec::len).collect::<Vec<_>>(), [768]);
    let models = mine(exchanges("models").unwrap());
    let (listed, next) = decode_models(&models.body).unwrap();
    assert_eq!(next.as_deref(), models.expect["next"].as_str());
    let ids: Vec<String> = listed.iter().map(|l| format!("models/{}", l.id)).collect();
    let wanted: Vec<&str> = models.expect["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(ids, wanted);
    let flash = listed.iter().find(|l| l.id == "gemini-2.5-flash").unwrap();
    assert_eq!((flash.context, flash.max_output), (Some(1_048_576), Some(65_536)));
}
