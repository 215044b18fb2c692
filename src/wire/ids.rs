//! Tool call ids within each dialect's bounds: what fits stays, what does not is replaced by a hash, the same one every
//! turn. Calls and results go through the same function, so pairs stay pairs, and a replaced id fits by itself.

use crate::base::digest;
use std::borrow::Cow;

/// Which ids a dialect takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ids {
    /// Chat Completions: at most 40 characters.
    #[default]
    Chat,
    /// Mistral: exactly nine letters and digits.
    Nine,
    /// Responses: a `call_id` of at most 64 characters.
    Responses,
    /// Anthropic: `[A-Za-z0-9_-]`, at most 64; 400 to anything else, which other wires' ids contain (`functions.f:0`).
    Anthropic,
}

impl Ids {
    /// The id as this dialect takes it.
    pub fn fit(self, id: &str) -> Cow<'_, str> {
        if self.takes(id) { Cow::Borrowed(id) } else { Cow::Owned(self.hashed(id)) }
    }

    fn takes(self, id: &str) -> bool {
        let plain = |more: &[u8]| id.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b));
        match self {
            Self::Chat => (1..=40).contains(&id.len()),
            Self::Nine => id.len() == 9 && plain(b""),
            Self::Responses => (1..=64).contains(&id.len()),
            Self::Anthropic => (1..=64).contains(&id.len()) && plain(b"_-"),
        }
    }

    fn hashed(self, id: &str) -> String {
        match self {
            Self::Chat | Self::Responses => format!("call_{}", digest::short(id.as_bytes(), 32)),
            Self::Nine => digest::short(id.as_bytes(), 9),
            Self::Anthropic => format!("toolu_{}", digest::short(id.as_bytes(), 32)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_and_what_does_not_becomes_distinct_stable_and_fitting() {
        for (ids, fitting) in [
            (Ids::Chat, "functions.f:0"),
            (Ids::Nine, "aB3456789"),
            (Ids::Responses, "call_0123456789012345678901234567890123456789"),
            (Ids::Anthropic, "toolu_01A-b"),
        ] {
            assert_eq!(ids.fit(fitting), fitting);
            let odd = [String::new(), "ü.".repeat(40), "x".repeat(65), "x".repeat(66)].map(|id| ids.fit(&id).into_owned());
            for id in &odd {
                assert!(ids.takes(id), "{id} of {ids:?}");
                assert_eq!(ids.fit(id), id.as_str(), "what was replaced fits");
            }
            let distinct: std::collections::HashSet<_> = odd.iter().collect();
            assert_eq!(distinct.len(), odd.len());
        }
        assert_ne!(Ids::Anthropic.fit("functions.f:0"), Ids::Anthropic.fit("functions.f:1"));
        assert_ne!(Ids::Nine.fit("call_1"), Ids::Nine.fit("call_2"));
    }
}
