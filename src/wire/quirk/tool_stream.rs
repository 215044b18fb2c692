//! `tool-stream`: Z.AI holds a call's arguments back until they are whole, unless it is asked not to.
//!
//! A long file as an argument is minutes of silence then, which looks like a dead connection.

use super::{Extra, Quirk, When};
use serde_json::Value;

pub(super) const QUIRK: Quirk = Quirk {
    name: "tool-stream",
    what: "sends `\"tool_stream\":true` with streamed requests that have tools",
    apply: |dialect| dialect.extra.push(Extra { name: "tool_stream", value: Value::Bool(true), when: When::ToolsAreStreamed }),
};
