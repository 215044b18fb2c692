//! `no-stream-options`: the server refuses `stream_options`, or sends usage without being asked.

use super::{Dialect, StreamUsage};

pub const NAME: &str = "no-stream-options";

pub(super) fn apply(dialect: &mut Dialect) {
    dialect.stream_usage = StreamUsage::DoNotAsk;
}
