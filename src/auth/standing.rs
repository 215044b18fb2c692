//! How keys stand: which of them are left alone, until when and why, and which one was used last. `<state>/keys.json`, so
//! that a new process does not find out again what the last one did. No secret is in there.
//!
//! Several processes write it. Each keeps what it wants changed and, under a lock, applies that to what the file says by
//! then; so nobody's marks are lost. Losing the whole file costs a few refused requests and nothing else: so it is never
//! a reason not to work; a damaged file is set aside, and that is said.

use crate::base::clock::{millis, unix_ms};
use crate::base::lock::FileLock;
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Failure, atomic, text};
use crate::model::{Class, ProviderError, Scope};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const VERSION: u64 = 1;
/// How long another process may hold the lock, in the middle of a run and for a command that is about this file.
const HURRY: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(10);
/// How often what can wait is written.
const PAUSE: Duration = Duration::from_secs(1);
/// A mark that ended this long ago says nothing any more, not even how many there were in a row.
const STALE: Duration = Duration::from_hours(24);
/// The most that is kept of what a provider said.
const MESSAGE: usize = 200;

/// Which key is meant. Its label names it; the print tells whether it still is the one that was marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyId {
    pub provider: String,
    pub label: String,
    pub print: String,
}

/// Why a key is left alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Milliseconds since 1970.
    pub at: u64,
    /// Milliseconds; none: until somebody mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<u64>,
    /// How many there were without a success in between.
    #[serde(default)]
    pub in_a_row: u32,
    pub error: ProviderError,
}

impl Mark {
    /// Where it ends; none: not by itself.
    pub fn until(&self) -> Option<u64> {
        self.lasts.map(|l| self.at.saturating_add(l))
    }

    /// How long it holds from `now` on. A clock that was set back makes nothing longer than it was meant to be.
    pub fn left(&self, now: u64) -> Option<Duration> {
        self.lasts.map(|l| Duration::from_millis(self.at.saturating_add(l).saturating_sub(now).min(l)))
    }

    fn is_over(&self, now: u64) -> bool {
        self.left(now).is_some_and(|l| l.is_zero())
    }

    fn outlasts(&self, other: &Self, now: u64) -> bool {
        match (self.left(now), other.left(now)) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(a), Some(b)) => a > b,
        }
    }
}

/// How a key stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    Ready,
    Cooling(Mark),
    Disabled(Mark),
}

/// What is known of one key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Marks {
    print: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Mark>,
    /// For one model alone, by the provider's name of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Mark>,
}

/// Something that is held against a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Against {
    pub provider: String,
    pub label: String,
    /// The provider's name of the one model that it is about, if it is.
    pub model: Option<String>,
    /// None: for good.
    pub lasts: Option<Duration>,
    pub error: ProviderError,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Account {
    /// Label of the key that was used last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    keys: BTreeMap<String, Marks>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Book {
    v: u64,
    #[serde(default)]
    providers: BTreeMap<String, Account>,
}

impl Default for Book {
    fn default() -> Self {
        Self { v: VERSION, providers: BTreeMap::new() }
    }
}

/// Something that became known.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// This key was used.
    Used(KeyId),
    /// The key is to be left alone, for all models or for one.
    Marked { key: KeyId, model: Option<String>, mark: Mark },
    /// It answered for this model.
    Answered { key: KeyId, model: String },
    /// Nothing is held against it any more.
    Forgotten { provider: String, label: String },
}

impl Book {
    fn marks(&self, key: &KeyId) -> Option<&Marks> {
        self.providers.get(&key.provider)?.keys.get(&key.label).filter(|m| m.print == key.print)
    }

    fn apply(&mut self, change: &Change, now: u64) {
        match change {
            Change::Used(key) => self.providers.entry(key.provider.clone()).or_default().last = Some(key.label.clone()),
            Change::Marked { key, model, mark } => {
                let marks = self.providers.entry(key.provider.clone()).or_default().keys.entry(key.label.clone()).or_default();
                if marks.print != key.print {
                    *marks = Marks { print: key.print.clone(), ..Marks::default() };
                }
                let slot = match model {
                    None => &mut marks.key,
                    Some(model) => {
                        let old = marks.models.get(model);
                        if old.is_none_or(|old| !old.outlasts(mark, now)) {
                            marks.models.insert(model.clone(), mark.clone());
                        }
                        return;
                    }
                };
                if slot.as_ref().is_none_or(|old| !old.outlasts(mark, now)) {
                    *slot = Some(mark.clone());
                }
            }
            Change::Answered { key, model } => {
                if let Some(marks) = self.providers.get_mut(&key.provider).and_then(|a| a.keys.get_mut(&key.label)) {
                    marks.key = None;
                    marks.models.remove(model);
                }
            }
            Change::Forgotten { provider, label } => {
                if let Some(account) = self.providers.get_mut(provider) {
                    account.keys.remove(label);
                }
            }
        }
    }

