//! The server's half: events and replies to what a client of this wire reads.
//!
//! An item here may be several blocks: the parts of a message, the parts of reasoning. So neighbouring blocks of text, or
//! of thinking, share an item, which is done when something else begins; a proof of thinking that is an item of this wire
//! is that item.

use super::item::Kind;
use super::written::{Call, Opaque, Part, Prose, family, part};
use super::{NAME, about, finish, usage};
use crate::base::digest;
use crate::model::{Block, BlockKind, Delta, Loss, ProviderError, Reply, Stop, StreamEvent, Usage};
use crate::wire::Ids;
use crate::wire::json_out::Object;
use crate::wire::openai_chat::error_field;
use serde_json::json;
use serde_json::value::RawValue;

/// What every event of one reply says of it. Without an id or model, the events' own `Start` is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    pub id: String,
    pub model: String,
    /// Unix seconds.
    pub created: u64,
}

/// Writes a stream event by event. One that ends in an error ends with `response.failed`.
#[derive(Debug, Default)]
pub struct ReplyWriter {
    head: Head,
    begun: bool,
    /// The number of the next event.
    number: u64,
    /// Every item begun so far, by its index; whole once it is done.
    items: Vec<Vec<u8>>,
    prose: Vec<Prose>,
    calls: Vec<Call>,
    opaque: Vec<Opaque>,
    /// Blocks that have no form here.
    dropped: Vec<usize>,
    /// Notes on the message that comes next, and their block.
    notes: Option<(usize, String)>,
    /// How a message's text is called: a refusal is known as one only where the whole reply is.
    refusal: bool,
    usage: Usage,
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
            StreamEvent::Start { id, model } => {
                if self.head.id.is_empty() {
                    self.head.id = id.clone().unwrap_or_default();
                }
                if self.head.model.is_empty() {
                    self.head.model = model.clone().unwrap_or_default();
                }
                self.begin(out);
            }
            StreamEvent::BlockStart { ix, kind } => self.open(*ix, kind, out),
            StreamEvent::Delta { ix, delta } => self.delta(*ix, delta, out),
            StreamEvent::BlockEnd { ix } => self.close(*ix, out),
            StreamEvent::Usage { usage } => self.usage.replace_with(usage),
            StreamEvent::End { stop, reason } => self.end(*stop, reason.as_deref(), out),
            StreamEvent::Error { error } => self.fail(error, out),
            StreamEvent::Unknown { .. } => self.losses.push(Loss::new("events", "an event that is not understood")),
        }
    }

    fn lose(&mut self, ix: usize, what: &str) {
        self.losses.push(Loss::new(format!("blocks[{ix}]"), what));
    }

    fn frame(&mut self, name: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
        out.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
        let mut object = Object::begin(out);
        object.field("type", name).field("sequence_number", &self.number);
        fill(&mut object);
        object.end();
        out.extend_from_slice(b"\n\n");
        self.number += 1;
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let head = self.head.clone();
        for name in ["response.created", "response.in_progress"] {
            self.frame(name, out, |o| {
                o.object("response", |r| {
                    describe(r, &head, "in_progress");
                    r.field("output", &json!([]));
                });
            });
        }
    }

    /// The place of the next item, and an id for it where it has none of its own.
    fn place(&mut self, prefix: &str) -> (usize, String) {
        let index = self.items.len();
        self.items.push(Vec::new());
        (index, format!("{prefix}_{}", digest::short(format!("{}\n{index}", self.head.id).as_bytes(), 24)))
    }

    fn added(&mut self, index: usize, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
        self.frame("response.output_item.added", out, |o| {
            o.field("output_index", &index).object("item", fill);
        });
    }

    fn done(&mut self, index: usize, item: Vec<u8>, out: &mut Vec<u8>) {
        self.frame("response.output_item.done", out, |o| {
            o.field("output_index", &index).key("item").extend_from_slice(&item);
        });
        if let Some(place) = self.items.get_mut(index) {
            *place = item;
        }
    }

    fn open(&mut self, ix: usize, kind: &BlockKind, out: &mut Vec<u8>) {
        self.begin(out);
        match kind {
            BlockKind::Text => self.part(ix, Kind::Message, out),
            BlockKind::Thinking => self.part(ix, Kind::Reasoning, out),
            BlockKind::RedactedThinking => {
                self.settle(out);
                self.dropped.push(ix);
                self.lose(ix, "another provider's encrypted thinking");
            }
            BlockKind::ToolCall { id, name } => {
                self.settle(out);
                let (index, minted) = self.place("fc");
                let (call_id, name) = (Ids::Responses.fit(id).into_owned(), name.clone());
                self.calls.push(Call { ix, index, id: minted, begun: false, call_id, name, args: String::new(), signature: String::new() });
            }
            BlockKind::Opaque { wire } if wire == NAME => {
                self.settle(out);
                self.opaque.push(Opaque { ix, index: None, raw: String::new() });
            }
            BlockKind::Opaque { .. } => {
                self.settle(out);
                self.dropped.push(ix);
                self.lose(ix, "an opaque block of another wire");
            }
        }
    }

    /// A block of text or thinking: a further part of the item of its kind before it, or a new item.
    fn part(&mut self, ix: usize, kind: Kind, out: &mut Vec<u8>) {
        let part = Part { ix, text: String::new(), ended: false };
        let over = |p: &Prose| p.proof.is_empty() && p.parts.iter().all(|part| part.ended);
        if let Some(prose) = self.prose.iter_mut().find(|p| p.joins && p.kind == kind && over(p)) {
            prose.parts.push(part);
        } else {
            self.settle(out);
            let (index, minted) = self.place(if kind == Kind::Message { "msg" } else { "rs" });
            let mut prose =
                Prose { kind, index, id: minted, phase: None, noted: None, parts: vec![part], proof: String::new(), joins: true };
            if let Some((of, notes)) = self.notes.take_if(|_| kind == Kind::Message) {
                prose.note(of, &notes);
            }
            self.added(index, out, |o| prose.item(o, "in_progress", false, &[]));
            self.prose.push(prose);
        }
        self.part_event(ix, "added", out);
    }

    /// `content_part.added` and its like, for the part that is this block.
    fn part_event(&mut self, ix: usize, what: &str, out: &mut Vec<u8>) {
        let refusal = self.refusal;
        let Some((place, text, kind)) = self.prose.iter().find_map(|p| p.place(ix)) else { return };
        let family = if kind == Kind::Message { "response.content_part" } else { "response.reasoning_summary_part" };
        self.frame(&format!("{family}.{what}"), out, |o| {
            place.write(o);
            part(o.key("part"), kind, refusal, &text);
        });
    }

    fn delta(&mut self, ix: usize, delta: &Delta, out: &mut Vec<u8>) {
        self.begin(out);
        if self.dropped.contains(&ix) {
            return;
        }
        let known = self.calls.iter().any(|c| c.ix == ix)
            || self.opaque.iter().any(|o| o.ix == ix)
            || self.prose.iter().any(|p| p.parts.iter().any(|part| part.ix == ix));
        if !known {
            // A delta to a block that nobody opened still belongs to somebody: open one of its kind.
            match delta {
                Delta::Text { .. } => self.part(ix, Kind::Message, out),
                Delta::Thinking { .. } | Delta::Signature { .. } => self.part(ix, Kind::Reasoning, out),
                Delta::Args { .. } | Delta::Name { .. } | Delta::Raw { .. } => return self.lose(ix, "a piece of a block that never began"),
            }
        }
        match delta {
            Delta::Text { text } => self.words(ix, Kind::Message, text, out),
            Delta::Thinking { text } => self.words(ix, Kind::Reasoning, text, out),
            Delta::Signature { text } => {
                if let Some(call) = self.calls.iter_mut().find(|c| c.ix == ix) {
                    call.signature.push_str(text);
                } else if let Some(prose) = self.prose.iter_mut().find(|p| p.parts.iter().any(|part| part.ix == ix)) {
                    prose.proof.push_str(text);
                }
            }
            Delta::Args { text } => {
                self.begin_call(ix, out);
                let Some(call) = self.calls.iter_mut().find(|c| c.ix == ix) else { return self.lose(ix, NOT_OF_IT) };
                call.args.push_str(text);
                let (index, id, name) = (call.index, call.id.clone(), format!("response.{}.delta", call.form().2));
                self.frame(&name, out, |o| {
                    o.field("item_id", &id).field("output_index", &index).field("delta", text);
                });
            }
            Delta::Name { text } => match self.calls.iter_mut().find(|c| c.ix == ix) {
                Some(call) if !call.begun => call.name.push_str(text),
                _ => self.lose(ix, NOT_OF_IT),
            },
            Delta::Raw { text } => self.whole_form(ix, text),
        }
    }

    /// What an opaque block holds. Notes on a message are wanted when it begins; they may come again, when it ends.
    fn whole_form(&mut self, ix: usize, raw: &str) {
        if about::of_message(raw).is_none() {
            let index = self.opaque.iter().any(|o| o.ix == ix && o.index.is_none()).then(|| self.place("").0);
            if let Some(opaque) = self.opaque.iter_mut().find(|o| o.ix == ix) {
                opaque.index = opaque.index.or(index);
                raw.clone_into(&mut opaque.raw);
            }
        } else if let Some(prose) = self.prose.iter_mut().find(|p| p.noted == Some(ix)) {
            prose.note(ix, raw);
        } else {
            self.notes = Some((ix, raw.to_owned()));
        }
    }

    fn words(&mut self, ix: usize, kind: Kind, text: &str, out: &mut Vec<u8>) {
        let refusal = self.refusal;
        let part = self.prose.iter_mut().filter(|p| p.kind == kind).flat_map(|p| &mut p.parts).find(|p| p.ix == ix);
        let Some(part) = part else { return self.lose(ix, NOT_OF_IT) };
        part.text.push_str(text);
        let Some((place, ..)) = self.prose.iter().find_map(|p| p.place(ix)) else { return };
        self.frame(&format!("{}.delta", family(kind, refusal)), out, |o| {
            place.write(o);
            o.field("delta", text);
        });
    }

    /// Writes a call's beginning, once its name is whole.
    fn begin_call(&mut self, ix: usize, out: &mut Vec<u8>) {
        let Some(call) = self.calls.iter_mut().find(|c| c.ix == ix && !c.begun) else { return };
        call.begun = true;
        let notes = about::of_call(&call.signature);
        let foreign = notes.is_none() && !call.signature.is_empty();
        if let Some(id) = notes.and_then(|n| n.id.into_owned()) {
            call.id = id;
        }
        let (index, item) = (call.index, call.item("in_progress", ""));
        if foreign {
            self.lose(ix, "a tool call's signature of another wire");
        }
        self.frame("response.output_item.added", out, |o| {
            o.field("output_index", &index).key("item").extend_from_slice(&item);
        });
    }

    /// A block has ended.
    fn close(&mut self, ix: usize, out: &mut Vec<u8>) {
        if let Some(n) = self.opaque.iter().position(|o| o.ix == ix) {
            let opaque = self.opaque.remove(n);
            return self.close_opaque(opaque, out);
        }
        if self.calls.iter().any(|c| c.ix == ix) {
            self.begin_call(ix, out);
            return self.close_call(ix, out);
        }
        let part = self.prose.iter_mut().flat_map(|p| &mut p.parts).find(|p| p.ix == ix && !p.ended);
        let Some(part) = part else { return };
        part.ended = true;
        let Some((place, text, kind)) = self.prose.iter().find_map(|p| p.place(ix)) else { return };
        let refusal = self.refusal;
        self.frame(&format!("{}.done", family(kind, refusal)), out, |o| {
            place.write(o);
            o.field(if refusal && kind == Kind::Message { "refusal" } else { "text" }, &text);
        });
        self.part_event(ix, "done", out);
        self.finish_prose(out);
    }

    /// Nothing more joins the items that are being written; those whose parts have ended are done.
    fn settle(&mut self, out: &mut Vec<u8>) {
        for prose in &mut self.prose {
            prose.joins = false;
        }
        self.finish_prose(out);
    }

    fn finish_prose(&mut self, out: &mut Vec<u8>) {
        let over = |p: &Prose| p.parts.iter().all(|part| part.ended) && (!p.joins || !p.proof.is_empty());
        while let Some(n) = self.prose.iter().position(over) {
            let prose = self.prose.remove(n);
            let item = if let Some(proof) = about::of_reasoning(&prose.proof) {
                let thoughts: Vec<String> = about::thoughts(&proof).collect();
                for part in prose.parts.iter().filter(|p| !p.text.is_empty() && !thoughts.contains(&p.text)) {
                    self.lose(part.ix, "thinking that the proof behind it does not hold");
                }
                prose.proof.clone().into_bytes()
            } else {
                if !prose.proof.is_empty() {
                    self.lose(prose.parts.last().map_or(0, |p| p.ix), "another provider's proof of thinking");
                }
                prose.whole(self.refusal)
            };
            self.done(prose.index, item, out);
        }
    }

    fn close_opaque(&mut self, opaque: Opaque, out: &mut Vec<u8>) {
        // Without an index it was notes on a message.
        let Some(index) = opaque.index else { return };
        if serde_json::from_str::<&RawValue>(&opaque.raw).is_err() {
            return self.lose(opaque.ix, "an opaque block that is no item of this wire");
        }
        let item = opaque.raw.into_bytes();
        self.frame("response.output_item.added", out, |o| {
            o.field("output_index", &index).key("item").extend_from_slice(&item);
        });
        self.done(index, item, out);
    }

    fn close_call(&mut self, ix: usize, out: &mut Vec<u8>) {
        let Some(n) = self.calls.iter().position(|c| c.ix == ix) else { return };
        let call = self.calls.remove(n);
        let (_, field, family) = call.form();
        self.frame(&format!("response.{family}.done"), out, |o| {
            o.field("item_id", &call.id).field("output_index", &call.index).field(field, &call.args);
        });
        self.done(call.index, call.item(finish::COMPLETED, &call.args), out);
    }

    /// Ends whatever is open.
    fn close_all(&mut self, out: &mut Vec<u8>) {
        let open = self.prose.iter().flat_map(|p| &p.parts).filter(|p| !p.ended).map(|p| p.ix);
        let mut open: Vec<usize> = open.chain(self.calls.iter().map(|c| c.ix)).chain(self.opaque.iter().map(|o| o.ix)).collect();
        open.sort_unstable();
        for ix in open {
            self.close(ix, out);
        }
        self.settle(out);
    }

    fn end(&mut self, stop: Stop, reason: Option<&str>, out: &mut Vec<u8>) {
        self.begin(out);
        self.close_all(out);
        let word = finish::word(stop, reason);
        let status = word.split_once(':').map_or(word, |(status, _)| status);
        let mut response = Vec::new();
        self.response(&mut response, word);
        self.frame(&format!("response.{status}"), out, |o| {
            o.key("response").extend_from_slice(&response);
        });
        self.over = true;
    }

    /// The response as it is at its end.
    fn response(&mut self, out: &mut Vec<u8>, word: &str) {
        let (status, reason) = word.split_once(':').map_or((word, None), |(status, reason)| (status, Some(reason)));
        let mut o = Object::begin(out);
        describe(&mut o, &self.head, status);
        o.field("incomplete_details", &reason.map(|reason| json!({"reason": reason})));
        o.list("output", self.items.iter().filter(|item| !item.is_empty()), |out, item| out.extend_from_slice(item));
        if self.usage == Usage::default() {
            o.field("usage", &());
        } else {
            usage::write(&mut o, &self.usage);
        }
        o.end();
    }

    fn fail(&mut self, error: &ProviderError, out: &mut Vec<u8>) {
        self.begin(out);
        let (head, used) = (self.head.clone(), self.usage);
        self.frame("response.failed", out, |o| {
            o.object("response", |r| {
                describe(r, &head, "failed");
                error_field(r, error);
                r.field("output", &json!([]));
                if used != Usage::default() {
                    usage::write(r, &used);
                }
            });
        });
        self.over = true;
    }
}

