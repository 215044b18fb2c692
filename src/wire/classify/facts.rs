//! What is known of a refusal, gathered from wherever it stands: nested, in a list, in a stream, in a page, in prose, cut off.

use super::vendor::Vendor;
use crate::base::text;
use crate::wire::limits::Limits;
use crate::wire::sse::{Frame, SseDecoder};
use crate::wire::wait::{self, Headers, Now};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Map, Value};

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Empty,
    Json,
    /// A page for browsers.
    Html,
    Text,
}

#[derive(Debug)]
pub struct Facts {
    pub vendor: Vendor,
    pub shape: Shape,
    /// The status that counts: HTTP's, or where that was a success the one that the error names; 0 for none.
    pub status: u16,
    /// HTTP's, 0 inside a stream.
    pub http: u16,
    /// The reply's headers, and those that an error carries in its body.
    pub headers: Vec<(String, String)>,
    pub now: Now,
    pub limits: Limits,
    /// The message as the provider wrote it.
    pub message: String,
    /// The same in ASCII lower case.
    pub said: String,
    /// What the provider behind a router said.
    pub upstream: Option<String>,
    /// Codes, types, statuses and reasons, in lower case.
    pub words: Vec<String>,
    /// The provider's own code or type, as it wrote it.
    pub code: Option<String>,
    /// The field or place that the refusal names apart from its message.
    pub place: Option<String>,
    pub request_id: Option<String>,
    /// The error's own object, or what holds it where it is a bare string.
    pub error: Value,
    /// What it stands in.
    pub root: Value,
    /// Whether the body holds an error at all.
    pub found: bool,
    /// A good reply whose content was withheld.
    pub withheld: bool,
}

/// Fields in which a code, a type or a status stands.
const WORDS: [&str; 7] = ["code", "type", "status", "reason", "error_type", "error_code", "__type"];
/// Words that say nothing.
const EMPTY_WORDS: [&str; 4] = ["error", "null", "none", "failed"];

impl Facts {
    pub fn read(vendor: Vendor, local_ms: Option<u64>, http: u16, headers: &Headers, body: &[u8]) -> Self {
        let (mut shape, mut documents) = documents(body);
        // A header may hold what the body leaves out.
        let mut at = documents.iter().position(|d| find_error(d).is_some());
        if at.is_none()
            && let Some(error) = in_header(headers)
        {
            (shape, documents, at) = (Shape::Json, vec![error], Some(0));
        }
        let withheld = documents.iter().any(withheld);
        let alone = documents.len() == 1;
        let root = documents.into_iter().nth(at.unwrap_or(0)).unwrap_or(Value::Null);
        // Between the events of a stream a bare message may be anything; as the whole answer it is why there is none.
        let outer = find_error(&root).or_else(|| (alone && is_bare(&root)).then_some(&root));
        let found = outer.is_some();
        let outer = outer.unwrap_or(&root);
        let nested = nested(outer);
        let error = nested.as_ref().unwrap_or(outer);
        // OAuth's errors are one word, with the sentence beside it.
        let described = || root.get("error_description").filter(|_| outer.is_string()).and_then(sentence);
        let message = described().or_else(|| sentence(error)).or_else(|| sentence(&root)).unwrap_or_else(|| match shape {
            Shape::Html => page_title(body),
            Shape::Text => text::strip_controls(String::from_utf8_lossy(body).trim()),
            Shape::Empty | Shape::Json => String::new(),
        });
        let mut words = Vec::new();
        let mut sources = vec![error];
        sources.extend(nested.is_some().then_some(outer));
        sources.extend(outer.is_string().then_some(&root));
        for source in &sources {
            words.extend(words_of(source));
        }
        words.extend(words_around(&root, headers));
        let code = sources.iter().find_map(|s| code_of_error(s));
        let mut all: Vec<(String, String)> = headers.to_vec();
        let carried = [root.get("headers"), error.pointer("/metadata/headers"), outer.pointer("/metadata/headers")];
        all.extend(carried.into_iter().flatten().filter_map(Value::as_object).flatten().map(|(k, v)| (k.clone(), shown(v))));
        let now = Now::new(&all, local_ms);
        Self {
            vendor,
            shape,
            status: own_status(vendor, &sources, &root, http),
            http,
            limits: Limits::by(&all, now),
            headers: all,
            now,
            said: message.to_ascii_lowercase(),
            message,
            upstream: upstream(error).or_else(|| upstream(outer)),
            words,
            code,
            place: place(error, &root),
            request_id: [error, outer, &root].into_iter().find_map(|v| v.get("request_id")?.as_str()).map(str::to_owned),
            found,
            withheld,
            root: root.clone(),
            error: if error.is_string() { root.clone() } else { error.clone() },
        }
    }

