//! How far the reply of an attempt has come: what of it is handed out, and whether it is whole. No IO.

use super::event::LiveEvent;
use crate::base::text;
use crate::model::{Delta, ProviderError, StreamEvent};
use crate::wire::Wire;
use crate::wire::quirk::ReplyFilter;

/// A reply that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    filter: ReplyFilter,
    wire: Wire,
    torn: Torn,
    /// Whether that is why it broke.
    tore: bool,
    /// Characters of text handed out so far.
    shown: usize,
    committed: bool,
    ended: bool,
}

/// What an event that is torn does to its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Torn {
    Breaks,
    /// This link has sent one before in this call, and no other can be asked. It would do so for ever, and a reply with a gap is
    /// better than none.
    Skipped,
}

/// How it stands.
#[derive(Debug, PartialEq)]
pub(super) enum State {
    Goes,
    Whole,
    Broke(ProviderError),
}

impl Reading {
    pub fn new(filter: ReplyFilter, wire: Wire, torn: Torn) -> Self {
        Self { filter, wire, torn, tore: false, shown: 0, committed: false, ended: false }
    }

    /// Whether it broke at an event that was torn.
    pub const fn tore(&self) -> bool {
        self.tore
    }

    /// Takes in the next event of the stream, or that there is none any more. What is to be handed out, and how it stands.
    pub fn next(&mut self, event: Option<StreamEvent>) -> (Vec<StreamEvent>, State) {
        let event = match event {
            Some(StreamEvent::Error { error }) => return (Vec::new(), State::Broke(error)),
            None if self.ended => return (Vec::new(), State::Whole),
            None => return (Vec::new(), State::Broke(ProviderError::network("the stream ended before its terminal event"))),
            // A piece of it is gone, and nothing that follows would show that.
            Some(StreamEvent::Unknown { raw }) if self.torn == Torn::Breaks && !self.wire.repeats() && is_torn(&raw) => {
                self.tore = true;
                let told = text::one_line(&raw, 80);
                return (Vec::new(), State::Broke(ProviderError::network(format!("an event of the reply is torn: {told}"))));
            }
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

/// Whether this was meant to be an event. A line of something else between events says nothing.
fn is_torn(raw: &str) -> bool {
    let raw = raw.trim_start();
    raw.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(raw).is_err_and(|e| e.is_eof() || e.is_syntax())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BlockKind, Request, Stop};
    use crate::wire::quirk::Dialect;

    fn reading() -> Reading {
        Reading::new(ReplyFilter::of(&Dialect::default(), &Request::default()), Wire::OpenaiChat, Torn::Breaks)
    }

    fn text(text: &str) -> StreamEvent {
        StreamEvent::Delta { ix: 0, delta: Delta::Text { text: text.into() } }
    }

    #[test]
    fn a_torn_event_breaks_a_reply_where_nothing_repeats_it() {
        let unknown = |raw: &str| Some(StreamEvent::Unknown { raw: raw.to_owned() });
        for (raw, breaks) in [("{\"choices\":[{\"del", true), ("{\"new\": 1}", false), (": keep-alive", false), ("x", false)] {
            let mut chat = reading();
            assert_eq!(matches!(chat.next(unknown(raw)).1, State::Broke(_)), breaks, "{raw}");
            let mut responses = Reading { wire: Wire::OpenaiResponses, ..reading() };
            assert_eq!(responses.next(unknown(raw)).1, State::Goes);
            assert_eq!(chat.tore(), breaks);
            let mut again = Reading { torn: Torn::Skipped, ..reading() };
            assert_eq!(again.next(unknown(raw)).1, State::Goes);
        }
    }

    #[test]
    fn only_what_has_its_end_is_whole_and_what_was_shown_before_a_break_is_void() {
        let mut whole = reading();
        for event in
            [Some(StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text }), Some(text("a")), Some(StreamEvent::BlockEnd { ix: 0 })]
        {
            assert_eq!(whole.next(event).1, State::Goes);
        }
        let mut cut = reading();
        assert!(matches!(cut.next(None).1, State::Broke(_)));
        let mut error = ProviderError::network("x");
        assert!(cut.void(&mut error).is_none() && !error.committed, "nothing was shown");
        cut.next(Some(StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text }));
        cut.next(Some(text("h\u{e9}")));
        let (events, State::Broke(mut error)) = cut.next(None) else { panic!("whole") };
        assert!(events.is_empty());
        assert!(matches!(cut.void(&mut error), Some(LiveEvent::Discarded { chars: 2 })) && error.committed);
        whole.next(Some(StreamEvent::End { stop: Stop::End, reason: None }));
        assert_eq!(whole.next(None), (Vec::new(), State::Whole));
    }
}
