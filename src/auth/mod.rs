//! Row 3: keys. Where a provider's secret comes from, and that it never shows itself.

mod dotenv;
mod keys;

pub use keys::{Access, Key, Keys};
