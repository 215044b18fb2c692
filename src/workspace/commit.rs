//! Making worked-out changes of several files: all of them or none, and only over what they were worked out from.

use super::file::{self, FileError};
use super::{lease, rollback};
use crate::base::digest;
use std::fs::{self, Permissions};
use std::path::{Path, PathBuf};

/// One file's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub path: PathBuf,
    /// The SHA-256 of what it was worked out from; `None` where there was no file.
    pub before: Option<String>,
    /// `None` deletes the file.
    pub after: Option<Vec<u8>>,
    /// The mode of a file that is new, where it is not to be the usual one.
    pub mode: Option<Permissions>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error("{} was changed by somebody else meanwhile", .0.display())]
    Changed(PathBuf),
    #[error("somebody else has been writing for too long")]
    Busy,
    #[error("{}: {error}", .path.display())]
    File { path: PathBuf, error: FileError },
    #[error("{}: {error}; and {} could not be put back: {back}", .path.display(), .lost.display())]
    HalfDone { path: PathBuf, error: FileError, lost: PathBuf, back: FileError },
}

/// What a file was, to put it back.
pub(super) struct Old {
    pub bytes: Vec<u8>,
    pub mode: Permissions,
}

/// Makes all of the changes; on an error, those that were made are taken back, and after a crash by whoever comes next.
/// `leases` is the folder of the locks by which pups write one after the other.
pub fn commit(planned: &[Planned], leases: Option<&Path>) -> Result<(), CommitError> {
    for note in leases.map(rollback::recover).unwrap_or_default() {
        tracing::warn!("{note}");
    }
    let paths = planned.iter().map(|p| p.path.as_path());
    let _leases = leases.map(|folder| lease::take(folder, paths).ok_or(CommitError::Busy)).transpose()?;
    let mut old = Vec::with_capacity(planned.len());
    for change in planned {
        let now = current(&change.path).map_err(|error| CommitError::File { path: change.path.clone(), error })?;
        if now.as_ref().map(|o| digest::sha256(&o.bytes)) != change.before {
            return Err(CommitError::Changed(change.path.clone()));
        }
        old.push(now);
    }
    let record = leases.filter(|_| planned.len() > 1).and_then(|leases| {
        let record = rollback::Record::write(&rollback::folder(leases), planned, &old);
        // Without it only a crash in the middle is worse.
        record.inspect_err(|e| tracing::warn!(%e, "a crash between two files could not be taken back")).ok()
    });
    let folders: Vec<PathBuf> = planned.iter().flat_map(|p| missing_folders(&p.path)).collect();
    for (ix, change) in planned.iter().enumerate() {
        let is_new = old.get(ix).is_some_and(Option::is_none);
        if let Err(error) = make(&change.path, change.after.as_deref(), change.mode.as_ref().filter(|_| is_new)) {
            let (path, made) = (change.path.clone(), planned.iter().zip(&old).take(ix));
            for (change, old) in made.collect::<Vec<_>>().into_iter().rev() {
                let put = make(&change.path, old.as_ref().map(|o| o.bytes.as_slice()), old.as_ref().map(|o| &o.mode));
                if let Err(back) = put {
                    return Err(CommitError::HalfDone { path, error, lost: change.path.clone(), back });
                }
            }
            for folder in &folders {
                // One that somebody else uses by now is not empty, and stays.
                let _ = fs::remove_dir(folder);
            }
            record.into_iter().for_each(rollback::Record::done);
            return Err(CommitError::File { path, error });
        }
    }
    record.into_iter().for_each(rollback::Record::done);
    Ok(())
}

/// The folders on the way to `path` that are not there, innermost first.
fn missing_folders(path: &Path) -> impl Iterator<Item = PathBuf> {
    path.ancestors().skip(1).take_while(|folder| folder.symlink_metadata().is_err()).map(Path::to_path_buf)
}

