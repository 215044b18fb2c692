//! Requests to bodies, turn after turn, serialising only what is new.
//!
//! A body is `{"model":..,"instructions":..,"tools":[..],"input":[` + items + `],` + settings + `}`: what changes from call
//! to call stands behind the history, so the bytes before it stay the same.

use super::message::{self, Open, Writer};
use super::{settings, tools};
use crate::model::{Loss, Message, Request, Role, ToolSpec};
use crate::wire::codec::{Encode, Encoded};
use crate::wire::definitions;
use crate::wire::ids::Once;
use crate::wire::json_out::Object;
use crate::wire::prefix::Prefix;
use crate::wire::quirk::{Backend, Dialect};
use crate::wire::root_schema::{self, RootRules};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

#[derive(Debug)]
pub struct Encoder {
    dialect: Dialect,
    head: Option<Head>,
    prefix: Prefix<Open>,
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
}

impl Encoder {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, head: None, prefix: Prefix::default(), ids: Once::default() }
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
        let kept: Vec<Arc<Message>> = request.messages.iter().take(system).cloned().collect();
        let instructions = message::instructions(&kept.iter().map(Arc::as_ref).collect::<Vec<_>>(), losses);
        root_schema::name_losses(&request.tools, RootRules::OpenAi, losses);
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        object.field("model", &request.model);
        if !instructions.is_empty() || self.dialect.backend == Backend::Chatgpt {
            object.field("instructions", &instructions);
        }
        definitions::write(&mut object, &request.tools, whole, tools::write);
        object.key("input").push(b'[');
        let bytes = Bytes::from(out);
        let (model, tools) = (request.model.clone(), Arc::clone(&request.tools));
        self.head = Some(Head { model, tools, whole_tools: whole.to_vec(), system: kept, bytes: bytes.clone() });
        bytes
    }
}

impl Encode for Encoder {
    fn encode(&mut self, request: &Request) -> Encoded {
        let mut losses = Vec::new();
        let system = request.messages.iter().take_while(|m| m.role == Role::System).count();
        let head = self.head(request, system, &mut losses);
        let (dialect, ids) = (&self.dialect, &mut self.ids);
        self.prefix.extend(&request.messages, system, |out, place| {
            ids.begin(place.at);
            let open = place.open.cloned().unwrap_or_default();
            Writer::new(dialect, open, ids, out, &mut losses).message(place.at, place.message)
        });
        let mut tail = vec![b']'];
        let mut o = Object::resume(&mut tail);
        settings::write(&mut o, request, dialect, &mut losses);
        o.end();
        let mut body = Vec::with_capacity(self.prefix.segments().len() + 2);
        body.push(head);
        body.extend_from_slice(self.prefix.segments());
        body.push(Bytes::from(tail));
        Encoded { path: "/responses".into(), headers: Vec::new(), body, losses }
    }
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
