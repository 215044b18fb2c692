//! Where an edit's old text is: exactly, or up to what models do not see or do not copy.

use super::edit::{Scope, strip_newline};
use super::indentation::{self, Shift};
use super::lines;

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
    /// LF for CRLF or CR, or the reverse.
    Endings,
    /// Blanks before line ends ignored.
    TrailingBlanks,
    /// Plain quotes, dashes and spaces for typographic ones, or the reverse.
    Typography,
    /// The old text ends with a line break that the file's last line does not have.
    FinalNewline,
    /// Whole lines, all of them indented otherwise by one rule.
    Indentation,
    /// Lines left out of the quotation, where it says `...`.
    Elided,
}

/// Which places count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Anywhere,
    /// From the beginning of a line to the end of one.
    Lines,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In order; never overlapping under [`Scope::Every`], never empty.
    pub places: Vec<Place>,
    pub precision: Precision,
    /// Of [`Precision::Indentation`]: how new lines are to be indented.
    pub shift: Option<Shift>,
}

/// The places of `old` in `text`, or `None`. Under [`Scope::Once`] overlapping places count, since which one is meant
/// is just as unclear.
pub fn find(text: &str, old: &str, scope: Scope, align: Align) -> Option<Found> {
    let exact = occurrences(text, old, scope).into_iter().map(|start| Place { start, end: start + old.len() });
    let exact: Vec<Place> =
        exact.filter(|p| fits(text, p, align) && !is_inside_crlf(text, p.start) && !is_inside_crlf(text, p.end)).collect();
    // How a line ends is not seen: where some end in another way, those that look the same are the same.
    let blind = text.contains('\r') && old.contains('\n') && !old.contains('\r');
    let more = || blind && loosely(text, old, scope, Precision::Endings).len() > exact.len();
    if !exact.is_empty() && !more() {
        return Some(Found { places: exact, precision: Precision::Exact, shift: None });
    }
    [Precision::Endings, Precision::TrailingBlanks, Precision::Typography]
        .into_iter()
        .map(|precision| {
            let mut places = loosely(text, old, scope, precision);
            places.retain(|p| fits(text, p, align));
            Found { places, precision, shift: None }
        })
        .find(|found| !found.places.is_empty())
        .or_else(|| at_end(text, old).filter(|found| found.places.iter().all(|p| fits(text, p, align))))
        .or_else(|| indentation::find(text, old))
}

fn fits(text: &str, place: &Place, align: Align) -> bool {
    let starts = |at: usize| at == 0 || text.get(..at).is_some_and(|t| t.ends_with(['\n', '\r']));
    let ends = |at: usize| starts(at) || text.get(at..).is_some_and(|t| t.is_empty() || t.starts_with(['\n', '\r']));
    align == Align::Anywhere || (starts(place.start) && ends(place.end))
}

/// Whether `at` is between the two characters of one line ending.
fn is_inside_crlf(text: &str, at: usize) -> bool {
    text.get(..at).is_some_and(|t| t.ends_with('\r')) && text.get(at..).is_some_and(|t| t.starts_with('\n'))
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

/// The plain character for a typographic one; one for one, so that lines can be laid over each other.
pub(super) fn plain(c: char) -> char {
    match c {
        '\u{2018}'..='\u{201b}' | '\u{2032}' => '\'',
        '\u{201c}'..='\u{201f}' | '\u{2033}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        other => other,
    }
}

/// A text without what a precision ignores, and the way back from its offsets to the original's.
struct Loosened<'a> {
    original: &'a str,
    precision: Precision,
    text: String,
    /// Of each line: where it starts here, where it starts in the original.
    lines: Vec<(usize, usize)>,
}

impl<'a> Loosened<'a> {
    fn new(original: &'a str, precision: Precision) -> Self {
        let mut out = Self { original, precision, text: String::with_capacity(original.len()), lines: Vec::new() };
        let mut at = 0;
        for line in lines::every(original) {
            out.lines.push((out.text.len(), at));
            at += line.len();
            let body = lines::body(line);
            match precision {
                Precision::Exact | Precision::Endings => out.text.push_str(body),
                Precision::Typography => out.text.push_str(body.chars().map(plain).collect::<String>().trim_end_matches([' ', '\t'])),
                _ => out.text.push_str(body.trim_end_matches([' ', '\t'])),
            }
            if body.len() < line.len() {
                out.text.push('\n');
            }
        }
        out
    }

    fn original(&self, offset: usize) -> usize {
        let after = self.lines.partition_point(|(here, _)| *here <= offset);
        let (here, there) = after.checked_sub(1).and_then(|ix| self.lines.get(ix)).copied().unwrap_or_default();
        let mut left = offset - here;
        if self.precision != Precision::Typography {
            // Offsets inside a line move with its start: only line ends were shortened.
            return there + left;
        }
        let mut at = there;
        for c in self.original.get(there..).unwrap_or("").chars() {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(plain(c).len_utf8());
            at += c.len_utf8();
        }
        at
    }
}

fn loosely(text: &str, old: &str, scope: Scope, precision: Precision) -> Vec<Place> {
    let wanted = Loosened::new(old, precision).text;
    if wanted.trim().is_empty() {
        return Vec::new();
    }
    let whole = Loosened::new(text, precision);
    // A last line whose blanks were dropped must reach to the end of a line, or "a " would match in "ab".
    let to_line_end = !old.ends_with(['\n', '\r']) && precision > Precision::Endings && old.ends_with([' ', '\t', '\u{a0}']);
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

fn end_in_original(text: &str, whole: &Loosened<'_>, end: usize, to_line_end: bool) -> usize {
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
    if bare.len() == old.len() || text.ends_with(['\n', '\r']) || bare.trim().is_empty() {
        return None;
    }
    let whole = Loosened::new(text, Precision::Typography);
    let wanted = Loosened::new(bare, Precision::Typography).text;
    let at = whole.text.strip_suffix(wanted.as_str())?.len();
    let place = Place { start: whole.original(at), end: text.len() };
    Some(Found { places: vec![place], precision: Precision::FinalNewline, shift: None })
}
