//! One output item while it arrives: what was already handed on of it, and what of its whole form is still missing.

use super::about;
use super::shape::{self, Item as Shape};
use crate::model::{BlockKind, Delta, StreamEvent};
use serde_json::Value;

/// What kinds of items are told apart. Everything that is none of the first three is kept whole for this wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Message,
    Reasoning,
    Call,
    /// A call whose argument is free text.
    Custom,
    Opaque,
}

impl Kind {
    pub fn of(item: &Shape<'_>) -> Option<Self> {
        Some(match item.kind.get()? {
            about::MESSAGE => Self::Message,
            about::REASONING => Self::Reasoning,
            about::CALL => Self::Call,
            about::CUSTOM_CALL => Self::Custom,
            _ => Self::Opaque,
        })
    }
}

/// Where in its item a piece belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    Text(u64),
    Refusal(u64),
    /// A part of reasoning's summary.
    Summary(u64),
    /// A part of reasoning itself.
    Thought(u64),
    Arguments,
    Input,
}

impl Slot {
    pub const fn kind(self) -> Kind {
        match self {
            Self::Text(_) | Self::Refusal(_) => Kind::Message,
            Self::Summary(_) | Self::Thought(_) => Kind::Reasoning,
            Self::Arguments => Kind::Call,
            Self::Input => Kind::Custom,
        }
    }
}

/// Whether the whole form of something agrees with the pieces of it that had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agrees {
    Yes,
    No,
}

/// Numbers blocks.
#[derive(Debug, Clone, Default)]
pub struct Blocks(usize);

impl Blocks {
    pub fn start(&mut self, kind: BlockKind, out: &mut Vec<StreamEvent>) -> usize {
        let ix = self.0;
        self.0 += 1;
        out.push(StreamEvent::BlockStart { ix, kind });
        ix
    }
}

fn delta(ix: usize, delta: Delta, out: &mut Vec<StreamEvent>) {
    out.push(StreamEvent::Delta { ix, delta });
}

/// A message or reasoning: a block for each part.
#[derive(Debug, Clone, Default)]
pub struct Prose {
    parts: Vec<Part>,
    /// The block of what must come back with a message, and what it says.
    notes: Option<(usize, String)>,
    /// Something was lost on the way: what has come since waits for the whole form, in which it stands behind what is missing.
    held: Option<Vec<(Slot, String)>>,
}

#[derive(Debug, Clone)]
struct Part {
    slot: Slot,
    ix: usize,
    text: String,
    ended: bool,
}

