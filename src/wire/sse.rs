//! The event-stream decoder: bytes, cut anywhere, to frames.
//!
//! It follows the WHATWG rules (BOM, comments, CRLF, lone CR, multi-line data) and is lenient where servers are sloppy:
//! a last frame without its blank line counts, a line that is a bare JSON object is a frame of its own, and `error:` says
//! what it says. Bytes are never turned into text before a whole line is there, so a character may be split anywhere.

/// The longest frame that is kept, in bytes. A longer one is reported and skipped.
pub const MAX_FRAME: usize = 32 << 20;

/// A field that is no field: llama.cpp's builds of before 2026 write an error behind it, where others name an event so.
const ERROR: &[u8] = b"error";

/// One event of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// `name` is empty where the server gave none. Lines of `data` are joined with a line feed.
    Event { name: &'a [u8], data: &'a [u8] },
    /// A frame above the cap; its content is gone.
    TooLong,
}

/// The decoder's state between reads.
#[derive(Debug, Clone)]
pub struct SseDecoder {
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a carriage return: a line feed right after it belongs to it.
    after_cr: bool,
    first_line: bool,
    overflow: Overflow,
    cap: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overflow {
    No,
    /// The line being read is too long: drop bytes until it ends.
    Line,
    /// The frame being read is too long: drop lines until it ends.
    Frame,
}

impl Default for SseDecoder {
    fn default() -> Self {
        Self::with_cap(MAX_FRAME)
    }
}

impl SseDecoder {
    /// A decoder that keeps at most `cap` bytes of a line or frame.
    pub fn with_cap(cap: usize) -> Self {
        Self {
            partial: Vec::new(),
            name: Vec::new(),
            data: Vec::new(),
            has_data: false,
            after_cr: false,
            first_line: true,
            overflow: Overflow::No,
            cap,
        }
    }

    /// Takes the next bytes and hands on each frame that they complete.
    pub fn feed(&mut self, mut bytes: &[u8], on_frame: &mut impl FnMut(Frame<'_>)) {
        if self.after_cr && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            self.after_cr = false;
        }
        while let Some(at) = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            let (line, rest) = bytes.split_at(at);
            // The cap is a line's, whether it came whole or in pieces.
            if self.partial.is_empty() && line.len() <= self.cap {
                self.line(line, on_frame);
            } else {
                self.keep(line);
                let whole = std::mem::take(&mut self.partial);
                self.line(&whole, on_frame);
                // Its allocation serves the next partial line.
                self.partial = whole;
                self.partial.clear();
            }
            let (end, after) = rest.split_at(1);
            bytes = after;
            if end == b"\r" {
                match after.first() {
                    Some(b'\n') => bytes = after.split_at(1).1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
        }
        self.keep(bytes);
    }

    /// The stream has ended: what is there counts, even without its line or frame end.
    pub fn finish(&mut self, on_frame: &mut impl FnMut(Frame<'_>)) {
        let last = std::mem::take(&mut self.partial);
        if !last.is_empty() || self.overflow == Overflow::Line {
            self.line(&last, on_frame);
        }
        self.dispatch(on_frame);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.overflow == Overflow::Line {
            return;
        }
        if self.partial.len() + bytes.len() > self.cap {
            self.partial = Vec::new();
            self.overflow = Overflow::Line;
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }

    fn line(&mut self, mut line: &[u8], on_frame: &mut impl FnMut(Frame<'_>)) {
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if self.overflow == Overflow::Line {
            self.overflow = Overflow::Frame;
            self.data = Vec::new();
            return;
        }
        match line.first() {
            None => return self.dispatch(on_frame),
            Some(b':') => return,
            Some(b'{') => {
                self.dispatch(on_frame);
                on_frame(Frame::Event { name: b"", data: line });
                return;
            }
            Some(_) => {}
        }
        let (field, value) = match line.iter().position(|b| *b == b':') {
            Some(at) => {
                let (field, rest) = line.split_at(at);
                let value = rest.strip_prefix(b":").unwrap_or(rest);
                (field, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        match field {
            b"data" | ERROR if self.overflow == Overflow::No => {
                if field == ERROR {
                    ERROR.clone_into(&mut self.name);
                }
                if self.data.len() + value.len() > self.cap {
                    self.overflow = Overflow::Frame;
                    self.data = Vec::new();
                    return;
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" => value.clone_into(&mut self.name),
            // `id` and `retry` serve reconnection, which no model's API offers; unknown fields are ignored by the rules.
            _ => {}
        }
    }

    fn dispatch(&mut self, on_frame: &mut impl FnMut(Frame<'_>)) {
        if std::mem::replace(&mut self.overflow, Overflow::No) != Overflow::No {
            on_frame(Frame::TooLong);
        } else if self.has_data {
            on_frame(Frame::Event { name: &self.name, data: &self.data });
        }
        self.has_data = false;
        self.data.clear();
        self.name.clear();
    }
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
