//! Text of a file in its encoding: UTF-8, UTF-16 with a mark, Latin-1. What is none of these is refused, never guessed at.

use super::file::FileError;
use crate::base::digest;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    Latin1,
}

/// A text file, line endings as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub encoding: Encoding,
    /// Whether the bytes begin with a byte order mark; `body` does not have it.
    pub bom: bool,
    pub body: String,
    /// SHA-256 of the whole file's bytes.
    pub digest: String,
}

/// Longer runs of bytes beyond ASCII are words of a language whose encoding is not Latin-1.
const LATIN_RUN: usize = 4;

impl Encoding {
    const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le | Self::Utf16Be => "UTF-16",
            Self::Latin1 => "Latin-1",
        }
    }

    /// The bytes of `body` in this encoding, with or without a mark.
    pub fn encode(self, bom: bool, body: &str) -> Result<Vec<u8>, FileError> {
        let marked = if bom { "\u{feff}" } else { "" };
        let units = || marked.encode_utf16().chain(body.encode_utf16());
        match self {
            Self::Utf8 => Ok([marked.as_bytes(), body.as_bytes()].concat()),
            Self::Utf16Le => Ok(units().flat_map(u16::to_le_bytes).collect()),
            Self::Utf16Be => Ok(units().flat_map(u16::to_be_bytes).collect()),
            Self::Latin1 => {
                let byte = |c: char| u8::try_from(u32::from(c)).map_err(|_| FileError::Unencodable { encoding: self.name(), character: c });
                body.chars().map(byte).collect()
            }
        }
    }
}

impl Text {
    /// A new UTF-8 text.
    pub fn utf8(body: &str) -> Vec<u8> {
        body.as_bytes().to_vec()
    }

    /// The bytes of this file with another body.
    pub fn with(&self, body: &str) -> Result<Vec<u8>, FileError> {
        self.encoding.encode(self.bom, body)
    }

    /// Takes a file's bytes apart; refuses what is not text in an encoding that is known for sure.
    pub fn decode(bytes: &[u8]) -> Result<Self, FileError> {
        let (encoding, bom, body) = match bytes {
            [0xff, 0xfe, rest @ ..] => (Encoding::Utf16Le, true, utf16(rest, u16::from_le_bytes)?),
            [0xfe, 0xff, rest @ ..] => (Encoding::Utf16Be, true, utf16(rest, u16::from_be_bytes)?),
            [0xef, 0xbb, 0xbf, rest @ ..] => (Encoding::Utf8, true, utf8(rest)?),
            _ if bytes.contains(&0) => return Err(unmarked_utf16(bytes).unwrap_or(FileError::Binary(bytes.len() as u64))),
            _ => match std::str::from_utf8(bytes) {
                Ok(body) => (Encoding::Utf8, false, body.to_owned()),
                Err(_) if is_latin1(bytes) => (Encoding::Latin1, false, bytes.iter().map(|b| char::from(*b)).collect()),
                Err(e) => return Err(unknown(bytes, e)),
            },
        };
        // UTF-32 begins as UTF-16 does.
        if body.contains('\0') {
            return Err(FileError::Binary(bytes.len() as u64));
        }
        Ok(Self { encoding, bom, body, digest: digest::sha256(bytes) })
    }
}

fn utf8(bytes: &[u8]) -> Result<String, FileError> {
    std::str::from_utf8(bytes).map(ToOwned::to_owned).map_err(|e| unknown(bytes, e))
}

fn unknown(bytes: &[u8], error: std::str::Utf8Error) -> FileError {
    let (good, bad) = bytes.split_at_checked(error.valid_up_to()).unwrap_or_default();
    let line = good.split(|b| *b == b'\n').count();
    FileError::Unknown { line, byte: bad.first().copied().unwrap_or_default() }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, FileError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let body: Option<String> = char::decode_utf16(units).map(Result::ok).collect();
    body.filter(|_| rest.is_empty()).ok_or(FileError::BadUtf16)
}

/// UTF-16 without a mark, if it is that: text whose characters are mostly ASCII has a NUL in every second byte, always the same.
fn unmarked_utf16(bytes: &[u8]) -> Option<FileError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let (first, second) = pairs.iter().fold((0, 0), |(a, b), [x, y]| (a + usize::from(*x == 0), b + usize::from(*y == 0)));
    let (name, unit, nuls): (_, fn([u8; 2]) -> u16, _) =
        if second > first { ("UTF-16LE", u16::from_le_bytes, second) } else { ("UTF-16BE", u16::from_be_bytes, first) };
    let text = rest.is_empty() && first.min(second) == 0 && nuls * 4 >= pairs.len() * 3;
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    (text && utf16(bytes, unit).is_ok_and(|body| body.chars().all(plain))).then_some(FileError::UnmarkedUtf16(name))
}

