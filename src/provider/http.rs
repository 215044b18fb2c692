//! The one HTTP provider. What differs between vendors is data: address, headers, key, dialect, time-outs.

use super::body::Segments;
use super::exchange::{Exchange, Source};
use crate::auth::Key;
use crate::base::text;
use crate::model::ProviderError;
use crate::wire::{self, Decoder, Dialect, Encoded, KeyStyle, Wire};
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

    /// What a request has besides its content: the wire's, the provider's (which win) and the key.
    fn headers(&self) -> Vec<(&str, String)> {
        let own = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let wires = self.wire.headers().iter().filter(|(name, _)| !own(name)).map(|(name, value)| (*name, (*value).to_owned()));
        let key = self.key.as_ref().map(|key| match self.dialect.key.unwrap_or(self.wire.key_style()) {
            KeyStyle::Bearer => ("authorization", format!("Bearer {}", key.secret())),
            KeyStyle::XApiKey => ("x-api-key", key.secret().to_owned()),
            KeyStyle::XGoogApiKey => ("x-goog-api-key", key.secret().to_owned()),
        });
        wires.chain(self.headers.iter().map(|(n, v)| (n.as_str(), v.clone()))).chain(key).collect()
    }
}

/// A provider over HTTP. Its client is made at the first request and keeps its connections for the next ones.
#[derive(Debug)]
pub struct HttpProvider {
    endpoint: Endpoint,
    client: Arc<OnceLock<Result<reqwest::Client, ProviderError>>>,
}

impl HttpProvider {
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, client: Arc::default() }
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// One attempt: sends the request and returns once the status is known to be good.
    pub(super) async fn send(&self, encoded: &Encoded) -> Result<Exchange, ProviderError> {
        let client = self.client.get_or_init(|| client(&self.endpoint)).clone()?;
        let (segments, sent) = Segments::new(encoded.body.iter().cloned());
        let body = reqwest::Body::wrap(segments);
        let mut request =
            client.post(self.endpoint.url(&encoded.path)).header("content-type", "application/json").header("accept-encoding", "identity");
        for (name, value) in self.endpoint.headers() {
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
            let decoder = Decoder::new(self.endpoint.wire, &self.endpoint.dialect);
            return Ok(Exchange::new(Source::Http(response), decoder, self.endpoint.timeouts));
        }
        Err(refusal(self.endpoint.wire, response).await)
    }
}

/// A reply with an error status, with as much of its body as arrives in time.
async fn refusal(wire: Wire, mut response: reqwest::Response) -> ProviderError {
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
    wire::classify(wire, status, &headers, &body)
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
    use super::is_loopback;

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
