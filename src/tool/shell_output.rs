//! A command's raw output as text: for the model when it has ended, and live, line by line, for people.

use crate::base::redact::Redactor;
use crate::base::{bytesize, text};
use crate::workspace::process::Captured;

/// Bytes next to a cut that are thrown away after redaction: a secret that was cut in two is not known as one.
pub const SLACK: usize = 4096;

/// Live text given out by one call, in bytes; the result has the rest.
const LIVE_MAX: usize = 256 * 1024;
/// A line is given out in parts when it is longer.
const LONG_LINE: usize = 8 * 1024;
/// How the first and the last line of a private key end.
const KEY_LINE: &str = "PRIVATE KEY-----";

/// Output as text.
#[derive(Debug)]
pub struct Rendered {
    pub text: String,
    /// Something is missing in the middle.
    pub cut: bool,
}

/// At most about `max` bytes, a third of them from the beginning, with a line between that counts what was cut.
pub fn render(captured: &Captured, redactor: &Redactor, max: usize) -> Rendered {
    let clean = |bytes: &[u8]| redactor.redact(&text::strip_controls(&String::from_utf8_lossy(bytes))).into_owned();
    let head = clean(&captured.head);
    let (head, tail, cut_before) = if captured.cut_bytes == 0 {
        if head.len() <= max {
            return Rendered { text: head, cut: false };
        }
        (head.clone(), head, 0)
    } else {
        let end = head.len().saturating_sub(SLACK);
        (text::prefix(&head, end).to_owned(), without_key_rest(&clean(&captured.tail)), captured.cut_bytes)
    };
    let first = to_line_end(text::prefix(&head, max / 3));
    let room = (max - max / 3).min(if cut_before == 0 { max } else { tail.len().saturating_sub(SLACK) });
    let last = from_line_start(text::suffix(&tail, room));
    let (cut_bytes, cut_lines) = if cut_before == 0 {
        let middle = head.get(first.len()..head.len() - last.len()).unwrap_or("");
        (middle.len() as u64, lines(middle))
    } else {
        let trimmed = (captured.head.len() + captured.tail.len()).saturating_sub(first.len() + last.len());
        let rest = count(&captured.head) + count(&captured.tail);
        (captured.cut_bytes + trimmed as u64, captured.cut_lines + rest.saturating_sub(lines(first) + lines(last)))
    };
    let gap = if first.is_empty() || first.ends_with('\n') { "" } else { "\n" };
    let text = format!("{first}{gap}[... {cut_lines} lines, {} cut ...]\n{last}", bytesize::human(cut_bytes));
    Rendered { text, cut: true }
}

fn lines(text: &str) -> u64 {
    count(text.as_bytes())
}

fn count(bytes: &[u8]) -> u64 {
    bytes.iter().map(|b| u64::from(*b == b'\n')).sum()
}

/// Cuts back to a whole line, unless that would lose most of it.
fn to_line_end(s: &str) -> &str {
    match s.rfind('\n') {
        Some(at) if at * 2 > s.len() => s.get(..=at).unwrap_or(s),
        _ => s,
    }
}

fn from_line_start(s: &str) -> &str {
    match s.find('\n') {
        Some(at) if at * 2 < s.len() => s.get(at + 1..).unwrap_or(s),
        _ => s,
    }
}

/// The end of a private key whose beginning was cut is not known by its first line; it goes up to its last.
fn without_key_rest(tail: &str) -> String {
    match after_key(tail) {
        Some(after) => format!("{}private_key]{}", crate::base::redact::MARK, tail.get(after..).unwrap_or("")),
        None => tail.to_owned(),
    }
}

/// The whole lines of a stream, clean and redacted, as it comes. A line that does not end is given out in parts.
#[derive(Debug, Default)]
pub struct Lines {
    pending: Vec<u8>,
    /// The lines are those of a private key, of which one alone does not look like a secret.
    in_key: bool,
}

impl Lines {
    /// What `bytes` makes whole.
    pub fn push(&mut self, bytes: &[u8], redactor: &Redactor) -> String {
        self.pending.extend_from_slice(bytes);
        let whole = self.pending.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let long = self.pending.len() - whole > LONG_LINE;
        let end = if long { whole_characters(&self.pending) } else { whole };
        let rest = self.pending.split_off(end);
        let ready = std::mem::replace(&mut self.pending, rest);
        self.clean(&ready, redactor)
    }

    /// The rest.
    pub fn end(&mut self, redactor: &Redactor) -> String {
        let rest = std::mem::take(&mut self.pending);
        self.clean(&rest, redactor)
    }

    fn clean(&mut self, bytes: &[u8], redactor: &Redactor) -> String {
        let text = text::strip_controls(&String::from_utf8_lossy(bytes));
        let text = if self.in_key {
            let Some(after) = after_key(&text) else { return String::new() };
            text.get(after..).unwrap_or("")
        } else {
            text.as_str()
        };
        let begun = text.rfind("-----BEGIN ").filter(|at| text.get(*at..).is_some_and(|t| t.contains(KEY_LINE)));
        self.in_key = begun.is_some_and(|at| after_key(text.get(at..).unwrap_or("")).is_none());
        let mut out = redactor.redact(text).into_owned();
        if self.in_key && text.ends_with('\n') && !out.ends_with('\n') {
            out.push('\n');
        }
        out
    }
}

/// Behind the last line of a private key.
fn after_key(text: &str) -> Option<usize> {
    let at = text.find("-----END ")?;
    Some(at + text.get(at..)?.find(KEY_LINE)? + KEY_LINE.len())
}

