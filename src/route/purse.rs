//! Who pays for a call: the most that it can cost is reserved in the ledger before it goes, what it did cost stands there
//! afterwards, whichever way it ended.

use super::budget::{self, Caps, LEAST_OUTPUT, Rates, Spender, Tariff};
use super::link::{Link, Terms};
use super::notice::Notice;
use super::shared::{Heard, Inquiry};
use crate::base::clock;
use crate::base::owner::Process;
use crate::model::fault::{NO_LEDGER, NO_PRICE};
use crate::model::money::Nanos;
use crate::model::{Delta, ProviderError, StreamEvent, Usage};
use crate::store::{self, Cap, Claim, Desk, Over, Owner, Receipt, Refusal, Store, Unusual};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shares of a cap at which it is said, in per cent.
const ALERTS: [u32; 4] = [50, 80, 95, 100];
/// From this share of a cap on, links that cost money come behind those that do not.
const THRIFTY: f64 = 0.80;

/// For whom a session works.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    pub agent: Option<String>,
    pub workload: Option<String>,
    pub session: Option<String>,
    /// Unique to a run, sub-agents included.
    pub run: String,
}

/// What a session may spend, and where it is written down.
#[derive(Debug)]
pub struct Purse {
    desk: Arc<Desk>,
    caps: Caps,
    /// The price to reckon with where none is known.
    ceiling: Option<Rates>,
    caller: Mutex<Caller>,
    me: Process,
    state: Arc<Mutex<State>>,
}

/// What is said once, and how far the caps are used.
#[derive(Debug, Default)]
struct State {
    unpriced: Vec<String>,
    /// What is to be said of the store: not known yet, not said yet, said.
    note: Note,
    used: f64,
}

#[derive(Debug, Default)]
enum Note {
    #[default]
    Unknown,
    Due(String),
    /// This, or that there is nothing to say.
    Said(Option<String>),
}

/// Why a call may not go.
#[derive(Debug)]
pub(super) enum Refused {
    Over(Box<Over>),
    Other(ProviderError),
}

/// A call that may go: how long its answer may be, and what is held for it.
#[derive(Debug)]
pub(super) struct Granted {
    pub output: u64,
    /// A cap that somebody asked for reckons with an answer that is no longer.
    pub binds: bool,
    pub sent: Sent,
}

/// Whether it may, and what is to be said of that.
pub(super) type Claimed = Result<(Granted, Option<Notice>), Refused>;

/// What a call used and cost, once it is over.
#[derive(Debug, Default)]
pub struct Settled {
    /// US dollars; none where a price is unknown.
    pub cost_usd: Option<f64>,
    pub estimated: bool,
    pub notices: Vec<Notice>,
}

impl Purse {
    pub fn new(desk: Arc<Desk>, caps: Caps, ceiling: Option<Rates>) -> Self {
        Self { desk, caps, ceiling, caller: Mutex::default(), me: Process::current(), state: Arc::default() }
    }

    /// The same ledger and caps for another agent's calls.
    #[must_use]
    pub fn share(&self) -> Self {
        let (desk, state) = (Arc::clone(&self.desk), Arc::clone(&self.state));
        Self { desk, caps: self.caps.clone(), ceiling: self.ceiling, caller: Mutex::new(self.caller()), me: self.me, state }
    }

    pub fn set_caller(&self, caller: Caller) {
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = caller;
    }

