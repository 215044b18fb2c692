//! A damaged database is set aside and another one stands in its place. That one says of itself that it has nothing of the
//! ledger yet, until it is filled: whoever is killed in between, the next process fills it.

use super::{BUSY, Receipt, Store, Unusable, damage, file, ledger, tailed};
use crate::base::clock;
use crate::base::lock::FileLock;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// Puts a new database in the place of the one at `path`, if that still is damaged. Also returns where the old one is now.
pub(super) fn replace(path: &Path) -> Result<(Connection, Option<PathBuf>), Unusable> {
    // Two processes that both find it damaged must not take each other's new one away.
    let _lock = FileLock::take(&tailed(path, ".mending"), BUSY)?;
    match file(path) {
        Err(Unusable::Damaged(_)) => {}
        other => return Ok((other?, None)),
    }
    let fresh = tailed(path, &format!(".new-{}", std::process::id()));
    let _ = std::fs::remove_file(&fresh);
    let empty = file(&fresh)?;
    empty.execute("INSERT INTO state (kind, key, value, until, seq) VALUES ('ledger', 'lost', '', 0, 0)", [])?;
    // All of it has to be in the one file that is moved.
    empty.execute_batch("PRAGMA journal_mode=DELETE")?;
    drop(empty);
    let aside = tailed(path, &format!(".damaged-{}", clock::unix_ms()));
    std::fs::hard_link(path, &aside).or_else(|_| std::fs::copy(path, &aside).map(|_| ()))?;
    for tail in ["-wal", "-shm"] {
        // They belong to the old file and would spoil the new one.
        let _ = std::fs::remove_file(tailed(path, tail));
    }
    std::fs::rename(&fresh, path)?;
    let _ = std::fs::remove_file(suspect(path));
    Ok((file(path)?, Some(aside)))
}

/// Stands beside a database in which somebody came upon damage.
pub(super) fn suspect(path: &Path) -> PathBuf {
    tailed(path, ".suspect")
}

/// Looks whether it is damaged behind its first page: into each table, and where somebody came upon damage, everywhere.
pub(super) fn examine(path: &Path, connection: &Connection) -> rusqlite::Result<()> {
    const PLACES: [&str; 8] =
        ["totals", "reservations", "reserved", "receipts", "receipts INDEXED BY receipts_at WHERE at > 0", "state", "used", "counter"];
    if suspect(path).exists() {
        let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Err(damage(&found));
        }
        let _ = std::fs::remove_file(suspect(path));
    }
    for place in PLACES {
        connection.prepare(&format!("SELECT * FROM {place} LIMIT 1"))?.query([])?.next()?;
    }
    Ok(())
}

/// Whether this database stands in the place of a damaged one and has nothing of its ledger.
pub(super) fn lost(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM state WHERE kind = 'ledger' AND key = 'lost')", [], |row| row.get(0))
}

impl Store {
    /// Writes these receipts, each with its scopes, into a ledger that was lost: all of them, or none. Does nothing where
    /// another process has done so. Returns how many there were.
    pub fn fill(&self, receipts: &[(Vec<String>, Receipt)]) -> rusqlite::Result<usize> {
        self.change(|change| {
            if !lost(change)? {
                return Ok(0);
            }
            for (scopes, receipt) in receipts {
                ledger::record(change, scopes, receipt)?;
            }
            change.execute("DELETE FROM state WHERE kind = 'ledger' AND key = 'lost'", [])?;
            Ok(receipts.len())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::places::Places;
    use crate::model::money::Nanos;

    fn receipt() -> (Vec<String>, Receipt) {
        (vec!["day:x".into()], Receipt { model: "m".into(), outcome: "ok".into(), cost: Some(Nanos(7)), ..Receipt::default() })
    }

    #[test]
    fn a_ledger_that_was_lost_is_so_until_it_is_filled_once() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::under(home.path());
        let path = places.state.join("state.db");
        assert!(!Store::open(&places).unwrap().lost, "nothing was before it");
        std::fs::write(&path, "no database at all, and longer than a header; ".repeat(40)).unwrap();
        let first = Store::open(&places).unwrap();
        assert!(first.lost && first.note.as_deref().is_some_and(|n| n.contains("was damaged")), "{:?}", first.note);
        // Its process is killed here: the next one knows.
        drop(first);
        let (one, other) = (Store::open(&places).unwrap(), Store::open(&places).unwrap());
        assert!(one.lost && other.lost && one.note.is_none());
        assert_eq!(one.fill(&[receipt(), receipt()]).unwrap(), 2);
        assert_eq!(other.fill(&[receipt(), receipt()]).unwrap(), 0, "it was filled meanwhile");
        assert_eq!(other.totals("day:x").unwrap().spent, Nanos(14));
        assert!(!Store::open(&places).unwrap().lost);
        let left: Vec<String> = std::fs::read_dir(&places.state).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        assert!(left.iter().any(|f| f.contains(".damaged-")) && !left.iter().any(|f| f.contains(".new-")), "{left:?}");
    }

    #[test]
    fn many_that_find_it_damaged_at_once_end_with_one_whole_ledger() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::under(home.path());
        std::fs::create_dir_all(&places.state).unwrap();
        std::fs::write(places.state.join("state.db"), "no database at all, and longer than a header; ".repeat(40)).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let store = Store::open(&places).unwrap();
                    assert!(store.shared, "{:?}", store.note);
                    store.fill(&[receipt()]).unwrap();
                    store.settle(None, &["day:x".into()], &receipt().1, &[]).unwrap();
                });
            }
        });
        assert_eq!(Store::open(&places).unwrap().totals("day:x").unwrap().spent, Nanos(9 * 7));
    }
}
