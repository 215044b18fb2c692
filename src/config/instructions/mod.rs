//! Instruction files: what the user and a project want every agent to know. `AGENTS.md` of a folder, or where it is missing
//! `CLAUDE.md`, or `GEMINI.md`; with the files that they import.
//!
//! A project's are used as far as they are trusted, each by its own content: an edit of one leaves the others in force.

mod imports;
mod reader;

#[cfg(test)]
mod tests;

use crate::base::places::{Places, pasteable};
use ignore::WalkBuilder;
use reader::{Judge, Reader};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What such a file is called; in a folder the first one that is there counts.
pub const NAMES: [&str; 3] = ["AGENTS.md", "CLAUDE.md", "GEMINI.md"];

/// The most that is taken of one file, in bytes.
pub const ONE: usize = 32 * 1024;
/// The most that is taken of all files, at the beginning of a session and again later.
pub const ALL: usize = 64 * 1024;

/// How many entries of a project are looked at for instruction files.
const LOOKED_AT: usize = 200_000;

/// SHA-256 by path relative to the project's root, with `/`.
pub type Digests = BTreeMap<String, String>;

/// The text of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// What it is called: relative to the project's root, or with its whole path where it is the user's.
    pub label: String,
    pub text: String,
}

/// What was found, and what a person should know of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub texts: Vec<Instruction>,
    pub notes: Vec<String>,
}

/// Where instructions come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The user's own folder.
    user: Option<PathBuf>,
    project: Option<Project>,
}

#[derive(Debug, Clone)]
struct Project {
    /// As it was named, for people.
    named: PathBuf,
    /// The real root, which nothing leads out of.
    root: PathBuf,
    trusted: Digests,
}

impl Sources {
    /// `trusted` are the project's files that may be used.
    pub fn new(places: &Places, project: &Path, trusted: Digests) -> Self {
        let root = project.canonicalize().unwrap_or_else(|_| project.to_owned());
        Self { user: Some(places.config.clone()), project: Some(Project { named: project.to_owned(), root, trusted }) }
    }

    /// What holds from the beginning for work in `cwd`: the user's, then the project's from its root down to there.
    pub fn at_start(&self, cwd: &Path) -> Found {
        let mut found = Found::default();
        let mut room = ALL;
        if let Some(user) = &self.user {
            let border = user.canonicalize().unwrap_or_else(|_| user.clone());
            let mut reader = Reader::new(&border, Judge::Own, room);
            reader.folder(user);
            room = reader.room;
            found.take(reader, None);
        }
        if let Some(project) = &self.project {
            let cwd = cwd.canonicalize().unwrap_or_else(|_| cwd.to_owned());
            let mut reader = Reader::new(&project.root, Judge::Trusted(&project.trusted), room);
            project.folders(&project.root, &cwd).iter().for_each(|folder| reader.folder(folder));
            found.take(reader, Some(&project.named));
        }
        found
    }

    /// What holds besides for the files of `folder`, which is below `cwd`: that of the folders between. `room` is how many
    /// bytes there may still be; what was used of it is taken away. `skip` says which folders were looked at before.
    pub fn below(&self, cwd: &Path, folder: &Path, room: &mut usize, skip: &mut dyn FnMut(&Path) -> bool) -> Found {
        let mut found = Found::default();
        if let Some(project) = &self.project {
            let mut reader = Reader::new(&project.root, Judge::Trusted(&project.trusted), *room);
            let folders = project.folders(cwd, folder);
            folders.iter().skip(1).filter(|f| !skip(f)).for_each(|f| reader.folder(f));
            *room = reader.room;
            found.take(reader, Some(&project.named));
        }
        found
    }
}

impl Project {
    /// The folders from `top` down to `bottom`, both counted; none where one is not inside of the other or of the project.
    fn folders(&self, top: &Path, bottom: &Path) -> Vec<PathBuf> {
        if !bottom.starts_with(top) || !top.starts_with(&self.root) {
            return Vec::new();
        }
        let mut all: Vec<PathBuf> = bottom.ancestors().take_while(|a| a.starts_with(top)).map(Path::to_owned).collect();
        all.reverse();
        all
    }
}

impl Found {
    fn take(&mut self, reader: Reader<'_>, project: Option<&Path>) {
        self.texts.extend(reader.texts);
        self.notes.extend(reader.notes);
        if let (Some(project), false) = (project, reader.untrusted.is_empty()) {
            let (files, are) = (reader.untrusted.join(", "), if reader.untrusted.len() == 1 { "is" } else { "are" });
            let look = if reader.untrusted.len() == 1 { "it" } else { "them" };
            self.notes.push(format!(
                "{files} {are} not trusted as it stands now, so it is no instruction; look at {look}, then run: pup trust add {}",
                pasteable(project)
            ));
        }
    }
}

/// The project's instruction files, and what they import, as they are now.
pub fn digests(root: &Path) -> Digests {
    let Ok(root) = root.canonicalize() else { return Digests::new() };
    let mut reader = Reader::new(&root, Judge::Nobody, usize::MAX);
    let walk = WalkBuilder::new(&root).hidden(false).require_git(false).filter_entry(|e| e.file_name() != ".git").build();
    for entry in walk.take(LOOKED_AT).flatten().filter(|e| e.file_type().is_some_and(|t| t.is_dir())) {
        reader.folder(entry.path());
    }
    reader.digests
}
