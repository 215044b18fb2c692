//! Embeddings: texts to vectors. Every server that calls itself compatible has this one form.

use super::usage::WireUsage;
use crate::model::{EmbedRequest, Embeddings, Loss};
use crate::wire::json_out::Object;
use crate::wire::lenient::Text;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// What the wire adds to a base URL for this.
pub const EMBED_PATH: &str = "/embeddings";

/// The body that asks for the vectors of these texts, and what it leaves out.
pub fn encode_embed(request: &EmbedRequest) -> (Vec<u8>, Vec<Loss>) {
    let mut out = Vec::new();
    let mut o = Object::begin(&mut out);
    o.field("model", &request.model).field("input", &request.input).maybe("dimensions", request.dimensions.as_ref());
    o.field("encoding_format", "float");
    o.end();
    let losses = request.task.iter().map(|task| Loss::new("task", format!("this wire has no purpose of vectors, here {task}")));
    (out, losses.collect())
}

/// The vectors of a good reply, in the order of the texts; none where it has another form.
pub fn decode_embed(body: &[u8]) -> Option<Embeddings> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        data: Vec<Item>,
        #[serde(borrow, default)]
        model: Text<'a>,
        usage: Option<WireUsage>,
    }
    #[derive(Deserialize)]
    struct Item {
        index: Option<usize>,
        embedding: Vector,
    }
    let reply: Reply<'_> = serde_json::from_slice(body).ok()?;
    // Servers may answer out of order, and some do not number at all.
    let mut numbered: Vec<(usize, Vec<f32>)> =
        reply.data.into_iter().enumerate().map(|(at, item)| (item.index.unwrap_or(at), item.embedding.0)).collect();
    numbered.sort_by_key(|(index, _)| *index);
    let whole = numbered.iter().enumerate().all(|(at, (index, vector))| at == *index && !vector.is_empty());
    whole.then(|| Embeddings {
        vectors: numbered.into_iter().map(|(_, vector)| vector).collect(),
        usage: reply.usage.map(|u| u.neutral()).unwrap_or_default(),
        model: reply.model.into_owned(),
    })
}

/// Numbers, or the same as base64 of little-endian floats: some servers answer so unasked.
struct Vector(Vec<f32>);

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(VectorVisitor)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = Vector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vector, E> {
        let bytes = BASE64_STANDARD.decode(text).map_err(E::custom)?;
        let (floats, rest) = bytes.as_chunks::<4>();
        if rest.is_empty() { Ok(Vector(floats.iter().map(|f| f32::from_le_bytes(*f)).collect())) } else { Err(E::custom("half a number")) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vector, A::Error> {
        let mut all = Vec::with_capacity(seq.size_hint().unwrap_or(1536));
        while let Some(number) = seq.next_element()? {
            all.push(number);
        }
        Ok(Vector(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_go_out_together_and_what_has_no_field_is_named() {
        let request =
            EmbedRequest { model: "m".into(), input: vec!["a\n".into(), "b".into()], dimensions: Some(3), task: Some("query".into()) };
        let (body, losses) = encode_embed(&request);
        assert_eq!(String::from_utf8(body).unwrap(), r#"{"model":"m","input":["a\n","b"],"dimensions":3,"encoding_format":"float"}"#);
        assert_eq!(losses.len(), 1);
    }

    #[test]
    fn vectors_are_put_in_order_whether_numbers_or_base64() {
        let base64 = BASE64_STANDARD.encode([1.5f32, -2.0].map(f32::to_le_bytes).concat());
        let body = json!({"data": [{"index": 1, "embedding": [0.25, 4]}, {"index": 0, "embedding": base64}], "model": "m-1",
            "usage": {"prompt_tokens": 7, "total_tokens": 7}});
        let got = decode_embed(body.to_string().as_bytes()).unwrap();
        assert_eq!(got.vectors, [vec![1.5, -2.0], vec![0.25, 4.0]]);
        assert_eq!((got.usage.input, got.model.as_deref()), (Some(7), Some("m-1")));
        for wrong in [
            json!({"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}),
            json!({"data": [{"index": 1, "embedding": [1]}]}),
            json!({"data": [{"index": 0, "embedding": []}]}),
            json!({"data": [{"index": 0, "embedding": "AAA="}]}),
            json!({"error": {"message": "no"}}),
        ] {
            assert_eq!(decode_embed(wrong.to_string().as_bytes()), None, "{wrong}");
        }
    }
}
