//! `pup status` and `pup quota`: how links, allowances and budgets stand.

use super::app::App;
use super::print;
use crate::auth::Standings;
use crate::base::{Failure, clock, text};
use crate::model::money::Nanos;
use crate::route::picture::{Allowance, Picture, Resting};
use std::io::{IsTerminal, Write};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show it again every second, until interrupted
    #[arg(long)]
    watch: bool,
}

/// Which of the two is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    Status,
    Quota,
}

const AGAIN: Duration = Duration::from_secs(1);
/// Cells of a bar.
const BAR: usize = 20;

pub fn run(view: View, args: &Args, app: &App, out: &mut dyn Write) -> Result<(), Failure> {
    let store = app.store()?;
    let standings = Standings::load(&app.places, &app.redactor);
    if args.watch {
        super::stop::end_on_signal()?;
    }
    let clear = args.watch && !args.json && std::io::stdout().is_terminal();
    loop {
        standings.heard();
        let caps = app.caps(None).binding_all(clock::unix_ms());
        let picture = Picture::take(&store, &standings, &caps, clock::unix_ms())
            .map_err(|e| Failure::config(format!("the shared state cannot be read: {e}")).hint("`pup doctor` says what is wrong"))?;
        if clear {
            let _ = write!(out, "\x1b[H\x1b[J");
        }
        match (args.json, view) {
            (true, View::Status) if args.watch => print::json_line(out, &picture)?,
            (true, View::Quota) if args.watch => print::json_line(out, &picture.allowances)?,
            (true, View::Status) => print::json(out, &picture)?,
            (true, View::Quota) => print::json(out, &picture.allowances)?,
            (false, View::Status) => status(&picture, out)?,
            (false, View::Quota) => quota(&picture.allowances, out)?,
        }
        if !args.watch {
            return Ok(());
        }
        if out.flush().is_err() {
            // Whoever read has seen enough.
            return Ok(());
        }
        std::thread::sleep(AGAIN);
    }
}

fn status(picture: &Picture, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(note) = &picture.note {
        print::line(out, note)?;
    }
    let word = match picture.score {
        80.. => "good",
        50.. => "degraded",
        _ => "poor",
    };
    print::line(out, &format!("health: {} of 100, {word}", picture.score))?;
    section(out, "resting", "nothing rests", picture.resting.iter().map(resting).collect())?;
    let breakers = picture.breakers.iter();
    let breakers = breakers.map(|b| vec![b.provider.clone(), b.state.replace('_', " "), back(b.back_s, "a call finds out")]).collect();
    section(out, "breakers", "all closed", breakers)?;
    section(out, "allowances", "none was reported lately", picture.allowances.iter().map(allowance).collect())?;
    let budgets = picture.budgets.iter().map(|s| {
        let share = 1.0 - s.spent_usd / s.limit_usd.max(f64::MIN_POSITIVE);
        vec![s.cap.clone(), bar(share), format!("{} of {} spent", dollars(s.spent_usd), dollars(s.limit_usd))]
    });
    section(out, "budgets", "no limit is set", budgets.collect())
}

fn dollars(amount: f64) -> String {
    Nanos::at_least(amount).unwrap_or_default().to_string()
}

fn quota(allowances: &[Allowance], out: &mut dyn Write) -> Result<(), Failure> {
    if allowances.is_empty() {
        return print::line(out, "no provider reported an allowance lately; they do with replies, so ask one something first");
    }
    print::table(out, &allowances.iter().map(allowance).collect::<Vec<_>>())
}

fn section(out: &mut dyn Write, name: &str, nothing: &str, rows: Vec<Vec<String>>) -> Result<(), Failure> {
    if rows.is_empty() {
        return print::line(out, &format!("{name}: {nothing}"));
    }
    print::line(out, &format!("{name}:"))?;
    let indented = |mut row: Vec<String>| {
        if let Some(first) = row.first_mut() {
            first.insert_str(0, "  ");
        }
        row
    };
    print::table(out, &rows.into_iter().map(indented).collect::<Vec<_>>())
}

fn resting(r: &Resting) -> Vec<String> {
    let name = name(&r.provider, r.account.as_deref(), r.upstream.as_deref());
    vec![name, back(r.back_s, "until you do something"), r.class.to_owned(), text::one_line(&text::strip_controls(&r.why), 100)]
}

fn allowance(a: &Allowance) -> Vec<String> {
    let name = name(&a.provider, a.account.as_deref(), a.upstream.as_deref());
    let counted = a.remaining.zip(a.limit).map_or_else(String::new, |(r, l)| format!("{} of {}", text::thousands(r), text::thousands(l)));
    let ends = a.exhausted_in_s.map_or_else(String::new, |s| format!("used up in {} at this rate", span(s)));
    let full = a.back_s.map_or_else(String::new, |s| format!("full in {}", span(s)));
    vec![
        name,
        text::one_line(&format!("{} {}", a.counts, a.window), 40),
        bar(a.left),
        format!("{:.0} %", a.left * 100.0),
        counted,
        full,
        ends,
    ]
}

fn back(seconds: Option<u64>, never: &str) -> String {
    seconds.map_or_else(|| never.to_owned(), |s| format!("back in {}", span(s)))
}

/// Windows last for up to a month: from two days on, in days.
fn span(seconds: u64) -> String {
    if seconds < 172_800 { text::span(seconds) } else { format!("{} d", seconds.div_ceil(86_400)) }
}

/// What it is about: provider, account, model, as far as it is one of them alone.
fn name(provider: &str, account: Option<&str>, upstream: Option<&str>) -> String {
    [Some(provider), account, upstream].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// How much is left.
fn bar(share: f64) -> String {
    let full = (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(BAR - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_spans_are_short() {
        assert_eq!(bar(0.5), "[##########..........]");
        assert_eq!((bar(-1.0).len(), bar(7.0).len()), (BAR + 2, BAR + 2));
        assert_eq!([span(5), span(300), span(7_300), span(400_000)], ["5 s", "5 min", "3 h", "5 d"]);
    }
}
