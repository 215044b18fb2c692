//! What the model knows: the digest of each file as it was last read or written by a tool.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Real path to SHA-256. A file that is not in it was never read.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    files: HashMap<PathBuf, String>,
}

impl Seen {
    /// Remembers that the model knows `path` in the state `digest`.
    pub fn note(&mut self, path: &Path, digest: String) {
        self.files.insert(path.to_path_buf(), digest);
    }

    /// Forgets a file, e.g. one that was deleted.
    pub fn forget(&mut self, path: &Path) {
        self.files.remove(path);
    }

    /// Whether the model read `path` and it is now another than it read.
    pub fn is_stale(&self, path: &Path, digest_now: &str) -> bool {
        self.files.get(path).is_some_and(|known| known != digest_now)
    }
}
