//! An escape corpus: whatever a command does to get away, the call returns and nothing survives it.

use super::*;
use std::fs;

#[derive(Default)]
struct Ears {
    spawned: Option<Spawned>,
    heard: Vec<u8>,
}

impl Watch for Ears {
    fn spawned(&mut self, process: &Spawned) -> Result<(), Failure> {
        self.spawned = Some(process.clone());
        Ok(())
    }

    fn output(&mut self, bytes: &[u8]) {
        if self.heard.len() < 1_000_000 {
            self.heard.extend_from_slice(bytes);
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Nothing, which is done in this folder; the rest of a command that differs in little.
fn plain(cwd: &Path) -> Command<'_> {
    Command { line: "", cwd, timeout: LONG, hidden: &[], session: None, tty: false, supervisor: None, keep: 1000 }
}

/// Runs a line; `MARK` in it becomes a text that no other process on this machine has in its arguments.
fn run_line(line: &str, limit: Duration) -> (Finished, String) {
    let mark = format!("31{}", id::fresh(12).chars().map(|c| char::from(b'0' + (c as u8) % 10)).collect::<String>());
    let line = line.replace("MARK", &format!("0.{mark}"));
    let dir = tempfile::tempdir().unwrap();
    let command = Command { line: &line, timeout: limit, keep: 30_000, ..plain(dir.path()) };
    let finished = block_on(run(&command, &CancellationToken::new(), &mut Ears::default())).unwrap();
    (finished, mark)
}

/// Processes whose arguments contain `mark`.
fn survivors(mark: &str) -> Vec<String> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|e| fs::read(e.path().join("cmdline")).ok())
        .map(|c| String::from_utf8_lossy(&c).replace('\0', " "))
        .filter(|c| c.contains(mark))
        .collect()
}

fn text(finished: &Finished) -> String {
    String::from_utf8_lossy(&finished.output.head).into_owned()
}

/// That `mark` is gone. Without its environment a process is ended by the last of the calls that run at the same time,
/// and other tests run calls, too. After a drop nobody has waited.
fn assert_gone(mark: &str, name: &str) {
    let patience = if ["no environment", "dropped"].contains(&name) { 3000 } else { 1 };
    for _ in 0..patience {
        if survivors(mark).is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{name}: {:?}", survivors(mark));
}

const LONG: Duration = Duration::from_mins(1);

#[test]
fn output_is_merged_in_order_and_the_exit_code_reported() {
    let (f, _) = run_line("echo a; echo b >&2; echo c; exit 3", LONG);
    assert_eq!((text(&f).as_str(), f.ended), ("a\nb\nc\n", Ended::Exit(3)));
    let (f, _) = run_line("kill -9 $$", LONG);
    assert_eq!(f.ended, Ended::Signal(9));
    assert!(f.left.is_empty());
}

#[test]
fn a_question_gets_the_end_of_input() {
    let (f, _) = run_line("read -p 'Name? ' x; echo \"got:$x\"; cat; echo end", LONG);
    assert_eq!(text(&f), "got:\nend\n");
}

#[test]
fn the_environment_is_quiet_and_without_what_is_hidden() {
    let dir = tempfile::tempdir().unwrap();
    let line = "echo $TERM $NO_COLOR $PAGER $GIT_PAGER $GIT_TERMINAL_PROMPT [$CI] [$HOME] ${#PUP_CALL}; pwd";
    let hidden = ["HOME".to_owned()];
    let command = Command { line, hidden: &hidden, ..plain(dir.path()) };
    let f = block_on(run(&command, &CancellationToken::new(), &mut Ears::default())).unwrap();
    assert_eq!(text(&f), format!("dumb 1 cat cat 0 [] [] 16\n{}\n", dir.path().canonicalize().unwrap().display()));
}

/// The ways out, each a command that ends its own shell at once and leaves `sleep 300.MARK` behind.
const ESCAPES: [(&str, &str); 10] = [
    ("background", "sleep 30MARK & echo out"),
    ("background without the pipe", "sleep 30MARK >/dev/null 2>&1 & echo out"),
    ("nohup", "nohup sleep 30MARK >/dev/null 2>&1 & echo out"),
    ("new session", "setsid sleep 30MARK >/dev/null 2>&1 & echo out"),
    ("new session that holds the pipe", "setsid sleep 30MARK & echo out"),
    ("double fork", "( ( setsid sh -c 'sleep 30MARK; :' >/dev/null 2>&1 & ) & ) ; echo out"),
    ("no environment", "( ( env -i /bin/sh -c 'exec /usr/bin/setsid /usr/bin/sleep 30MARK' >/dev/null 2>&1 & ) & ) ; echo out"),
    ("deaf to SIGTERM", "( trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep 30MARK; done' >/dev/null 2>&1 & ) ; echo out"),
    ("stopped", "sh -c 'kill -STOP $$; sleep 30MARK' & sleep 30MARK & echo out"),
    ("disowned", "sleep 30MARK & disown -a; echo out"),
];

#[test]
fn nothing_outlives_a_command_that_has_ended() {
    for (name, line) in ESCAPES {
        let (f, mark) = run_line(line, LONG);
        assert_eq!((f.ended, text(&f).as_str()), (Ended::Exit(0), "out\n"), "{name}");
        assert_gone(&mark, name);
        assert!(f.left.is_empty() && (name == "no environment" || !f.stopped.is_empty()), "{name}: {f:?}");
    }
}

#[test]
fn nothing_outlives_a_time_out() {
    let limit = Duration::from_millis(300);
    for (name, line) in ESCAPES {
        let (f, mark) = run_line(&format!("{{ {line}; }}; sleep 30MARK; echo never"), limit);
        assert_eq!((f.ended, text(&f).as_str()), (Ended::TimedOut, "out\n"), "{name}");
        assert_gone(&mark, name);
        assert!(f.left.is_empty(), "{name}: {f:?}");
    }
    let (f, mark) = run_line("trap '' TERM INT HUP; while :; do sleep 30MARK; done", limit);
    assert_eq!(f.ended, Ended::TimedOut);
    assert_eq!(survivors(&mark), Vec::<String>::new());
}

#[test]
fn a_process_that_multiplies_is_ended_too() {
    let line = "f() { sleep 0.02; ( f & ) ; exec sleep 30MARK; }; ( f & ) >/dev/null 2>&1; sleep 0.2; echo out";
    let (f, mark) = run_line(line, LONG);
    assert_eq!(text(&f), "out\n");
    assert_eq!(survivors(&mark), Vec::<String>::new());
}

struct CancelAtOutput(CancellationToken);
impl Watch for CancelAtOutput {
    fn spawned(&mut self, _: &Spawned) -> Result<(), Failure> {
        Ok(())
    }
    fn output(&mut self, _: &[u8]) {
        self.0.cancel();
    }
}

#[test]
fn cancelling_ends_the_tree() {
    let dir = tempfile::tempdir().unwrap();
    let mark = format!("0.77{}", std::process::id());
    let line = format!("echo ready; setsid sleep 31{mark} & sleep 31{mark}");
    let cancel = CancellationToken::new();
    let command = Command { line: &line, ..plain(dir.path()) };
    let f = block_on(run(&command, &cancel, &mut CancelAtOutput(cancel.clone()))).unwrap();
    assert_eq!((f.ended, text(&f).as_str()), (Ended::Cancelled, "ready\n"));
    assert_eq!(survivors(&mark), Vec::<String>::new());
}

struct Refuses;
impl Watch for Refuses {
    fn spawned(&mut self, _: &Spawned) -> Result<(), Failure> {
        Err(Failure::internal("journal is gone"))
    }
    fn output(&mut self, _: &[u8]) {}
}

#[test]
fn a_refusal_to_record_ends_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let mark = format!("0.78{}", std::process::id());
    let command = Command { line: &format!("sleep 31{mark}; :"), ..plain(dir.path()) };
    let e = block_on(run(&command, &CancellationToken::new(), &mut Refuses)).unwrap_err();
    assert_eq!(e.to_string(), "journal is gone");
    assert_eq!(survivors(&mark), Vec::<String>::new());
}

