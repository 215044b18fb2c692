//! Custom commands of the chat: a Markdown file each, `name.md` is `/name`, `folder/name.md` is `/folder:name`. Front matter
//! may say what it does; the body is the prompt, with arguments in their places. A project's win over the user's.

use super::agents::fields::Fields;
use super::agents::finding::Finding;
use super::agents::tree::{Datum, Spot};
use super::agents::{front, read_text, stem};
use super::shelf::{self, Folder};
use crate::base::Failure;
use crate::base::places::Places;
use std::collections::BTreeMap;
use std::path::Path;

const KEYS: &[&str] = &["description", "argument-hint"];
/// How deep folders go.
const DEPTH: usize = 3;
/// The most that a command's file may have, in bytes.
const LARGE: u64 = 256 * 1024;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custom {
    /// Without the slash.
    pub name: String,
    pub description: String,
    /// What may follow it, for people.
    pub argument: String,
    body: String,
}

/// The commands that there are, and what is wrong with others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Customs {
    found: BTreeMap<String, Custom>,
    pub notes: Vec<String>,
}

impl Customs {
    /// Reads every command's file; `project` must be trusted.
    pub fn load(places: &Places, project: Option<&Path>) -> Self {
        let mut all = Self::default();
        for folder in shelf::folders(places, project, "commands") {
            all.take(&folder, &folder.path, "", DEPTH);
        }
        all
    }

    fn take(&mut self, folder: &Folder, at: &Path, prefix: &str, depth: usize) {
        for path in shelf::entries(at, &mut self.notes) {
            let name = format!("{prefix}{}", stem(&path));
            let is_markdown = path.extension().is_some_and(|x| x == "md");
            if let (true, Some(note)) = (is_markdown || path.is_dir(), folder.leads_out(&path)) {
                self.notes.push(note);
            } else if path.is_dir() {
                if depth > 1 {
                    self.take(folder, &path, &format!("{name}:"), depth - 1);
                }
            } else if is_markdown && !stem(&path).eq_ignore_ascii_case("readme") {
                match read(&path, &name) {
                    Ok(custom) => drop(self.found.insert(name, custom)),
                    Err(failure) => {
                        let hint = failure.hint.map(|h| format!(" ({h})")).unwrap_or_default();
                        self.notes.push(format!("{}; this command is left out{hint}", failure.message));
                    }
                }
            }
        }
    }

    pub fn list(&self) -> impl Iterator<Item = &Custom> {
        self.found.values()
    }

    pub fn get(&self, name: &str) -> Option<&Custom> {
        self.found.get(name)
    }

    /// What a line means that begins with one of these commands: its prompt.
    pub fn expand(&self, line: &str) -> Option<String> {
        let line = line.trim_end();
        let (word, rest) = line.strip_prefix('/').map(|l| l.split_once(char::is_whitespace).unwrap_or((l, "")))?;
        Some(self.get(word)?.prompt(rest.trim()))
    }
}

fn read(path: &Path, name: &str) -> Result<Custom, Failure> {
    let failed = |finding: Finding| finding.into_failure(&path.display().to_string());
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ':');
    if !name.chars().all(fits) {
        return Err(failed(
            Finding::error(format!("a command cannot be called `{name}`")).hint("letters, digits, `-` and `_` can be typed"),
        ));
    }
    if path.metadata().is_ok_and(|m| m.len() > LARGE) {
        return Err(failed(Finding::error(format!("the file is larger than {} KB", LARGE / 1024))));
    }
    let text = read_text(path).map_err(failed)?;
    parse(text.trim_start_matches('\u{feff}'), name).map_err(failed)
}

