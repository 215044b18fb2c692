//! Output of any size in bounded memory: its beginning, its end, and a count of what was between.

/// What is kept of a stream of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captured {
    /// All of it, or the beginning when something was cut.
    pub head: Vec<u8>,
    /// The end, when something was cut.
    pub tail: Vec<u8>,
    pub cut_bytes: u64,
    /// Line breaks inside what was cut.
    pub cut_lines: u64,
}

/// Collects a [`Captured`].
pub(super) struct Capture {
    head: Vec<u8>,
    /// The end, at most twice as long as it must be, so that bytes move seldom.
    tail: Vec<u8>,
    head_max: usize,
    tail_max: usize,
    dropped_bytes: u64,
    dropped_lines: u64,
}

impl Capture {
    pub(super) fn new(keep: usize) -> Self {
        let head_max = keep / 3;
        Self { head: Vec::new(), tail: Vec::new(), head_max, tail_max: keep - head_max, dropped_bytes: 0, dropped_lines: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = self.head_max - self.head.len();
        let (first, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.head.extend_from_slice(first);
        // What a chunk would push out at once need not be copied in.
        let skip = rest.len().saturating_sub(self.tail_max);
        if skip > 0 {
            self.drop_tail(self.tail.len());
            self.count(rest.get(..skip).unwrap_or_default());
        }
        self.tail.extend_from_slice(rest.get(skip..).unwrap_or_default());
        if self.tail.len() > self.tail_max * 2 {
            self.drop_tail(self.tail.len() - self.tail_max);
        }
    }

    pub(super) fn finish(mut self) -> Captured {
        self.drop_tail(self.tail.len().saturating_sub(self.tail_max));
        if self.dropped_bytes == 0 {
            self.head.append(&mut self.tail);
        }
        Captured { head: self.head, tail: self.tail, cut_bytes: self.dropped_bytes, cut_lines: self.dropped_lines }
    }

    fn drop_tail(&mut self, n: usize) {
        let gone: Vec<u8> = self.tail.drain(..n).collect();
        self.count(&gone);
    }

    fn count(&mut self, gone: &[u8]) {
        self.dropped_bytes += gone.len() as u64;
        self.dropped_lines += gone.iter().map(|b| u64::from(*b == b'\n')).sum::<u64>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_fits_is_whole() {
        let mut c = Capture::new(9);
        c.push(b"abcdef");
        c.push(b"ghi");
        assert_eq!(c.finish(), Captured { head: b"abcdefghi".to_vec(), ..Captured::default() });
    }

    proptest! {
        #[test]
        fn head_tail_and_counts_add_up(chunks in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..40), 0..20), keep in 1_usize..60) {
            let all: Vec<u8> = chunks.concat();
            let mut c = Capture::new(keep);
            for chunk in &chunks {
                c.push(chunk);
                prop_assert!(c.head.len() + c.tail.len() <= keep * 2 + 1);
            }
            let got = c.finish();
            if all.len() <= keep {
                prop_assert_eq!(got, Captured { head: all, ..Captured::default() });
            } else {
                prop_assert!(all.starts_with(&got.head) && all.ends_with(&got.tail));
                prop_assert_eq!(got.head.len() + got.tail.len(), keep);
                let cut = &all[got.head.len()..all.len() - got.tail.len()];
                prop_assert_eq!(got.cut_bytes, cut.len() as u64);
                prop_assert_eq!(got.cut_lines, cut.split(|b| *b == b'\n').count() as u64 - 1);
            }
        }
    }
}
