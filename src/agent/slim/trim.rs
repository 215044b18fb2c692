//! What can go without anybody missing it: outputs that a later call has replaced, and the middle of old outputs.

use super::note::{self, Pin, SHORTENED, SUPERSEDED};
use super::view::View;
use crate::base::text;
use crate::model::{Block, Message, Part, Role, ToolCall, ToolResult};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// A saving smaller than this is not worth a broken prefix.
const WORTH: usize = 80;

/// The call of each result, by the places of message and block.
fn calls(view: &View) -> Vec<(usize, usize, ToolCall)> {
    let mut open: HashMap<String, ToolCall> = HashMap::new();
    let mut found = Vec::new();
    for (ix, item) in view.items.iter().enumerate() {
        match item.message.role {
            Role::Assistant => open = item.message.calls().map(|c| (c.id.clone(), c.clone())).collect(),
            Role::Tool => {
                for (n, block) in item.message.blocks.iter().enumerate() {
                    if let Block::ToolResult(result) = block
                        && let Some(call) = open.get(&result.call_id)
                    {
                        found.push((ix, n, call.clone()));
                    }
                }
            }
            Role::System | Role::User => {}
        }
    }
    found
}

/// What a call shows, so that a later one of the same is known.
fn subject(call: &ToolCall) -> Option<String> {
    let mut args: Map<String, Value> = call.args().ok()?;
    args.retain(|_, v| !v.is_null() && *v != Value::Bool(false));
    let path = || args.get("path").and_then(Value::as_str).unwrap_or(".").trim_start_matches("./").to_owned();
    Some(match call.name.as_str() {
        "read_file" | "list_files" if args.keys().all(|k| k == "path") => format!("{} {}", call.name, path()),
        "read_file" | "list_files" | "grep" | "shell" | "recall" => {
            args.sort_keys();
            format!("{} {}", call.name, Value::Object(args))
        }
        "todo" => call.name.clone(),
        _ => return None,
    })
}

/// What else is replaced by a whole file or a whole tree.
fn wider(call: &ToolCall) -> Option<(&'static str, String)> {
    let args = call.args().ok()?;
    let path = args.get("path").and_then(Value::as_str).unwrap_or(".").trim_start_matches("./").to_owned();
    let bare = args.iter().all(|(k, v)| k == "path" || v.is_null());
    let deep = args.get("recursive") == Some(&Value::Bool(true));
    match call.name.as_str() {
        "read_file" if bare => Some(("read_file", path)),
        "list_files" if deep => Some(("list_files", path)),
        _ => None,
    }
}

