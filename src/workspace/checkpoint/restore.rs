//! Bringing paths into a planned state. Each file is replaced in one move, and doing it again after a crash goes on where it
//! stopped: an operation looks at what stands there before it does anything.

use super::blobs::{Blobs, Durable};
use super::capture::{self, Limits};
use super::node::{Content, Node};
use super::plan::Op;
use super::rel::{self, Rel};
use crate::base::atomic::{self, FileId};
use crate::base::digest;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A path that could not be brought into its state, or that was left alone, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub path: Rel,
    pub what: String,
}

/// Carries out operations in one folder.
#[derive(Debug, Clone, Copy)]
pub struct Restorer<'a> {
    pub root: &'a Path,
    pub blobs: &'a Blobs,
    pub limits: Limits,
}

impl Restorer<'_> {
    /// Carries all of them out, in the order that folders and what is in them need. `ops` are sorted by path.
    pub fn carry_out(&self, ops: &[Op]) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        let mut modes = self.open_folders(ops);
        let mut failed = BTreeSet::new();
        let mut attempt = |op: &Op, done: io::Result<()>| {
            if let Err(e) = done
                && failed.insert(op.path.clone())
            {
                troubles.push(Trouble { path: op.path.clone(), what: e.to_string() });
            }
        };
        for op in ops.iter().rev().filter(|op| goes(op)) {
            attempt(op, self.remove(op));
        }
        for op in ops {
            if let Some(Node::Folder { mode }) = op.to {
                let made = self.make_folder(op, mode);
                if made.is_ok() {
                    modes.insert(op.path.clone(), mode);
                }
                attempt(op, made);
            }
        }
        let shared = self.shared(ops);
        let way = |op: &Op| shared.get(&op.path).copied().unwrap_or(Way::Move);
        // What is written in place comes last: by then no name hangs on it that is to get something else.
        for in_place in [false, true] {
            for op in ops.iter().filter(|op| (way(op) == Way::InPlace) == in_place) {
                if let Some(to @ (Node::File { .. } | Node::Link { .. })) = &op.to {
                    attempt(op, self.replace(op, to, way(op)));
                }
            }
        }
        // Innermost first: behind a closed door nothing can be set.
        for (folder, mode) in modes.iter().rev() {
            if let Err(e) = set_mode(&folder.under(self.root), *mode)
                && e.kind() != ErrorKind::NotFound
            {
                troubles.push(Trouble { path: folder.clone(), what: format!("cannot set its mode: {e}") });
            }
        }
        troubles
    }

    /// What stands there is neither what was planned from nor what was planned to: somebody has changed it since.
    fn check(&self, op: &Op) -> io::Result<State> {
        let now = capture::look(self.root, &op.path, self.blobs, self.limits, Durable::No);
        if now == op.to {
            return Ok(State::Done);
        }
        let half_way = now.is_none() && goes(op);
        if now == op.from || half_way || is_opened(now.as_ref(), op.from.as_ref()) {
            return Ok(State::ToDo);
        }
        Err(io::Error::other("somebody changed it meanwhile; left as it is"))
    }

    fn remove(&self, op: &Op) -> io::Result<()> {
        let path = op.path.under(self.root);
        match (self.check(op)?, &op.from) {
            (State::Done, _) | (_, None) => Ok(()),
            (State::ToDo, Some(Node::Folder { .. })) => match fs::remove_dir(&path) {
                Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => Err(io::Error::other("left: it holds other files")),
                done => done.or_else(gone),
            },
            (State::ToDo, Some(_)) => fs::remove_file(&path).or_else(gone),
        }?;
        self.sync(&op.path)
    }

    fn make_folder(&self, op: &Op, mode: u32) -> io::Result<()> {
        let path = op.path.under(self.root);
        match path.symlink_metadata() {
            Ok(meta) if meta.is_dir() => return set_mode(&path, mode | 0o700),
            Ok(_) => return Err(ErrorKind::AlreadyExists.into()),
            Err(_) => {}
        }
        self.parents(&op.path)?;
        fs::create_dir(&path)?;
        set_mode(&path, mode | 0o700)?;
        self.sync(&op.path)
    }

    /// How the names of files with several names get their content. Where all names of a file are in the plan each of them is
    /// moved, and those that go to the same content stay names of one file. Names that nobody knows of are to get the content
    /// too, as they got the one that is taken back: the file is written in place, by the first of its names; those that go to
    /// something else leave it.
    fn shared<'o>(&self, ops: &'o [Op]) -> BTreeMap<Rel, Way<'o>> {
        let mut files: BTreeMap<Option<FileId>, (u64, Vec<&Op>)> = BTreeMap::new();
        for op in ops.iter().filter(|op| matches!(op.to, Some(Node::File { .. } | Node::Link { .. }))) {
            if let Some(meta) = op.path.under(self.root).symlink_metadata().ok().filter(|m| m.is_file() && names(m) > 1) {
                files.entry(FileId::of(&meta)).or_insert_with(|| (names(&meta), Vec::new())).1.push(op);
            }
        }
        let mut ways = BTreeMap::new();
        for (count, names) in files.into_values() {
            let all_known = count == names.len() as u64;
            let kept = names.iter().find(|op| matches!(op.to, Some(Node::File { .. })));
            for (i, op) in names.iter().enumerate() {
                let same = names.iter().take(i).find(|before| before.to == op.to && matches!(op.to, Some(Node::File { .. })));
                let way = match (all_known, same) {
                    (true, Some(before)) => Way::NameOf(&before.path),
                    (false, _) if kept.is_some_and(|kept| kept.to == op.to) => Way::InPlace,
                    _ => Way::Move,
                };
                ways.insert(op.path.clone(), way);
            }
        }
        ways
    }

    fn replace(&self, op: &Op, to: &Node, way: Way<'_>) -> io::Result<()> {
        let path = op.path.under(self.root);
        // Left by a restore that was killed.
        fs::remove_file(temp(&path)).or_else(|e| if e.kind() == ErrorKind::NotADirectory { Ok(()) } else { gone(e) })?;
        if self.check(op)? == State::Done {
            return Ok(());
        }
        self.parents(&op.path)?;
        match to {
            Node::File { mode, content: Content::Stored(name), .. } => match way {
                Way::NameOf(other) if self.stands(other, to) => named(&other.under(self.root), &path)?,
                Way::InPlace => in_place(&path, &self.blobs.read(name)?, *mode)?,
                Way::Move | Way::NameOf(_) => file(&path, &self.blobs.read(name)?, *mode)?,
            },
            Node::Link { to } => link(to, &path)?,
            // A plan has no such operation.
            Node::File { .. } | Node::Folder { .. } | Node::Left(_) => return Err(io::Error::other("it is not kept")),
        }
        self.sync(&op.path)
    }

    fn stands(&self, path: &Rel, what: &Node) -> bool {
        capture::look(self.root, path, self.blobs, self.limits, Durable::No).as_ref() == Some(what)
    }

    /// Makes the folders on the way, which nobody has recorded: their mode is the usual one. A link on the way would lead
    /// somewhere else.
    fn parents(&self, rel: &Rel) -> io::Result<()> {
        let mut folders: Vec<Rel> = rel.ancestors().collect();
        folders.reverse();
        for folder in folders {
            let path = folder.under(self.root);
            match path.symlink_metadata() {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => return Err(io::Error::other(format!("{folder} is not a folder now"))),
                Err(_) => fs::create_dir(&path)?,
            }
        }
        Ok(())
    }

    /// Lets existing folders be written in which something happens; returns the modes that they must get back.
    fn open_folders(&self, ops: &[Op]) -> BTreeMap<Rel, u32> {
        let mut modes = BTreeMap::new();
        for folder in ops.iter().filter_map(|op| op.path.parent()).collect::<BTreeSet<_>>() {
            let path = folder.under(self.root);
            let Some(mode) = path.symlink_metadata().ok().filter(fs::Metadata::is_dir).map(|m| super::node::Stat::of(&m).mode) else {
                continue;
            };
            if mode & 0o300 != 0o300 && set_mode(&path, mode | 0o700).is_ok() {
                modes.insert(folder, mode);
            }
        }
        modes
    }

    fn sync(&self, rel: &Rel) -> io::Result<()> {
        rel.under(self.root).parent().map_or(Ok(()), atomic::sync_folder)
    }
}

