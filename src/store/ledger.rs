//! The ledger: what was spent, and what calls under way may still cost. A call is let through only if its upper bound fits
//! under every cap, counting what every other process has reserved; so no set of processes can go over one together.

use super::{Owed, Store};
use crate::base::clock;
use crate::base::owner::Process;
use crate::model::Usage;
use crate::model::money::Nanos;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

/// A limit on a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cap {
    /// The scope that it limits, as receipts and reservations name it: `day:2026-11-25`, `session:ID`.
    pub scope: String,
    /// For people: `a day`, `this run (--max-cost)`.
    pub name: String,
    pub limit: Nanos,
}

/// What a call asks to be allowed to cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim<'a> {
    /// Every scope that this call counts to.
    pub scopes: &'a [String],
    /// The most that its input can cost.
    pub input: Nanos,
    /// What a token of output costs.
    pub per_output: Nanos,
    /// Tokens of output that are wanted.
    pub output: u64,
    /// Fewer than this are of no use.
    pub least: u64,
    pub owner: Owner,
}

/// Who holds a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A call of a process: given up when that is dead.
    Process(Process),
    /// Work that goes on at a provider without pup, until this time (milliseconds since 1970).
    Durable { job: String, expires: u64 },
}

/// A call may go. Its reservation is settled or released under this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    pub id: i64,
    /// Tokens of output that fit: at most what was wanted.
    pub output: u64,
    pub amount: Nanos,
}

/// The cap that stands in the way, in figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    pub cap: Cap,
    pub spent: Nanos,
    /// By calls under way, in this process and in others.
    pub reserved: Nanos,
    /// The least that this call may cost.
    pub wanted: Nanos,
}

/// Why a call may not go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    Over(Box<Over>),
    /// The ledger cannot be written, so nothing can be promised.
    Unavailable(String),
    /// It is damaged: another one has to be opened in its place.
    Spoiled(String),
}

/// An attempt that was sent, for the record.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// Milliseconds since 1970.
    pub at: u64,
    pub provider: String,
    pub model: String,
    pub account: Option<String>,
    pub agent: Option<String>,
    pub workload: Option<String>,
    pub session: Option<String>,
    /// `ok` or the class of the error.
    pub outcome: String,
    pub usage: Usage,
    /// None where a price is unknown.
    pub cost: Option<Nanos>,
    /// Nobody said what it used; this is what it may have been.
    pub estimated: bool,
}

/// What stands against a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub spent: Nanos,
    pub reserved: Nanos,
}

impl Store {
    /// Reserves the most that a call can cost, with as much output as fits under every cap.
    pub fn reserve(&self, claim: &Claim<'_>, caps: &[Cap]) -> Result<Granted, Refusal> {
        let reserved = self.change(|change| {
            if !caps.is_empty() {
                release_dead(change)?;
            }
            fit(change, claim, caps)
        });
        match reserved {
            Ok(granted) => granted.map_err(|over| Refusal::Over(Box::new(over))),
            Err(e) if self.is_spoiled() => Err(Refusal::Spoiled(e.to_string())),
            Err(e) => Err(Refusal::Unavailable(e.to_string())),
        }
    }

    /// The call is over: its reservation goes, what it cost comes in its place.
    /// Returns what is spent under each of these caps then. What cannot be written now is written later.
    pub fn settle(&self, id: Option<i64>, scopes: &[String], receipt: &Receipt, caps: &[Cap]) -> rusqlite::Result<Vec<Nanos>> {
        let one = Owed::new(id, scopes, receipt);
        let settled = self.change(|change| {
            one.pay(change)?;
            caps.iter().map(|cap| totals(change, &cap.scope).map(|t| t.spent)).collect()
        });
        settled.inspect_err(|_| self.owe(one))
    }

    /// The call was never sent.
    pub fn release(&self, id: i64) -> rusqlite::Result<()> {
        self.change(|change| release(change, id))
    }

    /// What was spent and reserved in a scope.
    pub fn totals(&self, scope: &str) -> rusqlite::Result<Totals> {
        self.read(|connection| totals(connection, scope))
    }
}

/// Reserves what fits under all caps.
fn fit(change: &Transaction<'_>, claim: &Claim<'_>, caps: &[Cap]) -> rusqlite::Result<Result<Granted, Over>> {
    let mut output = claim.output;
    for cap in caps {
        let Totals { spent, reserved } = totals(change, &cap.scope)?;
        let left = cap.limit.minus(spent).minus(reserved).minus(claim.input);
        let fits = if claim.per_output.0 > 0 { u64::try_from(left.0 / claim.per_output.0).unwrap_or(0) } else { claim.output };
        let least = claim.least.min(claim.output);
        if left < Nanos::ZERO || fits < least {
            return Ok(Err(Over { cap: cap.clone(), spent, reserved, wanted: cost(claim, least) }));
        }
        output = output.min(fits);
    }
    let amount = cost(claim, output);
    let id = insert(change, claim, amount)?;
    Ok(Ok(Granted { id, output, amount }))
}

