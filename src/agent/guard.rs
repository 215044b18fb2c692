//! The loop guard: a model that makes the same call and gets the same result again and again is told so, then stopped.

use crate::base::digest;
use serde::{Deserialize, Serialize};

/// From this repetition on, the model is told.
const TELL: u32 = 3;

/// Counts how often in a row the same set of calls brought the same results.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Guard {
    last: Option<String>,
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
    /// Takes in one round: the name, arguments and result of each call. `limit` repetitions end the turn.
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
        self.times = if self.last.as_deref() == Some(key.as_str()) { self.times + 1 } else { 1 };
        self.last = Some(key);
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
    fn fields_cannot_run_into_each_other() {
        let mut guard = Guard::default();
        guard.round([("t", "ab", "c")], 9);
        guard.round([("t", "a", "bc")], 9);
        assert_eq!(guard.times, 1);
    }
}
