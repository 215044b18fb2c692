//! The sessions that there are, and finding one by what a person types.

use super::load::load;
use crate::base::places::Places;
use crate::base::{Cause, Failure, clock, nearest, text};
use serde::Serialize;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub id: String,
    /// RFC 3339, UTC, of the last write.
    pub updated: String,
    pub agent: Option<String>,
    pub model: Option<String>,
    pub cwd: Option<String>,
    /// First line of the first task.
    pub prompt: Option<String>,
    pub messages: usize,
    /// How it ended; `None` while it runs and after a crash.
    pub ended: Option<Cause>,
    /// Why it cannot be read.
    pub problem: Option<String>,
}

/// The folder of a session.
pub fn folder(places: &Places, id: &str) -> PathBuf {
    places.state.join("sessions").join(id)
}

/// The journal's file of a session.
pub fn journal_path(places: &Places, id: &str) -> PathBuf {
    folder(places, id).join("journal.jsonl")
}

/// Holds ids to what is safe as a folder's name everywhere.
pub fn check_id(id: &str) -> Result<(), Failure> {
    let good = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && id.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && id.len() <= 64
        && id != "last";
    good.then_some(()).ok_or_else(|| {
        Failure::usage(format!("`{}` cannot be a session's id", text::one_line(id, 80)))
            .hint("use up to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit, and not `last`")
    })
}

/// Ids with the time of their last write in milliseconds since 1970, latest first.
fn ids(places: &Places) -> Result<Vec<(String, u64)>, Failure> {
    let root = places.state.join("sessions");
    let entries = match std::fs::read_dir(&root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Failure::io("read", &root, &e)),
    };
    let mut all: Vec<(String, u64)> = entries
        .flatten()
        .filter_map(|e| {
            let id = e.file_name().into_string().ok()?;
            let written = std::fs::metadata(e.path().join("journal.jsonl")).ok()?.modified().ok()?;
            Some((id, written.duration_since(UNIX_EPOCH).map_or(0, clock::millis)))
        })
        .collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
    Ok(all)
}

/// All sessions, latest first. One that cannot be read is listed with its problem.
pub fn list(places: &Places) -> Result<Vec<Summary>, Failure> {
    Ok(ids(places)?.into_iter().map(|(id, written)| summary(places, id, written)).collect())
}

fn summary(places: &Places, id: String, written: u64) -> Summary {
    let updated = clock::rfc3339(written);
    match load(&journal_path(places, &id)) {
        Ok(loaded) => {
            let (messages, ended) = (loaded.history.len(), loaded.ended.map(|e| e.cause));
            let s = loaded.session;
            let prompt = s.as_ref().and_then(|s| s.prompt.as_deref()).map(|p| text::one_line(p, 80));
            let (agent, model, cwd) = s.map_or((None, None, None), |s| (Some(s.agent), s.model, Some(s.cwd)));
            Summary { id, updated, agent, model, cwd, prompt, messages, ended, problem: None }
        }
        Err(f) => {
            Summary { id, updated, agent: None, model: None, cwd: None, prompt: None, messages: 0, ended: None, problem: Some(f.message) }
        }
    }
}

/// The id of the session that `wanted` means: `last`, a whole id, or the beginning of exactly one.
pub fn find(places: &Places, wanted: &str) -> Result<String, Failure> {
    let all: Vec<String> = ids(places)?.into_iter().map(|(id, _)| id).collect();
    let none = |what: String| {
        let hint = nearest::did_you_mean(wanted, all.iter().map(String::as_str)).unwrap_or("`pup sessions list` shows them".into());
        Failure::usage(what).hint(hint)
    };
    if wanted == "last" {
        return all.first().cloned().ok_or_else(|| Failure::usage("there are no sessions yet").hint("`pup run \"...\"` starts one"));
    }
    if all.iter().any(|id| id == wanted) {
        return Ok(wanted.to_owned());
    }
    let found: Vec<&String> = all.iter().filter(|id| !wanted.is_empty() && id.starts_with(wanted)).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(none(format!("there is no session `{}`", text::one_line(wanted, 80)))),
        several => {
            let names: Vec<&str> = several.iter().take(5).map(|id| id.as_str()).collect();
            Err(Failure::usage(format!("`{wanted}` is the beginning of {} sessions", several.len()))
                .hint(format!("write more of it: {}", names.join(", "))))
        }
    }
}
