//! Finding and ending everything that a command started, wherever it went.
//!
//! Three bonds lead from a call to its processes: descent (parent ids), the session that its shell leads, and `PUP_CALL`
//! in the environment, which outlives `setsid` and a double fork. On Linux pup is also the "child subreaper": an orphan
//! becomes pup's own child instead of init's, so that one look at pup's children tells whether a command left anything.
//! A child of pup's in a foreign session that carries no call's `PUP_CALL` was left by a command too; whose, is unknown
//! while several run, so the last of them ends it. Hence: anything else that pup starts must stay in pup's session or be started through here.

use process_wrap::tokio::ChildWrapper;
use rustix::process::{Pid, Signal, WaitOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Names the call in the environment of its processes.
pub const MARKER: &str = "PUP_CALL";

/// From the polite signal to the one that cannot be refused.
pub const GRACE: Duration = Duration::from_millis(400);
/// How long processes that cannot be ended are tried.
pub const INSIST: Duration = Duration::from_millis(1500);
pub const POLL: Duration = Duration::from_millis(10);
/// How often they are forced at least: one look takes long where there are very many.
const ROUNDS: u32 = 5;
/// How long an orphan may show no environment before it is taken for one that has none.
const UNCLEAR: Duration = Duration::from_millis(200);
/// More processes than an ordinary command leaves.
const MANY: usize = 300;

/// A command's process, for the journal: enough to find and end it after a crash.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Spawned {
    pub pid: u32,
    /// Its process group and session, which it leads.
    pub pgid: u32,
    /// When it started, in the kernel's clock ticks since boot: tells it from a later process with the same id.
    /// `None` where the system has no /proc.
    pub start_time: Option<u64>,
    /// The value of `PUP_CALL` in the environment of it and of everything that it starts.
    pub marker: String,
}

/// A process that a command left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray {
    pub pid: u32,
    /// The kernel's name for it, at most 15 bytes.
    pub name: String,
}

/// What became of processes that were to end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ending {
    pub stopped: Vec<Stray>,
    /// What could not be ended.
    pub left: Vec<Stray>,
}

/// The calls that are running in this process. Being the subreaper is a property of the process, and so is this list:
/// it tells one call's orphans from another's shell.
#[derive(Debug)]
struct Live {
    /// With the marks of their calls.
    shells: BTreeMap<u32, Vec<u8>>,
    /// Since when, in clock ticks since boot, some call has been running without a pause.
    since: u64,
}

static LIVE: Mutex<Live> = Mutex::new(Live { shells: BTreeMap::new(), since: 0 });

fn live() -> MutexGuard<'static, Live> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes orphaned descendants ours. Costs one system call; where there is no such thing the other bonds must do.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// A shell's own process, without a wrapper that would wait for its group.
pub type Shell = Box<dyn ChildWrapper>;

/// What identifies the processes of one call.
#[derive(Debug, Clone)]
pub struct Call {
    shell: u32,
    start: Option<u64>,
    /// `PUP_CALL=...` as it stands in an environment.
    mark: Vec<u8>,
}

impl Call {
    /// Spawns a shell and registers it in one step, so that no other call can take it for an orphan.
    pub fn start(marker: &str, spawn: impl FnOnce() -> io::Result<Shell>) -> io::Result<(Shell, Self)> {
        let mut live = live();
        let child = spawn()?;
        let shell = child.id().ok_or_else(|| io::Error::other("the process has no id"))?;
        let start = Process::read(shell).map(|p| p.start);
        if live.shells.is_empty() {
            live.since = start.unwrap_or_default();
        }
        let mark = format!("{MARKER}={marker}").into_bytes();
        live.shells.insert(shell, mark.clone());
        Ok((child, Self { shell, start, mark }))
    }

    pub fn spawned(&self, marker: String) -> Spawned {
        Spawned { pid: self.shell, pgid: self.shell, start_time: self.start, marker }
    }

