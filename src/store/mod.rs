//! Row 3: what several processes share. A SQLite database in the state folder, in WAL mode: every process sees what the
//! others wrote, and a reader never waits for a writer.
//!
//! What is in it can be lost without losing work: cooldowns and windows come back by themselves, receipts are in the
//! journals too. So a database that is damaged is set aside and made anew, and where none can be kept (a read-only home, a
//! full disk, a newer version's file) there is one in memory for the process alone. Either is said ([`Store::note`]).
//! A receipt that cannot be written is owed ([`owed`]).

mod costs;
mod desk;
mod ledger;
mod mend;
mod owed;
mod state;

pub use costs::{By, Spent, Unusual};
pub use desk::Desk;
pub use ledger::{Cap, Claim, Granted, Over, Owner, Receipt, Refusal, Totals};
pub use state::{Cursor, Entry, News, Used, Wins};

use crate::base::Failure;
use crate::base::atomic::FileId;
use crate::base::places::Places;
use owed::Owed;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The version of the tables. A database of a newer one is left alone.
const VERSION: i64 = 1;

/// How long one process waits for another's write. Writes take well under a millisecond.
const BUSY: Duration = Duration::from_secs(3);

const TABLES: &str = include_str!("tables.sql");

/// The shared state. Its methods take microseconds to a millisecond and may be called from async code.
#[derive(Debug)]
pub struct Store {
    connection: Mutex<Connection>,
    /// What a person should know: why nothing is shared, or what was lost.
    pub note: Option<String>,
    /// Whether other processes see what this one writes, and it outlives the process.
    pub shared: bool,
    /// It stands in the place of a damaged one, and the ledger of that is not in here: see [`Store::fill`].
    pub lost: bool,
    /// Where it is, if it outlives the process.
    file: Option<Place>,
    /// Which of the stores that this process opened it is.
    number: u64,
    /// Found damaged, or another one's place, after it was opened.
    spoiled: AtomicBool,
    owed: Mutex<Vec<Owed>>,
}

