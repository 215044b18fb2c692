//! A reply's pieces to events, streamed or whole.
//!
//! Any terminal is accepted (a finish reason, `[DONE]`, a whole message) and one is required; it is acted on only when
//! the body ends or says `[DONE]`, because usage and even errors come after finish reasons. A piece that cannot be read
//! becomes [`StreamEvent::Unknown`] and ends nothing.

use super::chunk::{Choice, Chunk, Content, Piece as MessagePiece};
use super::details::Details;
use super::finish::{self, Finish};
use super::open_calls::OpenCalls;
use super::usage::{self, WireUsage};
use crate::model::{BlockKind, Class, Delta, ProviderError, Scope, Stop, StreamEvent, ToolSpec, Usage};
use crate::wire::classify::{self, Sender};
use crate::wire::codec::Decode;
use crate::wire::last_chunk::{self, LastChunk, Seen};
use crate::wire::names::ToolNames;
use crate::wire::pieces::{self, Told, unknown};
use crate::wire::quirk::failed_calls::{self, FailedCall};
use crate::wire::quirk::{Dialect, FailedCalls, Total};
use crate::wire::sniff::{Nature, Piece};
use crate::wire::sse::Frame;
use serde_json::value::RawValue;

/// The state of one reply.
#[derive(Debug, Clone, Default)]
pub struct ReplyDecoder {
    id: Option<String>,
    model: Option<String>,
    started: bool,
    next_ix: usize,
    /// The text or thinking block that is being written.
    prose: Option<(Prose, usize)>,
    calls: OpenCalls,
    details: Details,
    usage: Usage,
    /// llama.cpp's own counts, where they are complete.
    timed: Option<Usage>,
    finish: Option<String>,
    native_finish: Option<String>,
    /// The body carried a whole message, which ends by itself.
    whole: bool,
    /// Pieces of the message arrived; a whole one behind them repeats them.
    pieces: bool,
    last: LastChunk,
    words: Told,
    refused: bool,
    content: bool,
    /// How many chunks could be read.
    chunks: usize,
    sender: Sender,
    /// A terminal event or an error was handed on; nothing follows it.
    over: bool,
    failed_calls: FailedCalls,
    total: Total,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prose {
    Text,
    Thinking,
}

impl Decode for ReplyDecoder {
    fn copy(&self) -> Box<dyn Decode> {
        Box::new(self.clone())
    }

    fn expect_tools(&mut self, tools: &[ToolSpec]) {
        self.calls.names = ToolNames::of(tools);
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
        self.over || self.last.was_it()
    }

    fn finish(&mut self, nature: Nature<'_>, out: &mut Vec<StreamEvent>) {
        self.end(&End::Body(nature), out);
    }
}

impl ReplyDecoder {
    pub fn new(dialect: &Dialect) -> Self {
        Self { failed_calls: dialect.failed_calls, total: dialect.total, ..Self::default() }
    }

