//! The one reader of the terminal, on a thread of its own: prompts and questions take turns on it, so two readers never
//! fight for a key.

use super::ahead::Ahead;
use super::command::{goes_on, in_code, unfolded};
use super::complete::Names;
use super::editor::{self, Lines};
use super::terminal::{self, Mode};
use crate::agent::Inbox;
use crate::base::Failure;
use crate::base::redact::Redactor;
use crate::cli::output::{Screen, Style};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{ColorMode, Editor};
use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What came of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D on an empty line, or the terminal is gone.
    End,
    Failed(String),
}

/// What the thread is to read.
#[derive(Debug)]
enum Want {
    Prompt(String),
    /// Shows this before the answer.
    Question(&'static str),
    /// What is typed while a turn runs, until there is something in the pipe.
    Ahead {
        inbox: Inbox,
        later: Inbox,
        screen: Screen,
        hush: PipeReader,
    },
}

/// The chat's side of the reader.
#[derive(Debug)]
pub struct Input {
    mode: Mode,
    want: mpsc::Sender<Want>,
    /// Nothing, once the reader listens no more.
    heard: UnboundedReceiver<Option<Heard>>,
    /// A line that was asked for and is still to come: who asked may have given up meanwhile.
    due: bool,
    /// Lines that were typed before their prompt was there.
    waiting: VecDeque<String>,
    listening: Option<Listening>,
}

/// The reader listens while a turn runs.
#[derive(Debug)]
pub struct Listening {
    hush: PipeWriter,
    inbox: Inbox,
    /// What of it waits for the prompt.
    later: Inbox,
    screen: Screen,
}

/// What typed lines are written to, with secrets replaced.
#[derive(Debug)]
pub struct Memory {
    pub path: PathBuf,
    pub redactor: Redactor,
}

impl Input {
    /// Starts the reader; the failure beside it says why lines will not be remembered.
    pub fn start(mode: Mode, colors: ColorMode, names: Names, memory: Option<Memory>) -> Result<(Self, Option<Failure>), Failure> {
        let (want, wanted) = mpsc::channel();
        let (say, heard) = unbounded_channel();
        let mut trouble = None;
        let reader = match mode {
            Mode::Plain => Reader::Plain,
            Mode::Rich => {
                let pasted = Arc::default();
                let mut lines = editor::prompt(names, colors, &pasted)?;
                let kept = memory.filter(|m| match editor::remember(&mut lines, &m.path) {
                    Ok(()) => true,
                    Err(failure) => {
                        trouble = Some(failure);
                        false
                    }
                });
                let editors = Editors { lines, answers: editor::question(colors)?, memory: kept, colors, pasted };
                Reader::Rich(Box::new(editors))
            }
        };
        let failed = |e| Failure::internal(format!("cannot start the thread that reads the terminal: {e}"));
        // It ends with the process: a read of a terminal cannot be called off.
        std::thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || serve(Hearing { reader, ahead: Ahead::default() }, &wanted, &say))
            .map_err(failed)?;
        Ok((Self { mode, want, heard, due: false, waiting: VecDeque::new(), listening: None }, trouble))
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Reads a prompt, which may have several lines.
    pub async fn prompt(&mut self, name: &str) -> Heard {
        if let Some(line) = self.waiting.pop_front() {
            show(&format!("{name}> {line}\n"));
            return Heard::Line(line);
        }
        if self.mode == Mode::Rich {
            return self.next(Want::Prompt(format!("{name}> "))).await;
        }
        let mut text = String::new();
        show(&format!("{name}> "));
        loop {
            match self.next(Want::Prompt(String::new())).await {
                Heard::Line(line) => text.push_str(&line),
                other => return other,
            }
            if !goes_on(&text) && !in_code(&text) {
                return Heard::Line(unfolded(&text));
            }
            text.push('\n');
            show("... ");
        }
    }

    /// Reads the answer to a question that is on the screen. What was typed before it was there is no answer.
    pub async fn answer(&mut self, shown: &'static str) -> Heard {
        let listening = self.hush().await;
        terminal::forget_typed();
        if self.mode == Mode::Plain {
            show(shown);
        }
        let heard = self.next(Want::Question(shown)).await;
        if let Some(Listening { inbox, screen, .. }) = listening {
            self.listen(inbox, screen);
        }
        heard
    }

    /// These lines wait for the next prompts.
    pub fn wait(&mut self, lines: Vec<String>) {
        lines.into_iter().rev().for_each(|line| self.waiting.push_front(line));
    }

    /// From here on what is typed is for the turn that runs, which takes it out of `inbox`. Where that cannot be, it waits for
    /// the prompt.
    pub fn listen(&mut self, inbox: Inbox, screen: Screen) {
        // A reader that is still in a line of its own cannot.
        if self.due || !cfg!(unix) {
            return;
        }
        let Ok((reader, hush)) = io::pipe() else { return };
        let later = Inbox::default();
        if self.want.send(Want::Ahead { inbox: inbox.clone(), later: later.clone(), screen, hush: reader }).is_ok() {
            self.due = true;
            self.listening = Some(Listening { hush, inbox, later, screen });
        }
    }

