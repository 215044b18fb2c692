//! The header `anthropic-beta`: features that a request uses before they are everybody's.
//!
//! Thinking between tool calls is one for models that think with a budget, from 4.0 on; those that think as they find right
//! do it unasked, and some refuse the header.

use super::claude::{Claude, Thinks};
use super::thinking::Thinking;
use crate::model::Request;
use crate::wire::definitions;
use serde_json::Value;

const HEADER: &str = "anthropic-beta";
const INTERLEAVED: &str = "interleaved-thinking-2025-05-14";
/// The extension with which a caller names features itself.
pub const EXTENSION: &str = "betas";

/// The headers of a request: the caller's own features, and those that what is asked for needs.
pub fn headers(request: &Request, thinking: &Thinking) -> Vec<(&'static str, String)> {
    let own = request.extensions.get(super::NAME).and_then(|own| own.get(EXTENSION)?.as_array());
    let mut names: Vec<&str> = own.into_iter().flatten().filter_map(Value::as_str).filter(|name| is_token(name)).collect();
    let between_calls = thinking.is_on() && (!request.tools.is_empty() || !definitions::whole(request, super::NAME).is_empty());
    let asks = Claude::of(&request.model).is_some_and(|claude| claude.thinks() == Thinks::Budget && claude.interleaves());
    if between_calls && asks && !names.contains(&INTERLEAVED) {
        names.push(INTERLEAVED);
    }
    names.into_iter().map(|name| (HEADER, name.to_owned())).collect()
}

/// Whether a name can stand in a header: a client's field is not trusted with more.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ToolSpec;
    use serde_json::json;

    fn sent(model: &str, thinking: &Thinking, betas: &Value) -> Vec<String> {
        let tool = ToolSpec { name: "f".into(), description: String::new(), parameters: json!({}) };
        let mut request = Request { model: model.into(), tools: vec![tool].into(), ..Request::default() };
        request.extensions.entry(super::super::NAME.into()).or_default().insert(EXTENSION.into(), betas.clone());
        headers(&request, thinking).into_iter().map(|(_, value)| value).collect()
    }

    #[test]
    fn thinking_between_calls_is_asked_for_where_it_is_a_feature() {
        let budget = Thinking::Budget(2_048);
        for model in ["claude-sonnet-4-20250514", "claude-opus-4-5-20251101"] {
            assert_eq!(sent(model, &budget, &json!([])), [INTERLEAVED], "{model}");
            assert!(sent(model, &Thinking::Unasked, &json!([])).is_empty());
        }
        for model in ["claude-3-7-sonnet-20250219", "claude-opus-4-6", "kimi-k2"] {
            assert!(sent(model, &budget, &json!([])).is_empty(), "{model}");
        }
    }

    #[test]
    fn a_callers_own_features_are_sent_once_and_only_as_names() {
        let own = json!(["context-management-2025-06-27", INTERLEAVED, "bad\r\nname: x", 7]);
        assert_eq!(sent("claude-sonnet-4-5", &Thinking::Budget(2_048), &own), ["context-management-2025-06-27", INTERLEAVED]);
    }
}