const NOT_OF_IT: &str = "a piece that this kind of block does not have on this wire";

fn describe(o: &mut Object<'_>, head: &Head, status: &str) {
    o.field("id", &head.id)
        .field("object", "response")
        .field("created_at", &head.created)
        .field("status", status)
        .field("model", &head.model);
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
    let mut body = Vec::new();
    if let Some(error) = &reply.error {
        let mut o = Object::begin(&mut body);
        error_field(&mut o, error);
        o.end();
        return body;
    }
    let head = Head { id: reply.id.clone().unwrap_or_default(), model: reply.model.clone().unwrap_or_default(), created };
    let refusal = reply.stop == Stop::Refusal;
    let mut writer = ReplyWriter { refusal, usage: reply.usage, ..ReplyWriter::new(head) };
    let mut frames = Vec::new();
    for (ix, block) in reply.message.blocks.iter().enumerate() {
        for event in events(ix, block) {
            writer.push(&event, &mut frames);
        }
    }
    writer.close_all(&mut frames);
    let word = if refusal { finish::COMPLETED } else { finish::word(reply.stop, reply.reason.as_deref()) };
    writer.response(&mut body, word);
    body
}

/// A block as the events that it could have come in.
fn events(ix: usize, block: &Block) -> Vec<StreamEvent> {
    let (kind, deltas) = match block {
        Block::Text { text } => (BlockKind::Text, vec![Delta::Text { text: text.clone() }]),
        Block::Thinking { redacted: true, .. } => (BlockKind::RedactedThinking, Vec::new()),
        Block::Thinking { text, signature, .. } => {
            let proof = signature.iter().map(|s| Delta::Signature { text: s.clone() });
            (BlockKind::Thinking, std::iter::once(Delta::Thinking { text: text.clone() }).chain(proof).collect())
        }
        Block::ToolCall(call) => {
            let signature = call.signature.iter().map(|s| Delta::Signature { text: s.clone() });
            let deltas = signature.chain([Delta::Args { text: call.args_raw.clone() }]).collect();
            (BlockKind::ToolCall { id: call.id.clone(), name: call.name.clone() }, deltas)
        }
        Block::Opaque { wire, raw } => (BlockKind::Opaque { wire: wire.clone() }, vec![Delta::Raw { text: raw.clone() }]),
        Block::ToolResult(_) | Block::Image { .. } | Block::Document { .. } => return Vec::new(),
    };
    let deltas = deltas.into_iter().map(|delta| StreamEvent::Delta { ix, delta });
    std::iter::once(StreamEvent::BlockStart { ix, kind }).chain(deltas).chain([StreamEvent::BlockEnd { ix }]).collect()
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