    /// Listens no more. What was typed and is not for the turn waits for the prompt.
    pub async fn hush(&mut self) -> Option<Listening> {
        let mut listening = self.listening.take()?;
        // A reader that has gone hears nothing anyway.
        let _ = listening.hush.write_all(b".");
        self.heard.recv().await;
        self.due = false;
        self.waiting.extend(listening.later.take());
        Some(listening)
    }

    async fn next(&mut self, want: Want) -> Heard {
        if !self.due && self.want.send(want).is_err() {
            return Heard::End;
        }
        self.due = true;
        let heard = self.heard.recv().await.flatten().unwrap_or(Heard::End);
        self.due = false;
        heard
    }
}

/// Writes a prompt where the thread's own editor does not.
fn show(prompt: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(prompt.as_bytes()).and_then(|()| out.flush());
}

/// The thread's side.
struct Hearing {
    reader: Reader,
    /// What was typed ahead and is no whole line yet.
    ahead: Ahead,
}

enum Reader {
    Rich(Box<Editors>),
    Plain,
}

struct Editors {
    lines: Lines,
    answers: Editor<(), DefaultHistory>,
    memory: Option<Memory>,
    colors: ColorMode,
    pasted: Arc<AtomicBool>,
}

fn serve(mut hearing: Hearing, wanted: &mpsc::Receiver<Want>, say: &UnboundedSender<Option<Heard>>) {
    while let Ok(want) = wanted.recv() {
        if say.send(hearing.read(want)).is_err() {
            return;
        }
    }
}

impl Hearing {
    fn read(&mut self, want: Want) -> Option<Heard> {
        Some(match (&mut self.reader, want) {
            (_, Want::Ahead { inbox, later, screen, hush }) => {
                listen(&mut self.ahead, &inbox, screen, hush);
                self.ahead.waiting.drain(..).for_each(|line| later.put(line));
                return None;
            }
            (_, Want::Prompt(_)) if std::mem::take(&mut self.ahead.ended) => Heard::End,
            (Reader::Plain, _) => plain(),
            (Reader::Rich(editors), Want::Question(shown)) => editors.answers.readline(shown).map_or_else(|e| heard(&e), Heard::Line),
            (Reader::Rich(editors), Want::Prompt(prompt)) => editors.prompt(prompt, &self.ahead.unfinished()),
        })
    }
}

/// Hears what is typed until there is something in the pipe `hush`.
#[cfg(unix)]
fn listen(ahead: &mut Ahead, inbox: &Inbox, screen: Screen, mut hush: PipeReader) {
    use rustix::event::{PollFd, PollFlags, poll};
    let stdin = rustix::stdio::stdin();
    loop {
        let mut both = [PollFd::new(&hush, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
        // Nothing is heard any more at the input's end; the pipe alone still counts then.
        let open = if ahead.ended { 1 } else { 2 };
        let waited = both.get_mut(..open).map(|fds| poll(fds, None));
        let [end, typed] = both.map(|fd| !fd.revents().is_empty());
        match waited {
            Some(Err(rustix::io::Errno::INTR)) => {}
            Some(Ok(_)) if typed && !end => {
                let mut bytes = [0; 1024];
                match rustix::io::read(stdin, &mut bytes) {
                    Ok(0) => ahead.ended = true,
                    Ok(n) => {
                        for line in ahead.feed(bytes.get(..n).unwrap_or_default()) {
                            screen.line(Style::Dim, &format!("\n  (the model hears next: {line})"));
                            inbox.put(line);
                        }
                    }
                    Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                    Err(_) => ahead.ended = true,
                }
            }
            _ => {
                let _ = hush.read(&mut [0]);
                return;
            }
        }
    }
}

#[cfg(not(unix))]
fn listen(_: &mut Ahead, _: &Inbox, _: Screen, mut hush: PipeReader) {
    let _ = hush.read(&mut [0]);
}

impl Editors {
    /// Reads a prompt; `begun` was typed of it already.
    fn prompt(&mut self, prompt: String, begun: &str) -> Heard {
        let styled = if self.colors == ColorMode::Disabled { prompt.clone() } else { format!("\u{1b}[1m{prompt}\u{1b}[0m") };
        let line = match self.lines.readline_with_initial(&(prompt, styled), (begun, "")) {
            Ok(line) if self.pasted.swap(false, Ordering::Relaxed) => line,
            Ok(line) => unfolded(&line),
            Err(e) => return heard(&e),
        };
        if let Some(memory) = &self.memory {
            remember(&mut self.lines, memory, &line);
        }
        Heard::Line(line)
    }
}

fn remember(lines: &mut Lines, memory: &Memory, line: &str) {
    let kept = lines.add_history_entry(memory.redactor.redact(line)).and_then(|_| lines.append_history(&memory.path));
    if let Err(error) = kept {
        tracing::warn!(%error, path = %memory.path.display(), "the line is not remembered");
    }
}

fn plain() -> Heard {
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(0) => Heard::End,
        Ok(_) => Heard::Line(line.trim_end_matches(['\n', '\r']).to_owned()),
        Err(e) => Heard::Failed(e.to_string()),
    }
}

fn heard(error: &ReadlineError) -> Heard {
    match error {
        ReadlineError::Interrupted => Heard::Interrupted,
        ReadlineError::Eof => Heard::End,
        other => Heard::Failed(other.to_string()),
    }
}
