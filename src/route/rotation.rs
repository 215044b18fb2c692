//! Which of several keys a call uses.
//!
//! Each key of a link is a candidate of its own in the plan: the same model, another account. So the plan and the cooldowns
//! do the rest: a rate limit cools the key that met it and the next key is tried at once; the next link comes when all keys
//! of this one have been tried; what is the model's or the request's own fault is not tried with another key. Left to decide
//! here is where a call *begins* among a link's keys, and the others follow in a circle:
//!
//! 1. *What binds.* Signed or encrypted reasoning is worth something only to the account that made it, and goes to no other
//!    (`wire` leaves it out there). So a conversation begins at the key of its latest such reply from this provider and model.
//!    That is read from the conversation itself: it holds after a restart, needs no time-out, and binds nothing else. A bound
//!    key that is cooling or dead is passed over like any other; if the key that steps in also leaves such reasoning, the
//!    conversation is bound to that one from then on, and does not jump back. If it leaves none, the conversation goes back
//!    to where its reasoning is still valid once that key is ready.
//! 2. *Sticky* (the default): the key that answered last, whichever conversation that was for. Providers keep prompt caches
//!    for each account, so staying is cheaper, and rate limits are met one key at a time.
//! 3. *Round robin*: the key behind the one that was used last. Each call that nothing binds moves on, so that keys with
//!    small limits share the load before anybody is refused; so does the first call of a new session. Two calls that begin
//!    at the same time begin at different keys.
//!
//! Which key was last and what is held against each (`auth::Standings`) survive the process. A new one begins where the last
//! one stopped: at that key (sticky) or behind it (round robin), without asking again those that are known to be cooling.

use super::cooldown::{Cooldowns, Forgotten, Held, Identity};
use super::link::Link;
use crate::auth::Standings;
use crate::auth::standing::{self, Change, Marks};
use crate::base::clock::{Moment, unix_ms};
use crate::model::aside::{self, Kind};
use crate::model::{History, ProviderError};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a call begins that nothing binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    #[default]
    Sticky,
    RoundRobin,
}

/// A link with one of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub id: String,
    pub who: Identity,
}

impl Candidate {
    /// For the report of a call: with the key, where there is more than one of this link.
    pub fn name(&self, all: &[Self]) -> String {
        let several = all.iter().any(|c| c.id == self.id && c.who.account != self.who.account);
        match &self.who.account {
            Some(account) if several => format!("{} ({account})", self.id),
            _ => self.id.clone(),
        }
    }

    /// Whether they are one link with different keys.
    fn is_sister(&self, other: &Self) -> bool {
        self.id == other.id && self.who.provider == other.who.provider && self.who.upstream == other.who.upstream
    }
}

/// The order of keys, and the memory of how they fared.
#[derive(Debug, Default)]
pub struct Rotation {
    mode: Mode,
    /// Of providers that have one of their own.
    modes: BTreeMap<String, Mode>,
    /// None remembers nothing beyond the process.
    standings: Option<Standings>,
    /// Label of the key that was used last, by provider.
    last: Mutex<BTreeMap<String, String>>,
}

impl Rotation {
    pub fn new(mode: Mode, modes: BTreeMap<String, Mode>, standings: Option<Standings>) -> Self {
        Self { mode, modes, standings, last: Mutex::default() }
    }

