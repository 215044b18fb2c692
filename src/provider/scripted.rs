//! The built-in scripted provider: replies from a script, over the real wire, with faults where the script asks.
//!
//! It is the model of `pup demo`. What it sends passes through the same decoder as any provider's bytes.

use super::Refused;
use super::exchange::{Exchange, Source};
use super::http::Timeouts;
use crate::base::clock;
use crate::model::{BlockKind, Delta, ProviderError, Request, Stop, StreamEvent, ToolSpec, Usage};
use crate::wire::limits::Limits;
use crate::wire::openai_chat::{self, Head, ReplyWriter};
use crate::wire::{self, Decoder, Dialect, Encoded, Sender, Wire};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// One reply of the script.
#[derive(Debug, Clone)]
pub struct Scene {
    pub text: &'static str,
    /// Tool name and arguments as JSON.
    pub calls: Vec<(&'static str, serde_json::Value)>,
}

/// A plug to pull, at one request of this provider, counted from 0.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub request: usize,
    pub kind: FaultKind,
}

#[derive(Debug, Clone, Copy)]
pub enum FaultKind {
    /// The connection breaks after this many bytes of the reply.
    CutAfter(usize),
    /// "Too many requests; come back in this many seconds."
    RateLimit { retry_after_s: u32 },
}

/// Replies with scene N to a history that holds the calls of N earlier scenes, so that a repeated request gets the same
/// reply, from whichever of several scripted providers.
#[derive(Debug)]
struct Scenes {
    scenes: Vec<Scene>,
    faults: Vec<Fault>,
    /// Between two pieces of a stream, so that a person can watch.
    pace: Duration,
    requests: AtomicUsize,
}

/// What is answered to requests where no network is.
pub trait Answers: std::fmt::Debug + Send + Sync {
    fn answer(&self, request: &Encoded) -> Result<Answer, ProviderError>;
}

/// One answer, as a server would give it.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: VecDeque<Piece>,
}

/// A piece of an answer's body.
#[derive(Debug, Clone)]
pub enum Piece {
    /// These bytes, after this time.
    Bytes(Bytes, Duration),
    /// The connection breaks.
    Cut,
    /// Nothing comes any more, on an open connection.
    Silence,
}

/// A provider that answers out of this process, over a wire.
#[derive(Debug)]
pub struct Scripted {
    id: String,
    wire: Wire,
    timeouts: Timeouts,
    answers: Box<dyn Answers>,
}

impl Scripted {
    /// One that plays scenes.
    pub fn new(id: &str, scenes: Vec<Scene>, faults: Vec<Fault>, pace: Duration) -> Self {
        let answers = Box::new(Scenes { scenes, faults, pace, requests: AtomicUsize::new(0) });
        Self::answering(id, Wire::OpenaiChat, Timeouts { connect: LONG, first_byte: LONG, idle: LONG }, answers)
    }

    pub fn answering(id: &str, wire: Wire, timeouts: Timeouts, answers: Box<dyn Answers>) -> Self {
        Self { id: id.to_owned(), wire, timeouts, answers }
    }

    /// The provider's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn wire(&self) -> Wire {
        self.wire
    }

    pub(super) async fn send(&self, encoded: &Encoded, tools: &[ToolSpec]) -> Result<Exchange, Refused> {
        let Answer { status, headers, mut body } = self.answers.answer(encoded)?;
        let (now, sender) = (clock::unix_ms(), Sender::new(self.wire, &self.id));
        let (sender, limits) = (sender.at(now), Limits::read(&headers, Some(now)));
        if (200..300).contains(&status) {
            let decoder = Decoder::new(self.wire, &Dialect::default()).sent_by(sender).with_tools(tools);
            return Ok(Exchange::new(Source::Script(body), decoder, self.timeouts).with_limits(limits));
        }
        let mut whole = Vec::new();
        while let Some(bytes) = next(&mut body).await? {
            whole.extend_from_slice(&bytes);
        }
        Err(Refused { error: wire::classify(sender, status, &headers, &whole), limits: Box::new(limits) })
    }
}

