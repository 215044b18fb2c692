//! Writing a file so that a reader, or the next boot, sees the old bytes or the new ones and never a mixture.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Replaces `path` with `bytes`: a temporary file beside it, synced, renamed over it, and the folder synced.
/// `private` gives the new file mode 0600 on Unix.
pub fn write(path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut temp = tempfile::Builder::new().prefix(".pup-").tempfile_in(folder)?;
    temp.write_all(bytes)?;
    if !private {
        set_default_mode(temp.as_file(), path)?;
    }
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|e| e.error)?;
    sync_folder(folder)
}

/// Makes a rename or a creation in `folder` survive a power cut.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// tempfile makes files 0600; an ordinary file keeps the mode it had, or gets what the umask gives.
#[cfg(unix)]
fn set_default_mode(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = match fs::metadata(path) {
        Ok(old) => old.permissions().mode() & 0o7777,
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
