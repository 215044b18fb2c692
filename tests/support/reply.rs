//! What the scripted server answers, and how the answer goes wrong.
//!
//! A reply is built from what the model says; each further call adds one fault. Byte and event positions count in
//! the body as it would be sent without transfer framing.

pub use super::http::Framing;
use super::responses;
use serde_json::{Value, json};
use std::time::Duration;

/// How a connection dies in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// An orderly close (FIN).
    Close,
    /// An abort (RST).
    Reset,
}

/// What the client speaks; a reply has a form for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    Chat,
    Responses,
}

impl Api {
    pub const ALL: [Self; 2] = [Self::Chat, Self::Responses];

    /// What `pup run` is told to speak it with the scripted server.
    pub fn args(self) -> &'static [&'static str] {
        match self {
            Self::Chat => &[],
            Self::Responses => &["--model", "openai/gpt-5-mock"],
        }
    }

    /// The model that it is told to use.
    pub fn model(self) -> &'static str {
        match self {
            Self::Chat => "gpt-4.1",
            Self::Responses => "gpt-5-mock",
        }
    }
}

/// What happens after the last byte that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Whole,
    /// Half of the body arrives, then the connection dies.
    CutHalf(Cut),
    /// Exactly so many bytes of the body arrive, then the connection dies.
    CutAt(usize, Cut),
    /// So many events arrive, then nothing, on an open connection.
    StallAfter(usize),
}

#[derive(Debug, Clone)]
enum Body {
    /// What a model said, in the form that the request asks for.
    Message(Box<Said>),
    /// Bytes as they are.
    Plain(Vec<u8>),
}

#[derive(Debug, Clone, Default)]
pub struct Said {
    pub thinking: String,
    pub text: String,
    /// Name and arguments as text, which need not be JSON.
    pub calls: Vec<(String, String)>,
    pub finish: Finish,
    without_done: bool,
    json_always: bool,
    usage: Option<(u64, u64)>,
    /// Raw frames before the event of that number.
    inserted: Vec<(usize, String)>,
}

#[derive(Debug, Clone, Default)]
pub enum Finish {
    /// `tool_calls` where there are calls, else `stop`.
    #[default]
    Fitting,
    Named(String),
    Missing,
}

/// One answer. Clones are cheap enough to be given again and again.
#[derive(Debug, Clone)]
pub struct Reply {
    body: Body,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub framing: Framing,
    pub end: End,
    /// Before the status line.
    pub first_byte_after: Duration,
    /// Before each event but the first.
    pub delay_each: Duration,
    pub close_after: bool,
}

impl Reply {
    fn new(body: Body, status: u16) -> Self {
        Self {
            body,
            status,
            headers: Vec::new(),
            framing: Framing::Chunked,
            end: End::Whole,
            first_byte_after: Duration::ZERO,
            delay_each: Duration::ZERO,
            close_after: false,
        }
    }

