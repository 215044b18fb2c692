//! The server's half: events and replies to what a client of this wire reads.
//!
//! Clients of this wire expect one block after the other, while other wires' replies mix them.

use super::message::{call, text, thinking};
use super::{NAME, error, finish, usage};
use crate::model::{Block, BlockKind, Delta, Loss, ProviderError, Reply, Stop, StreamEvent, Usage};
use crate::wire::Ids;
use crate::wire::in_order::InOrder;
use crate::wire::json_out::{self, Object};
use crate::wire::names::wire_name;
use serde_json::json;
use serde_json::value::RawValue;

/// What a stream says of its reply. What is empty is taken from the events' own `Start`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    pub id: String,
    pub model: String,
}

/// Writes a stream event by event. One that ends in an error has no `message_stop`, so no client takes it for whole.
#[derive(Debug, Default)]
pub struct ReplyWriter {
    head: Head,
    begun: bool,
    order: InOrder,
    /// The block that is being written.
    block: Option<Writing>,
    next_index: usize,
    usage: Usage,
    over: bool,
    losses: Vec<Loss>,
}

/// A block that is not written to its end.
#[derive(Debug)]
struct Writing {
    ix: usize,
    kind: BlockKind,
    /// Its start is written.
    started: bool,
    /// What stands whole in its start: a redacted form, or a block of this wire.
    whole: String,
}

impl ReplyWriter {
    pub fn new(head: Head) -> Self {
        Self { head, ..Self::default() }
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
                if matches!(&kind, BlockKind::Opaque { wire } if wire != NAME) {
                    // Its pieces say nothing either.
                    return self.losses.push(Loss::new(format!("blocks[{ix}]"), "an opaque block of another wire"));
                }
                self.begin(out);
                let mut block = Writing { ix, kind, started: false, whole: String::new() };
                if matches!(block.kind, BlockKind::Text | BlockKind::Thinking) {
                    block.start(self.next_index, out);
                }
                self.block = Some(block);
            }
            StreamEvent::Delta { delta, .. } => {
                if let Some(block) = &mut self.block {
                    block.delta(self.next_index, delta, &mut self.losses, out);
                }
            }
            StreamEvent::BlockEnd { .. } => {
                if let Some(mut block) = self.block.take() {
                    self.next_index += usize::from(block.end(self.next_index, &mut self.losses, out));
                }
            }
            StreamEvent::Usage { usage } => self.usage.replace_with(&usage),
            StreamEvent::End { stop, reason } => self.end(stop, reason.as_deref(), out),
            StreamEvent::Error { error } => {
                frame(out, "error", |o| error_fields(o, &error));
                self.over = true;
            }
            StreamEvent::Unknown { .. } => self.losses.push(Loss::new("events", "an event that is not understood")),
        }
    }

    /// The message's start is written with its first content, when its usage is most likely known.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let (head, used) = (&self.head, &self.usage);
        frame(out, "message_start", |o| {
            o.object("message", |m| {
                describe(m, head);
                m.field("content", &json!([])).field("stop_reason", &()).field("stop_sequence", &());
                usage::write(m, used);
            });
        });
    }

    fn end(&mut self, stop: Stop, reason: Option<&str>, out: &mut Vec<u8>) {
        self.begin(out);
        let word = word(stop, reason);
        if self.usage == Usage::default() {
            self.losses.push(Loss::new("usage", "it is not known; clients require numbers and get zeros"));
        }
        let used = &self.usage;
        frame(out, "message_delta", |o| {
            o.object("delta", |d| {
                d.field("stop_reason", word).field("stop_sequence", &());
            });
            usage::write(o, used);
        });
        frame(out, "message_stop", |_| {});
        self.over = true;
    }
}

impl Writing {
    /// Writes the start, under this number.
    fn start(&mut self, index: usize, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let whole = &self.whole;
        match &self.kind {
            BlockKind::Text => start(out, index, text("")),
            BlockKind::Thinking => start(out, index, |o| thinking(o, "", "", false)),
            BlockKind::RedactedThinking => start(out, index, |o| thinking(o, "", whole, true)),
            BlockKind::ToolCall { id, name } => start(out, index, |o| {
                o.field("type", "tool_use").field("id", &Ids::Anthropic.fit(id)).field("name", &wire_name(name)).field("input", &json!({}));
            }),
            BlockKind::Opaque { .. } => match serde_json::from_str::<&RawValue>(whole) {
                Ok(block) => frame(out, "content_block_start", |o| {
                    o.field("index", &index).field("content_block", block);
                }),
                Err(_) => self.started = false,
            },
        }
    }

