//! The rules that hold for every vendor, and the order in which all rules are asked.

use super::facts::{Facts, Shape};
use super::rule::{Row, Ruling, first, says, status, word};
use super::vendor::Vendor;
use super::{anthropic, blame, google, openrouter, tables, zai};
use crate::model::{Class, Scope};
use crate::wire::wait;

pub fn judge(facts: &Facts) -> Ruling {
    edge(facts)
        // A login that its provider honours from its own programs alone, whatever it calls that.
        .or_else(|| first(&[says(&["only authorized for use with"]).is(Permission, Key)], facts))
        .or_else(|| own_rules(facts))
        .or_else(|| (facts.succeeded() && anthropic::plan_is_spent(facts)).then(|| (Quota, anthropic::plan_scope(facts))))
        .or_else(|| google::judge(facts))
        .or_else(|| first(WORDS, facts))
        .or_else(|| too_many(facts))
        .or_else(|| overflows(facts).then_some((Class::ContextTooLong, Scope::Request)))
        .or_else(|| first(TEXTS, facts))
        .or_else(|| facts.withheld.then_some((Class::ContentFilter, Scope::Request)))
        .unwrap_or_else(|| by_status(facts))
}

/// What is no answer of the provider's at all: a page of something in between, a redirect.
fn edge(facts: &Facts) -> Option<Ruling> {
    match (facts.shape, facts.http) {
        (_, 300..=399) | (Shape::Html, 0 | 200..=299 | 400 | 403) => Some((Class::Network, Scope::Provider)),
        // The edge counts addresses, not keys.
        (Shape::Html, 429) => Some((Class::RateLimit, Scope::Provider)),
        (Shape::Empty, 200..=299) if !anthropic::plan_is_spent(facts) => Some((Class::Network, Scope::Provider)),
        _ => None,
    }
}

fn own_rules(facts: &Facts) -> Option<Ruling> {
    match facts.vendor {
        Vendor::Anthropic => anthropic::judge(facts),
        Vendor::OpenRouter => openrouter::judge(facts),
        Vendor::Zai => zai::judge(facts),
        // A provider of one's own may well be this vendor behind another address.
        Vendor::Unknown => zai::judge(facts).or_else(|| openrouter::moderated(facts)),
        Vendor::Together => first(tables::TOGETHER, facts),
        Vendor::Cerebras => tables::cerebras(facts),
        Vendor::Groq => first(tables::GROQ, facts),
        Vendor::Synthetic => first(tables::SYNTHETIC, facts),
        Vendor::OpenAi | Vendor::ChatGpt => first(tables::OPENAI, facts),
        Vendor::Google | Vendor::Antigravity => google::anthropics(facts),
        Vendor::Plain => None,
    }
}

use Class::{
    Auth, BadRequest, Billing, ContentFilter, ContextTooLong, Network, NotFound, Overloaded, Permission, Quota, RateLimit, Server, Timeout,
};
use Scope::{Key, Model, Provider, Request};

