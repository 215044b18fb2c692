//! HTTP as every part of pup does it: over one pool of connections, under its own name, without following redirects,
//! without a proxy to this machine, and with errors that say which part of the way failed.

mod connect;
mod pool;
mod proxy;
mod roots;
mod trouble;

pub use pool::{HostStats, Outgoing, Pool, chunk, headers};
pub use proxy::is_loopback;
pub use trouble::{Kind, NetError};

/// What pup calls itself.
pub const USER_AGENT: &str = concat!("pup/", env!("CARGO_PKG_VERSION"));
