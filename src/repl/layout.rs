//! Names and what they stand for, in the width of the window.

use crate::base::text::wrap;

/// Names with what they stand for: side by side where the window is wide enough, else one under the other. The names
/// carry their own indentation, and have `column` characters of a line.
pub fn entries(rows: &[(String, String)], column: usize, width: usize) -> Vec<String> {
    let beside = width >= column + 24;
    let mut out = Vec::new();
    for (name, about) in rows {
        if beside {
            let mut lines = wrap(about, width - column).into_iter();
            out.push(format!("{name:column$}{}", lines.next().unwrap_or_default()).trim_end().to_owned());
            out.extend(lines.map(|l| format!("{}{l}", " ".repeat(column))));
        } else {
            out.push(name.clone());
            out.extend(wrap(about, width.saturating_sub(6).max(10)).into_iter().map(|l| format!("      {l}")));
        }
    }
    out
}

/// How wide the column of these names is, with the gap behind it.
pub fn column<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|n| n.chars().count()).max().unwrap_or(0) + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_beside_or_below() {
        let rows = [("a".to_owned(), "the first of two".to_owned()), ("long-name".to_owned(), String::new())];
        assert_eq!(entries(&rows, column(rows.iter().map(|r| r.0.as_str())), 35), ["a          the first of two", "long-name"]);
        assert_eq!(entries(&rows, 11, 20), ["a", "      the first of", "      two", "long-name"]);
    }
}