/// Replaces outputs that a later, successful call of the same shows anew. Returns how many.
pub fn stale(view: &mut View) -> usize {
    let mut later: HashSet<String> = HashSet::new();
    let mut whole: HashSet<(&'static str, String)> = HashSet::new();
    let mut done = 0;
    for (ix, n, call) in calls(view).into_iter().rev() {
        let Some(result) = result(view, ix, n) else { continue };
        let Some(subject) = subject(&call) else { continue };
        let name = call.name.as_str();
        let path = call.args().ok().and_then(|a| a.get("path").and_then(Value::as_str).map(|p| p.trim_start_matches("./").to_owned()));
        let covered = ["read_file", "list_files"]
            .into_iter()
            .find(|t| *t == name)
            .is_some_and(|t| whole.contains(&(t, path.clone().unwrap_or_else(|| ".".to_owned()))));
        if (later.contains(&subject) || covered) && !result.is_error {
            let with = if covered && name == "read_file" { "the file was read again later" } else { "the same call was made again later" };
            done += usize::from(set(view, ix, n, format!("{SUPERSEDED}{with}; see there.]")));
            continue;
        }
        if !result.is_error {
            // A part of a long file is no whole one, whatever was asked for.
            if let Some(key) = wider(&call).filter(|_| !result.joined().starts_with("[lines ")) {
                whole.insert(key);
            }
            later.insert(subject);
        }
    }
    done
}

/// Shortens outputs before the item `recent` that have more than `most` bytes. Returns how many.
pub fn shorten(view: &mut View, recent: usize, most: usize, recall: bool) -> usize {
    let mut done = 0;
    for (ix, n, call) in calls(view) {
        if ix >= recent || note::pin(&call.name).is_some() {
            continue;
        }
        let Some(result) = result(view, ix, n) else { continue };
        let pictures = result.parts.iter().any(|p| matches!(p, Part::Image { .. }));
        let whole = result.joined();
        let short = short_output(&whole, &call, most, recall);
        if let Some(text) = short.or_else(|| pictures.then(|| format!("{whole}\n[An image stood here. It was left out to save room]"))) {
            done += usize::from(set(view, ix, n, text));
        }
    }
    done
}

fn short_output(whole: &str, call: &ToolCall, most: usize, recall: bool) -> Option<String> {
    if whole.len() <= most || whole.starts_with(SHORTENED) || whole.starts_with(SUPERSEDED) {
        return None;
    }
    let again = match call.name.as_str() {
        "read_file" | "list_files" | "grep" => format!(" `{}` with the same arguments shows it as it is now.", call.name),
        _ if recall => format!(" `recall` with the query {} gives the whole.", call.id),
        _ => String::new(),
    };
    let part = most / 4;
    let (head, tail) = (whole_lines(text::prefix(whole, part), Side::Head), whole_lines(text::suffix(whole, part), Side::Tail));
    let lines = text::counted(whole.lines().count() as u64, "line");
    let short = format!("{SHORTENED}{lines}, {} bytes.{again}]\n{head}\n[...]\n{tail}", whole.len());
    (short.len() + WORTH <= whole.len()).then_some(short)
}

#[derive(Clone, Copy)]
enum Side {
    Head,
    Tail,
}

/// The whole lines of a piece, or the piece where it has none.
fn whole_lines(piece: &str, side: Side) -> &str {
    let lines = match side {
        Side::Head => piece.rsplit_once('\n').map(|(head, _)| head),
        Side::Tail => piece.split_once('\n').map(|(_, tail)| tail),
    };
    lines.filter(|l| !l.trim().is_empty()).unwrap_or(piece)
}

/// Says what an old answer says in fewer words, and drops old thinking that nobody has signed. Returns how many changed.
pub fn prose(view: &mut View, recent: usize) -> usize {
    let mut done = 0;
    for ix in 0..recent.min(view.items.len()) {
        let Some(old) = view.items.get(ix).map(|i| &i.message).filter(|m| m.role == Role::Assistant) else { continue };
        let mut new = Message::clone(old);
        let mut changed = false;
        for block in &mut new.blocks {
            if let Block::Text { text } = block
                && let Some(short) = super::prose::shorter(text)
            {
                *text = short;
                changed = true;
            }
        }
        let loose = |b: &Block| matches!(b, Block::Thinking { signature: None, .. });
        if new.blocks.iter().any(loose) && !new.blocks.iter().all(loose) {
            new.blocks.retain(|b| !loose(b));
            changed = true;
        }
        if changed && new.blocks.iter().any(|b| !matches!(b, Block::Text { text } if text.trim().is_empty())) {
            view.replace(ix, new);
            done += 1;
        }
    }
    done
}

/// The pinned results among these items, with their calls, and the paths that were changed.
pub fn pinned(view: &View, among: &dyn Fn(usize) -> bool) -> (Vec<(ToolCall, String)>, Vec<String>) {
    let (mut kept, mut changed) = (Vec::new(), Vec::new());
    for (ix, n, call) in calls(view).into_iter().filter(|(ix, ..)| among(*ix)) {
        let Some(result) = result(view, ix, n) else { continue };
        match note::pin(&call.name) {
            Some(Pin::Latest | Pin::LatestAlike) if result.is_error || result.joined().starts_with(SUPERSEDED) => {}
            Some(_) => kept.push((call, result.joined())),
            None if result.is_error => {}
            None if ["create_file", "replace_in_file", "delete_file"].contains(&call.name.as_str()) => {
                changed.extend(call.args().ok().and_then(|a| a.get("path").and_then(Value::as_str).map(str::to_owned)));
            }
            None => {}
        }
    }
    (kept, changed)
}

fn result(view: &View, ix: usize, n: usize) -> Option<&ToolResult> {
    match view.items.get(ix)?.message.blocks.get(n)? {
        Block::ToolResult(result) => Some(result),
        _ => None,
    }
}

/// Gives a result another text, where that saves something.
fn set(view: &mut View, ix: usize, n: usize, text: String) -> bool {
    let Some(old) = view.items.get(ix).map(|i| Message::clone(&i.message)) else { return false };
    let mut new = old;
    let Some(Block::ToolResult(result)) = new.blocks.get_mut(n) else { return false };
    let pictures = result.parts.iter().any(|p| matches!(p, Part::Image { .. }));
    if !pictures && text.len() + WORTH > result.parts.iter().map(|p| if let Part::Text { text } = p { text.len() } else { 0 }).sum() {
        return false;
    }
    result.parts = vec![Part::Text { text }];
    view.replace(ix, new);
    true
}
