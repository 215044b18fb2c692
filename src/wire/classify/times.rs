//! How long to wait after a refusal: the provider's own time, from wherever it gives one.

use super::facts::Facts;
use super::{anthropic, google, openrouter, zai};
use crate::model::Class;
use crate::wire::wait::{self, Now};
use serde_json::Value;

/// The wait, where one helps.
pub fn wait(facts: &Facts, class: Class) -> Option<f64> {
    match class {
        Class::RateLimit | Class::Quota | Class::Overloaded | Class::Server | Class::Timeout => {}
        Class::Billing
        | Class::Auth
        | Class::Permission
        | Class::ContextTooLong
        | Class::BadRequest
        | Class::ContentFilter
        | Class::NotFound
        | Class::Network => return None,
    }
    if class == Class::Quota && google::never_returns(facts) {
        return None;
    }
    if class == Class::Quota
        && let Some(plan) = anthropic::plan_wait(facts).filter(|_| facts.limits.overall.is_some())
    {
        return Some(plan);
    }
    asked(facts)
        .or_else(|| facts.limits.spent_reset_s().filter(|_| class != Class::Server))
        .or_else(|| matches!(class, Class::RateLimit | Class::Quota).then(|| usual(facts)).flatten())
}

/// What the refusal itself asks for: `retry-after`, the error's fields, its sentences.
pub fn asked(facts: &Facts) -> Option<f64> {
    wait::retry_after(&facts.headers, facts.now).or_else(|| fields(facts)).or_else(|| google::asked(facts)).or_else(|| {
        let zone = if zai::is_its(facts) { zai::ZONE } else { 0 };
        let text = |text: &str| wait::from_text(text, facts.now, zone);
        text(&facts.message).or_else(|| facts.upstream.as_deref().and_then(text))
    })
}

/// The fields of the error, of what it tells besides, and of what it stands in.
fn fields(facts: &Facts) -> Option<f64> {
    let places = [Some(&facts.error), facts.error.get("metadata"), Some(&facts.root)];
    places.into_iter().flatten().find_map(|place| fields_of(place, facts.now))
}

/// Seconds before dates: those need no clock.
fn fields_of(place: &Value, now: Now) -> Option<f64> {
    const SECONDS: [&str; 5] = ["resets_in_seconds", "retry_after", "retry_after_seconds", "retryAfter", "estimated_time"];
    const MILLISECONDS: [&str; 2] = ["retry_after_ms", "retryAfterMs"];
    const MOMENTS: [&str; 2] = ["resets_at", "reset_at"];
    let number = |key: &str| match place.get(key)? {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => s.parse().ok().or_else(|| wait::whole_duration(s)),
        _ => None,
    };
    let moment = |key: &str| match place.get(key)? {
        Value::String(date) if date.contains('-') => wait::rfc3339_ms(date),
        _ => wait::epoch(number(key)?),
    };
    let seconds = SECONDS.iter().find_map(|key| wait::sane(number(key)?));
    let milliseconds = || MILLISECONDS.iter().find_map(|key| wait::sane(number(key)? / 1000.0));
    seconds.or_else(milliseconds).or_else(|| MOMENTS.iter().find_map(|key| now.ahead(moment(key)?)))
}

/// What is known of a limit that names no time.
fn usual(facts: &Facts) -> Option<f64> {
    openrouter::lone_reset(facts).or_else(|| openrouter::usual_wait(facts)).or_else(|| google::usual_wait(facts))
}
