//! Which share of what a session sent came from a provider's prompt cache, and what broke it. Made of what happens, as it
//! happens or as the journal has it.

use super::entry::{Entry, Session};
use super::load::Loaded;
use crate::base::clock;
use crate::model::Usage;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Providers keep nothing that is shorter, and count in steps of about this much.
const STEP: u64 = 1024;
/// How long a prompt cache lasts at the least.
const LASTS: Duration = Duration::from_mins(5);
/// From so many tokens on a cache that is gone is worth a word before they are sent anew.
const BIG: u64 = 50_000;

/// What broke it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Broke {
    /// The first call to another model than the first.
    Model,
    /// Another agent went on, with its own prompt and tools.
    Agent,
    Compacted,
    /// Pieces were refused and are left out.
    SetAside,
    /// Too long without a call.
    Expired,
    /// The provider had it no more, for reasons of its own.
    Lost,
}

impl Broke {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Model => "another model",
            Self::Agent => "another agent",
            Self::Compacted => "compaction",
            Self::SetAside => "pieces left out",
            Self::Expired => "too long a pause",
            Self::Lost => "the provider",
        }
    }
}

/// How often, and how many tokens were sent anew for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Cost {
    pub calls: u64,
    pub tokens: u64,
}

/// The last call to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Last {
    input: u64,
    /// Milliseconds since 1970.
    at: u64,
    /// How many changes there had been.
    changes: usize,
    warned: bool,
}

/// The figures of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caching {
    /// Tokens of input of calls whose provider says what came from its cache.
    input: u64,
    cached: u64,
    broken: BTreeMap<Broke, Cost>,
    changes: Vec<Broke>,
    last: BTreeMap<String, Last>,
    /// Models whose provider has shown that it keeps a cache.
    keeps: Vec<String>,
}

/// The figures as scripts get them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Null where no provider said what came from its cache.
    pub share: Option<f64>,
    pub input: u64,
    pub cached: u64,
    pub broken: BTreeMap<Broke, Cost>,
}

impl Caching {
    /// As the journal has it.
    pub fn of(loaded: &Loaded) -> Self {
        let mut all = Self::default();
        let mut agent: Option<&str> = None;
        for line in &loaded.entries {
            match &line.entry {
                Entry::Session(Session { agent: now, .. }) => {
                    if agent.is_some_and(|a| a != now) {
                        all.changed(Broke::Agent);
                    }
                    agent = Some(now);
                }
                Entry::Compaction(_) => all.changed(Broke::Compacted),
                Entry::Quarantine(_) => all.changed(Broke::SetAside),
                Entry::Usage(used) => all.used(&used.model, &used.usage, clock::from_rfc3339(&line.ts).unwrap_or(0)),
                _ => {}
            }
        }
        all
    }

    /// From here on the beginning of the conversation is another one.
    pub fn changed(&mut self, why: Broke) {
        self.changes.push(why);
    }

    /// A model answered; `at`: milliseconds since 1970.
    pub fn used(&mut self, model: &str, usage: &Usage, at: u64) {
        let Some(input) = usage.all_input() else { return };
        let first = self.last.is_empty();
        let before = self.last.insert(model.to_owned(), Last { input, at, changes: self.changes.len(), warned: false });
        let written = usage.cache_write.unwrap_or(0) + usage.cache_write_1h.unwrap_or(0);
        if usage.cache_read.unwrap_or(0) + written > 0 && !self.keeps.iter().any(|m| m == model) {
            self.keeps.push(model.to_owned());
        }
        let Some(read) = usage.cache_read else { return };
        self.input += input;
        self.cached += read;
        let (why, anew) = match before {
            None if first => return,
            None => (Broke::Model, input.saturating_sub(read)),
            Some(last) => {
                let why = match self.changes.get(last.changes..) {
                    Some([.., why]) => *why,
                    _ if at.saturating_sub(last.at) > clock::millis(LASTS) => Broke::Expired,
                    _ => Broke::Lost,
                };
                (why, last.input.min(input).saturating_sub(read))
            }
        };
        if anew > STEP {
            let cost = self.broken.entry(why).or_default();
            cost.calls += 1;
            cost.tokens += anew;
        }
    }

