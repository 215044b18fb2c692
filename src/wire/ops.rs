//! What can be asked of a provider besides an answer: which wires have it, the requests, and what their replies say.
//!
//! An operation may take several calls: lists come in pages, and a provider takes only so many texts at once.

use super::{Dialect, Encoded, Wire, anthropic, antigravity, gemini, openai_embeddings, openai_models};
use crate::model::{EmbedRequest, Embeddings, Listed, Loss, ProviderError, Request};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Embed,
    CountTokens,
    ListModels,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embed => "embeddings",
            Self::CountTokens => "counting tokens",
            Self::ListModels => "a list of models",
        })
    }
}

/// One call of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What is added to the provider's base URL.
    pub path: Cow<'static, str>,
    /// Headers that this call needs besides those of its wire and provider.
    pub headers: Vec<(&'static str, String)>,
    /// In pieces. A call without a body only reads (`GET`).
    pub body: Option<Vec<Bytes>>,
    pub losses: Vec<Loss>,
}

impl Call {
    fn read(path: impl Into<Cow<'static, str>>) -> Self {
        Self { path: path.into(), headers: Vec::new(), body: None, losses: Vec::new() }
    }
}

impl From<Encoded> for Call {
    fn from(Encoded { path, headers, body, losses }: Encoded) -> Self {
        Self { path, headers, body: Some(body), losses }
    }
}

/// A page of a list, and what asks for the next one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    pub models: Vec<Listed>,
    pub next: Option<String>,
}

/// A call may have 300,000 tokens in all. Text has two bytes a token or more in nearly every script, most of it four.
const MAX_INPUT_BYTES: usize = 600_000;

impl Wire {
    /// Whether this wire has the operation.
    pub const fn has(self, op: Op) -> bool {
        match (self, op) {
            (Self::OpenaiChat | Self::OpenaiResponses, Op::Embed | Op::ListModels)
            | (Self::Anthropic, Op::CountTokens | Op::ListModels)
            | (Self::Gemini, Op::Embed | Op::CountTokens | Op::ListModels)
            | (Self::Antigravity, Op::CountTokens) => true,
            (Self::OpenaiChat | Self::OpenaiResponses, Op::CountTokens)
            | (Self::Anthropic, Op::Embed)
            | (Self::Antigravity, Op::Embed | Op::ListModels)
            | (Self::ClaudeCli | Self::CodexCli, Op::Embed | Op::CountTokens | Op::ListModels) => false,
        }
    }

    /// The most texts that one call for embeddings may hold: OpenAI's number, which compatible servers have or exceed,
    /// and Google's.
    const fn embed_inputs(self) -> usize {
        match self {
            Self::OpenaiChat | Self::OpenaiResponses | Self::Anthropic | Self::ClaudeCli | Self::CodexCli => 2_048,
            Self::Gemini | Self::Antigravity => 100,
        }
    }
}

/// How the texts of a request are dealt out to calls: in order, as many as a provider takes at once. `most` is its own
/// limit where that is not its wire's.
pub fn batches(wire: Wire, input: &[String], most: Option<usize>) -> Vec<Range<usize>> {
    let most = most.unwrap_or(wire.embed_inputs()).max(1);
    let mut all = Vec::new();
    let (mut from, mut bytes) = (0, 0usize);
    for (at, text) in input.iter().enumerate() {
        let more = bytes.saturating_add(text.len());
        if at > from && (at - from == most || more > MAX_INPUT_BYTES) {
            all.push(from..at);
            (from, bytes) = (at, text.len());
        } else {
            bytes = more;
        }
    }
    if from < input.len() {
        all.push(from..input.len());
    }
    all
}

/// Asks for the vectors of some texts. None where the wire has no embeddings.
pub fn embed(wire: Wire, dialect: &Dialect, request: &EmbedRequest) -> Option<Call> {
    match wire {
        Wire::OpenaiChat | Wire::OpenaiResponses => Some(openai_embeddings::encode(dialect, request).into()),
        Wire::Gemini => Some(gemini::encode_embed(dialect, request).into()),
        Wire::Anthropic | Wire::Antigravity | Wire::ClaudeCli | Wire::CodexCli => None,
    }
}

/// The vectors of a good reply to a call with this many texts.
pub fn embeddings(wire: Wire, body: &[u8], inputs: usize) -> Result<Embeddings, ProviderError> {
    match wire {
        Wire::OpenaiChat | Wire::OpenaiResponses => openai_embeddings::decode(inputs, body),
        Wire::Gemini => gemini::decode_embed(inputs, body),
        Wire::Anthropic | Wire::Antigravity | Wire::ClaudeCli | Wire::CodexCli => Err(lacking(wire, Op::Embed)),
    }
}

