//! Rust source as the architecture test reads it: without comments, string contents and test code, each line in its place.

/// The source with comments turned into blanks and the contents of strings and characters into `_`. Lines stay lines.
pub fn blank(text: &str) -> String {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0, out: String::with_capacity(text.len()) };
    lexer.run();
    lexer.out
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    out: String,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    /// Copies the next character, or puts `filler` in its place; line ends always stay.
    fn put(&mut self, filler: Option<char>) {
        if let Some(&c) = self.chars.get(self.at) {
            self.out.push(if c == '\n' { c } else { filler.unwrap_or(c) });
            self.at += 1;
        }
    }

    fn run(&mut self) {
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '/') => {
                    while self.at < self.chars.len() && self.peek(0) != '\n' {
                        self.put(Some(' '));
                    }
                }
                ('/', '*') => self.block_comment(),
                ('"', _) => self.string(),
                ('\'', _) => self.quote(),
                ('r', _) if self.raw_hashes().is_some() => self.raw_string(),
                _ => self.put(None),
            }
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.chars.len() {
            let step = match (self.peek(0), self.peek(1)) {
                ('/', '*') => 1,
                ('*', '/') => -1,
                _ => 0,
            };
            depth += step;
            self.put(Some(' '));
            if step != 0 {
                self.put(Some(' '));
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.put(None);
        while self.at < self.chars.len() && self.peek(0) != '"' {
            if self.peek(0) == '\\' {
                self.put(Some('_'));
            }
            self.put(Some('_'));
        }
        self.put(None);
    }

    /// A character, or the apostrophe of a lifetime.
    fn quote(&mut self) {
        self.put(None);
        if self.peek(0) == '\\' {
            self.put(Some('_'));
            self.put(Some('_'));
            while self.at < self.chars.len() && self.peek(0) != '\'' {
                self.put(Some('_'));
            }
            self.put(None);
        } else if self.peek(1) == '\'' {
            self.put(Some('_'));
            self.put(None);
        }
    }

    /// How many `#` a raw string that begins here has; `None` where none begins.
    fn raw_hashes(&self) -> Option<usize> {
        let before = self.at.checked_sub(1).and_then(|i| self.chars.get(i)).copied().unwrap_or(' ');
        let prefixed = matches!(before, 'b' | 'c');
        if !prefixed && (before.is_alphanumeric() || before == '_') {
            return None;
        }
        let hashes = self.chars[self.at + 1..].iter().take_while(|c| **c == '#').count();
        (self.peek(1 + hashes) == '"').then_some(hashes)
    }

    fn raw_string(&mut self) {
        let hashes = self.raw_hashes().unwrap_or(0);
        for _ in 0..hashes + 2 {
            self.put(None);
        }
        let closes = |l: &Self| l.peek(0) == '"' && (1..=hashes).all(|i| l.peek(i) == '#');
        while self.at < self.chars.len() && !closes(self) {
            self.put(Some('_'));
        }
        for _ in 0..=hashes {
            self.put(None);
        }
    }
}

/// Attributes that make an item a test's own.
const MARKS: [&str; 4] = ["#[cfg(test)]", "#[cfg(all(test,", "#[test]", "#[tokio::test"];

/// Words that an item may begin with. A marked field, arm or variant is left standing: rather too strict than too lax.
const ITEMS: [&str; 14] =
    ["mod", "fn", "use", "impl", "struct", "enum", "const", "static", "trait", "type", "pub", "async", "macro_rules", "extern"];

/// `blanked` source with every item that only tests have turned into blanks.
pub fn without_tests(blanked: &str) -> String {
    let mut chars: Vec<char> = blanked.chars().collect();
    if blanked.contains("#![cfg(test)]") {
        erase(&mut chars, 0, usize::MAX);
    }
    let mut at = 0;
    while at < chars.len() {
        let marked = chars[at] == '#' && MARKS.iter().any(|m| m.chars().eq(chars[at..].iter().copied().take(m.chars().count())));
        let end = marked.then(|| item_end(&chars, at)).flatten();
        if let Some(end) = end {
            erase(&mut chars, at, end);
            at = end;
        } else {
            at += 1;
        }
    }
    chars.into_iter().collect()
}

fn erase(chars: &mut [char], from: usize, to: usize) {
    let to = to.min(chars.len());
    chars[from..to].iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
}

/// Where the item ends whose first attribute begins at `at`.
fn item_end(chars: &[char], mut at: usize) -> Option<usize> {
    loop {
        while chars.get(at)?.is_whitespace() {
            at += 1;
        }
        if chars[at] != '#' {
            break;
        }
        at = closing(chars, at + 1)?;
    }
    let word: String = chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
    if !ITEMS.contains(&word.as_str()) {
        return None;
    }
    let braces_inside = word == "use";
    while let Some(c) = chars.get(at) {
        match c {
            ';' => return Some(at + 1),
            '{' if !braces_inside => return closing(chars, at),
            '(' | '[' | '{' => at = closing(chars, at)?,
            _ => at += 1,
        }
    }
    None
}

/// The place behind the bracket that closes the one at `open`.
fn closing(chars: &[char], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (i, c) in chars.iter().enumerate().skip(open) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Lines that hold anything.
pub fn code_lines(code: &str) -> usize {
    code.lines().filter(|l| !l.trim().is_empty()).count()
}

/// The line, from 1, of a byte offset.
pub fn line_of(code: &str, offset: usize) -> usize {
    code[..offset].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_lose_their_contents_and_lines_stay() {
        let rows = [
            ("a // b\nc", "a     \nc"),
            ("a /* x /* y */ \n z */ b", "a              \n      b"),
            (r#"f("a\"b", x)"#, r#"f("____", x)"#),
            ("r#\"a\"b\"# + br\"c\"", "r#\"___\"# + br\"_\""),
            ("'a' + '\\'' + '\\u{7f}' 'life", "'_' + '__' + '______' 'life"),
            ("fn f<'a>(x: &'a str) -> char { '\"' }", "fn f<'a>(x: &'a str) -> char { '_' }"),
            ("\"two\nlines\" x", "\"___\n_____\" x"),
            ("for r in r#type", "for r in r#type"),
        ];
        for (text, want) in rows {
            assert_eq!(blank(text), want, "{text}");
        }
    }

    #[test]
    fn test_items_vanish_and_what_follows_stays() {
        let rows = [
            ("#[cfg(test)]\nmod tests { fn a() { {} } }\nfn b() {}", "fn b() {}"),
            ("#[cfg(test)]\n#[path = \"__\"]\nmod tests;\nfn b() {}", "fn b() {}"),
            ("#[cfg(test)]\nuse a::{b, c};\nfn b() {}", "fn b() {}"),
            ("#[cfg(all(test, unix))]\nmod t { }\nfn b() {}", "fn b() {}"),
            ("#[test]\nfn a(x: [u8; 3]) { y }\nfn b() {}", "fn b() {}"),
            ("#[cfg(test)]\nfield: u8,\nfn b() {}", "#[cfg(test)]\nfield: u8,\nfn b() {}"),
            ("#[cfg(testing)]\nmod a {}", "#[cfg(testing)]\nmod a {}"),
            ("#![cfg(test)]\nfn a() {}", ""),
        ];
        for (text, want) in rows {
            let out = without_tests(text);
            assert_eq!(out.trim(), want, "{text}");
            assert_eq!(out.lines().count(), text.lines().count(), "{text}");
        }
    }
}