    /// The call's processes among `all`, without the shell and without those that have ended; the latter are reaped
    /// where they are ours.
    fn members(&self, all: &BTreeMap<u32, Process>, shell: State) -> Members {
        let live = live();
        let alone = live.shells.keys().all(|pid| *pid == self.shell);
        let (me, session) = (std::process::id(), own_session());
        let mut ours: BTreeSet<u32> = BTreeSet::new();
        let mut unclear = false;
        if shell == State::Running {
            ours.insert(self.shell);
        }
        for p in all.values().filter(|p| !live.shells.contains_key(&p.pid) && p.pid != me) {
            let orphan = p.parent == me && Some(p.session) != session && p.start >= live.since;
            let bound = p.session == self.shell
                || match p.variable(MARKER) {
                    Mark::Value(value) if live.shells.values().any(|mark| *mark == value) => value == self.mark,
                    // A mark that no call has is as good as none: another pup's inside a command, or one that was made up.
                    Mark::Value(_) | Mark::None => orphan && alone,
                    Mark::Unreadable => {
                        unclear |= orphan && !alone && !p.ended;
                        orphan && alone
                    }
                };
            if bound {
                ours.insert(p.pid);
            }
        }
        with_descendants(&mut ours, &all.values().filter(|p| !live.shells.contains_key(&p.pid)));
        ours.remove(&self.shell);
        let (dead, alive): (Vec<&Process>, Vec<&Process>) = ours.iter().filter_map(|pid| all.get(pid)).partition(|p| p.ended);
        for process in dead.into_iter().filter(|p| p.parent == me) {
            process.reap();
        }
        Members { alive: alive.into_iter().cloned().collect(), unclear }
    }
}

/// What a look at the processes shows of a call.
struct Members {
    alive: Vec<Process>,
    /// There is an orphan of which nothing tells whose it is, while other calls run. One that is about to become another program
    /// shows no environment for a moment.
    unclear: bool,
}

/// Whether anything could be left of a call whose shell has ended: cheap, and on Linux never a wrong "no", since then
/// everything that it started has died or become ours.
fn may_have_orphans() -> bool {
    let (Some(children), Some(own)) = (own_children(), own_session()) else { return true };
    let live = live();
    children.iter().any(|pid| !live.shells.contains_key(pid) && Process::read(*pid).is_some_and(|p| p.session != own))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Ended,
}

fn state(child: &mut Shell) -> State {
    if matches!(child.try_wait(), Ok(None)) { State::Running } else { State::Ended }
}

/// Kills everything of the call at once, without waiting.
pub fn kill_now(call: &Call, child: &mut Shell) {
    let shell = state(child);
    let members = call.members(&scan(), shell);
    if shell == State::Running {
        signal_group(call.shell, Signal::KILL);
    }
    for process in &members.alive {
        process.signal(Signal::KILL);
    }
    live().shells.remove(&call.shell);
}

/// Ends the shell, if it still runs, and everything else of the call: first asked, then forced. Returns what was
/// running besides the shell.
pub async fn end_all(call: &Call, child: &mut Shell) -> Ending {
    let mut ending = Ending::default();
    let mut seen: BTreeSet<Stray> = BTreeSet::new();
    let started = Instant::now();
    let mut forced = false;
    let mut rounds = 0;
    let mut asked: BTreeSet<u32> = BTreeSet::new();
    loop {
        let shell = state(child);
        if shell == State::Ended && asked.is_empty() && !may_have_orphans() {
            break;
        }
        let Members { alive: members, unclear } = call.members(&scan(), shell);
        if members.is_empty() && shell == State::Ended && !(unclear && started.elapsed() < UNCLEAR) {
            break;
        }
        seen.extend(members.iter().map(Process::stray));
        if started.elapsed() > GRACE + INSIST && rounds >= ROUNDS {
            ending.left = members.iter().map(Process::stray).collect();
            break;
        }
        // Whoever multiplies is not asked.
        forced = forced || started.elapsed() > GRACE || members.len() > MANY;
        rounds += u32::from(forced);
        // All at once where that is possible: a member of the session keeps its number from being given away.
        if forced && members.iter().any(|p| p.session == call.shell) {
            signal_group(call.shell, Signal::KILL);
        }
        if shell == State::Running && (forced || asked.insert(call.shell)) {
            signal_group(call.shell, if forced { Signal::KILL } else { Signal::TERM });
            signal_group(call.shell, Signal::CONT);
        }
        for process in &members {
            if forced {
                process.signal(Signal::KILL);
            } else if asked.insert(process.pid) {
                process.signal(Signal::TERM);
                process.signal(Signal::CONT);
            }
        }
        sleep(POLL).await;
    }
    live().shells.remove(&call.shell);
    ending.stopped = seen.into_iter().filter(|s| !ending.left.contains(s)).collect();
    ending
}

