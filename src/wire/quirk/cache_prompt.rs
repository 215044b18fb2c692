//! `cache-prompt`: llama.cpp keeps the prompt's state for the next request if it is asked to; older builds do not unasked.

use super::{Extra, Quirk, When};
use serde_json::Value;

pub(super) const QUIRK: Quirk = Quirk {
    name: "cache-prompt",
    what: "sends `\"cache_prompt\":true`",
    apply: |dialect| dialect.extra.push(Extra { name: "cache_prompt", value: Value::Bool(true), when: When::Always }),
};
