//! Counting tokens without an answer: the request, its reply, and the server's half of both.
//!
//! The body is that of an answer without its bound and its sampling. The request of a client is read by
//! [`super::decode_request`], which does not insist on a bound.

use super::encode::Encoder;
use super::settings::Purpose;
use crate::model::{ProviderError, Request};
use crate::wire::json_out::Object;
use crate::wire::lenient::Count;
use crate::wire::quirk::Dialect;
use crate::wire::{Encoded, Wire, pieces};
use serde::Deserialize;

/// What the wire adds to a base URL for this.
pub const COUNT_PATH: &str = "/v1/messages/count_tokens";

/// The request that asks how many tokens this one has.
pub fn encode_count(dialect: &Dialect, request: &Request) -> Encoded {
    let encoded = Encoder::new(dialect.clone()).encode_for(request, Purpose::Count);
    Encoded { path: COUNT_PATH.into(), ..encoded }
}

/// The count in a good reply, in tokens.
pub fn decode_count(body: &[u8]) -> Result<u64, ProviderError> {
    #[derive(Deserialize)]
    struct Reply {
        #[serde(default)]
        input_tokens: Count,
    }
    let count = serde_json::from_slice::<Reply>(body).ok().and_then(|r| r.input_tokens.0);
    count.ok_or_else(|| pieces::other(Wire::Anthropic, body, "a token count"))
}

/// The reply that tells a client its count.
pub fn encode_count_reply(tokens: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut o = Object::begin(&mut out);
    o.field("input_tokens", &tokens);
    o.end();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Message;

    #[test]
    fn a_count_is_asked_for_with_everything_that_has_tokens_and_nothing_else() {
        let request = Request {
            model: "m".into(),
            messages: [Message::system("s"), Message::user("u")].into_iter().collect(),
            max_output: Some(5),
            temperature: Some(0.0),
            stop: vec!["x".into()],
            stream: true,
            ..Request::default()
        };
        let encoded = encode_count(&Dialect::default(), &request);
        let (body, losses) = (encoded.to_vec(), encoded.losses);
        let want =
            r#"{"model":"m","system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"u"}]}]}"#;
        assert_eq!(String::from_utf8(body.clone()).unwrap(), want);
        assert!(losses.is_empty());
        assert_eq!(super::super::decode_request(&body).unwrap().max_output, None);
    }

    #[test]
    fn counts_round_trip_and_anything_else_says_what_came() {
        assert_eq!(decode_count(&encode_count_reply(14)), Ok(14));
        for body in ["[]", "{}", r#"{"input_tokens":null}"#, r#"{"input_tokens":-1}"#] {
            let error = decode_count(body.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(body), "{error}");
        }
    }
}
