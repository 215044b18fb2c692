//! The one HTTP provider. What differs between vendors is data: address, headers, key, dialect, time-outs.

use super::Refused;
use super::body::Segments;
use super::exchange::{Exchange, Source};
use crate::auth::oauth::{Bearer, Login};
use crate::auth::{Access, Key, Secret};
use crate::base::clock;
use crate::base::net::{self, Pool};
use crate::model::{Class, ProviderError, Scope, ToolSpec};
use crate::wire::limits::Limits;
use crate::wire::ops::Call;
use crate::wire::quirk::{FailedCalls, failed_calls};
use crate::wire::{self, Decoder, Dialect, Encoded, KeyStyle, Sender, Wire};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode};
use reqwest::{Method, Response};
use std::time::Duration;

/// The most that is read of an error's body.
const ERROR_BODY: usize = 256 * 1024;
/// The most that is read of a whole reply. The vectors of a full call, written out, are about 75 MB.
const WHOLE_BODY: usize = 128 << 20;
/// How long an error's body may take; what has arrived by then is used.
const ERROR_TIME: Duration = Duration::from_secs(10);

/// Separate limits for the separate ways in which a server can be silent. The limit for the whole call is the
/// router's: only it knows how many attempts share the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    /// From the request's last byte to the reply's first.
    pub first_byte: Duration,
    /// Between two pieces of a reply.
    pub idle: Duration,
}

/// Everything that is known about reaching a provider.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Id of the catalogue.
    pub provider: String,
    pub wire: Wire,
    /// Up to, and without, the path that the wire adds.
    pub base_url: String,
    pub headers: Vec<(String, String)>,
    /// The key, or the login whose token goes with each request.
    pub access: Access,
    pub dialect: Dialect,
    pub timeouts: Timeouts,
}

impl Endpoint {
    fn url(&self, path: &str) -> String {
        let base = self.base_url.trim_end_matches('/');
        // Vendors write their addresses with and without the version, and people copy either.
        let version = path.split('/').nth(1).filter(|v| v.starts_with("v1"));
        let base = version.and_then(|v| base.strip_suffix(v)?.strip_suffix('/')).unwrap_or(base);
        format!("{base}{path}")
    }

    /// Who answers, for what its refusals mean, at this moment.
    fn sender(&self) -> Sender {
        Sender::new(self.wire, &self.provider).at(clock::unix_ms())
    }

    /// What a request has besides its content: the wire's, the provider's (which win), the key, and what it `asked` for.
    fn headers<'a>(&'a self, key: Option<&Secret>, asked: &'a [(&'static str, String)]) -> Vec<(&'a str, String)> {
        let own = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let wires = self.wire.headers().iter().filter(|(name, _)| !own(name)).map(|(name, value)| (*name, (*value).to_owned()));
        let key = key.map(|key| match self.dialect.key.unwrap_or(self.wire.key_style()) {
            KeyStyle::Bearer => ("authorization", format!("Bearer {}", key.expose())),
            KeyStyle::XApiKey => ("x-api-key", key.expose().to_owned()),
            KeyStyle::ApiKey => ("api-key", key.expose().to_owned()),
            KeyStyle::XGoogApiKey => ("x-goog-api-key", key.expose().to_owned()),
        });
        let mut all: Vec<(&str, String)> = wires.chain(self.headers.iter().map(|(n, v)| (n.as_str(), v.clone()))).chain(key).collect();
        for (name, value) in asked {
            add(&mut all, name, value);
        }
        all
    }

    /// The same with a login's token, and the headers that belong to it, in the place of a key.
    fn headers_with<'a>(&'a self, bearer: &'a Bearer, asked: &'a [(&'static str, String)]) -> Vec<(&'a str, String)> {
        let mut all = self.headers(None, asked);
        for (name, value) in &bearer.headers {
            add(&mut all, name, value);
        }
        all.push(("authorization", format!("Bearer {}", bearer.token.expose())));
        all
    }
}

/// What a provider always sends and what this request needs are both meant: such headers are lists.
fn add<'a>(all: &mut Vec<(&'a str, String)>, name: &'a str, value: &str) {
    match all.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
        Some((_, have)) if !have.split(',').any(|item| item.trim() == value) => *have = format!("{have},{value}"),
        Some(_) => {}
        None => all.push((name, value.to_owned())),
    }
}

/// A provider over HTTP.
#[derive(Debug)]
pub struct HttpProvider {
    endpoint: Box<Endpoint>,
    pool: Pool,
}

/// A request without what the provider adds.
struct Sent<'a> {
    method: Method,
    path: &'a str,
    headers: &'a [(&'static str, String)],
    body: &'a [Bytes],
}

