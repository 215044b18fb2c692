//! Schemas: what each idiom becomes, and that anything at all becomes something that the wire takes.

use super::*;
use proptest::prelude::*;

fn plain(schema: &Value) -> Value {
    convert(schema, Rules::Gemini).schema
}

#[test]
fn each_idiom_has_its_place() {
    let rows = [
        // What the wire takes stays as it is.
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "enum": ["x", "y"], "description": "d"}, "n": {"type": "integer", "minimum": 1, "format": "int32"}}, "required": ["a"], "propertyOrdering": ["n", "a"]}),
            json!({"type": "object", "properties": {"a": {"type": "string", "enum": ["x", "y"], "description": "d"}, "n": {"type": "integer", "minimum": 1, "format": "int32"}}, "required": ["a"], "propertyOrdering": ["n", "a"]}),
        ),
        (json!({"type": "STRING", "title": "T"}), json!({"type": "string", "title": "T"})),
        (json!({"type": ["string", "null"]}), json!({"type": "string", "nullable": true})),
        (json!({"type": ["integer", "number"]}), json!({"type": "number"})),
        (
            json!({"type": ["string", "array"], "items": {"type": "string"}}),
            json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
        ),
        (json!({"const": "x"}), json!({"type": "string", "enum": ["x"]})),
        (json!({"const": null}), json!({"type": "string", "nullable": true})),
        (json!({"const": 5}), json!({"type": "integer", "description": "One of: 5."})),
        (json!({"type": "integer", "enum": [1, 2], "description": "n"}), json!({"type": "integer", "description": "n\nOne of: 1, 2."})),
        (json!({"enum": ["a", null, "a", ""]}), json!({"type": "string", "enum": ["a"], "nullable": true})),
        (
            json!({"anyOf": [{"type": "integer", "format": "uint32"}, {"type": "null"}], "description": "d"}),
            json!({"type": "integer", "description": "d", "nullable": true}),
        ),
        (
            json!({"oneOf": [{"const": "a", "description": "first"}, {"const": "b"}], "description": "d"}),
            json!({"type": "string", "enum": ["a", "b"], "description": "d\n`a`: first"}),
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"anyOf": [{"type": "boolean"}, {"type": "string"}]}, {"type": "null"}], "description": "d"}),
            json!({"anyOf": [{"type": "string", "description": "d", "nullable": true}, {"type": "boolean"}]}),
        ),
        (
            json!({"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {"type": "boolean"}, "a": {"description": "d"}}, "required": ["b", "a"]}]}),
            json!({"type": "object", "properties": {"a": {"type": "string", "description": "d"}, "b": {"type": "boolean"}}, "required": ["a", "b"]}),
        ),
        (
            json!({"type": "object", "properties": {"k": {"const": "x"}}, "oneOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {"type": "string"}}}]}),
            json!({"type": "object", "properties": {"k": {"type": "string", "enum": ["x"]}, "a": {"type": "string"}, "b": {"type": "string"}}}),
        ),
        (json!({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10}), json!({"type": "integer", "minimum": 1, "maximum": 9})),
        (json!({"type": "array"}), json!({"type": "array", "items": {"type": "string", "description": "Any JSON value."}})),
        (
            json!({"prefixItems": [{"type": "string"}, {"type": "integer"}]}),
            json!({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}),
        ),
        (
            json!({"type": "object", "required": ["gone"], "properties": {"x": false, "y": true}}),
            json!({"type": "object", "properties": {"y": {"type": "string", "description": "Any JSON value."}}}),
        ),
        (json!({}), json!({"type": "string", "description": "Any JSON value."})),
        (json!({"type": "string", "format": "uri", "minLength": -1, "pattern": "a"}), json!({"type": "string", "pattern": "a"})),
    ];
    for (schema, want) in rows {
        assert_eq!(plain(&schema), want, "{schema}");
        assert_eq!(plain(&want), want, "it stays what it became");
    }
}

#[test]
fn references_are_written_out_also_where_they_never_end() {
    let schema = json!({
        "type": "object",
        "properties": {
            "edits": {"type": "array", "items": {"$ref": "#/$defs/Edit"}},
            "tree": {"$ref": "#/definitions/Tree", "description": "the tree"},
            "other": {"$ref": "elsewhere.json"},
            "self": {"$ref": "#"},
        },
        "$defs": {"Edit": {"type": "object", "properties": {"old": {"type": "string"}}}},
        "definitions": {"Tree": {"type": "object", "description": "a tree", "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/definitions/Tree"}}}}},
    });
    let got = plain(&schema);
    assert_eq!(got["properties"]["edits"]["items"]["properties"]["old"], json!({"type": "string"}));
    let tree = &got["properties"]["tree"];
    assert_eq!(tree["description"], "the tree");
    assert_eq!(tree["properties"]["children"]["items"], json!({"type": "object"}), "the circle ends");
    assert_eq!(got["properties"]["other"]["type"], "string");
    assert_eq!(got["properties"]["self"]["type"], "object");
    assert_eq!(valid(&got, Rules::Gemini), Ok(()));
}

