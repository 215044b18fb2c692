//! The door itself: the links of a session, what is known of their failures, and how a call over them is begun.

use super::budget::Tariff;
use super::cooldown::{Identity, Ready};
use super::gate::{self, Holdings};
use super::health::Health;
use super::link::Link;
use super::live::{Live, LiveEvent};
use super::notice::Notice;
use super::plan::{Plan, Rules};
use super::purse::{Granted, Purse, Refused, Sent};
use super::rotation::{Candidate, Rotation};
use super::shared::{self, Wall};
use super::way::{Going, Way};
use crate::base::clock::{Clock, Moment, unix_ms};
use crate::config::Failover;
use crate::model::aside::Kind;
use crate::model::{EmbedRequest, History, ProviderError, Request};
use crate::store::Cursor;
use crate::wire::ops::{self, Op};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The router of a session.
#[derive(Debug)]
pub struct Router {
    links: Vec<Link>,
    rules: Rules,
    pub(super) clock: Clock,
    health: Mutex<Health>,
    rotation: Rotation,
    gates: Mutex<Gates>,
    way: Mutex<Way>,
    pub(super) failover: Failover,
    /// None keeps no ledger and shares nothing.
    purse: Option<Purse>,
    cursor: Arc<Mutex<Cursor>>,
}

/// What the conversation holds, and which links were already said to lack what.
#[derive(Debug, Default)]
struct Gates {
    holdings: Holdings,
    told: BTreeSet<(String, Kind)>,
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
        let router = Self { links, rules, clock, health, rotation, gates, way, failover, purse, cursor };
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

    /// Tells other processes what is new here, takes in what they know, and lets the plan see it.
    pub(super) async fn look(&self, plan: &mut Plan, order: &[usize]) {
        let mut thrifty = false;
        if let Some(purse) = &self.purse {
            let wall = self.wall();
            let (telling, caps, cursor) = (self.health().tell(wall), purse.binding(), Arc::clone(&self.cursor));
            let job = move |store: &crate::store::Store| {
                let cursor = &mut cursor.lock().unwrap_or_else(PoisonError::into_inner);
                shared::exchange(store, &telling, cursor, &caps, wall.unix_ms)
            };
            if let Some(heard) = purse.desk().ask(job).await {
                purse.looked(heard.used);
                self.health().learn(heard.news, wall);
            }
            thrifty = purse.is_thrifty();
            if self.rotation.heard() {
                self.recall();
            }
        }
        plan.look(&self.health(), self.clock.now());
        if thrifty {
            let costs = |ix: &usize| self.links.get(*ix).is_some_and(|l| l.terms.tariff(None) != Tariff::Paid);
            order.iter().enumerate().filter(|(_, ix)| costs(ix)).for_each(|(ix, _)| plan.spare(ix));
        }
    }

    /// Whether somebody asked for a limit on what is spent.
    pub(super) fn is_capped(&self) -> bool {
        self.purse.as_ref().is_some_and(Purse::is_capped)
    }

    /// Reserves what a call can cost.
    pub(super) async fn claim(&self, link: &Link, input: u64, output: u64) -> Result<(Granted, Option<Notice>), Refused> {
        match &self.purse {
            Some(purse) => purse.claim(link, input, output).await,
            None => Ok((Granted { output, sent: Sent::new(link, link.terms.tariff(None), input, output) }, None)),
        }
    }

    /// How many images the conversation holds, and the bytes of those that are not addresses.
    pub(super) fn images(&self, request: &Request) -> (u64, u64) {
        let held = &mut self.gates.lock().unwrap_or_else(PoisonError::into_inner).holdings;
        let held = held.of(&request.messages);
        (held.images, held.image_bytes)
    }

    /// The next attempt goes over this link; `why`, if the one before cannot be used. What is to be said of that.
    pub(super) fn goes(&self, link: &Link, why: impl FnOnce(&str) -> Option<String>) -> Vec<Notice> {
        let first = self.links.first().map_or("", |l| l.id.as_str());
        let switch = match self.way().goes(first, &link.id, why, self.clock.now()) {
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
            let (able, news) = self.gate(request);
            let able: Vec<bool> = order.iter().map(|ix| able.get(*ix).copied().unwrap_or(true)).collect();
            plan.prefer(&able);
            told = news;
            let warm = |link: &Link| self.way().stays(&link.id, now) && link.is_warm(request, now);
            if let Some((ix, _)) = ordered().enumerate().find(|(_, (link, _))| warm(link)) {
                plan.warm(ix);
            }
        }
        if self.failover == Failover::Never {
            let first = self.links.first().map_or("", |l| l.id.as_str());
            plan.keep(|ix| order.get(ix).and_then(|ix| self.links.get(*ix)).is_some_and(|l| l.id == first));
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

    /// Which links can take what this request holds, and what is to be said of the others.
    fn gate(&self, request: &Request) -> (Vec<bool>, Vec<LiveEvent>) {
        let Gates { holdings, told } = &mut *self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let held = &holdings.of(&request.messages).kinds;
        if held.is_empty() {
            return (vec![true; self.links.len()], Vec::new());
        }
        let able = gate::pass(held, self.links.iter().map(|l| l.lacks.as_slice()));
        let mut events = Vec::new();
        for (link, able) in self.links.iter().zip(&able) {
            let lacks: Vec<Kind> = held.iter().copied().filter(|kind| link.lacks.contains(kind)).collect();
            let news = lacks.iter().filter(|kind| told.insert((link.id.clone(), **kind))).count();
            if news > 0 {
                events.push(LiveEvent::Gated { link: link.id.clone(), lacks, passed_over: !able });
            }
        }
        (able, events)
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
