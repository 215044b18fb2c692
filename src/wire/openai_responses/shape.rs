//! The shapes of a reply, streamed or whole, as leniently as they must be read. Items are kept raw until their kind is
//! known: what only this wire understands goes back byte for byte.

use crate::wire::lenient::{Count, Text};
use serde::Deserialize;
use serde_json::value::RawValue;

/// One event of a stream, a whole response, or an error. Each kind uses its own few of these fields.
#[derive(Debug, Default, Deserialize)]
pub struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Text<'a>,
    #[serde(default)]
    pub sequence_number: Count,
    #[serde(borrow)]
    pub response: Option<&'a RawValue>,
    #[serde(borrow)]
    pub item: Option<&'a RawValue>,
    #[serde(default)]
    pub output_index: Count,
    #[serde(borrow, default)]
    pub item_id: Text<'a>,
    #[serde(default)]
    pub content_index: Count,
    #[serde(default)]
    pub summary_index: Count,
    #[serde(borrow, default)]
    pub delta: Text<'a>,
    /// Of `*.done`, whichever of them it has.
    #[serde(borrow, default)]
    pub text: Text<'a>,
    #[serde(borrow, default)]
    pub refusal: Text<'a>,
    #[serde(borrow, default)]
    pub arguments: Text<'a>,
    #[serde(borrow, default)]
    pub input: Text<'a>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub detail: Text<'a>,
    #[serde(borrow, default)]
    pub object: Text<'a>,
    #[serde(borrow)]
    pub output: Option<&'a RawValue>,
}

/// A response, as it stands in lifecycle events, or as a whole body.
#[derive(Debug, Default, Deserialize)]
pub struct Response<'a> {
    #[serde(borrow, default)]
    pub id: Text<'a>,
    #[serde(borrow, default)]
    pub model: Text<'a>,
    #[serde(borrow, default)]
    pub status: Text<'a>,
    #[serde(borrow)]
    pub output: Option<&'a RawValue>,
    #[serde(borrow)]
    pub usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
    pub incomplete_details: Option<Details<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Details<'a> {
    #[serde(borrow, default)]
    pub reason: Text<'a>,
}

/// An output item.
#[derive(Debug, Default, Deserialize)]
pub struct Item<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow, default)]
    pub id: Text<'a>,
    #[serde(borrow, default)]
    pub phase: Text<'a>,
    /// Of a message or of reasoning.
    #[serde(borrow)]
    pub content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub summary: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub encrypted_content: Text<'a>,
    #[serde(borrow, default)]
    pub call_id: Text<'a>,
    #[serde(borrow, default)]
    pub name: Text<'a>,
    /// A string by the rules; some servers send the object itself.
    #[serde(borrow)]
    pub arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub input: Text<'a>,
}

/// A part of a message or of reasoning.
#[derive(Debug, Default, Deserialize)]
pub struct Part<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow, default)]
    pub text: Text<'a>,
    #[serde(borrow, default)]
    pub refusal: Text<'a>,
}

/// The parts of a list. A string stands for one part; anything else is none.
pub fn parts(raw: Option<&RawValue>) -> Vec<Part<'_>> {
    let Some(raw) = raw.map(RawValue::get) else { return Vec::new() };
    if raw.starts_with('"') {
        let text = serde_json::from_str(raw).unwrap_or_default();
        return vec![Part { text, ..Part::default() }];
    }
    serde_json::from_str(raw).unwrap_or_default()
}
