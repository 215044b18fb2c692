//! One face for several agents at work: what each does is shown with its name, and one question is asked at a time.

use crate::agent::delegate::Board;
use crate::agent::{AgentEvent, Answer, Approver, ChildEvent, EventSink, Question};
use crate::tool::person::Inquiry;
use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The face of a session, lent to all that work for it.
pub struct SharedFace<'a> {
    sink: RefCell<&'a mut dyn EventSink>,
    approver: Mutex<&'a mut dyn Approver>,
}

impl<'a> SharedFace<'a> {
    pub fn new(sink: &'a mut dyn EventSink, approver: &'a mut dyn Approver) -> Self {
        Self { sink: RefCell::new(sink), approver: Mutex::new(approver) }
    }

    /// Nobody holds the sink over an await, so it is always free.
    fn show(&self, event: AgentEvent<'_>) {
        if let Ok(mut sink) = self.sink.try_borrow_mut() {
            sink.emit(event);
        } else {
            tracing::error!("an event was lost: the face is in use");
        }
    }
}

/// The face as the session's own agent has it.
pub struct Own<'s, 'a>(pub &'s SharedFace<'a>);

impl EventSink for Own<'_, '_> {
    fn emit(&mut self, event: AgentEvent<'_>) {
        self.0.show(event);
    }
}

impl Approver for Own<'_, '_> {
    fn ask<'q>(&'q mut self, question: Question<'q>) -> Pin<Box<dyn Future<Output = Answer> + 'q>> {
        Box::pin(async move { self.0.approver.lock().await.ask(question).await })
    }

    fn inquire<'q>(&'q mut self, inquiry: &'q Inquiry) -> Pin<Box<dyn Future<Output = Option<String>> + 'q>> {
        Box::pin(async move { self.0.approver.lock().await.inquire(inquiry).await })
    }
}

/// The face as an agent has it that works for another one.
pub struct Theirs<'s, 'a> {
    pub face: &'s SharedFace<'a>,
    pub board: Arc<Board>,
    pub id: String,
    pub agent: String,
}

impl Theirs<'_, '_> {
    pub fn tell(&self, event: ChildEvent<'_>) {
        self.face.show(AgentEvent::Child { id: &self.id, agent: &self.agent, event });
    }
}

impl EventSink for Theirs<'_, '_> {
    fn emit(&mut self, event: AgentEvent<'_>) {
        match &event {
            AgentEvent::TurnStart { turn } => self.board.works(&self.id, Some(*turn), None),
            AgentEvent::ToolCall { line, .. } => self.board.works(&self.id, None, Some(line)),
            _ => {}
        }
        self.tell(ChildEvent::Inner(&event));
    }
}

impl Approver for Theirs<'_, '_> {
    fn ask<'q>(&'q mut self, question: Question<'q>) -> Pin<Box<dyn Future<Output = Answer> + 'q>> {
        let line = format!("{}: {}", self.agent, question.line);
        Box::pin(async move {
            let mut approver = self.face.approver.lock().await;
            approver.ask(Question { line: &line, ..question }).await
        })
    }

    fn inquire<'q>(&'q mut self, inquiry: &'q Inquiry) -> Pin<Box<dyn Future<Output = Option<String>> + 'q>> {
        let inquiry = Inquiry { question: format!("{}: {}", self.agent, inquiry.question), ..inquiry.clone() };
        Box::pin(async move { self.face.approver.lock().await.inquire(&inquiry).await })
    }
}
