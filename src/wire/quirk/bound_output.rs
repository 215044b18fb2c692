//! `bound-output`: Cerebras reserves the prompt and the longest possible answer against the minute's tokens up front.
//!
//! Without a bound that is the model's maximum, and a few requests spend a minute's quota. The bound is above what an
//! agent's turn takes, thinking included.

use super::Quirk;

/// Whether the output is bounded where a request does not bound it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unbounded {
    #[default]
    Left,
    Bounded,
}

/// The bound, in tokens.
pub const BOUND: u64 = 16_384;

pub(super) const QUIRK: Quirk = Quirk {
    name: "bound-output",
    what: "bounds the output at 16,384 tokens where a request sets no bound",
    apply: |dialect| dialect.unbounded = Unbounded::Bounded,
};
