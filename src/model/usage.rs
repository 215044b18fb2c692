//! Token counts in disjoint classes.

use serde::{Deserialize, Serialize};

/// What a call used, in tokens. Absent means that the provider did not say, which is not zero.
///
/// `input` excludes cached tokens; `output` includes `reasoning`. So `input + cache_read + cache_write + output` is
/// everything that is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Usage {
    #[serde(default)]
    pub input: Option<u64>,
    #[serde(default)]
    pub cache_read: Option<u64>,
    /// Written to the cache for its short time-to-live (five minutes where a provider has two).
    #[serde(default)]
    pub cache_write: Option<u64>,
    /// Written to the cache for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<u64>,
    #[serde(default)]
    pub output: Option<u64>,
    /// The part of `output` that was reasoning.
    #[serde(default)]
    pub reasoning: Option<u64>,
}

impl Usage {
    /// Takes over what `later` knows. Usage frames of one call are cumulative, so they replace and never add.
    pub fn replace_with(&mut self, later: &Self) {
        for (mine, theirs) in self.fields_mut().into_iter().zip(later.fields()) {
            *mine = theirs.or(*mine);
        }
    }

    /// Sums two calls. Absent plus known is known; absent plus absent stays absent.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.fields_mut().into_iter().zip(other.fields()) {
            *mine = match (*mine, theirs) {
                (Some(a), Some(b)) => Some(a.saturating_add(b)),
                (a, b) => a.or(b),
            };
        }
    }

    /// Everything that was sent, from wherever it was read; none where nobody said.
    pub fn all_input(&self) -> Option<u64> {
        let parts = [self.input, self.cache_read, self.cache_write, self.cache_write_1h];
        parts.into_iter().flatten().reduce(u64::saturating_add)
    }

    fn fields(&self) -> [Option<u64>; 6] {
        [self.input, self.cache_read, self.cache_write, self.cache_write_1h, self.output, self.reasoning]
    }

    fn fields_mut(&mut self) -> [&mut Option<u64>; 6] {
        [&mut self.input, &mut self.cache_read, &mut self.cache_write, &mut self.cache_write_1h, &mut self.output, &mut self.reasoning]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_replace_and_calls_add() {
        let first = Usage { input: Some(10), output: Some(1), ..Usage::default() };
        let last = Usage { output: Some(7), ..Usage::default() };
        let mut one = first;
        one.replace_with(&last);
        assert_eq!((one.input, one.output, one.cache_read), (Some(10), Some(7), None));
        let mut sum = one;
        sum.add(&one);
        assert_eq!((sum.input, sum.output, sum.reasoning), (Some(20), Some(14), None));
    }
}
