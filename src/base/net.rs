//! HTTP as every part of pup does it: under its own name, without following redirects, without a proxy to this machine.

use std::time::Duration;

/// What pup calls itself.
pub const USER_AGENT: &str = concat!("pup/", env!("CARGO_PKG_VERSION"));

/// A client for one server. Redirects are never followed: a secret goes where it was meant to go.
pub fn client(url: &str, connect: Duration) -> Result<reqwest::Client, reqwest::Error> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(connect)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .retry(reqwest::retry::never());
    // Plain HTTP needs no certificates, and loading them costs more than a whole local turn.
    if url.starts_with("http://") {
        builder = builder.tls_certs_only([]);
    }
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build()
}

/// Whether an address is on this machine.
pub fn is_loopback(url: &str) -> bool {
    let host = reqwest::Url::parse(url).ok().and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The innermost cause: the outer layers only repeat the address, which may hold what should not be shown.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

/// Host and port that a failed request went to.
pub fn place(error: &reqwest::Error) -> Option<String> {
    let host = error.url().and_then(reqwest::Url::host_str)?;
    let port = error.url().and_then(reqwest::Url::port_or_known_default);
    Some(port.map_or_else(|| host.to_owned(), |p| format!("{host}:{p}")))
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