fn parse(text: &str, name: &str) -> Result<Custom, Finding> {
    let opens = text.lines().next().is_some_and(|l| l.trim_end() == "---");
    let (mut description, mut argument, mut body) = (String::new(), String::new(), text);
    if let Some(parts) = front::split(text) {
        // Other programs' keys, such as `model`, say nothing here.
        let mut fields = Fields::new(front::strict(parts.front)?, "front matter", KEYS)?;
        description = fields.text("description").map(|t| t.value).unwrap_or_default();
        argument = match fields.take("argument-hint").map(|n| n.datum) {
            Some(Datum::Text(text)) => text,
            // `[FILE]` without quotes is a list.
            Some(Datum::List(items)) => {
                let words = items.into_iter().filter_map(|n| if let Datum::Text(t) = n.datum { Some(t) } else { None });
                format!("[{}]", words.collect::<Vec<_>>().join(", "))
            }
            _ => String::new(),
        };
        if let Some(first) = fields.findings.into_iter().next() {
            return Err(first);
        }
        body = parts.body;
    } else if opens {
        return Err(Finding::error("the front matter has no end").at(Spot::line(1)).hint("close it with a line `---`"));
    }
    let body = body.trim();
    if body.is_empty() {
        return Err(Finding::error("there is no prompt in the file"));
    }
    let first = body.lines().next().unwrap_or_default().trim_start_matches('#').trim();
    let description = if description.trim().is_empty() { crate::base::text::one_line(first, 80) } else { description };
    let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Custom { name: name.to_owned(), description, argument: argument.trim().to_owned(), body: body.to_owned() })
}

impl Custom {
    /// The prompt with the arguments in their places: `$ARGUMENTS` is all of them, `$1` to `$9` single ones, which quotes keep
    /// together. Where the body has no place for them, they stand below it.
    pub fn prompt(&self, given: &str) -> String {
        let words = words(given);
        let (mut out, mut rest, mut placed) = (String::new(), self.body.as_str(), false);
        while let Some(at) = rest.find('$') {
            let (before, after) = rest.split_at(at);
            out.push_str(before);
            let digit = after.chars().nth(1).and_then(|c| c.to_digit(10)).filter(|n| *n > 0);
            // `$10` is money, or somebody's variable.
            let alone = !after.chars().nth(2).is_some_and(|c| c.is_ascii_digit());
            if let Some(tail) = after.strip_prefix("$ARGUMENTS") {
                out.push_str(given);
                (rest, placed) = (tail, true);
            } else if let (Some(n), true) = (digit, alone) {
                out.push_str(words.get(n as usize - 1).map_or("", String::as_str));
                (rest, placed) = (after.get(2..).unwrap_or_default(), true);
            } else {
                out.push('$');
                rest = after.get(1..).unwrap_or_default();
            }
        }
        out.push_str(rest);
        if !placed && !given.is_empty() {
            out.push_str("\n\n");
            out.push_str(given);
        }
        out
    }
}

/// The words of a line; quotes keep one together.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => all.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(body: &str, given: &str) -> String {
        parse(body, "x").unwrap().prompt(given)
    }

    #[test]
    fn arguments_go_to_their_places() {
        assert_eq!(prompt("Fix $1 in $2: $ARGUMENTS.", "bug 'a file.rs' more"), "Fix bug in a file.rs: bug 'a file.rs' more.");
        assert_eq!(prompt("Costs $10, $x $", ""), "Costs $10, $x $");
        assert_eq!(prompt("Review.", "now"), "Review.\n\nnow");
        assert_eq!(prompt("Only $2|$1", "é"), "Only |é");
        assert_eq!(words("a \"\" 'b c'd"), ["a", "", "b cd"]);
    }

    #[test]
    fn front_matter_is_read_and_its_faults_are_told() {
        let custom = parse("---\ndescription: Reviews\nargument-hint: [FILE]\nmodel: opus\n---\n# Body\n", "x").unwrap();
        assert_eq!((custom.description.as_str(), custom.argument.as_str(), custom.body.as_str()), ("Reviews", "[FILE]", "# Body"));
        assert_eq!(parse("# Does a thing\nand more", "x").unwrap().description, "Does a thing");
        let wrong = |text: &str| parse(text, "x").map_err(|f| f.place("f") + ": " + &f.message).unwrap_err();
        assert_eq!(wrong("---\ndescription: a\nBody"), "f:1:1: the front matter has no end");
        assert!(wrong("---\ndescription: [a\n---\nBody").starts_with("f:"), "{}", wrong("---\ndescription: [a\n---\nBody"));
        assert_eq!(wrong("---\ndescription: 3\n---\nBody"), "f:2:14: `description` must be text, not a number");
        assert!(wrong("---\n: x\n---\nBody").contains("`: x` cannot be read: there is no key"), "{}", wrong("---\n: x\n---\nBody"));
        assert_eq!(wrong("---\n---\n"), "f: there is no prompt in the file");
    }
}
