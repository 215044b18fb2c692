//! Parts of a message that only their own maker understands, gathered while they arrive.
//!
//! OpenRouter streams `reasoning_details` (text, signatures, encrypted blobs) item by item, Google's flavour sends
//! `extra_content`. Together they become one opaque block: a JSON object of message fields, sent back as it is to the
//! same origin and to nobody else.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

#[derive(Debug, Clone, Default)]
pub struct Details {
    items: Vec<Map<String, Value>>,
    extra_content: Option<String>,
}

impl Details {
    /// Takes the items of one chunk; returns the readable text among them.
    pub fn add(&mut self, raw: &RawValue) -> String {
        let mut text = String::new();
        let Ok(items) = serde_json::from_str::<Vec<Map<String, Value>>>(raw.get()) else { return text };
        for item in items {
            for key in ["text", "summary"] {
                text.extend(item.get(key).and_then(Value::as_str));
            }
            match self.items.last_mut().filter(|last| continues(last, &item)) {
                Some(last) => merge(last, item),
                None => self.items.push(item),
            }
        }
        text
    }

    /// The last one wins: it is sent whole.
    pub fn extra_content(&mut self, raw: &RawValue) {
        self.extra_content = Some(raw.get().to_owned());
    }

    /// The block's JSON, if anything was gathered.
    pub fn take(&mut self) -> Option<String> {
        let items = std::mem::take(&mut self.items);
        let extra = self.extra_content.take();
        if items.is_empty() && extra.is_none() {
            return None;
        }
        let mut out = Vec::new();
        let mut object = crate::wire::json_out::Object::begin(&mut out);
        if let Some(extra) = extra {
            object.key("extra_content").extend_from_slice(extra.as_bytes());
        }
        if !items.is_empty() {
            object.field("reasoning_details", &items);
        }
        object.end();
        String::from_utf8(out).ok()
    }
}

/// Whether `next` is a further piece of `last`: same kind and place, and not another item by its id.
fn continues(last: &Map<String, Value>, next: &Map<String, Value>) -> bool {
    let same = |key: &str| last.get(key) == next.get(key);
    let id = match (last.get("id").filter(|v| !v.is_null()), next.get("id").filter(|v| !v.is_null())) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    let readable = matches!(last.get("type").and_then(Value::as_str), Some("reasoning.text" | "reasoning.summary"));
    same("type") && same("index") && id && readable
}

fn merge(last: &mut Map<String, Value>, next: Map<String, Value>) {
    for (key, value) in next {
        match (key.as_str(), last.get_mut(&key), value) {
            (_, _, Value::Null) => {}
            ("text" | "summary", Some(Value::String(have)), Value::String(more)) => have.push_str(&more),
            (_, _, value) => {
                last.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn pieces_of_one_item_are_joined_and_items_kept_apart() {
        let mut d = Details::default();
        assert_eq!(d.add(&raw(r#"[{"type":"reasoning.text","text":"a","index":0,"format":"f"}]"#)), "a");
        assert_eq!(d.add(&raw(r#"[{"type":"reasoning.text","text":"b","index":0}]"#)), "b");
        assert_eq!(d.add(&raw(r#"[{"type":"reasoning.text","signature":"s","index":0}]"#)), "");
        d.add(&raw(r#"[{"type":"reasoning.encrypted","data":"x","index":1},{"type":"reasoning.encrypted","data":"y","index":1}]"#));
        let whole = d.take().unwrap();
        assert_eq!(
            whole,
            r#"{"reasoning_details":[{"type":"reasoning.text","text":"ab","index":0,"format":"f","signature":"s"},{"type":"reasoning.encrypted","data":"x","index":1},{"type":"reasoning.encrypted","data":"y","index":1}]}"#
        );
        assert_eq!(d.take(), None);
    }

    #[test]
    fn extra_content_is_kept_byte_for_byte() {
        let mut d = Details::default();
        d.extra_content(&raw(r#"{"google": {"n": 1e400}}"#));
        assert_eq!(d.take().unwrap(), r#"{"extra_content":{"google": {"n": 1e400}}}"#);
    }
}
