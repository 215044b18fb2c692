//! Writing a file so that a reader, or the next boot, sees the old bytes or the new ones and never a mixture.

use super::digest;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Bytes of an extended attribute at most, and of the list of their names (xattr(7)).
#[cfg(target_os = "linux")]
const MAX_ATTRIBUTE: usize = 64 * 1024;

/// Replaces `path` with `bytes`: a temporary file beside it, synced, renamed over it, and the folder synced.
/// `private` gives the new file mode 0600 on Unix.
pub fn write(path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut temp = tempfile::Builder::new().prefix(&prefix(&digest::sha256(bytes))).tempfile_in(folder)?;
    temp.write_all(bytes)?;
    if !private {
        set_default_mode(temp.as_file(), path)?;
        keep_attributes(temp.as_file(), path);
    }
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|e| e.error)?;
    sync_folder(folder)
}

/// Gives an existing file new bytes without replacing it: its other names get them too. What a reader, or the next boot,
/// sees in between may be a mixture, but a synced file with the new bytes lies beside it until it is done.
pub fn write_in_place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = File::options().write(true).open(path)?;
    let mut temp = tempfile::Builder::new().prefix(&prefix(&digest::sha256(bytes))).tempfile_in(folder)?;
    temp.write_all(bytes)?;
    temp.as_file().sync_all()?;
    if let Err(e) = file.write_all(bytes).and_then(|()| file.set_len(bytes.len() as u64)).and_then(|()| file.sync_all()) {
        // The only whole copy of the new bytes; the error is what the caller can act on.
        let _ = temp.keep();
        return Err(e);
    }
    Ok(())
}

/// A temporary file is named for its content, so that whoever meant to write that can clear up after a crash.
fn prefix(digest: &str) -> String {
    format!(".pup-{}-", digest.get(..16).unwrap_or(digest))
}

/// Removes what killed writes to `path` left beside it, where they were to write bytes with the SHA-256 `digest`. No such
/// write may be under way. What cannot be removed stays: it harms nobody.
pub fn sweep(path: &Path, digest: &str) {
    let prefix = prefix(digest);
    let entries = path.parent().and_then(|folder| folder.read_dir().ok()).into_iter().flatten().flatten();
    for entry in entries.filter(|e| e.file_name().to_str().is_some_and(|name| name.starts_with(&prefix))) {
        let _ = fs::remove_file(entry.path());
    }
}

/// Makes a rename or a creation in `folder` survive a power cut.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// tempfile makes files 0600; an ordinary file keeps the mode and the owner it had, or gets what the umask gives.
#[cfg(unix)]
fn set_default_mode(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = match fs::metadata(path) {
        Ok(old) => {
            use std::os::unix::fs::MetadataExt;
            let new = file.metadata()?;
            if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
                // Only root may give files away; a group that is not ours is lost, as with any editor.
                let _ = std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()));
            }
            old.permissions().mode() & 0o7777
        }
        Err(_) => 0o666 & !current_umask(),
    };
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_default_mode(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Gives `file`, which is to replace `old`, its extended attributes; access lists are among them. What the system does not let
/// anybody set, such as most of its own, is lost, as with any editor.
#[cfg(target_os = "linux")]
pub fn keep_attributes(file: &File, old: &Path) {
    use rustix::fs::{XattrFlags, fsetxattr, getxattr, listxattr};
    let read = |get: &dyn Fn(&mut Vec<u8>) -> rustix::io::Result<usize>| {
        let mut bytes = vec![0; MAX_ATTRIBUTE];
        let length = get(&mut bytes).ok()?;
        bytes.truncate(length);
        Some(bytes)
    };
    // Nearly every file has none, and then this is one call.
    let Some(names) = read(&|buffer| listxattr(old, buffer.as_mut_slice())) else { return };
    for name in names.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let Some(value) = read(&|buffer| getxattr(old, name, buffer.as_mut_slice())) else { continue };
        if let Err(e) = fsetxattr(file, name, &value, XattrFlags::empty()) {
            tracing::debug!(%e, name = %String::from_utf8_lossy(name), "an extended attribute is not kept");
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub fn keep_attributes(_: &File, _: &Path) {}

/// The process's umask. Reading it means setting it, so it is read once.
#[cfg(unix)]
fn current_umask() -> u32 {
    use std::sync::OnceLock;
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let old = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        rustix::process::umask(old);
        old.bits()
    })
}

/// Which file it is, whatever its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    #[cfg(unix)]
    #[allow(clippy::unnecessary_wraps, reason = "elsewhere nobody can tell")]
    pub fn of(file: &fs::Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self { device: file.dev(), inode: file.ino() })
    }

    #[cfg(not(unix))]
    pub fn of(_: &fs::Metadata) -> Option<Self> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn extended_attributes_and_access_lists_are_kept() {
        use rustix::fs::{XattrFlags, getxattr, setxattr};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        // An access list: the owner may do all, user 12345 may read, others nothing (acl(5), version 2).
        let entry = |tag: u16, perm: u16, id: u32| [&tag.to_le_bytes()[..], &perm.to_le_bytes(), &id.to_le_bytes()].concat();
        let nobody = u32::MAX;
        let entries = [(1, 6, nobody), (2, 4, 12345), (4, 0, nobody), (16, 4, nobody), (32, 0, nobody)].map(|(t, p, i)| entry(t, p, i));
        let list = [2_u32.to_le_bytes().to_vec(), entries.concat()].concat();
        let rows = [("user.origin", b"here".to_vec()), ("system.posix_acl_access", list)];
        // Not every file system has them.
        let set: Vec<_> = rows.iter().filter(|(name, value)| setxattr(&path, *name, value, XattrFlags::empty()).is_ok()).collect();
        let mode = |path: &Path| std::os::unix::fs::MetadataExt::mode(&fs::metadata(path).unwrap());
        let before = mode(&path);
        write(&path, b"new", false).unwrap();
        for (name, value) in set {
            let mut got = vec![0; 1000];
            let length = getxattr(&path, *name, got.as_mut_slice()).unwrap();
            assert_eq!((got.get(..length).unwrap(), fs::read(&path).unwrap().as_slice()), (value.as_slice(), &b"new"[..]), "{name}");
        }
        assert_eq!(mode(&path), before);
    }

    #[test]
    fn what_a_killed_write_left_is_swept_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write(&path, b"whole", false).unwrap();
        let left = |bytes: &[u8]| {
            let temp = tempfile::Builder::new().prefix(&prefix(&digest::sha256(bytes))).tempfile_in(dir.path()).unwrap();
            temp.keep().unwrap().1
        };
        let (ours, of_another) = (left(b"ours"), left(b"of another"));
        sweep(&path, &digest::sha256(b"ours"));
        assert!(!ours.exists() && of_another.exists() && fs::read(&path).unwrap() == b"whole");
        sweep(Path::new("/no/such/folder/x"), "d");
    }
}
