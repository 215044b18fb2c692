//! Real processes that nobody waits for, as a killed pup leaves them.

use super::*;
use crate::base::id;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A shell in a session of its own with the mark, as the runner starts it; returns once it says that it is ready.
fn orphan(session: &str, line: &str) -> Child {
    use std::io::{BufRead, BufReader};
    let mut command = Command::new("setsid");
    command.args(["bash", "-c", line]).env(MARKER, session).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // setsid forks where it already leads a group, and then the process would not be ours to wait for.
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "ready\n");
    child
}

fn alive(arguments: &str) -> Vec<u32> {
    let shows = |p: &Process| {
        let line = std::fs::read(format!("/proc/{}/cmdline", p.pid)).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(arguments)
    };
    scan().values().filter(|p| !p.ended && shows(p)).map(|p| p.pid).collect()
}

/// How many processes sleep for just so long, and are not about to.
fn asleep(nap: &str) -> usize {
    let wanted = format!("sleep\0{nap}\0");
    let line = |p: &u32| std::fs::read(format!("/proc/{p}/cmdline")).unwrap_or_default();
    scan().keys().filter(|p| String::from_utf8_lossy(&line(p)).trim_start_matches("/bin/") == wanted).count()
}

fn await_naps(nap: &str, naps: usize) {
    let until = Instant::now() + Duration::from_secs(20);
    while asleep(nap) < naps {
        assert!(Instant::now() < until, "{:?}", alive(nap));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Arguments of `sleep` that no other process has.
fn nap() -> String {
    let n: u64 = id::fresh(12).bytes().fold(0, |n, b| n * 7 + u64::from(b % 10));
    format!("300.{n}")
}

fn recorded(child: &Child) -> Recorded {
    Recorded { pid: child.id(), start_time: Process::read(child.id()).map(|p| p.start), at: clock::unix_ms() }
}

#[test]
fn what_carries_the_sessions_mark_is_ended_whatever_it_did() {
    // And how many of the naps must have begun for the way to be what it says.
    let ways = [
        ("sleep NAP & echo ready; wait", 1),
        ("( ( setsid sh -c 'sleep NAP; :' >/dev/null 2>&1 & ) & ); echo ready; sleep NAP; :", 2),
        ("trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep NAP; done' >/dev/null 2>&1 & echo ready; sleep NAP; :", 2),
        ("sh -c 'kill -STOP $$; sleep NAP' & echo ready; sleep NAP; :", 1),
        // Its shell still leads the session that it is in.
        ("env -i /bin/sleep NAP & echo ready; sleep NAP; :", 2),
    ];
    for (way, naps) in ways {
        let (session, nap) = (format!("s-{}", id::fresh(12)), nap());
        let mut child = orphan(&session, &way.replace("NAP", &nap));
        await_naps(&nap, naps);
        let ending = block_on(end(&session, &[recorded(&child)]));
        child.wait().unwrap();
        assert_eq!(alive(&nap), Vec::<u32>::new(), "{way}: {ending:?}");
        assert!(ending.left.is_empty() && ending.stopped.iter().filter(|s| s.name == "sleep").count() >= naps, "{way}: {ending:?}");
        assert_eq!(block_on(end(&session, &[])), Ending::default(), "nothing is left for a second time");
    }
}

#[test]
fn others_are_left_alone() {
    let nap = nap();
    let line = format!("echo ready; sleep {nap}; :");
    // Another session's command, though the journal names its process by mistake; and a number that was given anew.
    let mut other = orphan("another-session", &line);
    let mut unmarked = Command::new("sleep").arg(&nap).process_group(0).spawn().unwrap();
    let reused = Recorded { start_time: recorded(&unmarked).start_time.map(|t| t - 1), ..recorded(&unmarked) };
    await_naps(&nap, 2);
    let ending = block_on(end("mine", &[recorded(&other), reused.clone()]));
    assert_eq!((ending, alive(&nap).len()), (Ending::default(), 3));
    other.kill().unwrap();
    unmarked.kill().unwrap();
    block_on(end("another-session", &[]));
    other.wait().unwrap();
    unmarked.wait().unwrap();
    assert!(alive(&nap).is_empty());
}

#[test]
fn what_stands_above_this_process_is_spared() {
    let all = scan();
    let me = all.get(&std::process::id()).unwrap();
    let above = recorded_process(all.get(&me.parent).unwrap());
    let found = members(&all, b"PUP_SESSION=x", &[above, recorded_process(me)]);
    assert!(found.is_empty(), "{found:?}");
}

fn recorded_process(p: &Process) -> Recorded {
    Recorded { pid: p.pid, start_time: Some(p.start), at: 0 }
}

#[test]
fn without_proc_a_group_is_ended_if_its_leader_is_as_old_as_recorded() {
    let nap = nap();
    let mut child = Command::new("sleep").arg(&nap).process_group(0).spawn().unwrap();
    let now = Recorded { pid: child.id(), start_time: None, at: clock::unix_ms() };
    let younger = Recorded { at: now.at - 3_600_000, ..now.clone() };
    assert_eq!(block_on(end_groups(&[younger])), Ending::default(), "a process of that number, but not that one");
    assert!(!alive(&nap).is_empty());
    // Nobody but this test can reap the child, and a dead leader keeps its group as long as it is not reaped.
    let waiter = std::thread::spawn(move || child.wait().unwrap());
    let ending = block_on(end_groups(std::slice::from_ref(&now)));
    waiter.join().unwrap();
    assert_eq!(ending, Ending { stopped: vec![Stray { pid: now.pid, name: "process group".into() }], left: vec![] });
    assert!(alive(&nap).is_empty());
}

#[test]
fn ages_are_read_in_all_their_forms() {
    for (text, seconds) in [("00:05", Some(5)), ("01:02:03", Some(3723)), ("2-00:00:01", Some(172_801)), ("", None), ("x:1", None)] {
        assert_eq!(elapsed(text), seconds.map(Duration::from_secs), "{text:?}");
    }
}
