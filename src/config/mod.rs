//! Row 2: settings in layers, each value able to say where it came from; which repositories are trusted; instruction files.
//!
//! Layers, lowest first: built-in, system (`/etc/pup/config.toml`), user (`<config>/config.toml`), project
//! (`.pup/config.toml`, trusted only), environment (`PUP_*`), command line. The keys stand in one table (`keys`).

mod edit;
pub mod instructions;
mod keys;
mod layers;
mod settings;
mod trust;
mod value;

pub use edit::set;
pub use keys::{KEYS, Key, Kind, key};
pub use layers::{Config, Layer, LayerValue};
pub use settings::{Approve, Auth, Backend, Budget, Failover, Http, Rotation, Settings, Shell};
pub use trust::{State, Trust, Trusted, project_root};
pub use value::{Value, amount, duration};

#[cfg(test)]
mod config_tests;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod trust_tests;
