//! Blocks one behind the other: what a wire's clients expect where another wire mixes them.
//!
//! The first block is handed on as it comes and the others wait until it has ended.

use crate::model::{BlockKind, Delta, Loss, StreamEvent};
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub struct InOrder {
    /// The first one is being handed on.
    blocks: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    ix: usize,
    ended: bool,
    /// What has not been handed on.
    events: Vec<StreamEvent>,
}

impl InOrder {
    /// Takes an event and appends what can be handed on. An end ends every block that is open.
    pub fn push(&mut self, event: &StreamEvent, out: &mut Vec<StreamEvent>, losses: &mut Vec<Loss>) {
        match event {
            StreamEvent::BlockStart { ix, .. } => {
                self.blocks.push_back(Held { ix: *ix, ended: false, events: vec![event.clone()] });
            }
            StreamEvent::Delta { ix, delta } => self.delta(*ix, delta, losses),
            StreamEvent::BlockEnd { ix } => {
                if let Some(block) = self.open(*ix) {
                    block.end();
                }
            }
            StreamEvent::End { .. } | StreamEvent::Error { .. } => self.blocks.iter_mut().for_each(Held::end),
            StreamEvent::Start { .. } | StreamEvent::Usage { .. } | StreamEvent::Unknown { .. } => return out.push(event.clone()),
        }
        while let Some(first) = self.blocks.front_mut() {
            out.append(&mut first.events);
            if !first.ended {
                break;
            }
            self.blocks.pop_front();
        }
        if matches!(event, StreamEvent::End { .. } | StreamEvent::Error { .. }) {
            out.push(event.clone());
        }
    }

    fn open(&mut self, ix: usize) -> Option<&mut Held> {
        self.blocks.iter_mut().find(|b| b.ix == ix && !b.ended)
    }

    fn delta(&mut self, ix: usize, delta: &Delta, losses: &mut Vec<Loss>) {
        let event = StreamEvent::Delta { ix, delta: delta.clone() };
        if let Some(block) = self.open(ix) {
            return block.events.push(event);
        }
        // A delta to a block that nobody opened still belongs to somebody: open one of its kind.
        let kind = match delta {
            Delta::Text { .. } => BlockKind::Text,
            Delta::Thinking { .. } | Delta::Signature { .. } => BlockKind::Thinking,
            Delta::Args { .. } | Delta::Name { .. } | Delta::Raw { .. } => {
                return losses.push(Loss::new(format!("blocks[{ix}]"), "a piece of a block that never began"));
            }
        };
        self.blocks.push_back(Held { ix, ended: false, events: vec![StreamEvent::BlockStart { ix, kind }, event] });
    }
}

impl Held {
    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.events.push(StreamEvent::BlockEnd { ix: self.ix });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Stop;

    fn text(ix: usize, text: &str) -> StreamEvent {
        StreamEvent::Delta { ix, delta: Delta::Text { text: text.into() } }
    }

    #[test]
    fn mixed_blocks_come_one_behind_the_other_and_the_first_at_once() {
        let start = |ix| StreamEvent::BlockStart { ix, kind: BlockKind::Text };
        let end = |ix| StreamEvent::BlockEnd { ix };
        let (mut order, mut out, mut losses) = (InOrder::default(), Vec::new(), Vec::new());
        let mut feed = |event: StreamEvent| {
            order.push(&event, &mut out, &mut losses);
            out.clone()
        };
        feed(start(3));
        feed(start(1));
        feed(text(1, "b"));
        assert_eq!(feed(text(3, "a")), [start(3), text(3, "a")]);
        feed(text(7, "c"));
        assert_eq!(feed(end(3)), [start(3), text(3, "a"), end(3), start(1), text(1, "b")]);
        let stop = StreamEvent::End { stop: Stop::End, reason: None };
        let all = feed(stop.clone());
        assert_eq!(all[5..], [end(1), start(7), text(7, "c"), end(7), stop]);
        feed(StreamEvent::Delta { ix: 9, delta: Delta::Args { text: "{}".into() } });
        assert_eq!((out.len(), losses.len()), (10, 1));
    }
}