    /// The model says this and stops.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Body::Message(Box::new(Said { text: text.into(), ..Said::default() })), 200)
    }

    /// The model calls one tool.
    pub fn tool_call(name: &str, args: Value) -> Self {
        Self::tool_calls([(name, args)])
    }

    /// The model calls several tools at once.
    pub fn tool_calls<'a>(calls: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        calls.into_iter().fold(Self::text(""), |reply, (name, args)| reply.and_call_raw(name, &args.to_string()))
    }

    /// A refusal with an error body as OpenAI writes them.
    pub fn error(status: u16, kind: &str, message: &str) -> Self {
        let body = json!({"error": {"message": message, "type": kind, "param": null, "code": kind}});
        Self::plain(status, "application/json", body.to_string())
    }

    /// A web page where JSON is due, as proxies and captive portals send it.
    pub fn html(status: u16) -> Self {
        Self::plain(
            status,
            "text/html; charset=utf-8",
            "<!DOCTYPE html>\n<html><head><title>Gateway</title></head><body><h1>Sorry</h1></body></html>\n",
        )
    }

    /// Any status, type and body.
    pub fn plain(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut reply = Self::new(Body::Plain(body.into()), status).header("content-type", content_type);
        reply.framing = Framing::Length;
        reply
    }

    /// Adds a call whose arguments are this text: cut off, not JSON, empty, whatever.
    pub fn and_call_raw(mut self, name: &str, args: &str) -> Self {
        self.said().calls.push((name.to_owned(), args.to_owned()));
        self
    }

    /// Adds a call.
    pub fn and_call(self, name: &str, args: &Value) -> Self {
        self.and_call_raw(name, &args.to_string())
    }

    /// Reasoning before the answer, in the field that compatible servers use.
    pub fn thinking(mut self, text: &str) -> Self {
        text.clone_into(&mut self.said().thinking);
        self
    }

    /// Prompt and completion tokens; else a count made of the sizes.
    pub fn usage(mut self, prompt: u64, completion: u64) -> Self {
        self.said().usage = Some((prompt, completion));
        self
    }

    /// Ends with this finish reason.
    pub fn finish_reason(mut self, reason: &str) -> Self {
        self.said().finish = Finish::Named(reason.to_owned());
        self
    }

    /// Leaves out the finish reason and `[DONE]`: the stream just ends.
    pub fn without_terminal(mut self) -> Self {
        self.said().finish = Finish::Missing;
        self.without_done()
    }

    /// Leaves out `[DONE]`.
    pub fn without_done(mut self) -> Self {
        self.said().without_done = true;
        self
    }

    /// Answers with one JSON object although a stream was asked for.
    pub fn not_streamed(mut self) -> Self {
        self.said().json_always = true;
        self
    }

    /// Puts these bytes before event `at`.
    pub fn frame_at(mut self, at: usize, frame: impl Into<String>) -> Self {
        self.said().inserted.push((at, frame.into()));
        self
    }

    /// Puts an event that is not JSON before event `at`.
    pub fn malformed_at(self, at: usize) -> Self {
        self.frame_at(at, "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"del\n\n")
    }

    /// Puts an error event before event `at`, on a stream whose status said 200.
    pub fn error_event_at(self, at: usize, kind: &str, message: &str) -> Self {
        let error = json!({"error": {"message": message, "type": kind, "code": kind}});
        self.frame_at(at, format!("data: {error}\n\n"))
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Exactly `bytes` of the body arrive. From the body's length on, all of it does, but not the end of the framing.
    pub fn cut_at(mut self, bytes: usize, how: Cut) -> Self {
        self.end = End::CutAt(bytes, how);
        self
    }

    /// Half of the body arrives, whatever its form.
    pub fn cut_half(mut self, how: Cut) -> Self {
        self.end = End::CutHalf(how);
        self
    }

    /// `events` events arrive, then nothing more.
    pub fn stall_after(mut self, events: usize) -> Self {
        self.end = End::StallAfter(events);
        self
    }

    pub fn first_byte_after(mut self, wait: Duration) -> Self {
        self.first_byte_after = wait;
        self
    }

    pub fn delay_each(mut self, wait: Duration) -> Self {
        self.delay_each = wait;
        self
    }

    /// Ends the connection behind this answer instead of keeping it alive.
    pub fn close_after(mut self) -> Self {
        self.close_after = true;
        self
    }

    fn said(&mut self) -> &mut Said {
        match &mut self.body {
            Body::Message(said) => said,
            Body::Plain(_) => panic!("a plain body has no model's message to change"),
        }
    }

    /// The body in pieces, one an event, and its content type unless a header names one.
    ///
    /// `turn` makes the tool ids: the same turn gives the same ids, so that a retried request gets the same answer.
    pub fn pieces(&self, ask: &Ask<'_>) -> (Vec<Vec<u8>>, Option<&'static str>) {
        match &self.body {
            Body::Plain(bytes) => (vec![bytes.clone()], None),
            Body::Message(said) if ask.stream && !said.json_always => (said.events(ask), Some("text/event-stream")),
            Body::Message(said) => (vec![said.object(ask).to_string().into_bytes()], Some("application/json")),
        }
    }

    /// How many bytes the streamed body has in Chat Completions: the offsets at which it can be cut.
    pub fn stream_len(&self, turn: usize) -> usize {
        self.pieces(&Ask { api: Api::Chat, model: "test-model", stream: true, usage: true, turn }).0.iter().map(Vec::len).sum()
    }
}

/// What of the request decides the form of the answer.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    pub api: Api,
    pub model: &'a str,
    pub stream: bool,
    /// Whether the stream is to carry usage (`stream_options.include_usage`).
    pub usage: bool,
    /// How many tool results the request holds.
    pub turn: usize,
}