    /// Whether one of these is among its codes.
    pub fn is_called(&self, words: &[&str]) -> bool {
        self.words.iter().any(|w| words.contains(&w.as_str()))
    }

    pub fn says(&self, part: &str) -> bool {
        self.said.contains(part)
    }

    /// All that was said, in lower case, also by the provider behind a router.
    pub fn all_said(&self) -> String {
        self.upstream.as_ref().map_or_else(|| self.said.clone(), |up| format!("{} {}", self.said, up.to_ascii_lowercase()))
    }

    pub const fn succeeded(&self) -> bool {
        self.http >= 200 && self.http < 300
    }

    /// Whether HTTP itself reported no failure.
    pub const fn in_band(&self) -> bool {
        self.http == 0 || self.succeeded()
    }

    /// Entries of Google's `details`.
    pub fn details(&self) -> impl Iterator<Item = &Value> {
        self.error.get("details").and_then(Value::as_array).into_iter().flatten()
    }
}

/// The JSON documents of a body, with lists taken apart, or the events of a stream.
fn documents(body: &[u8]) -> (Shape, Vec<Value>) {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    match body.first() {
        None => return (Shape::Empty, Vec::new()),
        Some(b'<') => return (Shape::Html, Vec::new()),
        Some(_) => {}
    }
    let mut found = Vec::new();
    for document in serde_json::Deserializer::from_slice(body).into_iter::<Value>().map_while(Result::ok) {
        take_apart(document, &mut found);
    }
    if found.is_empty() {
        events(body, &mut found);
    }
    // A number or a bare word is prose that happens to be JSON.
    found.retain(|d| d.is_object() || d.is_string());
    if found.is_empty() && matches!(body.first(), Some(b'{' | b'[')) {
        found.extend(salvage(&String::from_utf8_lossy(body)));
    }
    (if found.is_empty() { Shape::Text } else { Shape::Json }, found)
}

/// ChatGPT's backend puts an error into a header, in base64.
fn in_header(headers: &Headers) -> Option<Value> {
    let value = wait::header(headers, "x-error-json")?;
    let bytes = STANDARD_NO_PAD.decode(value.trim_end_matches('=')).unwrap_or_else(|_| value.as_bytes().to_vec());
    serde_json::from_slice::<Value>(&bytes).ok().filter(|doc| find_error(doc).is_some())
}

fn take_apart(document: Value, into: &mut Vec<Value>) {
    match document {
        Value::Array(items) => into.extend(items),
        other => into.push(other),
    }
}

fn events(body: &[u8], into: &mut Vec<Value>) {
    let mut take = |frame: Frame<'_>| {
        if let Frame::Event { data, .. } = frame {
            for document in serde_json::Deserializer::from_slice(data).into_iter::<Value>().map_while(Result::ok) {
                take_apart(document, into);
            }
        }
    };
    let mut decoder = SseDecoder::default();
    decoder.feed(body, &mut take);
    decoder.finish(&mut take);
}

/// The error in a document, if it holds one.
fn find_error(doc: &Value) -> Option<&Value> {
    const PLACES: [&str; 9] = [
        "/error",
        "/response/error",
        "/response/body/error",
        "/result/error",
        "/body/error",
        "/errors/data/0",
        "/errors/0",
        // Groq's place within a stream, and OpenRouter's for the one choice.
        "/x_groq/error",
        "/choices/0/error",
    ];
    let inside = PLACES.iter().find_map(|place| doc.pointer(place).filter(|v| says_something(v))).or_else(|| numbered(doc));
    if let Some(mut error) = inside.or_else(|| exception(doc).map(|(_, error)| error)) {
        while let Some(inner) = error.get("error").filter(|v| v.is_object() && error.get("message").is_none()) {
            error = inner;
        }
        return Some(error);
    }
    // FastAPI's word for it may hold an error of its own.
    if let Some(detail) = doc.get("detail").filter(|d| d.is_object() && (d.get("code").is_some() || d.get("message").is_some())) {
        return Some(detail);
    }
    let is = |key: &str| doc.get(key).and_then(Value::as_str) == Some("error");
    let bad = |key: &str| status_of(doc.get(key)?).filter(|s| (400..600).contains(s));
    let flat = is("type")
        || is("object")
        || doc.get("error") == Some(&Value::Bool(true))
        || doc.get("success") == Some(&Value::Bool(false))
        || doc.get("detail").is_some_and(says_something)
        || doc.get("__type").is_some_and(says_something)
        || ["code", "status", "status_code", "statusCode"].iter().any(|key| bad(key).is_some());
    flat.then_some(doc)
}

/// MiniMax has a number in every reply, which is 0 where nothing is wrong.
fn numbered(doc: &Value) -> Option<&Value> {
    doc.get("base_resp").filter(|told| told.get("status_code").and_then(Value::as_u64).is_some_and(|code| code != 0))
}

