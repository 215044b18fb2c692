//! The list of models, page by page.

use crate::model::{Listed, ProviderError};
use crate::wire::lenient::{Count, Text};
use crate::wire::{Wire, pieces};
use serde::Deserialize;

/// What the wire adds to a base URL for the page behind the model `after`, or the first one.
pub fn models_path(after: Option<&str>) -> String {
    // As many as a page can hold: who has one page need not come again.
    let after = after.map(|id| format!("&after_id={id}")).unwrap_or_default();
    format!("/v1/models?limit=1000{after}")
}

/// The models of a good reply, and behind which of them the next page begins.
pub fn decode_models(body: &[u8]) -> Result<(Vec<Listed>, Option<String>), ProviderError> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow)]
        data: Vec<Entry<'a>>,
        #[serde(default)]
        has_more: bool,
        #[serde(borrow, default)]
        last_id: Text<'a>,
    }
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow, default)]
        id: Text<'a>,
        #[serde(default)]
        max_input_tokens: Count,
        #[serde(default)]
        max_tokens: Count,
    }
    let reply: Reply<'_> = serde_json::from_slice(body).map_err(|_| pieces::other(Wire::Anthropic, body, "a list of models"))?;
    let models = reply.data.into_iter().filter_map(|entry| {
        let (context, max_output) = (entry.max_input_tokens.0.filter(|n| *n > 0), entry.max_tokens.0.filter(|n| *n > 0));
        Some(Listed { id: entry.id.into_owned()?, context, max_output, ..Listed::default() })
    });
    Ok((models.collect(), reply.last_id.into_owned().filter(|_| reply.has_more)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let body = r#"{"data":[{"type":"model","id":"claude-a","max_input_tokens":200000,"max_tokens":64000},{"type":"model","id":"claude-b"}],
            "has_more":true,"first_id":"claude-a","last_id":"claude-b"}"#;
        let (models, next) = decode_models(body.as_bytes()).unwrap();
        assert_eq!((models[0].context, models[0].max_output, models[1].context), (Some(200_000), Some(64_000), None));
        assert_eq!(models_path(next.as_deref()), "/v1/models?limit=1000&after_id=claude-b");
        assert_eq!(decode_models(br#"{"data":[],"has_more":false,"last_id":null}"#), Ok((Vec::new(), None)));
        for body in ["", "<html>", "{}", r#"{"data":[{"#] {
            assert!(decode_models(body.as_bytes()).is_err(), "{body}");
        }
    }
}
