//! Text in the width of the window: words are never cut where a line can end between them.

/// `text` in lines of at most `width` characters; all but the first are set in by `indent`. A word that is longer than a
/// line keeps a line of its own.
pub fn wrap(text: &str, indent: usize, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let fits = line.trim().is_empty() || line.chars().count() + 1 + word.chars().count() <= width;
        if !fits {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
        }
        if !line.trim().is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.trim().is_empty() {
        lines.push(line);
    }
    lines
}

/// Names with what they stand for: side by side where the window is wide enough, else one under the other. The names
/// carry their own indentation.
pub fn entries(rows: &[(String, String)], width: usize) -> Vec<String> {
    let names = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let column = names + 2;
    let beside = width >= column + 24;
    let mut out = Vec::new();
    for (name, about) in rows {
        if beside {
            let mut lines = wrap(about, 0, width - column).into_iter();
            out.push(format!("{name:column$}{}", lines.next().unwrap_or_default()).trim_end().to_owned());
            out.extend(lines.map(|l| format!("{}{l}", " ".repeat(column))));
        } else {
            out.push(name.clone());
            out.extend(wrap(about, 0, width.saturating_sub(6).max(10)).into_iter().map(|l| format!("      {l}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words() {
        assert_eq!(wrap("one two  three", 2, 8), ["one two", "  three"]);
        assert_eq!(wrap("enormousword at the start", 0, 8), ["enormousword", "at the", "start"]);
        assert_eq!(wrap("  ", 0, 8), Vec::<String>::new());
    }

    #[test]
    fn entries_stand_beside_or_below() {
        let rows = [("a".to_owned(), "the first of two".to_owned()), ("long-name".to_owned(), String::new())];
        assert_eq!(entries(&rows, 35), ["a          the first of two", "long-name"]);
        assert_eq!(entries(&rows, 20), ["a", "      the first of", "      two", "long-name"]);
    }
}
