//! Commands in the background: each on a thread of its own, so that its output is taken while nobody asks for it. None outlives
//! the session: whoever ends that ends them, and what a killed pup leaves is found by its session's mark.

use super::command_log::{Log, Logs};
use super::{CallEvents, Context};
use crate::base::redact::Redactor;
use crate::base::{Failure, text};
use crate::workspace::process::{self, Command, Finished, ProcessError, Spawned, Watch};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// How many may run at a time.
pub const MOST: usize = 8;

/// What is to run, and how it is bounded.
#[derive(Debug, Clone)]
pub struct Line {
    pub line: String,
    pub cwd: PathBuf,
    pub timeout: Duration,
    pub tty: bool,
}

/// A session's background commands, and the logs of all of its commands.
#[derive(Debug, Default)]
pub struct Jobs {
    /// None where the session is not recorded: logs then last as long as this.
    recorded: Option<Logs>,
    own: Mutex<Option<(tempfile::TempDir, Arc<Logs>)>>,
    jobs: Mutex<BTreeMap<u64, Arc<Job>>>,
}

/// One of them.
#[derive(Debug)]
pub struct Job {
    pub number: u64,
    /// The command, redacted, on one line.
    pub line: String,
    /// The call that began it.
    pub owner: Arc<str>,
    pub started: Instant,
    pub timeout: Duration,
    pub log: PathBuf,
    /// Up to where the log has been shown.
    pub shown: Mutex<u64>,
    end: watch::Receiver<Option<End>>,
    stop: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How it ended, or why nobody knows.
pub type End = Result<Finished, String>;

/// Why a command did not begin.
pub enum NotBegun {
    TooMany,
    Log(io::Error),
    Command(String),
    /// The run cannot go on.
    Fatal(Failure),
}

impl Jobs {
    /// Of a session whose logs are kept in `folder`.
    pub fn recorded(folder: PathBuf) -> Self {
        Self { recorded: Some(Logs::new(folder)), own: Mutex::default(), jobs: Mutex::default() }
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A log for a command in the foreground, where it is of use to anybody.
    pub fn log(&self) -> Option<Log> {
        let log = self.recorded.as_ref()?.create();
        log.inspect_err(|e| tracing::warn!(%e, "no log of a command")).ok()
    }

    /// Where the log of that number is, if it is there.
    pub fn log_path(&self, number: u64) -> Option<PathBuf> {
        let job = self.get(number).map(|j| j.log.clone());
        job.or_else(|| Some(self.recorded.as_ref()?.path(number))).filter(|path| path.is_file())
    }

    fn create_log(&self) -> io::Result<Log> {
        if let Some(logs) = &self.recorded {
            return logs.create();
        }
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let logs = if let Some((_, logs)) = &*own {
            Arc::clone(logs)
        } else {
            let folder = tempfile::Builder::new().prefix("pup-commands-").tempdir()?;
            let logs = Arc::new(Logs::new(folder.path().to_path_buf()));
            *own = Some((folder, Arc::clone(&logs)));
            logs
        };
        logs.create()
    }

    pub fn get(&self, number: u64) -> Option<Arc<Job>> {
        self.jobs().get(&number).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Job>> {
        self.jobs().values().cloned().collect()
    }

    /// Whether there ever was one.
    pub fn any(&self) -> bool {
        !self.jobs().is_empty()
    }

    /// Those that run, in words; none run without words.
    pub fn running(&self) -> Option<String> {
        let lines: Vec<String> = self.all().iter().filter(|j| j.end().is_none()).map(|j| j.line.clone()).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    /// Starts a command. It has begun, and is journalled, when this returns.
    pub async fn start(&self, line: Line, ctx: &Context) -> Result<Arc<Job>, NotBegun> {
        if self.all().iter().filter(|j| j.end().is_none()).count() >= MOST {
            return Err(NotBegun::TooMany);
        }
        let log = self.create_log().map_err(NotBegun::Log)?;
        let (number, path) = (log.number, log.path.clone());
        let (begun, has_begun) = oneshot::channel();
        let (ended, end) = watch::channel(None);
        let stop = CancellationToken::new();
        let shown = text::one_line(&ctx.redactor.redact(&line.line), 80);
        let timeout = line.timeout;
        let (events, hidden) = (Arc::clone(&ctx.events), Arc::clone(&ctx.hidden));
        let (session, supervisor) = (ctx.session.clone(), ctx.supervisor.clone());
        let reporter =
            Reporter { events, call: Arc::clone(&ctx.call), log, redactor: Arc::clone(&ctx.redactor), begun: Some(begun), refused: None };
        let token = stop.clone();
        let carry = move || carry_out(&line, &hidden, (session.as_deref(), supervisor.as_deref()), &token, reporter, &ended);
        let thread = std::thread::Builder::new().name(format!("command {number}")).spawn(carry).map_err(NotBegun::Log)?;
        let job = Arc::new(Job {
            number,
            line: shown,
            owner: Arc::clone(&ctx.call),
            started: Instant::now(),
            timeout,
            log: path,
            shown: Mutex::new(0),
            end,
            stop,
            thread: Mutex::new(Some(thread)),
        });
        // Before the wait, which may be given up: then it still is ended with the others.
        self.jobs().insert(number, Arc::clone(&job));
        let why = match has_begun.await {
            Ok(Ok(())) => return Ok(job),
            Ok(Err(failure)) => NotBegun::Fatal(failure),
            Err(_) => {
                job.join();
                NotBegun::Command(job.end().and_then(Result::err).unwrap_or_else(|| "the command did not begin".to_owned()))
            }
        };
        self.jobs().remove(&number);
        Err(why)
    }

    /// Ends all of them; returns those that were running. Takes as long as the most stubborn of them.
    pub fn end_all(&self) -> Vec<Arc<Job>> {
        let all: Vec<Arc<Job>> = std::mem::take(&mut *self.jobs()).into_values().collect();
        let running: Vec<Arc<Job>> = all.iter().filter(|j| j.end().is_none()).cloned().collect();
        for job in &running {
            job.stop.cancel();
        }
        for job in &all {
            job.join();
        }
        running
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.end_all();
    }
}

impl Job {
    /// None while it runs.
    pub fn end(&self) -> Option<End> {
        self.end.borrow().clone()
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }

    pub async fn ended(&self) {
        // An error means that the thread is gone, which is an end too.
        let _ = self.end.clone().wait_for(Option::is_some).await;
    }

    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there was told on standard error.
            let _ = thread.join();
        }
    }
}

fn carry_out(
    line: &Line,
    hidden: &[String],
    (session, supervisor): (Option<&str>, Option<&Path>),
    stop: &CancellationToken,
    mut reporter: Reporter,
    ended: &watch::Sender<Option<End>>,
) {
    let Line { line, cwd, timeout, tty } = line;
    let command = Command { line, cwd, timeout: *timeout, hidden, session, tty: *tty, supervisor, keep: 0 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let end = match runtime {
        Ok(runtime) => runtime.block_on(process::run(&command, stop, &mut reporter)).map_err(|e| match e {
            ProcessError::Watch(_) => "its beginning could not be recorded".to_owned(),
            ProcessError::Spawn(_) | ProcessError::Io(_) => e.to_string(),
        }),
        Err(e) => Err(format!("the command cannot be started: {e}")),
    };
    reporter.log.end(&reporter.redactor);
    ended.send_replace(Some(end));
    // Where it did not begin, dropping the sender says so.
    if let (Some(failure), Some(begun)) = (reporter.refused, reporter.begun) {
        let _ = begun.send(Err(failure));
    }
}

struct Reporter {
    events: Arc<dyn CallEvents>,
    call: Arc<str>,
    log: Log,
    redactor: Arc<Redactor>,
    begun: Option<oneshot::Sender<Result<(), Failure>>>,
    refused: Option<Failure>,
}

impl Watch for Reporter {
    fn spawned(&mut self, process: &Spawned) -> Result<(), Failure> {
        if let Err(failure) = self.events.spawned(&self.call, process) {
            self.refused = Some(failure.clone());
            return Err(failure);
        }
        if let Some(begun) = self.begun.take() {
            // Nobody waits any more where the run was given up; then the job is ended.
            let _ = begun.send(Ok(()));
        }
        Ok(())
    }

    fn output(&mut self, bytes: &[u8]) {
        self.log.push(bytes, &self.redactor);
    }
}
