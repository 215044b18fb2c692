//! The record of steps: one file each in the store, written whole, never in pieces.

use super::change::Change;
use super::node::Node;
use super::rel::Rel;
use crate::base::atomic;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a step is for people and for the session's journal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct About {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The id of the tool call.
    pub call: String,
    pub tool: String,
    /// One line, redacted: `shell: git checkout .`.
    pub line: String,
}

/// Something that changed files, as it can be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub id: u64,
    /// RFC 3339, UTC, of its beginning.
    pub time: String,
    #[serde(flatten)]
    pub about: About,
    pub state: State,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Under way, or cut off. Of an edit the paths are known, and what stood there; of a command an index is beside it.
    Open { paths: Option<BTreeMap<Rel, Option<Node>>> },
    /// Over. A step that was cut off also has what was changed until that was noticed.
    Done { changes: Vec<Change>, cut: bool },
    /// Taken back; the highest number was taken back last.
    Undone { changes: Vec<Change>, cut: bool, order: u64 },
}

impl Step {
    pub fn changes(&self) -> &[Change] {
        match &self.state {
            State::Open { .. } => &[],
            State::Done { changes, .. } | State::Undone { changes, .. } => changes,
        }
    }

    pub fn changes_mut(&mut self) -> Option<&mut Vec<Change>> {
        match &mut self.state {
            State::Open { .. } => None,
            State::Done { changes, .. } | State::Undone { changes, .. } => Some(changes),
        }
    }

    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done { .. })
    }

    pub const fn undone(&self) -> Option<u64> {
        match self.state {
            State::Undone { order, .. } => Some(order),
            State::Open { .. } | State::Done { .. } => None,
        }
    }

    /// The same, taken back or made again.
    #[must_use]
    pub fn turned(mut self, undone: Option<u64>) -> Self {
        self.state = match (self.state, undone) {
            (State::Done { changes, cut } | State::Undone { changes, cut, .. }, Some(order)) => State::Undone { changes, cut, order },
            (State::Done { changes, cut } | State::Undone { changes, cut, .. }, None) => State::Done { changes, cut },
            (open @ State::Open { .. }, _) => open,
        };
        self
    }
}

/// The folder of the records.
#[derive(Debug, Clone)]
pub struct Steps {
    folder: PathBuf,
}

impl Steps {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn path(&self, id: u64, end: &str) -> PathBuf {
        self.folder.join(format!("{id:08}.{end}"))
    }

    /// The index from before a command, while it is under way.
    pub fn before(&self, id: u64) -> PathBuf {
        self.path(id, "before")
    }

    /// Held by the process whose step it is.
    pub fn lock(&self, id: u64) -> PathBuf {
        self.path(id, "lock")
    }

    /// Ids in ascending order.
    pub fn ids(&self) -> Vec<u64> {
        let entries = self.folder.read_dir().into_iter().flatten().flatten();
        let id = |e: fs::DirEntry| e.file_name().to_str()?.strip_suffix(".json")?.parse().ok();
        let mut ids: Vec<u64> = entries.filter_map(id).collect();
        ids.sort_unstable();
        ids
    }

    /// All of them in ascending order. One that cannot be read is passed over: the others still can be taken back.
    pub fn all(&self) -> Vec<Step> {
        self.ids().into_iter().filter_map(|id| self.get(id)).collect()
    }

    pub fn get(&self, id: u64) -> Option<Step> {
        let path = self.path(id, "json");
        let bytes = fs::read(&path).ok()?;
        let read = serde_json::from_slice(&bytes);
        read.inspect_err(|e| tracing::warn!(%e, path = %path.display(), "a checkpoint cannot be read")).ok()
    }

    pub fn put(&self, step: &Step) -> io::Result<()> {
        atomic::write(&self.path(step.id, "json"), &serde_json::to_vec(step)?, true)
    }

    /// Removes the record and what was beside it.
    pub fn remove(&self, id: u64) {
        // What stays is found by the next clearing up.
        let _ = fs::remove_file(self.path(id, "json"));
        self.closed(id);
    }

    /// Removes what a step needs only while it is under way.
    pub fn closed(&self, id: u64) {
        let _ = fs::remove_file(self.before(id));
        let _ = fs::remove_file(self.lock(id));
    }

    /// A number that no step has had.
    pub fn next(&self) -> io::Result<u64> {
        let path = self.folder.join("next");
        let counted = fs::read_to_string(&path).ok().and_then(|t| t.trim().parse::<u64>().ok()).unwrap_or(1);
        let next = counted.max(self.ids().last().map_or(1, |id| id + 1));
        atomic::write(&path, format!("{}\n", next + 1).as_bytes(), true)?;
        Ok(next)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
