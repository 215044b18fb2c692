//! OpenRouter: what is its own, and what comes from the provider behind it.

use super::facts::Facts;
use super::rule::{Row, Ruling, first, says, status};
use crate::model::{Class, Scope};
use crate::wire::wait;

const OWN: &[Row] = &[
    says(&["free-models-per-day"]).is(Class::Quota, Scope::Key),
    // Credits for this prompt's size: a shorter one may pass, another key or model may.
    status(&[402]).and_says(&["prompt tokens limit exceeded"]).is(Class::Billing, Scope::Request),
    says(&["key limit exceeded"]).is(Class::Quota, Scope::Key),
];

/// The provider behind it failed: that says nothing of the others.
const BEHIND: &[Row] = &[status(&[502]).is(Class::Server, Scope::Model), status(&[503]).is(Class::Overloaded, Scope::Model)];

pub fn judge(facts: &Facts) -> Option<Ruling> {
    moderated(facts).or_else(|| first(OWN, facts)).or_else(|| behind(facts))
}

/// Refused for its content, with the reasons beside.
pub fn moderated(facts: &Facts) -> Option<Ruling> {
    let reasons = ["/metadata/flagged_input", "/metadata/reasons", "/metadata/flagged_categories"];
    let flagged = reasons.iter().any(|place| facts.error.pointer(place).is_some());
    flagged.then_some((Class::ContentFilter, Scope::Request))
}

fn behind(facts: &Facts) -> Option<Ruling> {
    // Its own limits are in its headers; without those it passes on what the provider behind it said, and another key of
    // ours does not help there.
    let own = facts.headers.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("x-ratelimit-"));
    let slow = facts.in_band() && super::rules::is_about_pace(facts) && !super::rules::counts_days(facts);
    if (facts.status == 429 || slow) && !own {
        return Some((Class::RateLimit, Scope::Model));
    }
    // Whatever status it is wrapped in: only a shorter conversation helps.
    if super::rules::overflows(facts) && facts.status != 429 {
        return Some((Class::ContextTooLong, Scope::Request));
    }
    // A request that was taken in is not a bad one for everybody.
    if facts.in_band() && facts.status == 400 {
        return Some((Class::BadRequest, Scope::Model));
    }
    first(BEHIND, facts)
}

/// Free models count by the UTC day.
pub fn usual_wait(facts: &Facts) -> Option<f64> {
    facts.says("free-models-per-day").then(|| facts.now.next_utc_midnight()).flatten()
}

/// A lone reset without a count beside it is that of the limit that was hit.
pub fn lone_reset(facts: &Facts) -> Option<f64> {
    let counted = wait::header(&facts.headers, "x-ratelimit-remaining").is_some();
    (!counted).then(|| wait::reset(wait::header(&facts.headers, "x-ratelimit-reset")?, facts.now)).flatten()
}