impl Said {
    fn events(&self, ask: &Ask<'_>) -> Vec<Vec<u8>> {
        let mut events = match ask.api {
            Api::Chat => self.chunks(ask),
            Api::Responses => responses::events(self, ask),
        };
        let mut inserted = self.inserted.clone();
        inserted.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        for (at, frame) in inserted {
            events.insert(at.min(events.len()), frame);
        }
        events.into_iter().map(String::into_bytes).collect()
    }

    fn chunks(&self, ask: &Ask<'_>) -> Vec<String> {
        let mut deltas = vec![json!({"role": "assistant", "content": ""})];
        deltas.extend(chunks(&self.thinking).map(|t| json!({"reasoning_content": t})));
        deltas.extend(chunks(&self.text).map(|t| json!({"content": t})));
        for (i, (name, args)) in self.calls.iter().enumerate() {
            let open = json!({"index": i, "id": call_id(ask.turn, i), "type": "function", "function": {"name": name, "arguments": ""}});
            deltas.push(json!({"tool_calls": [open]}));
            deltas.extend(chunks(args).map(|a| json!({"tool_calls": [{"index": i, "function": {"arguments": a}}]})));
        }
        let chunk = |choices: Value, usage: Option<Value>| {
            let mut chunk = json!({"id": format!("chatcmpl-{}", ask.turn), "object": "chat.completion.chunk", "created": 1, "model": ask.model, "choices": choices});
            if let Some(usage) = usage {
                chunk["usage"] = usage;
            }
            frame(&chunk)
        };
        let mut events: Vec<String> =
            deltas.into_iter().map(|d| chunk(json!([{"index": 0, "delta": d, "finish_reason": null}]), None)).collect();
        if let Some(reason) = self.reason() {
            events.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": reason}]), None));
            if ask.usage {
                events.push(chunk(json!([]), Some(self.tokens())));
            }
        }
        if !self.without_done {
            events.push("data: [DONE]\n\n".to_owned());
        }
        events
    }

    fn object(&self, ask: &Ask<'_>) -> Value {
        match ask.api {
            Api::Chat => self.completion(ask),
            Api::Responses => responses::object(self, ask),
        }
    }

    fn completion(&self, ask: &Ask<'_>) -> Value {
        let mut message = json!({"role": "assistant", "content": (!self.text.is_empty()).then_some(&self.text)});
        if !self.thinking.is_empty() {
            message["reasoning_content"] = json!(self.thinking);
        }
        if !self.calls.is_empty() {
            let call = |(i, (name, args)): (usize, &(String, String))| json!({"id": call_id(ask.turn, i), "type": "function", "function": {"name": name, "arguments": args}});
            message["tool_calls"] = self.calls.iter().enumerate().map(call).collect();
        }
        json!({
            "id": format!("chatcmpl-{}", ask.turn), "object": "chat.completion", "created": 1, "model": ask.model,
            "choices": [{"index": 0, "message": message, "finish_reason": self.reason()}], "usage": self.tokens(),
        })
    }

    fn reason(&self) -> Option<&str> {
        match &self.finish {
            Finish::Fitting if self.calls.is_empty() => Some("stop"),
            Finish::Fitting => Some("tool_calls"),
            Finish::Named(name) => Some(name),
            Finish::Missing => None,
        }
    }

