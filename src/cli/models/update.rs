//! `pup models update`: compares the catalogue with the providers' own lists, shows what differs, and writes it into the
//! user's `models.json` once it is agreed to.

use super::lists::{self, Answer, Asked, Cache};
use crate::base::places::Places;
use crate::base::{Cause, Failure, atomic, text};
use crate::catalog::refresh::{self, From, Own, Refresh, Source, Written};
use crate::catalog::{Catalog, Provider, Usable, Why, read_price_list};
use crate::cli::app::{self, App};
use crate::cli::ask::{can_ask, understood};
use crate::cli::doors::Doors;
use crate::cli::means::Means;
use crate::cli::{print, select};
use crate::model::Listed;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Args {
    /// Ask only this provider
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// Add models that the catalogue does not have, by their names: 'GLOB' or 'PROVIDER/GLOB'
    #[arg(long, value_name = "GLOB")]
    add: Vec<String>,
    /// Take prices and windows from this file too, in the form of <https://models.dev/api.json>
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Show what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Write without a question
    #[arg(short, long)]
    yes: bool,
    /// Ask again, although lists of the last 24 hours are at hand
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What became of the differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    UpToDate,
    DryRun,
    Written,
    /// Nobody agreed.
    Left,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<u8, Failure> {
    let globs = globs(&args.add)?;
    let mut app = App::load(Path::new("."), &[])?;
    // The user's file is what will be written, so what a project lays over it is not looked at.
    app.catalog = Catalog::load(&app.places, None, &app::env)?;
    let doors = Doors::load(&app, &app.redactor)?;
    let prices = args.prices.as_deref().map(|path| prices(path, &app.catalog)).transpose()?.unwrap_or_default();
    let asked = asked(&app, &doors, args)?;
    if asked.is_empty() && prices.is_empty() {
        return Err(Failure::new(Cause::Auth, "there is no provider to ask: no key is set")
            .hint("export a provider's key (`pup models list` names them), or give a file of prices: `pup models update --prices FILE`"));
    }
    let cache = Cache { read: !args.force, write: !args.dry_run };
    let mut answers = select::on_this_machine(lists::ask(asked, &app.places.cache, cache))?;
    for failure in answers.iter_mut().filter_map(|a| a.list.as_mut().err()) {
        failure.message = app.redactor.redact(&failure.message).into_owned();
    }
    let file = File::read(&app.places)?;
    let from_file = args.prices.as_deref().and_then(Path::file_name).map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let sources = sources(&answers, &prices, &from_file);
    let wanted = |provider: &str, name: &str| globs.is_match(name) || globs.is_match(format!("{provider}/{name}"));
    let mut found = refresh::compare(&app.catalog, &Catalog::built_in()?, &sources, &file.own, &wanted);
    found.warnings.extend(unmatched(args, &answers));
    if !args.json {
        show(&app.catalog, &answers, &found, out)?;
    }
    let end = settle(args, &file, &found, out)?;
    if args.json {
        print::json(out, &as_json(&answers, &found, &file, end))?;
    } else {
        print::line(out, &farewell(end, &found, &file.path))?;
    }
    if end == End::Left && !can_ask() {
        return Err(
            Failure::new(Cause::Denied, "nothing was written, since nobody could be asked").hint("add `--yes` to write these changes")
        );
    }
    let failed = answers.iter().find_map(|a| a.list.as_ref().err());
    Ok(failed.map_or(0, |failure| failure.cause.exit_code()))
}

fn globs(patterns: &[String]) -> Result<GlobSet, Failure> {
    let wrong = |pattern: &str, e: globset::Error| {
        Failure::usage(format!("`{pattern}` is not a glob: {}", e.kind())).hint("for example: --add 'openrouter/qwen/*'")
    };
    let mut all = GlobSetBuilder::new();
    for pattern in patterns {
        all.add(GlobBuilder::new(pattern).case_insensitive(true).build().map_err(|e| wrong(pattern, e))?);
    }
    all.build().map_err(|e| wrong(&patterns.join(" "), e))
}

fn prices(path: &Path, catalog: &Catalog) -> Result<Vec<(String, Vec<Listed>)>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::io("read", path, &e))?;
    read_price_list(&text, &path.display().to_string(), catalog)
}

