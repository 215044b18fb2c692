//! Checkpoints around the steps of a session: what there is before a step is kept before it, and what it changed is told
//! after it. Everything here blocks, and belongs on a thread that may.

use super::blobs::Durable;
use super::index::Index;
use super::node::{Stat, Why};
use super::rel::Rel;
use super::step::{About, State, Step};
use super::store::{Store, StoreError, uncovered};
use crate::base::clock;
use crate::base::lock::FileLock;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a step may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// These files, and folders on the way to them.
    Paths(Vec<PathBuf>),
    /// Anything.
    Tree,
}

/// A state that is so fresh is also the one before the next step.
const FRESH: Duration = Duration::from_millis(20);

/// Keeps the checkpoints of one session.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    memory: Mutex<Memory>,
    stopped: AtomicBool,
}

#[derive(Debug, Default)]
struct Memory {
    /// The tree as it was walked last.
    index: Option<Arc<Index>>,
    /// When that walk began, if no step has begun since.
    walked: Option<Instant>,
    /// The marks of the file that it was saved in: another pup may have saved another one since.
    saved: Option<Stat>,
    /// What is not covered was told.
    told: bool,
}

/// A step under way.
#[derive(Debug)]
pub struct Open {
    step: Step,
    before: Option<Arc<Index>>,
    _lock: FileLock,
}

impl Open {
    pub const fn id(&self) -> u64 {
        self.step.id
    }
}

/// A begun step, and what a person should know.
#[derive(Debug)]
pub struct Begun {
    pub open: Open,
    pub notes: Vec<String>,
}

impl Keeper {
    pub fn new(store: Store) -> Self {
        Self { store, memory: Mutex::default(), stopped: AtomicBool::new(false) }
    }

    /// Ends the reading of contents that nobody waits for.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps everything now, so that little is left to do before the first command.
    pub fn warm(&self) -> Result<(), StoreError> {
        let mut memory = self.memory();
        let (_lock, _) = self.store.take(None)?;
        let index = self.walk(&mut memory, &|| self.stopped.load(Ordering::Relaxed))?;
        self.store.clear_up(&index);
        Ok(())
    }

    /// Walks, remembers, and saves where that differs from what was saved.
    fn walk(&self, memory: &mut Memory, stopped: &dyn Fn() -> bool) -> Result<Arc<Index>, StoreError> {
        let path = self.store.index_path();
        let marks = || path.symlink_metadata().ok().map(|m| Stat::of(&m));
        if memory.index.is_none() {
            let index = Index::load(&path).unwrap_or_default();
            memory.index = Some(Arc::new(index));
            memory.saved = marks();
        }
        let old = memory.index.take().unwrap_or_default();
        let began = Instant::now();
        let new = self.store.walk(&old, stopped)?;
        if new != *old || memory.saved.is_none() || memory.saved != marks() {
            new.save(&path).map_err(|e| self.store.failed(e))?;
            memory.saved = marks();
        }
        let index = Arc::new(new);
        memory.index = Some(Arc::clone(&index));
        memory.walked = Some(began);
        Ok(index)
    }

    /// Keeps what the step may destroy. The step begins when this has returned.
    pub fn begin(&self, about: About, scope: &Scope) -> Result<Begun, StoreError> {
        self.open(about, scope, FRESH)
    }

    /// The same right behind a step that has just ended, while something goes on changing files: what is changed between the
    /// two is the new one's, since it begins with the state that the other ended with.
    pub fn follow(&self, about: About, scope: &Scope) -> Result<Begun, StoreError> {
        self.open(about, scope, Duration::MAX)
    }

    fn open(&self, about: About, scope: &Scope, fresh: Duration) -> Result<Begun, StoreError> {
        let mut memory = self.memory();
        // A step makes every earlier walk stale, also one whose files are known beforehand.
        let walked = memory.walked.take();
        let (_store_lock, mut notes) = self.store.take(None)?;
        let failed = |e| self.store.failed(e);
        let id = self.store.steps.next().map_err(failed)?;
        let lock = FileLock::take(&self.store.steps.lock(id), Duration::ZERO).map_err(failed)?.ok_or(StoreError::Busy)?;
        let time = clock::rfc3339(clock::unix_ms());
        let (paths, before) = match scope {
            Scope::Paths(paths) => (Some(self.store.look(self.concerned(paths), Durable::No)), None),
            Scope::Tree => {
                let known = walked.filter(|began| began.elapsed() <= fresh).and(memory.index.clone());
                let index = known.map_or_else(|| self.walk(&mut memory, &|| false), Ok)?;
                let (saved, beside) = (self.store.index_path(), self.store.steps.before(id));
                fs::hard_link(&saved, &beside).or_else(|_| fs::copy(&saved, &beside).map(|_| ())).map_err(failed)?;
                if !std::mem::replace(&mut memory.told, true) {
                    notes.extend(told(&index));
                }
                (None, Some(index))
            }
        };
        let step = Step { id, time, about, state: State::Open { paths } };
        self.store.steps.put(&step).map_err(failed)?;
        Ok(Begun { open: Open { step, before, _lock: lock }, notes })
    }

    /// Tells what the step changed; `None` where it changed nothing.
    pub fn end(&self, open: Open) -> Result<Option<Step>, StoreError> {
        let Open { step, before, _lock } = open;
        let mut memory = self.memory();
        let (_store_lock, _) = self.store.take(Some(step.id))?;
        let changes = match (&step.state, before) {
            (State::Open { paths: Some(paths) }, _) => self.store.changes_at(paths.clone()),
            (_, Some(before)) => {
                let after = self.walk(&mut memory, &|| false)?;
                self.store.changes(&before, &after)?
            }
            (_, None) => Vec::new(),
        };
        self.store.close(step, changes, false).map_err(|e| self.store.failed(e))
    }

    /// The files themselves and the folders on the way that are not there yet.
    fn concerned(&self, paths: &[PathBuf]) -> BTreeSet<Rel> {
        let files = paths.iter().filter_map(|path| Rel::of(path, &self.store.root));
        files
            .flat_map(|rel| {
                let missing: Vec<Rel> = rel.ancestors().take_while(|f| f.under(&self.store.root).symlink_metadata().is_err()).collect();
                missing.into_iter().chain([rel])
            })
            .collect()
    }
}

/// What a person should know of the gaps before the first command. Caches are left out by design, and not worth a word.
fn told(index: &Index) -> Option<String> {
    let gaps: Vec<_> = uncovered(index).into_iter().filter(|(_, why, _)| !matches!(why, Why::Cache | Why::Special)).collect();
    let names: Vec<String> = gaps.iter().take(3).map(|(rel, why, _)| format!("{rel} ({})", why.as_str())).collect();
    let more = gaps.len().saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more; `pup checkpoints` lists them") } else { String::new() };
    (!gaps.is_empty()).then(|| format!("undo cannot bring back {}{more}", names.join(", ")))
}
