//! Anthropic, by key and by subscription.

use super::facts::Facts;
use super::rule::{Row, Ruling, first, says, status, word};
use crate::model::{Class, Scope};
use crate::wire::limits::{Kind, Status, Window};
use crate::wire::wait;

const TEXTS: &[Row] = &[
    // A right of this one request; the credential is as good as before.
    says(&["fast request rejected"]).is(Class::Quota, Scope::Request),
    says(&["fast", "usage credits"]).is(Class::Quota, Scope::Request),
    says(&["extra usage", "long context"]).is(Class::Quota, Scope::Request),
    says(&["credit balance is too low"]).is(Class::Billing, Scope::Key),
    says(&["extra usage"]).is(Class::Quota, Scope::Key),
    says(&["usage limits"]).is(Class::Quota, Scope::Key),
    says(&["spend limit"]).is(Class::Quota, Scope::Key),
    says(&["spending limit"]).is(Class::Quota, Scope::Key),
    says(&["content filtering policy"]).is(Class::ContentFilter, Scope::Request),
    status(&[401, 403]).and_says(&["revoked"]).is(Class::Auth, Scope::Key),
    word(&["api_error"]).and_says(&["overloaded"]).is(Class::Overloaded, Scope::Model),
];

pub fn judge(facts: &Facts) -> Option<Ruling> {
    let limited = facts.status == 429 || facts.is_called(&["rate_limit_error"]);
    first(TEXTS, facts).or_else(|| limited.then(|| by_windows(facts)).flatten())
}

/// Whether the subscription is used up, whatever the status: a reply may still come, and be paid for as extra use.
pub fn plan_is_spent(facts: &Facts) -> bool {
    facts.limits.overall == Some(Status::Rejected)
}

/// What the headers say of a 429: which of the account's windows is spent.
pub fn by_windows(facts: &Facts) -> Option<Ruling> {
    let plan = facts.limits.overall.is_some() || plan_windows(facts).next().is_some();
    if plan {
        // A plan that is not used up, and yet too many: the model's own limit.
        let used_up = plan_is_spent(facts) || plan_windows(facts).any(Window::spent);
        return Some(if used_up { (Class::Quota, plan_scope(facts)) } else { (Class::RateLimit, Scope::Model) });
    }
    // Ordinary limits name a time or what they count; the one that does not is the month's cap on spending.
    let counts = ["per minute", "per-minute", "per hour", "concurrent", "acceleration"].iter().any(|unit| facts.says(unit));
    let silent = !counts && super::times::asked(facts).is_none() && facts.limits.spent().next().is_none();
    (facts.http == 429 && silent).then_some((Class::Quota, Scope::Key))
}

fn plan_windows(facts: &Facts) -> impl Iterator<Item = &Window> {
    facts.limits.windows.iter().filter(|w| w.kind == Kind::Plan)
}

/// Whether everything is used up, or one family of models only.
pub fn plan_scope(facts: &Facts) -> Scope {
    let spent = |some_models: bool| plan_windows(facts).any(move |w| w.spent() && w.some_models == some_models);
    let claims_models = facts.limits.claim.as_deref().is_some_and(|claim| claim.starts_with("seven_day_"));
    if !spent(false) && (spent(true) || claims_models) { Scope::Model } else { Scope::Key }
}

/// The latest of what was asked for and of the resets of the windows that are spent.
pub fn plan_wait(facts: &Facts) -> Option<f64> {
    let overall = facts.limits.overall_reset_s.filter(|_| plan_is_spent(facts));
    let windows = plan_windows(facts).filter(|w| w.spent()).filter_map(|w| w.reset_s);
    windows.chain(overall).filter(|s| *s > 0.0).chain(wait::retry_after(&facts.headers, facts.now)).reduce(f64::max)
}
