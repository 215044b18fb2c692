//! What the files of one call were, written down before the first of them is changed: a call that was killed between two files
//! is taken back by whoever comes next.

use super::commit::{Old, Planned, make};
use super::{file, lease};
use crate::base::lock::FileLock;
use crate::base::{atomic, digest, id};
use serde::{Deserialize, Serialize};
use std::fs::{self, Permissions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const END: &str = "edit";

/// The first line of a record; the old contents follow it, one after the other.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    files: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    path: PathBuf,
    before: Option<String>,
    after: Option<String>,
    mode: Option<u32>,
    /// Bytes of the old content.
    size: usize,
}

/// A record, held by the process whose call it is.
pub struct Record {
    path: PathBuf,
    lock: PathBuf,
    _held: FileLock,
}

impl Record {
    /// Puts a record into `folder`, on the disk when this returns.
    pub(super) fn write(folder: &Path, planned: &[Planned], old: &[Option<Old>]) -> io::Result<Self> {
        private(folder)?;
        let name = id::fresh(16);
        let lock = folder.join(format!("{name}.lock"));
        let held = FileLock::take(&lock, Duration::ZERO)?.ok_or(io::ErrorKind::WouldBlock)?;
        let entry = |(change, old): (&Planned, &Option<Old>)| Entry {
            path: change.path.clone(),
            before: change.before.clone(),
            after: change.after.as_deref().map(digest::sha256),
            mode: old.as_ref().map(|o| bits(&o.mode)),
            size: old.as_ref().map_or(0, |o| o.bytes.len()),
        };
        let header = Header { files: planned.iter().zip(old).map(entry).collect() };
        let mut bytes = serde_json::to_vec(&header)?;
        bytes.push(b'\n');
        for old in old.iter().flatten() {
            bytes.extend_from_slice(&old.bytes);
        }
        let path = folder.join(format!("{name}.{END}"));
        let record = Self { path, lock, _held: held };
        atomic::write(&record.path, &bytes, true).inspect_err(|_| record.clear())?;
        Ok(record)
    }

    /// The call is complete, or was taken back.
    pub fn done(self) {
        self.clear();
    }

    fn clear(&self) {
        // One that stays says what is so already.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.lock);
    }
}

fn private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

#[cfg(unix)]
fn bits(mode: &Permissions) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(mode) & 0o7777
}

#[cfg(not(unix))]
fn bits(_: &Permissions) -> u32 {
    0
}

#[cfg(unix)]
fn permissions(bits: Option<u32>) -> Option<Permissions> {
    bits.map(std::os::unix::fs::PermissionsExt::from_mode)
}

#[cfg(not(unix))]
fn permissions(_: Option<u32>) -> Option<Permissions> {
    None
}

/// The folder of the records, beside the leases.
pub fn folder(leases: &Path) -> PathBuf {
    leases.join("open")
}

/// Takes back what killed calls have left half done. What to tell a person of it.
pub fn recover(leases: &Path) -> Vec<String> {
    let folder = folder(leases);
    let entries = folder.read_dir().into_iter().flatten().flatten().map(|e| e.path());
    let records: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == END)).collect();
    records.iter().filter_map(|path| one(path, leases)).collect()
}

fn one(path: &Path, leases: &Path) -> Option<String> {
    let lock = path.with_extension("lock");
    // Somebody is at it.
    let held = FileLock::take(&lock, Duration::ZERO).ok().flatten()?;
    let record = Record { path: path.to_path_buf(), lock, _held: held };
    let bytes = fs::read(path).ok()?;
    let split = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let (header, contents) = bytes.split_at_checked(split).unwrap_or_default();
    let Ok(header) = serde_json::from_slice::<Header>(header) else {
        record.done();
        return None;
    };
    let _leases = lease::take(leases, header.files.iter().map(|e| e.path.as_path()))?;
    let now: Vec<Option<String>> =
        header.files.iter().map(|e| file::read_bytes(&e.path).ok().map(|bytes| digest::sha256(&bytes))).collect();
    let are = |state: fn(&Entry) -> &Option<String>| header.files.iter().zip(&now).all(|(e, now)| state(e) == now);
    if are(|e| &e.after) || are(|e| &e.before) {
        record.done();
        return None;
    }
    let names: Vec<String> = header.files.iter().map(|e| e.path.display().to_string()).collect();
    let names = names.join(", ");
    if header.files.iter().zip(&now).any(|(e, now)| *now != e.before && *now != e.after) {
        record.done();
        return Some(format!("an edit of several files was cut off, and they were changed since: look at {names}"));
    }
    let mut at = contents.get(1..).unwrap_or_default();
    for (entry, now) in header.files.iter().zip(&now) {
        let (old, rest) = at.split_at_checked(entry.size).unwrap_or_default();
        at = rest;
        if *now == entry.before {
            continue;
        }
        let old = entry.before.as_ref().map(|_| old);
        if let Err(e) = make(&entry.path, old, permissions(entry.mode).as_ref()) {
            // The record stays for the next try.
            return Some(format!("an edit of several files was cut off, and {} cannot be put back: {e}", entry.path.display()));
        }
    }
    record.done();
    Some(format!("an edit that was cut off between two files was taken back: {names}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_off_between_two_files_is_taken_back_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let leases = dir.path().join("leases");
        let at = |name: &str| dir.path().join(name);
        let planned = |name: &str, before: Option<&str>, after: Option<&str>| Planned {
            path: at(name),
            before: before.map(|b| digest::sha256(b.as_bytes())),
            after: after.map(|a| a.as_bytes().to_vec()),
            mode: None,
        };
        let all = [planned("a", Some("a"), Some("A")), planned("new", None, Some("new")), planned("b", Some("b\n"), None)];
        let state = || ["a", "new", "b"].map(|n| fs::read_to_string(at(n)).ok());
        let before = [Some("a".to_owned()), None, Some("b\n".to_owned())];
        let begin = || {
            for (name, content) in ["a", "new", "b"].iter().zip(&before) {
                match content {
                    Some(text) => fs::write(at(name), text).unwrap(),
                    None => drop(fs::remove_file(at(name))),
                }
            }
            let old: Vec<_> = all.iter().map(|p| super::super::commit::current(&p.path).unwrap()).collect();
            Record::write(&folder(&leases), &all, &old).unwrap()
        };
        for cut in 0..=3 {
            let record = begin();
            for change in all.iter().take(cut) {
                make(&change.path, change.after.as_deref(), None).unwrap();
            }
            let cut_off = state();
            assert_eq!((recover(&leases), state()), (vec![], cut_off), "its process is alive");
            drop(record);
            let said = recover(&leases);
            let done = [Some("A".to_owned()), Some("new".to_owned()), None];
            assert_eq!(state(), if cut == 3 { done } else { before.clone() }, "{cut}: {said:?}");
            assert_eq!((said.len(), folder(&leases).read_dir().unwrap().count()), (usize::from((1..3).contains(&cut)), 0));
        }
        let record = begin();
        make(&at("a"), Some(b"A"), None).unwrap();
        fs::write(at("b"), "somebody's").unwrap();
        drop(record);
        assert!(recover(&leases)[0].contains("changed since"));
        assert_eq!(state(), [Some("A".to_owned()), None, Some("somebody's".to_owned())]);
    }
}
