//! `random-seed`: Mistral's name for the seed; it answers 422 to the usual one.

use super::Quirk;

/// The name of the field that makes sampling repeatable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SeedField {
    #[default]
    Seed,
    RandomSeed,
}

impl SeedField {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::RandomSeed => "random_seed",
        }
    }
}

pub(super) const QUIRK: Quirk =
    Quirk { name: "random-seed", what: "sends `random_seed` instead of `seed`", apply: |dialect| dialect.seed = SeedField::RandomSeed };
