//! One parallel walk over everything in the workspace: what stands where, by what the system says without reading files.

use super::caches::Caches;
use super::node::{Stat, Why};
use super::rel::Rel;
use ignore::{DirEntry, WalkBuilder, WalkState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What was found at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub rel: Rel,
    pub stat: Stat,
    pub shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    File,
    Link(Box<[u8]>),
    Folder,
    Left(Why),
}

/// Why there is no walk's result.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    #[error("the folder holds more than {0} files")]
    TooMany(usize),
    #[error("cannot look at {}: {error}", .path.display())]
    Root { path: PathBuf, error: std::io::Error },
}

/// Everything under `root`, sorted. `own` is a folder of pup's that is left out where it lies inside.
pub fn walk(root: &Path, caches: &Caches, own: &Path, most: usize) -> Result<Vec<Found>, WalkError> {
    std::fs::read_dir(root).map_err(|error| WalkError::Root { path: root.to_owned(), error })?;
    let all = Mutex::new(Vec::new());
    let count = AtomicUsize::new(0);
    let walker = WalkBuilder::new(root).standard_filters(false).follow_links(false).build_parallel();
    walker.run(|| {
        let mut batch = Batch { found: Vec::new(), all: &all };
        let count = &count;
        Box::new(move |entry| {
            let (found, state) = match entry {
                Ok(entry) if entry.depth() == 0 => return WalkState::Continue,
                Ok(entry) => look(&entry, root, caches, own),
                Err(error) => (unreadable(&error, root), WalkState::Continue),
            };
            batch.found.extend(found);
            if count.fetch_add(1, Ordering::Relaxed) >= most { WalkState::Quit } else { state }
        })
    });
    if count.into_inner() > most {
        return Err(WalkError::TooMany(most));
    }
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.sort_unstable_by(|a, b| a.rel.cmp(&b.rel));
    // A folder that cannot be read is found twice.
    all.dedup_by(|later, first| {
        let same = later.rel == first.rel;
        if same && matches!(later.shape, Shape::Left(_)) {
            std::mem::swap(later, first);
        }
        same
    });
    Ok(all)
}

/// What one thread has found; handed over when the thread is done.
struct Batch<'a> {
    found: Vec<Found>,
    all: &'a Mutex<Vec<Found>>,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut self.found);
    }
}

fn look(entry: &DirEntry, root: &Path, caches: &Caches, own: &Path) -> (Option<Found>, WalkState) {
    let path = entry.path();
    let Some(rel) = Rel::of(path, root) else { return (None, WalkState::Continue) };
    // Gone since its folder was read.
    let Ok(meta) = entry.metadata() else { return (None, WalkState::Skip) };
    let stat = Stat::of(&meta);
    let kind = meta.file_type();
    let (shape, state) = if entry.file_name() == ".git" {
        (Shape::Left(Why::Git), WalkState::Skip)
    } else if kind.is_dir() {
        match folder_left(path, &rel, caches, own) {
            Some(why) => (Shape::Left(why), WalkState::Skip),
            None => (Shape::Folder, WalkState::Continue),
        }
    } else {
        (shape(path, kind), WalkState::Continue)
    };
    (Some(Found { rel, stat, shape }), state)
}

/// What a path that is no folder is.
pub fn shape(path: &Path, kind: std::fs::FileType) -> Shape {
    if kind.is_symlink() {
        match std::fs::read_link(path) {
            Ok(target) => Shape::Link(target.as_os_str().as_encoded_bytes().into()),
            Err(_) => Shape::Left(Why::Unreadable),
        }
    } else if kind.is_file() {
        Shape::File
    } else {
        Shape::Left(Why::Special)
    }
}

/// Why a folder is not looked into, if it is not.
pub fn folder_left(path: &Path, rel: &Rel, caches: &Caches, own: &Path) -> Option<Why> {
    if path == own { Some(Why::Pup) } else { caches.holds(path, rel).then_some(Why::Cache) }
}

fn unreadable(error: &ignore::Error, root: &Path) -> Option<Found> {
    let kind = error.io_error().map(std::io::Error::kind);
    if matches!(kind, Some(ErrorKind::NotFound | ErrorKind::NotADirectory)) {
        return None;
    }
    let path = path_of(error)?;
    let stat = Stat::of(&path.symlink_metadata().ok()?);
    Some(Found { rel: Rel::of(path, root)?, stat, shape: Shape::Left(Why::Unreadable) })
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}
