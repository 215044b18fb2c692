//! Checkpoints: what a step is about to change is kept before it, so that the step can be taken back, and made again.
//!
//! A store (`<state>/checkpoints/<digest of the root>`) has contents by digest, an index of the tree as the last walk found
//! it, and a record of each step that changed something. A command may change anything: the tree is walked before it and
//! after it, and only files whose marks changed are read. What git has unchanged is not copied, only named, until a step
//! changes it. Git's own folder is neither read through nor written: commits, stashes and branches stay as they are.

mod blobs;
mod caches;
mod capture;
mod change;
mod git_index;
mod git_objects;
mod history;
mod index;
mod keeper;
mod node;
mod plan;
mod rel;
mod restore;
mod step;
mod store;
mod walk;

#[cfg(test)]
mod keeper_tests;
#[cfg(test)]
mod plan_tests;

pub use capture::Limits;
pub use change::Change;
pub use history::{Turned, Turning};
pub use index::Index;
pub use keeper::{Begun, Keeper, Open, Scope};
pub use node::{Node, Why};
pub use plan::{Conflict, Direction, NotCovered, Op, Wanted};
pub use rel::Rel;
pub use restore::Trouble;
pub use step::{About, Step};
pub use store::{Store, StoreError, uncovered};
