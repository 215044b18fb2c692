//! Marks for a prompt cache, put between the bytes of a body when it is handed out: they move from turn to turn, so they
//! are no part of the bytes that are kept.

use crate::model::{CacheMark, Loss};
use bytes::Bytes;

/// How many marks a request may have.
pub const MAX_MARKS: usize = 4;
const SHORT_MARK: &[u8] = br#","cache_control":{"type":"ephemeral"}"#;
const LONG_MARK: &[u8] = br#","cache_control":{"type":"ephemeral","ttl":"1h"}"#;

/// Bytes and the place in a body before which they go.
pub type Piece = (usize, &'static [u8]);

/// Where each block of a message can take a mark: the place of its closing brace. Nothing for blocks that were not written
/// or take none.
pub type Spots = Vec<Option<usize>>;

/// The spot of a message's block, or of the one before it that takes a mark: a little less is cached then.
pub fn spot(spots: &[Option<usize>], block: usize) -> Option<usize> {
    spots.iter().take(block + 1).rev().find_map(|spot| *spot)
}

/// The pieces for `marks`, in the order of the body. `find` gives a mark's place; `room` is how many there may be.
pub fn pieces(marks: &[CacheMark], room: usize, find: impl Fn(&CacheMark) -> Option<usize>, losses: &mut Vec<Loss>) -> Vec<Piece> {
    let mut lose = |n: usize, what: &str| losses.push(Loss::new(format!("cache_marks[{n}]"), what));
    let mut places: Vec<(usize, bool, usize)> = Vec::new();
    for (n, mark) in marks.iter().enumerate() {
        match find(mark) {
            Some(place) => places.push((place, mark.long, n)),
            None => lose(n, "there is no block that can be marked"),
        }
    }
    places.sort_unstable_by_key(|(at, long, _)| (*at, !long));
    places.dedup_by_key(|(at, ..)| *at);
    // The first one covers what never changes, the last ones what was just added; those between do the least.
    while places.len() > room {
        let (_, _, n) = places.remove(usize::from(places.len() > 1 && room > 1));
        lose(n, "the wire takes four marks");
    }
    let mut short_seen = false;
    let mark = |(at, long, n): (usize, bool, usize)| {
        if long && short_seen {
            lose(n, "an hour's mark behind a short one; it was made short too");
        }
        short_seen |= !long;
        (at, if short_seen { SHORT_MARK } else { LONG_MARK })
    };
    places.into_iter().map(mark).collect()
}

/// Puts pieces between the bytes of a body, without copying them. The places are in order.
pub fn insert(body: Vec<Bytes>, pieces: &[Piece]) -> Vec<Bytes> {
    if pieces.is_empty() {
        return body;
    }
    let mut out = Vec::with_capacity(body.len() + 2 * pieces.len());
    let mut pieces = pieces.iter().peekable();
    let mut end = 0;
    for mut segment in body {
        let mut begin = end;
        end += segment.len();
        while let Some((at, piece)) = pieces.next_if(|(at, _)| *at < end) {
            out.push(segment.split_to(at - begin));
            out.push(Bytes::from_static(piece));
            begin = *at;
        }
        out.push(segment);
    }
    out
}
