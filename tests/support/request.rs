//! A request as the scripted server took it, whichever of OpenAI's APIs it was for.

use super::invariant;
use super::reply::Api;
use serde_json::Value;

/// A recorded request.
#[derive(Debug, Clone)]
pub struct Request {
    /// From 0, over all chat requests.
    pub number: usize,
    /// From 0; requests of one kept-alive connection share it.
    pub connection: usize,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub raw: Vec<u8>,
    /// Null where the body is not JSON.
    pub body: Value,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn api(&self) -> Api {
        api(&self.path).unwrap_or(Api::Chat)
    }

    /// Its messages, or its items.
    pub fn messages(&self) -> &[Value] {
        let key = match self.api() {
            Api::Chat => "messages",
            Api::Responses => "input",
        };
        self.body[key].as_array().map_or(&[], Vec::as_slice)
    }

    /// How many tool results it holds: where in its task the client stands, whatever was retried on the way.
    pub fn turn(&self) -> usize {
        self.results().len()
    }

    /// The texts of its tool results, in order.
    pub fn results(&self) -> Vec<String> {
        let text = |m: &Value| match self.api() {
            Api::Chat => (m["role"] == "tool").then(|| text_of(&m["content"])),
            Api::Responses => (m["type"] == "function_call_output").then(|| text_of(&m["output"])),
        };
        self.messages().iter().filter_map(text).collect()
    }

    /// The text of the last message.
    pub fn last_text(&self) -> String {
        self.messages().last().map(|m| text_of(&m["content"])).unwrap_or_default()
    }

    /// The names of the tools that it offers.
    pub fn tools(&self) -> Vec<&str> {
        let tools = self.body["tools"].as_array().into_iter().flatten();
        tools.filter_map(|t| t["function"]["name"].as_str().or(t["name"].as_str())).collect()
    }
}

/// Fails unless each request begins with the very bytes of the messages, and has the tools, of the one before it.
#[track_caller]
pub fn assert_stable_prefix(requests: &[Request]) {
    for pair in requests.windows(2) {
        let broken = invariant::prefix_break(&pair[0].raw, &pair[1].raw);
        assert!(broken.is_none(), "request {} does not continue the one before it: {}", pair[1].number, broken.unwrap_or_default());
    }
}

/// What a path asks for, if it asks for an answer.
pub fn api(path: &str) -> Option<Api> {
    let path = path.split('?').next().unwrap_or_default();
    match () {
        () if path.ends_with("/chat/completions") => Some(Api::Chat),
        () if path.ends_with("/responses") => Some(Api::Responses),
        () => None,
    }
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|p| p["text"].as_str()).collect(),
        _ => String::new(),
    }
}
