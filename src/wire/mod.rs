//! Row 2: codecs. Neutral requests to bytes and bytes to neutral events, both directions, without IO.
//!
//! A provider is data plus a codec plus HTTP; a gateway, and the scripted server of the tests, is the same codec the
//! other way round. Nothing here reads a socket, a file or an environment variable.
//!
//! ```
//! use code_pup::model::{Accumulator, Message, Request};
//! use code_pup::wire::{Decoder, Dialect, Wire, encode};
//!
//! let request = Request { model: "m".into(), messages: [Message::user("hi")].into_iter().collect(), ..Request::default() };
//! let (body, losses) = encode(Wire::OpenaiChat, &Dialect::default(), &request);
//! assert_eq!(body, br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
//! assert!(losses.is_empty());
//!
//! let mut decoder = Decoder::new(Wire::OpenaiChat, &Dialect::default());
//! let mut events = Vec::new();
//! decoder.feed(b"data: {\"choices\":[{\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}\n\n", &mut events);
//! decoder.finish(&mut events);
//! let mut reply = Accumulator::default();
//! events.iter().for_each(|e| reply.push(e));
//! assert_eq!(reply.finish().message.joined_text(), "hello");
//! ```

pub mod anthropic;
pub mod antigravity;
#[cfg(test)]
mod arbitrary;
mod arguments;
pub mod classify;
pub mod cli;
mod codec;
mod definitions;
mod elements;
mod fields;
pub mod gemini;
pub mod ids;
mod in_order;
mod json_out;
mod last_chunk;
mod lenient;
pub mod limits;
mod lines;
mod marks;
pub mod names;
pub mod openai_chat;
pub mod openai_embeddings;
pub mod openai_models;
pub mod openai_responses;
pub mod ops;
mod pieces;
mod placement;
mod prefix;
pub mod quirk;
mod refs;
mod root_schema;
mod rope;
mod sniff;
pub mod sse;
pub mod wait;

pub use classify::Sender;
pub use codec::Encoded;
pub use ids::Ids;
pub use quirk::{Dialect, UnknownQuirk};

use crate::base::nearest;
use crate::model::{Loss, ProviderError, Request, StreamEvent, ToolSpec};
use codec::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A wire: one vendor's way to write requests and replies, which others may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Wire {
    /// OpenAI's Chat Completions, and everything that calls itself compatible with it.
    #[serde(rename = "openai-chat")]
    OpenaiChat,
    /// OpenAI's Responses.
    #[serde(rename = "openai-responses")]
    OpenaiResponses,
    /// Anthropic's Messages.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// Google's generateContent.
    #[serde(rename = "gemini")]
    Gemini,
    /// The same in the envelope of Google's internal door, which also serves Claude.
    #[serde(rename = "antigravity")]
    Antigravity,
    /// Anthropic's own program on this machine.
    #[serde(rename = "claude-cli")]
    ClaudeCli,
    /// OpenAI's.
    #[serde(rename = "codex-cli")]
    CodexCli,
}

/// How a key is shown to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStyle {
    /// `authorization: Bearer KEY`.
    Bearer,
    /// `x-api-key: KEY`.
    XApiKey,
    /// `api-key: KEY`.
    ApiKey,
    /// `x-goog-api-key: KEY`.
    XGoogApiKey,
}

impl Wire {
    /// Every wire that is built.
    pub const ALL: [Self; 7] =
        [Self::OpenaiChat, Self::OpenaiResponses, Self::Anthropic, Self::Gemini, Self::Antigravity, Self::ClaudeCli, Self::CodexCli];

