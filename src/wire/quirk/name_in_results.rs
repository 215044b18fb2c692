//! `name-in-results`: Google's flavour makes its function responses of tool messages, and those have a name.

use super::Quirk;

/// Whether a tool message says which tool it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResultName {
    #[default]
    LeftOut,
    Written,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "name-in-results",
    what: "tool messages have the tool's `name`",
    apply: |dialect| dialect.result_name = ResultName::Written,
};
