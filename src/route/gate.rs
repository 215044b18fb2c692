//! What a conversation holds that not every model takes, and which links it therefore passes over.
//!
//! A link that cannot take an image or a document is no fallback for one that can: it is left out as long as another link
//! is there. If no link can, the pieces are described by a line instead.

use super::event::LiveEvent;
use super::link::Link;
use crate::model::aside::{self, Kind};
use crate::model::history::Mark;
use crate::model::{Block, History, ImageSource, Message, Part};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The kinds that depend on the model. Signatures and opaque blocks depend on their origin, which the wires look after.
const GATED: [Kind; 2] = [Kind::Image, Kind::Document];

/// Why a piece is described, in the words that stand in its place.
const UNSEEN: &str = "this model cannot be shown it";

/// What a growing history holds. Looks at each message once.
#[derive(Debug, Default)]
pub struct Holdings {
    of: Mark,
    seen: usize,
    /// The gated kinds in it.
    pub kinds: Vec<Kind>,
    pub images: u64,
    /// Of the images that are not addresses.
    pub image_bytes: u64,
}

impl Holdings {
    /// What this history holds.
    pub fn of(&mut self, history: &History) -> &Self {
        if !(history.grew_from(&self.of) && self.seen <= history.len()) {
            *self = Self::default();
        }
        for message in history.iter().skip(self.seen) {
            let new = GATED.into_iter().filter(|kind| aside::holds(message, &[*kind]));
            let new: Vec<Kind> = new.filter(|kind| !self.kinds.contains(kind)).collect();
            self.kinds.extend(new);
            for source in images(message) {
                self.images += 1;
                if let ImageSource::Inline { data, .. } = source {
                    self.image_bytes += data.len() as u64;
                }
            }
        }
        self.seen = history.len();
        self.of = history.mark();
        self
    }
}

fn images(message: &Message) -> impl Iterator<Item = &ImageSource> {
    message.blocks.iter().flat_map(|block| {
        let (alone, parts) = match block {
            Block::Image { source } => (Some(source), [].as_slice()),
            Block::ToolResult(result) => (None, result.parts.as_slice()),
            _ => (None, [].as_slice()),
        };
        alone.into_iter().chain(parts.iter().filter_map(|p| if let Part::Image { source } = p { Some(source) } else { None }))
    })
}

/// Which of the links are to be tried: those that take all that is held, or all of them where none does.
pub fn pass<'l>(held: &[Kind], lacks: impl IntoIterator<Item = &'l [Kind]>) -> Vec<bool> {
    let mut able: Vec<bool> = lacks.into_iter().map(|lack| !held.iter().any(|kind| lack.contains(kind))).collect();
    if !able.contains(&true) {
        able.fill(true);
    }
    able
}

/// What the conversation holds, and which links were already said to lack what.
#[derive(Debug, Default)]
pub(super) struct Gates {
    holdings: Holdings,
    told: BTreeSet<(String, Kind)>,
}

impl Gates {
    /// Which links can take what this history holds, and what is to be said of the others.
    pub fn check(&mut self, links: &[Link], history: &History) -> (Vec<bool>, Vec<LiveEvent>) {
        let held = &self.holdings.of(history).kinds;
        if held.is_empty() {
            return (vec![true; links.len()], Vec::new());
        }
        let able = pass(held, links.iter().map(|l| l.lacks.as_slice()));
        let mut events = Vec::new();
        for (link, able) in links.iter().zip(&able) {
            let lacks: Vec<Kind> = held.iter().copied().filter(|kind| link.lacks.contains(kind)).collect();
            let news = lacks.iter().filter(|kind| self.told.insert((link.id.clone(), **kind))).count();
            if news > 0 {
                events.push(LiveEvent::Gated { link: link.id.clone(), lacks, passed_over: !able });
            }
        }
        (able, events)
    }

    /// How many images this history holds, and the bytes of those that are not addresses.
    pub fn images(&mut self, history: &History) -> (u64, u64) {
        let held = self.holdings.of(history);
        (held.images, held.image_bytes)
    }
}

/// A history for a model that lacks some kinds: a line stands in the place of each such piece. The lines of earlier
/// messages are kept, so the same bytes are sent turn after turn.
#[derive(Debug, Default)]
pub struct Described {
    of: Mark,
    done: History,
}

impl Described {
    pub fn of(&mut self, history: &History, lacks: &[Kind]) -> History {
        if !(history.grew_from(&self.of) && self.done.len() <= history.len()) {
            self.done = History::default();
        }
        for message in history.iter().skip(self.done.len()) {
            let described = if aside::holds(message, lacks) {
                aside::without(message, &|p| lacks.contains(&p.piece), UNSEEN)
            } else {
                Arc::clone(message)
            };
            self.done.push_shared(described);
        }
        self.of = history.mark();
        self.done.clone()
    }
}

/// What a link lacks, in words for a person.
pub fn lacking(link: &str, lacks: &[Kind], passed_over: bool) -> String {
    let kinds: Vec<&str> = lacks.iter().map(|k| k.as_str()).collect();
    let what = kinds.join(" and ");
    if passed_over {
        format!("{link} is passed over: this conversation holds {what}, which it cannot take")
    } else {
        format!("{link} cannot take {what}: a line of text stands in the place of each")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    fn picture() -> Message {
        let source = ImageSource::Url { url: "https://example.org/a.png".into() };
        Message::new(Role::User, vec![Block::Text { text: "look".into() }, Block::Image { source }])
    }

    #[test]
    fn what_is_held_is_found_in_a_growing_and_in_another_history() {
        let mut held = Holdings::default();
        let mut history: History = [Message::user("a")].into_iter().collect();
        assert_eq!(held.of(&history).kinds, []);
        history.push(picture());
        assert_eq!(held.of(&history).kinds, [Kind::Image]);
        history.push(Message::assistant("b"));
        assert_eq!(held.of(&history).kinds, [Kind::Image]);
        assert_eq!(held.of(&[Message::user("other"), Message::user("x"), Message::user("y")].into_iter().collect()).kinds, []);
    }

    #[test]
    fn who_cannot_take_it_is_passed_over_unless_nobody_can() {
        let lacks: [&[Kind]; 3] = [&[Kind::Image], &[], &[Kind::Document]];
        assert_eq!(pass(&[], lacks), [true, true, true]);
        assert_eq!(pass(&[Kind::Image], lacks), [false, true, true]);
        assert_eq!(pass(&[Kind::Image, Kind::Document], lacks), [false, true, false]);
        assert_eq!(pass(&[Kind::Image], [&[Kind::Image][..]; 2]), [true, true]);
    }

    #[test]
    fn what_was_described_once_is_described_by_the_same_message() {
        let mut described = Described::default();
        let mut history: History = [picture()].into_iter().collect();
        let first = described.of(&history, &[Kind::Image]);
        assert_eq!(
            first.last().map(Message::joined_text).as_deref(),
            Some("look[An image stood here. It was left out: this model cannot be shown it]")
        );
        history.push(Message::assistant("b"));
        let second = described.of(&history, &[Kind::Image]);
        assert!(second.grew_from(&first.mark()) && second.len() == 2);
        let other = described.of(&[Message::user("new")].into_iter().collect(), &[Kind::Image]);
        assert_eq!(other.last().map(Message::joined_text).as_deref(), Some("new"));
    }
}
