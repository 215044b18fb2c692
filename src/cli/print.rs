//! Writing to standard output: a reader who has seen enough (`| head`) is no error.

use crate::base::{Cause, Failure};
use serde::Serialize;
use std::io::{ErrorKind, Write};

/// Writes a line. A broken pipe is quiet; a full disk is not.
pub fn line(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    match writeln!(out, "{text}") {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(Cause::Config, format!("cannot write to standard output: {e}"))
                .hint("check where the output is redirected to"))
        }
        _ => Ok(()),
    }
}

/// Writes a value as indented JSON.
pub fn json<T: Serialize + ?Sized>(out: &mut dyn Write, value: &T) -> Result<(), Failure> {
    line(out, &serde_json::to_string_pretty(value).map_err(|e| unwritable(&e))?)
}

/// Writes a value as JSON in one line.
pub fn json_line<T: Serialize + ?Sized>(out: &mut dyn Write, value: &T) -> Result<(), Failure> {
    line(out, &serde_json::to_string(value).map_err(|e| unwritable(&e))?)
}

fn unwritable(e: &serde_json::Error) -> Failure {
    Failure::internal(format!("cannot write JSON: {e}"))
}

/// Rows in columns two spaces apart; the last column is not padded.
pub fn table(out: &mut dyn Write, rows: &[Vec<String>]) -> Result<(), Failure> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|t| t.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:width$}", width = *width));
        line(out, cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Columns of the terminal; `None` where stdout is none, and lines are as long as they are.
pub fn columns() -> Option<usize> {
    #[cfg(unix)]
    {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    }
    #[cfg(not(unix))]
    {
        std::io::IsTerminal::is_terminal(&std::io::stdout()).then_some(80)
    }
}
