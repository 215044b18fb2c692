//! `pup debug decode` and `pup debug encode`: a wire's codec by hand, without a network.

use crate::base::Failure;
use crate::model::{Accumulator, Block, Reply, Request, ToolCall};
use crate::wire::{Decoder, Dialect, Wire};
use serde_json::{Value, json};

/// The message that a provider's bytes make, in the form of `docs/cli.md`. Bytes that are no reply give `complete: false`
/// and an `error`.
pub fn decode(wire: Wire, bytes: &[u8]) -> Value {
    let mut decoder = Decoder::new(wire, &Dialect::default());
    let mut events = Vec::new();
    decoder.feed(bytes, &mut events);
    decoder.finish(&mut events);
    let mut all = Accumulator::default();
    for event in &events {
        all.push(event);
    }
    show(&all.finish())
}

fn show(reply: &Reply) -> Value {
    let thinking: Vec<&str> =
        reply.message.blocks.iter().filter_map(|b| if let Block::Thinking { text, .. } = b { Some(text.as_str()) } else { None }).collect();
    let usage = &reply.usage;
    let cache_write = match (usage.cache_write, usage.cache_write_1h) {
        (Some(short), Some(long)) => Some(short.saturating_add(long)),
        (short, long) => short.or(long),
    };
    json!({
        "text": reply.message.joined_text(),
        "thinking": (!thinking.is_empty()).then(|| thinking.concat()),
        "tool_calls": reply.message.calls().map(call).collect::<Vec<_>>(),
        "stop": reply.stop.as_str(),
        "usage": {
            "input": usage.input,
            "cache_read": usage.cache_read,
            "cache_write": cache_write,
            "output": usage.output,
            "reasoning": usage.reasoning,
        },
        "error": reply.error.as_ref().map(|e| json!({"class": e.class.as_str(), "message": e.message})),
        "complete": reply.complete,
    })
}

fn call(call: &ToolCall) -> Value {
    let arguments = call.args().map_or_else(|_| Value::String(call.args_raw.clone()), Value::Object);
    json!({"id": call.id, "name": call.name, "arguments": arguments})
}

/// The body that a neutral request (JSON) becomes. What the wire cannot carry is not in it.
pub fn encode(wire: Wire, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: Request = serde_json::from_slice(bytes).map_err(|e| {
        Failure::usage(format!("the input is not a neutral request: {e}"))
            .hint(r#"the smallest one is {"model":"m","messages":[{"role":"user","blocks":[{"type":"text","text":"hi"}]}]}"#)
    })?;
    Ok(crate::wire::encode(wire, &Dialect::default(), &request).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_prints_the_contract() {
        let body = br#"{"id":"x","model":"m","choices":[{"index":0,"message":{"content":"a","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"k\":1}"}},{"id":"2","function":{"name":"g","arguments":"{\"k"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}"#;
        let want = json!({
            "text": "a", "thinking": null,
            "tool_calls": [{"id": "1", "name": "f", "arguments": {"k": 1}}, {"id": "2", "name": "g", "arguments": "{\"k"}],
            "stop": "tool_use",
            "usage": {"input": 1, "cache_read": 4, "cache_write": null, "output": 2, "reasoning": null},
            "error": null, "complete": true,
        });
        assert_eq!(decode(Wire::OpenaiChat, body), want);
    }

    #[test]
    fn decode_of_something_else_is_an_error_and_not_complete() {
        let page = decode(Wire::OpenaiChat, b"<html><title>Sign in</title></html>");
        assert_eq!((&page["complete"], &page["error"]["class"], &page["stop"]), (&json!(false), &json!("network"), &json!("error")));
        assert!(page["error"]["message"].as_str().unwrap().contains("Sign in"), "{page}");
        assert_eq!(decode(Wire::OpenaiChat, b"")["complete"], false);
    }

    #[test]
    fn encode_reads_the_neutral_form_and_says_what_is_wrong_with_another() {
        let ok = encode(Wire::OpenaiChat, br#"{"model":"m","messages":[{"role":"user","blocks":[{"type":"text","text":"hi"}]}]}"#).unwrap();
        assert_eq!(ok, br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
        let bad = encode(Wire::OpenaiChat, br#"{"model":"m","messages":[],"temprature":1}"#).unwrap_err();
        assert!(bad.message.contains("temprature"), "{}", bad.message);
    }
}
