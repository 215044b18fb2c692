//! What stands at a path: a file with its content's name, a link, a folder, or something that is not kept, and why not.

use crate::base::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fs::Metadata;

/// What a checkpoint knows of one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Node {
    /// `mode` is its permission bits.
    File {
        mode: u32,
        size: u64,
        content: Content,
    },
    Link {
        #[serde(with = "target")]
        to: Box<[u8]>,
    },
    Folder {
        mode: u32,
    },
    /// Seen, but not looked into.
    Left(Why),
}

/// Where a file's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// In the store, under its SHA-256.
    Stored(Hex<32>),
    /// In git's objects, under its object id.
    Git(Hex<20>),
    Unkept(Why),
}

/// Why something cannot be brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Larger than what is kept of one file.
    TooBig,
    /// There is more than what is kept in all.
    TooMuch,
    /// It could not be read.
    Unreadable,
    /// A pipe, socket or device.
    Special,
    /// A dependency or build cache, which a command makes again.
    Cache,
    /// Git's own data, which only git changes.
    Git,
    /// Pup's own data.
    Pup,
    /// Its content was to come from git, or out of the store, and is not there any more.
    Gone,
}

impl Why {
    pub const ALL: [Self; 8] =
        [Self::TooBig, Self::TooMuch, Self::Unreadable, Self::Special, Self::Cache, Self::Git, Self::Pup, Self::Gone];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooBig => "larger than what is kept of one file",
            Self::TooMuch => "more than what is kept in all",
            Self::Unreadable => "it could not be read",
            Self::Special => "a pipe, socket or device",
            Self::Cache => "a dependency or build cache",
            Self::Git => "git's own data",
            Self::Pup => "pup's own data",
            Self::Gone => "its content is not there any more",
        }
    }
}

impl Node {
    /// Why it could not be brought back, if it could not.
    pub const fn unkept(&self) -> Option<Why> {
        match self {
            Self::File { content: Content::Unkept(why), .. } | Self::Left(why) => Some(*why),
            Self::File { .. } | Self::Link { .. } | Self::Folder { .. } => None,
        }
    }

    pub const fn is_folder(&self) -> bool {
        matches!(self, Self::Folder { .. })
    }
}

/// What the system says of a file without reading it. Two equal ones mean equal content, if the first was taken when the
/// clock that stamps files had gone on since the file's last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime: i64,
    /// Nanoseconds since 1970 of the last change of content or of what is said here. No program can set it.
    pub ctime: i64,
    pub inode: u64,
    /// Permission bits.
    pub mode: u32,
}

/// The clock that stamps files goes on in steps; within one, two changes look the same.
const TICK: i64 = 20_000_000;
/// On a file system whose stamps are whole seconds, or two.
const COARSE_TICK: i64 = 2_100_000_000;

impl Stat {
    #[cfg(unix)]
    pub fn of(meta: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let nanos = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
        Self {
            size: meta.size(),
            mtime: nanos(meta.mtime(), meta.mtime_nsec()),
            ctime: nanos(meta.ctime(), meta.ctime_nsec()),
            inode: meta.ino(),
            mode: meta.mode() & 0o7777,
        }
    }

    #[cfg(not(unix))]
    pub fn of(meta: &Metadata) -> Self {
        let since = |t: std::io::Result<std::time::SystemTime>| {
            t.ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
        };
        let mode = if meta.permissions().readonly() { 0o444 } else { 0o644 };
        Self { size: meta.len(), mtime: since(meta.modified()), ctime: since(meta.modified()), inode: 0, mode }
    }

    /// Whether a later change would show, where this was taken at `now` (nanoseconds since 1970) or later.
    pub const fn settled(&self, now: i64) -> bool {
        let tick = if self.ctime % 1_000_000_000 == 0 { COARSE_TICK } else { TICK };
        self.ctime.saturating_add(tick) < now
    }
}

/// Nanoseconds since 1970.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}

/// Bytes that people and JSON see as hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> Hex<N> {
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: Vec<u8> = digest::unhex(text)?;
        bytes.try_into().ok().map(Self)
    }
}

impl<const N: usize> std::fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&digest::hex(&self.0))
    }
}

impl<const N: usize> std::fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not {N} bytes in hex")))
    }
}

/// A link's target may be any bytes.
mod target {
    use super::super::rel::{escape, unescape};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escape(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[u8]>, D::Error> {
        let text = String::deserialize(deserializer)?;
        unescape(&text).map(Into::into).ok_or_else(|| serde::de::Error::custom("not a link's target"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_survive_json_and_fresh_stamps_are_not_believed() {
        let nodes = [
            Node::File { mode: 0o4755, size: 3, content: Content::Stored(Hex([7; 32])) },
            Node::File { mode: 0o644, size: 3, content: Content::Git(Hex([0xab; 20])) },
            Node::File { mode: 0o644, size: 1 << 40, content: Content::Unkept(Why::TooBig) },
            Node::Link { to: (*b"a\\\xff b").into() },
            Node::Folder { mode: 0o700 },
            Node::Left(Why::Cache),
        ];
        for node in nodes {
            let json = serde_json::to_string(&node).unwrap();
            assert_eq!(serde_json::from_str::<Node>(&json).unwrap(), node, "{json}");
        }
        let at = |ctime| Stat { size: 0, mtime: 0, ctime, inode: 0, mode: 0 };
        let second = 1_000_000_000;
        assert!(!at(5 * second + 7).settled(5 * second + 1_000_000) && at(5 * second + 7).settled(6 * second));
        assert!(!at(5 * second).settled(6 * second) && at(5 * second).settled(8 * second));
    }
}