/// Whether this is the folder that was planned from, and a restore, perhaps one that was killed, lets it be written in.
fn is_opened(now: Option<&Node>, from: Option<&Node>) -> bool {
    matches!((now, from), (Some(Node::Folder { mode: now }), Some(Node::Folder { mode })) if *now == *mode | 0o700)
}

/// Writes into a file that has other names.
fn in_place(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    set_mode(path, mode | 0o200)?;
    atomic::write_in_place(path, bytes)?;
    set_mode(path, mode)
}

/// Makes `path` another name of a file, in one move.
fn named(file: &Path, path: &Path) -> io::Result<()> {
    let temp = temp(path);
    fs::hard_link(file, &temp)?;
    take_place(&temp, path)
}

/// Puts what was made beside `path` in its place, or away.
fn take_place(temp: &Path, path: &Path) -> io::Result<()> {
    fs::rename(temp, path).inspect_err(|_| {
        let _ = fs::remove_file(temp);
    })
}

/// Replaces a file in one move, with its mode.
fn file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let old = path.symlink_metadata().ok().filter(fs::Metadata::is_file);
    let temp = temp(path);
    let written = fs::OpenOptions::new().write(true).create_new(true).open(&temp).and_then(|mut file| {
        file.write_all(bytes)?;
        if let Some(old) = &old {
            keep_owner(&file, old);
        }
        set_mode(&temp, mode)?;
        if old.is_some() {
            atomic::keep_attributes(&file, path);
            set_mode(&temp, mode)?;
        }
        file.sync_all()
    });
    if written.is_err() {
        let _ = fs::remove_file(&temp);
    }
    written.and_then(|()| take_place(&temp, path))
}

