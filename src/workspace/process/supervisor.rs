//! The process between pup and the shell of a command: what the command sees as its parent.
//!
//! A command that stops, ends or kills its parent would otherwise hit pup itself, which then could neither return nor end what the
//! command has started. The supervisor runs the shell, waits for it and ends as it did; where it is hit instead, that is one more way in
//! which a command may end. It is pup's own program, started with [`ARGUMENT`].

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};

/// What pup is called with to be a supervisor; then come the terminal, which may be empty, and the command line.
pub const ARGUMENT: &str = "__supervise";

/// Where no shell can be started, as shells say it of other programs.
const NO_SHELL: u8 = 127;

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
    // Opened by a process that leads a session, a terminal becomes that session's own.
    let _terminal = (!device.is_empty()).then(|| File::open(device));
    let shell = |name: &str| Command::new(name).arg("-c").arg(line).status();
    let status = match shell("bash") {
        Err(e) if e.kind() == io::ErrorKind::NotFound => shell("sh"),
        other => other,
    };
    match status {
        Ok(status) => end_as(status),
        Err(e) => {
            let _ = writeln!(io::stderr(), "the command cannot be started: {e}");
            ExitCode::from(NO_SHELL)
        }
    }
}

/// Ends with the same code or, by way of a shell, with the same signal: this process ignores some.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal() {
        // Returns only where it failed.
        let _ = Command::new("sh").args(["-c", "ulimit -c 0; kill -\"$0\" $$", &signal.to_string()]).exec();
    }
    ExitCode::from(u8::try_from(status.code().unwrap_or(i32::from(NO_SHELL))).unwrap_or(NO_SHELL))
}
