//! The outgoing half of a filter that turns text into tool calls: own block numbers, text opened when there is some,
//! calls with minted ids.

use crate::base::digest;
use crate::model::{BlockKind, Delta, Stop, StreamEvent};
use std::collections::HashMap;

#[derive(Debug, Default)]
pub struct Emitter {
    next_ix: usize,
    /// From the incoming number of a block that passes through to its own.
    passed: HashMap<usize, usize>,
    /// The text block that is open.
    text: Option<usize>,
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
        if text.is_empty() {
            return;
        }
        let ix = self.text.unwrap_or_else(|| {
            let ix = self.fresh();
            out.push(StreamEvent::BlockStart { ix, kind: BlockKind::Text });
            ix
        });
        self.text = Some(ix);
        out.push(StreamEvent::Delta { ix, delta: Delta::Text { text: text.to_owned() } });
    }

    pub fn close_text(&mut self, out: &mut Vec<StreamEvent>) {
        if let Some(ix) = self.text.take() {
            out.push(StreamEvent::BlockEnd { ix });
        }
    }

    /// A whole call. Its id is made of the reply's id, its place and what it says, so the same bytes give the same id.
    pub fn call(&mut self, name: &str, args: &str, out: &mut Vec<StreamEvent>) {
        self.close_text(out);
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
