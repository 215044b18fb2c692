//! `codex exec --json`: a line is news of the thread, the turn or one of its items; text comes whole, an item a time.
//!
//! The program tries a failed request again by itself and says so in an `error`. Where the reason is one that waiting does
//! not mend, or a limit, that ends the attempt here.

use super::refusal;
use crate::model::{BlockKind, Class, Delta, ProviderError, Scope, Stop, StreamEvent, ToolSpec, Usage};
use crate::wire::classify::Sender;
use crate::wire::codec::Decode;
use crate::wire::pieces;
use crate::wire::sniff::{Nature, Piece};
use serde::Deserialize;
use std::borrow::Cow;

const HOW: &str = "log in: codex login";
/// How the program begins the word of another attempt of its own.
const AGAIN: &str = "Reconnecting...";

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    thread_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    item: Option<Item<'a>>,
    #[serde(default)]
    usage: Option<Counts>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<Complaint<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Complaint<'a> {
    #[serde(borrow, default)]
    message: Cow<'a, str>,
}

/// `input_tokens` includes the cached ones.
#[derive(Deserialize)]
struct Counts {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cached_input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    reasoning_output_tokens: Option<u64>,
}

/// The state of one reply.
#[derive(Debug, Clone, Default)]
pub struct ReplyDecoder {
    sender: Sender,
    blocks: usize,
    /// The last complaint, for an output that ends behind it.
    complaint: Option<String>,
    lines: usize,
    over: bool,
}

impl Decode for ReplyDecoder {
    fn copy(&self) -> Box<dyn Decode> {
        Box::new(self.clone())
    }

    fn expect_tools(&mut self, _tools: &[ToolSpec]) {}

    fn sent_by(&mut self, sender: Sender) {
        self.sender = sender;
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
        if self.over {
            return;
        }
        let error = match self.complaint.take() {
            Some(message) => self.judged(&message),
            None => pieces::cut(&nature, "the output of codex", self.lines),
        };
        self.fail(error, out);
    }
}

impl ReplyDecoder {
    fn line(&mut self, line: &Line<'_>, raw: &[u8], out: &mut Vec<StreamEvent>) {
        self.lines += 1;
        match (&*line.kind, &line.item) {
            ("thread.started", _) => out.push(StreamEvent::Start { id: line.thread_id.as_deref().map(str::to_owned), model: None }),
            ("turn.started" | "item.started" | "item.updated", _) => {}
            ("item.completed", Some(Item { kind, text: Some(text) })) if matches!(&**kind, "agent_message" | "reasoning") => {
                let (kind, delta) = if &**kind == "reasoning" {
                    (BlockKind::Thinking, Delta::Thinking { text: text.to_string() })
                } else {
                    (BlockKind::Text, Delta::Text { text: text.to_string() })
                };
                let ix = self.blocks;
                self.blocks += 1;
                out.extend([StreamEvent::BlockStart { ix, kind }, StreamEvent::Delta { ix, delta }, StreamEvent::BlockEnd { ix }]);
            }
            ("turn.completed", _) => {
                if let Some(counts) = &line.usage {
                    let uncached = |all: u64| all.saturating_sub(counts.cached_input_tokens.unwrap_or(0));
                    let usage = Usage {
                        input: counts.input_tokens.map(uncached),
                        cache_read: counts.cached_input_tokens,
                        output: counts.output_tokens,
                        reasoning: counts.reasoning_output_tokens,
                        ..Usage::default()
                    };
                    out.push(StreamEvent::Usage { usage });
                }
                out.push(StreamEvent::End { stop: Stop::End, reason: None });
                self.over = true;
            }
            ("turn.failed", _) => {
                let said = line.error.as_ref().map(|e| e.message.to_string()).or(self.complaint.take()).unwrap_or_default();
                let error = self.judged(&said);
                self.fail(error, out);
            }
            ("error", _) => {
                let said = line.message.as_deref().unwrap_or_default();
                if let Some(reason) = said.strip_prefix(AGAIN) {
                    let error = self.judged(reason);
                    if matches!(error.class, Class::Auth | Class::Permission | Class::Billing | Class::Quota | Class::RateLimit) {
                        self.fail(error, out);
                    }
                    return;
                }
                self.complaint = Some(said.to_owned());
            }
            _ => pieces::unknown(raw, out),
        }
    }

    fn judged(&self, said: &str) -> ProviderError {
        match status_in(said) {
            Some((status, message)) => refusal::with_status(self.sender, status, None, message, None),
            None if said.is_empty() => ProviderError::new(Class::Server, Scope::Provider, "codex failed and did not say why"),
            None => refusal::of_words(said),
        }
    }

    fn fail(&mut self, error: ProviderError, out: &mut Vec<StreamEvent>) {
        self.over = true;
        out.push(StreamEvent::Error { error: refusal::advise(error, HOW) });
    }
}

/// The status that a complaint names, and the service's words behind it: `unexpected status 401 Unauthorized: WORDS, url: ...`
/// or `last status: 429 Too Many Requests`.
fn status_in(said: &str) -> Option<(u16, &str)> {
    let at = said.find("status")? + "status".len();
    let rest = said.get(at..)?.trim_start_matches([':', ' ']);
    let status: u16 = rest.get(..3)?.parse().ok()?;
    let words = rest.split_once(": ").map_or(rest, |(_, words)| words);
    let words = words.rsplit_once(", url: ").map_or(words, |(words, _)| words);
    Some((status, words.trim_end_matches(')')))
}
