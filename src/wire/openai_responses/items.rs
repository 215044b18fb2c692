//! The output items of a reply that are still arriving, told apart whatever the server says of them.
//!
//! By the rules an item starts, grows and is done under its `output_index` and its id, and its done form is whole. In
//! practice ids change from event to event, indexes are all 0 or missing, starts are lost or come twice, and some items
//! stand only in the final response. So the whole form is compared with what had come, and only the rest is handed on.

use super::about;
use super::item::{Agrees, Blocks, Call, Kind, Prose, Slot, parts};
use super::shape::Item as Shape;
use crate::base::digest;
use crate::model::{BlockKind, Delta, StreamEvent};
use crate::wire::names::ToolNames;
use serde_json::value::RawValue;

#[derive(Debug, Clone, Default)]
pub struct Items {
    items: Vec<Item>,
    blocks: Blocks,
    /// Ids that calls have inside pup.
    ids: Vec<String>,
    pub names: ToolNames,
    /// They come back from a client: nothing is taken for a copy, and every id stays as it is.
    returned: bool,
    /// Whether reasoning came that has to go back: then what follows it keeps its id.
    proven: bool,
    /// Whether the model refused.
    pub refused: bool,
    /// Something was lost on the way.
    damaged: bool,
    /// Text that had come in pieces is not what its whole form says.
    text_differs: bool,
    /// The whole form of reasoning, which alone can go back, did not come in its place.
    reasoning_lost: bool,
    /// Likewise arguments; or a call whose name never came.
    pub call_broken: bool,
}

#[derive(Debug, Clone)]
struct Item {
    kind: Kind,
    index: Option<u64>,
    id: Option<String>,
    phase: Option<String>,
    call_id: Option<String>,
    done: bool,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Prose(Prose),
    Call(Call),
    /// Its block, and the item as it started.
    Opaque(usize, String),
}

/// Which item an event is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct At<'a> {
    pub index: Option<u64>,
    pub id: Option<&'a str>,
}

/// Whether something was understood. What was not is handed on as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Yes,
    No,
}

/// Where a whole item stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An event of its own.
    Event,
    /// The list of all of them, in which its place is its index. So many items had come before the list.
    Output(usize),
}

impl Items {
    /// The items of a history, which a client sends back.
    pub fn returned() -> Self {
        Self { returned: true, ..Self::default() }
    }

    pub fn has_calls(&self) -> bool {
        !self.ids.is_empty()
    }

    /// Whether anything of a reply is there.
    pub fn has_content(&self) -> bool {
        self.items.iter().any(|item| match &item.body {
            Body::Prose(prose) => !prose.is_empty(),
            Body::Call(_) | Body::Opaque(..) => true,
        })
    }

    /// An item starts. `reply` is the reply's id, of which missing call ids are made.
    pub fn start(&mut self, at: At<'_>, raw: &RawValue, reply: &str, out: &mut Vec<StreamEvent>) -> Read {
        let Ok(shape) = serde_json::from_str::<Shape<'_>>(raw.get()) else { return Read::No };
        let Some(kind) = Kind::of(&shape) else { return Read::No };
        let at = At { id: shape.id.get().or(at.id), ..at };
        if !self.items.iter().any(|item| item.starts_again(at, kind, &shape, raw)) {
            self.open(at, kind, &shape, raw, reply, out);
        }
        Read::Yes
    }

    fn open(&mut self, at: At<'_>, kind: Kind, shape: &Shape<'_>, raw: &RawValue, reply: &str, out: &mut Vec<StreamEvent>) -> usize {
        let body = match kind {
            Kind::Message | Kind::Reasoning => Body::Prose(Prose::default()),
            Kind::Call | Kind::Custom => Body::Call(Call::seeded(arguments(shape, kind))),
            Kind::Opaque => {
                let ix = self.blocks.start(BlockKind::Opaque { wire: super::NAME.to_owned() }, out);
                Body::Opaque(ix, raw.get().to_owned())
            }
        };
        let own = |text: Option<&str>| text.map(str::to_owned);
        let (id, phase) = (own(at.id), own(shape.phase.get()));
        let call_id = own(shape.call_id.get());
        self.items.push(Item { kind, index: at.index, id, phase, call_id, done: false, body });
        let n = self.items.len() - 1;
        self.name(n, shape.name.get(), reply, out);
        n
    }

