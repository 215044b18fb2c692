//! The four kinds of work that chains and agents are sorted by.

use crate::base::{Failure, nearest};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a task mainly needs from a model. Agent files write it in capitals, `models.json` in small letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Workload {
    Orchestrator,
    Reasoning,
    #[default]
    Coding,
    Librarian,
}

impl Workload {
    pub const ALL: [Self; 4] = [Self::Orchestrator, Self::Reasoning, Self::Coding, Self::Librarian];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Orchestrator => "ORCHESTRATOR",
            Self::Reasoning => "REASONING",
            Self::Coding => "CODING",
            Self::Librarian => "LIBRARIAN",
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Workload> for &'static str {
    fn from(w: Workload) -> Self {
        w.as_str()
    }
}

impl TryFrom<String> for Workload {
    type Error = Failure;

    fn try_from(text: String) -> Result<Self, Failure> {
        text.parse()
    }
}

impl FromStr for Workload {
    type Err = Failure;

    /// Any case. The failure is `usage`, for the command line; file readers add their place and cause.
    fn from_str(text: &str) -> Result<Self, Failure> {
        Self::ALL.into_iter().find(|w| w.as_str().eq_ignore_ascii_case(text.trim())).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str);
            let fail = Failure::usage(format!("unknown workload `{text}` (there are {})", names.join(", ")));
            match nearest::did_you_mean(text, names) {
                Some(hint) => fail.hint(hint),
                None => fail,
            }
        })
    }
}
