//! Which files are read, in which order, and what is refused.

use super::*;
use std::fs;

struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(place.root()).unwrap();
        for (path, text) in files {
            place.write(path, text.as_bytes());
        }
        place
    }

    fn root(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap().join("repo")
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn sources(&self) -> Sources {
        Sources::new(&Places::under(&self.0.path().join("pup")), &self.root(), digests(&self.root()))
    }

    /// Labels and notes of what holds in a folder of the project.
    fn start(&self, cwd: &str) -> (Vec<String>, Vec<String>) {
        let found = self.sources().at_start(&self.root().join(cwd));
        (found.texts.into_iter().map(|t| t.label).collect(), found.notes)
    }
}

#[test]
fn the_users_come_first_and_then_from_the_root_down() {
    let place =
        Place::new(&[("AGENTS.md", "root"), ("CLAUDE.md", "not this"), ("a/GEMINI.md", "a"), ("a/b/CLAUDE.md", "b"), ("c/AGENTS.md", "")]);
    let config = place.0.path().join("pup/config");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("AGENTS.md"), "mine\n@more.md").unwrap();
    fs::write(config.join("more.md"), "and more").unwrap();
    let (labels, notes) = place.start("a/b");
    let own = |name: &str| config.join(name).canonicalize().unwrap().display().to_string();
    assert_eq!(labels, [own("AGENTS.md"), own("more.md"), "AGENTS.md".to_owned(), "a/GEMINI.md".to_owned(), "a/b/CLAUDE.md".to_owned()]);
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(place.start("c").0.len(), 3, "an empty file says nothing");
}

#[test]
fn sub_folders_are_looked_at_once() {
    let place = Place::new(&[("AGENTS.md", "root"), ("a/AGENTS.md", "a"), ("a/b/AGENTS.md", "b")]);
    let (root, sources) = (place.root(), place.sources());
    let mut seen = std::collections::HashSet::new();
    let mut room = ALL;
    let mut below = |folder: &str| {
        let found = sources.below(&root, &root.join(folder), &mut room, &mut |f| !seen.insert(f.to_owned()));
        found.texts.into_iter().map(|t| t.label).collect::<Vec<_>>()
    };
    assert_eq!(below("a"), ["a/AGENTS.md"]);
    assert_eq!(below("a/b"), ["a/b/AGENTS.md"]);
    assert!(below("a/b").is_empty() && below("").is_empty() && below("../elsewhere").is_empty());
    assert_eq!(room, ALL - 2);
}

#[test]
fn only_what_is_trusted_as_it_stands_counts() {
    let place = Place::new(&[("AGENTS.md", "one\n@docs/rules.md"), ("docs/rules.md", "rules")]);
    let sources = place.sources();
    place.write("docs/rules.md", b"other rules");
    let found = sources.at_start(&place.root());
    assert_eq!(found.texts.len(), 1, "{found:?}");
    assert!(found.notes.concat().contains("docs/rules.md is not trusted") && found.notes.concat().contains("pup trust add"), "{found:?}");
    let nobody = Sources::new(&Places::under(place.0.path()), &place.root(), Digests::new()).at_start(&place.root());
    assert!(nobody.texts.is_empty() && nobody.notes.concat().contains("AGENTS.md is not trusted"), "{nobody:?}");
}

#[test]
fn imports_end_and_stay_inside() {
    let place = Place::new(&[
        (
            "AGENTS.md",
            "See @docs/a.md, (@docs/a.md) and `@docs/code.md`.\n```\n@docs/code.md\n```\nAsk @someone or @scope/package. @gone.md @docs @../outside.md",
        ),
        ("docs/a.md", "@b.md"),
        ("docs/b.md", "@../AGENTS.md @a.md"),
        ("docs/code.md", "never"),
    ]);
    fs::write(place.0.path().join("outside.md"), "secret").unwrap();
    let (labels, notes) = place.start("");
    assert_eq!(labels, ["AGENTS.md", "docs/a.md", "docs/b.md"]);
    let notes = notes.join("\n");
    assert!(notes.contains("in a circle (AGENTS.md -> docs/a.md -> docs/b.md -> AGENTS.md)"), "{notes}");
    assert!(
        notes.contains("in a circle (docs/a.md -> docs/b.md -> docs/a.md)") && notes.contains("imports gone.md, which does not exist"),
        "{notes}"
    );
    assert!(notes.contains("../outside.md, which AGENTS.md imports, leads out of"), "{notes}");
    assert_eq!(notes.lines().count(), 4, "{notes}");
}

