//! One command from spawn to the last of its descendants.
//!
//! A command has a session and a process group of its own, led by its [`supervisor`] or its shell, reads nothing, and writes stdout and stderr into one pipe or
//! terminal, so that lines stay in the order in which they were written. When its shell has ended, whatever it left running is
//! ended too ([`crate::base::tree`]): nothing outlives its call. What a killed pup could not end, [`survivors`] finds.

mod capture;
mod output;
pub mod supervisor;
pub mod survivors;

pub use crate::base::tree::{Ending, Spawned, Stray};
pub use capture::Captured;

use crate::base::{Failure, id, tree};
use capture::Capture;
use output::Sink;
use process_wrap::tokio::{CommandWrap, ProcessSession};
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// How long output may still come after the shell has ended, for helpers that end with it.
const LINGER: Duration = Duration::from_millis(200);
/// How long the pipe is drained after everything that could write to it was ended.
const DRAIN: Duration = Duration::from_millis(50);
/// How soon a supervisor that the command has stopped goes on.
const LOOK: Duration = Duration::from_millis(500);
const CHUNK: usize = 64 * 1024;

/// A command line and its bounds.
#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    /// Run by `bash -c`, or `sh -c` where there is no bash.
    pub line: &'a str,
    /// An existing folder.
    pub cwd: &'a Path,
    pub timeout: Duration,
    /// Environment variables that the command does not get.
    pub hidden: &'a [String],
    /// The session that the command belongs to, if it is recorded: with it [`survivors`] are found after a crash.
    pub session: Option<&'a str>,
    /// Its input and output are a terminal.
    pub tty: bool,
    /// The program that is the shell's [`supervisor`]; without one the shell is pup's own child.
    pub supervisor: Option<&'a Path>,
    /// Bytes of output kept: a third from the beginning, the rest from the end.
    pub keep: usize,
}

/// Hears of a command while it runs, on the thread that runs it.
pub trait Watch: Send {
    /// The process exists. An error ends it.
    fn spawned(&mut self, process: &Spawned) -> Result<(), Failure>;
    /// Raw output as it came.
    fn output(&mut self, bytes: &[u8]);
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Exit(i32),
    /// By a signal that was not ours.
    Signal(i32),
    TimedOut,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    pub ended: Ended,
    pub output: Captured,
    /// What was still running after the shell had ended by itself, and was ended.
    pub stopped: Vec<Stray>,
    /// What could not be ended, for example because it runs as another user.
    pub left: Vec<Stray>,
}

/// The names and ids of the first few, for a message.
pub fn names(processes: &[Stray]) -> String {
    let shown: Vec<String> = processes.iter().take(5).map(|p| format!("{} ({})", p.name, p.pid)).collect();
    let more = if processes.len() > shown.len() { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Why a command gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("the command cannot be started: {0}")]
    Spawn(io::Error),
    #[error("lost sight of the command: {0}")]
    Io(io::Error),
    /// From [`Watch::spawned`].
    #[error(transparent)]
    Watch(Failure),
}

/// Runs a command to its end, its time-out or its cancellation. On every way out its process tree has ended, the
/// future being dropped excepted: then the shell's group is killed, but nobody waits for it.
pub async fn run(command: &Command<'_>, cancel: &CancellationToken, watch: &mut dyn Watch) -> Result<Finished, ProcessError> {
    tree::adopt_orphans();
    let marker = id::fresh(16);
    let (mut out, sink) = if command.tty { output::terminal() } else { output::pipe() }.map_err(ProcessError::Spawn)?;
    let (child, call, lifeline) = spawn(command, &marker, &sink).map_err(ProcessError::Spawn)?;
    // The end of output comes when the last writer is gone, and this is one.
    drop(sink);
    let mut guard = Guarded { child, call, ended: false, _lifeline: lifeline };
    if let Err(failure) = watch.spawned(&guard.call.spawned(marker)) {
        guard.end().await;
        return Err(ProcessError::Watch(failure));
    }

    let mut capture = Capture::new(command.keep);
    let mut buffer = vec![0; CHUNK];
    let mut deadline = Instant::now() + command.timeout;
    let mut status: Option<ExitStatus> = None;
    let mut open = true;
    let mut look = interval(LOOK);
    let interrupted = loop {
        if status.is_some() && !open {
            break None;
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => break status.is_none().then_some(Ended::Cancelled),
            () = sleep_until(deadline) => break status.is_none().then_some(Ended::TimedOut),
            ended = guard.child.wait(), if status.is_none() => {
                status = Some(ended.map_err(ProcessError::Io)?);
                deadline = deadline.min(Instant::now() + LINGER);
            }
            read = out.read(&mut buffer), if open => match read {
                Ok(0) | Err(_) => open = false,
                Ok(n) => take(&mut capture, watch, &buffer, n),
            },
            _ = look.tick(), if command.supervisor.is_some() && status.is_none() => guard.child.id().into_iter().for_each(tree::wake),
        }
    };

    let ending = guard.end().await;
    if open {
        let rest = async {
            while let Ok(n @ 1..) = out.read(&mut buffer).await {
                take(&mut capture, watch, &buffer, n);
            }
        };
        // Nothing is lost by giving up: only something that could not be ended holds the pipe.
        let _ = timeout(DRAIN, rest).await;
    }
    let ended = match (interrupted, status) {
        (Some(ended), _) => ended,
        (None, Some(status)) => status.code().map_or_else(|| Ended::Signal(status.signal().unwrap_or_default()), Ended::Exit),
        (None, None) => Ended::TimedOut,
    };
    Ok(Finished { ended, output: capture.finish(), stopped: ending.stopped, left: ending.left })
}

