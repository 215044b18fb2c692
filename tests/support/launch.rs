//! Running a program under a watchdog: arguments, environment and stdin in, status and output out.

use super::reply::Api;
use super::server::Server;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What the program reads.
#[derive(Debug, Clone)]
pub enum Stdin {
    /// `/dev/null`: an end of file at once.
    Empty,
    /// These bytes, then an end of file.
    Bytes(Vec<u8>),
    /// A pipe that stays open and silent until the program ends.
    Open,
    /// These few bytes, then the same.
    BytesThenOpen(Vec<u8>),
}

/// Who reads what the program writes to stdout.
#[derive(Debug, Clone, Copy)]
pub enum Stdout {
    Captured,
    /// A pipe whose reader left before the program began, so that each write fails with EPIPE.
    ReaderGone,
    /// A pipe that somebody holds open and never reads: once it is full, each write blocks.
    Unread,
}

/// A program that is about to run. A builder: each call returns it changed.
#[derive(Debug, Clone)]
pub struct Launch {
    program: OsString,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    cwd: PathBuf,
    stdin: Stdin,
    stdout: Stdout,
    limit: Duration,
}

impl Launch {
    /// Starts from an empty environment.
    pub fn new(program: OsString, cwd: PathBuf) -> Self {
        let limit = Duration::from_mins(1);
        Self { program, args: Vec::new(), env: BTreeMap::new(), cwd, stdin: Stdin::Empty, stdout: Stdout::Captured, limit }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Sets a variable that is not set.
    pub fn env_default(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.entry(name.as_ref().to_owned()).or_insert_with(|| value.as_ref().to_owned());
        self
    }

    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.remove(name.as_ref());
        self
    }

    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = cwd.into();
        self
    }

    /// The OpenAI provider's address, a key for it, and a model that speaks Chat Completions unless `--model` names another.
    pub fn model_server(self, server: &Server) -> Self {
        let this = self.env("OPENAI_BASE_URL", server.base_url()).env("OPENAI_API_KEY", "test-key-not-a-secret");
        this.env("PUP_MODEL", Api::Chat.model())
    }

    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    pub fn input(self, text: impl AsRef<[u8]>) -> Self {
        self.stdin(Stdin::Bytes(text.as_ref().to_vec()))
    }

    pub fn stdout(mut self, stdout: Stdout) -> Self {
        self.stdout = stdout;
        self
    }

    /// After this long the watchdog kills the program with its whole group and the test fails. A minute by default.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        self.spawn().wait()
    }

    /// Runs it without a watchdog, for measurements: from start to exit and not a moment longer. Its output goes nowhere.
    pub fn timed(&self) -> ExitStatus {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap_or_else(|e| panic!("cannot start {}: {e}", self.line()))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().envs(&self.env).current_dir(&self.cwd);
        command
    }

    /// Starts it and returns at once.
    pub fn spawn(self) -> Running {
        let mut command = self.command();
        command.stderr(Stdio::piped());
        command.stdout(match self.stdout {
            Stdout::Captured | Stdout::Unread => Stdio::piped(),
            // Only the writing end lives on.
            Stdout::ReaderGone => Stdio::from(std::io::pipe().expect("a pipe").1),
        });
        command.stdin(if matches!(self.stdin, Stdin::Empty) { Stdio::null() } else { Stdio::piped() });
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let line = self.line();
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {line}: {e}"));
        let seen = Arc::new(Seen::default());
        let mut readers = vec![collect(child.stderr.take().expect("a piped stderr"), Arc::clone(&seen), Stream::Err)];
        let mut unread = None;
        match (self.stdout, child.stdout.take()) {
            (Stdout::Unread, out) => unread = out,
            (_, Some(out)) => readers.push(collect(out, Arc::clone(&seen), Stream::Out)),
            (_, None) => {}
        }
        let held = feed(child.stdin.take(), self.stdin);
        Running { child, seen, readers, held, _unread: unread, line, deadline: Instant::now() + self.limit }
    }

    /// The same program as the pseudo terminal wants it.
    pub fn into_pty_command(self) -> (portable_pty::CommandBuilder, Duration) {
        let mut command = portable_pty::CommandBuilder::new(&self.program);
        command.args(&self.args);
        command.env_clear();
        for (name, value) in &self.env {
            command.env(name, value);
        }
        command.cwd(&self.cwd);
        (command, self.limit)
    }

    fn line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }
}

