//! The edit engine: replacements in a text, all or none, that leave every byte outside of them alone.
//!
//! Each replacement works on the result of the one before. Its place is found exactly or, where that is unique, up to
//! line endings and trailing blanks ([`super::locate`]). Lines that old and new text share keep their own bytes, and
//! new lines get the line ending that rules around them.
//!
//! ```
//! use code_pup::workspace::edit::{Replacement, Scope, apply};
//! let crlf = "fn a() {}\r\nfn b() {}\r\n";
//! let edit = Replacement { old: "fn a() {}\n".into(), new: "fn a() {}\nfn c() {}\n".into(), scope: Scope::Once };
//! assert_eq!(apply(crlf, &[edit])?.text, "fn a() {}\r\nfn c() {}\r\nfn b() {}\r\n");
//! # Ok::<(), code_pup::workspace::edit::EditError>(())
//! ```

use super::locate::{self, Found, Place, Precision};
use super::similar_lines;
use crate::base::redact;
use std::fmt;

/// How many places a replacement may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Exactly one, or it is refused.
    Once,
    Every,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    pub old: String,
    pub new: String,
    pub scope: Scope,
}

/// The text after all replacements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    pub text: String,
    /// How many places were replaced in all.
    pub places: usize,
    /// The least exact way in which a place was found.
    pub precision: Precision,
}

/// A refused edit; the text is for a model to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditError {
    /// Which replacement, from 1.
    pub number: usize,
    pub of: usize,
    pub why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("there are no replacements")]
    Nothing,
    #[error("old_str is empty; give the text to replace, or use create_file to write a whole file")]
    EmptyOld,
    #[error("old_str and new_str are the same")]
    Same,
    #[error("the replacement changes nothing: line endings and trailing blanks are kept as they are in the file")]
    NoChange,
    #[error("old_str contains a secret that was replaced before you saw it ({} ...]); choose lines without it", redact::MARK)]
    Redacted,
    #[error("old_str was found {} times, {}; add lines around it until it is unique, or set replace_all", .lines.len(), at_lines(.lines))]
    Ambiguous { lines: Vec<usize> },
    #[error("old_str was not found.{hint}")]
    NotFound { hint: String },
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of > 1 {
            write!(f, "replacement {} of {}, so none was made: ", self.number, self.of)?;
        }
        self.why.fmt(f)
    }
}

impl std::error::Error for EditError {}

/// Applies `replacements` in turn.
pub fn apply(text: &str, replacements: &[Replacement]) -> Result<Edited, EditError> {
    let of = replacements.len();
    if of == 0 {
        return Err(EditError { number: 0, of, why: Why::Nothing });
    }
    let mut all = Edited { text: text.to_owned(), places: 0, precision: Precision::Exact };
    for (ix, replacement) in replacements.iter().enumerate() {
        let (next, found) = one(&all.text, replacement).map_err(|why| EditError { number: ix + 1, of, why })?;
        all = Edited { text: next, places: all.places + found.places.len(), precision: all.precision.max(found.precision) };
    }
    Ok(all)
}

fn one(text: &str, edit: &Replacement) -> Result<(String, Found), Why> {
    if edit.old.is_empty() {
        return Err(Why::EmptyOld);
    }
    if edit.old == edit.new {
        return Err(Why::Same);
    }
    let Some(found) = locate::find(text, &edit.old, edit.scope) else {
        let redacted = edit.old.contains(redact::MARK);
        return Err(if redacted { Why::Redacted } else { Why::NotFound { hint: similar_lines::hint(text, &edit.old, &edit.new) } });
    };
    if edit.scope == Scope::Once && found.places.len() > 1 {
        return Err(Why::Ambiguous { lines: found.places.iter().map(|p| line_of(text, p.start)).collect() });
    }
    let mut out = String::with_capacity(text.len() + edit.new.len());
    let mut last = 0;
    for place in &found.places {
        out.push_str(text.get(last..place.start).unwrap_or(""));
        out.push_str(&splice(text, place, edit, found.precision));
        last = place.end;
    }
    out.push_str(text.get(last..).unwrap_or(""));
    if out == text { Err(Why::NoChange) } else { Ok((out, found)) }
}

/// The new bytes of one place.
fn splice(text: &str, place: &Place, edit: &Replacement, precision: Precision) -> String {
    let region = text.get(place.start..place.end).unwrap_or("");
    let (old, new) = match precision {
        Precision::FinalNewline => (strip_newline(&edit.old), strip_newline(&edit.new)),
        _ => (edit.old.as_str(), edit.new.as_str()),
    };
    let ending = ending_near(text, place);
    let (old, new) = if ending == "\n" && precision == Precision::Exact {
        // What the model says about carriage returns is meant: it quoted this place exactly.
        (old.to_owned(), new.to_owned())
    } else {
        (old.replace("\r\n", "\n"), new.replace("\r\n", "\n"))
    };
    let there: Vec<&str> = region.split_inclusive('\n').collect();
    let was: Vec<&str> = old.split_inclusive('\n').collect();
    let is: Vec<&str> = new.split_inclusive('\n').collect();
    let mut out = String::with_capacity(new.len());
    for op in similar::capture_diff_slices(similar::Algorithm::Myers, &was, &is) {
        let (tag, from, to) = op.as_tag_tuple();
        if tag == similar::DiffTag::Equal {
            there.get(from.start..from.end.min(there.len())).unwrap_or_default().iter().for_each(|line| out.push_str(line));
            continue;
        }
        for line in is.get(to).unwrap_or_default() {
            match line.strip_suffix('\n') {
                Some(body) => {
                    out.push_str(body);
                    out.push_str(ending);
                }
                None => out.push_str(line),
            }
        }
    }
    out
}

/// The line ending that most lines of the place have; of a place without one, that of its line, else of the file.
fn ending_near(text: &str, place: &Place) -> &'static str {
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or("");
    let inside = part(place.start..place.end);
    if let Some(ending) = majority(inside) {
        return ending;
    }
    let after = part(place.end..text.len());
    let before = part(0..place.start);
    let next = after.find('\n').and_then(|n| majority(after.get(..=n).unwrap_or("")));
    next.or_else(|| majority(before.get(before.trim_end_matches(|c| c != '\n').trim_end_matches(['\r', '\n']).len()..).unwrap_or("")))
        .or_else(|| majority(text))
        .unwrap_or("\n")
}

fn majority(text: &str) -> Option<&'static str> {
    let all = text.matches('\n').count();
    let crlf = text.matches("\r\n").count();
    (all > 0).then_some(if crlf * 2 > all { "\r\n" } else { "\n" })
}

pub(super) fn strip_newline(s: &str) -> &str {
    s.strip_suffix("\r\n").or_else(|| s.strip_suffix('\n')).unwrap_or(s)
}

/// The number of the line that the byte at `offset` is in, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or("").matches('\n').count() + 1
}

fn at_lines(lines: &[usize]) -> String {
    let shown: Vec<String> = lines.iter().take(8).map(ToString::to_string).collect();
    let more = if lines.len() > shown.len() { ", ..." } else { "" };
    format!("at lines {}{more}", shown.join(", "))
}