pub(super) fn current(path: &Path) -> Result<Option<Old>, FileError> {
    match file::read_bytes(path) {
        Ok(bytes) => Ok(Some(Old { bytes, mode: fs::metadata(path)?.permissions() })),
        Err(FileError::Missing) => Ok(None),
        Err(e) => Err(e),
    }
}

pub(super) fn make(path: &Path, bytes: Option<&[u8]>, mode: Option<&Permissions>) -> Result<(), FileError> {
    match bytes {
        Some(bytes) => file::write(path, bytes)?,
        None => return file::remove(path),
    }
    match mode {
        Some(mode) => Ok(fs::set_permissions(path, mode.clone())?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn planned(path: PathBuf, before: Option<&[u8]>, after: Option<&[u8]>) -> Planned {
        Planned { path, before: before.map(digest::sha256), after: after.map(<[u8]>::to_vec), mode: None }
    }

    #[test]
    fn all_or_nothing_and_only_over_what_was_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("a"), "a").unwrap();
        fs::write(at("b"), "b").unwrap();
        fs::set_permissions(at("b"), Permissions::from_mode(0o750)).unwrap();
        fs::write(at("locked"), "l").unwrap();
        fs::set_permissions(at("locked"), Permissions::from_mode(0o444)).unwrap();
        let two = [planned(at("a"), Some(b"a"), Some(b"A")), planned(at("b"), Some(b"b"), None), planned(at("d/e/c"), None, Some(b"c"))];
        let with = |last: Planned| two.iter().cloned().chain([last]).collect::<Vec<_>>();
        let e = commit(&with(planned(at("locked"), Some(b"l"), Some(b"L"))), None).unwrap_err();
        assert!(matches!(e, CommitError::File { error: FileError::ReadOnly, .. }), "{e}");
        for last in [planned(at("x"), Some(b"d"), None), planned(at("locked"), None, Some(b"x"))] {
            assert!(matches!(commit(&with(last), None), Err(CommitError::Changed(_))));
        }
        assert_eq!((fs::read(at("a")).unwrap(), fs::read(at("b")).unwrap(), at("d").exists()), (b"a".to_vec(), b"b".to_vec(), false));
        assert_eq!(fs::metadata(at("b")).unwrap().permissions().mode() & 0o777, 0o750);
        commit(&two, None).unwrap();
        assert_eq!((fs::read(at("a")).unwrap(), at("b").exists(), fs::read(at("d/e/c")).unwrap()), (b"A".to_vec(), false, b"c".to_vec()));
    }

    /// Each of many writers adds one to a number in each of two files, over and over: no addition is lost, every one that
    /// came too late was told so.
    #[test]
    fn a_write_over_anothers_is_a_conflict_and_never_a_loss() {
        let dir = tempfile::tempdir().unwrap();
        let files = [dir.path().join("one"), dir.path().join("two")];
        for file in &files {
            fs::write(file, "0").unwrap();
        }
        let writer = |n: usize| {
            let (files, leases) = (files.clone(), dir.path().join("leases"));
            move || {
                let mut conflicts = 0;
                for _ in 0..4 {
                    loop {
                        let mut both: Vec<Planned> = files
                            .iter()
                            .map(|f| {
                                let now = fs::read(f).unwrap();
                                let next = String::from_utf8(now.clone()).unwrap().parse::<u32>().unwrap() + 1;
                                planned(f.clone(), Some(&now), Some(next.to_string().as_bytes()))
                            })
                            .collect();
                        if n.is_multiple_of(2) {
                            both.reverse();
                        }
                        match commit(&both, Some(&leases)) {
                            Ok(()) => break,
                            Err(CommitError::Changed(_)) => conflicts += 1,
                            Err(e) => panic!("{e}"),
                        }
                    }
                }
                conflicts
            }
        };
        let threads: Vec<_> = (0..36).map(|n| std::thread::spawn(writer(n))).collect();
        let conflicts: u32 = threads.into_iter().map(|t| t.join().unwrap()).sum();
        assert!(files.iter().all(|f| fs::read(f).unwrap() == b"144"));
        assert!(conflicts > 0, "nobody came in another's way");
    }
}
