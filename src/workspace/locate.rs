//! Where an edit's old text is: exactly, or up to what models cannot see (line endings, trailing blanks).

use super::edit::{Scope, strip_newline};

/// A byte range of the text that was searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub start: usize,
    pub end: usize,
}

/// How a place was found, from strict to loose. A looser way is tried only when every stricter one found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    Exact,
    /// LF for CRLF or the reverse.
    Endings,
    /// Blanks before line ends ignored.
    TrailingBlanks,
    /// The old text ends with a line break that the file's last line does not have.
    FinalNewline,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In order; never overlapping under [`Scope::Every`], never empty.
    pub places: Vec<Place>,
    pub precision: Precision,
}

/// The places of `old` in `text`, or `None`. Under [`Scope::Once`] overlapping places count, since which one is meant
/// is just as unclear.
pub fn find(text: &str, old: &str, scope: Scope) -> Option<Found> {
    let exact = occurrences(text, old, scope);
    if !exact.is_empty() {
        let places = exact.into_iter().map(|start| Place { start, end: start + old.len() }).collect();
        return Some(Found { places, precision: Precision::Exact });
    }
    [Precision::Endings, Precision::TrailingBlanks]
        .into_iter()
        .map(|precision| Found { places: loosely(text, old, scope, precision), precision })
        .find(|found| !found.places.is_empty())
        .or_else(|| at_end(text, old))
}

fn occurrences(text: &str, old: &str, scope: Scope) -> Vec<usize> {
    let step = match scope {
        Scope::Every => old.len(),
        Scope::Once => old.chars().next().map_or(1, char::len_utf8),
    };
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(old)) {
        found.push(from + at);
        from += at + step.max(1);
    }
    found
}

/// A text without what a precision ignores, and the way back from its offsets to the original's.
struct Loosened {
    text: String,
    /// Of each line: where it starts here, where it starts in the original.
    lines: Vec<(usize, usize)>,
}

impl Loosened {
    fn new(original: &str, precision: Precision) -> Self {
        let mut out = Self { text: String::with_capacity(original.len()), lines: Vec::new() };
        let mut at = 0;
        for line in original.split_inclusive('\n') {
            out.lines.push((out.text.len(), at));
            at += line.len();
            match line.strip_suffix('\n') {
                Some(body) => {
                    out.text.push_str(trimmed(body, precision));
                    out.text.push('\n');
                }
                None if precision == Precision::Endings => out.text.push_str(line),
                None => out.text.push_str(trimmed(line, precision)),
            }
        }
        out
    }

    /// Offsets inside a line move with its start: only line ends were shortened.
    fn original(&self, offset: usize) -> usize {
        let after = self.lines.partition_point(|(here, _)| *here <= offset);
        let (here, there) = after.checked_sub(1).and_then(|ix| self.lines.get(ix)).copied().unwrap_or_default();
        there + (offset - here)
    }
}

fn trimmed(line: &str, precision: Precision) -> &str {
    match precision {
        Precision::Endings => line.strip_suffix('\r').unwrap_or(line),
        _ => line.trim_end_matches([' ', '\t', '\r']),
    }
}

fn loosely(text: &str, old: &str, scope: Scope, precision: Precision) -> Vec<Place> {
    let wanted = Loosened::new(old, precision).text;
    if wanted.trim().is_empty() {
        return Vec::new();
    }
    let whole = Loosened::new(text, precision);
    // A last line whose blanks were dropped must reach to the end of a line, or "a " would match in "ab".
    let to_line_end = !old.ends_with('\n') && !old.ends_with(last_line(&wanted));
    let fits = |start: &usize| {
        let rest = whole.text.get(start + wanted.len()..).unwrap_or("");
        !to_line_end || rest.is_empty() || rest.starts_with('\n')
    };
    occurrences(&whole.text, &wanted, scope)
        .into_iter()
        .filter(fits)
        .map(|at| {
            let start = whole.original(at);
            let end = end_in_original(text, &whole, at + wanted.len(), to_line_end);
            Place { start, end }
        })
        .collect()
}

fn last_line(text: &str) -> &str {
    text.rsplit('\n').next().unwrap_or(text)
}

fn end_in_original(text: &str, whole: &Loosened, end: usize, to_line_end: bool) -> usize {
    // An end right after a line break is the start of a line; past the last line it is the end of the text.
    let end = if end >= whole.text.len() && whole.text.ends_with('\n') { text.len() } else { whole.original(end) };
    if !to_line_end {
        return end;
    }
    let rest = text.get(end..).unwrap_or("");
    end + rest.len() - rest.trim_start_matches([' ', '\t']).len()
}

/// `old` without its last line break, at the very end of a text that has none there.
fn at_end(text: &str, old: &str) -> Option<Found> {
    let bare = strip_newline(old);
    if bare.len() == old.len() || text.ends_with('\n') || bare.trim().is_empty() {
        return None;
    }
    let whole = Loosened::new(text, Precision::TrailingBlanks);
    let wanted = Loosened::new(bare, Precision::TrailingBlanks).text;
    let at = whole.text.strip_suffix(wanted.as_str())?.len();
    Some(Found { places: vec![Place { start: whole.original(at), end: text.len() }], precision: Precision::FinalNewline })
}
