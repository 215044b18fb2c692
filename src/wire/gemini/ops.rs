//! What else is asked of the provider: how many tokens a request has, vectors of texts, and which models there are.

use super::encode::Encoder;
use super::path::{self, Method};
use super::settings::Purpose;
use super::usage::WireUsage;
use crate::model::{EmbedRequest, Embeddings, Listed, ProviderError, Request};
use crate::wire::json_out::Object;
use crate::wire::lenient::{Count, Text};
use crate::wire::pieces;
use crate::wire::quirk::Dialect;
use crate::wire::{Encoded, Wire};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What is added to the base URL for the page of the list of models that this token names, or the first one.
pub fn models_path(token: Option<&str>) -> String {
    // As many as a page can hold: who has one page need not come again.
    let token = token.map(|token| format!("&pageToken={token}")).unwrap_or_default();
    format!("/v1beta/models?pageSize=1000{token}")
}

/// The request that asks how many tokens this one has, with its system prompt and tools.
pub fn encode_count(dialect: &Dialect, request: &Request) -> Encoded {
    let mut losses = Vec::new();
    let whole = Encoder::new(dialect.clone()).body(request, Purpose::Count, &[], &mut losses);
    let mut head = Vec::new();
    let mut outer = Object::begin(&mut head);
    let mut inner = Object::begin(outer.key("generateContentRequest"));
    inner.field("model", &path::resource(&request.model));
    head.push(b',');
    let mut body = vec![Bytes::from(head)];
    // The inner object's brace is already there.
    body.extend(whole.into_iter().enumerate().map(|(n, segment)| if n == 0 { segment.slice(1..) } else { segment }));
    body.push(Bytes::from_static(b"}"));
    Encoded { path: path::of(&request.model, Method::Count).into(), headers: Vec::new(), body, losses }
}

/// The count in a good reply, in tokens.
pub fn decode_count(body: &[u8]) -> Result<u64, ProviderError> {
    #[derive(Deserialize)]
    struct Reply {
        #[serde(default, rename = "totalTokens")]
        total: Count,
    }
    serde_json::from_slice::<Reply>(body).ok().and_then(|r| r.total.0).ok_or_else(|| other(body, "a token count"))
}

/// The request for one vector of each text.
pub fn encode_embed(_: &Dialect, request: &EmbedRequest) -> Encoded {
    let model = path::resource(&request.model);
    let mut out = Vec::new();
    let mut object = Object::begin(&mut out);
    object.list("requests", &request.input, |out, input| {
        let mut one = Object::begin(out);
        one.field("model", &model).object("content", |content| {
            content.list("parts", [input], |out, text| {
                let mut part = Object::begin(out);
                part.field("text", text);
                part.end();
            });
        });
        one.maybe("taskType", request.task.as_ref()).maybe("outputDimensionality", request.dimensions.as_ref());
        one.end();
    });
    object.end();
    Encoded { path: path::of(&request.model, Method::Embed).into(), headers: Vec::new(), body: vec![Bytes::from(out)], losses: Vec::new() }
}

/// The vectors in a good reply to a request with this many inputs.
pub fn decode_embed(inputs: usize, body: &[u8]) -> Result<Embeddings, ProviderError> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        embeddings: Option<Vec<Vector>>,
        embedding: Option<Vector>,
        #[serde(borrow, rename = "usageMetadata")]
        usage: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Vector {
        values: Vec<f32>,
    }
    let reply: Reply<'_> = serde_json::from_slice(body).map_err(|_| other(body, "a list of vectors"))?;
    let found = reply.embeddings.or_else(|| reply.embedding.map(|one| vec![one])).ok_or_else(|| other(body, "a list of vectors"))?;
    if found.len() != inputs {
        return Err(ProviderError::network(format!("the provider sent {} vectors for {inputs} inputs", found.len())));
    }
    let usage = reply.usage.and_then(|raw| serde_json::from_str::<WireUsage>(raw.get()).ok()).map(|u| u.neutral());
    Ok(Embeddings { vectors: found.into_iter().map(|v| v.values).collect(), usage: usage.unwrap_or_default(), model: None })
}

