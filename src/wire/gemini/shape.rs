//! The shapes of a reply, as leniently as they must be read: one chunk of a stream and a whole reply are the same.

use crate::wire::lenient::{Count, Text};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Debug, Deserialize)]
pub struct Chunk<'a> {
    /// The envelope that Google's internal door puts around everything.
    #[serde(borrow)]
    pub response: Option<&'a RawValue>,
    #[serde(borrow)]
    pub candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow, rename = "promptFeedback", alias = "prompt_feedback")]
    pub prompt_feedback: Option<Feedback<'a>>,
    #[serde(borrow, rename = "usageMetadata", alias = "usage_metadata")]
    pub usage: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "modelVersion", alias = "model_version")]
    pub model: Text<'a>,
    #[serde(borrow, default, rename = "responseId", alias = "response_id")]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

/// One of the answers; one is asked for.
#[derive(Debug, Deserialize)]
pub struct Candidate<'a> {
    #[serde(default)]
    pub index: Count,
    #[serde(borrow)]
    pub content: Option<Content<'a>>,
    #[serde(borrow, default, rename = "finishReason", alias = "finish_reason")]
    pub finish_reason: Text<'a>,
    #[serde(borrow, default, rename = "finishMessage", alias = "finish_message")]
    pub finish_message: Text<'a>,
}

#[derive(Debug, Deserialize)]
pub struct Content<'a> {
    #[serde(borrow)]
    pub parts: Option<Vec<&'a RawValue>>,
}

/// Why a prompt was not answered.
#[derive(Debug, Deserialize)]
pub struct Feedback<'a> {
    #[serde(borrow, default, rename = "blockReason", alias = "block_reason")]
    pub reason: Text<'a>,
    #[serde(borrow, default, rename = "blockReasonMessage", alias = "block_reason_message")]
    pub message: Text<'a>,
}

/// A part of a content. What it is, is told by which field it has.
#[derive(Debug, Default, Deserialize)]
pub struct Part<'a> {
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
    #[serde(borrow)]
    pub thought: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "thoughtSignature", alias = "thought_signature")]
    pub signature: Text<'a>,
    #[serde(borrow, rename = "functionCall", alias = "function_call")]
    pub call: Option<Call<'a>>,
}

impl Part<'_> {
    /// Whether it is a part of the model's reasoning.
    pub fn is_thought(&self) -> bool {
        self.thought.is_some_and(|t| t.get() == "true")
    }
}

#[derive(Debug, Default, Deserialize)]
pub struct Call<'a> {
    #[serde(borrow, default)]
    pub id: Text<'a>,
    #[serde(borrow, default)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub args: Option<&'a RawValue>,
    #[serde(borrow, rename = "partialArgs", alias = "partial_args")]
    pub partial: Option<Vec<&'a RawValue>>,
    #[serde(borrow, rename = "willContinue", alias = "will_continue")]
    pub will_continue: Option<&'a RawValue>,
}

impl Call<'_> {
    pub fn continues(&self) -> bool {
        self.will_continue.is_some_and(|w| w.get() == "true")
    }
}