#[test]
fn a_document_whose_references_fan_out_stays_small() {
    let mut defs = Map::new();
    for n in 0..40 {
        let next = json!({"$ref": format!("#/$defs/D{}", n + 1)});
        defs.insert(format!("D{n}"), json!({"type": "object", "properties": {"a": next, "b": next, "c": {"allOf": [next, next, next]}}}));
    }
    let got = convert(&json!({"$ref": "#/$defs/D0", "$defs": defs}), Rules::Gemini);
    assert!(got.dropped.contains("nesting"));
    assert!(got.schema.to_string().len() < 4_000_000, "{}", got.schema.to_string().len());
    assert_eq!(valid(&got.schema, Rules::Gemini), Ok(()));
}

#[test]
fn what_constrained_something_and_is_left_out_is_named() {
    let schema = json!({"type": "object", "$schema": "s", "title": "t", "additionalProperties": false, "propertyNames": {}, "x-own": 1,
        "properties": {"a": {"type": "number", "multipleOf": 2, "default": 4, "examples": [2]}, "b": {"not": {"type": "string"}}}});
    let dropped: Vec<String> = convert(&schema, Rules::Gemini).dropped.into_iter().collect();
    assert_eq!(dropped, ["multipleOf", "not", "propertyNames"]);
}

#[test]
fn the_stricter_door_gets_fewer_words_and_no_unions() {
    let schema = json!({"type": "object", "title": "t", "required": ["a", "n"], "properties": {
        "a": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"x": {"type": "string", "minLength": 1, "title": "X"}}}], "description": "d"},
        "n": {"type": ["integer", "null"]},
        "e": {"type": "object"},
    }});
    let want = json!({"type": "object", "required": ["a"], "properties": {
        "a": {"type": "object", "properties": {"x": {"type": "string"}}, "description": "d\nAccepts: string, object."},
        "n": {"type": "integer", "description": "May be left out."},
        "e": {"type": "object"},
    }});
    assert_eq!(parameters(&schema, Rules::Antigravity).0.unwrap(), want);
    let claude = parameters(&schema, Rules::Claude).0.unwrap();
    assert!(claude["properties"]["e"]["properties"][PLACEHOLDER].is_object(), "{claude}");
}

#[test]
fn arguments_are_an_object_or_are_not_described() {
    let union = json!({"anyOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "object", "properties": {"b": {"type": "string"}}}]});
    let both = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
    for (schema, want) in [
        (json!({"type": "object", "properties": {}}), None),
        (json!({}), None),
        (json!({"type": "string"}), None),
        (Value::Null, None),
        (union, Some(both)),
        (
            json!({"type": ["object", "null"], "properties": {"a": {"type": "string"}}}),
            Some(json!({"type": "object", "properties": {"a": {"type": "string"}}})),
        ),
    ] {
        assert_eq!(parameters(&schema, Rules::Gemini).0, want, "{schema}");
        let claude = parameters(&schema, Rules::Claude).0.unwrap();
        assert_eq!(valid(&claude, Rules::Claude), Ok(()), "{claude}");
    }
}

#[test]
fn the_wires_own_words_are_plain_json_schema_for_everybody_else() {
    let wire = json!({"type": "OBJECT", "properties": {"type": {"type": "STRING", "nullable": true, "maxLength": "5"}, "u": {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}], "nullable": true}}, "propertyOrdering": ["u"]});
    let want = json!({"type": "object", "properties": {"type": {"type": ["string", "null"], "maxLength": 5}, "u": {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}}});
    assert_eq!(to_json_schema(&wire), want);
}

