//! One neutral message to input items.
//!
//! Every role has its own kind of item, tool results take images, and documents are files, so little is lost here. What the
//! model itself made goes back to its own origin only, and then as the server gave it: reasoning whole, and what followed it
//! under its id. An id without its reasoning would be refused, and so would reasoning that nothing follows.

use super::about;
use super::shape::Item;
use crate::model::{Block, ImageSource, Loss, Message, Part, Role, ToolCall, ToolResult};
use crate::wire::Ids;
use crate::wire::ids::{Once, Renamed};
use crate::wire::json_out::Object;
use crate::wire::names::wire_name;
use crate::wire::quirk::Dialect;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

const IMAGE_BY_ASSISTANT: &str = "[An image stood here.]";
const BLANK: &str = "blank text";
/// The name of a file that has none: the wire requires one.
pub const UNNAMED: &str = "unnamed.pdf";
pub const PDF: &str = "application/pdf";

/// What a message leaves open.
#[derive(Debug, Clone, Default)]
pub struct Open {
    /// Whether anything was written so far.
    follows: bool,
    /// Calls of the last assistant message whose results are items of their own kind.
    custom: Vec<String>,
    renamed: Renamed,
}

/// Writes messages as items, separated by commas, and gathers losses.
pub struct Writer<'a> {
    dialect: &'a Dialect,
    ids: &'a mut Once,
    out: &'a mut Vec<u8>,
    losses: &'a mut Vec<Loss>,
    open: Open,
}

