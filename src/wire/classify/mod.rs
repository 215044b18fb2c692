//! A provider's refusal to class and scope: the body first, then the status.
//!
//! This is the first form, for Chat Completions and the shapes that servers of that wire answer with (OpenAI, OpenRouter,
//! Google's in a list, Z.AI's number codes, FastAPI's `detail`, plain text, web pages). What needs to know which
//! provider it is (an empty 400 that means a full context) is decided above, where that is known.

mod blame;

use super::wait;
use crate::base::{clock, text};
use crate::model::{Class, ProviderError, Scope};
use serde_json::Value;

/// How much of a body's text is shown to a person.
const MAX_MESSAGE: usize = 400;

/// What is known of a refusal, from wherever it stood.
struct Facts {
    status: u16,
    message: String,
    /// Codes, types and statuses, in lower case.
    words: Vec<String>,
    /// The provider's own code or type, as it wrote it.
    code: Option<String>,
    error: Value,
    html: bool,
    /// The field or place that the refusal names apart from its message.
    place: Option<String>,
}

/// An HTTP reply that is no success, or a success whose body is an error.
pub fn http(status: u16, headers: &[(String, String)], body: &[u8]) -> ProviderError {
    let facts = Facts::read(status, body);
    let (class, scope) = facts.judge(headers);
    let mut error = ProviderError::new(class, scope, facts.shown()).with_code(facts.code.clone());
    error.status = Some(status).filter(|s| *s != 200);
    error.request_id = request_id(headers, &facts.error);
    error.retry_after_s = facts.wait(headers, class);
    facts.assign(&mut error);
    error
}

/// An error inside a reply that began well: one event's data, or one JSON document. Its own code stands for the status.
pub fn in_band(data: &[u8]) -> ProviderError {
    let mut error = http(0, &[], data);
    error.status = None;
    // A reply that breaks off says nothing about the whole provider.
    if error.class == Class::Server && error.scope == Scope::Provider {
        error.scope = Scope::Model;
    }
    error
}

fn request_id(headers: &[(String, String)], error: &Value) -> Option<String> {
    ["x-request-id", "request-id", "apim-request-id", "x-generation-id", "cf-ray"]
        .into_iter()
        .find_map(|name| wait::header(headers, name))
        .or_else(|| error.get("request_id").and_then(Value::as_str))
        .map(str::to_owned)
}

/// A web page's title, or its first words.
pub fn page_title(html: &[u8]) -> String {
    let html = String::from_utf8_lossy(html);
    let lower = html.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|from| {
        let open = from + lower.get(from..)?.find('>')? + 1;
        let close = open + lower.get(open..)?.find('<')?;
        html.get(open..close)
    });
    text::one_line(&text::strip_controls(title.unwrap_or(&html)), 120)
}

impl Facts {
    fn read(status: u16, body: &[u8]) -> Self {
        let parsed = serde_json::from_slice::<Value>(body).ok();
        let html = parsed.is_none() && body.trim_ascii_start().starts_with(b"<");
        let mut root = parsed.unwrap_or(Value::Null);
        // Google's flavour wraps the error in a list.
        if let Value::Array(items) = &mut root {
            root = items.iter_mut().next().map(Value::take).unwrap_or_default();
        }
        let mut error = match root.get_mut("error") {
            Some(Value::Null) | None => root.clone(),
            Some(inner) => inner.take(),
        };
        let message = sentence(&error).or_else(|| sentence(&root));
        let message = message.unwrap_or_else(|| {
            let plain = String::from_utf8_lossy(body.get(..2000).unwrap_or(body));
            if html { page_title(body) } else { text::strip_controls(plain.trim()) }
        });
        let code = ["code", "type", "status"].iter().find_map(|key| code_of(error.get(*key)?));
        let words = ["code", "type", "status", "reason"].iter().filter_map(|key| code_of(error.get(*key)?)).map(|w| w.to_ascii_lowercase());
        let mut words: Vec<String> = words.collect();
        let reasons = error.get("details").and_then(Value::as_array).into_iter().flatten();
        words.extend(reasons.filter_map(|d| d.get("reason")?.as_str()).map(str::to_ascii_lowercase));
        if let Some(id) = root.get("request_id").cloned()
            && let Some(map) = error.as_object_mut()
        {
            map.entry("request_id").or_insert(id);
        }
        let place = place(&error, &root);
        Self { status: own_status(&error, &root, status), message, words, code, error, html, place }
    }

