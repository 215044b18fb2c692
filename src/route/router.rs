//! The door itself: the links of a session, what is known of their failures, and how a call over them is begun.

use super::budget::Tariff;
use super::cooldown::{Identity, Ready};
use super::event::LiveEvent;
use super::gate::Gates;
use super::health::Health;
use super::link::Link;
use super::live::Live;
use super::notice::Notice;
use super::plan::{Plan, Rules};
use super::purse::{Claimed, Granted, Purse, Sent};
use super::rotation::{Candidate, Rotation};
use super::shared::{self, Heard, Inquiry, Wall};
use super::way::{Going, Way};
use crate::base::clock::{Clock, Moment, unix_ms};
use crate::base::id;
use crate::config::Failover;
use crate::model::{EmbedRequest, History, ProviderError, Request};
use crate::store::{Cursor, Owner};
use crate::wire::ops::{self, Op};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The router of a session.
#[derive(Debug)]
pub struct Router {
    links: Vec<Link>,
    rules: Rules,
    pub(super) clock: Clock,
    /// A number from 0 to 1 that spreads the retries of processes that failed together.
    pub(super) jitter: fn() -> f64,
    health: Mutex<Health>,
    rotation: Rotation,
    gates: Mutex<Gates>,
    way: Mutex<Way>,
    failover: Failover,
    /// None keeps no ledger and shares nothing.
    purse: Option<Purse>,
    cursor: Arc<Mutex<Cursor>>,
}

/// Whether a link may be tried, and what keeps it from it.
#[derive(Debug, Clone, PartialEq)]
pub enum Rest {
    Ready,
    For(Duration, ProviderError),
    /// Until something changes outside of this process.
    Out(ProviderError),
}

/// What is asked of a model, or of its provider.
#[derive(Debug)]
pub enum Operation {
    /// An answer. `model` is filled in by the link that gives it, here and below.
    Generate(Request),
    /// Vectors of texts.
    Embed(EmbedRequest),
    /// How many tokens this request has.
    CountTokens(Request),
    /// The provider's own list of models.
    ListModels,
}

impl Operation {
    /// What a wire has to have for it, besides answers.
    fn needs(&self) -> Option<Op> {
        match self {
            Self::Generate(_) => None,
            Self::Embed(_) => Some(Op::Embed),
            Self::CountTokens(_) => Some(Op::CountTokens),
            Self::ListModels => Some(Op::ListModels),
        }
    }

    /// The conversation that is sent.
    fn conversation(&self) -> Option<&Request> {
        match self {
            Self::Generate(request) | Self::CountTokens(request) => Some(request),
            Self::Embed(_) | Self::ListModels => None,
        }
    }
}

/// A question to a model.
#[derive(Debug)]
pub struct Ask {
    pub operation: Operation,
    /// For this call, from now; the rules' own deadline applies as well.
    pub deadline: Option<Duration>,
}

impl Router {
    pub fn new(links: Vec<Link>, rules: Rules, rotation: Rotation) -> Self {
        let (health, gates, way, cursor) = (Mutex::default(), Mutex::default(), Mutex::default(), Arc::default());
        let (clock, failover, purse) = (Clock::system(), Failover::default(), None);
        let router = Self { links, rules, clock, jitter: id::share, health, rotation, gates, way, failover, purse, cursor };
        router.recall();
        router
    }

    /// With a ledger for what its calls cost, and what other processes know.
    #[must_use]
    pub fn paying(mut self, purse: Option<Purse>) -> Self {
        self.purse = purse;
        self
    }

    /// With a word on other models than the one that was chosen.
    #[must_use]
    pub fn switching(mut self, failover: Failover) -> Self {
        self.failover = failover;
        self
    }

    /// By the runtime's clock, which a test can stop.
    #[cfg(test)]
    #[must_use]
    pub fn in_virtual_time(mut self) -> Self {
        (self.clock, self.jitter) = (Clock::of_runtime(), || 0.5);
        self
    }

    /// Who pays, if a ledger is kept.
    pub fn purse(&self) -> Option<&Purse> {
        self.purse.as_ref()
    }