/// The one that was named, or every provider that has a list and answers this user.
fn asked(app: &App, doors: &Doors, args: &Args) -> Result<Vec<Asked>, Failure> {
    let means = Means::new(doors, true, false);
    let one = |provider: &Arc<Provider>| -> Result<Asked, Failure> {
        let links = select::to_provider(app, doors, provider)?;
        let labels: Vec<&str> = links.iter().filter_map(|l| l.account()).collect();
        let (address, account) = (select::address(provider)?.to_owned(), labels.join(", "));
        Ok(Asked { provider: provider.id.clone(), links, rotation: app.rotation(&app.redactor), address, account })
    };
    if let Some(id) = &args.provider {
        let provider = app.catalog.known_provider(id)?;
        if provider.is_local() {
            return Err(
                Failure::usage("a server on this machine has no entries in the catalogue").hint("`pup models list` shows what it serves")
            );
        }
        return one(provider).map(|asked| vec![asked]);
    }
    // A server at home needs no key and lists what it holds; what the catalogue does not have of it cannot be out of date.
    let asks_for_proof = |p: &Provider| !p.api_key_env.is_empty() || p.login.is_some();
    let has_entries = |p: &Provider| app.catalog.models().iter().any(|m| m.provider == p.id);
    let open = |p: &&Arc<Provider>| {
        let why = means.why_closed(&app.catalog.on(p, ""));
        let entered = doors.usable(p) == Usable::Yes && matches!(why, None | Some(Why::NoTools));
        entered && !p.is_local() && (asks_for_proof(p) || has_entries(p))
    };
    // One whose address or quirks are wrong is a fault of the file, and says so.
    app.catalog.providers().iter().filter(open).map(one).collect()
}

fn sources<'l>(answers: &'l [Answer], prices: &'l [(String, Vec<Listed>)], file: &'l str) -> Vec<Source<'l>> {
    let own = answers.iter().filter_map(|a| Some(Source { provider: &a.provider, from: From::Provider, models: a.list.as_ref().ok()? }));
    let from_file = prices.iter().map(|(provider, models)| Source { provider, from: From::File(file), models });
    own.chain(from_file).collect()
}

/// Patterns that no model of any list has.
fn unmatched(args: &Args, answers: &[Answer]) -> Vec<String> {
    let lists = || answers.iter().filter_map(|a| Some((a.provider.as_str(), a.list.as_ref().ok()?)));
    let names: Vec<String> = lists().flat_map(|(p, list)| list.iter().map(move |l| format!("{p}/{}", l.id))).collect();
    let matches = |pattern: &str| {
        let set = globs(&[pattern.to_owned()]).ok();
        set.is_some_and(|set| names.iter().any(|n| set.is_match(n) || n.split_once('/').is_some_and(|(_, id)| set.is_match(id))))
    };
    args.add.iter().filter(|p| !matches(p)).map(|p| format!("no model of the lists is named like `{p}`")).collect()
}

/// The user's `models.json`, and the record of what updates wrote there.
struct File {
    path: PathBuf,
    record: PathBuf,
    own: Own,
}

impl File {
    fn read(places: &Places) -> Result<Self, Failure> {
        let path = places.config.join("models.json");
        // A link to a file that is kept elsewhere stays one.
        let path = path.canonicalize().unwrap_or(path);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Failure::io("read", &path, &e)),
        };
        let record = places.state.join("models-update.json");
        // Without it everything counts as the user's own, which is the safe side.
        let written = std::fs::read(&record).ok().and_then(|b| serde_json::from_slice::<Written>(&b).ok()).unwrap_or_default();
        Ok(Self { path, record, own: Own { text, written } })
    }

    fn write(&self, found: &Refresh) -> Result<(), Failure> {
        let next = self.own.with(found);
        let next = next.ok_or_else(|| Failure::config(format!("{}: its form leaves no place for the changes", self.path.display())))?;
        let now = std::fs::read_to_string(&self.path).unwrap_or_default();
        if now != self.own.text {
            return Err(Failure::config(format!("{} was changed meanwhile; nothing was written", self.path.display())).hint("run it again"));
        }
        atomic::write(&self.path, next.text.as_bytes(), false).map_err(|e| Failure::io("write", &self.path, &e))?;
        let record = serde_json::to_vec(&next.written).map_err(|e| Failure::internal(format!("cannot write JSON: {e}")))?;
        atomic::write(&self.record, &record, false).map_err(|e| Failure::io("write", &self.record, &e))
    }
}

/// Writes the differences, once somebody has agreed.
fn settle(args: &Args, file: &File, found: &Refresh, out: &mut dyn Write) -> Result<End, Failure> {
    if found.changes.is_empty() && found.added.is_empty() {
        return Ok(End::UpToDate);
    }
    if args.dry_run {
        return Ok(End::DryRun);
    }
    if args.yes || (!args.json && can_ask() && agreed(file, found, out)?) {
        file.write(found)?;
        return Ok(End::Written);
    }
    Ok(End::Left)
}

fn agreed(file: &File, found: &Refresh, out: &mut dyn Write) -> Result<bool, Failure> {
    print::line(out, &format!("? write {} into {} [y]es, [n]o", counted(found), file.path.display()))?;
    out.flush().map_err(|e| Failure::io("write to", Path::new("standard output"), &e))?;
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(|e| Failure::io("read from", Path::new("standard input"), &e))?;
    Ok(matches!(understood(&line), Some(crate::agent::Answer::Yes | crate::agent::Answer::Always)))
}

