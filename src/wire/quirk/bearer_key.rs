//! `bearer-key`: servers of Anthropic's wire that take the key as other wires do (Ollama's cloud takes no other way).

use super::Quirk;
use crate::wire::KeyStyle;

pub(super) const QUIRK: Quirk = Quirk {
    name: "bearer-key",
    what: "shows the key as `authorization: Bearer KEY`, also on Anthropic's wire",
    apply: |dialect| dialect.key = Some(KeyStyle::Bearer),
};