    /// From now on links behind the first are used as this says.
    pub fn set_failover(&mut self, failover: Failover) {
        self.failover = failover;
    }

    pub fn rules(&self) -> Rules {
        self.rules
    }

    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// From now on these links are used. What is known of links that failed stays; of keys, what the rotation remembers: one
    /// may have been replaced meanwhile.
    pub fn set_links(&mut self, links: Vec<Link>) {
        self.links = links;
        *self.way() = Way::default();
        self.rotation.look_again();
        self.recall();
    }

    /// Takes up what is remembered of the keys.
    fn recall(&self) {
        self.rotation.recall(self.links.iter(), &mut self.health().cooldowns, self.clock.now());
    }

    /// The conversation now has `messages`, of which the last `fresh` have not been answered yet.
    pub fn shortened(&self, messages: usize, fresh: usize) {
        self.links.iter().for_each(|l| l.shortened(messages, fresh));
    }

    /// Each link with the time until it may be tried.
    pub fn rests(&self) -> Vec<(&Link, Rest)> {
        let (now, health) = (self.clock.now(), self.health());
        let rest = |link: &Link| match health.outlook(&link.identity(), now).0 {
            Ready::Now => Rest::Ready,
            Ready::At(until, error, _) => Rest::For(until.since(now), error),
            Ready::Never(error, _) => Rest::Out(error),
        };
        self.links.iter().map(|l| (l, rest(l))).collect()
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wall(&self) -> Wall {
        Wall { now: self.clock.now(), unix_ms: unix_ms() }
    }

    /// Tells other processes what is new here and takes in what they know. What is reserved for a call does so as well.
    pub(super) async fn look(&self) {
        if let Some(purse) = &self.purse {
            let (heard, _) = purse.ask(self.inquiry(purse), |_| ()).await;
            self.heard(purse, heard);
        }
    }

    fn inquiry(&self, purse: &Purse) -> Inquiry {
        let wall = self.wall();
        Inquiry { telling: self.health().tell(wall), caps: purse.binding(), cursor: Arc::clone(&self.cursor), unix_ms: wall.unix_ms }
    }

    fn heard(&self, purse: &Purse, heard: Option<Heard>) {
        purse.looked(heard.as_ref());
        if let Some(heard) = heard {
            self.health().learn(heard.news, self.wall());
        }
        if self.rotation.heard() {
            self.recall();
        }
    }

    /// Lets the plan see what is known now.
    pub(super) fn show(&self, plan: &mut Plan, order: &[usize]) {
        plan.look(&self.health(), self.clock.now());
        if self.purse.as_ref().is_some_and(Purse::is_thrifty) {
            let costs = |ix: &usize| self.links.get(*ix).is_some_and(|l| l.terms.tariff(None) != Tariff::Paid);
            order.iter().enumerate().filter(|(_, ix)| costs(ix)).for_each(|(ix, _)| plan.spare(ix));
        }
    }

    /// Reserves what a call can cost, and looks what other processes know.
    pub(super) async fn claim(&self, link: &Link, input: u64, output: u64) -> Claimed {
        match &self.purse {
            Some(purse) => self.claim_for(purse, purse.own(), link, input, output).await,
            None => Ok((Granted { output, binds: false, sent: Sent::new(link, link.terms.tariff(None), input, output) }, None)),
        }
    }

    /// The same for this owner.
    pub(super) async fn claim_for(&self, purse: &Purse, owner: Owner, link: &Link, input: u64, output: u64) -> Claimed {
        let (heard, claimed) = purse.claim(link, input, output, owner, self.inquiry(purse)).await;
        self.heard(purse, heard);
        claimed
    }

    /// How many images the conversation holds, and the bytes of those that are not addresses.
    pub(super) fn images(&self, request: &Request) -> (u64, u64) {
        self.gates().images(&request.messages)
    }

    fn gates(&self) -> MutexGuard<'_, Gates> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model that the session is with.
    pub(super) fn current(&self) -> String {
        self.way().current(self.first()).to_owned()
    }

    /// Our id of the model that was chosen.
    fn first(&self) -> &str {
        self.links.first().map_or("", |l| l.id.as_str())
    }

    /// What the asker has to say before an attempt goes over this link; `why`, if the one before cannot be used.
    pub(super) fn question(&self, link: &Link, why: impl FnOnce(&str) -> Option<String>) -> Option<LiveEvent> {
        (self.failover == Failover::Ask).then(|| self.way().question(self.first(), &link.id, why))?
    }

    /// The next attempt goes over this link; `why`, if the one before cannot be used. What is to be said of that.
    pub(super) fn goes(&self, link: &Link, why: impl FnOnce(&str) -> Option<String>) -> Vec<Notice> {
        let switch = match self.way().goes(self.first(), &link.id, why, self.clock.now()) {
            Going::On => return Vec::new(),
            Going::First => None,
            Going::Over(notice) => Some(notice),
        };
        let caller = self.purse.as_ref().map(Purse::caller).unwrap_or_default();
        let routing = caller.agent.zip(caller.workload);
        let routing = routing.map(|(agent, workload)| Notice::Routing { agent, workload, model: link.id.clone() });
        switch.into_iter().chain(routing).collect()
    }

    /// Starts a call. Nothing happens until the first [`Live::next`]; dropping the `Live` cancels it upstream.
    pub fn start(&self, ask: Ask) -> Live<'_> {
        let mut rules = self.rules;
        rules.deadline = match (rules.deadline, ask.deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let now = self.clock.now();
        let candidates: Vec<Candidate> = self.links.iter().map(Link::candidate).collect();
        let nothing = History::default();
        let conversation = ask.operation.conversation();
        let order = self.rotation.order(&candidates, conversation.map_or(&nothing, |request| &request.messages));
        let ordered = || order.iter().filter_map(|ix| self.links.get(*ix).zip(candidates.get(*ix)));
        let names = ordered().map(|(_, c)| (c.name(&candidates), c.who.clone()));
        let mut plan = Plan::new(rules, names, &self.health(), now);
        let mut told = Vec::new();
        if let Some(request) = conversation {
            let (able, news) = self.gates().check(&self.links, &request.messages);
            let able: Vec<bool> = order.iter().map(|ix| able.get(*ix).copied().unwrap_or(true)).collect();
            plan.prefer(&able);
            told = news;
            let warm = |link: &Link| self.way().stays(&link.id, now) && link.is_warm(request, now);
            if let Some((ix, _)) = ordered().enumerate().find(|(_, (link, _))| warm(link)) {
                plan.warm(ix);
            }
        }
        if self.failover == Failover::Never {
            plan.keep(|ix| order.get(ix).and_then(|ix| self.links.get(*ix)).is_some_and(|l| l.id == self.first()));
        }
        if let Some(op) = ask.operation.needs() {
            for (ix, (link, _)) in ordered().enumerate().filter(|(_, (link, _))| !link.provider.wire().has(op)) {
                plan.rule_out(ix, ops::lacking(link.provider.wire(), op), now);
            }
        }
        Live::new(self, ask.operation, plan, order, told)
    }

    /// An attempt over this link was answered.
    pub(super) fn answered(&self, link: &Link) {
        // Another call may have found out meanwhile that its key is not to be used.
        if self.health().cooldowns.ready(&link.identity(), self.clock.now()) != Ready::Now {
            return;
        }
        let several = self.links.iter().any(|l| l.origin.provider == link.origin.provider && l.origin.account != link.origin.account);
        self.rotation.answered(link, several);
    }

    /// An attempt over this link failed, which the plan has taken in.
    pub(super) fn failed(&self, link: &Link, error: &ProviderError, now: Moment) {
        let who: Identity = link.identity();
        let held = self.health().cooldowns.held(&who, error, now);
        if let Some(held) = held {
            self.rotation.failed(link, error, held);
        }
    }
}

impl Drop for Router {
    /// Other processes learn what the last attempt found out.
    fn drop(&mut self) {
        let Some(purse) = &self.purse else { return };
        let wall = self.wall();
        let telling = self.health().tell(wall);
        purse.desk().send(move |store| shared::tell(store, &telling, wall.unix_ms));
    }
}
