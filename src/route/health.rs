//! All that is known of the state of links: cooldowns, breakers, allowances that providers report, and what was used of the
//! catalogue's quotas. No IO; what other processes know is brought by `shared`.

use super::breaker::{self, Breaker, Gate};
use super::cooldown::{self, Cooldowns, Identity, Ready};
use super::headroom::{self, Headroom, Left, Level};
use super::limiter::{Booking, Fit, Limits, Window};
use crate::base::clock::Moment;
use crate::model::{Class, ProviderError, Scope};
use crate::wire::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A quota that a link's calls count against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The catalogue's name of it.
    pub name: String,
    pub limits: Limits,
}

/// What is known of all links.
#[derive(Debug, Clone, Default)]
pub struct Health {
    pub(super) cooldowns: Cooldowns,
    pub(super) headroom: Headroom,
    pub(super) breakers: BTreeMap<String, Breaker>,
    pub(super) windows: BTreeMap<String, Window>,
    pub(super) rules: breaker::Rules,
    /// What other processes have not seen: breakers, allowances, and tokens that were used.
    pub(super) changed: BTreeSet<String>,
    pub(super) heard: BTreeSet<headroom::Scope>,
    pub(super) spent: Vec<(String, Moment, u64)>,
}

/// Which of the links that can be tried are tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
pub enum Rank {
    /// Its prompt cache holds this conversation.
    Warm,
    #[default]
    Usual,
    /// An allowance is low.
    Low,
    /// One is nearly used up: only where nothing else is left.
    NearlyOut,
}

/// How a link stands.
pub(super) struct View {
    pub ready: Ready,
    pub rank: Rank,
    /// Until when it may not be tried even where that is the last hope.
    pub firm: Moment,
    /// Time alone changes nothing of this before.
    pub holds: Moment,
}

/// See [`Health::stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(u64, u64);

impl Health {
    /// When a link may be tried, and whether before others. Its provider's breaker is another question ([`Health::shut`]).
    pub fn outlook(&self, who: &Identity, now: Moment) -> (Ready, Rank) {
        let view = self.view(who, now);
        (view.ready, view.rank)
    }

    pub(super) fn view(&self, who: &Identity, now: Moment) -> View {
        let cooldown::View { mut ready, mut firm, holds } = self.cooldowns.view(who, now);
        let rank = match self.headroom.level(who, now) {
            Level::Plenty => Rank::Usual,
            Level::Low(_) => Rank::Low,
            Level::NearlyOut(left) => {
                if left.remaining == Some(0) && left.named {
                    firm = firm.max(left.until);
                    if ready == Ready::Now {
                        let why = format!("nothing is left of `{}`, says the provider", left.name);
                        let mut error = ProviderError::new(Class::RateLimit, Scope::Key, why);
                        error.retry_after_s = Some(left.until.since(now).as_secs_f64());
                        ready = Ready::At(left.until, error, left.seen);
                    }
                }
                Rank::NearlyOut
            }
        };
        View { ready, rank, firm, holds: holds.min(self.headroom.holds(who, now)) }
    }

    /// How often what is known of this provider's links has changed, its breaker left out.
    pub(super) fn stamp(&self, provider: &str) -> Stamp {
        Stamp(self.cooldowns.stamp(provider), self.headroom.stamp(provider))
    }

    /// Until when the breaker of a provider is open, if it is.
    pub fn shut(&self, provider: &str, now: Moment) -> Option<(Moment, ProviderError)> {
        match self.breakers.get(provider)?.gate(now) {
            Gate::Open | Gate::Trial => None,
            Gate::Until(until) => {
                let mut error =
                    ProviderError::new(Class::Overloaded, Scope::Provider, format!("{provider} failed several times in a row and rests"));
                error.retry_after_s = Some(until.since(now).as_secs_f64());
                Some((until, error))
            }
        }
    }

