//! Requests to bodies, turn after turn, serialising only what is new.
//!
//! A body is `{"model":..,"tools":[..],"system":[..],"messages":[` + messages + `],` + settings + `}`: what changes from
//! call to call stands behind the history.

use super::betas;
use super::count::COUNT_PATH;
use super::message::{Open, Writer, text};
use super::settings::{self, Purpose};
use super::thinking::{Past, Thinking};
use super::tools;
use crate::model::{Block, CacheMark, History, Loss, Message, Request, Role, ToolSpec};
use crate::wire::Encoded;
use crate::wire::codec::Encode;
use crate::wire::definitions;
use crate::wire::ids::Once;
use crate::wire::json_out::Object;
use crate::wire::marks::{self, MAX_MARKS, Piece, Spots};
use crate::wire::prefix::Prefix;
use crate::wire::quirk::Dialect;
use crate::wire::root_schema::{self, RootRules};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

#[derive(Debug)]
pub struct Encoder {
    dialect: Dialect,
    head: Option<Head>,
    prefix: Prefix<Behind>,
    past: Past,
    ids: Once,
}

/// The beginning of the body and what it was made of.
#[derive(Debug)]
struct Head {
    model: String,
    tools: Arc<[ToolSpec]>,
    whole_tools: Vec<Value>,
    system: Vec<Arc<Message>>,
    bytes: Bytes,
    /// Of each system message, counted from the body's beginning.
    spots: Vec<Spots>,
}

/// Behind a message: its last side stays open, for the next message may be of it too.
#[derive(Debug)]
struct Behind {
    open: Open,
    spots: Spots,
}

impl Encoder {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, head: None, prefix: Prefix::default(), past: Past::default(), ids: Once::default() }
    }

    pub(super) fn encode_for(&mut self, request: &Request, purpose: Purpose) -> Encoded {
        let mut losses = Vec::new();
        let most = settings::max_tokens(request, &self.dialect);
        let thinking = Thinking::plan(request, most, self.dialect.target.as_ref(), &mut losses);
        let system = request.messages.iter().take_while(|m| m.role == Role::System).count();
        let head = self.head(request, system, &mut losses);
        self.messages(&request.messages, system, thinking.past(&request.model), &mut losses);
        let open = self.prefix.open().is_some_and(|behind| behind.open.side.is_some());
        let mut tail = if open { b"]}".to_vec() } else { Vec::new() };
        tail.push(b']');
        let mut o = Object::resume(&mut tail);
        settings::write(&mut o, request, &self.dialect, &thinking, purpose, &mut losses);
        o.end();
        let marks = self.marks(request, system, head.len(), &mut losses);
        let mut body = vec![head];
        body.extend_from_slice(self.prefix.segments());
        body.push(Bytes::from(tail));
        let path = match purpose {
            Purpose::Answer => "/v1/messages",
            Purpose::Count => COUNT_PATH,
        };
        Encoded { path: path.into(), headers: betas::headers(request, &thinking), body: marks::insert(body, &marks), losses }
    }

    /// Writes what is new of the conversation, whose first `skip` messages stand in the head.
    fn messages(&mut self, history: &History, skip: usize, past: Past, losses: &mut Vec<Loss>) {
        if past != self.past {
            self.prefix.clear();
            self.past = past;
        }
        let (dialect, ids) = (&self.dialect, &mut self.ids);
        self.prefix.extend(history, skip, |out, place| {
            let base = place.base;
            ids.begin(place.at);
            let open = place.open.map(|before| before.open.clone()).unwrap_or_default();
            let mut writer = Writer::new(dialect, past, open, ids, base, out, losses);
            let spots = writer.message(place.at, place.message);
            Behind { open: writer.open, spots }
        });
    }

    fn head(&mut self, request: &Request, system: usize, losses: &mut Vec<Loss>) -> Bytes {
        let whole = definitions::whole(request, super::NAME);
        if let Some(head) = &self.head
            && head.model == request.model
            && Arc::ptr_eq(&head.tools, &request.tools)
            && head.whole_tools == whole
            && head.system.len() == system
            && head.system.iter().zip(&request.messages).all(|(mine, theirs)| Arc::ptr_eq(mine, theirs))
        {
            return head.bytes.clone();
        }
        root_schema::name_losses(&request.tools, RootRules::Anthropic, losses);
        let mut out = Vec::new();
        let mut spots = Vec::new();
        let mut object = Object::begin(&mut out);
        object.field("model", &request.model);
        definitions::write(&mut object, &request.tools, whole, tools::write);
        let kept: Vec<Arc<Message>> = request.messages.iter().take(system).cloned().collect();
        if kept.iter().flat_map(|m| &m.blocks).any(is_prompt) {
            let field = object.key("system");
            field.push(b'[');
            let mut follows = false;
            for (at, message) in kept.iter().enumerate() {
                spots.push(prompt(field, at, message, &mut follows, losses));
            }
            field.push(b']');
        } else {
            // Nothing to write, but what was left out is named.
            for (at, message) in kept.iter().enumerate() {
                spots.push(prompt(&mut Vec::new(), at, message, &mut false, losses));
            }
        }
        object.key("messages").push(b'[');
        let bytes = Bytes::from(out);
        let tools = Arc::clone(&request.tools);
        let model = request.model.clone();
        self.head = Some(Head { model, tools, whole_tools: whole.to_vec(), system: kept, bytes: bytes.clone(), spots });
        bytes
    }

    /// Where marks go, counted from the body's beginning, and their bytes.
    fn marks(&self, request: &Request, system: usize, head_len: usize, losses: &mut Vec<Loss>) -> Vec<Piece> {
        let whole_tools = definitions::whole(request, super::NAME).iter().filter(|t| t.get("cache_control").is_some()).count();
        let find = |mark: &CacheMark| match mark.message.checked_sub(system) {
            None => marks::spot(self.head.as_ref()?.spots.get(mark.message)?, mark.block),
            Some(at) => marks::spot(&self.prefix.behind(at)?.spots, mark.block).map(|spot| head_len + spot),
        };
        marks::pieces(&request.cache_marks, MAX_MARKS.saturating_sub(whole_tools), find, losses)
    }
}

fn is_prompt(block: &Block) -> bool {
    matches!(block, Block::Text { text } if !text.trim().is_empty())
}

/// Writes a system message's text blocks into the list of the field `system`.
fn prompt(out: &mut Vec<u8>, at: usize, message: &Message, follows: &mut bool, losses: &mut Vec<Loss>) -> Spots {
    let mut spots = Vec::with_capacity(message.blocks.len());
    for (n, block) in message.blocks.iter().enumerate() {
        let Block::Text { text: t } = block else {
            losses.push(Loss::new(format!("messages[{at}].blocks[{n}]"), "only text can stand in the system prompt"));
            spots.push(None);
            continue;
        };
        if t.trim().is_empty() {
            losses.push(Loss::new(format!("messages[{at}].blocks[{n}]"), "blank text"));
            spots.push(None);
            continue;
        }
        if std::mem::replace(follows, true) {
            out.push(b',');
        }
        let mut object = Object::begin(out);
        text(t)(&mut object);
        object.end();
        spots.push(Some(out.len() - 1));
    }
    spots
}

impl Encode for Encoder {
    fn encode(&mut self, request: &Request) -> Encoded {
        self.encode_for(request, Purpose::Answer)
    }
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