/// A part of a message item.
enum Piece<'a> {
    /// Text of whoever speaks.
    Text(Cow<'a, str>),
    Image(&'a ImageSource),
    Pdf {
        name: Option<&'a str>,
        data: &'a str,
    },
    /// A part of this wire, byte for byte.
    Raw(&'a str),
}

impl<'a> Writer<'a> {
    pub fn new(dialect: &'a Dialect, open: Open, ids: &'a mut Once, out: &'a mut Vec<u8>, losses: &'a mut Vec<Loss>) -> Self {
        Self { dialect, ids, out, losses, open }
    }

    /// Writes the message at position `at` and returns what it leaves open.
    pub fn message(mut self, at: usize, message: &Message) -> Open {
        match message.role {
            // Those at the beginning are the field `instructions`.
            Role::System => self.spoken(at, "developer", message),
            Role::User => self.spoken(at, "user", message),
            Role::Assistant => {
                self.open.custom.clear();
                self.open.renamed.clear();
                self.assistant(at, message);
            }
            Role::Tool => {
                for (n, block) in message.blocks.iter().enumerate() {
                    if let Block::ToolResult(result) = block {
                        self.result(at, n, result);
                    } else {
                        self.lose(at, n, "a block that is no tool result, in a message of tool results");
                    }
                }
            }
        }
        self.open
    }

    fn lose(&mut self, at: usize, block: usize, what: impl Into<String>) {
        self.losses.push(Loss::new(format!("messages[{at}].blocks[{block}]"), what));
    }

    fn separate(&mut self) {
        if std::mem::replace(&mut self.open.follows, true) {
            self.out.push(b',');
        }
    }

    fn item(&mut self, kind: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.separate();
        let mut object = Object::begin(self.out);
        object.field("type", kind);
        fill(&mut object);
        object.end();
    }

    fn raw(&mut self, raw: &str) {
        self.separate();
        self.out.extend_from_slice(raw.trim().as_bytes());
    }

    /// A message of parts; none where there are none.
    fn parts(&mut self, role: &str, pieces: &mut Vec<Piece<'_>>) {
        if !pieces.is_empty() {
            self.item(about::MESSAGE, |o| {
                o.field("role", role).list("content", pieces.drain(..), piece);
            });
        }
    }

    /// What a user says, or the system in the middle of the conversation.
    fn spoken(&mut self, at: usize, role: &str, message: &Message) {
        let user = message.role == Role::User;
        let mut pieces: Vec<Piece<'_>> = Vec::new();
        for (n, block) in message.blocks.iter().enumerate() {
            match block {
                Block::Text { text } if text.trim().is_empty() => self.lose(at, n, BLANK),
                Block::Text { text } => pieces.push(Piece::Text(text.into())),
                Block::Image { source } if user => pieces.push(Piece::Image(source)),
                Block::Document { media_type, data, name } if user && media_type == PDF => {
                    pieces.push(Piece::Pdf { name: name.as_deref(), data });
                }
                Block::Document { media_type, name, .. } if user => {
                    let name = name.as_deref().unwrap_or("unnamed");
                    self.lose(at, n, format!("the document {name} ({media_type}): this wire takes only PDF"));
                    let words = format!("[A document was attached here, {name} ({media_type}), but this model cannot be shown it.]");
                    pieces.push(Piece::Text(words.into()));
                }
                // What the user's side holds was put there by a client of this wire, not made by a model.
                Block::Opaque { wire, raw } if wire == super::NAME && message.origin.is_none() => match Own::of(raw) {
                    Own::Part => pieces.push(Piece::Raw(raw)),
                    Own::Item => {
                        self.parts(role, &mut pieces);
                        self.raw(raw);
                    }
                    other => self.lose(at, n, other.why()),
                },
                other => self.lose(at, n, format!("{} cannot stand in a {role} message", other.kind())),
            }
        }
        self.parts(role, &mut pieces);
    }

    fn assistant(&mut self, at: usize, message: &Message) {
        let home = self.dialect.is_home(message.origin.as_ref());
        let own = |wire: &str| home && wire == super::NAME;
        let stands = |block: &Block| match block {
            Block::Text { text } => !text.trim().is_empty(),
            Block::ToolCall(_) | Block::Image { .. } => true,
            Block::Opaque { wire, raw } => own(wire) && matches!(Own::of(raw), Own::Item | Own::Part),
            Block::Thinking { .. } | Block::ToolResult(_) | Block::Document { .. } => false,
        };
        let last = message.blocks.iter().rposition(stands);
        let mut said = Said::default();
        // Whether reasoning stands before what comes, which then goes under its id.
        let mut proven = false;
        for (n, block) in message.blocks.iter().enumerate() {
            match block {
                Block::Text { text } if text.trim().is_empty() => self.lose(at, n, BLANK),
                Block::Text { text } => said.pieces.push(Piece::Text(text.into())),
                Block::Image { .. } => {
                    self.lose(at, n, "an image of the assistant: this wire takes none from it");
                    said.pieces.push(Piece::Text(IMAGE_BY_ASSISTANT.into()));
                }
                Block::Thinking { text, signature, redacted } => {
                    self.say(&mut said, proven);
                    let proof = signature.as_deref().filter(|_| home && !redacted).and_then(|s| Some((s, about::of_reasoning(s)?)));
                    match proof {
                        Some(_) if last.is_none_or(|last| last < n) => {
                            self.lose(at, n, "reasoning that nothing follows, which this wire does not take");
                        }
                        Some((raw, item)) => {
                            if !text.is_empty() && about::thoughts(&item).all(|thought| thought != *text) {
                                self.lose(at, n, "the text of thinking, which its proof has in other words");
                            }
                            self.raw(raw);
                            proven = true;
                        }
                        None if signature.is_some() => self.lose(at, n, "thinking that another provider, model or wire signed"),
                        None if covered(message.blocks.get(n + 1..).unwrap_or_default(), text, home) => {}
                        None => self.lose(at, n, "thinking without a proof, which this wire does not take"),
                    }
                }
                Block::ToolCall(call) => {
                    self.say(&mut said, proven);
                    self.call(at, n, call, home, proven);
                }
                Block::Opaque { wire, raw } if own(wire) => match Own::of(raw) {
                    Own::Part => said.pieces.push(Piece::Raw(raw)),
                    Own::Notes(item) => {
                        self.say(&mut said, proven);
                        said.notes = Some(item);
                    }
                    Own::Item => {
                        self.say(&mut said, proven);
                        self.raw(raw);
                    }
                    other => self.lose(at, n, other.why()),
                },
                Block::Opaque { .. } => self.lose(at, n, "an opaque block of another provider, model or wire"),
                other => self.lose(at, n, format!("{} cannot stand in an assistant message", other.kind())),
            }
        }
        self.say(&mut said, proven);
    }

    /// Writes what the assistant said so far as one item.
    fn say(&mut self, said: &mut Said<'_>, proven: bool) {
        let Said { pieces, notes } = std::mem::take(said);
        if pieces.is_empty() {
            return;
        }
        let id = notes.as_ref().and_then(|n| n.id.get()).filter(|id| proven && taken(id, "msg_"));
        let phase = notes.as_ref().and_then(|n| n.phase.get());
        self.item(about::MESSAGE, |o| {
            if let Some(id) = id {
                o.field("id", id).field("status", super::finish::COMPLETED);
            }
            o.field("role", "assistant").maybe("phase", phase.as_ref()).list("content", pieces, |out, part| match part {
                Piece::Text(text) => {
                    let mut o = Object::begin(out);
                    o.field("type", "output_text").field("text", &text).field("annotations", &Value::Array(Vec::new()));
                    o.end();
                }
                other => piece(out, other),
            });
        });
    }

    fn call(&mut self, at: usize, n: usize, call: &ToolCall, home: bool, proven: bool) {
        let signature = call.signature.as_deref();
        let notes = signature.filter(|_| home).and_then(about::of_call);
        if signature.is_some() && notes.is_none() {
            self.lose(at, n, "a tool call's signature, which belongs to another provider, model or wire");
        }
        let custom = home && about::is_custom(signature);
        let id = notes.as_ref().and_then(|notes| notes.id.get()).filter(|id| proven && taken(id, if custom { "ctc_" } else { "fc_" }));
        let call_id = self.ids.call(Ids::Responses, &call.id, at);
        self.open.renamed.note(Ids::Responses, &call.id, &call_id);
        let (kind, field) = if custom { (about::CUSTOM_CALL, "input") } else { (about::CALL, "arguments") };
        let raw = call.args_raw.trim();
        // Providers send nothing or null for "no arguments", and refuse it when it comes back.
        let args = if !custom && (raw.is_empty() || raw == "null") { "{}" } else { &call.args_raw };
        self.item(kind, |o| {
            o.maybe("id", id.as_ref()).field("call_id", &call_id).field("name", &wire_name(&call.name)).field(field, args);
        });
        if custom {
            self.open.custom.push(call.id.clone());
        }
    }

    fn result(&mut self, at: usize, n: usize, result: &ToolResult) {
        if result.is_error {
            self.lose(at, n, "the mark that a tool result is an error: its text has to say so");
        }
        let blank = |p: &Part| matches!(p, Part::Text { text } if !text.is_empty() && text.trim().is_empty());
        let only_text = result.parts.iter().all(|p| matches!(p, Part::Text { .. }));
        if !only_text && result.parts.iter().any(blank) {
            self.lose(at, n, BLANK);
        }
        let custom = self.open.custom.contains(&result.call_id);
        let call_id = self.open.renamed.result(Ids::Responses, &result.call_id).into_owned();
        self.item(if custom { "custom_tool_call_output" } else { "function_call_output" }, |o| {
            o.field("call_id", &call_id);
            if only_text {
                o.field("output", &result.joined());
                return;
            }
            let pieces = result.parts.iter().filter_map(|part| match part {
                Part::Text { text } if text.trim().is_empty() => None,
                Part::Text { text } => Some(Piece::Text(text.into())),
                Part::Image { source } => Some(Piece::Image(source)),
            });
            o.list("output", pieces, piece);
        });
    }
}

/// What the assistant said and is not written yet.
#[derive(Default)]
struct Said<'a> {
    pieces: Vec<Piece<'a>>,
    notes: Option<Box<Item<'a>>>,
}

/// What an opaque block of this wire is.
enum Own<'a> {
    Item,
    /// A part of a message.
    Part,
    /// Notes on the message that follows.
    Notes(Box<Item<'a>>),
    /// Refers to an item that the server would have to know.
    Reference,
    Broken,
}

impl<'a> Own<'a> {
    fn of(raw: &'a str) -> Self {
        if serde_json::from_str::<&RawValue>(raw).is_err() {
            return Self::Broken;
        }
        if let Some(notes) = about::of_message(raw) {
            return Self::Notes(Box::new(notes));
        }
        let Ok(item) = serde_json::from_str::<Item<'a>>(raw) else { return Self::Broken };
        match item.kind.get() {
            None => Self::Broken,
            Some("item_reference") => Self::Reference,
            Some(kind) if kind.starts_with("input_") || kind.starts_with("output_") => Self::Part,
            Some(_) => Self::Item,
        }
    }

    const fn why(&self) -> &'static str {
        match self {
            Self::Item | Self::Part | Self::Notes(_) => "an opaque block that cannot stand here",
            Self::Reference => "a reference to an item that the provider stored: pup sends items themselves",
            Self::Broken => "an opaque block that is no item of this wire",
        }
    }
}