    pub(super) fn caller(&self) -> Caller {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether so much is spent that links which cost nothing come first.
    pub(super) fn is_thrifty(&self) -> bool {
        self.state().used >= THRIFTY
    }

    /// What is to be said of the store, once.
    pub(super) fn note(&self) -> Option<Notice> {
        let note = &mut self.state().note;
        let Note::Due(text) = &*note else { return None };
        let text = text.clone();
        *note = Note::Said(Some(text.clone()));
        Some(Notice::State(text))
    }

    /// Takes in a look at the store; none where there is no store.
    pub(super) fn looked(&self, heard: Option<&Heard>) {
        let state = &mut *self.state();
        if let Some(heard) = heard {
            state.used = heard.used;
        }
        let note = heard.map_or(Some("there is no shared state: limits and costs are not kept"), |h| h.note.as_deref());
        let is_new = match &state.note {
            Note::Unknown => true,
            // It can be found damaged in the middle of a run.
            Note::Said(said) => note.is_some() && note != said.as_deref(),
            Note::Due(_) => false,
        };
        if is_new {
            state.note = note.map_or(Note::Said(None), |text| Note::Due(text.to_owned()));
        }
    }

    /// A look at the store on its thread, and what else is to be done there.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        inquiry: Inquiry,
        job: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> (Option<Heard>, Option<T>) {
        self.desk.ask(move |store| (inquiry.make(store), job(store))).await.unzip()
    }

    /// Looks at the store and reserves what the call can cost at the most: so many tokens of input, and an answer of `output`
    /// tokens or, where that does not fit, of as many as do.
    pub(super) async fn claim(&self, link: &Link, input: u64, output: u64, owner: Owner, inquiry: Inquiry) -> (Option<Heard>, Claimed) {
        // What uses nothing costs nothing, whatever the price.
        let tariff = if input == 0 && output == 0 { Tariff::Paid } else { link.terms.tariff(self.ceiling) };
        let mut sent = self.sent(link, tariff, input, output);
        sent.outlives = matches!(owner, Owner::Durable { .. });
        let rates = match tariff {
            Tariff::Metered(rates) => rates,
            Tariff::Unknown if self.caps.any_explicit() => {
                return (self.ask(inquiry, |_| ()).await.0, Err(Refused::Other(unpriced(link))));
            }
            Tariff::Paid | Tariff::Unknown => {
                let notice = if tariff == Tariff::Unknown { self.unpriced(link) } else { None };
                return (self.ask(inquiry, |_| ()).await.0, Ok((Granted { output, binds: false, sent }, notice)));
            }
        };
        let (scopes, caps) = (sent.scopes.clone(), sent.caps.clone());
        let input = times(rates.input, input);
        let reserve = move |store: &Store| {
            let owner = owner.clone();
            let claim = Claim { scopes: &scopes, input, per_output: rates.output, output, least: LEAST_OUTPUT.min(output), owner };
            (store.reserve(&claim, &caps), store.shared)
        };
        let (heard, mut reserved) = self.ask(inquiry, reserve.clone()).await;
        if let Some((Err(Refusal::Spoiled(_)), _)) = reserved {
            // Another one stands in its place by now.
            reserved = self.desk.ask(reserve).await;
        }
        (heard, self.judge(link, output, sent, reserved))
    }

    /// What came of the attempt to reserve.
    fn judge(&self, link: &Link, output: u64, mut sent: Sent, reserved: Option<(Result<store::Granted, Refusal>, bool)>) -> Claimed {
        let lasting = self.caps.any_lasting();
        match reserved {
            Some((Ok(granted), shared)) if shared || !lasting => {
                sent.id = Some(granted.id);
                sent.output = granted.output;
                Ok((Granted { output: granted.output, binds: self.caps.any_explicit(), sent }, None))
            }
            Some((Err(Refusal::Over(over)), _)) => Err(Refused::Over(over)),
            Some((Ok(_), _)) => Err(Refused::Other(unkept(link, "it is not shared with other runs"))),
            Some((Err(Refusal::Unavailable(why) | Refusal::Spoiled(why)), _)) if self.caps.any_explicit() => {
                Err(Refused::Other(unkept(link, &why)))
            }
            None if self.caps.any_explicit() => Err(Refused::Other(unkept(link, "there is none"))),
            // The caps that are built in are a courtesy; work goes on without them, which was said.
            Some((Err(Refusal::Unavailable(_) | Refusal::Spoiled(_)), _)) | None => Ok((Granted { output, binds: false, sent }, None)),
        }
    }

    /// What an earlier process reserved under this number.
    pub(super) fn taken_up(&self, id: i64, link: &Link, input: u64, output: u64) -> Sent {
        let mut sent = self.sent(link, link.terms.tariff(self.ceiling), input, output);
        (sent.id, sent.outlives) = (Some(id), true);
        sent
    }

    /// A call for the caller of now.
    fn sent(&self, link: &Link, tariff: Tariff, input: u64, output: u64) -> Sent {
        let caller = self.caller();
        let spender = Spender { session: caller.session.as_deref(), run: &caller.run, provider: &link.origin.provider };
        let now = clock::unix_ms();
        let mut sent = Sent::new(link, tariff, input, output);
        sent.desk = (input > 0 || output > 0).then(|| Arc::clone(&self.desk));
        sent.scopes = Caps::scopes(&spender, now);
        sent.caps = self.caps.binding(&spender, now);
        sent.receipt.at = now;
        (sent.receipt.agent, sent.receipt.workload, sent.receipt.session) =
            (caller.agent.clone(), caller.workload.clone(), caller.session.clone());
        sent
    }

    /// That the price of this link is not known, once.
    fn unpriced(&self, link: &Link) -> Option<Notice> {
        let told = &mut self.state().unpriced;
        if told.contains(&link.id) {
            return None;
        }
        told.push(link.id.clone());
        Some(Notice::Unpriced { model: link.id.clone() })
    }

    /// A call of this process.
    pub(super) fn own(&self) -> Owner {
        Owner::Process(self.me)
    }

    /// The caps that bind calls to no provider in particular, for a look at how far they are used.
    pub(super) fn binding(&self) -> Vec<Cap> {
        let caller = self.caller();
        let spender = Spender { session: caller.session.as_deref(), run: &caller.run, provider: "" };
        self.caps.binding(&spender, clock::unix_ms())
    }
}

fn unpriced(link: &Link) -> ProviderError {
    let what = format!("what {} costs is not known, and there is a cap; `budget.ceiling` sets a price to reckon with", link.id);
    ProviderError::over_budget(what).with_code(Some(NO_PRICE.to_owned()))
}

fn unkept(link: &Link, why: &str) -> ProviderError {
    let what = format!("{} costs money, there is a cap, and the ledger cannot be kept: {why}", link.id);
    ProviderError::over_budget(what).with_code(Some(NO_LEDGER.to_owned()))
}

fn times(each: Nanos, tokens: u64) -> Nanos {
    Nanos(each.0.saturating_mul(i64::try_from(tokens).unwrap_or(i64::MAX)))
}

/// A call on its way, with what is held for it. Dropped before it is settled, it counts as given up half-way.
#[derive(Debug)]
pub(super) struct Sent {
    desk: Option<Arc<Desk>>,
    id: Option<i64>,
    scopes: Vec<String>,
    caps: Vec<Cap>,
    receipt: Receipt,
    tariff: Tariff,
    terms: Terms,
    /// The most tokens that its input has, and its answer.
    input: u64,
    output: u64,
    /// Bytes of content that came.
    content: u64,
    /// The request is on its way.
    gone: bool,
    /// What is held for it stays when this is dropped, and with it the process.
    outlives: bool,
    over: bool,
}

impl Sent {
    /// One that no ledger keeps.
    pub fn new(link: &Link, tariff: Tariff, input: u64, output: u64) -> Self {
        let receipt = Receipt {
            provider: link.origin.provider.clone(),
            model: link.id.clone(),
            account: link.origin.account.clone(),
            ..Receipt::default()
        };
        Self {
            desk: None,
            id: None,
            scopes: Vec::new(),
            caps: Vec::new(),
            receipt,
            tariff,
            terms: link.terms.clone(),
            input,
            output,
            content: 0,
            gone: false,
            outlives: false,
            over: false,
        }
    }

