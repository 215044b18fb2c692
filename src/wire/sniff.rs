//! Tells what a reply's body is from its first significant byte, and cuts it into pieces that a codec reads.

use super::elements::Elements;
use super::lines::{Line, Lines};
use super::sse::{Frame, SseDecoder};

/// The most that is buffered of a body that cannot be read piece by piece.
const MAX_BODY: usize = 128 << 20;
/// How much of the beginning is kept for error messages.
const HEAD: usize = 400;

/// What a body turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nature<'a> {
    /// Nothing but white space.
    Empty,
    Stream {
        /// The beginning, for messages.
        head: &'a [u8],
    },
    Json {
        head: &'a [u8],
    },
    /// A page for browsers.
    Html {
        head: &'a [u8],
    },
}

/// A piece of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    Frame(Frame<'a>),
    /// A whole JSON body, or several behind one another, at the end; or an element of an array or a line as soon as it is
    /// there.
    Json(&'a [u8]),
}

/// The body so far.
#[derive(Debug, Clone, Default)]
pub struct Body {
    head: Vec<u8>,
    shape: Shape,
}

#[derive(Debug, Clone, Default)]
enum Shape {
    /// Only white space (and perhaps a byte-order mark) so far.
    #[default]
    Unknown,
    Sse(SseDecoder),
    Json(Vec<u8>),
    /// JSON that begins with an array.
    Array(Elements),
    /// A document a line, as was known before.
    Lines(Lines),
    Html,
}

impl Body {
    /// The output of a program: a JSON document a line.
    pub fn lines() -> Self {
        Self { head: Vec::new(), shape: Shape::Lines(Lines::default()) }
    }

    pub fn feed(&mut self, bytes: &[u8], on_piece: &mut impl FnMut(Piece<'_>)) {
        let mut bytes = bytes;
        if matches!(self.shape, Shape::Unknown) {
            // White space and a mark before the content are the same to every reader, so they are passed over here.
            let Some(at) = bytes.iter().position(|b| !b.is_ascii_whitespace() && !matches!(b, 0xef | 0xbb | 0xbf)) else { return };
            bytes = bytes.split_at(at).1;
            self.shape = match bytes.first() {
                Some(b'{') => Shape::Json(Vec::new()),
                Some(b'[') => Shape::Array(Elements::default()),
                Some(b'<') => Shape::Html,
                _ => Shape::Sse(SseDecoder::default()),
            };
        }
        if self.head.len() < HEAD {
            self.head.extend(bytes.iter().take(HEAD - self.head.len()));
        }
        match &mut self.shape {
            Shape::Sse(sse) => sse.feed(bytes, &mut |frame| on_piece(Piece::Frame(frame))),
            Shape::Json(whole) if whole.len() + bytes.len() <= MAX_BODY => whole.extend_from_slice(bytes),
            Shape::Array(elements) if elements.pending() + bytes.len() <= MAX_BODY => {
                elements.feed(bytes, &mut |element| on_piece(Piece::Json(element)));
            }
            Shape::Lines(lines) => lines.feed(bytes, &mut |line| on_piece(line_of(line))),
            // Too big to be a reply: what is kept is cut, so it will be reported as such.
            Shape::Json(_) | Shape::Array(_) | Shape::Html | Shape::Unknown => {}
        }
    }

    pub fn finish(&mut self, on_piece: &mut impl FnMut(Piece<'_>)) {
        match &mut self.shape {
            Shape::Sse(sse) => sse.finish(&mut |frame| on_piece(Piece::Frame(frame))),
            Shape::Json(whole) => on_piece(Piece::Json(&std::mem::take(whole))),
            Shape::Array(elements) => on_piece(Piece::Json(&elements.finish())),
            Shape::Lines(lines) => lines.finish(&mut |line| on_piece(line_of(line))),
            Shape::Html | Shape::Unknown => {}
        }
    }

    pub fn nature(&self) -> Nature<'_> {
        match self.shape {
            Shape::Unknown => Nature::Empty,
            Shape::Lines(_) if self.head.is_empty() => Nature::Empty,
            Shape::Sse(_) | Shape::Lines(_) => Nature::Stream { head: &self.head },
            Shape::Json(_) | Shape::Array(_) => Nature::Json { head: &self.head },
            Shape::Html => Nature::Html { head: &self.head },
        }
    }
}

fn line_of(line: Line<'_>) -> Piece<'_> {
    match line {
        Line::Whole(line) => Piece::Json(line),
        Line::TooLong => Piece::Frame(Frame::TooLong),
    }
}
