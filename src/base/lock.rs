//! A lock between processes: a file whose lock is the system's own, so that it ends with its holder, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How far apart a lock is tried that is held.
const PAUSE: Duration = Duration::from_millis(10);

/// Held until it is dropped.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock at `path`, which is made where it is missing, as is its folder. `None` if somebody else has it for
    /// longer than `patience`. On a file system that has no locks it is had at once: working without beats not working.
    pub fn take(path: &Path, patience: Duration) -> io::Result<Option<Self>> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(Some(Self { file })),
                Err(TryLockError::WouldBlock) if began.elapsed() >= patience => return Ok(None),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            }
        }
    }
}

impl FileLock {
    /// What the file says, for people: who holds the lock.
    pub fn label(&mut self, text: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all(text.as_bytes())
    }
}

impl Drop for FileLock {
    /// Closing the file is not enough: a process that is being started holds a copy of it for a moment.
    fn drop(&mut self) {
        // The system releases it at the latest when the process ends.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_the_next_when_it_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new folder").join("lock");
        let first = FileLock::take(&path, Duration::ZERO).unwrap().expect("nobody has it");
        assert!(FileLock::take(&path, Duration::from_millis(30)).unwrap().is_none());
        let waiter = std::thread::spawn({
            let path = path.clone();
            move || FileLock::take(&path, Duration::from_secs(20)).unwrap().is_some()
        });
        drop(first);
        assert!(waiter.join().unwrap());
    }
}