    fn frame(&mut self, name: &[u8], data: &[u8], out: &mut Vec<StreamEvent>) {
        let data = data.trim_ascii();
        if data.starts_with(b"[DONE]") {
            return self.end(&End::Done, out);
        }
        // `data: : keepalive` is a comment that somebody wrapped.
        if data.is_empty() || data.starts_with(b":") {
            return;
        }
        if name == b"error" {
            return self.refused(data, out);
        }
        match serde_json::from_slice::<Chunk<'_>>(data) {
            Ok(chunk) => self.chunk(chunk, data, out),
            Err(_) if data.starts_with(b"[") && std::str::from_utf8(data).is_ok_and(|json| self.list(json, out)) => {}
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
                Some(Ok(raw)) => self.document(raw.get(), out),
            }
        }
    }

    fn document(&mut self, json: &str, out: &mut Vec<StreamEvent>) {
        if self.over {
            return;
        }
        if json.starts_with('[') && self.list(json, out) {
            return;
        }
        match serde_json::from_str::<Chunk<'_>>(json) {
            Ok(chunk) => self.chunk(chunk, json.as_bytes(), out),
            Err(_) => unknown(json.as_bytes(), out),
        }
    }

    /// Google wraps its errors in a list. Whether it is one.
    fn list(&mut self, json: &str, out: &mut Vec<StreamEvent>) -> bool {
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json) else { return false };
        for item in items {
            self.document(item.get(), out);
        }
        true
    }

    fn chunk(&mut self, chunk: Chunk<'_>, raw: &[u8], out: &mut Vec<StreamEvent>) {
        let bare_error = chunk.object.get() == Some("error") || chunk.kind.get() == Some("error");
        let groq = chunk.x_groq.and_then(|raw| serde_json::from_str::<Groq<'_>>(raw.get()).ok()).unwrap_or_default();
        let error = chunk.error.is_some() || bare_error || groq.error.is_some_and(|e| e.get() != "\"\"");
        if chunk.choices.is_none() && chunk.usage.is_none() && !error {
            return self.words.unknown(self.sender, raw, self.chunks, out);
        }
        self.chunks += 1;
        if chunk.choices.is_some() || chunk.usage.is_some() {
            self.start(chunk.id.into_owned(), chunk.model.into_owned(), out);
        }
        let mut failed = None;
        let (mut seen, said) = (Seen::default(), out.len());
        for choice in chunk.choices.into_iter().flatten() {
            // One choice is asked for; what a server adds to it is not part of the reply.
            if choice.index.0.unwrap_or(0) == 0 {
                failed = failed.or(choice.error);
                seen.answer = true;
                seen.reason |= choice.finish_reason.get().is_some();
                self.choice(choice, out);
            }
        }
        seen.content = last_chunk::has_content(out.get(said..));
        seen.counts = chunk.usage.is_some() || chunk.timings.is_some() || groq.usage.is_some();
        self.last.read(seen);
        if let Some(timings) = chunk.timings {
            self.timings(usage::timings(timings), out);
        }
        if let Some(usage) = chunk.usage.or(groq.usage) {
            self.usage(usage, out);
        }
        match failed {
            _ if error => self.refused(raw, out),
            Some(inner) if inner.get() != "null" => self.refused(format!(r#"{{"error":{}}}"#, inner.get()).as_bytes(), out),
            _ => {}
        }
    }

    /// The reply broke off with an error; unless that shows a whole call, and the dialect takes it.
    fn refused(&mut self, raw: &[u8], out: &mut Vec<StreamEvent>) {
        let call = (self.failed_calls == FailedCalls::Call).then(|| failed_calls::read(raw)).flatten();
        let Some(FailedCall { name, args }) = call else { return self.fail(classify::in_band_of(self.sender, raw), out) };
        self.start(None, None, out);
        self.close_prose(out);
        let reply = self.id.clone().unwrap_or_default();
        self.calls.whole(&name, &args, &reply, &mut self.next_ix, out);
        self.finish = Some("tool_calls".to_owned());
        self.end(&End::Done, out);
    }

    fn start(&mut self, id: Option<String>, model: Option<String>, out: &mut Vec<StreamEvent>) {
        let news = !self.started || (id.is_some() && self.id.is_none()) || (model.is_some() && self.model.is_none());
        if news {
            self.id = self.id.take().or(id);
            self.model = self.model.take().or(model);
            self.started = true;
            out.push(StreamEvent::Start { id: self.id.clone(), model: self.model.clone() });
        }
    }

    fn choice(&mut self, choice: Choice<'_>, out: &mut Vec<StreamEvent>) {
        // Beside a piece, the message so far says nothing of an end.
        self.whole |= choice.message.is_some() && choice.delta.is_none();
        match (choice.delta, choice.message) {
            (Some(piece), _) => {
                self.message(&piece, out);
                self.pieces |= self.content || !self.calls.is_empty();
            }
            (None, Some(whole)) if !self.pieces => self.message(&whole, out),
            (None, _) => {}
        }
        if let Some(usage) = choice.usage {
            self.usage(usage, out);
        }
        if choice.finish_reason.0.is_some() {
            self.finish = choice.finish_reason.into_owned();
        }
        if choice.native_finish_reason.0.is_some() {
            self.native_finish = choice.native_finish_reason.into_owned();
        }
    }

    fn message(&mut self, piece: &MessagePiece<'_>, out: &mut Vec<StreamEvent>) {
        let detailed = piece.reasoning_details.map(|raw| self.details.add(raw));
        if let Some(thinking) = piece.reasoning().or(detailed.as_deref()) {
            self.prose(Prose::Thinking, thinking, out);
        }
        match &piece.content {
            Content::None => {}
            Content::Text(text) => self.prose(Prose::Text, text, out),
            Content::Parts(parts) => {
                for part in parts {
                    self.thinking(&part.thinking, out);
                    if let Some(refusal) = part.refusal.get() {
                        self.refuse(refusal, out);
                    }
                    match (part.text.get(), part.kind.get()) {
                        (Some(text), _) => self.prose(Prose::Text, text, out),
                        (None, Some("text" | "thinking" | "refusal")) => {}
                        (None, kind) => {
                            let raw = format!("[a content part of type {}]", kind.unwrap_or("?"));
                            out.push(StreamEvent::Unknown { raw });
                        }
                    }
                }
            }
        }
        if let Some(refusal) = piece.refusal.get() {
            self.refuse(refusal, out);
        }
        if let Some(extra) = piece.extra_content {
            self.details.extra_content(extra);
        }
        let reply = self.id.clone().unwrap_or_default();
        if !piece.tool_calls.0.is_empty() {
            self.close_prose(out);
            for call in &piece.tool_calls.0 {
                self.calls.piece(call, &reply, &mut self.next_ix, out);
            }
        }
        if let Some(function) = &piece.function_call.0 {
            self.close_prose(out);
            self.calls.legacy(function, &reply, &mut self.next_ix, out);
        }
    }

    fn thinking(&mut self, content: &Content<'_>, out: &mut Vec<StreamEvent>) {
        match content {
            Content::None => {}
            Content::Text(text) => self.prose(Prose::Thinking, text, out),
            Content::Parts(parts) => parts.iter().filter_map(|p| p.text.get()).for_each(|t| self.prose(Prose::Thinking, t, out)),
        }
    }

    fn refuse(&mut self, text: &str, out: &mut Vec<StreamEvent>) {
        self.refused = true;
        self.prose(Prose::Text, text, out);
    }

    fn prose(&mut self, kind: Prose, text: &str, out: &mut Vec<StreamEvent>) {
        if text.is_empty() {
            return;
        }
        self.content = true;
        let ix = match self.prose {
            Some((open, ix)) if open == kind => ix,
            _ => {
                self.close_prose(out);
                let ix = self.next_ix;
                self.next_ix += 1;
                self.prose = Some((kind, ix));
                let block = match kind {
                    Prose::Text => BlockKind::Text,
                    Prose::Thinking => BlockKind::Thinking,
                };
                out.push(StreamEvent::BlockStart { ix, kind: block });
                ix
            }
        };
        let text = text.to_owned();
        let delta = match kind {
            Prose::Text => Delta::Text { text },
            Prose::Thinking => Delta::Thinking { text },
        };
        out.push(StreamEvent::Delta { ix, delta });
    }

    fn close_prose(&mut self, out: &mut Vec<StreamEvent>) {
        if let Some((_, ix)) = self.prose.take() {
            out.push(StreamEvent::BlockEnd { ix });
        }
    }

    fn usage(&mut self, raw: &RawValue, out: &mut Vec<StreamEvent>) {
        let Ok(wire) = serde_json::from_str::<WireUsage>(raw.get()) else { return };
        let mut later = wire.neutral(self.total);
        if later.output == Some(0) && later.input.unwrap_or(0) == 0 && self.usage.output.is_some_and(|n| n > 0) {
            // What was written is never unwritten: a proxy's blank.
            return;
        }
        if later.cache_read.is_none() {
            // A count of the whole prompt, which had been taken apart before.
            let cached = self.usage.cache_read.unwrap_or(0).saturating_add(self.usage.cache_write.unwrap_or(0));
            later.input = later.input.map(|prompt| prompt.saturating_sub(cached));
        }
        self.usage_of(later, out);
    }

    /// Counts that tell what came from the cache are the better ones; those that do not leave it out.
    fn timings(&mut self, timed: Usage, out: &mut Vec<StreamEvent>) {
        self.timed = Some(timed).filter(|timed| timed.cache_read.is_some());
        if self.timed.is_some() || self.usage.input.is_none() {
            self.usage_of(timed, out);
        }
    }

    fn usage_of(&mut self, later: Usage, out: &mut Vec<StreamEvent>) {
        let mut usage = self.usage;
        usage.replace_with(&later);
        if let Some(timed) = &self.timed {
            usage.replace_with(timed);
        }
        if usage != self.usage {
            self.usage = usage;
            out.push(StreamEvent::Usage { usage });
        }
    }

    fn end(&mut self, end: &End<'_>, out: &mut Vec<StreamEvent>) {
        if self.over {
            return;
        }
        let word = self.finish.take();
        let has_content = self.content || !self.calls.is_empty();
        let seen = match (&word, end) {
            (Some(word), _) => finish::read(word),
            (None, End::Done) if has_content => Finish::Stop(Stop::End),
            (None, End::Body(_)) if self.whole && has_content => Finish::Stop(Stop::End),
            _ => {
                let cut = self.cut(end);
                return self.fail(cut, out);
            }
        };
        let native_failed = matches!(self.native_finish.as_deref().map(finish::read), Some(Finish::Failed));
        let error = match seen {
            Finish::Failed => {
                Some(ProviderError::new(Class::Server, Scope::Model, "the provider reported an error in place of the reply's end"))
            }
            Finish::Exhausted => {
                Some(ProviderError::new(Class::Overloaded, Scope::Model, "the provider ran out of capacity during the reply"))
            }
            Finish::WindowFull if !has_content => {
                Some(ProviderError::new(Class::ContextTooLong, Scope::Request, "the conversation fills the model's whole context window"))
            }
            Finish::Stop(_) if native_failed && !has_content => {
                Some(ProviderError::new(Class::Server, Scope::Model, "the model behind the provider failed without an answer"))
            }
            Finish::Stop(_) | Finish::WindowFull => None,
        };
        if let Some(error) = error {
            return self.fail(error.with_code(word), out);
        }
        if !self.whole && self.calls.headless() {
            return self.fail(pieces::headless(), out);
        }
        self.close_prose(out);
        let reply = self.id.clone().unwrap_or_default();
        self.calls.close(&reply, &mut self.next_ix, out);
        if let Some(raw) = self.details.take() {
            let ix = self.next_ix;
            self.next_ix += 1;
            out.push(StreamEvent::BlockStart { ix, kind: BlockKind::Opaque { wire: super::NAME.to_owned() } });
            out.push(StreamEvent::Delta { ix, delta: Delta::Raw { text: raw } });
            out.push(StreamEvent::BlockEnd { ix });
        }
        self.over = true;
        out.push(StreamEvent::End { stop: self.stop(seen), reason: word });
    }

    fn stop(&self, seen: Finish) -> Stop {
        let stop = match seen {
            Finish::Stop(stop) => stop,
            Finish::WindowFull | Finish::Failed | Finish::Exhausted => Stop::MaxTokens,
        };
        match stop {
            // Several servers say "stop" after calls. Only a call that could be run turns that into a tool turn.
            Stop::End if self.calls.any_complete() => Stop::ToolUse,
            Stop::End if self.refused => Stop::Refusal,
            // The provider's own word stands if there is a call at all: a bad one is answered, never run.
            Stop::ToolUse if self.calls.is_empty() => Stop::Unknown,
            stop => stop,
        }
    }

    fn fail(&mut self, error: ProviderError, out: &mut Vec<StreamEvent>) {
        self.over = true;
        out.push(StreamEvent::Error { error });
    }

    /// Why a body without a terminal event is not a reply.
    fn cut(&mut self, end: &End<'_>) -> ProviderError {
        if let Some(said) = self.words.instead(self.chunks) {
            return said;
        }
        match end {
            End::Done => ProviderError::network("the stream said that it was done, but it brought neither content nor a finish reason"),
            End::Body(nature) => pieces::cut(nature, "a chat completion", self.chunks),
        }
    }
}

/// How the reply came to its end.
enum End<'a> {
    /// The server said `[DONE]`.
    Done,
    Body(Nature<'a>),
}

/// What Groq puts beside a chunk: the counts, or why the stream stops early.
#[derive(Default, serde::Deserialize)]
struct Groq<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "vendor_tests.rs"]
mod vendor_tests;
