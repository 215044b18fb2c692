//! One line of a table of refusals: conditions, and what they mean. The first line that fits wins.

use super::facts::Facts;
use crate::model::{Class, Scope};

pub type Ruling = (Class, Scope);

/// Every condition that is set has to hold.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// One of these statuses.
    status: &'static [u16],
    /// One of these codes, types or reasons, in lower case.
    words: &'static [&'static str],
    /// All of these in the message, in lower case.
    says: &'static [&'static str],
    ruling: Ruling,
}

const NOTHING: Row = Row { status: &[], words: &[], says: &[], ruling: (Class::Server, Scope::Provider) };

pub const fn status(status: &'static [u16]) -> Row {
    Row { status, ..NOTHING }
}

pub const fn word(words: &'static [&'static str]) -> Row {
    Row { words, ..NOTHING }
}

pub const fn says(says: &'static [&'static str]) -> Row {
    Row { says, ..NOTHING }
}

impl Row {
    pub const fn and_says(self, says: &'static [&'static str]) -> Self {
        Self { says, ..self }
    }

    pub const fn is(self, class: Class, scope: Scope) -> Self {
        Self { ruling: (class, scope), ..self }
    }

    fn fits(&self, facts: &Facts) -> bool {
        (self.status.is_empty() || self.status.contains(&facts.status))
            && (self.words.is_empty() || facts.is_called(self.words))
            && self.says.iter().all(|part| facts.said.contains(part))
    }
}

/// The first line that fits.
pub fn first(rows: &[Row], facts: &Facts) -> Option<Ruling> {
    rows.iter().find(|row| row.fits(facts)).map(|row| row.ruling)
}
