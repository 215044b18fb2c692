//! One writer a session. The lock is the system's own and ends with the process, however it ends.

use crate::base::Failure;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// How often, and how far apart, a lock is tried that seems to be held: a process that is being started holds a copy of
/// it for a moment, and so does somebody who asks whether it is held.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// Held while a journal is open for writing.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of the session in `folder`, or says which process holds it.
    pub fn take(folder: &Path, id: &str) -> Result<Self, Failure> {
        let path = folder.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| super::journal::failed("open", &path, &e))?;
        match patiently(|| file.try_lock()) {
            Ok(()) => {
                // For people and for the message below; the lock itself does not depend on it.
                let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
                Ok(Self { file })
            }
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&path).ok().filter(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
                let who = holder.map_or("another process".to_owned(), |pid| format!("process {pid}"));
                Err(Failure::usage(format!("session {id} is in use by {who}")).hint("wait until it ends, or start a session of your own"))
            }
            // Some network file systems have no locks; working without one beats not working.
            Err(TryLockError::Error(_)) => Ok(Self { file }),
        }
    }

    /// Whether some process has the session in `folder` open for writing.
    pub fn is_held(folder: &Path) -> bool {
        let Ok(file) = File::open(folder.join("lock")) else { return false };
        let held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        // Closing would do, but see `drop` below.
        let _ = file.unlock();
        held
    }
}

fn patiently(mut lock: impl FnMut() -> Result<(), TryLockError>) -> Result<(), TryLockError> {
    for _ in 1..TRIES {
        match lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
    lock()
}

impl Drop for Lock {
    /// Closing the file is not enough: a process that is being started holds a copy of it for a moment.
    fn drop(&mut self) {
        // The system releases it at the latest when the process ends.
        let _ = self.file.unlock();
    }
}
