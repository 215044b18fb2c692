//! Whether a request goes through a proxy: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` in either case, or the
//! system's own settings where it has some. What is on this machine is always reached directly.

use super::trouble::NetError;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;
use std::sync::OnceLock;

/// The proxy before an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    /// For people; without its password.
    pub place: String,
    /// It is itself reached over TLS.
    pub tls: bool,
}

/// The proxy for this address; none where it is reached directly. `system` is filled in when it is first needed.
pub(super) fn before(url: &Url, system: &OnceLock<Matcher>) -> Result<Option<Proxy>, NetError> {
    if is_here(url) {
        return Ok(None);
    }
    let Ok(uri) = url.as_str().parse::<http::Uri>() else { return Ok(None) };
    let found = system.get_or_init(Matcher::from_system).intercept(&uri).map(|proxy| {
        let (host, port) = (proxy.uri().host().unwrap_or_default(), proxy.uri().port_u16());
        let place = port.map_or_else(|| host.to_owned(), |p| format!("{host}:{p}"));
        Proxy { place, tls: proxy.uri().scheme_str() == Some("https") }
    });
    // A value that is no address would be passed over in silence, and the request would leave by another way than its
    // sender wants.
    let of_scheme: &[&str] = if url.scheme() == "https" { &["HTTPS_PROXY", "https_proxy"] } else { &["HTTP_PROXY", "http_proxy"] };
    for names in [of_scheme, &["ALL_PROXY", "all_proxy"]] {
        let set = names.iter().find_map(|name| Some((name, std::env::var(name).ok()?)));
        let Some((name, value)) = set.filter(|(_, v)| !v.is_empty()) else { continue };
        if Matcher::builder().all(value).build().intercept(&uri).is_none() {
            return Err(NetError::setup(format!("{name} is not the address of a proxy that pup can use")));
        }
        break;
    }
    Ok(found)
}

/// Whether an address is on this machine; such requests never go through a proxy.
pub fn is_loopback(url: &str) -> bool {
    url.parse().is_ok_and(|url| is_here(&url))
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
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
