//! Handing work to other agents: who may hand what to whom, and what comes back. The sessions of those who work are made and
//! driven in a higher row; here is what does not depend on that.

mod board;
mod ended;
pub mod governor;

pub use board::{Board, Child, State};
pub use ended::{Ended, is_letter};

use super::scribe::Scribe;
use crate::base::{digest, nearest};
use crate::catalog::Workload;
use crate::tool::{Context, Delegate, Errand, Output, Running, ToolError};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// How many agents may stand below the first.
pub const DEPTH: usize = 4;
/// How many agents a session may invoke before it is opened again, all levels together.
pub const MOST: usize = 100;

/// An agent that may be invoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    pub description: String,
    pub workload: Workload,
}

/// An errand on its way to whoever makes sessions.
#[derive(Debug)]
pub struct Order {
    /// The session of the agent that is to do it.
    pub id: String,
    /// The session that asks, and its call.
    pub parent: String,
    pub call: String,
    pub agent: String,
    pub workload: Workload,
    pub prompt: String,
    pub background: bool,
    /// The agents above, the first one first.
    pub above: Vec<String>,
    /// Where the answer is waited for; none for one in the background.
    pub tell: Option<oneshot::Sender<Ended>>,
}

/// Where errands go and where it stands how they are; the same for all sessions that belong together.
#[derive(Debug, Clone)]
pub struct Office {
    pub orders: mpsc::UnboundedSender<Order>,
    pub board: Arc<Board>,
}

/// What one agent of a session may hand on.
pub struct Chief {
    pub session: String,
    pub agent: String,
    /// The agents above it, the first one first.
    pub above: Vec<String>,
    pub may: Vec<Candidate>,
    pub office: Office,
    pub scribe: Scribe,
}

impl Chief {
    /// Why this agent cannot be invoked, in words that the model can act on.
    fn refusal(&self, wanted: &str) -> Option<String> {
        let names = || self.may.iter().map(|c| c.name.as_str());
        let others = || format!("you can invoke {}", names().collect::<Vec<_>>().join(", "));
        if wanted == self.agent {
            return Some(format!("{wanted} is what you are: an agent does not hand work to itself. Do it yourself; {}", others()));
        }
        if let Some(at) = self.above.iter().position(|a| a == wanted) {
            let way: Vec<&str> = self.above.iter().skip(at).map(String::as_str).chain([self.agent.as_str(), wanted]).collect();
            return Some(format!(
                "{wanted} has handed this work down to you, so this would go in a circle ({}). Do it yourself",
                way.join(" > ")
            ));
        }
        if !names().any(|n| n == wanted) {
            let near = nearest::did_you_mean(wanted, names()).map_or_else(String::new, |hint| format!("{hint} "));
            return Some(format!("you cannot invoke `{wanted}`; {near}{}", others()));
        }
        if self.above.len() >= DEPTH {
            return Some(format!("{DEPTH} agents stand above you already; that is as deep as work is handed down. Do it yourself"));
        }
        (self.office.board.begun() >= MOST)
            .then(|| format!("{MOST} agents have been invoked in this run; that is the most. Do it yourself"))
    }

    fn order(&self, errand: Errand, call: &str) -> Result<Order, ToolError> {
        if let Some(why) = self.refusal(&errand.agent) {
            return Err(ToolError::model(why));
        }
        let workload = self.may.iter().find(|c| c.name == errand.agent).map_or_else(Workload::default, |c| c.workload);
        Ok(Order {
            id: child_of(&self.session, call),
            parent: self.session.clone(),
            call: call.to_owned(),
            workload,
            agent: errand.agent,
            prompt: errand.prompt,
            background: errand.background,
            above: self.above.iter().cloned().chain([self.agent.clone()]).collect(),
            tell: None,
        })
    }

    async fn hand_over(&self, errand: Errand, ctx: &Context) -> Result<Output, ToolError> {
        let mut order = self.order(errand, &ctx.call)?;
        let (tell, told) = oneshot::channel();
        let (id, agent, background) = (order.id.clone(), order.agent.clone(), order.background);
        if !background {
            order.tell = Some(tell);
        }
        self.scribe.child(&order)?;
        self.office.board.asked(&order);
        let gone = || ToolError::model(format!("agent {agent} was stopped before it began"));
        self.office.orders.send(order).map_err(|_| gone())?;
        if background {
            let text =
                format!("{agent} works in the background as {id}. Its answer comes to you by itself; list_agents shows how it stands.");
            return Ok(Output { text, summary: format!("in the background: {id}"), ..Output::default() });
        }
        told.await.map_err(|_| gone())?.output(ctx.limits.output_bytes)
    }

    /// Answers of agents in the background that came since.
    pub fn mail(&self) -> Vec<String> {
        self.office.board.mail(&self.session)
    }

    /// Whether some agent in the background has not come to its end.
    pub fn waits(&self) -> bool {
        self.office.board.waits(&self.session)
    }

    /// Until something of any agent is new.
    pub async fn news(&self) {
        self.office.board.news().await;
    }
}

/// The id of the session that a call begins: always the same, so that after a crash it is found again and not begun anew.
pub fn child_of(session: &str, call: &str) -> String {
    format!("{session}.{}", digest::short(call.as_bytes(), 6))
}

impl Delegate for Chief {
    fn names(&self) -> Vec<String> {
        self.may.iter().map(|c| c.name.clone()).collect()
    }

    fn invoke<'a>(&'a self, errand: Errand, ctx: &'a Context) -> Running<'a> {
        Box::pin(self.hand_over(errand, ctx))
    }

    fn list(&self) -> String {
        let may: Vec<String> = self.may.iter().map(|c| format!("{}: {}", c.name, c.description)).collect();
        let invoked = self.office.board.lines(&self.session);
        if invoked.is_empty() { may.join("\n") } else { format!("{}\n\nInvoked:\n{}", may.join("\n"), invoked.join("\n")) }
    }

    fn look(&self, child: &str, offset: usize, room: usize) -> Result<Output, ToolError> {
        self.office.board.look(&self.session, child, offset, room)
    }
}

#[cfg(test)]
#[path = "delegate_tests.rs"]
mod tests;
