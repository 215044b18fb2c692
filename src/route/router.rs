//! The door itself: the links of a session, what is known of their failures, and how a call over them is begun.

use super::cooldown::{Cooldowns, Identity, Ready};
use super::gate::{self, Holdings};
use super::link::Link;
use super::live::{Live, LiveEvent};
use super::plan::{Plan, Rules};
use super::rotation::{Candidate, Rotation};
use crate::base::clock::{Clock, Moment};
use crate::model::aside::Kind;
use crate::model::{EmbedRequest, History, ProviderError, Request};
use crate::wire::ops::{self, Op};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The router of a session.
#[derive(Debug)]
pub struct Router {
    links: Vec<Link>,
    rules: Rules,
    pub(super) clock: Clock,
    cooldowns: Mutex<Cooldowns>,
    rotation: Rotation,
    gates: Mutex<Gates>,
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
        let (cooldowns, gates) = (Mutex::default(), Mutex::default());
        let router = Self { links, rules, clock: Clock::system(), cooldowns, rotation, gates };
        router.recall();
        router
    }

    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// From now on these links are used. What is known of links that failed stays; of keys, what the rotation remembers: one
    /// may have been replaced meanwhile.
    pub fn set_links(&mut self, links: Vec<Link>) {
        self.links = links;
        self.rotation.look_again();
        self.recall();
    }

    /// Takes up what is remembered of the keys.
    fn recall(&self) {
        self.rotation.recall(self.links.iter(), &mut self.cooldowns(), self.clock.now());
    }

    /// The conversation now has `messages`, of which the last `fresh` have not been answered yet.
    pub fn shortened(&self, messages: usize, fresh: usize) {
        self.links.iter().for_each(|l| l.shortened(messages, fresh));
    }

    /// Each link with the time until it may be tried.
    pub fn rests(&self) -> Vec<(&Link, Rest)> {
        let (now, cooldowns) = (self.clock.now(), self.cooldowns());
        let rest = |link: &Link| match cooldowns.ready(&link.identity(), now) {
            Ready::Now => Rest::Ready,
            Ready::At(until, error, _) => Rest::For(until.since(now), error),
            Ready::Never(error, _) => Rest::Out(error),
        };
        self.links.iter().map(|l| (l, rest(l))).collect()
    }

    pub(super) fn cooldowns(&self) -> MutexGuard<'_, Cooldowns> {
        self.cooldowns.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut plan = Plan::new(rules, names, &self.cooldowns(), now);
        let mut told = Vec::new();
        if let Some(request) = conversation {
            let (able, news) = self.gate(request);
            let able: Vec<bool> = order.iter().map(|ix| able.get(*ix).copied().unwrap_or(true)).collect();
            plan.prefer(&able);
            told = news;
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
        self.cooldowns().clear(&link.identity());
        let several = self.links.iter().any(|l| l.origin.provider == link.origin.provider && l.origin.account != link.origin.account);
        self.rotation.answered(link, several);
    }

    /// An attempt over this link failed, which the plan has taken in.
    pub(super) fn failed(&self, link: &Link, error: &ProviderError, now: Moment) {
        let who: Identity = link.identity();
        let held = self.cooldowns().held(&who, error, now);
        if let Some(held) = held {
            self.rotation.failed(link, error, held);
        }
    }

    /// Which links can take what this request holds, and what is to be said of the others.
    fn gate(&self, request: &Request) -> (Vec<bool>, Vec<LiveEvent>) {
        let Gates { holdings, told } = &mut *self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let held = holdings.of(&request.messages);
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
