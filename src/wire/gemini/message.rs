//! One neutral message to contents of the wire.
//!
//! Roles alternate on this wire, so neighbours of one side share a content. Results are the exception: a content has
//! exactly the answers to the calls before it, in their order, and nothing else, for a text among them gets an empty
//! answer. So results wait until the last of their run is there, and what belongs to them but cannot stand among them
//! (images, an answer that nobody asked for) follows in a content of its own.

use super::family::{Family, Maker};
use super::{call_id, parts};
use crate::model::history::NO_RESULT;
use crate::model::{Block, ImageSource, Loss, Message, Part, Role, ToolCall, ToolResult};
use crate::wire::arguments::{self, Written};
use crate::wire::json_out::Object;
use crate::wire::names::letter_first;
use crate::wire::quirk::Dialect;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Who speaks on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    User,
    Model,
}

/// Takes the place of a signature on a call that another model made; models of version 3 refuse one without.
pub const NO_SIGNATURE: &str = "skip_thought_signature_validator";
/// The first content where a conversation begins with the assistant.
pub const LEAD: &str = "[The conversation begins with the assistant.]";
/// The words before the images of a result.
pub const IMAGES_OF: &str = "Images in the result of ";
/// The words before a result without a call.
pub const STRAY: &str = "[result of an earlier tool call]\n";
/// What a result says that has only images.
pub const SHOWN_BELOW: &str = "[The result is shown in the next message.]";
const BLANK: &str = "blank text";

/// What a message leaves open.
#[derive(Debug, Clone, Default)]
pub struct Open {
    /// The side whose content goes on.
    side: Option<Side>,
    /// Whether anything was written so far.
    follows: bool,
    /// The message whose calls wait for results, and where it stands.
    asked: Option<(usize, Arc<Message>)>,
    /// Messages with results, which wait for the last one of their run.
    results: Vec<Arc<Message>>,
}

/// Writes contents and gathers losses.
pub struct Writer<'a> {
    pub dialect: &'a Dialect,
    pub family: Family,
    pub out: &'a mut Vec<u8>,
    pub losses: &'a mut Vec<Loss>,
    pub open: Open,
}

