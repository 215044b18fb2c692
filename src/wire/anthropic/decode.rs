//! A reply's pieces to events, streamed or whole.
//!
//! The end is `message_stop`, or a whole message; where the stream breaks off behind the stop reason, everything was there
//! and it is an end too. A piece that cannot be read becomes [`StreamEvent::Unknown`] and ends nothing; a second message
//! behind the first one's content ends everything, for two answers are never glued together.

use super::block::{Blocks, Read};
use super::finish;
use super::shape::{Block, Event, Message};
use super::usage::WireUsage;
use crate::model::{Class, ProviderError, Scope, Stop, StreamEvent, ToolSpec, Usage};
use crate::wire::classify::{self, Sender};
use crate::wire::codec::Decode;
use crate::wire::names::ToolNames;
use crate::wire::pieces::{self, Told, unknown};
use crate::wire::sniff::{Nature, Piece};
use crate::wire::sse::Frame;
use serde_json::value::RawValue;

/// The state of one reply.
#[derive(Debug, Clone, Default)]
pub struct ReplyDecoder {
    id: Option<String>,
    model: Option<String>,
    started: bool,
    blocks: Blocks,
    usage: WireUsage,
    /// What was last said of it.
    told: Usage,
    stop: Option<String>,
    /// The reason that stood in a beginning which brought the whole content; only the server's own end makes it one.
    foretold: Option<String>,
    /// How many events could be read.
    events: usize,
    words: Told,
    sender: Sender,
    /// A terminal event or an error was handed on; nothing follows it.
    over: bool,
}

/// How the reply came to its end.
enum End<'a> {
    /// The server said so.
    Said,
    Body(Nature<'a>),
}

impl Decode for ReplyDecoder {
    fn copy(&self) -> Box<dyn Decode> {
        Box::new(self.clone())
    }

    fn expect_tools(&mut self, tools: &[ToolSpec]) {
        self.blocks.names = ToolNames::of(tools);
    }

    fn sent_by(&mut self, sender: Sender) {
        self.sender = sender;
    }

    fn piece(&mut self, piece: &Piece<'_>, out: &mut Vec<StreamEvent>) {
        if self.over {
            return;
        }
        match piece {
            Piece::Frame(Frame::TooLong) => out.push(StreamEvent::Unknown { raw: "[an event above the size limit]".to_owned() }),
            Piece::Frame(Frame::Event { name, data }) => self.frame(name, data, out),
            Piece::Json(body) => self.body(body, out),
        }
    }

    fn is_whole(&self) -> bool {
        // Behind the reason stands only the end mark, which proxies drop.
        self.over || self.stop.is_some()
    }

    fn finish(&mut self, nature: Nature<'_>, out: &mut Vec<StreamEvent>) {
        self.end(&End::Body(nature), out);
    }
}

