//! Stopping a run from outside: one token for everything that waits, and the first reason wins.

use crate::base::Cause;
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// Cheap to clone; clones are the same stop.
#[derive(Debug, Clone, Default)]
pub struct Stopper {
    token: CancellationToken,
    cause: Arc<OnceLock<Cause>>,
}

impl Stopper {
    /// Stops everything for `cause`. A later cause changes nothing.
    pub fn stop(&self, cause: Cause) {
        let _ = self.cause.set(cause);
        self.token.cancel();
    }

    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    pub fn cause(&self) -> Option<Cause> {
        self.cause.get().copied()
    }
}