    /// Says which item of the history a bad request is about.
    fn assign(&self, error: &mut ProviderError) {
        // A reasoning item that is no longer stored is not found, although it is the request that names it.
        let lost = error.class == Class::NotFound && self.message.starts_with("Item with id ");
        if lost {
            (error.class, error.scope) = (Class::BadRequest, Scope::Request);
        }
        if error.class == Class::BadRequest {
            error.blames = blame::find(&self.words, &self.shown(), self.place.as_deref()).map(Box::new);
        }
    }

    fn says(&self, words: &[&str]) -> bool {
        self.words.iter().any(|w| words.contains(&w.as_str()))
    }

    /// Class and scope; the first rule that fits wins.
    fn judge(&self, headers: &[(String, String)]) -> (Class, Scope) {
        let message = self.message.to_ascii_lowercase();
        let has = |needle: &str| message.contains(needle);
        if self.html && matches!(self.status, 0 | 200..=299 | 403) {
            return (Class::Network, Scope::Provider);
        }
        if let Some(verdict) = self.words.iter().find_map(|w| by_word(w)) {
            return verdict;
        }
        // A whole text that is too long, not an id or a name.
        let short_field = || self.place.as_deref().is_some_and(|p| p.ends_with("id") || p.ends_with("name"));
        if self.says(&["string_above_max_length"]) && !short_field() {
            return (Class::ContextTooLong, Scope::Request);
        }
        if let Some(verdict) = self.numbered() {
            return verdict;
        }
        if self.error.pointer("/metadata/flagged_input").is_some() || self.error.pointer("/metadata/reasons").is_some() {
            return (Class::ContentFilter, Scope::Request);
        }
        if self.status == 429
            || self.says(&["rate_limit_exceeded", "rate_limit_error", "ratelimitreached", "resource_exhausted", "too_many_requests"])
        {
            return self.too_many(&message);
        }
        match self.status {
            402 if has("prompt tokens limit exceeded") => return (Class::Billing, Scope::Request),
            402 if wait::from_headers(headers).is_some() => return (Class::RateLimit, Scope::Key),
            402 => return (Class::Billing, Scope::Key),
            _ => {}
        }
        if overflows(&message) {
            return (Class::ContextTooLong, Scope::Request);
        }
        if has("api key not valid") || has("invalid api key") || has("incorrect api key") {
            return (Class::Auth, Scope::Key);
        }
        by_status(self.status, &message)
    }

    /// Z.AI's numbered codes (four digits as a string).
    fn numbered(&self) -> Option<(Class, Scope)> {
        let code = self.error.get("code")?.as_str()?;
        let number: u16 = code.parse().ok().filter(|n| code.len() == 4 && (1000..2000).contains(n))?;
        Some(match number {
            1000..=1004 | 1110..=1112 | 1120 | 1121 => (Class::Auth, Scope::Key),
            1113 | 1309 => (Class::Billing, Scope::Key),
            1211 => (Class::NotFound, Scope::Model),
            1220..=1222 | 1311 => (Class::Permission, Scope::Model),
            1234 => (Class::Network, Scope::Provider),
            1261 => (Class::ContextTooLong, Scope::Request),
            1301 => (Class::ContentFilter, Scope::Request),
            1302 | 1303 | 1305 => (Class::RateLimit, Scope::Key),
            1304 | 1308 | 1310 | 1316..=1321 => (Class::Quota, Scope::Key),
            1312 => (Class::Overloaded, Scope::Model),
            1313 => (Class::Permission, Scope::Key),
            1210..=1215 => (Class::BadRequest, Scope::Request),
            _ => return None,
        })
    }

