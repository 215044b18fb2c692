//! Reading text whole or refusing clearly, and replacing a file so that its mode survives. Never guesses an encoding.

use crate::base::{atomic, bytesize, digest};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The largest file that is read into memory, in bytes.
pub const MAX_TEXT: u64 = 10 * 1024 * 1024;

const BOM: &str = "\u{feff}";

/// A UTF-8 text file, line endings as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Whether the bytes begin with a byte order mark; `body` does not have it.
    pub bom: bool,
    pub body: String,
    /// SHA-256 of the whole file's bytes.
    pub digest: String,
}

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
    #[error("it is not UTF-8: byte 0x{byte:02x} in line {line}; convert it with a command such as `iconv` first")]
    NotUtf8 { line: usize, byte: u8 },
    #[error("it is UTF-16; convert it with a command such as `iconv -f UTF-16 -t UTF-8` first")]
    Utf16,
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

impl Text {
    /// The bytes of a file with this mark and the body `body`.
    pub fn encode(bom: bool, body: &str) -> Vec<u8> {
        let mut bytes = if bom { BOM.as_bytes().to_vec() } else { Vec::new() };
        bytes.extend_from_slice(body.as_bytes());
        bytes
    }

    /// Takes apart what [`Text::encode`] puts together; refuses what is not UTF-8 text.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, FileError> {
        let digest = digest::sha256(&bytes);
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(FileError::Utf16);
        }
        if bytes.contains(&0) {
            return Err(FileError::Binary(bytes.len() as u64));
        }
        match String::from_utf8(bytes) {
            Ok(mut body) => {
                let bom = body.starts_with(BOM);
                if bom {
                    body.drain(..BOM.len());
                }
                Ok(Self { bom, body, digest })
            }
            Err(e) => {
                let at = e.utf8_error().valid_up_to();
                let (good, bad) = e.as_bytes().split_at_checked(at).unwrap_or_default();
                let line = good.split(|b| *b == b'\n').count();
                Err(FileError::NotUtf8 { line, byte: bad.first().copied().unwrap_or_default() })
            }
        }
    }
}

/// Reads a text file of at most [`MAX_TEXT`] bytes.
pub fn read_text(path: &Path) -> Result<Text, FileError> {
    Text::decode(read_bytes(path)?)
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

/// Creates or replaces `path`, atomically and synced; folders on the way are made, the mode of an old file is kept.
/// A file without write permission is refused, although a rename could replace it.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    match fs::metadata(path) {
        Ok(meta) => {
            regular(&meta)?;
            if meta.permissions().readonly() {
                return Err(FileError::ReadOnly);
            }
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(e.into()),
    }
    atomic::write(path, bytes, false).map_err(|e| match FileError::from(e) {
        // Of writing, not of the file: a name on the way is taken, or the folder vanished.
        FileError::Io(e) if e.kind() == ErrorKind::AlreadyExists => FileError::ParentIsFile,
        other => other,
    })
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
    fn text_survives_the_way_in_and_out() {
        for bytes in ["", "a\r\nb", "\u{feff}x\n", "\u{feff}", "\u{e9}\u{1f436}\n\n"] {
            let (_dir, path) = file(bytes.as_bytes());
            let text = read_text(&path).unwrap();
            assert_eq!(Text::encode(text.bom, &text.body), bytes.as_bytes());
            assert_eq!(text.digest, digest::sha256(bytes.as_bytes()));
            assert!(!text.body.starts_with(BOM));
        }
    }

    #[test]
    fn what_is_not_text_is_refused_with_its_reason() {
        let cases: [(&[u8], &str); 4] = [
            (b"a\0b", "it is a binary file (3 B)"),
            (b"ok\nna\xefve\n", "it is not UTF-8: byte 0xef in line 2"),
            (b"\xff\xfea\0", "it is UTF-16"),
            (b"\xfe\xff\0a", "it is UTF-16"),
        ];
        for (bytes, reason) in cases {
            let (_dir, path) = file(bytes);
            let e = read_text(&path).unwrap_err().to_string();
            assert!(e.starts_with(reason), "{e}");
        }
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
    fn writing_keeps_the_mode_and_makes_folders() {
        let (dir, path) = file(b"old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o751)).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o751);
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
