//! Bytes that grow at their end and are handed out without copying.

use bytes::Bytes;

/// A body's part that is kept between calls. Segments are merged as they grow, so that even a long one is a handful.
#[derive(Debug, Default)]
pub struct Rope {
    segments: Vec<Bytes>,
}

impl Rope {
    pub fn segments(&self) -> &[Bytes] {
        &self.segments
    }

    pub fn push(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let mut last = bytes;
        while let Some(before) = self.segments.pop_if(|before| before.len() <= last.len()) {
            let mut merged = Vec::with_capacity(before.len() + last.len());
            merged.extend_from_slice(&before);
            merged.append(&mut last);
            last = merged;
        }
        self.segments.push(Bytes::from(last));
    }

    /// Keeps the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        let mut left = len;
        self.segments.retain_mut(|segment| {
            let kept = left.min(segment.len());
            left -= kept;
            segment.truncate(kept);
            kept > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_and_kept_is_there_in_few_segments() {
        let (mut rope, mut want) = (Rope::default(), Vec::new());
        for n in 0..300u16 {
            let piece = n.to_string().into_bytes();
            want.extend_from_slice(&piece);
            rope.push(piece);
            assert!(rope.segments().len() < 12);
        }
        assert_eq!(rope.segments().concat(), want);
        for len in [5000, 700, 699, 3, 0] {
            rope.truncate(len);
            want.truncate(len);
            assert_eq!(rope.segments().concat(), want);
        }
        assert!(rope.segments().is_empty());
        rope.push(b"again".to_vec());
        assert_eq!(rope.segments().concat(), b"again");
    }
}
