//! From a walk to an index: contents that git cannot give back are put into the store, and only those that changed.

use super::blobs::{Blobs, Durable};
use super::git_index::GitIndex;
use super::git_objects;
use super::index::{Entry, Index};
use super::node::{Content, Node, Stat, Why};
use super::rel::Rel;
use super::walk::{self, Found, Shape};
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// What is kept at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one file.
    pub file: u64,
    /// Bytes of all files of the tree that git does not have.
    pub sum: u64,
    /// Files of a tree that is walked.
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file: 50 << 20, sum: 500 << 20, files: 400_000 }
    }
}

/// What a capture stands on.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub root: &'a Path,
    pub blobs: &'a Blobs,
    pub git: Option<&'a GitIndex>,
    pub limits: Limits,
    /// Nanoseconds since 1970, before the walk began.
    pub began: i64,
}

/// The index of what was found. What `old` knows and is unchanged by its marks is not read. `stopped` ends it early: the
/// rest is then looked at anew the next time.
pub fn capture(found: Vec<Found>, old: &Index, from: &Source<'_>, stopped: &dyn Fn() -> bool) -> Index {
    let mut entries: Vec<(Rel, Entry)> = Vec::with_capacity(found.len());
    let mut unread = Vec::new();
    let mut kept = 0;
    for Found { rel, stat, shape } in found {
        let known = old.get(&rel).filter(|e| e.settled && e.stat == stat && same_shape(&e.node, &shape));
        let node = match (known, shape) {
            (Some(entry), _) => {
                kept += stored(&entry.node);
                entry.node.clone()
            }
            (None, Shape::File) => {
                unread.push(entries.len());
                Node::File { mode: stat.mode, size: stat.size, content: Content::Unkept(Why::Unreadable) }
            }
            (None, Shape::Link(to)) => Node::Link { to },
            (None, Shape::Folder) => Node::Folder { mode: stat.mode },
            (None, Shape::Left(why)) => Node::Left(why),
        };
        entries.push((rel, Entry { node, stat, settled: stat.settled(from.began) }));
    }
    if let Some(git) = from.git {
        unread = from_git(&mut entries, unread, git, from);
    }
    // The small ones first: more of them are kept.
    unread.sort_by_key(|ix| entries.get(*ix).map_or(0, |(_, e)| e.stat.size));
    for ix in unread {
        let Some((rel, entry)) = entries.get_mut(ix) else { continue };
        if stopped() {
            entry.settled = false;
            continue;
        }
        let size = entry.stat.size;
        let content = if size > from.limits.file {
            Content::Unkept(Why::TooBig)
        } else if kept + size > from.limits.sum {
            Content::Unkept(Why::TooMuch)
        } else {
            read(&rel.under(from.root), size, from.blobs, Durable::No)
        };
        entry.node = Node::File { mode: entry.stat.mode, size, content };
        kept += stored(&entry.node);
    }
    Index { entries }
}

fn same_shape(node: &Node, shape: &Shape) -> bool {
    match (node, shape) {
        // What was over the limits, or could not be read, may be under them, or readable, now.
        (Node::File { content, .. }, Shape::File) => !matches!(content, Content::Unkept(Why::TooMuch | Why::Unreadable)),
        (Node::Folder { .. }, Shape::Folder) => true,
        (Node::Link { to }, Shape::Link(now)) => to == now,
        (Node::Left(why), Shape::Left(now)) => why == now,
        (Node::File { .. } | Node::Folder { .. } | Node::Link { .. } | Node::Left(_), _) => false,
    }
}

const fn stored(node: &Node) -> u64 {
    match node {
        Node::File { content: Content::Stored(_), size, .. } => *size,
        Node::File { content: Content::Git(_) | Content::Unkept(_), .. } | Node::Link { .. } | Node::Folder { .. } | Node::Left(_) => 0,
    }
}

/// Gives those of `unread` their objects that git has unchanged; returns the others. An object counts only where it has
/// the file's size and no filter stands between the two: line endings and encodings may differ.
fn from_git(entries: &mut [(Rel, Entry)], unread: Vec<usize>, git: &GitIndex, from: &Source<'_>) -> Vec<usize> {
    let clean: Vec<(usize, _)> = unread
        .iter()
        .filter_map(|ix| {
            let (rel, entry) = entries.get(*ix)?;
            Some((*ix, git.clean(rel, &entry.stat)?))
        })
        .collect();
    if clean.is_empty() {
        return unread;
    }
    let rels: Vec<&Rel> = clean.iter().filter_map(|(ix, _)| entries.get(*ix).map(|(rel, _)| rel)).collect();
    let oids = clean.iter().map(|(_, oid)| *oid).collect();
    let asked = git_objects::filtered(from.root, &rels).and_then(|f| Ok((f, git_objects::sizes(from.root, &oids)?)));
    let (filtered, sizes) = match asked {
        Ok(answer) => answer,
        Err(e) => {
            tracing::debug!(%e, "git does not help with checkpoints");
            return unread;
        }
    };
    let mut done = HashSet::new();
    for (ix, oid) in clean {
        if let Some((rel, entry)) = entries.get_mut(ix)
            && sizes.get(&oid) == Some(&entry.stat.size)
            && !filtered.contains(rel)
        {
            entry.node = Node::File { mode: entry.stat.mode, size: entry.stat.size, content: Content::Git(oid) };
            done.insert(ix);
        }
    }
    unread.into_iter().filter(|ix| !done.contains(ix)).collect()
}

/// Keeps a file's content.
fn read(path: &Path, size: u64, blobs: &Blobs, durable: Durable) -> Content {
    match open(path).and_then(|mut file| blobs.put(&mut file, size, durable)) {
        Ok((name, _)) => Content::Stored(name),
        Err(e) => {
            tracing::debug!(%e, path = %path.display(), "not kept");
            Content::Unkept(Why::Unreadable)
        }
    }
}

/// Opens what was a regular file a moment ago, and does not wait if it is something else by now.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// What stands at one path now, its content kept. `None` where there is nothing, also where a folder on the way is a link:
/// what is behind it is another place.
pub fn look(root: &Path, rel: &Rel, blobs: &Blobs, limits: Limits, durable: Durable) -> Option<Node> {
    if rel.ancestors().any(|folder| !folder.under(root).symlink_metadata().is_ok_and(|m| m.is_dir())) {
        return None;
    }
    let path = rel.under(root);
    let meta = path.symlink_metadata().ok()?;
    let stat = Stat::of(&meta);
    if rel.name() == b".git" {
        return Some(Node::Left(Why::Git));
    }
    if meta.is_dir() {
        return Some(Node::Folder { mode: stat.mode });
    }
    Some(match walk::shape(&path, meta.file_type()) {
        Shape::File if stat.size > limits.file => Node::File { mode: stat.mode, size: stat.size, content: Content::Unkept(Why::TooBig) },
        Shape::File => {
            let content = read(&path, stat.size, blobs, durable);
            // What was read says how large it is, where the file was being written meanwhile.
            let size = path.symlink_metadata().map_or(stat.size, |m| m.len());
            Node::File { mode: stat.mode, size, content }
        }
        Shape::Link(to) => Node::Link { to },
        Shape::Folder => Node::Folder { mode: stat.mode },
        Shape::Left(why) => Node::Left(why),
    })
}