fn counted(found: &Refresh) -> String {
    let many = |n: usize, what: &str| (n > 0).then(|| text::counted(n as u64, what));
    let parts = [many(found.changes.len(), "change"), many(found.added.len(), "new model")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

fn farewell(end: End, found: &Refresh, path: &Path) -> String {
    match end {
        End::UpToDate => "up to date".to_owned(),
        End::DryRun => format!("a dry run: {} not written", counted(found)),
        End::Written => format!("wrote {} into {}", counted(found), path.display()),
        End::Left => "nothing written".to_owned(),
    }
}

fn show(catalog: &Catalog, answers: &[Answer], found: &Refresh, out: &mut dyn Write) -> Result<(), Failure> {
    for answer in answers {
        match &answer.list {
            Ok(list) => print::line(out, &told(answer, list.len(), found))?,
            Err(failure) => {
                print::line(out, &format!("{}: failed", answer.provider))?;
                let hint = failure.hint.iter().flat_map(|h| h.lines());
                for line in failure.message.lines().chain(hint) {
                    print::line(out, &format!("  {}", text::visible(line)))?;
                }
            }
        }
        for gone in found.gone.iter().filter(|g| g.provider == answer.provider) {
            print::line(out, &format!("  {} ({}) is not in the list any more; it stays", gone.model, gone.name))?;
        }
    }
    for warning in &found.warnings {
        print::line(out, &format!("warning: {}", text::visible(warning)))?;
    }
    let shown = |field: &str, value: &Value| match value {
        Value::Null => "unknown".to_owned(),
        Value::Number(n) if field.starts_with("price") => format!("${n}"),
        Value::Number(n) => n.as_u64().map_or_else(|| n.to_string(), text::thousands),
        other => other.to_string(),
    };
    let kept = found.kept.iter().filter(|k| catalog.model(&k.model).is_some());
    let kept = kept.map(|k| {
        vec![
            format!("  {}", k.model),
            k.field.clone(),
            format!("{} stays", shown(&k.field, &k.value)),
            format!("{} has {}: {}", k.source, shown(&k.field, &k.listed), k.why),
        ]
    });
    let changes = found.changes.iter().map(|c| {
        vec![
            format!("  {}", c.model),
            c.field.clone(),
            format!("{} -> {}", shown(&c.field, &c.old), shown(&c.field, &c.new)),
            c.source.clone(),
        ]
    });
    let added = found.added.iter().map(|a| {
        let says = |key: &str| a.entry.get(key).map(|v| format!("{key} {}", shown(key, v)));
        let price = |key: &str| a.entry.get("price").and_then(|p| p.get(key)).map(|v| format!("${v} {key}"));
        let known: Vec<String> = [says("context"), says("max_output"), price("input"), price("output")].into_iter().flatten().collect();
        vec![format!("  {}", text::visible(&a.id)), if known.is_empty() { "nothing more is known".to_owned() } else { known.join(", ") }]
    });
    let rows: [(&str, Vec<Vec<String>>); 3] = [("kept:", kept.collect()), ("changes:", changes.collect()), ("new:", added.collect())];
    for (title, rows) in rows.iter().filter(|(_, rows)| !rows.is_empty()) {
        print::line(out, title)?;
        print::table(out, rows)?;
    }
    Ok(())
}

fn told(answer: &Answer, listed: usize, found: &Refresh) -> String {
    let provider = &answer.provider;
    let unknown = found.unknown.get(provider).map_or(0, Vec::len);
    let age = answer.age.map(|age| format!(", asked {} ago", ago(age))).unwrap_or_default();
    let more = match unknown {
        0 => String::new(),
        n => format!("; {n} not in the catalogue (`--add 'GLOB'` adds them)"),
    };
    format!("{provider}: {listed} models{age}{more}")
}

/// About how long.
pub(super) fn ago(age: Duration) -> String {
    match age.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}

fn as_json(answers: &[Answer], found: &Refresh, file: &File, end: End) -> Value {
    let providers = answers.iter().map(|a| {
        let error = a.list.as_ref().err();
        json!({
            "provider": a.provider, "ok": error.is_none(), "listed": a.list.as_ref().ok().map(Vec::len),
            "age_s": a.age.map(|age| age.as_secs()), "unknown": found.unknown.get(&a.provider),
            "error": error.map(|f| json!({ "cause": f.cause.as_str(), "message": f.message, "hint": f.hint })),
        })
    });
    json!({
        "providers": providers.collect::<Vec<_>>(), "changes": found.changes, "added": found.added, "kept": found.kept, "gone": found.gone,
        "warnings": found.warnings, "up_to_date": end == End::UpToDate, "written": end == End::Written, "file": file.path,
    })
}
