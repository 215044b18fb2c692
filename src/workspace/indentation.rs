//! Lines that a model quoted with another indentation: where they are, and how its new lines are to be indented there.

use super::lines;
use super::locate::{Found, Place, Precision};
use std::collections::BTreeMap;

/// How the file indents what the model indents otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// The file's indentation for each that the model used in the old text.
    known: BTreeMap<String, String>,
    rule: Rule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blank {
    /// There are no blanks.
    None,
    Space,
    Tab,
}

/// What holds for an indentation that the old text does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// `base + width * times / over` blanks of one kind; `model` is the kind that the model uses.
    Linear { model: Blank, file: Blank, base: isize, times: isize, over: isize },
    /// The file has this before it.
    Prefix(String),
}

/// What an indentation is made of; `None` where it is of both kinds.
fn kind(indent: &str) -> Option<Blank> {
    match (indent.contains(' '), indent.contains('\t')) {
        (false, false) => Some(Blank::None),
        (true, false) => Some(Blank::Space),
        (false, true) => Some(Blank::Tab),
        (true, true) => None,
    }
}

/// What all of them are made of; `None` where that is both kinds.
fn one_kind<'a>(mut indents: impl Iterator<Item = &'a String>) -> Option<Blank> {
    indents.try_fold(Blank::None, |all, indent| match (all, kind(indent)?) {
        (all, Blank::None) => Some(all),
        (Blank::None, new) => Some(new),
        (all, new) => (all == new).then_some(all),
    })
}

impl Shift {
    fn of(known: BTreeMap<String, String>) -> Option<Self> {
        let rule = Self::linear(&known).or_else(|| Self::prefix(&known))?;
        Some(Self { known, rule })
    }

    fn linear(known: &BTreeMap<String, String>) -> Option<Rule> {
        let model = one_kind(known.keys())?;
        let file = one_kind(known.values())?;
        // An indentation of nothing may become one of any kind.
        let (model, file) = match (model, file) {
            (Blank::None, Blank::None) => return None,
            (Blank::None, some) | (some, Blank::None) => (some, some),
            both => both,
        };
        let width = |s: &String| s.len().cast_signed();
        let pairs: Vec<(isize, isize)> = known.iter().map(|(m, f)| (width(m), width(f))).collect();
        let (first, last) = (pairs.iter().min()?, pairs.iter().max()?);
        let (base, times, over) = if last.0 > first.0 {
            let (times, over) = (last.1 - first.1, last.0 - first.0);
            if times <= 0 || (first.0 * times) % over != 0 {
                return None;
            }
            (first.1 - first.0 * times / over, times, over)
        } else if first.0 > 0 && first.1 > 0 && model != file {
            (0, first.1, first.0)
        } else {
            (first.1 - first.0, 1, 1)
        };
        let holds = pairs.iter().all(|(m, f)| (m * times) % over == 0 && base + m * times / over == *f);
        holds.then_some(Rule::Linear { model, file, base, times, over })
    }

    fn prefix(known: &BTreeMap<String, String>) -> Option<Rule> {
        let (model, file) = known.iter().next()?;
        let added = file.strip_suffix(model.as_str())?;
        known.iter().all(|(m, f)| f.strip_suffix(m.as_str()) == Some(added)).then(|| Rule::Prefix(added.to_owned()))
    }

    /// The file's indentation for the model's; `None` where it cannot be told.
    fn indent(&self, model: &str) -> Option<String> {
        if let Some(known) = self.known.get(model) {
            return Some(known.clone());
        }
        match &self.rule {
            Rule::Prefix(added) => Some(format!("{added}{model}")),
            Rule::Linear { model: used, file, base, times, over } => {
                let given = kind(model)?;
                if !matches!(given, Blank::None) && given != *used {
                    // A kind that the old text does not have cannot be measured, but may be the file's own.
                    return (given == *file && *base == 0).then(|| model.to_owned());
                }
                let scaled = model.len().cast_signed() * times;
                let count = usize::try_from(base + scaled / over).ok().filter(|_| scaled % over == 0)?;
                Some(if *file == Blank::Tab { "\t" } else { " " }.repeat(count))
            }
        }
    }

    /// A new line as the file indents it.
    pub fn line(&self, new: &str) -> Option<String> {
        let bare = new.trim_start_matches([' ', '\t']);
        if bare.trim().is_empty() {
            return Some(bare.to_owned());
        }
        let model = new.strip_suffix(bare).unwrap_or("");
        Some(format!("{}{bare}", self.indent(model)?))
    }
}

fn split(line: &str) -> (&str, &str) {
    let bare = line.trim_start_matches([' ', '\t']);
    (line.strip_suffix(bare).unwrap_or(""), bare.trim_end())
}

/// Whole lines of `text` that are those of `old` but for an indentation that differs by one rule.
pub fn find(text: &str, old: &str) -> Option<Found> {
    let wanted: Vec<(&str, &str)> = lines::every(old).map(|l| split(lines::body(l))).collect();
    let lead = wanted.iter().position(|(_, bare)| !bare.is_empty())?;
    let lead_bare = wanted.get(lead)?.1;
    let mut all: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    for line in lines::every(text) {
        all.push((at, line));
        at += line.len();
    }
    let open = !old.ends_with(['\n', '\r']);
    let mut found: Vec<(Place, Shift)> = Vec::new();
    for (ix, _) in all.iter().enumerate().skip(lead).filter(|(_, (_, l))| split(lines::body(l)).1 == lead_bare) {
        let Some(window) = all.get(ix - lead..ix - lead + wanted.len()) else { continue };
        let Some(shift) = same(window, &wanted).and_then(Shift::of) else { continue };
        let Some(((start, _), (last, line))) = window.first().zip(window.last()) else { continue };
        let end = last + if open { lines::body(line).len() } else { line.len() };
        found.push((Place { start: *start, end }, shift));
    }
    let shift = found.first().map(|(_, shift)| shift.clone())?;
    Some(Found { places: found.into_iter().map(|(place, _)| place).collect(), precision: Precision::Indentation, shift: Some(shift) })
}

/// Which indentation stands for which, if the lines are the same otherwise and it is always the same one.
fn same(window: &[(usize, &str)], wanted: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for ((_, line), (indent, bare)) in window.iter().zip(wanted) {
        let (there, body) = split(lines::body(line));
        if body != *bare {
            return None;
        }
        if !bare.is_empty() && known.entry((*indent).to_owned()).or_insert_with(|| there.to_owned()) != there {
            return None;
        }
    }
    (!known.is_empty()).then_some(known)
}
