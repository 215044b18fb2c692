//! The folders in which the user and a project keep skills and commands, and the border that a project's may not leave.

use crate::base::places::Places;
use std::path::{Path, PathBuf};

/// A folder of skills or commands.
#[derive(Debug, Clone)]
pub struct Folder {
    pub path: PathBuf,
    /// The real project, which nothing may lead out of; none for the user's own folder.
    border: Option<PathBuf>,
}

/// The user's folder, then the project's, whose files win; the last one wins over all. `project` must be trusted.
pub fn folders(places: &Places, project: Option<&Path>, kind: &str) -> Vec<Folder> {
    let own = Folder { path: places.config.join(kind), border: None };
    let project = project.into_iter().flat_map(|root| {
        let border = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        [".claude", ".pup"].map(|home| Folder { path: root.join(home).join(kind), border: Some(border.clone()) })
    });
    std::iter::once(own).chain(project).collect()
}

/// What is in a folder, sorted; nothing where it does not exist. What cannot be read is told.
pub fn entries(folder: &Path, notes: &mut Vec<String>) -> Vec<PathBuf> {
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            let mut all: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
            all.sort();
            all
        }
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => Vec::new(),
        Err(e) => {
            notes.push(format!("{} cannot be read: {e}", folder.display()));
            Vec::new()
        }
    }
}

impl Folder {
    /// Why a file of it may not be used: it leads out of the project.
    pub fn leads_out(&self, path: &Path) -> Option<String> {
        let border = self.border.as_ref()?;
        let real = path.canonicalize().ok().filter(|real| !real.starts_with(border))?;
        Some(format!("{} leads out of the project to {}; it is left out", path.display(), real.display()))
    }
}
