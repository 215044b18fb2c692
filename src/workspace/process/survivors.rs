//! Finding and ending the commands of a session whose pup was killed.
//!
//! Every command carries its session's id as `PUP_SESSION`, and whatever it starts inherits that. The session's lock is
//! what makes a scan complete: a child that was forked but has not yet become its command holds a copy of the lock, so
//! who has taken the lock sees every command with its mark. A process that emptied its environment is found while its
//! shell lives, through the session which that shell leads; what did both, `env -i` and a double fork, is lost from sight.

use crate::base::clock;
use crate::base::tree::{
    Ending, GRACE, INSIST, Mark, POLL, Process, Stray, end_found, own_session, scan, signal_group, to_pid, with_descendants,
};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The variable that names the session in a command's environment.
pub const MARKER: &str = "PUP_SESSION";

/// How far the journal's time of a process and its real age may lie apart: `ps` tells seconds.
const SLACK: Duration = Duration::from_secs(3);

/// A command's shell as the journal names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub pid: u32,
    /// See [`super::Spawned::start_time`].
    pub start_time: Option<u64>,
    /// Wall time at which it was recorded, in milliseconds since 1970.
    pub at: u64,
}

/// Ends everything that still runs of `session`: first asked, then forced. The caller holds the session's lock.
pub async fn end(session: &str, recorded: &[Recorded]) -> Ending {
    if Path::new("/proc/self/stat").exists() { end_marked(session, recorded).await } else { end_groups(recorded).await }
}

async fn end_marked(session: &str, recorded: &[Recorded]) -> Ending {
    let mark = format!("{MARKER}={session}").into_bytes();
    end_found(|| members(&scan(), &mark, recorded), POLL).await
}

/// The session's processes among `all`. This process, those above it and those of its own session are never among them:
/// they may have inherited the mark from a command that started a terminal.
fn members(all: &BTreeMap<u32, Process>, mark: &[u8], recorded: &[Recorded]) -> Vec<Process> {
    let mut spared = BTreeSet::new();
    let mut next = Some(std::process::id());
    while let Some(pid) = next.filter(|pid| spared.insert(*pid)) {
        next = all.get(&pid).map(|p| p.parent);
    }
    let own = own_session();
    let candidates: Vec<&Process> = all.values().filter(|p| !p.ended && !spared.contains(&p.pid) && Some(p.session) != own).collect();
    let marked = |p: &Process| match p.variable(MARKER) {
        Mark::Value(value) => value == mark,
        Mark::None | Mark::Unreadable => false,
    };
    let is_recorded = |p: &Process| {
        recorded.iter().any(|r| r.pid == p.pid && r.start_time == Some(p.start))
            && !matches!(p.variable(MARKER), Mark::Value(value) if value != mark)
    };
    let led: BTreeSet<u32> = candidates.iter().filter(|p| is_recorded(p)).map(|p| p.pid).collect();
    let mut ours: BTreeSet<u32> = candidates.iter().filter(|p| led.contains(&p.session) || marked(p)).map(|p| p.pid).collect();
    with_descendants(&mut ours, &candidates.iter().copied());
    candidates.into_iter().filter(|p| ours.contains(&p.pid)).cloned().collect()
}

/// Where there is no /proc: the recorded process groups, as long as their leader is as old as the journal says. A
/// leader that is gone proves nothing, and its number may be another's by now.
async fn end_groups(recorded: &[Recorded]) -> Ending {
    let alive = |r: &&Recorded| {
        let age = Duration::from_millis(clock::unix_ms().saturating_sub(r.at));
        age_of(r.pid).is_some_and(|real| real.abs_diff(age) <= SLACK)
    };
    let groups: Vec<u32> = recorded.iter().filter(alive).map(|r| r.pid).collect();
    let runs = |group: &u32| to_pid(*group).is_some_and(|p| rustix::process::test_kill_process_group(p).is_ok());
    let stray = |group: &u32| Stray { pid: *group, name: "process group".to_owned() };
    for group in &groups {
        signal_group(*group, Signal::TERM);
        signal_group(*group, Signal::CONT);
    }
    let started = Instant::now();
    while groups.iter().any(runs) && started.elapsed() < GRACE + INSIST {
        if started.elapsed() > GRACE {
            for group in &groups {
                signal_group(*group, Signal::KILL);
            }
        }
        sleep(POLL).await;
    }
    let (left, stopped): (Vec<u32>, Vec<u32>) = groups.into_iter().partition(runs);
    Ending { stopped: stopped.iter().map(stray).collect(), left: left.iter().map(stray).collect() }
}

/// How long a process has been running, as POSIX `ps` tells it.
fn age_of(pid: u32) -> Option<Duration> {
    let out = std::process::Command::new("ps").args(["-o", "etime=", "-p", &pid.to_string()]).output().ok()?;
    elapsed(String::from_utf8_lossy(&out.stdout).trim())
}

/// `[[days-]hours:]minutes:seconds`.
fn elapsed(text: &str) -> Option<Duration> {
    let (days, clock) = text.split_once('-').unwrap_or(("0", text));
    let fields: Vec<u64> = clock.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let (hours, minutes, seconds) = match fields.as_slice() {
        [m, s] => (0, *m, *s),
        [h, m, s] => (*h, *m, *s),
        _ => return None,
    };
    Some(Duration::from_secs(((days.parse::<u64>().ok()? * 24 + hours) * 60 + minutes) * 60 + seconds))
}

#[cfg(test)]
#[path = "survivors_tests.rs"]
mod tests;
