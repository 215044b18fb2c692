//! Git's index, only read: which files are tracked, and what git knew of each when it last looked. No program is started
//! for it, and nothing of the user's is locked or refreshed.
//!
//! The format is that of `gitformat-index(5)`, versions 2 to 4. A split index and SHA-256 repositories are not read.

use super::node::{Hex, Stat};
use super::rel::Rel;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What git says of a tracked file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracked {
    pub oid: Hex<20>,
    /// Seconds and nanoseconds.
    mtime: (u32, u32),
    /// The same; where the system has no such time, git has another meaning for it.
    ctime: (u32, u32),
    /// The low 32 bits of each.
    inode: u32,
    size: u32,
    /// Git may believe this entry without looking at the file.
    usable: bool,
}

/// The tracked files below a folder.
#[derive(Debug, Clone, Default)]
pub struct GitIndex {
    pub files: HashMap<Rel, Tracked>,
    /// When the index was written, in seconds and nanoseconds; files that are not older may have changed unseen.
    written: (u32, u32),
}

impl GitIndex {
    /// Reads the index of the repository that `root` is in. `None` where there is none that can be read.
    pub fn read(root: &Path) -> Option<Self> {
        let top = root.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok())?;
        let git = git_folder(top)?;
        if config(&git).is_some_and(|text| text.to_ascii_lowercase().contains("objectformat")) {
            return None;
        }
        let path = git.join("index");
        let meta = fs::metadata(&path).ok()?;
        let written = seconds(Stat::of(&meta).mtime);
        let files = parse(&fs::read(&path).ok()?)?;
        let prefix = Rel::of(root, top);
        let files = files.into_iter().filter_map(|(path, tracked)| Some((below(&path, prefix.as_ref())?, tracked))).collect();
        Some(Self { files, written })
    }

    /// The object that has the content of `rel`, if git would say without reading the file that it is unchanged.
    pub fn clean(&self, rel: &Rel, stat: &Stat) -> Option<Hex<20>> {
        let tracked = self.files.get(rel).filter(|t| t.usable)?;
        let (mtime, ctime) = (seconds(stat.mtime), seconds(stat.ctime));
        // A program can put the time of the last change of a file back, but not the one at which it did so.
        let changed = cfg!(unix) && tracked.ctime != ctime;
        let same = tracked.mtime == mtime && !changed && tracked.size == stat.size as u32 && tracked.inode == stat.inode as u32;
        (same && mtime.max(ctime) < self.written).then_some(tracked.oid)
    }
}

/// The repository's own folder; of a work tree or a submodule `.git` is a file that names it.
fn git_folder(top: &Path) -> Option<PathBuf> {
    let path = top.join(".git");
    if path.is_dir() {
        return Some(path);
    }
    let text = fs::read_to_string(&path).ok()?;
    Some(top.join(text.strip_prefix("gitdir:")?.trim()))
}

fn config(git: &Path) -> Option<String> {
    let common = fs::read_to_string(git.join("commondir")).map_or_else(|_| git.to_owned(), |c| git.join(c.trim()));
    fs::read_to_string(common.join("config")).ok()
}

fn below(path: &[u8], prefix: Option<&Rel>) -> Option<Rel> {
    let rest = match prefix {
        None => path,
        Some(prefix) => path.strip_prefix(prefix.bytes())?.strip_prefix(b"/")?,
    };
    Rel::from_bytes(rest)
}

const fn seconds(nanos: i64) -> (u32, u32) {
    (nanos.div_euclid(1_000_000_000) as u32, nanos.rem_euclid(1_000_000_000) as u32)
}

const ASSUME_VALID: u16 = 0x8000;
const EXTENDED: u16 = 0x4000;
const STAGE: u16 = 0x3000;
/// Skip-worktree and intent-to-add.
const UNUSABLE: u16 = 0x6000;

