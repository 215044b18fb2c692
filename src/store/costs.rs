//! What was used and spent, summed by model, provider, agent, session or day.

use super::Store;
use crate::model::money::Nanos;
use crate::store::Receipt;
use rusqlite::params;

/// What the sums are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Model,
    Provider,
    Agent,
    Session,
    Day,
    Workload,
}

impl By {
    /// Every cut, by its name on the command line.
    pub const ALL: [(&'static str, Self); 6] = [
        ("model", Self::Model),
        ("provider", Self::Provider),
        ("agent", Self::Agent),
        ("session", Self::Session),
        ("day", Self::Day),
        ("workload", Self::Workload),
    ];

    /// The expression that names a row. Days are UTC's.
    const fn column(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Agent => "COALESCE(agent, '')",
            Self::Session => "COALESCE(session, '')",
            Self::Day => "strftime('%Y-%m-%d', at / 1000, 'unixepoch')",
            Self::Workload => "COALESCE(workload, '')",
        }
    }
}

/// A row of sums. Tokens are of disjoint classes; calls that did not tell count nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Spent {
    /// The model, provider, ... that it is for; empty where that was not recorded.
    pub name: String,
    /// Attempts that were sent.
    pub calls: u64,
    pub failed: u64,
    pub input: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub output: u64,
    pub reasoning: u64,
    /// Of the calls whose price is known.
    #[serde(serialize_with = "dollars", rename = "cost_usd")]
    pub cost: Nanos,
    /// The part of `cost` that failed attempts cost.
    #[serde(serialize_with = "dollars", rename = "failed_cost_usd")]
    pub failed_cost: Nanos,
    /// Answered calls whose price is unknown.
    pub unpriced: u64,
    /// Calls whose use is an estimate.
    pub estimated: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn dollars<S: serde::Serializer>(amount: &Nanos, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(amount.dollars())
}

impl Spent {
    /// The share of the input that came from a prompt cache, 0 to 1; none without input.
    pub fn cached_share(&self) -> Option<f64> {
        let all = self.input + self.cache_read + self.cache_write;
        (all > 0).then(|| self.cache_read as f64 / all as f64)
    }
}

impl Store {
    /// The sums of all receipts since then (milliseconds since 1970), dearest first; days in order.
    pub fn costs(&self, by: By, since: u64) -> rusqlite::Result<Vec<Spent>> {
        self.sums(by, "1", "", since)
    }

    /// The same, of the receipts in one row of another cut.
    pub fn costs_within(&self, by: By, (of, name): (By, &str), since: u64) -> rusqlite::Result<Vec<Spent>> {
        self.sums(by, &format!("{} = ?2", of.column()), name, since)
    }

    fn sums(&self, by: By, only: &str, name: &str, since: u64) -> rusqlite::Result<Vec<Spent>> {
        let order = if by == By::Day { "1 DESC" } else { "9 DESC, 2 DESC, 1" };
        let query = format!(
            "SELECT {}, COUNT(*), SUM(outcome <> 'ok'), SUM(COALESCE(input, 0)), SUM(COALESCE(cache_read, 0)), SUM(COALESCE(cache_write, 0)), \
             SUM(COALESCE(output, 0)), SUM(COALESCE(reasoning, 0)), SUM(COALESCE(cost, 0)), SUM(CASE WHEN outcome <> 'ok' THEN COALESCE(cost, 0) ELSE 0 END), \
             SUM(cost IS NULL AND outcome = 'ok'), SUM(estimated) FROM receipts WHERE at >= ?1 AND {only} AND ?2 = ?2 GROUP BY 1 ORDER BY {order}",
            by.column()
        );
        self.read(|connection| {
            let mut rows = connection.prepare(&query)?;
            let found = rows.query_map(params![i64::try_from(since).unwrap_or(i64::MAX), name], |r| {
                let n = |ix: usize| r.get::<_, i64>(ix).map(|n| u64::try_from(n).unwrap_or(0));
                Ok(Spent {
                    name: r.get(0)?,
                    calls: n(1)?,
                    failed: n(2)?,
                    input: n(3)?,
                    cache_read: n(4)?,
                    cache_write: n(5)?,
                    output: n(6)?,
                    reasoning: n(7)?,
                    cost: Nanos(r.get(8)?),
                    failed_cost: Nanos(r.get(9)?),
                    unpriced: n(10)?,
                    estimated: n(11)?,
                })
            })?;
            found.collect()
        })
    }
}

