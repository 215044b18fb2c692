//! The provider's refusals, where they mean more on this wire than their words and status say; and the words for ours.
//!
//! The classifier that all wires share reads bodies, headers and texts; this adds the vendor's own cases. Their source is
//! the table of the protocol notes and messages as users reported them.

use crate::model::{Class, ProviderError, Scope};
use crate::wire::{classify as shared, wait};
use jiff::Timestamp;

type Headers = [(String, String)];

/// An HTTP reply that is no success, or a success whose body is an error.
pub fn classify(status: u16, headers: &Headers, body: &[u8]) -> ProviderError {
    let mut error = shared::http(status, headers, body);
    refine(&mut error);
    if error.class == Class::RateLimit && status == 429 {
        limits(&mut error, headers);
    }
    error
}

/// An error inside a reply that began well.
pub fn in_band(data: &[u8]) -> ProviderError {
    let mut error = shared::in_band(data);
    refine(&mut error);
    error
}

/// What the message and the error's type say.
fn refine(error: &mut ProviderError) {
    let message = error.message.to_ascii_lowercase();
    let has = |needle: &str| message.contains(needle);
    let verdict = match error.code.as_deref() {
        Some("timeout_error") => (Class::Timeout, Scope::Provider),
        Some("api_error") if error.status.is_none() => (Class::Server, Scope::Model),
        _ if has("credit balance is too low") => (Class::Billing, Scope::Key),
        _ if has("only authorized for use with claude code") => (Class::Permission, Scope::Key),
        _ if has("extra usage") || has("usage limits") || has("spend limit") || has("spending limit") => (Class::Quota, Scope::Key),
        _ if has("exceed context limit") => (Class::ContextTooLong, Scope::Request),
        _ if has("content filtering policy") => (Class::ContentFilter, Scope::Request),
        // Without a status only the type tells it from the provider's own failures.
        Some("invalid_request_error") if error.status.is_none() && error.class == Class::Server => (Class::BadRequest, Scope::Request),
        _ => return,
    };
    (error.class, error.scope) = verdict;
    if error.class == Class::Quota && error.retry_after_s.is_none() {
        error.retry_after_s = wait::from_text(&error.message, crate::base::clock::unix_ms());
    }
}

/// What the headers say of a 429: which of the account's windows is spent, and until when.
fn limits(error: &mut ProviderError, headers: &Headers) {
    let unified: Vec<Window> = windows(headers);
    if let Some(overall) = wait::header(headers, "anthropic-ratelimit-unified-status") {
        let rejected = unified.iter().filter(|w| w.rejected);
        let one_model = unified.iter().any(|w| w.rejected && w.one_model) && !unified.iter().any(|w| w.rejected && !w.one_model);
        if overall != "rejected" && rejected.clone().next().is_none() {
            // A plan that is not used up, and yet too many: the model's own limit.
            error.scope = Scope::Model;
            return;
        }
        let overall_reset = wait::header(headers, "anthropic-ratelimit-unified-reset").filter(|_| overall == "rejected");
        let resets = rejected.filter_map(|w| w.reset_s).chain(overall_reset.and_then(|r| seconds_until(r, headers)));
        error.class = Class::Quota;
        error.scope = if one_model { Scope::Model } else { Scope::Key };
        error.retry_after_s = resets.chain(error.retry_after_s).reduce(f64::max);
        return;
    }
    let spent = spent_reset(headers);
    if error.retry_after_s.is_none() && spent.is_none() {
        // Ordinary limits name a time; the one that does not is the month's cap on spending.
        error.class = Class::Quota;
        error.scope = Scope::Key;
    }
    error.retry_after_s = error.retry_after_s.or(spent);
}

/// A window of a subscription.
struct Window {
    rejected: bool,
    /// It counts one family of models only.
    one_model: bool,
    reset_s: Option<f64>,
}

fn windows(headers: &Headers) -> Vec<Window> {
    let read = |(key, status): &(String, String)| {
        let key = key.to_ascii_lowercase();
        let name = key.strip_prefix("anthropic-ratelimit-unified-")?.strip_suffix("-status")?;
        // The status of paid extra use is `rejected` on healthy replies too.
        if name.starts_with("overage") {
            return None;
        }
        let reset = wait::header(headers, &format!("anthropic-ratelimit-unified-{name}-reset"));
        Some(Window {
            rejected: status.trim() == "rejected",
            one_model: !matches!(name, "5h" | "7d"),
            reset_s: reset.and_then(|r| seconds_until(r, headers)),
        })
    };
    headers.iter().filter_map(read).collect()
}

/// The longest reset among an API key's windows in which nothing remains.
fn spent_reset(headers: &Headers) -> Option<f64> {
    let spent = headers.iter().filter_map(|(key, left)| {
        let key = key.to_ascii_lowercase();
        let window = key.strip_prefix("anthropic-").and_then(|k| k.strip_suffix("-remaining"))?;
        (left.trim().parse::<u64>().ok()? == 0).then(|| wait::header(headers, &format!("anthropic-{window}-reset"))).flatten()
    });
    spent.filter_map(|reset| seconds_until(reset, headers)).reduce(f64::max)
}

/// Seconds to a time that is written in Unix seconds or as RFC 3339, by the reply's own clock.
fn seconds_until(reset: &str, headers: &Headers) -> Option<f64> {
    let at = match reset.parse::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => reset.parse::<Timestamp>().ok()?.as_millisecond() as f64 / 1000.0,
    };
    wait::sane((at - wait::now_ms(headers) as f64 / 1000.0).max(0.0))
}

/// The type by which this wire's clients know a class, and what a message must contain for them to understand it.
pub const fn words(class: Class) -> (&'static str, Option<&'static str>) {
    match class {
        Class::RateLimit | Class::Quota => ("rate_limit_error", None),
        Class::Billing => ("billing_error", None),
        Class::Overloaded => ("overloaded_error", None),
        Class::Server | Class::Network => ("api_error", None),
        Class::Auth => ("authentication_error", None),
        Class::Permission => ("permission_error", None),
        // Clients tell by these words that they have to shorten the conversation.
        Class::ContextTooLong => ("invalid_request_error", Some("prompt is too long")),
        Class::ContentFilter => ("invalid_request_error", Some("Output blocked by content filtering policy")),
        Class::BadRequest => ("invalid_request_error", None),
        Class::NotFound => ("not_found_error", None),
        Class::Timeout => ("timeout_error", None),
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
