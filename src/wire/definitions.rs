//! Tool definitions on wires whose clients give some that the neutral form cannot hold: the vendor's own tools, a
//! definition's cache mark or its strictness.
//!
//! Those stand whole in the extension `tools`, in the caller's order, which is part of what a cache remembers. A definition
//! there replaces the neutral one of its name; neutral ones without such a twin follow behind.

use super::json_out::{self, Object};
use crate::model::{Request, ToolSpec};
use serde_json::Value;

/// The extension that holds whole definitions.
pub const EXTENSION: &str = "tools";

/// The definitions of this wire that came in whole.
pub fn whole<'a>(request: &'a Request, wire: &str) -> &'a [Value] {
    request.extensions.get(wire).and_then(|own| own.get(EXTENSION)?.as_array()).map_or(&[], Vec::as_slice)
}

pub fn name(definition: &Value) -> Option<&str> {
    definition.get("name")?.as_str()
}

/// Writes the field `tools`, where there are any; `neutral` writes a definition of the neutral form.
pub fn write(object: &mut Object<'_>, specs: &[ToolSpec], whole: &[Value], neutral: impl Fn(&mut Vec<u8>, &ToolSpec)) {
    if specs.is_empty() && whole.is_empty() {
        return;
    }
    let others = specs.iter().filter(|spec| !whole.iter().any(|w| name(w) == Some(spec.name.as_str())));
    let all = whole.iter().map(Definition::Whole).chain(others.map(Definition::Neutral));
    object.list("tools", all, |out, tool| match tool {
        Definition::Whole(definition) => json_out::value(out, definition),
        Definition::Neutral(spec) => neutral(out, spec),
    });
}

enum Definition<'a> {
    Neutral(&'a ToolSpec),
    Whole(&'a Value),
}

/// Whether the neutral form of a definition is all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fidelity {
    Whole,
    LeavesOut,
}
