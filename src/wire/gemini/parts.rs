//! The parts of a reply while they arrive, as blocks.
//!
//! A signature belongs to the part that it came on, so a signed part is a block of its own and never joined with its
//! neighbours: a call keeps its signature, thinking too, and behind a text stands a [`mark`] that says which one it has.
//! Claude is the exception behind Google's door: its signature comes last and covers all of the thinking before it.

use super::partial::{PartialArgs, Whole};
use super::schema::PLACEHOLDER;
use super::shape::{Call, Part};
use super::{NAME, call_id};
use crate::model::{BlockKind, Delta, StreamEvent, ToolCall};
use crate::wire::arguments;
use crate::wire::json_out::{self, Object};
use crate::wire::names::ToolNames;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub struct Parts {
    next_ix: usize,
    /// The text or thinking that may go on.
    prose: Option<(Prose, usize)>,
    calls: Vec<Known>,
    /// The call whose arguments are still arriving.
    open: Option<(usize, PartialArgs)>,
    pub names: ToolNames,
    pub maker: Maker,
    /// Whether anything of a reply is there.
    pub content: bool,
    /// Whether some call could be run: its arguments are an object.
    pub runnable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prose {
    Text,
    Thinking,
}

/// Whose reply it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Maker {
    #[default]
    Gemini,
    Claude,
}

/// A call as it was handed on, to know one that comes twice.
#[derive(Debug, Clone)]
struct Known {
    id: String,
    name: String,
    args: String,
}

/// Whether something was understood. What was not is handed on as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Yes,
    No,
}

impl Parts {
    /// How many calls have begun.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Takes the next part. `reply` is the reply's id, of which missing call ids are made.
    pub fn take(&mut self, raw: &RawValue, reply: &str, out: &mut Vec<StreamEvent>) -> Read {
        let Ok(part) = serde_json::from_str::<Part<'_>>(raw.get()) else { return Read::No };
        let signature = part.signature.get();
        if let Some(call) = &part.call {
            self.close_prose(out);
            self.call(call, signature, reply, out);
            return Read::Yes;
        }
        let text = part.text.as_ref().and_then(|t| t.get()).unwrap_or_default();
        let prose = part.text.is_some() || is_bare(raw);
        match (prose, part.is_thought()) {
            (true, true) => self.thought(text, signature, out),
            (true, false) => self.text(text, signature, out),
            (false, _) => self.opaque(compact(raw.get()), out),
        }
        Read::Yes
    }

    fn fresh(&mut self, kind: BlockKind, out: &mut Vec<StreamEvent>) -> usize {
        let ix = self.next_ix;
        self.next_ix += 1;
        out.push(StreamEvent::BlockStart { ix, kind });
        ix
    }

    fn text(&mut self, text: &str, signature: Option<&str>, out: &mut Vec<StreamEvent>) {
        let Some(signature) = signature else {
            if !text.is_empty() {
                let ix = self.prose(Prose::Text, out);
                out.push(StreamEvent::Delta { ix, delta: Delta::Text { text: text.to_owned() } });
            }
            return;
        };
        self.close_prose(out);
        if text.is_empty() {
            return self.opaque(signed_nothing(signature), out);
        }
        let ix = self.prose(Prose::Text, out);
        out.push(StreamEvent::Delta { ix, delta: Delta::Text { text: text.to_owned() } });
        self.close_prose(out);
        self.opaque(mark(signature), out);
    }

    fn thought(&mut self, text: &str, signature: Option<&str>, out: &mut Vec<StreamEvent>) {
        if text.is_empty() && signature.is_none() {
            return;
        }
        let ends = text.is_empty() || self.maker == Maker::Claude;
        if signature.is_some() && !ends {
            self.close_prose(out);
        }
        let ix = self.prose(Prose::Thinking, out);
        if !text.is_empty() {
            out.push(StreamEvent::Delta { ix, delta: Delta::Thinking { text: text.to_owned() } });
        }
        if let Some(signature) = signature {
            out.push(StreamEvent::Delta { ix, delta: Delta::Signature { text: signature.to_owned() } });
            self.close_prose(out);
        }
    }

    /// The open block of this kind, or a new one.
    fn prose(&mut self, kind: Prose, out: &mut Vec<StreamEvent>) -> usize {
        self.content = true;
        if let Some((open, ix)) = self.prose
            && open == kind
        {
            return ix;
        }
        self.close_prose(out);
        let ix = self.fresh(if kind == Prose::Text { BlockKind::Text } else { BlockKind::Thinking }, out);
        self.prose = Some((kind, ix));
        ix
    }

    fn close_prose(&mut self, out: &mut Vec<StreamEvent>) {
        if let Some((_, ix)) = self.prose.take() {
            out.push(StreamEvent::BlockEnd { ix });
        }
    }

    /// What only this wire understands: code that the server ran, files, a signature alone.
    fn opaque(&mut self, raw: String, out: &mut Vec<StreamEvent>) {
        self.close_prose(out);
        self.content = true;
        let ix = self.fresh(BlockKind::Opaque { wire: NAME.to_owned() }, out);
        out.push(StreamEvent::Delta { ix, delta: Delta::Raw { text: raw } });
        out.push(StreamEvent::BlockEnd { ix });
    }

