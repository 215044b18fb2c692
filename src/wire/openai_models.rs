//! The list of models of OpenAI and of the servers that are compatible with it, which say more of each, every one in its
//! own words.

use super::lenient::{Count, Text};
use super::{Wire, pieces};
use crate::model::{Listed, ListedPrice, ProviderError};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What the wire adds to a base URL for it.
pub const PATH: &str = "/models";

/// A model; of the fields that mean the same, the first one that is there counts.
#[derive(Debug, Default, Deserialize)]
struct Model<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    /// OpenRouter, Groq, Together.
    #[serde(default)]
    context_length: Count,
    /// Groq.
    #[serde(default)]
    context_window: Count,
    /// vLLM.
    #[serde(default)]
    max_model_len: Count,
    /// Mistral, LM Studio.
    #[serde(default)]
    max_context_length: Count,
    /// Groq.
    #[serde(default)]
    max_completion_tokens: Count,
    #[serde(default)]
    max_output_length: Count,
    top_provider: Option<TopProvider>,
    capabilities: Option<&'a RawValue>,
    /// llama.cpp.
    meta: Option<Meta>,
    pricing: Option<Value>,
}

/// OpenRouter: of the host that it passes the model on to.
#[derive(Debug, Default, Deserialize)]
struct TopProvider {
    #[serde(default)]
    context_length: Count,
    #[serde(default)]
    max_completion_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
struct Meta {
    #[serde(default)]
    n_ctx_train: Count,
}

/// Copilot.
#[derive(Debug, Default, Deserialize)]
struct Capabilities {
    limits: Option<Limits>,
}

#[derive(Debug, Default, Deserialize)]
struct Limits {
    #[serde(default)]
    max_context_window_tokens: Count,
    #[serde(default)]
    max_output_tokens: Count,
}

/// The models of a good reply, in its order; entries without an id are passed over.
pub fn decode(body: &[u8]) -> Result<Vec<Listed>, ProviderError> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    // Together's list stands alone.
    let bare = || serde_json::from_slice::<Vec<&RawValue>>(body).ok();
    let list = serde_json::from_slice::<Reply<'_>>(body).ok().map(|reply| reply.data).or_else(bare);
    let list = list.ok_or_else(|| pieces::other(Wire::OpenaiChat, body, "a list of models"))?;
    Ok(list.into_iter().filter_map(|raw| listed(&serde_json::from_str(raw.get()).ok()?)).collect())
}

fn listed(model: &Model<'_>) -> Option<Listed> {
    let known = |counts: &[Option<u64>]| counts.iter().copied().flatten().find(|n| *n > 0);
    let limits = model.capabilities.and_then(|c| serde_json::from_str::<Capabilities>(c.get()).ok()?.limits).unwrap_or_default();
    let top = model.top_provider.as_ref();
    Some(Listed {
        id: model.id.get()?.to_owned(),
        context: known(&[
            top.and_then(|t| t.context_length.0),
            model.context_length.0,
            model.context_window.0,
            model.max_model_len.0,
            model.max_context_length.0,
            limits.max_context_window_tokens.0,
            model.meta.as_ref().and_then(|m| m.n_ctx_train.0),
        ]),
        max_output: known(&[
            top.and_then(|t| t.max_completion_tokens.0),
            model.max_completion_tokens.0,
            model.max_output_length.0,
            limits.max_output_tokens.0,
        ]),
        price: model.pricing.as_ref().map(price).unwrap_or_default(),
    })
}

/// OpenRouter and Groq count by the token, as strings; Together by the million.
fn price(pricing: &Value) -> ListedPrice {
    let number = |key: &str| {
        let value = pricing.get(key)?;
        // Synthetic writes the currency too.
        let number: f64 = value.as_f64().or_else(|| value.as_str()?.trim().trim_start_matches('$').parse().ok())?;
        // A price that varies is written as -1, which is no price at all.
        (number.is_finite() && (number - -1.0).abs() > f64::EPSILON).then_some(number)
    };
    // Times a million leaves digits of the binary form behind, which no price has.
    let by_token = |key: &str| number(key).map(|n| (n * 1e6 * 1e9).round() / 1e9);
    let steps = pricing.get("overrides").and_then(Value::as_array).into_iter().flatten();
    ListedPrice {
        input: by_token("prompt").or_else(|| number("input")),
        cache_read: by_token("input_cache_read").or_else(|| number("cached_input")),
        cache_write: by_token("input_cache_write"),
        output: by_token("completion").or_else(|| number("output")),
        up_to: steps.filter_map(|step| step.get("min_prompt_tokens")?.as_u64()).min(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Class;

    #[test]
    fn each_server_says_it_in_its_own_words() {
        let body = br#"{"object":"list","data":[
            {"id":"plain","object":"model","created":1,"owned_by":"x"},
            {"id":"or/m","context_length":1000,"pricing":{"prompt":"0.0000003","completion":"0.000015","input_cache_read":"0.00000003","input_cache_write":"0","overrides":[{"min_prompt_tokens":900,"prompt":"1"}]},"top_provider":{"context_length":950,"max_completion_tokens":64}},
            {"id":"auto","pricing":{"prompt":"-1","completion":"-1"},"context_length":null},
            {"id":"groq","context_window":8,"max_completion_tokens":4},
            {"id":"vllm","max_model_len":16},
            {"id":"copilot","capabilities":{"limits":{"max_context_window_tokens":264000,"max_output_tokens":64000},"type":"chat"}},
            {"id":"synthetic","pricing":{"prompt":"$0.00000055","completion":"$0.00000219"}},
            {"id":"odd","capabilities":["completion"],"meta":{"n_ctx_train":32}},
            {"object":"model"}, "x"]}"#;
        let got = decode(body).unwrap();
        let row = |n: usize| (got[n].id.as_str(), got[n].context, got[n].max_output);
        assert_eq!(got.len(), 8);
        assert_eq!(got[0], Listed { id: "plain".into(), ..Listed::default() });
        assert_eq!(row(1), ("or/m", Some(950), Some(64)));
        assert_eq!(
            got[1].price,
            ListedPrice { input: Some(0.3), cache_read: Some(0.03), cache_write: Some(0.0), output: Some(15.0), up_to: Some(900) }
        );
        assert_eq!((row(2), got[2].price), (("auto", None, None), ListedPrice::default()));
        assert_eq!((row(3), row(4)), (("groq", Some(8), Some(4)), ("vllm", Some(16), None)));
        assert_eq!((row(5), row(6)), (("copilot", Some(264_000), Some(64_000)), ("synthetic", None, None)));
        assert_eq!((got[6].price.input, got[6].price.output, row(7)), (Some(0.55), Some(2.19), ("odd", Some(32), None)));
        let together = decode(br#"[{"id":"t","context_length":2,"pricing":{"hourly":0,"input":0.88,"output":1.2,"base":0}}]"#).unwrap();
        assert_eq!((together[0].price.input, together[0].price.output), (Some(0.88), Some(1.2)));
    }

    #[test]
    fn what_is_no_list_says_what_it_is() {
        assert!(decode(b"<html>").unwrap_err().message.contains("not a list of models: a web page"));
        let refused = decode(br#"{"error":{"message":"who are you?","code":"invalid_api_key"}}"#).unwrap_err();
        assert_eq!((refused.class, refused.message.as_str()), (Class::Auth, "who are you?"));
        assert_eq!(decode(br#"{"data":[]}"#), Ok(Vec::new()));
    }
}
