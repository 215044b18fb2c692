//! `claude -p --output-format stream-json --include-partial-messages`: a line is the program's own news or, in
//! `stream_event`, one event of the Messages stream.
//!
//! The last line (`result`) decides what came of it. The program tries a failed request again by itself; its word of that
//! (`api_retry`) ends the attempt here, since whoever asked has other ways. Only where its login was refused it may go on:
//! it renews that first.

use super::refusal;
use crate::model::{BlockKind, Delta, ProviderError, Stop, StreamEvent, ToolSpec, Usage};
use crate::wire::anthropic;
use crate::wire::classify::Sender;
use crate::wire::codec::Decode;
use crate::wire::pieces;
use crate::wire::sniff::{Nature, Piece};
use crate::wire::sse::Frame;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

const HOW: &str = "log in: start `claude` and type /login";

/// A line, as far as it is read here.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    subtype: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    parent_tool_use_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    /// The program's word for what went wrong, in `assistant` and `api_retry`.
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
    #[serde(default)]
    error_status: Option<u16>,
    #[serde(default)]
    retry_delay_ms: Option<f64>,
    #[serde(default)]
    is_error: bool,
    #[serde(default)]
    api_error_status: Option<u16>,
    #[serde(borrow, default)]
    api_error_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    terminal_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    result: Option<Cow<'a, str>>,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Counts {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
}

/// The state of one reply.
#[derive(Debug, Clone, Default)]
pub struct ReplyDecoder {
    sender: Sender,
    started: bool,
    /// The message that is being streamed.
    message: anthropic::ReplyDecoder,
    /// What is added to the numbers of its blocks: the program may need several messages.
    base: usize,
    blocks: usize,
    /// How the last message ended.
    stop: Option<(Stop, Option<String>)>,
    /// The program's word for an error that the result will tell.
    word: Option<String>,
    lines: usize,
    over: bool,
}

impl Decode for ReplyDecoder {
    fn copy(&self) -> Box<dyn Decode> {
        Box::new(self.clone())
    }

    fn expect_tools(&mut self, tools: &[ToolSpec]) {
        self.message.expect_tools(tools);
    }

    fn sent_by(&mut self, sender: Sender) {
        self.sender = sender;
        self.message.sent_by(sender);
    }

    fn piece(&mut self, piece: &Piece<'_>, out: &mut Vec<StreamEvent>) {
        if self.over {
            return;
        }
        let Piece::Json(raw) = piece else { return pieces::unknown(b"[a line above the size limit]", out) };
        match serde_json::from_slice::<Line<'_>>(raw) {
            Ok(line) if !line.kind.is_empty() => self.line(&line, raw, out),
            _ => pieces::unknown(raw, out),
        }
    }

    fn finish(&mut self, nature: Nature<'_>, out: &mut Vec<StreamEvent>) {
        if !self.over {
            self.fail(pieces::cut(&nature, "the output of claude", self.lines), out);
        }
    }
}

impl ReplyDecoder {
    fn line(&mut self, line: &Line<'_>, raw: &[u8], out: &mut Vec<StreamEvent>) {
        self.lines += 1;
        match (&*line.kind, line.subtype.as_deref()) {
            ("system", Some("init")) => {
                self.started = true;
                let own = |text: &Option<Cow<'_, str>>| text.as_deref().map(str::to_owned);
                out.push(StreamEvent::Start { id: own(&line.session_id), model: own(&line.model) });
            }
            ("system", Some("api_retry")) if line.error_status == Some(401) => {}
            ("system", Some("api_retry")) => {
                let word = line.error.as_deref().unwrap_or("unknown");
                let status = line.error_status.or(status_of(word));
                let message = format!("claude was refused and would try again: {}", word.replace('_', " "));
                let error = status.map_or_else(
                    || ProviderError::network(message.clone()),
                    |status| refusal::with_status(self.sender, status, Some(word), &message, line.retry_delay_ms.map(|ms| ms / 1000.0)),
                );
                self.fail(error, out);
            }
            // A helper's of its own; not the answer.
            ("stream_event", _) if line.parent_tool_use_id.is_some() => {}
            ("stream_event", _) => {
                if let Some(event) = line.event {
                    self.event(event.get().as_bytes(), out);
                }
            }
            ("assistant", _) => self.word = line.error.as_deref().map(str::to_owned).or(self.word.take()),
            ("result", _) => self.result(line, out),
            ("system" | "user" | "control_request" | "keep_alive", _) => {}
            _ => pieces::unknown(raw, out),
        }
    }