/// Whether the server takes this as an item's id. Those of some proxies are their own, and longer.
fn taken(id: &str, begins: &str) -> bool {
    id.starts_with(begins) && id.len() <= 64
}

/// Whether a later block of the same run of thinking is the proof of this text too: the parts of one reasoning item are
/// blocks of their own, and the last one has it.
fn covered(rest: &[Block], text: &str, home: bool) -> bool {
    let run = rest.iter().map_while(|b| if let Block::Thinking { signature, .. } = b { Some(signature.as_deref()) } else { None });
    let mut proofs = run.flatten();
    let proof = proofs.next().filter(|_| home).and_then(about::of_reasoning);
    proof.is_some_and(|item| about::thoughts(&item).any(|thought| thought == text))
}

fn piece(out: &mut Vec<u8>, piece: Piece<'_>) {
    if let Piece::Raw(raw) = piece {
        out.extend_from_slice(raw.trim().as_bytes());
        return;
    }
    let mut o = Object::begin(out);
    match piece {
        Piece::Text(text) => {
            o.field("type", "input_text").field("text", &text);
        }
        Piece::Image(ImageSource::Url { url }) => {
            o.field("type", "input_image").field("image_url", url);
        }
        Piece::Image(ImageSource::Inline { media_type, data }) => {
            o.field("type", "input_image").field("image_url", &format!("data:{media_type};base64,{data}"));
        }
        Piece::Pdf { name, data } => {
            o.field("type", "input_file")
                .field("filename", name.unwrap_or(UNNAMED))
                .field("file_data", &format!("data:{PDF};base64,{data}"));
        }
        Piece::Raw(_) => {}
    }
    o.end();
}

/// The text of the system messages at the beginning, and what of them could not be part of it.
pub fn instructions(messages: &[&Message], losses: &mut Vec<Loss>) -> String {
    let mut all: Vec<String> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let mut text = String::new();
        for (n, block) in message.blocks.iter().enumerate() {
            let mut lose = |what: &str| losses.push(Loss::new(format!("messages[{at}].blocks[{n}]"), what));
            match block {
                Block::Text { text: t } if t.trim().is_empty() => lose(BLANK),
                Block::Text { text: t } => text.push_str(t),
                _ => lose("only text can stand in the system prompt"),
            }
        }
        all.extend(Some(text).filter(|t| !t.is_empty()));
    }
    all.join("\n\n")
}
