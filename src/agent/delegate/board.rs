//! How the agents stand that work for a session and for each other, and the answers that nobody waited for.

use super::{Ended, Order};
use crate::base::text;
use crate::tool::{Output, ToolError};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How many bytes of an answer that was not waited for come by themselves.
const LETTER: usize = 16 * 1024;

/// How an agent stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It waits for a place.
    Queued,
    Works {
        turns: u32,
        /// What it does, in a line.
        at: String,
    },
    Ended {
        ok: bool,
        /// The answer, or why there is none.
        text: String,
    },
}

/// An agent that was invoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    pub id: String,
    pub parent: String,
    pub agent: String,
    pub background: bool,
    pub state: State,
}

/// All that were invoked, by all that belong together.
#[derive(Debug, Default)]
pub struct Board {
    inner: Mutex<Inner>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    children: Vec<Child>,
    mail: BTreeMap<String, Vec<String>>,
    /// Invoked in this run; those of earlier ones do not count.
    begun: usize,
}

impl Board {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begun(&self) -> usize {
        self.inner().begun
    }

    pub(super) fn asked(&self, order: &Order) {
        self.inner().begun += 1;
        let (id, parent, agent) = (order.id.clone(), order.parent.clone(), order.agent.clone());
        self.put(Child { id, parent, agent, background: order.background, state: State::Queued });
    }

    /// One that is known from the record, or is seen anew.
    pub fn put(&self, child: Child) {
        let children = &mut self.inner().children;
        match children.iter_mut().find(|c| c.id == child.id) {
            Some(old) => *old = child,
            None => children.push(child),
        }
    }

    /// It has begun a turn, or does something.
    pub fn works(&self, id: &str, turn: Option<u32>, doing: Option<&str>) {
        let inner = &mut self.inner();
        let Some(child) = inner.children.iter_mut().find(|c| c.id == id) else { return };
        let (old, at) = if let State::Works { turns, at } = &child.state { (*turns, at.clone()) } else { (0, String::new()) };
        child.state = State::Works { turns: turn.unwrap_or(old), at: doing.map_or(at, |d| text::one_line(d, 100)) };
    }

    /// It is over.
    pub fn ended(&self, ended: &Ended) {
        let inner = &mut *self.inner();
        let ok = ended.ok();
        if let Some(child) = inner.children.iter_mut().find(|c| c.id == ended.id) {
            child.state = State::Ended { ok, text: if ok { ended.answer.clone() } else { ended.trouble() } };
            if child.background {
                inner.mail.entry(child.parent.clone()).or_default().push(ended.letter(LETTER));
            }
        }
        self.news.notify_waiters();
    }

    pub(super) fn mail(&self, session: &str) -> Vec<String> {
        self.inner().mail.remove(session).unwrap_or_default()
    }

    pub(super) fn waits(&self, session: &str) -> bool {
        let over = |c: &Child| matches!(c.state, State::Ended { .. });
        self.inner().children.iter().any(|c| c.parent == session && c.background && !over(c))
    }

    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    pub(super) fn lines(&self, session: &str) -> Vec<String> {
        let inner = self.inner();
        inner.children.iter().filter(|c| c.parent == session).map(|c| format!("{} {}: {}", c.id, c.agent, c.state.line())).collect()
    }

    pub(super) fn look(&self, session: &str, id: &str, offset: usize, room: usize) -> Result<Output, ToolError> {
        let inner = self.inner();
        let own = || inner.children.iter().filter(|c| c.parent == session);
        let Some(child) = own().find(|c| c.id == id) else {
            let ids: Vec<&str> = own().map(|c| c.id.as_str()).collect();
            let ids = if ids.is_empty() { "you have invoked none".to_owned() } else { format!("they are {}", ids.join(", ")) };
            return Err(ToolError::model(format!("no agent that you invoked has the id `{}`; {ids}", text::one_line(id, 80))));
        };
        let line = child.state.line();
        let State::Ended { text: whole, .. } = &child.state else {
            return Ok(Output { text: line.clone(), summary: line, ..Output::default() });
        };
        let whole = whole.trim();
        let start = text::prefix(whole, offset).len();
        let part = text::prefix(whole.get(start..).unwrap_or_default(), room);
        let end = start + part.len();
        let more = if end < whole.len() { format!("; offset {end} shows more") } else { String::new() };
        let text = format!("[{line}; bytes {start} to {end} of {}{more}]\n{part}", whole.len());
        Ok(Output { text, summary: line, ..Output::default() })
    }
}

impl State {
    fn line(&self) -> String {
        match self {
            Self::Queued => "waits for its turn to begin".to_owned(),
            Self::Works { turns, at } if at.is_empty() => format!("works, turn {turns}"),
            Self::Works { turns, at } => format!("works, turn {turns}: {at}"),
            Self::Ended { ok: true, text } => format!("done, {} bytes of answer", text::thousands(text.len() as u64)),
            Self::Ended { ok: false, text } => format!("failed: {}", text::one_line(text, 300)),
        }
    }
}
