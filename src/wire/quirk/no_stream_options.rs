//! `no-stream-options`: the server refuses `stream_options`, or sends usage without being asked.

use super::Quirk;

/// Whether a stream's usage has to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamUsage {
    #[default]
    Ask,
    /// The server sends it unasked, or refuses the question.
    DoNotAsk,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "no-stream-options",
    what: "never sends `stream_options`",
    apply: |dialect| dialect.stream_usage = StreamUsage::DoNotAsk,
};
