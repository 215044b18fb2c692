//! The folder in which the checkpoints of one workspace are kept, and putting it in order after a crash.

use super::blobs::{Blobs, Durable};
use super::caches::Caches;
use super::capture::{self, Limits, Source};
use super::change::{self, Change};
use super::git_index::GitIndex;
use super::git_objects;
use super::history;
use super::index::Index;
use super::node::{self, Content, Hex, Node, Why};
use super::rel::Rel;
use super::step::{State, Step, Steps};
use super::walk::{self, WalkError};
use crate::base::lock::FileLock;
use crate::base::{atomic, clock, digest};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long another pup that walks or undoes is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Steps older than this are cleared away.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// How often that is looked at.
const CLEARED: Duration = Duration::from_hours(24);

/// Why there is no checkpoint, or nothing was undone.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{0}")]
    Walk(#[from] WalkError),
    #[error("another pup is busy with the checkpoints of this folder")]
    Busy,
    #[error("a step is under way here: {0}")]
    Running(String),
    #[error("cannot keep checkpoints in {}: {error}", .folder.display())]
    Io { folder: PathBuf, error: io::Error },
}

/// The store of one workspace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub root: PathBuf,
    pub folder: PathBuf,
    /// Pup's state, which is no part of the project even where it lies inside.
    pub own: PathBuf,
    pub blobs: Blobs,
    pub steps: Steps,
    pub limits: Limits,
}

impl Store {
    /// `root` is canonical; `state` is pup's state folder. Nothing is made before something is kept.
    pub fn new(root: &Path, state: &Path, limits: Limits) -> Self {
        let folder = state.join("checkpoints").join(digest::short(root.as_os_str().as_encoded_bytes(), 16));
        let own = state.canonicalize().unwrap_or_else(|_| state.to_owned());
        let (blobs, steps) = (Blobs::new(folder.join("blobs")), Steps::new(folder.join("steps")));
        Self { root: root.to_owned(), folder, own, blobs, steps, limits }
    }

    pub fn failed(&self, error: io::Error) -> StoreError {
        StoreError::Io { folder: self.folder.clone(), error }
    }

    /// Whether anything was ever kept here.
    pub fn exists(&self) -> bool {
        self.folder.is_dir()
    }

    /// Makes it the caller's own, and puts it in order. `mine` is a step that the caller has under way.
    pub fn take(&self, mine: Option<u64>) -> Result<(FileLock, Vec<String>), StoreError> {
        self.lay_out().map_err(|e| self.failed(e))?;
        let lock = FileLock::take(&self.folder.join("lock"), PATIENCE).map_err(|e| self.failed(e))?.ok_or(StoreError::Busy)?;
        let notes = self.recover(mine).map_err(|e| self.failed(e))?;
        Ok((lock, notes))
    }

