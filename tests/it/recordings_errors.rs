//! Every recorded refusal of every provider and API means what its bytes say by the written rules.

use crate::recordings::{Exchange, every_exchange};
use code_pup::model::{Accumulator, Class, ProviderError, Scope};
use code_pup::wire::classify::refusal;
use code_pup::wire::limits::Limits;
use code_pup::wire::{Decoder, Dialect, Sender, Wire};

/// Name, class, scope, seconds, code.
type Refusal = (&'static str, Class, Scope, Option<f64>, Option<&'static str>);

/// Read off the recorded bytes by hand.
#[rustfmt::skip]
const REFUSALS: [Refusal; 41] = {
    use Class::{Auth, BadRequest, Billing, ContextTooLong, NotFound, Overloaded, Quota, RateLimit, Server};
    use Scope::{Key, Model, Request};
    [
        ("anthropic/count-tokens-error-claude-does-not-exist", NotFound, Model, None, Some("not_found_error")),
        ("anthropic/error-400-claude-3-opus", BadRequest, Request, None, Some("invalid_request_error")),
        ("anthropic/error-400-claude-sonnet-4-6", BadRequest, Request, None, Some("invalid_request_error")),
        ("anthropic/error-401-claude-haiku-4-5", Auth, Key, None, Some("authentication_error")),
        ("anthropic/error-404-there-is-no-such-model", NotFound, Model, None, Some("not_found_error")),
        ("anthropic/error-529-overloaded", Overloaded, Model, None, Some("overloaded_error")),
        ("anthropic/error-context-length-claude-haiku-4-5", ContextTooLong, Request, None, Some("invalid_request_error")),
        ("anthropic/stream-error-overloaded", Overloaded, Model, None, Some("overloaded_error")),
        ("antigravity/error-429-rate-limit-exceeded-gemini-2_5-pro", RateLimit, Model, Some(0.539_477_544), Some("429")),
        ("antigravity/error-429-retryinfo-only", RateLimit, Model, Some(3.957_525_076), Some("429")),
        ("azure/error-429-grok-4-1-fast-non-reasoning", RateLimit, Key, Some(1.0), Some("RateLimitReached")),
        ("chatgpt/error-401-gpt-5_4", Auth, Key, None, None),
        ("chatgpt/error-429-usage-limit", Quota, Key, Some(120.0), Some("usage_limit_reached")),
        ("chatgpt/stream-usage-limit-error-event", Quota, Key, Some(300.0), Some("usage_limit_reached")),
        ("deepseek/error-401-deepseek-chat", Auth, Key, None, Some("invalid_request_error")),
        ("gemini/error-400-gemini-2_5-flash", Auth, Key, None, Some("400")),
        ("gemini/error-404-there-is-no-such-model", NotFound, Model, None, Some("404")),
        ("gemini/error-429-gemini-2_5-flash", RateLimit, Model, Some(48.0), Some("429")),
        ("groq/error-401-llama-3_3-70b-versatile", Auth, Key, None, Some("invalid_api_key")),
        ("groq/error-404-non-existent", NotFound, Model, None, Some("model_not_found")),
        ("groq/stream-multiturn-t1-gpt-oss-120b", Server, Request, None, Some("tool_use_failed")),
        ("groq/tool-use-failed-gpt-oss-120b", Server, Request, None, Some("tool_use_failed")),
        ("openai/chat-error-400-gpt-4o-mini", BadRequest, Request, None, Some("invalid_image_url")),
        ("openai/chat-error-400-gpt-4o-mini-2", BadRequest, Request, None, Some("invalid_image_url")),
        ("openai/chat-error-400-legacy-param", BadRequest, Request, None, Some("unsupported_parameter")),
        ("openai/chat-error-401-gpt-4o", Auth, Key, None, Some("invalid_api_key")),
        ("openai/chat-error-404-this-model-does-not-exist", NotFound, Model, None, Some("model_not_found")),
        ("openai/embeddings-error-no-such-embedding-model", NotFound, Model, None, Some("model_not_found")),
        ("openai/responses-error-400-gpt-5-mini", BadRequest, Request, None, Some("unsupported_file")),
        ("openai/responses-error-400-temperature", BadRequest, Request, None, Some("invalid_request_error")),
        ("openai/responses-error-400-this-model-does-not-exist", NotFound, Model, None, Some("model_not_found")),
        ("openai/responses-error-401-gpt-4_1", Auth, Key, None, Some("invalid_api_key")),
        ("openai/responses-error-context-length-gpt-5-nano", ContextTooLong, Request, None, Some("context_length_exceeded")),
        ("openai/responses-stream-error-event-gpt-5-nano", Billing, Key, None, Some("insufficient_quota")),
        ("openrouter/chat-error-400-claude-haiku-4_5", ContextTooLong, Request, None, Some("400")),
        ("openrouter/chat-error-401-claude-haiku-4_5", Auth, Key, None, Some("401")),
        ("openrouter/chat-error-429-gemini-2_0-flash-exp-free", RateLimit, Model, None, Some("429")),
        // The stream had begun: what this upstream will not go on with, another may.
        ("openrouter/chat-stream-error-minimax-m2-free", BadRequest, Model, None, Some("400")),
        ("vertex/error-400-gemini-2_5-pro", BadRequest, Request, None, Some("400")),
        ("vertex/error-404-gemini-does-not-exist", NotFound, Model, None, Some("404")),
        ("xai/responses-error-400-grok-4_3", Auth, Key, None, Some("invalid-argument")),
    ]
};

/// How many exchanges have headers that count what remains.
const WITH_ALLOWANCES: usize = 47;