fn take(capture: &mut Capture, watch: &mut dyn Watch, buffer: &[u8], n: usize) {
    let bytes = buffer.get(..n).unwrap_or_default();
    capture.push(bytes);
    watch.output(bytes);
}

/// Lets a shell, which leads a session, make the terminal `$1` its own by opening it, and then become the command's shell.
const ON_TERMINAL: &str = r#"{ : <"$1"; } 2>/dev/null; exec "$2" -c "$0""#;

/// The end that pup holds of the pipe that a supervisor reads.
type Lifeline = Option<io::PipeWriter>;

fn spawn(command: &Command<'_>, marker: &str, sink: &Sink) -> io::Result<(tree::Shell, tree::Call, Lifeline)> {
    let start = |program: &OsStr| -> io::Result<(tree::Shell, tree::Call, Lifeline)> {
        let [stdin, stdout, stderr] = sink.stdio()?;
        let (stdin, lifeline) = match command.supervisor {
            Some(_) => io::pipe().map(|(reader, writer)| (reader.into(), Some(writer)))?,
            None => (stdin, None),
        };
        let mut wrap = CommandWrap::with_new(program, |c| {
            match (command.supervisor, sink.device()) {
                (Some(_), device) => c.args(supervisor::call(device, command.line)),
                (None, None) => c.arg("-c").arg(command.line),
                (None, Some(device)) => c.args(["-c", ON_TERMINAL, command.line, device]).arg(program),
            };
            c.current_dir(command.cwd).stdin(stdin).stdout(stdout).stderr(stderr);
            environment(c, command, marker);
        });
        wrap.wrap(ProcessSession);
        // The wrapper's own `wait` waits for the whole group; only the shell decides when a command has ended.
        let (shell, call) = tree::Call::start(marker, || Ok(wrap.spawn()?.into_inner()))?;
        Ok((shell, call, lifeline))
    };
    match command.supervisor.map_or_else(|| start("bash".as_ref()), |supervisor| start(supervisor.as_ref())) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && command.supervisor.is_none() => start("sh".as_ref()),
        other => other,
    }
}

/// Programs are told that nobody watches: no colours, no pager, no questions.
fn environment(c: &mut tokio::process::Command, command: &Command<'_>, marker: &str) {
    for name in command.hidden.iter().map(String::as_str).chain(["CI"]) {
        c.env_remove(name);
    }
    let term = if command.tty { "xterm-256color" } else { "dumb" };
    c.envs([("TERM", term), ("NO_COLOR", "1"), ("PAGER", "cat"), ("GIT_PAGER", "cat"), ("GIT_TERMINAL_PROMPT", "0")]);
    c.env(tree::MARKER, marker);
    // Without a session of its own, a pup inside another's command leaves the outer session's mark as it is.
    if let Some(session) = command.session {
        c.env(survivors::MARKER, session);
    }
}

/// A call, whose processes are killed when it is dropped half-way.
struct Guarded {
    child: tree::Shell,
    call: tree::Call,
    ended: bool,
    _lifeline: Lifeline,
}

impl Guarded {
    async fn end(&mut self) -> tree::Ending {
        let ending = tree::end_all(&self.call, &mut self.child).await;
        self.ended = true;
        ending
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if !self.ended {
            tree::kill_now(&self.call, &mut self.child);
        }
    }
}

#[cfg(test)]
mod tests;
