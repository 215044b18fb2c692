//! `thoughts-in-total`: Google's flavour leaves thinking out of `completion_tokens` and names it nowhere, but counts it in
//! the total. It is paid as output.

use super::Quirk;

/// What a total says that is more than its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Total {
    /// Nothing that can be relied on.
    #[default]
    Ignored,
    /// The rest is reasoning.
    Thoughts,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "thoughts-in-total",
    what: "tokens that only the total counts are reasoning",
    apply: |dialect| dialect.total = Total::Thoughts,
};