fn parse(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Tracked)>> {
    let mut at = Cursor { rest: bytes.get(..bytes.len().checked_sub(20)?)? };
    if at.take(4)? != b"DIRC" {
        return None;
    }
    let version = at.u32()?;
    if !(2..=4).contains(&version) {
        return None;
    }
    let count = at.u32()?;
    let mut files = Vec::new();
    let mut last: Vec<u8> = Vec::new();
    for _ in 0..count {
        let before = at.rest.len();
        let ctime = (at.u32()?, at.u32()?);
        let mtime = (at.u32()?, at.u32()?);
        at.take(4)?;
        let (inode, mode) = (at.u32()?, at.u32()?);
        at.take(8)?;
        let size = at.u32()?;
        let oid = Hex(at.take(20)?.try_into().ok()?);
        let flags = at.u16()?;
        let extended = if version >= 3 && flags & EXTENDED != 0 { at.u16()? } else { 0 };
        let path = if version == 4 {
            let drop = at.offset()?;
            last.truncate(last.len().checked_sub(drop)?);
            last.extend_from_slice(at.text()?);
            last.clone()
        } else {
            let path = at.text()?.to_vec();
            let used = before - at.rest.len();
            at.take(used.next_multiple_of(8) - used)?;
            path
        };
        let plain_file = mode & 0o170_000 == 0o100_000;
        let usable = plain_file && flags & (ASSUME_VALID | STAGE) == 0 && extended & UNUSABLE == 0;
        files.push((path, Tracked { oid, mtime, ctime, inode, size, usable }));
    }
    while at.rest.len() >= 8 {
        let name = at.take(4)?.to_vec();
        let length = at.u32()?;
        if name == b"link" {
            return None;
        }
        at.take(length as usize)?;
    }
    Some(files)
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Bytes up to a NUL, which is taken too.
    fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|b| *b == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }

    /// A number in git's "offset" encoding: seven bits a byte, each continuation adds one.
    fn offset(&mut self) -> Option<usize> {
        let mut byte = *self.take(1)?.first()?;
        let mut value = usize::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            byte = *self.take(1)?.first()?;
            value = value.checked_add(1)?.checked_mul(128)? | usize::from(byte & 0x7f);
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    fn git(at: &Path, args: &[&str]) -> bool {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.invalid"]).args(args).current_dir(at);
        git.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", at).output().is_ok_and(|o| o.status.success())
    }

    #[test]
    fn every_version_says_the_same_and_changed_files_are_not_clean() {
        let dir = tempfile::tempdir().unwrap();
        if !git(dir.path(), &["init", "-q"]) {
            eprintln!("SKIP: git does not run here");
            return;
        }
        for name in ["a", "dir/b", "dir/c with blank", "dir/sub/d"] {
            fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
            fs::write(dir.path().join(name), name).unwrap();
        }
        let stat = |name: &str| Stat::of(&dir.path().join(name).symlink_metadata().unwrap());
        let rel = |name: &str| Rel::from_bytes(name.as_bytes()).unwrap();
        for version in ["2", "3", "4"] {
            std::thread::sleep(std::time::Duration::from_millis(30));
            assert!(git(dir.path(), &["add", "-A"]) && git(dir.path(), &["update-index", "--index-version", version]));
            let index = GitIndex::read(dir.path()).unwrap();
            assert_eq!(index.files.len(), 4, "{version}");
            // `git hash-object` says the same: 78981922613b2afb6025042ff6bd878ac1994e85 is "a\n"; ours has no newline.
            assert_eq!(
                index.clean(&rel("a"), &stat("a")).map(|o| o.to_string()).as_deref(),
                Some("2e65efe2a145dda7ee51d1741299f848e5bf752e")
            );
            let below = GitIndex::read(&dir.path().join("dir")).unwrap();
            assert!(below.files.len() == 3 && below.clean(&rel("sub/d"), &stat("dir/sub/d")).is_some());
        }
        let before = stat("a");
        fs::write(dir.path().join("a"), "b").unwrap();
        let file = fs::File::options().write(true).open(dir.path().join("a")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_nanos(before.mtime.cast_unsigned())).unwrap();
        assert_eq!((stat("a").mtime, stat("a").size), (before.mtime, before.size), "the old time is put back");
        let index = GitIndex::read(dir.path()).unwrap();
        assert_eq!((index.clean(&rel("a"), &stat("a")), index.clean(&rel("b"), &stat("a"))), (None, None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in 1_u8..6, count in 0_u8..4) {
            let head = [b"DIRC\0\0\0".as_slice(), &[version], &[0, 0, 0, count], &bytes].concat();
            parse(&head);
            parse(&bytes);
        }
    }
}
