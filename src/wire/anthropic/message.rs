//! One neutral message to blocks of the wire's messages.
//!
//! Roles alternate on this wire, so neighbours of one side share a message: it is opened when its side begins and closed
//! when the other one does. What the wire has no place for is left out with a [`Loss`], and where the model would miss it,
//! with words in its place.

use super::thinking::{Past, stands};
use crate::model::{Block, ImageSource, Loss, Message, Origin, Part, Role, ToolCall, ToolResult};
use crate::wire::Ids;
use crate::wire::arguments::{self, Written};
use crate::wire::ids::{Once, Renamed};
use crate::wire::json_out::Object;
use crate::wire::marks::Spots;
use crate::wire::names::wire_name;
use crate::wire::quirk::Dialect;
use serde_json::value::RawValue;

/// Who speaks on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    User,
    Assistant,
}

/// The first message where a conversation begins with the assistant, which the server refuses.
pub const LEAD: &str = "[The conversation begins with the assistant.]";
/// What a failed tool says that said nothing: the server refuses an error without words.
pub const SILENT_ERROR: &str = "[The tool failed without a message.]";
const IMAGE_BY_ASSISTANT: &str = "[An image stood here.]";
const BLANK: &str = "blank text";

/// What a message leaves open.
#[derive(Debug, Clone, Default)]
pub struct Open {
    /// The side whose message is open.
    pub side: Option<Side>,
    renamed: Renamed,
}

/// Writes messages and gathers losses.
pub struct Writer<'a> {
    dialect: &'a Dialect,
    past: Past,
    out: &'a mut Vec<u8>,
    losses: &'a mut Vec<Loss>,
    ids: &'a mut Once,
    pub open: Open,
    /// What stands before `out`, in bytes.
    base: usize,
}

impl<'a> Writer<'a> {
    pub fn new(
        dialect: &'a Dialect,
        past: Past,
        open: Open,
        ids: &'a mut Once,
        base: usize,
        out: &'a mut Vec<u8>,
        losses: &'a mut Vec<Loss>,
    ) -> Self {
        Self { dialect, past, out, losses, ids, open, base }
    }

    /// Writes the message at position `at`; its last message stays open.
    pub fn message(&mut self, at: usize, message: &Message) -> Spots {
        match message.role {
            Role::System => self.each(at, message, Self::late_system),
            Role::User => self.each(at, message, |w, at, n, block| w.user(at, n, block, message.origin.as_ref())),
            Role::Assistant => self.assistant(at, message),
            Role::Tool => self.each(at, message, Self::tool),
        }
    }

    fn each(&mut self, at: usize, message: &Message, mut one: impl FnMut(&mut Self, usize, usize, &Block) -> Option<usize>) -> Spots {
        message.blocks.iter().enumerate().map(|(n, block)| one(self, at, n, block)).collect()
    }

    fn lose(&mut self, at: usize, block: usize, what: impl Into<String>) {
        self.losses.push(Loss::new(format!("messages[{at}].blocks[{block}]"), what));
    }