// The rules of the wire, written down a second time.

fn valid(schema: &Value, rules: Rules) -> Result<(), String> {
    let Some(map) = schema.as_object() else { return Err(format!("no object: {schema}")) };
    let say = |what: &str| Err(format!("{what}: {schema}"));
    if let Some(options) = map.get("anyOf") {
        let options = options.as_array().ok_or("anyOf is no list")?;
        if rules != Rules::Gemini || map.len() != 1 || options.len() < 2 || options.iter().any(|o| o.get("anyOf").is_some()) {
            return say("a union stands alone and holds no other");
        }
        return options.iter().try_for_each(|o| valid(o, rules));
    }
    let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
    if !["string", "number", "integer", "boolean", "array", "object"].contains(&kind) {
        return say("a type that is none");
    }
    for (key, value) in map {
        let whole = value.is_u64();
        let fits = match key.as_str() {
            "type" => true,
            "description" => value.is_string(),
            "title" => value.is_string() && rules == Rules::Gemini,
            "nullable" => *value == Value::Bool(true) && rules == Rules::Gemini,
            "enum" => {
                let words = value.as_array().map_or(&[][..], Vec::as_slice);
                let distinct: std::collections::HashSet<_> = words.iter().filter_map(Value::as_str).filter(|w| !w.is_empty()).collect();
                kind == "string" && !words.is_empty() && distinct.len() == words.len()
            }
            "properties" => kind == "object" && value.as_object().is_some_and(|p| !p.is_empty()),
            "required" | "propertyOrdering" => {
                let names = value.as_array().map_or(&[][..], Vec::as_slice);
                let known = |n: &Value| map.get("properties").and_then(|p| p.get(n.as_str()?)).is_some();
                kind == "object" && !names.is_empty() && names.iter().all(known) && (key == "required" || rules == Rules::Gemini)
            }
            "items" => kind == "array",
            "format" => {
                let known = matches!(
                    (kind, value.as_str()),
                    ("string", Some("date-time")) | ("integer", Some("int32" | "int64")) | ("number", Some("float" | "double"))
                );
                known && rules == Rules::Gemini
            }
            "minimum" | "maximum" => value.is_number() && matches!(kind, "integer" | "number") && rules == Rules::Gemini,
            "minLength" | "maxLength" => whole && kind == "string" && rules == Rules::Gemini,
            "pattern" => value.is_string() && kind == "string" && rules == Rules::Gemini,
            "minItems" | "maxItems" => whole && kind == "array" && rules == Rules::Gemini,
            "minProperties" | "maxProperties" => whole && kind == "object" && rules == Rules::Gemini,
            _ => false,
        };
        if !fits {
            return say(&format!("`{key}` cannot stand here"));
        }
    }
    if kind == "array" && !map.contains_key("items") {
        return say("a list without items");
    }
    if kind == "object" && rules == Rules::Claude && !map.contains_key("properties") {
        return say("an object without properties");
    }
    let inner = map.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::values).chain(map.get("items"));
    inner.into_iter().try_for_each(|one| valid(one, rules))
}

fn word() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("a")),
        Just(json!("b")),
        Just(json!("")),
        Just(json!(null)),
        Just(json!(1)),
        Just(json!(1.5)),
        Just(json!(true)),
        Just(json!([])),
        Just(json!({}))
    ]
}

fn kind() -> impl Strategy<Value = Value> {
    let one = prop::sample::select(vec!["string", "number", "integer", "boolean", "array", "object", "null", "OBJECT", "any", "file"]);
    prop_oneof![4 => one.clone().prop_map(Value::from), 1 => prop::collection::vec(one, 0..4).prop_map(|all| json!(all)), 1 => word()]
}

