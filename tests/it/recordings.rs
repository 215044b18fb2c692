//! Every recorded Chat Completions exchange, read by the codec, gives what an independent reader made of the same bytes.

// A test may unwrap and index; this file is one, but no `#[cfg(test)]` says so.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use code_pup::model::{Accumulator, Block, Class, Reply, Scope, StreamEvent};
use code_pup::wire::{Decoder, Dialect, Wire, classify};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// How many exchanges have `"api": "chat"`.
const CHAT: usize = 81;

/// The folder of recordings, or nothing (with a line that says so) where they are not at hand.
fn recordings() -> Option<PathBuf> {
    let shared = std::env::var_os("PUP_SHARED").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let folder = shared.join("recordings");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("PUP_REQUIRE_ALL").is_none(), "no recordings in {}", folder.display());
    println!("SKIP: no recordings in {}", folder.display());
    None
}

/// A recorded exchange with what is expected of its reply.
pub struct Exchange {
    pub name: String,
    pub provider: String,
    pub api: String,
    /// Of the request, with its query.
    pub path: String,
    pub request: Value,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub expect: Value,
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn chat() -> Option<Vec<Exchange>> {
    exchanges("chat")
}

/// All exchanges of one API, in order of their names.
pub fn exchanges(api: &str) -> Option<Vec<Exchange>> {
    let mut all = every_exchange()?;
    all.retain(|x| x.api == api);
    Some(all)
}

/// All exchanges there are, in order of their names.
pub fn every_exchange() -> Option<Vec<Exchange>> {
    let root = recordings()?;
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    for folder in folders {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        for file in files {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let Some(case) = name.strip_suffix(".json").filter(|c| !c.ends_with(".expect")) else { continue };
            let envelope = json(&file);
            let response = &envelope["response"];
            let body = match (response["body_file"].as_str(), response["body_text"].as_str()) {
                (Some(beside), _) => std::fs::read(folder.join(beside)).unwrap(),
                (_, Some(text)) => text.as_bytes().to_vec(),
                _ => response["body"].to_string().into_bytes(),
            };
            let headers = response["headers"].as_object().into_iter().flatten();
            found.push(Exchange {
                name: format!("{}/{case}", folder.file_name().unwrap().to_string_lossy()),
                provider: envelope["provider"].as_str().unwrap().to_owned(),
                api: envelope["api"].as_str().unwrap().to_owned(),
                path: envelope["request"]["path"].as_str().unwrap_or_default().to_owned(),
                request: envelope["request"]["body"].clone(),
                status: response["status"].as_u64().unwrap().try_into().unwrap(),
                headers: headers.map(|(k, v)| (k.clone(), v.as_str().map_or_else(|| v.to_string(), str::to_owned))).collect(),
                body,
                expect: json(&folder.join(format!("{case}.expect.json"))),
            });
        }
    }
    Some(found)
}

fn read(pieces: &[&[u8]]) -> (Reply, Vec<StreamEvent>) {
    let mut decoder = Decoder::new(Wire::OpenaiChat, &Dialect::default());
    let mut events = Vec::new();
    for p in pieces {
        decoder.feed(p, &mut events);
    }
    decoder.finish(&mut events);
    let mut all = Accumulator::default();
    for e in &events {
        all.push(e);
    }
    (all.finish(), events)
}

fn thinking(reply: &Reply) -> String {
    reply.message.blocks.iter().filter_map(|b| if let Block::Thinking { text, .. } = b { Some(text.as_str()) } else { None }).collect()
}

/// Whether the reply carries a proof or an encrypted form of its reasoning.
fn signed(reply: &Reply) -> bool {
    reply.message.blocks.iter().any(|b| match b {
        Block::Opaque { raw, .. } => ["\"signature\":", "\"data\":", "\"thought_signature\":"].iter().any(|key| raw.contains(key)),
        Block::ToolCall(call) => call.signature.is_some(),
        Block::Thinking { signature, .. } => signature.is_some(),
        _ => false,
    })
}

#[test]
fn every_chat_recording_gives_what_is_expected_of_it() {
    let Some(exchanges) = chat() else { return };
    assert_eq!(exchanges.len(), CHAT);
    for exchange in &exchanges {
        if exchange.status == 200 { good(exchange) } else { refused(exchange) }
    }
}

fn good(x: &Exchange) {
    let (reply, _) = read(&[&x.body]);
    let (name, want) = (&x.name, &x.expect);
    let refusal = want["refusal"].as_str().unwrap_or("");
    assert_eq!(reply.message.joined_text(), format!("{}{refusal}", want["text"].as_str().unwrap_or("")), "{name}: text");
    assert_eq!(!thinking(&reply).is_empty(), want["thinking_present"], "{name}: thinking");
    assert_eq!(thinking(&reply).chars().count() as u64, want["thinking_chars"].as_u64().unwrap(), "{name}: thinking_chars");
    if want["signature_present"] == true {
        assert!(signed(&reply), "{name}: the signature is gone");
    }
    calls(name, &reply, want);
    usage(x, &reply);
    if let Some(error) = want.get("error").filter(|e| !e.is_null()) {
        assert!(!reply.complete, "{name}");
        let got = reply.error.as_ref().unwrap_or_else(|| panic!("{name}: no error"));
        assert!(got.message.contains(error["message"].as_str().unwrap()), "{name}: {got}");
        let code = error["code"].as_str().map_or_else(|| error["code"].to_string(), str::to_owned);
        assert_eq!(got.code.as_deref(), Some(code.as_str()), "{name}");
    } else {
        assert_eq!(reply.complete, want["terminal"], "{name}: {:?}", reply.error);
        assert_eq!(reply.reason.as_deref(), want["finish_reason"].as_str(), "{name}: finish_reason");
        let stop = match want["finish_reason"].as_str().unwrap() {
            _ if !refusal.is_empty() && want["finish_reason"] == "stop" => "refusal",
            "stop" | "eos" => "end",
            "length" => "max_tokens",
            "tool_calls" | "function_call" => "tool_use",
            other => other,
        };
        assert_eq!(reply.stop.as_str(), stop, "{name}: stop");
    }
}

fn calls(name: &str, reply: &Reply, want: &Value) {
    let wanted = want["tool_calls"].as_array().unwrap();
    let got: Vec<_> = reply.message.calls().collect();
    assert_eq!(got.len(), wanted.len(), "{name}: number of calls");
    for (got, want) in got.iter().zip(wanted) {
        assert_eq!(got.name, want["name"], "{name}");
        match want["id"].as_str().filter(|id| !id.is_empty()) {
            Some(id) => assert_eq!(got.id, id, "{name}"),
            None => assert!(!got.id.is_empty(), "{name}: an id had to be minted"),
        }
        match want.get("arguments_raw").and_then(Value::as_str) {
            Some(raw) => assert_eq!(got.args_raw, raw, "{name}"),
            None => assert_eq!(Value::Object(got.args().unwrap()), want["arguments"], "{name}"),
        }
    }
}

fn usage(x: &Exchange, reply: &Reply) {
    let n = |key: &str| x.expect["usage"][key].as_u64();
    let got = reply.usage;
    let name = &x.name;
    // The provider's prompt count includes what came from the cache; ours does not.
    let prompt = got.input.map(|i| i + got.cache_read.unwrap_or(0) + got.cache_write.unwrap_or(0));
    assert_eq!(prompt, n("input"), "{name}: prompt");
    assert_eq!(got.cache_read, n("cached"), "{name}: cached");
    // The independent reader passes over `cache_write_tokens`; where the bytes have it, they are believed.
    let written = match name.as_str() {
        "openai/chat-length-gpt-5_6-sol" => 1217,
        "openrouter/chat-length-claude-sonnet-4_6" => 329,
        _ => n("cache_write").unwrap_or(0),
    };
    assert_eq!(got.cache_write.unwrap_or(0), written, "{name}: cache_write");
    assert_eq!(got.reasoning, n("reasoning"), "{name}: reasoning");
    // xAI counts reasoning beside the output, everybody else within it.
    let apart = if x.provider == "xai" { n("reasoning").unwrap_or(0) } else { 0 };
    assert_eq!(got.output, n("output").map(|o| o + apart), "{name}: output");
}

fn refused(x: &Exchange) {
    let name = &x.name;
    let want = &x.expect["error"];
    let got = classify(Wire::OpenaiChat, x.status, &x.headers, &x.body);
    assert_eq!(u64::from(got.status.unwrap()), want["status"], "{name}");
    assert!(got.message.contains(want["message"].as_str().unwrap()), "{name}: {got}");
    assert_eq!(got.retry_after_s, want["retry_after_s"].as_f64(), "{name}: retry_after_s");
    let verdict = match name.as_str() {
        "openrouter/chat-error-400-claude-haiku-4_5" => (Class::ContextTooLong, Scope::Request),
        "openrouter/chat-error-429-gemini-2_0-flash-exp-free" => (Class::RateLimit, Scope::Model),
        "groq/tool-use-failed-gpt-oss-120b" => (Class::Server, Scope::Request),
        _ => match x.status {
            400 => (Class::BadRequest, Scope::Request),
            401 => (Class::Auth, Scope::Key),
            404 => (Class::NotFound, Scope::Model),
            429 => (Class::RateLimit, Scope::Key),
            other => panic!("{name}: no verdict is written down for status {other}"),
        },
    };
    assert_eq!((got.class, got.scope), verdict, "{name}");
}

#[test]
fn where_a_body_is_split_changes_nothing() {
    let Some(exchanges) = chat() else { return };
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
    let Some(exchanges) = chat() else { return };
    for x in exchanges.iter().filter(|x| x.status == 200) {
        let (whole, _) = read(&[&x.body]);
        let step = (x.body.len() / 199).max(1);
        for at in (0..x.body.len()).step_by(step) {
            let (cut, _) = read(&[&x.body[..at]]);
            if cut.complete {
                // The end had been seen: then everything before it had, too. (An error may still follow, which drops opaque blocks.)
                let seen =
                    |reply: &Reply| reply.message.blocks.iter().filter(|b| !matches!(b, Block::Opaque { .. })).cloned().collect::<Vec<_>>();
                assert_eq!(seen(&cut), seen(&whole), "{}: cut at {at}", x.name);
            } else {
                assert!(cut.error.is_some(), "{}: cut at {at}", x.name);
            }
        }
    }
}
