//! Approvals in a chat: the question with its diff or command on the screen, the answer through the one reader.

use super::input::{Heard, Input};
use crate::agent::{Answer, Approver, Question, Stopper};
use crate::base::Cause;
use crate::cli::ask;
use crate::cli::output::{Screen, Style};
use std::pin::Pin;

/// Asks for the length of a turn.
pub struct Asker<'a> {
    pub input: &'a mut Input,
    pub screen: Screen,
    /// Ctrl-C at a question stops the turn, as it does at any other time.
    pub stopper: Stopper,
}

impl Approver for Asker<'_> {
    fn ask<'a>(&'a mut self, question: Question<'a>) -> Pin<Box<dyn Future<Output = Answer> + 'a>> {
        Box::pin(async move {
            ask::put(self.screen, &question);
            loop {
                match self.input.answer().await {
                    Heard::Line(line) => match ask::understood(&line) {
                        Some(answer) => return answer,
                        None => self.screen.line(Style::Yellow, "please answer y, n or a (always)"),
                    },
                    Heard::Interrupted => {
                        self.stopper.stop(Cause::Interrupted);
                        return Answer::No;
                    }
                    Heard::End | Heard::Failed(_) => return Answer::No,
                }
            }
        })
    }
}