impl Writer<'_> {
    /// Writes the message at position `at` and returns what it leaves open.
    pub fn message(mut self, at: usize, message: &Arc<Message>) -> Open {
        if message.role != Role::Tool {
            self.answer();
        }
        match message.role {
            Role::System => self.late_system(at, message),
            Role::User => self.user(at, message),
            Role::Assistant => self.assistant(at, message),
            Role::Tool => self.tool(at, message),
        }
        self.open
    }

    /// Writes what waits, and ends the last content.
    pub fn close(mut self) {
        self.answer();
        self.leave();
    }

    fn lose(&mut self, at: usize, block: usize, what: impl Into<String>) {
        self.losses.push(Loss::new(format!("messages[{at}].blocks[{block}]"), what));
    }

    fn leave(&mut self) {
        if self.open.side.take().is_some() {
            self.out.extend_from_slice(b"]}");
        }
    }

    fn begin(&mut self, role: &str) {
        self.leave();
        if std::mem::replace(&mut self.open.follows, true) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(format!(r#"{{"role":"{role}","parts":["#).as_bytes());
    }

    /// Goes on in the open content of this side, or begins one.
    fn enter(&mut self, at: usize, side: Side) {
        if self.open.side == Some(side) {
            return self.out.push(b',');
        }
        if side == Side::Model && !self.open.follows {
            self.losses
                .push(Loss::new(format!("messages[{at}]"), "the wire's conversations begin with the user; a line was put before this"));
            self.part(at, Side::User, |o| {
                o.field("text", LEAD);
            });
        }
        self.begin(if side == Side::User { "user" } else { "model" });
        self.open.side = Some(side);
    }

    fn part(&mut self, at: usize, side: Side, fill: impl FnOnce(&mut Object<'_>)) {
        self.enter(at, side);
        let mut object = Object::begin(self.out);
        fill(&mut object);
        object.end();
    }

    fn text(&mut self, at: usize, side: Side, text: &str) {
        self.part(at, side, |o| {
            o.field("text", text);
        });
    }

    /// A part of this wire, byte for byte.
    fn raw(&mut self, at: usize, n: usize, side: Side, raw: &str) {
        if raw.trim_start().starts_with('{') && serde_json::from_str::<&RawValue>(raw).is_ok() {
            self.enter(at, side);
            self.out.extend_from_slice(raw.trim().as_bytes());
        } else {
            self.lose(at, n, "an opaque block that is no JSON object");
        }
    }

    fn late_system(&mut self, at: usize, message: &Message) {
        for (n, block) in message.blocks.iter().enumerate() {
            self.lose(at, n, "a system message inside the conversation, which this wire does not have; sent as the user's");
            if let Block::Text { text } = block
                && !text.trim().is_empty()
            {
                self.text(at, Side::User, text);
            }
        }
    }

    fn user(&mut self, at: usize, message: &Message) {
        for (n, block) in message.blocks.iter().enumerate() {
            match block {
                Block::Text { text } if text.trim().is_empty() => self.lose(at, n, BLANK),
                Block::Text { text } => self.text(at, Side::User, text),
                Block::Image { source } => self.image(at, n, Side::User, source),
                Block::Document { media_type, data, name } => self.document(at, n, media_type, data, name.as_deref()),
                // What the user's side holds was put there by a client of this wire, not made by a model.
                Block::Opaque { wire, raw } if wire == super::NAME && message.origin.is_none() => self.raw(at, n, Side::User, raw),
                other => self.lose(at, n, format!("{} cannot stand in a user message", other.kind())),
            }
        }
    }

    fn image(&mut self, at: usize, n: usize, side: Side, source: &ImageSource) {
        if let Some(kind) = unseen(source) {
            self.lose(at, n, format!("an image of type {kind}, which this wire does not take"));
            return self.text(at, side, &not_shown(kind));
        }
        self.part(at, side, |o| image(o, source));
    }

    fn document(&mut self, at: usize, n: usize, media_type: &str, data: &str, name: Option<&str>) {
        let taken = media_type == "application/pdf" || ["text/", "audio/", "video/"].iter().any(|kind| media_type.starts_with(kind));
        if !taken {
            let name = name.unwrap_or("unnamed");
            self.lose(at, n, format!("the document {name} ({media_type}), which this wire does not take"));
            let words = format!("[A document was attached here, {name} ({media_type}), but this model cannot be shown it.]");
            return self.text(at, Side::User, &words);
        }
        if name.is_some() {
            self.lose(at, n, "the name of a document: on this wire it has none");
        }
        self.part(at, Side::User, |o| inline(o, media_type, data));
    }

    fn assistant(&mut self, at: usize, message: &Arc<Message>) {
        let home = self.dialect.is_home(message.origin.as_ref());
        let mark_behind = |n: usize| match message.blocks.get(n + 1) {
            Some(Block::Opaque { wire, raw }) if home && wire == super::NAME => parts::marked(raw),
            _ => None,
        };
        // Of calls at once only the first one has a signature.
        let signed = home && message.calls().any(|c| c.signature.is_some());
        let mut unsigned_call = self.family.maker == Maker::GeminiThree && !signed;
        let mut marked = false;
        for (n, block) in message.blocks.iter().enumerate() {
            // The mark of the text before it was written with it.
            if std::mem::take(&mut marked) {
                continue;
            }
            match block {
                Block::Text { text } => {
                    let mark = mark_behind(n).filter(|_| !text.is_empty());
                    if mark.is_none() && text.trim().is_empty() {
                        self.lose(at, n, BLANK);
                        continue;
                    }
                    self.part(at, Side::Model, |o| {
                        o.field("text", text).maybe("thoughtSignature", mark.as_ref());
                    });
                    marked = mark.is_some();
                }
                Block::Thinking { text, signature, redacted } => match signature.as_deref().filter(|s| !s.is_empty()) {
                    Some(signature) if home && !redacted => self.part(at, Side::Model, |o| {
                        o.field("text", text).field("thought", &true).field("thoughtSignature", signature);
                    }),
                    Some(_) => self.lose(at, n, "thinking that another provider or model signed"),
                    None => self.lose(at, n, "thinking without a signature, which says nothing to a model"),
                },
                Block::ToolCall(call) => {
                    let signature = call.signature.as_deref().filter(|_| home);
                    if call.signature.is_some() && !home {
                        self.lose(at, n, "a tool call's signature, which belongs to another provider or model");
                    }
                    let stand_in = std::mem::take(&mut unsigned_call).then_some(NO_SIGNATURE);
                    self.call(at, n, call, home, signature.or(stand_in));
                }
                Block::Opaque { wire, raw } if home && wire == super::NAME => match parts::marked(raw) {
                    // Its text is gone.
                    Some(signature) => self.raw(at, n, Side::Model, &parts::signed_nothing(&signature)),
                    None => self.raw(at, n, Side::Model, raw),
                },
                Block::Opaque { .. } => self.lose(at, n, "an opaque block of another provider, model or wire"),
                Block::Image { source } => self.image(at, n, Side::Model, source),
                other => self.lose(at, n, format!("{} cannot stand in an assistant message", other.kind())),
            }
        }
        if message.calls().next().is_some() {
            self.open.asked = Some((at, Arc::clone(message)));
        }
    }

    fn call(&mut self, at: usize, n: usize, call: &ToolCall, home: bool, signature: Option<&str>) {
        let mut how = Written::AsTheyWere;
        self.part(at, Side::Model, |o| {
            o.object("functionCall", |f| {
                f.maybe("id", id(&call.id, home).as_ref()).field("name", &letter_first(&call.name));
                how = arguments::write(f.key("args"), &call.args_raw);
            });
            o.maybe("thoughtSignature", signature.as_ref());
        });
        if how == Written::Wrapped {
            self.lose(at, n, format!("arguments that are no JSON object; they stand under `{}`", arguments::UNPARSED));
        }
    }

    /// Results are only noted here; [`Self::answer`] writes them.
    fn tool(&mut self, at: usize, message: &Arc<Message>) {
        for (n, block) in message.blocks.iter().enumerate() {
            let Block::ToolResult(result) = block else {
                self.lose(at, n, "a block that is no tool result, in a message of tool results");
                continue;
            };
            for kind in images(result).filter_map(unseen) {
                self.lose(at, n, format!("an image of type {kind}, which this wire does not take"));
            }
            let asked = self.open.asked.as_ref().is_some_and(|(_, m)| m.calls().any(|c| c.id == result.call_id));
            let before = self.open.results.iter().flat_map(|m| &m.blocks).chain(message.blocks.iter().take(n));
            let again = |block: &Block| matches!(block, Block::ToolResult(r) if r.call_id == result.call_id);
            if !asked || before.into_iter().any(again) {
                self.lose(at, n, "a result that answers no call; sent as the user's text");
            }
        }
        self.open.results.push(Arc::clone(message));
    }

    /// Writes the results that wait, one for each call, and behind them what cannot stand among them.
    fn answer(&mut self) {
        let held = std::mem::take(&mut self.open.results);
        let mut results: Vec<&ToolResult> = held.iter().flat_map(|m| m.tool_results()).collect();
        let mut shown: Vec<(String, &ToolResult)> = Vec::new();
        let at = self.open.asked.as_ref().map_or(0, |(at, _)| *at);
        if let Some((at, asked)) = self.open.asked.take() {
            let home = self.dialect.is_home(asked.origin.as_ref());
            self.begin("user");
            for (n, call) in asked.calls().enumerate() {
                let found = results.iter().position(|r| r.call_id == call.id).map(|ix| results.remove(ix));
                let missing = ToolResult::text(&call.id, NO_RESULT, true);
                if found.is_none() {
                    self.losses
                        .push(Loss::new(format!("messages[{at}]"), format!("a call without a result, `{}`: it got an error", call.id)));
                }
                if n > 0 {
                    self.out.push(b',');
                }
                response(self.out, call, found.unwrap_or(&missing), home);
                shown.extend(found.map(|r| (letter_first(&call.name).into_owned(), r)));
            }
            self.out.extend_from_slice(b"]}");
        }
        for (name, result) in shown {
            if images(result).next().is_some() {
                self.text(at, Side::User, &format!("{IMAGES_OF}{name}:"));
                self.images(at, result);
            }
        }
        for stray in results {
            self.text(at, Side::User, &format!("{STRAY}{}", stray.joined()));
            self.images(at, stray);
        }
    }

    fn images(&mut self, at: usize, result: &ToolResult) {
        for source in images(result) {
            match unseen(source) {
                None => self.part(at, Side::User, |o| image(o, source)),
                Some(kind) => self.text(at, Side::User, &not_shown(kind)),
            }
        }
    }
}

fn not_shown(kind: &str) -> String {
    format!("[An image of type {kind} stood here, which this model cannot be shown.]")
}

/// The id that the server gave, if it is its own.
fn id(id: &str, home: bool) -> Option<&str> {
    call_id::given(id).filter(|_| home)
}

fn images(result: &ToolResult) -> impl Iterator<Item = &ImageSource> {
    result.parts.iter().filter_map(|p| if let Part::Image { source } = p { Some(source) } else { None })
}

/// The key of a result's text, which also says how the call went.
pub const OUTPUT: &str = "output";
pub const ERROR: &str = "error";

fn response(out: &mut Vec<u8>, call: &ToolCall, result: &ToolResult, home: bool) {
    let mut text = result.joined();
    if text.is_empty() && images(result).next().is_some() {
        SHOWN_BELOW.clone_into(&mut text);
    }
    let mut part = Object::begin(out);
    part.object("functionResponse", |f| {
        f.maybe("id", id(&call.id, home).as_ref()).field("name", &letter_first(&call.name)).object("response", |r| {
            r.field(if result.is_error { ERROR } else { OUTPUT }, &text);
        });
    });
    part.end();
}

/// The media type of an image that the server would refuse.
fn unseen(source: &ImageSource) -> Option<&str> {
    match source {
        ImageSource::Inline { media_type, .. } => {
            let seen = matches!(media_type.as_str(), "image/jpeg" | "image/png" | "image/webp" | "image/heic" | "image/heif");
            (!seen).then_some(media_type)
        }
        ImageSource::Url { .. } => None,
    }
}

fn image(o: &mut Object<'_>, source: &ImageSource) {
    match source {
        ImageSource::Inline { media_type, data } => inline(o, media_type, data),
        ImageSource::Url { url } => {
            o.object("fileData", |f| {
                f.field("mimeType", kind_of(url)).field("fileUri", url);
            });
        }
    }
}

fn inline(o: &mut Object<'_>, media_type: &str, data: &str) {
    o.object("inlineData", |d| {
        d.field("mimeType", media_type).field("data", data);
    });
}

/// The type that an image's address tells; most are photographs where it tells none.
pub fn kind_of(url: &str) -> &'static str {
    let path = url.split(['?', '#']).next().unwrap_or(url).to_ascii_lowercase();
    match path.rsplit('.').next() {
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("heic") => "image/heic",
        Some("heif") => "image/heif",
        _ => "image/jpeg",
    }
}