    /// Goes on in the open message of this side, or begins one.
    fn enter(&mut self, at: usize, side: Side) {
        if self.open.side == Some(side) {
            return self.out.push(b',');
        }
        if self.open.side.is_some() {
            self.out.extend_from_slice(b"]},");
        } else if side == Side::Assistant {
            self.losses
                .push(Loss::new(format!("messages[{at}]"), "the wire's conversations begin with the user; a line was put before this"));
            self.out.extend_from_slice(br#"{"role":"user","content":["#);
            let mut lead = Object::begin(self.out);
            text(LEAD)(&mut lead);
            lead.end();
            self.out.extend_from_slice(b"]},");
        }
        let role = match side {
            Side::User => "user",
            Side::Assistant => "assistant",
        };
        self.out.extend_from_slice(format!(r#"{{"role":"{role}","content":["#).as_bytes());
        self.open.side = Some(side);
    }

    fn block(&mut self, at: usize, side: Side, fill: impl FnOnce(&mut Object<'_>)) -> usize {
        self.enter(at, side);
        let mut object = Object::begin(self.out);
        fill(&mut object);
        object.end();
        self.base + self.out.len() - 1
    }

    /// A block of this wire, byte for byte.
    fn raw(&mut self, at: usize, n: usize, side: Side, raw: &str) {
        if raw.trim_start().starts_with('{') && serde_json::from_str::<&RawValue>(raw).is_ok() {
            self.enter(at, side);
            self.out.extend_from_slice(raw.trim().as_bytes());
        } else {
            self.lose(at, n, "an opaque block that is no JSON object");
        }
    }

    fn late_system(&mut self, at: usize, n: usize, block: &Block) -> Option<usize> {
        self.lose(at, n, "a system message inside the conversation, which this wire does not have; sent as the user's");
        match block {
            Block::Text { text: t } if !t.trim().is_empty() => Some(self.block(at, Side::User, text(t))),
            _ => None,
        }
    }

    fn user(&mut self, at: usize, n: usize, block: &Block, origin: Option<&Origin>) -> Option<usize> {
        match block {
            Block::Text { text: t } if t.trim().is_empty() => self.lose(at, n, BLANK),
            Block::Text { text: t } => return Some(self.block(at, Side::User, text(t))),
            Block::Image { source } => {
                if let Some(kind) = unseen(source) {
                    self.lose(at, n, format!("an image of type {kind}, which this wire does not take"));
                }
                return Some(self.block(at, Side::User, |o| image(o, source)));
            }
            Block::Document { media_type, data, name } if media_type == "application/pdf" => {
                return Some(self.block(at, Side::User, |o| {
                    o.field("type", "document").object("source", |s| {
                        s.field("type", "base64").field("media_type", media_type).field("data", data);
                    });
                    o.maybe("title", name.as_ref());
                }));
            }
            Block::Document { media_type, name, .. } => {
                let name = name.as_deref().unwrap_or("unnamed");
                self.lose(at, n, format!("the document {name} ({media_type}): this wire takes only PDF"));
                let words = format!("[A document was attached here, {name} ({media_type}), but this model cannot be shown it.]");
                return Some(self.block(at, Side::User, text(&words)));
            }
            // What the user's side holds was put there by a client of this wire, not made by a model.
            Block::Opaque { wire, raw } if wire == super::NAME && origin.is_none() => self.raw(at, n, Side::User, raw),
            other => self.lose(at, n, format!("{} cannot stand in a user message", other.kind())),
        }
        None
    }

    fn tool(&mut self, at: usize, n: usize, block: &Block) -> Option<usize> {
        let Block::ToolResult(result) = block else {
            self.lose(at, n, "a block that is no tool result, in a message of tool results");
            return None;
        };
        for part in &result.parts {
            match part {
                Part::Text { text } if !text.is_empty() && text.trim().is_empty() => self.lose(at, n, BLANK),
                Part::Image { source } => {
                    if let Some(kind) = unseen(source) {
                        self.lose(at, n, format!("an image of type {kind}, which this wire does not take"));
                    }
                }
                Part::Text { .. } => {}
            }
        }
        let id = self.open.renamed.result(Ids::Anthropic, &result.call_id).into_owned();
        Some(self.block(at, Side::User, |o| tool_result(o, result, &id)))
    }

    fn assistant(&mut self, at: usize, message: &Message) -> Spots {
        self.open.renamed.clear();
        let home = self.dialect.is_home(message.origin.as_ref());
        // The server refuses a message that ends in thinking.
        let last = message.blocks.iter().rposition(|b| stands(b, home));
        self.each(at, message, |w, at, n, block| match block {
            Block::Text { text: t } if t.trim().is_empty() => {
                w.lose(at, n, BLANK);
                None
            }
            Block::Text { text: t } => Some(w.block(at, Side::Assistant, text(t))),
            Block::Thinking { text, signature, redacted } => {
                match signature.as_deref().filter(|s| !s.is_empty()) {
                    Some(_) if !home => w.lose(at, n, "thinking that another provider or model signed"),
                    Some(_) if w.past == Past::LeftOut => {
                        w.lose(at, n, "thinking, which this model refuses while it is not asked to think");
                    }
                    Some(_) if last.is_none_or(|last| last < n) => {
                        w.lose(at, n, "thinking at the end of a message, where this wire takes none");
                    }
                    Some(proof) => {
                        w.block(at, Side::Assistant, |o| thinking(o, text, proof, *redacted));
                    }
                    None => w.lose(at, n, "thinking without a signature"),
                }
                None
            }
            Block::ToolCall(c) => {
                if c.signature.is_some() {
                    w.lose(at, n, "a tool call's signature");
                }
                let mut how = Written::AsTheyWere;
                let id = w.ids.call(Ids::Anthropic, &c.id, at);
                w.open.renamed.note(Ids::Anthropic, &c.id, &id);
                let spot = w.block(at, Side::Assistant, |o| how = call(o, c, &id));
                if how == Written::Wrapped {
                    w.lose(at, n, format!("arguments that are no JSON object; they stand under `{}`", arguments::UNPARSED));
                }
                Some(spot)
            }
            Block::Opaque { wire, raw } if home && wire == super::NAME => {
                w.raw(at, n, Side::Assistant, raw);
                None
            }
            Block::Opaque { .. } => {
                w.lose(at, n, "an opaque block of another provider, model or wire");
                None
            }
            Block::Image { .. } => {
                w.lose(at, n, "an image of the assistant: this wire takes none from it");
                Some(w.block(at, Side::Assistant, text(IMAGE_BY_ASSISTANT)))
            }
            other => {
                w.lose(at, n, format!("{} cannot stand in an assistant message", other.kind()));
                None
            }
        })
    }
}

/// The fields of a text block.
pub fn text(text: &str) -> impl FnOnce(&mut Object<'_>) {
    move |o| {
        o.field("type", "text").field("text", text);
    }
}

/// The media type of an image that the server would refuse.
fn unseen(source: &ImageSource) -> Option<&str> {
    match source {
        ImageSource::Inline { media_type, .. } => {
            let seen = matches!(media_type.as_str(), "image/jpeg" | "image/png" | "image/gif" | "image/webp");
            (!seen).then_some(media_type)
        }
        ImageSource::Url { .. } => None,
    }
}

fn image(o: &mut Object<'_>, source: &ImageSource) {
    if let Some(kind) = unseen(source) {
        return text(&format!("[An image of type {kind} stood here, which this model cannot be shown.]"))(o);
    }
    o.field("type", "image").object("source", |s| {
        match source {
            ImageSource::Inline { media_type, data } => s.field("type", "base64").field("media_type", media_type).field("data", data),
            ImageSource::Url { url } => s.field("type", "url").field("url", url),
        };
    });
}

fn tool_result(o: &mut Object<'_>, result: &ToolResult, id: &str) {
    o.field("type", "tool_result").field("tool_use_id", id);
    let blank = |part: &&Part| matches!(part, Part::Text { text } if text.trim().is_empty());
    let parts: Vec<&Part> = result.parts.iter().filter(|p| !blank(p)).collect();
    match parts.as_slice() {
        [] if result.is_error => {
            o.field("content", SILENT_ERROR);
        }
        [] => {}
        [Part::Text { text }] => {
            o.field("content", text);
        }
        parts => {
            o.list("content", parts, |out, part| {
                let mut p = Object::begin(out);
                match part {
                    Part::Text { text: t } => text(t)(&mut p),
                    Part::Image { source } => image(&mut p, source),
                }
                p.end();
            });
        }
    }
    if result.is_error {
        o.field("is_error", &true);
    }
}

/// The fields of thinking with its proof, or of its redacted form.
pub fn thinking(o: &mut Object<'_>, text: &str, proof: &str, redacted: bool) {
    if redacted {
        o.field("type", "redacted_thinking").field("data", proof);
    } else {
        o.field("type", "thinking").field("thinking", text).field("signature", proof);
    }
}

/// The fields of a call, under this id.
pub fn call(o: &mut Object<'_>, call: &ToolCall, id: &str) -> Written {
    o.field("type", "tool_use").field("id", id).field("name", &wire_name(&call.name));
    arguments::write(o.key("input"), &call.args_raw)
}