/// A page of the provider's list of models, and the token of the next one. The ids are those that requests name.
pub fn decode_models(body: &[u8]) -> Result<(Vec<Listed>, Option<String>), ProviderError> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow)]
        models: Vec<Model<'a>>,
        #[serde(borrow, default, rename = "nextPageToken")]
        next: Text<'a>,
    }
    #[derive(Deserialize)]
    struct Model<'a> {
        #[serde(borrow, default)]
        name: Text<'a>,
        #[serde(default, rename = "inputTokenLimit")]
        context: Count,
        #[serde(default, rename = "outputTokenLimit")]
        max_output: Count,
    }
    let reply: Reply<'_> = serde_json::from_slice(body).map_err(|_| other(body, "a list of models"))?;
    let listed = reply.models.into_iter().filter_map(|m| {
        let name = m.name.get()?;
        let id = name.strip_prefix("models/").unwrap_or(name).to_owned();
        Some(Listed { id, context: m.context.0, max_output: m.max_output.0, ..Listed::default() })
    });
    Ok((listed.collect(), reply.next.into_owned()))
}

fn other(body: &[u8], what: &str) -> ProviderError {
    pieces::other(Wire::Gemini, body, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Class, Message};

    #[test]
    fn a_count_is_asked_for_with_everything_that_has_tokens_and_nothing_else() {
        let request = Request {
            model: "gemini-2.5-flash".into(),
            messages: [Message::system("s"), Message::user("u")].into_iter().collect(),
            max_output: Some(5),
            seed: Some(i64::MAX),
            ..Request::default()
        };
        let encoded = encode_count(&Dialect::default(), &request);
        assert_eq!(encoded.path, "/v1beta/models/gemini-2.5-flash:countTokens");
        let want = r#"{"generateContentRequest":{"model":"models/gemini-2.5-flash","systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"u"}]}]}}"#;
        assert_eq!(String::from_utf8(encoded.to_vec()).unwrap(), want);
        assert_eq!(encoded.losses, []);
        assert_eq!(decode_count(br#"{"totalTokens":8}"#), Ok(8));
    }

    #[test]
    fn vectors_are_asked_for_in_one_request_and_counted() {
        let request = EmbedRequest {
            model: "models/e".into(),
            input: vec!["a".into(), "b".into()],
            dimensions: Some(2),
            task: Some("RETRIEVAL_QUERY".into()),
        };
        let encoded = encode_embed(&Dialect::default(), &request);
        assert_eq!(encoded.path, "/v1beta/models/e:batchEmbedContents");
        let one = |t: &str| {
            format!(
                r#"{{"model":"models/e","content":{{"parts":[{{"text":"{t}"}}]}},"taskType":"RETRIEVAL_QUERY","outputDimensionality":2}}"#
            )
        };
        assert_eq!(String::from_utf8(encoded.to_vec()).unwrap(), format!(r#"{{"requests":[{},{}]}}"#, one("a"), one("b")));
        let body = br#"{"embeddings":[{"values":[1,0.5]},{"values":[0,1]}],"usageMetadata":{"promptTokenCount":3}}"#;
        let got = decode_embed(2, body).unwrap();
        assert_eq!((got.vectors, got.usage.input), (vec![vec![1.0, 0.5], vec![0.0, 1.0]], Some(3)));
        assert!(decode_embed(3, body).unwrap_err().message.contains("2 vectors for 3"));
        assert_eq!(decode_embed(1, br#"{"embedding":{"values":[1]}}"#).unwrap().vectors.len(), 1);
    }

    #[test]
    fn anything_else_says_what_came() {
        for body in ["[]", "{}", r#"{"totalTokens":null}"#] {
            for message in [
                decode_count(body.as_bytes()).unwrap_err().message,
                decode_embed(1, body.as_bytes()).unwrap_err().message,
                decode_models(body.as_bytes()).unwrap_err().message,
            ] {
                assert!(message.ends_with(body) && message.contains("the reply is not a"), "{message}");
            }
        }
        let error = decode_count(br#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#).unwrap_err();
        assert_eq!((error.class, error.message.as_str()), (Class::Overloaded, "busy"));
        let body = br#"{"models":[{"name":"models/a","inputTokenLimit":5},{"displayName":"nameless"}],"nextPageToken":"T-1"}"#;
        let (listed, next) = decode_models(body).unwrap();
        assert_eq!(models_path(next.as_deref()), "/v1beta/models?pageSize=1000&pageToken=T-1");
        assert_eq!(listed.iter().map(|l| (l.id.as_str(), l.context)).collect::<Vec<_>>(), [("a", Some(5))]);
    }
}
