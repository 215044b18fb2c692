//! The server's half: events and replies to what a client of this wire reads.

use super::{NAME, error, finish, parts, usage};
use crate::model::{Block, BlockKind, Class, Delta, Loss, ProviderError, Reply, Stop, StreamEvent, ToolCall, Usage};
use crate::wire::arguments;
use crate::wire::in_order::InOrder;
use crate::wire::json_out::Object;
use crate::wire::names::letter_first;
use serde_json::json;
use serde_json::value::RawValue;

/// What every chunk of one reply says of it. What is empty is taken from the events' own `Start`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    pub id: String,
    pub model: String,
}

/// Whether each chunk stands alone or in the envelope of Google's internal door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Envelope {
    #[default]
    None,
    Response,
}

/// Writes a stream chunk by chunk. One that ends in an error has no finish reason, so no client takes it for whole.
#[derive(Debug, Default)]
pub struct ReplyWriter {
    head: Head,
    envelope: Envelope,
    order: InOrder,
    /// The block that is being written.
    block: Option<Writing>,
    usage: Usage,
    over: bool,
    losses: Vec<Loss>,
}

/// A block as far as it came; text and thinking are written as they come.
#[derive(Debug)]
struct Writing {
    ix: usize,
    kind: BlockKind,
    text: String,
    signature: String,
}

impl ReplyWriter {
    pub fn new(head: Head) -> Self {
        Self { head, ..Self::default() }
    }

    pub fn enveloped(head: Head, envelope: Envelope) -> Self {
        Self { head, envelope, ..Self::default() }
    }

    /// The frames of a whole stream, and what was lost of it.
    pub fn write_all(mut self, events: &[StreamEvent]) -> (Vec<u8>, Vec<Loss>) {
        let mut out = Vec::new();
        for event in events {
            self.push(event, &mut out);
        }
        (out, self.losses)
    }

    /// What the wire had no place for, so far.
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Appends the frames of one event. An event behind the terminal one writes nothing.
    pub fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        let mut ordered = Vec::new();
        self.order.push(event, &mut ordered, &mut self.losses);
        for event in ordered {
            self.one(event, out);
        }
    }

    fn one(&mut self, event: StreamEvent, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { id, model } => {
                if self.head.id.is_empty() {
                    self.head.id = id.unwrap_or_default();
                }
                if self.head.model.is_empty() {
                    self.head.model = model.unwrap_or_default();
                }
            }
            StreamEvent::BlockStart { ix, kind } => {
                self.block = Some(Writing { ix, kind, text: String::new(), signature: String::new() });
            }
            StreamEvent::Delta { delta, .. } => self.delta(&delta, out),
            StreamEvent::BlockEnd { .. } => {
                if let Some(block) = self.block.take() {
                    self.end_block(block, out);
                }
            }
            StreamEvent::Usage { usage } => self.usage.replace_with(&usage),
            StreamEvent::End { stop, reason } => {
                if self.usage == Usage::default() {
                    self.losses.push(Loss::new("usage", "it is not known"));
                }
                let (word, used) = (word(stop, reason.as_deref()), self.usage);
                self.chunk(out, r#"{"text":""}"#, Some(word), Some(&used));
                self.over = true;
            }
            StreamEvent::Error { error } => {
                self.frame(out, |o| error_fields(o, &error));
                self.over = true;
            }
            StreamEvent::Unknown { .. } => self.losses.push(Loss::new("events", "an event that is not understood")),
        }
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        let Some(block) = &mut self.block else { return };
        let ix = block.ix;
        match (&mut block.kind, delta) {
            (BlockKind::Text, Delta::Text { text }) if !text.is_empty() => {
                let part = prose(text, None, "");
                self.chunk(out, &part, None, None);
            }
            (BlockKind::Thinking, Delta::Thinking { text }) if !text.is_empty() => {
                let part = prose(text, Some(true), "");
                self.chunk(out, &part, None, None);
            }
            (BlockKind::Text, Delta::Text { .. }) | (BlockKind::Thinking, Delta::Thinking { .. }) => {}
            (BlockKind::Thinking | BlockKind::RedactedThinking | BlockKind::ToolCall { .. }, Delta::Signature { text }) => {
                block.signature.push_str(text);
            }
            (BlockKind::ToolCall { .. }, Delta::Args { text }) => block.text.push_str(text),
            (BlockKind::ToolCall { name, .. }, Delta::Name { text }) => name.push_str(text),
            (BlockKind::Opaque { .. }, Delta::Raw { text }) => block.text.clone_from(text),
            _ => self.losses.push(Loss::new(format!("blocks[{ix}]"), "a piece that this kind of block does not have on this wire")),
        }
    }

    fn end_block(&mut self, block: Writing, out: &mut Vec<u8>) {
        let Writing { ix, kind, text, signature } = block;
        let part = match kind {
            BlockKind::Text => return,
            BlockKind::Thinking if signature.is_empty() => return,
            BlockKind::Thinking => prose("", Some(true), &signature),
            BlockKind::RedactedThinking => {
                self.losses.push(Loss::new(format!("blocks[{ix}]"), "redacted thinking, which this wire does not have"));
                return;
            }
            BlockKind::ToolCall { id, name } => {
                call(&ToolCall { id, name, args_raw: text, signature: (!signature.is_empty()).then_some(signature) })
            }
            BlockKind::Opaque { wire } => {
                let Some(part) = own_part(&wire, &text) else {
                    self.losses.push(Loss::new(format!("blocks[{ix}]"), "an opaque block of another wire"));
                    return;
                };
                // The text that a mark belongs to has been written.
                parts::marked(&part).map_or(part, |signature| parts::signed_nothing(&signature))
            }
        };
        self.chunk(out, &part, None, None);
    }

    fn chunk(&self, out: &mut Vec<u8>, part: &str, finish: Option<&str>, used: Option<&Usage>) {
        self.frame(out, |o| body(o, &self.head, &[part.to_owned()], finish, used));
    }

    fn frame(&self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
        out.extend_from_slice(b"data: ");
        let mut object = Object::begin(out);
        match self.envelope {
            Envelope::None => fill(&mut object),
            Envelope::Response => {
                object.object("response", fill);
            }
        }
        object.end();
        out.extend_from_slice(b"\n\n");
    }
}

