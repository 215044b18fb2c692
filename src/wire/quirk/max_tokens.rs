//! `max-tokens`: the server knows only the older name of the output bound.
//!
//! OpenAI's newer models refuse `max_tokens` with 400 `unsupported_parameter`; most compatible servers know nothing else.

use super::{Dialect, MaxOutput};

pub const NAME: &str = "max-tokens";

pub(super) fn apply(dialect: &mut Dialect) {
    dialect.max_output = MaxOutput::MaxTokens;
}