/// Hands stdin its bytes on a thread of its own; returns the pipe where it is to stay open.
fn feed(pipe: Option<ChildStdin>, stdin: Stdin) -> Option<ChildStdin> {
    match (pipe, stdin) {
        (Some(mut pipe), Stdin::Bytes(bytes)) => {
            // A program that leaves without reading its input is no failure of the test.
            thread::spawn(move || drop(pipe.write_all(&bytes)));
            None
        }
        (Some(mut pipe), Stdin::BytesThenOpen(bytes)) => {
            drop(pipe.write_all(&bytes));
            Some(pipe)
        }
        (pipe, _) => pipe,
    }
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Out,
    Err,
}

#[derive(Debug, Default)]
struct Seen {
    bytes: Mutex<(Vec<u8>, Vec<u8>)>,
    grew: Condvar,
}

impl Seen {
    fn texts(&self) -> (String, String) {
        let bytes = self.bytes.lock().unwrap();
        (String::from_utf8_lossy(&bytes.0).into_owned(), String::from_utf8_lossy(&bytes.1).into_owned())
    }
}

fn collect(mut from: impl Read + Send + 'static, into: Arc<Seen>, stream: Stream) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let mut bytes = into.bytes.lock().unwrap();
            match stream {
                Stream::Out => bytes.0.extend_from_slice(&buffer[..n]),
                Stream::Err => bytes.1.extend_from_slice(&buffer[..n]),
            }
            into.grew.notify_all();
        }
    })
}

/// A program that runs. Dropping it kills its group.
pub struct Running {
    child: Child,
    seen: Arc<Seen>,
    readers: Vec<JoinHandle<()>>,
    held: Option<ChildStdin>,
    _unread: Option<ChildStdout>,
    line: String,
    deadline: Instant,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far: stdout and stderr.
    pub fn output(&self) -> (String, String) {
        self.seen.texts()
    }

    /// Waits until `enough` says so of (stdout, stderr); fails at the limit, or when the program ends before.
    pub fn wait_until(&mut self, what: &str, enough: impl Fn(&str, &str) -> bool) {
        loop {
            let ended = self.child.try_wait().expect("the child's state").is_some();
            let (out, err) = self.seen.texts();
            if enough(&out, &err) {
                return;
            }
            assert!(!ended || !self.readers.iter().all(JoinHandle::is_finished), "{} ended before {what}\n{}", self.line, show(&out, &err));
            assert!(Instant::now() < self.deadline, "{}: no {what} in time\n{}", self.line, show(&out, &err));
            let bytes = self.seen.bytes.lock().unwrap();
            drop(self.seen.grew.wait_timeout(bytes, Duration::from_millis(20)));
        }
    }

    /// Types a line into a stdin that was left open.
    pub fn type_line(&mut self, text: &str) {
        let pipe = self.held.as_mut().expect("a stdin that stays open");
        pipe.write_all(format!("{text}\n").as_bytes()).expect("the program reads its input");
        pipe.flush().expect("the program reads its input");
    }

    /// Ends such a stdin.
    pub fn end_input(&mut self) {
        self.held = None;
    }

    /// Sends a signal to the program alone, not to its group.
    #[cfg(unix)]
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("a signal to a running child");
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Outcome {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the child's state") {
                break status;
            }
            self.check_time("did not end in time");
            thread::sleep(Duration::from_millis(2));
        };
        drop(self.held.take());
        while !self.readers.iter().all(JoinHandle::is_finished) {
            self.check_time("ended, but something that it started still holds its output open");
            thread::sleep(Duration::from_millis(2));
        }
        let (stdout, stderr) = self.seen.texts();
        let bytes = self.seen.bytes.lock().unwrap().0.clone();
        Outcome { code: status.code(), signal: signal_of(status), stdout, stdout_bytes: bytes, stderr, line: self.line.clone() }
    }

    fn check_time(&mut self, what: &str) {
        if Instant::now() >= self.deadline {
            self.kill_group();
            let (out, err) = self.seen.texts();
            panic!("{} {what}\n{}", self.line, show(&out, &err));
        }
    }

    fn kill_group(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A child that was waited for has given its number back: that number is nobody's to kill.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill_group();
        }
    }
}