/// How many of `bytes` are whole characters, if they are UTF-8 at all.
fn whole_characters(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        // Up to three bytes at the end may be the beginning of one.
        Some(chunk) if chunk.invalid().len() < 4 && std::str::from_utf8(chunk.invalid()).is_err_and(|e| e.error_len().is_none()) => {
            bytes.len() - chunk.invalid().len()
        }
        _ => bytes.len(),
    }
}

/// Gives a stream out line by line, up to a bound.
#[derive(Default)]
pub struct LiveText {
    lines: Lines,
    given: usize,
}

impl LiveText {
    pub fn push(&mut self, bytes: &[u8], redactor: &Redactor, mut give: impl FnMut(&str)) {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            if self.given >= LIVE_MAX {
                return;
            }
            let line = self.lines.push(part, redactor);
            self.give(&line, &mut give);
        }
    }

    pub fn end(mut self, redactor: &Redactor, mut give: impl FnMut(&str)) {
        let line = self.lines.end(redactor);
        self.give(&line, &mut give);
    }

    fn give(&mut self, line: &str, give: &mut impl FnMut(&str)) {
        if line.is_empty() {
            return;
        }
        self.given += line.len();
        give(if self.given >= LIVE_MAX { "[more output follows, not shown live]\n" } else { line });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(head: &str, tail: &str, cut_bytes: u64, cut_lines: u64) -> Captured {
        Captured { head: head.into(), tail: tail.into(), cut_bytes, cut_lines }
    }

    #[test]
    fn what_fits_is_only_cleaned() {
        let c = cut("\u{1b}[31mred\u{1b}[0m\r\n10%\r100%\nbad \u{0}byte", "", 0, 0);
        assert_eq!(render(&c, &Redactor::default(), 100).text, "red\n100%\nbad byte");
    }

    #[test]
    fn a_cut_counts_every_line_once() {
        let all: Vec<String> = (0..10_000).map(|n| format!("line {n}\n")).collect();
        let whole = all.concat();
        for captured in [
            cut(&whole, "", 0, 0),
            cut(
                &whole[..10_000],
                &whole[whole.len() - 20_000..],
                whole.len() as u64 - 30_000,
                count(&whole.as_bytes()[10_000..whole.len() - 20_000]),
            ),
        ] {
            let out = render(&captured, &Redactor::default(), 6_000).text;
            assert!(out.len() < 6_100, "{}", out.len());
            let (first, rest) = out.split_once("[... ").unwrap();
            let (cut, last) = rest.split_once(" cut ...]\n").unwrap();
            let number: usize = cut.split_once(' ').unwrap().0.parse().unwrap();
            assert!(whole.starts_with(first) && whole.ends_with(last) && first.ends_with('\n'));
            assert_eq!(first.lines().count() + number + last.lines().count(), 10_000);
        }
    }

    #[test]
    fn a_secret_at_the_cut_does_not_leak_in_halves() {
        let redactor = Redactor::default();
        redactor.learn("CANARY", "canary-0123456789-canary");
        let head = format!("{}canary-01234", "x\n".repeat(5_000));
        let tail = format!("56789-canary{}", "\ny".repeat(5_000));
        let out = render(&cut(&head, &tail, 5, 0), &redactor, 9_000).text;
        assert!(!out.contains("canary"), "{out}");
        let tail = format!("QUJD\n-----END RSA PRIVATE KEY-----\n{}", "y\n".repeat(200));
        let out = render(&cut(&"x\n".repeat(5_000), &tail, 5, 0), &redactor, 9_000).text;
        assert!(!out.contains("QUJD"));
    }

    #[test]
    fn lines_are_whole_characters_without_the_body_of_a_key() {
        let redactor = Redactor::default();
        let mut lines = Lines::default();
        let key = "a\n-----BEGIN RSA PRIVATE KEY-----\nQUJDREVG\nR0hJSktM\n-----END RSA PRIVATE KEY-----\nb\n";
        let got: String = key.split_inclusive('\n').map(|l| lines.push(l.as_bytes(), &redactor)).collect();
        assert!(!got.contains("QUJD") && !got.contains("R0hJ"), "{got}");
        assert!(got.starts_with("a\n[redacted:private_key]\n") && got.ends_with("b\n"), "{got}");
        // A line that never ends comes in parts, and no part ends inside a character.
        let long = "\u{e9}".repeat(LONG_LINE * 2);
        let (mut lines, mut got) = (Lines::default(), String::new());
        for part in long.as_bytes().chunks(777) {
            got.push_str(&lines.push(part, &redactor));
        }
        got.push_str(&lines.end(&redactor));
        assert!(got == long && !got.contains('\u{fffd}'));
        assert_eq!(Lines::default().push(b"\xff\xfe\0bin\x1b[1mary\n", &redactor), "\u{fffd}\u{fffd}binary\n");
    }

    #[test]
    fn live_text_is_whole_lines_redacted_and_bounded() {
        let redactor = Redactor::default();
        redactor.learn("CANARY", "canary-0123456789");
        let mut got: Vec<String> = Vec::new();
        let mut live = LiveText::default();
        for part in ["a\nb cana", "ry-0123456789\nc", "\u{1b}[0m"] {
            live.push(part.as_bytes(), &redactor, |l| got.push(l.to_owned()));
        }
        live.end(&redactor, |l| got.push(l.to_owned()));
        assert_eq!(got, ["a\n", "b [redacted:CANARY]\n", "c"]);

        let (mut live, mut bytes, mut last) = (LiveText::default(), 0, String::new());
        for _ in 0..1000 {
            live.push(&[b'x'; 5000], &redactor, |l| {
                bytes += l.len();
                last = l.to_owned();
            });
        }
        assert!(bytes < LIVE_MAX + LONG_LINE);
        assert_eq!(last, "[more output follows, not shown live]\n");
    }
}
