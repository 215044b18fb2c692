//! How all links stand, for people and scripts: what rests and until when, what is left of allowances, how far budgets are
//! used. Taken from what processes share and from what is remembered of keys.

use super::cooldown::Target;
use super::headroom::{LOW, Left, NEARLY_OUT};
use super::health::Health;
use super::shared::{self, Telling, Wall};
use crate::auth::Standings;
use crate::base::clock::Moment;
use crate::store::{Cap, Cursor, Store};
use serde::Serialize;
use std::time::Duration;

/// What is left alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resting {
    pub provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The provider's name of the model; absent where all of its models rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Seconds until it is tried again; null where somebody has to do something.
    pub back_s: Option<u64>,
    pub class: &'static str,
    pub why: String,
}

/// A circuit breaker that is not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breaking {
    pub provider: String,
    pub state: &'static str,
    /// Seconds until a call finds out whether all is well; null while one does.
    pub back_s: Option<u64>,
}

/// One allowance of an account, as its provider reported it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Allowance {
    pub provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    pub window: String,
    pub counts: String,
    /// 0 to 1.
    pub left: f64,
    pub remaining: Option<u64>,
    pub limit: Option<u64>,
    /// Seconds until it is full again; null where nobody said.
    pub back_s: Option<u64>,
    /// Seconds until nothing is left if it goes on as in the last quarter of an hour; null where it will not come to that.
    pub exhausted_in_s: Option<u64>,
}

/// How far a cap is used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spending {
    pub cap: String,
    pub spent_usd: f64,
    pub reserved_usd: f64,
    pub limit_usd: f64,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Picture {
    /// 100 where nothing is wrong, 0 at the least.
    pub score: u32,
    pub resting: Vec<Resting>,
    pub breakers: Vec<Breaking>,
    pub allowances: Vec<Allowance>,
    pub budgets: Vec<Spending>,
    /// What should be known of the shared state itself.
    pub note: Option<String>,
}

/// The time over which the rate of use is taken.
const RATE: Duration = Duration::from_mins(15);

impl Picture {
    /// Looks at the shared state as it is at this wall time.
    pub fn take(store: &Store, standings: &Standings, caps: &[Cap], unix_ms: u64) -> rusqlite::Result<Self> {
        let wall = Wall { now: Moment(unix_ms), unix_ms };
        let mut health = Health::default();
        let heard = shared::exchange(store, &Telling::default(), &mut Cursor::default(), &[], unix_ms);
        health.learn(heard.news, wall);
        let mut resting: Vec<Resting> = health.cooldowns.list(wall.now).map(|(target, left, error)| of(target, left, error)).collect();
        resting.extend(standings.all(unix_ms).into_iter().map(|against| Resting {
            provider: against.provider,
            account: Some(against.label),
            upstream: against.model,
            back_s: against.lasts.map(|l| l.as_secs()),
            class: against.error.class.as_str(),
            why: against.error.message,
        }));
        let breaking = |(provider, b): (&String, &super::breaker::Breaker)| Breaking {
            provider: provider.clone(),
            state: b.as_str(),
            back_s: health.shut(provider, wall.now).map(|(until, _)| until.since(wall.now).as_secs()),
        };
        let breakers = health.breakers.iter().filter(|(_, b)| b.as_str() != "closed").map(breaking).collect();
        let mut allowances = Vec::new();
        for (scope, lefts) in health.headroom.all(wall.now) {
            let (calls, tokens) = store.rate(&scope.provider, scope.account.as_deref(), unix_ms.saturating_sub(RATE.as_millis() as u64))?;
            for left in lefts {
                let used = if left.counts == "requests" { calls } else { tokens };
                allowances.push(Allowance {
                    provider: scope.provider.clone(),
                    account: scope.account.clone(),
                    upstream: scope.upstream.clone(),
                    window: left.name.clone(),
                    counts: left.counts.clone(),
                    left: left.share,
                    remaining: left.remaining,
                    limit: left.limit,
                    back_s: left.named.then(|| left.until.since(wall.now).as_secs()),
                    exhausted_in_s: forecast(left, used, wall.now),
                });
            }
        }
        let budgets = caps
            .iter()
            .map(|cap| {
                let totals = store.totals(&cap.scope)?;
                Ok(Spending {
                    cap: cap.name.clone(),
                    spent_usd: totals.spent.dollars(),
                    reserved_usd: totals.reserved.dollars(),
                    limit_usd: cap.limit.dollars(),
                })
            })
            .collect::<rusqlite::Result<_>>()?;
        let mut picture = Self { score: 0, resting, breakers, allowances, budgets, note: store.note.clone() };
        picture.score = picture.score();
        Ok(picture)
    }

