//! The whole output of a command in a file beside its session: clean text, redacted, readable only by the user, up to a limit.

use super::shell_output::Lines;
use crate::base::redact::Redactor;
use crate::base::text;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Bytes of one log; what comes after is only counted.
pub const MAX: u64 = 64 * 1024 * 1024;
const END: &str = "\n[this log ends at 64 MB]\n";

/// The folder of a session's logs. Their numbers go on where an earlier run of the session stopped.
#[derive(Debug)]
pub struct Logs {
    folder: PathBuf,
    last: Mutex<Option<u64>>,
}

impl Logs {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, last: Mutex::default() }
    }

    pub fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.log"))
    }

    /// Begins a log under the next number.
    pub fn create(&self) -> io::Result<Log> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none() {
            make_private(&self.folder)?;
        }
        let number = last.unwrap_or_else(|| self.numbers().max().unwrap_or(0)) + 1;
        let path = self.path(number);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        *last = Some(number);
        Ok(Log { number, path, file, lines: Lines::default(), written: 0, failed: None })
    }

    fn numbers(&self) -> impl Iterator<Item = u64> {
        let entries = self.folder.read_dir().into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().to_str()?.strip_suffix(".log")?.parse().ok())
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

/// One command's log while it is written.
#[derive(Debug)]
pub struct Log {
    pub number: u64,
    pub path: PathBuf,
    file: File,
    lines: Lines,
    written: u64,
    /// Why nothing more is written; the command goes on.
    failed: Option<io::Error>,
}

impl Log {
    pub fn push(&mut self, bytes: &[u8], redactor: &Redactor) {
        if self.written < MAX && self.failed.is_none() {
            let text = self.lines.push(bytes, redactor);
            self.write(&text);
        }
    }

    /// The last line, which may have no end. Whether all of the output is in the log.
    pub fn end(&mut self, redactor: &Redactor) -> bool {
        if self.written < MAX && self.failed.is_none() {
            let text = self.lines.end(redactor);
            self.write(&text);
        }
        self.written < MAX && self.failed.is_none()
    }

    fn write(&mut self, text: &str) {
        let room = usize::try_from(MAX - self.written).unwrap_or(usize::MAX);
        let fits = text::prefix(text, room);
        let mut done = self.file.write_all(fits.as_bytes());
        self.written += fits.len() as u64;
        if fits.len() < text.len() {
            self.written = MAX;
            done = done.and_then(|()| self.file.write_all(END.as_bytes()));
        }
        if let Err(e) = done {
            tracing::warn!(%e, path = %self.path.display(), "the log of a command is not complete");
            self.failed = Some(e);
        }
    }

    /// Nobody needs it.
    pub fn discard(self) {
        // One that stays is harmless.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_log_is_private_numbered_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("commands");
        let redactor = Redactor::default();
        let mut first = Logs::new(folder.clone()).create().unwrap();
        first.push(b"\x1b[31mred\x1b[0m\npart", &redactor);
        assert!(first.end(&redactor));
        assert_eq!(fs::read_to_string(&first.path).unwrap(), "red\npart");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&first.path)), (0o700, 0o600));
        // A later run of the session goes on counting.
        let mut second = Logs::new(folder).create().unwrap();
        assert_eq!((first.number, second.number), (1, 2));
        second.written = MAX - 5;
        second.push(b"0123456789\nmore\n", &redactor);
        second.push(b"gone\n", &redactor);
        assert!(!second.end(&redactor));
        assert_eq!(fs::read_to_string(&second.path).unwrap(), format!("01234{END}"));
        let path = second.path.clone();
        second.discard();
        assert!(!path.exists());
    }
}
