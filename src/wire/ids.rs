//! Tool call ids within each dialect's bounds: what fits stays, what does not is replaced by a hash, the same one every
//! turn. Calls and results go through the same function, so pairs stay pairs, and a replaced id fits by itself.

use crate::base::digest;
use std::borrow::Cow;
use std::collections::HashMap;

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

/// Ids on wires where each may stand for one call of the whole request: one that comes again, as providers give them that
/// count from zero in every reply, is replaced. What is replaced depends on the messages before it alone, so it stays the
/// same turn after turn.
#[derive(Debug, Default)]
pub struct Once {
    /// Each id, as it is on the wire, and the message that it first stood in.
    taken: HashMap<String, usize>,
    written: usize,
}

impl Once {
    /// The message at this position is written, and none behind it: it begins anew from there.
    pub fn begin(&mut self, at: usize) {
        if at < self.written {
            self.taken.retain(|_, first| *first < at);
        }
        self.written = at + 1;
    }

    /// The id of a call of the message at this position.
    pub fn call<'a>(&mut self, ids: Ids, id: &'a str, at: usize) -> Cow<'a, str> {
        let mut fitted = ids.fit(id);
        let mut more = 2;
        while self.taken.contains_key(fitted.as_ref()) {
            fitted = Cow::Owned(ids.hashed(&format!("{id}\n{more}")));
            more += 1;
        }
        self.taken.insert(fitted.clone().into_owned(), at);
        fitted
    }
}

/// Calls of the last assistant message that go under other ids than their own: results have to name those.
#[derive(Debug, Clone, Default)]
pub struct Renamed(Vec<(String, String)>);

impl Renamed {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Notes the id of a call.
    pub fn note(&mut self, ids: Ids, id: &str, written: &str) {
        if ids.fit(id) != written {
            self.0.push((id.to_owned(), written.to_owned()));
        }
    }

    /// The id under which a result answers.
    pub fn result<'a>(&'a self, ids: Ids, id: &'a str) -> Cow<'a, str> {
        match self.0.iter().find(|(own, _)| own == id) {
            Some((_, written)) => Cow::Borrowed(written),
            None => ids.fit(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_comes_again_is_another_one_and_the_same_one_every_time() {
        for ids in [Ids::Responses, Ids::Anthropic] {
            let mut once = Once::default();
            let mut write = |at: usize| {
                once.begin(at);
                once.call(ids, "call_0", at).into_owned()
            };
            let first: Vec<String> = (0..4).map(&mut write).collect();
            assert_eq!(first[0], "call_0");
            let distinct: std::collections::HashSet<_> = first.iter().collect();
            assert_eq!(distinct.len(), 4, "{first:?}");
            assert!(first.iter().all(|id| ids.takes(id)), "{first:?}");
            // A history that was cut is written again from there.
            let again: Vec<String> = (2..4).map(&mut write).collect();
            assert_eq!(again, first[2..]);
            let mut renamed = Renamed::default();
            renamed.note(ids, "call_0", &first[1]);
            renamed.note(ids, "call_1", "call_1");
            assert_eq!((renamed.result(ids, "call_0"), renamed.result(ids, "call_1")), (first[1].as_str().into(), "call_1".into()));
        }
    }

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
