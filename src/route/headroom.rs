//! How much of each allowance is left, as providers report it with their replies. A figure means something until its
//! window is full again, or for a while where nobody says when that is; then it is dropped, never frozen.

use super::cooldown::{Identity, Stamps};
use crate::base::clock::Moment;
use crate::wire::limits::{Kind, Limits, Status, Window};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Below this share new work prefers the next link.
pub const LOW: f64 = 0.20;
/// Below this one the link is skipped until the window is full again.
pub const NEARLY_OUT: f64 = 0.05;
/// How long a figure holds whose reset nobody named.
const FRESH: Duration = Duration::from_mins(1);
/// No window is longer than a month.
const LONGEST: Duration = Duration::from_hours(24 * 31);

/// What is left of one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// As the provider names it: `requests`, `5h`.
    pub name: String,
    /// What it counts: `requests`, `tokens`, `plan`.
    pub counts: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// 0 to 1.
    pub share: f64,
    /// Whether the provider said when it is full again, or it is only a guess until when the figure holds.
    pub named: bool,
    pub until: Moment,
    pub seen: Moment,
}

/// How a link's allowances stand: what is scarcest.
#[derive(Debug, Clone, PartialEq)]
pub enum Level {
    Plenty,
    Low(Left),
    NearlyOut(Left),
}

/// The windows of one account: those that count all of its models, and those of one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Headroom {
    all: BTreeMap<Scope, BTreeMap<String, Left>>,
    stamps: Stamps,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    pub provider: String,
    pub account: Option<String>,
    /// None: all models of the account.
    pub upstream: Option<String>,
}

impl Scope {
    fn of(who: &Identity, whole: bool) -> Self {
        let Identity { provider, account, upstream } = who.clone();
        Self { provider, account, upstream: (!whole).then_some(upstream) }
    }
}

impl Headroom {
    /// Takes in what a reply said; the scopes of which something is new.
    pub fn took(&mut self, who: &Identity, limits: &Limits, now: Moment) -> Vec<Scope> {
        let mut changed = Vec::new();
        self.stamps.touch(&who.provider);
        for (window, left) in limits.windows.iter().filter_map(|w| Some((w, left(w, now)?))) {
            let scope = Scope::of(who, window.kind == Kind::Plan && !window.some_models);
            if !changed.contains(&scope) {
                changed.push(scope.clone());
            }
            self.all.entry(scope).or_default().insert(format!("{} {}", left.counts, left.name), left);
        }
        changed
    }

    /// The scarcest of the windows that count this link's calls.
    pub fn level(&self, who: &Identity, now: Moment) -> Level {
        let of = |whole| self.all.get(&Scope::of(who, whole)).into_iter().flat_map(BTreeMap::values);
        let fresh = of(true).chain(of(false)).filter(|l| now < l.until);
        match fresh.min_by(|a, b| a.share.total_cmp(&b.share).then(b.until.cmp(&a.until))) {
            Some(left) if left.share < NEARLY_OUT => Level::NearlyOut(left.clone()),
            Some(left) if left.share < LOW => Level::Low(left.clone()),
            _ => Level::Plenty,
        }
    }

    /// Until when that stands, unless more is heard: at the end of a window its figure means nothing any more.
    pub(super) fn holds(&self, who: &Identity, now: Moment) -> Moment {
        let of = |whole| self.all.get(&Scope::of(who, whole)).into_iter().flat_map(BTreeMap::values);
        of(true).chain(of(false)).map(|l| l.until).filter(|until| now < *until).min().unwrap_or(Moment(u64::MAX))
    }

    /// How often something was heard of this provider.
    pub(super) fn stamp(&self, provider: &str) -> u64 {
        self.stamps.of(provider)
    }

    /// Whether the provider itself says how many requests or tokens are left.
    pub fn counts_calls(&self, who: &Identity, now: Moment) -> bool {
        let of = |whole| self.all.get(&Scope::of(who, whole)).into_iter().flat_map(BTreeMap::values);
        of(true).chain(of(false)).any(|l| now < l.until && l.counts != "other")
    }

    /// Every window that still means something.
    pub fn all(&self, now: Moment) -> impl Iterator<Item = (&Scope, Vec<&Left>)> {
        let fresh = move |lefts: &'_ BTreeMap<String, Left>| lefts.values().any(|l| now < l.until);
        let scopes = self.all.iter().filter(move |(_, lefts)| fresh(lefts));
        scopes.map(move |(scope, lefts)| (scope, lefts.values().filter(|l| now < l.until).collect()))
    }

    /// The windows of one scope, for those who share it.
    pub fn of(&self, scope: &Scope) -> Vec<Left> {
        self.all.get(scope).map(|lefts| lefts.values().cloned().collect()).unwrap_or_default()
    }

