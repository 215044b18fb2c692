//! The circuit breaker of a provider: after several failures in a row it is left alone for a while, then tried with one
//! call at a time until it has answered often enough.

use crate::base::clock::Moment;
use crate::model::Class;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The numbers of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open.
    pub open: Duration,
    /// Answers that close it again.
    pub successes: u32,
    /// How long a trial call may hold the others back.
    pub trial: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self { failures: 5, open: Duration::from_secs(30), successes: 3, trial: Duration::from_mins(2) }
    }
}

/// Whether a call may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// As a trial. [`Breaker::trying`] says that it goes.
    Trial,
    /// Not before this.
    Until(Moment),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// All is well but for these failures in a row.
    Closed {
        failures: u32,
    },
    Open {
        until: Moment,
    },
    HalfOpen {
        successes: u32,
        trial_until: Option<Moment>,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    pub fn gate(&self, now: Moment) -> Gate {
        match self.state {
            State::Closed { .. } => Gate::Open,
            State::Open { until } | State::HalfOpen { trial_until: Some(until), .. } if now < until => Gate::Until(until),
            State::Open { .. } | State::HalfOpen { .. } => Gate::Trial,
        }
    }

    /// A call goes. While it is a trial no other one does.
    pub fn trying(&mut self, rules: &Rules, now: Moment) {
        let successes = match self.state {
            State::Closed { .. } => return,
            State::Open { .. } => 0,
            State::HalfOpen { successes, .. } => successes,
        };
        self.state = State::HalfOpen { successes, trial_until: Some(now.plus(rules.trial)) };
    }

    /// A call came to its end. What says nothing about the provider's health only ends a trial.
    pub fn ended(&mut self, rules: &Rules, failure: Option<Class>, now: Moment) {
        let failed = failure.map(concerns);
        self.state = match (&self.state, failed) {
            (State::Closed { .. }, None) => State::Closed { failures: 0 },
            (State::Closed { failures }, Some(true)) if failures + 1 < rules.failures => State::Closed { failures: failures + 1 },
            (State::Closed { .. } | State::HalfOpen { .. }, Some(true)) => State::Open { until: now.plus(rules.open) },
            (State::HalfOpen { successes, .. }, None) if successes + 1 >= rules.successes => State::Closed { failures: 0 },
            (State::HalfOpen { successes, .. }, None) => State::HalfOpen { successes: successes + 1, trial_until: None },
            (State::HalfOpen { successes, .. }, Some(false)) => State::HalfOpen { successes: *successes, trial_until: None },
            // A call that began before it opened: an answer is a first good sign, a further failure says nothing new.
            (State::Open { .. }, None) => State::HalfOpen { successes: 1, trial_until: None },
            (state, _) => state.clone(),
        };
    }

    /// The same with times on another clock, whose values differ by this; no further in the future than it can be.
    #[must_use]
    pub fn on_clock(&self, differs: i128, now: Moment, rules: &Rules) -> Self {
        let at = |m: Moment| Moment(u64::try_from((i128::from(m.0) + differs).max(0)).unwrap_or(u64::MAX));
        let state = match self.state {
            State::Open { until } => State::Open { until: at(until).min(now.plus(rules.open)) },
            State::HalfOpen { successes, trial_until } => {
                State::HalfOpen { successes, trial_until: trial_until.map(|t| at(t).min(now.plus(rules.trial))) }
            }
            State::Closed { failures } => State::Closed { failures },
        };
        Self { state }
    }

    /// For people and scripts.
    pub const fn as_str(&self) -> &'static str {
        match self.state {
            State::Closed { .. } => "closed",
            State::Open { .. } => "open",
            State::HalfOpen { .. } => "half_open",
        }
    }

    /// Whether it is as it was made.
    pub fn is_fresh(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether a failure of this class says that the provider is ill. A limit, a refusal or a wrong request does not.
const fn concerns(class: Class) -> bool {
    match class {
        Class::Overloaded | Class::Server | Class::Network | Class::Timeout => true,
        Class::RateLimit
        | Class::Quota
        | Class::Billing
        | Class::Auth
        | Class::Permission
        | Class::ContextTooLong
        | Class::BadRequest
        | Class::ContentFilter
        | Class::NotFound => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SICK: Option<Class> = Some(Class::Server);

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1000)
    }

    fn opened() -> (Breaker, Rules) {
        let (mut breaker, rules) = (Breaker::default(), Rules::default());
        for n in 0..5 {
            assert_eq!((breaker.gate(at(n)), breaker.as_str()), (Gate::Open, "closed"));
            breaker.ended(&rules, SICK, at(n));
        }
        (breaker, rules)
    }

    #[test]
    fn five_failures_open_it_and_three_answers_close_it() {
        let (mut breaker, rules) = opened();
        assert_eq!((breaker.gate(at(5)), breaker.as_str()), (Gate::Until(at(34)), "open"));
        for n in 0..3 {
            assert_eq!(breaker.gate(at(40 + n)), Gate::Trial);
            breaker.trying(&rules, at(40 + n));
            assert_eq!(breaker.gate(at(40 + n)), Gate::Until(at(160 + n)), "one trial at a time");
            breaker.ended(&rules, None, at(41 + n));
        }
        assert!(breaker.is_fresh());
    }

    #[test]
    fn a_failed_trial_opens_it_again_and_a_limit_only_ends_the_trial() {
        let (mut breaker, rules) = opened();
        breaker.trying(&rules, at(40));
        breaker.ended(&rules, Some(Class::RateLimit), at(41));
        assert_eq!(breaker.gate(at(41)), Gate::Trial);
        breaker.trying(&rules, at(42));
        breaker.ended(&rules, SICK, at(43));
        assert_eq!(breaker.gate(at(44)), Gate::Until(at(73)));
    }

    #[test]
    fn an_answer_between_failures_counts_from_the_beginning_and_limits_do_not_count() {
        let (mut breaker, rules) = (Breaker::default(), Rules::default());
        for failure in [SICK, SICK, SICK, SICK, None, SICK, SICK, SICK, SICK, Some(Class::RateLimit), Some(Class::BadRequest)] {
            breaker.ended(&rules, failure, at(0));
        }
        assert_eq!(breaker.as_str(), "closed");
        breaker.ended(&rules, SICK, at(0));
        assert_eq!(breaker.as_str(), "open");
    }

    proptest! {
        /// Whatever happens, it lets a call through again in time, and an open one holds all back.
        #[test]
        fn it_never_shuts_for_ever(steps in prop::collection::vec((0..3u8, 0..40u64), 0..60)) {
            let (mut breaker, rules, mut now) = (Breaker::default(), Rules::default(), 0);
            for (what, later) in steps {
                now += later;
                match what {
                    0 if breaker.gate(at(now)) != Gate::Open => breaker.trying(&rules, at(now)),
                    0 | 1 => breaker.ended(&rules, SICK, at(now)),
                    _ => breaker.ended(&rules, None, at(now)),
                }
                if let Gate::Until(until) = breaker.gate(at(now)) {
                    prop_assert!(until.since(at(now)) <= rules.open.max(rules.trial));
                    prop_assert!(!matches!(breaker.gate(until), Gate::Until(_)));
                }
            }
        }
    }
}
