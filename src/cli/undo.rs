//! `pup undo`, `pup redo`, `pup checkpoints`: taking back what steps of the agent changed in this folder, and making it again.

use super::ask::can_ask;
use super::output::{Screen, Style};
use super::print;
use crate::base::places::Places;
use crate::base::{Cause, Failure, bytesize, text};
use crate::workspace::Workspace;
use crate::workspace::checkpoint::{self, Direction, Index, Node, Op, Step, Store, StoreError, Turned, Turning, Wanted, Why};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Names in a message and in a list for people.
const SHOWN: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct TurnArgs {
    /// How many steps [default: 1]
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["to", "all"])]
    steps: Option<u32>,
    /// Up to this step of `pup checkpoints`, and it too
    #[arg(long, value_name = "STEP", conflicts_with = "all")]
    to: Option<u64>,
    /// All steps
    #[arg(long)]
    all: bool,
    /// Also over files that were changed since
    #[arg(long)]
    force: bool,
    /// Work in DIR instead of the current folder
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ListArgs {
    /// Work in DIR instead of the current folder
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn store(cwd: Option<&Path>) -> Result<Store, Failure> {
    let workspace = Workspace::open(&super::run::root(cwd)?)?;
    Ok(Store::new(workspace.root(), &Places::from_env()?.state, checkpoint::Limits::default()))
}

fn failed(e: &StoreError) -> Failure {
    let failure = Failure::config(e.to_string());
    match e {
        StoreError::Busy => failure.hint("try it again in a moment"),
        StoreError::Running(_) => failure.hint("wait for its end, or stop that run first"),
        StoreError::Walk(_) | StoreError::Io { .. } => failure,
    }
}

const fn words(direction: Direction) -> (&'static str, &'static str, &'static str) {
    match direction {
        Direction::Undo => ("undo", "undid", "redo"),
        Direction::Redo => ("redo", "redid", "undo"),
    }
}

/// Undoes or redoes.
pub fn turn(args: &TurnArgs, direction: Direction, out: &mut dyn Write) -> Result<(), Failure> {
    let store = store(args.cwd.as_deref())?;
    let (verb, ..) = words(direction);
    let nothing = || {
        Failure::usage(format!("there is nothing to {verb} in {}", store.root.display()))
            .hint("`pup checkpoints` lists what was changed here; checkpoints belong to the folder that a run began in (--cwd DIR)")
    };
    if !store.exists() {
        return Err(nothing());
    }
    let wanted = match (args.all, args.to, args.steps) {
        (true, ..) => Wanted::All,
        (_, Some(id), _) => Wanted::To(id),
        (_, None, n) => Wanted::Last(n.unwrap_or(1) as usize),
    };
    let turning = Turning::prepare(&store, direction, wanted).map_err(|e| failed(&e))?;
    let screen = Screen::detect(false, false);
    for note in &turning.notes {
        screen.always(Style::Yellow, &format!("pup: {note}"));
    }
    if turning.steps.is_empty() {
        // The rerun of an undo that was killed has done what it was to do.
        return if turning.notes.is_empty() { Err(nothing()) } else { Ok(()) };
    }
    if !turning.plan.conflicts.is_empty() && !args.force {
        allowed(&turning, direction, args.json, screen)?;
    }
    let turned = turning.carry_out().map_err(|e| failed(&e))?;
    if args.json {
        print::json(out, &as_json(&turned, direction))?;
    } else {
        tell(&turned, direction, out)?;
    }
    match turned.troubles.as_slice() {
        [] => Ok(()),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            Err(Failure::config(format!("not everything could be brought back: {}: {}{more}", first.path, first.what)))
        }
    }
}

/// Asks whether files that somebody changed are to be overwritten.
fn allowed(turning: &Turning, direction: Direction, json: bool, screen: Screen) -> Result<(), Failure> {
    let (verb, _, back) = words(direction);
    let conflicts = &turning.plan.conflicts;
    let names: Vec<String> = conflicts.iter().take(SHOWN).map(|c| text::visible(&c.path.to_string())).collect();
    let more = conflicts.len().saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = format!("changed since: {}{more}", names.join(", "));
    let refused = Failure::new(Cause::Denied, format!("nothing was changed: {what}"))
        .hint(format!("pup {verb} --force goes over them; what is there now is kept, and `pup {back}` brings it back"));
    if json || !can_ask() {
        return Err(refused);
    }
    screen.always(Style::Yellow, &what);
    screen.always(Style::Yellow, &format!("? {verb} over them; `pup {back}` brings them back  [y]es, [n]o"));
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line).unwrap_or(0);
    if read > 0 && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") { Ok(()) } else { Err(refused) }
}

/// What an operation did, in a word.
const fn action(op: &Op) -> &'static str {
    match (&op.from, &op.to) {
        (_, None) => "deleted",
        (None, Some(_)) => "created",
        (Some(_), Some(_)) => "restored",
    }
}

