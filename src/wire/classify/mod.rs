//! A provider's refusal to class, scope, time and the item it blames. The only place that knows what a refusal means.
//!
//! In order, the first that fits wins: what a browser's page or a redirect says (`rules`), the vendor's own lines (one
//! file or table each), Google's shape whoever sends it, codes and types, limits, texts, and only then the status.
//! Nothing here reads a clock: the caller's comes with [`Sender`], and the server's own goes before it.

mod anthropic;
mod blame;
mod facts;
mod google;
mod openrouter;
mod rule;
mod rules;
mod tables;
mod times;
mod vendor;
mod zai;

pub use facts::page_title;
pub use vendor::Vendor;

use super::Wire;
use super::wait::Headers;
use crate::base::text;
use crate::model::{Class, ProviderError, Scope};
use facts::{Facts, Shape};

/// How much of a body's text is shown to a person. Google's longest lists of limits, which end with the time, are nearly that.
const MAX_MESSAGE: usize = 1000;

/// Who sent a reply, and what the time is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sender {
    vendor: Vendor,
    now_ms: Option<u64>,
}

impl Sender {
    /// A provider by its id in the catalogue. Ids that say nothing get the rules that hold for all who speak the wire.
    pub fn new(wire: Wire, provider: &str) -> Self {
        Self { vendor: Vendor::of(provider, wire), now_ms: None }
    }

    /// Milliseconds since 1970 by the caller's clock. Without it, dates count only where the reply has its own `date`.
    #[must_use]
    pub const fn at(self, now_ms: u64) -> Self {
        Self { now_ms: Some(now_ms), ..self }
    }
}

impl From<Wire> for Sender {
    fn from(wire: Wire) -> Self {
        Self::new(wire, "")
    }
}

/// Reads a whole HTTP reply; nothing if it is a success that says nothing bad.
pub fn refusal(sender: Sender, status: u16, headers: &Headers, body: &[u8]) -> Option<ProviderError> {
    let facts = Facts::read(sender.vendor, sender.now_ms, status, headers, body);
    let cut = matches!(facts.shape, Shape::Empty | Shape::Html | Shape::Text);
    let bad = facts.found || facts.withheld || cut || !facts.succeeded() || anthropic::plan_is_spent(&facts);
    bad.then(|| judge(&facts))
}

/// The same for what is known to be no success.
pub fn http(sender: Sender, status: u16, headers: &Headers, body: &[u8]) -> ProviderError {
    judge(&Facts::read(sender.vendor, sender.now_ms, status, headers, body))
}

/// An error inside a reply that began well: one event's data, or one JSON document. Its own code stands for the status.
pub fn in_band(data: &[u8]) -> ProviderError {
    in_band_of(Sender::default(), data)
}

/// The same where the sender is known.
pub fn in_band_of(sender: Sender, data: &[u8]) -> ProviderError {
    unnumbered(&Facts::read(sender.vendor, sender.now_ms, 0, &[], data))
}

/// What a document without anything of a reply says about why there is none: an error, or words alone.
pub fn told(sender: Sender, data: &[u8]) -> Option<ProviderError> {
    let facts = Facts::read(sender.vendor, sender.now_ms, 0, &[], data);
    (facts.found && facts.shape == Shape::Json).then(|| unnumbered(&facts))
}

/// HTTP's status was that of a success.
fn unnumbered(facts: &Facts) -> ProviderError {
    let mut error = judge(facts);
    error.status = None;
    error
}

fn judge(facts: &Facts) -> ProviderError {
    let (class, scope) = match rules::judge(facts) {
        // A reply that began well and breaks off says nothing about the whole provider.
        (Class::Server, Scope::Provider) if facts.in_band() => (Class::Server, Scope::Model),
        ruling => ruling,
    };
    let mut error = ProviderError::new(class, scope, shown(facts)).with_code(facts.code.clone());
    error.status = Some(facts.http).filter(|s| !matches!(s, 0 | 200..=299));
    error.request_id = facts::first_header(
        &facts.headers,
        &["x-request-id", "request-id", "apim-request-id", "x-generation-id", "x-oai-request-id", "cf-ray"],
    )
    .or_else(|| facts.request_id.clone());
    error.retry_after_s = times::wait(facts, class);
    if class == Class::BadRequest {
        let said = facts.upstream.as_ref().map_or_else(|| facts.message.clone(), |up| format!("{} {up}", facts.message));
        error.blames = blame::find(&facts.words, &said, facts.place.as_deref()).map(Box::new);
    }
    error
}

/// The message for a person: short, with the upstream's own words where the outer ones say nothing, and with what to do
/// where the provider asks for it.
fn shown(facts: &Facts) -> String {
    let message = match &facts.upstream {
        Some(up) => format!("{}: {}", facts.message, text::one_line(up, 200)),
        None => facts.message.clone(),
    };
    // A JSON string can hold what drives a terminal as well as a plain body can.
    let message = text::strip_controls(&message);
    if facts.shape == Shape::Html {
        return format!("a web page instead of an answer ({}); is the base URL right?", text::one_line(&message, 120));
    }
    if (300..400).contains(&facts.http) {
        let to = facts::first_header(&facts.headers, &["location"]).unwrap_or_else(|| "elsewhere".to_owned());
        return format!("the server redirects to {}; is the base URL right?", text::one_line(&text::strip_controls(&to), 120));
    }
    if message.trim().is_empty() {
        let said = facts::first_header(&facts.headers, &["x-openai-authorization-error"]);
        let said = said.map(|said| text::one_line(&text::strip_controls(&said), 200)).filter(|said| !said.is_empty());
        return match (said, facts.status) {
            (Some(said), _) => said,
            (None, 0 | 200..=299) if facts.shape == Shape::Empty => "an empty answer".to_owned(),
            (None, 0 | 200..=299) if facts.withheld => "the content was withheld by a filter".to_owned(),
            (None, 0 | 200..=299) => "an error without a message".to_owned(),
            (None, status) => format!("HTTP {status} without a message"),
        };
    }
    let short = text::prefix(&message, MAX_MESSAGE);
    let message = if short.len() < message.len() { format!("{short}...") } else { message };
    match google::link(facts) {
        Some(link) => format!("{message} (see {})", text::one_line(&text::strip_controls(link), 200)),
        None => message,
    }
}

#[cfg(test)]
mod anthropic_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vendor_tests;
