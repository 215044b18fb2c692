//! The shapes of a reply, streamed or whole, as leniently as they must be read.
//!
//! A field of the wrong type counts as absent where the rest still makes sense. Text is borrowed from the line where no
//! escape forces a copy.

use crate::wire::lenient::{Count, Lenient, Text};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A chunk of a stream, or a whole reply: the latter has `message` where the former has `delta`.
#[derive(Debug, Default, serde::Deserialize)]
pub struct Chunk<'a> {
    #[serde(borrow, default)]
    pub id: Text<'a>,
    #[serde(borrow, default)]
    pub model: Text<'a>,
    #[serde(borrow, default)]
    pub object: Text<'a>,
    #[serde(borrow, default, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    pub usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub x_groq: Option<&'a RawValue>,
    /// llama.cpp's own counts, beside or instead of `usage`.
    #[serde(borrow)]
    pub timings: Option<&'a RawValue>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub struct Choice<'a> {
    #[serde(default)]
    pub index: Count,
    #[serde(borrow)]
    pub delta: Option<Piece<'a>>,
    #[serde(borrow)]
    pub message: Option<Piece<'a>>,
    #[serde(borrow, default)]
    pub finish_reason: Text<'a>,
    #[serde(borrow, default)]
    pub native_finish_reason: Text<'a>,
    /// Moonshot's place for it.
    #[serde(borrow)]
    pub usage: Option<&'a RawValue>,
    /// What OpenRouter says of a choice that failed.
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

/// What is new of a message, or all of it.
#[derive(Debug, Default, serde::Deserialize)]
pub struct Piece<'a> {
    #[serde(borrow, default)]
    pub content: Content<'a>,
    #[serde(borrow, default)]
    pub refusal: Text<'a>,
    #[serde(borrow, default)]
    pub reasoning: Text<'a>,
    #[serde(borrow, default)]
    pub reasoning_content: Text<'a>,
    /// The name behind GitHub's proxy.
    #[serde(borrow, default)]
    pub reasoning_text: Text<'a>,
    #[serde(borrow)]
    pub reasoning_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub tool_calls: Calls<'a>,
    /// The form before tools: one call, without an id.
    #[serde(borrow, default)]
    pub function_call: Lenient<Function<'a>>,
    #[serde(borrow)]
    pub extra_content: Option<&'a RawValue>,
}

impl Piece<'_> {
    /// The thinking in it. Servers that changed the field's name send both for a while, with the same text.
    pub fn reasoning(&self) -> Option<&str> {
        self.reasoning_content.get().or(self.reasoning.get()).or(self.reasoning_text.get())
    }
}

/// Tool calls, or pieces of them: a list, or one alone.
#[derive(Debug, Default)]
pub struct Calls<'a>(pub Vec<CallPiece<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Calls<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(from)?.get();
        let one = |raw: &'de str| if raw.starts_with('{') { serde_json::from_str(raw).ok() } else { None };
        Ok(Self(match serde_json::from_str::<Vec<&'de RawValue>>(raw) {
            Ok(all) => all.into_iter().filter_map(|raw| one(raw.get())).collect(),
            Err(_) => one(raw).into_iter().collect(),
        }))
    }
}

#[derive(Debug, Default, serde::Deserialize)]
pub struct CallPiece<'a> {
    #[serde(default)]
    pub index: Count,
    #[serde(borrow, default)]
    pub id: Text<'a>,
    #[serde(borrow, default)]
    pub function: Lenient<Function<'a>>,
    /// The form of a call whose argument is free text.
    #[serde(borrow, default)]
    pub custom: Lenient<Function<'a>>,
    #[serde(borrow)]
    pub extra_content: Option<&'a RawValue>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub struct Function<'a> {
    #[serde(borrow, default)]
    pub name: Text<'a>,
    /// A string by the rules; some servers send the object itself, or null.
    #[serde(borrow, alias = "input")]
    pub arguments: Option<&'a RawValue>,
}

/// A message's content: text, or parts (Mistral streams parts), or nothing.
#[derive(Debug, Default)]
pub enum Content<'a> {
    #[default]
    None,
    Text(Cow<'a, str>),
    Parts(Vec<Part<'a>>),
}

#[derive(Debug, Default, serde::Deserialize)]
pub struct Part<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow, default)]
    pub text: Text<'a>,
    #[serde(borrow, default)]
    pub refusal: Text<'a>,
    /// A string or text parts again.
    #[serde(borrow, default)]
    pub thinking: Content<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a list of parts")
    }

    fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Borrowed(v)))
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Owned(v.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Content::None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Content::None)
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Owned(v.to_string())))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Owned(v.to_string())))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Owned(v.to_string())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let part = Part::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Content::Parts(vec![part]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut parts = Vec::new();
        while let Some(raw) = seq.next_element::<&'de RawValue>()? {
            let part = if raw.get().starts_with('"') {
                serde_json::from_str(raw.get()).map(|text| Part { text, ..Part::default() })
            } else {
                serde_json::from_str(raw.get())
            };
            parts.extend(part.ok());
        }
        Ok(Content::Parts(parts))
    }
}

/// The text of raw arguments: a string's content, an object as it stands, nothing for null.
pub fn arguments(raw: &RawValue) -> Cow<'_, str> {
    let json = raw.get();
    if json.starts_with('"') {
        // It parsed as JSON once, so it does again; if not, the raw form is the honest rest.
        serde_json::from_str::<Text<'_>>(json).map_or(Cow::Borrowed(json), |t| t.0.unwrap_or_default())
    } else if json == "null" {
        Cow::Borrowed("")
    } else {
        Cow::Borrowed(json)
    }
}
