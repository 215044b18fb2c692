//! Row 4: the one door to a model: which link to try, when to retry, when to give up.

mod cooldown;
mod cost;
pub mod plan;
mod receipt;
mod router;

pub use crate::session::{Attempt, Outcome};
pub use cooldown::{Cooldowns, Identity};
pub use plan::{Plan, Rules};
pub use receipt::Exhausted;
pub use router::{Ask, Link, Live, LiveEvent, Rest, Router};
