//! The plan of one model call: which link to try next, when, and when to give up. No IO, no clock of its own.
//!
//! While another link stands behind it, a link gets one quick retry for a transient error and none for a rate limit.
//! The last usable link is retried with backoff, honouring the provider's own times, until the deadline. There is no
//! other retry loop in pup.

use super::cooldown::{Identity, Ready, is_guess, speaks_for};
use super::health::{Health, Rank, Stamp, View};
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
    /// For this long a link is waited for by our own count of its limits, although another one could be asked.
    pub nap: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            quick_retry: Duration::from_millis(150),
            backoff_min: Duration::from_millis(500),
            backoff_max: Duration::from_secs(8),
            deadline: Some(Duration::from_mins(10)),
            max_attempts: 200,
            nap: Duration::from_secs(2),
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

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::NextKey => "next_key",
            Self::NextLink => "next_link",
            Self::Compact => "compact",
            Self::Relogin => "relogin",
            Self::Stop => "stop",
        }
    }
}

/// Class and scope decide. Exhaustive on purpose: a new class or scope forces a decision.
pub const fn verdict(class: Class, scope: Scope) -> Verdict {
    match class {
        // The same request to the same place may go right the next time, at once or a little later.
        Class::Overloaded | Class::Server | Class::Network | Class::Timeout => Verdict::Retry,
        Class::RateLimit => match scope {
            Scope::Request => Verdict::Retry,
            Scope::Key => Verdict::NextKey,
            Scope::Model | Scope::Provider => Verdict::NextLink,
        },
        // Another credential of the same provider is as good as new; where none helps, another model may.
        Class::Quota | Class::Billing | Class::Permission => match scope {
            Scope::Key => Verdict::NextKey,
            Scope::Request | Scope::Model | Scope::Provider => Verdict::NextLink,
        },
        Class::Auth => Verdict::Relogin,
        Class::ContextTooLong => Verdict::Compact,
        Class::NotFound | Class::ContentFilter => Verdict::NextLink,
        Class::BadRequest => match scope {
            Scope::Model | Scope::Provider => Verdict::NextLink,
            // It would be wrong everywhere of its kind.
            Scope::Request | Scope::Key => Verdict::Stop,
        },
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
    /// The link that is being tried, or that a quick retry is waiting for.
    current: Option<usize>,
    /// The link that is about to be ready again by our own count.
    napping: Option<usize>,
    attempts: u32,
    over: bool,
    /// The user wants no other links than these.
    #[serde(default)]
    held: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LinkState {
    name: String,
    who: Identity,
    failures: u32,
    /// How often it was asked itself. Where waiting is all that is left, whoever was asked less comes first.
    tried: u32,
    /// Not before this.
    ready: Moment,
    /// Of no use any more for this call.
    out: bool,
    /// Cannot take all that is sent: tried only once nothing else is left.
    reserve: bool,
    rank: Rank,
    warm: bool,
    /// It rests by our own guess: nobody said that it is not well again.
    guess: bool,
    /// Its provider's breaker is open, and another provider can be asked.
    shut: bool,
    /// Not before this even so: others said it, or our own count did.
    firm: Moment,
    /// The pause after its last failure in this call is over then.
    paused: Moment,
    /// Its last failure, perhaps of an earlier call, and when that was.
    last: Option<(ProviderError, Moment)>,
    /// The first link of the same provider.
    first: usize,
    /// Up to which change, and until when, what is known of it has been taken in.
    #[serde(skip)]
    seen: Option<(Stamp, Moment)>,
}

impl LinkState {
    fn usable(&self, now: Moment) -> bool {
        self.open() && !self.shut && self.ready <= now
    }

    /// Whether waiting for it makes sense.
    fn open(&self) -> bool {
        !self.out && !self.reserve
    }

    /// When it can be tried where all links rest: one that may be well again is asked rather than waited for.
    fn due(&self) -> Moment {
        if self.guess { self.ready.min(self.firm.max(self.paused)) } else { self.ready }
    }

    /// Takes over what is known of it.
    fn cool(&mut self, view: View) {
        self.firm = self.firm.max(view.firm);
        // A conversation that is under way is not new work; but what is nearly used up would refuse it.
        self.rank = if self.warm && view.rank < Rank::NearlyOut { Rank::Warm } else { view.rank };
        match view.ready {
            Ready::Now => {}
            Ready::At(until, error, since) => {
                self.guess = is_guess(&error);
                self.wait(until, error, since);
            }
            Ready::Never(error, since) => {
                self.out = true;
                self.last.get_or_insert((error, since));
            }
        }
    }

    fn wait(&mut self, until: Moment, error: ProviderError, since: Moment) {
        self.ready = self.ready.max(until);
        self.last.get_or_insert((error, since));
    }
}

impl Plan {
    /// A plan over `links` (name for the report, and what it stands for; in order of preference), starting now.
    pub fn new(rules: Rules, links: impl IntoIterator<Item = (String, Identity)>, health: &Health, now: Moment) -> Self {
        let state = |(name, who)| LinkState {
            name,
            who,
            failures: 0,
            tried: 0,
            ready: now,
            out: false,
            reserve: false,
            rank: Rank::default(),
            warm: false,
            guess: false,
            shut: false,
            firm: now,
            paused: now,
            last: None,
            first: 0,
            seen: None,
        };
        let mut links: Vec<LinkState> = links.into_iter().map(state).collect();
        for ix in 0..links.len() {
            let first = links.iter().position(|l| Some(&l.who.provider) == links.get(ix).map(|l| &l.who.provider));
            if let Some(link) = links.get_mut(ix) {
                link.first = first.unwrap_or(ix);
            }
        }
        let mut plan = Self { rules, started: now, links, current: None, napping: None, attempts: 0, over: false, held: false };
        plan.look(health, now);
        plan
    }

    /// Takes in what is known of the links now; others may have found something out.
    pub fn look(&mut self, health: &Health, now: Moment) {
        // Asked once for each provider. Of most links nothing new is known since the last look.
        let known =
            |(ix, l): (usize, &LinkState)| (l.first == ix).then(|| (health.stamp(&l.who.provider), health.shut(&l.who.provider, now)));
        let known: Vec<_> = self.links.iter().enumerate().map(known).collect();
        let of = |link: &LinkState| known.get(link.first).and_then(Option::as_ref);
        for link in self.links.iter_mut().filter(|l| !l.out) {
            let Some((stamp, _)) = of(link) else { continue };
            if link.seen.is_some_and(|(seen, holds)| seen == *stamp && now < holds) {
                continue;
            }
            let view = health.view(&link.who, now);
            link.seen = Some((*stamp, view.holds));
            link.cool(view);
        }
        // A provider that fails all the time rests as long as another one can be asked; the last one has its own pauses.
        let shut = |link: &LinkState| of(link).and_then(|(_, shut)| shut.as_ref());
        let another = self.links.iter().any(|l| l.open() && l.ready <= now && shut(l).is_none());
        for link in &mut self.links {
            let why = shut(link).filter(|_| another);
            link.shut = why.is_some();
            if let (None, Some((_, error))) = (&link.last, why) {
                link.last = Some((error.clone(), now));
            }
        }
    }

    /// The prompt cache of this link holds the conversation: it is preferred while nothing speaks against it.
    pub fn warm(&mut self, link: usize) {
        if let Some(link) = self.links.get_mut(link) {
            link.warm = true;
            if link.rank < Rank::NearlyOut {
                link.rank = Rank::Warm;
            }
        }
    }

    /// The link that was to be tried has no room until then, by our own count: nothing was sent.
    pub fn hold(&mut self, until: Moment, why: ProviderError, now: Moment) {
        self.attempts = self.attempts.saturating_sub(1);
        let Some(link) = self.current.take() else { return };
        if let Some(state) = self.links.get_mut(link) {
            (state.ready, state.firm) = (state.ready.max(until), state.firm.max(until));
            state.last = Some((why, now));
        }
        self.napping = (until.since(now) <= self.rules.nap).then_some(link);
    }

    /// The link that was to be tried may not be asked: nothing was sent.
    pub fn forbid(&mut self, why: ProviderError, now: Moment) {
        self.attempts = self.attempts.saturating_sub(1);
        if let Some(link) = self.current.take() {
            self.rule_out(link, why, now);
        }
    }

    /// This link costs money and much of a budget is used: others come first, up to the next look.
    pub fn spare(&mut self, link: usize) {
        if let Some(link) = self.links.get_mut(link) {
            link.rank = link.rank.max(Rank::Low);
            link.seen = None;
        }
    }

    /// Whether this would be the next thing to do, without doing it.
    pub fn tries(&self, now: Moment) -> bool {
        self.attempts < self.rules.max_attempts && self.pick(now).is_some_and(|(_, ready)| ready <= now)
    }

    /// Whether the link that is to be tried still is the one, now that more is known. If not, nothing was sent.
    pub fn stands(&mut self, link: usize, now: Moment) -> bool {
        let stands = self.pick(now).is_some_and(|(ix, ready)| ix == link && ready <= now);
        if stands {
            self.napping = None;
        } else {
            self.unpick();
        }
        stands
    }

    /// The same link is tried once more, with another request.
    pub fn again(&mut self) {
        self.attempts += 1;
    }

    /// Nobody wants the link that was to be tried: nothing was sent.
    pub fn unpick(&mut self) {
        self.attempts = self.attempts.saturating_sub(1);
        self.current = None;
    }

    /// Links for which this does not hold are of no use for this call any more.
    pub fn keep(&mut self, stays: impl Fn(usize) -> bool) {
        for (ix, link) in self.links.iter_mut().enumerate() {
            self.held |= !link.out && !stays(ix);
            link.out |= !stays(ix);
        }
    }

    /// Why this link is not tried now.
    pub fn why(&self, link: usize) -> Option<&ProviderError> {
        self.links.get(link)?.last.as_ref().map(|(error, _)| error)
    }

    /// Why other links come before this one, where nothing else speaks against it.
    pub fn behind(&self, link: usize) -> Option<&'static str> {
        match self.links.get(link)?.rank {
            Rank::Warm | Rank::Usual => None,
            Rank::Low => Some("little is left of its allowance, or of the budget"),
            Rank::NearlyOut => Some("its allowance is nearly used up"),
        }
    }

    /// The links that are not `able` to take what is sent wait until no other one is left.
    pub fn prefer(&mut self, able: &[bool]) {
        for (link, able) in self.links.iter_mut().zip(able) {
            link.reserve = !able;
        }
    }

    /// This link is of no use for this call, whoever waits.
    pub fn rule_out(&mut self, link: usize, why: ProviderError, now: Moment) {
        if let Some(link) = self.links.get_mut(link) {
            link.out = true;
            link.last = Some((why, now));
        }
    }

    /// Whether only this link could be asked now.
    pub fn alone(&self, link: usize, now: Moment) -> bool {
        !self.links.iter().enumerate().any(|(ix, l)| ix != link && l.usable(now))
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
        if self.over || late || self.attempts >= self.rules.max_attempts {
            self.over = true;
            return Step::GiveUp(self.report(now));
        }
        let mut picked = self.pick(now);
        if picked.is_none() && self.links.iter().any(|l| l.reserve) {
            self.links.iter_mut().for_each(|l| l.reserve = false);
            picked = self.pick(now);
        }
        let Some((link, ready)) = picked else {
            self.over = true;
            return Step::GiveUp(self.report(now));
        };
        self.current = Some(link);
        if now < ready {
            return Step::Wait { until: ready, link };
        }
        self.attempts += 1;
        Step::Try { link }
    }

    /// The link to try or to wait for: a quick retry first, then the best of those that are ready, then the soonest, if it
    /// returns inside the deadline.
    fn pick(&self, now: Moment) -> Option<(usize, Moment)> {
        let state = |ix: usize| self.links.get(ix).map(|l| (ix, l));
        let retry = self.current.and_then(state).filter(|(_, l)| !l.out && l.failures > 0 && l.ready <= now.plus(self.rules.quick_retry));
        let nap = self.napping.and_then(state).filter(|(_, l)| !l.out && l.ready <= now.plus(self.rules.nap));
        let first = || self.links.iter().enumerate().filter(|(_, l)| l.usable(now)).min_by_key(|(ix, l)| (l.rank, l.tried, *ix));
        // The breaker's time is a guess as well.
        let soonest = || self.links.iter().enumerate().filter(|(_, l)| l.open()).min_by_key(|(ix, l)| (l.due().max(now), l.tried, *ix));
        let (ix, at) = retry.or(nap).or_else(first).or_else(soonest).map(|(ix, l)| (ix, l.due()))?;
        let in_time = at <= now || self.deadline().is_none_or(|d| at < d);
        in_time.then_some((ix, at))
    }

    /// Takes in the failure of the last attempt. `jitter` in 0..=1 spreads retries of many processes.
    pub fn failed(&mut self, error: &ProviderError, health: &mut Health, now: Moment, jitter: f64) {
        let Some(current) = self.current else { return };
        let Some(who) = self.links.get(current).map(|l| l.who.clone()) else { return };
        // Other keys of a model that is down are no way out: what is said of one link holds for all that share its fault.
        health.failed(&who, error.class, now);
        let alike: Vec<bool> = self.links.iter().map(|l| speaks_for(&who, error, &l.who)).collect();
        let others = self.links.iter().zip(&alike).any(|(l, alike)| !alike && l.usable(now));
        // Many that rest are together asked no oftener than one alone.
        let open = u32::try_from(self.links.iter().filter(|l| l.open()).count()).unwrap_or(u32::MAX);
        let rules = self.rules;
        let Some(link) = self.links.get_mut(current) else { return };
        (link.failures, link.tried) = (link.failures + 1, link.tried + 1);
        let failures = link.failures;
        let class = error.class;
        let own = error.retry_after();
        let passes = error.is_transient() || (class == Class::Quota && own.is_some());
        link.last = Some((error.clone(), now));
        let short = own.is_none_or(|t| t <= rules.quick_retry);
        // What was silent for so long would be so once more, and the others would have no time left.
        let quick = !matches!(class, Class::RateLimit | Class::Timeout) && verdict(class, error.scope) == Verdict::Retry;
        if others && quick && failures == 1 && short {
            link.ready = now.plus(rules.quick_retry);
            return;
        }
        if others || !passes || own.is_some() {
            health.cooldowns.note(&who, error, now);
        }
        let alike = self.links.iter_mut().zip(alike).enumerate().filter(|(ix, (_, alike))| *ix == current || *alike);
        for link in alike.map(|(_, (link, _))| link) {
            // Whoever was not asked itself yet is not held up by the others' number.
            let share = if link.tried == 0 { 1 } else { open };
            link.paused = now.plus(backoff(rules, failures, jitter).saturating_mul(share).min(rules.backoff_max.saturating_mul(2)));
            if !passes {
                // Wrong for good, as far as this call can tell.
                link.out = true;
            } else if !others {
                // The last usable way: waiting can help, at its own time or with backoff.
                link.failures = link.failures.max(failures);
                link.ready = link.ready.max(now.plus(own.unwrap_or_else(|| backoff(rules, failures, jitter))));
            }
        }
        self.current = None;
        self.look(health, now);
    }

    fn report(&self, now: Moment) -> Exhausted {
        let mut told: Vec<(&LinkState, &ProviderError)> = Vec::new();
        for (link, (error, _)) in self.links.iter().filter_map(|l| Some((l, l.last.as_ref()?))) {
            // What holds for several links, because they are keys of one model, is said once.
            let again = |(other, e): &(&LinkState, &ProviderError)| *e == error && speaks_for(&other.who, error, &link.who);
            if !told.iter().any(again) {
                told.push((link, error));
            }
        }
        let errors = told.into_iter().map(|(link, error)| (link.name.clone(), error.clone())).collect();
        let left = |(e, at): &(ProviderError, Moment)| e.retry_after_s.map(|s| (s - now.since(*at).as_secs_f64()).max(0.0));
        let soonest_s = self.links.iter().filter_map(|l| l.last.as_ref().and_then(left)).min_by(f64::total_cmp);
        Exhausted { errors, soonest_s, attempts: self.attempts, held: self.held }
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

#[cfg(test)]
#[path = "plan_choice_tests.rs"]
mod choice_tests;
