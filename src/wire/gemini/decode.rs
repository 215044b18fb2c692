//! A reply's pieces to events, streamed or whole: both are chunks of one shape, and so are the elements of an array.
//!
//! The end is a finish reason, acted on only when the body ends: older models write one into every chunk, and counts come
//! behind it. Without one the reply was cut. A prompt that is blocked has no candidates, and is an error.

use super::finish;
use super::parts::{Maker, Parts, Read};
use super::shape::{Candidate, Chunk, Feedback};
use super::usage::WireUsage;
use crate::model::{Class, ProviderError, Scope, Stop, StreamEvent, ToolSpec, Usage};
use crate::wire::classify::{self, Sender};
use crate::wire::codec::Decode;
use crate::wire::last_chunk::{self, LastChunk, Seen};
use crate::wire::names::{self, ToolNames};
use crate::wire::pieces::{self, Found, Told, unknown};
use crate::wire::sniff::{Nature, Piece};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// The state of one reply.
#[derive(Debug, Clone, Default)]
pub struct ReplyDecoder {
    id: Option<String>,
    model: Option<String>,
    started: bool,
    parts: Parts,
    usage: WireUsage,
    /// What was last said of it.
    told: Usage,
    finish: Option<String>,
    finish_message: Option<String>,
    blocked: Option<ProviderError>,
    /// The last chunk, if a call began in it. The same one again is an event sent twice, for calls often have no ids.
    called: String,
    /// How many chunks could be read.
    chunks: usize,
    sender: Sender,
    last: LastChunk,
    words: Told,
    /// The body was one JSON document, and nothing in it says that it is not all.
    alone: bool,
    unended: bool,
    /// A terminal event or an error was handed on; nothing follows it.
    over: bool,
}

impl Decode for ReplyDecoder {
    fn copy(&self) -> Box<dyn Decode> {
        Box::new(self.clone())
    }

    fn expect_tools(&mut self, tools: &[ToolSpec]) {
        self.parts.names = ToolNames::fitted(tools, names::letter_first);
    }

    fn sent_by(&mut self, sender: Sender) {
        self.sender = sender;
    }

    fn piece(&mut self, piece: &Piece<'_>, out: &mut Vec<StreamEvent>) {
        pieces::documents(piece, &mut |found| match found {
            _ if self.over => {}
            Found::Json { event, text } => self.document(event, text, out),
            Found::Broken(bytes) => unknown(bytes, out),
        });
        if let Piece::Json(body) = piece
            && self.finish.is_none()
        {
            self.alone = serde_json::from_slice::<IgnoredAny>(body).is_ok();
        }
    }

    fn is_whole(&self) -> bool {
        self.over || self.last.was_it()
    }

    fn finish(&mut self, nature: Nature<'_>, out: &mut Vec<StreamEvent>) {
        if self.over {
            return;
        }
        if let Some(blocked) = self.blocked.take().filter(|_| self.finish.is_none()) {
            return self.fail(blocked, out);
        }
        let word = self.finish.take();
        let seen = match &word {
            Some(word) => finish::read(word),
            None if self.is_one_object(&nature) => finish::Finish::Stop(Stop::End),
            None => {
                let said = self.words.instead(self.chunks);
                return self.fail(said.unwrap_or_else(|| pieces::cut(&nature, "a generated content", self.chunks)), out);
            }
        };
        if let Some(failure) = finish::failure(seen, word.as_deref().unwrap_or_default(), self.finish_message.as_deref()) {
            return self.fail(failure, out);
        }
        self.parts.close(out);
        self.over = true;
        let stop = match seen {
            // A tool turn has no word of its own here; behind Google's door Claude's ends with `OTHER`. Only a call that
            // could be run makes one of an end; a bad call is answered, never run.
            finish::Finish::Stop(Stop::End | Stop::Unknown) if self.parts.runnable => Stop::ToolUse,
            finish::Finish::Stop(Stop::Unknown) if self.parts.calls() > 0 => Stop::ToolUse,
            finish::Finish::Stop(stop) => stop,
            finish::Finish::BadCall | finish::Finish::Unsigned => Stop::Error,
        };
        out.push(StreamEvent::End { stop, reason: word });
    }
}

impl ReplyDecoder {
    /// Whether the body was one JSON object with an answer, which ends by itself; old models give no reason in it. A list's
    /// elements, and events, are never known to be the last.
    fn is_one_object(&self, nature: &Nature<'_>) -> bool {
        let object = matches!(nature, Nature::Json { head } if head.starts_with(b"{"));
        object && self.alone && !self.unended && self.parts.content
    }

