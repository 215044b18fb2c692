//! What every codec does alike with a reply: the documents of a body, what cannot be read, and a body that just ends.

use super::classify;
use super::sniff::Nature;
use crate::base::text;
use crate::model::{ProviderError, StreamEvent};
use serde_json::value::RawValue;

/// The most that is kept of something that could not be read.
const MAX_UNKNOWN: usize = 16 << 10;

/// Hands on what could not be read as it is. It never ends a reply.
pub fn unknown(raw: &[u8], out: &mut Vec<StreamEvent>) {
    let raw = String::from_utf8_lossy(raw.get(..MAX_UNKNOWN).unwrap_or(raw)).into_owned();
    out.push(StreamEvent::Unknown { raw });
}

/// An event that was too long to be kept.
pub fn too_long(out: &mut Vec<StreamEvent>) {
    out.push(StreamEvent::Unknown { raw: "[an event above the size limit]".to_owned() });
}

/// A body's JSON documents, one behind the other. The last one is the rest where that was cut or is no JSON; whether it
/// matters, only the reply's end tells.
pub fn documents(body: &[u8]) -> impl Iterator<Item = Result<&RawValue, &[u8]>> {
    let mut documents = serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>();
    std::iter::from_fn(move || {
        let from = documents.byte_offset();
        Some(documents.next()?.map_err(|_| body.get(from..).unwrap_or_default()))
    })
}

/// A body's beginning, for a message.
fn show(body: &[u8]) -> String {
    text::one_line(&text::strip_controls(&String::from_utf8_lossy(body.get(..2000).unwrap_or(body))), 160)
}

/// Why a body without an end is not a reply. `read` events of it were understood; `what` a whole one would have been.
pub fn cut(nature: &Nature<'_>, read: usize, what: &str) -> ProviderError {
    ProviderError::network(match nature {
        _ if read > 0 => format!("the stream ended before its terminal event, after {read} event(s)"),
        Nature::Empty => "the server closed the connection without an answer".to_owned(),
        Nature::Html { head } => format!("the server sent a web page instead of an answer: {}", classify::page_title(head)),
        Nature::Json { head } => format!("the answer is not {what}, or it was cut: {}", show(head)),
        Nature::Stream { head } => format!("the stream ended before its terminal event; it began with: {}", show(head)),
    })
}

/// Why a whole body is not what was asked for: an error under a good status, or something else altogether.
pub fn other(body: &[u8], what: &str) -> ProviderError {
    let is_error = serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|v| v.get("error").is_some_and(|e| !e.is_null()));
    if is_error {
        return classify::in_band(body);
    }
    ProviderError::network(format!("the reply is not {what}: {}", show(body)))
}