    /// From here on the provider may charge for it.
    pub fn goes(&mut self) {
        self.gone = true;
    }

    /// Something of the reply.
    pub fn heard(&mut self, event: &StreamEvent) {
        match event {
            StreamEvent::Usage { usage } => self.receipt.usage.replace_with(usage),
            StreamEvent::Delta { delta: Delta::Text { text } | Delta::Thinking { text } | Delta::Args { text }, .. } => {
                self.content = self.content.saturating_add(text.len() as u64);
            }
            _ => {}
        }
    }

    pub fn used(&mut self, usage: &Usage) {
        self.receipt.usage.replace_with(usage);
    }

    /// The number under which it is held.
    pub fn held(&self) -> Option<i64> {
        self.id
    }

    /// It never went: what was held for it is free.
    pub async fn release(mut self) {
        self.over = true;
        if let (Some(desk), Some(id)) = (&self.desk, self.id) {
            desk.ask(move |store| release(store, id)).await;
        }
    }

    /// What the provider said of its use.
    pub fn usage(&self) -> &Usage {
        &self.receipt.usage
    }

    /// Tokens that count against limits.
    pub fn tokens(&self) -> u64 {
        let (input, output) = (self.receipt.usage.all_input(), self.receipt.usage.output);
        input.unwrap_or(0).saturating_add(output.unwrap_or(0))
    }

    /// The whole answer came.
    pub async fn answered(mut self) -> Settled {
        self.settle("ok", true).await
    }

    /// It failed.
    pub async fn failed(mut self, error: &ProviderError, began: bool) -> Settled {
        // A status that refuses is not charged; neither is what never left.
        let free = error.unsent || (error.status.is_some() && !began);
        self.settle(error.class.as_str(), !free).await
    }

