//! Requests to authorisation servers: bounded in time and size, JSON or nothing, bodies in the form that each one wants.

use super::grant::Grant;
use super::trouble::{self, Trouble};
use crate::base::net::{self, NetError, Pool};
use crate::base::redact::Redactor;
use crate::base::{clock, text};
use crate::catalog::manifest::TokenBody;
use crate::wire::wait;
use ::http::header::{CONTENT_TYPE, HeaderValue};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use serde_json::{Map, Value};
use std::pin::Pin;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(10);
/// For a whole request: these answers are small, and somebody waits.
const LIMIT: Duration = Duration::from_secs(30);
const MAX_BODY: usize = 1 << 20;

/// An answer with a good status.
#[derive(Debug)]
pub struct Answer {
    pub json: Value,
    /// The server's own clock, in milliseconds since 1970; ours where it does not tell.
    pub now_ms: u64,
}

/// The way to a provider's authorisation server.
#[derive(Debug, Clone)]
pub struct Transport {
    /// Learns what is sent, so that no message repeats it.
    pub redactor: Redactor,
    pub pool: Pool,
}

/// What becomes of an answer that says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusals {
    Errors,
    /// In the polls of a device flow they mean "not yet".
    HandedOn,
}

/// The `oauth2` crate's HTTP client.
#[derive(Debug)]
pub struct Speaks {
    transport: Transport,
    form: TokenBody,
    refusals: Refusals,
}

impl<'c> AsyncHttpClient<'c> for Speaks {
    type Error = Trouble;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Trouble>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        match self.refusals {
            Refusals::Errors => Box::pin(self.transport.token(request, self.form)),
            Refusals::HandedOn => Box::pin(self.transport.poll(request, self.form)),
        }
    }
}

struct Raw {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Transport {
    /// Teaches the redactor every token of an answer.
    pub fn learn(&self, grant: &Grant) {
        for (name, token) in [("access_token", grant.access()), ("refresh_token", grant.refresh()), ("id_token", grant.id_token())] {
            if let Some(token) = token {
                self.redactor.learn(name, token);
            }
        }
    }

    /// A POST of fields, in the given form.
    pub async fn post(&self, url: &str, fields: &[(&str, &str)], form: TokenBody) -> Result<Answer, Trouble> {
        let pairs = fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let request = request(url, pairs, form)?;
        self.read(request).await
    }

    /// A POST of JSON with a token.
    pub async fn post_json(&self, url: &str, bearer: &str, body: &Value) -> Result<Answer, Trouble> {
        let request = build("POST", url, Some(bearer), "application/json", body.to_string().into_bytes())?;
        self.read(request).await
    }

    pub async fn get(&self, url: &str, bearer: &str) -> Result<Answer, Trouble> {
        self.read(build("GET", url, Some(bearer), "application/json", Vec::new())?).await
    }

    /// As [`Self::post`], for a question whose refusals mean something: status and body, whatever they are.
    pub async fn ask(&self, url: &str, fields: &[(&str, &str)], form: TokenBody) -> Result<(u16, Vec<(String, String)>, Vec<u8>), Trouble> {
        let pairs = fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let Raw { status, headers, body } = self.send(request(url, pairs, form)?).await?;
        Ok((status, headers, body))
    }

    /// For the `oauth2` crate, which sends forms, and knows refusals of one shape only.
    pub fn speaks(&self, form: TokenBody, refusals: Refusals) -> Speaks {
        Speaks { transport: self.clone(), form, refusals }
    }

    /// What the crate gets to read is JSON with the server's time in it ([`NOW`]); any refusal is an error.
    async fn token(&self, sent: HttpRequest, form: TokenBody) -> Result<HttpResponse, Trouble> {
        let Answer { mut json, now_ms } = self.read(rewritten(sent, form)?).await?;
        if let Value::Object(fields) = &mut json {
            fields.insert(NOW.to_owned(), now_ms.into());
        }
        response(200, json.to_string().into_bytes())
    }

    /// The same for the polls of a device flow, whose refusals mean "not yet": they are handed on.
    async fn poll(&self, sent: HttpRequest, form: TokenBody) -> Result<HttpResponse, Trouble> {
        let raw = self.send(rewritten(sent, form)?).await?;
        match raw.status {
            // The poller doubles its pace and asks again.
            408 | 425 | 429 | 500.. => Err(trouble::of_response(raw.status, &raw.headers, &raw.body)),
            400..500 => response(400, raw.body),
            _ => {
                let Answer { mut json, now_ms } = good(&raw)?;
                if let Value::Object(fields) = &mut json {
                    fields.insert(NOW.to_owned(), now_ms.into());
                }
                response(200, json.to_string().into_bytes())
            }
        }
    }

    async fn read(&self, request: HttpRequest) -> Result<Answer, Trouble> {
        let raw = self.send(request).await?;
        let answer =
            if (200..300).contains(&raw.status) { good(&raw) } else { Err(trouble::of_response(raw.status, &raw.headers, &raw.body)) };
        answer.map_err(|mut t| {
            // A server may repeat what it was sent.
            t.message = self.redactor.redact(&t.message).into_owned();
            t
        })
    }