    fn too_many(&self, message: &str) -> (Class, Scope) {
        let has = |needle: &str| message.contains(needle);
        // One request that is over a minute's allowance fails with every key alike; a shorter one passes.
        if message.starts_with("request too large") {
            return (Class::ContextTooLong, Scope::Request);
        }
        let quota_ids: Vec<&str> = self
            .error
            .get("details")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|d| d.get("violations")?.as_array())
            .flatten()
            .filter_map(|v| v.get("quotaId")?.as_str())
            .collect();
        let model_of = |id: &&str| if id.contains("PerModel") { Scope::Model } else { Scope::Key };
        if let Some(id) = quota_ids.iter().find(|id| id.contains("PerDay") || id.contains("Daily")) {
            return (Class::Quota, model_of(id));
        }
        if has("limit: 0") && !quota_ids.is_empty() {
            return (Class::Quota, Scope::Model);
        }
        if let Some(id) = quota_ids.first() {
            return (Class::RateLimit, model_of(id));
        }
        let daily = ["per day", "(rpd)", "(tpd)", "per-day", "daily", "subscription rate limits", "usage limit", "weekly", "monthly"];
        if daily.iter().any(|d| has(d)) {
            return (Class::Quota, Scope::Key);
        }
        if has("insufficient balance") || has("billing hard limit") {
            return (Class::Billing, Scope::Key);
        }
        // OpenRouter passes on the limit of the provider behind it: another key does not help, another model does.
        let upstream = self.error.pointer("/metadata/provider_name").is_some() || has("upstream");
        (Class::RateLimit, if upstream { Scope::Model } else { Scope::Key })
    }

    fn wait(&self, headers: &[(String, String)], class: Class) -> Option<f64> {
        match class {
            Class::RateLimit | Class::Quota | Class::Overloaded | Class::Server => {}
            // Waiting helps none of these.
            Class::Billing
            | Class::Auth
            | Class::Permission
            | Class::ContextTooLong
            | Class::BadRequest
            | Class::ContentFilter
            | Class::NotFound
            | Class::Network
            | Class::Timeout => return None,
        }
        let asked = wait::from_headers(headers).or_else(|| wait::from_error(&self.error, headers));
        // OpenRouter's free models count by the UTC day.
        asked.or_else(|| self.message.contains("free-models-per-day").then(|| wait::next_utc_midnight_s(clock::unix_ms())))
    }

    /// The message for a person: short, and with the upstream's own words where the outer ones say nothing.
    fn shown(&self) -> String {
        let mut message = self.message.clone();
        if let Some(raw) = self.error.pointer("/metadata/raw").and_then(Value::as_str) {
            let inner = serde_json::from_str::<Value>(raw).ok().and_then(|v| sentence(v.get("error").unwrap_or(&v)));
            message = format!("{message}: {}", text::one_line(inner.as_deref().unwrap_or(raw), 200));
        }
        if self.html {
            return format!("a web page instead of an answer ({}); is the base URL right?", text::one_line(&message, 120));
        }
        if message.is_empty() {
            return match self.status {
                0 | 200 => "an error without a message".to_owned(),
                status => format!("HTTP {status} without a message"),
            };
        }
        let short = text::prefix(&message, MAX_MESSAGE);
        if short.len() < message.len() { format!("{short}...") } else { message }
    }
}

/// `param`, or the first `loc` of a list of faults.
fn place(error: &Value, root: &Value) -> Option<String> {
    let listed = || {
        let steps =
            root.pointer("/detail/0/loc")?.as_array()?.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned));
        Some(steps.collect::<Vec<_>>().join("."))
    };
    error.get("param").and_then(Value::as_str).map(str::to_owned).or_else(listed)
}

/// The words of an error value, wherever it keeps them.
fn sentence(error: &Value) -> Option<String> {
    match error {
        Value::String(s) if !s.trim().is_empty() => Some(s.clone()),
        Value::Object(map) => ["message", "detail", "msg", "error"].iter().find_map(|key| match map.get(*key)? {
            Value::String(s) if !s.trim().is_empty() => Some(s.clone()),
            Value::Array(items) => items.first().and_then(sentence),
            inner @ Value::Object(_) => sentence(inner),
            _ => None,
        }),
        _ => None,
    }
}

