//! The provider's refusals, where they mean more on this wire than their words and status say; and the words for ours.
//!
//! The classifier that all wires share reads Google's shapes. What stands only in the details' reasons is added here, and
//! so is an error of another vendor's that Google passes on as JSON inside its message.

use crate::model::{Class, ProviderError, Scope};
use crate::wire::{anthropic, classify as shared, wait};
use serde_json::Value;

type Headers = [(String, String)];

/// From here on a wait is not worth the same account's while.
const LONG_S: f64 = 300.0;

/// An HTTP reply that is no success, or a success whose body is an error.
pub fn classify(status: u16, headers: &Headers, body: &[u8]) -> ProviderError {
    let facts = Facts::read(body);
    if let Some(inner) = facts.passed_on() {
        return anthropic::classify(status, headers, inner.as_bytes());
    }
    let mut error = shared::http(status, headers, body);
    facts.refine(&mut error, headers);
    error
}

/// An error inside a reply that began well.
pub fn in_band(data: &[u8]) -> ProviderError {
    let facts = Facts::read(data);
    if let Some(inner) = facts.passed_on() {
        return anthropic::in_band(inner.as_bytes());
    }
    let mut error = shared::in_band(data);
    facts.refine(&mut error, &[]);
    error
}

/// The error object of a body, wherever it stands.
struct Facts(Value);

impl Facts {
    fn read(body: &[u8]) -> Self {
        let mut root: Value = serde_json::from_slice(body).unwrap_or_default();
        if let Value::Array(items) = &mut root {
            root = items.first_mut().map(Value::take).unwrap_or_default();
        }
        Self(root.get_mut("error").map(Value::take).unwrap_or_default())
    }

    fn message(&self) -> &str {
        self.0.get("message").and_then(Value::as_str).unwrap_or_default()
    }

    /// Another vendor's whole error, as the text of this one's message.
    fn passed_on(&self) -> Option<&str> {
        let message = self.message().trim();
        let inner: Value = serde_json::from_str(message).ok()?;
        inner.get("error").filter(|e| e.is_object()).map(|_| message)
    }

    fn details(&self) -> impl Iterator<Item = &Value> {
        self.0.get("details").and_then(Value::as_array).into_iter().flatten()
    }

    fn has_reason(&self, reasons: &[&str]) -> bool {
        self.details().filter_map(|d| d.get("reason")?.as_str()).any(|r| reasons.contains(&r))
    }

    fn refine(&self, error: &mut ProviderError, headers: &Headers) {
        let message = self.message().to_ascii_lowercase();
        let one_model = self.details().any(|d| d.pointer("/metadata/model").is_some()) || message.contains("on this model");
        let account = if one_model { Scope::Model } else { Scope::Key };
        let wait = || wait::from_headers(headers).or_else(|| wait::from_error(&self.0, headers));
        let verdict = if self.has_reason(&["MODEL_CAPACITY_EXHAUSTED", "MODEL_CAPACITY_EXCEEDED"]) {
            (Class::Overloaded, Scope::Model)
        } else if self.has_reason(&["QUOTA_EXHAUSTED", "INSUFFICIENT_G1_CREDITS_BALANCE"]) {
            (Class::Quota, account)
        } else if self.has_reason(&["VALIDATION_REQUIRED"]) {
            (Class::Auth, Scope::Key)
        } else if message.contains("violation of terms of service") {
            (Class::Permission, Scope::Key)
        } else if error.class == Class::RateLimit && self.has_reason(&["RATE_LIMIT_EXCEEDED"]) && wait().is_some_and(|s| s > LONG_S) {
            (Class::Quota, account)
        } else if error.class == Class::RateLimit && one_model {
            (Class::RateLimit, Scope::Model)
        } else {
            return;
        };
        (error.class, error.scope) = verdict;
        if matches!(error.class, Class::Quota | Class::RateLimit | Class::Overloaded) {
            error.retry_after_s = error.retry_after_s.or_else(wait);
        }
    }
}