impl HttpProvider {
    pub fn new(endpoint: Endpoint, pool: Pool) -> Self {
        Self { endpoint: Box::new(endpoint), pool }
    }

    /// The same provider entered another way, over the same connections.
    #[must_use]
    pub fn entered_by(&self, access: Access) -> Self {
        let mut dialect = self.endpoint.dialect.clone();
        if let Access::Login(login) = &access {
            dialect.project = login.project().map(str::to_owned);
        }
        let endpoint = Endpoint { access, dialect, ..Endpoint::clone(&self.endpoint) };
        Self { endpoint: Box::new(endpoint), pool: self.pool.clone() }
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// One attempt: sends the request and returns once the status is known to be good. `tools` are those that it offers.
    pub(super) async fn send(&self, encoded: &Encoded, tools: &[ToolSpec]) -> Result<Exchange, Refused> {
        let sent = Sent { method: Method::POST, path: &encoded.path, headers: &encoded.headers, body: &encoded.body };
        self.asked(&sent, async |response| self.exchange(response, tools).await).await
    }

    /// One call of an operation: the whole body of a good reply.
    pub(super) async fn call(&self, call: &Call) -> Result<Bytes, ProviderError> {
        let method = if call.body.is_some() { Method::POST } else { Method::GET };
        let sent = Sent { method, path: &call.path, headers: &call.headers, body: call.body.as_deref().unwrap_or_default() };
        self.asked(&sent, async |response| self.whole(response).await).await.map_err(|refused| refused.error)
    }

    /// Sends it as the account wants to be shown, and reads the reply. Where a login's token is refused, that is renewed
    /// once, which still is the same attempt.
    async fn asked<T>(&self, sent: &Sent<'_>, read: impl AsyncFn(Response) -> Result<T, Refused>) -> Result<T, Refused> {
        let login = match &self.endpoint.access {
            Access::Login(login) => login,
            Access::Key(key) => {
                let secret = secret(key).await?;
                return read(self.request(sent, self.endpoint.headers(Some(&secret), sent.headers)).await?).await;
            }
            Access::Open => return read(self.request(sent, self.endpoint.headers(None, sent.headers)).await?).await,
        };
        let url = self.endpoint.url(sent.path);
        let mut bearer = login.bearer(&url).await?;
        let mut response = self.request(sent, self.endpoint.headers_with(&bearer, sent.headers)).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            tracing::debug!(provider = self.endpoint.provider, "the token was refused; renewing the login");
            bearer = login.renewed(&bearer, &url).await?;
            response = self.request(sent, self.endpoint.headers_with(&bearer, sent.headers)).await?;
        }
        match read(response).await {
            Ok(good) => Ok(good),
            Err(Refused { error, limits }) => Err(Refused { error: self.refused(login, &bearer, error).await, limits }),
        }
    }

    /// What a provider's refusal means for the login.
    async fn refused(&self, login: &Login, bearer: &Bearer, mut error: ProviderError) -> ProviderError {
        let provider = &self.endpoint.provider;
        match error.class {
            // The account, or the way in which it is used, is not wanted: asking again could cost more than an answer.
            Class::Permission if error.scope != Scope::Model => {
                login.refuse(bearer, &error.message).await;
                error.scope = Scope::Key;
                let more = format!(" (the login of {provider} is not used again before you repeat it: pup auth login {provider})");
                error.message.push_str(&more);
            }
            Class::Auth => {
                error.scope = Scope::Key;
                error.message.push_str(" (if it stays so, log in again: pup auth login ");
                error.message.push_str(provider);
                error.message.push(')');
            }
            _ => {}
        }
        error
    }

    async fn exchange(&self, response: Response, tools: &[ToolSpec]) -> Result<Exchange, Refused> {
        let Endpoint { wire, dialect, timeouts, .. } = self.endpoint.as_ref();
        let decoder = || Decoder::new(*wire, dialect).sent_by(self.endpoint.sender()).with_tools(tools);
        if response.status().is_success() {
            let limits = Limits::read(&net::headers(&response), Some(clock::unix_ms()));
            return Ok(Exchange::new(Source::Http(response), decoder(), *timeouts).with_limits(limits));
        }
        let refusal = refusal(response).await;
        if dialect.failed_calls == FailedCalls::Call && failed_calls::read(&refusal.body).is_some() {
            return Ok(Exchange::new(Source::Whole(Some(refusal.body.into())), decoder(), *timeouts));
        }
        Err(Refused { error: self.judged(&refusal), limits: Box::new(Limits::read(&refusal.headers, Some(clock::unix_ms()))) })
    }