/// The most that a call of this many tokens of output can cost.
fn cost(claim: &Claim<'_>, output: u64) -> Nanos {
    let tokens = i64::try_from(output).unwrap_or(i64::MAX);
    claim.input.plus(Nanos(claim.per_output.0.saturating_mul(tokens)))
}

fn totals(connection: &Connection, scope: &str) -> rusqlite::Result<Totals> {
    let spent = connection.prepare_cached("SELECT spent FROM totals WHERE scope = ?1")?.query_row([scope], |r| r.get(0)).optional()?;
    let reserved = connection
        .prepare_cached("SELECT COALESCE(SUM(amount), 0) FROM reserved JOIN reservations ON id = reservation WHERE scope = ?1")?
        .query_row([scope], |r| r.get(0))?;
    Ok(Totals { spent: Nanos(spent.unwrap_or(0)), reserved: Nanos(reserved) })
}

fn insert(change: &Transaction<'_>, claim: &Claim<'_>, amount: Nanos) -> rusqlite::Result<i64> {
    let (pid, start, job, expires) = match &claim.owner {
        Owner::Process(process) => (Some(process.pid), process.start.and_then(|s| i64::try_from(s).ok()), None, None),
        Owner::Durable { job, expires } => (None, None, Some(job), i64::try_from(*expires).ok()),
    };
    change
        .prepare_cached("INSERT INTO reservations (amount, pid, start, job, expires) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![amount.0, pid, start, job, expires])?;
    let id = change.last_insert_rowid();
    let mut scoped = change.prepare_cached("INSERT OR IGNORE INTO reserved (scope, reservation) VALUES (?1, ?2)")?;
    for scope in claim.scopes {
        scoped.execute(params![scope, id])?;
    }
    Ok(id)
}

pub(super) fn release(change: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
    change.prepare_cached("DELETE FROM reserved WHERE reservation = ?1")?.execute([id])?;
    change.prepare_cached("DELETE FROM reservations WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Gives up what dead processes and expired jobs hold.
fn release_dead(change: &Transaction<'_>) -> rusqlite::Result<()> {
    let me = Process::current();
    let mut all = change.prepare_cached("SELECT id, pid, start, expires FROM reservations WHERE pid IS NOT ?1 OR start IS NOT ?2")?;
    let rows = all.query_map(params![me.pid, me.start.and_then(|s| i64::try_from(s).ok())], |r| {
        Ok((r.get::<_, i64>(0)?, r.get::<_, Option<u32>>(1)?, r.get::<_, Option<i64>>(2)?, r.get::<_, Option<i64>>(3)?))
    })?;
    let now = i64::try_from(clock::unix_ms()).unwrap_or(i64::MAX);
    let mut dead = Vec::new();
    for row in rows {
        let (id, pid, start, expires) = row?;
        let owner = pid.map(|pid| Process { pid, start: start.and_then(|s| u64::try_from(s).ok()) });
        if owner.is_some_and(|o| !o.is_alive()) || expires.is_some_and(|e| e <= now) {
            dead.push(id);
        }
    }
    dead.into_iter().try_for_each(|id| release(change, id))
}

pub(super) fn record(change: &Transaction<'_>, scopes: &[String], receipt: &Receipt) -> rusqlite::Result<()> {
    let n = |v: Option<u64>| v.and_then(|v| i64::try_from(v).ok());
    let u = &receipt.usage;
    let written = match (u.cache_write, u.cache_write_1h) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    };
    change
        .prepare_cached(
            "INSERT INTO receipts (at, provider, model, account, agent, workload, session, outcome, input, cache_read, cache_write, output, \
             reasoning, cost, estimated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            n(Some(receipt.at)),
            receipt.provider,
            receipt.model,
            receipt.account,
            receipt.agent,
            receipt.workload,
            receipt.session,
            receipt.outcome,
            n(u.input),
            n(u.cache_read),
            n(written),
            n(u.output),
            n(u.reasoning),
            receipt.cost.map(|c| c.0),
            receipt.estimated,
        ])?;
    if let Some(Nanos(cost @ 1..)) = receipt.cost {
        let mut add = change.prepare_cached(
            "INSERT INTO totals (scope, spent) VALUES (?1, ?2) ON CONFLICT (scope) DO UPDATE SET spent = spent + excluded.spent",
        )?;
        for scope in scopes {
            add.execute(params![scope, cost])?;
        }
    }
    Ok(())
}