/// Amazon's events name the failure by their only key: `{"throttlingException":{"message":".."}}`.
fn exception(doc: &Value) -> Option<(&String, &Value)> {
    doc.as_object()?.iter().find(|(key, value)| key.ends_with("Exception") && value.is_object())
}

/// Words for a person, and nothing of a reply beside them.
fn is_bare(doc: &Value) -> bool {
    const REPLY: [&str; 10] =
        ["choices", "candidates", "content", "output", "data", "embeddings", "response", "usage", "delta", "usageMetadata"];
    let said = ["message", "Message", "msg", "title"].iter().any(|key| doc.get(key).is_some_and(|v| !v.is_object() && says_something(v)));
    said && !REPLY.iter().any(|key| doc.get(key).is_some())
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::String(s) => !s.trim().is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The error inside an error's message: a proxy passes on what it got as a string, alone or behind a few words.
fn nested(outer: &Value) -> Option<Value> {
    let mut found: Option<Value> = None;
    // Each layer is shorter than the one around it; three is more than was ever seen.
    for _ in 0..3 {
        let message = match found.as_ref().unwrap_or(outer) {
            Value::String(s) => s.as_str(),
            other => other.get("message").and_then(Value::as_str).unwrap_or_default(),
        };
        let Some(text) = message.find(['{', '[']).and_then(|at| message.get(at..)) else { break };
        let Some(Ok(value)) = serde_json::Deserializer::from_str(text).into_iter::<Value>().next() else { break };
        let value = match value {
            Value::Array(mut items) if !items.is_empty() => items.swap_remove(0),
            other => other,
        };
        let Some(inner) = find_error(&value).filter(|e| sentence(e).is_some()).cloned() else { break };
        found = Some(inner);
    }
    found
}

/// What a cut document still says: the first value of each telling key.
fn salvage(text: &str) -> Option<Value> {
    let mut error = Map::new();
    for key in ["message", "code", "type", "status", "reason", "param"] {
        let Some(at) = text.find(&format!("\"{key}\"")) else { continue };
        let Some(rest) = text.get(at + key.len() + 2..).map(str::trim_start).and_then(|r| r.strip_prefix(':')) else { continue };
        let rest = rest.trim_start();
        let whole = serde_json::Deserializer::from_str(rest).into_iter::<Value>().next().and_then(Result::ok);
        let value = whole.or_else(|| rest.strip_prefix('"').map(|cut| Value::String(cut.to_owned())));
        if let Some(value) = value.filter(|v| v.is_string() || v.is_number()) {
            error.insert(key.to_owned(), value);
        }
    }
    (!error.is_empty()).then(|| Value::Object([("error".to_owned(), Value::Object(error))].into_iter().collect()))
}

/// The words of an error value, wherever it keeps them.
pub fn sentence(error: &Value) -> Option<String> {
    const PLACES: [&str; 8] = ["message", "Message", "detail", "msg", "error_description", "error", "title", "status_msg"];
    match error {
        Value::String(s) if !s.trim().is_empty() => Some(s.clone()),
        Value::Object(map) => PLACES.iter().find_map(|key| match map.get(*key)? {
            Value::String(s) if !s.trim().is_empty() => Some(s.clone()),
            Value::Array(items) => items.first().and_then(sentence),
            inner @ Value::Object(_) => sentence(inner),
            _ => None,
        }),
        _ => None,
    }
}

fn words_of(error: &Value) -> Vec<String> {
    if let Some(word) = error.as_str() {
        let is_word = !word.is_empty() && word.len() < 60 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        return is_word.then(|| word.to_owned()).into_iter().collect();
    }
    let own = WORDS.iter().filter_map(|key| code_of(error.get(*key)?));
    let deeper = ["/innererror/code", "/metadata/error_type"].iter().filter_map(|place| code_of(error.pointer(place)?));
    let reasons = error.get("details").and_then(Value::as_array).into_iter().flatten().filter_map(|d| code_of(d.get("reason")?));
    let all = own.chain(deeper).chain(reasons).map(|w| w.to_ascii_lowercase());
    all.filter(|w| !EMPTY_WORDS.contains(&w.as_str())).collect()
}

/// Amazon's names for a failure stand around it: in a header, or as a key. Its name spaces say nothing.
fn words_around(root: &Value, headers: &Headers) -> Vec<String> {
    let typed = root.get("__type").and_then(Value::as_str);
    let named = [wait::header(headers, "x-amzn-errortype"), typed, exception(root).map(|(key, _)| key.as_str())];
    let bare = |name: &str| name.split(':').next().and_then(|name| name.rsplit('#').next()).unwrap_or_default().to_ascii_lowercase();
    named.into_iter().flatten().map(bare).filter(|word| !word.is_empty()).collect()
}

fn code_of_error(error: &Value) -> Option<String> {
    match error.as_str() {
        Some(_) => words_of(error).into_iter().next(),
        None => ["code", "type", "status"].iter().filter_map(|key| code_of(error.get(*key)?)).find(|w| !EMPTY_WORDS.contains(&w.as_str())),
    }
}

fn code_of(value: &Value) -> Option<String> {
    match value {
        Value::String(s) if !s.is_empty() => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn status_of(value: &Value) -> Option<u16> {
    let number = match value {
        Value::Number(n) => n.as_u64(),
        Value::String(s) => s.parse().ok(),
        _ => None,
    };
    number.and_then(|n| u16::try_from(n).ok())
}

/// The status that counts: HTTP's, unless that was a success; then the one that the error names.
fn own_status(vendor: Vendor, errors: &[&Value], root: &Value, http: u16) -> u16 {
    if !matches!(http, 0 | 200..=299) {
        return http;
    }
    let keys = ["status_code", "statusCode", "http_status_code", "code", "status"];
    let places = errors.iter().copied().chain([root]).chain(root.get("response"));
    let named = places.flat_map(|v| keys.iter().filter_map(|key| v.get(*key))).filter_map(status_of).find(|s| (400..600).contains(s));
    let by_name = || errors.iter().find_map(|e| google_status(e.get("status")?.as_str()?));
    let googles = matches!(vendor, Vendor::Google | Vendor::Antigravity);
    let by_number = || errors.iter().filter(|_| googles).find_map(|e| google_number(e.get("code")?.as_u64()?));
    named.or_else(by_name).or_else(by_number).unwrap_or(http)
}

/// HTTP's number for the name of a google.rpc status.
fn google_status(name: &str) -> Option<u16> {
    Some(match name {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => 400,
        "UNAUTHENTICATED" => 401,
        "PERMISSION_DENIED" => 403,
        "NOT_FOUND" => 404,
        "ABORTED" => 409,
        "RESOURCE_EXHAUSTED" => 429,
        "CANCELLED" => 499,
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" => 500,
        "UNAVAILABLE" => 503,
        "DEADLINE_EXCEEDED" => 504,
        _ => return None,
    })
}

/// The same for its number, as the lines of a batch's results have it.
fn google_number(code: u64) -> Option<u16> {
    Some(match code {
        3 | 9 | 11 => 400,
        16 => 401,
        7 => 403,
        5 => 404,
        10 => 409,
        8 => 429,
        1 => 499,
        2 | 13 | 15 => 500,
        14 => 503,
        4 => 504,
        _ => return None,
    })
}

/// A list's first `loc`, `param`, or Google's first field.
fn place(error: &Value, root: &Value) -> Option<String> {
    let listed = || {
        let steps = root.pointer("/detail/0/loc")?.as_array()?.iter().map(shown);
        Some(steps.collect::<Vec<_>>().join("."))
    };
    let field = || {
        let details = error.get("details")?.as_array()?;
        details.iter().find_map(|d| d.pointer("/fieldViolations/0/field")?.as_str()).map(str::to_owned)
    };
    error.get("param").and_then(Value::as_str).map(str::to_owned).or_else(listed).or_else(field)
}

/// What a router passes on of the provider behind it.
fn upstream(error: &Value) -> Option<String> {
    let raw = error.pointer("/metadata/raw").filter(|v| says_something(v))?;
    let text = shown(raw);
    let inner = serde_json::from_str::<Value>(&text).ok();
    let inner = inner.as_ref().and_then(|v| sentence(find_error(v).unwrap_or(v)));
    Some(inner.unwrap_or(text))
}

/// A good reply whose content a filter or the model itself withheld.
fn withheld(root: &Value) -> bool {
    let reply = root.get("response").unwrap_or(root);
    let at = |place: &str| reply.pointer(place).and_then(Value::as_str);
    let blocked = ["SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"];
    at("/promptFeedback/blockReason").is_some()
        || at("/candidates/0/finishReason").is_some_and(|r| blocked.contains(&r))
        || at("/choices/0/finish_reason") == Some("content_filter")
        || [at("/stop_reason"), at("/delta/stop_reason")].contains(&Some("refusal"))
        || at("/incomplete_details/reason") == Some("content_filter")
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A web page's title, or its first words.
pub fn page_title(html: &[u8]) -> String {
    let html = String::from_utf8_lossy(html);
    let lower = html.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|from| {
        let open = from + lower.get(from..)?.find('>')? + 1;
        let close = open + lower.get(open..)?.find('<')?;
        html.get(open..close)
    });
    text::one_line(&text::strip_controls(title.unwrap_or(&html)), 120)
}

/// The first header of these names.
pub fn first_header(headers: &Headers, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| wait::header(headers, name)).map(str::to_owned)
}
