//! One neutral message to the wire's messages.
//!
//! What the wire has no place for is left out with a [`Loss`], and where the model would miss it, with words in its
//! place. Images inside tool results go into a user message behind all results, the only place where they may stand.

use crate::model::{Block, ImageSource, Loss, Message, Part, Role, ToolCall, ToolResult};
use crate::wire::Ids;
use crate::wire::json_out::Object;
use crate::wire::names::wire_name;
use crate::wire::quirk::{Dialect, MissingContent, ReasoningBack};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The words before the images of a tool result.
pub const IMAGES_OF: &str = "Images in the result of tool call ";

/// Writes messages, separated by commas, and gathers losses.
pub struct Writer<'a> {
    dialect: &'a Dialect,
    out: &'a mut Vec<u8>,
    losses: &'a mut Vec<Loss>,
    open: Open,
}

/// What a message leaves open.
#[derive(Debug, Clone, Default)]
pub struct Open {
    /// Whether anything was written so far.
    follows: bool,
    /// Messages of tool results with images, which wait for the last result of the run.
    held: Vec<Arc<Message>>,
}

impl<'a> Writer<'a> {
    pub fn new(dialect: &'a Dialect, open: Open, out: &'a mut Vec<u8>, losses: &'a mut Vec<Loss>) -> Self {
        Self { dialect, out, losses, open }
    }

    /// Writes the message at position `at` and returns what it leaves open.
    pub fn message(mut self, at: usize, message: &Arc<Message>) -> Open {
        if message.role != Role::Tool {
            self.flush();
        }
        match message.role {
            Role::System => self.plain(at, "system", message),
            Role::User => self.user(at, message),
            Role::Assistant => self.assistant(at, message),
            Role::Tool => {
                for (n, block) in message.blocks.iter().enumerate() {
                    if let Block::ToolResult(result) = block {
                        self.result(at, n, result);
                    } else {
                        self.lose(at, n, "a block that is no tool result, in a message of tool results");
                    }
                }
                if message.tool_results().any(|r| images(r).next().is_some()) {
                    self.open.held.push(Arc::clone(message));
                }
            }
        }
        self.open
    }

    /// Writes what waits for the end of a run of tool messages.
    pub fn flush(&mut self) {
        let held = std::mem::take(&mut self.open.held);
        for result in held.iter().flat_map(|m| m.tool_results()) {
            let lead = Piece::Text(format!("{IMAGES_OF}{}:", self.dialect.ids.fit(&result.call_id)).into());
            let parts: Vec<Piece<'_>> = std::iter::once(lead).chain(images(result).map(Piece::Image)).collect();
            if parts.len() > 1 {
                self.write("user", |o| content(o, &parts));
            }
        }
    }

    fn lose(&mut self, at: usize, block: usize, what: impl Into<String>) {
        self.losses.push(Loss::new(format!("messages[{at}].blocks[{block}]"), what));
    }

