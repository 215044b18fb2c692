//! The scripted server's Responses: what it answers, written by hand, and what every request must obey.
//!
//! Like [`super::invariant`], a second opinion on purpose: nothing here is of the code under test.

use super::reply::{Ask, Finish, Said, call_id, chunks};
use serde_json::{Value, json};
use std::collections::HashSet;

/// The frames of a stream. It ends without a terminal event where the reply is to have none.
pub fn events(said: &Said, ask: &Ask<'_>) -> Vec<String> {
    let mut all = Vec::new();
    let mut event = |kind: &str, mut fields: Value| {
        fields["type"] = json!(kind);
        fields["sequence_number"] = json!(all.len());
        all.push(format!("event: {kind}\ndata: {fields}\n\n"));
    };
    event("response.created", json!({"response": response(ask, "in_progress", &[], None)}));
    let items = items(said, ask);
    for (n, item) in items.iter().enumerate() {
        let at = |more: Value| {
            let mut at = json!({"output_index": n, "item_id": item["id"]});
            at.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            at
        };
        let mut begun = item.clone();
        begun["status"] = json!("in_progress");
        match item["type"].as_str().unwrap() {
            "reasoning" => {
                begun["summary"] = json!([]);
                begun["encrypted_content"] = json!("not yet whole");
                event("response.output_item.added", json!({"output_index": n, "item": begun}));
                for piece in chunks(&said.thinking) {
                    event("response.reasoning_summary_text.delta", at(json!({"summary_index": 0, "delta": piece})));
                }
            }
            "message" => {
                begun["content"] = json!([]);
                event("response.output_item.added", json!({"output_index": n, "item": begun}));
                event(
                    "response.content_part.added",
                    at(json!({"content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}})),
                );
                for piece in chunks(&said.text) {
                    event("response.output_text.delta", at(json!({"content_index": 0, "delta": piece, "logprobs": []})));
                }
                event("response.output_text.done", at(json!({"content_index": 0, "text": said.text})));
            }
            _ => {
                begun["arguments"] = json!("");
                event("response.output_item.added", json!({"output_index": n, "item": begun}));
                let args = item["arguments"].as_str().unwrap();
                for piece in chunks(args) {
                    event("response.function_call_arguments.delta", at(json!({"delta": piece})));
                }
                event("response.function_call_arguments.done", at(json!({"arguments": args})));
            }
        }
        event("response.output_item.done", json!({"output_index": n, "item": item}));
    }
    if let Some((status, reason)) = ending(said) {
        let mut whole = response(ask, status, &items, Some(said.used()));
        whole["incomplete_details"] = reason.map_or(Value::Null, |r| json!({"reason": r}));
        event(&format!("response.{status}"), json!({"response": whole}));
    }
    all
}

/// The same as one object.
pub fn object(said: &Said, ask: &Ask<'_>) -> Value {
    let (status, reason) = ending(said).unwrap_or(("in_progress", None));
    let mut whole = response(ask, status, &items(said, ask), Some(said.used()));
    whole["incomplete_details"] = reason.map_or(Value::Null, |r| json!({"reason": r}));
    whole
}

fn ending(said: &Said) -> Option<(&'static str, Option<String>)> {
    match &said.finish {
        Finish::Fitting => Some(("completed", None)),
        Finish::Missing => None,
        Finish::Named(name) => match name.as_str() {
            "stop" | "tool_calls" | "eos_token" => Some(("completed", None)),
            "length" => Some(("incomplete", Some("max_output_tokens".to_owned()))),
            other => Some(("incomplete", Some(other.to_owned()))),
        },
    }
}

fn response(ask: &Ask<'_>, status: &str, output: &[Value], used: Option<(u64, u64)>) -> Value {
    let usage = used.map(|(input, output)| {
        json!({"input_tokens": input, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input + output})
    });
    json!({"id": format!("resp_{}", ask.turn), "object": "response", "created_at": 1, "status": status, "model": ask.model, "error": null, "output": output, "usage": usage})
}

fn items(said: &Said, ask: &Ask<'_>) -> Vec<Value> {
    let mut items = Vec::new();
    if !said.thinking.is_empty() {
        items.push(json!({"type": "reasoning", "id": format!("rs_{}", ask.turn), "summary": [{"type": "summary_text", "text": said.thinking}], "encrypted_content": format!("secret {}", ask.turn)}));
    }
    if !said.text.is_empty() {
        let content = json!([{"type": "output_text", "text": said.text, "annotations": []}]);
        items.push(
            json!({"type": "message", "id": format!("msg_{}", ask.turn), "role": "assistant", "status": "completed", "content": content}),
        );
    }
    for (i, (name, args)) in said.calls.iter().enumerate() {
        items.push(json!({"type": "function_call", "id": format!("fc_{}_{i}", ask.turn), "call_id": call_id(ask.turn, i), "name": name, "arguments": args, "status": "completed"}));
    }
    items
}

/// Everything that is wrong with a request body.
pub fn broken(body: &Value) -> Vec<String> {
    let mut check = Check::default();
    if body["model"].as_str().is_none_or(str::is_empty) {
        check.say("model", "is missing or empty");
    }
    if body["store"] != false {
        check.say("store", "is not false");
    }
    for field in ["messages", "max_tokens", "max_completion_tokens", "stop", "seed", "n", "temperature", "stream_options"] {
        if body.get(field).is_some() {
            check.say(field, "is not a field of a request to a model that reasons");
        }
    }
    check.tools(&body["tools"]);
    match body["input"].as_array() {
        Some(items) if !items.is_empty() => check.items(items),
        _ => check.say("input", "is no list, or an empty one"),
    }
    check.found
}

#[derive(Default)]
struct Check {
    found: Vec<String>,
    /// Calls that have no output yet.
    open: Vec<String>,
    called: HashSet<String>,
}

impl Check {
    fn say(&mut self, at: impl std::fmt::Display, what: impl std::fmt::Display) {
        self.found.push(format!("{at}: {what}"));
    }

    fn items(&mut self, items: &[Value]) {
        // Whether an item of the model's reasoning waits for what it led to, and whether one stands before in this turn.
        let (mut waits, mut proven) = (false, false);
        for (i, item) in items.iter().enumerate() {
            let at = format!("input[{i}]");
            let kind = item["type"].as_str().unwrap_or_default();
            let made = kind == "function_call" || (kind == "message" && item["role"] == "assistant");
            if std::mem::take(&mut waits) && !made && kind != "reasoning" {
                self.say(&at, "reasoning before it leads to nothing");
            }
            if !made && kind != "reasoning" {
                proven = false;
            }
            if made && item.get("id").is_some() != proven {
                self.say(&at, "an id without its reasoning, or reasoning without the id of what it led to");
            }
            match kind {
                "message" => {
                    self.unanswered(&at);
                    self.message(&at, item);
                }
                "reasoning" => {
                    self.unanswered(&at);
                    (waits, proven) = (true, true);
                    let whole = item["encrypted_content"].as_str().is_some_and(|c| c.starts_with("secret "));
                    if !whole || !item["summary"].is_array() || !item["id"].as_str().is_some_and(|id| id.starts_with("rs_")) {
                        self.say(&at, format!("a reasoning item that the server did not make: {item}"));
                    }
                }
                "function_call" => self.call(&at, item),
                "function_call_output" => self.output(&at, item),
                other => self.say(&at, format!("an item of type `{other}`")),
            }
        }
        if waits {
            self.say("the end", "reasoning leads to nothing");
        }
        self.unanswered("the end");
        if !items.iter().any(|i| i["role"] == "user") {
            self.say("input", "no user speaks");
        }
    }

    fn unanswered(&mut self, at: &str) {
        for id in std::mem::take(&mut self.open) {
            self.say(at, format!("the call `{id}` before it has no output"));
        }
    }

    fn message(&mut self, at: &str, item: &Value) {
        let kind = match item["role"].as_str() {
            Some("user" | "developer") => "input_text",
            Some("assistant") => "output_text",
            other => return self.say(at, format!("has the role {other:?}")),
        };
        let parts = item["content"].as_array().filter(|parts| !parts.is_empty());
        let Some(parts) = parts else { return self.say(at, "has no content") };
        for part in parts {
            let text = part["type"] == kind && part["text"].as_str().is_some_and(|t| !t.trim().is_empty());
            let other = matches!(part["type"].as_str(), Some("input_image" | "input_file")) && kind == "input_text";
            if !text && !other {
                self.say(at, format!("a part that cannot stand here: {part}"));
            }
        }
    }

    fn call(&mut self, at: &str, item: &Value) {
        let id = item["call_id"].as_str().unwrap_or_default().to_owned();
        if id.trim().is_empty() || id.len() > 64 {
            self.say(at, format!("`{id}` is no call id"));
        }
        if !self.called.insert(id.clone()) {
            self.say(at, format!("the call id `{id}` was used before"));
        }
        self.open.push(id);
        self.name(at, &item["name"]);
        if !item["arguments"].is_string() {
            self.say(at, "its arguments are not a string");
        }
    }

    fn output(&mut self, at: &str, item: &Value) {
        let id = item["call_id"].as_str().unwrap_or_default();
        match self.open.iter().position(|o| o == id) {
            Some(i) => drop(self.open.remove(i)),
            None => self.say(at, format!("an output for `{id}`, which waits for none")),
        }
        let empty = match &item["output"] {
            Value::String(text) => text.trim().is_empty(),
            Value::Array(parts) => parts.is_empty(),
            _ => true,
        };
        if empty {
            self.say(at, "its output is empty");
        }
    }

    fn tools(&mut self, tools: &Value) {
        if tools.as_array().is_some_and(Vec::is_empty) {
            self.say("tools", "is there but empty");
        }
        let mut names = HashSet::new();
        for (i, tool) in tools.as_array().into_iter().flatten().enumerate() {
            let at = format!("tools[{i}]");
            self.name(&at, &tool["name"]);
            if !names.insert(tool["name"].to_string()) {
                self.say(&at, "its name was used before");
            }
            if tool["type"] != "function" || tool["strict"] != false || tool["parameters"]["type"] != "object" {
                self.say(&at, "is no plain function with the schema of an object");
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
    use super::super::reply::{Api, Reply};
    use super::*;

    fn said(items: &Value) -> Vec<String> {
        broken(&json!({"model": "m", "store": false, "input": items}))
    }

    fn user() -> Value {
        json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "u"}]})
    }

    fn call(id: &str) -> Value {
        json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"})
    }

    fn output(id: &str) -> Value {
        json!({"type": "function_call_output", "call_id": id, "output": "r"})
    }

    fn reasoning() -> Value {
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "secret 1"})
    }

    fn with_id(mut item: Value) -> Value {
        item["id"] = json!("x_1");
        item
    }

    #[test]
    fn a_proper_conversation_passes_and_each_break_is_found() {
        let answer = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "t", "annotations": []}]});
        let good = json!([
            user(),
            reasoning(),
            with_id(call("a")),
            with_id(call("b")),
            output("b"),
            output("a"),
            answer,
            user(),
            call("c"),
            output("c"),
            reasoning(),
            with_id(answer.clone())
        ]);
        assert_eq!(said(&good), Vec::<String>::new());
        for (items, want) in [
            (json!([user(), call("a")]), "has no output"),
            (json!([user(), call("a"), user(), output("a")]), "has no output"),
            (json!([user(), output("a")]), "waits for none"),
            (json!([user(), call("a"), output("a"), call("a"), output("a")]), "was used before"),
            (json!([user(), reasoning()]), "leads to nothing"),
            (json!([user(), reasoning(), user()]), "leads to nothing"),
            (json!([user(), reasoning(), answer]), "without the id"),
            (json!([user(), with_id(answer.clone())]), "an id without its reasoning"),
            (json!([user(), {"type": "item_reference", "id": "rs_1"}]), "item_reference"),
            (
                json!([user(), {"type": "message", "role": "assistant", "content": [{"type": "input_text", "text": "t"}]}]),
                "cannot stand here",
            ),
            (json!([answer]), "no user speaks"),
            (json!([]), "an empty one"),
        ] {
            let found = said(&items);
            assert!(found.iter().any(|f| f.contains(want)), "{want}: {found:?}");
        }
        let body = json!({"model": "m", "input": [user()], "stop": ["x"], "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]});
        assert_eq!(broken(&body).len(), 3);
    }

    #[test]
    fn a_stream_adds_up_to_what_was_said() {
        let ask = Ask { api: Api::Responses, model: "m", stream: true, usage: false, turn: 2 };
        let reply = Reply::text("hello there").and_call("grep", &json!({"pattern": "fn main"})).thinking("hm, let me look").usage(10, 5);
        let all = String::from_utf8(reply.pieces(&ask).0.concat()).unwrap();
        let events: Vec<Value> = all.split("\n\n").filter_map(|f| serde_json::from_str(f.split_once("data: ")?.1).ok()).collect();
        let gather = |kind: &str| events.iter().filter(|e| e["type"] == kind).filter_map(|e| e["delta"].as_str()).collect::<String>();
        assert_eq!(gather("response.output_text.delta"), "hello there");
        assert_eq!(gather("response.function_call_arguments.delta"), r#"{"pattern":"fn main"}"#);
        assert_eq!(gather("response.reasoning_summary_text.delta"), "hm, let me look");
        let last = events.last().unwrap();
        assert_eq!((&last["type"], &last["response"]["usage"]["total_tokens"]), (&json!("response.completed"), &json!(15)));
        assert_eq!(last["response"]["output"].as_array().unwrap().len(), 3);
        assert!(events.iter().enumerate().all(|(n, e)| e["sequence_number"] == n));
    }
}