/// Codes, types and reasons that say it all.
const WORDS: &[Row] = &[
    // Alibaba's word for a pace that is too fast.
    word(&["insufficient_quota"]).and_says(&["allocated quota exceeded"]).is(RateLimit, Key),
    // Money and allowances.
    word(&["insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance", "billing_error"])
        .is(Billing, Key),
    word(&["payment_required", "insufficient_credits", "billing_disabled", "insufficientquota"]).is(Billing, Key),
    word(&["exceeded_current_quota_error", "arrearage", "credit_limit", "insufficient_funds", "insufficient_balance_error"])
        .is(Billing, Key),
    word(&["not_enough_balance", "insufficient_user_quota", "accountoverdueerror"]).is(Billing, Key),
    word(&["workspace_owner_credits_depleted", "workspace_member_credits_depleted"]).is(Billing, Key),
    word(&["usage_limit_reached", "quota_exceeded", "request_quota_exceeded", "servicequotaexceededexception"]).is(Quota, Key),
    word(&["workspace_owner_usage_limit_reached", "workspace_member_usage_limit_reached"]).is(Quota, Key),
    word(&["budget_exceeded", "accountquotaexceeded"]).is(Quota, Key),
    word(&["access_terminated_error"]).and_says(&["usage limit"]).is(Quota, Key),
    word(&["allocationquota.freetieronly"]).is(Quota, Model),
    // Refused for this use.
    word(&["accessdeniedexception"]).and_says(&["model with the specified model id"]).is(Permission, Model),
    word(&["usage_not_included", "permission_error", "account_deactivated", "organization_restricted", "access_terminated"])
        .is(Permission, Key),
    word(&["access_denied", "missing_codex_entitlement", "insufficient_scope", "invalid_scope"]).is(Permission, Key),
    word(&["data_residency_mismatch", "deactivated_workspace", "accessdeniedexception", "blocked_api_access"]).is(Permission, Key),
    word(&["model_terms_required", "model_permission_blocked_org", "model_permission_blocked_project"]).is(Permission, Model),
    word(&["unsupported_country_region_territory"]).is(Permission, Provider),
    // No capacity.
    word(&["server_is_overloaded", "slow_down", "overloaded_error", "engine_overloaded_error", "engine_overloaded"]).is(Overloaded, Model),
    word(&["service_unavailable_error", "capacity_exceeded", "service_tier_capacity_exceeded", "nocapacity"]).is(Overloaded, Model),
    word(&["serveroverloaded"]).is(Overloaded, Model),
    word(&["queue_exceeded", "model_overloaded", "model_capacity_exhausted", "model_capacity_exceeded"]).is(Overloaded, Model),
    word(&["overloaded", "serviceunavailableexception", "modelnotreadyexception"]).is(Overloaded, Model),
    word(&["temporarily_unavailable"]).is(Overloaded, Provider),
    // The content.
    word(&["content_filter", "content_policy_violation", "image_content_policy_violation", "responsibleaipolicyviolation"])
        .is(ContentFilter, Request),
    word(&["cyber_policy", "bio_policy", "moderation_blocked", "content_policy", "data_inspection_failed"]).is(ContentFilter, Request),
    word(&["content_policy_violated", "content_policy_error", "datainspectionfailed"]).is(ContentFilter, Request),
    word(&["inputtextsensitivecontentdetected", "outputtextsensitivecontentdetected"]).is(ContentFilter, Request),
    // Too long.
    word(&["context_length_exceeded", "model_context_window_exceeded", "exceed_context_size_error", "request_too_large"])
        .is(ContextTooLong, Request),
    word(&["model_max_prompt_tokens_exceeded", "prompt_too_long"]).is(ContextTooLong, Request),
    // The credential, also where a login is refreshed.
    word(&["invalid_api_key", "authentication_error", "unauthenticated", "invalid_authentication_error", "wrong_api_key"]).is(Auth, Key),
    word(&["token_expired", "token_invalidated", "token_revoked", "invalid_token", "expired_token"]).is(Auth, Key),
    word(&["invalid_grant", "refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated"]).is(Auth, Key),
    word(&["invalid_client", "unauthorized_client", "unauthorized", "invalidapikey"]).is(Auth, Key),
    word(&["unrecognizedclientexception", "expiredtokenexception", "invalidsignatureexception"]).is(Auth, Key),
    // The login waits for a person.
    word(&["authorization_pending"]).is(Server, Request),
    // The model.
    word(&["model_not_found", "not_found_error", "deploymentnotfound", "model_not_supported", "invalid_model"]).is(NotFound, Model),
    word(&["unknown_model", "operationnotsupported", "modelnotopen"]).is(NotFound, Model),
    word(&["model_deprecated", "model_decommissioned", "model_not_available", "unsupported_api_for_model"]).is(NotFound, Model),
    word(&["resource_not_found_error", "resourcenotfoundexception"]).is(NotFound, Model),
    // The model wrote a call or JSON that the server refused; the same request may well go right the next time.
    word(&["tool_use_failed", "json_validate_failed"]).is(Server, Request),
    word(&["modelstreamerrorexception", "modelerrorexception", "incomplete_generation"]).is(Server, Model),
    word(&["validationexception"]).and_says(&["input is too long"]).is(ContextTooLong, Request),
    word(&["upstream_unreachable"]).is(Network, Provider),
    word(&["timeout", "timeout_error", "vector_store_timeout", "deadline_exceeded", "modeltimeoutexception"]).is(Timeout, Provider),
];

/// Codes by which a limit is known, whatever the status.
const LIMITS: &[&str] = &[
    "rate_limit_exceeded",
    "rate_limit_error",
    "rate_limited",
    "ratelimitreached",
    "resource_exhausted",
    "too_many_requests",
    "too_many_requests_error",
    "token_quota_exceeded",
    "rate_limit_reached_error",
    "model_rate_limit",
    "throttlingexception",
    "toomanyrequestsexception",
    "throttling",
    "throttling.ratequota",
    "throttling.allocationquota",
];

/// The same in words, which routers and libraries pass on under any status. "Too many tokens, please wait" is not about
/// the length of the conversation.
const PACE: [&str; 4] = ["please wait before trying again", "throttlingexception", "too many requests", "rate limit reached for"];

