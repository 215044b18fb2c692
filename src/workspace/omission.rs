//! Lines that stand for code which a model left out, such as `// ... rest of the code ...`. In the place of real lines they are a loss.

/// Words that such a line begins with.
const BEGINNINGS: [&str; 7] = ["rest of", "existing", "unchanged", "remaining", "other", "previous", "keep"];
/// What is left out.
const THINGS: [&str; 14] = [
    "code",
    "method",
    "methods",
    "function",
    "functions",
    "implementation",
    "file",
    "class",
    "logic",
    "imports",
    "tests",
    "content",
    "lines",
    "body",
];
/// Words that say it alone.
const ALONE: [&str; 3] = ["existing", "unchanged", "remaining"];
/// Words of the longest such line.
const WORDS: usize = 10;

/// The first line of `new` that stands for lines left out and is not in `old`.
pub fn find<'a>(new: &'a str, old: &str) -> Option<&'a str> {
    let mut added = new.lines().map(str::trim).filter(|line| stands_for_others(line));
    added.find(|line| !old.lines().any(|there| there.trim() == *line))
}

fn stands_for_others(line: &str) -> bool {
    let marks = |c: char| !c.is_alphanumeric() && !matches!(c, '"' | '\'' | '`' | '.' | '\u{2026}');
    let inner = line.trim_matches(marks);
    let said = inner.trim_matches(['.', '\u{2026}', ' ', '\t']);
    let dots = |part: &str| part.contains("...") || part.contains('\u{2026}');
    if !inner.split_once(said).is_some_and(|(before, after)| dots(before) || dots(after)) {
        return false;
    }
    let said = said.to_lowercase();
    let said = said.strip_prefix("the ").unwrap_or(&said);
    let words: Vec<&str> = said.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let plain = said.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | ',' | '/' | '-' | '\''));
    let begins = BEGINNINGS.iter().any(|b| said.starts_with(b));
    let whole = matches!(words.as_slice(), [word] if ALONE.contains(word));
    plain && words.len() <= WORDS && (whole || (begins && words.iter().any(|w| THINGS.contains(w))))
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn lines_that_stand_for_others_are_known_and_code_is_not() {
        for line in [
            "# ... existing code ...",
            "    // ... rest of the code remains the same",
            "(rest of methods ...)",
            "/* ... unchanged ... */",
            "<!-- rest of the file... -->",
            "// \u{2026} other imports unchanged",
            "-- ... remaining functions",
            "# ...the rest of the class is unchanged...".replace("the rest", "rest").as_str(),
        ] {
            assert_eq!(find(&format!("a\n{line}\nb"), "x"), Some(line.trim()), "{line}");
            assert_eq!(find(&format!("a\n{line}\nb"), &format!("x\n  {line}\n")), None, "it was there: {line}");
        }
        for line in [
            "...",
            "    ...",
            "  ...args,",
            "x = [1, ..., 3]",
            "const msg = \"(rest of methods ...)\";",
            "# existing code is kept",
            "Loading...",
            "// Remaining questions...",
            "other(...)",
            "Previous...",
            "rest of = ...",
            "\"...existing code...\"",
            "    existing: ...,",
            "print('existing code...')",
        ] {
            assert_eq!(find(line, ""), None, "{line}");
        }
    }
}
