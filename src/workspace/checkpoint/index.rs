//! The state of the whole tree as the last walk found it: what stands at each path, and by which marks of the system it is
//! known again without being read.

use super::node::{Content, Hex, Node, Stat, Why};
use super::rel::Rel;
use crate::base::digest;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub node: Node,
    pub stat: Stat,
    /// Whether equal marks mean equal content.
    pub settled: bool,
}

/// Sorted by path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    pub entries: Vec<(Rel, Entry)>,
}

const MAGIC: &[u8; 8] = b"pupidx1\n";

impl Index {
    pub fn get(&self, rel: &Rel) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|(r, _)| r.cmp(rel)).ok()?;
        self.entries.get(at).map(|(_, e)| e)
    }

    /// What could not be brought back if it were changed now.
    pub fn unkept(&self) -> impl Iterator<Item = (&Rel, Why, u64)> {
        self.entries.iter().filter_map(|(rel, e)| Some((rel, e.node.unkept()?, e.stat.size)))
    }

    /// The index in this file; `None` where it is missing or damaged, and everything has to be looked at anew.
    pub fn load(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        if digest::raw(body) != sum {
            return None;
        }
        let mut at = Reader { rest: body.strip_prefix(MAGIC)? };
        let mut entries = Vec::new();
        while !at.rest.is_empty() {
            entries.push((at.rel()?, at.entry()?));
        }
        Some(Self { entries })
    }

    /// Replaces the file. It is a memory that can be made anew, so it need not survive a power cut.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut out = Vec::with_capacity(self.entries.len() * 120);
        out.extend_from_slice(MAGIC);
        for (rel, entry) in &self.entries {
            write(&mut out, rel, entry);
        }
        let sum = digest::raw(&out);
        out.extend_from_slice(&sum);
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut temp = tempfile::Builder::new().prefix("temp-").tempfile_in(folder)?;
        temp.write_all(&out)?;
        temp.persist(path).map_err(|e| e.error)?;
        Ok(())
    }
}

fn write(out: &mut Vec<u8>, rel: &Rel, entry: &Entry) {
    let mut bytes = |bytes: &[u8]| {
        out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(bytes);
    };
    bytes(rel.bytes());
    match &entry.node {
        Node::File { content: Content::Stored(name), .. } => bytes(&name.0),
        Node::File { content: Content::Git(oid), .. } => bytes(&oid.0),
        Node::Link { to } => bytes(to),
        Node::File { content: Content::Unkept(_), .. } | Node::Folder { .. } | Node::Left(_) => bytes(b""),
    }
    let (kind, why) = match &entry.node {
        Node::File { content: Content::Stored(_), .. } => (0, None),
        Node::File { content: Content::Git(_), .. } => (1, None),
        Node::File { content: Content::Unkept(why), .. } => (2, Some(why)),
        Node::Link { .. } => (3, None),
        Node::Folder { .. } => (4, None),
        Node::Left(why) => (5, Some(why)),
    };
    let why = why.and_then(|why| Why::ALL.iter().position(|w| w == why)).unwrap_or(0);
    out.extend_from_slice(&[kind, why as u8, u8::from(entry.settled)]);
    let Stat { size, mtime, ctime, inode, mode } = entry.stat;
    for number in [size, mtime.cast_unsigned(), ctime.cast_unsigned(), inode] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&mode.to_le_bytes());
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_le_bytes(self.array()?);
        let (taken, rest) = self.rest.split_at_checked(length as usize)?;
        self.rest = rest;
        Some(taken)
    }

    fn rel(&mut self) -> Option<Rel> {
        Rel::from_bytes(self.bytes()?)
    }

    fn entry(&mut self) -> Option<Entry> {
        let what = self.bytes()?;
        let [kind, why, settled] = self.array()?;
        let why = *Why::ALL.get(usize::from(why))?;
        let mut number = || Some(u64::from_le_bytes(self.array()?));
        let (size, mtime, ctime, inode) = (number()?, number()?.cast_signed(), number()?.cast_signed(), number()?);
        let mode = u32::from_le_bytes(self.array()?);
        let file = |content| Node::File { mode, size, content };
        let node = match kind {
            0 => file(Content::Stored(Hex(what.try_into().ok()?))),
            1 => file(Content::Git(Hex(what.try_into().ok()?))),
            2 => file(Content::Unkept(why)),
            3 => Node::Link { to: what.into() },
            4 => Node::Folder { mode },
            5 => Node::Left(why),
            _ => return None,
        };
        Some(Entry { node, stat: Stat { size, mtime, ctime, inode, mode }, settled: settled == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_comes_back_whole_or_not_at_all() {
        let stat = Stat { size: 5, mtime: -3, ctime: i64::MAX, inode: 9, mode: 0o751 };
        let file = |content| Node::File { mode: 0o751, size: 5, content };
        let nodes = [
            file(Content::Stored(Hex([1; 32]))),
            file(Content::Git(Hex([2; 20]))),
            file(Content::Unkept(Why::TooMuch)),
            Node::Link { to: (*b"\xff/x").into() },
            Node::Folder { mode: 0o751 },
            Node::Left(Why::Cache),
        ];
        let entry = |(n, node): (usize, Node)| (Rel::from_bytes(&[b'a' + n as u8]).unwrap(), Entry { node, stat, settled: n % 2 == 0 });
        let index = Index { entries: nodes.into_iter().enumerate().map(entry).collect() };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        index.save(&path).unwrap();
        assert_eq!(Index::load(&path).unwrap(), index);
        assert_eq!(
            index.unkept().map(|(rel, why, _)| (rel.to_string(), why)).collect::<Vec<_>>(),
            [("c".into(), Why::TooMuch), ("f".into(), Why::Cache)]
        );
        let whole = fs::read(&path).unwrap();
        for cut in [0, 8, 40, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(Index::load(&path).is_none(), "{cut}");
        }
        let mut flipped = whole;
        flipped[20] ^= 1;
        fs::write(&path, flipped).unwrap();
        assert!(Index::load(&path).is_none());
    }
}
