//! Approvals in a chat: the question with its diff or command on the screen, the answer through the one reader.

use super::input::{Heard, Input};
use super::metered::Approved;
use crate::agent::{Answer, Approver, Question, Stopper};
use crate::base::Cause;
use crate::cli::ask;
use crate::cli::output::{Screen, Style};
use crate::tool::person::Inquiry;
use std::pin::Pin;

/// Shown before the answer to an approval.
const QUESTION: &str = "[y]es [n]o [a]lways> ";

/// Asks for the length of a turn.
pub struct Asker<'a> {
    pub input: &'a mut Input,
    pub screen: Screen,
    pub approved: Approved,
    /// Ctrl-C at a question stops the turn, as it does at any other time.
    pub stopper: Stopper,
}

impl Approver for Asker<'_> {
    fn ask<'a>(&'a mut self, question: Question<'a>) -> Pin<Box<dyn Future<Output = Answer> + 'a>> {
        Box::pin(async move {
            ask::put(self.screen, &question);
            self.approved.replace(question.preview.clone());
            loop {
                match self.input.answer(QUESTION).await {
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

    fn inquire<'a>(&'a mut self, inquiry: &'a Inquiry) -> Pin<Box<dyn Future<Output = Option<String>> + 'a>> {
        Box::pin(async move {
            ask::put_inquiry(self.screen, inquiry);
            loop {
                match self.input.answer(ask::wanted(inquiry)).await {
                    Heard::Line(line) => {
                        if let Some(answer) = ask::chosen(inquiry, &line) {
                            return Some(answer);
                        }
                        self.screen.line(Style::Yellow, "please say something; Ctrl-D gives no answer, Ctrl-C stops the turn");
                    }
                    Heard::Interrupted => {
                        self.stopper.stop(Cause::Interrupted);
                        return None;
                    }
                    Heard::End | Heard::Failed(_) => return None,
                }
            }
        })
    }
}
