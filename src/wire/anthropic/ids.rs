//! Tool ids within the wire's bounds: replaced by a hash where they do not fit, the same way every turn.
//!
//! The server takes `[A-Za-z0-9_-]` and says 400 to anything else, which other wires' ids contain (`functions.f:0`).

use crate::base::digest;
use std::borrow::Cow;

const MAX_ID: usize = 64;

/// The id as this wire takes it. Calls and results go through the same function, so pairs stay pairs.
pub fn wire_id(id: &str) -> Cow<'_, str> {
    let fits = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if fits && !id.is_empty() && id.len() <= MAX_ID {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(format!("toolu_{}", digest::short(id.as_bytes(), 32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_and_what_does_not_becomes_distinct_and_stable() {
        for id in ["toolu_01A-b", "call_1", "x"] {
            assert_eq!(wire_id(id), id);
        }
        let odd = ["functions.f:0", "functions.f:1", "", "ü", &"x".repeat(65)].map(|id| wire_id(id).into_owned());
        for id in &odd {
            assert_eq!(wire_id(id), id.as_str(), "what was replaced fits");
        }
        let distinct: std::collections::HashSet<_> = odd.iter().collect();
        assert_eq!(distinct.len(), odd.len());
    }
}
