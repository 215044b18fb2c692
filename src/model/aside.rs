//! Pieces of a history that a provider refuses: images, documents, proofs of reasoning. Set aside, they are no longer
//! sent; a line stands in their place where the model would miss them, and the text around them stays.
//!
//! A piece is known by the digest of what it is, not by its place, so that a note of it holds in a history that was
//! repaired, resumed or forked.

use super::message::{Block, ImageSource, Message, Part};
use super::{History, Role};
use crate::base::digest;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What kind of piece it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A proof of thinking, or of a call, that only its maker can check. What was thought in the clear stays.
    Signature,
    /// Something that only its own wire understands.
    Opaque,
    Image,
    Document,
}

impl Kind {
    /// For messages: `an image`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "a signature of reasoning",
            Self::Opaque => "a provider's own block",
            Self::Image => "an image",
            Self::Document => "a document",
        }
    }
}

/// A piece, by its kind and digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Piece {
    pub piece: Kind,
    /// The beginning of the SHA-256 of its data.
    pub digest: String,
}

impl Piece {
    fn of(kind: Kind, data: &str) -> Self {
        Self { piece: kind, digest: digest::short(data.as_bytes(), 32) }
    }
}

/// The pieces of a message that a provider could refuse.
pub fn pieces(message: &Message) -> impl Iterator<Item = Piece> {
    sized(message).map(|(piece, _)| piece)
}

/// The same, each with the size of its data in bytes.
pub fn sized(message: &Message) -> impl Iterator<Item = (Piece, usize)> {
    message.blocks.iter().flat_map(of_block).map(|(kind, data)| (Piece::of(kind, data), data.len()))
}

fn of_block(block: &Block) -> Vec<(Kind, &str)> {
    match block {
        Block::Thinking { signature, .. } => signature.iter().map(|s| (Kind::Signature, s.as_str())).collect(),
        Block::ToolCall(call) => call.signature.iter().map(|s| (Kind::Signature, s.as_str())).collect(),
        Block::Opaque { raw, .. } => vec![(Kind::Opaque, raw)],
        Block::Image { source } => vec![(Kind::Image, data(source))],
        Block::Document { data, .. } => vec![(Kind::Document, data)],
        Block::ToolResult(result) => result
            .parts
            .iter()
            .filter_map(|p| if let Part::Image { source } = p { Some((Kind::Image, data(source))) } else { None })
            .collect(),
        Block::Text { .. } => Vec::new(),
    }
}

fn data(source: &ImageSource) -> &str {
    match source {
        ImageSource::Inline { data, .. } => data,
        ImageSource::Url { url } => url,
    }
}

/// Whether the message holds a piece of one of these kinds. Reads no data, so it costs little.
pub fn holds(message: &Message, kinds: &[Kind]) -> bool {
    message.blocks.iter().any(|block| match block {
        Block::Thinking { signature, .. } => signature.is_some() && kinds.contains(&Kind::Signature),
        Block::ToolCall(call) => call.signature.is_some() && kinds.contains(&Kind::Signature),
        Block::Opaque { .. } => kinds.contains(&Kind::Opaque),
        Block::Image { .. } => kinds.contains(&Kind::Image),
        Block::Document { .. } => kinds.contains(&Kind::Document),
        Block::ToolResult(result) => kinds.contains(&Kind::Image) && result.parts.iter().any(|p| matches!(p, Part::Image { .. })),
        Block::Text { .. } => false,
    })
}

/// The history without the pieces that `refused` tells. Messages without one are shared, not copied; a history without
/// one is the same history.
pub fn set_aside(history: &History, refused: &dyn Fn(&Piece) -> bool, why: &str) -> History {
    if !history.iter().flat_map(|m| pieces(m)).any(|p| refused(&p)) {
        return history.clone();
    }
    history.iter().map(|m| without(m, refused, why)).collect()
}

/// The message without the pieces that `refused` tells.
pub fn without(message: &Arc<Message>, refused: &dyn Fn(&Piece) -> bool, why: &str) -> Arc<Message> {
    if !pieces(message).any(|p| refused(&p)) {
        return Arc::clone(message);
    }
    let mut changed = Message::clone(message);
    changed.blocks = message.blocks.iter().filter_map(|b| replaced(b, refused, why)).collect();
    let empty = |b: &Block| match b {
        Block::Text { text } => text.trim().is_empty(),
        Block::Thinking { text, signature, .. } => text.is_empty() && signature.is_none(),
        _ => false,
    };
    // A message has to say something, or the turns around it no longer alternate.
    if changed.blocks.iter().all(empty) && changed.role != Role::Tool {
        changed.blocks.push(Block::Text { text: format!("[What stood here was left out: {why}]") });
    }
    Arc::new(changed)
}