    /// When a call that may use so many tokens fits into the quotas, by our own count. Where the provider itself says how
    /// much is left, that is believed instead.
    pub fn fit(&mut self, who: &Identity, quotas: &[Quota], tokens: u64, now: Moment) -> Option<(Moment, ProviderError)> {
        if self.headroom.counts_calls(who, now) {
            return None;
        }
        let mut latest: Option<(Moment, &Quota)> = None;
        for quota in quotas {
            let window = self.windows.entry(window_key(who, &quota.name)).or_default();
            if let Fit::At(at) = window.fit(&quota.limits, tokens, now)
                && latest.is_none_or(|(l, _)| l < at)
            {
                latest = Some((at, quota));
            }
        }
        let (at, quota) = latest?;
        let mut error = ProviderError::new(
            Class::RateLimit,
            Scope::Key,
            format!("by pup's own count the quota `{}` has no room now for one more request of about {tokens} tokens", quota.name),
        );
        error.retry_after_s = Some(at.since(now).as_secs_f64());
        Some((at, error))
    }

    /// A call goes over this link: it is booked, and where somebody has to find out whether all is well, it does.
    pub fn trying(&mut self, who: &Identity, quotas: &[Quota], tokens: u64, now: Moment) -> Arc<[(String, Booking)]> {
        self.cooldowns.trying(who, now);
        if let Some(breaker) = self.breakers.get_mut(&who.provider) {
            breaker.trying(&self.rules, now);
        }
        let mut book = |quota: &Quota| {
            let key = window_key(who, &quota.name);
            let booking = self.windows.entry(key.clone()).or_default().book(tokens, now);
            (key, booking)
        };
        quotas.iter().map(&mut book).collect()
    }

    /// What a booked call did use.
    pub fn used(&mut self, bookings: &[(String, Booking)], tokens: u64) {
        for (key, booking) in bookings {
            if let Some(at) = self.windows.get_mut(key).and_then(|w| w.correct(*booking, tokens)) {
                self.spent.push((key.clone(), at, tokens));
            }
        }
    }

    /// The call that was begun when so many failures were `known` was answered.
    pub fn answered(&mut self, who: &Identity, known: u64, now: Moment) {
        self.cooldowns.clear(who, known);
        self.ended(who, None, now);
    }

    /// An attempt failed in this way; that is in the cooldowns already.
    pub fn failed(&mut self, who: &Identity, class: Class, now: Moment) {
        self.ended(who, Some(class), now);
    }

    fn ended(&mut self, who: &Identity, failure: Option<Class>, now: Moment) {
        self.cooldowns.tried(who);
        let before = self.breakers.get(&who.provider).cloned().unwrap_or_default();
        let mut breaker = before.clone();
        breaker.ended(&self.rules, failure, now);
        if breaker == before {
            return;
        }
        self.changed.insert(who.provider.clone());
        self.breakers.insert(who.provider.clone(), breaker);
    }

    /// A call that was given up says nothing of the link.
    pub fn dropped(&mut self, who: &Identity, now: Moment) {
        self.cooldowns.tried(who);
        if let Some(breaker) = self.breakers.get_mut(&who.provider) {
            // As if it had ended in a way that is nobody's fault.
            breaker.ended(&self.rules, Some(Class::BadRequest), now);
        }
    }

    /// What a reply said of allowances.
    /// Returns what is scarce now and was not before.
    pub fn reported(&mut self, who: &Identity, limits: &limits::Limits, now: Moment) -> Option<Left> {
        let plenty = self.headroom.level(who, now) == Level::Plenty;
        let heard = self.headroom.took(who, limits, now);
        self.heard.extend(heard);
        match self.headroom.level(who, now) {
            Level::Low(left) | Level::NearlyOut(left) if plenty => Some(left),
            _ => None,
        }
    }
}

/// Names what one key has used of one quota.
pub(super) fn window_key(who: &Identity, quota: &str) -> String {
    format!("{}/{}/{quota}", who.provider, who.account.as_deref().unwrap_or("-"))
}
