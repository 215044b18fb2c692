//! A program at work: its input is written, its output read, its complaints kept, and it ends with all that it started.

use crate::base::tree::{self, Call, Shell};
use crate::base::{id, text};
use bytes::Bytes;
use process_wrap::tokio::{CommandWrap, ProcessSession};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const CHUNK: usize = 64 * 1024;
/// The most that is kept of complaints, from their end.
const COMPLAINTS: usize = 8 * 1024;
/// How long a program may take to end after it has closed its output.
const LINGER: Duration = Duration::from_secs(5);
/// How long what is left of its output is waited for once it has ended.
const DRAIN: Duration = Duration::from_millis(200);
/// Another process that still writes the file (an update, say) is waited for.
const BUSY: [Duration; 3] = [Duration::from_millis(20), Duration::from_millis(80), Duration::from_millis(200)];

/// What is started, and how.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub name: &'static str,
    pub path: &'a Path,
    pub args: &'a [String],
    pub cwd: &'a Path,
    pub unset: Vec<&'a str>,
    pub set: &'static [(&'static str, &'static str)],
    pub input: Option<String>,
}

type Tail = Arc<Mutex<VecDeque<u8>>>;

/// A started program. Dropped, it is killed with its tree.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    child: Shell,
    call: Call,
    out: ChildStdout,
    buffer: Vec<u8>,
    complaints: Tail,
    /// Hears its complaints.
    listener: JoinHandle<()>,
    /// That it has ended while its output is still open.
    status: Option<io::Result<ExitStatus>>,
    /// How it ended, for a person, once it has.
    ended: Option<String>,
    /// Is removed when the program needs it no more.
    file: Option<NamedTempFile>,
}

impl Child {
    pub(super) fn start(start: Start<'_>) -> io::Result<Self> {
        tree::adopt_orphans();
        let marker = id::fresh(16);
        let mut waits = BUSY.iter();
        let (mut child, call) = loop {
            match spawn(&start, &marker) {
                Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy => match waits.next() {
                    Some(wait) => std::thread::sleep(*wait),
                    None => return Err(e),
                },
                other => break other?,
            }
        };
        let (input, out, err) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
        let (Some(out), Some(err)) = (out, err) else {
            tree::kill_now(&call, &mut child);
            return Err(io::Error::other("the program has no output"));
        };
        if let (Some(pipe), Some(text)) = (input, start.input) {
            tokio::spawn(write(pipe, text));
        }
        let complaints = Tail::default();
        let listener = tokio::spawn(listen(err, Arc::clone(&complaints)));
        Ok(Self { listener, name: start.name, child, call, out, buffer: vec![0; CHUNK], complaints, status: None, ended: None, file: None })
    }

    /// With a file that lives as long as the program.
    pub(super) fn keeping(mut self, file: Option<NamedTempFile>) -> Self {
        self.file = file;
        self
    }

    /// The next piece of its output. At the end of that, the program and all that it started have ended.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        if self.ended.is_some() {
            return Ok(None);
        }
        let read = if self.status.is_none() {
            tokio::select! {
                biased;
                read = self.out.read(&mut self.buffer) => Some(read),
                status = self.child.wait() => {
                    self.status = Some(status);
                    None
                }
            }
        } else {
            None
        };
        let read = match read {
            Some(read) => read?,
            // What it left running may hold its output open; it is not waited for.
            None => timeout(DRAIN, self.out.read(&mut self.buffer)).await.unwrap_or(Ok(0))?,
        };
        if read == 0 {
            self.end().await;
            return Ok(None);
        }
        Ok(Some(Bytes::copy_from_slice(self.buffer.get(..read).unwrap_or_default())))
    }

    async fn end(&mut self) {
        let status = match self.status.take() {
            Some(status) => Ok(status),
            None => timeout(LINGER, self.child.wait()).await,
        };
        tree::end_all(&self.call, &mut self.child).await;
        // What could not be ended may hold that channel open too.
        let _ = timeout(DRAIN, &mut self.listener).await;
        self.ended = Some(match status {
            Ok(Ok(status)) if status.success() => format!("{} ended", self.name),
            Ok(Ok(status)) => format!("{} ended with {status}", self.name),
            Ok(Err(e)) => format!("{} was lost sight of: {e}", self.name),
            Err(_) => format!("{} closed its output and did not end", self.name),
        });
        self.file = None;
    }

    /// How it ended and what it complained of, once it has ended.
    pub fn last_words(&self) -> Option<String> {
        let ended = self.ended.as_ref()?;
        let mut tail = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let said = text::strip_controls(&String::from_utf8_lossy(tail.make_contiguous()));
        // The reason is what it said last.
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default().join("; ");
        Some(if last.is_empty() { ended.clone() } else { format!("{ended}: {}", text::one_line(&last, 300)) })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.listener.abort();
        if self.ended.is_none() {
            tree::kill_now(&self.call, &mut self.child);
        }
    }
}

fn spawn(start: &Start<'_>, marker: &str) -> io::Result<(Shell, Call)> {
    let mut wrap = CommandWrap::with_new(start.path, |c| {
        c.args(start.args).current_dir(start.cwd);
        c.stdin(if start.input.is_some() { Stdio::piped() } else { Stdio::null() }).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in &start.unset {
            c.env_remove(name);
        }
        c.envs(start.set.iter().copied()).env(tree::MARKER, marker);
    });
    wrap.wrap(ProcessSession);
    Call::start(marker, || Ok(wrap.spawn()?.into_inner()))
}

/// A program that reads no further has its reasons, and tells them itself.
async fn write(mut pipe: ChildStdin, text: String) {
    if pipe.write_all(text.as_bytes()).await.is_ok() {
        let _ = pipe.shutdown().await;
    }
}

async fn listen(mut pipe: ChildStderr, tail: Tail) {
    let mut buffer = vec![0; 4096];
    while let Ok(n @ 1..) = pipe.read(&mut buffer).await {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend(buffer.get(..n).unwrap_or_default());
        let more = tail.len().saturating_sub(COMPLAINTS);
        tail.drain(..more);
    }
}
