//! Reading a secret: from a pipe, or from a person without showing what is typed.

use crate::base::{Cause, Failure};
use std::io::{BufRead, IsTerminal, Read};

/// No key and no token is longer than this.
const MOST: u64 = 64 * 1024;

/// The secret, without what surrounds it. `what` is said on a terminal.
pub fn read(what: &str) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    let text = if stdin.is_terminal() { typed(what)? } else { piped(stdin.lock())? };
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(
            Failure::usage("no key was given").hint("type or paste it when you are asked, or pipe it in: pup auth add-key PROVIDER < FILE")
        );
    }
    if text.lines().count() > 1 {
        return Err(Failure::usage("more than one line came from stdin").hint("give one key at a time"));
    }
    Ok(text.to_owned())
}

fn piped(input: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = input.take(MOST + 1).read_to_end(&mut bytes);
    read.map_err(|e| Failure::usage(format!("stdin cannot be read: {e}")))?;
    if bytes.len() as u64 > MOST {
        return Err(Failure::usage("more than 64 KB came from stdin, which is no key"));
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::usage("what came from stdin is not UTF-8 text").hint("is it saved as UTF-16? Save it as UTF-8"))
}

#[cfg(unix)]
fn typed(what: &str) -> Result<String, Failure> {
    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex};
    use std::io::Write;
    let terminal = |e: rustix::io::Errno| Failure::usage(format!("the terminal cannot hide what is typed: {e}")).hint("pipe the key in");
    let saved = rustix::termios::tcgetattr(std::io::stdin()).map_err(terminal)?;
    let _restore = Restore(saved.clone());
    let mut hidden = saved;
    // Ctrl-C comes as a byte: the signal would end pup before the terminal is as it was.
    hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN);
    // A read ends with each byte.
    #[allow(clippy::indexing_slicing, reason = "the table has a place for every code")]
    {
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
    }
    rustix::termios::tcsetattr(std::io::stdin(), OptionalActions::Flush, &hidden).map_err(terminal)?;
    let mut err = std::io::stderr();
    let _ = write!(err, "{what}: ").and_then(|()| err.flush());
    let typed = line(std::io::stdin().lock());
    let _ = writeln!(err);
    typed
}

#[cfg(not(unix))]
fn typed(_: &str) -> Result<String, Failure> {
    Err(Failure::usage("this terminal cannot hide what is typed").hint("pipe the key in: pup auth add-key PROVIDER < FILE"))
}

/// One line as it is typed, with the keys that people use to mend it.
#[cfg_attr(not(unix), allow(dead_code))]
fn line(input: impl BufRead) -> Result<String, Failure> {
    let mut typed = Vec::new();
    for byte in input.bytes() {
        match byte.map_err(|e| Failure::usage(format!("the terminal cannot be read: {e}")))? {
            // Enter, Ctrl-D
            b'\r' | b'\n' | 0x04 => break,
            // Ctrl-C, Ctrl-\
            0x03 | 0x1c => return Err(Failure::new(Cause::Interrupted, "interrupted; nothing was kept")),
            // Ctrl-U, Ctrl-W
            0x15 | 0x17 => typed.clear(),
            0x7f | 0x08 => {
                // A whole character, not a byte of it.
                while typed.pop().is_some_and(|b: u8| b & 0xc0 == 0x80) {}
            }
            byte => typed.push(byte),
        }
    }
    String::from_utf8(typed).map_err(|_| Failure::usage("what was typed is not UTF-8 text"))
}

/// Puts the terminal back, and throws away what was pasted behind the line: no shell shall run it.
#[cfg(unix)]
struct Restore(rustix::termios::Termios);

#[cfg(unix)]
impl Drop for Restore {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_mended_as_it_is_typed() {
        let typed = |bytes: &[u8]| line(bytes).map_err(|f| f.cause);
        assert_eq!(typed(b"abc\rrest").unwrap(), "abc");
        assert_eq!(typed(b"wrong\x15abx\x7fc\x04d").unwrap(), "abc");
        assert_eq!(typed("aß\x7f\x7f\x7fb\n".as_bytes()).unwrap(), "b");
        assert_eq!(typed(b"abc\x03"), Err(Cause::Interrupted));
        assert_eq!(typed(b"").unwrap(), "");
    }

    #[test]
    fn a_pipe_gives_one_utf8_text() {
        assert_eq!(piped(&b" key \n"[..]).unwrap(), " key \n");
        assert!(piped(&b"\xff\xfek\0"[..]).unwrap_err().message.contains("UTF-8"));
        assert!(piped(std::io::repeat(b'x')).unwrap_err().message.contains("64 KB"));
    }
}
