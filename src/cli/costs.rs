//! `pup costs`: what was used and spent, and where it could have been less.

use super::app::App;
use super::print;
use crate::base::{Failure, clock, text};
use crate::catalog::{Catalog, Model, Workload};
use crate::config;
use crate::model::money::Nanos;
use crate::store::{By, Spent, Store};
use serde_json::json;
use std::io::Write;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the sums are made for
    #[arg(long, value_name = "WHAT", default_value = "model", value_parser = ["model", "provider", "agent", "session", "day", "workload"])]
    by: String,
    /// How far back: `24h`, `7d`; `all` for everything
    #[arg(long, value_name = "TIME", default_value = "all")]
    since: String,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values
    #[arg(long)]
    csv: bool,
}

/// A model that costs less than this share of another is worth a word.
const CHEAPER: f64 = 0.5;
/// A model with less than this share of a workload's cost is not.
const MUCH: f64 = 0.3;

pub fn run(args: &Args, app: &App, out: &mut dyn Write) -> Result<(), Failure> {
    let by = By::ALL.iter().find(|(name, _)| *name == args.by).map_or(By::Model, |(_, by)| *by);
    let since = match args.since.as_str() {
        "all" => 0,
        time => {
            let back = config::duration(time).ok_or_else(|| {
                Failure::usage(format!("`--since {time}` is no length of time")).hint("write `--since 24h`, `--since 7d` or `--since all`")
            })?;
            clock::unix_ms().saturating_sub(clock::millis(back))
        }
    };
    let store = app.store()?;
    let failed = |e: rusqlite::Error| Failure::config(format!("the costs cannot be read: {e}"));
    let rows = store.costs(by, since).map_err(failed)?;
    let advice = advice(&store, &app.catalog, since).map_err(failed)?;
    let total: Nanos = rows.iter().map(|r| r.cost).sum();
    if args.json {
        return print::json(
            out,
            &json!({ "by": args.by, "rows": rows, "total_usd": total.dollars(), "recommendations": advice, "note": store.note }),
        );
    }
    if args.csv {
        return csv(&rows, &args.by, out);
    }
    if let Some(note) = &store.note {
        print::line(out, note)?;
    }
    if rows.is_empty() {
        return print::line(out, "nothing was used yet");
    }
    table(&rows, &args.by, total, out)?;
    advice.iter().try_for_each(|line| print::line(out, line))
}

fn table(rows: &[Spent], by: &str, total: Nanos, out: &mut dyn Write) -> Result<(), Failure> {
    let head = [by, "calls", "failed", "tokens in", "cached", "out", "cost"].map(str::to_owned).to_vec();
    let row = |r: &Spent| {
        let cached = r.cached_share().map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0));
        let unknown = if r.unpriced > 0 { format!(" and {} calls of unknown price", r.unpriced) } else { String::new() };
        vec![
            if r.name.is_empty() { "(not recorded)".to_owned() } else { text::one_line(&text::strip_controls(&r.name), 60) },
            r.calls.to_string(),
            if r.failed > 0 { r.failed.to_string() } else { "-".to_owned() },
            (r.input + r.cache_read + r.cache_write).to_string(),
            cached,
            r.output.to_string(),
            format!("{}{unknown}", r.cost),
        ]
    };
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows.iter().map(row)).collect();
    print::table(out, &all)?;
    let wasted: Nanos = rows.iter().map(|r| r.failed_cost).sum();
    let of_failed = if wasted > Nanos::ZERO { format!(", {wasted} of it for attempts that failed") } else { String::new() };
    print::line(out, &format!("{total} in all{of_failed}"))
}

fn csv(rows: &[Spent], by: &str, out: &mut dyn Write) -> Result<(), Failure> {
    print::line(
        out,
        &format!("{by},calls,failed,input,cache_read,cache_write,output,reasoning,cost_usd,failed_cost_usd,unpriced,estimated"),
    )?;
    for r in rows {
        // A name that a spreadsheet could take for a formula, or for several cells, stays a name.
        let name = text::strip_controls(&r.name).replace('"', "\"\"");
        let name = if name.starts_with(['=', '+', '-', '@']) { format!("'{name}") } else { name };
        print::line(
            out,
            &format!(
                "\"{name}\",{},{},{},{},{},{},{},{:.9},{:.9},{},{}",
                r.calls,
                r.failed,
                r.input,
                r.cache_read,
                r.cache_write,
                r.output,
                r.reasoning,
                r.cost.dollars(),
                r.failed_cost.dollars(),
                r.unpriced,
                r.estimated
            ),
        )?;
    }
    Ok(())
}

/// Where a workload's money went to one model, and its chain has one that would have cost less than half for the same use.
fn advice(store: &Store, catalog: &Catalog, since: u64) -> rusqlite::Result<Vec<String>> {
    let mut lines = Vec::new();
    for workload in store.costs(By::Workload, since)?.iter().filter(|w| !w.name.is_empty() && w.cost > Nanos::ZERO) {
        let models = store.costs_within(By::Model, (By::Workload, &workload.name), since)?;
        let Some(dearest) = models.first().filter(|m| m.cost.dollars() >= MUCH * workload.cost.dollars()) else { continue };
        let Ok(kind) = workload.name.parse::<Workload>() else { continue };
        let others = catalog.chain(kind).iter().filter(|id| **id != dearest.name).filter_map(|id| catalog.model(id));
        let best = others.filter_map(|m| Some((m, price_of(m, dearest)?))).min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((model, cost)) = best.filter(|(_, cost)| *cost < CHEAPER * dearest.cost.dollars()) else { continue };
        let share = 100.0 * dearest.cost.dollars() / workload.cost.dollars();
        let times = if cost > 0.0 { format!("{:.0}x cheaper", dearest.cost.dollars() / cost) } else { "free".to_owned() };
        lines.push(format!(
            "{share:.0} % of the cost of {} work ({} of {}) went to {}; {} would have been {times}",
            workload.name, dearest.cost, workload.cost, dearest.name, model.id
        ));
    }
    Ok(lines)
}

/// What the same tokens would have cost with another model, in US dollars, as far as its prices are known.
fn price_of(model: &Model, used: &Spent) -> Option<f64> {
    let price = model.price.as_ref()?;
    let input = price.input?;
    let each = [
        (used.input, input),
        (used.cache_read, price.cache_read.unwrap_or(input)),
        (used.cache_write, price.cache_write.unwrap_or(input)),
        (used.output, price.output?),
    ];
    Some(each.iter().map(|(tokens, dollars)| *tokens as f64 * dollars / 1e6).sum())
}
