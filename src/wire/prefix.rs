//! The part of a conversation that is already bytes: kept from call to call, cut where a history differs, continued where
//! it grew. What a codec has to know behind a message to go on from there is kept with it.

use super::rope::Rope;
use crate::model::history::Mark;
use crate::model::{History, Message};
use bytes::Bytes;
use std::sync::Arc;

/// The bytes of a conversation's messages. `S` is what is open behind a message: a side that goes on, images that wait for
/// the last result. It is never part of the bytes, so a message that follows changes none of those before it.
#[derive(Debug)]
pub struct Prefix<S> {
    done: Vec<Done<S>>,
    bytes: Rope,
    /// The history that it is of.
    of: Mark,
}

#[derive(Debug)]
struct Done<S> {
    message: Arc<Message>,
    /// Where its bytes end, counted from the first message's beginning.
    end: usize,
    behind: S,
}

/// Where the next message is written.
pub struct Place<'a, S> {
    /// Its position in the history.
    pub at: usize,
    pub message: &'a Arc<Message>,
    /// What the message before it left open; none before the first one.
    pub open: Option<&'a S>,
    /// How many bytes stand before those of `write`'s buffer, counted from the first message's beginning.
    pub base: usize,
}

impl<S> Default for Prefix<S> {
    fn default() -> Self {
        Self { done: Vec::new(), bytes: Rope::default(), of: Mark::default() }
    }
}

impl<S> Prefix<S> {
    /// Makes the prefix that of `history`, whose first `skip` messages stand elsewhere. `write` appends a message's bytes
    /// to the buffer and returns what is open behind it.
    pub fn extend(&mut self, history: &History, skip: usize, mut write: impl FnMut(&mut Vec<u8>, Place<'_, S>) -> S) {
        if !(history.grew_from(&self.of) && self.done.len() + skip <= history.len()) {
            let pairs = self.done.iter().zip(history.iter().skip(skip));
            self.cut(pairs.take_while(|(mine, theirs)| Arc::ptr_eq(&mine.message, theirs)).count());
        }
        self.of = history.mark();
        let base = self.len();
        let mut out = Vec::new();
        for (at, message) in history.iter().enumerate().skip(skip + self.done.len()) {
            let open = self.done.last().map(|last| &last.behind);
            let behind = write(&mut out, Place { at, message, open, base });
            self.done.push(Done { message: Arc::clone(message), end: base + out.len(), behind });
        }
        self.bytes.push(out);
    }

    /// What is open behind the last message.
    pub fn open(&self) -> Option<&S> {
        self.done.last().map(|last| &last.behind)
    }

    /// What was open behind the message at this position, not counting those that stand elsewhere.
    pub fn behind(&self, ix: usize) -> Option<&S> {
        self.done.get(ix).map(|done| &done.behind)
    }

    /// The bytes, in pieces.
    pub fn segments(&self) -> &[Bytes] {
        self.bytes.segments()
    }

    /// Forgets everything, where what was written can no longer be sent.
    pub fn clear(&mut self) {
        self.cut(0);
    }

    fn len(&self) -> usize {
        self.done.last().map_or(0, |last| last.end)
    }

    /// Forgets all but the first `keep` messages.
    fn cut(&mut self, keep: usize) {
        self.done.truncate(keep);
        self.bytes.truncate(self.len());
        self.of = Mark::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes each message's text once, and says which were written.
    fn written(prefix: &mut Prefix<usize>, history: &History, skip: usize) -> (String, Vec<usize>) {
        let mut seen = Vec::new();
        prefix.extend(history, skip, |out, place| {
            assert_eq!(place.open.copied(), place.at.checked_sub(1).filter(|before| *before >= skip));
            out.extend_from_slice(place.message.joined_text().as_bytes());
            seen.push(place.at);
            place.at
        });
        (String::from_utf8(prefix.segments().concat()).unwrap(), seen)
    }

    fn plain(history: &History, skip: usize) -> String {
        history.iter().skip(skip).map(|m| m.joined_text()).collect()
    }

    #[derive(Debug, Clone)]
    enum Change {
        Push(u8),
        /// Goes on from an earlier state, without the last messages.
        Fork(usize),
        System,
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![4 => any::<u8>().prop_map(Change::Push), 1 => (0..9usize).prop_map(Change::Fork), 1 => Just(Change::System)]
    }

    proptest! {
        #[test]
        fn any_way_of_a_history_gives_the_bytes_of_its_messages(changes in prop::collection::vec(change(), 1..40), skip in 0..2usize) {
            let mut history: History = [Message::system("s")].into_iter().collect();
            let mut prefix = Prefix::default();
            for change in changes {
                match change {
                    Change::Push(n) => history.push(Message::user(format!("<{n}>"))),
                    Change::Fork(less) => {
                        let keep = history.len().saturating_sub(less).max(1);
                        history = history.iter().take(keep).cloned().collect();
                    }
                    Change::System => history.set_system(Message::system("t")),
                }
                prop_assert_eq!(written(&mut prefix, &history, skip).0, plain(&history, skip));
            }
        }
    }

    #[test]
    fn only_what_is_new_is_written_also_where_clones_part() {
        let mut history: History = ["a", "b"].map(Message::user).into_iter().collect();
        let mut prefix = Prefix::default();
        assert_eq!(written(&mut prefix, &history, 0), ("ab".to_owned(), vec![0, 1]));
        let mut other = history.clone();
        history.push(Message::user("c"));
        assert_eq!(written(&mut prefix, &history, 0), ("abc".to_owned(), vec![2]));
        assert_eq!(written(&mut prefix, &history, 0), ("abc".to_owned(), vec![]));
        other.push(Message::user("d"));
        other.push(Message::user("e"));
        assert_eq!(written(&mut prefix, &other, 0), ("abde".to_owned(), vec![2, 3]));
    }

    #[test]
    fn a_shorter_history_of_the_same_line_is_cut() {
        let short: History = ["a"].map(Message::user).into_iter().collect();
        let mut long = short.clone();
        long.push(Message::user("b"));
        let mut prefix = Prefix::default();
        written(&mut prefix, &long, 0);
        assert_eq!(written(&mut prefix, &short, 0).0, "a");
    }
}
