//! What every Chat Completions request must obey, checked on its raw JSON and on nothing of `src`.
//!
//! A second opinion on purpose: were it made of the code under test, both would be wrong together.

use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashSet;

/// Everything that is wrong with a request body.
pub fn broken(body: &Value) -> Vec<String> {
    let mut check = Check::default();
    if body["model"].as_str().is_none_or(str::is_empty) {
        check.say("model", "is missing or empty");
    }
    check.tools(&body["tools"]);
    match body["messages"].as_array() {
        Some(messages) if !messages.is_empty() => check.messages(messages),
        _ => check.say("messages", "is no list, or an empty one"),
    }
    check.found
}

/// Where a later request does not begin with the very bytes of an earlier one's messages or items. Both are whole bodies.
pub fn prefix_break(earlier: &[u8], later: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Body<'a> {
        #[serde(borrow, alias = "input")]
        messages: Vec<&'a RawValue>,
        #[serde(borrow, default)]
        instructions: Option<&'a RawValue>,
        #[serde(borrow, default)]
        tools: Option<&'a RawValue>,
    }
    let parse = |b| serde_json::from_slice::<Body<'_>>(b).map_err(|e| format!("not a request: {e}"));
    let (one, two) = match (parse(earlier), parse(later)) {
        (Ok(one), Ok(two)) => (one, two),
        (Err(e), _) | (_, Err(e)) => return Some(e),
    };
    if one.tools.map(RawValue::get) != two.tools.map(RawValue::get) {
        return Some("tools changed".to_owned());
    }
    if one.instructions.map(RawValue::get) != two.instructions.map(RawValue::get) {
        return Some("instructions changed".to_owned());
    }
    let differs = one.messages.iter().zip(&two.messages).position(|(a, b)| a.get() != b.get());
    match differs {
        Some(at) => Some(format!("messages[{at}] changed: {} became {}", one.messages[at].get(), two.messages[at].get())),
        None if two.messages.len() < one.messages.len() => Some("messages were taken away".to_owned()),
        None => None,
    }
}

#[derive(Default)]
struct Check {
    found: Vec<String>,
    /// Calls of the last assistant message that have no answer yet.
    open: Vec<String>,
    /// All ids of calls so far.
    called: HashSet<String>,
    answered: HashSet<String>,
    began: bool,
}

impl Check {
    fn say(&mut self, at: impl std::fmt::Display, what: impl std::fmt::Display) {
        self.found.push(format!("{at}: {what}"));
    }

    fn messages(&mut self, messages: &[Value]) {
        for (i, message) in messages.iter().enumerate() {
            let at = format!("messages[{i}]");
            let role = message["role"].as_str().unwrap_or_default();
            if role != "tool" {
                self.unanswered(&at);
            }
            match role {
                "system" | "developer" => {
                    if self.began {
                        self.say(&at, "a system message after the conversation began");
                    }
                    self.content(&at, message);
                }
                "user" => self.content(&at, message),
                "assistant" => self.assistant(&at, message),
                "tool" => {
                    self.result(&at, message);
                    self.content(&at, message);
                }
                other => self.say(&at, format!("has the role `{other}`")),
            }
            self.began |= !matches!(role, "system" | "developer");
        }
        self.unanswered("the end");
        if !self.began {
            self.say("messages", "nobody but the system speaks");
        }
    }

    fn unanswered(&mut self, at: &str) {
        for id in std::mem::take(&mut self.open) {
            self.say(at, format!("the call `{id}` before it has no result"));
        }
    }

    fn assistant(&mut self, at: &str, message: &Value) {
        let none = Vec::new();
        let calls = message["tool_calls"].as_array().unwrap_or(&none);
        if message.get("tool_calls").is_some() && calls.is_empty() {
            self.say(at, "tool_calls is there but holds none");
        }
        if calls.is_empty() || !message["content"].is_null() {
            self.content(at, message);
        }
        for (i, call) in calls.iter().enumerate() {
            let at = format!("{at}.tool_calls[{i}]");
            let id = call["id"].as_str().unwrap_or_default();
            if id.trim().is_empty() {
                self.say(&at, "has no id");
            } else if id.len() > 40 {
                self.say(&at, format!("its id has {} characters, 40 are allowed", id.len()));
            }
            if !self.called.insert(id.to_owned()) {
                self.say(&at, format!("the id `{id}` was used before"));
            }
            self.open.push(id.to_owned());
            if call["type"] != "function" {
                self.say(&at, "its type is not `function`");
            }
            self.name(&at, &call["function"]["name"]);
            if !call["function"]["arguments"].is_string() {
                self.say(&at, "its arguments are not a string");
            }
        }
    }

    fn result(&mut self, at: &str, message: &Value) {
        let id = message["tool_call_id"].as_str().unwrap_or_default();
        if id.trim().is_empty() {
            return self.say(at, "a tool result without an id");
        }
        if let Some(i) = self.open.iter().position(|o| o == id) {
            self.open.remove(i);
            self.answered.insert(id.to_owned());
        } else if self.answered.contains(id) {
            self.say(at, format!("a second result for `{id}`"));
        } else {
            self.say(at, format!("an orphan result: no call `{id}` waits for one"));
        }
    }

