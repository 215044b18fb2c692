//! What is typed while a turn runs. A line for the model reaches it with its next call; a command, and whatever is typed
//! behind one, waits for the prompt; so does a line that is not finished.

use super::command::{self, Line, goes_on, in_code, unfolded};

/// The bytes so far, and what came of them.
#[derive(Debug, Default)]
pub struct Ahead {
    line: Vec<u8>,
    escape: Escape,
    /// Lines that wait for the prompt.
    pub waiting: Vec<String>,
    /// Ctrl-D on an empty line: no more comes.
    pub ended: bool,
}

/// Where in the code of a key, such as an arrow, the bytes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    Outside,
    Begun,
    Inside,
}

impl Ahead {
    /// Takes in what was typed; the lines for the model that are complete with it.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut said = Vec::new();
        for byte in bytes {
            if self.ended {
                break;
            }
            match (self.escape, *byte) {
                (Escape::Begun, b'[' | b'O') => self.escape = Escape::Inside,
                (Escape::Begun, _) | (Escape::Inside, 0x40..=0x7e) => self.escape = Escape::Outside,
                (Escape::Inside, _) => {}
                (Escape::Outside, 0x1b) => self.escape = Escape::Begun,
                (Escape::Outside, b'\r' | b'\n') => said.extend(self.enter()),
                (Escape::Outside, byte) => self.key(byte),
            }
        }
        said
    }

    fn key(&mut self, byte: u8) {
        match byte {
            0x04 => self.ended = self.line.is_empty(),
            // A whole character, not a byte of it.
            0x7f | 0x08 => while self.line.pop().is_some_and(|b| b & 0xc0 == 0x80) {},
            // Ctrl-U
            0x15 => self.line.clear(),
            b'\t' | 0x20.. => self.line.push(byte),
            _ => {}
        }
    }

    fn enter(&mut self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.line).into_owned();
        if in_code(&text) || goes_on(&text) {
            self.line.push(b'\n');
            return None;
        }
        self.line.clear();
        match command::read(&text) {
            Line::Nothing => None,
            Line::Prompt(prompt) if self.waiting.is_empty() => Some(unfolded(&prompt)),
            Line::Prompt(_) | Line::Command(_) | Line::Wrong { .. } => {
                self.waiting.push(unfolded(&text));
                None
            }
        }
    }

    /// The line that is not finished.
    pub fn unfinished(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_for_the_model_until_a_command_comes() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.feed(b"use ta"), Vec::<String>::new());
        assert_eq!(ahead.feed("bs, n\u{e9}\x7feither\u{1b}[A spaces\n\n  \nand".as_bytes()), ["use tabs, neither spaces"]);
        assert_eq!(ahead.feed(b" this\\\nwith two lines\rwrong\x15/model x\nbehind it\nunfin"), ["and this\nwith two lines"]);
        assert_eq!(ahead.waiting, ["/model x", "behind it"]);
        assert_eq!((ahead.unfinished().as_str(), ahead.ended), ("unfin", false));
        assert_eq!(ahead.feed(b"x\x04\x7f\x04more\n"), Vec::<String>::new());
        assert!(ahead.ended);
    }

    #[test]
    fn a_block_of_code_is_one_line() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.feed(b"```\na\n```\n"), ["```\na\n```"]);
    }
}
