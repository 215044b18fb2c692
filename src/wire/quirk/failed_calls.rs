//! `failed-calls`: Groq refuses a model's call that does not fit the tool's schema, and shows it in the refusal.
//!
//! The refusal (400 `tool_use_failed`, or the same as the last event of a stream) has the model's words in
//! `failed_generation`. Where those are a whole call, the call is taken as made: pup checks arguments itself and answers a
//! wrong one with what is wrong, which teaches the model more than the same question once more.

use super::Quirk;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What becomes of a call that the server refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailedCalls {
    /// An error, after which the request is tried again.
    #[default]
    Error,
    Call,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "failed-calls",
    what: "takes a call that the server refused for its arguments as made; the tool answers what is wrong",
    apply: |dialect| dialect.failed_calls = FailedCalls::Call,
};

/// The code of the refusal.
const CODE: &str = "tool_use_failed";

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: Refusal<'a>,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    failed_generation: Cow<'a, str>,
}

/// A call's name and its raw arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCall {
    pub name: String,
    pub args: String,
}

/// The call that a refusal's body shows, if it is whole.
pub fn read(body: &[u8]) -> Option<FailedCall> {
    let body: Body<'_> = serde_json::from_slice(body).ok()?;
    if body.error.code != CODE {
        return None;
    }
    let words = body.error.failed_generation.trim();
    as_object(words).or_else(|| as_tag(words))
}

/// `{"name": ..., "arguments": {...}}`, alone or in a list.
fn as_object(words: &str) -> Option<FailedCall> {
    #[derive(Deserialize)]
    struct Written<'a> {
        name: String,
        #[serde(borrow, alias = "parameters")]
        arguments: &'a RawValue,
    }
    let written: Written<'_> = match serde_json::from_str::<[Written<'_>; 1]>(words) {
        Ok([one]) => one,
        Err(_) => serde_json::from_str(words).ok()?,
    };
    let raw = written.arguments.get();
    // Models write the arguments as a string of JSON, too, as the API itself has them.
    let args = if raw.starts_with('"') { serde_json::from_str(raw).ok()? } else { raw.to_owned() };
    whole(written.name, args)
}

/// `<function=name>{...}</function>`, as Llama writes it; the first bracket is often missing.
fn as_tag(words: &str) -> Option<FailedCall> {
    let inside = words.strip_prefix("<function=")?.strip_suffix("</function>")?;
    let at = inside.find(['{', '>'])?;
    let (name, args) = inside.split_at(at);
    whole(name.trim().to_owned(), args.trim_start_matches('>').trim().to_owned())
}

fn whole(name: String, args: String) -> Option<FailedCall> {
    let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&args).is_ok();
    (is_object && !name.is_empty()).then_some(FailedCall { name, args })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(words: &str) -> Vec<u8> {
        json!({"error": {"message": "m", "type": "invalid_request_error", "code": CODE, "failed_generation": words}})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn a_whole_call_is_read_in_every_form_and_nothing_else_is() {
        for words in [
            "{\"name\": \"f\", \"arguments\": {\"a\": 1}}",
            "[{\"name\": \"f\", \"parameters\": {\"a\": 1}}]",
            "{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}",
            "<function=f>{\"a\": 1}</function>",
            "<function=f{\"a\": 1}</function>\n",
        ] {
            assert_eq!(read(&refusal(words)), Some(FailedCall { name: "f".into(), args: "{\"a\": 1}".into() }), "{words}");
        }
        for words in [
            "",
            "I think so",
            "{\"name\": \"f\", \"arguments\": {\"a\"",
            "{\"name\": \"f\", \"arguments\": [1]}",
            "<function=f>{\"a\"</function>",
            "<function={}</function>",
        ] {
            assert_eq!(read(&refusal(words)), None, "{words}");
        }
        assert_eq!(read(br#"{"error":{"code":"other","failed_generation":"{\"name\":\"f\",\"arguments\":{}}"}}"#), None);
        assert_eq!(read(br#"{"error":"tool_use_failed"}"#), None);
    }
}
