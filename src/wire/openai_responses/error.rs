//! A response that failed or was stopped, where that is its status and no event of its own.

use crate::model::{Class, ProviderError, Scope};
use crate::wire::classify::{self, Sender};

/// A response whose status is `failed`; `error` is its field of that name.
pub fn failed(sender: Sender, error: Option<&str>) -> ProviderError {
    match error {
        Some(error) => classify::in_band_of(sender, format!("{{\"error\":{error}}}").as_bytes()),
        None => ProviderError::new(Class::Server, Scope::Model, "the provider reported that the response failed, without a reason"),
    }
}

/// A response that somebody stopped; nothing says who.
pub fn cancelled() -> ProviderError {
    ProviderError::new(Class::Server, Scope::Model, "the response was cancelled before it was complete")
        .with_code(Some("cancelled".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Wire;

    #[test]
    fn errors_inside_a_reply_are_told_by_their_code() {
        let sender = Sender::from(Wire::OpenaiResponses);
        let event = |json: &str| classify::in_band_of(sender, json.as_bytes());
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
            let got = failed(sender, Some(&format!(r#"{{"code":"{code}","message":"m"}}"#)));
            assert_eq!((got.class, got.code.as_deref(), got.message.as_str()), (class, Some(code), "m"));
        }
        let flagged = failed(sender, Some(r#"{"code":"invalid_prompt","message":"flagged as potentially violating our usage policy"}"#));
        assert_eq!(flagged.class, Class::ContentFilter);
        assert_eq!((failed(sender, None).class, cancelled().class), (Class::Server, Class::Server));
    }
}
