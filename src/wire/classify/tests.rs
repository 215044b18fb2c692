//! The classifier: statuses, headers and bodies to class, scope and time.

use super::*;

fn verdict(status: u16, body: &str) -> (Class, Scope) {
    let error = http(status, &[], body.as_bytes());
    (error.class, error.scope)
}

#[test]
fn the_body_decides_before_the_status() {
    use Class::{
        Auth, BadRequest, Billing, ContentFilter, ContextTooLong, NotFound, Overloaded, Permission, Quota, RateLimit, Server, Timeout,
    };
    use Scope::{Key, Model, Provider, Request};
    let rows: &[(u16, &str, Class, Scope)] = &[
        (
            429,
            r#"{"error":{"message":"Rate limit reached for m on requests per min. Please try again in 1.2s","type":"requests","code":"rate_limit_exceeded"}}"#,
            RateLimit,
            Key,
        ),
        (
            429,
            r#"{"error":{"message":"Rate limit reached for model m on tokens per day (TPD): Limit 1, Used 1, Requested 3. Please try again in 9m38.016s","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Quota,
            Key,
        ),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            Billing,
            Key,
        ),
        (
            429,
            r#"{"error":{"message":"Request too large for m on tokens per min (TPM): Limit 30000, Requested 40000","type":"tokens","code":"rate_limit_exceeded"}}"#,
            ContextTooLong,
            Request,
        ),
        (429, r#"{"error":{"code":"1302","message":"High concurrency usage"}}"#, RateLimit, Key),
        (429, r#"{"error":{"code":"1113","message":"Insufficient balance"}}"#, Billing, Key),
        (429, r#"{"error":{"code":"1308","message":"Usage limit reached for 5 hour."}}"#, Quota, Key),
        (429, r#"{"error":{"code":"1312","message":"busy"}}"#, Overloaded, Model),
        (429, r#"{"error":{"message":"You've exceeded your subscription rate limits. Upgrade, or try again later"}}"#, Quota, Key),
        (
            429,
            r#"[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}]"#,
            Quota,
            Model,
        ),
        (
            429,
            r#"[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateContentInputTokensPerMinutePerProject"}]}]}}]"#,
            RateLimit,
            Key,
        ),
        (429, "maximum context length is 5 tokens", RateLimit, Key),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}"#,
            ContextTooLong,
            Request,
        ),
        (400, r#"{"error":{"message":"the request exceeds the available context size, try increasing it"}}"#, ContextTooLong, Request),
        (403, r#"{"error":{"message":"input tokens plus max_tokens exceed the maximum context length"}}"#, ContextTooLong, Request),
        (403, r#"{"error":{"message":"moderated","code":403,"metadata":{"reasons":["x"],"flagged_input":"y"}}}"#, ContentFilter, Request),
        (400, r#"{"error":{"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#, Auth, Key),
        (400, r#"{"error":{"message":"bad image","code":"invalid_image_url","type":"invalid_request_error"}}"#, BadRequest, Request),
        (403, r#"{"error":{"message":"Country not supported","code":"unsupported_country_region_territory"}}"#, Permission, Key),
        (402, r#"{"error":{"code":402,"message":"Insufficient credits"}}"#, Billing, Key),
        (402, r#"{"error":{"code":402,"message":"Prompt tokens limit exceeded: 9000 > 5000"}}"#, Billing, Request),
        (404, r#"{"detail":"Not Found"}"#, NotFound, Model),
        (408, "", Timeout, Provider),
        (413, "", ContextTooLong, Request),
        (498, "", Overloaded, Model),
        (500, r#"{"error":{"message":"The server had an error","type":"server_error"}}"#, Server, Provider),
        (503, r#"{"error":{"message":"Slow Down","type":"server_error"}}"#, Overloaded, Model),
        (503, r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#, Overloaded, Model),
        (502, "<html><head><title>502 Bad Gateway</title></head></html>", Server, Provider),
        (200, "<html><title>Just a moment...</title>", Class::Network, Provider),
        (422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, BadRequest, Request),
    ];
    for (status, body, class, scope) in rows {
        assert_eq!(verdict(*status, body), (*class, *scope), "{status} {body}");
    }
}

#[test]
fn a_message_is_short_and_says_what_the_upstream_said() {
    let shown = |status, body: &str| http(status, &[], body.as_bytes()).message;
    assert_eq!(shown(422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#), "field required");
    assert_eq!(shown(500, r#"{"error":"boom"}"#), "boom");
    assert_eq!(shown(500, "upstream connect error"), "upstream connect error");
    assert_eq!(shown(500, ""), "HTTP 500 without a message");
    assert_eq!(
        shown(
            429,
            r#"{"error":{"message":"Provider returned error","metadata":{"provider_name":"P","raw":"{\"error\":{\"message\":\"slow\"}}"}}}"#
        ),
        "Provider returned error: slow"
    );
    assert!(shown(502, "<html><title>502 Bad Gateway</title>").contains("502 Bad Gateway"));
    assert!(shown(400, &"x".repeat(9000)).len() < 500);
    assert!(!shown(500, "\u{1b}[31mred").contains('\u{1b}'));
}

#[test]
fn waits_and_ids_come_from_wherever_they_stand() {
    let headers = [("Retry-After".to_owned(), "2".to_owned()), ("X-Request-Id".to_owned(), "req_1".to_owned())];
    let error = http(429, &headers, br#"{"error":{"message":"Please try again in 9s","code":"rate_limit_exceeded"}}"#);
    assert_eq!((error.retry_after_s, error.request_id.as_deref(), error.status), (Some(2.0), Some("req_1"), Some(429)));
    assert_eq!(error.code.as_deref(), Some("rate_limit_exceeded"));
    assert_eq!(http(429, &[], br#"{"error":{"message":"Please try again in 9s"}}"#).retry_after_s, Some(9.0));
    assert_eq!(http(402, &headers, b"{}").class, Class::RateLimit, "a 402 with a time is not about money");
    assert_eq!(http(400, &headers, b"{}").retry_after_s, None, "waiting does not mend a bad request");
    let day = http(429, &[], br#"{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-day. Add credits"}}"#);
    assert_eq!(day.class, Class::Quota);
    assert!(day.retry_after_s.is_some_and(|s| s > 0.0 && s <= 86400.0), "{day:?}");
}

#[test]
fn in_band_errors_are_judged_by_their_own_number() {
    let of = |body: &str| {
        let e = in_band(body.as_bytes());
        assert_eq!(e.status, None);
        (e.class, e.scope)
    };
    assert_eq!(of(r#"{"error":{"code":502,"message":"Upstream died"}}"#), (Class::Server, Scope::Model));
    assert_eq!(of(r#"{"error":{"code":"server_error","message":"x"}}"#), (Class::Server, Scope::Model));
    assert_eq!(of(r#"{"error":{"message":"slow","code":"rate_limit_exceeded"}}"#), (Class::RateLimit, Scope::Key));
    assert_eq!(of(r#"{"object":"error","message":"maximum context length is 5","code":400}"#), (Class::ContextTooLong, Scope::Request));
    assert_eq!(of(r#"{"error":{"message":"failed","code":"tool_use_failed","status_code":400}}"#), (Class::Server, Scope::Request));
    assert_eq!(of(r#"{"error":{"message":"Overloaded","type":"overloaded_error"}}"#), (Class::Overloaded, Scope::Model));
    assert_eq!(of("not json at all"), (Class::Server, Scope::Model));
}
