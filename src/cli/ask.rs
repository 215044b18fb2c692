//! Asking a person at a terminal whether a call may run.

use super::output::{Screen, Style};
use crate::agent::{Answer, Approver, Question};
use crate::base::text;
use crate::tool::person::Inquiry;
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
    // The file's name is in the question.
    let lines = preview.lines().skip_while(|l| diff && (l.starts_with("--- ") || l.starts_with("+++ ")));
    for line in lines.clone().take(PREVIEW_LINES) {
        screen.always(if diff { Style::of_diff(line) } else { Style::Dim }, &format!("  {line}"));
    }
    let more = lines.count().saturating_sub(PREVIEW_LINES);
    if more > 0 {
        screen.always(Style::Yellow, &format!("  ({more} more lines, not shown)"));
    }
    screen.always(Style::Yellow, &format!("? allow {}", text::visible(question.line)));
}

/// Puts a question of the model's on the screen.
pub fn put_inquiry(screen: Screen, inquiry: &Inquiry) {
    let question = text::visible(&inquiry.question);
    for (n, line) in question.lines().enumerate() {
        screen.always(Style::Yellow, &format!("{} {line}", if n == 0 { "?" } else { " " }));
    }
    for (n, choice) in inquiry.choices.iter().enumerate() {
        screen.always(Style::Plain, &format!("  {}. {}", n + 1, text::visible(choice)));
    }
}

/// What is asked for below a question of the model's.
pub fn wanted(inquiry: &Inquiry) -> &'static str {
    if inquiry.choices.is_empty() { "answer> " } else { "a number, or your own words> " }
}

/// What a line answers: a choice by its number, or the words themselves; nothing where it is blank.
pub fn chosen(inquiry: &Inquiry, line: &str) -> Option<String> {
    let line = line.trim();
    let by_number = line.parse::<usize>().ok().and_then(|n| inquiry.choices.get(n.checked_sub(1)?));
    by_number.cloned().or_else(|| (!line.is_empty()).then(|| line.to_owned()))
}

/// One line of stdin; `None` at its end. Reading a terminal blocks, so it has a thread of its own.
async fn read_line() -> Option<String> {
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|n| (n, line))
    });
    match line.await {
        Ok(Ok((n, line))) if n > 0 => Some(line),
        _ => None,
    }
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
                let Some(line) = read_line().await else { return Answer::No };
                match understood(&line) {
                    Some(answer) => return answer,
                    None => self.screen.always(Style::Yellow, "? please answer y, n or a"),
                }
            }
        })
    }

    fn inquire<'a>(&'a mut self, inquiry: &'a Inquiry) -> Pin<Box<dyn Future<Output = Option<String>> + 'a>> {
        Box::pin(async move {
            if !self.possible {
                return None;
            }
            put_inquiry(self.screen, inquiry);
            loop {
                self.screen.always(Style::Yellow, &format!("  {}", wanted(inquiry).trim_end()));
                let answer = chosen(inquiry, &read_line().await?);
                if answer.is_some() {
                    return answer;
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_choice_and_words_are_words() {
        let inquiry = Inquiry { question: "?".into(), choices: vec!["red".into(), "blue".into()] };
        let rows = [
            ("1", Some("red")),
            (" 2\n", Some("blue")),
            ("3", Some("3")),
            ("0", Some("0")),
            ("none of them", Some("none of them")),
            (" \n", None),
        ];
        for (line, answer) in rows {
            assert_eq!(chosen(&inquiry, line).as_deref(), answer, "{line}");
        }
    }
}
