//! One writer a session. The lock is the system's own and ends with the process, however it ends.

use crate::base::Failure;
use crate::base::lock::FileLock;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

/// How long a lock is tried that seems to be held: a process that is being started holds a copy of it for a moment, and so
/// does somebody who asks whether it is held.
const PATIENCE: Duration = Duration::from_millis(200);

/// Held while a journal is open for writing.
#[derive(Debug)]
pub struct Lock {
    _lock: FileLock,
}

impl Lock {
    /// Takes the lock of the session in `folder`, or says which process holds it.
    pub fn take(folder: &Path, id: &str) -> Result<Self, Failure> {
        let path = folder.join("lock");
        let taken = FileLock::take(&path, PATIENCE).map_err(|e| super::journal::failed("open", &path, &e))?;
        let Some(mut lock) = taken else {
            let holder = std::fs::read_to_string(&path).ok().filter(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
            let who = holder.map_or("another process".to_owned(), |pid| format!("process {pid}"));
            return Err(
                Failure::usage(format!("session {id} is in use by {who}")).hint("wait until it ends, or start a session of your own")
            );
        };
        // For people and for the message above; the lock itself does not depend on it.
        let _ = lock.label(&std::process::id().to_string());
        Ok(Self { _lock: lock })
    }

    /// Whether some process has the session in `folder` open for writing.
    pub fn is_held(folder: &Path) -> bool {
        let Ok(file) = File::open(folder.join("lock")) else { return false };
        let held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        // Closing would do, but for a process that is being started and holds a copy for a moment.
        let _ = file.unlock();
        held
    }
}