impl Prose {
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.held.as_ref().is_none_or(Vec::is_empty)
    }

    pub fn has(&self, slot: Slot) -> bool {
        self.parts.iter().any(|part| part.slot == slot)
    }

    pub fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// A piece of a part. `notes` are those on the message, where it has any.
    pub fn grow(&mut self, slot: Slot, text: &str, notes: Option<String>, blocks: &mut Blocks, out: &mut Vec<StreamEvent>) {
        if text.is_empty() {
            return;
        }
        if let Some(held) = &mut self.held {
            return held.push((slot, text.to_owned()));
        }
        let at = self.parts.iter().rposition(|p| p.slot == slot).unwrap_or_else(|| {
            self.note(notes, blocks, out);
            self.end_parts(out);
            let kind = if slot.kind() == Kind::Reasoning { BlockKind::Thinking } else { BlockKind::Text };
            self.parts.push(Part { slot, ix: blocks.start(kind, out), text: String::new(), ended: false });
            self.parts.len() - 1
        });
        self.append(at, text, out);
    }

    fn append(&mut self, at: usize, text: &str, out: &mut Vec<StreamEvent>) {
        let Some(part) = self.parts.get_mut(at).filter(|_| !text.is_empty()) else { return };
        part.text.push_str(text);
        let text = text.to_owned();
        let piece = if part.slot.kind() == Kind::Reasoning { Delta::Thinking { text } } else { Delta::Text { text } };
        delta(part.ix, piece, out);
    }

    /// Notes stand before the first text; later ones take their place.
    fn note(&mut self, notes: Option<String>, blocks: &mut Blocks, out: &mut Vec<StreamEvent>) {
        let Some(notes) = notes else { return };
        match &mut self.notes {
            Some((_, said)) if *said == notes => {}
            Some((ix, said)) => {
                delta(*ix, Delta::Raw { text: notes.clone() }, out);
                *said = notes;
            }
            None if self.parts.is_empty() => {
                let ix = blocks.start(BlockKind::Opaque { wire: super::NAME.to_owned() }, out);
                delta(ix, Delta::Raw { text: notes.clone() }, out);
                self.notes = Some((ix, notes));
            }
            // Too late: what was said cannot be reordered, and the text alone is a message too.
            None => {}
        }
    }

    /// The whole text of one part.
    pub fn complete_part(
        &mut self,
        slot: Slot,
        whole: &str,
        notes: Option<String>,
        blocks: &mut Blocks,
        out: &mut Vec<StreamEvent>,
    ) -> Agrees {
        let held = self.held.take().map(|pieces| pieces.into_iter().filter(|(of, _)| *of != slot).collect());
        let mut agrees = Agrees::Yes;
        match self.parts.iter().rposition(|p| p.slot == slot) {
            None => self.grow(slot, whole, notes, blocks, out),
            Some(at) => {
                let have = self.parts.get(at).map(|p| p.text.clone()).unwrap_or_default();
                match whole.strip_prefix(have.as_str()) {
                    Some(rest) => self.append(at, rest, out),
                    None => agrees = Agrees::No,
                }
            }
        }
        self.held = held;
        agrees
    }

    /// The item's parts as they all are. What is there is compared as one text, for servers number parts differently.
    pub fn complete(&mut self, whole: &[(Slot, String)], notes: Option<String>, blocks: &mut Blocks, out: &mut Vec<StreamEvent>) -> Agrees {
        if whole.iter().all(|(_, text)| text.is_empty()) {
            return Agrees::Yes;
        }
        self.held = None;
        self.note(notes, blocks, out);
        let have = self.text();
        let mut have = have.as_str();
        for (slot, text) in whole {
            if let Some(rest) = have.strip_prefix(text.as_str()) {
                have = rest;
            } else if let Some(rest) = text.strip_prefix(have) {
                if have.is_empty() {
                    self.grow(self.free(*slot), rest, None, blocks, out);
                } else {
                    self.append(self.parts.len().saturating_sub(1), rest, out);
                }
                have = "";
            } else {
                return Agrees::No;
            }
        }
        if have.is_empty() { Agrees::Yes } else { Agrees::No }
    }

    /// The slot, or one like it that no other part has.
    fn free(&self, slot: Slot) -> Slot {
        let next = |slot| match slot {
            Slot::Text(n) => Slot::Text(n + 1),
            Slot::Refusal(n) => Slot::Refusal(n + 1),
            Slot::Summary(n) => Slot::Summary(n + 1),
            Slot::Thought(n) => Slot::Thought(n + 1),
            Slot::Arguments | Slot::Input => slot,
        };
        let mut free = slot;
        while self.has(free) && next(free) != free {
            free = next(free);
        }
        free
    }

    pub fn text(&self) -> String {
        self.parts.iter().map(|p| p.text.as_str()).collect()
    }

    /// The item's proof: it belongs to the last part, or stands alone.
    pub fn prove(&mut self, proof: &str, blocks: &mut Blocks, out: &mut Vec<StreamEvent>) {
        let ix = if let Some(part) = self.parts.last() {
            part.ix
        } else {
            let ix = blocks.start(BlockKind::Thinking, out);
            self.parts.push(Part { slot: Slot::Summary(0), ix, text: String::new(), ended: false });
            ix
        };
        delta(ix, Delta::Signature { text: proof.to_owned() }, out);
    }

    /// Nothing more comes. What was held back is all there is.
    pub fn close(&mut self, notes: Option<&str>, blocks: &mut Blocks, out: &mut Vec<StreamEvent>) {
        for (slot, text) in self.held.take().into_iter().flatten() {
            self.grow(slot, &text, notes.map(str::to_owned), blocks, out);
        }
        self.end_parts(out);
        out.extend(self.notes.iter().map(|(ix, _)| StreamEvent::BlockEnd { ix: *ix }));
    }

    /// One part follows the other.
    fn end_parts(&mut self, out: &mut Vec<StreamEvent>) {
        for part in self.parts.iter_mut().filter(|part| !part.ended) {
            part.ended = true;
            out.push(StreamEvent::BlockEnd { ix: part.ix });
        }
    }
}

