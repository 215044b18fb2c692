//! The patch format that some models are trained on: `*** Begin Patch`, then whole files added or deleted and hunks of
//! others, without line numbers. Reading it and applying the hunks of one file; no IO.

use super::edit::{Scope, numbers};
use super::locate::{self, Align};
use super::splice::{Run, splice};
use super::{lines, similar_lines};
use std::ops::Range;

/// What is to happen to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Add { path: String, content: String },
    Delete { path: String },
    Update { path: String, moved: Option<String>, hunks: Vec<Hunk> },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hunk {
    /// The lines after `@@`, outermost first: where the hunk's own lines are to be looked for.
    pub context: Vec<String>,
    /// With LF at the end of each line.
    pub old: String,
    pub new: String,
    /// Whether each of its lines, in order, is old, new or both.
    pub sides: Vec<Side>,
    /// The old lines are the last of the file.
    pub at_end: bool,
}

/// Where a line of a hunk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Both,
    Old,
    New,
}

impl Hunk {
    fn push(&mut self, side: Side, body: &str) {
        self.sides.push(side);
        for (other, text) in [(Side::New, &mut self.old), (Side::Old, &mut self.new)] {
            if side != other {
                text.push_str(body);
                text.push('\n');
            }
        }
    }

    /// Which of its old lines stay, as it says: of lines that are the same, no comparison could tell.
    fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let (mut old, mut new) = (0, 0);
        for side in &self.sides {
            let same = *side == Side::Both;
            if runs.last().is_none_or(|run| run.same != same) {
                runs.push(Run { same, old: old..old, new: new..new });
            }
            old += usize::from(*side != Side::New);
            new += usize::from(*side != Side::Old);
            if let Some(run) = runs.last_mut() {
                (run.old.end, run.new.end) = (old, new);
            }
        }
        runs
    }
}

/// What is wrong with a patch; the text is for a model to act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    #[error("the patch must begin with `*** Begin Patch`, not `{0}`")]
    Begin(String),
    #[error("the patch does not end with `*** End Patch`; it may have been cut off")]
    End,
    #[error("the patch has no files")]
    Nothing,
    #[error("line {line} of the patch: `{text}` is none of `*** Add File: `, `*** Delete File: ` and `*** Update File: ` with a path")]
    Header { line: usize, text: String },
    #[error("line {line} of the patch: `{text}` must begin with `+`, as every line of a file that is added")]
    Added { line: usize, text: String },
    #[error("line {line} of the patch: `{text}` must begin with `+`, `-` or a blank, or be a line `@@`")]
    Line { line: usize, text: String },
    #[error("line {line} of the patch: the hunk has no lines to change")]
    Empty { line: usize },
    #[error("hunk {number}: no line after the one before is `{text}`")]
    Context { number: usize, text: String },
    #[error("hunk {number}: where its lines go is unclear; quote a line before or after them")]
    Nowhere { number: usize },
    #[error("hunk {number}: its lines are in the file {} times, at lines {}; add lines or an `@@` line that tells which", .lines.len(), shown(.lines))]
    Ambiguous { number: usize, lines: Vec<usize> },
    #[error("hunk {number}: its lines are not in the file{}.{hint}", if *.before { " after the hunk before it" } else { "" })]
    NotFound { number: usize, before: bool, hint: String },
    #[error("hunk {number}: its lines are not the last of the file, as `*** End of File` says")]
    NotAtEnd { number: usize },
    #[error("hunk {number}: how its new lines are to be indented is unclear; copy the lines with their blanks as they are in the file")]
    Indentation { number: usize },
}

