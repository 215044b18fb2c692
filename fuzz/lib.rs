//! What must hold for any bytes, for the fuzz targets. A broken promise panics; so does a crash.

use code_pup::model::history::{check, repair};
use code_pup::model::{Accumulator, Request, StreamEvent};
use code_pup::wire::sse::SseDecoder;
use code_pup::workspace::edit::{self, Replacement, Scope};
use code_pup::workspace::encoding::Text;
use code_pup::workspace::patch;
use code_pup::wire::{Decoder, Dialect, Wire, classify, encode};

fn events(wire: Wire, pieces: &[&[u8]]) -> Vec<StreamEvent> {
    let mut decoder = Decoder::new(wire, &Dialect::default());
    let mut out = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut out);
    }
    decoder.finish(&mut out);
    out
}

/// A reply ends once, with a success or an error, and says the same however it was cut into pieces.
pub fn reply(wire: Wire, body: &[u8]) {
    let whole = events(wire, &[body]);
    let ends = |e: &StreamEvent| matches!(e, StreamEvent::End { .. } | StreamEvent::Error { .. });
    let first = whole.iter().position(ends).expect("a reply ends");
    assert_eq!(first + 1, whole.len(), "nothing follows the end: {:?}", &whole[first..]);
    // Somewhere that the fuzzer can move.
    let at = body.iter().fold(0usize, |sum, b| sum.wrapping_mul(31).wrapping_add(usize::from(*b))) % (body.len() + 1);
    let (a, b) = body.split_at(at);
    assert_eq!(events(wire, &[a, b]), whole, "split at {at}");
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(events(wire, &bytes), whole, "byte for byte");
    let mut all = Accumulator::default();
    whole.iter().for_each(|event| all.push(event));
    let reply = all.finish();
    assert_ne!(reply.complete, reply.error.is_some(), "a success or an error");
}

/// The same frames, however the bytes arrive.
pub fn framing(body: &[u8]) {
    let frames = |pieces: &[&[u8]]| {
        // A small cap, so that frames beyond it are met too.
        let mut decoder = SseDecoder::with_cap(256);
        let mut out = Vec::new();
        for piece in pieces {
            decoder.feed(piece, &mut |frame| out.push(format!("{frame:?}")));
        }
        decoder.finish(&mut |frame| out.push(format!("{frame:?}")));
        out
    };
    let whole = frames(&[body]);
    let (a, b) = body.split_at(body.len() / 2);
    assert_eq!(frames(&[a, b]), whole, "split in the middle");
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(frames(&bytes), whole, "byte for byte");
}

/// Any refusal has a meaning. Two bytes choose the status, the rest is the body.
pub fn refusal(data: &[u8]) {
    let [a, b, body @ ..] = data else { return };
    let status = 200 + u16::from_le_bytes([*a, *b]) % 400;
    for wire in Wire::ALL {
        let error = classify(wire, status, &[("retry-after".to_owned(), String::from_utf8_lossy(body).chars().take(40).collect())], body);
        assert!(!error.message.trim().is_empty(), "{error:?}");
    }
}

/// Any request, once its history is mended, is valid JSON on every wire, and the same bytes the second time.
pub fn history(json: &[u8]) {
    let Ok(mut request) = serde_json::from_slice::<Request>(json) else { return };
    let (mended, _) = repair(request.messages.iter().map(|m| (**m).clone()));
    request.messages = mended.into_iter().collect();
    let found = check(&request.messages);
    assert!(found.is_empty(), "repaired, and still {found:?}");
    for wire in Wire::ALL {
        let (body, _) = encode(wire, &Dialect::default(), &request);
        let read = serde_json::from_slice::<serde_json::Value>(&body);
        assert!(read.is_ok(), "{wire}: {read:?} in {}", String::from_utf8_lossy(&body));
        assert_eq!(encode(wire, &Dialect::default(), &request).0, body, "{wire}");
    }
}

/// Cuts a text at its NUL bytes into so many parts.
fn parts<const N: usize>(data: &[u8]) -> Option<[&str; N]> {
    let text = std::str::from_utf8(data).ok()?;
    let parts: Vec<&str> = text.splitn(N, '\0').collect();
    parts.try_into().ok()
}

/// An edit is refused, or it changes the text; bytes before and after the only place of an exact one stay, but for the other
/// half of a line ending, which is never cut in two.
pub fn edit(data: &[u8]) {
    let Some([text, old, new]) = parts::<3>(data) else { return };
    for scope in [Scope::Once, Scope::Every] {
        let replacement = Replacement { old: old.to_owned(), new: new.to_owned(), scope };
        let Ok(edited) = edit::apply(text, &[replacement]) else { continue };
        assert_ne!(edited.text, text, "an edit changes something");
        // Places that overlap are several.
        let places = text.char_indices().filter(|(at, _)| text.get(*at..).is_some_and(|rest| rest.starts_with(old))).take(2).count();
        if scope == Scope::Once && places == 1 {
            let (before, after) = text.split_once(old).expect("it is there");
            let before = if old.starts_with('\n') { before.strip_suffix('\r').unwrap_or(before) } else { before };
            let after = if old.ends_with('\r') { after.strip_prefix('\n').unwrap_or(after) } else { after };
            assert!(edited.text.starts_with(before) && edited.text.ends_with(after), "bytes outside of the edit");
        }
    }
}

/// Any text is a patch or an error; a patch applies to any text, or does not.
pub fn patch(data: &[u8]) {
    let Some([text, patch]) = parts::<2>(data) else { return };
    for whole in [patch.to_owned(), format!("*** Begin Patch\n*** Update File: a\n{patch}\n*** End Patch")] {
        for change in patch::parse(&whole).unwrap_or_default() {
            let patch::Change::Update { hunks, .. } = change else { continue };
            if let Ok(new) = patch::apply(text, &hunks) {
                assert!(!hunks.is_empty() || new == text, "no hunks, no change");
            }
        }
    }
}

/// A file's bytes come out as they went in.
pub fn encoding(bytes: &[u8]) {
    if let Ok(text) = Text::decode(bytes) {
        assert_eq!(text.with(&text.body).expect("what came in goes out"), bytes);
    }
}
