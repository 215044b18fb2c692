//! The terminal's own settings: silent while a turn prints, and as they were when pup leaves.

use crate::cli::print;
use std::io::{self, Write};
use std::sync::Arc;

/// How the chat reads lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// With an editor, on a terminal that understands escape codes.
    Rich,
    /// Line by line as the terminal itself edits them, without a single escape code.
    Plain,
}

impl Mode {
    /// By the name of the terminal. Windows has no such name and a console that understands.
    pub fn detect() -> Self {
        match std::env::var("TERM") {
            Ok(term) if ["", "dumb", "cons25", "emacs"].contains(&term.as_str()) => Self::Plain,
            Err(_) if cfg!(unix) => Self::Plain,
            Ok(_) | Err(_) => Self::Rich,
        }
    }
}

/// The settings that the terminal had. Whoever drops the guard gets them back; [`Saved::restore`] does it at once, for an
/// end that runs no destructors.
#[derive(Debug)]
pub struct Guard(Arc<Saved>);

#[derive(Debug)]
pub struct Saved {
    mode: Mode,
    #[cfg(unix)]
    settings: Option<rustix::termios::Termios>,
}

impl Guard {
    /// From here on what is typed is neither shown nor bound to lines, unless somebody reads it; keys that send signals
    /// still do. So nothing types into the middle of an answer, and what is typed ahead is there for the next prompt.
    pub fn quiet(mode: Mode) -> Self {
        Self(Arc::new(Saved {
            mode,
            #[cfg(unix)]
            settings: if mode == Mode::Rich { quiet() } else { None },
        }))
    }

    pub fn saved(&self) -> Arc<Saved> {
        Arc::clone(&self.0)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.restore();
    }
}

impl Saved {
    pub fn restore(&self) {
        #[cfg(unix)]
        if let Some(settings) = &self.settings {
            let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), rustix::termios::OptionalActions::Drain, settings);
        }
        if self.mode == Mode::Rich {
            // Bracketed paste, which an editor that was cut off has left on.
            let mut out = io::stdout().lock();
            let _ = out.write_all(b"\x1b[?2004l").and_then(|()| out.flush());
        }
    }
}

#[cfg(unix)]
fn quiet() -> Option<rustix::termios::Termios> {
    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
    let stdin = rustix::stdio::stdin();
    let before = tcgetattr(stdin).ok()?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    silent.special_codes[SpecialCodeIndex::VMIN] = 1;
    silent.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(stdin, OptionalActions::Drain, &silent).ok()?;
    Some(before)
}

/// Forgets what was typed and not read: it cannot be meant as the answer to a question that was not there yet.
pub fn forget_typed() {
    #[cfg(unix)]
    let _ = rustix::termios::tcflush(rustix::stdio::stdin(), rustix::termios::QueueSelector::IFlush);
}

/// The width of the window in characters; 80 where nobody knows.
pub fn columns() -> usize {
    print::columns().unwrap_or(80)
}
