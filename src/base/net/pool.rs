//! The connections of a process. Every provider, every link, every turn and every login draws on one pool, so that a
//! host that was talked to is still connected the next time.
//!
//! Behind it is one client for each need: with certificates or without, through a proxy or directly. A client is made
//! when it is first needed; loading certificates costs more than a whole turn with a server on this machine.

use super::connect::{Names, TICKET, Watch};
use super::proxy::{self, Proxy};
use super::trouble::{self, NetError};
use super::{USER_AGENT, roots};
use bytes::Bytes;
use http::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Client, Method, Response, Url};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Kept so long without use. Servers close much earlier or about then.
const IDLE: Duration = Duration::from_secs(90);

/// The pool; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Pool(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Certificates that are believed besides the platform's.
    ca_file: Option<PathBuf>,
    clients: [OnceLock<Result<Client, NetError>>; 4],
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
    /// The system's settings, as they were when one was first needed; the clients keep theirs as well.
    proxies: OnceLock<Matcher>,
}

/// What is counted of one host.
#[derive(Debug, Default)]
struct Host {
    requests: AtomicU64,
    reused: AtomicU64,
    opened: AtomicU64,
    failed: AtomicU64,
}

/// What became of connections to one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostStats {
    /// Host and port.
    pub host: String,
    pub requests: u64,
    /// Requests that found a connection open.
    pub reused: u64,
    /// Connections that came about.
    pub opened: u64,
    /// Connections that did not.
    pub failed: u64,
}

/// One request, for the connector: how long it may take to connect, and where to count.
#[derive(Debug)]
pub(super) struct Ticket {
    pub connect: Duration,
    host: Arc<Host>,
    dialled: AtomicBool,
}

impl Ticket {
    /// No open connection was free.
    pub(super) fn dialled(&self) {
        self.dialled.store(true, Ordering::Relaxed);
    }

    pub(super) fn connected(&self, well: bool) {
        let count = if well { &self.host.opened } else { &self.host.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Where a request goes, and over which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Need {
    tls: bool,
    proxy: bool,
}

impl Need {
    fn slot(self) -> usize {
        usize::from(self.tls) * 2 + usize::from(self.proxy)
    }
}

/// A request that is being put together.
#[derive(Debug)]
pub struct Outgoing {
    builder: reqwest::RequestBuilder,
    host: Arc<Host>,
    place: String,
}

impl Pool {
    /// A pool that also believes the certificates in this file.
    pub fn new(ca_file: Option<PathBuf>) -> Self {
        Self(Arc::new(Shared { ca_file, ..Shared::default() }))
    }

    /// What became of connections so far, by host.
    pub fn stats(&self) -> Vec<HostStats> {
        let hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let stats = |(name, host): (&String, &Arc<Host>)| {
            let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
            HostStats {
                host: name.clone(),
                requests: count(&host.requests),
                reused: count(&host.reused),
                opened: count(&host.opened),
                failed: count(&host.failed),
            }
        };
        hosts.iter().map(stats).collect()
    }

    /// Begins a request to this address.
    pub fn request(&self, method: Method, url: &str) -> Result<Outgoing, NetError> {
        let url: Url = url.parse().map_err(|e| NetError::setup(format!("`{url}` is not an address: {e}")))?;
        let host = place(&url);
        let proxy = proxy::before(&url, &self.0.proxies)?;
        let tls = url.scheme() == "https" || proxy.as_ref().is_some_and(|p| p.tls);
        let client = self.client(Need { tls, proxy: proxy.is_some() })?;
        let counts = Arc::clone(self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner).entry(host.clone()).or_default());
        Ok(Outgoing { builder: client.request(method, url), host: counts, place: through(host, proxy) })
    }

    fn client(&self, need: Need) -> Result<Client, NetError> {
        let slot = self.0.clients.get(need.slot()).ok_or_else(|| NetError::connection("no such client"))?;
        slot.get_or_init(|| self.make(need)).clone()
    }

    fn make(&self, need: Need) -> Result<Client, NetError> {
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            .pool_idle_timeout(IDLE)
            .dns_resolver(Names)
            .connector_layer(Watch);
        builder = if need.tls { roots::trusting(builder, self.0.ca_file.as_deref())? } else { builder.tls_certs_only([]) };
        if !need.proxy {
            builder = builder.no_proxy();
        }
        builder.build().map_err(|e| {
            NetError::setup(format!(
                "cannot set up HTTP: {}; if this machine has no certificates, install its `ca-certificates` or set `http.ca_file`",
                trouble::innermost(&e)
            ))
        })
    }
}

impl Outgoing {
    #[must_use]
    pub fn header(mut self, name: &str, value: HeaderValue) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    #[must_use]
    pub fn body(mut self, body: reqwest::Body) -> Self {
        self.builder = self.builder.body(body);
        self
    }

    /// Sends it and returns once the head of the reply is there, whatever its status. Connecting may take `connect`.
    pub async fn send(self, connect: Duration) -> Result<Response, NetError> {
        let ticket = Arc::new(Ticket { connect, host: self.host, dialled: AtomicBool::new(false) });
        ticket.host.requests.fetch_add(1, Ordering::Relaxed);
        let sent = TICKET.scope(Arc::clone(&ticket), self.builder.send()).await;
        if sent.is_ok() && !ticket.dialled.load(Ordering::Relaxed) {
            ticket.host.reused.fetch_add(1, Ordering::Relaxed);
        }
        sent.map_err(|e| trouble::of(&e, &self.place))
    }
}

/// The next piece of a reply's body.
pub async fn chunk(response: &mut Response) -> Result<Option<Bytes>, NetError> {
    response.chunk().await.map_err(|e| trouble::of(&e, &place(response.url())))
}

/// The headers of a reply, as text.
pub fn headers(response: &Response) -> Vec<(String, String)> {
    response.headers().iter().map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect()
}

/// Host and port of an address.
fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn through(host: String, proxy: Option<Proxy>) -> String {
    match proxy {
        Some(Proxy { place, .. }) => format!("{host} through the proxy {place}"),
        None => host,
    }
}
