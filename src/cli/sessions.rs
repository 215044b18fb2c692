//! `pup sessions`: the journals that there are, and what one of them holds.

use super::print;
use crate::base::places::Places;
use crate::base::{Failure, text};
use crate::model::{Block, Message, Role};
use crate::session::caching::Caching;
use crate::session::{self, Entry, Journal, Loaded, Status, Summary};
use clap::Subcommand;
use serde_json::json;
use std::io::Write;

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum SessionsCommand {
    /// Show all sessions, latest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a session holds
    Show {
        /// An id, its beginning, or `last`
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn run(command: &SessionsCommand, places: &Places, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        SessionsCommand::List { json } => list(&session::list(places)?, *json, out),
        SessionsCommand::Show { id, json } => {
            let id = session::find(places, id)?;
            let loaded = Journal::load(&session::journal_path(places, &id))?;
            let status = Status::of(places, &id, loaded.ended.is_some());
            if *json { show_json(&id, &loaded, status, out) } else { show(&id, &loaded, status, out) }
        }
    }
}

fn list(all: &[Summary], json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        return print::json(out, all);
    }
    if all.is_empty() {
        return print::line(out, "there are no sessions yet");
    }
    let row = |s: &Summary| {
        let end = s.ended.filter(|_| s.status == Status::Ended).map_or(s.status.as_str(), crate::base::Cause::as_str);
        let what = s.problem.as_deref().or(s.prompt.as_deref()).unwrap_or_default();
        let when: String = s.updated.chars().take(16).collect::<String>().replace('T', " ");
        vec![s.id.clone(), when, end.to_owned(), clean(what, 80)]
    };
    let mut rows = Vec::new();
    // Those that work for another one stand below it, indented; one whose own is gone stands for itself.
    let there = |s: &Summary| s.parent.as_ref().is_some_and(|p| all.iter().any(|o| o.id == *p));
    let mut todo: Vec<(usize, &Summary)> = all.iter().rev().filter(|s| !there(s)).map(|s| (0, s)).collect();
    while let Some((depth, one)) = todo.pop() {
        let mut cells = row(one);
        if let (Some(id), Some(agent), 1..) = (cells.first_mut(), &one.agent, depth) {
            *id = format!("{}{} {}", "  ".repeat(depth), id, clean(agent, 40));
        }
        rows.push(cells);
        todo.extend(all.iter().filter(|s| s.parent.as_ref() == Some(&one.id)).map(|s| (depth + 1, s)));
    }
    print::table(out, &rows)
}

fn show_json(id: &str, loaded: &Loaded, status: Status, out: &mut dyn Write) -> Result<(), Failure> {
    let dangling: Vec<_> = loaded.dangling.iter().map(|d| json!({ "intent": d.intent, "spawned": d.spawned })).collect();
    print::json(
        out,
        &json!({
            "id": id,
            "session": loaded.session,
            "status": status,
            "ended": loaded.ended,
            "messages": loaded.history,
            "children": loaded.entries.iter().filter_map(|l| if let Entry::Child(c) = &l.entry { Some(c) } else { None }).collect::<Vec<_>>(),
            "cache": Caching::of(loaded).figures(),
            "dangling": dangling,
            "dropped": loaded.dropped,
        }),
    )
}

fn show(id: &str, loaded: &Loaded, status: Status, out: &mut dyn Write) -> Result<(), Failure> {
    print::line(out, &format!("session {id}"))?;
    if let Some(s) = loaded.latest() {
        let model = s.model.as_deref().unwrap_or("?");
        print::line(out, &format!("agent {}, model {model}, in {}", clean(&s.agent, 80), clean(&s.cwd, 200)))?;
    }
    if let Some(parent) = loaded.latest().and_then(|s| s.parent.as_ref()) {
        print::line(out, &format!("works for session {parent}"))?;
    }
    for line in &loaded.entries {
        if let Entry::Child(child) = &line.entry {
            print::line(out, &format!("has invoked {} in session {}", clean(&child.agent, 80), child.session))?;
        }
    }
    for message in &loaded.history {
        show_message(message, out)?;
    }
    print::line(out, "")?;
    for d in &loaded.dangling {
        print::line(out, &format!("unknown outcome: {} {}", clean(&d.intent.tool, 80), clean(&d.intent.args, 120)))?;
    }
    for what in &loaded.dropped {
        print::line(out, &format!("not readable: {}", clean(what, 200)))?;
    }
    if let Some(words) = Caching::of(loaded).words() {
        print::line(out, &words)?;
    }
    let end = loaded.ended.as_ref().map(|e| e.cause.as_str());
    match status {
        Status::Running => print::line(out, "it is running"),
        Status::Interrupted => print::line(out, &format!("interrupted: it goes on with `pup run --resume {id}`")),
        Status::Ended | Status::Unreadable => print::line(out, &format!("ended: {}", end.unwrap_or("?"))),
    }
}

fn show_message(message: &Message, out: &mut dyn Write) -> Result<(), Failure> {
    let who = match message.role {
        Role::System => return Ok(()),
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    print::line(out, &format!("\n--- {who}"))?;
    for block in &message.blocks {
        let line = match block {
            Block::Text { text } => text::strip_controls(text).trim_end().to_owned(),
            Block::Thinking { text, .. } => format!("(thinking) {}", clean(text, 120)),
            Block::ToolCall(call) => format!("> {} {}", clean(&call.name, 80), clean(&call.args_raw, 200)),
            Block::ToolResult(result) => {
                let said = result.joined();
                // What pup itself tells the model of a failure begins so.
                let mark = if result.is_error && !said.starts_with("Error: ") { "error: " } else { "" };
                format!("{mark}{}", shortened(&text::strip_controls(&said)))
            }
            Block::Image { .. } => "(image)".to_owned(),
            Block::Document { name, .. } => format!("(document {})", clean(name.as_deref().unwrap_or(""), 80)),
            Block::Opaque { wire, .. } => format!("(kept for {wire})"),
        };
        print::line(out, &line)?;
    }
    Ok(())
}

/// At most ten lines; says how many more there are.
fn shortened(output: &str) -> String {
    let lines: Vec<&str> = output.trim_end().lines().collect();
    match lines.get(..10) {
        Some(head) if lines.len() > 10 => format!("{}\n... {} more lines", head.join("\n"), lines.len() - 10),
        _ => lines.join("\n"),
    }
}

fn clean(s: &str, max: usize) -> String {
    text::one_line(&text::strip_controls(s), max)
}
