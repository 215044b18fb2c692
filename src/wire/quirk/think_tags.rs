//! `think-tags`: a model's thinking that its server left in the text, between `<think>` and `</think>`.
//!
//! Servers without a parser for their model's thinking send it so (Groq calls it `raw`; local servers and hosts of open
//! models do it by default or by accident). Only tags at the beginning of a reply's text count: later ones are words about
//! tags. Text is held back only while it could still be a tag.

use super::Quirk;
use super::emit::Emitter;
use crate::model::{BlockKind, Delta, StreamEvent};
use std::collections::HashSet;

/// What `<think>` at the beginning of a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThinkTags {
    #[default]
    Text,
    Thinking,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "think-tags",
    what: "reads `<think>...</think>` at the beginning of a reply as thinking",
    apply: |dialect| dialect.think_tags = ThinkTags::Thinking,
};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// The filter over one reply's events.
#[derive(Debug, Default)]
pub struct TagFilter {
    emit: Emitter,
    /// The server's numbers of text blocks, whose starts and ends are ours to say.
    texts: HashSet<usize>,
    at: At,
    /// Text that could be the beginning of a tag.
    held: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    #[default]
    Beginning,
    Thinking,
    /// Behind the closing tag, where white space separates.
    Gap,
    Text,
}

impl TagFilter {
    /// Takes an event of the reply and appends what it becomes.
    pub fn push(&mut self, event: StreamEvent, out: &mut Vec<StreamEvent>) {
        match event {
            StreamEvent::BlockStart { ix, kind: BlockKind::Text } => {
                self.texts.insert(ix);
            }
            StreamEvent::BlockEnd { ix } if self.texts.contains(&ix) => {}
            StreamEvent::Delta { delta: Delta::Text { text }, .. } => self.text(&text, out),
            StreamEvent::BlockStart { .. } | StreamEvent::End { .. } => {
                self.settle(out);
                self.emit.close_prose(out);
                self.emit.pass(event, out);
            }
            other => self.emit.pass(other, out),
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<StreamEvent>) {
        self.held.push_str(text);
        loop {
            let held = std::mem::take(&mut self.held);
            match self.at {
                At::Beginning => {
                    let begun = held.trim_start();
                    if let Some(rest) = begun.strip_prefix(OPEN) {
                        self.held = rest.to_owned();
                        self.at = At::Thinking;
                        continue;
                    }
                    if OPEN.starts_with(begun) {
                        self.held = held;
                    } else {
                        self.at = At::Text;
                        self.emit.text(&held, out);
                    }
                }
                At::Thinking => {
                    if let Some((thought, rest)) = held.split_once(CLOSE) {
                        self.emit.thinking(thought, out);
                        self.held = rest.to_owned();
                        self.at = At::Gap;
                        continue;
                    }
                    let (thought, tail) = held.split_at(held.len() - part_of_close(&held));
                    self.emit.thinking(thought, out);
                    self.held = tail.to_owned();
                }
                At::Gap => {
                    let rest = held.trim_start();
                    if !rest.is_empty() {
                        self.at = At::Text;
                        self.emit.text(rest, out);
                    }
                }
                At::Text => self.emit.text(&held, out),
            }
            return;
        }
    }

    /// The text is over: what is held back is what it looks like.
    fn settle(&mut self, out: &mut Vec<StreamEvent>) {
        let held = std::mem::take(&mut self.held);
        match self.at {
            At::Thinking => self.emit.thinking(&held, out),
            At::Beginning if held.trim().is_empty() => self.held = held,
            At::Beginning | At::Text | At::Gap => self.emit.text(&held, out),
        }
    }
}

/// How many bytes at the end may be the beginning of the closing tag.
fn part_of_close(text: &str) -> usize {
    (1..CLOSE.len()).rev().find(|n| CLOSE.get(..*n).is_some_and(|part| text.ends_with(part))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Accumulator, Block, Stop};
    use proptest::prelude::*;

    fn filtered(pieces: &[&str]) -> Vec<(bool, String)> {
        let mut filter = TagFilter::default();
        let mut out = Vec::new();
        filter.push(StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text }, &mut out);
        for piece in pieces {
            filter.push(StreamEvent::Delta { ix: 0, delta: Delta::Text { text: (*piece).to_owned() } }, &mut out);
        }
        filter.push(StreamEvent::BlockEnd { ix: 0 }, &mut out);
        filter.push(StreamEvent::End { stop: Stop::End, reason: None }, &mut out);
        let mut reply = Accumulator::default();
        for event in &out {
            reply.push(event);
        }
        let blocks = reply.finish().message.blocks.into_iter();
        blocks
            .map(|block| match block {
                Block::Thinking { text, .. } => (true, text),
                Block::Text { text } => (false, text),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn only_tags_at_the_beginning_are_thinking() {
        for (text, thought, said) in [
            ("<think>\nhm</think>\n\nyes", "\nhm", "yes"),
            ("\n<think></think>yes", "", "yes"),
            ("<think>a < b </thin </think> c", "a < b </thin ", "c"),
            ("<think>never closed", "never closed", ""),
            ("<thinking>x</thinking>", "", "<thinking>x</thinking>"),
            ("Use <think> tags</think>", "", "Use <think> tags</think>"),
            ("  plain", "", "  plain"),
            ("<thi", "", "<thi"),
        ] {
            let want: Vec<_> =
                [(true, thought), (false, said)].into_iter().filter(|(_, t)| !t.is_empty()).map(|(k, t)| (k, t.to_owned())).collect();
            assert_eq!(filtered(&[text]), want, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn where_the_text_is_split_changes_nothing(parts in prop::collection::vec("(<think>|</think>|<|a|\n|ü){0,3}", 0..6), at in any::<prop::sample::Index>()) {
            let whole = parts.concat();
            let cuts: Vec<usize> = (0..=whole.len()).filter(|n| whole.is_char_boundary(*n)).collect();
            let (a, b) = whole.split_at(cuts[at.index(cuts.len())]);
            prop_assert_eq!(filtered(&[a, b]), filtered(&[&whole]));
        }
    }
}
