//! Whether a stream's chunk with the finish reason was its last one, where the wire's own end mark may be missing.
//!
//! Some servers write a reason, and even counts, into every chunk. Theirs says nothing: taken for the end, a server that
//! pauses behind the first chunk would have its answer cut, and the cut called a success. So a reason counts only where
//! an earlier chunk came without one, or counts stand alone behind it; and nothing counts once more was said behind a
//! reason. A reply of one chunk cannot be told from the first of many, and is waited for.

use crate::model::StreamEvent;

#[derive(Debug, Clone, Copy, Default)]
pub struct LastChunk {
    /// A chunk of the answer came without a reason before the first that had one.
    plain: bool,
    reason: bool,
    /// Content came behind a reason.
    more: bool,
    /// Counts alone came behind a reason.
    counts: bool,
}

/// One chunk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// It is a piece of the answer, be it empty.
    pub answer: bool,
    pub content: bool,
    pub reason: bool,
    pub counts: bool,
}

impl LastChunk {
    pub fn read(&mut self, seen: Seen) {
        if self.reason {
            self.more |= seen.content;
            self.counts |= seen.counts && !seen.content;
        } else {
            self.plain |= seen.answer && !seen.reason;
            self.reason = seen.reason;
        }
    }

    pub const fn was_it(self) -> bool {
        self.reason && !self.more && (self.plain || self.counts)
    }
}

/// Whether these events bring anything of an answer.
pub fn has_content(events: Option<&[StreamEvent]>) -> bool {
    events.into_iter().flatten().any(|e| matches!(e, StreamEvent::BlockStart { .. } | StreamEvent::Delta { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Seen = Seen { answer: true, content: true, reason: false, counts: false };
    const FULL: Seen = Seen { answer: true, content: true, reason: true, counts: true };
    const REASON: Seen = Seen { answer: true, content: false, reason: true, counts: false };
    const COUNTS: Seen = Seen { answer: false, content: false, reason: false, counts: true };

    fn last(chunks: &[Seen]) -> bool {
        let mut all = LastChunk::default();
        for seen in chunks {
            all.read(*seen);
        }
        all.was_it()
    }

    #[test]
    fn a_reason_in_every_chunk_says_nothing_and_one_behind_plain_chunks_does() {
        for (chunks, want) in [
            (&[PLAIN][..], false),
            (&[PLAIN, REASON], true),
            (&[PLAIN, FULL], true),
            (&[PLAIN, REASON, COUNTS], true),
            (&[PLAIN, REASON, REASON], true),
            // The first of many, or a reply of one chunk: nobody knows.
            (&[FULL], false),
            (&[FULL, FULL], false),
            (&[FULL, FULL, COUNTS], false),
            (&[FULL, COUNTS], true),
            (&[PLAIN, FULL, PLAIN], false),
            (&[PLAIN, FULL, FULL], false),
            (&[COUNTS, REASON], false),
        ] {
            assert_eq!(last(chunks), want, "{chunks:?}");
        }
    }
}
