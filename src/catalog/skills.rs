//! Skills by the Agent Skills specification (agentskills.io): a folder with a `SKILL.md`, whose front matter says what it is
//! for and whose body is read once it is needed. A project's win over the user's; in a project `.pup/skills` wins over
//! `.claude/skills`. A wrong one is told with file and line and harms no other.

use super::agents::fields::{At, Fields};
use super::agents::finding::Finding;
use super::agents::tree::{Datum, Spot};
use super::agents::{front, read_text};
use super::shelf;
use crate::base::Failure;
use crate::base::places::Places;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the file in a skill's folder is called.
pub const FILE: &str = "SKILL.md";

const KEYS: &[&str] = &["name", "description", "license", "compatibility", "metadata", "allowed-tools"];

/// The most that such a file may have, in bytes.
const LARGE: u64 = 1 << 20;
const NAME: usize = 64;
const DESCRIPTION: usize = 1024;
const COMPATIBILITY: usize = 500;

/// A skill, without its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skill {
    pub name: String,
    pub description: String,
    /// Where its files are.
    pub folder: PathBuf,
}

/// The skills that there are, and what is wrong with others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skills {
    found: BTreeMap<String, Skill>,
    pub notes: Vec<String>,
}

impl Skills {
    /// Reads every skill's front matter; `project` must be trusted.
    pub fn load(places: &Places, project: Option<&Path>) -> Self {
        let mut skills = Self::default();
        for folder in shelf::folders(places, project, "skills") {
            for path in shelf::entries(&folder.path, &mut skills.notes) {
                let file = path.join(FILE);
                if file.symlink_metadata().is_err() {
                    continue;
                }
                if let Some(note) = folder.leads_out(&file) {
                    skills.notes.push(note);
                    continue;
                }
                match read(&path) {
                    Ok(skill) => drop(skills.found.insert(skill.name.clone(), skill)),
                    Err(failure) => {
                        let hint = failure.hint.map(|h| format!(" ({h})")).unwrap_or_default();
                        skills.notes.push(format!("{}; this skill is left out{hint}", failure.message));
                    }
                }
            }
        }
        skills
    }

    /// In the order of their names; only those of `wanted`, where it names any.
    pub fn offered<'a>(&'a self, wanted: &'a [String]) -> impl Iterator<Item = &'a Skill> {
        self.found.values().filter(|s| wanted.is_empty() || wanted.contains(&s.name))
    }
}

/// The skill in a folder; what is wrong with it is a `config` failure with the line.
pub fn read(folder: &Path) -> Result<Skill, Failure> {
    let file = folder.join(FILE);
    let failed = |finding: Finding| finding.into_failure(&file.display().to_string());
    if file.metadata().is_ok_and(|m| m.len() > LARGE) {
        return Err(failed(Finding::error("the file is larger than 1 MB").hint("keep what is rarely needed in files of its own")));
    }
    let text = read_text(&file).map_err(failed)?;
    check(text.trim_start_matches('\u{feff}'), folder).map_err(failed)
}

/// The instructions of a skill: what is below the front matter.
pub fn body(text: &str) -> &str {
    front::split(text.trim_start_matches('\u{feff}')).map_or(text, |parts| parts.body).trim()
}

