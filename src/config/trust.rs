//! Which repositories may configure pup. Trust is given to content, not to a path: when a repository's pup files
//! change, it is untrusted again until somebody has looked. Instruction files are trusted each for itself: people and
//! agents change them often, and a change of one says nothing of the settings.

use super::instructions::{self, Digests};
use crate::base::places::{Places, pasteable};
use crate::base::{Failure, atomic, clock, digest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a repository can steer pup with; relative to its root.
const WATCHED: [&str; 4] = [".pup", ".claude/agents", ".claude/commands", ".claude/skills"];

/// More than this is not somebody's configuration.
const MAX_FILES: usize = 5_000;
const MAX_BYTES: u64 = 64 << 20;

/// How a repository stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has no pup files, so there is nothing to trust.
    Nothing,
    Trusted,
    /// It was trusted, and its files are no longer the same.
    Changed,
    Untrusted,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Trusted => "trusted",
            Self::Changed => "changed",
            Self::Untrusted => "untrusted",
        }
    }

    /// What to tell a person who works there: why its files are ignored and what to do. `None` where they are not.
    pub fn note(self, root: &Path) -> Option<String> {
        let pasted = pasteable(root);
        let root = root.display();
        match self {
            Self::Nothing | Self::Trusted => None,
            Self::Changed => Some(format!(
                "the pup files of {root} changed since they were trusted, so they are ignored; look at them, then run: pup trust add {pasted}"
            )),
            Self::Untrusted => Some(format!(
                "{root} has pup files that are not trusted, so they are ignored; look at them, then run: pup trust add {pasted}"
            )),
        }
    }
}

/// A repository in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trusted {
    pub path: PathBuf,
    pub state: State,
    /// RFC 3339, UTC.
    pub since: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    /// Of the files that steer pup; empty where there were none.
    hash: String,
    since: String,
    /// Instruction files, each for itself.
    #[serde(default, skip_serializing_if = "Digests::is_empty")]
    instructions: Digests,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    v: u64,
    trusted: BTreeMap<String, Given>,
}

/// The user's decisions, in `<state>/trust.json`.
#[derive(Debug)]
pub struct Trust {
    path: PathBuf,
    book: Book,
}

impl Trust {
    /// Reads the decisions. A file that cannot be read trusts nobody and is a failure.
    pub fn load(places: &Places) -> Result<Self, Failure> {
        let path = places.state.join("trust.json");
        let broken = |what: String| {
            Failure::config(format!("{}: {what}", path.display()))
                .hint("remove the file; then every repository has to be trusted again (`pup trust add`)")
        };
        let book = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Book { v: 1, ..Book::default() },
            Err(e) => return Err(Failure::io("read", &path, &e)),
            Ok(bytes) => serde_json::from_slice::<Book>(&bytes).map_err(|e| broken(format!("cannot be read: {e}")))?,
        };
        if book.v != 1 {
            return Err(broken(format!("is of version {}, and this pup knows version 1", book.v)));
        }
        Ok(Self { path, book })
    }

    /// How the repository at `root` stands now: its files are read and compared.
    pub fn state(&self, root: &Path) -> Result<State, Failure> {
        let Some((hash, _)) = content(root)? else {
            // A folder that was trusted for its instructions alone.
            let given = name(root).ok().and_then(|name| self.book.trusted.get(&name));
            return Ok(if given.is_some_and(|g| g.hash.is_empty()) { State::Trusted } else { State::Nothing });
        };
        Ok(match self.book.trusted.get(&name(root)?) {
            None => State::Untrusted,
            Some(given) if given.hash == hash => State::Trusted,
            Some(_) => State::Changed,
        })
    }

    /// Whether the repository's files may be used. A root without any is not trusted, and misses nothing by it.
    pub fn is_trusted(&self, root: &Path) -> Result<bool, Failure> {
        Ok(self.state(root)? == State::Trusted)
    }

    /// The repository's instruction files that were trusted, with what they held then.
    pub fn instructions(&self, root: &Path) -> Digests {
        let given = name(root).ok().and_then(|name| self.book.trusted.get(&name));
        given.map(|g| g.instructions.clone()).unwrap_or_default()
    }

    /// Trusts the repository's files as they are now and returns their number.
    pub fn add(&mut self, root: &Path) -> Result<usize, Failure> {
        let name = name(root)?;
        let instructions = instructions::digests(root);
        let (hash, files) = content(root)?.unwrap_or_default();
        let files = files + instructions.len();
        if files == 0 {
            return Err(Failure::usage(format!("{} has no pup files to trust", root.display())).hint(format!(
                "pup reads {} of a repository, and {} in its folders",
                WATCHED.map(|w| format!("{w}/")).join(", "),
                instructions::NAMES.join(", ")
            )));
        }
        self.book.trusted.insert(name, Given { hash, since: clock::rfc3339(clock::unix_ms()), instructions });
        self.save()?;
        Ok(files)
    }

    /// Takes trust back; a root that has none is a `usage` failure. Works for folders that are gone.
    pub fn remove(&mut self, root: &Path) -> Result<(), Failure> {
        let known = [name(root).ok(), std::path::absolute(root).ok().and_then(|p| p.to_str().map(str::to_owned))];
        let removed = known.into_iter().flatten().any(|n| self.book.trusted.remove(&n).is_some());
        if !removed {
            return Err(Failure::usage(format!("{} is not trusted", root.display())).hint("`pup trust list` shows what is"));
        }
        self.save()
    }

    /// All decisions by path, with how they stand now.
    pub fn list(&self) -> Result<Vec<Trusted>, Failure> {
        let entry = |(path, given): (&String, &Given)| {
            let path = PathBuf::from(path);
            let state = if path.is_dir() { self.state(&path)? } else { State::Nothing };
            Ok(Trusted { path, state, since: given.since.clone() })
        };
        self.book.trusted.iter().map(entry).collect()
    }

    fn save(&self) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(&self.book).map_err(|e| Failure::internal(e.to_string()))? + "\n";
        atomic::write(&self.path, text.as_bytes(), true).map_err(|e| Failure::io("write", &self.path, &e))
    }
}

