//! The plug is pulled at every place of every recorded stream: cut, split, each event broken, doubled or gone, and the
//! framing as servers and proxies bend it. Nothing panics, and nothing that is not whole is taken for whole.
//!
//! What no decoder can notice is written down in [`unnoticed`]: on wires that do not number their events, a delta that is
//! missing or comes twice leaves no trace.

use super::recordings::{Exchange, exchanges};
use crate::support::generate::{SERVED, reply};
use code_pup::model::{Accumulator, Block, Reply, Stop, StreamEvent};
use code_pup::wire::{Decoder, Dialect, Wire};
use serde_json::Value;
use std::ops::Range;

/// How many bytes are decoded of one recording with broken events, before some events stand for the others.
/// `PUP_GRID=all` breaks each.
const BUDGET: usize = 1_500_000;

/// How long an event is that is not cut at each byte of its middle.
const LONG: usize = 3000;

/// A recorded stream.
struct Stream {
    name: String,
    body: Vec<u8>,
    /// Whole events, each with the blank line behind it.
    events: Vec<Range<usize>>,
    intact: Reply,
    happened: Vec<StreamEvent>,
}

fn streams(wire: Wire) -> Vec<Stream> {
    let apis: &[&str] = match wire {
        Wire::OpenaiChat => &["chat"],
        Wire::OpenaiResponses => &["responses"],
        Wire::Anthropic => &["messages"],
        Wire::Gemini => &["gemini_stream"],
        Wire::Antigravity => &["cloudcode"],
        Wire::ClaudeCli | Wire::CodexCli => unreachable!("no server speaks it"),
    };
    let found = apis.iter().filter_map(|api| exchanges(api)).flatten().filter(|x| x.status == 200 && is_stream(x));
    found
        .map(|x| {
            let (intact, happened) = reply(wire, &x.body);
            Stream { events: events(&x.body), name: x.name, intact, happened, body: x.body }
        })
        .collect()
}

fn is_stream(x: &Exchange) -> bool {
    x.body.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| !matches!(b, b'{' | b'[' | b'<'))
}

/// Where each event stands, the blank line included.
fn events(body: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < body.len() {
        let blank = [&b"\r\n\r\n"[..], b"\n\n", b"\r\r"].into_iter().find(|end| body[at..].starts_with(end));
        at += blank.map_or(1, <[u8]>::len);
        if blank.is_some() {
            found.push(from..at);
            from = at;
        }
    }
    if from < body.len() {
        found.push(from..body.len());
    }
    found
}

/// What a person or a tool gets of a reply. Opaque items go with it only if it ended well.
fn content(reply: &Reply) -> Vec<Block> {
    reply.message.blocks.iter().filter(|b| !matches!(b, Block::Opaque { .. })).cloned().collect()
}

fn pieces(wire: Wire, pieces: &[&[u8]]) -> (Reply, Vec<StreamEvent>) {
    let mut decoder = Decoder::new(wire, &Dialect::default());
    let mut events = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut events);
    }
    decoder.finish(&mut events);
    gathered(events)
}

fn gathered(events: Vec<StreamEvent>) -> (Reply, Vec<StreamEvent>) {
    let mut all = Accumulator::default();
    for event in &events {
        all.push(event);
    }
    (all.finish(), events)
}

fn terminal(event: &StreamEvent) -> bool {
    matches!(event, StreamEvent::End { .. } | StreamEvent::Error { .. })
}

/// One terminal at most, nothing behind it, and an end of some kind in any case.
fn orderly(events: &[StreamEvent]) -> Result<(), String> {
    match events.iter().position(terminal) {
        Some(at) if at + 1 == events.len() => Ok(()),
        Some(at) => Err(format!("says {:?} behind its end", &events[at + 1..])),
        None => Err("never ends".to_owned()),
    }
}

/// Not a success, or a success with all that the intact reply holds.
fn no_wrong_success(stream: &Stream, (reply, events): &(Reply, Vec<StreamEvent>)) -> Result<(), String> {
    orderly(events)?;
    if !reply.complete {
        return if reply.error.is_some() { Ok(()) } else { Err("neither ended nor failed".to_owned()) };
    }
    let (got, want) = (content(reply), content(&stream.intact));
    if got != want {
        return Err(format!("a success with {got:?}, not {want:?}"));
    }
    // Where the event with the reason is gone, no reason is given, and the stop is not said to be known.
    let told = reply.reason.is_some() && reply.stop != Stop::Unknown;
    if stream.intact.complete && told && reply.stop != stream.intact.stop {
        return Err(format!("a success that stops for {:?}, not {:?}", reply.stop, stream.intact.stop));
    }
    Ok(())
}

