//! `json-object-only` and `json-schema-only`: servers that know one of the two forms in which JSON can be asked for.
//!
//! DeepSeek and Z.AI answer 400 to `json_schema`, LM Studio to `json_object`.

use super::Quirk;
use crate::model::ResponseFormat;
use serde_json::json;
use std::borrow::Cow;

/// Which response formats a server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Formats {
    #[default]
    All,
    ObjectOnly,
    SchemaOnly,
}

pub(super) const OBJECT: Quirk = Quirk {
    name: "json-object-only",
    what: "asks for JSON of any form where a schema is asked for",
    apply: |dialect| dialect.formats = Formats::ObjectOnly,
};

pub(super) const SCHEMA: Quirk = Quirk {
    name: "json-schema-only",
    what: "asks for a schema of any object where JSON of any form is asked for",
    apply: |dialect| dialect.formats = Formats::SchemaOnly,
};

impl Formats {
    /// The nearest form that the server takes, and what it leaves out.
    pub fn fit(self, wanted: &ResponseFormat) -> (Cow<'_, ResponseFormat>, Option<&'static str>) {
        match (self, wanted) {
            (Self::ObjectOnly, ResponseFormat::JsonSchema { .. }) => {
                (Cow::Owned(ResponseFormat::JsonObject), Some("this server binds an answer to JSON, but not to a schema"))
            }
            (Self::SchemaOnly, ResponseFormat::JsonObject) => {
                let any = ResponseFormat::JsonSchema { name: "object".to_owned(), schema: json!({"type": "object"}), strict: None };
                (Cow::Owned(any), None)
            }
            (Self::All | Self::ObjectOnly | Self::SchemaOnly, _) => (Cow::Borrowed(wanted), None),
        }
    }
}
