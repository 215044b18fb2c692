//! What one vendor means by a refusal that says less, or something else, than its status.

use super::tests::{check, judge};

#[test]
fn openrouter() {
    check(
        r#"
        openrouter 402 {"error":{"code":402,"message":"Insufficient credits"}} => billing key
        openrouter 402 (retry-after: 3) {"error":{"code":402,"message":"busy","metadata":{"limit_source":"openrouter_in_flight_budget"}}} => rate_limit key 3
        openrouter 402 {"error":{"code":402,"message":"Prompt tokens limit exceeded: 9000 > 5000. To increase, visit the site"}} => billing request
        openrouter 403 {"error":{"code":403,"message":"flagged","metadata":{"reasons":["violence"],"flagged_input":"..."}}} => content_filter request
        openrouter 403 {"error":{"code":403,"message":"Key limit exceeded (total limit)"}} => quota key
        openrouter 403 {"error":{"code":403,"message":"no"}} => permission key
        openrouter 429 (X-RateLimit-Limit: 20|X-RateLimit-Remaining: 0|X-RateLimit-Reset: 1787148060000) {"error":{"code":429,"message":"Rate limit exceeded: free-models-per-min"}} => rate_limit key 60
        openrouter 429 {"error":{"code":429,"message":"Provider returned error","metadata":{"provider_name":"Google","raw":"temporarily rate-limited upstream"}}} => rate_limit model
        openrouter 429 {"error":{"code":429,"message":"Rate limit exceeded: free-models-per-day. Add 10 credits","metadata":{"headers":{"X-RateLimit-Limit":"50","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1787184000000"}}}} => quota key 36000
        openrouter 429 {"error":{"code":429,"message":"Rate limit exceeded: free-models-per-day"}} => quota key 36000
        openrouter 429 {"error":{"code":429,"message":"Rate limit exceeded","metadata":{"headers":{"X-RateLimit-Reset":1787148009000}}}} => rate_limit key 9
        openrouter 502 {"error":{"code":502,"message":"Bad gateway"}} => server model
        openrouter 503 {"error":{"code":503,"message":"No provider fits"}} => overloaded model
        openrouter 500 {"error":{"code":500,"message":"ours"}} => server provider
        openrouter 200 {"error":{"code":502,"message":"died"}} => server model
        openrouter 408 {"error":{"code":408,"message":"late"}} => timeout provider
        openrouter 400 {"error":{"code":400,"message":"x/y is not a valid model ID"}} => not_found model
        openrouter 400 {"error":{"code":400,"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"message\":\"prompt is too long: 9 > 8\"}}"}}} => context_too_long request
        openrouter 502 {"error":{"code":502,"message":"Provider returned error","metadata":{"raw":"{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 9 tokens > 8 maximum\"}}"}}} => context_too_long request
        openrouter 200 {"error":{"code":502,"message":"Provider returned error","metadata":{"raw":"prompt is too long: 9 tokens > 8 maximum"}}} => context_too_long request
        openrouter 200 {"error":{"code":400,"message":"Provider returned error","metadata":{"raw":"no such parameter"}}} => bad_request model
        openrouter 200 {"id":"g","choices":[{"index":0,"finish_reason":"error","error":{"code":429,"message":"slow down"}}]} => rate_limit model
        // What the provider behind it thinks of the router's key says nothing of ours.
        openrouter 502 {"error":{"code":502,"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"code\":\"invalid_api_key\",\"message\":\"Incorrect API key\"}}"}}} => server model
        "#,
    );
}

