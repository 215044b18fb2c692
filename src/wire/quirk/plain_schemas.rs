//! `plain-schemas`: Google's flavour reads tool schemas through its own, smaller language and answers 400 to the rest
//! (`Unknown name "propertyNames"`). What is left out only narrows: pup checks arguments against the whole schema itself.

use super::Quirk;
use super::schema::{Constants, OpenObjects, Rules, simplified};
use serde_json::Value;
use std::borrow::Cow;

/// In which language tool schemas are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Schemas {
    #[default]
    Whole,
    Plain,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "plain-schemas",
    what: "tool schemas without references and without keywords that Google's flavour refuses",
    apply: |dialect| dialect.schemas = Schemas::Plain,
};

const PLAIN: Rules = Rules {
    without: &[
        "$schema",
        "$id",
        "$anchor",
        "$comment",
        "default",
        "examples",
        "propertyNames",
        "patternProperties",
        "unevaluatedProperties",
        "unevaluatedItems",
        "dependentRequired",
        "dependentSchemas",
        "contains",
        "prefixItems",
        "if",
        "then",
        "else",
        "not",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "uniqueItems",
    ],
    open_objects: OpenObjects::Open,
    constants: Constants::Enum,
};

impl Schemas {
    pub fn write(self, schema: &Value) -> Cow<'_, Value> {
        match self {
            Self::Whole => Cow::Borrowed(schema),
            Self::Plain => Cow::Owned(simplified(schema, &PLAIN)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_refused_is_gone_and_words_for_the_model_stay() {
        let whole = json!({
            "$schema": "s", "type": "object", "required": ["m"], "additionalProperties": false,
            "$defs": {"M": {"const": "fast", "description": "how"}},
            "properties": {"m": {"$ref": "#/$defs/M"}, "n": {"type": "integer", "exclusiveMinimum": 0, "default": 1}, "default": {"type": "object", "propertyNames": {"pattern": "x"}}},
        });
        let plain = json!({
            "type": "object", "required": ["m"], "additionalProperties": false,
            "properties": {"m": {"enum": ["fast"], "description": "how"}, "n": {"type": "integer"}, "default": {"type": "object"}},
        });
        assert_eq!(*Schemas::Plain.write(&whole), plain);
        assert_eq!(*Schemas::Whole.write(&whole), whole);
    }
}
