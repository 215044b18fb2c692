//! `silent-overflow`: a server that takes a conversation longer than its window, and answers to a part of it.
//!
//! Ollama loads models with a window of 4,096 tokens unless it is told otherwise, cuts what does not fit out of the
//! middle, and says nothing; Z.AI has been seen to take more than its model's window. An answer to a conversation of which
//! half is missing looks like any other, so it is told by the count of tokens: below what the text must have at least, or
//! above the window.

use super::Quirk;
use crate::model::{Block, Class, Part, ProviderError, Request, Scope, StreamEvent};

/// Whether a server says that a conversation is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    #[default]
    Refused,
    Silent,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "silent-overflow",
    what: "fails a reply whose token count shows that the server read only a part of the conversation",
    apply: |dialect| dialect.overflow = Overflow::Silent,
};

/// No text that people write has fewer tokens than one for so many bytes.
const BYTES_PER_TOKEN: u64 = 8;
/// Below this, headers of a chat template blur the picture.
const SURE: u64 = 1_024;

/// The filter over one reply's events.
#[derive(Debug)]
pub struct WindowCheck {
    /// What the conversation has at least, in tokens.
    least: u64,
    window: Option<u64>,
    read: Option<u64>,
}

impl WindowCheck {
    pub fn new(request: &Request, window: Option<u64>) -> Self {
        let bytes: usize = request.messages.iter().flat_map(|message| &message.blocks).map(text_bytes).sum();
        Self { least: bytes as u64 / BYTES_PER_TOKEN, window, read: None }
    }

    /// Looks at an event and says what it becomes.
    pub fn push(&mut self, event: StreamEvent) -> StreamEvent {
        match &event {
            StreamEvent::Usage { usage } => {
                let parts = [usage.cache_read, usage.cache_write, usage.cache_write_1h];
                self.read = usage.input.map(|input| parts.into_iter().flatten().fold(input, u64::saturating_add)).or(self.read);
            }
            StreamEvent::End { .. } => {
                if let Some(error) = self.verdict() {
                    return StreamEvent::Error { error };
                }
            }
            _ => {}
        }
        event
    }

    fn verdict(&self) -> Option<ProviderError> {
        let read = self.read.filter(|read| *read > 0)?;
        let message = if self.least >= SURE && read < self.least {
            format!(
                "the server read only {read} tokens of a conversation of more than {}: its window is smaller. Enlarge it (Ollama: \
                 OLLAMA_CONTEXT_LENGTH=32768 for the server, or `PARAMETER num_ctx 32768` in the model's Modelfile)",
                self.least
            )
        } else {
            let window = self.window.filter(|window| read > *window)?;
            format!("the conversation has {read} tokens, and the model's window {window}: the server has left out a part of it")
        };
        Some(ProviderError::new(Class::ContextTooLong, Scope::Request, message))
    }
}

fn text_bytes(block: &Block) -> usize {
    match block {
        Block::Text { text } => text.len(),
        Block::ToolCall(call) => call.args_raw.len(),
        Block::ToolResult(result) => result.parts.iter().map(|part| if let Part::Text { text } = part { text.len() } else { 0 }).sum(),
        Block::Thinking { .. } | Block::Image { .. } | Block::Document { .. } | Block::Opaque { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Message, Stop, Usage};

    fn ends(bytes: usize, window: Option<u64>, usage: Usage) -> bool {
        let request = Request { messages: [Message::user("x".repeat(bytes))].into_iter().collect(), ..Request::default() };
        let mut check = WindowCheck::new(&request, window);
        check.push(StreamEvent::Usage { usage });
        let last = check.push(StreamEvent::End { stop: Stop::End, reason: None });
        if let StreamEvent::Error { error } = &last {
            assert_eq!((error.class, error.scope), (Class::ContextTooLong, Scope::Request));
        }
        matches!(last, StreamEvent::End { .. })
    }

    fn read(input: u64) -> Usage {
        Usage { input: Some(input), ..Usage::default() }
    }

    #[test]
    fn a_count_that_cannot_be_the_whole_conversation_is_an_error() {
        assert!(!ends(80_000, None, read(4_096)), "10,000 tokens at least");
        assert!(ends(80_000, None, read(20_000)));
        assert!(ends(80_000, None, Usage { cache_read: Some(19_000), ..read(1_000) }), "what came from the cache was read before");
        assert!(ends(4_000, None, read(300)), "too short to be sure");
        assert!(ends(80_000, None, Usage::default()) && ends(80_000, None, read(0)), "servers that do not count");
        assert!(!ends(100, Some(1_000), read(1_001)));
        assert!(ends(100, Some(1_000), read(1_000)));
    }
}