#[test]
fn compatible_vendors() {
    check(
        r#"
        together 403 {"error":{"message":"Input validation error"}} => context_too_long request
        together 403 => context_too_long request
        together 403 <html><title>Attention Required! | Cloudflare</title> => network provider
        together 429 {"error":{"message":"You have reached the rate limit specific to this model","type":"model_rate_limit"}} => rate_limit model
        together 402 => billing key
        together 429 (x-ratelimit-remaining: 0|x-ratelimit-reset: 2) => rate_limit key 2
        cerebras 400 => context_too_long request
        cerebras 413 => context_too_long request
        cerebras 400 {"message":"x","type":"invalid_request_error","code":"wrong"} => bad_request request
        cerebras 401 {"message":"Wrong API Key","type":"invalid_request_error","param":"api_key","code":"wrong_api_key"} => auth key
        cerebras 429 {"message":"Tokens per minute limit exceeded - too many tokens processed.","type":"too_many_tokens_error","code":"token_quota_exceeded"} => rate_limit key
        cerebras 429 (x-ratelimit-remaining-requests-day: 0|x-ratelimit-reset-requests-day: 33011.38) {"message":"Requests per day limit exceeded","code":"request_quota_exceeded"} => quota key 33011.38
        cerebras 429 {"message":"We're experiencing high traffic right now!","type":"too_many_requests_error","code":"queue_exceeded"} => overloaded model
        groq 200 {"id":"c","choices":[],"x_groq":{"id":"req_1","error":"over capacity, please try again"}} => overloaded model
        groq 200 {"id":"c","choices":[],"x_groq":{"id":"req_1","error":{"message":"Rate limit reached for model m","code":"rate_limit_exceeded"}}} => rate_limit key
        groq 400 {"error":{"message":"The model has been decommissioned","type":"invalid_request_error","code":"model_decommissioned"}} => not_found model
        groq 400 {"error":{"message":"Failed to generate JSON","type":"invalid_request_error","code":"json_validate_failed"}} => server request
        groq 400 {"error":{"message":"The model requires terms acceptance","type":"invalid_request_error","code":"model_terms_required"}} => permission model
        groq 498 => overloaded model
        groq 499 => server request
        groq 429 (retry-after: 6) {"error":{"message":"Rate limit reached for model `m` in organization `o` on tokens per minute (TPM): Limit 6000, Used 5000, Requested 3000. Please try again in 5.289s","type":"tokens","code":"rate_limit_exceeded"}} => rate_limit key 6
        groq 429 {"error":{"message":"Rate limit reached ... on requests per day (RPD): Limit 1000. Please try again in 1m26.4s","code":"rate_limit_exceeded"}} => quota key 86.4
        groq 400 {"error":{"message":"Please reduce the length of the messages or completion."}} => context_too_long request
        synthetic 429 {"error":"You've exceeded your subscription rate limits. Upgrade, or try again later"} => quota key
        synthetic 401 {"error":"Invalid API Key."} => auth key
        mistral 429 {"object":"error","message":"Requests rate limit exceeded","type":"rate_limited","code":"1300"} => rate_limit key
        mistral 400 {"object":"error","message":"Invalid model: x","type":"invalid_model","code":"1500"} => not_found model
        azure 429 (retry-after: 1|retry-after-ms: 0) {"error":{"code":"RateLimitReached","message":"exceeded rate limit"}} => rate_limit key 1
        azure 429 {"error":{"code":"429","message":"exceeded token rate limit. Please retry after 26 seconds."}} => rate_limit key 26
        azure 404 {"error":{"code":"DeploymentNotFound","message":"x"}} => not_found model
        deepseek 402 {"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}} => billing key
        xai 403 {"code":"The caller does not have permission","error":"Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"} => content_filter request
        deepseek 400 {"error":{"message":"Content Exists Risk","type":"invalid_request_error"}} => content_filter request
        dashscope 429 {"error":{"message":"Allocated quota exceeded, please increase your quota limit.","code":"insufficient_quota"}} => rate_limit key
        dashscope 403 {"error":{"message":"The free tier of the model has been exhausted.","code":"AllocationQuota.FreeTierOnly"}} => quota model
        dashscope 400 {"error":{"code":"invalid_parameter_error","message":"<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]"}} => context_too_long request
        dashscope 429 {"error":{"message":"week allocated quota exceeded.","code":"throttling"}} => quota key
        moonshot 403 {"error":{"message":"You've reached your usage limit for this billing cycle.","type":"access_terminated_error"}} => quota key
        moonshot 403 {"error":{"message":"currently only available for Coding Agents","type":"access_terminated_error"}} => permission key
        volcengine 429 {"error":{"code":"AccountQuotaExceeded","message":"You have exceeded the 5-hour usage quota. It will reset at 2026-08-19 22:30:00 +0800 CST."}} => quota key 1800
        volcengine 429 {"error":{"code":"ServerOverloaded","message":"m","type":"TooManyRequests"}} => overloaded model
        volcengine 403 {"error":{"code":"AccountOverdueError","message":"m"}} => billing key
        volcengine 404 {"error":{"code":"ModelNotOpen","message":"m"}} => not_found model
        volcengine 400 {"error":{"code":"InputTextSensitiveContentDetected","message":"m"}} => content_filter request
        volcengine 400 {"error":{"code":"InvalidParameter","message":"Total tokens of image and text exceed max message tokens."}} => context_too_long request
        azure 400 {"error":{"code":"OperationNotSupported","message":"The chatCompletion operation does not work with the specified model"}} => not_found model
        gemini 400 {"error":{"code":400,"status":"INVALID_ARGUMENT","message":"Function calling is not enabled for models/gemma-3-27b-it"}} => bad_request model
        gemini 400 {"error":{"code":400,"status":"FAILED_PRECONDITION","message":"Gemini API free tier is not available in your country."}} => permission key
        vertex 429 {"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota exceeded for aiplatform.googleapis.com/online_prediction_requests_per_base_model with base model: x."}} => rate_limit model
        github 400 {"error":{"code":"unknown_model","message":"Unknown model: x"}} => not_found model
        huggingface 400 {"error":"Model x is not supported by provider groq."} => not_found model
        xai 403 {"code":"permission-denied","error":"Your newly created team doesn't have any credits yet."} => billing key
        copilot 402 {"error":{"message":"over","code":"quota_exceeded"}} => quota key
        llamacpp 400 {"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}} => context_too_long request
        ollama 404 {"error":"model 'x' not found"} => not_found model
        "#,
    );
}

#[test]
fn openai_and_chatgpt() {
    check(
        r#"
        openai 429 (x-ratelimit-remaining-tokens: 0|x-ratelimit-reset-tokens: 6m0s) {"error":{"message":"Rate limit reached for gpt-x on tokens per min.","type":"tokens","code":"rate_limit_exceeded"}} => rate_limit key 360
        openai 400 {"error":{"code":"invalid_prompt","message":"Invalid prompt: your prompt was flagged as potentially violating our usage policy."}} => content_filter request
        openai 400 {"error":{"code":"invalid_prompt","message":"Invalid prompt: expected an array"}} => bad_request request
        openai 403 {"error":{"message":"Country, region, or territory not supported"}} => permission provider
        chatgpt 401 {"detail":"Could not parse your authentication token. Please try signing in again."} => auth key
        chatgpt 429 (x-codex-primary-used-percent: 100|x-codex-primary-reset-at: 1787149000|x-codex-secondary-used-percent: 100.0|x-codex-secondary-reset-at: 1787152000|x-codex-active-limit: codex) => quota key 4000
        chatgpt 429 (x-codex-primary-used-percent: 12|x-codex-primary-reset-at: 1787149000) => rate_limit key
        chatgpt 429 (x-spark-primary-used-percent: 100|x-spark-primary-reset-after-seconds: 77) => quota model 77
        chatgpt 503 {"error":{"code":"server_is_overloaded","message":"m"}} => overloaded model
        chatgpt 503 {"error":{"code":"slow_down","message":"m"}} => overloaded model
        // {"error":{"code":"usage_limit_reached","message":"m","resets_in_seconds":60}}, with and without its padding; and plain.
        chatgpt 429 (x-error-json: eyJlcnJvciI6eyJjb2RlIjoidXNhZ2VfbGltaXRfcmVhY2hlZCIsIm1lc3NhZ2UiOiJtIiwicmVzZXRzX2luX3NlY29uZHMiOjYwfX0=) => quota key 60
        chatgpt 429 (x-error-json: eyJlcnJvciI6eyJjb2RlIjoidXNhZ2VfbGltaXRfcmVhY2hlZCIsIm1lc3NhZ2UiOiJtIiwicmVzZXRzX2luX3NlY29uZHMiOjYwfX0) => quota key 60
        chatgpt 429 {"error":{"type":"workspace_member_credits_depleted","message":"m"}} => billing key
        chatgpt 429 {"error":{"type":"workspace_member_usage_limit_reached","message":"m"}} => quota key
        chatgpt 403 (x-error-json: {"error":{"code":"deactivated_workspace"}}) => permission key
        chatgpt 429 (x-error-json: !!) => rate_limit key
        // What the body says goes first.
        chatgpt 400 (x-error-json: {"error":{"code":"token_expired"}}) {"error":{"code":"context_length_exceeded","message":"m"}} => context_too_long request
        "#,
    );
}

/// Amazon's "too many tokens" is a matter of pace; it comes bare, as an event, in a header, and through routers.
#[test]
fn bedrock_whoever_passes_it_on() {
    check(
        r#"
        - 429 {"message":"Too many tokens, please wait before trying again."} => rate_limit key
        - 400 {"__type":"ThrottlingException","message":"Too many tokens, please wait before trying again."} => rate_limit key
        - 400 (x-amzn-ErrorType: ThrottlingException:http://internal.amazon.com/) {"message":"Too many tokens"} => rate_limit key
        - 200 {"__type":"com.amazon.coral.service#ThrottlingException"} => rate_limit key
        - 200 {"throttlingException":{"message":"Too many tokens, please wait before trying again."}} => rate_limit key
        - 500 {"error":{"message":"An error occurred (ThrottlingException) when calling the ConverseStream operation: Too many tokens, please wait before trying again."}} => rate_limit key
        - 429 {"message":"Too many tokens per day, please wait before trying again."} => quota key
        - 200 {"message":"Too many requests, please wait before trying again."} => rate_limit key
        - 400 {"__type":"ValidationException","message":"Input is too long for requested model."} => context_too_long request
        - 400 {"__type":"ValidationException","message":"too many tokens: 9 > 8"} => context_too_long request
        - 400 {"__type":"ValidationException","message":"Malformed input request"} => bad_request request
        - 400 {"__type":"ValidationException","message":"The provided model identifier is invalid."} => not_found model
        - 400 {"message":"Invocation of model ID x with on-demand throughput isn’t supported."} => not_found model
        - 403 {"__type":"AccessDeniedException","message":"You don't have access to the model with the specified model ID."} => permission model
        - 503 {"__type":"ServiceUnavailableException","message":"m"} => overloaded model
        - 403 {"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."} => auth key
        - 403 {"Message":"User is not authorized"} => permission key
        - 200 {"modelStreamErrorException":{"message":"m","originalStatusCode":500}} => server model
        openrouter 429 {"error":{"code":429,"message":"Provider returned error","metadata":{"provider_name":"Amazon Bedrock","raw":"{\"message\":\"Too many tokens, please wait before trying again.\"}"}}} => rate_limit model
        openrouter 200 {"error":{"code":502,"message":"Provider returned error","metadata":{"provider_name":"Amazon Bedrock","raw":"{\"message\":\"Too many tokens, please wait before trying again.\"}"}}} => rate_limit model
        "#,
    );
}

#[test]
fn z_ai_by_its_numbers() {
    let body = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"x"}}}}"#);
    for (codes, want) in [
        (&["1000", "1001", "1002", "1003", "1004", "1110", "1111", "1112", "1120", "1121"][..], "auth key"),
        (&["1113", "1309"], "billing key"),
        (&["1304", "1308", "1310", "1316", "1317", "1318", "1319", "1320", "1321"], "quota key"),
        (&["1302", "1303", "1305"], "rate_limit key"),
        (&["1211", "1311"], "not_found model"),
        (&["1210", "1213", "1214"], "bad_request request"),
        (&["1220", "1221", "1222", "1313"], "permission key"),
        (&["1234"], "network provider"),
        (&["1261"], "context_too_long request"),
        (&["1301"], "content_filter request"),
        (&["1312"], "overloaded model"),
    ] {
        for code in codes {
            assert_eq!(
                (judge("zai_coding", 429, "", &body(code)), judge("zai_api", 400, "", &body(code))),
                (want.into(), want.into()),
                "{code}"
            );
        }
    }
    check(
        r#"
        zai_api 429 {"error":{"code":"1308","message":"Usage limit reached for 5 hour. Your limit will reset at 2026-08-19 22:30:00"}} => quota key 1800
        zai 429 {"error":{"code":"1310","message":"已达到每周使用上限，您的限额将在 2026-08-20 22:00:00 重置。"}} => quota key 86400
        zai_api 429 {"error":{"code":"1316","message":"reset at 2026-08-19T14:30:00Z"}} => quota key 1800
        zai_api 429 {"error":{"code":"1308","message":"Your limit will reset at 2020-01-01 00:00:00"}} => quota key
        zai_api 200 {"code":1302,"msg":"too fast","success":false} => rate_limit key
        zai_api 401 {"code":401,"msg":"token expired or incorrect","success":false} => auth key
        zai_api 434 => permission key
        zai_api 500 {"error":{"code":"500","message":"Operation failed"}} => server provider
        // The same digits from somebody else are another number.
        mistral 400 {"message":"x","code":"1302"} => bad_request request
        groq 429 {"error":{"message":"reset at 2026-08-19 14:30:00"}} => rate_limit key 1800
        "#,
    );
}

