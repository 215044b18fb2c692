//! The line to the person at the terminal: a tool asks, whoever runs the tools puts the question and hands back the answer.

use tokio::sync::{mpsc, oneshot};

/// A question to a person, with what it may be answered with. Words of their own are always an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    pub question: String,
    pub choices: Vec<String>,
}

/// An inquiry that waits for its answer. Dropped, it has none.
#[derive(Debug)]
pub struct Asked {
    pub inquiry: Inquiry,
    pub answer: oneshot::Sender<String>,
}

/// The asking end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Person(mpsc::UnboundedSender<Asked>);

/// Both ends of a line.
pub fn line() -> (Person, mpsc::UnboundedReceiver<Asked>) {
    let (ask, asked) = mpsc::unbounded_channel();
    (Person(ask), asked)
}

impl Person {
    /// The answer; `None` where there is nobody any more, or nobody wants to give one.
    pub async fn ask(&self, inquiry: Inquiry) -> Option<String> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Asked { inquiry, answer }).ok()?;
        answered.await.ok()
    }
}
