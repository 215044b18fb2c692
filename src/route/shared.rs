//! What the processes of one user tell each other of links: cooldowns of models and providers, breakers, allowances and
//! used tokens. Keys are the rotation's; money is the ledger's.
//!
//! Times are told on the wall clock and clamped to what they can be at the most, so that a clock that jumps makes nothing
//! last longer than it was meant to.

use super::breaker::Breaker;
use super::cooldown::{Target, Told};
use super::headroom::{Left, Scope};
use super::health::Health;
use crate::base::clock::{Moment, millis};
use crate::store::{Cap, Cursor, Entry, News, Store, Used, Wins};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const COOLDOWN: &str = "cooldown";
const BREAKER: &str = "breaker";
const HEADROOM: &str = "headroom";

/// How long the state of a breaker means something to others.
const BREAKER_LASTS: Duration = Duration::from_mins(10);

/// What this process has to tell.
#[derive(Debug, Default)]
pub(super) struct Telling {
    entries: Vec<(Entry, Wins)>,
    used: Vec<Used>,
}

/// What came of a look at the shared state.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub news: News,
    /// The most that any of the caps is used, 1 being all.
    pub used: f64,
    /// What a person should know of the store.
    pub note: Option<String>,
}

/// A look at the shared state, for the store's thread.
#[derive(Debug)]
pub(super) struct Inquiry {
    pub telling: Telling,
    pub caps: Vec<Cap>,
    pub cursor: Arc<Mutex<Cursor>>,
    pub unix_ms: u64,
}

impl Inquiry {
    /// Tells and hears, in one go.
    pub fn make(&self, store: &Store) -> Heard {
        let cursor = &mut self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        exchange(store, &self.telling, cursor, &self.caps, self.unix_ms)
    }
}

/// Moments of this process on the wall clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wall {
    pub now: Moment,
    pub unix_ms: u64,
}

impl Wall {
    fn differs(self) -> i128 {
        i128::from(self.unix_ms) - i128::from(self.now.0)
    }

    fn out(self, at: Moment) -> u64 {
        u64::try_from((i128::from(at.0) + self.differs()).max(0)).unwrap_or(u64::MAX)
    }

    fn back(self, unix_ms: u64) -> Moment {
        Moment(u64::try_from((i128::from(unix_ms) - self.differs()).max(0)).unwrap_or(u64::MAX))
    }
}

/// Writes what is new, on the store's thread.
pub(super) fn tell(store: &Store, telling: &Telling, unix_ms: u64) {
    if !(telling.entries.is_empty() && telling.used.is_empty())
        && let Err(e) = store.tell(&telling.entries, &telling.used, unix_ms)
    {
        tracing::debug!(%e, "other processes do not learn what this one knows");
    }
}

/// Writes and reads in one go, on the store's thread.
pub(super) fn exchange(store: &Store, telling: &Telling, cursor: &mut Cursor, caps: &[Cap], unix_ms: u64) -> Heard {
    tell(store, telling, unix_ms);
    let news = store.news(cursor, unix_ms).inspect_err(|e| tracing::debug!(%e, "no news of other processes")).unwrap_or_default();
    let share = |cap: &Cap| store.totals(&cap.scope).map_or(0.0, |t| t.spent.dollars() / cap.limit.dollars().max(f64::MIN_POSITIVE));
    Heard { news, used: caps.iter().map(share).fold(0.0, f64::max), note: store.note.clone() }
}

