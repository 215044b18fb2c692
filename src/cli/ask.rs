//! Asking a person at a terminal whether a call may run.

use super::output::{Screen, Style};
use crate::agent::{Answer, Approver, Question};
use std::io::{self, IsTerminal};
use std::pin::Pin;

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

impl Approver for TerminalApprover {
    fn ask<'a>(&'a mut self, question: Question<'a>) -> Pin<Box<dyn Future<Output = Answer> + 'a>> {
        Box::pin(async move {
            if !self.possible {
                return Answer::No;
            }
            if let Some(preview) = &question.preview {
                for line in preview.lines().take(60) {
                    self.screen.always(Style::Dim, &format!("  {line}"));
                }
            }
            self.screen.always(Style::Yellow, &format!("? allow {}   [y]es, [n]o, [a]lways in this run", question.line));
            loop {
                // Reading a terminal blocks, so it has a thread of its own; the line it waits for is the answer.
                let line = tokio::task::spawn_blocking(|| {
                    let mut line = String::new();
                    io::stdin().read_line(&mut line).map(|n| (n, line))
                });
                match line.await {
                    Ok(Ok((n, line))) if n > 0 => match line.trim().to_ascii_lowercase().as_str() {
                        "y" | "yes" => return Answer::Yes,
                        "n" | "no" => return Answer::No,
                        "a" | "always" => return Answer::Always,
                        _ => self.screen.always(Style::Yellow, "? please answer y, n or a"),
                    },
                    _ => return Answer::No,
                }
            }
        })
    }
}
