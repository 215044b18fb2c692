//! The line editor: keys, completion, continued lines, history. Rustyline does the editing; this says how.

use super::command::{goes_on, in_code};
use super::complete::{self, Names};
use crate::base::Failure;
use rustyline::completion::Completer;
use rustyline::config::Configurer;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{
    Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Context, Editor, Event, EventContext, EventHandler, Helper,
    Highlighter, Hinter, KeyCode, KeyEvent, Modifiers, Movement, RepeatCount,
};
use std::path::Path;

/// How many lines are remembered.
const REMEMBERED: usize = 1000;

pub type Lines = Editor<Assist, DefaultHistory>;

/// Completion and the wish for a further line.
#[derive(Helper, Highlighter, Hinter)]
pub struct Assist(Names);

impl Completer for Assist {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete::candidates(line, pos, &self.0))
    }
}

impl Validator for Assist {
    fn validate(&self, typed: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if in_code(typed.input()) { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

/// Enter behind a backslash: the backslash becomes the end of the line, and the text goes on. It is done while typing,
/// so a pasted text keeps its own backslashes.
struct Continue;

impl ConditionalEventHandler for Continue {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, at: &EventContext<'_>) -> Option<Cmd> {
        let before = at.line().get(..at.pos())?;
        goes_on(before).then(|| Cmd::Replace(Movement::BackwardChar(1), Some("\n".to_owned())))
    }
}

/// Ctrl-C first empties the line; on an empty one it is an interrupt.
struct Clear;

impl ConditionalEventHandler for Clear {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, at: &EventContext<'_>) -> Option<Cmd> {
        Some(if at.line().is_empty() { Cmd::Interrupt } else { Cmd::Kill(Movement::WholeBuffer) })
    }
}

/// The editor of the prompt.
pub fn prompt(names: Names, colors: ColorMode) -> Result<Lines, Failure> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .max_history_size(REMEMBERED)
        .and_then(|c| c.history_ignore_dups(true))
        .map_err(|e| failed(&e))?
        .history_ignore_space(true)
        .bell_style(rustyline::config::BellStyle::None)
        .color_mode(colors)
        .build();
    let mut editor = Editor::with_config(config).map_err(|e| failed(&e))?;
    editor.set_helper(Some(Assist(names)));
    editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::NONE), EventHandler::Conditional(Box::new(Continue)));
    editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
    editor.bind_sequence(KeyEvent::ctrl('C'), EventHandler::Conditional(Box::new(Clear)));
    Ok(editor)
}

/// The editor of a question: no completion, nothing remembered, and Ctrl-C is an answer.
pub fn question(colors: ColorMode) -> Result<Editor<(), DefaultHistory>, Failure> {
    let mut editor = Editor::new().map_err(|e| failed(&e))?;
    editor.set_color_mode(colors);
    editor.set_bell_style(rustyline::config::BellStyle::None);
    Ok(editor)
}

/// Loads what was typed before; the file is made, readable by its owner alone, where there is none. The failure says why
/// nothing will be remembered.
pub fn remember(editor: &mut Lines, path: &Path) -> Result<(), Failure> {
    private(path).map_err(|e| Failure::io("open", path, &e))?;
    editor.load_history(path).map_err(|e| Failure::config(format!("cannot read {}: {e}", path.display())))
}

fn private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn failed(error: &rustyline::error::ReadlineError) -> Failure {
    Failure::config(format!("the line editor cannot work on this terminal: {error}")).hint("TERM=dumb pup does without it")
}