/// Anything that somebody's tool might call a schema.
fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => kind().prop_map(|k| json!({"type": k})),
        2 => prop::sample::select(vec!["#", "#/$defs/A", "#/$defs/B", "#/definitions/B", "#/$defs/none", "x.json"]).prop_map(|r| json!({"$ref": r})),
        1 => proptest::bool::ANY.prop_map(Value::Bool),
        1 => word(),
        1 => word().prop_map(|w| json!({"const": w})),
        1 => prop::collection::vec(word(), 0..4).prop_map(|w| json!({"enum": w})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let pair = prop_oneof![
            3 => prop::collection::vec((prop_oneof!["[a-c]", "[a-c]", "\\PC{0,3}"], inner.clone()), 0..4)
                .prop_map(|fields| ("properties".to_owned(), Value::Object(fields.into_iter().collect()))),
            2 => (prop::sample::select(vec!["anyOf", "oneOf", "allOf", "prefixItems"]), prop::collection::vec(inner.clone(), 0..4)).prop_map(|(k, all)| (k.to_owned(), json!(all))),
            2 => (prop::sample::select(vec!["items", "not", "additionalProperties", "if", "contains", "propertyNames"]), inner).prop_map(|(k, s)| (k.to_owned(), s)),
            1 => prop::collection::vec(prop_oneof![Just(json!("a")), Just(json!("b")), word()], 0..4).prop_map(|all| ("required".to_owned(), json!(all))),
            1 => kind().prop_map(|k| ("type".to_owned(), k)),
            1 => (prop::sample::select(vec!["minimum", "maxLength", "minItems", "pattern", "format", "title", "description", "nullable", "default", "exclusiveMinimum", "enum", "const", "$id", "zzz"]), word())
                .prop_map(|(k, v)| (k.to_owned(), v)),
            1 => Just(("propertyOrdering".to_owned(), json!(["b", "a", "z"]))),
        ];
        prop::collection::vec(pair, 1..5).prop_map(|fields| Value::Object(fields.into_iter().collect()))
    })
}

fn document() -> impl Strategy<Value = Value> {
    (schema(), schema(), schema()).prop_map(|(mut root, a, b)| {
        if let Value::Object(map) = &mut root {
            map.insert("$defs".to_owned(), json!({"A": a, "B": b}));
        }
        root
    })
}

proptest! {
    #[test]
    fn anything_becomes_what_the_wire_takes_and_always_the_same(document in document()) {
        for rules in [Rules::Gemini, Rules::Antigravity, Rules::Claude] {
            let (parameters, dropped) = parameters(&document, rules);
            if let Some(parameters) = &parameters {
                prop_assert_eq!(valid(parameters, rules), Ok(()));
                prop_assert_eq!(&parameters["type"], "object");
            }
            prop_assert_eq!((parameters, dropped), super::parameters(&document, rules));
        }
        let once = plain(&document);
        prop_assert_eq!(valid(&once, Rules::Gemini), Ok(()));
    }

    #[test]
    fn what_the_wire_takes_is_left_alone(document in document()) {
        let Converted { schema, dropped } = convert(&document, Rules::Gemini);
        // Where it was cut, a word more or less decides.
        prop_assume!(!dropped.contains("nesting"));
        prop_assert_eq!(&plain(&schema), &schema);
    }
}

#[test]
fn options_that_become_the_same_are_one() {
    let document = json!({"title": "a", "anyOf": [{"type": "string"}, {"$ref": "#"}], "$defs": {"A": {"type": "string"}}});
    let once = plain(&document);
    assert_eq!(once["anyOf"].as_array().map(Vec::len), Some(2), "{once}");
    assert_eq!(plain(&once), once);
}

#[test]
fn the_generator_makes_each_interesting_shape() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for _ in 0..256 {
        let text = document().new_tree(&mut runner).unwrap().current().to_string();
        for shape in [
            "\"$ref\":\"#/$defs/A\"",
            "\"$ref\":\"#\"",
            "\"anyOf\"",
            "\"allOf\"",
            "\"const\"",
            "\"enum\"",
            "\"properties\"",
            "\"prefixItems\"",
            "\"required\"",
            "\"null\"",
        ] {
            *seen.entry(shape).or_default() += usize::from(text.contains(shape));
        }
    }
    assert!(seen.values().all(|n| *n >= 10), "{seen:?}");
}