fn check(text: &str, folder: &Path) -> Result<Skill, Finding> {
    let Some(parts) = front::split(text) else {
        let absent = Finding::error("a skill begins with front matter between two `---` lines").at(Spot::line(1));
        return Err(
            absent.hint("e.g. `---`, `name: my-skill`, `description: what it does and when to use it`, `---`, then the instructions")
        );
    };
    let mut fields = Fields::new(front::strict(parts.front)?, "front matter", KEYS)?;
    let name = fields.required("name");
    let description = fields.required("description");
    let compatibility = fields.text("compatibility");
    if let Some(name) = &name
        && let Some(wrong) = wrong_name(name.value.trim(), folder)
    {
        fields.report(Finding::error(wrong).at(name.at).key("name"));
    }
    let mut long = |key: &str, text: Option<&At<String>>, most: usize| {
        if let Some(text) = text.filter(|t| t.value.chars().count() > most) {
            let what = format!("`{key}` has {} characters, and {most} are the most", text.value.chars().count());
            fields.report(Finding::error(what).at(text.at).key(key));
        }
    };
    long("description", description.as_ref(), DESCRIPTION);
    long("compatibility", compatibility.as_ref(), COMPATIBILITY);
    fields.text("license");
    if let Some(node) = fields.take("metadata").filter(|n| !matches!(n.datum, Datum::Map(_))) {
        fields.wrong("metadata", node.at, "a group of keys", &node.datum);
    }
    if let Some(node) = fields.take("allowed-tools").filter(|n| !matches!(n.datum, Datum::Text(_) | Datum::List(_))) {
        fields.wrong("allowed-tools", node.at, "text or a list", &node.datum);
    }
    fields.refuse_rest();
    let mut findings = std::mem::take(&mut fields.findings);
    findings.sort_by_key(|f| (f.line.unwrap_or(1), f.column));
    match (findings.into_iter().next(), name, description) {
        (Some(first), ..) => Err(first),
        (None, Some(name), Some(description)) => Ok(Skill {
            name: name.value.trim().to_owned(),
            description: description.value.split_whitespace().collect::<Vec<_>>().join(" "),
            folder: folder.to_owned(),
        }),
        (None, ..) => Err(Finding::error("there is no `name` or no `description`").at(Spot::line(1))),
    }
}

/// What is wrong with a name.
fn wrong_name(name: &str, folder: &Path) -> Option<String> {
    let stem = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let length = name.chars().count();
    if length > NAME {
        return Some(format!("`name` has {length} characters, and {NAME} are the most"));
    }
    if name.to_lowercase() != name || !name.chars().all(|c| c.is_alphanumeric() || c == '-') {
        return Some(format!("`name` must have lower-case letters, digits and single hyphens only, not `{name}`"));
    }
    if name.starts_with('-') || name.ends_with('-') || name.contains("--") {
        return Some(format!("`name` must not begin or end with a hyphen, or have two in a row: `{name}`"));
    }
    (name != stem).then(|| format!("the folder is called {stem}, but its `name` is `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(folder: &str, text: &str) -> Result<Skill, String> {
        check(text, Path::new(folder)).map_err(|f| f.place("SKILL.md") + ": " + &f.message)
    }

    #[test]
    fn what_the_specification_allows_is_taken() {
        let text = "---\nname: pdf-2\ndescription: >\n  Reads\n  PDFs.\nlicense: MIT\ncompatibility: needs git\nmetadata:\n  version: \"1.0\"\nallowed-tools: Read\n---\n\nDo it.\n";
        let skill = checked("x/pdf-2", text).unwrap();
        assert_eq!((skill.name.as_str(), skill.description.as_str(), body(text)), ("pdf-2", "Reads PDFs.", "Do it."));
        assert!(checked("x/a", "---\nname: a\ndescription: d\nallowed-tools:\n  - Read\n---\n").is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let long = "x".repeat(1025);
        let rows = [
            ("No front matter.\n".to_owned(), "SKILL.md:1:1: a skill begins with front matter"),
            ("---\nname: a\n---\n".to_owned(), "SKILL.md:1:1: there is no `description`"),
            ("---\nname: A\ndescription: d\n---\n".to_owned(), "SKILL.md:2:7: `name` must have lower-case"),
            ("---\ndescription: d\nname: b\n---\n".to_owned(), "SKILL.md:3:7: the folder is called a"),
            ("---\nname: a--b\ndescription: d\n---\n".to_owned(), "SKILL.md:2:7: `name` must not begin"),
            (format!("---\nname: a\ndescription: {long}\n---\n"), "SKILL.md:3:14: `description` has 1025 characters"),
            ("---\nname: a\ndescription: d\nmetadata: 3\n---\n".to_owned(), "SKILL.md:4:11: `metadata` must be a group of keys"),
            ("---\nname: a\ndescription: d\ncolour: red\n---\n".to_owned(), "SKILL.md:4:1: `colour` is not a known key"),
            ("---\nname: a\ndescription: [d\n---\n".to_owned(), "SKILL.md:"),
        ];
        for (text, says) in rows {
            let error = checked("x/a", &text).unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
