//! Imports in a text: `@path/to/file`, outside of code.

/// The paths that a text imports, in order.
pub fn of(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|m| start.starts_with(m));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => all.extend(in_line(line)),
            (Some(_), _) => {}
        }
    }
    all
}

/// The imports of a line. What stands between backticks is code: every second piece.
fn in_line(line: &str) -> impl Iterator<Item = String> {
    line.split('`').step_by(2).flat_map(|prose| prose.split_whitespace()).filter_map(|word| {
        let path = word.trim_start_matches(['(', '"', '\'']).strip_prefix('@')?;
        let path = path.trim_end_matches(['.', ',', ';', ':', ')', '"', '\'', '!', '?']);
        // A name such as `@someone` is none.
        (path.contains('/') || path.contains('.')).then(|| path.to_owned())
    })
}

/// Whether a path that does not exist was meant as a file: packages have names with a slash, too.
pub fn is_text_file(path: &str) -> bool {
    let extension = path.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    extension.is_some_and(|e| ["md", "mdx", "markdown", "txt", "rst"].contains(&e.as_str()))
}
