//! The process between pup and the shell of a command: what the command sees as its parent.
//!
//! A command that stops, ends or kills its parent would otherwise hit pup itself, which then could neither return nor end what the
//! command has started. The supervisor runs the shell, waits for it and ends as it did; where it is hit instead, that is one more way in
//! which a command may end. It is pup's own program, started with [`ARGUMENT`].
//!
//! Its standard input is a pipe whose other end only pup holds. When that ends pup is gone, however it went, and the supervisor
//! ends the command.

use crate::base::tree;
use rustix::process::Signal;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Mutex;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// What pup is called with to be a supervisor; then come the terminal, which may be empty, and the command line.
pub const ARGUMENT: &str = "__supervise";

/// Where no shell can be started, as shells say it of other programs.
const NO_SHELL: u8 = 127;

/// Held by who ends this process: the shell's end does not cut short the ending of what it started.
static ENDING: Mutex<()> = Mutex::new(());

/// This program, to start it as a supervisor. On Linux it is found even after its file was replaced.
pub fn program() -> Option<PathBuf> {
    if cfg!(target_os = "linux") { Some("/proc/self/exe".into()) } else { std::env::current_exe().ok() }
}

/// The call of a supervisor.
pub(super) fn call(device: Option<&str>, line: &str) -> [OsString; 3] {
    [ARGUMENT.into(), device.unwrap_or_default().into(), line.into()]
}

/// Is a supervisor, if these arguments of the program ask for that.
pub fn main(args: &[OsString]) -> Option<ExitCode> {
    let [_, asked, device, line] = args else { return None };
    (asked == ARGUMENT).then(|| supervise(device, line))
}

fn supervise(device: &OsStr, line: &OsStr) -> ExitCode {
    let watch = watch();
    std::thread::spawn(move || end_with_pup(watch));
    // Opened by a process that leads a session, a terminal becomes that session's own.
    let terminal = if device.is_empty() { None } else { File::options().read(true).write(true).open(device).ok() };
    let shell = |name: &str| {
        let input = terminal.as_ref().and_then(|t| t.try_clone().ok()).map_or_else(Stdio::null, Stdio::from);
        Command::new(name).arg("-c").arg(line).stdin(input).status()
    };
    let status = match shell("bash") {
        Err(e) if e.kind() == io::ErrorKind::NotFound => shell("sh"),
        other => other,
    };
    let _still_here = ENDING.lock();
    match status {
        Ok(status) => end_as(status),
        Err(e) => {
            let _ = writeln!(io::stderr(), "the command cannot be started: {e}");
            ExitCode::from(NO_SHELL)
        }
    }
}

/// What a supervisor ends a command with. From here on a terminal that hangs up, as it does when pup is gone, ends the command
/// but not this process: its handler is not inherited.
fn watch() -> io::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    {
        let _context = runtime.enter();
        let _hangup = signal(SignalKind::hangup())?;
    }
    Ok(runtime)
}

/// Returns never: waits until pup is gone, and then ends the command.
fn end_with_pup(watch: io::Result<Runtime>) {
    // Nothing is ever written, so that this is the end of the pipe.
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    let _never_released = ENDING.lock();
    if let Ok(runtime) = watch {
        runtime.block_on(tree::end_own_call());
    }
    // What cannot be seen there, and this process.
    tree::signal_group(std::process::id(), Signal::KILL);
}

/// Ends with the same code or, by way of a shell, with the same signal: this process ignores some.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal() {
        // Returns only where it failed.
        let _ = Command::new("sh").args(["-c", "ulimit -c 0; kill -\"$0\" $$", &signal.to_string()]).exec();
    }
    ExitCode::from(u8::try_from(status.code().unwrap_or(i32::from(NO_SHELL))).unwrap_or(NO_SHELL))
}
