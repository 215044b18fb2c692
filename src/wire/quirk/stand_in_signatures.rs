//! `stand-in-signatures`: Gemini 3 and later refuse calls in the history that lack their signature.
//!
//! Calls of other models have none, and another's must not be sent. Google documents a value for this case, which its
//! validator passes over. One call of each message has it: the first, where Google expects the signature.

use super::Quirk;
use crate::wire::gemini::{Family, Maker, NO_SIGNATURE};

/// What stands in the place of a signature that a call does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallSignatures {
    #[default]
    OwnOnly,
    StandIn,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "stand-in-signatures",
    what: "the first call of another model's message gets the value that Google's check of signatures passes over",
    apply: |dialect| dialect.call_signatures = CallSignatures::StandIn,
};

/// The signature for the first call of another's message to this model, if it wants one: those before Gemini 3 take what is
/// no signature of theirs for a broken one.
pub fn stand_in(model: &str) -> Option<&'static str> {
    (Family::of(model).maker == Maker::GeminiThree).then_some(NO_SIGNATURE)
}

#[cfg(test)]
mod tests {
    use super::stand_in;

    #[test]
    fn only_models_that_check_signatures_get_a_stand_in() {
        for yes in ["gemini-3-pro-preview", "google/gemini-3.6-flash", "gemini-flash-latest"] {
            assert!(stand_in(yes).is_some(), "{yes}");
        }
        for no in ["gemini-2.5-pro", "gemini-1.5-flash", "gemma-4-31b-it"] {
            assert!(stand_in(no).is_none(), "{no}");
        }
    }
}
