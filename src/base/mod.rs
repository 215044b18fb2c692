//! Row 0: what every layer stands on. Knows nothing of models, providers or terminals.

pub mod atomic;
pub mod bytesize;
pub mod clock;
pub mod digest;
pub mod failure;
pub mod id;
pub mod lock;
pub mod nearest;
pub mod net;
pub mod owner;
pub mod places;
#[cfg(test)]
#[path = "published_tests.rs"]
mod published;
pub mod redact;
pub mod text;
pub mod tree;

pub use failure::{Cause, Failure};
#[cfg(test)]
pub use published::published;