    /// The candidates in the order in which this call tries them.
    pub(super) fn order(&self, candidates: &[Candidate], history: &History) -> Vec<usize> {
        let mut order = Vec::with_capacity(candidates.len());
        // Round robin moves on once a call, not once for each model of the provider in the chain.
        let mut began: BTreeMap<&str, usize> = BTreeMap::new();
        while let Some(first) = candidates.get(order.len()) {
            let from = order.len();
            let rest = candidates.get(from..).unwrap_or_default();
            let keys = rest.iter().take_while(|c| c.is_sister(first)).count();
            let label = |ix: usize| candidates.get(from + ix).and_then(|c| c.who.account.as_deref());
            let place = |wanted: &str| (0..keys).find(|ix| label(*ix) == Some(wanted));
            let provider = first.who.provider.as_str();
            let start = if keys == 1 {
                0
            } else if let Some(bound) = bound(history, &first.who).and_then(place) {
                bound
            } else if let Some(begun) = began.get(provider) {
                begun % keys
            } else {
                let last = self.last_of(provider).as_deref().and_then(place);
                let start = match self.mode_of(provider) {
                    Mode::Sticky => last.unwrap_or(0),
                    Mode::RoundRobin => last.map_or(0, |ix| (ix + 1) % keys),
                };
                if let (Mode::RoundRobin, Some(label)) = (self.mode_of(provider), label(start)) {
                    self.last().insert(provider.to_owned(), label.to_owned());
                }
                began.insert(provider, start);
                start
            };
            order.extend((0..keys).map(|ix| from + (start + ix) % keys));
        }
        order
    }

    /// A key was of use. `several`: there are others of its provider.
    pub(super) fn answered(&self, link: &Link, several: bool) {
        let Some(key) = link.key() else { return };
        if several {
            self.last().insert(key.provider.clone(), key.label.clone());
            self.note(Change::Used(key.clone()));
        }
        self.note(Change::Answered { key, model: link.identity().upstream });
    }

    /// A key is left alone from now on.
    pub(super) fn failed(&self, link: &Link, error: &ProviderError, held: Held) {
        let (Some(key), Some(mark)) = (link.key(), standing::mark(error, held.lasts, held.in_a_row)) else { return };
        self.note(Change::Marked { key, model: held.upstream, mark });
    }

    /// Puts what is remembered of these links' keys in the place of what this process knows of any.
    pub(super) fn recall<'l>(&self, links: impl Iterator<Item = &'l Link>, cooldowns: &mut Cooldowns, now: Moment) {
        let Some(standings) = &self.standings else { return };
        let wall = unix_ms();
        let keys: Vec<_> = links.filter_map(|link| Some((link.identity(), link.key()?))).collect();
        let mut before = Forgotten::default();
        for (who, _) in &keys {
            cooldowns.forget_key(who, &mut before);
        }
        for (who, key) in keys {
            let Marks { key: whole, mut models, .. } = standings.marks(&key);
            let of_model = models.remove(&who.upstream).map(|m| (Some(who.upstream.clone()), m));
            for (upstream, mark) in whole.map(|m| (None, m)).into_iter().chain(of_model) {
                let held = Held { upstream, lasts: mark.left(wall), in_a_row: mark.in_a_row };
                cooldowns.restore(&who, held, mark.error, &before, now);
            }
        }
    }

    /// Other processes may have found something out.
    pub(super) fn look_again(&self) {
        if let Some(standings) = &self.standings {
            standings.reload();
        }
    }

    /// Takes in what other processes have found out since the last look; whether that was anything.
    pub(super) fn heard(&self) -> bool {
        self.standings.as_ref().is_some_and(Standings::heard)
    }

    fn note(&self, change: Change) {
        if let Some(standings) = &self.standings {
            standings.learn(change);
        }
    }

    fn mode_of(&self, provider: &str) -> Mode {
        self.modes.get(provider).copied().unwrap_or(self.mode)
    }

    fn last_of(&self, provider: &str) -> Option<String> {
        let here = self.last().get(provider).cloned();
        here.or_else(|| self.standings.as_ref()?.last(provider))
    }

    fn last(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The account whose reasoning the conversation carries, where this link could use it.
fn bound<'h>(history: &'h History, who: &Identity) -> Option<&'h str> {
    let theirs = |origin: &crate::model::Origin| origin.provider == who.provider && origin.model == who.upstream;
    let latest =
        history.iter().rev().find(|m| m.origin.as_ref().is_some_and(theirs) && aside::holds(m, &[Kind::Signature, Kind::Opaque]))?;
    latest.origin.as_ref()?.account.as_deref()
}

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod tests;
