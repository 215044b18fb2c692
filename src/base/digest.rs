//! SHA-256 as lower-case hex: the name of a blob, a file's identity, a repository's trust.

use sha2::{Digest, Sha256};

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

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn matches_the_published_vector() {
        assert_eq!(super::sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(super::short(b"abc", 8), "ba7816bf");
    }
}