/// Good replies whose content a filter or the model withheld.
const WITHHELD: [&str; 3] =
    ["anthropic/stream-refusal-claude-fable-5", "gemini/blocked-gemini-1_5-flash", "openrouter/chat-content-filter-gpt-4_1"];

fn wire(x: &Exchange) -> Wire {
    match (x.provider.as_str(), x.api.as_str()) {
        ("anthropic", _) => Wire::Anthropic,
        ("antigravity", _) => Wire::Antigravity,
        (_, "gemini") => Wire::Gemini,
        (_, "responses") => Wire::OpenaiResponses,
        _ => Wire::OpenaiChat,
    }
}

fn read(x: &Exchange) -> Option<ProviderError> {
    refusal(Sender::new(wire(x), &x.provider), x.status, &x.headers, &x.body)
}

#[test]
fn every_recorded_refusal_means_what_its_bytes_say() {
    let Some(exchanges) = every_exchange() else { return };
    let mut refused: Vec<&Exchange> = exchanges.iter().filter(|x| x.status >= 400 || !x.expect["error"].is_null()).collect();
    refused.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<&str> = refused.iter().map(|x| x.name.as_str()).collect();
    assert_eq!(names, REFUSALS.map(|(name, ..)| name), "every one has its line, in order");
    for (x, (name, class, scope, seconds, code)) in refused.iter().zip(REFUSALS) {
        let got = read(x).unwrap_or_else(|| panic!("{name}: taken for a success"));
        assert_eq!((got.class, got.scope, got.retry_after_s, got.code.as_deref()), (class, scope, seconds, code), "{name}: {got}");
        // What an independent reader of the same bytes says.
        let want = &x.expect["error"];
        let said = want["message"].as_str().unwrap();
        let shown = got.message.trim_end_matches("...");
        assert!(shown.starts_with(said) || said.starts_with(shown), "{name}: {shown}");
        let status = want["status"].as_u64().filter(|s| *s >= 400);
        assert_eq!(got.status.map(u64::from), status, "{name}: status");
        // That reader keeps six places.
        let near = got.retry_after_s.zip(want["retry_after_s"].as_f64()).is_none_or(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near && got.retry_after_s.is_some() == want["retry_after_s"].is_number(), "{name}: {:?}", got.retry_after_s);
        let codes = [&want["code"], &want["type"]].map(|c| c.as_str().map_or_else(|| c.to_string(), str::to_owned));
        assert!(got.code.as_ref().is_none_or(|c| codes.contains(c)), "{name}: {:?} is not of {codes:?}", got.code);
    }
}

#[test]
fn errors_inside_a_stream_mean_the_same_to_the_decoder() {
    let Some(exchanges) = every_exchange() else { return };
    let mut seen = 0;
    for x in exchanges.iter().filter(|x| x.status == 200 && !x.expect["error"].is_null()) {
        let mut decoder = Decoder::new(wire(x), &Dialect::default()).sent_by(Sender::new(wire(x), &x.provider));
        let mut events = Vec::new();
        decoder.feed(&x.body, &mut events);
        decoder.finish(&mut events);
        let mut all = Accumulator::default();
        for e in &events {
            all.push(e);
        }
        assert_eq!(all.finish().error, read(x), "{}", x.name);
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[test]
fn a_recorded_success_is_no_refusal() {
    let Some(exchanges) = every_exchange() else { return };
    let good = exchanges.iter().filter(|x| x.status < 400 && x.expect["error"].is_null());
    let (mut withheld, mut count) = (Vec::new(), 0);
    for x in good {
        count += 1;
        if let Some(error) = read(x) {
            assert_eq!((error.class, error.scope), (Class::ContentFilter, Scope::Request), "{}: {error}", x.name);
            withheld.push(x.name.as_str());
        }
    }
    assert_eq!((count, withheld.as_slice()), (190, &WITHHELD[..]));
}

#[test]
fn the_allowances_in_recorded_headers_are_read() {
    let Some(exchanges) = every_exchange() else { return };
    let mut seen = 0;
    for x in &exchanges {
        let limits = Limits::read(&x.headers, None);
        let counted = x.headers.iter().filter(|(name, _)| name.contains("remaining")).count();
        assert_eq!(limits.windows.iter().filter(|w| w.remaining.is_some()).count(), counted, "{}: {limits:?}", x.name);
        assert!(limits.windows.iter().all(|w| w.limit.is_some() && !w.spent()), "{}: {limits:?}", x.name);
        seen += usize::from(counted > 0);
    }
    assert_eq!(seen, WITH_ALLOWANCES);
}

#[test]
fn bad_requests_name_the_item_they_are_about() {
    let Some(exchanges) = every_exchange() else { return };
    let of = |name: &str| {
        let error = read(exchanges.iter().find(|x| x.name == name).unwrap()).unwrap();
        error.blames.map(|b| serde_json::to_value(*b).unwrap())
    };
    assert_eq!(of("anthropic/error-400-claude-3-opus"), Some(serde_json::json!({"item": {"kind": "message"}, "path": "messages.0"})));
    for image in ["openai/chat-error-400-gpt-4o-mini", "openai/chat-error-400-gpt-4o-mini-2"] {
        assert_eq!(of(image), Some(serde_json::json!({"item": {"kind": "image", "why": "unreachable"}})));
    }
    assert_eq!(of("openai/responses-error-400-gpt-5-mini"), Some(serde_json::json!({"item": {"kind": "document"}})));
    for parameter in
        ["anthropic/error-400-claude-sonnet-4-6", "openai/chat-error-400-legacy-param", "openai/responses-error-400-temperature"]
    {
        assert_eq!(of(parameter), None, "{parameter}");
    }
}
