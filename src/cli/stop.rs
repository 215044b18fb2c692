//! What stops a run from outside: signals and the clock. It waits on a thread of its own, because the run's thread may be
//! held up in a write that nobody reads.

use crate::agent::Stopper;
use crate::base::{Cause, Failure, tree};
use std::time::Duration;

/// How long a stopped run may take to end its commands and to say what happened.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// The same once somebody has asked a second time: enough to end commands that do not want to.
pub const LITTLE_PATIENCE: Duration = Duration::from_millis(2500);

/// Stops the run on SIGINT, SIGTERM, SIGHUP, or after `timeout`; ends the process if it does not come to its end then.
pub fn watch(stopper: &Stopper, timeout: Option<Duration>) -> Result<(), Failure> {
    let stopper = stopper.clone();
    beside(move |signals| async move { wait(signals, &stopper, timeout).await })
}

/// Ends the process at the first signal, for what only looks and has nothing to bring to an end. The default would do, but
/// whoever starts a program behind a `&` in a script has it ignore SIGINT, and an endless look should still be stoppable.
pub fn end_on_signal() -> Result<(), Failure> {
    beside(|mut signals| async move { std::process::exit(i32::from(signals.next().await.exit_code())) })
}

/// Runs `then` on a thread of its own, which ends with the process: a run is the last thing that a process does.
fn beside<F: Future<Output = ()>>(then: impl FnOnce(Signals) -> F + Send + 'static) -> Result<(), Failure> {
    let failed = |e| Failure::internal(format!("cannot watch for signals: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let signals = {
        let _inside = runtime.enter();
        Signals::new().map_err(failed)?
    };
    let wait = move || runtime.block_on(then(signals));
    std::thread::Builder::new().name("stop".to_owned()).spawn(wait).map(drop).map_err(failed)
}

async fn wait(mut signals: Signals, stopper: &Stopper, timeout: Option<Duration>) {
    let first = tokio::select! {
        cause = signals.next() => cause,
        () = after(timeout) => Cause::Limit,
    };
    stopper.stop(first);
    let end = tokio::time::Instant::now() + PATIENCE;
    tokio::select! {
        () = tokio::time::sleep_until(end) => {}
        _ = signals.next() => tokio::time::sleep_until(end.min(tokio::time::Instant::now() + LITTLE_PATIENCE)).await,
    }
    tree::end_now();
    std::process::exit(i32::from(first.exit_code()));
}

async fn after(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

/// The signals that end a run.
#[cfg(unix)]
pub struct Signals {
    int: tokio::signal::unix::Signal,
    term: tokio::signal::unix::Signal,
    /// None where hang-ups are to be ignored, as `nohup` arranges it.
    hup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    /// Inside a tokio runtime.
    pub fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let hup = if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { int: signal(SignalKind::interrupt())?, term: signal(SignalKind::terminate())?, hup })
    }

    /// The next one, as the cause of an end.
    pub async fn next(&mut self) -> Cause {
        let hung_up = async {
            match &mut self.hup {
                Some(hup) => hup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.int.recv() => Cause::Interrupted,
            _ = self.term.recv() => Cause::Terminated,
            _ = hung_up => Cause::Terminated,
        }
    }
}

/// Whether whoever started this process told it to ignore SIGHUP. Linux says so in `/proc/self/status` (proc(5), a mask
/// in hexadecimal, signal 1 in bit 0); elsewhere a hang-up keeps its default, which is to end the process.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return true };
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:")).and_then(|m| u64::from_str_radix(m.trim(), 16).ok());
    mask.is_none_or(|m| m & 1 == 1)
}

#[cfg(not(unix))]
pub struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Inside a tokio runtime.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// The next one, as the cause of an end.
    pub async fn next(&mut self) -> Cause {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Cause::Interrupted
    }
}
