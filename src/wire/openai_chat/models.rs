//! The list of models, as many servers write it. They agree on the ids; windows and prices stand under many names, or
//! nowhere.

use crate::model::{Listed, ListedPrice};
use serde_json::Value;

/// What the wire adds to a base URL for this.
pub const MODELS_PATH: &str = "/models";

/// The models of a good reply; none where it has another form. Entries without an id are left out.
pub fn decode_models(body: &[u8]) -> Option<Vec<Listed>> {
    let root: Value = serde_json::from_slice(body).ok()?;
    // Together's list has nothing around it.
    let entries = root.as_array().or_else(|| root.get("data")?.as_array())?;
    Some(entries.iter().filter_map(listed).collect())
}

/// Where windows are told: vLLM, OpenRouter and Together, Groq, Mistral, Copilot, llama.cpp.
const CONTEXT: [&str; 7] = [
    "/max_model_len",
    "/top_provider/context_length",
    "/context_length",
    "/context_window",
    "/max_context_length",
    "/capabilities/limits/max_context_window_tokens",
    "/meta/n_ctx",
];

const MAX_OUTPUT: [&str; 5] = [
    "/top_provider/max_completion_tokens",
    "/max_completion_tokens",
    "/max_output_length",
    "/max_output_tokens",
    "/capabilities/limits/max_output_tokens",
];

fn listed(entry: &Value) -> Option<Listed> {
    let id = entry.get("id")?.as_str().filter(|id| !id.is_empty())?;
    let first = |places: &[&str]| places.iter().find_map(|place| entry.pointer(place)?.as_u64().filter(|n| *n > 0));
    let price = entry.get("pricing").map(price).unwrap_or_default();
    Some(Listed { id: id.to_owned(), context: first(&CONTEXT), max_output: first(&MAX_OUTPUT), price })
}

/// Two forms: text in dollars a token (OpenRouter, Synthetic), numbers in dollars a million (Together).
fn price(pricing: &Value) -> ListedPrice {
    let a_token = |name: &str| {
        let text = pricing.get(name)?.as_str()?.trim();
        text.strip_prefix('$').unwrap_or(text).parse::<f64>().ok().map(a_million)
    };
    let number = |name: &str| pricing.get(name)?.as_f64();
    let any = |name: &str, other: &str| a_token(name).or_else(|| number(other));
    let steps = pricing.get("overrides").and_then(Value::as_array).into_iter().flatten();
    ListedPrice {
        input: any("prompt", "input"),
        output: any("completion", "output"),
        cache_read: any("input_cache_read", "cached_input"),
        cache_write: a_token("input_cache_write"),
        up_to: steps.filter_map(|step| step.get("min_prompt_tokens")?.as_u64()).min(),
    }
}

/// Rid of the binary dust that comes with the multiplication: a price has no more than nine digits behind the point.
fn a_million(a_token: f64) -> f64 {
    (a_token * 1e15).round() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(entry: &Value) -> Listed {
        decode_models(json!({"object": "list", "data": [entry]}).to_string().as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn windows_and_prices_are_found_where_each_server_has_them() {
        let plain = one(&json!({"id": "gpt-4o", "object": "model", "owned_by": "system"}));
        assert_eq!(plain, Listed { id: "gpt-4o".into(), ..Listed::default() });
        let routed = one(
            &json!({"id": "a/b", "context_length": 1_000_000, "top_provider": {"context_length": 262_144, "max_completion_tokens": null},
            "pricing": {"prompt": "0.0000003", "completion": "0.000015", "input_cache_read": "0.00000003",
                "overrides": [{"min_prompt_tokens": 200_000, "prompt": "0.000006"}]}}),
        );
        assert_eq!((routed.context, routed.max_output), (Some(262_144), None));
        let price = ListedPrice { input: Some(0.3), output: Some(15.0), cache_read: Some(0.03), cache_write: None, up_to: Some(200_000) };
        assert_eq!(routed.price, price);
        let body = json!([{"id": "m", "context_length": 131_072, "pricing": {"hourly": 0, "input": 0.88, "output": 0.88, "base": 0}}]);
        let together = decode_models(body.to_string().as_bytes()).unwrap().remove(0);
        assert_eq!((together.context, together.price.input, together.price.output), (Some(131_072), Some(0.88), Some(0.88)));
        let synthetic =
            one(&json!({"id": "hf:x/y", "context_length": 8, "pricing": {"prompt": "$0.00000055", "completion": "$0.00000219"}}));
        assert_eq!((synthetic.price.input, synthetic.price.output), (Some(0.55), Some(2.19)));
        let groq = one(&json!({"id": "g", "context_window": 131_072, "max_completion_tokens": 32_768}));
        assert_eq!((groq.context, groq.max_output), (Some(131_072), Some(32_768)));
        let copilot =
            one(&json!({"id": "c", "capabilities": {"limits": {"max_context_window_tokens": 264_000, "max_output_tokens": 64_000}}}));
        assert_eq!((copilot.context, copilot.max_output), (Some(264_000), Some(64_000)));
    }

    #[test]
    fn what_is_no_list_is_none_and_what_makes_no_sense_is_absent() {
        for body in ["", "<html>", "{}", r#"{"data":{}}"#, r#"{"data":[{"id":"a"}"#, r#"{"error":{"message":"x"}}"#] {
            assert_eq!(decode_models(body.as_bytes()), None, "{body}");
        }
        assert_eq!(decode_models(br#"{"data":[{"id":""},{"id":7},{},null]}"#), Some(Vec::new()));
        let odd =
            one(&json!({"id": "x", "context_length": "many", "max_output_tokens": -3, "pricing": {"prompt": "free", "completion": {}}}));
        assert_eq!(odd, Listed { id: "x".into(), ..Listed::default() });
    }
}
