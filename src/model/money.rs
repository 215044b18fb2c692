//! Money without rounding errors: whole nano-dollars, so that sums over processes and days come out the same everywhere.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Billionths of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Nanos(pub i64);

const PER_DOLLAR: f64 = 1e9;

impl Nanos {
    pub const ZERO: Self = Self(0);

    /// The next whole amount at or above `dollars`; none for what is no amount (negative, infinite, no number).
    pub fn at_least(dollars: f64) -> Option<Self> {
        let nanos = (dollars * PER_DOLLAR).ceil();
        (nanos.is_finite() && (0.0..9e18).contains(&nanos)).then_some(Self(nanos as i64))
    }

    pub fn dollars(self) -> f64 {
        self.0 as f64 / PER_DOLLAR
    }

    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for Nanos {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for Nanos {
    /// Cents, and as many more digits as a small amount needs: `$12.50`, `$0.0031`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dollars = self.dollars();
        match dollars.abs() {
            0.0 => f.write_str("$0"),
            d if d < 1e-6 => write!(f, "${}", format!("{dollars:.9}").trim_end_matches('0')),
            d if d < 0.1 => write!(f, "${}", format!("{dollars:.6}").trim_end_matches('0')),
            _ => write!(f, "${dollars:.2}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_round_up_and_nonsense_is_none() {
        assert_eq!(Nanos::at_least(0.05), Some(Nanos(50_000_000)));
        assert_eq!(Nanos::at_least(1e-10), Some(Nanos(1)));
        for wrong in [-0.01, f64::NAN, f64::INFINITY, 1e12] {
            assert_eq!(Nanos::at_least(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn people_read_cents_or_what_there_is() {
        for (dollars, shown) in
            [(0.0, "$0"), (12.5, "$12.50"), (0.0031, "$0.0031"), (0.05, "$0.05"), (1e-9, "$0.000000001"), (1234.567, "$1234.57")]
        {
            assert_eq!(Nanos::at_least(dollars).unwrap().to_string(), shown);
        }
    }
}
