//! Which models, keys and providers are left alone for a while, and why. What concerns keys is kept by the rotation; the
//! rest is told to other processes (`shared`). When a cooldown ends, one call finds out whether all is well.

use crate::base::clock::Moment;
use crate::model::{Class, ProviderError, Scope};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// After a rate limit without a time of its own; doubles with each in a row.
const KEY_FIRST: Duration = Duration::from_mins(1);
const KEY_MOST: Duration = Duration::from_mins(10);
/// After a model's retries are spent.
const MODEL: Duration = Duration::from_mins(5);
/// After a quota is used up, where nobody says when it returns.
const QUOTA: Duration = Duration::from_hours(1);

/// What a link stands for, so that a failure of one tells about others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub provider: String,
    /// A label of the key in use.
    pub account: Option<String>,
    /// The upstream model: two of our ids that name the same one share its quota.
    pub upstream: String,
}

/// What is left alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Target {
    Model {
        provider: String,
        upstream: String,
    },
    Key {
        provider: String,
        account: Option<String>,
    },
    /// A limit that the provider counts for each key and model.
    KeyModel {
        provider: String,
        account: Option<String>,
        upstream: String,
    },
    Provider(String),
}

/// What is held against a key: for one model, or for all of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub upstream: Option<String>,
    /// None: for good, as far as this process can tell.
    pub lasts: Option<Duration>,
    pub in_a_row: u32,
}

#[derive(Debug, Clone)]
struct Cool {
    /// None: until something changes outside of this process.
    until: Option<Moment>,
    since: Moment,
    error: ProviderError,
    in_a_row: u32,
    /// The how manieth of all that this process has heard of.
    nth: u64,
    /// It is over, and one call finds out whether all is well: until then the others stay away.
    probe: Option<Moment>,
}

/// How long a call that finds out may hold the others back.
const PROBE: Duration = Duration::from_mins(1);

/// A cooldown as processes tell each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub lasts: Duration,
    pub in_a_row: u32,
    pub error: ProviderError,
}

/// When a link may be tried.
#[derive(Debug, Clone, PartialEq)]
pub enum Ready {
    Now,
    At(Moment, ProviderError, Moment),
    Never(ProviderError, Moment),
}

/// How often what is known of each provider has changed: who has seen it at this stamp need not look again.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Stamps(BTreeMap<String, u64>);

impl Stamps {
    pub fn touch(&mut self, provider: &str) {
        match self.0.get_mut(provider) {
            Some(stamp) => *stamp += 1,
            None => drop(self.0.insert(provider.to_owned(), 1)),
        }
    }

    pub fn of(&self, provider: &str) -> u64 {
        self.0.get(provider).copied().unwrap_or(0)
    }
}

/// What the cooldowns say of a link.
pub(super) struct View {
    pub ready: Ready,
    /// Until when it may not be tried whatever else is hoped for: somebody said so, or it was asked too often.
    pub firm: Moment,
    /// Time alone changes nothing of this before.
    pub holds: Moment,
}

/// What was held against keys, and the how manieth each was: see [`Cooldowns::forget_key`].
#[derive(Debug, Default)]
pub(super) struct Forgotten(BTreeMap<Target, u64>);

/// The cooldowns of a router.
#[derive(Debug, Clone, Default)]
pub struct Cooldowns {
    all: BTreeMap<Target, Cool>,
    /// Of models and providers: what other processes do not know yet. What concerns keys they learn from the rotation.
    news: BTreeSet<Target>,
    /// How many there have been.
    heard: u64,
    stamps: Stamps,
}

impl Cooldowns {
    /// Takes in a failure that ends a link's turn. A failure of the request itself cools nothing.
    pub fn note(&mut self, who: &Identity, error: &ProviderError, now: Moment) {
        // What is wrong on this machine may be mended the next moment, and is found again at once if not.
        let Some(target) = target(who, error).filter(|_| !error.is_setup()) else { return };
        let last = self.all.get(&target);
        // Failures that arrive while the target is cooling are the same event: they count once.
        let cooling = last.is_some_and(|c| c.until.is_none_or(|u| now < u));
        let in_a_row = last.map_or(1, |c| if cooling { c.in_a_row } else { c.in_a_row.saturating_add(1) });
        let until = duration(error, in_a_row).map(|d| now.plus(d));
        let until = match last {
            // The longer of two cooldowns wins; for good is longest.
            Some(c) if cooling => c.until.zip(until).map(|(a, b)| a.max(b)),
            _ => until,
        };
        if until.is_some() && target.is_shared() {
            self.news.insert(target.clone());
        }
        let nth = self.next();
        self.put(target, Cool { until, since: now, error: error.clone(), in_a_row, nth, probe: None });
    }

