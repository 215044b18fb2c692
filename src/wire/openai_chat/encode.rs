//! Requests to bodies, turn after turn, serialising only what is new.
//!
//! A body is `{"model":..,"tools":[..],"messages":[` + messages + `],` + settings + `}`: what changes from call to call
//! (a lowered bound of the output, say) stands behind the history, so the bytes before it stay the same.

use super::message::{Content, Open, Writer};
use super::settings;
use crate::model::{CacheMark, Loss, Request, ToolSpec};
use crate::wire::Encoded;
use crate::wire::codec::Encode;
use crate::wire::json_out::Object;
use crate::wire::marks::{self, MAX_MARKS, Piece};
use crate::wire::names::wire_name;
use crate::wire::prefix::Prefix;
use crate::wire::quirk::{Dialect, LastAssistant};
use crate::wire::root_schema::{self, RootRules};
use bytes::Bytes;
use std::sync::Arc;

#[derive(Debug)]
pub struct Encoder {
    dialect: Dialect,
    content: Content,
    head: Option<Head>,
    prefix: Prefix<Open>,
}

/// The beginning of the body and what it was made of.
#[derive(Debug)]
struct Head {
    model: String,
    tools: Arc<[ToolSpec]>,
    bytes: Bytes,
}

impl Encoder {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, content: Content::default(), head: None, prefix: Prefix::default() }
    }

    fn head(&mut self, request: &Request, losses: &mut Vec<Loss>) -> Bytes {
        if let Some(head) = &self.head
            && head.model == request.model
            && Arc::ptr_eq(&head.tools, &request.tools)
        {
            return head.bytes.clone();
        }
        root_schema::name_losses(&request.tools, RootRules::OpenAi, losses);
        let schemas = self.dialect.schemas;
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        object.field("model", &request.model);
        if !request.tools.is_empty() {
            object.list("tools", request.tools.iter(), |out, tool| {
                let mut o = Object::begin(out);
                o.field("type", "function").object("function", |f| {
                    f.field("name", &wire_name(&tool.name));
                    if !tool.description.is_empty() {
                        f.field("description", &tool.description);
                    }
                    f.field("parameters", &root_schema::fitted(&schemas.write(&tool.parameters), RootRules::OpenAi));
                });
                o.end();
            });
        }
        object.key("messages").push(b'[');
        let bytes = Bytes::from(out);
        self.head = Some(Head { model: request.model.clone(), tools: Arc::clone(&request.tools), bytes: bytes.clone() });
        bytes
    }

    /// What goes between the bytes that are kept, in order.
    fn pieces(&self, request: &Request, head_len: usize, losses: &mut Vec<Loss>) -> Vec<Piece> {
        let mut pieces = match self.content {
            Content::Strings => Vec::new(),
            Content::Parts => {
                let find = |mark: &CacheMark| Some(head_len + marks::spot(&self.prefix.behind(mark.message)?.spots, mark.block)?);
                marks::pieces(&request.cache_marks, MAX_MARKS, find, losses)
            }
        };
        if self.dialect.last_assistant == LastAssistant::Flagged
            && let Some(end) = self.prefix.open().and_then(|last| last.beginning)
        {
            pieces.push((head_len + end, br#","prefix":true"#));
        }
        pieces
    }
}

impl Encode for Encoder {
    fn encode(&mut self, request: &Request) -> Encoded {
        let mut losses = Vec::new();
        let head = self.head(request, &mut losses);
        let content = if self.dialect.marks.are_for(&request.model) { Content::Parts } else { Content::Strings };
        if content != self.content {
            self.prefix.clear();
            self.content = content;
        }
        let dialect = &self.dialect;
        self.prefix.extend(&request.messages, 0, |out, place| {
            let base = place.base;
            Writer::new(dialect, content, place.open.cloned().unwrap_or_default(), base, out, &mut losses).message(place.at, place.message)
        });
        let mut tail = Vec::new();
        let open = self.prefix.open().cloned().unwrap_or_default();
        Writer::new(dialect, content, open, 0, &mut tail, &mut losses).flush();
        tail.push(b']');
        let mut o = Object::resume(&mut tail);
        settings::write(&mut o, request, dialect, &mut losses);
        o.end();
        let pieces = self.pieces(request, head.len(), &mut losses);
        let mut body = Vec::with_capacity(self.prefix.segments().len() + 2);
        body.push(head);
        body.extend_from_slice(self.prefix.segments());
        body.push(Bytes::from(tail));
        Encoded { path: "/chat/completions".into(), headers: Vec::new(), body: marks::insert(body, &pieces), losses }
    }
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
