//! A history while it is made smaller: which messages are as they were, which were changed, and what each costs.

use super::count::raw_message;
use crate::model::{History, Message, Role};
use crate::session::Shown;
use std::sync::Arc;

/// A message of the view.
#[derive(Debug, Clone)]
pub struct Item {
    pub message: Arc<Message>,
    /// Its place in the conversation, where it is as it was.
    from: Option<usize>,
    raw: u64,
}

impl Item {
    pub fn new(message: Message) -> Self {
        Self { raw: raw_message(&message), message: Arc::new(message), from: None }
    }
}

#[derive(Debug, Clone)]
pub struct View {
    system: Vec<Arc<Message>>,
    pub items: Vec<Item>,
    of: usize,
    /// The system messages and the tools, as estimated.
    fixed: u64,
    /// Tokens for an estimated one.
    rate: f64,
}

impl View {
    /// A view of the whole history, which has `tokens` with the tools, whose own estimate is `tools`.
    pub fn new(history: &History, tools: u64, tokens: u64) -> Self {
        let system: Vec<Arc<Message>> = history.iter().take_while(|m| m.role == Role::System).cloned().collect();
        let said = history.iter().skip(system.len());
        let items: Vec<Item> =
            said.enumerate().map(|(at, m)| Item { message: Arc::clone(m), from: Some(at), raw: raw_message(m) }).collect();
        let fixed = tools + system.iter().map(|m| raw_message(m)).sum::<u64>();
        let raw = fixed + items.iter().map(|i| i.raw).sum::<u64>();
        let rate = if raw == 0 { 1.0 } else { tokens as f64 / raw as f64 };
        Self { of: items.len(), system, items, fixed, rate }
    }

    pub fn tokens(&self) -> u64 {
        self.scaled(self.fixed + self.items.iter().map(|i| i.raw).sum::<u64>())
    }

    pub fn scaled(&self, raw: u64) -> u64 {
        (raw as f64 * self.rate).ceil() as u64
    }

    /// What the items from this one on have.
    pub fn tokens_from(&self, start: usize) -> u64 {
        self.scaled(self.items.iter().skip(start).map(|i| i.raw).sum())
    }

    /// Puts a message in the place of another.
    pub fn replace(&mut self, ix: usize, message: Message) {
        if let Some(item) = self.items.get_mut(ix) {
            *item = Item::new(message);
        }
    }

    /// Where the last `rounds` begin: at the reply that began the first of them. With fewer rounds than that, the
    /// beginning.
    pub fn last_rounds(&self, rounds: usize) -> usize {
        if rounds == 0 {
            return self.items.len();
        }
        let replies = self.items.iter().enumerate().rev().filter(|(_, i)| i.message.role == Role::Assistant);
        replies.map(|(ix, _)| ix).nth(rounds - 1).unwrap_or(0)
    }

    pub fn history(&self) -> History {
        self.system.iter().chain(self.items.iter().map(|i| &i.message)).cloned().collect()
    }

    /// How many messages the conversation had, and the view for the journal.
    pub fn shown(&self) -> (usize, Vec<Shown>) {
        let mut out: Vec<Shown> = Vec::new();
        for item in &self.items {
            match (item.from, out.last_mut()) {
                (Some(at), Some(Shown::Kept { to, .. })) if *to == at => *to = at + 1,
                (Some(at), _) => out.push(Shown::Kept { from: at, to: at + 1 }),
                (None, _) => out.push(Shown::Message(Box::new(Message::clone(&item.message)))),
            }
        }
        (self.of, out)
    }
}