impl ReplyDecoder {
    fn frame(&mut self, name: &[u8], data: &[u8], out: &mut Vec<StreamEvent>) {
        let data = data.trim_ascii();
        // Proxies add the other wire's end mark and wrapped comments; neither says anything here.
        if data.is_empty() || data.starts_with(b":") || data.starts_with(b"[DONE]") {
            return;
        }
        match serde_json::from_slice::<Event<'_>>(data) {
            Ok(event) => self.event(name, &event, data, out),
            Err(_) if name == b"error" => self.fail(classify::in_band_of(self.sender, data), out),
            // Events that lack the blank line between them arrive as one, a line each.
            Err(_) if data.contains(&b'\n') => data.split(|b| *b == b'\n').for_each(|line| {
                if !self.over {
                    self.frame(b"", line, out);
                }
            }),
            Err(_) => unknown(data, out),
        }
    }

    fn body(&mut self, body: &[u8], out: &mut Vec<StreamEvent>) {
        let mut documents = serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>();
        loop {
            let from = documents.byte_offset();
            match documents.next() {
                None => break,
                Some(_) if self.over => break,
                // The rest was cut or is no JSON; whether that matters, `finish` finds out.
                Some(Err(_)) => {
                    unknown(body.get(from..).unwrap_or_default(), out);
                    break;
                }
                Some(Ok(raw)) => match serde_json::from_str::<Event<'_>>(raw.get()) {
                    Ok(event) => self.event(b"", &event, raw.get().as_bytes(), out),
                    Err(_) => unknown(raw.get().as_bytes(), out),
                },
            }
        }
    }

    /// One event. Its own type counts; the stream's name for it is the fallback.
    fn event(&mut self, name: &[u8], event: &Event<'_>, raw: &[u8], out: &mut Vec<StreamEvent>) {
        let named = std::str::from_utf8(name).unwrap_or_default();
        let read = match event.kind.get().unwrap_or(named) {
            "message_start" => self.message_start(event, out),
            "content_block_start" => match event.content_block {
                Some(block) => self.blocks.start(event.index.0, block, self.id.as_deref().unwrap_or_default(), out),
                None => Read::No,
            },
            "content_block_delta" => match &event.delta {
                Some(piece) => self.blocks.grow(event.index.0, piece, self.id.as_deref().unwrap_or_default(), out),
                None => Read::No,
            },
            "content_block_stop" => {
                self.blocks.stop(event.index.0, out);
                Read::Yes
            }
            "message_delta" => {
                self.stop = event.delta.as_ref().and_then(|d| d.stop_reason.get()).map(str::to_owned).or(self.stop.take());
                self.usage(event.usage, out);
                Read::Yes
            }
            "message_stop" => return self.end(&End::Said, out),
            "message" => return self.whole(raw, out),
            "" if event.error.is_none() && is_message(raw) => return self.whole(raw, out),
            "ping" => Read::Yes,
            "error" => return self.fail(classify::in_band_of(self.sender, raw), out),
            _ if event.error.is_some() || named == "error" => return self.fail(classify::in_band_of(self.sender, raw), out),
            _ => Read::No,
        };
        match read {
            Read::Yes => self.events += 1,
            Read::No => self.words.unknown(self.sender, raw, self.events, out),
        }
    }

    fn message_start(&mut self, event: &Event<'_>, out: &mut Vec<StreamEvent>) -> Read {
        let Some(Ok(message)) = event.message.map(|m| serde_json::from_str::<Message<'_>>(m.get())) else { return Read::No };
        // The same start twice is a known fault of proxies; another message behind content would be two answers in one.
        let another = message.id.get().is_some() && self.id.is_some() && message.id.get() != self.id.as_deref();
        if another && self.blocks.content {
            self.fail(ProviderError::network("the stream began a second answer in the middle of the first"), out);
            return Read::Yes;
        }
        self.start(message.id.into_owned(), message.model.into_owned(), out);
        self.usage(message.usage, out);
        self.prefilled(message.content, message.stop_reason.into_owned(), out);
        Read::Yes
    }

    /// The content of a beginning, which is empty unless code that ran on the server called for more.
    fn prefilled(&mut self, content: Option<&RawValue>, stop: Option<String>, out: &mut Vec<StreamEvent>) {
        let blocks = content.and_then(|c| serde_json::from_str::<Vec<&RawValue>>(c.get()).ok()).unwrap_or_default();
        // The same beginning once more brings nothing new.
        if blocks.is_empty() || self.blocks.content {
            return;
        }
        let reply = self.id.clone().unwrap_or_default();
        for block in blocks {
            // An empty text says only that text will come.
            let bare = serde_json::from_str::<Block<'_>>(block.get()).is_ok_and(|b| b.kind.get() == Some("text") && b.text.get().is_none());
            if !bare && self.blocks.start(None, block, &reply, out) == Read::No {
                unknown(block.get().as_bytes(), out);
            }
            self.blocks.close_open(None, out);
        }
        self.foretold = stop;
    }

    fn start(&mut self, id: Option<String>, model: Option<String>, out: &mut Vec<StreamEvent>) {
        let news = !self.started || id.as_ref().is_some_and(|id| self.id.as_ref() != Some(id));
        if news {
            self.id = id.or(self.id.take());
            self.model = model.or(self.model.take());
            self.started = true;
            out.push(StreamEvent::Start { id: self.id.clone(), model: self.model.clone() });
        }
    }

    fn usage(&mut self, raw: Option<&RawValue>, out: &mut Vec<StreamEvent>) {
        let Some(Ok(later)) = raw.map(|r| serde_json::from_str::<WireUsage>(r.get())) else { return };
        self.usage.replace_with(&later);
        let usage = self.usage.neutral();
        if usage != self.told {
            self.told = usage;
            out.push(StreamEvent::Usage { usage });
        }
    }

    /// A reply that was not streamed.
    fn whole(&mut self, raw: &[u8], out: &mut Vec<StreamEvent>) {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(raw) else { return unknown(raw, out) };
        self.start(message.id.into_owned(), message.model.into_owned(), out);
        let reply = self.id.clone().unwrap_or_default();
        // Compatible servers write one text without a list, as requests may.
        let plain = message.content.filter(|c| c.get().starts_with('"')).map(|c| format!(r#"[{{"type":"text","text":{}}}]"#, c.get()));
        let content = plain.as_deref().or(message.content.map(RawValue::get));
        match content.map(serde_json::from_str::<Vec<&RawValue>>) {
            Some(Ok(blocks)) => {
                for (index, block) in (0..).zip(blocks) {
                    if self.blocks.start(Some(index), block, &reply, out) == Read::No {
                        unknown(block.get().as_bytes(), out);
                    }
                    self.blocks.stop(Some(index), out);
                }
            }
            Some(Err(_)) | None => return unknown(raw, out),
        }
        self.events += 1;
        self.usage(message.usage, out);
        self.stop = message.stop_reason.into_owned();
        self.end(&End::Said, out);
    }

    fn end(&mut self, end: &End<'_>, out: &mut Vec<StreamEvent>) {
        if self.over {
            return;
        }
        let foretold = self.foretold.take().filter(|_| matches!(end, End::Said));
        let word = self.stop.take().or(foretold);
        let stop = match (&word, end) {
            (Some(word), _) => finish::read(word),
            // The event with the reason was lost or could not be read; the content is there.
            (None, End::Said) if self.blocks.content => Stop::End,
            (None, _) => {
                let cut = self.cut(end);
                return self.fail(cut, out);
            }
        };
        if word.as_deref() == Some(finish::WINDOW_FULL) && !self.blocks.content {
            let full = ProviderError::new(Class::ContextTooLong, Scope::Request, "the conversation fills the model's whole context window");
            return self.fail(full.with_code(word), out);
        }
        let no_call = stop == Stop::ToolUse && !self.blocks.has_calls();
        if self.blocks.headless || no_call && self.blocks.stray {
            return self.fail(pieces::headless(), out);
        }
        self.blocks.stop_all(out);
        self.over = true;
        let stop = match stop {
            // Compatible servers say "end_turn" after calls. Only a call that could be run turns that into a tool turn.
            Stop::End if self.blocks.runnable => Stop::ToolUse,
            Stop::ToolUse if no_call => Stop::Unknown,
            stop => stop,
        };
        out.push(StreamEvent::End { stop, reason: word });
    }

    fn fail(&mut self, error: ProviderError, out: &mut Vec<StreamEvent>) {
        self.over = true;
        out.push(StreamEvent::Error { error });
    }

    /// Why a body without an end is not a reply.
    fn cut(&mut self, end: &End<'_>) -> ProviderError {
        if let Some(said) = self.words.instead(self.events) {
            return said;
        }
        match end {
            End::Said => ProviderError::network("the stream said that it was done, but it brought neither content nor a stop reason"),
            End::Body(nature) => pieces::cut(nature, "a message", self.events),
        }
    }
}

/// Whether this is a whole message that leaves out to say so.
fn is_message(raw: &[u8]) -> bool {
    serde_json::from_slice::<Message<'_>>(raw).is_ok_and(|m| m.content.is_some() && m.stop_reason.get().is_some())
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