    fn document(&mut self, event: &[u8], json: &str, out: &mut Vec<StreamEvent>) {
        match serde_json::from_str::<Chunk<'_>>(json) {
            Ok(Chunk { response: Some(inner), error: None, .. }) => match serde_json::from_str::<Chunk<'_>>(inner.get()) {
                Ok(chunk) => self.chunk(chunk, inner.get(), out),
                Err(_) => unknown(json.as_bytes(), out),
            },
            Ok(chunk) if event == b"error" && chunk.candidates.is_none() => {
                self.fail(classify::in_band_of(self.sender, json.as_bytes()), out);
            }
            Ok(chunk) => self.chunk(chunk, json, out),
            Err(_) => unknown(json.as_bytes(), out),
        }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, raw: &str, out: &mut Vec<StreamEvent>) {
        if chunk.error.is_some() {
            return self.fail(classify::in_band_of(self.sender, raw.as_bytes()), out);
        }
        if chunk.candidates.is_none() && chunk.prompt_feedback.is_none() && chunk.usage.is_none() && chunk.id.0.is_none() {
            return self.words.unknown(self.sender, raw.as_bytes(), self.chunks, out);
        }
        self.chunks += 1;
        if self.called == raw {
            return;
        }
        let calls = self.parts.calls();
        let mut seen = Seen { counts: chunk.usage.is_some(), ..Seen::default() };
        self.start(chunk.id.into_owned(), chunk.model.into_owned(), out);
        let said = out.len();
        for candidate in chunk.candidates.into_iter().flatten() {
            // One answer is asked for; what a server adds to it is not part of the reply.
            if candidate.index.0.unwrap_or(0) == 0 {
                seen.reason |= reason(&candidate).is_some();
                self.candidate(candidate, out);
            }
        }
        seen.content = last_chunk::has_content(out.get(said..));
        // An empty candidate before the first words is no sign: who writes a reason everywhere may begin with it.
        seen.answer = seen.content;
        self.last.read(seen);
        if let Some(blocked) = chunk.prompt_feedback.and_then(refusal) {
            self.blocked = Some(blocked);
        }
        self.usage(chunk.usage, out);
        self.called.clear();
        if self.parts.calls() > calls {
            self.called.push_str(raw);
        }
    }

    fn start(&mut self, id: Option<String>, model: Option<String>, out: &mut Vec<StreamEvent>) {
        let news = !self.started || (id.is_some() && self.id.is_none()) || (model.is_some() && self.model.is_none());
        if news {
            self.id = self.id.take().or(id);
            self.model = self.model.take().or(model);
            self.started = true;
            let claude = |text: &Option<String>, sign: &str| text.as_ref().is_some_and(|t| t.starts_with(sign));
            if claude(&self.model, "claude") || claude(&self.id, "msg_") {
                self.parts.maker = Maker::Claude;
            }
            out.push(StreamEvent::Start { id: self.id.clone(), model: self.model.clone() });
        }
    }

    fn candidate(&mut self, candidate: Candidate<'_>, out: &mut Vec<StreamEvent>) {
        let reply = self.id.clone().unwrap_or_default();
        for part in candidate.content.iter().filter_map(|c| c.parts.as_ref()).flatten() {
            if self.parts.take(part, &reply, out) == Read::No {
                unknown(part.get().as_bytes(), out);
            }
        }
        self.unended |= candidate.finish_reason.get().is_some() && reason(&candidate).is_none();
        self.finish = reason(&candidate).map(str::to_owned).or(self.finish.take());
        self.finish_message = candidate.finish_message.into_owned().or(self.finish_message.take());
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

    fn fail(&mut self, error: ProviderError, out: &mut Vec<StreamEvent>) {
        self.over = true;
        out.push(StreamEvent::Error { error });
    }
}

/// Why it ended, if it has. Proxies write out that it has not.
fn reason<'a>(candidate: &'a Candidate<'_>) -> Option<&'a str> {
    candidate.finish_reason.get().filter(|word| *word != "FINISH_REASON_UNSPECIFIED")
}

/// The failure of a prompt that was not answered.
fn refusal(feedback: Feedback<'_>) -> Option<ProviderError> {
    let reason = feedback.reason.into_owned().filter(|r| r != "BLOCK_REASON_UNSPECIFIED" && r != "BLOCKED_REASON_UNSPECIFIED")?;
    let message = match feedback.message.get() {
        Some(says) => format!("the prompt was blocked ({reason}): {says}"),
        None => format!("the prompt was blocked ({reason})"),
    };
    Some(ProviderError::new(Class::ContentFilter, Scope::Request, message).with_code(Some(reason)))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
