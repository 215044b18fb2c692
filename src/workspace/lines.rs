//! Lines of a text whose line endings may be LF, CRLF, lone CR, or a mixture.

/// The ending of a line of `text`, `""` for a last line without one.
pub fn ending(line: &str) -> &'static str {
    if line.ends_with("\r\n") {
        "\r\n"
    } else if line.ends_with('\n') {
        "\n"
    } else if line.ends_with('\r') {
        "\r"
    } else {
        ""
    }
}

/// A line without its ending.
pub fn body(line: &str) -> &str {
    line.strip_suffix(ending(line)).unwrap_or(line)
}

/// The lines with their endings; each of the three kinds ends one.
pub fn every(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = match rest.find(['\n', '\r']) {
            None => rest.len(),
            Some(at) if rest.get(at..).is_some_and(|r| r.starts_with("\r\n")) => at + 2,
            Some(at) => at + 1,
        };
        let (line, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        rest = after;
        Some(line)
    })
}

/// The lines with their endings, as people count them: a lone CR ends a line only where nothing else does, or a progress
/// bar in a log would be many lines.
pub fn shown(text: &str) -> Vec<&str> {
    if text.contains('\n') { text.split_inclusive('\n').collect() } else { every(text).collect() }
}

/// The number of the line that the byte at `offset` is in, from 1.
pub fn number(text: &str, offset: usize) -> usize {
    numbers(text, std::iter::once(offset)).first().copied().unwrap_or(1)
}

/// The numbers of the lines that the bytes at `offsets`, which ascend, are in.
pub fn numbers(text: &str, offsets: impl Iterator<Item = usize>) -> Vec<usize> {
    let (mut line, mut from) = (1, 0);
    let brk = if text.contains('\n') { '\n' } else { '\r' };
    let at = |offset: usize| {
        line += text.get(from..offset).unwrap_or("").matches(brk).count();
        from = offset;
        line
    };
    offsets.map(at).collect()
}

/// All endings as LF.
pub fn with_lf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The ending that most lines of `text` have; on a tie LF before CRLF before CR.
pub fn majority(text: &str) -> Option<&'static str> {
    let crlf = text.matches("\r\n").count();
    let lf = text.matches('\n').count() - crlf;
    let cr = text.matches('\r').count() - crlf;
    let (count, ending) = [(lf, "\n"), (crlf, "\r\n"), (cr, "\r")].into_iter().rev().max_by_key(|(count, _)| *count)?;
    (count > 0).then_some(ending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_kind_ends_a_line() {
        assert_eq!(every("a\r\nb\rc\nd").collect::<Vec<_>>(), ["a\r\n", "b\r", "c\n", "d"]);
        assert_eq!(every("\r\r\n\n\r").map(body).collect::<Vec<_>>(), ["", "", "", ""]);
        assert_eq!((shown("10%\r20%\nx").len(), shown("a\rb\rc").len()), (2, 3));
        assert_eq!((number("a\nb\rc", 4), number("a\rb\rc", 4)), (2, 3));
        assert_eq!(numbers("a\nb\nc", [0, 2, 2, 4].into_iter()), [1, 2, 2, 3]);
        assert_eq!(
            (majority("a\nb\r\n"), majority("a\rb\r\nc\r\n"), majority("\r"), majority("x")),
            (Some("\n"), Some("\r\n"), Some("\r"), None)
        );
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "[ab\r\n\u{e9}]{0,40}") {
            prop_assert_eq!(every(&text).collect::<String>(), text.clone());
            prop_assert!(every(&text).all(|l| !body(l).contains(['\r', '\n'])));
            prop_assert_eq!(every(&text).count(), every(&with_lf(&text)).count());
        }
    }
}