    async fn whole(&self, mut response: Response) -> Result<Bytes, Refused> {
        if !response.status().is_success() {
            return Err(self.judged(&refusal(response).await).into());
        }
        let (mut body, idle) = (BytesMut::new(), self.endpoint.timeouts.idle);
        loop {
            let next = tokio::time::timeout(idle, net::chunk(&mut response)).await;
            let late = |_| ProviderError::timeout(format!("the reply stalled: no bytes for {} s", idle.as_secs_f64()));
            let Some(piece) = next.map_err(late)?.map_err(ProviderError::from)? else { return Ok(body.freeze()) };
            if body.len() + piece.len() > WHOLE_BODY {
                return Err(ProviderError::network(format!("the reply is larger than {} MiB", WHOLE_BODY >> 20)).into());
            }
            body.extend_from_slice(&piece);
        }
    }

    fn judged(&self, Refusal { status, headers, body }: &Refusal) -> ProviderError {
        wire::classify(self.endpoint.sender(), *status, headers, body)
    }

    async fn request(&self, sent: &Sent<'_>, headers: Vec<(&str, String)>) -> Result<Response, ProviderError> {
        let mut request = self.pool.request(sent.method.clone(), &self.endpoint.url(sent.path))?;
        request = request.header("accept-encoding", HeaderValue::from_static("identity"));
        for (name, value) in headers {
            let mut value = HeaderValue::try_from(value).map_err(|e| ProviderError::network(format!("the header {name}: {e}")))?;
            // The key, or what a user has put into `headers`: nothing that a debugger or a compressor should keep.
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let (segments, taken) = Segments::new(sent.body.iter().cloned());
        if !sent.body.is_empty() {
            request = request.header("content-type", HeaderValue::from_static("application/json")).body(reqwest::Body::wrap(segments));
        }
        let Timeouts { connect, first_byte, .. } = self.endpoint.timeouts;
        let late = async {
            // A server that never takes the request in is late as well.
            let _ = tokio::time::timeout(connect.saturating_add(first_byte), taken).await;
            tokio::time::sleep(first_byte).await;
        };
        tokio::select! {
            response = request.send(connect) => Ok(response?),
            () = late => {
                let (place, limit) = (&self.endpoint.base_url, first_byte.as_secs_f64());
                Err(ProviderError::timeout(format!("no answer from {place} for {limit} s")))
            }
        }
    }
}

/// The key's value. Where the keyring has it, that is asked on a thread of its own: it may wait for a person.
async fn secret(key: &Key) -> Result<Secret, ProviderError> {
    if let Some(secret) = key.at_hand() {
        return Ok(secret.clone());
    }
    let asked = key.clone();
    let found = tokio::task::spawn_blocking(move || asked.secret().cloned()).await;
    match found {
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(failure)) => Err(ProviderError::new(Class::Auth, Scope::Key, failure.message)),
        Err(_) => Err(ProviderError::new(Class::Auth, Scope::Key, format!("{} could not be fetched", key.label()))),
    }
}

/// A reply with an error status.
struct Refusal {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Reads as much of a refusal's body as arrives in time.
async fn refusal(mut response: Response) -> Refusal {
    let (status, headers) = (response.status().as_u16(), net::headers(&response));
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > ERROR_BODY {
                break;
            }
        }
    };
    // Late or cut: the status and what came of the body still say enough.
    let _ = tokio::time::timeout(ERROR_TIME, read).await;
    Refusal { status, headers, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_wire_provider_and_request_are_one_set() {
        let no_wait = Timeouts { connect: Duration::ZERO, first_byte: Duration::ZERO, idle: Duration::ZERO };
        let endpoint = Endpoint {
            provider: "p".into(),
            wire: Wire::Anthropic,
            base_url: "https://p".into(),
            headers: vec![("Anthropic-Beta".into(), "one,two".into()), ("anthropic-version".into(), "2030".into())],
            access: Access::Open,
            dialect: Dialect::default(),
            timeouts: no_wait,
        };
        let asked = [("anthropic-beta", "two".to_owned()), ("anthropic-beta", "three".to_owned()), ("x-other", "o".to_owned())];
        let want = [("Anthropic-Beta", "one,two,three"), ("anthropic-version", "2030"), ("x-other", "o")];
        assert_eq!(endpoint.headers(None, &asked), want.map(|(n, v)| (n, v.to_owned())));
    }

    #[test]
    fn a_key_is_shown_as_the_wire_or_the_dialect_wants() {
        let shown = |quirks: &[&str]| {
            let dialect = Dialect::from_quirks(quirks).unwrap();
            dialect.key.unwrap_or(Wire::Anthropic.key_style())
        };
        assert_eq!(shown(&[]), KeyStyle::XApiKey);
        assert_eq!((shown(&["api-key-header"]), shown(&["bearer-key"])), (KeyStyle::ApiKey, KeyStyle::Bearer));
    }
}