/// The places within an event to try: every byte. Only in the middle of a very long one (an encrypted item, a page that a
/// search brought) they are some of many, unless `PUP_GRID=all` asks for each.
fn places(event: &Range<usize>) -> impl Iterator<Item = usize> {
    let all = event.len() <= LONG || std::env::var_os("PUP_GRID").is_some_and(|v| v == "all");
    let Range { start, end } = *event;
    (start..end).filter(move |at| all || at - start < LONG / 2 || end - at < LONG / 2 || (at - start) % 509 == 0)
}

/// Two replies behind one another, as its client's library stored them: the first one's end is one.
const TWO_REPLIES: &str = "gemini/stream-function-call-gemini-2_5-flash-2";

/// At every byte the stream may have ended: a copy of the decoder that came so far says what the reply is then.
fn cut(wire: Wire, found: &mut Vec<String>) {
    for stream in streams(wire).into_iter().filter(|s| s.name != TWO_REPLIES) {
        let mut decoder = Decoder::new(wire, &Dialect::default());
        let mut before = Vec::new();
        for event in &stream.events {
            let mut within = decoder.clone();
            let mut from = event.start;
            for at in places(event) {
                within.feed(&stream.body[from..at], &mut before);
                from = at;
                let mut rest = Vec::new();
                within.clone().finish(&mut rest);
                // What cannot be a success need not be compared with one.
                let failed = matches!(rest.last(), Some(StreamEvent::Error { .. })) && orderly(&rest).is_ok();
                if failed && !before.iter().any(terminal) {
                    continue;
                }
                let got = gathered([before.clone(), rest].concat());
                if let Err(e) = no_wrong_success(&stream, &got) {
                    found.push(format!("{} cut at {at}: {e}", stream.name));
                }
            }
            decoder.feed(&stream.body[event.clone()], &mut Vec::new());
            within.feed(&stream.body[from..event.end], &mut before);
        }
        decoder.finish(&mut before);
        if before != stream.happened {
            found.push(format!("{} read piece by piece: {before:?}, not {:?}", stream.name, stream.happened));
        }
    }
}

/// At every byte the stream may come in two pieces: the event around it and the one behind say the same, and then the end.
fn split(wire: Wire, found: &mut Vec<String>) {
    for stream in streams(wire) {
        let mut say = |at: &dyn std::fmt::Display| found.push(format!("{} split at {at}: the events are others", stream.name));
        for size in [1, 3] {
            let small: Vec<&[u8]> = stream.body.chunks(size).collect();
            if pieces(wire, &small).1 != stream.happened {
                say(&format!("each {size} bytes"));
            }
        }
        let mut decoder = Decoder::new(wire, &Dialect::default());
        for (n, event) in stream.events.iter().enumerate() {
            let behind = stream.events.get(n + 1).map_or(event.end, |e| e.end.min(event.end + 16));
            let read = |pieces: &[&[u8]]| {
                let (mut decoder, mut said) = (decoder.clone(), Vec::new());
                for piece in pieces {
                    decoder.feed(piece, &mut said);
                }
                decoder.finish(&mut said);
                said
            };
            let whole = read(&[&stream.body[event.start..behind]]);
            // A long stream's events are many of a kind.
            let step = if stream.body.len() > 20_000 && std::env::var_os("PUP_GRID").is_none() { 7 } else { 1 };
            for at in places(event).filter(|at| at % step == 0 || event.end - at < 8 || at - event.start < 8) {
                if read(&[&stream.body[event.start..at], &stream.body[at..behind]]) != whole {
                    say(&at);
                }
            }
            decoder.feed(&stream.body[event.clone()], &mut Vec::new());
        }
    }
}

/// The data of an event, if it has any and it is JSON.
fn data(event: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(event).ok()?;
    let lines: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("data:")).map(str::trim_start).collect();
    serde_json::from_str(&lines.join("\n")).ok()
}

/// A body with something else at one of its events.
fn with(stream: &Stream, at: usize, instead: &[u8]) -> Vec<u8> {
    let range = &stream.events[at];
    [&stream.body[..range.start], instead, &stream.body[range.end..]].concat()
}

/// An event of which a decoder cannot know that it is missing, or was there before: one of several deltas, none of which
/// has a number.
fn unnoticed(wire: Wire, event: &Value) -> bool {
    match wire {
        Wire::OpenaiChat => event["choices"][0]["delta"].as_object().is_some_and(|d| !d.is_empty()),
        // Every event has its number.
        Wire::OpenaiResponses => false,
        Wire::Anthropic => event["type"] == "content_block_delta",
        Wire::Gemini => event["candidates"][0]["content"]["parts"].is_array(),
        Wire::Antigravity => event["response"]["candidates"][0]["content"]["parts"].is_array(),
        Wire::ClaudeCli | Wire::CodexCli => unreachable!("no server speaks it"),
    }
}