    fn call(&mut self, call: &Call<'_>, signature: Option<&str>, reply: &str, out: &mut Vec<StreamEvent>) {
        let name = call.name.get();
        let again = name.is_none() || (call.id.get().is_some() && self.calls.last().map(|c| c.id.as_str()) == call.id.get());
        if again && let Some((_, args)) = &mut self.open {
            call.partial.iter().flatten().for_each(|piece| args.take(piece));
            if !call.continues() {
                self.close_call(Whole::Yes, out);
            }
            return;
        }
        // Another call begins, and the one before never came to its end.
        self.close_call(Whole::No, out);
        if name.is_none() && call.args.is_none() && call.partial.is_none() {
            return;
        }
        // A call without a name is kept, as one that no tool will answer but an error.
        let name = name.map_or("unknown", own_name);
        let args = call.args.map(|a| given_args(a.get())).unwrap_or_default();
        let in_pieces = call.partial.is_some() || call.continues();
        if self.calls.iter().any(|c| Some(c.id.as_str()) == call.id.get() && c.name == name && c.args == args && !in_pieces) {
            // The same call with the same id is the same event twice.
            return;
        }
        self.content = true;
        let id = match call.id.get() {
            Some(id) if !self.calls.iter().any(|c| c.id == id) => id.to_owned(),
            _ => call_id::mint(reply, self.calls.len(), name, &args),
        };
        self.calls.push(Known { id: id.clone(), name: name.to_owned(), args: args.clone() });
        let own = self.names.original(name).to_owned();
        let ix = self.fresh(BlockKind::ToolCall { id, name: own }, out);
        if let Some(signature) = signature {
            out.push(StreamEvent::Delta { ix, delta: Delta::Signature { text: signature.to_owned() } });
        }
        if in_pieces {
            let mut pieces = PartialArgs::default();
            if !args.is_empty() {
                pieces.seed(&args);
            }
            call.partial.iter().flatten().for_each(|piece| pieces.take(piece));
            self.open = Some((ix, pieces));
            if !call.continues() {
                self.close_call(Whole::Yes, out);
            }
        } else {
            self.end_call(ix, args, out);
        }
    }

    fn close_call(&mut self, whole: Whole, out: &mut Vec<StreamEvent>) {
        if let Some((ix, args)) = self.open.take() {
            self.end_call(ix, args.finish(whole), out);
        }
    }

    fn end_call(&mut self, ix: usize, args_raw: String, out: &mut Vec<StreamEvent>) {
        let args_raw = without_placeholder(args_raw);
        if !args_raw.is_empty() {
            out.push(StreamEvent::Delta { ix, delta: Delta::Args { text: args_raw.clone() } });
        }
        out.push(StreamEvent::BlockEnd { ix });
        self.runnable |= ToolCall { id: String::new(), name: String::new(), args_raw, signature: None }.args().is_ok();
    }

    /// The reply is over, and so is every block.
    pub fn close(&mut self, out: &mut Vec<StreamEvent>) {
        self.close_prose(out);
        self.close_call(Whole::No, out);
    }
}

/// Whether a part without text is one of text all the same: it has nothing, or only a signature.
fn is_bare(raw: &RawValue) -> bool {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
    fields.keys().all(|key| matches!(key.as_str(), "thought" | "thoughtSignature" | "thought_signature"))
}

/// Models of version 2.5 write the name as the code that they have in mind.
fn own_name(name: &str) -> &str {
    name.strip_prefix("default_api.").or_else(|| name.strip_prefix("default_api:")).filter(|n| !n.is_empty()).unwrap_or(name)
}

/// The raw text of a call's arguments; proxies send it as a string. An empty object is kept as one.
pub fn given_args(json: &str) -> String {
    if json.starts_with('"') {
        return serde_json::from_str(json).unwrap_or_else(|_| json.to_owned());
    }
    match arguments::read(json) {
        empty if empty.is_empty() && json.starts_with('{') => "{}".to_owned(),
        raw if raw.starts_with('{') => compact(&raw),
        raw => raw,
    }
}

/// What stood in a tool's schema only so that it is not empty is no argument.
fn without_placeholder(args: String) -> String {
    if args.contains(PLACEHOLDER)
        && let Ok(mut map) = serde_json::from_str::<Map<String, Value>>(&args)
        && map.remove(PLACEHOLDER).is_some()
    {
        return Value::Object(map).to_string();
    }
    args
}

/// Without line breaks, which the server's half has no room for in a frame.
pub fn compact(json: &str) -> String {
    let mut out = Vec::with_capacity(json.len());
    json_out::compact(&mut out, json);
    String::from_utf8(out).unwrap_or_else(|_| json.to_owned())
}

/// The opaque block behind a text block whose part has this signature.
pub fn mark(signature: &str) -> String {
    signed(None, signature)
}

/// A part that has a signature and nothing else.
pub fn signed_nothing(signature: &str) -> String {
    signed(Some(""), signature)
}

fn signed(text: Option<&str>, signature: &str) -> String {
    let mut out = Vec::new();
    let mut o = Object::begin(&mut out);
    o.maybe("text", text.as_ref()).field("thoughtSignature", signature);
    o.end();
    String::from_utf8(out).unwrap_or_default()
}

/// The signature in a [`mark`].
pub fn marked(raw: &str) -> Option<String> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(raw).ok()?;
    let signature = fields.get("thoughtSignature").filter(|_| fields.len() == 1)?;
    serde_json::from_str(signature.get()).ok()
}