fn shown(lines: &[usize]) -> String {
    lines.iter().take(8).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

struct Reader<'a> {
    /// With their numbers from 1.
    lines: std::iter::Peekable<std::vec::IntoIter<(usize, &'a str)>>,
}

/// Reads a patch. Blanks around its markers, a here-document or a fence around all of it are let pass.
pub fn parse(text: &str) -> Result<Vec<Change>, PatchError> {
    let all: Vec<(usize, &str)> = text.lines().enumerate().map(|(ix, line)| (ix + 1, line)).collect();
    let begin = all.iter().position(|(_, l)| !l.trim().is_empty() && !is_wrapping(l)).unwrap_or_default();
    let end = all.iter().rposition(|(_, l)| !l.trim().is_empty() && !is_wrapping(l)).unwrap_or_default();
    match all.get(begin) {
        Some((_, line)) if line.trim() == "*** Begin Patch" => {}
        other => return Err(PatchError::Begin(crate::base::text::one_line(other.map_or("", |(_, l)| l), 80))),
    }
    if all.get(end).is_none_or(|(_, line)| line.trim() != "*** End Patch") {
        return Err(PatchError::End);
    }
    let inner: Vec<(usize, &str)> = all.get(begin + 1..end).unwrap_or_default().to_vec();
    let mut reader = Reader { lines: inner.into_iter().peekable() };
    let mut changes = Vec::new();
    while let Some((line, text)) = reader.lines.next() {
        if !text.trim().is_empty() {
            changes.push(reader.change(line, text)?);
        }
    }
    if changes.is_empty() { Err(PatchError::Nothing) } else { Ok(changes) }
}

fn is_wrapping(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("```") || line.contains("<<") || line == "EOF" || line == "PATCH"
}

impl Reader<'_> {
    fn change(&mut self, line: usize, text: &str) -> Result<Change, PatchError> {
        let header = text.trim();
        let path = |name: &str| header.strip_prefix(name).map(str::trim).filter(|p| !p.is_empty()).map(str::to_owned);
        if let Some(path) = path("*** Add File:") {
            return Ok(Change::Add { path, content: self.added()? });
        }
        if let Some(path) = path("*** Delete File:") {
            return Ok(Change::Delete { path });
        }
        let Some(path) = path("*** Update File:") else {
            return Err(PatchError::Header { line, text: crate::base::text::one_line(text, 80) });
        };
        let moved = self.lines.peek().and_then(|(_, l)| l.trim().strip_prefix("*** Move to:")).map(|to| to.trim().to_owned());
        if moved.is_some() {
            self.lines.next();
        }
        let hunks = self.hunks(line, moved.is_some())?;
        Ok(Change::Update { path, moved, hunks })
    }

    /// Whether the next line belongs to the next file.
    fn ends(&mut self) -> bool {
        self.lines.peek().is_none_or(|(_, l)| {
            ["*** Add File:", "*** Delete File:", "*** Update File:"].iter().any(|header| l.trim_start().starts_with(header))
        })
    }

    fn added(&mut self) -> Result<String, PatchError> {
        let mut content = String::new();
        while !self.ends() {
            let Some((line, text)) = self.lines.next() else { break };
            match text.strip_prefix('+') {
                Some(body) => {
                    content.push_str(body);
                    content.push('\n');
                }
                None if text.trim().is_empty() && self.ends() => {}
                None => return Err(PatchError::Added { line, text: crate::base::text::one_line(text, 80) }),
            }
        }
        Ok(content)
    }

    /// The hunks of one file, of which a file that is only moved needs none.
    fn hunks(&mut self, header: usize, moved: bool) -> Result<Vec<Hunk>, PatchError> {
        let mut hunks: Vec<Hunk> = Vec::new();
        let mut hunk = Hunk::default();
        let mut begun = header;
        // Empty lines that may be nothing but the space before the next file.
        let mut empty = 0;
        while !self.ends() {
            let Some((line, text)) = self.lines.next() else { break };
            if text.is_empty() {
                empty += 1;
                continue;
            }
            (0..std::mem::take(&mut empty)).for_each(|_| hunk.push(Side::Both, ""));
            let has_lines = !hunk.sides.is_empty();
            if let Some(context) = text.trim_start().strip_prefix("@@").filter(|_| text.starts_with("@@") || !has_lines) {
                if has_lines {
                    hunks.push(std::mem::take(&mut hunk));
                }
                begun = line;
                hunk.context.extend(context_of(context));
                continue;
            }
            if text.trim() == "*** End of File" {
                hunk.at_end = true;
                hunks.push(std::mem::take(&mut hunk));
                continue;
            }
            let (sign, body) = text.split_at_checked(1).unwrap_or((" ", ""));
            let side = match sign {
                " " => Side::Both,
                "-" => Side::Old,
                "+" => Side::New,
                _ => return Err(PatchError::Line { line, text: crate::base::text::one_line(text, 80) }),
            };
            hunk.push(side, body);
        }
        if !hunk.sides.is_empty() {
            hunks.push(hunk);
        } else if !hunk.context.is_empty() || (hunks.is_empty() && !moved) {
            return Err(PatchError::Empty { line: begun });
        }
        if hunks.iter().any(|h| h.sides.is_empty()) { Err(PatchError::Empty { line: begun }) } else { Ok(hunks) }
    }
}

