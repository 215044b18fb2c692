//! Row 3: talks to providers. HTTP driven by the catalogue's data, vendors' own programs, and the built-in scripted provider.
//!
//! A provider is data (an [`Endpoint`]), a codec (`wire`) and a way to move bytes. Nothing here retries or decides:
//! one call is one attempt, and its outcome goes up as it is.

mod body;
pub mod cli;
mod exchange;
mod http;
pub mod local;
pub mod scripted;

pub use cli::CliProvider;
pub use exchange::Exchange;
pub use http::{Endpoint, HttpProvider, Timeouts};
pub use scripted::{Answer, Answers, Piece, Scripted};

use crate::auth::Access;
use crate::model::{ProviderError, ToolSpec};
use crate::wire::limits::Limits;
use crate::wire::ops::Call;
use crate::wire::{Dialect, Encoded, Wire};
use bytes::Bytes;

/// The ways to reach a model.
#[derive(Debug)]
pub enum Provider {
    Http(HttpProvider),
    Cli(CliProvider),
    Scripted(Scripted),
}

/// Why an attempt brought no reply, and what the refusal's headers say of allowances.
#[derive(Debug)]
pub struct Refused {
    pub error: ProviderError,
    pub limits: Box<Limits>,
}

impl From<ProviderError> for Refused {
    fn from(error: ProviderError) -> Self {
        Self { error, limits: Box::default() }
    }
}

impl Provider {
    /// The provider's id in the catalogue.
    pub fn id(&self) -> &str {
        match self {
            Self::Http(p) => &p.endpoint().provider,
            Self::Cli(p) => &p.setup().provider,
            Self::Scripted(p) => p.id(),
        }
    }

    pub fn wire(&self) -> Wire {
        match self {
            Self::Http(p) => p.endpoint().wire,
            Self::Cli(p) => p.wire(),
            Self::Scripted(p) => p.wire(),
        }
    }

    /// How it is entered.
    pub fn access(&self) -> &Access {
        match self {
            Self::Http(p) => &p.endpoint().access,
            // A program knows its user by itself.
            Self::Cli(_) | Self::Scripted(_) => &Access::Open,
        }
    }

    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Http(p) => p.endpoint().dialect.clone(),
            Self::Cli(p) => p.setup().dialect.clone(),
            Self::Scripted(_) => Dialect::default(),
        }
    }

    /// Sends one encoded request. `tools` are those that it offers: their names come back as they are here, however the
    /// wire had to write them. An `Err` is a refusal or a failure before the reply began.
    pub async fn send(&self, encoded: &Encoded, tools: &[ToolSpec]) -> Result<Exchange, Refused> {
        match self {
            Self::Http(p) => p.send(encoded, tools).await,
            Self::Cli(p) => Ok(p.send(encoded).await?),
            Self::Scripted(p) => p.send(encoded, tools).await,
        }
    }

    /// One call of an operation that is no answer: the body of a good reply.
    pub async fn call(&self, call: &Call) -> Result<Bytes, ProviderError> {
        match self {
            Self::Http(p) => p.call(call).await,
            Self::Cli(p) => Err(ProviderError::lacking(&p.setup().provider, "anything but answers")),
            Self::Scripted(p) => Err(ProviderError::lacking(p.id(), "anything but answers")),
        }
    }
}