/// The root that a working folder belongs to: the nearest folder above it with `.git` or `.pup`, else itself.
/// The home folder is never one, so that `~/.pup` does not configure everything below.
pub fn project_root(cwd: &Path, home: Option<&Path>) -> PathBuf {
    let is_root = |p: &&Path| Some(*p) != home && (p.join(".git").exists() || p.join(".pup").is_dir());
    cwd.ancestors().find(is_root).unwrap_or(cwd).to_path_buf()
}

/// The name of a root in the book: its real path.
fn name(root: &Path) -> Result<String, Failure> {
    let real = fs::canonicalize(root).map_err(|e| Failure::io("find", root, &e).with_cause(crate::base::Cause::Usage))?;
    let shown = real.display().to_string();
    real.into_os_string().into_string().map_err(|_| Failure::usage(format!("{shown} cannot be trusted: its path is not UTF-8")))
}

/// Digest and number of the repository's pup files; `None` where it has none.
fn content(root: &Path) -> Result<Option<(String, usize)>, Failure> {
    let mut walk = Walk { lines: Vec::new(), visits: 0, bytes: 0, open: HashSet::new() };
    for top in WATCHED {
        let path = root.join(top);
        if fs::symlink_metadata(&path).is_ok() {
            walk.visit(&path, top)?;
        }
    }
    if walk.lines.is_empty() {
        return Ok(None);
    }
    walk.lines.sort();
    Ok(Some((digest::sha256(walk.lines.join("\n").as_bytes()), walk.lines.len())))
}

struct Walk {
    /// One line a file: digest, then its path in a form that cannot be confused with another.
    lines: Vec<String>,
    /// Files and folders seen, and the bytes of the files.
    visits: usize,
    bytes: u64,
    /// Real paths of the folders being visited, against links that lead in a circle.
    open: HashSet<PathBuf>,
}

impl Walk {
    /// Links are followed, because whoever reads the file later follows them too.
    fn visit(&mut self, path: &Path, name: &str) -> Result<(), Failure> {
        self.visits += 1;
        let fail = |e: io::Error| Failure::io("read", path, &e);
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            // A link to nowhere becomes something when its target appears.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.lines.push(format!("nowhere {name:?}"));
                return Ok(());
            }
            Err(e) => return Err(fail(e)),
        };
        self.bytes += if meta.is_file() { meta.len() } else { 0 };
        if self.visits > MAX_FILES || self.bytes > MAX_BYTES {
            return Err(Failure::config(format!("{} is too big to be trusted: over {MAX_FILES} files or 64 MB", path.display()))
                .hint("keep only pup's own files in .pup/ and .claude/"));
        }
        if meta.is_dir() {
            let real = fs::canonicalize(path).map_err(fail)?;
            if !self.open.insert(real.clone()) {
                return Ok(());
            }
            for entry in fs::read_dir(path).map_err(fail)? {
                let entry = entry.map_err(fail)?;
                let inner = format!("{name}/{}", entry.file_name().as_encoded_bytes().escape_ascii());
                self.visit(&entry.path(), &inner)?;
            }
            self.open.remove(&real);
            return Ok(());
        }
        let line = if meta.is_file() { digest::sha256(&fs::read(path).map_err(fail)?) } else { "special".to_owned() };
        self.lines.push(format!("{line} {name:?}"));
        Ok(())
    }
}
