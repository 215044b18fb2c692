//! Google's internal door: the [`gemini`] wire in an envelope that has the model, the account's project and a
//! session, and whose schemas are stricter. It also passes on to Claude.
//!
//! The project belongs to the account, so the [`Dialect`] has it. A caller can set any field of the envelope in the
//! extension `antigravity`; the session is otherwise told by how the conversation began.

use super::gemini::{self, Door, Envelope, Head, Purpose, ReplyWriter};
use super::openai_chat::RequestError;
use crate::base::digest;
use crate::model::{Loss, Reply, Request, Role, StreamEvent};
use crate::wire::Encoded;
use crate::wire::codec::Encode;
use crate::wire::json_out::Object;
use crate::wire::quirk::Dialect;
use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub use gemini::{ReplyDecoder, decode_count};

/// The wire's name.
pub const NAME: &str = "antigravity";
/// The service wants to be told what asks.
const USER_AGENT: &str = "pup";
const SESSION: &str = "sessionId";
/// Fields of the envelope that only the request itself sets.
const RESERVED: [&str; 3] = ["model", "request", SESSION];

#[derive(Debug)]
pub struct Encoder {
    inner: gemini::Encoder,
}

impl Encoder {
    pub fn new(dialect: Dialect) -> Self {
        Self { inner: gemini::Encoder::at(Door::Antigravity, dialect) }
    }
}

impl Encode for Encoder {
    fn encode(&mut self, request: &Request) -> Encoded {
        let none = Map::new();
        let own = request.extensions.get(NAME).unwrap_or(&none);
        let session = own.get(SESSION).and_then(Value::as_str).map_or_else(|| session(request), str::to_owned);
        let mut losses = Vec::new();
        let inner = self.inner.body(request, Purpose::Answer, &[(SESSION, &session)], &mut losses);
        let mut head = Vec::new();
        let mut object = Object::begin(&mut head);
        object.field("model", model(request));
        object.key("request");
        let mut tail = Vec::new();
        let mut object = Object::resume(&mut tail);
        let id = request_id(&session, request, &inner);
        let project = self.inner.dialect().project.as_deref();
        let fields =
            [("project", project), ("userAgent", Some(USER_AGENT)), ("requestType", Some("agent")), ("requestId", Some(id.as_str()))];
        for (name, value) in fields {
            if !own.contains_key(name) {
                object.maybe(name, value.as_ref());
            }
        }
        for (name, value) in own {
            if !RESERVED.contains(&name.as_str()) {
                object.field(name, value);
            } else if name != SESSION {
                losses.push(Loss::new(format!("extensions.{NAME}.{name}"), "a field that the request itself sets"));
            }
        }
        object.end();
        let mut body = vec![Bytes::from(head)];
        body.extend(inner);
        body.push(Bytes::from(tail));
        let path = if request.stream { "/v1internal:streamGenerateContent?alt=sse" } else { "/v1internal:generateContent" };
        Encoded { path: path.into(), headers: Vec::new(), body, losses }
    }
}

fn model(request: &Request) -> &str {
    request.model.strip_prefix("models/").unwrap_or(&request.model)
}

/// The same for every request of a conversation.
fn session(request: &Request) -> String {
    let first = request.messages.iter().find(|m| m.role == Role::User).map(|m| m.joined_text()).unwrap_or_default();
    digest::short(first.as_bytes(), 32)
}