fn replaced(block: &Block, refused: &dyn Fn(&Piece) -> bool, why: &str) -> Option<Block> {
    let gone = |kind: Kind, data: &str| refused(&Piece::of(kind, data));
    let line = |what: &str| Block::Text { text: placeholder(what, why) };
    Some(match block {
        Block::Thinking { text, signature: Some(s), .. } if gone(Kind::Signature, s) => {
            if text.is_empty() {
                return None;
            }
            Block::Thinking { text: text.clone(), signature: None, redacted: false }
        }
        Block::ToolCall(call) if call.signature.as_deref().is_some_and(|s| gone(Kind::Signature, s)) => {
            let mut call = call.clone();
            call.signature = None;
            Block::ToolCall(call)
        }
        Block::Opaque { raw, .. } if gone(Kind::Opaque, raw) => return None,
        Block::Image { source } if gone(Kind::Image, data(source)) => line("An image"),
        Block::Document { data, name, .. } if gone(Kind::Document, data) => {
            line(&name.as_ref().map_or_else(|| "A document".to_owned(), |n| format!("The document {n}")))
        }
        Block::ToolResult(result) => {
            let mut result = result.clone();
            for part in &mut result.parts {
                if let Part::Image { source } = part
                    && gone(Kind::Image, data(source))
                {
                    *part = Part::Text { text: placeholder("An image", why) };
                }
            }
            Block::ToolResult(result)
        }
        other => other.clone(),
    })
}

fn placeholder(what: &str, why: &str) -> String {
    format!("[{what} stood here. It was left out: {why}]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ToolCall, ToolResult, history};

    fn png(data: &str) -> ImageSource {
        ImageSource::Inline { media_type: "image/png".into(), data: data.into() }
    }

    fn all() -> History {
        let thinking = |text: &str, s: &str| Block::Thinking { text: text.into(), signature: Some(s.into()), redacted: text.is_empty() };
        let call = Block::ToolCall(ToolCall { id: "1".into(), name: "f".into(), args_raw: "{}".into(), signature: Some("s3".into()) });
        let parts = vec![Part::Text { text: "seen".into() }, Part::Image { source: png("i2") }];
        let result = Block::ToolResult(ToolResult { call_id: "1".into(), parts, is_error: false });
        [
            Message::new(
                Role::User,
                vec![
                    Block::Text { text: "look".into() },
                    Block::Image { source: png("i1") },
                    Block::Document { media_type: "application/pdf".into(), data: "d1".into(), name: Some("a.pdf".into()) },
                ],
            ),
            Message::new(Role::Assistant, vec![thinking("why", "s1"), thinking("", "s2"), call]),
            Message::new(Role::Tool, vec![result]),
            Message::new(Role::Assistant, vec![Block::Opaque { wire: "w".into(), raw: "{}".into() }]),
            Message::user("go on"),
        ]
        .into_iter()
        .collect()
    }

    fn left(history: &History) -> Vec<Piece> {
        history.iter().flat_map(|m| pieces(m)).collect()
    }

    #[test]
    fn each_piece_can_be_set_aside_alone_and_the_history_stays_valid() {
        let every = left(&all());
        assert_eq!(every.len(), 7);
        for piece in &every {
            let rest = set_aside(&all(), &|p| p == piece, "too large");
            assert_eq!(left(&rest).len(), every.len() - 1, "{piece:?}");
            assert!(!left(&rest).contains(piece));
            assert_eq!(history::check(&rest), []);
        }
    }

    #[test]
    fn with_all_of_them_gone_the_words_are_there_and_say_what_is_missing() {
        let bare = set_aside(&all(), &|_| true, "too large");
        assert_eq!((left(&bare), history::check(&bare)), (vec![], vec![]));
        let text = serde_json::to_string(&bare).unwrap();
        for words in
            ["look", "why", "seen", "go on", "[An image stood here. It was left out: too large]", "[The document a.pdf stood here."]
        {
            assert!(text.contains(words), "{words} in {text}");
        }
    }

    #[test]
    fn what_is_not_concerned_is_shared() {
        let (before, kinds) = (all(), [Kind::Image]);
        let after = set_aside(&before, &|p| p.piece == Kind::Image, "x");
        let shared: Vec<bool> = before.iter().zip(&after).map(|(a, b)| Arc::ptr_eq(a, b)).collect();
        assert_eq!(shared, before.iter().map(|m| !holds(m, &kinds)).collect::<Vec<_>>());
        assert!(set_aside(&after, &|p| p.piece == Kind::Image, "x").grew_from(&after.mark()));
    }
}