/// A cost far above what is usual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusual {
    /// For people: `a call to m`, `the last hour`.
    pub what: String,
    pub cost: Nanos,
    pub usual: Nanos,
}

/// Less than this is not worth a look at the history.
const NOTABLE: Nanos = Nanos(50_000_000);
const HOUR: u64 = 60 * 60 * 1000;
/// How far back the history goes that is compared with.
const HISTORY: u64 = 7 * 24 * HOUR;

impl Store {
    /// How many calls and tokens an account used since then (milliseconds since 1970).
    pub fn rate(&self, provider: &str, account: Option<&str>, since: u64) -> rusqlite::Result<(u64, u64)> {
        self.read(|connection| {
        let mut sums = connection.prepare_cached(
            "SELECT COUNT(*), COALESCE(SUM(COALESCE(input, 0) + COALESCE(cache_read, 0) + COALESCE(cache_write, 0) + COALESCE(output, 0)), 0) \
             FROM receipts WHERE at >= ?1 AND provider = ?2 AND account IS ?3",
        )?;
        sums.query_row(params![i64::try_from(since).unwrap_or(i64::MAX), provider, account], |r| {
            let n = |ix| r.get::<_, i64>(ix).map(|n| u64::try_from(n).unwrap_or(0));
            Ok((n(0)?, n(1)?))
        })
        })
    }

