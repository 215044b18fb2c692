//! What the model knows: each file as it was last read or written by a tool.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Longer texts are known by their digest only.
const LONGEST: usize = 256 * 1024;
/// Bytes of texts that are kept in all.
const MOST: usize = 16 * 1024 * 1024;

#[derive(Debug, Clone)]
struct Known {
    /// SHA-256 of the bytes.
    digest: String,
    body: Option<String>,
}

/// By real path. A file that is not in it was never read.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    files: HashMap<PathBuf, Known>,
    kept: usize,
}

impl Seen {
    /// Remembers that the model knows `path` in the state `digest`, which is the text `body`.
    pub fn note(&mut self, path: &Path, digest: String, body: &str) {
        self.forget(path);
        if self.kept + body.len() > MOST {
            self.files.values_mut().for_each(|known| known.body = None);
            self.kept = 0;
        }
        let body = (body.len() <= LONGEST).then(|| body.to_owned());
        self.kept += body.as_ref().map_or(0, String::len);
        self.files.insert(path.to_path_buf(), Known { digest, body });
    }

    /// Forgets a file, e.g. one that was deleted.
    pub fn forget(&mut self, path: &Path) {
        if let Some(Known { body: Some(body), .. }) = self.files.remove(path) {
            self.kept = self.kept.saturating_sub(body.len());
        }
    }

    /// Whether the model read `path` and it is now another than it read.
    pub fn is_stale(&self, path: &Path, digest_now: &str) -> bool {
        self.files.get(path).is_some_and(|known| known.digest != digest_now)
    }

    /// The text that the model read, where it is kept.
    pub fn body(&self, path: &Path) -> Option<&str> {
        self.files.get(path)?.body.as_deref()
    }
}
