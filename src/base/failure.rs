//! The one error that reaches a user: a machine-readable cause, what happened, and what to do next.
//!
//! Layers below the faces may have finer errors of their own; at a boundary they become a [`Failure`].
//! The cause alone decides the exit code (`docs/cli.md`, "Exit codes"), so text and JSON can never disagree.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a run ended, one to one with an exit code and with the `cause` string in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The turn ended by itself and no required action was denied.
    Done,
    /// A bug in pup.
    Internal,
    /// Bad arguments, an empty prompt, an unknown agent, model or workload.
    Usage,
    /// Config, catalogue or agent file is wrong.
    Config,
    /// No usable credentials for any link, or a login was refused.
    Auth,
    /// Every link is out beyond the deadline.
    Exhausted,
    /// A cost cap would be exceeded.
    Budget,
    /// Turns, time or context ran out.
    Limit,
    /// A needed call was denied.
    Denied,
    /// The provider refused the input on every link that could take it.
    Rejected,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Cause {
    /// The process exit code of this cause.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::Auth => 4,
            Self::Exhausted => 5,
            Self::Budget => 6,
            Self::Limit => 7,
            Self::Denied => 8,
            Self::Rejected => 9,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The string of the JSON contract; SIGINT and SIGTERM share one, the code tells them apart.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::Config => "config",
            Self::Auth => "auth",
            Self::Exhausted => "exhausted",
            Self::Budget => "budget",
            Self::Limit => "limit",
            Self::Denied => "denied",
            Self::Rejected => "rejected",
            Self::Interrupted | Self::Terminated => "interrupted",
        }
    }
}

/// A failure with its cause, its message and, where there is one, the next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub cause: Cause,
    /// What happened and where: file, line, key, provider.
    pub message: String,
    /// What to do next; a command in it works when pasted.
    pub hint: Option<String>,
}

impl Failure {
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), hint: None }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Cause::Usage, message)
    }

    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Cause::Config, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Cause::Internal, message)
    }

    /// An IO error with the path it concerns. The user's environment is at fault, so the cause is `config`
    /// unless the caller knows better.
    pub fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(Cause::Config, format!("cannot {what} {}: {error}", path.display()))
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn with_cause(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_distinct_and_only_done_is_zero() {
        let all = [
            Cause::Done,
            Cause::Internal,
            Cause::Usage,
            Cause::Config,
            Cause::Auth,
            Cause::Exhausted,
            Cause::Budget,
            Cause::Limit,
            Cause::Denied,
            Cause::Rejected,
            Cause::Interrupted,
            Cause::Terminated,
        ];
        let mut codes: Vec<u8> = all.iter().map(|c| c.exit_code()).collect();
        assert!(codes.contains(&0) && Cause::Done.exit_code() == 0);
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all.len());
    }
}
