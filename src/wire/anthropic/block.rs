//! The blocks of a reply that are still arriving.
//!
//! By the rules a block starts, grows and stops under its index, one after the other. Starts that come twice, deltas whose
//! start was lost, and blocks that never stop are all met in practice, and none of them may mix two blocks.

use super::shape::{self, Piece};
use crate::base::digest;
use crate::model::{BlockKind, Delta, StreamEvent, ToolCall};
use crate::wire::arguments;
use crate::wire::json_out::Object;
use crate::wire::names::ToolNames;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub struct Blocks {
    open: Vec<Open>,
    /// The server's numbers of blocks that have stopped.
    stopped: Vec<Option<u64>>,
    next_ix: usize,
    ids: Vec<String>,
    pub names: ToolNames,
    /// Whether anything of a reply is there.
    pub content: bool,
    /// Whether a call went on that had never begun.
    pub headless: bool,
    /// Whether a block ended that had never begun.
    pub stray: bool,
    /// Whether some call could be run: its arguments are an object.
    pub runnable: bool,
}

#[derive(Debug, Clone)]
struct Open {
    index: Option<u64>,
    ix: usize,
    /// The block as it started, to know a start that comes twice.
    start: String,
    /// Something came after the start.
    grown: bool,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Text,
    Thinking,
    Redacted,
    Call {
        /// Arguments that came with the start; pieces replace them.
        seed: String,
        args: String,
    },
    /// What only this wire understands: written back as it started, with what was streamed put in.
    Opaque {
        input: String,
        content: String,
    },
}

/// Whether something was understood. What was not is handed on as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Yes,
    No,
}

impl Blocks {
    pub fn has_calls(&self) -> bool {
        !self.ids.is_empty()
    }

    /// A block starts. `reply` is the reply's id, of which missing call ids are made.
    pub fn start(&mut self, index: Option<u64>, raw: &RawValue, reply: &str, out: &mut Vec<StreamEvent>) -> Read {
        if self.open.iter().any(|b| b.index == index && !b.grown && b.start == raw.get()) {
            return Read::Yes;
        }
        let Ok(block) = serde_json::from_str::<shape::Block<'_>>(raw.get()) else { return Read::No };
        self.close_open(index, out);
        match block.kind.get() {
            Some("text") => {
                let ix = self.begin(index, raw.get(), Body::Text, BlockKind::Text, out);
                self.prose(block.text.get().map(|text| Delta::Text { text: text.to_owned() }), ix, out);
            }
            Some("thinking") => {
                let ix = self.begin(index, raw.get(), Body::Thinking, BlockKind::Thinking, out);
                self.prose(block.thinking.get().map(|text| Delta::Thinking { text: text.to_owned() }), ix, out);
                self.prose(block.signature.get().map(|text| Delta::Signature { text: text.to_owned() }), ix, out);
            }
            Some("redacted_thinking") => {
                let ix = self.begin(index, raw.get(), Body::Redacted, BlockKind::RedactedThinking, out);
                self.prose(block.data.get().map(|text| Delta::Signature { text: text.to_owned() }), ix, out);
            }
            Some("tool_use") => {
                let seed = block.input.map(|i| arguments::read(i.get())).unwrap_or_default();
                self.call(index, raw.get(), block.id.get(), block.name.get(), seed, reply, out);
            }
            _ => {
                self.content = true;
                let body = Body::Opaque { input: String::new(), content: String::new() };
                self.begin(index, raw.get(), body, BlockKind::Opaque { wire: super::NAME.to_owned() }, out);
            }
        }
        Read::Yes
    }

    fn begin(&mut self, index: Option<u64>, start: &str, body: Body, kind: BlockKind, out: &mut Vec<StreamEvent>) -> usize {
        let ix = self.next_ix;
        self.next_ix += 1;
        self.open.push(Open { index, ix, start: start.to_owned(), grown: false, body });
        out.push(StreamEvent::BlockStart { ix, kind });
        ix
    }

