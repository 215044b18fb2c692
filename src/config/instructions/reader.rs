//! Reads instruction files and what they import, within bounds: depth, size, number, and the folder that nothing may lead
//! out of.

use super::{Digests, Instruction, NAMES, ONE, imports};
use crate::base::{digest, text};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A file that is larger is not even looked at.
const LOOKED_AT: u64 = 16 << 20;
/// How deep imports go: a file that is imported by one that is imported, and so on.
const DEPTH: usize = 5;
/// How many files one may import, those that they import counted.
const IMPORTS: usize = 50;

/// Who says which files count.
#[derive(Debug, Clone, Copy)]
pub enum Judge<'a> {
    /// They are the user's own.
    Own,
    /// Only these, with this content.
    Trusted(&'a Digests),
    /// All do: they are only being listed.
    Nobody,
}

/// What was read so far.
pub struct Reader<'a> {
    /// The real folder that everything has to be in.
    border: &'a Path,
    judge: Judge<'a>,
    /// Bytes that may still be used.
    pub room: usize,
    pub texts: Vec<Instruction>,
    pub notes: Vec<String>,
    /// Files that would count if they were trusted.
    pub untrusted: Vec<String>,
    pub digests: Digests,
    seen: HashSet<PathBuf>,
    imported: usize,
}

impl<'a> Reader<'a> {
    pub fn new(border: &'a Path, judge: Judge<'a>, room: usize) -> Self {
        Self {
            border,
            judge,
            room,
            texts: Vec::new(),
            notes: Vec::new(),
            untrusted: Vec::new(),
            digests: Digests::new(),
            seen: HashSet::new(),
            imported: 0,
        }
    }

    /// Reads the folder's instruction file, if it has one.
    pub fn folder(&mut self, folder: &Path) {
        let there = NAMES.iter().map(|name| folder.join(name)).find(|p| p.symlink_metadata().is_ok());
        if let Some(path) = there {
            self.imported = 0;
            let label = self.label(&path);
            match path.canonicalize() {
                Ok(real) => self.file(&real, &label, &mut Vec::new()),
                Err(e) => self.notes.push(format!("{label} cannot be read: {e}; going on without it")),
            }
        }
    }

    /// What a file is called.
    fn label(&self, path: &Path) -> String {
        match (self.judge, path.strip_prefix(self.border)) {
            (Judge::Own, _) | (_, Err(_)) => path.display().to_string(),
            (_, Ok(inside)) => inside.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"),
        }
    }

    /// Takes the file at the real path `real`, which is called `named` where it is asked for; then what it imports. `stack`
    /// has the files that led here.
    fn file(&mut self, real: &Path, named: &str, stack: &mut Vec<PathBuf>) {
        if !real.starts_with(self.border) {
            self.notes.push(format!("{named} leads out of {} to {}; it is left out", self.border.display(), real.display()));
            return;
        }
        if let Some(at) = stack.iter().position(|p| p == real) {
            let circle: Vec<String> = stack.iter().skip(at).map(|p| self.label(p)).chain([self.label(real)]).collect();
            self.notes.push(format!("instructions import each other in a circle ({}); each is used once", circle.join(" -> ")));
            return;
        }
        if !self.seen.insert(real.to_owned()) {
            return;
        }
        let label = self.label(real);
        let bytes = match read(real) {
            Ok(bytes) => bytes,
            Err(e) => {
                self.notes.push(format!("{named} cannot be read: {e}; going on without it"));
                return;
            }
        };
        let found = digest::sha256(&bytes);
        if let Judge::Trusted(known) = self.judge
            && known.get(&label) != Some(&found)
        {
            self.untrusted.push(label);
            return;
        }
        self.digests.insert(label.clone(), found);
        let whole = match std::str::from_utf8(&bytes) {
            Ok(text) => text.trim_start_matches('\u{feff}').trim(),
            Err(e) => {
                let line = bytes.get(..e.valid_up_to()).unwrap_or_default().split(|b| *b == b'\n').count();
                self.notes.push(format!("{label}:{line}: this is not UTF-8 text; going on without the file (save it as UTF-8)"));
                return;
            }
        };
        let used = text::prefix(whole, ONE);
        if used.len() < whole.len() {
            self.notes.push(format!("{label} has {} KB; what is behind the first {} KB is not used", bytes.len() / 1024, ONE / 1024));
        }
        if used.is_empty() {
            return;
        }
        if used.len() > self.room {
            self.notes.push(format!("{label} is left out: instructions may have {} KB together", super::ALL / 1024));
            return;
        }
        self.room -= used.len();
        let cut = if used.len() < whole.len() { "\n[The rest of this file is left out.]" } else { "" };
        self.texts.push(Instruction { label: label.clone(), text: format!("{used}{cut}") });
        stack.push(real.to_owned());
        for path in imports::of(used) {
            self.import(&path, real, &label, stack);
        }
        stack.pop();
    }

    fn import(&mut self, path: &str, from: &Path, label: &str, stack: &mut Vec<PathBuf>) {
        let Ok(real) = from.parent().unwrap_or(self.border).join(path).canonicalize() else {
            if imports::is_text_file(path) {
                self.notes.push(format!("{label} imports {path}, which does not exist"));
            }
            return;
        };
        if real.is_dir() {
            return;
        }
        if stack.len() > DEPTH {
            self.notes.push(format!("{label} imports {path}, which is left out: imports go {DEPTH} deep"));
            return;
        }
        self.imported += 1;
        if self.imported == IMPORTS + 1 {
            self.notes.push(format!("{label} imports {path}, which is left out with all further ones: {IMPORTS} imports are the most"));
        }
        if self.imported <= IMPORTS {
            self.file(&real, &format!("{path}, which {label} imports,"), stack);
        }
    }
}

/// All of a file that is not too large to be text of somebody's.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(LOOKED_AT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LOOKED_AT {
        return Err(io::Error::other(format!("it is larger than {} MB", LOOKED_AT >> 20)));
    }
    Ok(bytes)
}