    /// Takes over what another process was told, where it is news.
    pub fn learn(&mut self, scope: Scope, windows: Vec<Left>, now: Moment) {
        self.stamps.touch(&scope.provider);
        let known = self.all.entry(scope).or_default();
        for left in windows.into_iter().filter(|l| l.until.since(now) <= LONGEST) {
            let name = format!("{} {}", left.counts, left.name);
            if known.get(&name).is_none_or(|k| k.seen < left.seen) {
                known.insert(name, left);
            }
        }
    }

    /// Drops what means nothing any more.
    pub fn forget(&mut self, now: Moment) {
        for lefts in self.all.values_mut() {
            lefts.retain(|_, l| now < l.until);
        }
        self.all.retain(|_, lefts| !lefts.is_empty());
    }
}

fn left(window: &Window, now: Moment) -> Option<Left> {
    let counted = window.remaining.zip(window.limit).filter(|(_, limit)| *limit > 0).map(|(r, l)| r as f64 / l as f64);
    let share = match window.status {
        Some(Status::Rejected) => 0.0,
        _ => counted.or(window.used.map(|used| 1.0 - used))?,
    };
    if !share.is_finite() {
        return None;
    }
    let named = window.reset_s.filter(|s| s.is_finite() && *s > 0.0).map(Duration::try_from_secs_f64).and_then(Result::ok);
    let period = window.period_s.map(Duration::from_secs);
    let lasts = named.unwrap_or_else(|| period.map_or(FRESH, |p| p.min(FRESH)));
    let counts = match window.kind {
        Kind::Requests => "requests",
        Kind::Tokens => "tokens",
        Kind::InputTokens => "input tokens",
        Kind::OutputTokens => "output tokens",
        Kind::Plan => "plan",
        Kind::Other => "other",
    };
    Some(Left {
        name: window.name.clone(),
        counts: counts.to_owned(),
        limit: window.limit,
        remaining: window.remaining,
        share: share.clamp(0.0, 1.0),
        named: named.is_some(),
        until: now.plus(lasts.min(LONGEST)),
        seen: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(account: &str, upstream: &str) -> Identity {
        Identity { provider: "p".into(), account: Some(account.into()), upstream: upstream.into() }
    }

    fn window(name: &str, kind: Kind, remaining: u64, reset_s: Option<f64>) -> Window {
        Window { name: name.into(), kind, limit: Some(100), remaining: Some(remaining), reset_s, ..Window::default() }
    }

    fn limits(windows: Vec<Window>) -> Limits {
        Limits { windows, ..Limits::default() }
    }

    #[test]
    fn the_scarcest_window_decides_until_it_is_full_again() {
        let mut headroom = Headroom::default();
        let a = who("k", "m");
        let said = limits(vec![window("requests", Kind::Requests, 10, Some(30.0)), window("tokens", Kind::Tokens, 3, Some(10.0))]);
        headroom.took(&a, &said, Moment(0));
        assert!(matches!(headroom.level(&a, Moment(9_999)), Level::NearlyOut(l) if l.name == "tokens" && l.named));
        assert!(matches!(headroom.level(&a, Moment(10_000)), Level::Low(l) if l.name == "requests"), "the other one is full again");
        assert_eq!(headroom.level(&a, Moment(30_000)), Level::Plenty);
        assert_eq!(headroom.level(&who("k", "other"), Moment(0)), Level::Plenty, "counted for each model");
        headroom.took(&a, &limits(vec![window("tokens", Kind::Tokens, 90, Some(10.0))]), Moment(1));
        assert!(matches!(headroom.level(&a, Moment(2)), Level::Low(_)), "the newest figure counts");
        headroom.forget(Moment(40_000));
        assert!(headroom.all.is_empty(), "{headroom:?}");
    }

    #[test]
    fn a_plan_s_window_counts_for_every_model_of_its_account() {
        let mut headroom = Headroom::default();
        let plan = Window { name: "5h".into(), kind: Kind::Plan, used: Some(0.97), reset_s: Some(3_600.0), ..Window::default() };
        headroom.took(&who("a", "m"), &limits(vec![plan]), Moment(0));
        assert!(matches!(headroom.level(&who("a", "n"), Moment(1)), Level::NearlyOut(_)));
        assert_eq!(headroom.level(&who("b", "m"), Moment(1)), Level::Plenty);
    }

    #[test]
    fn nonsense_says_nothing_and_what_has_no_end_is_dropped_soon() {
        let mut headroom = Headroom::default();
        let a = who("k", "m");
        let odd = Window { used: Some(f64::NAN), ..Window::default() };
        let none = Window { limit: Some(0), remaining: Some(0), ..Window::default() };
        let far = window("far", Kind::Tokens, 1, Some(1e300));
        assert_eq!(headroom.took(&a, &limits(vec![odd, none]), Moment(0)), []);
        headroom.took(&a, &limits(vec![far]), Moment(0));
        assert!(matches!(headroom.level(&a, Moment(59_999)), Level::NearlyOut(l) if !l.named));
        assert_eq!(headroom.level(&a, Moment(60_000)), Level::Plenty);
    }
}
