//! Which folders are caches of dependencies or builds: large, made again by a command, and left out of checkpoints.

use super::rel::Rel;
use std::collections::BTreeSet;
use std::path::Path;

/// Names that nothing else has.
const NAMES: [&str; 15] = [
    "node_modules",
    "bower_components",
    ".venv",
    "__pycache__",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".gradle",
    ".next",
    ".nuxt",
    ".turbo",
    ".parcel-cache",
    ".terraform",
];

/// Names that mean a cache where something beside or inside says so.
const MARKED: [(&str, &[&str]); 3] =
    [("target", &["../Cargo.toml", "../pom.xml", "../build.sbt"]), ("venv", &["pyvenv.cfg"]), ("env", &["pyvenv.cfg"])];

/// By its specification a folder with this file in it can be left out of backups.
const TAG: &str = "CACHEDIR.TAG";

/// Knows the folders that have one of those names and are part of the project all the same.
#[derive(Debug, Clone, Default)]
pub struct Caches {
    tracked: BTreeSet<Rel>,
}

impl Caches {
    /// `tracked` are the paths that git tracks.
    pub fn new<'a>(tracked: impl Iterator<Item = &'a Rel>) -> Self {
        let mut folders = BTreeSet::new();
        for rel in tracked {
            folders.extend(rel.ancestors().filter(|folder| is_candidate(folder.name())));
        }
        Self { tracked: folders }
    }

    pub fn holds(&self, path: &Path, rel: &Rel) -> bool {
        let name = rel.name();
        if self.tracked.contains(rel) {
            return false;
        }
        if NAMES.iter().any(|n| n.as_bytes() == name) {
            return true;
        }
        match MARKED.iter().find(|(n, _)| n.as_bytes() == name) {
            Some((_, signs)) => path.join(TAG).is_file() || signs.iter().any(|sign| path.join(sign).is_file()),
            None => false,
        }
    }
}

fn is_candidate(name: &[u8]) -> bool {
    NAMES.iter().copied().chain(MARKED.iter().map(|(n, _)| *n)).any(|n| n.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_cache_goes_by_its_name_or_marks_and_never_where_git_tracks_it() {
        let dir = tempfile::tempdir().unwrap();
        let rel = |p: &str| Rel::from_bytes(p.as_bytes()).unwrap();
        let tracked = [rel("vendored/node_modules/x.js"), rel("src/main.rs")];
        let caches = Caches::new(tracked.iter());
        let holds = |p: &str| caches.holds(&dir.path().join(p), &rel(p));
        for folder in ["rust/target", "game/target", "venv", "tagged/target"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("rust/Cargo.toml"), "").unwrap();
        fs::write(dir.path().join("tagged/target/CACHEDIR.TAG"), "").unwrap();
        assert!(holds("node_modules") && holds("a/.venv") && holds("rust/target") && holds("tagged/target"));
        assert!(!holds("game/target") && !holds("venv") && !holds("src") && !holds("vendored/node_modules"));
    }
}