/// Number and status by which this wire's clients know a class, and what a message must contain for them to understand it.
pub const fn words(class: Class) -> (u16, &'static str, Option<&'static str>) {
    match class {
        Class::RateLimit => (429, "RESOURCE_EXHAUSTED", None),
        // Clients tell by these words that waiting for a minute does not help.
        Class::Quota => (429, "RESOURCE_EXHAUSTED", Some("daily limit")),
        Class::Billing => (402, "FAILED_PRECONDITION", None),
        Class::Overloaded => (503, "UNAVAILABLE", None),
        Class::Server => (500, "INTERNAL", None),
        Class::Network => (502, "INTERNAL", None),
        Class::Auth => (401, "UNAUTHENTICATED", None),
        Class::Permission => (403, "PERMISSION_DENIED", None),
        Class::ContextTooLong => (400, "INVALID_ARGUMENT", Some("The input token count exceeds the maximum number of tokens allowed")),
        Class::BadRequest | Class::ContentFilter => (400, "INVALID_ARGUMENT", None),
        Class::NotFound => (404, "NOT_FOUND", None),
        Class::Timeout => (504, "DEADLINE_EXCEEDED", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(status: u16, error: &Value) -> (Class, Scope, Option<f64>) {
        let e = classify(status, &[], json!({"error": error}).to_string().as_bytes());
        let array = classify(status, &[], json!([{"error": error}]).to_string().as_bytes());
        assert_eq!(e, array);
        (e.class, e.scope, e.retry_after_s)
    }

    fn info(reason: &str, metadata: &Value) -> Value {
        json!({"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata}]})
    }

    #[test]
    fn reasons_in_details_say_more_than_the_status() {
        for (status, error, want) in [
            (429, info("QUOTA_EXHAUSTED", &json!({"quotaResetDelay": "2h"})), (Class::Quota, Scope::Key, Some(7200.0))),
            (429, info("QUOTA_EXHAUSTED", &json!({"model": "m"})), (Class::Quota, Scope::Model, None)),
            (
                429,
                info("RATE_LIMIT_EXCEEDED", &json!({"model": "m", "quotaResetDelay": "539ms"})),
                (Class::RateLimit, Scope::Model, Some(0.539)),
            ),
            (429, info("RATE_LIMIT_EXCEEDED", &json!({"quotaResetDelay": "6m0s"})), (Class::Quota, Scope::Key, Some(360.0))),
            (429, info("RATE_LIMIT_EXCEEDED", &json!({})), (Class::RateLimit, Scope::Key, None)),
            (503, info("MODEL_CAPACITY_EXHAUSTED", &json!({})), (Class::Overloaded, Scope::Model, None)),
            (429, info("INSUFFICIENT_G1_CREDITS_BALANCE", &json!({})), (Class::Quota, Scope::Key, None)),
            (403, info("VALIDATION_REQUIRED", &json!({})), (Class::Auth, Scope::Key, None)),
            (403, json!({"code": 403, "message": "disabled for violation of Terms of Service"}), (Class::Permission, Scope::Key, None)),
            (400, info("API_KEY_INVALID", &json!({})), (Class::Auth, Scope::Key, None)),
            (
                400,
                json!({"code": 400, "message": "The input token count (9) exceeds the maximum number of tokens allowed (5).", "status": "INVALID_ARGUMENT"}),
                (Class::ContextTooLong, Scope::Request, None),
            ),
            (500, json!({"code": 500, "message": "Internal", "status": "INTERNAL"}), (Class::Server, Scope::Provider, None)),
            (
                503,
                json!({"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}),
                (Class::Overloaded, Scope::Model, None),
            ),
        ] {
            assert_eq!(verdict(status, &error), want, "{status} {error}");
        }
    }

    #[test]
    fn another_vendors_error_inside_the_message_is_read_as_that_vendors() {
        let inner = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "Prompt is too long"}}).to_string();
        let outer = json!({"code": 400, "message": inner, "status": "FAILED_PRECONDITION"});
        assert_eq!(verdict(400, &outer), (Class::ContextTooLong, Scope::Request, None));
        let e = in_band(json!({"error": outer}).to_string().as_bytes());
        assert_eq!((e.class, e.message.as_str()), (Class::ContextTooLong, "Prompt is too long"));
    }
}