/// Where a database is, and which file was there when it was opened.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    id: Option<FileId>,
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    /// Its bytes are wrong; another one can stand in its place.
    #[error("it is damaged ({0})")]
    Damaged(rusqlite::Error),
    #[error("it was written by a newer pup (version {0}; this one knows {VERSION})")]
    Newer(i64),
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Store {
    /// Opens, or makes, `state.db`. Where that cannot be, [`Store::note`] says why, and nothing is shared.
    pub fn open(places: &Places) -> Result<Self, Failure> {
        let path = places.state.join("state.db");
        match file(&path) {
            Ok(connection) => Self::lasting(&path, connection, None),
            Err(Unusable::Damaged(why)) => Self::anew(&path, &why),
            Err(why) => {
                Self::in_memory(Some(format!("{} cannot be used: {why}; limits and costs are kept for this run only", path.display())))
            }
        }
    }

    /// One that nobody shares and that ends with the process.
    pub fn in_memory(note: Option<String>) -> Result<Self, Failure> {
        let connection = Connection::open_in_memory().and_then(|c| c.execute_batch(TABLES).map(|()| c));
        connection.map(|c| Self::with(c, note, false)).map_err(|e| Failure::internal(format!("no database in memory: {e}")))
    }

    fn with(connection: Connection, note: Option<String>, shared: bool) -> Self {
        static OPENED: AtomicU64 = AtomicU64::new(1);
        Self {
            connection: Mutex::new(connection),
            note,
            shared,
            lost: false,
            file: None,
            number: OPENED.fetch_add(1, Relaxed),
            spoiled: AtomicBool::new(false),
            owed: Mutex::default(),
        }
    }

    /// One that other processes see.
    fn lasting(path: &Path, connection: Connection, note: Option<String>) -> Result<Self, Failure> {
        match mend::lost(&connection) {
            Ok(lost) => {
                let file = Some(Place { path: path.to_owned(), id: file_id(path) });
                let mut store = Self::with(connection, note, true);
                (store.lost, store.file) = (lost, file);
                store.take_owed_up();
                Ok(store)
            }
            Err(e) => Self::in_memory(Some(format!("the shared state cannot be read: {e}; limits and costs are kept for this run only"))),
        }
    }

    fn anew(path: &Path, why: &rusqlite::Error) -> Result<Self, Failure> {
        match mend::replace(path) {
            Ok((connection, aside)) => {
                let moved =
                    |aside: &Path| format!("{} was damaged ({why}) and is now {}; a new one was made", path.display(), aside.display());
                Self::lasting(path, connection, aside.as_deref().map(moved))
            }
            Err(e) => Self::in_memory(Some(format!("{} is damaged and cannot be replaced: {e}", path.display()))),
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic in the middle of a transaction rolls it back when its guard is dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, what: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        self.watched(|connection| what(connection))
    }

    /// Changes all of it, or nothing; what is owed first.
    fn change<T>(&self, what: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let mut owed = self.owed();
        let done = self.watched(|connection| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            owed.iter().try_for_each(|one| one.pay(&change))?;
            let done = what(&change)?;
            change.commit()?;
            Ok(done)
        })?;
        owed.clear();
        Ok(done)
    }

    /// Sees whether it is damaged, or no longer the one that others use: whoever opens it next gets another.
    fn watched<T>(&self, what: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let moved = self.file.as_ref().is_some_and(|f| file_id(&f.path) != f.id);
        let done = if moved { Err(damage("another file stands in its place")) } else { what(&mut self.connection()) };
        if let (Err(e), Some(Place { path, .. })) = (&done, &self.file)
            && is_damage(e)
            && !self.spoiled.swap(true, Relaxed)
            && !moved
        {
            let _ = std::fs::write(mend::suspect(path), "").inspect_err(|e| tracing::debug!(%e, "nobody learns that it is damaged"));
        }
        done
    }

    /// Whether it was found damaged since it was opened. It has to be opened again.
    pub fn is_spoiled(&self) -> bool {
        self.spoiled.load(Relaxed)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.leave_owed();
    }
}

fn file(path: &Path) -> Result<Connection, Unusable> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    private(path)?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    patiently(|| prepare(&mut connection)).map_err(|e| if is_damage(&e) { Unusable::Damaged(e) } else { Unusable::Sql(e) })?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > VERSION {
        return Err(Unusable::Newer(version));
    }
    match mend::examine(path, &connection) {
        Err(e) if is_damage(&e) => Err(Unusable::Damaged(e)),
        _ => Ok(connection),
    }
}

/// Does it again while the database is locked: where a file becomes one in WAL mode, or a killed process's log is read again,
/// `SQLite` says so at once, whatever its busy time-out is.
fn patiently<T>(mut what: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let began = Instant::now();
    loop {
        match what() {
            Err(e) if is_locked(&e) && began.elapsed() < BUSY => std::thread::sleep(Duration::from_millis(5)),
            ended => return ended,
        }
    }
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    // A power cut may cost the last writes, never the database: each of them is in a journal as well.
    connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute_batch(TABLES)?;
        change.pragma_update(None, "user_version", VERSION)?;
        change.commit()?;
    }
    Ok(())
}

/// What accounts and amounts there are is nobody else's business.
#[cfg(unix)]
fn private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(|_| ())
}

#[cfg(not(unix))]
fn private(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn damage(what: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), Some(what.to_owned()))
}

/// Which file is there; where nobody can tell, one that is open cannot be replaced.
fn file_id(path: &Path) -> Option<FileId> {
    FileId::of(&path.metadata().ok()?)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn is_locked(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseBusy, DatabaseLocked, FileLockingProtocolFailed};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked | FileLockingProtocolFailed))
}

fn tailed(path: &Path, tail: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(tail);
    PathBuf::from(name)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
