//! References inside a JSON Schema document, followed to what they name.

use serde_json::Value;

/// The document that references are looked up in.
#[derive(Debug, Clone, Copy)]
pub struct Refs<'a> {
    root: &'a Value,
}

impl<'a> Refs<'a> {
    pub fn of(root: &'a Value) -> Self {
        Self { root }
    }

    /// What a reference of the form `#/$defs/Name` names; nothing for one that leads out of the document or nowhere.
    pub fn get(self, reference: &str) -> Option<&'a Value> {
        let pointer = reference.strip_prefix('#')?;
        if let Some(found) = self.root.pointer(pointer) {
            return Some(found);
        }
        // A schema that was cut out of a larger one keeps the old way to its definitions.
        let name = pointer.rsplit('/').next()?.replace("~1", "/").replace("~0", "~");
        ["$defs", "definitions"].iter().find_map(|key| self.root.get(*key)?.get(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_to_definitions_properties_and_the_root() {
        let root = serde_json::json!({"$defs": {"a/b": {"x": 1}}, "definitions": {"c": {"x": 2}}, "properties": {"p": {"x": 3}}});
        let refs = Refs::of(&root);
        for (reference, x) in
            [("#/$defs/a~1b", 1), ("#/definitions/c", 2), ("#/properties/p", 3), ("#/components/schemas/c", 2), ("#/components/a~1b", 1)]
        {
            assert_eq!(refs.get(reference).unwrap()["x"], x, "{reference}");
        }
        assert_eq!(refs.get("#"), Some(&root));
        assert_eq!((refs.get("other.json#/a"), refs.get("#/$defs/none"), refs.get("")), (None, None, None));
    }
}
