//! The outgoing half of a filter that reads other things out of text: own block numbers, text and thinking opened when
//! there is some, calls with minted ids.

use crate::base::digest;
use crate::model::{BlockKind, Delta, Stop, StreamEvent};
use std::collections::HashMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prose {
    Text,
    Thinking,
}

#[derive(Debug, Default)]
pub struct Emitter {
    next_ix: usize,
    /// From the incoming number of a block that passes through to its own.
    passed: HashMap<usize, usize>,
    /// The block of text or thinking that is open.
    open: Option<(Prose, usize)>,
    reply: String,
    calls: usize,
}

impl Emitter {
    fn fresh(&mut self) -> usize {
        let ix = self.next_ix;
        self.next_ix += 1;
        ix
    }

    pub fn text(&mut self, text: &str, out: &mut Vec<StreamEvent>) {
        self.prose(Prose::Text, text, out);
    }

    pub fn thinking(&mut self, text: &str, out: &mut Vec<StreamEvent>) {
        self.prose(Prose::Thinking, text, out);
    }

    fn prose(&mut self, kind: Prose, text: &str, out: &mut Vec<StreamEvent>) {
        if text.is_empty() {
            return;
        }
        if self.open.is_some_and(|(open, _)| open != kind) {
            self.close_prose(out);
        }
        let ix = self.open.map_or_else(
            || {
                let ix = self.fresh();
                let kind = match kind {
                    Prose::Text => BlockKind::Text,
                    Prose::Thinking => BlockKind::Thinking,
                };
                out.push(StreamEvent::BlockStart { ix, kind });
                ix
            },
            |(_, ix)| ix,
        );
        self.open = Some((kind, ix));
        let text = text.to_owned();
        let delta = match kind {
            Prose::Text => Delta::Text { text },
            Prose::Thinking => Delta::Thinking { text },
        };
        out.push(StreamEvent::Delta { ix, delta });
    }

    pub fn close_prose(&mut self, out: &mut Vec<StreamEvent>) {
        if let Some((_, ix)) = self.open.take() {
            out.push(StreamEvent::BlockEnd { ix });
        }
    }

    /// A whole call. Its id is made of the reply's id, its place and what it says, so the same bytes give the same id.
    pub fn call(&mut self, name: &str, args: &str, out: &mut Vec<StreamEvent>) {
        self.close_prose(out);
        let ix = self.fresh();
        let seed = format!("{}\n{}\n{name}\n{args}", self.reply, self.calls);
        self.calls += 1;
        let id = format!("call_{}", digest::short(seed.as_bytes(), 24));
        out.push(StreamEvent::BlockStart { ix, kind: BlockKind::ToolCall { id, name: name.to_owned() } });
        out.push(StreamEvent::Delta { ix, delta: Delta::Args { text: args.to_owned() } });
        out.push(StreamEvent::BlockEnd { ix });
    }

    pub fn any_calls(&self) -> bool {
        self.calls > 0
    }

    /// Hands on an event that is not about text, under its block's own number.
    pub fn pass(&mut self, event: StreamEvent, out: &mut Vec<StreamEvent>) {
        out.push(match event {
            StreamEvent::Start { id, model } => {
                if let Some(id) = &id {
                    self.reply.clone_from(id);
                }
                StreamEvent::Start { id, model }
            }
            StreamEvent::BlockStart { ix, kind } => {
                let own = self.fresh();
                self.passed.insert(ix, own);
                StreamEvent::BlockStart { ix: own, kind }
            }
            StreamEvent::Delta { ix, delta } => StreamEvent::Delta { ix: self.own(ix), delta },
            StreamEvent::BlockEnd { ix } => StreamEvent::BlockEnd { ix: self.own(ix) },
            StreamEvent::End { stop, reason } => StreamEvent::End { stop: self.stop(stop), reason },
            other @ (StreamEvent::Usage { .. } | StreamEvent::Error { .. } | StreamEvent::Unknown { .. }) => other,
        });
    }

    fn own(&mut self, ix: usize) -> usize {
        if let Some(own) = self.passed.get(&ix) {
            return *own;
        }
        let own = self.fresh();
        self.passed.insert(ix, own);
        own
    }

    /// A model that wrote calls as text says that it is done; a reply that was cut or blocked stays so.
    fn stop(&self, stop: Stop) -> Stop {
        match stop {
            Stop::End | Stop::StopSequence | Stop::Unknown if self.any_calls() => Stop::ToolUse,
            stop => stop,
        }
    }
}