/// The parts of a whole item with their slots.
pub fn parts(item: &Shape<'_>, kind: Kind) -> Vec<(Slot, String)> {
    let text = |part: &mut shape::Part<'_>| std::mem::take(&mut part.text).into_owned().unwrap_or_default();
    if kind == Kind::Reasoning {
        let summary = (0..).zip(shape::parts(item.summary)).map(|(n, mut p)| (Slot::Summary(n), text(&mut p)));
        let thoughts = (0..).zip(shape::parts(item.content)).map(|(n, mut p)| (Slot::Thought(n), text(&mut p)));
        return summary.chain(thoughts).collect();
    }
    let content = (0..).zip(shape::parts(item.content));
    content
        .map(|(n, mut p)| match p.kind.get() {
            Some("refusal") => (Slot::Refusal(n), p.refusal.into_owned().unwrap_or_default()),
            _ => (Slot::Text(n), text(&mut p)),
        })
        .collect()
}

/// A call: a block as soon as it has a name.
#[derive(Debug, Clone, Default)]
pub struct Call {
    pub ix: Option<usize>,
    /// Arguments that stood in the call's beginning; pieces replace them.
    seed: String,
    args: String,
    /// What has come since something was lost, as with [`Prose`].
    held: Option<String>,
}

impl Call {
    pub fn seeded(seed: String) -> Self {
        Self { seed, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.args.is_empty() && self.held.as_ref().is_none_or(String::is_empty)
    }

    pub fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// The call is known by now; what was held back of its arguments follows.
    pub fn begin(&mut self, kind: BlockKind, notes: Option<String>, blocks: &mut Blocks, out: &mut Vec<StreamEvent>) {
        let ix = blocks.start(kind, out);
        self.ix = Some(ix);
        if let Some(text) = notes {
            delta(ix, Delta::Signature { text }, out);
        }
        if !self.args.is_empty() {
            delta(ix, Delta::Args { text: self.args.clone() }, out);
        }
    }

    pub fn grow(&mut self, piece: &str, out: &mut Vec<StreamEvent>) {
        if piece.is_empty() {
            return;
        }
        if let Some(held) = &mut self.held {
            return held.push_str(piece);
        }
        self.args.push_str(piece);
        if let Some(ix) = self.ix {
            delta(ix, Delta::Args { text: piece.to_owned() }, out);
        }
    }

    /// The arguments as they all are.
    pub fn complete(&mut self, whole: &str, out: &mut Vec<StreamEvent>) -> Agrees {
        if whole.is_empty() {
            return Agrees::Yes;
        }
        self.held = None;
        if let Some(rest) = whole.strip_prefix(self.args.as_str()) {
            self.grow(rest, out);
            return Agrees::Yes;
        }
        // Servers that write the object anew differ only in spaces.
        let value = |text: &str| serde_json::from_str::<Value>(text).ok();
        if value(whole).is_some_and(|v| Some(v) == value(&self.args)) { Agrees::Yes } else { Agrees::No }
    }

    /// Nothing more comes. What was held back is all there is.
    pub fn close(&mut self, out: &mut Vec<StreamEvent>) {
        let held = self.held.take().unwrap_or_default();
        self.grow(&held, out);
        if self.args.is_empty() {
            let seed = std::mem::take(&mut self.seed);
            self.grow(&seed, out);
        }
        out.extend(self.ix.map(|ix| StreamEvent::BlockEnd { ix }));
    }
}