    /// File contents are nobody else's to read.
    fn lay_out(&self) -> io::Result<()> {
        if self.steps.folder().is_dir() {
            return Ok(());
        }
        fs::create_dir_all(self.steps.folder())?;
        #[cfg(unix)]
        fs::set_permissions(&self.folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        atomic::write(&self.folder.join("root"), self.root.as_os_str().as_encoded_bytes(), true)
    }

    pub fn index_path(&self) -> PathBuf {
        self.folder.join("index")
    }

    /// Walks the tree and keeps what changed since `old`.
    pub fn walk(&self, old: &Index, stopped: &dyn Fn() -> bool) -> Result<Index, StoreError> {
        let began = node::now();
        let git = GitIndex::read(&self.root);
        let caches = git.as_ref().map_or_else(Caches::default, |g| Caches::new(g.files.keys()));
        let found = walk::walk(&self.root, &caches, &self.own, self.limits.files)?;
        let from = Source { root: &self.root, blobs: &self.blobs, git: git.as_ref(), limits: self.limits, began };
        Ok(capture::capture(found, old, &from, stopped))
    }

    /// What stands at each path now, kept as safely as what is about to be overwritten must be.
    pub fn look(&self, paths: impl IntoIterator<Item = Rel>, durable: Durable) -> BTreeMap<Rel, Option<Node>> {
        let look = |rel: Rel| {
            let node = capture::look(&self.root, &rel, &self.blobs, self.limits, durable);
            (rel, node)
        };
        paths.into_iter().map(look).collect()
    }

    /// The changes from one state to the next, with every content in the store's own hands.
    pub fn changes(&self, before: &Index, after: &Index) -> Result<Vec<Change>, StoreError> {
        let mut changes = change::between(before, after);
        let objects = change::objects(&changes);
        let copies = git_objects::copy(&self.root, &objects, &self.blobs);
        let copies = copies.inspect_err(|e| tracing::warn!(%e, "git does not give its objects")).unwrap_or_default();
        change::pin(&mut changes, &copies);
        Ok(changes)
    }

    /// Ends a step: its record, or none where nothing was changed.
    pub fn close(&self, step: Step, changes: Vec<Change>, cut: bool) -> io::Result<Option<Step>> {
        if changes.is_empty() {
            self.steps.remove(step.id);
            return Ok(None);
        }
        let step = Step { state: State::Done { changes, cut }, ..step };
        self.steps.put(&step)?;
        self.steps.closed(step.id);
        Ok(Some(step))
    }

    /// The changes of a step over paths that were known beforehand.
    pub fn changes_at(&self, paths: BTreeMap<Rel, Option<Node>>) -> Vec<Change> {
        let now = self.look(paths.keys().cloned(), Durable::No);
        let change = |(path, before): (Rel, Option<Node>)| {
            let after = now.get(&path).cloned().flatten();
            (before != after).then_some(Change { path, before, after })
        };
        paths.into_iter().filter_map(change).collect()
    }

    /// Finishes an undo that was cut off, and the records of steps whose process is gone.
    fn recover(&self, mine: Option<u64>) -> io::Result<Vec<String>> {
        let mut notes = history::finish(self)?;
        for step in self.steps.all().into_iter().filter(|s| Some(s.id) != mine) {
            let State::Open { paths } = &step.state else { continue };
            let Some(_owned) = FileLock::take(&self.steps.lock(step.id), Duration::from_millis(20))? else { continue };
            let changes = match paths {
                Some(paths) => Ok(self.changes_at(paths.clone())),
                None => self.changes_since(&self.steps.before(step.id)),
            };
            match changes {
                Ok(changes) => {
                    let id = step.id;
                    if self.close(step, changes, true)?.is_some() {
                        notes.push(format!("checkpoint {id} was cut off; what was changed until now counts as its own"));
                    }
                }
                Err(e) => {
                    notes.push(format!("checkpoint {} was cut off, and what it changed cannot be told: {e}", step.id));
                    self.steps.remove(step.id);
                }
            }
        }
        Ok(notes)
    }

    fn changes_since(&self, before: &Path) -> Result<Vec<Change>, StoreError> {
        let gone = || self.failed(io::Error::new(io::ErrorKind::NotFound, "the state before it is lost"));
        let before = Index::load(before).ok_or_else(gone)?;
        let after = self.walk(&before, &|| false)?;
        self.changes(&before, &after)
    }

    /// Once a day: steps that are too old go, and contents that nothing names. The caller has the store.
    pub fn clear_up(&self, index: &Index) {
        let mark = self.folder.join("cleared");
        let fresh = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).is_ok_and(|t| t.elapsed().is_ok_and(|age| age < CLEARED));
        if fresh(&mark) {
            return;
        }
        let oldest = clock::rfc3339(clock::unix_ms().saturating_sub(clock::millis(KEPT)));
        let mut named: HashSet<Hex<32>> = HashSet::new();
        let mut open = false;
        for step in self.steps.all() {
            open |= matches!(step.state, State::Open { .. });
            if step.time < oldest && !matches!(step.state, State::Open { .. }) {
                self.steps.remove(step.id);
            } else {
                named.extend(step.changes().iter().flat_map(|c| [&c.before, &c.after]).flatten().filter_map(stored));
            }
        }
        // An open step names contents that its record does not have yet.
        if !open {
            named.extend(index.entries.iter().filter_map(|(_, e)| stored(&e.node)));
            for (path, name) in self.blobs.files() {
                if !name.is_some_and(|n| named.contains(&n)) && !fresh(&path) {
                    let _ = fs::remove_file(path);
                }
            }
        }
        let _ = fs::write(mark, "");
    }
}

fn stored(node: &Node) -> Option<Hex<32>> {
    if let Node::File { content: Content::Stored(name), .. } = node { Some(*name) } else { None }
}

/// What is not covered, with the largest first: for people.
pub fn uncovered(index: &Index) -> Vec<(Rel, Why, u64)> {
    let mut all: Vec<(Rel, Why, u64)> =
        index.unkept().filter(|(_, why, _)| !matches!(why, Why::Git | Why::Pup)).map(|(r, w, s)| (r.clone(), w, s)).collect();
    all.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    all
}