/// Messages that say it all, where no code does.
const TEXTS: &[Row] = &[
    // A stored item that is gone: the request names it, and the model is there.
    status(&[404]).and_says(&["item with id ", "not found"]).is(BadRequest, Request),
    says(&["api key not valid"]).is(Auth, Key),
    says(&["invalid api key"]).is(Auth, Key),
    says(&["incorrect api key"]).is(Auth, Key),
    says(&["api key expired"]).is(Auth, Key),
    says(&["insufficient balance"]).is(Billing, Key),
    says(&["insufficient credits"]).is(Billing, Key),
    says(&["credit balance is too low"]).is(Billing, Key),
    says(&["used all available credits"]).is(Billing, Key),
    says(&["doesn't have any credits"]).is(Billing, Key),
    says(&["billing hard limit"]).is(Billing, Key),
    says(&["balance is insufficient"]).is(Billing, Key),
    says(&["suspended", "spending limit"]).is(Billing, Key),
    says(&["enqueued token limit"]).is(Quota, Key),
    says(&["invalid prompt", "usage policy"]).is(ContentFilter, Request),
    says(&["content management policy"]).is(ContentFilter, Request),
    says(&["content exists risk"]).is(ContentFilter, Request),
    says(&["violates usage guidelines"]).is(ContentFilter, Request),
    // Another model may have what this one lacks.
    says(&["does not support tools"]).is(BadRequest, Model),
    says(&["\" does not support chat"]).is(BadRequest, Model),
    says(&["\" does not support thinking"]).is(BadRequest, Model),
    says(&["tool calling` is not supported"]).is(BadRequest, Model),
    says(&["function calling is not enabled"]).is(BadRequest, Model),
    says(&["requires --jinja"]).is(BadRequest, Model),
    says(&["image input is not supported"]).is(BadRequest, Model),
    says(&["is not a multimodal model"]).is(BadRequest, Model),
    says(&["auto\" tool choice requires"]).is(BadRequest, Model),
    says(&["not a valid model"]).is(NotFound, Model),
    says(&["model is not supported when using codex"]).is(NotFound, Model),
    says(&["model identifier is invalid"]).is(NotFound, Model),
    says(&["invocation of model id", "on-demand throughput"]).is(NotFound, Model),
    says(&["is not supported by provider"]).is(NotFound, Model),
    // A server of one's own that lost its model.
    says(&["the model has crashed"]).is(Server, Model),
    says(&["failed to load model"]).is(Server, Model),
    says(&["model unloaded"]).is(Server, Model),
    says(&["organization has been disabled"]).is(Permission, Key),
];

/// A whole text that is too long; an id or a name that is, is only badly formed.
fn long_text(facts: &Facts) -> bool {
    let short_field = facts.place.as_deref().is_some_and(|p| p.ends_with("id") || p.ends_with("name"));
    facts.is_called(&["string_above_max_length"]) && !short_field
}

/// Whether the text says that the conversation is longer than the model takes.
pub fn overflows(facts: &Facts) -> bool {
    const SIGNS: [&str; 34] = [
        "exceed max message tokens",
        "must be less than max_seq_len",
        "range of input length should be",
        "model's context length is only",
        "loaded with context length of only",
        "reached context length of",
        "exceeded max context length",
        "exceeded context length",
        "larger than the max context size",
        "longer than the maximum model length",
        "`inputs` must have less than",
        "number of input tokens exceeds",
        "request payload size exceeds the limit",
        "prompt exceeds max length",
        "prompt is too long",
        "input is too long",
        "exceeds the context window",
        "exceed context limit",
        "context window exceeds",
        "maximum context length",
        "maximum prompt length is",
        "reduce the length of the messages",
        "exceeds the available context size",
        "context size has been exceeded",
        "greater than the context length",
        "context_length_exceeded",
        "context length exceeded",
        "model_context_window_exceeded",
        "too many tokens",
        "token limit exceeded",
        "exceeded model token limit",
        "exceeds the maximum number of tokens",
        "longer than the model's context",
        "exceeds the model's context",
    ];
    let said = facts.all_said();
    let both = |a: &str, b: &str| said.contains(a) && said.contains(b);
    if is_about_pace(facts) {
        return false;
    }
    long_text(facts)
        || SIGNS.iter().any(|sign| said.contains(sign))
        || both("input token count", "exceeds the maximum")
        || both("prompt token count", "exceeds the limit")
        || both("input token count", "only supports up to")
        || both("tokens + `max_new_tokens`", "must be <=")
}

/// Whether the words, also those of the provider behind a router, say that requests come too fast.
pub fn is_about_pace(facts: &Facts) -> bool {
    let said = facts.all_said();
    PACE.iter().any(|sign| said.contains(sign))
}

