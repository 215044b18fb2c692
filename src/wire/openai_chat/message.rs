//! One neutral message to the wire's messages.
//!
//! What the wire has no place for is left out with a [`Loss`], and where the model would miss it, with words in its
//! place. Images inside tool results go into a user message behind all results, the only place where they may stand.

use crate::model::{Block, ImageSource, Loss, Message, Part, Role, ToolCall, ToolResult};
use crate::wire::Ids;
use crate::wire::json_out::Object;
use crate::wire::marks::Spots;
use crate::wire::names::wire_name;
use crate::wire::quirk::{
    AfterResults, CallSignatures, Dialect, LateSystem, MissingContent, ReasoningBack, ResultName, assistant_after_tools,
    stand_in_signatures,
};
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The words before the images of a tool result.
pub const IMAGES_OF: &str = "Images in the result of tool call ";

/// How a message of text alone is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// As a string, which every server takes.
    #[default]
    Strings,
    /// As parts, between which marks for a cache fit.
    Parts,
}

/// Writes messages, separated by commas, and gathers losses.
pub struct Writer<'a> {
    dialect: &'a Dialect,
    content: Content,
    out: &'a mut Vec<u8>,
    losses: &'a mut Vec<Loss>,
    open: Open,
    /// What stands before `out`, in bytes.
    base: usize,
}

/// What a message leaves open, and where it can be marked.
#[derive(Debug, Clone, Default)]
pub struct Open {
    last: Last,
    /// Messages of tool results with images, which wait for the last result of the run.
    held: Vec<Arc<Message>>,
    /// The last message with calls, where results have to say whose they are.
    calls: Option<Arc<Message>>,
    /// Of each block, counted from the first message's beginning.
    pub spots: Spots,
    /// The closing brace of an assistant message that the model may go on with.
    pub beginning: Option<usize>,
}

/// What was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Last {
    #[default]
    Nothing,
    /// Of the messages before the conversation.
    System,
    Result,
    Other,
}

impl<'a> Writer<'a> {
    /// `base`: how many bytes stand before those of `out`.
    pub fn new(dialect: &'a Dialect, content: Content, open: Open, base: usize, out: &'a mut Vec<u8>, losses: &'a mut Vec<Loss>) -> Self {
        Self { dialect, content, out, losses, open, base }
    }

    /// Writes the message at position `at` and returns what it leaves open.
    pub fn message(mut self, at: usize, message: &Arc<Message>) -> Open {
        if message.role != Role::Tool {
            self.flush();
        }
        self.open.beginning = None;
        self.open.spots = vec![None; message.blocks.len()];
        match message.role {
            Role::System => self.system(at, message),
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
        if message.calls().next().is_some() && self.dialect.result_name == ResultName::Written {
            self.open.calls = Some(Arc::clone(message));
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
                self.prose("user", &parts);
            }
        }
    }

    fn lose(&mut self, at: usize, block: usize, what: impl Into<String>) {
        self.losses.push(Loss::new(format!("messages[{at}].blocks[{block}]"), what));
    }

