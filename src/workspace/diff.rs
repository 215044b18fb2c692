//! A bounded unified diff of one file, for people.

use crate::base::text;
use std::time::Duration;

/// What changed between two texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Unified, three lines of context, at most about [`MAX_BYTES`].
    pub text: String,
    pub added: usize,
    pub removed: usize,
}

/// The most that a diff shows, in bytes; what is cut is counted in its last line.
pub const MAX_BYTES: usize = 16 * 1024;

/// Which side of a diff has the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Change,
    Create,
    Delete,
}

/// Compares line by line. Two texts that share nothing are compared coarsely rather than for long.
pub fn unified(name: &str, kind: Kind, old: &str, new: &str) -> Diff {
    let diff = similar::TextDiff::configure().timeout(Duration::from_millis(300)).diff_lines(old, new);
    let (mut added, mut removed) = (0, 0);
    for op in diff.ops() {
        let (tag, was, is) = op.as_tag_tuple();
        if tag != similar::DiffTag::Equal {
            removed += was.len();
            added += is.len();
        }
    }
    let from = if kind == Kind::Create { "/dev/null".to_owned() } else { format!("a/{name}") };
    let to = if kind == Kind::Delete { "/dev/null".to_owned() } else { format!("b/{name}") };
    let whole = diff.unified_diff().context_radius(3).header(&from, &to).to_string();
    Diff { text: bounded(whole), added, removed }
}

fn bounded(whole: String) -> String {
    if whole.len() <= MAX_BYTES {
        return whole;
    }
    let kept = text::prefix(&whole, MAX_BYTES);
    let kept = kept.rsplit_once('\n').map_or(kept, |(lines, _)| lines);
    let cut = whole.lines().count().saturating_sub(kept.lines().count());
    format!("{kept}\n[{cut} more lines of this diff]\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_and_counts_what_changed() {
        let d = unified("f", Kind::Change, "a\nb\nc\n", "a\nB\nc\nd");
        assert_eq!((d.added, d.removed), (2, 1));
        assert_eq!(d.text, "--- a/f\n+++ b/f\n@@ -1,3 +1,4 @@\n a\n-b\n+B\n c\n+d\n\\ No newline at end of file\n");
        assert!(unified("f", Kind::Create, "", "x\n").text.starts_with("--- /dev/null\n+++ b/f\n"));
    }

    #[test]
    fn a_long_diff_is_cut_at_a_line_and_says_so() {
        let lines: Vec<String> = (0..10_000).map(|n| format!("line {n}\n")).collect();
        let new = lines.concat();
        let d = unified("f", Kind::Create, "", &new);
        assert_eq!(d.added, 10_000);
        assert!(d.text.len() < MAX_BYTES + 100, "{}", d.text.len());
        let shown = d.text.lines().filter(|l| l.starts_with("+line")).count();
        assert!(d.text.ends_with(&format!("[{} more lines of this diff]\n", 10_000 - shown)), "{shown}");
    }
}