impl Health {
    /// What is new here since the last time.
    pub(super) fn tell(&mut self, wall: Wall) -> Telling {
        let mut telling = Telling::default();
        for (target, told) in self.cooldowns.news(wall.now) {
            let key = json(&target);
            telling.entries.push(match told {
                Some(told) => {
                    let until = wall.unix_ms.saturating_add(millis(told.lasts));
                    (Entry { kind: COOLDOWN.into(), key, value: json(&told), until }, Wins::Longer)
                }
                None => (Entry { kind: COOLDOWN.into(), key, value: String::new(), until: 0 }, Wins::Later),
            });
        }
        for provider in std::mem::take(&mut self.changed) {
            let Some(breaker) = self.breakers.get(&provider) else { continue };
            let value = json(&breaker.on_clock(wall.differs(), Moment(wall.unix_ms), &self.rules));
            let until = wall.unix_ms.saturating_add(millis(BREAKER_LASTS));
            telling.entries.push((Entry { kind: BREAKER.into(), key: provider, value, until }, Wins::Later));
        }
        for scope in std::mem::take(&mut self.heard) {
            let mut windows = self.headroom.of(&scope);
            for left in &mut windows {
                (left.until, left.seen) = (Moment(wall.out(left.until)), Moment(wall.out(left.seen)));
            }
            let until = windows.iter().map(|l| l.until.0).max().unwrap_or(0);
            telling.entries.push((Entry { kind: HEADROOM.into(), key: json(&scope), value: json(&windows), until }, Wins::Later));
        }
        let used = std::mem::take(&mut self.spent).into_iter();
        telling.used.extend(used.map(|(key, at, tokens)| Used {
            key,
            at: wall.out(at),
            requests: 1,
            tokens: i64::try_from(tokens).unwrap_or(i64::MAX),
        }));
        self.headroom.forget(wall.now);
        telling
    }

    /// Takes in what others told. What cannot be read was written by another version, and is left alone.
    pub(super) fn learn(&mut self, news: News, wall: Wall) {
        for Entry { kind, key, value, until } in news.entries {
            match kind.as_str() {
                COOLDOWN => {
                    let Some(target) = read::<Target>(&key) else { continue };
                    let told = read::<Told>(&value).map(|told| {
                        let left = Duration::from_millis(until.saturating_sub(wall.unix_ms));
                        Told { lasts: left.min(told.lasts), ..told }
                    });
                    self.cooldowns.learn(target, told.filter(|t| !t.lasts.is_zero()), wall.now);
                }
                BREAKER if until > wall.unix_ms => {
                    let Some(breaker) = read::<Breaker>(&value) else { continue };
                    self.breakers.insert(key, breaker.on_clock(-wall.differs(), wall.now, &self.rules));
                }
                HEADROOM => {
                    let (Some(scope), Some(mut windows)) = (read::<Scope>(&key), read::<Vec<Left>>(&value)) else { continue };
                    for left in &mut windows {
                        (left.until, left.seen) = (wall.back(left.until.0), wall.back(left.seen.0).min(wall.now));
                    }
                    self.headroom.learn(scope, windows, wall.now);
                }
                _ => {}
            }
        }
        for Used { key, at, tokens, .. } in news.used {
            // A call of the future went now.
            let at = wall.back(at).min(wall.now);
            self.windows.entry(key).or_default().learn(u64::try_from(tokens).unwrap_or(0), at);
        }
    }
}

