//! The failover decision: from an attempt's failure to the next thing to do, for chains of N links.

use code_pup::base::clock::Moment;
use code_pup::model::{Class, ProviderError, Scope};
use code_pup::route::plan::Step;
use code_pup::route::{Health, Identity, Plan, Rules};
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