    fn delta(&mut self, index: usize, delta: Delta, losses: &mut Vec<Loss>, out: &mut Vec<u8>) {
        let (kind, field, text) = match (&mut self.kind, delta) {
            // The name stands in the start, and may come in pieces until the arguments begin.
            (BlockKind::ToolCall { name, .. }, Delta::Name { text }) if !self.started => return name.push_str(&text),
            (BlockKind::ToolCall { .. }, Delta::Name { .. }) => return,
            (BlockKind::RedactedThinking, Delta::Signature { text }) => return self.whole.push_str(&text),
            (BlockKind::Opaque { .. }, Delta::Raw { text }) => return self.whole = text,
            (BlockKind::Text, Delta::Text { text }) => ("text_delta", "text", text),
            (BlockKind::Thinking, Delta::Thinking { text }) => ("thinking_delta", "thinking", text),
            (BlockKind::Thinking, Delta::Signature { text }) => ("signature_delta", "signature", text),
            (BlockKind::ToolCall { .. }, Delta::Args { text }) => ("input_json_delta", "partial_json", text),
            _ => {
                return losses
                    .push(Loss::new(format!("blocks[{}]", self.ix), "a piece that this kind of block does not have on this wire"));
            }
        };
        self.start(index, out);
        frame(out, "content_block_delta", |o| {
            o.field("index", &index).object("delta", |d| {
                d.field("type", kind).field(field, &text);
            });
        });
    }

    /// Writes what is left of it; whether anything was written at all.
    fn end(&mut self, index: usize, losses: &mut Vec<Loss>, out: &mut Vec<u8>) -> bool {
        self.start(index, out);
        if self.started {
            frame(out, "content_block_stop", |o| {
                o.field("index", &index);
            });
        } else {
            losses.push(Loss::new(format!("blocks[{}]", self.ix), "an opaque block that is no JSON"));
        }
        self.started
    }
}

/// The frames of a whole stream, and what was lost of it.
pub fn encode_events(head: Head, events: &[StreamEvent]) -> (Vec<u8>, Vec<Loss>) {
    let mut writer = ReplyWriter::new(head);
    let mut out = Vec::new();
    for event in events {
        writer.push(event, &mut out);
    }
    (out, writer.losses)
}

/// A reply as one JSON body; a failed one as the error object that goes with an HTTP status.
pub fn encode_reply(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    let mut o = Object::begin(&mut out);
    if let Some(error) = &reply.error {
        o.field("type", "error");
        error_fields(&mut o, error);
        o.end();
        return out;
    }
    describe(&mut o, &Head { id: reply.id.clone().unwrap_or_default(), model: reply.model.clone().unwrap_or_default() });
    o.list("content", reply.message.blocks.iter().filter(|b| carried(b)), block);
    o.field("stop_reason", word(reply.stop, reply.reason.as_deref())).field("stop_sequence", &());
    usage::write(&mut o, &reply.usage);
    o.end();
    out
}

/// Whether a reply's block has a form on this wire.
fn carried(block: &Block) -> bool {
    match block {
        Block::Text { .. } | Block::Thinking { .. } | Block::ToolCall(_) => true,
        Block::Opaque { wire, raw } => wire == NAME && serde_json::from_str::<&RawValue>(raw).is_ok(),
        Block::ToolResult(_) | Block::Image { .. } | Block::Document { .. } => false,
    }
}

fn block(out: &mut Vec<u8>, block: &Block) {
    if let Block::Opaque { raw, .. } = block {
        if let Ok(raw) = serde_json::from_str::<&RawValue>(raw) {
            json_out::value(out, raw);
        }
        return;
    }
    let mut o = Object::begin(out);
    match block {
        Block::Text { text: t } => text(t)(&mut o),
        Block::Thinking { text, signature, redacted } => thinking(&mut o, text, signature.as_deref().unwrap_or_default(), *redacted),
        Block::ToolCall(c) => {
            call(&mut o, c, &Ids::Anthropic.fit(&c.id));
        }
        Block::ToolResult(_) | Block::Image { .. } | Block::Document { .. } | Block::Opaque { .. } => {}
    }
    o.end();
}

/// The provider's own word where it means on this wire what we mean; else ours.
fn word(stop: Stop, reason: Option<&str>) -> &str {
    reason.filter(|r| stop != Stop::Unknown && finish::read(r) == stop).unwrap_or(finish::write(stop))
}

fn describe(o: &mut Object<'_>, head: &Head) {
    o.field("id", &head.id).field("type", "message").field("role", "assistant").field("model", &head.model);
}

fn start(out: &mut Vec<u8>, index: usize, fill: impl FnOnce(&mut Object<'_>)) {
    frame(out, "content_block_start", |o| {
        o.field("index", &index).object("content_block", fill);
    });
}

fn frame(out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
    out.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
    let mut object = Object::begin(out);
    object.field("type", name);
    fill(&mut object);
    object.end();
    out.extend_from_slice(b"\n\n");
}

fn error_fields(o: &mut Object<'_>, error: &ProviderError) {
    let (kind, sign) = error::words(error.class);
    let message = match sign.filter(|sign| !error.message.contains(sign)) {
        Some(sign) => format!("{sign}: {}", error.message),
        None => error.message.clone(),
    };
    o.object("error", |e| {
        e.field("type", kind).field("message", &message);
    });
    o.maybe("request_id", error.request_id.as_ref());
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