/// Descendants of members are members, whatever they did to their session and environment: adds those among `all`.
pub fn with_descendants<'a>(ours: &mut BTreeSet<u32>, all: &(impl Iterator<Item = &'a Process> + Clone)) {
    loop {
        let more: Vec<u32> = all.clone().filter(|p| ours.contains(&p.parent) && !ours.contains(&p.pid)).map(|p| p.pid).collect();
        if more.is_empty() {
            return;
        }
        ours.extend(more);
    }
}

/// Ends what `look` finds, first asked, then forced, until it finds nothing for so long. A process that just becomes another
/// program shows no environment for a moment: one look is never enough.
pub async fn end_found(mut look: impl FnMut() -> Vec<Process>, quiet: Duration) -> Ending {
    let mut seen: BTreeSet<Stray> = BTreeSet::new();
    let mut asked: BTreeSet<u32> = BTreeSet::new();
    let mut clear: Option<Instant> = None;
    let started = Instant::now();
    let left = loop {
        let found = look();
        if !found.is_empty() {
            clear = None;
        } else if clear.get_or_insert_with(Instant::now).elapsed() >= quiet {
            break Vec::new();
        }
        seen.extend(found.iter().map(Process::stray));
        if started.elapsed() > GRACE + INSIST + quiet {
            break found.iter().map(Process::stray).collect();
        }
        for process in &found {
            if started.elapsed() > GRACE {
                process.signal(Signal::KILL);
            } else if asked.insert(process.pid) {
                process.signal(Signal::TERM);
                process.signal(Signal::CONT);
            }
        }
        sleep(POLL).await;
    };
    Ending { stopped: seen.into_iter().filter(|s| !left.contains(s)).collect(), left }
}

/// Ends the call that this process belongs to and leads the session of, for a supervisor whose pup is gone: everything but
/// this process itself.
pub async fn end_own_call() {
    let me = std::process::id();
    let mark = std::env::var(MARKER).map(|value| format!("{MARKER}={value}").into_bytes());
    let marked = |p: &Process| matches!((p.variable(MARKER), &mark), (Mark::Value(value), Ok(mark)) if value == *mark);
    let look = || {
        let all = scan();
        let mut ours: BTreeSet<u32> = all.values().filter(|p| p.session == me || marked(p)).map(|p| p.pid).chain([me]).collect();
        with_descendants(&mut ours, &all.values());
        ours.remove(&me);
        all.into_values().filter(|p| ours.contains(&p.pid) && !p.ended).collect()
    };
    // Nobody waits for this, so it can look longer.
    end_found(look, UNCLEAR).await;
}

/// How long [`end_now`] looks for what is left.
const LAST_LOOK: Duration = Duration::from_millis(300);

/// Kills whatever any call of this process has started, for a process that is about to exit without ending its calls.
pub fn end_now() {
    let shells: Vec<u32> = live().shells.keys().copied().collect();
    if shells.is_empty() {
        return;
    }
    for shell in &shells {
        signal_group(*shell, Signal::KILL);
    }
    let (me, session, until) = (std::process::id(), own_session(), std::time::Instant::now() + LAST_LOOK);
    while std::time::Instant::now() < until {
        let all = scan();
        let mut ours = BTreeSet::from([me]);
        with_descendants(&mut ours, &all.values());
        let alive: Vec<&Process> = all.values().filter(|p| ours.contains(&p.pid) && Some(p.session) != session && !p.ended).collect();
        if alive.is_empty() {
            return;
        }
        for process in alive {
            process.signal(Signal::KILL);
        }
        std::thread::sleep(POLL);
    }
}