    fn prune(&mut self, now: u64) {
        let stale = |m: &Mark| m.until().is_some_and(|end| end.saturating_add(millis(STALE)) < now);
        for account in self.providers.values_mut() {
            for marks in account.keys.values_mut() {
                marks.key = marks.key.take().filter(|m| !stale(m));
                marks.models.retain(|_, m| !stale(m));
            }
            account.keys.retain(|_, m| m.key.is_some() || !m.models.is_empty());
        }
        self.providers.retain(|_, a| a.last.is_some() || !a.keys.is_empty());
    }
}

/// How all keys stand.
#[derive(Debug)]
pub struct Standings {
    path: PathBuf,
    redactor: Redactor,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    book: Book,
    pending: Vec<Change>,
    /// Of the file when it was read.
    stamp: Option<(SystemTime, u64)>,
    written: Option<Instant>,
    /// The file is of a newer pup: it stays as it is.
    foreign: bool,
    /// What a person should know of the file.
    note: Option<String>,
}

impl Standings {
    /// Reads the file. `redactor` knows the secrets that a provider may repeat when it complains.
    pub fn load(places: &Places, redactor: &Redactor) -> Self {
        let all = Self { path: places.state.join("keys.json"), redactor: redactor.clone(), inner: Mutex::default() };
        all.reload();
        all
    }

    /// Takes in what other processes have found out.
    pub fn reload(&self) {
        let stamp = stamp(&self.path);
        let mut inner = self.inner();
        inner.stamp = stamp;
        match read(&self.path) {
            Ok(book) => {
                inner.book = book;
                let Inner { book, pending, .. } = &mut *inner;
                for change in &*pending {
                    book.apply(change, unix_ms());
                }
            }
            Err(Trouble::Damaged(line)) => {
                inner.book = Book::default();
                let shown = self.path.display();
                inner.note = match self.set_aside() {
                    Ok(Some(aside)) => {
                        Some(format!("{shown} was damaged (line {line}) and is now {}; how keys fared is found out again", aside.display()))
                    }
                    // Another process has said so.
                    Ok(None) => None,
                    Err(e) => Some(format!("{shown} is damaged (line {line}) and cannot be set aside ({e}): remove it")),
                };
            }
            Err(Trouble::Newer) => {
                inner.foreign = true;
                inner.note = Some(format!("{} was written by a newer pup: what is found out of keys is not kept", self.path.display()));
            }
            Err(Trouble::Io(e)) => inner.note = Some(format!("{} cannot be read: {e}", self.path.display())),
        }
    }

    /// What a person should know of the file.
    pub fn note(&self) -> Option<String> {
        self.inner().note.clone()
    }

    /// Moves a damaged file out of the way; where it is then. None where somebody else did so meanwhile.
    fn set_aside(&self) -> io::Result<Option<PathBuf>> {
        let _lock = FileLock::take(&self.path.with_extension("lock"), HURRY)?;
        if !matches!(read(&self.path), Err(Trouble::Damaged(_))) {
            return Ok(None);
        }
        let aside = self.path.with_extension(format!("json.damaged-{}", unix_ms()));
        std::fs::rename(&self.path, &aside).map(|()| Some(aside))
    }

    /// Takes in what other processes have written since the last look; whether there was anything. Costs a look at the
    /// file's time.
    pub fn heard(&self) -> bool {
        let stamp = stamp(&self.path);
        if self.inner().stamp == stamp {
            return false;
        }
        self.reload();
        true
    }

    /// How the key stands now.
    pub fn of(&self, key: &KeyId) -> Standing {
        let now = unix_ms();
        match self.inner().book.marks(key).and_then(|m| m.key.clone()) {
            Some(mark) if mark.lasts.is_none() => Standing::Disabled(mark),
            Some(mark) if !mark.is_over(now) => Standing::Cooling(mark),
            _ => Standing::Ready,
        }
    }

    /// Everything that is held against the key, what is over included: it says how often in a row.
    pub fn marks(&self, key: &KeyId) -> Marks {
        self.inner().book.marks(key).cloned().unwrap_or_default()
    }

    /// Everything that is held against keys now.
    pub fn all(&self, now: u64) -> Vec<Against> {
        let inner = self.inner();
        let mut all = Vec::new();
        for (provider, account) in &inner.book.providers {
            for (label, marks) in &account.keys {
                let models = marks.models.iter().map(|(model, mark)| (Some(model.clone()), mark));
                let held = marks.key.iter().map(|mark| (None, mark)).chain(models).filter(|(_, mark)| !mark.is_over(now));
                all.extend(held.map(|(model, mark)| Against {
                    provider: provider.clone(),
                    label: label.clone(),
                    model,
                    lasts: mark.left(now),
                    error: mark.error.clone(),
                }));
            }
        }
        all
    }

    /// Label of the provider's key that was used last.
    pub fn last(&self, provider: &str) -> Option<String> {
        self.inner().book.providers.get(provider)?.last.clone()
    }

