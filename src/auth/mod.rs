//! Row 3: keys and logins. Where a provider's secret comes from, where it is kept, and that it never shows itself.

mod dotenv;
mod keys;
pub mod oauth;
mod secret;
pub mod terms;
pub mod vault;

pub use keys::{Access, Key, Keys};
pub use secret::Secret;
pub use vault::{Backend, Kept, Vault};
