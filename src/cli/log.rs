//! `-v`: what happens inside, as lines on stderr, with secrets replaced.

use crate::base::redact::Redactor;
use std::io::{self, Write};
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

/// Starts logging; without `-v` there is none, and nothing is set up.
pub fn start(verbose: u8, redactor: &Redactor) {
    let level = match verbose {
        0 => return,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let to = Clean(redactor.clone());
    // A second start in one process keeps the first.
    let _ = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_target(verbose > 1).with_writer(to).try_init();
}

/// Writes each event to stderr, redacted.
struct Clean(Redactor);

struct Line<'a>(&'a Redactor);

impl<'a> MakeWriter<'a> for Clean {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

impl Write for Line<'_> {
    /// The formatter hands over an event whole, so no secret can straddle two writes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        io::stderr().write_all(self.0.redact(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