    /// Takes in what a process at work found out, and writes it: at once where other processes should know, else with the
    /// next such change, after a second, or at the end. Where it cannot be written, only this process knows it.
    pub fn learn(&self, change: Change) {
        let change = self.clean(change);
        let mut inner = self.inner();
        let (now, before) = (unix_ms(), inner.book.clone());
        inner.book.apply(&change, now);
        if inner.book == before {
            return;
        }
        let urgent = !matches!(change, Change::Used(_)) || inner.written.is_none_or(|w| w.elapsed() >= PAUSE);
        inner.pending.push(change);
        if urgent {
            self.write(&mut inner, HURRY).unwrap_or_else(|e| tracing::debug!(failure = e.message, "what is known of keys is not written"));
        }
    }

    /// The same for a command whose purpose it is: fails where it cannot be written.
    pub fn set(&self, change: Change) -> Result<(), Failure> {
        let mut inner = self.inner();
        inner.book.apply(&change, unix_ms());
        inner.pending.push(change);
        self.write(&mut inner, PATIENCE)
    }

    fn write(&self, inner: &mut Inner, patience: Duration) -> Result<(), Failure> {
        // Before the attempt: what fails is not tried again for every call.
        inner.written = Some(Instant::now());
        if inner.foreign {
            return Err(Failure::config(format!("{} was written by a newer pup", self.path.display()))
                .hint("use that pup, or remove the file: it holds nothing but how keys fared"));
        }
        let path = self.path.with_extension("lock");
        let lock = FileLock::take(&path, patience).map_err(|e| Failure::io("lock", &path, &e))?;
        let Some(_lock) = lock else {
            return Err(Failure::config(format!("another pup process holds {}", path.display())).hint("wait for it, or end it"));
        };
        let now = unix_ms();
        let old = match read(&self.path) {
            Ok(book) => book,
            Err(Trouble::Damaged(_)) => Book::default(),
            Err(Trouble::Newer) => {
                inner.foreign = true;
                return Err(Failure::config(format!("{} was written by a newer pup", self.path.display())));
            }
            Err(Trouble::Io(e)) => return Err(Failure::io("read", &self.path, &e)),
        };
        let mut book = old.clone();
        for change in &inner.pending {
            book.apply(change, now);
        }
        if book == old {
            inner.pending.clear();
            inner.book = book;
            return Ok(());
        }
        book.prune(now);
        let json = serde_json::to_string_pretty(&book).map_err(|e| Failure::internal(e.to_string()))?;
        atomic::write(&self.path, (json + "\n").as_bytes(), true).map_err(|e| Failure::io("write", &self.path, &e))?;
        inner.pending.clear();
        inner.book = book;
        Ok(())
    }

    /// Without what a provider repeated of a key, and no longer than a person reads.
    fn clean(&self, change: Change) -> Change {
        match change {
            Change::Marked { key, model, mut mark } => {
                mark.error.message = text::one_line(&self.redactor.redact(&mark.error.message), MESSAGE);
                mark.error.request_id = None;
                mark.error.code = mark.error.code.map(|c| text::one_line(&self.redactor.redact(&c), MESSAGE));
                Change::Marked { key, model, mark }
            }
            other => other,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Standings {
    fn drop(&mut self) {
        let mut inner = self.inner();
        if !inner.pending.is_empty() {
            // Whoever ends does not wait; what is lost is which key comes next.
            let _ = self.write(&mut inner, HURRY);
        }
    }
}

enum Trouble {
    Newer,
    /// In this line.
    Damaged(usize),
    Io(io::Error),
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// What the file says; nothing where it is not there.
fn read(path: &Path) -> Result<Book, Trouble> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Book::default()),
        Err(e) => return Err(Trouble::Io(e)),
    };
    if serde_json::from_slice::<Version>(&bytes).is_ok_and(|v| v.v > VERSION) {
        return Err(Trouble::Newer);
    }
    serde_json::from_slice(&bytes).map_err(|e| Trouble::Damaged(e.line()))
}

/// Changes with every write of the file, for all that is known: it is replaced, never written in place.
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

/// What a provider's refusal of a key means for it: how long it is left alone. None where the key is not at fault.
pub fn mark(error: &ProviderError, lasts: Option<Duration>, in_a_row: u32) -> Option<Mark> {
    /// Somebody may have paid; asking again costs one refused request.
    const BILLING: Duration = Duration::from_hours(1);
    // What no provider said (the keyring did not open) is no news of the key.
    error.status?;
    let lasts = match error.class {
        Class::Auth | Class::Permission if error.scope == Scope::Key => None,
        Class::Billing => Some(lasts.unwrap_or(BILLING)),
        Class::RateLimit | Class::Quota => Some(lasts?),
        Class::Auth
        | Class::Permission
        | Class::Overloaded
        | Class::Server
        | Class::ContextTooLong
        | Class::BadRequest
        | Class::ContentFilter
        | Class::NotFound
        | Class::Network
        | Class::Timeout => return None,
    };
    Some(Mark { at: unix_ms(), lasts: lasts.map(millis), in_a_row, error: error.clone() })
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