    fn prose(&mut self, delta: Option<Delta>, ix: usize, out: &mut Vec<StreamEvent>) {
        if let Some(delta) = delta {
            self.content = true;
            out.push(StreamEvent::Delta { ix, delta });
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one private place where a call's parts meet the reply's state")]
    fn call(
        &mut self,
        index: Option<u64>,
        start: &str,
        id: Option<&str>,
        name: Option<&str>,
        seed: String,
        reply: &str,
        out: &mut Vec<StreamEvent>,
    ) {
        self.content = true;
        // A call without a name is kept, as one that no tool will answer but an error.
        let name = name.unwrap_or("unknown");
        let id = match id {
            Some(id) if !self.ids.iter().any(|taken| taken == id) => id.to_owned(),
            _ => format!("toolu_{}", digest::short(format!("{reply}\n{}\n{name}", self.ids.len()).as_bytes(), 24)),
        };
        self.ids.push(id.clone());
        let name = self.names.original(name).to_owned();
        self.begin(index, start, Body::Call { seed, args: String::new() }, BlockKind::ToolCall { id, name }, out);
    }

    /// A block grows.
    pub fn grow(&mut self, index: Option<u64>, piece: &Piece<'_>, reply: &str, out: &mut Vec<StreamEvent>) -> Read {
        let text = [&piece.text, &piece.thinking, &piece.signature, &piece.partial_json, &piece.content];
        if text.iter().all(|t| t.get().is_none()) {
            let known = ["text_delta", "thinking_delta", "signature_delta", "input_json_delta", "compaction_delta"];
            return if piece.kind.get().is_some_and(|k| known.contains(&k)) { Read::Yes } else { Read::No };
        }
        if !self.open.iter().any(|b| b.index == index) && self.open_for(index, piece, reply, out) == Read::No {
            return Read::No;
        }
        let Some(block) = self.open.iter_mut().rfind(|b| b.index == index) else { return Read::No };
        block.grown = true;
        let own = |t: &str| t.to_owned();
        let delta = match (&mut block.body, piece) {
            (Body::Text, Piece { text, .. }) if text.get().is_some() => text.get().map(|t| Delta::Text { text: own(t) }),
            (Body::Thinking, Piece { thinking, signature, .. }) => match (thinking.get(), signature.get()) {
                (Some(t), _) => Some(Delta::Thinking { text: own(t) }),
                (None, proof) => proof.map(|t| Delta::Signature { text: own(t) }),
            },
            (Body::Call { args, .. }, Piece { partial_json, .. }) => partial_json.get().map(|t| {
                args.push_str(t);
                Delta::Args { text: own(t) }
            }),
            (Body::Opaque { input, content }, Piece { partial_json, content: words, .. }) => {
                input.push_str(partial_json.get().unwrap_or_default());
                content.push_str(words.get().unwrap_or_default());
                return if partial_json.get().or(words.get()).is_some() { Read::Yes } else { Read::No };
            }
            (Body::Text | Body::Redacted, _) => None,
        };
        let Some(delta) = delta else { return Read::No };
        let ix = block.ix;
        self.prose(Some(delta), ix, out);
        Read::Yes
    }

    /// A block for a piece whose start never came.
    fn open_for(&mut self, index: Option<u64>, piece: &Piece<'_>, reply: &str, out: &mut Vec<StreamEvent>) -> Read {
        if piece.text.get().is_some() {
            self.begin(index, "", Body::Text, BlockKind::Text, out);
        } else if piece.thinking.get().is_some() || piece.signature.get().is_some() {
            self.begin(index, "", Body::Thinking, BlockKind::Thinking, out);
        } else if piece.partial_json.get().is_some() && !self.stopped.contains(&index) {
            self.headless = true;
            self.call(index, "", None, None, String::new(), reply, out);
        } else {
            return Read::No;
        }
        Read::Yes
    }

    /// A block is whole. One that is not open is passed over.
    pub fn stop(&mut self, index: Option<u64>, out: &mut Vec<StreamEvent>) {
        self.stray |= !self.close_open(index, out) && !self.stopped.contains(&index);
    }

    /// Stops the block of this number if one is open.
    pub fn close_open(&mut self, index: Option<u64>, out: &mut Vec<StreamEvent>) -> bool {
        let Some(at) = self.open.iter().position(|b| b.index == index) else { return false };
        let block = self.open.remove(at);
        self.stopped.push(index);
        self.close(block, out);
        true
    }

    /// The reply is over, and so is every block.
    pub fn stop_all(&mut self, out: &mut Vec<StreamEvent>) {
        for block in std::mem::take(&mut self.open) {
            self.close(block, out);
        }
    }

    fn close(&mut self, block: Open, out: &mut Vec<StreamEvent>) {
        let Open { ix, start, body, .. } = block;
        match body {
            Body::Text | Body::Thinking | Body::Redacted => {}
            Body::Call { seed, args } => {
                let args_raw = if args.is_empty() { seed.clone() } else { args.clone() };
                if args.is_empty() && !seed.is_empty() {
                    out.push(StreamEvent::Delta { ix, delta: Delta::Args { text: seed } });
                }
                let call = ToolCall { id: String::new(), name: String::new(), args_raw, signature: None };
                self.runnable |= call.args().is_ok();
            }
            Body::Opaque { input, content } => {
                out.push(StreamEvent::Delta { ix, delta: Delta::Raw { text: complete(start, &input, &content) } });
            }
        }
        out.push(StreamEvent::BlockEnd { ix });
    }
}

/// A block as it started, with what was streamed of it in its place. Nothing else of it is written anew.
fn complete(start: String, input: &str, content: &str) -> String {
    if input.is_empty() && content.is_empty() {
        return start;
    }
    let Ok(mut fields) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&start) else { return start };
    if !content.is_empty()
        && let Ok(text) = serde_json::value::to_raw_value(content)
    {
        fields.insert("content".to_owned(), text);
    }
    if !input.is_empty() {
        let mut object = Vec::new();
        arguments::write(&mut object, input);
        if let Ok(input) = serde_json::from_slice(&object) {
            fields.insert("input".to_owned(), input);
        }
    }
    let mut out = Vec::new();
    let mut o = Object::begin(&mut out);
    for (key, value) in &fields {
        o.field(key, value);
    }
    o.end();
    String::from_utf8(out).unwrap_or(start)
}