    fn put(&mut self, target: Target, cool: Cool) {
        self.stamps.touch(target.provider());
        self.all.insert(target, cool);
    }

    fn take(&mut self, target: &Target) -> Option<Cool> {
        self.stamps.touch(target.provider());
        self.all.remove(target)
    }

    /// How often what is known of this provider's links has changed.
    pub(super) fn stamp(&self, provider: &str) -> u64 {
        self.stamps.of(provider)
    }

    fn next(&mut self) -> u64 {
        self.heard += 1;
        self.heard
    }

    /// How many failures are known of: what a call that goes now was begun in spite of.
    pub fn known(&self) -> u64 {
        self.heard
    }

    /// An answer from a link to a call that was begun when so many were `known`: nothing that it stands for is cooling, but
    /// for what was found out since.
    pub fn clear(&mut self, who: &Identity, known: u64) {
        for target in all(who) {
            if self.all.get(&target).is_some_and(|c| c.nth <= known) {
                self.take(&target);
                if target.is_shared() {
                    self.news.insert(target);
                }
            }
        }
    }

    /// A call goes over this link. Where a cooldown is over, it is the one that finds out.
    pub fn trying(&mut self, who: &Identity, now: Moment) {
        for target in all(who) {
            if let Some(cool) = self.all.get_mut(&target).filter(|c| c.until.is_some_and(|u| u <= now)) {
                cool.probe = Some(now.plus(PROBE));
                self.stamps.touch(&who.provider);
            }
        }
    }

    /// The call came to its end, or was given up.
    pub fn tried(&mut self, who: &Identity) {
        for target in all(who) {
            if let Some(cool) = self.all.get_mut(&target) {
                cool.probe = None;
                self.stamps.touch(&who.provider);
            }
        }
    }

    /// What other processes should know: each target with its cooldown, or none where it is over.
    pub(super) fn news(&mut self, now: Moment) -> Vec<(Target, Option<Told>)> {
        let told = |c: &Cool| Some(Told { lasts: c.until?.since(now), in_a_row: c.in_a_row, error: c.error.clone() });
        std::mem::take(&mut self.news).into_iter().map(|target| (target.clone(), self.all.get(&target).and_then(told))).collect()
    }

    /// Takes over what another process found out.
    pub(super) fn learn(&mut self, target: Target, told: Option<Told>, now: Moment) {
        if !target.is_shared() {
            return;
        }
        let Some(Told { lasts, in_a_row, error }) = told else {
            self.take(&target);
            return;
        };
        let until = now.plus(lasts);
        if self.all.get(&target).is_none_or(|c| c.until.is_some_and(|u| u < until)) {
            let nth = self.next();
            self.put(target, Cool { until: Some(until), since: now, error, in_a_row, nth, probe: None });
        }
    }

    /// All that is left alone now, for people: until when (none: for good) and why.
    pub fn list(&self, now: Moment) -> impl Iterator<Item = (&Target, Option<Duration>, &ProviderError)> {
        let cooling = move |c: &Cool| c.until.is_none_or(|u| now < u);
        self.all.iter().filter(move |(_, c)| cooling(c)).map(move |(t, c)| (t, c.until.map(|u| u.since(now)), &c.error))
    }

    /// What this failure, which was just taken in, is held against the link's key for; none where the key is not at fault.
    pub(super) fn held(&self, who: &Identity, error: &ProviderError, now: Moment) -> Option<Held> {
        let target = target(who, error)?;
        let upstream = match &target {
            Target::Key { .. } => None,
            Target::KeyModel { upstream, .. } => Some(upstream.clone()),
            Target::Model { .. } | Target::Provider(_) => return None,
        };
        let cool = self.all.get(&target).filter(|c| c.since == now)?;
        Some(Held { upstream, lasts: cool.until.map(|u| u.since(now)), in_a_row: cool.in_a_row })
    }

