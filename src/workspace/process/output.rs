//! Where a command's output comes from: one pipe for both streams or, on request, a pseudo terminal.
//!
//! Nobody types at the terminal. It is told the end of input in advance, so that a program which asks gets that answer, as it does
//! without a terminal.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use tokio::net::unix::pipe::Receiver;

/// The end of input, as a terminal in its usual mode understands it; each read of a program takes one.
const END_OF_INPUT: [u8; 64] = [0x04; 64];
const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

/// The end that a command writes to. The source ends when this and all copies of it are gone.
pub(super) enum Sink {
    Pipe(io::PipeWriter),
    Terminal { side: OwnedFd, name: String },
}

pub(super) fn pipe() -> io::Result<(Receiver, Sink)> {
    let (reader, writer) = io::pipe()?;
    Ok((Receiver::from_owned_fd(reader.into())?, Sink::Pipe(writer)))
}

pub(super) fn terminal() -> io::Result<(Receiver, Sink)> {
    use rustix::{fs, io as rio, pty, termios};
    let master = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY)?;
    rio::fcntl_setfd(&master, rio::FdFlags::CLOEXEC)?;
    pty::grantpt(&master)?;
    pty::unlockpt(&master)?;
    let name = pty::ptsname(&master, Vec::new())?.into_string().map_err(io::Error::other)?;
    let side = fs::open(&name, fs::OFlags::RDWR | fs::OFlags::NOCTTY | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
    termios::tcsetwinsize(&side, termios::Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 })?;
    rio::write(&master, &END_OF_INPUT)?;
    fs::fcntl_setfl(&master, fs::fcntl_getfl(&master)? | fs::OFlags::NONBLOCK)?;
    // It is read as a pipe is; its end shows as an error.
    Ok((Receiver::from_file_unchecked(File::from(master))?, Sink::Terminal { side, name }))
}

impl Sink {
    /// Standard input, output and error for a command.
    pub(super) fn stdio(&self) -> io::Result<[Stdio; 3]> {
        match self {
            Self::Pipe(writer) => Ok([Stdio::null(), writer.try_clone()?.into(), writer.try_clone()?.into()]),
            Self::Terminal { side, .. } => {
                let copy = || Ok::<_, io::Error>(Stdio::from(File::from(side.try_clone()?)));
                Ok([copy()?, copy()?, copy()?])
            }
        }
    }

    /// The device, where it is a terminal.
    pub(super) fn device(&self) -> Option<&str> {
        match self {
            Self::Pipe(_) => None,
            Self::Terminal { name, .. } => Some(name),
        }
    }
}