/// Lets the process go on where a signal has stopped it.
pub fn wake(pid: u32) {
    if let Some(process) = Process::read(pid).filter(|p| p.stopped) {
        process.signal(Signal::CONT);
    }
}

/// One process as /proc shows it.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    pub session: u32,
    /// Clock ticks since boot.
    pub start: u64,
    name: String,
    /// A zombie, or on its way out.
    pub ended: bool,
    /// A signal has stopped it.
    stopped: bool,
}

/// A variable of a process's environment.
pub enum Mark {
    None,
    /// The whole assignment.
    Value(Vec<u8>),
    /// Nothing of the environment can be seen, or there is none.
    Unreadable,
}

impl Process {
    pub fn read(pid: u32) -> Option<Self> {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(pid, &String::from_utf8_lossy(&stat))
    }

    /// proc_pid_stat(5): `pid (name) state ppid pgrp session ...`, the start time is the 22nd field. The name may
    /// contain anything, parentheses too.
    fn parse(pid: u32, stat: &str) -> Option<Self> {
        let (_, rest) = stat.split_once('(')?;
        let (name, rest) = rest.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?.parse().ok()?;
        let start = fields.nth(15)?.parse().ok()?;
        let (ended, stopped) = (matches!(state, "Z" | "X" | "x"), matches!(state, "T" | "t"));
        Some(Self { pid, parent, session, start, name: name.to_owned(), ended, stopped })
    }

    pub fn stray(&self) -> Stray {
        Stray { pid: self.pid, name: self.name.clone() }
    }

    pub fn variable(&self, name: &str) -> Mark {
        let Ok(environment) = std::fs::read(format!("/proc/{}/environ", self.pid)) else { return Mark::Unreadable };
        if environment.is_empty() {
            return Mark::Unreadable;
        }
        let prefix = format!("{name}=");
        let found = environment.split(|b| *b == 0).find(|v| v.starts_with(prefix.as_bytes()));
        found.map_or(Mark::None, |v| Mark::Value(v.to_vec()))
    }

    /// Signals this process, not a later one with its id.
    pub fn signal(&self, signal: Signal) {
        if Self::read(self.pid).is_some_and(|now| now.start == self.start)
            && let Some(pid) = to_pid(self.pid)
        {
            // It may be gone or another user's; the next look tells.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    fn reap(&self) {
        let _ = rustix::process::waitpid(to_pid(self.pid), WaitOptions::NOHANG);
    }
}

pub fn scan() -> BTreeMap<u32, Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return BTreeMap::new() };
    entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).filter_map(Process::read).map(|p| (p.pid, p)).collect()
}

/// The ids of this process's children, or `None` where the kernel does not list them.
fn own_children() -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
        match std::fs::read_to_string(task.path().join("children")) {
            Ok(list) => all.extend(list.split_ascii_whitespace().filter_map(|p| p.parse::<u32>().ok())),
            // A thread that ended meanwhile has handed its children on; without the list nobody knows.
            Err(_) => return None,
        }
    }
    Some(all)
}

/// Not by getsid(2): that is 0 for a session led from outside of a container.
pub fn own_session() -> Option<u32> {
    Process::read(std::process::id()).map(|p| p.session)
}

pub fn to_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

pub fn signal_group(leader: u32, signal: Signal) {
    if let Some(pid) = to_pid(leader) {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let tail = "S 7 8 9 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        let p = Process::parse(42, &format!("42 (a) b (c)) {tail}")).unwrap();
        assert_eq!((p.parent, p.session, p.start, p.name.as_str(), p.ended), (7, 9, 98765, "a) b (c)", false));
        assert!(Process::parse(42, "42 (x) Z 1").is_none());
        assert!(Process::parse(42, &format!("42 (x) {}", tail.replacen('S', "Z", 1))).unwrap().ended);
    }

    #[test]
    fn this_process_is_found_with_its_children() {
        let me = Process::read(std::process::id()).unwrap();
        assert_eq!(Some(me.session), own_session());
        assert!(scan().contains_key(&me.pid));
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        assert!(own_children().is_none_or(|c| c.contains(&child.id())));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