    /// Takes up what was held against a key before this process began; `before` is what was forgotten of it just now. An error
    /// that is over still counts as one in a row.
    pub(super) fn restore(&mut self, who: &Identity, held: Held, error: ProviderError, before: &Forgotten, now: Moment) {
        let Identity { provider, account, .. } = who.clone();
        let target = match held.upstream {
            None => Target::Key { provider, account },
            Some(upstream) => Target::KeyModel { provider, account, upstream },
        };
        let until = held.lasts.map(|l| now.plus(l));
        // One that was known before is no news.
        let nth = before.0.get(&target).copied().unwrap_or_else(|| self.next());
        self.put(target, Cool { until, since: now, error, in_a_row: held.in_a_row, nth, probe: None });
    }

    /// Forgets what is held against the key of this link.
    pub(super) fn forget_key(&mut self, who: &Identity, forgotten: &mut Forgotten) {
        for target in all(who).into_iter().filter(|t| !t.is_shared()) {
            if let Some(cool) = self.take(&target) {
                forgotten.0.insert(target, cool.nth);
            }
        }
    }

    /// When the link may be tried next.
    pub fn ready(&self, who: &Identity, now: Moment) -> Ready {
        self.view(who, now).ready
    }

    pub(super) fn view(&self, who: &Identity, now: Moment) -> View {
        let mut ready = Ready::Now;
        let (mut firm, mut holds) = (now, Moment(u64::MAX));
        for cool in all(who).iter().filter_map(|t| self.all.get(t)) {
            let Some(until) = cool.until else {
                return View { ready: Ready::Never(cool.error.clone(), cool.since), firm, holds };
            };
            if !is_guess(&cool.error) {
                firm = firm.max(until);
            }
            // Once it is over, nothing says yet that it is well again while somebody is about to know.
            let Some(later) = [Some(until), cool.probe].into_iter().flatten().find(|at| now < *at) else { continue };
            holds = holds.min(later);
            if !matches!(&ready, Ready::At(known, ..) if later <= *known) {
                ready = Ready::At(later, cool.error.clone(), cool.since);
            }
        }
        View { ready, firm, holds }
    }
}

impl Target {
    fn provider(&self) -> &str {
        match self {
            Self::Model { provider, .. } | Self::Key { provider, .. } | Self::KeyModel { provider, .. } | Self::Provider(provider) => {
                provider
            }
        }
    }

    /// Whether other processes learn of it from here.
    fn is_shared(&self) -> bool {
        match self {
            Self::Model { .. } | Self::Provider(_) => true,
            Self::Key { .. } | Self::KeyModel { .. } => false,
        }
    }
}

/// Whether the failure of one link says as much of the other: they share what is at fault, or the request is, and that is
/// the same for every key.
pub(super) fn speaks_for(failed: &Identity, error: &ProviderError, other: &Identity) -> bool {
    match target(failed, error) {
        Some(target) => all(other).contains(&target),
        None => failed.provider == other.provider && failed.upstream == other.upstream,
    }
}

fn all(who: &Identity) -> [Target; 4] {
    let Identity { provider, account, upstream } = who.clone();
    [
        Target::Model { provider: provider.clone(), upstream: upstream.clone() },
        Target::Key { provider: provider.clone(), account: account.clone() },
        Target::KeyModel { provider: provider.clone(), account, upstream },
        Target::Provider(provider),
    ]
}

#[allow(clippy::match_same_arms, reason = "the order of the rules is their meaning")]
fn target(who: &Identity, error: &ProviderError) -> Option<Target> {
    let [model, key, key_model, provider] = all(who);
    match (error.class, error.scope) {
        (Class::ContextTooLong | Class::BadRequest | Class::ContentFilter, _) | (_, Scope::Request) => None,
        // A broken stream says little about the rest of a provider.
        (Class::Network | Class::Timeout | Class::Server | Class::Overloaded, _) => Some(model),
        (Class::RateLimit | Class::Quota, Scope::Model) => Some(key_model),
        (_, Scope::Model) => Some(model),
        (_, Scope::Key) => Some(key),
        (_, Scope::Provider) => Some(provider),
    }
}

/// Whether the time for which this failure cools is only our own guess, so that it may be well again before.
pub(super) fn is_guess(error: &ProviderError) -> bool {
    error.retry_after_s.is_none() && error.is_transient() && error.class != Class::RateLimit
}