/// How a path gets its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way<'a> {
    /// A new file takes its place.
    Move,
    /// It becomes another name of this one, as it was before.
    NameOf(&'a Rel),
    /// Into the file that stands there.
    InPlace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    ToDo,
    Done,
}

/// Whether what is there has to go before what is to come can come.
fn goes(op: &Op) -> bool {
    let folder = |n: &Option<Node>| n.as_ref().map(Node::is_folder);
    op.from.is_some() && folder(&op.from) != folder(&op.to)
}

fn gone(e: io::Error) -> io::Result<()> {
    if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) }
}

/// The same name every time: what a killed restore left there is found by the next one.
fn temp(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    path.with_file_name(format!(".pup-undo-{}", digest::short(name, 16)))
}

#[cfg(unix)]
fn link(to: &[u8], path: &Path) -> io::Result<()> {
    let temp = temp(path);
    std::os::unix::fs::symlink(rel::os(to), &temp)?;
    take_place(&temp, path)
}

#[cfg(not(unix))]
fn link(to: &[u8], path: &Path) -> io::Result<()> {
    let (to, path) = (rel::os(to).to_string_lossy().into_owned(), path.display());
    Err(io::Error::new(ErrorKind::Unsupported, format!("links are not made here: {path} -> {to}")))
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    let mut permissions = fs::metadata(path)?.permissions();
    permissions.set_readonly(mode & 0o200 == 0);
    fs::set_permissions(path, permissions)
}

#[cfg(unix)]
fn names(meta: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(meta)
}

#[cfg(not(unix))]
fn names(_: &fs::Metadata) -> u64 {
    1
}

#[cfg(unix)]
fn keep_owner(file: &fs::File, old: &fs::Metadata) {
    use std::os::unix::fs::MetadataExt;
    if file.metadata().is_ok_and(|new| (new.uid(), new.gid()) != (old.uid(), old.gid())) {
        // Only root may give files away.
        let _ = std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()));
    }
}

#[cfg(not(unix))]
fn keep_owner(_: &fs::File, _: &fs::Metadata) {}
