//! The server's half: events and replies to what a client of this wire reads.

use super::{finish, usage};
use crate::model::{Block, BlockKind, Class, Delta, Loss, ProviderError, Reply, Stop, StreamEvent, Usage};
use crate::wire::Ids;
use crate::wire::json_out::Object;
use crate::wire::names::wire_name;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};

/// What every chunk of one reply says of it. Without an id or model, the events' own `Start` is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    pub id: String,
    pub model: String,
    /// Unix seconds.
    pub created: u64,
}

/// Writes a stream chunk by chunk.
///
/// The usage is written behind the finish reason, as OpenAI does when asked for it. A stream that ends in an error ends
/// without `[DONE]`, so no client takes it for whole.
#[derive(Debug, Default)]
pub struct ReplyWriter {
    head: Head,
    begun: bool,
    /// The wire's number of each tool call, by its block.
    calls: HashMap<usize, usize>,
    usage: Option<Usage>,
    over: bool,
    losses: Vec<Loss>,
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
        match event {
            StreamEvent::Start { id, model } => self.start(id.as_deref(), model.as_deref(), out),
            StreamEvent::BlockStart { ix, kind } => self.open(*ix, kind, out),
            StreamEvent::Delta { ix, delta } => self.delta(*ix, delta, out),
            StreamEvent::BlockEnd { .. } => {}
            StreamEvent::Usage { usage } => self.usage.get_or_insert_default().replace_with(usage),
            StreamEvent::End { stop, reason } => self.end(*stop, reason.as_deref(), out),
            StreamEvent::Error { error } => {
                frame(out, |o| error_field(o, error));
                self.over = true;
            }
            StreamEvent::Unknown { .. } => self.losses.push(Loss::new("events", "an event that is not understood")),
        }
    }

    fn start(&mut self, id: Option<&str>, model: Option<&str>, out: &mut Vec<u8>) {
        if self.head.id.is_empty() {
            id.unwrap_or_default().clone_into(&mut self.head.id);
        }
        if self.head.model.is_empty() {
            model.unwrap_or_default().clone_into(&mut self.head.model);
        }
        self.begin(out);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            self.chunk(out, None, |d| {
                d.field("role", "assistant").field("content", "");
            });
        }
    }

    fn chunk(&self, out: &mut Vec<u8>, finish: Option<&str>, fill: impl FnOnce(&mut Object<'_>)) {
        frame(out, |o| {
            describe(o, &self.head, "chat.completion.chunk");
            o.list("choices", [fill], |out, fill| {
                let mut choice = Object::begin(out);
                choice.field("index", &0).object("delta", fill).field("finish_reason", &finish);
                choice.end();
            });
        });
    }

    fn open(&mut self, ix: usize, kind: &BlockKind, out: &mut Vec<u8>) {
        self.begin(out);
        let BlockKind::ToolCall { id, name } = kind else { return };
        let number = self.calls.len();
        self.calls.insert(ix, number);
        self.chunk(out, None, |d| {
            d.list("tool_calls", [()], |out, ()| {
                let mut c = Object::begin(out);
                c.field("index", &number).field("id", &Ids::Chat.fit(id)).field("type", "function").object("function", |f| {
                    f.field("name", &wire_name(name)).field("arguments", "");
                });
                c.end();
            });
        });
    }

    fn delta(&mut self, ix: usize, delta: &Delta, out: &mut Vec<u8>) {
        self.begin(out);
        let number = self.calls.get(&ix).copied();
        match (delta, number) {
            (Delta::Text { text }, _) => self.chunk(out, None, |d| {
                d.field("content", text);
            }),
            (Delta::Thinking { text }, _) => self.chunk(out, None, |d| {
                d.field("reasoning_content", text);
            }),
            (Delta::Args { text }, Some(number)) => self.call(out, number, |c| {
                c.object("function", |f| {
                    f.field("arguments", text);
                });
            }),
            (Delta::Name { text }, Some(number)) => self.call(out, number, |c| {
                c.object("function", |f| {
                    f.field("name", text);
                });
            }),
            (Delta::Signature { text }, Some(number)) => self.call(out, number, |c| {
                google_signature(c, text);
            }),
            (Delta::Raw { text }, _) => match serde_json::from_str::<BTreeMap<&str, &RawValue>>(text) {
                Ok(fields) => self.chunk(out, None, |d| own_fields(d, &fields)),
                Err(_) => self.losses.push(Loss::new(format!("blocks[{ix}]"), "an opaque block of another wire")),
            },
            (Delta::Signature { .. }, None) => self.losses.push(Loss::new(format!("blocks[{ix}]"), "a signature of thinking")),
            (Delta::Args { .. } | Delta::Name { .. }, None) => {
                self.losses.push(Loss::new(format!("blocks[{ix}]"), "a piece of a tool call that never began"));
            }
        }
    }

    fn call(&self, out: &mut Vec<u8>, number: usize, fill: impl FnOnce(&mut Object<'_>)) {
        self.chunk(out, None, |d| {
            d.list("tool_calls", [fill], |out, fill| {
                let mut c = Object::begin(out);
                c.field("index", &number);
                fill(&mut c);
                c.end();
            });
        });
    }

    fn end(&mut self, stop: Stop, reason: Option<&str>, out: &mut Vec<u8>) {
        self.begin(out);
        let word = word(stop, reason);
        self.chunk(out, Some(word), |_| {});
        if let Some(used) = &self.usage {
            frame(out, |o| {
                describe(o, &self.head, "chat.completion.chunk");
                o.list("choices", [], |_, ()| {});
                usage::write(o, used);
            });
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.over = true;
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
pub fn encode_reply(reply: &Reply, created: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut o = Object::begin(&mut out);
    if let Some(error) = &reply.error {
        error_field(&mut o, error);
        o.end();
        return out;
    }
    let head = Head { id: reply.id.clone().unwrap_or_default(), model: reply.model.clone().unwrap_or_default(), created };
    describe(&mut o, &head, "chat.completion");
    o.list("choices", [()], |out, ()| {
        let mut choice = Object::begin(out);
        choice
            .field("index", &0)
            .object("message", |m| message(m, reply))
            .field("finish_reason", word(reply.stop, reply.reason.as_deref()));
        choice.end();
    });
    if reply.usage != Usage::default() {
        usage::write(&mut o, &reply.usage);
    }
    o.end();
    out
}

fn message(m: &mut Object<'_>, reply: &Reply) {
    let blocks = &reply.message.blocks;
    let text = reply.message.joined_text();
    m.field("role", "assistant").field("content", &(!text.is_empty()).then_some(text)).field("refusal", &());
    let thinking: String =
        blocks.iter().filter_map(|b| if let Block::Thinking { text, .. } = b { Some(text.as_str()) } else { None }).collect();
    if !thinking.is_empty() {
        m.field("reasoning_content", &thinking);
    }
    if reply.message.calls().next().is_some() {
        m.list("tool_calls", reply.message.calls(), |out, call| {
            let mut c = Object::begin(out);
            c.field("id", &Ids::Chat.fit(&call.id)).field("type", "function").object("function", |f| {
                f.field("name", &wire_name(&call.name)).field("arguments", &call.args_raw);
            });
            if let Some(signature) = &call.signature {
                google_signature(&mut c, signature);
            }
            c.end();
        });
    }
    for block in blocks {
        if let Block::Opaque { wire, raw } = block
            && wire == super::NAME
            && let Ok(fields) = serde_json::from_str::<BTreeMap<&str, &RawValue>>(raw)
        {
            own_fields(m, &fields);
        }
    }
}

/// Fields that this wire's clients hand back as they are.
fn own_fields(object: &mut Object<'_>, fields: &BTreeMap<&str, &RawValue>) {
    for (key, value) in fields.iter().filter(|(key, _)| matches!(**key, "extra_content" | "reasoning_details")) {
        object.field(key, value);
    }
}

fn google_signature(object: &mut Object<'_>, signature: &str) {
    object.object("extra_content", |e| {
        e.object("google", |g| {
            g.field("thought_signature", signature);
        });
    });
}

/// The provider's own word where it means on this wire what we mean; else ours.
fn word(stop: Stop, reason: Option<&str>) -> &str {
    reason.filter(|r| finish::read(r) == finish::Finish::Stop(stop)).unwrap_or(finish::write(stop))
}

fn describe(o: &mut Object<'_>, head: &Head, object: &str) {
    o.field("id", &head.id).field("object", object).field("created", &head.created).field("model", &head.model);
}

fn frame(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.extend_from_slice(b"data: ");
    let mut object = Object::begin(out);
    fill(&mut object);
    object.end();
    out.extend_from_slice(b"\n\n");
}

/// The field `error`, as OpenAI's clients read it, with what pup's own read besides.
pub fn error_field(o: &mut Object<'_>, error: &ProviderError) {
    let (kind, code, status) = error_words(error.class);
    o.object("error", |e| {
        e.field("message", &error.message).field("type", kind).field("param", &()).field("code", code);
        e.field("status_code", &error.status.filter(|s| *s >= 400).unwrap_or(status));
        e.maybe("retry_after", error.retry_after_s.filter(|s| s.is_finite()).as_ref());
    });
}

/// The type, code and status by which OpenAI's clients know a class.
const fn error_words(class: Class) -> (&'static str, &'static str, u16) {
    match class {
        Class::RateLimit => ("rate_limit_error", "rate_limit_exceeded", 429),
        Class::Quota => ("rate_limit_error", "usage_limit_reached", 429),
        Class::Billing => ("insufficient_quota", "insufficient_quota", 429),
        Class::Overloaded => ("server_error", "server_is_overloaded", 503),
        Class::Server => ("server_error", "server_error", 500),
        Class::Auth => ("invalid_request_error", "invalid_api_key", 401),
        Class::Permission => ("invalid_request_error", "permission_denied", 403),
        Class::ContextTooLong => ("invalid_request_error", "context_length_exceeded", 400),
        Class::BadRequest => ("invalid_request_error", "invalid_request_error", 400),
        Class::ContentFilter => ("invalid_request_error", "content_filter", 400),
        Class::NotFound => ("invalid_request_error", "model_not_found", 404),
        Class::Network => ("server_error", "upstream_unreachable", 502),
        Class::Timeout => ("server_error", "timeout", 504),
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