impl Answers for Scenes {
    fn answer(&self, encoded: &Encoded) -> Result<Answer, ProviderError> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let fault = self.faults.iter().find(|f| f.request == number).map(|f| f.kind);
        if let Some(FaultKind::RateLimit { retry_after_s }) = fault {
            let body = &br#"{"error":{"message":"too many requests (on purpose)","type":"rate_limit_error"}}"#[..];
            let headers = vec![("retry-after".to_owned(), retry_after_s.to_string())];
            return Ok(Answer { status: 429, headers, body: [Piece::Bytes(body.into(), Duration::ZERO)].into() });
        }
        let bytes = encoded.to_vec();
        let request =
            openai_chat::decode_request(&bytes).map_err(|e| ProviderError::network(format!("the script cannot read the request: {e}")))?;
        let turn = request.messages.iter().filter(|m| m.calls().next().is_some()).count();
        let Some(scene) = self.scenes.get(turn) else {
            return Err(ProviderError::network(format!("the script has no scene {turn}")));
        };
        let mut body: VecDeque<Piece> = VecDeque::new();
        let mut left = if let Some(FaultKind::CutAfter(bytes)) = fault { Some(bytes) } else { None };
        let mut writer = ReplyWriter::new(Head { id: format!("scene-{turn}"), model: request.model.clone(), created: 0 });
        for event in scene.events(turn, &request, bytes.len()) {
            let mut frame = Vec::new();
            writer.push(&event, &mut frame);
            if frame.is_empty() {
                continue;
            }
            let frame = Bytes::from(frame);
            let take = left.map_or(frame.len(), |n| n.min(frame.len()));
            body.push_back(Piece::Bytes(frame.slice(..take), self.pace));
            if let Some(n) = &mut left {
                *n -= take;
                if *n == 0 {
                    body.push_back(Piece::Cut);
                    break;
                }
            }
        }
        Ok(Answer { status: 200, headers: Vec::new(), body })
    }
}

/// The script never stalls by accident.
const LONG: Duration = Duration::from_mins(1);

/// The next piece of a scripted stream, at its pace.
pub(super) async fn next(pieces: &mut VecDeque<Piece>) -> Result<Option<Bytes>, ProviderError> {
    match pieces.pop_front() {
        Some(Piece::Bytes(bytes, pace)) => {
            if !pace.is_zero() {
                tokio::time::sleep(pace).await;
            }
            Ok(Some(bytes))
        }
        Some(Piece::Cut) => Err(ProviderError::network("the connection broke: reset by peer (pulled on purpose)")),
        Some(Piece::Silence) => std::future::pending().await,
        None => Ok(None),
    }
}

impl Scene {
    fn events(&self, turn: usize, request: &Request, request_bytes: usize) -> Vec<StreamEvent> {
        let mut events = vec![StreamEvent::Start { id: Some(format!("scene-{turn}")), model: Some(request.model.clone()) }];
        let mut output = 0;
        if !self.text.is_empty() {
            events.push(StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text });
            for word in self.text.split_inclusive(' ') {
                output += 1;
                events.push(StreamEvent::Delta { ix: 0, delta: Delta::Text { text: word.to_owned() } });
            }
            events.push(StreamEvent::BlockEnd { ix: 0 });
        }
        for (n, (name, args)) in self.calls.iter().enumerate() {
            let ix = n + 1;
            let id = format!("call_{turn}_{n}");
            let text = args.to_string();
            output += text.len() as u64 / 4;
            events.push(StreamEvent::BlockStart { ix, kind: BlockKind::ToolCall { id, name: (*name).to_owned() } });
            events.push(StreamEvent::Delta { ix, delta: Delta::Args { text } });
            events.push(StreamEvent::BlockEnd { ix });
        }
        let stop = if self.calls.is_empty() { Stop::End } else { Stop::ToolUse };
        let usage = Usage { input: Some(request_bytes as u64 / 4), output: Some(output), ..Usage::default() };
        events.push(StreamEvent::Usage { usage });
        events.push(StreamEvent::End { stop, reason: None });
        events
    }
}