    /// Whether this call, which is not recorded yet, costs ten times what calls to its model do, or makes the last hour cost
    /// five times what hours with work do and more than a dollar. Either needs a history to be compared with.
    pub fn unusual(&self, receipt: &Receipt) -> rusqlite::Result<Option<Unusual>> {
        let Some(cost) = receipt.cost.filter(|c| *c >= NOTABLE) else { return Ok(None) };
        let signed = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
        let (since, hour) = (signed(receipt.at.saturating_sub(HISTORY)), signed(receipt.at.saturating_sub(HOUR)));
        self.read(|connection| {
            let (calls, sum): (i64, i64) = connection
                .prepare_cached(
                    "SELECT COUNT(cost), COALESCE(SUM(cost), 0) FROM receipts WHERE at >= ?1 AND model = ?2 AND outcome = 'ok'",
                )?
                .query_row(params![since, receipt.model], |r| Ok((r.get(0)?, r.get(1)?)))?;
            let usual = Nanos(sum / calls.max(1));
            if calls >= 20 && cost.0 / 10 > usual.0 {
                return Ok(Some(Unusual { what: format!("a call to {}", receipt.model), cost, usual }));
            }
            let (hours, before): (i64, i64) = connection
                .prepare_cached("SELECT COUNT(DISTINCT at / 3600000), COALESCE(SUM(cost), 0) FROM receipts WHERE at >= ?1 AND at < ?2")?
                .query_row(params![since, hour], |r| Ok((r.get(0)?, r.get(1)?)))?;
            let last: i64 =
                connection.prepare_cached("SELECT COALESCE(SUM(cost), 0) FROM receipts WHERE at >= ?1")?.query_row([hour], |r| r.get(0))?;
            let (usual, last) = (Nanos(before / hours.max(1)), Nanos(last));
            let much = Nanos(usual.0.saturating_mul(5).max(1_000_000_000));
            let news = hours >= 10 && last <= much && last.plus(cost) > much;
            Ok(news.then(|| Unusual { what: "the last hour".to_owned(), cost: last.plus(cost), usual }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Usage;
    use crate::store::Store;

    #[test]
    fn the_sums_of_each_cut_are_those_of_the_receipts() {
        let store = Store::in_memory(None).unwrap();
        let day = 24 * 60 * 60 * 1000;
        for (n, (model, agent, outcome, cost)) in
            [("a", "x", "ok", Some(5)), ("a", "y", "server", Some(2)), ("b", "x", "ok", None), ("b", "x", "ok", Some(90))]
                .into_iter()
                .enumerate()
        {
            let usage = Usage { input: Some(10), cache_read: Some(30), output: Some(7), ..Usage::default() };
            let receipt = Receipt {
                at: day * n as u64,
                provider: "p".into(),
                model: model.into(),
                agent: Some(agent.into()),
                outcome: outcome.into(),
                usage,
                cost: cost.map(Nanos),
                ..Receipt::default()
            };
            store.settle(None, &[], &receipt, &[]).unwrap();
        }
        let rows = |by| store.costs(by, 0).unwrap();
        let shown = |by| rows(by).into_iter().map(|r| (r.name, r.calls, r.failed, r.cost.0, r.unpriced)).collect::<Vec<_>>();
        assert_eq!(shown(By::Model), [("b".to_owned(), 2, 0, 90, 1), ("a".to_owned(), 2, 1, 7, 0)]);
        assert_eq!(shown(By::Agent), [("x".to_owned(), 3, 0, 95, 1), ("y".to_owned(), 1, 1, 2, 0)]);
        assert_eq!(shown(By::Day)[3], ("1970-01-01".to_owned(), 1, 0, 5, 0));
        for by in [By::Provider, By::Session, By::Workload] {
            let [all] = rows(by).try_into().unwrap();
            assert_eq!((all.cost.0, all.failed_cost.0, all.input, all.output), (97, 2, 40, 28), "{by:?}");
            assert_eq!(all.cached_share(), Some(0.75));
        }
        assert_eq!(store.costs(By::Model, day * 3).unwrap().len(), 1);
        let within = store.costs_within(By::Model, (By::Agent, "x"), 0).unwrap();
        assert_eq!(within.iter().map(|r| (r.name.as_str(), r.calls)).collect::<Vec<_>>(), [("b", 2), ("a", 1)]);
    }

    #[test]
    fn what_costs_far_more_than_usual_is_told_where_there_is_a_history() {
        let store = Store::in_memory(None).unwrap();
        let receipt = |at, cost| Receipt { at, model: "m".into(), outcome: "ok".into(), cost: Some(Nanos(cost)), ..Receipt::default() };
        let cent = 10_000_000;
        let put = |at, cost| store.settle(None, &[], &receipt(at, cost), &[]).map(|_| ()).unwrap();
        (0..19).for_each(|n| put(n * HOUR, cent));
        assert_eq!(store.unusual(&receipt(20 * HOUR, 50 * cent)).unwrap(), None, "nothing to compare with yet");
        put(19 * HOUR, cent);
        let told = store.unusual(&receipt(20 * HOUR, 50 * cent)).unwrap().unwrap();
        assert_eq!((told.what.as_str(), told.usual), ("a call to m", Nanos(cent)));
        assert_eq!(store.unusual(&receipt(20 * HOUR, 9 * cent)).unwrap(), None);
        // Many calls of a usual size make an unusual hour, once.
        (0..12).for_each(|n| put(20 * HOUR + n, 8 * cent));
        let told = store.unusual(&receipt(20 * HOUR + 50, 8 * cent)).unwrap().unwrap();
        assert_eq!((told.what.as_str(), told.cost), ("the last hour", Nanos(104 * cent)));
        put(20 * HOUR + 50, 8 * cent);
        assert_eq!(store.unusual(&receipt(20 * HOUR + 60, 8 * cent)).unwrap(), None);
    }
}