    /// The name in catalogues, on the command line and in [`crate::model::Block::Opaque`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiChat => openai_chat::NAME,
            Self::OpenaiResponses => openai_responses::NAME,
            Self::Anthropic => anthropic::NAME,
            Self::Gemini => gemini::NAME,
            Self::Antigravity => antigravity::NAME,
            Self::ClaudeCli => cli::CLAUDE,
            Self::CodexCli => cli::CODEX,
        }
    }

    /// Programs know their user by themselves and are shown no key.
    pub const fn key_style(self) -> KeyStyle {
        match self {
            Self::OpenaiChat | Self::OpenaiResponses | Self::Antigravity | Self::ClaudeCli | Self::CodexCli => KeyStyle::Bearer,
            Self::Anthropic => KeyStyle::XApiKey,
            Self::Gemini => KeyStyle::XGoogApiKey,
        }
    }

    /// Headers that every request of this wire has, unless a provider's own ones say otherwise.
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::OpenaiChat | Self::OpenaiResponses | Self::Gemini | Self::Antigravity | Self::ClaudeCli | Self::CodexCli => &[],
            Self::Anthropic => &[("anthropic-version", "2023-06-01")],
        }
    }

    /// Whether the end of a reply repeats all that was in it, so that nothing is lost with an event that cannot be read.
    pub const fn repeats(self) -> bool {
        match self {
            Self::OpenaiChat | Self::Anthropic | Self::Gemini | Self::Antigravity => false,
            Self::OpenaiResponses | Self::ClaudeCli | Self::CodexCli => true,
        }
    }

    fn encoder(self, dialect: Dialect) -> Box<dyn Encode> {
        match self {
            Self::OpenaiChat => Box::new(openai_chat::Encoder::new(dialect)),
            Self::OpenaiResponses => Box::new(openai_responses::Encoder::new(dialect)),
            Self::Anthropic => Box::new(anthropic::Encoder::new(dialect)),
            Self::Gemini => Box::new(gemini::Encoder::new(dialect)),
            Self::Antigravity => Box::new(antigravity::Encoder::new(dialect)),
            Self::ClaudeCli | Self::CodexCli => Box::new(cli::Encoder::new(dialect)),
        }
    }

    /// A decoder for the reply to a request in this dialect.
    fn decoder(self, dialect: &Dialect) -> Box<dyn Decode> {
        match self {
            Self::OpenaiChat => Box::new(openai_chat::ReplyDecoder::new(dialect)),
            Self::OpenaiResponses => Box::new(openai_responses::ReplyDecoder::default()),
            Self::Anthropic => Box::new(anthropic::ReplyDecoder::default()),
            Self::Gemini | Self::Antigravity => Box::new(gemini::ReplyDecoder::default()),
            Self::ClaudeCli => Box::new(cli::ClaudeDecoder::default()),
            Self::CodexCli => Box::new(cli::CodexDecoder::default()),
        }
    }

    /// How replies come: a program writes a document a line, a server whatever it likes.
    fn body(self) -> sniff::Body {
        match self {
            Self::OpenaiChat | Self::OpenaiResponses | Self::Anthropic | Self::Gemini | Self::Antigravity => sniff::Body::default(),
            Self::ClaudeCli | Self::CodexCli => sniff::Body::lines(),
        }
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A wire's name that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown wire `{name}`; known: {}{}", Wire::ALL.map(Wire::as_str).join(", "), .suggestion.as_ref().map(|s| format!(" ({s})")).unwrap_or_default())]
pub struct UnknownWire {
    pub name: String,
    suggestion: Option<String>,
}

impl FromStr for Wire {
    type Err = UnknownWire;

    fn from_str(name: &str) -> Result<Self, UnknownWire> {
        Self::ALL
            .into_iter()
            .find(|w| w.as_str() == name)
            .ok_or_else(|| UnknownWire { name: name.to_owned(), suggestion: nearest::did_you_mean(name, Self::ALL.map(Self::as_str)) })
    }
}

/// Encodes one conversation's requests, turn after turn, without serialising anything twice.
///
/// The bytes of messages (and of head and tools) that did not change are identical from call to call, so a provider's
/// prompt cache stays warm.
#[derive(Debug)]
pub struct Encoder(Box<dyn Encode>);

impl Encoder {
    pub fn new(wire: Wire, dialect: Dialect) -> Self {
        Self(wire.encoder(dialect))
    }

    pub fn encode(&mut self, request: &Request) -> Encoded {
        self.0.encode(request)
    }
}

/// Encodes one request on its own.
pub fn encode(wire: Wire, dialect: &Dialect, request: &Request) -> (Vec<u8>, Vec<Loss>) {
    let encoded = Encoder::new(wire, dialect.clone()).encode(request);
    (encoded.to_vec(), encoded.losses)
}

/// Turns a reply's bytes, cut anywhere, into events.
///
/// It finds out by itself what the body is: a stream, one JSON object, several, an error in an array, or a web page;
/// content types lie too often to be asked. After a terminal event, or an error, it says nothing more.
#[derive(Debug)]
pub struct Decoder {
    body: sniff::Body,
    codec: Box<dyn Decode>,
}

/// What a reply would be that ended here can be asked of a copy.
impl Clone for Decoder {
    fn clone(&self) -> Self {
        Self { body: self.body.clone(), codec: self.codec.copy() }
    }
}

impl Decoder {
    /// `dialect` is that of the request.
    pub fn new(wire: Wire, dialect: &Dialect) -> Self {
        Self { body: wire.body(), codec: wire.decoder(dialect) }.sent_by(Sender::from(wire))
    }

    /// Tells whose reply this is, for the errors in it.
    #[must_use]
    pub fn sent_by(mut self, sender: Sender) -> Self {
        self.codec.sent_by(sender);
        self
    }

    /// Tells the tools of the request, so that names that had to be shortened come back whole.
    #[must_use]
    pub fn with_tools(mut self, tools: &[ToolSpec]) -> Self {
        self.codec.expect_tools(tools);
        self
    }

    /// Takes the next bytes and appends the events that they complete.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) {
        self.body.feed(bytes, &mut |piece| self.codec.piece(&piece, out));
    }

    /// Whether the reply is whole, so that a server that says nothing more need not be waited for.
    pub fn is_whole(&self) -> bool {
        self.codec.is_whole()
    }

    /// The body has ended, or was cut. Without a terminal event before this, the last event is an error of class
    /// `network`. A driver whose connection broke calls this too: if the reply's end had already been seen, it is one.
    pub fn finish(&mut self, out: &mut Vec<StreamEvent>) {
        self.body.finish(&mut |piece| self.codec.piece(&piece, out));
        self.codec.finish(self.body.nature(), out);
    }
}

/// Reads a provider's refusal: status (200 for one inside a good reply), headers and body. The body decides before the
/// status does. A bare [`Wire`] is a sender of whom nothing else is known.
pub fn classify(sender: impl Into<Sender>, status: u16, headers: &[(String, String)], body: &[u8]) -> ProviderError {
    classify::http(sender.into(), status, headers, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_a_wrong_one_is_answered_with_the_known_ones() {
        for wire in Wire::ALL {
            assert_eq!(wire.to_string().parse(), Ok(wire));
            assert_eq!(serde_json::to_string(&wire).unwrap(), format!("\"{wire}\""));
        }
        let error = "openai-chta".parse::<Wire>().unwrap_err();
        let known = Wire::ALL.map(Wire::as_str).join(", ");
        assert_eq!(error.to_string(), format!("unknown wire `openai-chta`; known: {known} (did you mean `openai-chat`?)"));
    }
}