fn google(status: u16, name: &str, message: &str, details: &str) -> String {
    format!(r#"{{"error":{{"code":{status},"message":"{message}","status":"{name}","details":[{details}]}}}}"#)
}

#[test]
fn google_by_its_details() {
    let info = |reason: &str, metadata: &str| {
        format!(r#"{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"{reason}","domain":"x","metadata":{{{metadata}}}}}"#)
    };
    let retry = |delay: &str| format!(r#"{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{delay}"}}"#);
    let quota = |id: &str| format!(r#"{{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{{"quotaId":"{id}"}}]}}"#);
    let out = "You have exhausted your capacity on this model. Your quota will reset after 3s.";
    let all: Vec<(&str, u16, String, &str)> = vec![
        (
            "gemini",
            429,
            google(429, "RESOURCE_EXHAUSTED", "m", &format!("{},{}", quota("TokensPerModelPerMinute"), retry("48s"))),
            "rate_limit model 48",
        ),
        (
            "gemini",
            429,
            google(
                429,
                "RESOURCE_EXHAUSTED",
                "m",
                &retry("").replace(r#""retryDelay":"""#, r#""retryDelay":{"seconds":"5","nanos":500000000}"#),
            ),
            "rate_limit key 5.5",
        ),
        (
            "gemini",
            429,
            google(429, "RESOURCE_EXHAUSTED", "m", &quota("GenerateContentInputTokensPerMinutePerProject")),
            "rate_limit key 60",
        ),
        (
            "gemini",
            429,
            google(
                429,
                "RESOURCE_EXHAUSTED",
                "m",
                &format!("{},{}", quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), retry("51820.638305887s")),
            ),
            "quota model 51820.638306",
        ),
        (
            "gemini",
            429,
            google(
                429,
                "RESOURCE_EXHAUSTED",
                "exceeded, limit: 0, model: x. Please retry in 35s.",
                &format!("{},{}", quota("PerMinutePerModel"), retry("35s")),
            ),
            "quota model",
        ),
        ("gemini", 429, google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).", ""), "rate_limit key"),
        ("gemini", 429, google(429, "RESOURCE_EXHAUSTED", "exceeded, limit: 05. Please retry in 20.04s.", ""), "rate_limit key 20.04"),
        ("gemini", 400, google(400, "INVALID_ARGUMENT", "API key not valid.", &info("API_KEY_INVALID", "")), "auth key"),
        ("gemini", 400, google(400, "FAILED_PRECONDITION", "User location is not supported for the API use.", ""), "permission provider"),
        (
            "gemini",
            400,
            google(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8).", ""),
            "context_too_long request",
        ),
        ("gemini", 400, google(400, "INVALID_ARGUMENT", "Please use a valid role: user, model.", ""), "bad_request request"),
        ("gemini", 403, google(403, "PERMISSION_DENIED", "no", &info("SERVICE_DISABLED", "")), "permission key"),
        ("gemini", 403, google(403, "PERMISSION_DENIED", "This API method requires billing", &info("BILLING_DISABLED", "")), "billing key"),
        ("gemini", 404, google(404, "NOT_FOUND", "models/x is not found", ""), "not_found model"),
        ("gemini", 500, google(500, "INTERNAL", "m", ""), "server provider"),
        ("gemini", 503, google(503, "UNAVAILABLE", "The model is overloaded.", ""), "overloaded model"),
        ("gemini", 504, google(504, "DEADLINE_EXCEEDED", "m", ""), "timeout provider"),
        ("gemini", 499, google(499, "CANCELLED", "m", ""), "server request"),
        ("gemini", 200, r#"{"key":"1","error":{"code":1,"message":"The operation was cancelled."}}"#.to_owned(), "server request"),
        ("antigravity", 403, google(403, "PERMISSION_DENIED", "verify", &info("VALIDATION_REQUIRED", "")), "auth key"),
        (
            "antigravity",
            403,
            google(403, "PERMISSION_DENIED", "disabled in this account for violation of Terms of Service.", &info("x", "")),
            "permission key",
        ),
        ("antigravity", 429, google(429, "RESOURCE_EXHAUSTED", out, &retry("3.957525076s")), "rate_limit model 3.957525"),
        (
            "antigravity",
            429,
            google(429, "RESOURCE_EXHAUSTED", "m", &info("RATE_LIMIT_EXCEEDED", r#""quotaResetDelay":"539.477544ms""#)),
            "rate_limit key 0.539478",
        ),
        ("antigravity", 429, google(429, "RESOURCE_EXHAUSTED", "m", &info("RATE_LIMIT_EXCEEDED", "")), "rate_limit key"),
        (
            "antigravity",
            429,
            google(429, "RESOURCE_EXHAUSTED", "m", &info("RATE_LIMIT_EXCEEDED", r#""quotaResetDelay":"5m1s""#)),
            "quota key 301",
        ),
        (
            "antigravity",
            429,
            google(429, "RESOURCE_EXHAUSTED", "m", &info("RATE_LIMIT_EXCEEDED", r#""quotaResetTimeStamp":"2026-08-19T14:00:09Z""#)),
            "rate_limit key 9",
        ),
        (
            "antigravity",
            429,
            google(429, "RESOURCE_EXHAUSTED", "quota will reset after 156h14m36s", &info("QUOTA_EXHAUSTED", r#""model":"g""#)),
            "quota model 562476",
        ),
        (
            "antigravity",
            503,
            google(503, "UNAVAILABLE", "No capacity available for model g", &info("MODEL_CAPACITY_EXHAUSTED", "")),
            "overloaded model",
        ),
        ("antigravity", 499, google(499, "CANCELLED", "m", &format!("{},{}", info("QUOTA_EXHAUSTED", ""), retry("9s"))), "quota key 9"),
        ("antigravity", 429, google(429, "RESOURCE_EXHAUSTED", "m", &info("INSUFFICIENT_G1_CREDITS_BALANCE", "")), "quota key"),
        (
            "antigravity",
            400,
            google(
                400,
                "FAILED_PRECONDITION",
                r#"{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Prompt is too long\"}}"#,
                "",
            ),
            "context_too_long request",
        ),
        (
            "antigravity",
            400,
            google(
                400,
                "FAILED_PRECONDITION",
                r#"{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Output blocked by content filtering policy\"}}"#,
                "",
            ),
            "content_filter request",
        ),
    ];
    for (provider, status, body, want) in &all {
        assert_eq!(judge(provider, *status, "", body), *want, "{provider} {body}");
        assert_eq!(judge(provider, *status, "", &format!("[{body}]")), *want, "in a list: {body}");
    }
}
