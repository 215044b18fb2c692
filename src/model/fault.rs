//! What can go wrong between pup and a model: one vocabulary of classes and scopes for every wire and layer.

use super::blame::Blame;
use crate::base::net::{self, NetError};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The kind of a failure. Class and scope decide what happens next, never the bare HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Too fast; the same credential works again soon.
    RateLimit,
    /// A day's, plan's or account's allowance is used up; a long wait.
    Quota,
    /// Money is missing; does not come back by itself.
    Billing,
    /// The model has no capacity at the moment.
    Overloaded,
    /// The provider failed.
    Server,
    /// The credential is wrong, missing or expired.
    Auth,
    /// The credential is right but refused for this use.
    Permission,
    ContextTooLong,
    /// The request itself is wrong; it would fail everywhere of its kind.
    BadRequest,
    ContentFilter,
    /// No such model or path.
    NotFound,
    /// Connection refused, reset, cut, or bytes that are not the protocol.
    Network,
    Timeout,
}

impl Class {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::Quota => "quota",
            Self::Billing => "billing",
            Self::Overloaded => "overloaded",
            Self::Server => "server",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::ContextTooLong => "context_too_long",
            Self::BadRequest => "bad_request",
            Self::ContentFilter => "content_filter",
            Self::NotFound => "not_found",
            Self::Network => "network",
            Self::Timeout => "timeout",
        }
    }

    /// Whether the same request to the same place may well succeed later without anybody doing anything.
    pub const fn is_transient(self) -> bool {
        match self {
            Self::RateLimit | Self::Overloaded | Self::Server | Self::Network | Self::Timeout => true,
            Self::Quota
            | Self::Billing
            | Self::Auth
            | Self::Permission
            | Self::ContextTooLong
            | Self::BadRequest
            | Self::ContentFilter
            | Self::NotFound => false,
        }
    }
}

/// What a failure concerns, and so what must be left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Request,
    Model,
    Key,
    Provider,
}

impl Scope {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Model => "model",
            Self::Key => "key",
            Self::Provider => "provider",
        }
    }
}

/// The code of what [`ProviderError::setup`] makes; no provider's.
const SETUP: &str = "pup_setup";
/// The code of what [`ProviderError::lacking`] makes.
const LACKING: &str = "pup_lacking";
/// The code of what [`ProviderError::over_budget`] makes.
const BUDGET: &str = "pup_budget";
/// There is a cap, and nobody knows what a call costs.
pub const NO_PRICE: &str = "pup_budget_no_price";
/// There is a cap, and what is spent cannot be written down.
pub const NO_LEDGER: &str = "pup_budget_no_ledger";
/// The code of what [`ProviderError::told`] makes.
const TOLD: &str = "pup_told";

/// A provider's failure with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderError {
    pub class: Class,
    pub scope: Scope,
    /// HTTP status, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The provider's own time, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// For people; at most a few hundred characters.
    pub message: String,
    /// The provider's own error code or type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The item of the history that is to blame, where the refusal tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blames: Option<Box<Blame>>,
    /// Whether content of the attempt had already been handed on.
    #[serde(default)]
    pub committed: bool,
    /// The request did not leave this machine, so nobody charges for it.
    #[serde(skip)]
    pub unsent: bool,
}

impl ProviderError {
    pub fn new(class: Class, scope: Scope, message: impl Into<String>) -> Self {
        Self {
            class,
            scope,
            status: None,
            retry_after_s: None,
            request_id: None,
            message: message.into(),
            code: None,
            blames: None,
            committed: false,
            unsent: false,
        }
    }

    /// The connection failed, was cut, or spoke something else.
    pub fn network(message: impl Into<String>) -> Self {
        Self::new(Class::Network, Scope::Provider, message)
    }

    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(Class::Timeout, Scope::Provider, message)
    }

    /// This machine is not set up for the provider: a certificate that nobody vouches for, a file that is not there. Waiting
    /// mends nothing, another provider may do.
    pub fn setup(message: impl Into<String>) -> Self {
        Self::network(message).with_code(Some(SETUP.to_owned()))
    }

    /// A cap on costs stands in the way: nothing was sent.
    pub fn over_budget(message: impl Into<String>) -> Self {
        Self { unsent: true, ..Self::new(Class::Billing, Scope::Request, message).with_code(Some(BUDGET.to_owned())) }
    }

    /// Whether it is one that [`Self::over_budget`] makes.
    pub fn is_budget(&self) -> bool {
        self.code.as_deref().is_some_and(|code| code.starts_with(BUDGET))
    }

    /// `who` has no such operation, whatever the model.
    pub fn lacking(who: &str, what: &str) -> Self {
        Self::new(Class::NotFound, Scope::Request, format!("{who} has no {what}")).with_code(Some(LACKING.to_owned()))
    }

    /// With a message that says what to do as well.
    #[must_use]
    pub fn told(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }.with_code(Some(TOLD.to_owned()))
    }

    /// Whether it is one that [`Self::setup`] makes.
    pub fn is_setup(&self) -> bool {
        self.code.as_deref() == Some(SETUP)
    }

    /// Whether it says all that there is to say, as what comes from this side does.
    pub fn is_own(&self) -> bool {
        self.is_budget() || self.code.as_deref().is_some_and(|code| [SETUP, LACKING, TOLD].contains(&code))
    }

    /// Whether the same request to the same place may well succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        self.class.is_transient() && self.code.as_deref() != Some(SETUP)
    }

    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    #[must_use]
    pub fn with_code(mut self, code: Option<String>) -> Self {
        self.code = code;
        self
    }

    /// The provider's time as a duration, if it gave a usable one.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_s.and_then(|s| Duration::try_from_secs_f64(s).ok())
    }
}

impl From<NetError> for ProviderError {
    fn from(NetError { kind, message }: NetError) -> Self {
        match kind {
            net::Kind::Connection => Self::network(message),
            net::Kind::Unreached => Self { unsent: true, ..Self::network(message) },
            net::Kind::Timeout => Self { unsent: true, ..Self::timeout(message) },
            net::Kind::Setup => Self { unsent: true, ..Self::setup(message) },
        }
    }
}

impl std::fmt::Display for ProviderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.class.as_str().replace('_', " "))?;
        if let Some(status) = self.status {
            write!(f, " (HTTP {status})")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ProviderError {}
