//! The loop guard: a model that goes round in calls whose results it has already is told so, then stopped.

use crate::base::digest;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// From this round without anything new on, the model is told.
const TELL: u32 = 3;

/// How many different rounds are remembered: longer circles are not found.
const REMEMBERED: usize = 32;

/// Counts how many rounds in a row brought nothing new: the same calls with the same results as a round before, be it
/// the last one or one of a circle.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Guard {
    /// The rounds that are known, the latest last.
    seen: VecDeque<String>,
    times: u32,
}

/// What the guard says of a round of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loop {
    None,
    /// Tell the model; this was repetition N.
    Tell(u32),
    Stop(u32),
}

impl Guard {
    /// Takes in one round: the name, arguments and result of each call. `limit` rounds without anything new, the one
    /// that they repeat counted, end the turn.
    pub fn round<'a>(&mut self, calls: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>, limit: u32) -> Loop {
        let mut all = String::new();
        for part in calls {
            for field in [part.0, part.1, part.2] {
                all.push_str(&field.len().to_string());
                all.push(':');
                all.push_str(field);
            }
        }
        let key = digest::short(all.as_bytes(), 32);
        let known = self.seen.iter().position(|k| *k == key);
        self.times = if known.is_some() { self.times + 1 } else { 1 };
        match known {
            Some(at) => drop(self.seen.remove(at)),
            None if self.seen.len() >= REMEMBERED => drop(self.seen.pop_front()),
            None => {}
        }
        self.seen.push_back(key);
        match self.times {
            n if n >= limit => Loop::Stop(n),
            n if n >= TELL => Loop::Tell(n),
            _ => Loop::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_call_with_the_same_result_counts() {
        let mut guard = Guard::default();
        let mut round = |args, result| guard.round([("t", args, result)], 5);
        assert_eq!(round("a", "1"), Loop::None);
        assert_eq!(round("a", "1"), Loop::None);
        assert_eq!(round("a", "1"), Loop::Tell(3));
        assert_eq!(round("a", "2"), Loop::None, "a new result is progress");
        assert_eq!(round("b", "2"), Loop::None);
        for n in 2..5 {
            assert_eq!(round("b", "2"), if n < 3 { Loop::None } else { Loop::Tell(n) });
        }
        assert_eq!(round("b", "2"), Loop::Stop(5));
    }

    #[test]
    fn a_circle_of_calls_brings_nothing_new_either() {
        let mut guard = Guard::default();
        let circle: Vec<Loop> = ["a", "b", "a", "b", "a", "b"].iter().map(|args| guard.round([("t", *args, "same")], 5)).collect();
        assert_eq!(circle, [Loop::None, Loop::None, Loop::None, Loop::Tell(3), Loop::Tell(4), Loop::Stop(5)]);
        for n in 0..40 {
            let edit = n.to_string();
            assert_eq!(guard.round([("edit", edit.as_str(), "done")], 5), Loop::None);
            assert_eq!(guard.round([("test", "", "fails")], 5), Loop::None, "between changes, the same failure is no loop");
        }
    }

    #[test]
    fn fields_cannot_run_into_each_other() {
        let mut guard = Guard::default();
        guard.round([("t", "ab", "c")], 9);
        guard.round([("t", "a", "bc")], 9);
        assert_eq!((guard.times, guard.seen.len()), (1, 2));
    }
}
