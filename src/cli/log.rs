//! `-v`: what happens inside, as lines on stderr or in a file, with secrets replaced.

use crate::base::redact::Redactor;
use std::fs::File;
use std::io::{self, Write};
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

/// Where the lines go.
#[derive(Debug)]
pub enum Sink {
    Stderr,
    /// For a face whose screen a stray line would spoil.
    File(File),
}

/// Starts logging; without `-v` there is none, and nothing is set up.
pub fn start(verbose: u8, redactor: &Redactor, sink: Sink) {
    let level = match verbose {
        0 => return,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let to = Clean(redactor.clone(), sink);
    // A second start in one process keeps the first.
    let _ = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_target(verbose > 1).with_writer(to).try_init();
}

/// Writes each event, redacted.
struct Clean(Redactor, Sink);

struct Line<'a>(&'a Redactor, &'a Sink);

impl<'a> MakeWriter<'a> for Clean {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0, &self.1)
    }
}

impl Write for Line<'_> {
    /// The formatter hands over an event whole, so no secret can straddle two writes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let clean = self.0.redact(&text);
        match self.1 {
            Sink::Stderr => io::stderr().write_all(clean.as_bytes())?,
            Sink::File(file) => (&mut &*file).write_all(clean.as_bytes())?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
