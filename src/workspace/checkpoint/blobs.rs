//! Contents by their SHA-256: each is kept once, whoever has it, and is checked when it is read.

use super::node::Hex;
use crate::base::{digest, id};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Whether a content must survive a power cut, because what it was read from is about to be overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    Yes,
    No,
}

/// Up to this size a content is hashed before anything is written: most of them are there already.
const SMALL: u64 = 1 << 20;

#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub fn path(&self, digest: &Hex<32>) -> PathBuf {
        let name = digest.to_string();
        self.folder.join(name.get(..2).unwrap_or_default()).join(name.get(2..).unwrap_or_default())
    }

    pub fn has(&self, digest: &Hex<32>, size: u64) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|m| m.len() == size)
    }

    /// Keeps all of `from`, which has about `size` bytes. Returns its name and how many they really were.
    pub fn put(&self, from: &mut impl Read, size: u64, durable: Durable) -> io::Result<(Hex<32>, u64)> {
        if size <= SMALL {
            let mut bytes = Vec::with_capacity(size as usize + 1);
            from.take(SMALL + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 <= SMALL {
                let (name, size) = (Hex(digest::raw(&bytes)), bytes.len() as u64);
                if !self.has(&name, size) {
                    self.keep(&name, |file| file.write_all(&bytes), durable)?;
                }
                return Ok((name, size));
            }
            return self.stream(&mut bytes.as_slice().chain(from), durable);
        }
        self.stream(from, durable)
    }

    fn stream(&self, from: &mut impl Read, durable: Durable) -> io::Result<(Hex<32>, u64)> {
        let temp = self.temp()?;
        let copied = File::create(&temp).and_then(|mut file| {
            let copied = digest::copy(from, &mut file)?;
            if durable == Durable::Yes {
                file.sync_all()?;
            }
            Ok(copied)
        });
        let (digest, size) = copied.inspect_err(|_| discard(&temp))?;
        let name = Hex(digest);
        self.publish(&temp, &name)?;
        Ok((name, size))
    }

    fn keep(&self, name: &Hex<32>, write: impl FnOnce(&mut File) -> io::Result<()>, durable: Durable) -> io::Result<()> {
        let temp = self.temp()?;
        let written = File::create(&temp).and_then(|mut file| {
            write(&mut file)?;
            if durable == Durable::Yes { file.sync_all() } else { Ok(()) }
        });
        written.inspect_err(|_| discard(&temp))?;
        self.publish(&temp, name)
    }

    fn publish(&self, temp: &Path, name: &Hex<32>) -> io::Result<()> {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        fs::rename(temp, path).inspect_err(|_| discard(temp))
    }

    fn temp(&self) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.folder)?;
        Ok(self.folder.join(format!("temp-{}", id::fresh(16))))
    }

    /// The whole content; an error where it is missing or not what its name says.
    pub fn read(&self, name: &Hex<32>) -> io::Result<Vec<u8>> {
        let bytes = fs::read(self.path(name))?;
        if digest::raw(&bytes) == name.0 {
            Ok(bytes)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("the kept content {name} is damaged")))
        }
    }

    /// Every content that is kept, and what killed writes left, for clearing up.
    pub fn files(&self) -> Vec<(PathBuf, Option<Hex<32>>)> {
        let entries = |folder: &Path| folder.read_dir().into_iter().flatten().flatten().collect::<Vec<_>>();
        let mut all = Vec::new();
        for entry in entries(&self.folder) {
            if !entry.path().is_dir() {
                all.push((entry.path(), None));
                continue;
            }
            for blob in entries(&entry.path()) {
                let name = format!("{}{}", entry.file_name().to_string_lossy(), blob.file_name().to_string_lossy());
                all.push((blob.path(), Hex::parse(&name)));
            }
        }
        all
    }
}

fn discard(temp: &Path) {
    // Clearing up removes it otherwise.
    let _ = fs::remove_file(temp);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_come_back_and_damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(dir.path().join("blobs"));
        let large = vec![7; SMALL as usize + 9];
        // The size is only what the file was said to have: it may grow while it is read.
        for (bytes, said) in [(b"abc".as_slice(), 3), (b"", 0), (&large, large.len() as u64), (&large, 5)] {
            let (name, size) = blobs.put(&mut &*bytes, said, Durable::Yes).unwrap();
            assert_eq!((size, blobs.read(&name).unwrap()), (bytes.len() as u64, bytes.to_vec()));
            assert!(blobs.has(&name, size));
        }
        assert_eq!(blobs.files().len(), 3);
        let (name, _) = blobs.put(&mut b"abc".as_slice(), 3, Durable::No).unwrap();
        fs::write(blobs.path(&name), "abd").unwrap();
        assert!(blobs.read(&name).unwrap_err().to_string().contains("damaged"));
        fs::write(blobs.path(&name), "a").unwrap();
        blobs.put(&mut b"abc".as_slice(), 3, Durable::No).unwrap();
        assert_eq!(blobs.read(&name).unwrap(), b"abc", "a torn one is written anew");
    }
}
