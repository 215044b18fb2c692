//! What the decoders of all wires do with a body's pieces: pass over what says nothing, take apart what holds several
//! JSON documents, keep what cannot be read, and say why a body without an end is no reply.

use super::Wire;
use super::classify::{self, Sender};
use super::sniff::{Nature, Piece};
use super::sse::Frame;
use crate::base::text;
use crate::model::{ProviderError, StreamEvent};
use serde_json::value::RawValue;

/// The most that is kept of something that could not be read.
const MAX_UNKNOWN: usize = 16 << 10;

/// Something that could not be read. It ends nothing.
pub fn unknown(raw: &[u8], out: &mut Vec<StreamEvent>) {
    let raw = String::from_utf8_lossy(raw.get(..MAX_UNKNOWN).unwrap_or(raw)).into_owned();
    out.push(StreamEvent::Unknown { raw });
}

/// The last piece that was nothing of a reply but words about it, and how many events had been read by then. If nothing
/// follows, it is why there is no reply; before an answer it may be a queue's greeting, so it ends nothing by itself.
#[derive(Debug, Clone, Default)]
pub struct Told(Option<(usize, ProviderError)>);

impl Told {
    /// A piece that could not be read as one of the wire's.
    pub fn unknown(&mut self, sender: Sender, raw: &[u8], events: usize, out: &mut Vec<StreamEvent>) {
        unknown(raw, out);
        if let Some(error) = classify::told(sender, raw) {
            self.0 = Some((events, error));
        }
    }

    /// Why a body that ended without a terminal event is no reply, where it said so in words.
    pub fn instead(&mut self, events: usize) -> Option<ProviderError> {
        self.0.take().filter(|(at, _)| *at == events).map(|(_, error)| error)
    }
}

/// Takes a piece apart: `document` gets each JSON document with the name of its event, `broken` what is none.
pub fn documents(piece: &Piece<'_>, on: &mut impl FnMut(Found<'_>)) {
    match piece {
        Piece::Frame(Frame::TooLong) => on(Found::Broken(b"[an event above the size limit]")),
        Piece::Frame(Frame::Event { name, data }) => frame(name, data, on),
        Piece::Json(body) => {
            let mut found = serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>();
            loop {
                let from = found.byte_offset();
                match found.next() {
                    None => break,
                    // The rest was cut or is no JSON; whether that matters, the codec finds out at the end.
                    Some(Err(_)) => return on(Found::Broken(body.get(from..).unwrap_or_default())),
                    Some(Ok(raw)) => array(b"", raw.get(), on),
                }
            }
        }
    }
}

/// What a piece holds.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    Json { event: &'a [u8], text: &'a str },
    Broken(&'a [u8]),
}

fn frame(name: &[u8], data: &[u8], on: &mut impl FnMut(Found<'_>)) {
    let data = data.trim_ascii();
    // Proxies add the other wire's end mark and wrapped comments; neither says anything here.
    if data.is_empty() || data.starts_with(b":") || data.starts_with(b"[DONE]") {
        return;
    }
    match serde_json::from_slice::<&RawValue>(data) {
        Ok(raw) => array(name, raw.get(), on),
        // Events that lack the blank line between them arrive as one, a line each.
        Err(_) if data.contains(&b'\n') => data.split(|b| *b == b'\n').for_each(|line| frame(name, line, on)),
        Err(_) => on(Found::Broken(data)),
    }
}

/// A list of documents is those documents.
fn array(event: &[u8], json: &str, on: &mut impl FnMut(Found<'_>)) {
    if json.starts_with('[')
        && let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json)
    {
        return items.into_iter().for_each(|item| on(Found::Json { event, text: item.get() }));
    }
    on(Found::Json { event, text: json });
}

/// Why a streamed reply is none if a tool call began in its middle: nobody knows which tool was meant.
pub fn headless() -> ProviderError {
    ProviderError::network("a tool call came without its name: the part of the stream that had it is missing")
}

/// A body's beginning, for a message.
fn show(body: &[u8]) -> String {
    text::one_line(&text::strip_controls(&String::from_utf8_lossy(body.get(..2000).unwrap_or(body))), 160)
}

/// Why a whole body is not what was asked for: an error under a good status, a web page, nothing, something else.
pub fn other(wire: Wire, body: &[u8], what: &str) -> ProviderError {
    let is_error = serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|v| v.get("error").is_some_and(|e| !e.is_null()));
    if is_error {
        return classify::in_band_of(wire.into(), body);
    }
    let head = match body.trim_ascii_start() {
        [] => "nothing".to_owned(),
        [b'<', ..] => format!("a web page ({})", classify::page_title(body)),
        _ => show(body),
    };
    ProviderError::network(format!("the reply is not {what}: {head}"))
}

/// Why a body that ended without a terminal event is no reply. `what` it should have been, and how many events were read.
pub fn cut(nature: &Nature<'_>, what: &str, events: usize) -> ProviderError {
    ProviderError::network(match nature {
        _ if events > 0 => format!("the stream ended before its terminal event, after {events} event(s)"),
        Nature::Empty => "the server closed the connection without an answer".to_owned(),
        Nature::Html { head } => format!("the server sent a web page instead of an answer: {}", classify::page_title(head)),
        Nature::Json { head } => format!("the answer is not {what}, or it was cut: {}", show(head)),
        Nature::Stream { head } => format!("the stream ended before its terminal event; it began with: {}", show(head)),
    })
}
