//! The plan of one model call: which link to try next, when, and when to give up. No IO, no clock of its own.
//!
//! While another link stands behind it, a link gets one quick retry for a transient error and none for a rate limit.
//! The last usable link is retried with backoff, honouring the provider's own times, until the deadline. There is no
//! other retry loop in pup.

use super::receipt::Exhausted;
use crate::base::clock::Moment;
use crate::model::{Class, ProviderError, Scope};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The numbers that the plan works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Wait before the one quick retry of a link that has others behind it.
    pub quick_retry: Duration,
    /// First wait of the last link; doubles up to `backoff_max`.
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    /// From the first attempt; none means until somebody cancels.
    pub deadline: Option<Duration>,
    /// Attempts in all, whatever the deadline says.
    pub max_attempts: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            quick_retry: Duration::from_millis(300),
            backoff_min: Duration::from_millis(500),
            backoff_max: Duration::from_secs(8),
            deadline: Some(Duration::from_mins(10)),
            max_attempts: 200,
        }
    }
}

/// What to do with a link after a failure of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Retry,
    NextKey,
    NextLink,
    Compact,
    Relogin,
    Stop,
}

/// Class and scope decide. Exhaustive on purpose: a new class forces a decision.
#[allow(clippy::match_same_arms, reason = "a table: one line a class")]
pub const fn verdict(class: Class, scope: Scope) -> Verdict {
    match (class, scope) {
        (Class::RateLimit, Scope::Key) => Verdict::NextKey,
        (Class::RateLimit | Class::Overloaded | Class::Server | Class::Network | Class::Timeout, _) => Verdict::Retry,
        (Class::Quota | Class::Billing, Scope::Key) => Verdict::NextKey,
        (Class::Quota | Class::Billing | Class::NotFound, _) => Verdict::NextLink,
        (Class::Auth, _) => Verdict::Relogin,
        (Class::Permission, _) => Verdict::NextKey,
        (Class::ContextTooLong, _) => Verdict::Compact,
        (Class::BadRequest, Scope::Model) => Verdict::NextLink,
        (Class::BadRequest, _) => Verdict::Stop,
        (Class::ContentFilter, _) => Verdict::NextLink,
    }
}

/// What to do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Try { link: usize },
    Wait { until: Moment, link: usize },
    GiveUp(Exhausted),
}

/// The state of one call over its chain of links.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    rules: Rules,
    started: Moment,
    links: Vec<LinkState>,
    current: usize,
    attempts: u32,
    /// Set while a retry waits for its time.
    not_before: Option<Moment>,
    over: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LinkState {
    name: String,
    failures: u32,
    last: Option<(ProviderError, Moment)>,
}

impl Plan {
    /// A plan over `links` (names for the report, in order), starting now.
    pub fn new(rules: Rules, links: impl IntoIterator<Item = String>, now: Moment) -> Self {
        let links = links.into_iter().map(|name| LinkState { name, failures: 0, last: None }).collect();
        Self { rules, started: now, links, current: 0, attempts: 0, not_before: None, over: false }
    }

    /// When the call must be over, if it has a deadline.
    pub fn deadline(&self) -> Option<Moment> {
        self.rules.deadline.map(|d| self.started.plus(d))
    }

    /// How many attempts have been started.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The next thing to do. `Try` counts as an attempt once it is returned.
    pub fn next(&mut self, now: Moment) -> Step {
        let late = self.deadline().is_some_and(|d| now >= d) && self.attempts > 0;
        if self.over || late || self.attempts >= self.rules.max_attempts || self.current >= self.links.len() {
            self.over = true;
            return Step::GiveUp(self.report(now));
        }
        match self.not_before {
            Some(until) if now < until => Step::Wait { until, link: self.current },
            _ => {
                self.not_before = None;
                self.attempts += 1;
                Step::Try { link: self.current }
            }
        }
    }

    /// Takes in the failure of the last attempt. `jitter` in 0..=1 spreads retries of many processes.
    pub fn failed(&mut self, error: ProviderError, now: Moment, jitter: f64) {
        let last_link = self.current + 1 >= self.links.len();
        let rules = self.rules;
        let deadline = self.deadline();
        let Some(state) = self.links.get_mut(self.current) else { return };
        state.failures += 1;
        let failures = state.failures;
        let verdict = verdict(error.class, error.scope);
        let own_time = error.retry_after();
        let class = error.class;
        state.last = Some((error, now));
        if !last_link {
            let quick =
                verdict == Verdict::Retry && class != Class::RateLimit && failures == 1 && own_time.is_none_or(|t| t <= rules.quick_retry);
            if quick {
                self.not_before = Some(now.plus(rules.quick_retry));
            } else {
                self.current += 1;
            }
            return;
        }
        // The last link: wait for it if waiting can help and its time is inside the deadline.
        let waits = class.is_transient() || (class == Class::Quota && own_time.is_some());
        if !waits {
            self.over = true;
            return;
        }
        let until = now.plus(own_time.unwrap_or_else(|| backoff(rules, failures, jitter)));
        if deadline.is_some_and(|d| until >= d) {
            self.over = true;
        } else {
            self.not_before = Some(until);
        }
    }

    fn report(&self, now: Moment) -> Exhausted {
        let errors = self.links.iter().filter_map(|l| l.last.as_ref().map(|(e, _)| (l.name.clone(), e.clone()))).collect();
        let left = |(e, at): &(ProviderError, Moment)| e.retry_after_s.map(|s| (s - now.since(*at).as_secs_f64()).max(0.0));
        let soonest_s = self.links.iter().filter_map(|l| l.last.as_ref().and_then(left)).min_by(f64::total_cmp);
        Exhausted { errors, soonest_s, attempts: self.attempts }
    }
}

/// `min * 2^(failures - 1)`, at most `max`, less up to a quarter of jitter.
fn backoff(rules: Rules, failures: u32, jitter: f64) -> Duration {
    let factor = 1u32.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(u32::MAX);
    let full = rules.backoff_min.saturating_mul(factor).min(rules.backoff_max);
    full.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
