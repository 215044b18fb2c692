//! The one reader of the terminal, on a thread of its own: prompts and questions take turns on it, so two readers never
//! fight for a key.

use super::command::{goes_on, in_code};
use super::complete::Names;
use super::editor::{self, Lines};
use super::terminal::{self, Mode};
use crate::base::Failure;
use crate::base::redact::Redactor;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{ColorMode, Editor};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc;
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
    Question,
}

/// The chat's side of the reader.
#[derive(Debug)]
pub struct Input {
    mode: Mode,
    want: mpsc::Sender<Want>,
    heard: UnboundedReceiver<Heard>,
    /// A line that was asked for and is still to come: who asked may have given up meanwhile.
    due: bool,
}

/// What typed lines are written to, with secrets replaced.
#[derive(Debug)]
pub struct Memory {
    pub path: PathBuf,
    pub redactor: Redactor,
}

/// Shown before the answer to a question.
const QUESTION: &str = "[y]es [n]o [a]lways> ";

impl Input {
    /// Starts the reader; the failure beside it says why lines will not be remembered.
    pub fn start(mode: Mode, colors: ColorMode, names: Names, memory: Option<Memory>) -> Result<(Self, Option<Failure>), Failure> {
        let (want, wanted) = mpsc::channel();
        let (say, heard) = unbounded_channel();
        let mut trouble = None;
        let reader = match mode {
            Mode::Plain => Reader::Plain,
            Mode::Rich => {
                let mut lines = editor::prompt(names, colors)?;
                let kept = memory.filter(|m| match editor::remember(&mut lines, &m.path) {
                    Ok(()) => true,
                    Err(failure) => {
                        trouble = Some(failure);
                        false
                    }
                });
                Reader::Rich { lines: Box::new(lines), answers: Box::new(editor::question(colors)?), memory: kept, colors }
            }
        };
        let failed = |e| Failure::internal(format!("cannot start the thread that reads the terminal: {e}"));
        // It ends with the process: a read of a terminal cannot be called off.
        std::thread::Builder::new().name("input".to_owned()).spawn(move || serve(reader, &wanted, &say)).map_err(failed)?;
        Ok((Self { mode, want, heard, due: false }, trouble))
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Reads a prompt, which may have several lines.
    pub async fn prompt(&mut self, name: &str) -> Heard {
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
            if goes_on(&text) {
                text.pop();
            } else if !in_code(&text) {
                return Heard::Line(text);
            }
            text.push('\n');
            show("... ");
        }
    }

    /// Reads the answer to a question that is on the screen. What was typed before it was there is no answer.
    pub async fn answer(&mut self) -> Heard {
        terminal::forget_typed();
        if self.mode == Mode::Plain {
            show(QUESTION);
        }
        self.next(Want::Question).await
    }

    async fn next(&mut self, want: Want) -> Heard {
        if !self.due && self.want.send(want).is_err() {
            return Heard::End;
        }
        self.due = true;
        let heard = self.heard.recv().await.unwrap_or(Heard::End);
        self.due = false;
        heard
    }
}

/// Writes a prompt where the thread's own editor does not.
fn show(prompt: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(prompt.as_bytes()).and_then(|()| out.flush());
}

enum Reader {
    Rich { lines: Box<Lines>, answers: Box<Editor<(), DefaultHistory>>, memory: Option<Memory>, colors: ColorMode },
    Plain,
}

fn serve(mut reader: Reader, wanted: &mpsc::Receiver<Want>, say: &UnboundedSender<Heard>) {
    while let Ok(want) = wanted.recv() {
        if say.send(reader.read(want)).is_err() {
            return;
        }
    }
}

impl Reader {
    fn read(&mut self, want: Want) -> Heard {
        match (self, want) {
            (Self::Plain, _) => plain(),
            (Self::Rich { answers, .. }, Want::Question) => answers.readline(QUESTION).map_or_else(|e| heard(&e), Heard::Line),
            (Self::Rich { lines, memory, colors, .. }, Want::Prompt(prompt)) => {
                let styled = if *colors == ColorMode::Disabled { prompt.clone() } else { format!("\u{1b}[1m{prompt}\u{1b}[0m") };
                let line = match lines.readline(&(prompt, styled)) {
                    Ok(line) => line,
                    Err(e) => return heard(&e),
                };
                if let Some(memory) = memory {
                    remember(lines, memory, &line);
                }
                Heard::Line(line)
            }
        }
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
