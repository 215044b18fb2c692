//! What each provider's API takes: rules written down from its documentation and from what it was seen to refuse, checked on
//! a request's raw JSON. A second opinion on purpose: nothing here is made of the code under test.
//!
//! A rule that a server was seen to enforce names a report of it (`owner/repo#n`); one without comes from the API's
//! reference. What was read on the way ([`Said`]) is the conversation as that server would understand it, so that a test
//! can ask whether all of a history arrived.

mod anthropic;
mod chat;
mod gemini;
mod responses;
mod schema;
mod strict;

use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;

/// Whose rules apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Api {
    /// Chat Completions as OpenAI has it, the strictest of its kind.
    Chat,
    /// Chat Completions at Mistral: its own ids and order of roles.
    Mistral,
    Anthropic,
    Responses,
    /// Responses behind a ChatGPT login.
    Codex,
    Gemini,
    Antigravity,
}

/// A rule that a body breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer.
    pub at: String,
    pub rule: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", if self.at.is_empty() { "/" } else { &self.at }, self.rule)
    }
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    System,
    User,
    Assistant,
}

/// A piece of the conversation, in the order of the body.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Text {
        side: Side,
        text: String,
    },
    /// Reasoning that goes back.
    Thought,
    Call {
        name: String,
        args: Args,
    },
    /// `call` counts the calls of the body.
    Result {
        call: usize,
        text: String,
        /// Its own mark, where the wire has one.
        error: bool,
    },
    /// An image, a document, or an item that only its own wire understands.
    Other(Side),
}

/// Arguments, as the wire carries them.
#[derive(Debug, Clone, PartialEq)]
pub enum Args {
    Text(String),
    Object(Value),
}

/// A body that was read.
#[derive(Debug, Default)]
pub struct Reading {
    pub violations: Vec<Violation>,
    pub said: Vec<Said>,
    /// Names of the tools that are offered.
    pub tools: Vec<String>,
}

/// Reads a request's body by an API's rules. Google's bodies do not hold their model.
pub fn read(api: Api, model: &str, body: &[u8]) -> Reading {
    let mut c = Check::default();
    match strict::parse(body) {
        Err(e) => c.say("", format!("is not JSON: {e}")),
        Ok((value, doubled)) => {
            for at in doubled {
                c.say(&at, "the key stands twice in its object");
            }
            match api {
                Api::Chat | Api::Mistral => chat::check(&mut c, &value, api),
                Api::Anthropic => anthropic::check(&mut c, &value),
                Api::Responses | Api::Codex => responses::check(&mut c, &value, api),
                Api::Gemini => gemini::check(&mut c, "", &value, model, api),
                Api::Antigravity => gemini::wrapped(&mut c, &value),
            }
        }
    }
    c.done()
}

/// A call that is not answered yet.
#[derive(Debug, Clone)]
struct Open {
    id: String,
    name: String,
    call: usize,
}

/// What is found while a body is read.
#[derive(Debug, Default)]
struct Check {
    reading: Reading,
    open: Vec<Open>,
    /// Ids of all calls so far.
    ids: HashSet<String>,
    calls: usize,
}

impl Check {
    fn say(&mut self, at: &str, rule: impl Display) {
        self.reading.violations.push(Violation { at: at.to_owned(), rule: rule.to_string() });
    }

    fn rule(&mut self, holds: bool, at: &str, rule: impl Display) {
        if !holds {
            self.say(at, rule);
        }
    }

    fn done(mut self) -> Reading {
        for open in std::mem::take(&mut self.open) {
            self.say("", format!("call {} (`{}`) is never answered", open.call, open.id));
        }
        self.reading
    }

    /// Only these keys, and no nulls among their values.
    fn only(&mut self, at: &str, object: &Value, keys: &[&str]) {
        let Some(map) = object.as_object() else { return self.say(at, "is no object") };
        for (key, value) in map {
            self.rule(keys.contains(&key.as_str()), &sub(at, key), "is not a field of this object");
            self.rule(!value.is_null(), &sub(at, key), "is null");
        }
    }

