//! Row 4: the one door to a model: which link to try, when to retry, when to give up.

mod admit;
pub mod breaker;
pub mod budget;
mod cooldown;
mod cost;
mod gate;
mod headroom;
mod health;
pub mod limiter;
mod link;
mod live;
mod notice;
pub mod plan;
mod purse;
mod query;
mod receipt;
mod rotation;
mod router;
mod shared;
mod suspect;
mod way;

pub use crate::session::{Attempt, Outcome, Quarantine};
pub use cooldown::{Cooldowns, Identity, Target};
pub use gate::lacking;
pub use headroom::{Headroom, Left};
pub use health::{Health, Quota, Rank};
pub use link::{Link, Terms};
pub use live::{Live, LiveEvent, Product};
pub use notice::Notice;
pub use plan::{Plan, Rules, Verdict, verdict};
pub use purse::{Caller, Purse};
pub use receipt::Exhausted;
pub use rotation::{Mode, Rotation};
pub use router::{Ask, Operation, Rest, Router};
pub use suspect::told;
pub use way::Failover;