/// How long; none means for good.
fn duration(error: &ProviderError, in_a_row: u32) -> Option<Duration> {
    // A wait of less than a second ends before the limit's own clock has moved on.
    let own = error.retry_after().map(|d| d.max(Duration::from_secs(1)));
    match error.class {
        Class::RateLimit => Some(own.unwrap_or_else(|| {
            let factor = 1u32.checked_shl(in_a_row.saturating_sub(1).min(8)).unwrap_or(u32::MAX);
            KEY_FIRST.saturating_mul(factor).min(KEY_MOST)
        })),
        Class::Quota => Some(own.unwrap_or(QUOTA)),
        Class::Overloaded | Class::Server | Class::Network | Class::Timeout => Some(own.unwrap_or(MODEL)),
        Class::Billing | Class::Auth | Class::Permission | Class::NotFound => None,
        Class::ContextTooLong | Class::BadRequest | Class::ContentFilter => Some(Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(provider: &str, account: &str, upstream: &str) -> Identity {
        Identity { provider: provider.into(), account: Some(account.into()), upstream: upstream.into() }
    }

    fn error(class: Class, scope: Scope) -> ProviderError {
        ProviderError::new(class, scope, "x")
    }

    fn until(all: &Cooldowns, who: &Identity, now: Moment) -> Option<u64> {
        match all.ready(who, now) {
            Ready::Now => Some(0),
            Ready::At(m, ..) => Some(m.0 / 1000),
            Ready::Never(..) => None,
        }
    }

    #[test]
    fn a_failure_cools_what_its_scope_names_and_nothing_else() {
        let (a, same_key, other_key, same_model) = (who("p", "k1", "m1"), who("p", "k1", "m2"), who("p", "k2", "m3"), who("p", "k2", "m1"));
        for (class, scope, cooled) in [
            (Class::RateLimit, Scope::Request, [0, 0, 0, 0]),
            (Class::RateLimit, Scope::Model, [1, 0, 0, 0]),
            (Class::RateLimit, Scope::Key, [1, 1, 0, 0]),
            (Class::RateLimit, Scope::Provider, [1, 1, 1, 1]),
            (Class::Overloaded, Scope::Model, [1, 0, 0, 1]),
            (Class::NotFound, Scope::Model, [1, 0, 0, 1]),
        ] {
            let mut all = Cooldowns::default();
            let error = error(class, scope);
            all.note(&a, &error, Moment(0));
            let now = [&a, &same_key, &other_key, &same_model].map(|w| u8::from(all.ready(w, Moment(1)) != Ready::Now));
            assert_eq!(now, cooled, "{class:?} {scope:?}");
            assert_eq!(all.ready(&who("q", "k1", "m1"), Moment(1)), Ready::Now);
            if scope != Scope::Request {
                let spoken_for = [&a, &same_key, &other_key, &same_model].map(|w| u8::from(speaks_for(&a, &error, w)));
                assert_eq!(spoken_for, cooled, "{class:?} {scope:?}");
            }
        }
    }

    #[test]
    fn a_request_s_own_fault_cools_nothing_and_is_the_same_for_every_key() {
        let (a, same_key, same_model) = (who("p", "k1", "m1"), who("p", "k1", "m2"), who("p", "k2", "m1"));
        for class in [Class::BadRequest, Class::ContextTooLong, Class::ContentFilter] {
            let mut all = Cooldowns::default();
            all.note(&a, &error(class, Scope::Request), Moment(0));
            assert_eq!(all.ready(&a, Moment(0)), Ready::Now);
            assert_eq!([&same_key, &same_model].map(|w| speaks_for(&a, &error(class, Scope::Request), w)), [false, true]);
        }
    }

    #[test]
    fn rate_limits_double_to_ten_minutes_and_a_provider_s_own_time_wins() {
        let mut all = Cooldowns::default();
        let a = who("p", "k", "m");
        let mut now = Moment(0);
        for seconds in [60, 120, 240, 480, 600, 600] {
            all.note(&a, &error(Class::RateLimit, Scope::Key), now);
            assert_eq!(until(&all, &a, now), Some(now.0 / 1000 + seconds));
            now = now.plus(Duration::from_secs(seconds));
        }
        let mut named = error(Class::RateLimit, Scope::Key);
        named.retry_after_s = Some(7.0);
        all.note(&a, &named, now);
        assert_eq!(until(&all, &a, now), Some(now.0 / 1000 + 7));
        all.clear(&a, all.known());
        assert_eq!(all.ready(&a, now), Ready::Now);
    }

    #[test]
    fn failures_while_cooling_count_once_and_never_shorten() {
        let mut all = Cooldowns::default();
        let a = who("p", "k", "m");
        let mut long = error(Class::RateLimit, Scope::Key);
        long.retry_after_s = Some(300.0);
        all.note(&a, &long, Moment(0));
        all.note(&a, &error(Class::RateLimit, Scope::Key), Moment(10));
        assert_eq!(until(&all, &a, Moment(10)), Some(300));
        all.note(&a, &error(Class::RateLimit, Scope::Key), Moment(300_000));
        assert_eq!(until(&all, &a, Moment(300_000)), Some(420), "the second in a row, not the third");
    }

    #[test]
    fn one_call_finds_out_at_the_end_of_a_cooldown() {
        let (mut all, a) = (Cooldowns::default(), who("p", "k", "m"));
        all.note(&a, &error(Class::Server, Scope::Provider), Moment(0));
        let end = Moment(300_000);
        assert_eq!(all.ready(&a, end), Ready::Now);
        all.trying(&a, end);
        assert_eq!(until(&all, &a, end), Some(360), "somebody is about to know");
        all.tried(&a);
        assert_eq!(all.ready(&a, end), Ready::Now, "that call was given up");
        all.trying(&a, end);
        all.clear(&a, all.known());
        assert_eq!(all.ready(&a, end), Ready::Now);
    }

    #[test]
    fn what_one_process_finds_out_another_one_learns_and_the_longer_cooldown_stays() {
        let (mut one, mut other, a) = (Cooldowns::default(), Cooldowns::default(), who("p", "k", "m"));
        one.note(&a, &error(Class::Server, Scope::Provider), Moment(1_000));
        one.note(&a, &error(Class::RateLimit, Scope::Key), Moment(1_000));
        let news = one.news(Moment(2_000));
        assert_eq!((news.len(), one.news(Moment(2_000)).len()), (1, 0), "keys are told by the rotation");
        for (target, told) in news {
            other.learn(target.clone(), told, Moment(50_000));
            assert_eq!(until(&other, &a, Moment(50_000)), Some(349));
            other.learn(target, Some(Told { lasts: KEY_FIRST, in_a_row: 1, error: error(Class::Server, Scope::Model) }), Moment(50_000));
            assert_eq!(until(&other, &a, Moment(50_000)), Some(349));
        }
        one.clear(&a, one.known());
        for (target, told) in one.news(Moment(3_000)) {
            other.learn(target, told, Moment(51_000));
        }
        assert_eq!(other.ready(&a, Moment(51_000)), Ready::Now);
    }

    #[test]
    fn an_answer_says_nothing_of_what_was_found_out_after_its_call_began() {
        let (mut all, a) = (Cooldowns::default(), who("p", "k", "m"));
        all.note(&a, &error(Class::Server, Scope::Model), Moment(0));
        let known = all.known();
        all.note(&a, &error(Class::Auth, Scope::Key), Moment(0));
        all.clear(&a, known);
        assert_eq!(until(&all, &a, Moment(1)), None, "the key was refused meanwhile");
        // What the keys' own memory brings again is as old as it was.
        let held = Held { upstream: None, lasts: None, in_a_row: 1 };
        let mut before = Forgotten::default();
        all.forget_key(&a, &mut before);
        all.restore(&a, held, error(Class::Auth, Scope::Key), &before, Moment(2));
        all.clear(&a, known);
        assert_eq!(until(&all, &a, Moment(2)), None);
        all.clear(&a, all.known());
        assert_eq!(all.ready(&a, Moment(2)), Ready::Now);
    }

    #[test]
    fn a_dead_key_stays_dead() {
        let mut all = Cooldowns::default();
        let a = who("p", "k", "m");
        all.note(&a, &error(Class::Auth, Scope::Key), Moment(0));
        all.note(&a, &error(Class::RateLimit, Scope::Key), Moment(1));
        assert_eq!(until(&all, &a, Moment(u64::MAX)), None);
    }
}