fn code_of(value: &Value) -> Option<String> {
    match value {
        Value::String(s) if !s.is_empty() => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

/// The status that counts: HTTP's, unless that was a success; then the one that the error names.
fn own_status(error: &Value, root: &Value, http: u16) -> u16 {
    if !matches!(http, 0 | 200..=299) {
        return http;
    }
    let named = [error.get("status_code"), error.get("code"), root.get("status_code"), root.get("code")];
    let status = named.into_iter().flatten().find_map(|v| match v {
        Value::Number(n) => n.as_u64(),
        Value::String(s) => s.parse().ok(),
        _ => None,
    });
    status.and_then(|s| u16::try_from(s).ok()).filter(|s| (400..600).contains(s)).unwrap_or(http)
}

/// Codes and types that say it all.
fn by_word(word: &str) -> Option<(Class, Scope)> {
    Some(match word {
        "insufficient_quota" | "billing_hard_limit_reached" | "insufficient_balance" | "billing_error" => (Class::Billing, Scope::Key),
        "usage_limit_reached" => (Class::Quota, Scope::Key),
        "usage_not_included" | "permission_denied" | "permission_error" => (Class::Permission, Scope::Key),
        "server_is_overloaded"
        | "slow_down"
        | "overloaded_error"
        | "service_unavailable_error"
        | "capacity_exceeded"
        | "model_capacity_exhausted"
        | "engine_overloaded_error" => (Class::Overloaded, Scope::Model),
        "content_filter" | "content_policy_violation" | "cyber_policy" | "bio_policy" | "moderation_blocked" => {
            (Class::ContentFilter, Scope::Request)
        }
        "context_length_exceeded" | "model_context_window_exceeded" | "request_too_large" | "exceed_context_size_error" => {
            (Class::ContextTooLong, Scope::Request)
        }
        "invalid_api_key" | "authentication_error" | "unauthenticated" | "api_key_invalid" | "invalid_authentication_error" => {
            (Class::Auth, Scope::Key)
        }
        "model_not_found" | "not_found_error" | "deploymentnotfound" | "model_not_supported" => (Class::NotFound, Scope::Model),
        // The model wrote a call that the server refused; the same request may well go right the next time.
        "tool_use_failed" => (Class::Server, Scope::Request),
        "upstream_unreachable" => (Class::Network, Scope::Provider),
        "timeout" => (Class::Timeout, Scope::Provider),
        _ => return None,
    })
}

/// Whether the text says that the conversation is longer than the model takes.
fn overflows(message: &str) -> bool {
    const SIGNS: [&str; 14] = [
        "prompt is too long",
        "exceeds the context window",
        "maximum context length",
        "maximum prompt length is",
        "reduce the length of the messages",
        "exceeds the available context size",
        "context_length_exceeded",
        "context length exceeded",
        "model_context_window_exceeded",
        "too many tokens",
        "token limit exceeded",
        "exceeds the maximum number of tokens",
        "longer than the model's context",
        "exceeds the model's context",
    ];
    SIGNS.iter().any(|sign| message.contains(sign)) || (message.contains("input token count") && message.contains("exceeds the maximum"))
}

fn by_status(status: u16, message: &str) -> (Class, Scope) {
    match status {
        401 => (Class::Auth, Scope::Key),
        402 => (Class::Billing, Scope::Key),
        403 => (Class::Permission, Scope::Key),
        404 => (Class::NotFound, Scope::Model),
        408 | 504 => (Class::Timeout, Scope::Provider),
        409 | 425 => (Class::Server, Scope::Request),
        413 => (Class::ContextTooLong, Scope::Request),
        429 => (Class::RateLimit, Scope::Key),
        498 | 503 | 529 => (Class::Overloaded, Scope::Model),
        400..=499 => (Class::BadRequest, Scope::Request),
        // An error without a number: inside a stream it is the upstream's.
        0..=399 if message.contains("overloaded") || message.contains("capacity") => (Class::Overloaded, Scope::Model),
        0..=399 if message.contains("rate limit") || message.contains("rate-limit") => (Class::RateLimit, Scope::Key),
        _ => (Class::Server, Scope::Provider),
    }
}

#[cfg(test)]
mod tests;
