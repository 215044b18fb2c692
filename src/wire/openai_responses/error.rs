//! The provider's refusals, where they mean more on this wire than their words and status say.
//!
//! Before a reply they come with an HTTP status; inside one as the event `error`, flat or with an object in it, sometimes
//! with the status and headers that it would have had; or as a response that failed.

use crate::model::{Class, ProviderError, Scope};
use crate::wire::classify as shared;
use serde_json::Value;

/// An HTTP reply that is no success, or a success whose body is an error.
pub fn classify(status: u16, headers: &[(String, String)], body: &[u8]) -> ProviderError {
    let mut error = shared::http(status, headers, body);
    // xAI writes the code beside an error that is only words.
    if error.code.is_none()
        && let Ok(root) = serde_json::from_slice::<Value>(body)
    {
        error.code = root.get("code").and_then(Value::as_str).map(str::to_owned);
    }
    refine(&mut error);
    error
}

/// An error inside a reply that began well.
pub fn in_band(data: &[u8]) -> ProviderError {
    let root = serde_json::from_slice::<Value>(data).unwrap_or_default();
    let listed = root.get("headers").and_then(Value::as_object).into_iter().flatten();
    let headers: Vec<(String, String)> =
        listed.map(|(k, v)| (k.to_ascii_lowercase(), v.as_str().map_or_else(|| v.to_string(), str::to_owned))).collect();
    let mut error = shared::http(0, &headers, data);
    error.status = None;
    // A reply that breaks off says nothing about the whole provider.
    if error.class == Class::Server && error.scope == Scope::Provider {
        error.scope = Scope::Model;
    }
    refine(&mut error);
    error
}

/// A response whose status is `failed`; `error` is its field of that name.
pub fn failed(error: Option<&str>) -> ProviderError {
    match error {
        Some(error) => in_band(format!("{{\"error\":{error}}}").as_bytes()),
        None => ProviderError::new(Class::Server, Scope::Model, "the provider reported that the response failed, without a reason"),
    }
}

/// A response that somebody stopped; nothing says who.
pub fn cancelled() -> ProviderError {
    ProviderError::new(Class::Server, Scope::Model, "the response was cancelled before it was complete")
        .with_code(Some("cancelled".to_owned()))
}

/// What code and message say that the shared rules do not know.
fn refine(error: &mut ProviderError) {
    // The event's own type is no code.
    if matches!(error.code.as_deref(), Some("error" | "response.failed")) {
        error.code = None;
    }
    let code = error.code.as_deref().unwrap_or_default();
    // Prompts that break the rules of use come under a code of their own and under this one.
    let policy =
        code == "image_content_policy_violation" || (code == "invalid_prompt" && error.message.to_ascii_lowercase().contains("policy"));
    // Inside a reply no status tells these from the provider's own failures.
    let bad = error.class == Class::Server
        && (code.starts_with("invalid_")
            || code.starts_with("image_")
            || matches!(
                code,
                "unsupported_parameter"
                    | "unsupported_file"
                    | "empty_image_file"
                    | "failed_to_download_image"
                    | "unsupported_image_media_type"
                    | "thinking_signature_invalid"
            ));
    if policy {
        (error.class, error.scope) = (Class::ContentFilter, Scope::Request);
    } else if bad {
        (error.class, error.scope) = (Class::BadRequest, Scope::Request);
    } else if code == "vector_store_timeout" {
        (error.class, error.scope) = (Class::Timeout, Scope::Provider);
    } else if code == "data_residency_mismatch" {
        (error.class, error.scope) = (Class::Permission, Scope::Key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_inside_a_reply_are_told_by_their_code() {
        let event = |json: &str| in_band(json.as_bytes());
        let rows = [
            (
                r#"{"type":"error","code":"rate_limit_exceeded","message":"Please try again in 1.5s","param":null,"sequence_number":3}"#,
                Class::RateLimit,
                Scope::Key,
                Some("rate_limit_exceeded"),
                Some(1.5),
            ),
            (
                r#"{"type":"error","error":{"type":"insufficient_quota","code":"insufficient_quota","message":"m"}}"#,
                Class::Billing,
                Scope::Key,
                Some("insufficient_quota"),
                None,
            ),
            (
                r#"{"type":"error","error":{"type":"usage_limit_reached","message":"m","resets_in_seconds":30},"status_code":429,"headers":{"X-Codex-Plan-Type":"plus"}}"#,
                Class::Quota,
                Scope::Key,
                Some("usage_limit_reached"),
                Some(30.0),
            ),
            (
                r#"{"type":"error","error":{"message":"m","status_code":429},"headers":{"Retry-After":7}}"#,
                Class::RateLimit,
                Scope::Key,
                None,
                Some(7.0),
            ),
            (r#"{"type":"error","code":null,"message":"it broke","param":null}"#, Class::Server, Scope::Model, None, None),
        ];
        for (json, class, scope, code, retry) in rows {
            let got = event(json);
            assert_eq!((got.class, got.scope, got.code.as_deref(), got.retry_after_s), (class, scope, code, retry), "{json}");
            assert_eq!(got.status, None);
        }
        for (code, class) in [
            ("server_error", Class::Server),
            ("context_length_exceeded", Class::ContextTooLong),
            ("server_is_overloaded", Class::Overloaded),
            ("slow_down", Class::Overloaded),
            ("usage_not_included", Class::Permission),
            ("bio_policy", Class::ContentFilter),
            ("invalid_prompt", Class::BadRequest),
            ("invalid_encrypted_content", Class::BadRequest),
            ("image_too_large", Class::BadRequest),
            ("vector_store_timeout", Class::Timeout),
            ("data_residency_mismatch", Class::Permission),
        ] {
            let got = failed(Some(&format!(r#"{{"code":"{code}","message":"m"}}"#)));
            assert_eq!((got.class, got.code.as_deref(), got.message.as_str()), (class, Some(code), "m"));
        }
        let flagged = failed(Some(r#"{"code":"invalid_prompt","message":"flagged as potentially violating our usage policy"}"#));
        assert_eq!(flagged.class, Class::ContentFilter);
        assert_eq!((failed(None).class, cancelled().class), (Class::Server, Class::Server));
    }
}