/// Text of letters beyond ASCII here and there. Not so: control codes of either half, which windows-1252 and most Asian
/// encodings use; anything that is a character of UTF-8, since then it is broken UTF-8; whole words beyond ASCII.
fn is_latin1(bytes: &[u8]) -> bool {
    let text = |b: &u8| matches!(b, b'\t' | b'\n' | b'\r' | 0x0c | 0x20..=0x7e | 0xa0..);
    bytes.iter().all(text)
        && bytes.utf8_chunks().all(|chunk| chunk.valid().is_ascii())
        && bytes.split(u8::is_ascii).all(|run| run.len() <= LATIN_RUN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_way_in_and_out_keeps_every_byte() {
        let rows: [(&[u8], Encoding, bool, &str); 8] = [
            (b"", Encoding::Utf8, false, ""),
            (b"a\r\nb", Encoding::Utf8, false, "a\r\nb"),
            (b"\xef\xbb\xbfx\n", Encoding::Utf8, true, "x\n"),
            (b"\xef\xbb\xbf", Encoding::Utf8, true, ""),
            (b"\xff\xfea\0\n\0", Encoding::Utf16Le, true, "a\n"),
            (b"\xfe\xff\0a\xd8\x3d\xdc\x36", Encoding::Utf16Be, true, "a\u{1f436}"),
            (b"na\xefve caf\xe9\n", Encoding::Latin1, false, "na\u{ef}ve caf\u{e9}\n"),
            ("\u{e9}\u{1f436}\n\n".as_bytes(), Encoding::Utf8, false, "\u{e9}\u{1f436}\n\n"),
        ];
        for (bytes, encoding, bom, body) in rows {
            let text = Text::decode(bytes).unwrap();
            assert_eq!((text.encoding, text.bom, text.body.as_str()), (encoding, bom, body));
            assert_eq!(text.with(body).unwrap(), bytes);
            assert_eq!(text.digest, digest::sha256(bytes));
        }
    }

    #[test]
    fn what_is_not_surely_text_is_refused_with_its_reason() {
        let rows: [(&[u8], &str); 13] = [
            (b"a\0b\0\n\0", "it looks like UTF-16 without a byte order mark"),
            (b"\0a\0b\0\r\0\n\x20\x1c", "it looks like UTF-16 without a byte order mark"),
            (b"a\0b\0\0\0", "it is a binary file"),
            (b"\0\0\0\0", "it is a binary file"),
            (b"a\0b", "it is a binary file (3 B)"),
            (b"ok\n\x93quoted\x94\n", "its encoding is none of UTF-8, UTF-16 with a mark and Latin-1 (byte 0x93 in line 2)"),
            (b"\x82\xb1\x82\xf1", "its encoding is none"),
            (b"\xcf\xf0\xe8\xe2\xe5\xf2", "its encoding is none"),
            (b"caf\xc3\xa9 and \xe9", "its encoding is none"),
            (b"\xef\xbb\xbfcaf\xe9", "its encoding is none"),
            (b"\xff\xfea", "it begins as UTF-16"),
            (b"\xff\xfe\x3d\xd8", "it begins as UTF-16"),
            (b"\xff\xfe\0\0a\0\0\0", "it is a binary file"),
        ];
        for (bytes, reason) in rows {
            let e = Text::decode(bytes).unwrap_err().to_string();
            assert!(e.starts_with(reason), "{bytes:?}: {e}");
        }
        let latin = Text::decode(b"caf\xe9").unwrap();
        assert!(latin.with("\u{20ac}").unwrap_err().to_string().starts_with("it is Latin-1, which has no `\u{20ac}`"));
    }

    proptest! {
        #[test]
        fn what_is_taken_goes_out_as_it_came(mark in prop::sample::select(vec![&b""[..], b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"]), rest in prop::collection::vec(prop_oneof![3 => 0x20_u8..0x7f, 1 => any::<u8>()], 0..40)) {
            let bytes = [mark, &rest].concat();
            if let Ok(text) = Text::decode(&bytes) {
                prop_assert_eq!(text.with(&text.body).unwrap(), bytes);
            }
        }
    }
}