    async fn send(&self, request: HttpRequest) -> Result<Raw, Trouble> {
        let place = request.uri().host().unwrap_or_default().to_owned();
        let (parts, body) = request.into_parts();
        let mut request = self.pool.request(parts.method, &parts.uri.to_string()).map_err(unreached)?;
        for (name, value) in &parts.headers {
            request = request.header(name.as_str(), value.clone());
        }
        if !body.is_empty() {
            request = request.body(body.into());
        }
        let exchange = async {
            let mut answer = request.send(CONNECT).await?;
            let status = answer.status().as_u16();
            let headers = net::headers(&answer);
            let mut body = Vec::new();
            while let Some(chunk) = net::chunk(&mut answer).await? {
                body.extend_from_slice(&chunk);
                if body.len() > MAX_BODY {
                    break;
                }
            }
            Ok::<_, NetError>(Raw { status, headers, body })
        };
        match tokio::time::timeout(LIMIT, exchange).await {
            Ok(reached) => reached.map_err(unreached),
            Err(_) => Err(Trouble::passing(format!("{place} did not answer within {} s", LIMIT.as_secs()))),
        }
    }
}

fn unreached(error: NetError) -> Trouble {
    match error.kind {
        net::Kind::Connection | net::Kind::Unreached | net::Kind::Timeout => Trouble::passing(error.message),
        net::Kind::Setup => Trouble::refused(error.message),
    }
}

/// Where the server's time stands in what the `oauth2` crate reads.
pub const NOW: &str = "pup_now_ms";

fn good(raw: &Raw) -> Result<Answer, Trouble> {
    let ours = clock::unix_ms();
    let now_ms = wait::Now::new(&raw.headers, Some(ours)).ms().unwrap_or(ours);
    match serde_json::from_slice::<Value>(&raw.body) {
        Ok(json @ Value::Object(_)) => Ok(Answer { json, now_ms }),
        // Google answers a revocation, and some servers a logout, with nothing at all.
        _ if raw.body.trim_ascii().is_empty() => Ok(Answer { json: Value::Object(Map::new()), now_ms }),
        _ => {
            let found = text::one_line(&trouble::not_json(&raw.body), 200);
            Err(Trouble::passing(format!("the server answered {} with {found}", raw.status)))
        }
    }
}

fn request(url: &str, fields: Vec<(String, String)>, form: TokenBody) -> Result<HttpRequest, Trouble> {
    let (kind, body) = encode(fields, form);
    build("POST", url, None, kind, body)
}

/// The same request with its form in the form that the server wants.
fn rewritten(sent: HttpRequest, form: TokenBody) -> Result<HttpRequest, Trouble> {
    match form {
        TokenBody::Form => Ok(sent),
        TokenBody::Json => {
            let fields = reqwest::Url::parse("form:").ok().map(|mut url| {
                url.set_query(std::str::from_utf8(sent.body()).ok());
                url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect::<Vec<_>>()
            });
            request(&sent.uri().to_string(), fields.unwrap_or_default(), form)
        }
    }
}

fn encode(fields: Vec<(String, String)>, form: TokenBody) -> (&'static str, Vec<u8>) {
    match form {
        TokenBody::Json => {
            let object: Map<String, Value> = fields.into_iter().map(|(k, v)| (k, Value::String(v))).collect();
            ("application/json", Value::Object(object).to_string().into_bytes())
        }
        TokenBody::Form => {
            let query = reqwest::Url::parse("form:").ok().and_then(|mut url| {
                url.query_pairs_mut().extend_pairs(&fields);
                url.query().map(str::to_owned)
            });
            ("application/x-www-form-urlencoded", query.unwrap_or_default().into_bytes())
        }
    }
}

fn build(method: &str, url: &str, bearer: Option<&str>, kind: &str, body: Vec<u8>) -> Result<HttpRequest, Trouble> {
    let mut builder = ::http::Request::builder().method(method).uri(url).header("accept", "application/json");
    if !body.is_empty() {
        builder = builder.header(CONTENT_TYPE, kind);
    }
    if let Some(bearer) = bearer {
        let mut value = HeaderValue::from_str(&format!("Bearer {bearer}"))
            .map_err(|_| Trouble::refused("the token holds a character that no header takes"))?;
        value.set_sensitive(true);
        builder = builder.header("authorization", value);
    }
    builder.body(body).map_err(|e| Trouble::refused(format!("{url}: {e}")))
}

fn response(status: u16, body: Vec<u8>) -> Result<HttpResponse, Trouble> {
    ::http::Response::builder().status(status).body(body).map_err(|e| Trouble::passing(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_form_becomes_the_same_fields_as_json(fields in prop::collection::vec(("[a-z_]{1,12}", ".{0,40}"), 1..6)) {
            let fields: Vec<(String, String)> = fields.into_iter().enumerate().map(|(i, (k, v))| (format!("{k}{i}"), v)).collect();
            let (kind, form) = encode(fields.clone(), TokenBody::Form);
            prop_assert_eq!(kind, "application/x-www-form-urlencoded");
            let sent = build("POST", "https://a.dev/token?x=1", None, kind, form).unwrap();
            let json = rewritten(sent, TokenBody::Json).unwrap();
            prop_assert_eq!(json.headers()[CONTENT_TYPE].to_str().unwrap(), "application/json");
            let back: Map<String, Value> = serde_json::from_slice(json.body()).unwrap();
            let back: Vec<(String, String)> = back.into_iter().map(|(k, v)| (k, v.as_str().unwrap().to_owned())).collect();
            prop_assert_eq!(back, fields);
            prop_assert_eq!(json.uri().to_string(), "https://a.dev/token?x=1");
        }
    }
}
