//! Items of a reply while the server's half writes them, and their forms at the beginning and at the end.

use super::item::Kind;
use super::{about, finish};
use crate::wire::json_out::Object;
use crate::wire::names::wire_name;
use serde_json::json;

/// A message or reasoning that is being written.
#[derive(Debug)]
pub struct Prose {
    pub kind: Kind,
    pub index: usize,
    pub id: String,
    pub phase: Option<String>,
    /// The block of the notes on it.
    pub noted: Option<usize>,
    pub parts: Vec<Part>,
    pub proof: String,
    /// Whether a further block of its kind still belongs to it.
    pub joins: bool,
}

/// A block of it.
#[derive(Debug)]
pub struct Part {
    pub ix: usize,
    pub text: String,
    pub ended: bool,
}

/// A call; `begun` once its beginning is written.
#[derive(Debug)]
pub struct Call {
    pub ix: usize,
    pub index: usize,
    pub id: String,
    pub begun: bool,
    pub call_id: String,
    pub name: String,
    pub args: String,
    pub signature: String,
}

/// An item that is kept whole, and its index once it is known to be one.
#[derive(Debug)]
pub struct Opaque {
    pub ix: usize,
    pub index: Option<usize>,
    pub raw: String,
}

/// Where a part stands.
pub struct Place {
    pub id: String,
    pub index: usize,
    pub field: &'static str,
    pub number: usize,
}

impl Place {
    pub fn write(&self, o: &mut Object<'_>) {
        o.field("item_id", &self.id).field("output_index", &self.index).field(self.field, &self.number);
    }
}

impl Prose {
    /// Takes over what notes say, which are those of block `ix`.
    pub fn note(&mut self, ix: usize, notes: &str) {
        let Some(notes) = about::of_message(notes) else { return };
        self.noted = Some(ix);
        if let Some(id) = notes.id.into_owned() {
            self.id = id;
        }
        self.phase = notes.phase.into_owned().or(self.phase.take());
    }

    pub fn place(&self, ix: usize) -> Option<(Place, String, Kind)> {
        let number = self.parts.iter().position(|p| p.ix == ix)?;
        let text = self.parts.get(number)?.text.clone();
        let field = if self.kind == Kind::Message { "content_index" } else { "summary_index" };
        Some((Place { id: self.id.clone(), index: self.index, field, number }, text, self.kind))
    }

    pub fn whole(&self, refusal: bool) -> Vec<u8> {
        let mut item = Vec::new();
        let mut o = Object::begin(&mut item);
        let texts: Vec<&str> = self.parts.iter().map(|p| p.text.as_str()).collect();
        self.item(&mut o, finish::COMPLETED, refusal, &texts);
        o.end();
        item
    }

    pub fn item(&self, o: &mut Object<'_>, status: &str, refusal: bool, texts: &[&str]) {
        let message = self.kind == Kind::Message;
        o.field("id", &self.id).field("type", if message { about::MESSAGE } else { about::REASONING });
        if message {
            o.field("status", status).field("role", "assistant").maybe("phase", self.phase.as_ref());
        }
        o.list(if message { "content" } else { "summary" }, texts, |out, text| part(out, self.kind, refusal, text));
    }
}

impl Call {
    /// Its kind, the field of its arguments and the family of its events.
    pub fn form(&self) -> (&'static str, &'static str, &'static str) {
        if about::is_custom(Some(&self.signature)) {
            (about::CUSTOM_CALL, "input", "custom_tool_call_input")
        } else {
            (about::CALL, "arguments", "function_call_arguments")
        }
    }

    pub fn item(&self, status: &str, args: &str) -> Vec<u8> {
        let (kind, field, _) = self.form();
        let mut item = Vec::new();
        let mut o = Object::begin(&mut item);
        o.field("id", &self.id).field("type", kind).field("status", status).field("call_id", &self.call_id);
        o.field("name", &wire_name(&self.name)).field(field, args);
        o.end();
        item
    }
}

/// The family of a part's text events.
pub const fn family(kind: Kind, refusal: bool) -> &'static str {
    match (kind, refusal) {
        (Kind::Message, true) => "response.refusal",
        (Kind::Message, false) => "response.output_text",
        _ => "response.reasoning_summary_text",
    }
}

/// A part of a message or of reasoning's summary.
pub fn part(out: &mut Vec<u8>, kind: Kind, refusal: bool, text: &str) {
    let mut o = Object::begin(out);
    match (kind, refusal) {
        (Kind::Message, true) => o.field("type", "refusal").field("refusal", text),
        (Kind::Message, false) => o.field("type", "output_text").field("text", text).field("annotations", &json!([])),
        _ => o.field("type", "summary_text").field("text", text),
    };
    o.end();
}