/// Asks how many tokens a request has. None where the wire cannot tell.
pub fn count(wire: Wire, dialect: &Dialect, request: &Request) -> Option<Call> {
    match wire {
        Wire::OpenaiChat | Wire::OpenaiResponses | Wire::ClaudeCli | Wire::CodexCli => None,
        Wire::Anthropic => Some(anthropic::encode_count(dialect, request).into()),
        Wire::Gemini => Some(gemini::encode_count(dialect, request).into()),
        Wire::Antigravity => Some(antigravity::encode_count(dialect, request).into()),
    }
}

/// The tokens that a good reply tells.
pub fn counted(wire: Wire, body: &[u8]) -> Result<u64, ProviderError> {
    match wire {
        Wire::OpenaiChat | Wire::OpenaiResponses | Wire::ClaudeCli | Wire::CodexCli => Err(lacking(wire, Op::CountTokens)),
        Wire::Anthropic => anthropic::decode_count(body),
        Wire::Gemini | Wire::Antigravity => gemini::decode_count(body),
    }
}

/// Asks for a page of the provider's list: the first, or the one that an earlier page's `next` names. None where the
/// wire has no list.
pub fn models(wire: Wire, next: Option<&str>) -> Option<Call> {
    match wire {
        Wire::OpenaiChat | Wire::OpenaiResponses => Some(Call::read(openai_models::PATH)),
        Wire::Anthropic => Some(Call::read(anthropic::models_path(next))),
        Wire::Gemini => Some(Call::read(gemini::models_path(next))),
        Wire::Antigravity | Wire::ClaudeCli | Wire::CodexCli => None,
    }
}

/// A page of models from a good reply.
pub fn page(wire: Wire, body: &[u8]) -> Result<Page, ProviderError> {
    let (models, next) = match wire {
        Wire::OpenaiChat | Wire::OpenaiResponses => (openai_models::decode(body)?, None),
        Wire::Anthropic => anthropic::decode_models(body)?,
        Wire::Gemini => gemini::decode_models(body)?,
        Wire::Antigravity | Wire::ClaudeCli | Wire::CodexCli => return Err(lacking(wire, Op::ListModels)),
    };
    Ok(Page { models, next })
}

/// This wire has no such operation.
pub fn lacking(wire: Wire, op: Op) -> ProviderError {
    ProviderError::lacking(&format!("the wire {wire}"), &op.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Class;
    use proptest::prelude::*;

    #[test]
    fn each_wire_does_what_it_says_that_it_has() {
        let (embed_request, request) = (EmbedRequest::default(), Request::default());
        for wire in Wire::ALL {
            assert_eq!(embed(wire, &Dialect::default(), &embed_request).is_some(), wire.has(Op::Embed), "{wire}");
            assert_eq!(count(wire, &Dialect::default(), &request).is_some(), wire.has(Op::CountTokens), "{wire}");
            assert_eq!(models(wire, None).is_some(), wire.has(Op::ListModels), "{wire}");
        }
    }

    #[test]
    fn what_is_something_else_says_what_came() {
        let class = |body: &str| page(Wire::OpenaiChat, body.as_bytes()).unwrap_err();
        let refused = class(r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#);
        assert_eq!(refused.class, Class::Auth, "{refused}");
        for (body, wanted) in
            [("<html><title>Log in</title></html>", "a web page (Log in)"), ("", "nothing"), (r#"{"data":[{"id":"#, r#"{"data":[{"id":"#)]
        {
            let error = class(body);
            assert!(error.class == Class::Network && error.message.contains(wanted), "{error}");
        }
        let few = embeddings(Wire::OpenaiChat, br#"{"data":[{"embedding":[1]}]}"#, 2).unwrap_err();
        assert!(few.message.contains("1 came for 2 inputs"), "{few}");
    }

    proptest! {
        #[test]
        fn batches_keep_order_and_limits(lengths in prop::collection::vec(prop_oneof![0usize..50, 200_000usize..700_000], 0..40), most in 1usize..9) {
            let input: Vec<String> = lengths.iter().map(|n| "x".repeat(*n)).collect();
            let all = batches(Wire::OpenaiChat, &input, Some(most));
            prop_assert_eq!(all.iter().cloned().flatten().collect::<Vec<_>>(), (0..input.len()).collect::<Vec<_>>());
            for range in &all {
                let bytes: usize = lengths[range.clone()].iter().sum();
                prop_assert!(range.len() <= most && (bytes <= MAX_INPUT_BYTES || range.len() == 1));
            }
            // No two neighbours would have fitted into one.
            for pair in all.windows(2) {
                let bytes: usize = lengths[pair[0].start..=pair[1].start].iter().sum();
                prop_assert!(pair[0].len() == most || bytes > MAX_INPUT_BYTES);
            }
        }
    }
}