/// Whether the message speaks of a day's, a week's or a plan's allowance.
pub fn counts_days(facts: &Facts) -> bool {
    const LONG: [&str; 16] = [
        "hour allocated quota",
        "week allocated quota",
        "month allocated quota",
        "per day",
        "per-day",
        "/ day",
        "per 86400s",
        "(rpd)",
        "(tpd)",
        "daily",
        "subscription rate limits",
        "usage limit",
        "weekly",
        "monthly",
        "per month",
        "/ month",
    ];
    LONG.iter().any(|sign| facts.says(sign))
}

/// Too many requests: in a minute, in a day, for everybody, or one that is too big by itself.
fn too_many(facts: &Facts) -> Option<Ruling> {
    const MONEY: [&str; 7] = [
        "insufficient balance",
        "insufficient credits",
        "billing hard limit",
        "exceeded your current quota",
        "credit balance is too low",
        "used all available credits",
        "doesn't have any credits",
    ];
    const BUSY: [&str; 6] = [
        "currently overloaded",
        "over capacity",
        "capacity exceeded",
        "capacity temporarily exceeded",
        "at maximum capacity",
        "model busy",
    ];
    if facts.status != 429 && !facts.is_called(LIMITS) && !is_about_pace(facts) {
        return None;
    }
    if facts.limits.overall.is_some() {
        return anthropic::by_windows(facts);
    }
    // One request that is over a minute's allowance fails with every key alike; a shorter one passes.
    if facts.said.starts_with("request too large") {
        return Some((ContextTooLong, Request));
    }
    if counts_days(facts) {
        return Some((Quota, Key));
    }
    if MONEY.iter().any(|sign| facts.says(sign)) {
        return Some((Billing, Key));
    }
    if BUSY.iter().any(|sign| facts.says(sign)) {
        return Some((Overloaded, Model));
    }
    // A subscription's window that is used up, in ChatGPT's headers.
    let spent = facts.limits.spent().filter(|w| w.kind == crate::wire::limits::Kind::Plan).map(|w| w.some_models).reduce(|a, b| a && b);
    if let Some(some_models) = spent {
        return Some((Quota, if some_models { Model } else { Key }));
    }
    // A router passes on the limit of the provider behind it: another key does not help there, another model does.
    let behind = facts.error.pointer("/metadata/provider_name").is_some_and(serde_json::Value::is_string) || facts.says("upstream");
    Some((RateLimit, if behind { Model } else { Key }))
}

fn by_status(facts: &Facts) -> Ruling {
    // What the server itself says of a second attempt overrides what the number says.
    let again = wait::header(&facts.headers, "x-should-retry");
    match facts.status {
        401 => (Auth, Key),
        402 if wait::retry_after(&facts.headers, facts.now).is_some() => (RateLimit, Key),
        402 => (Billing, Key),
        403 => (Permission, Key),
        404 | 410 => (NotFound, Model),
        407 | 421 | 511 => (Network, Provider),
        408 | 504 | 524 => (Timeout, Provider),
        409 | 425 if again != Some("false") => (Server, Request),
        413 => (ContextTooLong, Request),
        429 => (RateLimit, Key),
        451 => (Permission, Provider),
        503 | 529 => (Overloaded, Model),
        400..=499 if again == Some("true") => (Server, Request),
        400..=499 => (BadRequest, Request),
        500..=599 => (Server, Provider),
        _ => without_status(facts),
    }
}

/// An error without a number: inside a stream, or in a reply that calls itself a success.
fn without_status(facts: &Facts) -> Ruling {
    let forms = ["invalid_", "missing_", "unsupported_", "unknown_parameter", "bad_request", "duplicate_", "mismatched_"];
    let bad = facts.words.iter().any(|w| forms.iter().any(|f| w.starts_with(f))) || blame::is_coded(&facts.words);
    match () {
        () if bad => (BadRequest, Request),
        () if facts.is_called(&["validation", "validationexception"]) => (BadRequest, Request),
        () if facts.says("overloaded") || facts.says("capacity") => (Overloaded, Model),
        () if facts.says("rate limit") || facts.says("rate-limit") || facts.says("rate_limit") => (RateLimit, Key),
        () if facts.says("unauthorized") || facts.says("not authenticated") || facts.says("authentication") => (Auth, Key),
        () if facts.says("unsupported parameter") || facts.says("field required") => (BadRequest, Request),
        () if facts.says("timed out") || facts.says("timeout") => (Timeout, Provider),
        () if facts.succeeded() && facts.shape == Shape::Text => (Network, Provider),
        () => (Server, Provider),
    }
}
