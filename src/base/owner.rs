//! A process that owns something, told from a later one that got its number.

use serde::{Deserialize, Serialize};

/// A process by its number and the time at which it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    /// In the unit of the system (on Linux field 22 of `/proc/PID/stat`); none where it cannot be told.
    pub start: Option<u64>,
}

impl Process {
    /// This one.
    pub fn current() -> Self {
        let pid = std::process::id();
        Self { pid, start: start_of(pid) }
    }

    /// Whether it still runs. Where nothing can be told it counts as running: its work is then given up by age alone.
    pub fn is_alive(self) -> bool {
        match self.start {
            Some(start) => start_of(self.pid) == Some(start),
            None => exists(self.pid),
        }
    }
}

#[cfg(target_os = "linux")]
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the third field stands behind the last one.
    let mut rest = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    if matches!(rest.next()?, "Z" | "X") {
        return None;
    }
    rest.nth(18)?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn start_of(_: u32) -> Option<u64> {
    None
}

#[cfg(unix)]
fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn exists(_: u32) -> bool {
    true
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_of_its_number_and_from_a_dead_one() {
        let me = Process::current();
        assert!(me.is_alive() && me.start.is_some());
        assert!(!Process { start: me.start.map(|s| s + 1), ..me }.is_alive());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let other = Process { pid: child.id(), start: start_of(child.id()) };
        assert!(other.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!other.is_alive() && !exists(other.pid));
    }
}
