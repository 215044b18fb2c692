//! The edit engine: replacements in a text, all or none, that leave every byte outside of them alone.
//!
//! Each replacement works on the result of the one before. Its place is found exactly or, where that is unique, up to
//! what a model does not see or copy ([`super::locate`]). Lines that old and new text share keep their own bytes, and
//! new lines get the line ending, the indentation and the quotes that rule around them.
//!
//! ```
//! use code_pup::workspace::edit::{Replacement, Scope, apply};
//! let crlf = "fn a() {}\r\nfn b() {}\r\n";
//! let edit = Replacement { old: "fn a() {}\n".into(), new: "fn a() {}\nfn c() {}\n".into(), scope: Scope::Once };
//! assert_eq!(apply(crlf, &[edit])?.text, "fn a() {}\r\nfn c() {}\r\nfn b() {}\r\n");
//! # Ok::<(), code_pup::workspace::edit::EditError>(())
//! ```

use super::locate::{self, Align, Found, Precision};
use super::splice::splice;
use super::{lines, similar_lines};
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
    #[error("the replacements undo each other: together they change nothing")]
    Undone,
    #[error("old_str contains a secret that was replaced before you saw it ({} ...]); choose lines without it", redact::MARK)]
    Redacted,
    #[error(
        "old_str was found {} times, {}; add lines around it until it is unique, or set replace_all.{shown}", .lines.len(), at_lines(.lines)
    )]
    Ambiguous { lines: Vec<usize>, shown: String },
    #[error(
        "old_str is at line {line} with another indentation, and how new_str is to be indented there is unclear; copy the lines with their blanks as they are in the file"
    )]
    Indentation { line: usize },
    #[error("old_str leaves lines out with `...`; new_str must do so in the same places, or give the lines in full")]
    Elision,
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
    if all.text == text { Err(EditError { number: 0, of: 0, why: Why::Undone }) } else { Ok(all) }
}

fn one(text: &str, edit: &Replacement) -> Result<(String, Found), Why> {
    if edit.old.is_empty() {
        return Err(Why::EmptyOld);
    }
    if edit.old == edit.new {
        return Err(Why::Same);
    }
    let Some(found) = locate::find(text, &edit.old, edit.scope, Align::Anywhere) else {
        if let Some(done) = elided(text, edit)? {
            return Ok(done);
        }
        let redacted = edit.old.contains(redact::MARK);
        return Err(if redacted { Why::Redacted } else { Why::NotFound { hint: similar_lines::hint(text, &edit.old, &edit.new) } });
    };
    let unique = edit.scope == Scope::Once || found.precision == Precision::Indentation;
    if unique && found.places.len() > 1 {
        return Err(ambiguous(text, &found));
    }
    let mut out = String::with_capacity(text.len() + edit.new.len());
    let mut last = 0;
    for place in &found.places {
        out.push_str(text.get(last..place.start).unwrap_or(""));
        let new = splice(text, place, &found, &edit.old, &edit.new, None);
        out.push_str(&new.ok_or_else(|| Why::Indentation { line: lines::number(text, place.start) })?);
        last = place.end;
    }
    out.push_str(text.get(last..).unwrap_or(""));
    if out == text { Err(Why::NoChange) } else { Ok((out, found)) }
}

/// Several places, with what stands around each: a model that sees how they differ can say which it means.
fn ambiguous(text: &str, found: &Found) -> Why {
    let lines = numbers(text, found);
    Why::Ambiguous { shown: similar_lines::around(text, &lines), lines }
}

/// The numbers of the lines where the places begin.
pub(super) fn numbers(text: &str, found: &Found) -> Vec<usize> {
    lines::numbers(text, found.places.iter().map(|p| p.start))
}

/// A quotation that leaves lines out with `...`, as the new text does in the same places: each of its parts must be in
/// the file once, in this order.
fn elided(text: &str, edit: &Replacement) -> Result<Option<(String, Found)>, Why> {
    let (old, new) = (parts(&edit.old), parts(&edit.new));
    if old.len() < 2 || edit.scope == Scope::Every {
        return Ok(None);
    }
    if old.len() != new.len() || old.iter().zip(&new).any(|(o, n)| o.trim().is_empty() && !n.trim().is_empty()) {
        return Err(Why::Elision);
    }
    let mut places = Vec::new();
    let mut out = String::with_capacity(text.len() + edit.new.len());
    let mut last = 0;
    for (old, new) in old.iter().zip(&new).filter(|(old, _)| !old.trim().is_empty()) {
        let Some(found) = locate::find(text, old, Scope::Once, Align::Lines).filter(|f| f.precision <= Precision::FinalNewline) else {
            return Ok(None);
        };
        let [place] = found.places.as_slice() else { return Err(ambiguous(text, &found)) };
        if place.start < last {
            return Ok(None);
        }
        out.push_str(text.get(last..place.start).unwrap_or(""));
        out.push_str(&splice(text, place, &found, old, new, None).unwrap_or_default());
        last = place.end;
        places.push(place.clone());
    }
    out.push_str(text.get(last..).unwrap_or(""));
    if out == text {
        return Err(Why::NoChange);
    }
    Ok((!places.is_empty()).then_some((out, Found { places, precision: Precision::Elided, shift: None })))
}

/// A text cut at its lines that say only that something is left out.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in lines::every(text) {
        let said = line.trim().trim_start_matches(['/', '#', '-', ' ']);
        if said == "..." || said == "\u{2026}" {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push_str(line);
        }
    }
    parts
}

pub(super) fn strip_newline(s: &str) -> &str {
    s.strip_suffix("\r\n").or_else(|| s.strip_suffix(['\n', '\r'])).unwrap_or(s)
}

fn at_lines(lines: &[usize]) -> String {
    let shown: Vec<String> = lines.iter().take(8).map(ToString::to_string).collect();
    let more = if lines.len() > shown.len() { ", ..." } else { "" };
    format!("at lines {}{more}", shown.join(", "))
}
