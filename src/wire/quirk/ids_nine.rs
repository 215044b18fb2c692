//! `ids-nine`: Mistral takes ids of tool calls that are exactly nine letters and digits, and answers 400 to any other.

use super::Quirk;
use crate::wire::Ids;

pub(super) const QUIRK: Quirk = Quirk {
    name: "ids-nine",
    what: "ids of tool calls are nine letters and digits; others are replaced, the same way every turn",
    apply: |dialect| dialect.ids = Ids::Nine,
};
