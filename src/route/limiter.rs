//! Our own side of a provider's limits: requests and tokens a minute and tokens a day, counted in a sliding window for each
//! key and quota. A call is booked before it goes, with what it may use, and corrected when it is known.

use crate::base::clock::Moment;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// The limits of a quota; none is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
    /// Tokens a day.
    pub tpd: Option<u64>,
}

/// Names a booking until it is corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking(u64);

/// What one key has used of one quota.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// In order of time.
    calls: VecDeque<Call>,
    /// Booked or used in the day before the last look.
    tokens_day: u64,
    next: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Call {
    id: Option<u64>,
    at: Moment,
    tokens: u64,
}

/// Whether a call fits now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    Now,
    /// Once earlier calls are old enough.
    At(Moment),
}

impl Window {
    /// When a call that may use so many tokens fits. One that is larger than a limit altogether fits when nothing else is
    /// counted: the provider knows better whether it takes it.
    pub fn fit(&mut self, limits: &Limits, tokens: u64, now: Moment) -> Fit {
        self.forget(now);
        let mut at = now;
        if let Some(rpm) = limits.rpm {
            at = at.max(self.until(MINUTE, now, rpm.max(1), 1, |_| 1));
        }
        if let Some(tpm) = limits.tpm {
            at = at.max(self.until(MINUTE, now, tpm, tokens, |c| c.tokens));
        }
        if let Some(tpd) = limits.tpd
            && self.tokens_day > 0
        {
            at = at.max(self.until(DAY, now, tpd, tokens, |c| c.tokens));
        }
        if at > now { Fit::At(at) } else { Fit::Now }
    }

    /// A call goes that may use so many tokens.
    pub fn book(&mut self, tokens: u64, now: Moment) -> Booking {
        self.forget(now);
        let id = self.next;
        self.next += 1;
        self.calls.push_back(Call { id: Some(id), at: now, tokens });
        self.tokens_day = self.tokens_day.saturating_add(tokens);
        Booking(id)
    }

    /// A call of another process went then and used so many tokens.
    pub fn learn(&mut self, tokens: u64, at: Moment) {
        let place = self.calls.partition_point(|c| c.at <= at);
        // Only its own process corrects it.
        self.calls.insert(place, Call { id: None, at, tokens });
        self.tokens_day = self.tokens_day.saturating_add(tokens);
    }

    /// What a booked call did use; when it went, if it still counts.
    pub fn correct(&mut self, Booking(id): Booking, used: u64) -> Option<Moment> {
        // The latest calls are at the end, and those are corrected.
        let call = self.calls.iter_mut().rev().find(|c| c.id == Some(id))?;
        self.tokens_day = self.tokens_day.saturating_sub(call.tokens).saturating_add(used);
        call.tokens = used;
        Some(call.at)
    }

    /// Used and booked in the last minute (requests, tokens) and day (tokens).
    pub fn used(&mut self, now: Moment) -> (u64, u64, u64) {
        self.forget(now);
        let recent = self.calls.iter().rev().take_while(|c| now.since(c.at) < MINUTE);
        let (requests, tokens) = recent.fold((0, 0u64), |(n, t), c| (n + 1, t.saturating_add(c.tokens)));
        (requests, tokens, self.tokens_day)
    }

    /// The first moment at which `more` fits under `limit` beside the calls that are younger than `span` then.
    fn until(&self, span: Duration, now: Moment, limit: u64, more: u64, weight: impl Fn(&Call) -> u64) -> Moment {
        let inside = || self.calls.iter().rev().take_while(|c| now.since(c.at) < span);
        let mut sum: u64 = inside().map(&weight).fold(0, u64::saturating_add);
        let count = inside().count();
        let mut at = now;
        for call in self.calls.iter().skip(self.calls.len() - count) {
            if sum.saturating_add(more) <= limit {
                break;
            }
            sum = sum.saturating_sub(weight(call));
            at = at.max(call.at.plus(span));
        }
        at
    }

