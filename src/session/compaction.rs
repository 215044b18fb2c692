//! A conversation that was made smaller: what is sent from then on, told as a view of what was sent before. The messages
//! themselves stay where they were written.

use crate::model::Message;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is sent from this line on, in the place of the conversation before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Compaction {
    /// How many messages that conversation had, system messages not counted.
    pub of: usize,
    pub view: Vec<Shown>,
    /// Tokens before and after, as far as they could be told.
    pub before: u64,
    pub after: u64,
    /// What was done, in words.
    pub what: String,
}

/// A part of the view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Messages of before, as they were; `to` is not among them.
    Kept { from: usize, to: usize },
    /// Stands in the place of others.
    Message(Box<Message>),
}

impl Compaction {
    /// The view of `before`, the conversation without its system messages. `None` where it is not the one that this is of:
    /// the record has lost messages.
    pub fn apply(&self, before: &[Arc<Message>]) -> Option<Vec<Arc<Message>>> {
        if before.len() != self.of {
            return None;
        }
        let mut out = Vec::new();
        for shown in &self.view {
            match shown {
                Shown::Kept { from, to } => out.extend_from_slice(before.get(*from..*to)?),
                Shown::Message(message) => out.push(Arc::new(Message::clone(message))),
            }
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_fits_only_the_conversation_that_it_is_of() {
        let before: Vec<Arc<Message>> = (0..4).map(|n| Arc::new(Message::user(format!("m{n}")))).collect();
        let view = vec![Shown::Kept { from: 0, to: 1 }, Shown::Message(Box::new(Message::user("note"))), Shown::Kept { from: 3, to: 4 }];
        let compaction = Compaction { of: 4, view, before: 9, after: 5, what: "w".into() };
        let texts = |all: Vec<Arc<Message>>| all.iter().map(|m| m.joined_text()).collect::<Vec<_>>();
        assert_eq!(compaction.apply(&before).map(texts), Some(vec!["m0".into(), "note".into(), "m3".into()]));
        assert!(compaction.apply(&before[..3]).is_none());
        let outside = Compaction { view: vec![Shown::Kept { from: 2, to: 9 }], ..compaction };
        assert!(outside.apply(&before).is_none());
    }
}
