//! JSON Schemas as small as they can be: every token of them is paid in every request.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The schema of `T` without what a model does not need: titles, formats, bounds that a type implies, defaults, and
/// `null` for what is optional anyway. The descriptions are the doc comments of the fields.
pub fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|s| {
        s.meta_schema = None;
        s.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Value::Object(root) = &mut schema {
        // The description of the arguments as a whole is the tool's own.
        root.shift_remove("description");
        slim(root);
    }
    schema
}

fn slim(schema: &mut Map<String, Value>) {
    for key in ["$schema", "title", "format", "minimum", "default"] {
        schema.shift_remove(key);
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().filter_map(Value::as_object_mut).for_each(slim);
    }
    if let Some(Value::Object(items)) = schema.get_mut("items") {
        items.shift_remove("description");
        slim(items);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    /// Not for the model.
    struct Outer {
        path: String,
        /// From 1.
        line: Option<u64>,
        #[serde(default)]
        all: bool,
        items: Vec<Inner>,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    /// Nor this.
    struct Inner {
        n: Option<bool>,
    }

    #[test]
    fn only_what_a_model_needs_is_left() {
        let want = r#"{"type":"object","properties":{"path":{"type":"string"},"line":{"type":"integer","description":"From 1."},"all":{"type":"boolean"},"items":{"type":"array","items":{"type":"object","properties":{"n":{"type":"boolean"}}}}},"required":["path","items"]}"#;
        assert_eq!(of::<Outer>().to_string(), want);
    }
}
