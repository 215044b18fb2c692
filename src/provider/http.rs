//! The one HTTP provider. What differs between vendors is data: address, headers, key, dialect, time-outs.

use super::body::Segments;
use super::exchange::{self, Exchange, Source};
use super::pool::Pool;
use crate::auth::{Key, Secret};
use crate::base::clock;
use crate::model::{Class, ProviderError, Scope};
use crate::wire::ops::Call;
use crate::wire::{self, Decoder, Dialect, Encoded, KeyStyle, Sender, Wire};
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http_body::Body;
use reqwest::{Method, Response};
use std::time::Duration;
use tokio::sync::oneshot;

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
    /// None for servers that need no key.
    pub key: Option<Key>,
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

    /// What a request has besides its content: the wire's, the provider's (which win) and the key.
    fn headers(&self, key: Option<&Secret>) -> Vec<(&str, String)> {
        let own = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let wires = self.wire.headers().iter().filter(|(name, _)| !own(name)).map(|(name, value)| (*name, (*value).to_owned()));
        let key = key.map(|key| match self.dialect.key.unwrap_or(self.wire.key_style()) {
            KeyStyle::Bearer => ("authorization", format!("Bearer {}", key.expose())),
            KeyStyle::XApiKey => ("x-api-key", key.expose().to_owned()),
            KeyStyle::XGoogApiKey => ("x-goog-api-key", key.expose().to_owned()),
        });
        wires.chain(self.headers.iter().map(|(n, v)| (n.as_str(), v.clone()))).chain(key).collect()
    }
}

/// A provider over HTTP.
#[derive(Debug)]
pub struct HttpProvider {
    endpoint: Box<Endpoint>,
    pool: Pool,
}

impl HttpProvider {
    pub fn new(endpoint: Endpoint, pool: Pool) -> Self {
        Self { endpoint: Box::new(endpoint), pool }
    }

    /// The same provider entered with another key, over the same connections.
    #[must_use]
    pub fn with_key(&self, key: Option<Key>) -> Self {
        Self { endpoint: Box::new(Endpoint { key, ..Endpoint::clone(&self.endpoint) }), pool: self.pool.clone() }
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// One attempt: sends the request and returns once the status is known to be good.
    pub(super) async fn send(&self, encoded: &Encoded) -> Result<Exchange, ProviderError> {
        let response = self.ask(Method::POST, &encoded.path, Segments::new(encoded.body.iter().cloned())).await?;
        let decoder = Decoder::new(self.endpoint.wire, &self.endpoint.dialect).sent_by(self.endpoint.sender());
        Ok(Exchange::new(Source::Http(response), decoder, self.endpoint.timeouts))
    }

    /// One call of an operation: the whole body of a good reply.
    pub(super) async fn call(&self, call: &Call) -> Result<Bytes, ProviderError> {
        let method = if call.body.is_some() { Method::POST } else { Method::GET };
        let mut response = self.ask(method, &call.path, Segments::new(call.body.iter().flatten().cloned())).await?;
        let (mut body, idle) = (BytesMut::new(), self.endpoint.timeouts.idle);
        loop {
            let next = tokio::time::timeout(idle, exchange::chunk(&mut response)).await;
            let late = |_| ProviderError::timeout(format!("the reply stalled: no bytes for {} s", idle.as_secs_f64()));
            let Some(piece) = next.map_err(late)?? else { return Ok(body.freeze()) };
            if body.len() + piece.len() > WHOLE_BODY {
                return Err(ProviderError::network(format!("the reply is larger than {} MiB", WHOLE_BODY >> 20)));
            }
            body.extend_from_slice(&piece);
        }
    }

    /// Sends a request and waits for a reply whose status is good; any other is read and classified.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        (segments, sent): (Segments, oneshot::Receiver<()>),
    ) -> Result<Response, ProviderError> {
        let key = match &self.endpoint.key {
            Some(key) => Some(secret(key).await?),
            None => None,
        };
        let mut request =
            self.pool.request(method, &self.endpoint.url(path))?.header("accept-encoding", HeaderValue::from_static("identity"));
        for (name, value) in self.endpoint.headers(key.as_ref()) {
            let mut value = HeaderValue::try_from(value).map_err(|e| ProviderError::network(format!("the header {name}: {e}")))?;
            // The key, or what a user has put into `headers`: nothing that a debugger or a compressor should keep.
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if !segments.is_end_stream() {
            request = request.header("content-type", HeaderValue::from_static("application/json")).body(reqwest::Body::wrap(segments));
        }
        let Timeouts { connect, first_byte, .. } = self.endpoint.timeouts;
        let late = async {
            // A server that never takes the request in is late as well.
            let _ = tokio::time::timeout(connect.saturating_add(first_byte), sent).await;
            tokio::time::sleep(first_byte).await;
        };
        let response = tokio::select! {
            response = request.send(connect) => response?,
            () = late => {
                let (place, limit) = (&self.endpoint.base_url, first_byte.as_secs_f64());
                return Err(ProviderError::timeout(format!("no answer from {place} for {limit} s")));
            }
        };
        if response.status().is_success() { Ok(response) } else { Err(refusal(self.endpoint.sender(), response).await) }
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

/// A reply with an error status, with as much of its body as arrives in time.
async fn refusal(sender: Sender, mut response: reqwest::Response) -> ProviderError {
    let status = response.status().as_u16();
    let headers: Vec<(String, String)> =
        response.headers().iter().map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect();
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
    wire::classify(sender, status, &headers, &body)
}
