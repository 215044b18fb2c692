//! Lines out of bytes that were cut anywhere.

/// The most that is kept of a line.
const MAX_LINE: usize = 16 << 20;

/// A line, or what is left of one that is too long to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    Whole(&'a [u8]),
    TooLong,
}

/// The line so far.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    pending: Vec<u8>,
    /// The line has outgrown what is kept; the rest of it is passed over.
    skipping: bool,
}

impl Lines {
    pub fn feed(&mut self, bytes: &[u8], on_line: &mut impl FnMut(Line<'_>)) {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|b| *b == b'\n') {
            let (line, behind) = rest.split_at(at);
            self.take(line);
            self.finish(on_line);
            rest = behind.split_at(1).1;
        }
        self.take(rest);
    }

    /// What stands behind the last line break is a line as well.
    pub fn finish(&mut self, on_line: &mut impl FnMut(Line<'_>)) {
        if std::mem::take(&mut self.skipping) {
            on_line(Line::TooLong);
        } else if !self.pending.trim_ascii().is_empty() {
            on_line(Line::Whole(self.pending.trim_ascii()));
        }
        self.pending.clear();
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.skipping || self.pending.len() + bytes.len() > MAX_LINE {
            self.skipping = true;
            self.pending = Vec::new();
        } else {
            self.pending.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        let mut keep = |line: Line<'_>| {
            out.push(match line {
                Line::Whole(line) => Some(line.to_vec()),
                Line::TooLong => None,
            });
        };
        for piece in pieces {
            lines.feed(piece, &mut keep);
        }
        lines.finish(&mut keep);
        out
    }

    #[test]
    fn a_line_that_is_too_long_costs_itself_alone() {
        let long = vec![b'x'; MAX_LINE];
        assert_eq!(all(&[b"a\r\n\n", &long, b"y", b"z\nb"]), [Some(b"a".to_vec()), None, Some(b"b".to_vec())]);
        assert_eq!(all(&[&long]), [Some(long)]);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(text in "[a-c\n]{0,40}", at in 0usize..40) {
            let bytes = text.as_bytes();
            let (head, tail) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(all(&[head, tail]), all(&[bytes]));
        }
    }
}
