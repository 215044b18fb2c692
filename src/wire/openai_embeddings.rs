//! Embeddings of OpenAI and of the servers that are compatible with it.
//!
//! Floats are asked for, because every server has them. Base64 of little-endian floats is read as well: some send it
//! whatever was asked.

use super::codec::Encoded;
use super::json_out::Object;
use super::lenient::{Count, Text};
use super::quirk::Dialect;
use super::{Wire, pieces};
use crate::model::{EmbedRequest, Embeddings, Loss, ProviderError, Usage};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the wire adds to a base URL for it.
pub const PATH: &str = "/embeddings";

/// The request for one vector of each text.
pub fn encode(_: &Dialect, request: &EmbedRequest) -> Encoded {
    let mut losses = Vec::new();
    let mut out = Vec::new();
    let mut o = Object::begin(&mut out);
    o.field("model", &request.model).field("input", &request.input).maybe("dimensions", request.dimensions.as_ref());
    o.field("encoding_format", "float");
    o.end();
    if request.task.is_some() {
        losses.push(Loss::new("task", "the wire has no field for what vectors are for"));
    }
    Encoded { path: PATH.into(), headers: Vec::new(), body: vec![Bytes::from(out)], losses }
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    data: Vec<Vector<'a>>,
    #[serde(borrow, default)]
    model: Text<'a>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Vector<'a> {
    #[serde(default)]
    index: Count,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    total_tokens: Count,
}

/// The vectors of a good reply to a request with this many inputs, in the inputs' order.
pub fn decode(inputs: usize, body: &[u8]) -> Result<Embeddings, ProviderError> {
    let reply: Reply<'_> = serde_json::from_slice(body).map_err(|_| pieces::other(Wire::OpenaiChat, body, "a list of vectors"))?;
    let wrong = |what: String| Err(ProviderError::network(format!("the reply's vectors do not fit: {what}")));
    if reply.data.len() != inputs {
        return wrong(format!("{} came for {inputs} inputs", reply.data.len()));
    }
    let mut places: Vec<Option<Vec<f32>>> = vec![None; inputs];
    for (at, vector) in reply.data.iter().enumerate() {
        let index = vector.index.0.map_or(at, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let Some(floats) = floats(vector.embedding.get()) else {
            return wrong(format!("number {at} is neither a list of numbers nor base64 of them"));
        };
        match places.get_mut(index) {
            Some(place) if place.is_none() => *place = Some(floats),
            Some(_) => return wrong(format!("two are for input {index}")),
            None => return wrong(format!("one is for input {index} of {inputs}")),
        }
    }
    let vectors: Vec<Vec<f32>> = places.into_iter().flatten().collect();
    if let Some(one) = vectors.iter().find(|v| Some(v.len()) != vectors.first().map(Vec::len)) {
        return wrong(format!("one has {} numbers, another {}", vectors.first().map_or(0, Vec::len), one.len()));
    }
    let input = reply.usage.and_then(|u| u.prompt_tokens.0.or(u.total_tokens.0));
    Ok(Embeddings { vectors, usage: Usage { input, ..Usage::default() }, model: reply.model.into_owned() })
}

/// A vector in either form; none where it is empty or holds what is no number.
fn floats(json: &str) -> Option<Vec<f32>> {
    let floats: Vec<f32> = if json.starts_with('"') {
        let bytes = unbase64(&serde_json::from_str::<String>(json).ok()?)?;
        let (floats, rest) = bytes.as_chunks::<4>();
        rest.is_empty().then(|| floats.iter().map(|four| f32::from_le_bytes(*four)).collect())?
    } else {
        serde_json::from_str(json).ok()?
    };
    (!floats.is_empty() && floats.iter().all(|f| f.is_finite())).then_some(floats)
}

/// The bytes of base64 with or without its padding.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for four in text.chunks(4) {
        let mut bits = 0u32;
        for byte in four {
            let six = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(six);
        }
        // Six bits a character: two make a byte, three make two, four make three.
        let whole = match four.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        let [_, bytes @ ..] = (bits << (6 * (4 - four.len()))).to_be_bytes();
        out.extend(bytes.iter().take(whole));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Class;
    use proptest::prelude::*;

    #[test]
    fn vectors_come_back_by_their_index() {
        let request =
            EmbedRequest { model: "m".into(), input: vec!["a".into(), "b".into()], dimensions: Some(2), task: Some("query".into()) };
        let encoded = encode(&Dialect::default(), &request);
        assert_eq!(encoded.path, "/embeddings");
        assert_eq!(
            String::from_utf8(encoded.to_vec()).unwrap(),
            r#"{"model":"m","input":["a","b"],"dimensions":2,"encoding_format":"float"}"#
        );
        assert_eq!(encoded.losses[0].at, "task");
        let body = br#"{"object":"list","model":"m-1","data":[{"index":1,"embedding":[3.0,4.5]},{"index":0,"embedding":"AACAPwAAAMA="}],"usage":{"prompt_tokens":5,"total_tokens":5}}"#;
        let got = decode(2, body).unwrap();
        assert_eq!(got.vectors, [vec![1.0, -2.0], vec![3.0, 4.5]]);
        assert_eq!((got.usage.input, got.usage.output, got.model.as_deref()), (Some(5), None, Some("m-1")));
        let bare = decode(2, br#"{"data":[{"embedding":[1]},{"embedding":[2]}]}"#).unwrap();
        assert_eq!((bare.vectors, bare.usage), (vec![vec![1.0], vec![2.0]], Usage::default()));
    }

    #[test]
    fn anything_but_one_vector_an_input_says_what_is_wrong() {
        for (body, says) in [
            (r#"{"data":[{"index":0,"embedding":[1]}]}"#, "1 came for 2 inputs"),
            (r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#, "two are for input 0"),
            (r#"{"data":[{"index":0,"embedding":[1]},{"index":7,"embedding":[1]}]}"#, "one is for input 7 of 2"),
            (r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}"#, "1 numbers, another 2"),
            (r#"{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[1]}]}"#, "number 0 is neither"),
            (r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":"AAA*"}]}"#, "number 1 is neither"),
            (r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":"AAAA"}]}"#, "number 1 is neither"),
            (r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[null]}]}"#, "number 1 is neither"),
            (r#"{"detail":"nothing"}"#, "not a list of vectors"),
            ("", "not a list of vectors"),
        ] {
            let error = decode(2, body.as_bytes()).unwrap_err();
            assert!(error.class == Class::Network && error.message.contains(says), "{body}: {error}");
        }
        let refused = decode(1, br#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#).unwrap_err();
        assert_eq!(refused.class, Class::RateLimit);
    }

    proptest! {
        #[test]
        fn any_floats_come_out_of_either_form(vector in prop::collection::vec(prop::num::f32::NORMAL, 1..9)) {
            const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let bytes: Vec<u8> = vector.iter().flat_map(|f| f.to_le_bytes()).collect();
            let mut text = String::new();
            for three in bytes.chunks(3) {
                let bits = three.iter().fold(0u32, |all, b| all << 8 | u32::from(*b)) << (8 * (3 - three.len()));
                text.extend((0..=three.len()).map(|n| LETTERS[(bits >> (18 - 6 * n)) as usize & 63] as char));
                text.extend(std::iter::repeat_n('=', 3 - three.len()));
            }
            prop_assert_eq!(floats(&format!("\"{text}\"")), Some(vector.clone()));
            prop_assert_eq!(floats(&serde_json::to_string(&vector).unwrap()), Some(vector));
        }
    }
}
