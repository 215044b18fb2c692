//! `stand-in-signatures`: Gemini 3 and later refuse calls in the history that lack their signature.
//!
//! Calls of other models have none, and another's must not be sent. Google documents a value for this case, which its
//! validator passes over. One call of each message has it: the first, where Google expects the signature.

use super::Quirk;

/// What stands in the place of a signature that a call does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallSignatures {
    #[default]
    OwnOnly,
    StandIn,
}

/// The value that the validator passes over.
pub const STAND_IN: &str = "skip_thought_signature_validator";

pub(super) const QUIRK: Quirk = Quirk {
    name: "stand-in-signatures",
    what: "the first call of another model's message gets the value that Google's check of signatures passes over",
    apply: |dialect| dialect.call_signatures = CallSignatures::StandIn,
};

/// Whether a model wants signatures: not those before Gemini 3, which take what is no signature of theirs for a broken one.
pub fn wanted_by(model: &str) -> bool {
    let Some((_, version)) = model.split_once("gemini-") else { return false };
    !matches!(version.as_bytes().first(), Some(b'1' | b'2'))
}

#[cfg(test)]
mod tests {
    use super::wanted_by;

    #[test]
    fn only_models_that_check_signatures_get_a_stand_in() {
        for yes in ["gemini-3-pro-preview", "google/gemini-3.6-flash", "gemini-flash-latest"] {
            assert!(wanted_by(yes), "{yes}");
        }
        for no in ["gemini-2.5-pro", "gemini-1.5-flash", "gemma-4-31b-it"] {
            assert!(!wanted_by(no), "{no}");
        }
    }
}
