//! `null-content`: the server's parser wants the key `content` in every message, be it null.

use super::{Dialect, MissingContent};

pub const NAME: &str = "null-content";

pub(super) fn apply(dialect: &mut Dialect) {
    dialect.missing_content = MissingContent::Null;
}
