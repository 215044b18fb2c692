//! Text with a bound: what is shown or sent is cut at character borders, and says what was left out.

/// The longest prefix of `s` of at most `max` bytes that ends at a character border.
pub fn prefix(s: &str, max: usize) -> &str {
    let mut end = max.min(s.len());
    while !s.is_char_boundary(end) {
        end -= 1;
    }
    s.get(..end).unwrap_or("")
}

/// The longest suffix of `s` of at most `max` bytes that starts at a character border.
pub fn suffix(s: &str, max: usize) -> &str {
    let mut start = s.len().saturating_sub(max);
    while !s.is_char_boundary(start) {
        start += 1;
    }
    s.get(start..).unwrap_or("")
}

/// One line for a person: the first line, shortened to `max` characters with `...`.
pub fn one_line(s: &str, max: usize) -> String {
    let line = s.trim().lines().next().unwrap_or("");
    let more = s.trim().lines().nth(1).is_some() || line.chars().count() > max;
    let kept: String = line.chars().take(if more { max.saturating_sub(3) } else { max }).collect();
    if more { format!("{kept}...") } else { kept }
}

/// Removes escape sequences and control characters that could drive a terminal; keeps tab and line feed.
/// A lone carriage return (a progress bar) drops what it overwrites.
pub fn strip_controls(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut line_start = 0;
    let mut chars = s.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\n' => {
                out.push('\n');
                line_start = out.len();
            }
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' if chars.peek().is_some() => out.truncate(line_start),
            '\t' => out.push('\t'),
            '\u{8}' if out.len() > line_start => {
                out.pop();
            }
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Lines of at most `width` characters, broken at spaces; a longer word stands alone.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Everything that could hide or reorder what a person reads, made visible: control characters but tab and line feed,
/// and Unicode's invisible spaces and direction marks, as `\u{202e}`. For text that somebody is asked to approve.
pub fn visible(s: &str) -> String {
    let hides = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut out = String::with_capacity(s.len());
    let mut chars = s.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            c if hides(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// `131072` as `131,072`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (ix, digit) in digits.chars().enumerate() {
        if ix > 0 && (digits.len() - ix).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 turn`, `2 turns`.
pub fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A length of time for people, rounded up: `90 s`, `5 min`, `3 h`.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => skip_csi(chars),
        // OSC, DCS, SOS, PM and APC run to BEL or ST.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || c == '\u{9c}' {
                    break;
                }
                if c == '\u{1b}' && chars.peek() == Some(&'\\') {
                    chars.next();
                    break;
                }
            }
        }
        // Two-character designators such as ESC ( B.
        Some('(' | ')' | '*' | '+' | '#' | '%') => {
            chars.next();
        }
        _ => {}
    }
}

fn skip_csi(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    for c in chars.by_ref() {
        if ('\u{40}'..='\u{7e}').contains(&c) {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_from_the_right() {
        let shown = [0, 999, 1000, 40_960, 131_072, 1_048_576].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "40,960", "131,072", "1,048,576"]);
    }

    #[test]
    fn cuts_stay_on_character_borders() {
        assert_eq!(prefix("aé€", 2), "a");
        assert_eq!(prefix("aé€", 3), "aé");
        assert_eq!(suffix("aé€", 4), "€");
        assert_eq!(suffix("aé€", 99), "aé€");
    }

    #[test]
    fn escapes_and_overwritten_lines_are_gone() {
        assert_eq!(strip_controls("\u{1b}[31mred\u{1b}[0m ok\r\n"), "red ok\n");
        assert_eq!(strip_controls("\u{1b}]0;title\u{7}x"), "x");
        assert_eq!(strip_controls("10%\r20%\rdone\n"), "done\n");
        assert_eq!(strip_controls("a\u{0}b\tc"), "ab\tc");
    }

    #[test]
    fn lines_break_at_spaces_and_keep_every_word() {
        assert_eq!(wrap("aa bb cc dddddddd e", 5), ["aa bb", "cc", "dddddddd", "e"]);
        assert!(wrap("  ", 5).is_empty());
    }

    #[test]
    fn what_would_hide_is_shown() {
        assert_eq!(visible("rm -rf x\recho hi\u{1b}[8m"), "rm -rf x\\u{d}echo hi\\u{1b}[8m");
        assert_eq!(visible("a\u{202e}b\r\n\tü"), "a\\u{202e}b\n\tü");
    }

    #[test]
    fn one_line_says_that_there_is_more() {
        assert_eq!(one_line("abc", 5), "abc");
        assert_eq!(one_line("abcdef", 5), "ab...");
        assert_eq!(one_line("a\nb", 5), "a...");
    }
}
