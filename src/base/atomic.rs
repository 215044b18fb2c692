//! Writing a file so that a reader, or the next boot, sees the old bytes or the new ones and never a mixture.

use super::digest;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Replaces `path` with `bytes`: a temporary file beside it, synced, renamed over it, and the folder synced.
/// `private` gives the new file mode 0600 on Unix.
pub fn write(path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut temp = tempfile::Builder::new().prefix(&prefix(&digest::sha256(bytes))).tempfile_in(folder)?;
    temp.write_all(bytes)?;
    if !private {
        set_default_mode(temp.as_file(), path)?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