    fn write(&mut self, role: &str, fill: impl FnOnce(&mut Object<'_>)) {
        if std::mem::replace(&mut self.open.follows, true) {
            self.out.push(b',');
        }
        let mut object = Object::begin(self.out);
        object.field("role", role);
        fill(&mut object);
        object.end();
    }

    /// A message of text alone.
    fn plain(&mut self, at: usize, role: &str, message: &Message) {
        let text = self.text(at, message);
        if !text.is_empty() {
            self.write(role, |o| {
                o.field("content", &text);
            });
        }
    }

    /// The message's text blocks in one; every other block is a loss.
    fn text(&mut self, at: usize, message: &Message) -> String {
        let mut text = String::new();
        for (n, block) in message.blocks.iter().enumerate() {
            match block {
                Block::Text { text: t } if t.trim().is_empty() => self.lose(at, n, BLANK),
                Block::Text { text: t } => text.push_str(t),
                other => self.lose(at, n, format!("{} cannot stand here on this wire", other.kind())),
            }
        }
        text
    }

    fn user(&mut self, at: usize, message: &Message) {
        let mut parts: Vec<Piece<'_>> = Vec::new();
        for (n, block) in message.blocks.iter().enumerate() {
            match block {
                Block::Text { text } if text.trim().is_empty() => self.lose(at, n, BLANK),
                Block::Text { text } => parts.push(Piece::Text(text.into())),
                Block::Image { source } => parts.push(Piece::Image(source)),
                Block::Document { media_type, name, .. } => {
                    let name = name.as_deref().unwrap_or("unnamed");
                    self.lose(at, n, format!("the document {name} ({media_type}): this wire takes no documents"));
                    parts.push(Piece::Text(
                        format!("[A document was attached here, {name} ({media_type}), but this model cannot be shown it.]").into(),
                    ));
                }
                other => self.lose(at, n, format!("{} cannot stand in a user message", other.kind())),
            }
        }
        if !parts.is_empty() {
            self.write("user", |o| content(o, &parts));
        }
    }

    fn assistant(&mut self, at: usize, message: &Message) {
        let home = self.dialect.is_home(message.origin.as_ref());
        let mut text = String::new();
        let mut thinking = String::new();
        let mut calls: Vec<&ToolCall> = Vec::new();
        let mut opaque: BTreeMap<&str, &RawValue> = BTreeMap::new();
        for (n, block) in message.blocks.iter().enumerate() {
            match block {
                Block::Text { text: t } if t.trim().is_empty() => self.lose(at, n, BLANK),
                Block::Text { text: t } => text.push_str(t),
                Block::Thinking { text: t, signature, .. } => {
                    let back = home && self.dialect.reasoning_back != ReasoningBack::Drop;
                    if back {
                        thinking.push_str(t);
                    }
                    if signature.is_some() || !back || t.is_empty() {
                        self.lose(at, n, if back { "a signature of thinking" } else { "thinking, which is not sent back" });
                    }
                }
                Block::ToolCall(call) => {
                    if call.signature.is_some() && !home {
                        self.lose(at, n, "a tool call's signature, which belongs to another provider or model");
                    }
                    calls.push(call);
                }
                Block::Opaque { wire, raw } if home && wire == super::NAME => {
                    match serde_json::from_str::<BTreeMap<&str, &RawValue>>(raw) {
                        Ok(fields) => opaque.extend(fields),
                        Err(_) => self.lose(at, n, "an opaque block that is no JSON object"),
                    }
                }
                Block::Opaque { .. } => self.lose(at, n, "an opaque block of another provider, model or wire"),
                Block::Image { .. } => {
                    self.lose(at, n, "an image of the assistant: this wire takes none from it");
                    text.push_str("[An image stood here.]");
                }
                other => self.lose(at, n, format!("{} cannot stand in an assistant message", other.kind())),
            }
        }
        opaque.retain(|key, _| OPAQUE_FIELDS.contains(key));
        if text.is_empty() && calls.is_empty() && thinking.is_empty() && opaque.is_empty() {
            return;
        }
        let reasoning = match self.dialect.reasoning_back {
            ReasoningBack::ReasoningContent => Some("reasoning_content"),
            ReasoningBack::Reasoning => Some("reasoning"),
            ReasoningBack::Drop => None,
        };
        let null = self.dialect.missing_content == MissingContent::Null || calls.is_empty();
        let ids = self.dialect.ids;
        self.write("assistant", |o| {
            if !text.is_empty() {
                o.field("content", &text);
            } else if null {
                o.field("content", &());
            }
            if let Some(field) = reasoning
                && !thinking.is_empty()
            {
                o.field(field, &thinking);
            }
            if !calls.is_empty() {
                o.list("tool_calls", &calls, |out, c| call(out, c, ids, home));
            }
            for (key, value) in &opaque {
                o.field(key, value);
            }
        });
    }

    fn result(&mut self, at: usize, n: usize, result: &ToolResult) {
        if result.is_error {
            self.lose(at, n, "the mark that a tool result is an error: its text has to say so");
        }
        let mut text = result.joined();
        let id = self.dialect.ids.fit(&result.call_id);
        if text.is_empty() && images(result).next().is_some() {
            "[The result is shown in the next user message.]".clone_into(&mut text);
        }
        self.write("tool", |o| {
            o.field("tool_call_id", &id).field("content", &text);
        });
    }
}

fn images(result: &ToolResult) -> impl Iterator<Item = &ImageSource> {
    result.parts.iter().filter_map(|p| if let Part::Image { source } = p { Some(source) } else { None })
}

const BLANK: &str = "blank text";

/// Fields that an opaque block may bring back; everything else in a message is ours to write.
const OPAQUE_FIELDS: [&str; 2] = ["extra_content", "reasoning_details"];

/// A part of a user message.
enum Piece<'a> {
    Text(std::borrow::Cow<'a, str>),
    Image(&'a ImageSource),
}

/// A single text stands as a string, which every server takes; anything else as parts.
fn content(object: &mut Object<'_>, parts: &[Piece<'_>]) {
    if let [Piece::Text(text)] = parts {
        object.field("content", text);
        return;
    }
    object.list("content", parts, |out, part| {
        let mut o = Object::begin(out);
        match part {
            Piece::Text(text) => {
                o.field("type", "text").field("text", text);
            }
            Piece::Image(source) => {
                o.field("type", "image_url").object("image_url", |o| {
                    match source {
                        ImageSource::Url { url } => o.field("url", url),
                        ImageSource::Inline { media_type, data } => o.field("url", &format!("data:{media_type};base64,{data}")),
                    };
                });
            }
        }
        o.end();
    });
}

fn call(out: &mut Vec<u8>, call: &ToolCall, ids: Ids, home: bool) {
    let raw = call.args_raw.trim();
    // Providers send nothing or null for "no arguments", and refuse it when it comes back.
    let args = if raw.is_empty() || raw == "null" { "{}" } else { &call.args_raw };
    let mut o = Object::begin(out);
    o.field("id", &ids.fit(&call.id)).field("type", "function").object("function", |f| {
        f.field("name", &wire_name(&call.name)).field("arguments", args);
    });
    if let Some(signature) = call.signature.as_ref().filter(|_| home) {
        o.object("extra_content", |e| {
            e.object("google", |g| {
                g.field("thought_signature", signature);
            });
        });
    }
    o.end();
}
