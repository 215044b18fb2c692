//! The failover decision: from an attempt's failure to the next thing to do, for chains of N links; the choice among many
//! links of which much is known; and what recording an attempt takes.

#![allow(clippy::unwrap_used, reason = "a bench that cannot begin has nothing to say")]

use code_pup::base::clock::Moment;
use code_pup::base::owner::Process;
use code_pup::base::places::Places;
use code_pup::model::money::Nanos;
use code_pup::model::{Class, ProviderError, Scope};
use code_pup::route::limiter::Limits;
use code_pup::route::plan::Step;
use code_pup::route::{Health, Identity, Plan, Quota, Rules};
use code_pup::store::{Cap, Claim, Owner, Receipt, Store};
use code_pup::wire::limits::{Kind, Limits as Said, Window};
use divan::{Bencher, black_box};
use std::time::Duration;

fn main() {
    divan::main();
}

const LINKS: [usize; 3] = [1, 3, 20];

/// A plan whose first attempt is under way, and what earlier calls left cooling: nothing.
fn begun(links: usize) -> (Plan, Health) {
    let link = |n: usize| {
        let provider = format!("provider-{n}");
        let who = Identity { provider: provider.clone(), account: None, upstream: "model".to_owned() };
        (format!("{provider}/model"), who)
    };
    let cooldowns = Health::default();
    let mut plan = Plan::new(Rules::default(), (0..links).map(link), &cooldowns, Moment(0));
    plan.next(Moment(0));
    (plan, cooldowns)
}

/// One refusal, one decision.
#[divan::bench(args = LINKS)]
fn decide(bencher: Bencher<'_, '_>, links: usize) {
    let refused = ProviderError::new(Class::RateLimit, Scope::Model, "slow down").with_status(429);
    bencher.with_inputs(|| begun(links)).bench_local_refs(|(plan, cooldowns)| {
        plan.failed(black_box(&refused), cooldowns, Moment(1), 0.5);
        plan.next(Moment(1))
    });
}

/// No link can help: all decisions of a call up to its report.
#[divan::bench(args = LINKS)]
fn exhaust(bencher: Bencher<'_, '_>, links: usize) {
    let hopeless = ProviderError::new(Class::NotFound, Scope::Model, "no such model").with_status(404);
    bencher.with_inputs(|| begun(links)).bench_local_refs(|(plan, cooldowns)| {
        let mut now = Moment(1);
        loop {
            plan.failed(black_box(&hopeless), cooldowns, now, 0.5);
            now = now.plus(Duration::from_millis(1));
            if let Step::GiveUp(report) = plan.next(now) {
                return report;
            }
        }
    });
}

/// Two hundred models of forty accounts, of each of which something is known: cooldowns, breakers, allowances, used tokens.
fn full() -> (Vec<(String, Identity)>, Health) {
    let who = |n: usize| Identity {
        provider: format!("provider-{}", n % 20),
        account: Some(format!("key-{}", n % 2)),
        upstream: format!("model-{n}"),
    };
    let links: Vec<(String, Identity)> = (0..200).map(|n| (format!("id-{n}"), who(n))).collect();
    let mut health = Health::default();
    for (n, (name, who)) in links.iter().enumerate() {
        let quota = Quota { name: "q".into(), limits: Limits { rpm: Some(60), tpm: Some(100_000), tpd: Some(1_000_000) } };
        let booked = health.trying(who, &[quota], 1_000, Moment(0));
        health.used(&booked, 900);
        let left = |name: &str, kind| Window {
            name: name.into(),
            kind,
            limit: Some(1_000),
            remaining: Some(500),
            reset_s: Some(60.0),
            ..Window::default()
        };
        let said = Said { windows: vec![left("requests", Kind::Requests), left("tokens", Kind::Tokens)], ..Said::default() };
        health.reported(who, &said, Moment(0));
        if n < 150 {
            let mut plan = Plan::new(Rules::default(), [(name.clone(), who.clone())], &health, Moment(0));
            plan.next(Moment(0));
            let mut error = ProviderError::new(Class::RateLimit, Scope::Model, "slow down");
            error.retry_after_s = Some(60.0);
            plan.failed(&error, &mut health, Moment(0), 0.5);
        }
    }
    (links, health)
}

/// The look at all links before an attempt, and the choice, after something was found out of one provider.
#[divan::bench]
fn choose_among_200(bencher: Bencher<'_, '_>) {
    let (links, health) = full();
    let who = links.iter().map(|(_, who)| who.clone()).nth(7).unwrap();
    let plan = Plan::new(Rules::default(), links, &health, Moment(1));
    let changed = || {
        let mut health = health.clone();
        health.trying(&who, &[], 0, Moment(70_000));
        (plan.clone(), health)
    };
    bencher.with_inputs(changed).bench_local_refs(|(plan, health)| {
        plan.look(black_box(health), Moment(2));
        plan.next(Moment(2))
    });
}

/// The same where all of it is new to the call: its first look.
#[divan::bench]
fn look_at_200(bencher: Bencher<'_, '_>) {
    let (links, health) = full();
    bencher.with_inputs(|| links.clone()).bench_local_values(|links| Plan::new(Rules::default(), links, black_box(&health), Moment(1)));
}

/// An attempt's reservation and receipt in a ledger on the disk.
#[divan::bench]
fn record(bencher: Bencher<'_, '_>) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(&Places::under(home.path())).unwrap();
    let scopes: Vec<String> = ["day:x", "month:x", "provider:p:day:x", "run:r", "session:s"].map(str::to_owned).into();
    let caps = [Cap { scope: "day:x".into(), name: "a day".into(), limit: Nanos(i64::MAX / 4) }];
    let owner = Owner::Process(Process::current());
    let claim = Claim { scopes: &scopes, input: Nanos(100), per_output: Nanos(1), output: 2_000, least: 1_024, owner };
    let receipt = Receipt { provider: "p".into(), model: "m".into(), outcome: "ok".into(), cost: Some(Nanos(90)), ..Receipt::default() };
    bencher.bench_local(|| {
        let granted = store.reserve(&claim, &caps).unwrap();
        store.settle(Some(granted.id), &scopes, &receipt, &caps).unwrap()
    });
}
