//! The one HTTP provider. What differs between vendors is data: address, headers, key, dialect, time-outs.

use super::body::Segments;
use super::exchange::{Exchange, Source};
use crate::auth::{Key, Secret};
use crate::base::{clock, text};
use crate::model::{Class, ProviderError, Scope};
use crate::wire::quirk::{FailedCalls, failed_calls};
use crate::wire::{self, Decoder, Dialect, Encoded, KeyStyle, Sender, Wire};
use http::HeaderValue;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The most that is read of an error's body.
const ERROR_BODY: usize = 256 * 1024;
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
            match all.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
                // What a provider always sends and what this request needs are both meant: such headers are lists.
                Some((_, have)) if !have.split(',').any(|item| item.trim() == value) => *have = format!("{have},{value}"),
                Some(_) => {}
                None => all.push((name, value.clone())),
            }
        }
        all
    }
}

/// A provider over HTTP. Its client is made at the first request and keeps its connections for the next ones.
#[derive(Debug)]
pub struct HttpProvider {
    endpoint: Box<Endpoint>,
    client: Arc<OnceLock<Result<reqwest::Client, ProviderError>>>,
}

impl HttpProvider {
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint: Box::new(endpoint), client: Arc::default() }
    }

    /// The same provider entered with another key, over the same connections.
    #[must_use]
    pub fn with_key(&self, key: Option<Key>) -> Self {
        Self { endpoint: Box::new(Endpoint { key, ..Endpoint::clone(&self.endpoint) }), client: Arc::clone(&self.client) }
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// One attempt: sends the request and returns once the status is known to be good.
    pub(super) async fn send(&self, encoded: &Encoded) -> Result<Exchange, ProviderError> {
        let key = match &self.endpoint.key {
            Some(key) => Some(secret(key).await?),
            None => None,
        };
        let client = self.client.get_or_init(|| client(&self.endpoint)).clone()?;
        let (segments, sent) = Segments::new(encoded.body.iter().cloned());
        let body = reqwest::Body::wrap(segments);
        let mut request =
            client.post(self.endpoint.url(&encoded.path)).header("content-type", "application/json").header("accept-encoding", "identity");
        for (name, value) in self.endpoint.headers(key.as_ref(), &encoded.headers) {
            let mut value = HeaderValue::try_from(value).map_err(|e| ProviderError::network(format!("the header {name}: {e}")))?;
            // The key, or what a user has put into `headers`: nothing that a debugger or a compressor should keep.
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let Timeouts { connect, first_byte, .. } = self.endpoint.timeouts;
        let late = async {
            // A server that never takes the request in is late as well.
            let _ = tokio::time::timeout(connect.saturating_add(first_byte), sent).await;
            tokio::time::sleep(first_byte).await;
        };
        let response = tokio::select! {
            response = request.body(body).send() => response.map_err(|e| transport_error(&e))?,
            () = late => {
                let (place, limit) = (&self.endpoint.base_url, first_byte.as_secs_f64());
                return Err(ProviderError::timeout(format!("no answer from {place} for {limit} s")));
            }
        };
        if response.status().is_success() {
            let decoder = Decoder::new(self.endpoint.wire, &self.endpoint.dialect).sent_by(self.endpoint.sender());
            return Ok(Exchange::new(Source::Http(response), decoder, self.endpoint.timeouts));
        }
        let Endpoint { wire, dialect, timeouts, .. } = self.endpoint.as_ref();
        let Refusal { status, headers, body } = refusal(response).await;
        if dialect.failed_calls == FailedCalls::Call && failed_calls::read(&body).is_some() {
            let decoder = Decoder::new(*wire, dialect).sent_by(self.endpoint.sender());
            return Ok(Exchange::new(Source::Whole(Some(body.into())), decoder, *timeouts));
        }
        Err(wire::classify(self.endpoint.sender(), status, &headers, &body))
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
async fn refusal(mut response: reqwest::Response) -> Refusal {
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
    Refusal { status, headers, body }
}

/// Makes the client. Plain HTTP needs no certificates, and loading them costs more than a whole local turn.
fn client(endpoint: &Endpoint) -> Result<reqwest::Client, ProviderError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("pup/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(endpoint.timeouts.connect)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .retry(reqwest::retry::never());
    if endpoint.base_url.starts_with("http://") {
        builder = builder.tls_certs_only([]);
    }
    if is_loopback(&endpoint.base_url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|e| ProviderError::network(format!("cannot set up HTTP: {}", causes(&e))))
}

/// Whether an address is on this machine; such requests never go through a proxy.
pub(super) fn is_loopback(base_url: &str) -> bool {
    let host = reqwest::Url::parse(base_url).ok().and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Every transport failure is one class; the text says which one it was and to whom.
pub(super) fn transport_error(error: &reqwest::Error) -> ProviderError {
    let place = error.url().and_then(reqwest::Url::host_str).map(|host| {
        let port = error.url().and_then(reqwest::Url::port_or_known_default);
        port.map_or_else(|| host.to_owned(), |p| format!("{host}:{p}"))
    });
    let to = place.map(|p| format!(" ({p})")).unwrap_or_default();
    if error.is_timeout() {
        return ProviderError::timeout(format!("timed out while connecting{to}"));
    }
    let what = if error.is_connect() { "cannot connect" } else { "the connection broke" };
    ProviderError::network(format!("{what}{to}: {}", text::one_line(&causes(error), 200)))
}

/// The innermost cause: the outer layers only repeat the address, which may hold what should not be shown.
fn causes(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
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
            key: None,
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

    #[test]
    fn loopback_is_told_by_the_host_not_by_the_text() {
        for yes in ["http://127.0.0.1:8080/v1", "http://localhost:1", "http://[::1]:1/v1", "http://127.9.9.9/"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in ["http://localhost.evil.dev/v1", "https://api.x/?q=127.0.0.1", "http://10.0.0.1", "nonsense"] {
            assert!(!is_loopback(no), "{no}");
        }
    }
}
