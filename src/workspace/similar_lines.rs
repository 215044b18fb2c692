//! What to tell a model whose old text is not in the file: the lines that come nearest, as they really are.

use super::lines;
use crate::base::text;

/// Lines shown at most.
const SHOWN: usize = 12;
/// Places shown at most where a text is there several times.
const PLACES: usize = 3;
/// Longest line shown, in bytes.
const WIDTH: usize = 200;

/// A sentence or two that follow "old_str was not found.", beginning with a space; empty when nothing is near.
pub fn hint(file: &str, old: &str, new: &str) -> String {
    if file.is_empty() {
        return " The file is empty; use create_file with overwrite".to_owned();
    }
    let wanted_new = new.trim();
    if wanted_new.len() >= 8
        && let Some(at) = file.find(wanted_new)
    {
        let line = file.get(..at).unwrap_or("").matches('\n').count() + 1;
        return format!(" new_str is already in the file, at line {line}: the edit may have been made before");
    }
    let lines: Vec<&str> = file.lines().collect();
    let wanted: Vec<&str> = old.lines().collect();
    let Some(window) = nearest_window(&lines, &wanted) else {
        return " No line is similar; read the file again".to_owned();
    };
    let shown = lines.iter().enumerate().skip(window.start).take(wanted.len().clamp(1, SHOWN));
    let listing: Vec<String> = shown.map(|(ix, line)| format!("\n{}: {}", ix + 1, clip(line))).collect();
    let reason = if window.only_indentation { " It differs in leading blanks only." } else { "" };
    format!(
        "{reason} Nearest lines, with their numbers:{}\nCopy the text exactly as it is in the file, without the numbers",
        listing.concat()
    )
}

/// A sentence that follows "old_str was found several times.", beginning with a space: the first places, each from two lines
/// before it to one after it. `numbers` count from 1.
pub fn around(file: &str, numbers: &[usize]) -> String {
    let lines = lines::shown(file);
    let mut out = format!(" The {}, with line numbers:", if numbers.len() > PLACES { "first ones" } else { "places" });
    for number in numbers.iter().take(PLACES) {
        let first = number.saturating_sub(3);
        let listing = lines.iter().enumerate().skip(first).take(number + 1 - first);
        out.extend(listing.map(|(ix, line)| format!("\n{}: {}", ix + 1, clip(lines::body(line)))));
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

fn clip(line: &str) -> String {
    if line.len() <= WIDTH { line.to_owned() } else { format!("{}...", text::prefix(line, WIDTH)) }
}

struct Window {
    start: usize,
    only_indentation: bool,
}

/// The window of lines that is most like `wanted`: candidates by its longest line, then judged by all of its lines.
fn nearest_window(lines: &[&str], wanted: &[&str]) -> Option<Window> {
    let (anchor_ix, anchor) = wanted.iter().enumerate().max_by_key(|(ix, l)| (l.trim().len(), std::cmp::Reverse(*ix)))?;
    let anchor_pairs = pairs(anchor);
    // A line of another order of length is not like it, whatever it says: most lines need no closer look.
    let size = text::prefix(anchor.trim(), WIDTH).len();
    let alike = |l: &&&str| (size / 4..=size * 4 + 4).contains(&l.trim().len().min(WIDTH));
    let compared = lines.iter().enumerate().filter(|(_, l)| alike(l)).map(|(ix, l)| (likeness(&anchor_pairs, &pairs(l)), ix));
    let mut candidates: Vec<(u32, usize)> = compared.filter(|(score, _)| *score >= 400).collect();
    candidates.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    candidates.truncate(8);
    let wanted_pairs: Vec<Vec<u16>> = wanted.iter().take(40).map(|l| pairs(l)).collect();
    let best = candidates
        .into_iter()
        .map(|(_, at)| at.saturating_sub(anchor_ix))
        .map(|start| {
            let score: u32 =
                wanted_pairs.iter().enumerate().map(|(ix, w)| lines.get(start + ix).map_or(0, |l| likeness(w, &pairs(l)))).sum();
            (score, start)
        })
        .max_by_key(|(score, start)| (*score, std::cmp::Reverse(*start)))?;
    let start = best.1;
    let only_indentation = wanted.iter().enumerate().all(|(ix, w)| lines.get(start + ix).is_some_and(|l| l.trim() == w.trim()));
    Some(Window { start, only_indentation })
}

/// The sorted byte pairs of a line without its outer blanks.
fn pairs(line: &str) -> Vec<u16> {
    let bytes = text::prefix(line.trim(), WIDTH).as_bytes();
    let mut all: Vec<u16> = bytes.windows(2).filter_map(|w| Some(u16::from_be_bytes([*w.first()?, *w.get(1)?]))).collect();
    all.sort_unstable();
    all
}

/// Dice's coefficient of two sorted bags, in thousandths.
fn likeness(a: &[u16], b: &[u16]) -> u32 {
    if a.is_empty() || b.is_empty() {
        return if a.is_empty() && b.is_empty() { 1000 } else { 0 };
    }
    let (mut i, mut j, mut shared) = (0, 0, 0_usize);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                shared += 1;
                i += 1;
                j += 1;
            }
        }
    }
    (shared * 2000 / (a.len() + b.len())) as u32
}