    fn content(&mut self, at: &str, message: &Value) {
        match &message["content"] {
            Value::String(text) if text.trim().is_empty() => self.say(at, "its content is empty"),
            Value::String(_) => {}
            Value::Array(parts) if !parts.is_empty() => {
                for (i, part) in parts.iter().enumerate() {
                    match part["type"].as_str() {
                        Some("text") if part["text"].as_str().is_none_or(|t| t.trim().is_empty()) => {
                            self.say(format!("{at}.content[{i}]"), "an empty text part");
                        }
                        Some(_) => {}
                        None => self.say(format!("{at}.content[{i}]"), "a part without a type"),
                    }
                }
            }
            _ => self.say(at, "has no content"),
        }
    }

    fn tools(&mut self, tools: &Value) {
        if tools.as_array().is_some_and(Vec::is_empty) {
            self.say("tools", "is there but empty");
        }
        let mut names = HashSet::new();
        for (i, tool) in tools.as_array().into_iter().flatten().enumerate() {
            let at = format!("tools[{i}]");
            self.name(&at, &tool["function"]["name"]);
            if !names.insert(tool["function"]["name"].to_string()) {
                self.say(&at, "its name was used before");
            }
            if tool["function"]["parameters"]["type"] != "object" {
                self.say(&at, "its parameters are not the schema of an object");
            }
        }
    }

    fn name(&mut self, at: &str, name: &Value) {
        let name = name.as_str().unwrap_or_default();
        let fits = !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !fits {
            self.say(at, format!("`{name}` is not a tool name that OpenAI takes"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(id: &str) -> Value {
        json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}})
    }

    fn said(messages: &Value) -> Vec<String> {
        broken(&json!({"model": "m", "messages": messages}))
    }

    #[test]
    fn a_proper_conversation_passes() {
        let good = json!([
            {"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "u"}]},
            {"role": "assistant", "tool_calls": [call("a"), call("b")]},
            {"role": "tool", "tool_call_id": "b", "content": "2"}, {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "assistant", "content": null, "tool_calls": [call("c")]}, {"role": "tool", "tool_call_id": "c", "content": "3"},
            {"role": "assistant", "content": "done"}, {"role": "user", "content": "more"},
        ]);
        assert_eq!(said(&good), Vec::<String>::new());
    }

    #[test]
    fn each_break_is_found() {
        let (u, a) = (json!({"role": "user", "content": "u"}), json!({"role": "assistant", "tool_calls": [call("a")]}));
        let r = json!({"role": "tool", "tool_call_id": "a", "content": "1"});
        let mut noid = call("");
        noid["function"]["arguments"] = json!({});
        let rows = [
            (json!([u, r]), "orphan result"),
            (json!([u, a]), "has no result"),
            (json!([u, a, u]), "has no result"),
            (json!([u, a, r, r]), "second result"),
            (json!([u, a, r, a, r]), "was used before"),
            (json!([u, {"role": "assistant", "tool_calls": [noid]}]), "has no id"),
            (json!([u, {"role": "assistant", "tool_calls": [noid]}]), "arguments are not a string"),
            (json!([u, {"role": "assistant", "tool_calls": [call(&"x".repeat(41))]}]), "41 characters"),
            (json!([u, a, {"role": "tool", "content": "1"}]), "without an id"),
            (json!([u, {"role": "system", "content": "s"}]), "after the conversation began"),
            (json!([{"role": "system", "content": "s"}]), "nobody but the system"),
            (json!([{"role": "user", "content": ""}]), "content is empty"),
            (json!([{"role": "user"}]), "has no content"),
            (json!([{"role": "user", "content": [{"type": "text", "text": " "}]}]), "empty text part"),
            (json!([u, {"role": "assistant", "content": "", "tool_calls": [call("a")]}, r]), "content is empty"),
            (json!([u, {"role": "assistant", "content": "x", "tool_calls": []}]), "holds none"),
            (json!([{"role": "robot", "content": "x"}]), "role `robot`"),
            (json!([]), "an empty one"),
        ];
        for (messages, want) in rows {
            let found = said(&messages);
            assert!(found.iter().any(|f| f.contains(want)), "{want}: {found:?} in {messages}");
        }
        let tools = json!({"model": "", "messages": [{"role": "user", "content": "u"}], "tools": [{"function": {"name": "a b"}}]});
        let found = broken(&tools);
        assert!(found.len() == 3 && found[1].contains("`a b`"), "{found:?}");
    }

    #[test]
    fn a_changed_prefix_is_found_down_to_a_space() {
        let one = br#"{"model":"m","messages":[{"role":"user","content":"a"}],"tools":[1]}"#;
        let grown = br#"{"messages":[{"role":"user","content":"a"},{"x":1}],"tools":[1]}"#;
        assert_eq!(prefix_break(one, grown), None);
        assert!(prefix_break(grown, one).unwrap().contains("taken away"));
        let spaced = br#"{"messages":[{"role": "user","content":"a"}],"tools":[1]}"#;
        assert!(prefix_break(one, spaced).unwrap().contains("messages[0]"));
        assert!(prefix_break(one, br#"{"messages":[{"role":"user","content":"a"}],"tools":[2]}"#).unwrap().contains("tools"));
    }
}
