//! An attempt as journals and scripts have it.

use super::link::Link;
use super::purse::Settled;
use crate::base::clock::{self, Moment};
use crate::model::{Class, ProviderError};
use crate::session::{Attempt, Outcome};

/// The record of an attempt over this link from one moment to another, and what it cost; `failure`: why it was no answer.
pub(super) fn of(link: &Link, failure: Option<&ProviderError>, (began, ended): (Moment, Moment), settled: &Settled) -> Attempt {
    if let Some(error) = failure.filter(|e| matches!(e.class, Class::RateLimit | Class::Quota)) {
        tracing::info!(event = "rate_limit", link = link.id, class = error.class.as_str(), retry_after_s = error.retry_after_s);
    }
    Attempt {
        model: link.id.clone(),
        provider: link.provider.id().to_owned(),
        account: link.origin.account.clone(),
        outcome: failure.map_or(Outcome::Ok, |e| Outcome::Failed(e.class)),
        status: failure.and_then(|e| e.status),
        scope: failure.map(|e| e.scope),
        latency_ms: clock::millis(ended.since(began)),
        retry_after_s: failure.and_then(|e| e.retry_after_s),
        cost_usd: settled.cost_usd,
        estimated: settled.estimated,
    }
}
