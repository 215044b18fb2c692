//! Requests to bodies, turn after turn, serialising only what is new.
//!
//! A body is `{"systemInstruction":{..},"tools":[..],"contents":[` + contents + `],` + settings + `}`: what changes from
//! call to call stands behind the history. The model is no part of it: it stands in the path.

use super::family::Family;
use super::message::{Open, Writer};
use super::path::{self, Method};
use super::schema::Rules;
use super::settings::{self, Purpose};
use super::tools;
use crate::model::{Block, Loss, Message, Request, Role, ToolSpec};
use crate::wire::Encoded;
use crate::wire::codec::Encode;
use crate::wire::json_out::Object;
use crate::wire::prefix::Prefix;
use crate::wire::quirk::Dialect;
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

#[derive(Debug)]
pub struct Encoder {
    dialect: Dialect,
    door: Door,
    head: Option<Head>,
    prefix: Prefix<Open>,
    /// What the prefix was written for.
    family: Option<Family>,
}

/// Who takes the request in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Api,
    /// Google's internal one, which is stricter and also passes on to Claude.
    Antigravity,
}

impl Door {
    pub fn rules(self, family: Family) -> Rules {
        match (self, family.maker) {
            (Self::Api, _) => Rules::Gemini,
            (Self::Antigravity, super::family::Maker::Claude) => Rules::Claude,
            (Self::Antigravity, _) => Rules::Antigravity,
        }
    }
}

/// The beginning of the body and what it was made of.
#[derive(Debug)]
struct Head {
    rules: Rules,
    tools: Arc<[ToolSpec]>,
    own_tools: Vec<Value>,
    system: Vec<Arc<Message>>,
    bytes: Bytes,
}

impl Encoder {
    pub fn new(dialect: Dialect) -> Self {
        Self::at(Door::Api, dialect)
    }

    pub fn at(door: Door, dialect: Dialect) -> Self {
        Self { dialect, door, head: None, prefix: Prefix::default(), family: None }
    }

    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// The body, an object, with these fields at its end.
    pub fn body(&mut self, request: &Request, purpose: Purpose, more: &[(&str, &str)], losses: &mut Vec<Loss>) -> Vec<Bytes> {
        let family = Family::of(&request.model);
        let rules = self.door.rules(family);
        if self.family != Some(family) {
            self.prefix.clear();
            self.family = Some(family);
        }
        let system = request.messages.iter().take_while(|m| m.role == Role::System).count();
        let head = self.head(request, system, rules, losses);
        let dialect = &self.dialect;
        self.prefix.extend(&request.messages, system, |out, place| {
            let open = place.open.cloned().unwrap_or_default();
            Writer { dialect, family, out, losses, open }.message(place.at, place.message)
        });
        let mut tail = Vec::new();
        let open = self.prefix.open().cloned().unwrap_or_default();
        Writer { dialect, family, out: &mut tail, losses, open }.close();
        tail.push(b']');
        let mut o = Object::resume(&mut tail);
        settings::write(&mut o, request, family, rules, purpose, losses);
        for (name, value) in more {
            o.field(name, value);
        }
        o.end();
        let mut body = vec![head];
        body.extend_from_slice(self.prefix.segments());
        body.push(Bytes::from(tail));
        body
    }

    fn head(&mut self, request: &Request, system: usize, rules: Rules, losses: &mut Vec<Loss>) -> Bytes {
        let own = tools::own(request);
        if let Some(head) = &self.head
            && head.rules == rules
            && Arc::ptr_eq(&head.tools, &request.tools)
            && head.own_tools == own
            && head.system.len() == system
            && head.system.iter().zip(&request.messages).all(|(mine, theirs)| Arc::ptr_eq(mine, theirs))
        {
            return head.bytes.clone();
        }
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        let kept: Vec<Arc<Message>> = request.messages.iter().take(system).cloned().collect();
        let prompt = prompt(&kept, losses);
        if !prompt.is_empty() {
            object.object("systemInstruction", |o| {
                o.list("parts", prompt, |out, text| {
                    let mut part = Object::begin(out);
                    part.field("text", text);
                    part.end();
                });
            });
        }
        tools::write(&mut object, &request.tools, own, rules, losses);
        object.key("contents").push(b'[');
        let bytes = Bytes::from(out);
        self.head = Some(Head { rules, tools: Arc::clone(&request.tools), own_tools: own.to_vec(), system: kept, bytes: bytes.clone() });
        bytes
    }
}

/// The texts of the system messages; what else stands in them is a loss.
fn prompt<'a>(system: &'a [Arc<Message>], losses: &mut Vec<Loss>) -> Vec<&'a str> {
    let mut texts = Vec::new();
    for (at, message) in system.iter().enumerate() {
        for (n, block) in message.blocks.iter().enumerate() {
            let what = match block {
                Block::Text { text } if !text.trim().is_empty() => {
                    texts.push(text.as_str());
                    continue;
                }
                Block::Text { .. } => "blank text",
                _ => "only text can stand in the system prompt",
            };
            losses.push(Loss::new(format!("messages[{at}].blocks[{n}]"), what));
        }
    }
    texts
}

impl Encode for Encoder {
    fn encode(&mut self, request: &Request) -> Encoded {
        let mut losses = Vec::new();
        let body = self.body(request, Purpose::Answer, &[], &mut losses);
        let method = if request.stream { Method::Stream } else { Method::Generate };
        Encoded { path: path::of(&request.model, method).into(), headers: Vec::new(), body, losses }
    }
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
