//! Asking a person at a terminal whether a call may run.

use super::output::{Screen, Style};
use crate::agent::{Answer, Approver, Question};
use crate::base::text;
use std::io::{self, IsTerminal};
use std::pin::Pin;

/// The most lines of a diff or command that are shown.
const PREVIEW_LINES: usize = 100;

/// Asks on stderr and reads one line of stdin. Without a terminal on both sides the answer is no, and nothing is asked.
#[derive(Debug)]
pub struct TerminalApprover {
    screen: Screen,
    possible: bool,
}

impl TerminalApprover {
    pub fn new(screen: Screen) -> Self {
        Self { screen, possible: can_ask() }
    }
}

/// Whether a question could be seen and answered.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Puts a question on the screen: what the call would change or run, then the call itself. Nothing in it can hide.
pub fn put(screen: Screen, question: &Question<'_>) {
    let preview = text::visible(question.preview.as_deref().unwrap_or_default());
    let diff = preview.starts_with("--- ");
    for line in preview.lines().take(PREVIEW_LINES) {
        screen.always(if diff { Style::of_diff(line) } else { Style::Dim }, &format!("  {line}"));
    }
    let more = preview.lines().count().saturating_sub(PREVIEW_LINES);
    if more > 0 {
        screen.always(Style::Yellow, &format!("  ({more} more lines, not shown)"));
    }
    screen.always(Style::Yellow, &format!("? allow {}", text::visible(question.line)));
}

/// What a person's line means, if it is an answer.
pub fn understood(line: &str) -> Option<Answer> {
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Some(Answer::Yes),
        "n" | "no" => Some(Answer::No),
        "a" | "always" => Some(Answer::Always),
        _ => None,
    }
}

impl Approver for TerminalApprover {
    fn ask<'a>(&'a mut self, question: Question<'a>) -> Pin<Box<dyn Future<Output = Answer> + 'a>> {
        Box::pin(async move {
            if !self.possible {
                return Answer::No;
            }
            put(self.screen, &question);
            self.screen.always(Style::Yellow, "  [y]es, [n]o, [a]lways in this run");
            loop {
                // Reading a terminal blocks, so it has a thread of its own; the line it waits for is the answer.
                let line = tokio::task::spawn_blocking(|| {
                    let mut line = String::new();
                    io::stdin().read_line(&mut line).map(|n| (n, line))
                });
                match line.await {
                    Ok(Ok((n, line))) if n > 0 => match understood(&line) {
                        Some(answer) => return answer,
                        None => self.screen.always(Style::Yellow, "? please answer y, n or a"),
                    },
                    _ => return Answer::No,
                }
            }
        })
    }
}
