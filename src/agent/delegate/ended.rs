//! What came of an errand, and the words in which the agent that gave it hears of that.

use crate::agent::turn::Outcome;
use crate::base::{Cause, text};
use crate::model::Usage;
use crate::route::Attempt;
use crate::tool::{Kind, Output, ToolError};

/// An errand that is over.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The session that worked on it.
    pub id: String,
    pub agent: String,
    pub outcome: Outcome,
    pub answer: String,
    /// What it needed and was not allowed.
    pub denied: Vec<Kind>,
    pub turns: u32,
    pub tool_calls: u32,
    pub usage: Usage,
    pub attempts: Vec<Attempt>,
}

impl Ended {
    /// One that ended before it had done anything.
    pub fn without_work(id: &str, agent: &str, outcome: Outcome) -> Self {
        Self {
            id: id.to_owned(),
            agent: agent.to_owned(),
            outcome,
            answer: String::new(),
            denied: Vec::new(),
            turns: 0,
            tool_calls: 0,
            usage: Usage::default(),
            attempts: Vec::new(),
        }
    }

    /// US dollars; none where a price is unknown.
    pub fn cost_usd(&self) -> Option<f64> {
        Attempt::cost_of(&self.attempts)
    }

    /// Whether there is an answer that can be used.
    pub fn ok(&self) -> bool {
        self.outcome.cause == Cause::Done && !self.answer.trim().is_empty()
    }

    /// Why there is none.
    pub fn trouble(&self) -> String {
        let Outcome { cause, message, hint } = &self.outcome;
        if *cause == Cause::Done {
            return "it returned nothing".to_owned();
        }
        let why = message.as_deref().unwrap_or(cause.as_str());
        // What a person can do stands in the hint of the run itself; an agent needs it only where it can act on it.
        let hint = hint.as_deref().filter(|_| *cause == Cause::Usage).map_or_else(String::new, |h| format!(" ({h})"));
        format!("{}: {why}{hint}", cause.as_str())
    }

    /// The answer, or the head and the end of one that is longer than the room for it.
    fn bounded(&self, room: usize) -> String {
        let answer = self.answer.trim();
        if answer.len() <= room {
            return answer.to_owned();
        }
        let head = text::prefix(answer, room * 2 / 3);
        let rest = format!(
            "[... {} bytes in all; list_agents with id \"{}\" and offset {} shows the rest ...]",
            text::thousands(answer.len() as u64),
            self.id,
            head.len()
        );
        format!("{head}\n{rest}\n{}", text::suffix(answer, room / 4))
    }

    /// For the call that invoked it.
    pub fn output(&self, room: usize) -> Result<Output, ToolError> {
        let turns = text::counted(self.turns.into(), "turn");
        if self.ok() {
            let cost = self.cost_usd().filter(|c| *c > 0.0).map(|c| format!(", ${c:.4}")).unwrap_or_default();
            return Ok(Output { text: self.bounded(room), summary: format!("done, {turns}{cost}"), ..Output::default() });
        }
        let words = self.failure(room);
        Err(if self.denied.is_empty() { ToolError::Model(words) } else { ToolError::Denied(words, self.denied.clone()) })
    }

    fn failure(&self, room: usize) -> String {
        let said = self.bounded(room);
        let said = if said.is_empty() { String::new() } else { format!("\nWhat it had said last:\n{said}") };
        format!("agent {} did not do it: {} (session {}){said}", self.agent, self.trouble(), self.id)
    }

    /// For the conversation, where nobody waited. Begins with what [`is_letter`] finds again.
    pub fn letter(&self, room: usize) -> String {
        match self.output(room) {
            Ok(output) => format!("{}Its answer:\n{}", opening(&self.agent, &self.id), output.text),
            Err(_) => format!("{}{}", opening(&self.agent, &self.id), self.failure(room)),
        }
    }
}

fn opening(agent: &str, id: &str) -> String {
    format!("[Agent {agent} in the background ({id}) has ended.]\n")
}

/// Whether a message is word of the end of this agent in the background.
pub fn is_letter(text: &str, agent: &str, id: &str) -> bool {
    text.starts_with(&opening(agent, id))
}
