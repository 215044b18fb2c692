//! SHA-256 as lower-case hex: the name of a blob, a file's identity, a repository's trust.

use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};

/// The SHA-256 of `bytes` as 64 hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The first `digits` hex digits of [`sha256`], for names that people read.
pub fn short(bytes: &[u8], digits: usize) -> String {
    let mut full = sha256(bytes);
    full.truncate(digits);
    full
}

/// Copies everything, and says its SHA-256 and how many bytes it was.
pub fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<([u8; 32], u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut total = 0;
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finalize().into(), total)),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let piece = buffer.get(..n).unwrap_or_default();
        hasher.update(piece);
        to.write_all(piece)?;
        total += n as u64;
    }
}

/// The SHA-256 of `bytes`, as it is.
pub fn raw(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// The bytes that [`hex`] wrote.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|t| !t.starts_with('+'))?, 16).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

#[cfg(test)]
mod tests {
    #[test]
    fn matches_the_published_vector() {
        assert_eq!(super::sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(super::short(b"abc", 8), "ba7816bf");
        let mut copied = Vec::new();
        let (digest, bytes) = super::copy(&mut b"abc".as_slice(), &mut copied).unwrap();
        assert_eq!((super::hex(&digest), bytes, copied), (super::sha256(b"abc"), 3, b"abc".to_vec()));
        assert_eq!(super::unhex(&super::hex(&digest)), Some(super::raw(b"abc").to_vec()));
        assert!(super::unhex("abc").is_none() && super::unhex("+1").is_none());
    }
}
