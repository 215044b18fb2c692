//! `one-stop`: Z.AI takes a single stop sequence, where others take four.

use super::Quirk;

/// How many stop sequences a server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stops {
    #[default]
    Four,
    One,
}

impl Stops {
    pub const fn most(self) -> usize {
        match self {
            Self::Four => 4,
            Self::One => 1,
        }
    }
}

pub(super) const QUIRK: Quirk =
    Quirk { name: "one-stop", what: "sends one stop sequence at most instead of four", apply: |dialect| dialect.stops = Stops::One };
