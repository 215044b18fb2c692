//! Git's objects, only read, through `git` itself: how large they are, what is in them, and which files git changes on
//! their way between its objects and the folder.

use super::blobs::{Blobs, Durable};
use super::node::Hex;
use super::rel::Rel;
use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A git that locks nothing, asks nothing, fetches nothing and runs nothing of the user's.
fn git(root: &Path, args: &[&str]) -> io::Result<Child> {
    let mut command = Command::new("git");
    command.args(["--no-replace-objects", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]).args(args).current_dir(root);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"] {
        command.env_remove(name);
    }
    command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_NO_LAZY_FETCH", "1").env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

/// Feeds `input` to the program and gives `read` what it says. The program has ended afterwards.
fn talk<T>(mut child: Child, input: Vec<u8>, read: impl FnOnce(&mut dyn BufRead) -> io::Result<T>) -> io::Result<T> {
    let feeder = child.stdin.take().map(|mut stdin| std::thread::spawn(move || stdin.write_all(&input)));
    let result = match child.stdout.take() {
        Some(out) => read(&mut BufReader::new(out)),
        None => Err(io::Error::other("git has no output")),
    };
    if result.is_err() {
        let _ = child.kill();
    }
    let status = child.wait()?;
    if let Some(feeder) = feeder {
        // A git that stopped reading has said why by its status.
        let _ = feeder.join();
    }
    let value = result?;
    if status.success() { Ok(value) } else { Err(io::Error::other(format!("git ended with {status}"))) }
}

/// The size of each object that is there.
pub fn sizes(root: &Path, oids: &HashSet<Hex<20>>) -> io::Result<HashMap<Hex<20>, u64>> {
    let child = git(root, &["cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)"])?;
    talk(child, lines(oids.iter()), |out| {
        let mut sizes = HashMap::new();
        for line in out.lines() {
            let line = line?;
            let mut words = line.split(' ');
            if let (Some(oid), Some("blob"), Some(size)) = (words.next().and_then(Hex::parse), words.next(), words.next()) {
                sizes.extend(size.parse().ok().map(|size| (oid, size)));
            }
        }
        Ok(sizes)
    })
}

/// Those of `files` that git writes otherwise than it keeps them, by a filter of theirs: their objects are not their content.
pub fn filtered(root: &Path, files: &[&Rel]) -> io::Result<HashSet<Rel>> {
    let child = git(root, &["check-attr", "-z", "--stdin", "filter", "working-tree-encoding", "ident"])?;
    let input = files.iter().flat_map(|rel| rel.bytes().iter().copied().chain([0])).collect();
    talk(child, input, |out| {
        let mut all = Vec::new();
        out.read_to_end(&mut all)?;
        let words: Vec<&[u8]> = all.split(|b| *b == 0).collect();
        let (triples, _) = words.as_chunks::<3>();
        let set = triples.iter().filter(|[_, _, value]| *value != b"unspecified" && *value != b"unset");
        Ok(set.filter_map(|[path, _, _]| Rel::from_bytes(path)).collect())
    })
}

/// Copies objects into the store. What is not there is not in the result.
pub fn copy(root: &Path, oids: &HashSet<Hex<20>>, blobs: &Blobs) -> io::Result<HashMap<Hex<20>, Hex<32>>> {
    if oids.is_empty() {
        return Ok(HashMap::new());
    }
    let child = git(root, &["cat-file", "--batch"])?;
    talk(child, lines(oids.iter()), |out| {
        let mut copied = HashMap::new();
        let mut head = String::new();
        loop {
            head.clear();
            if out.read_line(&mut head)? == 0 {
                return Ok(copied);
            }
            let mut words = head.trim_end().split(' ');
            let (oid, kind, size) = (words.next().and_then(Hex::parse), words.next(), words.next().and_then(|s| s.parse::<u64>().ok()));
            let (Some(oid), Some(kind), Some(size)) = (oid, kind, size) else { continue };
            let mut content = out.take(size);
            if kind == "blob" {
                let (name, got) = blobs.put(&mut content, size, Durable::No)?;
                if got != size {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                copied.insert(oid, name);
            } else {
                io::copy(&mut content, &mut io::sink())?;
            }
            out.read_exact(&mut [0])?;
        }
    })
}

fn lines<'a>(oids: impl Iterator<Item = &'a Hex<20>>) -> Vec<u8> {
    oids.flat_map(|oid| format!("{oid}\n").into_bytes()).collect()
}
