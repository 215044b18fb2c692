//! Handing work to other agents: what the tools need of whoever carries it out, which is in a row above.

use super::{Context, Output, Running, ToolError};

/// A task for another agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    pub agent: String,
    pub prompt: String,
    /// Its answer is not waited for.
    pub background: bool,
}

/// The agents that a session may hand work to, and those that work for it.
pub trait Delegate: Send + Sync {
    /// Their names; the same for as long as the agent stays.
    fn names(&self) -> Vec<String>;

    /// Has the errand done. The result is the agent's answer, or for one in the background word that it has begun.
    fn invoke<'a>(&'a self, errand: Errand, ctx: &'a Context) -> Running<'a>;

    /// What each is for, and how those stand that work for this session.
    fn list(&self) -> String;

    /// How one of them stands, and its answer from this byte on, as far as there is room.
    fn look(&self, child: &str, offset: usize, room: usize) -> Result<Output, ToolError>;
}