    /// Whether a call to this model now sends anew what its provider has forgotten by now, and is worth a word: how many
    /// tokens, after how long. Said once.
    pub fn expired(&mut self, model: &str, now: u64) -> Option<(u64, Duration)> {
        let changes = self.changes.len();
        let last = self.last.get_mut(model)?;
        let pause = Duration::from_millis(now.saturating_sub(last.at));
        let due = last.input >= BIG && pause > LASTS && last.changes == changes && self.keeps.iter().any(|m| m == model);
        (due && !std::mem::replace(&mut last.warned, true)).then_some((last.input, pause))
    }

    pub fn figures(&self) -> Figures {
        let share = (self.input > 0).then(|| self.cached as f64 / self.input as f64);
        Figures { share, input: self.input, cached: self.cached, broken: self.broken.clone() }
    }

    /// `83% of the input came from the provider's cache; sent anew: 30,000 tokens after compaction`. None where nothing is
    /// known.
    pub fn words(&self) -> Option<String> {
        let share = self.figures().share?;
        let one = |(why, cost): (&Broke, &Cost)| format!("{} tokens for {}", crate::base::text::thousands(cost.tokens), why.words());
        let broken: Vec<String> = self.broken.iter().map(one).collect();
        let anew = if broken.is_empty() { String::new() } else { format!("; sent anew: {}", broken.join(", ")) };
        Some(format!("{:.0}% of the input came from a provider's cache{anew}", share * 100.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, read: u64) -> Usage {
        Usage { input: Some(input - read), cache_read: Some(read), output: Some(5), ..Usage::default() }
    }

    const MINUTE: u64 = 60_000;

    #[test]
    fn the_share_is_that_of_all_input_and_each_break_has_its_reason() {
        let mut all = Caching::default();
        assert_eq!(all.figures().share, None);
        all.used("a", &usage(10_000, 0), 0);
        all.used("a", &usage(20_000, 10_000), MINUTE);
        assert_eq!(all.figures(), Figures { share: Some(10_000.0 / 30_000.0), input: 30_000, cached: 10_000, broken: BTreeMap::new() });
        all.used("b", &usage(20_000, 0), MINUTE);
        all.used("a", &usage(21_000, 19_500), 2 * MINUTE);
        all.changed(Broke::Compacted);
        all.used("a", &usage(8_000, 2_000), 3 * MINUTE);
        all.used("a", &usage(9_000, 0), 20 * MINUTE);
        all.used("a", &usage(10_000, 0), 21 * MINUTE);
        let broken = all.figures().broken;
        let tokens = |why| broken.get(&why).map(|c| (c.calls, c.tokens));
        assert_eq!(tokens(Broke::Model), Some((1, 20_000)));
        assert_eq!(tokens(Broke::Compacted), Some((1, 6_000)));
        assert_eq!(tokens(Broke::Expired), Some((1, 8_000)));
        assert_eq!(tokens(Broke::Lost), Some((1, 9_000)));
        assert_eq!(broken.len(), 4, "the way back to a warm cache breaks nothing: {broken:?}");
        assert!(all.words().unwrap().contains("6,000 tokens for compaction"), "{:?}", all.words());
    }

    #[test]
    fn a_big_prefix_that_has_expired_is_told_once_where_there_was_a_cache() {
        let mut all = Caching::default();
        all.used("a", &usage(80_000, 70_000), 0);
        assert_eq!(all.expired("a", MINUTE), None);
        assert_eq!(all.expired("a", 12 * MINUTE), Some((80_000, Duration::from_mins(12))));
        assert_eq!(all.expired("a", 13 * MINUTE), None);
        all.used("b", &usage(80_000, 0), 0);
        assert_eq!(all.expired("b", 12 * MINUTE), None, "no cache was ever seen there");
        all.used("a", &usage(9_000, 8_000), 0);
        assert_eq!(all.expired("a", 12 * MINUTE), None, "not worth a word");
        all.used("a", &usage(90_000, 80_000), 0);
        all.changed(Broke::Compacted);
        assert_eq!(all.expired("a", 12 * MINUTE), None, "it is another conversation by now");
    }

    #[test]
    fn who_says_nothing_of_a_cache_does_not_count() {
        let mut all = Caching::default();
        all.used("a", &Usage { input: Some(90_000), ..Usage::default() }, 0);
        all.used("a", &Usage { input: Some(99_000), ..Usage::default() }, 9 * MINUTE);
        assert_eq!((all.figures().share, all.words(), all.expired("a", 30 * MINUTE)), (None, None, None));
    }
}