#[test]
fn dropping_the_call_kills_its_tree() {
    // The second shell has ended when the call is dropped; what it left holds the pipe.
    for (tag, line, patience) in [("79", "setsid sleep 31MARK & sleep 31MARK; :", 300), ("80", "setsid sleep 31MARK & echo", 100)] {
        let dir = tempfile::tempdir().unwrap();
        let mark = format!("0.{tag}{}", std::process::id());
        let line = line.replace("MARK", &mark);
        block_on(async {
            let command = Command { line: &line, ..plain(dir.path()) };
            let cancel = CancellationToken::new();
            let mut ears = Ears::default();
            assert!(timeout(Duration::from_millis(patience), run(&command, &cancel, &mut ears)).await.is_err());
        });
        assert_gone(&mark, "dropped");
    }
}

#[test]
fn the_journal_gets_what_finds_the_process_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut ears = Ears::default();
    let line = "echo $$ $PUP_CALL $(cut -d' ' -f5,6,22 /proc/$$/stat)";
    let command = Command { line, ..plain(dir.path()) };
    let f = block_on(run(&command, &CancellationToken::new(), &mut ears)).unwrap();
    let s = ears.spawned.unwrap();
    assert_eq!(text(&f), format!("{0} {1} {0} {0} {2}\n", s.pid, s.marker, s.start_time.unwrap()));
    assert_eq!(s.pgid, s.pid);
    assert_eq!(ears.heard, f.output.head);
}

#[test]
fn a_gigabyte_is_counted_not_kept() {
    // Counting is slow without optimisation.
    let total: u64 = if cfg!(debug_assertions) { 100_000_000 } else { 1_000_000_000 };
    let (f, _) = run_line(&format!("yes 0123456 | head -c {total}"), LONG);
    assert_eq!(f.ended, Ended::Exit(0));
    assert_eq!((f.output.head.len(), f.output.tail.len()), (10_000, 20_000));
    assert_eq!((f.output.cut_bytes, f.output.cut_lines), (total - 30_000, (total - 30_000) / 8));
}

#[test]
fn two_calls_do_not_take_each_others_processes() {
    let dir = tempfile::tempdir().unwrap();
    let command = |line| Command { line, ..plain(dir.path()) };
    let (short, long) = (command("sleep 300 & echo short"), command("( setsid sh -c 'sleep 1; echo late' ) ; echo long"));
    let cancel = CancellationToken::new();
    let (mut a, mut b) = (Ears::default(), Ears::default());
    let (a, b) = block_on(async { tokio::join!(run(&short, &cancel, &mut a), run(&long, &cancel, &mut b)) });
    assert_eq!(text(&a.unwrap()), "short\n");
    assert_eq!(text(&b.unwrap()), "late\nlong\n");
}