    fn write(&mut self, role: &str, fill: impl FnOnce(&mut Object<'_>)) -> usize {
        if self.open.last == Last::Result && role == "user" && self.dialect.after_results == AfterResults::Assistant {
            self.object("assistant", |o| {
                o.field("content", assistant_after_tools::WORDS);
            });
        }
        let end = self.object(role, fill);
        self.open.last = match (role, self.open.last) {
            ("tool", _) => Last::Result,
            ("system", Last::Nothing | Last::System) => Last::System,
            _ => Last::Other,
        };
        end
    }

    /// Writes one message; the place of its closing brace.
    fn object(&mut self, role: &str, fill: impl FnOnce(&mut Object<'_>)) -> usize {
        if self.open.last != Last::Nothing {
            self.out.push(b',');
        }
        let mut object = Object::begin(self.out);
        object.field("role", role);
        fill(&mut object);
        object.end();
        self.base + self.out.len() - 1
    }

    /// A message of text and images; the places of its parts' closing braces, where it has parts.
    fn prose(&mut self, role: &str, parts: &[Piece<'_>]) -> Vec<usize> {
        let (form, base) = (self.content, self.base);
        let mut ends = Vec::new();
        self.write(role, |o| ends = content(o, parts, form));
        for end in &mut ends {
            *end += base;
        }
        ends
    }

    /// The same for parts that are blocks of the message, whose numbers these are.
    fn blocks(&mut self, role: &str, parts: &[Piece<'_>], blocks: &[usize]) {
        if parts.is_empty() {
            return;
        }
        let ends = self.prose(role, parts);
        for (block, end) in blocks.iter().zip(ends) {
            if let Some(spot) = self.open.spots.get_mut(*block) {
                *spot = Some(end);
            }
        }
    }

    /// All blocks of the message share its closing brace.
    fn spot(&mut self, end: usize) {
        self.open.spots.fill(Some(end));
    }

    fn system(&mut self, at: usize, message: &Message) {
        let late = !matches!(self.open.last, Last::Nothing | Last::System) && self.dialect.late_system == LateSystem::AsUser;
        let mut parts: Vec<Piece<'_>> = Vec::new();
        let mut blocks = Vec::new();
        for (n, block) in message.blocks.iter().enumerate() {
            match block {
                Block::Text { text } if text.trim().is_empty() => self.lose(at, n, BLANK),
                Block::Text { text } => {
                    if late {
                        self.lose(at, n, "a system message inside the conversation, which this server does not take; sent as the user's");
                    }
                    if let (Some(Piece::Text(all)), Content::Strings) = (parts.last_mut(), self.content) {
                        all.to_mut().push_str(text);
                    } else {
                        parts.push(Piece::Text(text.into()));
                        blocks.push(n);
                    }
                }
                other => self.lose(at, n, format!("{} cannot stand here on this wire", other.kind())),
            }
        }
        self.blocks(if late { "user" } else { "system" }, &parts, &blocks);
    }

    fn user(&mut self, at: usize, message: &Message) {
        let mut parts: Vec<Piece<'_>> = Vec::new();
        let mut blocks = Vec::new();
        for (n, block) in message.blocks.iter().enumerate() {
            let before = parts.len();
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
            blocks.extend((parts.len() > before).then_some(n));
        }
        self.blocks("user", &parts, &blocks);
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
        let (back, always) = match self.dialect.reasoning_back {
            ReasoningBack::ReasoningContentAlways => (Some("reasoning_content"), true),
            ReasoningBack::ReasoningContent => (Some("reasoning_content"), false),
            ReasoningBack::Reasoning => (Some("reasoning"), false),
            ReasoningBack::Drop | ReasoningBack::Parts => (None, false),
        };
        let thinks_in_parts = self.dialect.reasoning_back == ReasoningBack::Parts && !thinking.is_empty();
        let null = self.dialect.missing_content == MissingContent::Null || calls.is_empty();
        let ids = self.dialect.ids;
        let stand_in = self.stand_in(home, &calls);
        let end = self.write("assistant", |o| {
            if thinks_in_parts {
                thinking_parts(o, &thinking, &text);
            } else if !text.is_empty() {
                o.field("content", &text);
            } else if null {
                o.field("content", &());
            }
            if let Some(field) = back
                && (always || !thinking.is_empty())
            {
                o.field(field, &thinking);
            }
            if !calls.is_empty() {
                o.list("tool_calls", calls.iter().enumerate(), |out, (n, c)| {
                    let signature = c.signature.as_deref().filter(|_| home).or(stand_in.filter(|_| n == 0));
                    call(out, c, ids, signature);
                });
            }
            for (key, value) in &opaque {
                o.field(key, value);
            }
        });
        self.spot(end);
        self.open.beginning = calls.is_empty().then_some(end);
    }

    /// The signature that says there is none, for the first call of a message that has none of its own.
    fn stand_in(&self, home: bool, calls: &[&ToolCall]) -> Option<&'static str> {
        let signed = home && calls.iter().any(|c| c.signature.is_some());
        let wanted = !signed && self.dialect.call_signatures == CallSignatures::StandIn;
        self.dialect.target.as_ref().filter(|_| wanted).and_then(|target| stand_in_signatures::stand_in(&target.model))
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
        let calls = self.open.calls.clone();
        let name = calls.as_ref().and_then(|m| m.calls().find(|c| c.id == result.call_id)).map(|c| wire_name(&c.name));
        let end = self.write("tool", |o| {
            o.field("tool_call_id", &id).maybe("name", name.as_ref()).field("content", &text);
        });
        if let Some(spot) = self.open.spots.get_mut(n) {
            *spot = Some(end);
        }
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

/// A single text stands as a string unless parts are wanted; anything else as parts, whose closing braces' places these
/// are.
fn content(object: &mut Object<'_>, parts: &[Piece<'_>], form: Content) -> Vec<usize> {
    if let ([Piece::Text(text)], Content::Strings) = (parts, form) {
        object.field("content", text);
        return Vec::new();
    }
    let mut ends = Vec::with_capacity(parts.len());
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
        ends.push(out.len() - 1);
    });
    ends
}

/// Thinking as a part before the text, as Mistral writes it.
fn thinking_parts(object: &mut Object<'_>, thinking: &str, text: &str) {
    let said = (!text.is_empty()).then(|| json!({"type": "text", "text": text}));
    let thought = json!({"type": "thinking", "thinking": [{"type": "text", "text": thinking}]});
    object.field("content", &std::iter::once(thought).chain(said).collect::<Vec<_>>());
}

fn call(out: &mut Vec<u8>, call: &ToolCall, ids: Ids, signature: Option<&str>) {
    let raw = call.args_raw.trim();
    // Providers send nothing or null for "no arguments", and refuse it when it comes back.
    let args = if raw.is_empty() || raw == "null" { "{}" } else { &call.args_raw };
    let mut o = Object::begin(out);
    o.field("id", &ids.fit(&call.id)).field("type", "function").object("function", |f| {
        f.field("name", &wire_name(&call.name)).field("arguments", args);
    });
    if let Some(signature) = signature {
        o.object("extra_content", |e| {
            e.object("google", |g| {
                g.field("thought_signature", signature);
            });
        });
    }
    o.end();
}
