//! What came of one prompt, of those included who worked on it for its agent.

use crate::agent::Kind;
use crate::agent::delegate::Ended;
use crate::agent::turn::Outcome;
use crate::base::Failure;
use crate::model::Usage;
use crate::route::Attempt;
use crate::session::caching::Caching;

/// What came of one prompt.
#[derive(Debug, Clone)]
pub struct Report {
    pub outcome: Outcome,
    pub answer: String,
    /// What it needed, was not allowed, and did not get since.
    pub denied: Vec<Kind>,
    pub turns: u32,
    pub tool_calls: u32,
    /// Of the agents that worked for this one, too; and so are the cost and the attempts.
    pub usage: Usage,
    pub cost_usd: Option<f64>,
    pub attempts: Vec<Attempt>,
    /// What of the session's input came from prompt caches.
    pub caching: Caching,
    /// The agents that worked for this one, in the order of their ends.
    pub children: Vec<Ended>,
    /// The link that answered last, or the first one: our id of the model, and its provider.
    pub model: Option<String>,
    pub provider: Option<String>,
}

impl Report {
    /// With what those used who worked for this agent.
    pub(super) fn with(mut self, children: Vec<Ended>) -> Self {
        for child in &children {
            self.usage.add(&child.usage);
            self.attempts.extend(child.attempts.iter().cloned());
        }
        self.cost_usd = Attempt::cost_of(&self.attempts);
        Self { children, ..self }
    }

    /// Nothing was begun.
    pub(super) fn failed(failure: Failure) -> Self {
        Self::of(failure.into())
    }

    /// An end without work.
    pub(super) fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            answer: String::new(),
            denied: Vec::new(),
            children: Vec::new(),
            caching: Caching::default(),
            turns: 0,
            tool_calls: 0,
            usage: Usage::default(),
            cost_usd: None,
            attempts: Vec::new(),
            model: None,
            provider: None,
        }
    }
}
