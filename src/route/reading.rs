//! How far the reply of an attempt has come: what of it is handed out, and whether it is whole. No IO.

use super::event::LiveEvent;
use crate::model::{Delta, ProviderError, StreamEvent};
use crate::wire::quirk::ReplyFilter;

/// A reply that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    filter: ReplyFilter,
    /// Characters of text handed out so far.
    shown: usize,
    committed: bool,
    ended: bool,
}

/// How it stands.
#[derive(Debug, PartialEq)]
pub(super) enum State {
    Goes,
    Whole,
    Broke(ProviderError),
}

impl Reading {
    pub fn new(filter: ReplyFilter) -> Self {
        Self { filter, shown: 0, committed: false, ended: false }
    }

    /// Takes in the next event of the stream, or that there is none any more. What is to be handed out, and how it stands.
    pub fn next(&mut self, event: Option<StreamEvent>) -> (Vec<StreamEvent>, State) {
        let event = match event {
            Some(StreamEvent::Error { error }) => return (Vec::new(), State::Broke(error)),
            None if self.ended => return (Vec::new(), State::Whole),
            None => return (Vec::new(), State::Broke(ProviderError::network("the stream ended before its terminal event"))),
            Some(event) => event,
        };
        let (mut filtered, mut out) = (Vec::new(), Vec::new());
        self.filter.push(event, &mut filtered);
        for event in filtered {
            // A filter may find that the end is none.
            if let StreamEvent::Error { error } = event {
                return (out, State::Broke(error));
            }
            self.committed |= event.is_content();
            self.ended |= matches!(event, StreamEvent::End { .. });
            if let StreamEvent::Delta { delta: Delta::Text { text }, .. } = &event {
                self.shown += text.chars().count();
            }
            out.push(event);
        }
        (out, State::Goes)
    }

    /// It broke: what was handed out of it is void, and that has to be said if it was anything.
    pub fn void(&self, error: &mut ProviderError) -> Option<LiveEvent> {
        error.committed = self.committed;
        self.committed.then_some(LiveEvent::Discarded { chars: self.shown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BlockKind, Request, Stop};
    use crate::wire::quirk::Dialect;

    fn reading() -> Reading {
        Reading::new(ReplyFilter::of(&Dialect::default(), &Request::default()))
    }

    fn text(text: &str) -> Option<StreamEvent> {
        Some(StreamEvent::Delta { ix: 0, delta: Delta::Text { text: text.into() } })
    }

    #[test]
    fn only_what_has_its_end_is_whole_and_what_was_shown_before_a_break_is_void() {
        let mut whole = reading();
        for event in [Some(StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text }), text("a"), Some(StreamEvent::BlockEnd { ix: 0 })] {
            assert_eq!(whole.next(event).1, State::Goes);
        }
        let mut cut = reading();
        assert!(matches!(cut.next(None).1, State::Broke(_)));
        let mut error = ProviderError::network("x");
        assert!(cut.void(&mut error).is_none() && !error.committed, "nothing was shown");
        cut.next(Some(StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text }));
        cut.next(text("h\u{e9}"));
        let (events, State::Broke(mut error)) = cut.next(None) else { panic!("whole") };
        assert!(events.is_empty());
        assert!(matches!(cut.void(&mut error), Some(LiveEvent::Discarded { chars: 2 })) && error.committed);
        whole.next(Some(StreamEvent::End { stop: Stop::End, reason: None }));
        assert_eq!(whole.next(None), (Vec::new(), State::Whole));
    }
}