/// The same for a request that is sent again, and another one for every other.
fn request_id(session: &str, request: &Request, body: &[Bytes]) -> String {
    let length: usize = body.iter().map(Bytes::len).sum();
    let mut seed = format!("{session}\n{}\n{}\n{length}\n", request.model, request.messages.len()).into_bytes();
    seed.extend_from_slice(body.last().map(|tail| &tail[..]).unwrap_or_default());
    let hex = digest::short(&seed, 32);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    // The form of a UUID whose content is its maker's own.
    format!("agent-{}-{}-8{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// The request that asks how many tokens the conversation of this one has; the service counts nothing else.
pub fn encode_count(dialect: &Dialect, request: &Request) -> Encoded {
    let system = request.messages.iter().take_while(|m| m.role == Role::System).count();
    let mut losses: Vec<Loss> = (0..system).map(|at| Loss::new(format!("messages[{at}]"), "the service counts no system prompt")).collect();
    if !request.tools.is_empty() {
        losses.push(Loss::new("tools", "the service counts no tools"));
    }
    let bare =
        Request { model: request.model.clone(), messages: request.messages.iter().skip(system).cloned().collect(), ..Request::default() };
    let inner = gemini::Encoder::at(Door::Antigravity, dialect.clone()).body(&bare, Purpose::Count, &[], &mut losses);
    let mut body = vec![Bytes::from(format!(r#"{{"request":{{"model":{},"#, json!(format!("models/{}", model(request)))))];
    body.extend(inner.into_iter().enumerate().map(|(n, segment)| if n == 0 { segment.slice(1..) } else { segment }));
    body.push(Bytes::from_static(b"}"));
    Encoded { path: "/v1internal:countTokens".into(), headers: Vec::new(), body, losses }
}

/// The server's half of requests. What of the envelope is not modelled is kept as an extension.
pub fn decode_request(path: &str, body: &[u8]) -> Result<Request, RequestError> {
    let shape = |at: &str, expected| RequestError::Shape { at: at.to_owned(), expected };
    let top: BTreeMap<String, &RawValue> = match serde_json::from_slice(body) {
        Ok(top) => top,
        Err(e) if e.is_data() => return Err(shape("the body", "an object")),
        Err(e) => return Err(RequestError::NotJson(e.to_string())),
    };
    let inner = top.get("request").ok_or_else(|| shape("request", "a generateContent request"))?;
    let mut inner: BTreeMap<String, &RawValue> = serde_json::from_str(inner.get()).map_err(|_| shape("request", "an object"))?;
    let session = inner.remove(SESSION).or_else(|| inner.remove("session_id"));
    let model: Option<String> = top.get("model").and_then(|m| serde_json::from_str(m.get()).ok()).filter(|m: &String| !m.is_empty());
    let model = model.ok_or_else(|| shape("model", "the name of a model"))?;
    let mut request = gemini::read_request(model, path.contains(":streamGenerateContent"), inner)?;
    let mut own = Map::new();
    let envelope = top.iter().filter(|(key, _)| !RESERVED.contains(&key.as_str())).map(|(key, raw)| (key.as_str(), *raw));
    for (key, raw) in envelope.chain(session.map(|raw| (SESSION, raw))) {
        let value: Value = serde_json::from_str(raw.get()).map_err(|e| RequestError::NotJson(e.to_string()))?;
        if !value.is_null() {
            own.insert(key.to_owned(), value);
        }
    }
    if !own.is_empty() {
        request.extensions.insert(NAME.to_owned(), own);
    }
    // The service's own mode is how Claude is asked here for calls at will.
    if let Some(fields) = request.extensions.get_mut(gemini::NAME)
        && fields.get("toolConfig") == Some(&json!({"functionCallingConfig": {"mode": "VALIDATED"}}))
    {
        fields.remove("toolConfig");
        if fields.is_empty() {
            request.extensions.remove(gemini::NAME);
        }
    }
    Ok(request)
}

/// The writer of a stream, each chunk in its envelope.
pub fn reply_writer(head: Head) -> ReplyWriter {
    ReplyWriter::enveloped(head, Envelope::Response)
}

/// The frames of a whole stream, and what was lost of it.
pub fn encode_events(head: Head, events: &[StreamEvent]) -> (Vec<u8>, Vec<Loss>) {
    reply_writer(head).write_all(events)
}

/// A reply as one JSON body. The error object that goes with an HTTP status has no envelope.
pub fn encode_reply(reply: &Reply) -> Vec<u8> {
    let inner = gemini::encode_reply(reply);
    if reply.error.is_some() {
        return inner;
    }
    [br#"{"response":"#, inner.as_slice(), b"}"].concat()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