    /// Begins a call's block, once its name is known.
    fn name(&mut self, n: usize, name: Option<&str>, reply: &str, out: &mut Vec<StreamEvent>) {
        let Some(Item { kind, id, call_id, body: Body::Call(call), .. }) = self.items.get_mut(n) else { return };
        let Some(name) = name.filter(|_| call.ix.is_none()) else { return };
        let given = call_id.as_ref().or(id.as_ref()).filter(|given| self.returned || !self.ids.contains(given));
        let minted = || format!("call_{}", digest::short(format!("{reply}\n{}\n{name}", self.ids.len()).as_bytes(), 24));
        let own_id = given.cloned().unwrap_or_else(minted);
        self.ids.push(own_id.clone());
        let notes = match kind {
            Kind::Custom => Some(about::call(about::CUSTOM_CALL, id.as_deref())),
            _ => id.as_deref().filter(|_| self.proven).map(|id| about::call(about::CALL, Some(id))),
        };
        let block = BlockKind::ToolCall { id: own_id, name: self.names.original(name).to_owned() };
        call.begin(block, notes, &mut self.blocks, out);
    }

    /// An item grows.
    pub fn grow(&mut self, at: At<'_>, slot: Slot, text: &str, reply: &str, out: &mut Vec<StreamEvent>) {
        let Some(n) = self.target(at, slot.kind(), reply, out) else { return };
        self.refused |= matches!(slot, Slot::Refusal(_));
        let notes = self.notes_for(n, slot);
        match self.items.get_mut(n).map(|item| &mut item.body) {
            Some(Body::Prose(prose)) => prose.grow(slot, text, notes, &mut self.blocks, out),
            Some(Body::Call(call)) => call.grow(text, out),
            Some(Body::Opaque(..)) | None => {}
        }
    }

    /// A part of an item is whole.
    pub fn complete_part(&mut self, at: At<'_>, slot: Slot, whole: &str, reply: &str, out: &mut Vec<StreamEvent>) {
        let Some(n) = self.target(at, slot.kind(), reply, out) else { return };
        self.refused |= matches!(slot, Slot::Refusal(_));
        let notes = self.notes_for(n, slot);
        match self.items.get_mut(n).map(|item| &mut item.body) {
            Some(Body::Prose(prose)) => {
                self.text_differs |= prose.complete_part(slot, whole, notes, &mut self.blocks, out) == Agrees::No;
            }
            Some(Body::Call(call)) => self.call_broken |= call.complete(whole, out) == Agrees::No,
            Some(Body::Opaque(..)) | None => {}
        }
    }

    /// The open item that a piece belongs to, or a new one where its start was lost; nothing for a late piece of a done one.
    fn target(&mut self, at: At<'_>, kind: Kind, reply: &str, out: &mut Vec<StreamEvent>) -> Option<usize> {
        if let Some(n) = self.find(at, kind, None) {
            return Some(n);
        }
        let same = |item: &Item| if at.id.is_some() { item.id.as_deref() == at.id } else { at.index.is_some() && item.index == at.index };
        if self.items.iter().any(|item| item.done && item.kind == kind && same(item)) {
            return None;
        }
        let n = self.open(at, kind, &Shape::default(), RawValue::NULL, reply, out);
        // Its start was lost, and perhaps more of it.
        if self.damaged
            && let Some(item) = self.items.get_mut(n)
        {
            item.hold();
        }
        Some(n)
    }

    /// The open item of this kind that is meant: by its call id, its index (with the id, where several share one), its id;
    /// and where nothing is said, the last one.
    fn find(&self, at: At<'_>, kind: Kind, call_id: Option<&str>) -> Option<usize> {
        let open = || self.items.iter().enumerate().filter(|(_, item)| !item.done && item.kind == kind);
        let by = |fits: &dyn Fn(&Item) -> bool| open().filter(|(_, item)| fits(item)).last().map(|(n, _)| n);
        let same_id = |item: &Item| at.id.is_some() && item.id.as_deref() == at.id;
        let same_index = |item: &Item| at.index.is_some() && item.index == at.index;
        by(&|item| call_id.is_some() && item.call_id.as_deref() == call_id)
            .or_else(|| by(&|item| same_index(item) && same_id(item)))
            // Ids change on the way through some proxies; a call id does not.
            .or_else(|| by(&|item| same_index(item) && (call_id.is_none() || item.call_id.is_none())))
            .or_else(|| by(&same_id))
            .or_else(|| if at.index.is_none() && at.id.is_none() { by(&|_| true) } else { None })
    }

