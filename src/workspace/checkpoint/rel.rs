//! A path inside the workspace, as the bytes that the system has for it: a name need not be text.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// Relative to the root, with `/` between names, never empty. The order has a folder before what is in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rel(Box<[u8]>);

impl Rel {
    /// `None` for the root itself and for what is not below it.
    pub fn of(path: &Path, root: &Path) -> Option<Self> {
        let rest = path.strip_prefix(root).ok()?;
        Self::from_bytes(rest.as_os_str().as_encoded_bytes())
    }

    /// `None` where the bytes are not the plain path of something inside.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let plain = bytes.split(|b| *b == b'/').all(|name| !name.is_empty() && name != b"." && name != b"..");
        (plain && !bytes.contains(&0)).then(|| Self(bytes.into()))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn under(&self, root: &Path) -> PathBuf {
        root.join(os(&self.0))
    }

    /// The folder that it is in; `None` in the root.
    pub fn parent(&self) -> Option<Self> {
        let end = self.0.iter().rposition(|b| *b == b'/')?;
        Some(Self(self.0.get(..end)?.into()))
    }

    /// All folders that it is in, innermost first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or(&self.0)
    }

    /// As text that says every byte: what is no UTF-8 is `\xNN`, a backslash is doubled.
    fn escaped(&self) -> String {
        escape(&self.0)
    }
}

impl fmt::Display for Rel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.escaped())
    }
}

impl Serialize for Rel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.escaped())
    }
}

impl<'de> Deserialize<'de> for Rel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = unescape(&text).and_then(|bytes| Self::from_bytes(&bytes));
        bytes.ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no path inside a folder")))
    }
}

/// Bytes as a system's string.
#[cfg(unix)]
pub fn os(bytes: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

#[cfg(not(unix))]
pub fn os(bytes: &[u8]) -> &OsStr {
    // Everything that is kept came out of a path; there its encoding is a superset of UTF-8.
    OsStr::new(std::str::from_utf8(bytes).unwrap_or_default())
}

pub fn escape(bytes: &[u8]) -> String {
    use fmt::Write;
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&chunk.valid().replace('\\', r"\\"));
        for byte in chunk.invalid() {
            let _ = write!(out, r"\x{byte:02x}");
        }
    }
    out
}

pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.split_first()? {
            (b'\\', after) => {
                out.push(b'\\');
                rest = after;
            }
            (b'x', after) => {
                let (digits, after) = after.split_at_checked(2)?;
                out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = after;
            }
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_name_survives_being_written_as_text(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            prop_assert_eq!(unescape(&escape(&bytes)), Some(bytes.clone()));
            if let Some(rel) = Rel::from_bytes(&bytes) {
                let json = serde_json::to_string(&rel).unwrap();
                prop_assert_eq!(serde_json::from_str::<Rel>(&json).unwrap(), rel);
            }
        }
    }

    #[test]
    fn only_what_is_inside_is_a_path() {
        let of = |p: &str| Rel::of(Path::new(p), Path::new("/w")).map(|r| r.to_string());
        assert_eq!((of("/w/a/b"), of("/w"), of("/x")), (Some("a/b".into()), None, None));
        for bad in ["", "/a", "a/", "a//b", "../a", "a/./b", "a\0"] {
            assert!(Rel::from_bytes(bad.as_bytes()).is_none(), "{bad:?}");
        }
        assert!(serde_json::from_str::<Rel>(r#""../x""#).is_err());
        let deep = Rel::from_bytes(b"a/b/c").unwrap();
        assert_eq!(deep.ancestors().map(|r| r.to_string()).collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(deep.name(), b"c");
    }
}
