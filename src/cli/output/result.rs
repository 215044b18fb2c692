//! The result object of `--output json`, and the last line of `--output stream-json`.

use crate::agent::delegate::Ended;
use crate::base::{Cause, Failure};
use crate::model::Usage;
use crate::route::Attempt;
use crate::session::caching::{Caching, Figures};
use serde::Serialize;

/// One object, always, also on failure. The fields are a contract (`docs/cli.md`).
#[derive(Debug, Clone, Serialize)]
pub struct ResultObject {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub ok: bool,
    pub cause: &'static str,
    pub exit_code: u8,
    pub text: String,
    /// Null without a session.
    pub session: Option<String>,
    pub agent: Option<String>,
    pub model: Option<String>,
    pub provider: Option<String>,
    pub turns: u32,
    pub tool_calls: u32,
    pub usage: Counts,
    /// Null where a price is unknown.
    pub cost_usd: Option<f64>,
    /// Of all input of the session so far.
    pub cache: Figures,
    pub attempts: Vec<Attempt>,
    /// The agents that worked for this one; their tokens, costs and attempts are in the figures above.
    pub children: Vec<ChildObject>,
    pub error: Option<ErrorObject>,
    /// What a person should know of the run, in words.
    pub notes: Vec<String>,
    pub duration_ms: u64,
}

/// Tokens of the whole run, in disjoint classes; 0 where no call reported any.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Counts {
    pub input: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub output: u64,
    pub reasoning: u64,
}

/// An agent that worked for another one.
#[derive(Debug, Clone, Serialize)]
pub struct ChildObject {
    pub session: String,
    pub agent: String,
    pub ok: bool,
    pub cause: &'static str,
    pub turns: u32,
    pub tool_calls: u32,
    pub usage: Counts,
    pub cost_usd: Option<f64>,
    /// Why there is no answer.
    pub error: Option<String>,
}

impl From<&Ended> for ChildObject {
    fn from(ended: &Ended) -> Self {
        Self {
            session: ended.id.clone(),
            agent: ended.agent.clone(),
            ok: ended.ok(),
            cause: ended.outcome.cause.as_str(),
            turns: ended.turns,
            tool_calls: ended.tool_calls,
            usage: Counts::from(&ended.usage),
            cost_usd: ended.cost_usd(),
            error: (!ended.ok()).then(|| ended.trouble()),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct ErrorObject {
    pub message: String,
    pub hint: Option<String>,
}

impl From<&Usage> for Counts {
    fn from(u: &Usage) -> Self {
        Self {
            input: u.input.unwrap_or(0),
            cache_read: u.cache_read.unwrap_or(0),
            cache_write: u.cache_write.unwrap_or(0) + u.cache_write_1h.unwrap_or(0),
            output: u.output.unwrap_or(0),
            reasoning: u.reasoning.unwrap_or(0),
        }
    }
}

impl ResultObject {
    /// A result without a run: nothing has happened yet.
    pub fn new(cause: Cause) -> Self {
        Self {
            kind: "result",
            ok: cause == Cause::Done,
            cause: cause.as_str(),
            exit_code: cause.exit_code(),
            text: String::new(),
            session: None,
            agent: None,
            model: None,
            provider: None,
            turns: 0,
            tool_calls: 0,
            usage: Counts::default(),
            cost_usd: None,
            cache: Caching::default().figures(),
            attempts: Vec::new(),
            children: Vec::new(),
            error: None,
            notes: Vec::new(),
            duration_ms: 0,
        }
    }

    /// The result of a command that failed before or beside its run.
    pub fn failed(failure: &Failure) -> Self {
        let error = ErrorObject { message: failure.message.clone(), hint: failure.hint.clone() };
        Self { error: Some(error), ..Self::new(failure.cause) }
    }
}
