//! Reading text whole or refusing clearly, and replacing a file so that its mode survives. Never guesses an encoding.

pub use super::encoding::Text;
use crate::base::{atomic, bytesize};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The largest file that is read into memory, in bytes.
pub const MAX_TEXT: u64 = 10 * 1024 * 1024;

/// Why a file cannot be read or written. The texts continue "cannot read src/x.rs: ".
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("it does not exist")]
    Missing,
    #[error("it is a folder")]
    Folder,
    #[error("it is not a regular file (a pipe, socket or device)")]
    Special,
    #[error("it has {}, more than the {} that are read at once; use grep, or a command such as `sed -n 1,200p`", bytesize::human(*.0), bytesize::human(MAX_TEXT))]
    TooBig(u64),
    #[error("it is a binary file ({})", bytesize::human(*.0))]
    Binary(u64),
    #[error(
        "its encoding is none of UTF-8, UTF-16 with a mark and Latin-1 (byte 0x{byte:02x} in line {line}); convert it with a command such as `iconv` first"
    )]
    Unknown { line: usize, byte: u8 },
    #[error(
        "it looks like UTF-16 without a byte order mark ({0}), which is not changed here; convert it first, e.g. with `iconv -f {0} -t UTF-8`"
    )]
    UnmarkedUtf16(&'static str),
    #[error("it begins as UTF-16 and is not valid UTF-16")]
    BadUtf16,
    #[error("it is {encoding}, which has no `{character}`; use other characters, or convert the file to UTF-8 with `iconv` first")]
    Unencodable { encoding: &'static str, character: char },
    #[error("the new text has a NUL character, which text files do not have; write such a file with a command")]
    Nul,
    #[error("permission denied")]
    Denied,
    #[error("the file is read-only; `chmod u+w` allows it")]
    ReadOnly,
    #[error("the file system is read-only")]
    ReadOnlyDisk,
    #[error("the disk is full")]
    Full,
    #[error("a part of its path is a file, not a folder")]
    ParentIsFile,
    #[error("{0}")]
    Io(io::Error),
}

impl From<io::Error> for FileError {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            ErrorKind::NotFound => Self::Missing,
            ErrorKind::PermissionDenied => Self::Denied,
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnlyDisk,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            ErrorKind::IsADirectory => Self::Folder,
            ErrorKind::NotADirectory => Self::ParentIsFile,
            _ => Self::Io(e),
        }
    }
}

/// Reads a text file of at most [`MAX_TEXT`] bytes.
pub fn read_text(path: &Path) -> Result<Text, FileError> {
    Text::decode(&read_bytes(path)?)
}

/// Reads a regular file of at most [`MAX_TEXT`] bytes. Pipes and devices, which could block for ever, are not opened.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    let size = regular(&fs::metadata(path)?)?;
    if size > MAX_TEXT {
        return Err(FileError::TooBig(size));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    File::open(path)?.take(MAX_TEXT + 1).read_to_end(&mut bytes)?;
    // It may have grown meanwhile.
    if bytes.len() as u64 > MAX_TEXT { Err(FileError::TooBig(bytes.len() as u64)) } else { Ok(bytes) }
}

fn regular(meta: &Metadata) -> Result<u64, FileError> {
    if meta.is_dir() {
        Err(FileError::Folder)
    } else if meta.is_file() {
        Ok(meta.len())
    } else {
        Err(FileError::Special)
    }
}

/// Creates or replaces `path`, synced; folders on the way are made, mode and owner of an old file are kept. The file is
/// replaced atomically, unless it has other names, which would keep the old content: then it is written in place, while
/// a synced copy of the new content lies beside it. A file without write permission is refused, although a rename could
/// replace it.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let shared = match fs::metadata(path) {
        Ok(meta) => {
            regular(&meta)?;
            if meta.permissions().readonly() {
                return Err(FileError::ReadOnly);
            }
            is_shared(&meta)
        }
        Err(e) if e.kind() == ErrorKind::NotFound => false,
        Err(e) => return Err(e.into()),
    };
    let written = if shared { atomic::write_in_place(path, bytes) } else { atomic::write(path, bytes, false) };
    written.map_err(|e| match FileError::from(e) {
        // Of writing, not of the file: a name on the way is taken, or the folder vanished.
        FileError::Io(e) if e.kind() == ErrorKind::AlreadyExists => FileError::ParentIsFile,
        other => other,
    })
}

/// Whether a rename over the file would take something from it: its other names, or its owner.
#[cfg(unix)]
fn is_shared(meta: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    meta.nlink() > 1 || (meta.uid() != rustix::process::geteuid().as_raw() && !rustix::process::geteuid().is_root())
}

#[cfg(not(unix))]
fn is_shared(_: &Metadata) -> bool {
    false
}

/// Deletes a file or a link, and makes that last.
pub fn remove(path: &Path) -> Result<(), FileError> {
    fs::remove_file(path)?;
    Ok(path.parent().map_or(Ok(()), atomic::sync_folder)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn huge_special_and_missing_files_are_refused_without_being_read() {
        let (dir, path) = file(b"");
        File::options().write(true).open(&path).unwrap().set_len(2 << 30).unwrap();
        assert!(read_text(&path).unwrap_err().to_string().starts_with("it has 2 GB, more than"));
        assert!(matches!(read_text(dir.path()), Err(FileError::Folder)));
        assert!(matches!(read_text(Path::new("/dev/zero")), Err(FileError::Special)));
        assert!(matches!(read_text(&dir.path().join("gone")), Err(FileError::Missing)));
        assert!(matches!(read_text(&path.join("x")), Err(FileError::ParentIsFile)));
    }

    #[test]
    fn writing_keeps_mode_and_other_names_and_makes_folders() {
        let (dir, path) = file(b"old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o751)).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o751);
        let other = dir.path().join("other name");
        fs::hard_link(&path, &other).unwrap();
        write(&path, b"newer, and longer").unwrap();
        write(&path, b"newest").unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"newest");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        write(&dir.path().join("a/b/c"), b"x").unwrap();
        assert_eq!(fs::read(dir.path().join("a/b/c")).unwrap(), b"x");
    }

    #[test]
    fn refused_writes_leave_the_bytes() {
        let (dir, path) = file(b"old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        assert!(matches!(write(&path, b"new"), Err(FileError::ReadOnly)));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert!(matches!(write(dir.path(), b"new"), Err(FileError::Folder)));
        assert!(matches!(write(&path.join("below"), b"new"), Err(FileError::ParentIsFile)));
        assert!(matches!(write(Path::new("/dev/full"), b"new"), Err(FileError::Special)));
        let on_a_full_disk = File::options().write(true).open("/dev/full").unwrap().write_all(b"x").unwrap_err();
        assert_eq!(FileError::from(on_a_full_disk).to_string(), "the disk is full");
    }
}
