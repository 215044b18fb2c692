//! Refusals in the vendor's words, statuses and headers.

use super::{Sender, http, in_band_of};
use crate::model::{Class, Scope};
use crate::wire::Wire;

const DATE: (&str, &str) = ("date", "Wed, 19 Aug 2026 14:00:00 GMT");

fn judge(status: u16, headers: &[(&str, &str)], kind: &str, message: &str) -> (Class, Scope, Option<f64>) {
    let headers: Vec<(String, String)> = headers.iter().chain([&DATE]).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let body = serde_json::json!({"type": "error", "error": {"type": kind, "message": message}}).to_string();
    let error = http(Sender::new(Wire::Anthropic, "claude_code"), status, &headers, body.as_bytes());
    (error.class, error.scope, error.retry_after_s)
}

#[test]
fn types_and_messages() {
    for (status, kind, message, class, scope) in [
        (400, "invalid_request_error", "temperature: range: 0..1", Class::BadRequest, Scope::Request),
        (400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", Class::ContextTooLong, Scope::Request),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
            Class::ContextTooLong,
            Scope::Request,
        ),
        (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", Class::Billing, Scope::Key),
        (400, "invalid_request_error", "Output blocked by content filtering policy", Class::ContentFilter, Scope::Request),
        (400, "invalid_request_error", "This credential is only authorized for use with Claude Code", Class::Permission, Scope::Key),
        (400, "invalid_request_error", "You're out of extra usage.", Class::Quota, Scope::Key),
        (400, "invalid_request_error", "Extra usage is required for long context requests.", Class::Quota, Scope::Request),
        (400, "invalid_request_error", "This organization has been disabled.", Class::Permission, Scope::Key),
        (401, "authentication_error", "invalid x-api-key", Class::Auth, Scope::Key),
        (402, "billing_error", "pay", Class::Billing, Scope::Key),
        (403, "permission_error", "no", Class::Permission, Scope::Key),
        (404, "not_found_error", "model: x", Class::NotFound, Scope::Model),
        (409, "conflict_error", "again", Class::Server, Scope::Request),
        (413, "request_too_large", "too many bytes", Class::ContextTooLong, Scope::Request),
        (500, "api_error", "Internal server error", Class::Server, Scope::Provider),
        (504, "timeout_error", "slow", Class::Timeout, Scope::Provider),
        (529, "overloaded_error", "Overloaded", Class::Overloaded, Scope::Model),
    ] {
        let (c, s, _) = judge(status, &[], kind, message);
        assert_eq!((c, s), (class, scope), "{status} {kind}: {message}");
    }
}

#[test]
fn a_429_without_a_time_is_the_cap_on_spending() {
    let limit = |headers: &[(&str, &str)], message: &str| judge(429, headers, "rate_limit_error", message);
    assert_eq!(limit(&[("retry-after", "7")], "slow down"), (Class::RateLimit, Scope::Key, Some(7.0)));
    assert_eq!(limit(&[], "retry after 2s"), (Class::RateLimit, Scope::Key, Some(2.0)));
    assert_eq!(limit(&[], "no time"), (Class::Quota, Scope::Key, None));
    let pace = "This request would exceed your organization's rate limit of 30,000 input tokens per minute";
    assert_eq!(limit(&[], pace), (Class::RateLimit, Scope::Key, None));
    let spent = [
        ("anthropic-ratelimit-requests-remaining", "5"),
        ("anthropic-ratelimit-requests-reset", "2026-08-19T15:00:00Z"),
        ("anthropic-ratelimit-input-tokens-remaining", "0"),
        ("anthropic-ratelimit-input-tokens-reset", "2026-08-19T14:00:30Z"),
    ];
    assert_eq!(limit(&spent, "no time"), (Class::RateLimit, Scope::Key, Some(30.0)));
    let months = "You have reached your specified API usage limits. You will regain access on 2027-01-01 at 00:00 UTC.";
    assert_eq!(judge(400, &[], "invalid_request_error", months).0, Class::Quota);
}

#[test]
fn a_subscriptions_windows_say_how_far_it_reaches() {
    let unified = |pairs: &[(&str, &str)]| {
        let all: Vec<(String, &str)> = pairs.iter().map(|(k, v)| (format!("anthropic-ratelimit-unified-{k}"), *v)).collect();
        let all: Vec<(&str, &str)> = all.iter().map(|(k, v)| (k.as_str(), *v)).chain([("retry-after", "10")]).collect();
        judge(429, &all, "rate_limit_error", "limit")
    };
    // 1787148000 is the reply's own time.
    let plan = [
        ("status", "rejected"),
        ("5h-status", "rejected"),
        ("5h-reset", "1787149800"),
        ("7d-status", "allowed"),
        ("7d-reset", "1787752800"),
    ];
    assert_eq!(unified(&plan), (Class::Quota, Scope::Key, Some(1800.0)));
    let model = [
        ("status", "rejected"),
        ("5h-status", "allowed"),
        ("7d-status", "allowed"),
        ("7d_oi-status", "rejected"),
        ("7d_oi-reset", "2026-08-19T15:00:00Z"),
    ];
    assert_eq!(unified(&model), (Class::Quota, Scope::Model, Some(3600.0)));
    let healthy = [("status", "allowed"), ("5h-status", "allowed"), ("overage-status", "rejected")];
    assert_eq!(unified(&healthy), (Class::RateLimit, Scope::Model, Some(10.0)));
}

#[test]
fn inside_a_stream_there_is_no_status() {
    for (kind, class, scope) in [
        ("overloaded_error", Class::Overloaded, Scope::Model),
        ("api_error", Class::Server, Scope::Model),
        ("rate_limit_error", Class::RateLimit, Scope::Key),
        ("timeout_error", Class::Timeout, Scope::Provider),
        ("invalid_request_error", Class::BadRequest, Scope::Request),
    ] {
        let error =
            in_band_of(Wire::Anthropic.into(), format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}}}}"#).as_bytes());
        assert_eq!((error.class, error.scope, error.status, error.code.as_deref()), (class, scope, None, Some(kind)));
    }
}