#[test]
fn imports_are_bounded_in_depth_and_number() {
    let chain: Vec<(String, String)> = (0..9).map(|n| (format!("i{n}.md"), format!("level {n}\n@i{}.md", n + 1))).collect();
    let mut files: Vec<(&str, &str)> = chain.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    files.push(("AGENTS.md", "@i0.md"));
    let (labels, notes) = Place::new(&files).start("");
    assert_eq!(labels.len(), 6, "{labels:?}");
    assert!(notes.concat().contains("imports go 5 deep"), "{notes:?}");

    let many: Vec<(String, String)> = (0..70).map(|n| (format!("m{n}.md"), format!("text {n}"))).collect();
    let all: String = many.iter().flat_map(|(p, _)| ["@", p, "\n"]).collect();
    let mut files: Vec<(&str, &str)> = many.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    files.push(("AGENTS.md", &all));
    let (labels, notes) = Place::new(&files).start("");
    assert_eq!((labels.len(), notes.len()), (51, 1), "{notes:?}");
}

#[test]
fn sizes_are_bounded_and_told() {
    let place = Place::new(&[("AGENTS.md", &"é".repeat(5 << 19)), ("a/AGENTS.md", &"x".repeat(ONE)), ("a/b/AGENTS.md", "y")]);
    let found = place.sources().at_start(&place.root().join("a/b"));
    let [first, second] = found.texts.as_slice() else { panic!("{:?}", found.notes) };
    assert!(first.text.ends_with("é\n[The rest of this file is left out.]") && second.text.len() == ONE);
    let notes = found.notes.join("\n");
    assert!(notes.contains("AGENTS.md has 5120 KB; what is behind the first 32 KB is not used"), "{notes}");
    assert!(notes.contains("a/b/AGENTS.md is left out: instructions may have 64 KB together"), "{notes}");
    let place = Place::new(&[]);
    place.write("AGENTS.md", &vec![b'x'; 17 << 20]);
    assert!(place.start("").1.concat().contains("larger than 16 MB"));
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_told_and_nothing_else_suffers() {
    use std::os::unix::fs::symlink;
    let place = Place::new(&[("AGENTS.md", "good"), ("b/CLAUDE.md", "linked to")]);
    place.write("a/AGENTS.md", b"fine\n\xff\xfe");
    fs::create_dir_all(place.root().join("a/b/AGENTS.md")).unwrap();
    let notes = place.start("a/b").1.join("\n");
    assert!(notes.contains("a/AGENTS.md:2: this is not UTF-8 text") && notes.contains("a/b/AGENTS.md cannot be read"), "{notes}");
    symlink("CLAUDE.md", place.root().join("b/AGENTS.md")).unwrap();
    assert_eq!(place.start("b").0, ["AGENTS.md", "b/CLAUDE.md"]);
    fs::write(place.0.path().join("outside.md"), "secret").unwrap();
    for (target, says) in [("../../outside.md", "leads out of"), ("nowhere.md", "cannot be read")] {
        fs::remove_file(place.root().join("b/AGENTS.md")).unwrap();
        symlink(target, place.root().join("b/AGENTS.md")).unwrap();
        let (labels, notes) = place.start("b");
        assert!(labels == ["AGENTS.md"] && notes.concat().contains(says), "{labels:?} {notes:?}");
    }
}
