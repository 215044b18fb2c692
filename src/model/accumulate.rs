//! Puts a reply together from its events.

use super::event::{BlockKind, Delta, Stop, StreamEvent};
use super::fault::ProviderError;
use super::message::{Block, Message, Role, ToolCall};
use super::usage::Usage;
use std::collections::BTreeMap;

/// A finished (or broken off) reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The assistant's message, blocks in order of first appearance. Empty text and thinking blocks are left out.
    pub message: Message,
    pub stop: Stop,
    /// The provider's own word for `stop`.
    pub reason: Option<String>,
    pub usage: Usage,
    /// The provider's id of the reply.
    pub id: Option<String>,
    /// The model that the provider says answered.
    pub model: Option<String>,
    /// Whether the terminal event arrived.
    pub complete: bool,
    pub error: Option<ProviderError>,
}

/// Collects events by block identity. Feed it everything; it forgets nothing but lifecycle.
#[derive(Debug, Default)]
pub struct Accumulator {
    order: Vec<usize>,
    blocks: BTreeMap<usize, Open>,
    stop: Option<Stop>,
    reason: Option<String>,
    usage: Usage,
    id: Option<String>,
    model: Option<String>,
    error: Option<ProviderError>,
}

#[derive(Debug)]
struct Open {
    kind: BlockKind,
    text: String,
    signature: Option<String>,
}

impl Accumulator {
    pub fn push(&mut self, event: &StreamEvent) {
        match event {
            StreamEvent::Start { id, model } => {
                self.id = id.clone().or(self.id.take());
                self.model = model.clone().or(self.model.take());
            }
            StreamEvent::BlockStart { ix, kind } => {
                self.open(*ix, kind);
            }
            StreamEvent::Delta { ix, delta } => self.delta(*ix, delta),
            StreamEvent::Usage { usage } => self.usage.replace_with(usage),
            StreamEvent::End { stop, reason } => {
                self.stop = Some(*stop);
                self.reason.clone_from(reason);
            }
            StreamEvent::Error { error } => self.error = Some(error.clone()),
            StreamEvent::BlockEnd { .. } | StreamEvent::Unknown { .. } => {}
        }
    }

    fn open(&mut self, ix: usize, kind: &BlockKind) -> &mut Open {
        if !self.blocks.contains_key(&ix) {
            self.order.push(ix);
        }
        self.blocks.entry(ix).or_insert_with(|| Open { kind: kind.clone(), text: String::new(), signature: None })
    }

    fn delta(&mut self, ix: usize, delta: &Delta) {
        // A delta to a block that nobody opened still belongs to somebody: open one of its kind.
        let kind = match delta {
            Delta::Text { .. } => BlockKind::Text,
            Delta::Thinking { .. } | Delta::Signature { .. } => BlockKind::Thinking,
            Delta::Args { .. } | Delta::Name { .. } => BlockKind::ToolCall { id: String::new(), name: String::new() },
            Delta::Raw { .. } => BlockKind::Opaque { wire: String::new() },
        };
        let block = self.open(ix, &kind);
        match delta {
            Delta::Text { text } | Delta::Thinking { text } | Delta::Args { text } => block.text.push_str(text),
            Delta::Signature { text } => block.signature.get_or_insert_default().push_str(text),
            Delta::Raw { text } => block.text.clone_from(text),
            Delta::Name { text } => {
                if let BlockKind::ToolCall { name, .. } = &mut block.kind {
                    name.push_str(text);
                }
            }
        }
    }

    /// The reply as far as it came.
    pub fn finish(self) -> Reply {
        let Self { order, mut blocks, stop, reason, usage, id, model, error } = self;
        let blocks = order.into_iter().filter_map(|ix| blocks.remove(&ix)).filter_map(Open::close).collect();
        Reply {
            message: Message::new(Role::Assistant, blocks),
            complete: stop.is_some() && error.is_none(),
            stop: if error.is_some() { Stop::Error } else { stop.unwrap_or(Stop::Error) },
            reason,
            usage,
            id,
            model,
            error,
        }
    }
}

impl Open {
    fn close(self) -> Option<Block> {
        match self.kind {
            BlockKind::Text => (!self.text.is_empty()).then_some(Block::Text { text: self.text }),
            BlockKind::Thinking => (!self.text.is_empty() || self.signature.is_some()).then_some(Block::Thinking {
                text: self.text,
                signature: self.signature,
                redacted: false,
            }),
            BlockKind::RedactedThinking => {
                self.signature.map(|data| Block::Thinking { text: String::new(), signature: Some(data), redacted: true })
            }
            BlockKind::ToolCall { id, name } => {
                Some(Block::ToolCall(ToolCall { id, name, args_raw: self.text, signature: self.signature }))
            }
            BlockKind::Opaque { wire } => Some(Block::Opaque { wire, raw: self.text }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(ix: usize, text: &str) -> StreamEvent {
        StreamEvent::Delta { ix, delta: Delta::Args { text: text.into() } }
    }

    #[test]
    fn interleaved_calls_do_not_mix() {
        let mut acc = Accumulator::default();
        for (ix, id) in [(3, "a"), (7, "b")] {
            acc.push(&StreamEvent::BlockStart { ix, kind: BlockKind::ToolCall { id: id.into(), name: "t".into() } });
        }
        for e in [args(3, "{\"x\""), args(7, "{}"), args(3, ":1}")] {
            acc.push(&e);
        }
        acc.push(&StreamEvent::End { stop: Stop::ToolUse, reason: None });
        let reply = acc.finish();
        let calls: Vec<_> = reply.message.calls().map(|c| (c.id.as_str(), c.args_raw.as_str())).collect();
        assert_eq!(calls, [("a", "{\"x\":1}"), ("b", "{}")]);
        assert!(reply.complete);
    }

    #[test]
    fn a_signature_alone_is_not_redacted_thinking() {
        let mut acc = Accumulator::default();
        for (ix, kind) in [(0, BlockKind::Thinking), (1, BlockKind::RedactedThinking), (2, BlockKind::RedactedThinking)] {
            acc.push(&StreamEvent::BlockStart { ix, kind });
        }
        for ix in [0, 1] {
            acc.push(&StreamEvent::Delta { ix, delta: Delta::Signature { text: "s".into() } });
        }
        let thinking = |redacted| Block::Thinking { text: String::new(), signature: Some("s".into()), redacted };
        assert_eq!(acc.finish().message.blocks, [thinking(false), thinking(true)]);
    }

    #[test]
    fn no_terminal_event_is_never_a_success() {
        let mut acc = Accumulator::default();
        acc.push(&StreamEvent::Delta { ix: 0, delta: Delta::Text { text: "half".into() } });
        let reply = acc.finish();
        assert!(!reply.complete);
        assert_eq!((reply.stop, reply.message.joined_text().as_str()), (Stop::Error, "half"));
    }
}
