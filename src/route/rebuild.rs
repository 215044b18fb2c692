//! The ledger made again from the journals, where its database was damaged: each attempt stands in its session's journal
//! with what it cost.

use super::budget::{Caps, Spender};
use crate::base::clock;
use crate::base::places::Places;
use crate::model::money::Nanos;
use crate::session::{self, Attempt, Entry, Loaded};
use crate::store::{Receipt, Store};
use std::time::Duration;

/// No cap that outlives a session is for longer.
const MONTH: Duration = Duration::from_hours(24 * 31);

/// Writes what the sessions of the last month cost into a store that lost it.
pub fn from_journals(store: &Store, places: &Places) {
    let since = clock::unix_ms().saturating_sub(clock::millis(MONTH));
    let sessions =
        session::recent(places, since).inspect_err(|e| tracing::warn!(failure = e.message, "no journals to read")).unwrap_or_default();
    let all: Vec<_> = sessions.iter().flat_map(|(id, loaded)| receipts(id, loaded)).collect();
    match store.fill(&all) {
        Ok(written) => tracing::info!(written, "the ledger was made again from the journals"),
        Err(e) => tracing::warn!(%e, "the ledger could not be made again; the next start tries it once more"),
    }
}

/// The receipts of a journal with the scopes that they count to. A run's own cap ended with the run.
fn receipts(id: &str, loaded: &Loaded) -> Vec<(Vec<String>, Receipt)> {
    let mut all: Vec<(Vec<String>, Receipt)> = Vec::new();
    let mut agent = None;
    for line in &loaded.entries {
        match &line.entry {
            Entry::Session(session) => agent = Some(session.agent.clone()),
            Entry::Attempt(Attempt { model, provider, account, outcome, cost_usd, estimated, .. }) => {
                let at = clock::from_rfc3339(&line.ts).unwrap_or(0);
                let spender = Spender { session: Some(id), run: "", provider };
                let scopes = Caps::scopes(&spender, at).into_iter().filter(|s| !s.starts_with("run:")).collect();
                let receipt = Receipt {
                    at,
                    provider: provider.clone(),
                    model: model.clone(),
                    account: account.clone(),
                    agent: agent.clone(),
                    session: Some(id.to_owned()),
                    outcome: outcome.as_str().to_owned(),
                    cost: cost_usd.and_then(Nanos::at_least),
                    estimated: *estimated,
                    ..Receipt::default()
                };
                all.push((scopes, receipt));
            }
            // What the last answer used.
            Entry::Usage(used) => {
                if let Some((_, receipt)) = all.last_mut().filter(|(_, r)| r.model == used.model) {
                    receipt.usage = used.usage;
                }
            }
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::redact::Redactor;
    use crate::model::Usage;
    use crate::session::{Journal, Outcome, Session, UsageEntry};
    use crate::store::By;

    #[test]
    fn what_journals_say_stands_in_the_ledger_again() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::under(home.path());
        let session = Session { id: "s1".into(), agent: "coder".into(), ..Session::default() };
        let mut journal = Journal::create(&places, session, Redactor::default()).unwrap();
        let attempt = |outcome, cost_usd| Attempt {
            model: "m".into(),
            provider: "p".into(),
            account: None,
            outcome,
            status: None,
            scope: None,
            latency_ms: 1,
            retry_after_s: None,
            cost_usd,
            estimated: false,
        };
        journal.append(&Entry::Attempt(attempt(Outcome::Failed(crate::model::Class::Server), Some(0.25)))).unwrap();
        journal.append(&Entry::Attempt(attempt(Outcome::Ok, Some(0.5)))).unwrap();
        let usage = Usage { input: Some(100), output: Some(7), ..Usage::default() };
        journal
            .append(&Entry::Usage(UsageEntry { model: "m".into(), provider: "p".into(), usage, cost_usd: Some(0.5), paused: false }))
            .unwrap();
        drop(journal);

        std::fs::write(places.state.join("state.db"), "no database at all, and longer than a header; ".repeat(40)).unwrap();
        let store = Store::open(&places).unwrap();
        from_journals(&store, &places);
        let day = clock::rfc3339(clock::unix_ms())[..10].to_owned();
        for scope in [format!("day:{day}"), "session:s1".into(), format!("provider:p:day:{day}")] {
            assert_eq!(store.totals(&scope).unwrap().spent, Nanos(750_000_000), "{scope}");
        }
        let [row] = store.costs(By::Agent, 0).unwrap().try_into().unwrap();
        assert_eq!((row.name.as_str(), row.calls, row.failed, row.input), ("coder", 2, 1, 100));
    }
}