    /// What it cost, and whether that is only the most that it can have.
    fn bill(&self) -> (Option<Nanos>, bool) {
        let usage = &self.receipt.usage;
        let told = usage.all_input().is_some() && (usage.output.is_some() || self.output == 0) && self.receipt.outcome == "ok";
        match self.tariff {
            Tariff::Paid => (Some(Nanos::ZERO), !told),
            Tariff::Unknown => (None, !told),
            Tariff::Metered(rates) => {
                let exact = self.terms.cost_usd(usage).and_then(Nanos::at_least);
                if let Some(exact) = exact.filter(|_| told) {
                    return (Some(exact), false);
                }
                let input = usage.all_input().unwrap_or(self.input);
                let output = usage.output.unwrap_or(0).max(self.content).min(self.output.max(usage.output.unwrap_or(0)));
                (Some(times(rates.input, input).plus(times(rates.output, output))), true)
            }
        }
    }

    /// Closes the receipt; the job that writes it.
    fn close(&mut self, outcome: &str, charged: bool) -> impl FnOnce(&Store) -> Vec<Notice> + Send + 'static {
        self.over = true;
        outcome.clone_into(&mut self.receipt.outcome);
        (self.receipt.cost, self.receipt.estimated) = if charged { self.bill() } else { (Some(Nanos::ZERO), false) };
        let (id, scopes, caps, receipt) = (self.id, self.scopes.clone(), self.caps.clone(), self.receipt.clone());
        move |store| {
            let unusual = store.unusual(&receipt).unwrap_or_default();
            let spent = match store.settle(id, &scopes, &receipt, &caps) {
                Ok(spent) => spent,
                Err(e) => {
                    tracing::warn!(%e, "a receipt could not be written yet");
                    let what =
                        format!("what the last call cost could not be written into the ledger ({e}); it is written as soon as that can be");
                    return if store.owing() == 1 { vec![Notice::State(what)] } else { Vec::new() };
                }
            };
            let cost = receipt.cost.unwrap_or_default();
            let crossed = caps.iter().zip(spent).filter_map(|(cap, spent)| alert(cap, spent.minus(cost), spent));
            crossed.chain(unusual.map(|Unusual { what, cost, usual }| Notice::Unusual { what, cost, usual })).collect()
        }
    }

    async fn settle(&mut self, outcome: &str, charged: bool) -> Settled {
        let job = self.close(outcome, charged);
        let notices = match &self.desk {
            Some(desk) => desk.ask(job).await.unwrap_or_default(),
            None => Vec::new(),
        };
        Settled { cost_usd: self.receipt.cost.map(Nanos::dollars), estimated: self.receipt.estimated, notices }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let Some(desk) = self.desk.clone().filter(|_| !self.outlives) else { return };
        if self.gone {
            let job = self.close("cancelled", true);
            desk.send(move |store| {
                job(store);
            });
        } else if let Some(id) = self.id {
            desk.send(move |store| release(store, id));
        }
    }
}

fn release(store: &Store, id: i64) {
    store.release(id).unwrap_or_else(|e| tracing::debug!(%e, "a reservation stays until its owner is gone"));
}

/// The highest share of a cap that this call has reached.
fn alert(cap: &Cap, before: Nanos, after: Nanos) -> Option<Notice> {
    let reached = |spent: Nanos| ALERTS.into_iter().rev().find(|p| i128::from(spent.0) * 100 >= i128::from(cap.limit.0) * i128::from(*p));
    let percent = reached(after).filter(|p| cap.limit > Nanos::ZERO && reached(before).is_none_or(|b| b < *p))?;
    Some(Notice::Budget { cap: cap.name.clone(), percent, spent: after, limit: cap.limit })
}

impl Refused {
    /// The refusal in the plan's words, for its report.
    pub fn error(self, model: &str) -> ProviderError {
        match self {
            Self::Over(over) => ProviderError::over_budget(budget::over(&over, model).message),
            Self::Other(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_share_of_a_cap_is_told_once_and_the_highest_of_several() {
        let cap = Cap { scope: "day:x".into(), name: "a day".into(), limit: Nanos(1000) };
        let percent = |before, after| match alert(&cap, Nanos(before), Nanos(after)) {
            Some(Notice::Budget { percent, .. }) => Some(percent),
            _ => None,
        };
        let rows = [(0, 499, None), (0, 500, Some(50)), (500, 799, None), (400, 960, Some(95)), (960, 999, None), (999, 1000, Some(100))];
        for (before, after, told) in rows {
            assert_eq!(percent(before, after), told, "{before} {after}");
        }
        let none = Cap { limit: Nanos(0), ..cap.clone() };
        assert_eq!(alert(&none, Nanos(0), Nanos(0)), None);
    }
}