fn json(value: &impl serde::Serialize) -> String {
    // Plain values: nothing in them can fail.
    serde_json::to_string(value).unwrap_or_default()
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::super::cooldown::{Identity, Ready};
    use super::super::health::{Quota, Rank, window_key};
    use super::super::limiter::Limits as Quotas;
    use super::*;
    use crate::base::places::Places;
    use crate::model::{Class, ProviderError, Scope as Of};
    use crate::wire::limits::{Kind, Limits, Window};

    fn who(provider: &str) -> Identity {
        Identity { provider: provider.into(), account: Some("k".into()), upstream: "m".into() }
    }

    /// Two processes: each has its own clock, which began at another time.
    struct Process {
        store: Store,
        cursor: Cursor,
        health: Health,
        began: u64,
    }

    impl Process {
        fn new(places: &Places, began: u64) -> Self {
            Self { store: Store::open(places).unwrap(), cursor: Cursor::default(), health: Health::default(), began }
        }

        fn sync(&mut self, unix_ms: u64) -> Moment {
            let wall = Wall { now: Moment(unix_ms.saturating_sub(self.began)), unix_ms };
            let telling = self.health.tell(wall);
            let heard = exchange(&self.store, &telling, &mut self.cursor, &[], unix_ms);
            self.health.learn(heard.news, wall);
            wall.now
        }
    }

    #[test]
    fn what_one_process_finds_out_another_knows_by_its_own_clock() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::under(home.path());
        let (mut a, mut b) = (Process::new(&places, 1_000_000), Process::new(&places, 1_500_000));
        let start = 2_000_000;
        b.sync(start);
        let now = a.sync(start);
        let error = ProviderError::new(Class::Server, Of::Model, "x");
        a.health.cooldowns.note(&who("p"), &error, now);
        for _ in 0..5 {
            a.health.failed(&who("q"), Class::Server, now);
        }
        let window = Window { kind: Kind::Tokens, limit: Some(100), remaining: Some(10), reset_s: Some(60.0), ..Window::default() };
        a.health.reported(&who("r"), &Limits { windows: vec![window], ..Limits::default() }, now);
        let quota = [Quota { name: "free".into(), limits: Quotas { tpm: Some(1_000), ..Quotas::default() } }];
        let booked = a.health.trying(&who("s"), &quota, 900, now);
        a.health.used(&booked, 800);
        let wall = Wall { now, unix_ms: start };
        let telling = a.health.tell(wall);
        let [Used { at, tokens: 800, .. }] = telling.used.as_slice() else { panic!("{telling:?}") };
        assert_eq!(*at, start);
        exchange(&a.store, &telling, &mut a.cursor, &[], start);

        let now = b.sync(start + 1_000);
        let Ready::At(until, ..) = b.health.outlook(&who("p"), now).0 else { panic!("not cooling") };
        assert_eq!(until.since(now), Duration::from_secs(299));
        let (until, _) = b.health.shut("q", now).unwrap();
        assert_eq!(until.since(now), Duration::from_secs(29));
        assert_eq!(b.health.outlook(&who("r"), now), (Ready::Now, Rank::Low));
        // The store hands nobody's own rows back, and both are one process here.
        b.health.learn(News { used: telling.used, ..News::default() }, Wall { now, unix_ms: start + 1_000 });
        let (at, _) = b.health.fit(&who("s"), &quota, 300, now).unwrap();
        assert_eq!(at.since(now), Duration::from_secs(59));

        // It answers here: the other one learns that as well.
        b.health.answered(&who("p"), b.health.cooldowns.known(), now);
        b.sync(start + 2_000);
        let now = a.sync(start + 2_000);
        assert_eq!(a.health.outlook(&who("p"), now).0, Ready::Now);
    }

    #[test]
    fn a_clock_that_jumps_makes_nothing_longer_and_nonsense_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::under(home.path());
        let (mut a, mut b) = (Process::new(&places, 0), Process::new(&places, 0));
        let hour = 3_600_000;
        let now = a.sync(2 * hour);
        let mut error = ProviderError::new(Class::Server, Of::Model, "x");
        error.retry_after_s = Some(60.0);
        a.health.cooldowns.note(&who("p"), &error, now);
        for _ in 0..5 {
            a.health.failed(&who("q"), Class::Server, now);
        }
        let quota = [Quota { name: "free".into(), limits: Quotas { rpm: Some(1), ..Quotas::default() } }];
        let used = vec![Used { key: window_key(&who("s"), "free"), at: 2 * hour, requests: 1, tokens: 1 }];
        let entry = |kind: &str, key: &str, value: &str| Entry { kind: kind.into(), key: key.into(), value: value.into(), until: u64::MAX };
        let odd = [entry(COOLDOWN, "?", "{"), entry(BREAKER, "z", "[]"), entry(HEADROOM, "{}", "7"), entry("later", "k", "v")];
        a.store.tell(&odd.map(|e| (e, Wins::Later)), &[], 0).unwrap();
        a.sync(2 * hour);
        // The other process's clock is an hour behind.
        let now = b.sync(hour);
        let Ready::At(until, ..) = b.health.outlook(&who("p"), now).0 else { panic!("not cooling") };
        assert_eq!(until.since(now), Duration::from_mins(1));
        assert_eq!(b.health.shut("q", now).unwrap().0.since(now), Duration::from_secs(30));
        b.health.learn(News { used, ..News::default() }, Wall { now, unix_ms: hour });
        assert_eq!(b.health.fit(&who("s"), &quota, 1, now).unwrap().0.since(now), Duration::from_mins(1));
        assert_eq!(b.health.shut("z", now), None);
    }
}