    /// A string with something in it.
    fn word<'a>(&mut self, at: &str, object: &'a Value, key: &str) -> &'a str {
        let word = object[key].as_str().unwrap_or_default();
        self.rule(!word.is_empty(), &sub(at, key), "is no string, or an empty one");
        word
    }

    /// Text that is more than white space.
    fn text<'a>(&mut self, at: &str, object: &'a Value, key: &str) -> &'a str {
        let text = object[key].as_str().unwrap_or_default();
        self.rule(!text.trim().is_empty(), &sub(at, key), "is no text, or blank");
        text
    }

    fn list<'a>(&mut self, at: &str, value: &'a Value) -> &'a [Value] {
        let list = value.as_array().map_or(&[][..], Vec::as_slice);
        self.rule(!list.is_empty(), at, "is no list, or an empty one");
        list
    }

    fn said(&mut self, side: Side, text: &str) {
        self.reading.said.push(Said::Text { side, text: text.to_owned() });
    }

    fn other(&mut self, side: Side) {
        self.reading.said.push(Said::Other(side));
    }

    fn call(&mut self, id: &str, name: &str, args: Args) {
        self.open.push(Open { id: id.to_owned(), name: name.to_owned(), call: self.calls });
        self.calls += 1;
        self.reading.said.push(Said::Call { name: name.to_owned(), args });
    }

    /// A result goes to the open call of its id.
    fn result(&mut self, at: &str, id: &str, text: &str, error: bool) {
        match self.open.iter().position(|open| open.id == id) {
            None => self.say(at, format!("answers no open call (`{id}`)")),
            Some(ix) => {
                let call = self.open.remove(ix).call;
                self.reading.said.push(Said::Result { call, text: text.to_owned(), error });
            }
        }
    }

    /// No call may be open here.
    fn closed(&mut self, at: &str) {
        for open in std::mem::take(&mut self.open) {
            self.say(at, format!("stands before the answer to call {} (`{}`)", open.call, open.id));
        }
    }

    /// Names of tools, each once.
    fn tool(&mut self, at: &str, name: &str) {
        self.rule(!self.reading.tools.iter().any(|n| n == name), at, "two tools have this name");
        self.reading.tools.push(name.to_owned());
    }

    fn known_tool(&mut self, at: &str, name: &str) {
        self.rule(self.reading.tools.iter().any(|n| n == name), at, "no such tool is offered");
    }

    /// `[A-Za-z0-9_-]`, at most 64: the charset of names that OpenAI and Anthropic share.
    fn plain_name(&mut self, at: &str, name: &str) {
        self.rule(plain(name, 64), at, format!("`{name}` is not 1 to 64 of [A-Za-z0-9_-]"));
    }

    fn base64(&mut self, at: &str, data: &str) {
        self.rule(base64(data), at, "is no base64");
    }

    fn web_address(&mut self, at: &str, url: &str) {
        self.rule(url.starts_with("https://") || url.starts_with("http://"), at, "is no address");
    }

    /// `data:TYPE;base64,DATA` or an address.
    fn image_url(&mut self, at: &str, url: &str) {
        match url.strip_prefix("data:") {
            None => self.web_address(at, url),
            Some(rest) => {
                let (kind, data) = rest.split_once(";base64,").unwrap_or_default();
                self.rule(kind.starts_with("image/"), at, "is no data URL of an image");
                self.base64(at, data);
            }
        }
    }

    /// Numbers within bounds, where they are there.
    fn numbers(&mut self, at: &str, body: &Value, bounds: &BTreeMap<&str, (f64, f64)>) {
        for (key, (least, most)) in bounds {
            let value = &body[*key];
            let holds = value.is_null() && body.get(*key).is_none() || value.as_f64().is_some_and(|n| n >= *least && n <= *most);
            self.rule(holds, &sub(at, key), format!("is no number between {least} and {most}"));
        }
    }
}

fn sub(at: &str, key: impl Display) -> String {
    format!("{at}/{key}")
}

fn plain(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

fn base64(data: &str) -> bool {
    let body = data.trim_end_matches('=');
    !body.is_empty()
        && data.len().is_multiple_of(4)
        && data.len() - body.len() <= 2
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(&b))
}

/// Where the messages stand in a body: a range of its bytes, brackets included.
pub fn messages(api: Api, body: &[u8]) -> std::ops::Range<usize> {
    use serde_json::value::RawValue;
    #[derive(serde::Deserialize)]
    struct Fields<'a> {
        #[serde(borrow, alias = "input", alias = "contents", alias = "request")]
        messages: &'a RawValue,
    }
    let within = |text: &str| -> (usize, usize) {
        let fields: Fields<'_> = serde_json::from_str(text).expect("a body with messages");
        let inner = fields.messages.get();
        (inner.as_ptr() as usize - text.as_ptr() as usize, inner.len())
    };
    let text = std::str::from_utf8(body).expect("a body is UTF-8");
    let (at, len) = within(text);
    if api != Api::Antigravity {
        return at..at + len;
    }
    let (inner, len) = within(&text[at..at + len]);
    at + inner..at + inner + len
}
