//! Stopping a run from outside: one token for everything that waits, and the first reason wins.

use crate::base::Cause;
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// Cheap to clone; clones are the same stop.
#[derive(Debug, Clone, Default)]
pub struct Stopper {
    token: CancellationToken,
    cause: Arc<OnceLock<Cause>>,
    /// What this one is stopped with.
    above: Option<Arc<Self>>,
}

impl Stopper {
    /// Stops everything for `cause`. A later cause changes nothing.
    pub fn stop(&self, cause: Cause) {
        let _ = self.cause.set(cause);
        self.token.cancel();
    }

    /// One that is stopped with this one, and without it.
    #[must_use]
    pub fn below(&self) -> Self {
        Self { token: self.token.child_token(), cause: Arc::default(), above: Some(Arc::new(self.clone())) }
    }

    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    pub fn cause(&self) -> Option<Cause> {
        self.cause.get().copied().or_else(|| self.above.as_ref()?.cause())
    }
}
