//! Row 3: keys and logins. Where a provider's secret comes from, where it is kept, how it stands, and that it never shows itself.

mod dotenv;
mod key;
mod keys;
pub mod oauth;
mod secret;
pub mod standing;
pub mod terms;
pub mod vault;

pub use key::{Key, Source};
pub use keys::{Access, Fault, Keys, Known, variables, vault_id};
pub use secret::Secret;
pub use standing::{KeyId, Standing, Standings};
pub use vault::{Backend, Kept, Vault};