    /// Notes on a message: its phase, and its id behind reasoning that goes back.
    fn notes(&self, n: usize) -> Option<String> {
        let item = self.items.get(n).filter(|item| item.kind == Kind::Message)?;
        about::message(item.id.as_deref().filter(|_| self.proven || item.phase.is_some()), item.phase.as_deref())
    }

    /// The notes, where the piece is the first one of its part.
    fn notes_for(&self, n: usize, slot: Slot) -> Option<String> {
        match self.items.get(n).map(|item| &item.body) {
            Some(Body::Prose(prose)) if !prose.has(slot) => self.notes(n),
            _ => None,
        }
    }

    /// An item is whole. One that was already is passed over.
    pub fn finish(&mut self, at: At<'_>, source: Source, raw: &RawValue, reply: &str, out: &mut Vec<StreamEvent>) -> Read {
        let Ok(shape) = serde_json::from_str::<Shape<'_>>(raw.get()) else { return Read::No };
        let Some(kind) = Kind::of(&shape) else { return Read::No };
        let at = At { id: shape.id.get().or(at.id), ..at };
        let n = match self.find(at, kind, shape.call_id.get()).or_else(|| self.nameless(kind, &shape)) {
            Some(n) => n,
            None if self.is_again(at, source, kind, &shape, raw) => return Read::Yes,
            None => self.open(at, kind, &shape, raw, reply, out),
        };
        // Reasoning goes back before what follows from it; from the list at the end, it would stand behind that.
        let late = source != Source::Event && kind == Kind::Reasoning && shape.encrypted_content.get().is_some();
        self.reasoning_lost |= late && !self.returned;
        self.fill(n, &shape, raw, reply, out);
        Read::Yes
    }

    /// The open item that came in pieces which said of no item that they are its, if this may be the whole of it.
    fn nameless(&self, kind: Kind, shape: &Shape<'_>) -> Option<usize> {
        self.items.iter().position(|item| {
            !item.done && item.kind == kind && item.index.is_none() && item.id.is_none() && item.call_id.is_none() && item.begins(shape)
        })
    }

    /// Whether a whole item is one that is done already.
    fn is_again(&self, at: At<'_>, source: Source, kind: Kind, shape: &Shape<'_>, raw: &RawValue) -> bool {
        let before = match source {
            Source::Event => self.items.len(),
            Source::Output(before) => before,
        };
        !self.returned && self.items.iter().take(before).any(|item| item.is_again(at, source, kind, shape, raw))
    }

    /// How many items there are so far.
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    fn fill(&mut self, n: usize, shape: &Shape<'_>, raw: &RawValue, reply: &str, out: &mut Vec<StreamEvent>) {
        if let Some(item) = self.items.get_mut(n) {
            item.done = true;
            let newer = |new: Option<&str>, old: Option<String>| new.map(str::to_owned).or(old);
            item.id = newer(shape.id.get(), item.id.take());
            item.phase = newer(shape.phase.get(), item.phase.take());
            item.call_id = newer(shape.call_id.get(), item.call_id.take());
        }
        self.name(n, shape.name.get(), reply, out);
        let notes = self.notes(n);
        let Some(item) = self.items.get_mut(n) else { return };
        match &mut item.body {
            Body::Prose(prose) => {
                let whole = parts(shape, item.kind);
                self.refused |= whole.iter().any(|(slot, _)| matches!(slot, Slot::Refusal(_)));
                self.text_differs |= prose.complete(&whole, notes, &mut self.blocks, out) == Agrees::No;
                if item.kind == Kind::Reasoning && shape.encrypted_content.get().is_some() {
                    prose.prove(raw.get(), &mut self.blocks, out);
                    self.proven = true;
                }
                prose.close(None, &mut self.blocks, out);
            }
            Body::Call(call) => {
                self.call_broken |= call.complete(&arguments(shape, item.kind), out) == Agrees::No || call.ix.is_none();
                call.close(out);
            }
            Body::Opaque(ix, _) => end_opaque(*ix, raw.get(), out),
        }
    }

    /// Something was lost on the way. What comes of the items that are open waits for their whole form.
    pub fn hold(&mut self) {
        for item in self.items.iter_mut().filter(|item| !item.done) {
            item.hold();
        }
        self.damaged = true;
    }