#[cfg(unix)]
fn signal_of(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal_of(_: ExitStatus) -> Option<i32> {
    None
}

/// How a program ended and what it wrote.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stdout_bytes: Vec<u8>,
    pub stderr: String,
    line: String,
}

impl Outcome {
    /// Fails with everything that was written unless the exit code is this one.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(self.code == Some(code), "expected exit code {code}\n{}", self.report());
        self
    }

    /// All of stdout as one JSON value.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("stdout is not one JSON value: {e}\n{}", self.report()))
    }

    /// Each line of stdout as a JSON value.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let parse = |l| serde_json::from_str(l).unwrap_or_else(|e| panic!("not JSON: {l}: {e}\n{}", self.report()));
        self.stdout.lines().map(parse).collect()
    }

    /// The whole of it, for a failure message.
    pub fn report(&self) -> String {
        format!("{}: code {:?}, signal {:?}\n{}", self.line, self.code, self.signal, show(&self.stdout, &self.stderr))
    }
}

fn show(stdout: &str, stderr: &str) -> String {
    format!("--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::TestEnv;
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn sh(env: &TestEnv, script: &str) -> Launch {
        env.command("sh").args(["-c", script])
    }

    /// The message of the panic that `f` must raise.
    fn failure<T>(f: impl FnOnce() -> T) -> String {
        let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { panic!("it should have failed") };
        payload.downcast_ref::<String>().cloned().unwrap_or_default()
    }

    #[test]
    fn status_and_both_streams_come_back() {
        let env = TestEnv::new();
        let out = sh(&env, "cat; echo err >&2; exit 7").input("in\n").run();
        assert_eq!((out.code, out.signal, out.stdout.as_str(), out.stderr.as_str()), (Some(7), None, "in\n", "err\n"));
        assert!(failure(|| out.expect_code(0)).contains("expected exit code 0"));
    }

    #[test]
    fn the_watchdog_kills_the_whole_group_and_shows_the_output_so_far() {
        let env = TestEnv::new();
        let script = "echo begun; sleep 300 & echo $! > child; wait";
        let said = failure(|| sh(&env, script).limit(Duration::from_secs(2)).run());
        assert!(said.contains("did not end in time") && said.contains("begun"), "{said}");
        let child = env.read("child");
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            // Death by a signal takes its moment, and then the corpse may wait for its reaper, as a zombie.
            let state = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
            if state.is_empty() || state.contains(") Z") || state.contains(") X") {
                break;
            }
            assert!(Instant::now() < until, "still alive: {state}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_left_over_that_holds_the_output_fails_the_test() {
        let env = TestEnv::new();
        let said = failure(|| sh(&env, "sleep 300 & echo done").limit(Duration::from_secs(2)).run());
        assert!(said.contains("still holds its output open") && said.contains("done"), "{said}");
    }

    #[test]
    fn stdin_can_stay_open_and_stdout_can_be_gone() {
        let env = TestEnv::new();
        let mut running = sh(&env, "echo ready >&2; cat; echo never").stdin(Stdin::Open).spawn();
        running.wait_until("ready", |_, err| err.contains("ready"));
        running.signal(rustix::process::Signal::TERM);
        let out = running.wait();
        assert!(out.signal == Some(15) || out.code == Some(143), "{}", out.report());
        let out = sh(&env, "trap '' PIPE; echo x || exit 3").stdout(Stdout::ReaderGone).run();
        assert_eq!(out.code, Some(3), "{}", out.report());
    }

    #[test]
    fn waiting_for_what_never_comes_fails_when_the_program_ends() {
        let env = TestEnv::new();
        let said = failure(|| sh(&env, "echo other").spawn().wait_until("greeting", |out, _| out.contains("hello")));
        assert!(said.contains("ended before greeting") && said.contains("other"), "{said}");
    }
}
