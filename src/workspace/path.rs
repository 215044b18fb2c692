//! The workspace's border: which paths are inside it, links followed, whether or not the file exists yet.
//!
//! Checked at the time of the call: a process that swaps folders for links in between is the sandbox's business.

use crate::base::{Failure, nearest};
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The folder that is worked on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: Arc<Path>,
}

/// Why a path is refused; each text is written for a model to act on.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    #[error("the path is empty; give one relative to the workspace, `.` for its root")]
    Empty,
    #[error("the path contains a NUL byte")]
    Nul,
    #[error("`~` is not expanded; give a path relative to the workspace")]
    Tilde,
    #[error("{path} is outside the workspace {root}; only paths inside it can be used")]
    Outside { path: String, root: String },
    #[error("{path} leads through a symbolic link to {target}, outside the workspace; only paths inside it can be used")]
    LinkOut { path: String, target: String },
    #[error("{path} is a symbolic link that leads nowhere")]
    Dangling { path: String },
    #[error("{parent} is a file, so {path} cannot be inside it")]
    NotAFolder { path: String, parent: String },
    #[error("cannot look at {path}: {error}")]
    Io { path: String, error: io::Error },
}

/// How many names of a folder are told.
const NAMES: usize = 10;

/// The names in a folder, sorted; of a very full one not all.
fn names(folder: &Path) -> Option<Vec<String>> {
    let mut names: Vec<String> = folder.read_dir().ok()?.flatten().take(5_000).filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort_unstable();
    Some(names)
}

impl Workspace {
    /// Opens the folder `root`, which must exist; its links are resolved once, here.
    pub fn open(root: &Path) -> Result<Self, Failure> {
        let hint = "give an existing folder with --cwd";
        let real = root
            .canonicalize()
            .map_err(|e| Failure::io("open the workspace", root, &e).with_cause(crate::base::Cause::Usage).hint(hint))?;
        if !real.is_dir() {
            return Err(Failure::usage(format!("the workspace {} is not a folder", real.display())).hint(hint));
        }
        Ok(Self { root: real.into() })
    }

    /// The canonical root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A warning for people where the root holds far more than one project. `home` is the user's home folder.
    pub fn warn(&self, home: Option<&Path>) -> Option<String> {
        let what = if self.root.parent().is_none() {
            "the root of the file system"
        } else if home.and_then(|h| h.canonicalize().ok()).is_some_and(|h| *h == *self.root) {
            "your home folder"
        } else {
            return None;
        };
        Some(format!(
            "the workspace is {what} ({}): tools reach everything in it; start in a project's folder, or pass --cwd",
            self.root.display()
        ))
    }

    /// The real place of `path`, every link followed, which is inside the root. The file itself need not exist.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, PathError> {
        self.walk(path, Last::Follow)
    }

    /// Like [`Self::resolve`], but a link at the very end is not followed: the place of the entry itself, to delete it.
    pub fn resolve_entry(&self, path: &str) -> Result<PathBuf, PathError> {
        self.walk(path, Last::Keep)
    }

    /// How a path inside is shown: relative to the root, `.` for the root itself.
    pub fn show(&self, path: &Path) -> String {
        match path.strip_prefix(&*self.root) {
            Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
            Ok(rest) => rest.display().to_string(),
            Err(_) => path.display().to_string(),
        }
    }

    /// The sentence for a file that is not there, with the nearest names beside it, or else all names where it was sought.
    pub fn missing(&self, path: &Path) -> String {
        let shown = self.show(path);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
            return format!("{shown} does not exist");
        };
        let Some(names) = names(parent) else {
            let there = parent.ancestors().skip(1).take_while(|a| a.starts_with(&*self.root)).find_map(|a| Some((a, names(a)?)));
            let holds = there.map_or_else(String::new, |(folder, names)| self.holds(folder, &names));
            return format!("{shown} does not exist, nor does the folder {}{holds}", self.show(parent));
        };
        let near: Vec<String> = nearest::nearest(name, names.iter().map(String::as_str))
            .into_iter()
            .map(|n| format!("`{}`", self.show(&parent.join(n))))
            .collect();
        if near.is_empty() {
            format!("{shown} does not exist{}", self.holds(parent, &names))
        } else {
            format!("{shown} does not exist; did you mean {}?", near.join(", "))
        }
    }

    /// What a folder holds: the real names keep a model from guessing the next one.
    fn holds(&self, folder: &Path, names: &[String]) -> String {
        let folder = self.show(folder);
        let shown: Vec<&str> = names.iter().take(NAMES).map(String::as_str).collect();
        let more = if names.len() > shown.len() { ", ..." } else { "" };
        if shown.is_empty() { format!("; {folder} is empty") } else { format!("; {folder} holds {}{more}", shown.join(", ")) }
    }

    fn walk(&self, given: &str, last: Last) -> Result<PathBuf, PathError> {
        if given.is_empty() {
            return Err(PathError::Empty);
        }
        if given.contains('\0') {
            return Err(PathError::Nul);
        }
        if given == "~" || given.starts_with("~/") {
            return Err(PathError::Tilde);
        }
        let path = Path::new(given);
        // As everywhere else, what a slash follows is a folder, and of a link its target.
        let folder = given.ends_with('/');
        let last = if folder { Last::Follow } else { last };
        let mut at = if path.is_absolute() { PathBuf::new() } else { self.root.to_path_buf() };
        let mut link = None;
        let mut parts = path.components().peekable();
        while let Some(part) = parts.next() {
            match part {
                Component::Prefix(_) | Component::RootDir => at.push(part.as_os_str()),
                Component::CurDir => {}
                Component::ParentDir => {
                    at.pop();
                }
                Component::Normal(name) => {
                    let follow = last == Last::Follow || parts.peek().is_some();
                    link = step(&mut at, name, given, follow)?.or(link);
                }
            }
        }
        if at.starts_with(&*self.root) {
            return if folder && at.is_file() {
                Err(PathError::NotAFolder { path: given.to_owned(), parent: at.display().to_string() })
            } else {
                Ok(at)
            };
        }
        Err(match link {
            Some(target) => PathError::LinkOut { path: given.to_owned(), target: target.display().to_string() },
            None => PathError::Outside { path: given.to_owned(), root: self.root.display().to_string() },
        })
    }
}

/// What to do with a link in the last place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Follow,
    Keep,
}

/// Goes down into `name`; returns the target when that was a link that was followed.
fn step(at: &mut PathBuf, name: &OsStr, given: &str, follow: bool) -> Result<Option<PathBuf>, PathError> {
    let parent = at.clone();
    at.push(name);
    let meta = match at.symlink_metadata() {
        Ok(meta) => meta,
        // Not there yet: what follows is judged by its letters alone.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            return Err(PathError::NotAFolder { path: given.to_owned(), parent: parent.display().to_string() });
        }
        Err(error) => return Err(PathError::Io { path: given.to_owned(), error }),
    };
    if !follow || !meta.is_symlink() {
        return Ok(None);
    }
    match at.canonicalize() {
        Ok(target) => {
            at.clone_from(&target);
            Ok(Some(target))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(PathError::Dangling { path: at.display().to_string() }),
        Err(error) => Err(PathError::Io { path: given.to_owned(), error }),
    }
}
