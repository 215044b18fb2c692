//! Statuses, headers and bodies to class, scope and time. The vendors' own rules are in `vendor_tests`.

use super::*;
use proptest::prelude::*;

/// 2026-08-19T14:00:00Z.
pub const AT: u64 = 1_787_148_000_000;

pub fn headers(lines: &str) -> Vec<(String, String)> {
    lines.split('|').filter_map(|l| l.split_once(": ")).map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())).collect()
}

/// "class scope seconds" of a refusal; the time is left out where there is none.
pub fn outcome(error: &ProviderError) -> String {
    let time = error.retry_after_s.map(|s| format!(" {}", (s * 1e6).round() / 1e6)).unwrap_or_default();
    format!("{} {}{time}", error.class.as_str(), error.scope.as_str())
}

/// What a reply means: provider (`-` for none), status, headers, body.
pub fn judge(provider: &str, status: u16, lines: &str, body: &str) -> String {
    let wire = if matches!(provider, "anthropic" | "claude_code") { Wire::Anthropic } else { Wire::OpenaiChat };
    let sender = Sender::new(wire, if provider == "-" { "" } else { provider }).at(AT);
    outcome(&http(sender, status, &headers(lines), body.as_bytes()))
}

/// Lines of `provider status (headers) body => outcome`, where headers and body may be missing.
pub fn check(rows: &str) {
    for row in rows.lines().map(str::trim).filter(|r| !r.is_empty() && !r.starts_with("//")) {
        let (reply, want) = row.rsplit_once(" => ").unwrap();
        let (provider, rest) = reply.split_once(' ').unwrap();
        let (status, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let (lines, body) = rest.strip_prefix('(').and_then(|r| r.split_once(')')).unwrap_or(("", rest));
        assert_eq!(judge(provider, status.parse().unwrap(), lines, body.trim_start()), want, "{row}");
    }
}

#[test]
fn bodies_decide_before_statuses_whoever_sends_them() {
    check(
        r#"
        - 429 {"error":{"message":"Rate limit reached for m on requests per min. Please try again in 1.2s","type":"requests","code":"rate_limit_exceeded"}} => rate_limit key 1.2
        - 429 {"error":{"message":"Rate limit reached for m on tokens per day (TPD): Limit 1, Used 1. Please try again in 9m38.016s","code":"rate_limit_exceeded"}} => quota key 578.016
        - 429 {"error":{"message":"You exceeded your current quota, please check your plan.","type":"insufficient_quota","code":"insufficient_quota"}} => billing key
        - 429 {"error":{"message":"You exceeded your current quota, please check your plan."}} => billing key
        - 429 {"code":"Some resource has been exhausted","error":"Your team has used all available credits"} => billing key
        - 429 {"error":{"message":"Request too large for m on tokens per min (TPM): Limit 30000, Requested 40000","type":"tokens","code":"rate_limit_exceeded"}} => context_too_long request
        - 413 {"error":{"message":"Request too large for model m","type":"tokens","code":"rate_limit_exceeded"}} => context_too_long request
        - 429 {"error":{"code":"1302","message":"High concurrency usage"}} => rate_limit key
        - 429 {"error":{"code":"1113","message":"Insufficient balance"}} => billing key
        - 401 {"error":{"type":"authentication_error","message":"This login is only authorized for use with Acme Code."}} => permission key
        - 429 maximum context length is 5 tokens => rate_limit key
        - 429 {"error":{"message":"The engine is currently overloaded, please try again later"}} => overloaded model
        - 400 {"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}} => context_too_long request
        - 400 {"error":{"message":"the request exceeds the available context size, try increasing it"}} => context_too_long request
        - 400 {"error":{"message":"Input is too long for requested model."}} => context_too_long request
        - 400 {"error":{"message":"The input token count (9) exceeds the maximum number of tokens allowed (8)."}} => context_too_long request
        - 400 {"error":{"message":"prompt token count of 135168 exceeds the limit of 128000"}} => context_too_long request
        - 400 {"error":{"message":"max_tokens exceeds the limit of 8192"}} => bad_request request
        - 400 {"error":{"message":"You passed 5000 input tokens. However, the model's context length is only 4096 tokens."}} => context_too_long request
        - 400 {"error":{"message":"The decoder prompt (length 9) is longer than the maximum model length of 8."}} => context_too_long request
        - 400 {"error":"Trying to keep the first 9000 tokens. However, the model is loaded with context length of only 4096 tokens"} => context_too_long request
        - 400 {"error":"prompt too long; exceeded max context length by 4 tokens"} => context_too_long request
        - 400 {"error":"`inputs` must have less than 1024 tokens. Given: 2000"} => context_too_long request
        - 400 {"error":"The model has crashed without additional information. (Exit code: 1)"} => server model
        - 400 {"error":{"message":"Budget has been exceeded!","type":"budget_exceeded","code":"400"}} => quota key
        - 400 {"code":20015,"message":"length of prompt_tokens (40000) must be less than max_seq_len (32768)."} => context_too_long request
        - 400 {"error":{"message":"`tool calling` is not supported with this model"}} => bad_request model
        - 400 {"error":{"message":"\"gemma3:latest\" does not support thinking"}} => bad_request model
        - 400 {"error":{"message":"x is not a multimodal model","type":"BadRequestError","code":400}} => bad_request model
        - 500 {"error":{"code":500,"message":"tools param requires --jinja flag","type":"server_error"}} => bad_request model
        - 500 {"error":{"code":500,"message":"image input is not supported - hint: you may need to provide the mmproj"}} => bad_request model
        - 400 {"error":"Model unloaded."} => server model
        - 400 {"error":{"message":"Failed to load model \"qwen\". Error: Insufficient system resources."}} => server model
        - 429 {"detail":{"error":"Model busy, retry later"}} => overloaded model
        - 429 {"detail":"Infrastructure is at maximum capacity, try again later"} => overloaded model
        - 403 {"code":403,"reason":"NOT_ENOUGH_BALANCE","message":"x"} => billing key
        - 403 {"error":{"message":"x","type":"new_api_error","code":"insufficient_user_quota"}} => billing key
        - 412 {"error":{"code":"PRECONDITION_FAILED","message":"Account x is suspended, possibly due to reaching the monthly spending limit"}} => billing key
        - 403 {"code":30001,"message":"Sorry, your account balance is insufficient"} => billing key
        - 429 {"message":"You are using a Trial key, which is limited to 1000 API calls / month."} => quota key
        - 429 {"error":{"code":"RateLimitReached","message":"Rate limit of 50 per 86400s exceeded for UserByModelByDay. Please wait 400 seconds"}} => quota key 400
        - 200 {"base_resp":{"status_code":1008,"status_msg":"insufficient balance"},"choices":null} => billing key
        - 200 {"base_resp":{"status_code":1002,"status_msg":"rate limit exceeded(RPM)"}} => rate_limit key
        - 400 {"error":{"message":"Invalid 'input': string too long.","code":"string_above_max_length","param":"input"}} => context_too_long request
        - 400 {"error":{"message":"Invalid id: string too long.","code":"string_above_max_length","param":"messages[1].tool_calls[0].id"}} => bad_request request
        - 403 {"error":{"message":"input tokens plus max_tokens exceed the maximum context length"}} => context_too_long request
        - 403 {"error":{"message":"moderated","code":403,"metadata":{"reasons":["x"],"flagged_input":"y"}}} => content_filter request
        - 400 {"error":{"message":"filtered","code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}} => content_filter request
        - 400 {"error":{"message":"no","code":"cyber_policy"}} => content_filter request
        - 400 {"code":"invalid-argument","error":"Incorrect API key provided. See https://console.x"} => auth key
        - 400 {"error":{"message":"bad image","code":"invalid_image_url","type":"invalid_request_error"}} => bad_request request
        - 400 {"error":{"code":"model_not_found","message":"The requested model does not exist."}} => not_found model
        - 400 {"error":"registry.ollama.ai/library/phi does not support tools"} => bad_request model
        - 400 {"error":{"message":"failed","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"x"}} => server request
        - 400 {"detail":"Unsupported parameter: max_output_tokens"} => bad_request request
        - 403 {"error":{"message":"Country not supported","code":"unsupported_country_region_territory"}} => permission provider
        - 404 {"error":{"message":"Item with id 'rs_1' not found. Items are not persisted."}} => bad_request request
        - 503 {"error":{"message":"Slow Down","type":"server_error"}} => overloaded model
        - 503 {"error":{"message":"Loading model","type":"unavailable_error","code":503}} => overloaded model
        - 503 {"error":"Model x is currently loading","estimated_time":20.5} => overloaded model 20.5
        - 429 {"object":"error","message":"Service tier capacity exceeded for this model.","type":"service_tier_capacity_exceeded","code":"3505"} => overloaded model
        - 400 {"error":"invalid_grant","error_description":"Refresh token not found or invalid"} => auth key
        - 401 {"error":{"code":"refresh_token_reused","message":"used before"}} => auth key
        - 403 {"error":"access_denied","error_description":"missing_codex_entitlement"} => permission key
        - 400 {"error":"authorization_pending"} => server request
        - 400 {"error":"slow_down"} => overloaded model
        - 429 {"error":{"type":"usage_limit_reached","message":"hit","resets_in_seconds":120,"resets_at":1787148999}} => quota key 120
        - 429 {"error":{"type":"usage_limit_reached","message":"hit","resets_at":1787148060}} => quota key 60
        - 429 {"error":{"type":"usage_not_included","message":"no codex"}} => permission key
        "#,
    );
}

#[test]
fn statuses_decide_where_nothing_else_does() {
    check(
        r#"
        - 400 => bad_request request
        - 401 => auth key
        - 402 => billing key
        - 402 (retry-after: 2) {} => rate_limit key 2
        - 403 => permission key
        - 404 {"detail":"Not Found"} => not_found model
        - 405 => bad_request request
        - 407 => network provider
        - 408 => timeout provider
        - 409 => server request
        - 409 (x-should-retry: false) => bad_request request
        - 410 => not_found model
        - 413 => context_too_long request
        - 418 (x-should-retry: true) => server request
        - 421 Misdirected Request => network provider
        - 422 {"detail":[{"loc":["body"],"msg":"field required"}]} => bad_request request
        - 425 => server request
        - 429 => rate_limit key
        - 429 (retry-after: 7) => rate_limit key 7
        - 498 => bad_request request
        - 500 {"error":{"message":"The server had an error","type":"server_error"}} => server provider
        - 502 upstream connect error => server provider
        - 503 (retry-after: Wed, 19 Aug 2026 14:00:30 GMT) => overloaded model 30
        - 504 => timeout provider
        - 520 => server provider
        - 529 => overloaded model
        - 599 => server provider
        "#,
    );
}

#[test]
fn pages_redirects_and_silence_are_the_networks() {
    check(
        r"
        - 200 <html><head><title>Just a moment...</title></head></html> => network provider
        - 400 <html><center>cloudflare</center>400 Bad Request => network provider
        - 403 <html><head><title>Just a moment...</title></head></html> => network provider
        - 401 <html><head><title>Just a moment...</title></head></html> => auth key
        - 404 <html><head><title>Just a moment...</title></head></html> => not_found model
        - 413 <html><head><title>Just a moment...</title></head></html> => context_too_long request
        - 429 <html><head><title>Just a moment...</title></head></html> => rate_limit provider
        - 502 <!DOCTYPE html> => server provider
        - 503 <html><head><title>Just a moment...</title></head></html> => overloaded model
        - 302 (location: https://login.example/) => network provider
        - 200 => network provider
        - 200 all is well => network provider
        ",
    );
}

#[test]
fn an_error_is_found_wherever_it_stands() {
    let limit = r#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}"#;
    let inner = serde_json::to_string(limit).unwrap();
    for body in [
        limit.to_owned(),
        format!("[{limit}]"),
        format!("\u{feff}\n [ {limit} ]\n"),
        format!(r#"[{{"candidates":[]}},{limit}]"#),
        format!(r#"{{"candidates":[]}}{limit}"#),
        format!("event: error\ndata: {limit}\n\n"),
        format!(": hello\n\ndata: {{\"choices\":[]}}\n\ndata: {limit}\n\ndata: [DONE]\n\n"),
        format!(r#"{{"error":{{"code":500,"message":{inner}}}}}"#),
        format!(r#"{{"error":{{"message":{}}}}}"#, serde_json::to_string(&format!("got status 429. {limit}")).unwrap()),
        format!(r#"{{"type":"response.failed","response":{limit}}}"#),
        format!(r#"{{"custom_id":"1","result":{{"type":"errored",{}}}}}"#, limit.trim_matches(['{', '}']).to_owned() + "}"),
        format!(r#"{{"custom_id":"1","response":{{"status_code":429,"body":{limit}}},"error":null}}"#),
        limit.trim_end_matches('}').to_owned(),
    ] {
        let error = refusal(Sender::default(), 200, &[], body.as_bytes()).unwrap_or_else(|| panic!("nothing found in {body}"));
        assert_eq!(outcome(&error), "rate_limit key", "{body}");
        assert!(error.message.starts_with("slow"), "{body}: {}", error.message);
    }
    let flat = refusal(Sender::default(), 200, &[], br#"{"type":"error","code":"server_error","message":"x","param":null}"#).unwrap();
    assert_eq!((outcome(&flat).as_str(), flat.code.as_deref()), ("server model", Some("server_error")));
}

#[test]
fn a_good_reply_is_no_refusal_unless_it_carries_bad_news() {
    let good = |lines: &str, body: &str| refusal(Sender::default(), 200, &headers(lines), body.as_bytes()).map(|e| outcome(&e));
    let chat = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"error":null}"#;
    assert_eq!(good("", chat), None);
    assert_eq!(good("x-ratelimit-remaining-requests: 0|x-ratelimit-reset-requests: 5s", chat), None);
    assert_eq!(good("", r#"{"choices":[],"base_resp":{"status_code":0,"status_msg":""}}"#), None);
    let spent =
        "anthropic-ratelimit-unified-status: rejected|anthropic-ratelimit-unified-reset: 1787148060|date: Wed, 19 Aug 2026 14:00:00 GMT";
    assert_eq!(good(spent, chat).as_deref(), Some("quota key 60"));
    for withheld in [
        r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#,
        r#"{"candidates":[{"finishReason":"PROHIBITED_CONTENT"}]}"#,
        r#"{"response":{"candidates":[{"finishReason":"SAFETY"}]}}"#,
        r#"{"choices":[{"finish_reason":"content_filter"}]}"#,
        r#"{"type":"message","stop_reason":"refusal"}"#,
        r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"content_filter"}}}"#,
    ] {
        assert_eq!(good("", withheld).as_deref(), Some("content_filter request"), "{withheld}");
    }
}

#[test]
fn words_alone_are_an_error_where_they_are_the_whole_answer() {
    check(
        r#"
        - 200 {"message":"something broke"} => server model
        - 200 {"detail":"something broke"} => server model
        - 200 {"detail":{"code":"deactivated_workspace"}} => permission key
        - 402 {"detail":{"code":"deactivated_workspace"}} => permission key
        - 200 {"detail":"Not authenticated"} => auth key
        - 200 {"message":"Unauthorized"} => auth key
        - 200 {"message":"The upstream request timed out"} => timeout provider
        - 200 {"msg":"rate limit hit, try again in 3s"} => rate_limit key 3
        - 200 {"message":"Wrong API Key","type":"invalid_request_error","code":"wrong_api_key"} => auth key
        - 200 {"detail":"prompt is too long: 9 tokens > 8 maximum"} => context_too_long request
        - 200 {"detail":[{"loc":["body"],"msg":"field required"}]} => bad_request request
        - 422 {"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000","error_type":"validation"} => context_too_long request
        - 200 {"error":"Model is overloaded","error_type":"overloaded"} => overloaded model
        - 400 {"detail":"The 'm' model is not supported when using Codex with a ChatGPT account."} => not_found model
        "#,
    );
    for good in [
        r#"{"id":"m","type":"message","role":"assistant","content":[],"message":"hi"}"#,
        r#"{"data":[],"message":"ok"}"#,
        "data: {\"message\":\"queued\"}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n",
        r#"{"type":"message_start","message":{"id":"m"}}"#,
    ] {
        assert_eq!(refusal(Sender::default(), 200, &[], good.as_bytes()), None, "{good}");
    }
}

#[test]
fn a_message_is_short_and_says_what_the_upstream_said_and_what_to_do() {
    let shown = |status, body: &str| http(Sender::default(), status, &[], body.as_bytes()).message;
    assert_eq!(shown(422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#), "field required");
    assert_eq!(shown(500, r#"{"error":"boom"}"#), "boom");
    assert_eq!(shown(400, r#"{"error":"invalid_grant","error_description":"revoked"}"#), "revoked");
    assert_eq!(shown(500, "upstream connect error"), "upstream connect error");
    assert_eq!(shown(500, ""), "HTTP 500 without a message");
    assert_eq!(shown(200, ""), "an empty answer");
    // Control characters and white space are no words.
    assert_eq!(shown(400, "\u{1} \u{b}"), "HTTP 400 without a message");
    assert_eq!(shown(400, r#"{"error":{"message":" \u0000 "}}"#), "HTTP 400 without a message");
    assert_eq!(
        shown(
            429,
            r#"{"error":{"message":"Provider returned error","metadata":{"provider_name":"P","raw":"{\"error\":{\"message\":\"slow\"}}"}}}"#
        ),
        "Provider returned error: slow"
    );
    let verify = r#"{"error":{"code":403,"message":"Verify your account","status":"PERMISSION_DENIED","details":[{"reason":"VALIDATION_REQUIRED"},{"links":[{"url":"https://g.co/v"}]}]}}"#;
    assert_eq!(shown(403, verify), "Verify your account (see https://g.co/v)");
    let moved = http(Sender::default(), 307, &headers("Location: https://login.example/a"), b"");
    assert_eq!(moved.message, "the server redirects to https://login.example/a; is the base URL right?");
    assert!(shown(502, "<html><title>502 Bad Gateway</title>").contains("502 Bad Gateway"));
    assert!(shown(400, &"x".repeat(9000)).len() < 1100);
    let limits = format!("{}Please retry in 48.9s.", "* Quota exceeded for metric: m, limit: 20, model: g\n".repeat(12));
    assert_eq!(shown(429, &serde_json::json!({"error": {"message": limits}}).to_string()), limits, "the time comes last");
    for red in ["\u{1b}[31mred", r#"{"error":{"message":"\u001b[31mred"}}"#] {
        assert_eq!(shown(500, red), "red");
    }
}

#[test]
fn waits_come_from_wherever_they_stand_and_only_where_waiting_helps() {
    let error = http(
        Sender::default(),
        429,
        &headers("Retry-After: 2|X-Request-Id: req_1"),
        br#"{"error":{"message":"Please try again in 9s","code":"rate_limit_exceeded"}}"#,
    );
    assert_eq!((error.retry_after_s, error.request_id.as_deref(), error.status), (Some(2.0), Some("req_1"), Some(429)));
    assert_eq!(error.code.as_deref(), Some("rate_limit_exceeded"));
    check(
        r#"
        - 429 {"error":{"message":"Please try again in 9s"}} => rate_limit key 9
        - 429 {"error":{"message":"slow","metadata":{"retry_after_seconds":3.5}}} => rate_limit key 3.5
        - 429 {"error":{"message":"slow","metadata":{"retry_after":"8"}}} => rate_limit key 8
        - 429 {"error":{"message":"slow","retry_after_ms":1500}} => rate_limit key 1.5
        - 429 {"error":{"message":"slow","retryAfter":"30s"}} => rate_limit key 30
        - 429 {"error":{"message":"slow","reset_at":"2026-08-19T14:02:00Z"}} => rate_limit key 120
        - 429 {"error":{"message":"slow"},"retry_after":11} => rate_limit key 11
        - 429 {"error":"slow","retry_after":11} => rate_limit key 11
        - 429 (retry-after: -3) {"error":{"message":"Please try again in 9s"}} => rate_limit key 9
        - 429 (retry-after: 0) => rate_limit key 0
        - 429 (retry-after: 4000000) => rate_limit key
        // Windows count only when they are spent, and only where nothing more exact was said.
        - 429 (x-ratelimit-remaining-requests: 5|x-ratelimit-reset-requests: 9m|x-ratelimit-remaining-tokens: 0|x-ratelimit-reset-tokens: 7.66s) => rate_limit key 7.66
        - 429 (x-ratelimit-remaining-requests: 5|x-ratelimit-reset-requests: 9m) => rate_limit key
        - 429 (x-ratelimit-remaining-tokens: 0|x-ratelimit-reset-tokens: 8s) {"error":{"message":"try again in 1.5s"}} => rate_limit key 1.5
        - 500 (x-ratelimit-remaining-tokens: 0|x-ratelimit-reset-tokens: 8s) => server provider
        - 400 (retry-after: 9) {} => bad_request request
        - 401 (retry-after: 9) {} => auth key
        - 500 (retry-after: 9) {} => server provider 9
        "#,
    );
}

#[test]
fn a_clock_that_is_wrong_changes_nothing_that_the_server_dates_itself() {
    let dated = headers("date: Wed, 19 Aug 2026 14:00:00 GMT|retry-after: Wed, 19 Aug 2026 14:01:00 GMT");
    let body = br#"{"error":{"type":"usage_limit_reached","message":"m","resets_at":1787148060}}"#;
    for clock in [None, Some(0), Some(AT - 40 * 86_400_000), Some(AT + 400 * 86_400_000), Some(u64::MAX)] {
        let sender = clock.map_or_else(Sender::default, |ms| Sender::default().at(ms));
        assert_eq!(http(sender, 429, &dated, b"").retry_after_s, Some(60.0), "{clock:?}");
        assert_eq!(http(sender, 429, &dated[..1], body).retry_after_s, Some(60.0), "{clock:?}");
        // Undated, a clock can only be believed: then nothing absurd comes of it.
        let blind = http(sender, 429, &[], body).retry_after_s;
        assert!(blind.is_none_or(|s| (0.0..=35.0 * 86400.0).contains(&s)), "{clock:?}: {blind:?}");
    }
    assert_eq!(http(Sender::default(), 429, &[], body).retry_after_s, None);
}

#[test]
fn in_band_errors_are_judged_by_their_own_number() {
    let of = |body: &str| {
        let e = in_band(body.as_bytes());
        assert_eq!(e.status, None);
        outcome(&e)
    };
    for (body, want) in [
        (r#"{"error":{"code":502,"message":"Upstream died"}}"#, "server model"),
        (r#"{"error":{"code":"server_error","message":"x"}}"#, "server model"),
        (r#"{"error":{"message":"slow","code":"rate_limit_exceeded"}}"#, "rate_limit key"),
        (r#"{"object":"error","message":"maximum context length is 5","code":400}"#, "context_too_long request"),
        (r#"{"error":{"message":"failed","code":"tool_use_failed","status_code":400}}"#, "server request"),
        (r#"{"error":{"message":"Overloaded","type":"overloaded_error"}}"#, "overloaded model"),
        (r#"{"error":{"message":"bad","type":"invalid_request_error"}}"#, "bad_request request"),
        (r#"{"type":"response.failed","response":{"error":{"code":"image_parse_error","message":"m"}}}"#, "bad_request request"),
        (
            r#"{"object":"batch","errors":{"object":"list","data":[{"code":"invalid_json_line","message":"m","line":1}]}}"#,
            "bad_request request",
        ),
        (
            r#"{"object":"batch","errors":{"data":[{"code":"token_limit_exceeded","message":"Enqueued token limit reached for m"}]}}"#,
            "quota key",
        ),
        (r#"{"type":"response.failed","response":{"error":{"code":"insufficient_quota","message":"m"}}}"#, "billing key"),
        (
            r#"{"type":"error","error":{"type":"usage_limit_reached","message":"m","resets_in_seconds":300},"status_code":429}"#,
            "quota key 300",
        ),
        (
            r#"{"type":"error","error":{"message":"m"},"status_code":429,"headers":{"X-Codex-Primary-Used-Percent":"100","X-Codex-Primary-Reset-After-Seconds":"42"}}"#,
            "quota key 42",
        ),
        (r#"{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}"#, "overloaded model"),
        ("not json at all", "server model"),
        ("", "server model"),
    ] {
        assert_eq!(of(body), want, "{body}");
    }
    let dated = in_band_of(Sender::default().at(AT), br#"{"error":{"type":"usage_limit_reached","message":"m","resets_at":1787148060}}"#);
    assert_eq!(outcome(&dated), "quota key 60");
}

/// A body that is somewhat like one of a provider's.
fn body() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "rate_limit_exceeded",
        "1308",
        "429",
        "RESOURCE_EXHAUSTED",
        "invalid_encrypted_content",
        "overloaded_error",
        "x",
        "",
    ]);
    let text = prop::sample::select(vec![
        "Please try again in 1.2s",
        "reset at 2026-09-09 05:38:28",
        "prompt is too long",
        "messages.3.content.1.image: é",
        "limit: 0",
        "{\"error\":{",
        "余额不足",
        "",
    ]);
    (word.clone(), word, text, "\\PC{0,12}", 0usize..400).prop_map(|(code, kind, text, noise, cut)| {
        let message = format!("{text}{noise}");
        let whole =
            serde_json::json!({"error": {"code": code, "type": kind, "status": kind, "message": message, "metadata": {"raw": noise},
            "details": [{"retryDelay": noise, "reason": code, "violations": [{"quotaId": text}]}], "param": message, "resets_at": cut}})
            .to_string();
        let mut cut = cut.min(whole.len());
        while !whole.is_char_boundary(cut) {
            cut -= 1;
        }
        whole[..if cut < 40 { whole.len() } else { cut }].to_owned()
    })
}

const PROVIDERS: [&str; 12] =
    ["", "openai", "anthropic", "gemini", "antigravity", "openrouter", "groq", "together", "cerebras", "zai_api", "synthetic", "chatgpt"];

proptest! {
    #[test]
    fn no_reply_makes_it_panic_and_header_names_have_no_case(
        provider in prop::sample::select(PROVIDERS.to_vec()),
        status in 0u16..700,
        bytes in prop_oneof![body().prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..80)],
        names in prop::collection::vec(prop::sample::select(vec![
            "retry-after", "retry-after-ms", "date", "x-ratelimit-remaining", "x-ratelimit-reset", "anthropic-ratelimit-unified-status", "x-should-retry", "location",
        ]), 0..5),
        value in "\\PC{0,20}|rejected|true|[0-9.]{1,12}|Wed, 19 Aug 2026 14:35:22 GMT",
        now in any::<u64>(),
    ) {
        let lines: Vec<(String, String)> = names.iter().map(|n| ((*n).to_owned(), value.clone())).collect();
        let sender = Sender::new(Wire::OpenaiChat, provider).at(now);
        let error = http(sender, status, &lines, &bytes);
        prop_assert!(error.retry_after_s.is_none_or(|s| (0.0..=35.0 * 86400.0).contains(&s)), "{error:?}");
        prop_assert!(error.message.len() < 2000);
        let shouted: Vec<(String, String)> = lines.iter().map(|(k, v)| (k.to_ascii_uppercase(), v.clone())).collect();
        prop_assert_eq!(&http(sender, status, &shouted, &bytes), &error);
        in_band_of(sender, &bytes);
    }

    /// Whether a message is short, long, or cut together with its document, it means the same.
    #[test]
    fn the_length_of_a_message_changes_nothing(
        row in prop::sample::select(vec![
            (400, "prompt is too long: 9 > 8", ""), (429, "tokens per day (TPD)", "rate_limit_exceeded"), (401, "no", "invalid_api_key"),
            (400, "Could not process image", ""), (429, "slow", "1308"), (503, "x", "model_overloaded"), (404, "gone", "model_not_found"),
        ]),
        filler in prop::sample::select(vec!["blah ", "é. ", "\" \\ ", "<b>"]),
        times in 1usize..1200,
    ) {
        let (status, message, code) = row;
        let plain = |message: &str| serde_json::json!({"error": {"code": code, "message": message}}).to_string();
        let short = http(Sender::default(), status, &[], plain(message).as_bytes());
        let whole = plain(&format!("{message} {}", filler.repeat(times)));
        let long = http(Sender::default(), status, &[], whole.as_bytes());
        prop_assert_eq!((long.class, long.scope, &long.blames), (short.class, short.scope, &short.blames));
        // `code` stands before the message in these bodies, so a cut takes only the rest of the words.
        let cut = &whole.as_bytes()[..whole.len() - whole.len() / 4];
        let cut = http(Sender::default(), status, &[], if times > 40 { cut } else { whole.as_bytes() });
        prop_assert_eq!((cut.class, cut.scope), (short.class, short.scope));
    }
}