fn as_json(turned: &Turned, direction: Direction) -> Value {
    let changes: Vec<Value> = turned.ops.iter().map(|op| json!({ "path": op.path, "action": action(op) })).collect();
    let not_covered: Vec<Value> = turned.not_covered.iter().map(|n| json!({ "path": n.path, "why": n.why })).collect();
    let over: Vec<&checkpoint::Rel> = turned.conflicts.iter().map(|c| &c.path).collect();
    let failed: Vec<Value> = turned.troubles.iter().map(|t| json!({ "path": t.path, "error": t.what })).collect();
    let steps: Vec<Value> = turned.steps.iter().map(one).collect();
    json!({ "direction": direction, "steps": steps, "changes": changes, "overwritten": over, "not_covered": not_covered, "failed": failed })
}

fn tell(turned: &Turned, direction: Direction, out: &mut dyn Write) -> Result<(), Failure> {
    let (_, did, back) = words(direction);
    for step in &turned.steps {
        print::line(out, &format!("{did} step {}: {}", step.id, clean(&step.about.line)))?;
    }
    let troubled = |op: &&Op| !turned.troubles.iter().any(|t| t.path == op.path);
    let done: Vec<&Op> = turned.ops.iter().filter(troubled).collect();
    for op in done.iter().take(SHOWN) {
        let slash = if op.from.as_ref().or(op.to.as_ref()).is_some_and(Node::is_folder) { "/" } else { "" };
        print::line(out, &format!("  {:<9} {}{slash}", action(op), clean(&op.path.to_string())))?;
    }
    if done.len() > SHOWN {
        print::line(out, &format!("  and {} more", done.len() - SHOWN))?;
    }
    for n in turned.not_covered.iter().take(SHOWN) {
        print::line(out, &format!("  not covered: {} ({})", clean(&n.path.to_string()), n.why.as_str()))?;
    }
    if turned.not_covered.len() > SHOWN {
        print::line(out, &format!("  and {} more that are not covered", turned.not_covered.len() - SHOWN))?;
    }
    for t in turned.troubles.iter().take(SHOWN) {
        print::line(out, &format!("  {}: {}", clean(&t.path.to_string()), clean(&t.what)))?;
    }
    print::line(out, &format!("`pup {back}` brings it back"))
}

fn clean(s: &str) -> String {
    text::one_line(&text::strip_controls(s), 200)
}

fn one(step: &Step) -> Value {
    let files: Vec<Value> = step.changes().iter().map(|c| json!(c.path)).collect();
    let not_covered: Vec<Value> = step.changes().iter().filter_map(|c| Some(json!({ "path": c.path, "why": c.unkept()? }))).collect();
    json!({
        "id": step.id,
        "time": step.time,
        "session": step.about.session,
        "call": step.about.call,
        "tool": step.about.tool,
        "line": step.about.line,
        "state": if step.is_done() { "done" } else if step.undone().is_some() { "undone" } else { "open" },
        "paths": files,
        "not_covered": not_covered,
    })
}

/// `pup checkpoints`.
pub fn list(args: &ListArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let store = store(args.cwd.as_deref())?;
    let mut notes = Vec::new();
    if store.exists() {
        // Taking it puts it in order.
        (_, notes) = store.take(None).map_err(|e| failed(&e))?;
    }
    let steps = store.steps.all();
    let gaps = Index::load(&store.index_path()).map_or_else(Vec::new, |index| checkpoint::uncovered(&index));
    if args.json {
        let gaps: Vec<Value> = gaps.iter().map(|(path, why, size)| json!({ "path": path, "why": why, "size": size })).collect();
        let steps: Vec<Value> = steps.iter().map(one).collect();
        return print::json(out, &json!({ "root": store.root, "checkpoints": steps, "not_covered": gaps, "notes": notes }));
    }
    for note in &notes {
        print::line(out, note)?;
    }
    if steps.is_empty() {
        print::line(out, &format!("nothing was changed in {} that can be undone", store.root.display()))?;
    }
    let row = |s: &Step| {
        let when: String = s.time.chars().take(16).collect::<String>().replace('T', " ");
        let state = if s.undone().is_some() { "undone" } else { "" };
        let gaps = s.changes().iter().filter(|c| c.unkept().is_some()).count();
        let gaps = if gaps > 0 { format!(", {gaps} not covered") } else { String::new() };
        let count = s.changes().len();
        vec![
            s.id.to_string(),
            when,
            state.to_owned(),
            format!("{count} path{}{gaps}", if count == 1 { "" } else { "s" }),
            clean(&s.about.line),
        ]
    };
    print::table(out, &steps.iter().rev().map(row).collect::<Vec<_>>())?;
    for (path, why, size) in gaps.iter().take(SHOWN) {
        let size = if matches!(why, Why::TooBig | Why::TooMuch) { format!(", {}", bytesize::human(*size)) } else { String::new() };
        print::line(out, &format!("not covered: {} ({}{size})", clean(&path.to_string()), why.as_str()))?;
    }
    if gaps.len() > SHOWN {
        print::line(out, &format!("and {} more that are not covered; --json lists all", gaps.len() - SHOWN))?;
    }
    Ok(())
}