/// What still holds where nobody can notice: one end, and never a call more than the model made.
fn no_more_calls(stream: &Stream, (reply, events): &(Reply, Vec<StreamEvent>)) -> Result<(), String> {
    orderly(events)?;
    let (got, want) = (reply.message.calls().count(), stream.intact.message.calls().count());
    if reply.complete && got > want { Err(format!("{got} calls, and the model made {want}")) } else { Ok(()) }
}

fn changed(wire: Wire, found: &mut Vec<String>) {
    for stream in streams(wire) {
        let limit = (BUDGET / stream.body.len()).max(1);
        let step = if std::env::var_os("PUP_GRID").is_some() { 1 } else { stream.events.len().div_ceil(limit).max(1) };
        for at in (0..stream.events.len()).step_by(step) {
            let event = &stream.body[stream.events[at].clone()];
            let Some(value) = data(event) else { continue };
            let free = unnoticed(wire, &value);
            let (gone, twice) = (with(&stream, at, b""), with(&stream, at, &[event, event].concat()));
            for (what, body) in [("gone", &gone), ("twice", &twice)] {
                if let Err(e) = no_more_calls(&stream, &reply(wire, body)) {
                    found.push(format!("{}, event {at} {what}: {e}", stream.name));
                }
            }
            let mut say = |what: &str, body: &[u8]| {
                let got = reply(wire, body);
                // It says that there was something that it could not read. (An empty list is a list of no chunks at Google's.)
                if free && (what == "as []" || got.1.iter().any(|e| matches!(e, StreamEvent::Unknown { .. }))) {
                    return;
                }
                if let Err(e) = no_wrong_success(&stream, &got) {
                    found.push(format!("{}, event {at} {what}: {e}\n  {}", stream.name, String::from_utf8_lossy(event).trim()));
                }
            };
            if !free {
                say("gone", &gone);
                say("twice", &twice);
            }
            let text = String::from_utf8_lossy(event);
            let half = value.to_string();
            let half: String = half.chars().take(half.chars().count() / 2).collect();
            let head = text.split("data:").next().unwrap_or_default();
            for broken in [half.as_str(), "{not JSON", "null", "[]", "\"x\"", "7"] {
                say(&format!("as {broken:.20}"), &with(&stream, at, format!("{head}data: {broken}\n\n").as_bytes()));
            }
        }
    }
}

/// The same stream as servers and proxies bend it; what happens is the same.
fn framed(wire: Wire, found: &mut Vec<String>) {
    for stream in streams(wire) {
        let text = String::from_utf8(stream.body.clone()).unwrap();
        let lines = text.replace("\r\n", "\n");
        let before_data = |with: &str| {
            let line = |l: &str| if l.starts_with("data:") { format!("{with}{l}") } else { l.to_owned() };
            lines.split_inclusive('\n').map(line).collect::<String>()
        };
        let each = |with: &str| stream.events.iter().flat_map(|e| [&text[e.clone()], with]).collect::<String>();
        let forms = [
            ("CRLF", lines.replace('\n', "\r\n")),
            ("lone CR", lines.replace('\n', "\r")),
            ("a byte-order mark", format!("\u{feff}{text}")),
            ("white space before it", format!("\r\n \n{text}")),
            ("comments between events", each(": keep-alive\n\n")),
            ("comments within events", before_data(": ping\n")),
            ("blank lines", each("\n\n\n")),
            ("data without a space", lines.replace("\ndata: ", "\ndata:").replacen("data: ", "data:", 1)),
            ("ids and unknown fields", before_data("id: 7\nretry: 10\nodd\n")),
            ("no end of the last line", text.trim_end().to_owned()),
            ("no event names", lines.split_inclusive('\n').filter(|l| !l.starts_with("event:")).collect()),
        ];
        for (what, body) in forms {
            let (_, events) = reply(wire, body.as_bytes());
            if events != stream.happened {
                found.push(format!("{} with {what}: {events:?}, not {:?}", stream.name, stream.happened));
            }
        }
    }
}

fn none(found: &[String]) {
    assert!(found.is_empty(), "{} findings\n{}", found.len(), found.iter().take(12).cloned().collect::<Vec<_>>().join("\n"));
}

fn every(run: impl Fn(Wire, &mut Vec<String>)) {
    let mut found = Vec::new();
    for wire in SERVED {
        run(wire, &mut found);
    }
    none(&found);
}

#[test]
fn a_stream_cut_anywhere_is_no_wrong_success() {
    every(cut);
}

#[test]
fn a_stream_split_anywhere_says_the_same() {
    every(split);
}

#[test]
fn an_event_that_is_broken_gone_or_doubled_is_no_wrong_success() {
    every(changed);
}

#[test]
fn a_stream_framed_in_any_way_says_the_same() {
    every(framed);
}