    /// Prompt and completion tokens.
    pub fn used(&self) -> (u64, u64) {
        let size: usize = self.text.len() + self.thinking.len() + self.calls.iter().map(|(n, a)| n.len() + a.len()).sum::<usize>();
        self.usage.unwrap_or((100, size as u64 / 4 + 1))
    }

    fn tokens(&self) -> Value {
        let (prompt, completion) = self.used();
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
    }
}

/// The id of call `i` of turn `turn`.
pub fn call_id(turn: usize, i: usize) -> String {
    format!("call_{turn}_{i}")
}

fn frame(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// Pieces of seven characters: several a word, so that nothing can rely on where a piece ends.
pub fn chunks(text: &str) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(7).map(|c| c.iter().collect()).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(reply: &Reply) -> String {
        let (pieces, kind) = reply.pieces(&Ask { api: Api::Chat, model: "m", stream: true, usage: true, turn: 2 });
        assert_eq!(kind, Some("text/event-stream"));
        String::from_utf8(pieces.concat()).unwrap()
    }

    fn chunks_of(stream: &str) -> Vec<Value> {
        stream.split("\n\n").filter_map(|f| f.strip_prefix("data: ")).filter_map(|d| serde_json::from_str(d).ok()).collect()
    }

    #[test]
    fn a_stream_adds_up_to_what_was_said() {
        let reply = Reply::tool_call("grep", json!({"pattern": "fn main"})).thinking("hm, let me look").usage(10, 5);
        let all = stream(&reply);
        let (mut args, mut thinking) = (String::new(), String::new());
        for chunk in chunks_of(&all) {
            let delta = &chunk["choices"][0]["delta"];
            args += delta["tool_calls"][0]["function"]["arguments"].as_str().unwrap_or("");
            thinking += delta["reasoning_content"].as_str().unwrap_or("");
        }
        assert_eq!((args.as_str(), thinking.as_str()), (r#"{"pattern":"fn main"}"#, "hm, let me look"));
        assert!(all.contains(r#""id":"call_2_0""#) && all.contains(r#""finish_reason":"tool_calls""#) && all.ends_with("data: [DONE]\n\n"));
        assert!(all.contains(r#""total_tokens":15"#));
        assert_eq!(reply.stream_len(2), all.replace("\"m\"", "\"test-model\"").len());
    }

    #[test]
    fn faults_stand_where_they_were_put() {
        let all = stream(&Reply::text("abcdefghij").malformed_at(1).error_event_at(2, "overloaded", "busy"));
        let frames: Vec<&str> = all.split_inclusive("\n\n").collect();
        assert!(frames[0].contains("\"role\"") && frames[1].ends_with("del\n\n") && frames[3].contains("overloaded"), "{all}");
        assert!(frames[2].contains("abcdefg") && frames[4].contains("hij"), "{all}");
        let bare = stream(&Reply::text("x").without_terminal());
        assert!(!bare.contains("[DONE]") && !bare.contains("\"stop\"") && bare.contains("\"x\""), "{bare}");
        assert!(stream(&Reply::text("x").finish_reason("odd")).contains(r#""finish_reason":"odd""#));
    }

    #[test]
    fn an_answer_that_is_no_stream_is_one_object() {
        let ask = Ask { api: Api::Chat, model: "m", stream: false, usage: false, turn: 0 };
        let (pieces, kind) = Reply::tool_calls([("a", json!({})), ("b", json!({"x": 1}))]).pieces(&ask);
        let value: Value = serde_json::from_slice(&pieces.concat()).unwrap();
        assert_eq!(kind, Some("application/json"));
        assert_eq!(value["choices"][0]["message"]["tool_calls"][1]["function"]["arguments"], r#"{"x":1}"#);
        assert!(value["choices"][0]["message"]["content"].is_null());
    }
}