    fn event(&mut self, event: &[u8], out: &mut Vec<StreamEvent>) {
        if self.stop.is_some() && event.windows(15).any(|w| w == b"\"message_start\"") {
            self.stop = None;
            self.base = self.blocks;
            self.message = anthropic::ReplyDecoder::default();
            self.message.sent_by(self.sender);
        }
        let mut found = Vec::new();
        self.message.piece(&Piece::Frame(Frame::Event { name: b"", data: event }), &mut found);
        for mut event in found {
            match &mut event {
                StreamEvent::BlockStart { ix, .. } => {
                    *ix += self.base;
                    self.blocks = self.blocks.max(*ix + 1);
                }
                StreamEvent::Delta { ix, .. } | StreamEvent::BlockEnd { ix } => *ix += self.base,
                StreamEvent::End { stop, reason } => {
                    self.stop = Some((*stop, reason.take()));
                    continue;
                }
                StreamEvent::Start { .. } if self.started => continue,
                StreamEvent::Start { .. } => self.started = true,
                // What the whole took is in the result; what a message in it took would be taken for that.
                StreamEvent::Usage { .. } => continue,
                StreamEvent::Error { error } => return self.fail(error.clone(), out),
                StreamEvent::Unknown { .. } => {}
            }
            out.push(event);
        }
    }

    fn result(&mut self, line: &Line<'_>, out: &mut Vec<StreamEvent>) {
        let said = line.result.as_deref().unwrap_or_default();
        if line.is_error || line.subtype.as_deref().is_some_and(|s| s.starts_with("error")) {
            let error = self.complaint(line, said);
            return self.fail(error, out);
        }
        if self.blocks == 0 && !said.is_empty() {
            out.push(StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text });
            out.push(StreamEvent::Delta { ix: 0, delta: Delta::Text { text: said.to_owned() } });
            out.push(StreamEvent::BlockEnd { ix: 0 });
        }
        if let Some(counts) = &line.usage {
            let usage = Usage {
                input: counts.input_tokens,
                cache_read: counts.cache_read_input_tokens,
                cache_write: counts.cache_creation_input_tokens,
                output: counts.output_tokens,
                ..Usage::default()
            };
            out.push(StreamEvent::Usage { usage });
        }
        let (stop, reason) = self.stop.take().unwrap_or((Stop::End, None));
        out.push(StreamEvent::End { stop, reason });
        self.over = true;
    }

    fn complaint(&self, line: &Line<'_>, said: &str) -> ProviderError {
        let said = if said.is_empty() { line.subtype.as_deref().unwrap_or("error").replace('_', " ") } else { said.to_owned() };
        let word = self.word.as_deref();
        let by_words = refusal::of_words(&said);
        if line.terminal_reason.as_deref() == Some("prompt_too_long") {
            return refusal::of_words(&format!("prompt is too long: {said}"));
        }
        match line.api_error_status.or(word.and_then(status_of)).or(status_in(&said)) {
            Some(status) => refusal::with_status(self.sender, status, line.api_error_type.as_deref().or(word), &said, None),
            None => by_words,
        }
    }

    fn fail(&mut self, error: ProviderError, out: &mut Vec<StreamEvent>) {
        self.over = true;
        out.push(StreamEvent::Error { error: refusal::advise(error, HOW) });
    }
}

/// The status in `API Error: 401 ...`, as older versions say it.
fn status_in(said: &str) -> Option<u16> {
    let (_, behind) = said.split_once("API Error: ")?;
    behind.get(..3)?.parse().ok()
}

/// The status behind the program's word for an error.
fn status_of(word: &str) -> Option<u16> {
    Some(match word {
        "authentication_failed" => 401,
        "oauth_org_not_allowed" => 403,
        "billing_error" => 402,
        "rate_limit" => 429,
        "overloaded" => 529,
        "server_error" => 500,
        "invalid_request" => 400,
        "model_not_found" => 404,
        _ => return None,
    })
}