    /// The reply is over, and so is every item.
    pub fn close(&mut self, out: &mut Vec<StreamEvent>) {
        for n in 0..self.items.len() {
            let notes = self.notes(n);
            let Some(item) = self.items.get_mut(n).filter(|item| !item.done) else { continue };
            item.done = true;
            self.reasoning_lost |= item.kind == Kind::Reasoning;
            match &mut item.body {
                Body::Prose(prose) => prose.close(notes.as_deref(), &mut self.blocks, out),
                Body::Call(call) => {
                    self.call_broken |= call.ix.is_none();
                    call.close(out);
                }
                Body::Opaque(ix, start) => end_opaque(*ix, start, out),
            }
        }
    }

    /// Whether pieces of the reply are known to be missing.
    pub const fn is_broken(&self) -> bool {
        self.damaged && (self.text_differs || self.reasoning_lost)
    }

    /// Whether an event is about an item that is kept whole: its progress says nothing that its end does not.
    pub fn is_opaque(&self, at: At<'_>) -> bool {
        self.items.iter().any(|item| {
            item.kind == Kind::Opaque && (at.index.is_some() && item.index == at.index || at.id.is_some() && item.id.as_deref() == at.id)
        })
    }
}

fn end_opaque(ix: usize, raw: &str, out: &mut Vec<StreamEvent>) {
    out.push(StreamEvent::Delta { ix, delta: Delta::Raw { text: raw.to_owned() } });
    out.push(StreamEvent::BlockEnd { ix });
}

/// The text of a call's arguments: a string's content, an object as it stands, nothing for null.
fn arguments(shape: &Shape<'_>, kind: Kind) -> String {
    if kind == Kind::Custom {
        return shape.input.get().unwrap_or_default().to_owned();
    }
    let Some(raw) = shape.arguments else { return String::new() };
    serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
}

impl Item {
    fn hold(&mut self) {
        match &mut self.body {
            Body::Prose(prose) => prose.hold(),
            Body::Call(call) => call.hold(),
            Body::Opaque(..) => {}
        }
    }

    /// Whether what has come of it is how the whole form begins.
    fn begins(&self, whole: &Shape<'_>) -> bool {
        match &self.body {
            Body::Prose(prose) => {
                let whole: String = parts(whole, self.kind).into_iter().map(|(_, text)| text).collect();
                whole.starts_with(&prose.text())
            }
            Body::Call(call) => call.ix.is_none(),
            Body::Opaque(..) => false,
        }
    }

    /// Whether a start is that of this item once more. Nothing of it has come yet, or its id says so.
    fn starts_again(&self, at: At<'_>, kind: Kind, shape: &Shape<'_>, raw: &RawValue) -> bool {
        if self.done {
            return self.kind == kind && self.is_called(at, Source::Event, shape);
        }
        if self.kind != kind || self.index != at.index {
            return false;
        }
        let same_id = at.id.is_some() && self.id.as_deref() == at.id;
        match &self.body {
            Body::Prose(prose) => prose.is_empty() || same_id,
            Body::Call(call) => match (self.call_id.as_deref(), shape.call_id.get()) {
                (Some(mine), Some(theirs)) => mine == theirs,
                _ => call.is_empty() || same_id,
            },
            Body::Opaque(_, start) => same_id || start == raw.get(),
        }
    }

    /// Whether ids say that an item is this one. Two at different places that share them are two.
    fn is_called(&self, at: At<'_>, source: Source, shape: &Shape<'_>) -> bool {
        let same = |mine: Option<&str>, theirs: Option<&str>| theirs.is_some() && mine == theirs;
        let elsewhere = source == Source::Event && self.index.is_some() && at.index.is_some() && self.index != at.index;
        !elsewhere && (same(self.id.as_deref(), at.id) || same(self.call_id.as_deref(), shape.call_id.get()))
    }

    /// Whether a whole item is this one, which is done.
    fn is_again(&self, at: At<'_>, source: Source, kind: Kind, shape: &Shape<'_>, raw: &RawValue) -> bool {
        if !self.done || self.kind != kind {
            return false;
        }
        if self.is_called(at, source, shape) {
            return true;
        }
        let same_index = at.index.is_some() && self.index == at.index;
        match &self.body {
            Body::Call(_) if self.call_id.is_some() && shape.call_id.get().is_some() => false,
            _ if source != Source::Event && same_index => true,
            Body::Prose(prose) => {
                let whole: String = parts(shape, kind).into_iter().map(|(_, text)| text).collect();
                (same_index || source != Source::Event) && prose.text() == whole
            }
            Body::Call(_) => false,
            Body::Opaque(_, start) => same_index && start == raw.get(),
        }
    }
}
