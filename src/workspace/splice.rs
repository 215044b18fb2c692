//! The new bytes of one place: lines that old and new text share keep their own, new ones get what rules around them.

use super::edit::strip_newline;
use super::lines;
use super::locate::{self, Found, Place, Precision};
use std::ops::Range;

/// A run of lines of the old text, and those of the new text that stand for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// They are the same lines.
    pub same: bool,
    pub old: Range<usize>,
    pub new: Range<usize>,
}

/// Which lines stay, worked out from the texts.
pub(super) fn compare(old: &str, new: &str) -> Vec<Run> {
    let (was, is): (Vec<&str>, Vec<&str>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let ops = similar::capture_diff_slices(similar::Algorithm::Myers, &was, &is);
    let run = |op: &similar::DiffOp| {
        let (tag, old, new) = op.as_tag_tuple();
        Run { same: tag == similar::DiffTag::Equal, old, new }
    };
    ops.iter().map(run).collect()
}

/// The new bytes of one place; `None` where the indentation of a new line cannot be told. `told` says which lines stay, if that is known.
pub(super) fn splice(text: &str, place: &Place, found: &Found, old: &str, new: &str, told: Option<&[Run]>) -> Option<String> {
    let region = text.get(place.start..place.end).unwrap_or("");
    // A line break that the file's last line does not have goes from the new text, too.
    let open = old.ends_with(['\n', '\r']) && !region.ends_with(['\n', '\r']) && new.ends_with(['\n', '\r']);
    let ending = ending_near(text, place);
    // Carriage returns of the new text are meant where the old one has some that are really there; elsewhere they are a habit.
    let literal = ending == "\n" && found.precision == Precision::Exact;
    let (old, new) = match literal {
        true if old.contains('\r') => (old.to_owned(), new.to_owned()),
        true => (old.to_owned(), new.replace("\r\n", "\n")),
        false => (lines::with_lf(old), lines::with_lf(new)),
    };
    let there: Vec<&str> = if literal { region.split_inclusive('\n').collect() } else { lines::every(region).collect() };
    let was: Vec<&str> = old.split_inclusive('\n').collect();
    let is: Vec<&str> = new.split_inclusive('\n').collect();
    let mut out = String::with_capacity(new.len());
    let compared = if told.is_none() { compare(&old, &new) } else { Vec::new() };
    for Run { same, old, new } in told.unwrap_or(&compared) {
        let kept = within(&there, old);
        if *same {
            out.push_str(&kept.concat());
            let last = kept.last().is_some_and(|line| lines::ending(line).is_empty());
            if last && new.end < is.len() {
                out.push_str(ending);
            }
            continue;
        }
        let paired = found.precision == Precision::Typography && old.len() == new.len();
        let replaced = within(&was, old);
        for (ix, line) in within(&is, new).iter().enumerate() {
            let body = line.strip_suffix('\n');
            let bare = body.unwrap_or(line);
            match (&found.shift, kept.get(ix).zip(replaced.get(ix))) {
                (Some(shift), _) => out.push_str(&shift.line(bare)?),
                (None, Some((there, was))) if paired => out.push_str(&retouched(lines::body(there), was.trim_end_matches('\n'), bare)),
                (None, _) => out.push_str(bare),
            }
            if body.is_some() {
                // A line that stands for another ends as that did.
                let own = kept.get(ix).map_or("", |line| lines::ending(line));
                let usual = literal || own.is_empty() || (own == "\r" && ending != "\r");
                out.push_str(if usual { ending } else { own });
            }
        }
    }
    if open {
        out.truncate(strip_newline(&out).len());
    }
    Some(out)
}

/// Those of `lines` that are in the range.
fn within<'a, 'b>(lines: &'b [&'a str], range: &Range<usize>) -> &'b [&'a str] {
    lines.get(range.start.min(lines.len())..range.end.min(lines.len())).unwrap_or_default()
}

/// `new`, with the file's own characters where the model only copied them in a plainer form.
fn retouched(there: &str, old: &str, new: &str) -> String {
    let (there, old, new): (Vec<char>, Vec<char>, Vec<char>) =
        (there.trim_end().chars().collect(), old.trim_end().chars().collect(), new.chars().collect());
    if !there.iter().map(|c| locate::plain(*c)).eq(old.iter().map(|c| locate::plain(*c))) {
        return new.into_iter().collect();
    }
    let mut out = String::new();
    for op in similar::capture_diff_slices(similar::Algorithm::Myers, &old, &new) {
        let (tag, from, to) = op.as_tag_tuple();
        let chars = if tag == similar::DiffTag::Equal { there.get(from) } else { new.get(to) };
        out.extend(chars.unwrap_or_default());
    }
    out
}

/// The line ending that most lines of the place have; of a place without one, that of its line, else of the file.
fn ending_near(text: &str, place: &Place) -> &'static str {
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or("");
    let inside = part(place.start..place.end);
    if let Some(ending) = lines::majority(inside) {
        return ending;
    }
    let after = part(place.end..text.len());
    let before = part(0..place.start);
    let next = lines::every(after).next().map_or("", lines::ending);
    let line = before.trim_end_matches(|c| c != '\n' && c != '\r');
    let previous = lines::ending(line);
    [next, previous].into_iter().find(|e| !e.is_empty()).or_else(|| lines::majority(text)).unwrap_or("\n")
}
