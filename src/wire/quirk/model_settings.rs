//! What a catalogue entry's `settings` put into each request: fields of the wire, as its vendor names them. Those of the
//! request itself win.
//!
//! Google's bodies have most of their fields one level down; a setting may stand there or be named alone
//! (`"thinkingConfig": {..}`). A field of Google's on another wire is not sent: it comes back as a loss.

use super::Dialect;
use crate::model::Request;
use crate::model::google_fields::{self, GENERATION};
use crate::wire::{Wire, gemini};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The request with the model's settings beside its own.
pub fn prepare<'a>(wire: Wire, dialect: &Dialect, request: Cow<'a, Request>) -> Cow<'a, Request> {
    if dialect.settings.is_empty() {
        return request;
    }
    let google = matches!(wire, Wire::Gemini | Wire::Antigravity);
    let mut request = request.into_owned();
    for (name, value) in &dialect.settings {
        let body = google_fields::is_of_body(name);
        let generation = !body && (google || google_fields::is_of_generation(name));
        if body || generation {
            let own = request.extensions.entry(gemini::NAME.to_owned()).or_default();
            if generation {
                let config = own.entry(GENERATION).or_insert_with(|| Map::new().into());
                config.as_object_mut().into_iter().for_each(|config| beside(config, name, value));
            } else {
                beside(own, name, value);
            }
        } else {
            beside(request.extensions.entry(wire.as_str().to_owned()).or_default(), name, value);
        }
    }
    Cow::Owned(request)
}

/// Adds a field where there is none; objects are joined.
fn beside(fields: &mut Map<String, Value>, name: &str, value: &Value) {
    match (fields.get_mut(name), value) {
        (None, _) => {
            fields.insert(name.to_owned(), value.clone());
        }
        (Some(Value::Object(own)), Value::Object(more)) => more.iter().for_each(|(name, value)| beside(own, name, value)),
        (Some(_), _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Loss, Message};
    use crate::wire::{encode, quirk};
    use serde_json::json;

    fn written(wire: Wire, settings: Value, request: Request) -> (Value, Vec<Loss>) {
        let Value::Object(settings) = settings else { panic!("settings are an object") };
        let dialect = Dialect { settings, ..Dialect::default() };
        let messages = [Message::user("u")].into_iter().collect();
        let request = Request { messages, model: if request.model.is_empty() { "m".into() } else { request.model }, ..request };
        let (body, losses) = encode(wire, &dialect, &quirk::prepare(wire, &dialect, &request));
        (serde_json::from_slice(&body).unwrap(), losses)
    }

    #[test]
    fn each_wire_writes_them_where_its_server_reads_them() {
        let budget = json!({"thinkingConfig": {"thinkingBudget": 8192}, "safetySettings": [{"category": "c"}]});
        let model = || Request { model: "gemini-2.5-flash".into(), ..Request::default() };
        let (body, losses) = written(Wire::Gemini, budget.clone(), model());
        assert_eq!((&body["generationConfig"]["thinkingConfig"]["thinkingBudget"], losses.len()), (&json!(8192), 0), "{body}");
        assert_eq!(body["safetySettings"][0]["category"], "c");
        let claude = Request { model: "claude-opus-4-5-thinking".into(), ..Request::default() };
        let (body, _) = written(Wire::Antigravity, json!({"thinkingConfig": {"thinkingBudget": 8192}}), claude);
        assert_eq!(body["request"]["generationConfig"]["thinkingConfig"]["thinkingBudget"], 8192, "{body}");
        for (wire, settings) in [
            (Wire::OpenaiChat, json!({"top_k": 40, "temperature": 0.5})),
            (Wire::OpenaiResponses, json!({"service_tier": "flex", "truncation": "auto"})),
            (Wire::Anthropic, json!({"top_k": 40, "service_tier": "auto"})),
        ] {
            let (body, losses) = written(wire, settings.clone(), Request::default());
            for (name, value) in settings.as_object().unwrap() {
                assert_eq!(body.get(name), Some(value), "{wire} {name}: {body}");
            }
            assert!(losses.is_empty(), "{wire}: {losses:?}");
        }
    }

    #[test]
    fn the_request_wins_and_foreign_fields_are_named() {
        let (body, _) = written(Wire::OpenaiChat, json!({"temperature": 0.5}), Request { temperature: Some(1.0), ..Request::default() });
        assert_eq!(body["temperature"], 1.0);
        for wire in [Wire::OpenaiChat, Wire::OpenaiResponses, Wire::Anthropic] {
            let (body, losses) = written(wire, json!({"thinkingConfig": {"thinkingBudget": 1}}), Request::default());
            assert!(!body.to_string().contains("thinkingConfig"), "{body}");
            assert!(losses.iter().any(|l| l.at.contains("gemini")), "{wire}: {losses:?}");
        }
    }
}
