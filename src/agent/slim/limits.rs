//! When a conversation is too long for a model, and how far it is then made smaller.

use crate::catalog::{Diet, Slimmer};

/// The window that is assumed where nobody knows it. A server whose own is smaller says so, and is believed.
const UNKNOWN_WINDOW: u64 = 64_000;
/// The share of the window at which others than the catalogue's are compacted.
const COMPACT_AT: f64 = 0.5;
/// Room for the answer, where its longest is not known, and at most.
const RESERVE: u64 = 8_192;
const RESERVE_MAX: u64 = 16_384;

/// The bounds of one way to a model, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Above this the conversation is made smaller.
    pub trigger: u64,
    /// No request may be larger.
    pub most: u64,
    pub diet: Diet,
}

impl Limits {
    /// The smaller of `compact_at x window` and `max_input - reserve`; without an entry, half of the window.
    pub fn of(slimmer: Option<&Slimmer>, window: Option<u64>, max_output: Option<u64>) -> Self {
        let given = slimmer.cloned().unwrap_or_default();
        let window = window.or(given.max_input).unwrap_or(UNKNOWN_WINDOW).max(1);
        let input = given.max_input.map_or(window, |most| most.min(window));
        let reserve = max_output.unwrap_or(RESERVE).min(RESERVE_MAX).min(input / 4);
        let most = (input - reserve).max(1);
        let share = (window as f64 * given.compact_at.unwrap_or(COMPACT_AT)) as u64;
        Self { trigger: share.clamp(1, most), most, diet: given.diet.unwrap_or(Diet::Balanced) }
    }

    /// A request of `tokens`, as we count them, was refused as too long: it takes a good deal less.
    #[must_use]
    pub fn refused_at(self, tokens: u64) -> Self {
        let most = (tokens.saturating_mul(4) / 5).clamp(1, self.most);
        Self { most, trigger: self.trigger.min(most.saturating_mul(4) / 5).max(1), ..self }
    }

    pub const fn regime(&self) -> Regime {
        match self.diet {
            Diet::Maintenance => Regime { enough: 70, tail: 30, recent: 12, output: 4_000, shown: None },
            Diet::Balanced => Regime { enough: 60, tail: 20, recent: 8, output: 2_000, shown: Some(24 * 1024) },
            Diet::BootCamp => Regime { enough: 50, tail: 15, recent: 3, output: 600, shown: Some(8 * 1024) },
            Diet::Relaxed => Regime { enough: 75, tail: 35, recent: 20, output: 8_000, shown: None },
        }
    }

    /// This share of the trigger, in tokens.
    pub(super) const fn share(&self, percent: u64) -> u64 {
        self.trigger.saturating_mul(percent) / 100
    }
}

/// What a diet means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regime {
    /// Percent of the trigger at which nothing more is taken out. What is left to the trigger is what a prompt cache lives
    /// for, so it is never little.
    pub enough: u64,
    /// Percent of the trigger that the latest rounds may have when the middle goes.
    pub tail: u64,
    /// Rounds of calls at the end that are left as they are.
    pub recent: usize,
    /// Bytes of an older tool's output above which it is shortened.
    pub output: usize,
    /// Bytes of a new output, where the diet caps it.
    pub shown: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_share_and_maximum_is_the_trigger() {
        let entry = |at, most, diet| Slimmer { compact_at: Some(at), max_input: Some(most), diet: Some(diet) };
        let cerebras = Limits::of(Some(&entry(0.2, 50_000, Diet::BootCamp)), Some(131_072), Some(40_000));
        assert_eq!(cerebras, Limits { trigger: 26_214, most: 37_500, diet: Diet::BootCamp });
        let openai = Limits::of(Some(&entry(0.7, 120_000, Diet::Maintenance)), Some(1_047_576), Some(32_768));
        assert_eq!((openai.trigger, openai.most), (120_000 - 16_384, 120_000 - 16_384));
        let claude = Limits::of(Some(&entry(0.6, 180_000, Diet::Balanced)), Some(200_000), Some(64_000));
        assert_eq!((claude.trigger, claude.most), (120_000, 163_616));
        let other = Limits::of(None, Some(100_000), None);
        assert_eq!((other.trigger, other.most, other.diet), (50_000, 100_000 - RESERVE, Diet::Balanced));
        assert_eq!(Limits::of(None, Some(0), Some(9)).most, 1);
    }

    #[test]
    fn a_refusal_is_believed() {
        let limits = Limits::of(None, None, None).refused_at(10_000);
        assert_eq!((limits.trigger, limits.most), (6_400, 8_000));
        assert_eq!(limits.refused_at(1_000_000), limits);
    }
}