    /// What is wrong takes from 100: an open breaker 30, something that rests 10 (40 at the most), an allowance that is nearly
    /// used up 20 and a low one 10 (40 at the most), a budget from 95 % on 20 and from 80 % on 10.
    fn score(&self) -> u32 {
        let breakers = 30 * self.breakers.len();
        let resting = (10 * self.resting.len()).min(40);
        let of_left = |a: &Allowance| if a.left < NEARLY_OUT { 20 } else { usize::from(a.left < LOW) * 10 };
        let allowances = self.allowances.iter().map(of_left).sum::<usize>().min(40);
        let of_cap = |s: &Spending| match s.spent_usd / s.limit_usd.max(f64::MIN_POSITIVE) {
            share if share >= 0.95 => 20,
            share if share >= 0.80 => 10,
            _ => 0,
        };
        let budgets = self.budgets.iter().map(of_cap).max().unwrap_or(0);
        u32::try_from(100usize.saturating_sub(breakers + resting + allowances + budgets)).unwrap_or(0)
    }
}

fn of(target: &Target, left: Option<Duration>, error: &crate::model::ProviderError) -> Resting {
    let (provider, account, upstream) = match target.clone() {
        Target::Provider(provider) => (provider, None, None),
        Target::Model { provider, upstream } => (provider, None, Some(upstream)),
        Target::Key { provider, account } => (provider, account, None),
        Target::KeyModel { provider, account, upstream } => (provider, account, Some(upstream)),
    };
    let (class, why) = (error.class.as_str(), error.message.clone());
    Resting { provider, account, upstream, back_s: left.map(|l| l.as_secs()), class, why }
}

/// Seconds until nothing is left, where that is before the window is full again.
fn forecast(left: &Left, used: u64, now: Moment) -> Option<u64> {
    if used == 0 {
        return None;
    }
    let seconds = left.remaining?.saturating_mul(RATE.as_secs()) / used;
    (!left.named || seconds < left.until.since(now).as_secs()).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(remaining: u64, until: u64) -> Left {
        let (name, counts) = ("minute".to_owned(), "tokens".to_owned());
        let (limit, share) = (Some(1000), remaining as f64 / 1000.0);
        Left { name, counts, limit, remaining: Some(remaining), share, named: true, until: Moment(until), seen: Moment(0) }
    }

    #[test]
    fn a_forecast_is_made_where_the_window_would_run_out() {
        assert_eq!(forecast(&left(300, 3_600_000), 900, Moment(0)), Some(300), "a token a second");
        assert_eq!(forecast(&left(300, 60_000), 900, Moment(0)), None, "it is full again before");
        assert_eq!(forecast(&left(300, 60_000), 0, Moment(0)), None);
    }

    #[test]
    fn the_score_says_how_much_is_wrong() {
        let resting = Resting { provider: "p".into(), account: None, upstream: None, back_s: Some(9), class: "server", why: "x".into() };
        let mut picture =
            Picture { score: 0, resting: Vec::new(), breakers: Vec::new(), allowances: Vec::new(), budgets: Vec::new(), note: None };
        assert_eq!(picture.score(), 100);
        picture.resting = vec![resting; 9];
        assert_eq!(picture.score(), 60);
        picture.breakers = vec![Breaking { provider: "p".into(), state: "open", back_s: Some(9) }];
        picture.budgets = vec![Spending { cap: "a day".into(), spent_usd: 9.6, reserved_usd: 0.0, limit_usd: 10.0 }];
        assert_eq!(picture.score(), 10);
    }
}