/// The frames of a whole stream, and what was lost of it.
pub fn encode_events(head: Head, events: &[StreamEvent]) -> (Vec<u8>, Vec<Loss>) {
    ReplyWriter::new(head).write_all(events)
}

/// A reply as one JSON body; a failed one as the error object that goes with an HTTP status.
pub fn encode_reply(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    let mut o = Object::begin(&mut out);
    if let Some(error) = &reply.error {
        error_fields(&mut o, error);
    } else {
        let head = Head { id: reply.id.clone().unwrap_or_default(), model: reply.model.clone().unwrap_or_default() };
        let used = (reply.usage != Usage::default()).then_some(&reply.usage);
        body(&mut o, &head, &whole(&reply.message.blocks), Some(word(reply.stop, reply.reason.as_deref())), used);
    }
    o.end();
    out
}

/// The parts of a whole reply, each signature on its own.
fn whole(blocks: &[Block]) -> Vec<String> {
    let mut out = Vec::new();
    let mut blocks = blocks.iter().peekable();
    while let Some(block) = blocks.next() {
        match block {
            Block::Text { text } => {
                let mark = blocks.next_if(|b| matches!(b, Block::Opaque { wire, raw } if wire == NAME && parts::marked(raw).is_some()));
                let signature = mark.and_then(|b| if let Block::Opaque { raw, .. } = b { parts::marked(raw) } else { None });
                out.push(prose(text, None, signature.as_deref().unwrap_or_default()));
            }
            Block::Thinking { text, signature, redacted: false } => {
                out.push(prose(text, Some(true), signature.as_deref().unwrap_or_default()));
            }
            Block::ToolCall(c) => out.push(call(c)),
            Block::Opaque { wire, raw } => {
                out.extend(own_part(wire, raw).map(|part| parts::marked(&part).map_or(part, |s| parts::signed_nothing(&s))));
            }
            Block::Thinking { redacted: true, .. } | Block::ToolResult(_) | Block::Image { .. } | Block::Document { .. } => {}
        }
    }
    out
}

fn part(fill: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = Vec::new();
    let mut o = Object::begin(&mut out);
    fill(&mut o);
    o.end();
    String::from_utf8(out).unwrap_or_default()
}

fn prose(text: &str, thought: Option<bool>, signature: &str) -> String {
    part(|o| {
        o.field("text", text).maybe("thought", thought.as_ref());
        o.maybe("thoughtSignature", Some(signature).filter(|s| !s.is_empty()).as_ref());
    })
}

fn call(call: &ToolCall) -> String {
    let written = part(|o| {
        o.object("functionCall", |f| {
            f.maybe("id", Some(&call.id).filter(|id| !id.is_empty())).field("name", &letter_first(&call.name));
            arguments::write(f.key("args"), &call.args_raw);
        });
        o.maybe("thoughtSignature", call.signature.as_ref());
    });
    // A frame has no room for the line breaks that a model may have put between its arguments.
    parts::compact(&written)
}

/// An opaque block as a part, if it is one of this wire.
fn own_part(wire: &str, raw: &str) -> Option<String> {
    let is_object = raw.trim_start().starts_with('{') && serde_json::from_str::<&RawValue>(raw).is_ok();
    (wire == NAME && is_object).then(|| parts::compact(raw))
}

/// The fields of a chunk, or of a whole reply.
fn body(o: &mut Object<'_>, head: &Head, parts: &[String], finish: Option<&str>, used: Option<&Usage>) {
    o.list("candidates", [()], |out, ()| {
        let mut candidate = Object::begin(out);
        candidate.object("content", |c| {
            c.field("role", "model").list("parts", parts, |out, part| out.extend_from_slice(part.as_bytes()));
        });
        candidate.maybe("finishReason", finish.as_ref()).field("index", &0);
        candidate.end();
    });
    if let Some(used) = used {
        usage::write(o, used);
    }
    o.maybe("modelVersion", Some(&head.model).filter(|m| !m.is_empty())).maybe("responseId", Some(&head.id).filter(|id| !id.is_empty()));
}

/// The provider's own word where it means on this wire what we mean; else ours.
fn word(stop: Stop, reason: Option<&str>) -> &str {
    let means = |word: &str| match (finish::read(word), stop) {
        // Calls are told by the parts, whatever the word.
        (finish::Finish::Stop(Stop::End | Stop::Unknown), Stop::ToolUse) => true,
        (read, _) => read == finish::Finish::Stop(stop),
    };
    reason.filter(|r| means(r)).unwrap_or(finish::write(stop))
}

fn error_fields(o: &mut Object<'_>, error: &ProviderError) {
    if error.class == Class::ContentFilter {
        o.field("promptFeedback", &json!({"blockReason": "OTHER", "blockReasonMessage": error.message}));
        return;
    }
    let (code, status, sign) = error::words(error.class);
    let message = match sign.filter(|sign| !error.message.contains(sign)) {
        Some(sign) => format!("{sign}: {}", error.message),
        None => error.message.clone(),
    };
    o.object("error", |e| {
        e.field("code", &code).field("message", &message).field("status", status);
        if let Some(seconds) = error.retry_after_s.filter(|s| s.is_finite()) {
            e.field("details", &json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")}]));
        }
    });
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
