//! What is wrong, or worth knowing, about an agent file: all of it, each with its place.

use super::tree::Spot;
use crate::base::Failure;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The agent cannot be used.
    Error,
    /// It can, but not all of the file takes effect.
    Warning,
}

/// One fault or note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// From 1; the whole file where absent.
    pub line: Option<usize>,
    pub column: Option<usize>,
    /// The key that it concerns.
    pub key: Option<String>,
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Finding {
    pub(in crate::catalog) fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, line: None, column: None, key: None, message: message.into(), hint: None }
    }

    pub(in crate::catalog) fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    pub(in crate::catalog) fn at(self, spot: Spot) -> Self {
        Self { line: Some(spot.line), column: Some(spot.column), ..self }
    }

    pub(in crate::catalog) fn key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    pub(in crate::catalog) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(in crate::catalog) fn hint_if(self, hint: Option<String>) -> Self {
        Self { hint: hint.or(self.hint), ..self }
    }

    /// `file:line:column`, as far as it is known.
    pub fn place(&self, label: &str) -> String {
        match (self.line, self.column) {
            (Some(line), Some(column)) => format!("{label}:{line}:{column}"),
            (Some(line), None) => format!("{label}:{line}"),
            (None, _) => label.to_owned(),
        }
    }

    /// As the one failure that a command ends with.
    pub(in crate::catalog) fn into_failure(self, label: &str) -> Failure {
        let failure = Failure::config(format!("{}: {}", self.place(label), self.message));
        Failure { hint: self.hint, ..failure }
    }
}
