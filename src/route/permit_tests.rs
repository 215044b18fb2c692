//! What is held for work outside of the door: settled, given back, free with its process, kept for a job.

use super::*;
use crate::base::owner::Process;
use crate::catalog::{Billing, Price};
use crate::model::money::Nanos;
use crate::provider::{Provider, Scripted};
use crate::route::budget::Caps;
use crate::route::{Caller, Purse, Rotation, Rules, Terms};
use crate::store::{Claim, Desk, Store, Totals};
use std::sync::Arc;
use std::time::Duration;

/// A router over one model at a thousand nano-dollars a token, with 5,000,000 of them to spend.
fn router(store: &Arc<Store>) -> Router {
    let price = Price { input: Some(1.0), output: Some(1.0), ..Price::default() };
    let terms = Terms { billing: Billing::Metered, price: Some(price), ..Terms::default() };
    let provider = Provider::Scripted(Scripted::new("p", Vec::new(), Vec::new(), Duration::ZERO));
    let purse = Purse::new(Arc::new(Desk::here(Arc::clone(store))), Caps { run: Some(Nanos(5_000_000)), ..Caps::default() }, None);
    purse.set_caller(Caller { run: "r".into(), ..Caller::default() });
    Router::new(vec![Link::new("m".into(), "m".into(), provider, None).under(terms)], Rules::default(), Rotation::default())
        .paying(Some(purse))
}

fn hold(input: u64, output: u64) -> Hold<'static> {
    Hold { model: "m", input, output, job: None }
}

fn totals(store: &Store) -> (i64, i64) {
    let Totals { spent, reserved } = store.totals("run:r").unwrap();
    (spent.0, reserved.0)
}

#[tokio::test]
async fn what_is_held_is_settled_given_back_or_refused() {
    let store = Arc::new(Store::in_memory(None).unwrap());
    let router = router(&store);
    let first = router.reserve(&hold(1_000, 2_000)).await.unwrap();
    assert_eq!((first.output(), totals(&store)), (2_000, (0, 3_000_000)));
    let refused = router.reserve(&hold(3_000, 2_000)).await.unwrap_err();
    assert!(refused.is_budget() && refused.message.contains("reserved by calls under way"), "{refused}");
    let fits = router.reserve(&hold(500, 9_000)).await.unwrap();
    assert_eq!(fits.output(), 1_500, "as long an answer as there is room for");
    fits.release().await;
    assert_eq!(totals(&store), (0, 3_000_000));
    let settled = first.settle(&Usage { input: Some(900), output: Some(100), ..Usage::default() }).await;
    assert_eq!((settled.cost_usd, settled.estimated, totals(&store)), (Some(0.001), false, (1_000_000, 0)));
    drop(router.reserve(&hold(1_000, 2_000)).await.unwrap());
    assert_eq!(totals(&store), (1_000_000, 0), "dropped, it is free again");
    assert!(router.reserve(&Hold { model: "other", ..hold(1, 1) }).await.is_err());
}

#[tokio::test]
async fn a_job_s_money_outlives_the_process_and_a_dead_process_s_does_not() {
    let store = Arc::new(Store::in_memory(None).unwrap());
    let first = router(&store);
    let job = Hold { job: Some(("batch-1", u64::MAX / 4)), ..hold(1_000, 1_000) };
    let permit = first.reserve(&job).await.unwrap();
    let id = permit.id().unwrap();
    drop((permit, first));
    assert_eq!(totals(&store), (0, 2_000_000), "it is kept");

    let scopes = ["run:r".to_owned()];
    let owner = crate::store::Owner::Process(Process { start: Some(1), ..Process::current() });
    let dead = Claim { scopes: &scopes, input: Nanos(3_000_000), per_output: Nanos(0), output: 0, least: 0, owner };
    store.reserve(&dead, &[]).unwrap();
    assert_eq!(totals(&store), (0, 5_000_000));
    let second = router(&store);
    let own = second.reserve(&hold(1_000, 2_000)).await.unwrap();
    assert_eq!(totals(&store), (0, 5_000_000), "what the dead one held is free");
    own.release().await;
    // The next process, days later, has the job's result.
    let taken = second.take_up(id, &job).unwrap();
    taken.settle(&Usage { input: Some(10), output: Some(10), ..Usage::default() }).await;
    assert_eq!(totals(&store), (20_000, 0));

    let expired = Hold { job: Some(("batch-2", 1)), ..hold(1_000, 1_000) };
    drop(second.reserve(&expired).await.unwrap());
    assert_eq!(totals(&store).1, 2_000_000);
    second.reserve(&hold(1, 0)).await.unwrap().release().await;
    assert_eq!(totals(&store).1, 0, "its time is over");
}
