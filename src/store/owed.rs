//! Receipts that could not be written because somebody locked the database, or there was no room: they are written with the
//! next change that succeeds, and where none does before the process ends, by the next process. Until then every limit
//! that asks for the ledger finds it unwritable too, so nothing is spent on the strength of what is missing.

use super::{Receipt, Store, ledger, tailed};
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

/// A call that is over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Owed {
    /// What is reserved for it.
    id: Option<i64>,
    scopes: Vec<String>,
    receipt: Receipt,
}

impl Owed {
    pub fn new(id: Option<i64>, scopes: &[String], receipt: &Receipt) -> Self {
        Self { id, scopes: scopes.to_vec(), receipt: receipt.clone() }
    }

    pub fn pay(&self, change: &Transaction<'_>) -> rusqlite::Result<()> {
        if let Some(id) = self.id {
            ledger::release(change, id)?;
        }
        ledger::record(change, &self.scopes, &self.receipt)
    }
}

impl Store {
    pub(super) fn owed(&self) -> MutexGuard<'_, Vec<Owed>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps it until it can be written.
    pub(super) fn owe(&self, one: Owed) {
        self.owed().push(one);
    }

    /// How many receipts could not be written yet.
    pub fn owing(&self) -> usize {
        self.owed().len()
    }

    /// What another one of this place could not write, but for its first ones.
    pub(super) fn inherit(&self, from: &Self, but_first: usize) {
        let taken = std::mem::take(&mut *from.owed());
        // A reservation of the other one means nothing here.
        let taken = taken.into_iter().skip(but_first).map(|one| Owed { id: None, ..one });
        self.owed().extend(taken);
    }

    /// Leaves what is still owed to whoever comes next.
    pub(super) fn leave_owed(&self) {
        let Some(place) = self.file.as_ref().filter(|_| self.owing() > 0) else { return };
        if self.change(|_| Ok(())).is_err() {
            let owed = self.owed();
            let left = append(&tailed(&place.path, ".owed"), &owed);
            let _ = left.inspect_err(|e| tracing::warn!(%e, "what calls cost is not in the ledger; the journals have it"));
        }
    }

    /// Writes what an earlier process could not.
    pub(super) fn take_owed_up(&self) {
        let Some(place) = &self.file else { return };
        let (left, taken) = (tailed(&place.path, ".owed"), tailed(&place.path, &format!(".owed-{}", std::process::id())));
        if std::fs::rename(&left, &taken).is_err() {
            // As good as always: there is none.
            return;
        }
        let text = std::fs::read_to_string(&taken).unwrap_or_default();
        let lines: Vec<Owed> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        // A ledger that is made again gets them from the journals.
        let written = if self.lost { Ok(()) } else { self.change(|change| lines.iter().try_for_each(|one| one.pay(change))) };
        match written {
            Ok(()) => std::fs::remove_file(&taken),
            Err(_) => append(&left, &lines).and_then(|()| std::fs::remove_file(&taken)),
        }
        .unwrap_or_else(|e| tracing::warn!(%e, file = %taken.display(), "what calls cost was left here"));
    }
}

fn append(path: &Path, owed: &[Owed]) -> io::Result<()> {
    let mut lines = Vec::new();
    for one in owed {
        serde_json::to_writer(&mut lines, one)?;
        lines.push(b'\n');
    }
    super::private(path)?;
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(&lines)?;
    file.sync_all()
}
