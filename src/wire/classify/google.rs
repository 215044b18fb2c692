//! Google's errors, by their shape: Gemini, Vertex, Antigravity, and whoever passes them on.

use super::anthropic;
use super::facts::Facts;
use super::rule::{Row, Ruling, first, says, word};
use super::rules::counts_days;
use super::vendor::Vendor;
use crate::model::{Class, Scope};
use crate::wire::wait;
use serde_json::Value;

/// A longer wait than this is a quota that is used up, not a pace that is too fast.
const QUOTA_FROM_S: f64 = 300.0;
/// What a limit by the minute takes at most to open again.
const MINUTE_S: f64 = 60.0;

const REASONS: &[Row] = &[
    // A person has to verify the account; it is not banned.
    word(&["validation_required"]).is(Class::Auth, Scope::Key),
    says(&["violation of terms of service"]).is(Class::Permission, Scope::Key),
    word(&["api_key_invalid", "access_token_expired", "access_token_type_unsupported", "credentials_missing"]).is(Class::Auth, Scope::Key),
    word(&["billing_disabled"]).is(Class::Billing, Scope::Key),
    word(&["api_key_service_blocked", "api_key_http_referrer_blocked", "api_key_ip_address_blocked"]).is(Class::Permission, Scope::Key),
    word(&["service_disabled", "iam_permission_denied", "consumer_suspended", "security_policy_violated"])
        .is(Class::Permission, Scope::Key),
    says(&["user location is not supported"]).is(Class::Permission, Scope::Provider),
    says(&["free tier is not available"]).is(Class::Permission, Scope::Key),
];

/// Who is out of what.
const EXHAUSTED: &[Row] = &[
    word(&["model_capacity_exhausted", "model_capacity_exceeded"]).is(Class::Overloaded, Scope::Model),
    says(&["no capacity available"]).is(Class::Overloaded, Scope::Model),
    word(&["insufficient_g1_credits_balance"]).is(Class::Quota, Scope::Key),
];

pub fn judge(facts: &Facts) -> Option<Ruling> {
    if !has_its_shape(facts) {
        return None;
    }
    let limited = matches!(facts.status, 429 | 499 | 503) || facts.is_called(&["resource_exhausted"]);
    first(REASONS, facts).or_else(|| limited.then(|| exhausted(facts)))
}

/// Models of Anthropic behind Google's door: the error inside is theirs, the limits around it are Google's.
pub fn anthropics(facts: &Facts) -> Option<Ruling> {
    let inner = facts.is_called(&["invalid_request_error", "api_error", "overloaded_error", "permission_error", "authentication_error"]);
    inner.then(|| anthropic::judge(facts)).flatten()
}

fn has_its_shape(facts: &Facts) -> bool {
    let named = facts.error.get("status").and_then(Value::as_str);
    let named = named.is_some_and(|s| s.len() > 3 && s.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
    let typed = || facts.details().any(|d| d.get("@type").and_then(Value::as_str).is_some_and(|t| t.contains("google.rpc")));
    let quota = || quota_ids(facts).next().is_some();
    matches!(facts.vendor, Vendor::Google | Vendor::Antigravity) || named || typed() || quota()
}

fn exhausted(facts: &Facts) -> Ruling {
    if let Some(ruling) = first(EXHAUSTED, facts) {
        return ruling;
    }
    let scope = if is_about_a_model(facts) { Scope::Model } else { Scope::Key };
    let delay = asked(facts).is_some_and(|s| s > QUOTA_FROM_S);
    let daily = quota_ids(facts).any(|id| id.contains("PerDay") || id.contains("Daily"));
    if none_on_this_plan(facts) {
        return (Class::Quota, Scope::Model);
    }
    if facts.is_called(&["quota_exhausted"]) || daily || delay || counts_days(facts) {
        return (Class::Quota, scope);
    }
    match facts.status {
        499 if !facts.is_called(&["rate_limit_exceeded", "resource_exhausted"]) => (Class::Server, Scope::Request),
        503 if !facts.is_called(&["rate_limit_exceeded", "resource_exhausted"]) => (Class::Overloaded, Scope::Model),
        _ => (Class::RateLimit, scope),
    }
}

fn quota_ids(facts: &Facts) -> impl Iterator<Item = &str> {
    let violations = facts.details().filter_map(|d| d.get("violations")?.as_array()).flatten();
    violations.filter_map(|v| v.get("quotaId")?.as_str())
}

fn is_about_a_model(facts: &Facts) -> bool {
    let named = facts.details().any(|d| d.pointer("/metadata/model").is_some());
    named
        || facts.says("on this model")
        || facts.says("per_base_model")
        || quota_ids(facts).next().is_some_and(|id| id.contains("PerModel"))
}

/// "limit: 0": the plan does not have this model, and no time brings it.
fn none_on_this_plan(facts: &Facts) -> bool {
    facts.said.match_indices("limit: 0").any(|(at, zero)| {
        let rest = facts.said.get(at + zero.len()..).unwrap_or_default();
        !rest.starts_with(|c: char| c.is_ascii_digit()) && !rest.starts_with('.')
    })
}

/// The wait in the details: `RetryInfo` first, then `ErrorInfo`'s reset.
pub fn asked(facts: &Facts) -> Option<f64> {
    let text = |place: &'static str| facts.details().find_map(move |d| d.pointer(place)?.as_str());
    let written = || text("/retryDelay").or_else(|| text("/metadata/quotaResetDelay")).and_then(wait::whole_duration);
    let delay = || written().or_else(|| facts.details().find_map(|d| in_parts(d.get("retryDelay")?))).and_then(wait::sane);
    let stamp = || facts.now.ahead(wait::rfc3339_ms(text("/metadata/quotaResetTimeStamp")?)?);
    (!none_on_this_plan(facts)).then(|| delay().or_else(stamp)).flatten()
}

/// A duration as libraries write it: whole seconds, and billionths.
fn in_parts(delay: &Value) -> Option<f64> {
    let number = |key: &str| {
        let part = delay.get(key)?;
        part.as_f64().or_else(|| part.as_str()?.parse().ok())
    };
    Some(number("seconds")? + number("nanos").unwrap_or(0.0) / 1e9)
}

/// Where no time is given: a limit by the minute opens within one.
pub fn usual_wait(facts: &Facts) -> Option<f64> {
    quota_ids(facts).any(|id| id.contains("PerMinute")).then_some(MINUTE_S)
}

/// A limit for which no time of the message counts.
pub fn never_returns(facts: &Facts) -> bool {
    quota_ids(facts).next().is_some() && none_on_this_plan(facts)
}

/// Where a person can do what the refusal asks for.
pub fn link(facts: &Facts) -> Option<&str> {
    let text = |place: &'static str| facts.details().find_map(move |d| d.pointer(place)?.as_str());
    let asks = facts.is_called(&["validation_required"]) || text("/metadata/appeal_url").is_some();
    asks.then(|| text("/metadata/validation_link").or_else(|| text("/metadata/appeal_url")).or_else(|| text("/links/0/url"))).flatten()
}
