//! Markdown files: YAML front matter between two `---` lines, and the body below it.

use super::finding::Finding;
use super::tree::{self, Datum, Entry, Node, Spot};
use crate::base::text;

/// A Markdown file in its two parts.
pub struct Parts<'t> {
    /// With the opening line, which is a YAML document marker: so the parser's lines are the file's.
    pub front: &'t str,
    pub body: &'t str,
    /// The line of the file on which the body begins, from 1.
    pub body_line: usize,
}

/// Splits the text; `None` where it does not begin with front matter that ends.
pub fn split(text: &str) -> Option<Parts<'_>> {
    let mut lines = text.split_inclusive('\n');
    let mut offset = lines.next().filter(|l| l.trim_end() == "---")?.len();
    for (ix, line) in lines.enumerate() {
        if line.trim_end() == "---" {
            return Some(Parts { front: text.get(..offset)?, body: text.get(offset + line.len()..)?, body_line: ix + 3 });
        }
        offset += line.len();
    }
    None
}

/// What to say where [`split`] finds nothing.
pub fn absent() -> Finding {
    Finding::error("an agent file begins with front matter between two `---` lines")
        .at(Spot::line(1))
        .hint("e.g. `---`, `name: my-agent`, `description: what it does`, `---`, then the prompt")
}

/// The front matter's tree.
pub fn strict(front: &str) -> Result<Node, Finding> {
    tree::from_yaml(front).map_err(|e| yaml_finding(front, &e))
}

/// The same for files that other programs read line by line: what is no YAML is taken as lines of `key: text`.
pub fn lenient(front: &str) -> Node {
    tree::from_yaml(front).unwrap_or_else(|_| Node { at: Spot::line(1), datum: Datum::Map(by_line(front)) })
}

fn by_line(front: &str) -> Vec<Entry> {
    let mut all: Vec<(String, usize, String)> = Vec::new();
    for (ix, line) in front.lines().enumerate().skip(1) {
        let key = line.split_once(':').filter(|(k, _)| !k.is_empty() && k.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
        match (key, all.last_mut()) {
            (Some((key, value)), _) => all.push((key.to_owned(), ix + 1, unquoted(value.trim()).to_owned())),
            (None, Some((_, _, value))) => {
                value.push('\n');
                value.push_str(line.trim());
            }
            (None, None) => {}
        }
    }
    let entry = |(key, line, value): (String, usize, String)| {
        let at = Spot { line, column: key.len() + 3 };
        Entry { key, at: Spot::line(line), value: Node { at, datum: Datum::Text(value) } }
    };
    all.into_iter().map(entry).collect()
}

fn unquoted(value: &str) -> &str {
    let inside = |q: char| value.strip_prefix(q).and_then(|v| v.strip_suffix(q));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

fn yaml_finding(front: &str, error: &serde_saphyr::Error) -> Finding {
    let error = error.without_snippet();
    let at = error.location().map(Spot::from);
    let place = |finding: Finding| at.map_or(finding.clone(), |at| finding.at(at));
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error {
        let key = key.as_deref().unwrap_or("a key");
        return place(Finding::error(format!("`{key}` stands here a second time")).key(key).hint("remove one of the two"));
    }
    let what = error.to_string();
    let what = what.split(" at line ").next().unwrap_or(&what);
    // The only null that has to be text is a key that is not there.
    let what = if what.contains("null into string") { "there is no key before its `:`" } else { what };
    let line = at.and_then(|at| front.lines().nth(at.line.checked_sub(1)?));
    let shown = line.map_or(String::new(), |l| format!("`{}` cannot be read: ", text::one_line(l, 60)));
    place(
        Finding::error(format!("{shown}{}", text::one_line(what, 200))).hint("text with `: `, `#` or a bracket at its start needs quotes"),
    )
}
