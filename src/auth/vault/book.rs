//! The vault's file: `<state>/vault.json`, mode 0600, replaced as a whole and changed under a lock.

use crate::base::clock::unix_ms;
use crate::base::lock::FileLock;
use crate::base::places::Places;
use crate::base::{Cause, Failure, atomic, digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// The form that this version writes.
const VERSION: u64 = 1;
/// How long another process may take to change the file.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Book {
    v: u64,
    /// Part of every name in the keyring.
    pub scope: String,
    pub entries: BTreeMap<String, Entry>,
}

/// Where the secret of an id is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Entry {
    Keyring,
    File { secret: String },
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Keyring) { "Keyring" } else { "File(...)" })
    }
}

/// Read first, so that a newer form is told from a broken one.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// What stands at the file's place.
enum Found {
    Nothing,
    Book(Book),
    Corrupt(String),
}

/// The place of the file.
#[derive(Debug)]
pub(super) struct Shelf {
    path: PathBuf,
    scope: String,
    notes: Mutex<Vec<String>>,
}

impl Shelf {
    pub fn new(places: &Places) -> Self {
        let scope = digest::sha256(places.state.as_os_str().as_encoded_bytes()).chars().take(8).collect();
        Self { path: places.state.join("vault.json"), scope, notes: Mutex::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is to be said, taken out.
    pub fn notes(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the file says now. A corrupt one is set aside, and the vault is empty.
    pub fn read(&self) -> Result<Book, Failure> {
        match self.look()? {
            Found::Book(book) => Ok(book),
            Found::Nothing => Ok(self.empty()),
            Found::Corrupt(_) => self.read_locked(&self.lock()?),
        }
    }

    /// Changes the file; nobody else's change in between is lost. A change that changes nothing is not written.
    pub fn change(&self, change: impl FnOnce(&mut Book)) -> Result<(), Failure> {
        let lock = self.lock()?;
        let old = self.read_locked(&lock)?;
        let mut new = old.clone();
        change(&mut new);
        if new == old {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(&new).map(Zeroizing::new).map_err(|e| Failure::internal(e.to_string()))?;
        let text = Zeroizing::new(format!("{}\n", *text));
        atomic::write(&self.path, text.as_bytes(), true).map_err(|e| Failure::io("write", &self.path, &e))
    }

    fn read_locked(&self, _: &FileLock) -> Result<Book, Failure> {
        let what = match self.look()? {
            Found::Book(book) => return Ok(book),
            Found::Nothing => return Ok(self.empty()),
            Found::Corrupt(what) => what,
        };
        let mut aside = self.path.clone().into_os_string();
        aside.push(format!(".corrupt-{}", unix_ms()));
        let aside = PathBuf::from(aside);
        std::fs::rename(&self.path, &aside).map_err(|e| Failure::io("set aside the damaged", &self.path, &e))?;
        let note = format!(
            "{} was damaged ({what}) and is now {}; what it held has to be added again (`pup auth list`)",
            self.path.display(),
            aside.display()
        );
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
        Ok(self.empty())
    }

    fn empty(&self) -> Book {
        Book { v: VERSION, scope: self.scope.clone(), entries: BTreeMap::new() }
    }

    fn lock(&self) -> Result<FileLock, Failure> {
        let path = self.path.with_extension("lock");
        FileLock::take(&path, PATIENCE).map_err(|e| Failure::io("lock", &path, &e))?.ok_or_else(|| {
            Failure::config(format!("another pup process has held {} for {} s", path.display(), PATIENCE.as_secs()))
                .hint("wait for it, or end it")
        })
    }

    fn look(&self) -> Result<Found, Failure> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(e) => return Err(Failure::io("read", &self.path, &e)),
        };
        self.refuse_if_public(&file)?;
        let mut bytes = Zeroizing::new(Vec::new());
        file.read_to_end(&mut bytes).map_err(|e| Failure::io("read", &self.path, &e))?;
        match serde_json::from_slice::<Version>(&bytes) {
            Ok(Version { v }) if v > VERSION => {
                let shown = self.path.display();
                Err(Failure::new(
                    Cause::Auth,
                    format!("{shown} was written by a newer pup (version {v} of the file; this one knows {VERSION})"),
                )
                .hint("use that pup, or move the file away and add the keys again"))
            }
            // The parser's own words could repeat what it stumbled over.
            Err(e) => Ok(Found::Corrupt(format!("line {}: not a vault", e.line()))),
            Ok(_) => Ok(match serde_json::from_slice(&bytes) {
                Ok(book) => Found::Book(book),
                Err(e) => Found::Corrupt(format!("line {}: not a vault of version {VERSION}", e.line())),
            }),
        }
    }

    /// A secret that others can read is none any more; the owner has to know.
    fn refuse_if_public(&self, file: &File) -> Result<(), Failure> {
        let about = file.metadata().map_err(|e| Failure::io("read", &self.path, &e))?;
        let Some(mode) = super::open_to_others(&about).filter(|_| about.is_file()) else { return Ok(()) };
        Err(Failure::new(Cause::Auth, format!("{} can be used by others (its mode is {mode:03o})", self.path.display()))
            .hint(format!("{}   (and replace keys that others may have read)", super::chmod(&self.path))))
    }
}