    fn forget(&mut self, now: Moment) {
        while let Some(old) = self.calls.pop_front_if(|c| now.since(c.at) >= DAY) {
            self.tokens_day = self.tokens_day.saturating_sub(old.tokens);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1000)
    }

    #[test]
    fn what_is_learned_late_stands_in_its_place() {
        let mut window = Window::default();
        window.learn(10, at(5));
        window.learn(20, at(3));
        window.learn(40, at(4));
        assert_eq!(window.used(at(24 * 3600 + 3)).2, 50);
        assert_eq!(window.used(at(24 * 3600 + 4)).2, 10);
        assert_eq!(window.used(at(24 * 3600 + 5)).2, 0);
    }

    #[test]
    fn a_call_waits_for_the_minute_and_the_day_to_move_on() {
        let limits = Limits { rpm: Some(3), tpm: Some(1_000), tpd: Some(5_000) };
        let mut window = Window::default();
        for (second, tokens) in [(0, 300), (10, 300), (20, 300)] {
            assert_eq!(window.fit(&limits, tokens, at(second)), Fit::Now);
            window.book(tokens, at(second));
        }
        assert_eq!(window.fit(&limits, 1, at(30)), Fit::At(at(60)), "three requests in the minute");
        assert_eq!(window.fit(&limits, 500, at(30)), Fit::At(at(70)), "two have to be older than a minute");
        assert_eq!(window.used(at(30)), (3, 900, 900));
        assert_eq!(window.used(at(60)), (2, 600, 900), "a minute old is no longer of this minute");
        let last = window.book(4_100, at(200));
        assert_eq!(window.fit(&limits, 1, at(300)), Fit::At(at(86_400)), "the day is full until the first call is a day old");
        window.correct(last, 50);
        assert_eq!(window.fit(&limits, 900, at(300)), Fit::Now);
        assert_eq!(window.used(at(86_400 + 25)), (0, 0, 50));
    }

    #[test]
    fn what_is_larger_than_the_limit_goes_alone_and_no_limit_is_none() {
        let limits = Limits { tpm: Some(100), ..Limits::default() };
        let mut window = Window::default();
        assert_eq!(window.fit(&limits, 5_000, at(0)), Fit::Now);
        window.book(5_000, at(0));
        assert_eq!(window.fit(&limits, 5_000, at(1)), Fit::At(at(60)));
        assert_eq!(window.fit(&Limits::default(), u64::MAX, at(1)), Fit::Now);
    }

    proptest! {
        #[test]
        fn no_minute_and_no_day_ever_holds_more_than_its_limit(
            limits in (1..20u64, 100..3_000u64, 1_000..20_000u64),
            calls in prop::collection::vec((0..90_000u64, 0..100u64, 0..=100u64), 1..80),
        ) {
            let limits = Limits { rpm: Some(limits.0), tpm: Some(limits.1), tpd: Some(limits.2) };
            let (mut window, mut now, mut sent) = (Window::default(), Moment(0), Vec::new());
            for (later, tokens, share) in calls {
                now = now.plus(Duration::from_millis(later));
                if let Fit::At(moment) = window.fit(&limits, tokens, now) {
                    prop_assert!(moment > now);
                    now = moment;
                    prop_assert_eq!(window.fit(&limits, tokens, now), Fit::Now, "the moment that was named is right");
                }
                let booking = window.book(tokens, now);
                let used = tokens * share / 100;
                window.correct(booking, used);
                sent.push((now, used));
                for (span, most) in [(MINUTE, limits.tpm.unwrap()), (DAY, limits.tpd.unwrap())] {
                    let inside: u64 = sent.iter().filter(|(at, _)| now.since(*at) < span).map(|(_, t)| t).sum();
                    prop_assert!(inside <= most);
                }
                let requests = sent.iter().filter(|(at, _)| now.since(*at) < MINUTE).count() as u64;
                prop_assert!(requests <= limits.rpm.unwrap());
                let day: u64 = sent.iter().filter(|(at, _)| now.since(*at) < DAY).map(|(_, t)| t).sum();
                prop_assert_eq!(window.used(now).2, day);
            }
        }
    }
}