/// What stands after `@@`; line numbers as in a unified diff say nothing here.
fn context_of(text: &str) -> Option<String> {
    let text = text.strip_prefix(' ').unwrap_or(text).trim_end();
    let numbers = text.trim_start().starts_with('-') && text.contains(" +");
    let text = if numbers { text.split_once("@@").map_or("", |(_, rest)| rest) } else { text.trim_end_matches("@@") };
    Some(text.trim_end().to_owned()).filter(|t| !t.trim().is_empty())
}

/// The text of a file after all hunks, each of which is looked for after the one before.
pub fn apply(text: &str, hunks: &[Hunk]) -> Result<String, PatchError> {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    // Lines without a place go to the end.
    let mut last = String::new();
    for (ix, hunk) in hunks.iter().enumerate() {
        let number = ix + 1;
        let (mut from, mut context_from) = (done, done);
        for context in &hunk.context {
            let line = context_line(text, from, context).ok_or_else(|| PatchError::Context { number, text: context.clone() })?;
            (context_from, from) = (line.start, line.end);
        }
        if hunk.old.is_empty() {
            if !hunk.context.is_empty() {
                return Err(PatchError::Nowhere { number });
            }
            last.push_str(&hunk.new);
            continue;
        }
        let find = |from: usize| {
            let mut found = locate::find(text.get(from..)?, &hunk.old, Scope::Once, Align::Lines)?;
            for place in &mut found.places {
                place.start += from;
                place.end += from;
            }
            Some(found)
        };
        // The line after `@@` may be quoted once more as the first of the hunk.
        let again = || find(context_from).filter(|found| found.places.first().is_some_and(|place| place.start == context_from));
        let Some(mut found) = find(from).or_else(again) else {
            let rest = text.get(from..).unwrap_or("");
            let hint = if from > 0 { String::new() } else { similar_lines::hint(rest, &hunk.old, &hunk.new) };
            return Err(PatchError::NotFound { number, before: from > 0, hint });
        };
        if hunk.at_end {
            found.places.retain(|p| text.get(p.end..).is_some_and(|rest| rest.trim_matches(['\r', '\n']).is_empty()));
        }
        let place = match found.places.as_slice() {
            [] => return Err(PatchError::NotAtEnd { number }),
            [place] => place,
            // The line after `@@` tells which: the next one.
            [first, ..] if !hunk.context.is_empty() => first,
            _ => return Err(PatchError::Ambiguous { number, lines: numbers(text, &found) }),
        };
        let new = splice(text, place, &found, &hunk.old, &hunk.new, Some(&hunk.runs())).ok_or(PatchError::Indentation { number })?;
        out.push_str(text.get(done..place.start).unwrap_or(""));
        out.push_str(&new);
        done = place.end;
    }
    out.push_str(text.get(done..).unwrap_or(""));
    if !last.is_empty() {
        append(&mut out, text, &last);
    }
    Ok(out)
}

/// The first line from `from` on that is `context`, or else the only one that begins with it.
fn context_line(text: &str, from: usize, context: &str) -> Option<Range<usize>> {
    let mut at = from;
    let mut all = Vec::new();
    for line in lines::every(text.get(from..)?) {
        all.push((at..at + line.len(), lines::body(line).trim()));
        at += line.len();
    }
    let wanted = context.trim();
    let same = all.iter().find(|(_, line)| *line == wanted);
    let mut beginning = all.iter().filter(|(_, line)| line.starts_with(wanted));
    same.or_else(|| beginning.next().filter(|_| beginning.next().is_none())).map(|(at, _)| at.clone())
}

fn append(out: &mut String, text: &str, new: &str) {
    let ending = lines::majority(text).unwrap_or("\n");
    let open = !out.is_empty() && !out.ends_with(['\n', '\r']);
    if open {
        out.push_str(ending);
    }
    let new = new.replace('\n', ending);
    // A file without a newline at its end stays one.
    out.push_str(if open { new.strip_suffix(ending).unwrap_or(&new) } else { &new });
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
