//! The sessions that there are, and finding one by what a person types.

use super::load::{Loaded, load};
use super::lock::Lock;
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
    /// The session whose agent has handed this work on.
    pub parent: Option<String>,
    pub messages: usize,
    pub status: Status,
    /// How it ended; `None` while it runs and after a crash.
    pub ended: Option<Cause>,
    /// Why it cannot be read.
    pub problem: Option<String>,
}

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Some process has it open.
    Running,
    /// Nobody has it open, and its last run did not come to its end: it can be resumed.
    Interrupted,
    Ended,
    Unreadable,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Ended => "ended",
            Self::Unreadable => "unreadable",
        }
    }

    /// Of a session whose journal could be read.
    pub fn of(places: &Places, id: &str, ended: bool) -> Self {
        // A chat is open between its prompts, and each of them leaves an end.
        match (Lock::is_held(&folder(places, id)), ended) {
            (true, _) => Self::Running,
            (false, true) => Self::Ended,
            (false, false) => Self::Interrupted,
        }
    }
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

/// As long as a UUID. The sessions that work for one begin with its id, four levels of them with seven characters each.
const NEW_ID: usize = 36;

/// Whether a user can name a session so that does not exist yet. A point stands before what works for a session, so there is none.
pub fn check_new(places: &Places, id: &str) -> Result<(), Failure> {
    check_id(id)?;
    let hint = format!("use up to {NEW_ID} letters, digits, `-` and `_`");
    if id.contains('.') {
        return Err(Failure::usage(format!("`{id}` cannot be a new session's id: `.` marks the sessions that work for another")).hint(hint));
    }
    if id.len() > NEW_ID {
        return Err(Failure::usage(format!("`{id}` is too long for a new session's id")).hint(hint));
    }
    if journal_path(places, id).exists() { Err(taken(id)) } else { Ok(()) }
}

pub(super) fn taken(id: &str) -> Failure {
    Failure::usage(format!("there is a session {id} already")).hint(format!("go on with it by `--resume {id}`, or use another id"))
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

/// The journals that were written since then (milliseconds since 1970), with their sessions' ids; what cannot be read is
/// left out.
pub fn recent(places: &Places, since: u64) -> Result<Vec<(String, Loaded)>, Failure> {
    let ids = ids(places)?.into_iter().filter(|(_, written)| *written >= since);
    Ok(ids.filter_map(|(id, _)| load(&journal_path(places, &id)).ok().map(|loaded| (id, loaded))).collect())
}

fn summary(places: &Places, id: String, written: u64) -> Summary {
    let updated = clock::rfc3339(written);
    match load(&journal_path(places, &id)) {
        Ok(loaded) => {
            let now = loaded.latest().cloned();
            let (prompt, parent) = loaded.session.map_or((None, None), |s| (s.prompt, s.parent));
            let (messages, ended) = (loaded.history.len(), loaded.ended.map(|e| e.cause));
            let prompt = prompt.as_deref().map(|p| text::one_line(p, 80));
            let (agent, model, cwd) = now.map_or((None, None, None), |s| (Some(s.agent), s.model, Some(s.cwd)));
            let status = Status::of(places, &id, ended.is_some());
            Summary { id, updated, agent, model, cwd, prompt, parent, messages, status, ended, problem: None }
        }
        Err(f) => {
            let (status, problem) = (Status::Unreadable, Some(f.message));
            Summary {
                id,
                updated,
                agent: None,
                model: None,
                cwd: None,
                prompt: None,
                parent: None,
                messages: 0,
                status,
                ended: None,
                problem,
            }
        }
    }
}

/// Whether one of these is the session that this one works for.
fn is_below(id: &str, all: &[String]) -> bool {
    id.rmatch_indices('.').any(|(at, _)| id.get(..at).is_some_and(|above| all.iter().any(|a| a == above)))
}

/// The id of the session that `wanted` means: `last`, a whole id, or the beginning of exactly one.
pub fn find(places: &Places, wanted: &str) -> Result<String, Failure> {
    let all: Vec<String> = ids(places)?.into_iter().map(|(id, _)| id).collect();
    let none = |what: String| {
        let hint = nearest::did_you_mean(wanted, all.iter().map(String::as_str)).unwrap_or("`pup sessions list` shows them".into());
        Failure::usage(what).hint(hint)
    };
    if wanted == "last" {
        return all
            .iter()
            .find(|id| !is_below(id, &all))
            .cloned()
            .ok_or_else(|| Failure::usage("there are no sessions yet").hint("`pup run \"...\"` starts one"));
    }
    if all.iter().any(|id| id == wanted) {
        return Ok(wanted.to_owned());
    }
    let mut found: Vec<&String> = all.iter().filter(|id| !wanted.is_empty() && id.starts_with(wanted)).collect();
    // The sessions that work for one begin with its id, and are meant only where more of theirs is written.
    let above: Vec<String> = found.iter().map(|id| (*id).clone()).collect();
    found.retain(|id| !is_below(id, &above));
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
