//! What went wrong on the way to a server, in words that say which part of the way it was.

use super::connect::UnknownName;
use crate::base::text;
use rustls::CertificateError;
use std::error::Error;
use std::io;

/// A request that got no reply, or lost it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NetError {
    pub kind: Kind,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name without an address, a refusal, a reset, a cut: it may go better the next time.
    Connection,
    /// The same before anything was sent.
    Unreached,
    /// While connecting: nothing was sent.
    Timeout,
    /// This machine is not set up for it: a certificate that nobody vouches for, a file that is not there. Waiting mends
    /// nothing.
    Setup,
}

impl NetError {
    pub(super) fn connection(message: impl Into<String>) -> Self {
        Self { kind: Kind::Connection, message: message.into() }
    }

    pub(super) fn setup(message: impl Into<String>) -> Self {
        Self { kind: Kind::Setup, message: message.into() }
    }
}

/// The most of a library's own words that is shown.
const WORDS: usize = 200;

/// The failure of a request to `place`, which is a host and port, perhaps with the proxy before it.
pub(super) fn of(error: &reqwest::Error, place: &str) -> NetError {
    let causes = causes(error);
    if error.is_timeout() {
        return NetError { kind: Kind::Timeout, message: format!("timed out while connecting ({place})") };
    }
    let what = if error.is_connect() { "cannot connect" } else { "the connection broke" };
    if let Some(tls) = first::<rustls::Error>(&causes) {
        let why = text::one_line(&tls.to_string(), WORDS);
        let rustls::Error::InvalidCertificate(fault) = tls else {
            return NetError::connection(format!("{what} ({place}): TLS failed: {why}"));
        };
        return NetError::setup(format!("{what} ({place}): TLS: its certificate is not trusted: {why}; {}", advice(fault)));
    }
    let why = if let Some(unknown) = first::<UnknownName>(&causes) {
        format!("DNS: {unknown}")
    } else {
        let innermost = causes.last().map(ToString::to_string).unwrap_or_default();
        let word = causes.iter().rev().find_map(|e| e.downcast_ref::<io::Error>()).and_then(|e| word(e.kind()));
        word.map_or_else(
            || innermost.clone(),
            |w| if innermost.to_ascii_lowercase().contains(w) { innermost.clone() } else { format!("{w}: {innermost}") },
        )
    };
    let kind = if error.is_connect() { Kind::Unreached } else { Kind::Connection };
    NetError { kind, message: format!("{what} ({place}): {}", text::one_line(&why, WORDS)) }
}

/// What may mend it.
fn advice(fault: &CertificateError) -> &'static str {
    match fault {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it belongs to another name: check the provider's address, and what answers there"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => "check this machine's clock, or ask whoever runs the server",
        // The rest comes down to an issuer that is not known here; platforms name it in words of their own.
        _ => {
            "if a company's proxy or your own server signed it, set `http.ca_file` in config.toml (or SSL_CERT_FILE) to the PEM file of the CA that did"
        }
    }
}

/// What a person calls it, for the kinds that have a name.
fn word(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::ConnectionRefused => Some("connection refused"),
        io::ErrorKind::ConnectionReset => Some("reset by peer"),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => Some("the server closed the connection"),
        io::ErrorKind::UnexpectedEof => Some("the server hung up"),
        io::ErrorKind::HostUnreachable => Some("host unreachable"),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => Some("no network"),
        _ => None,
    }
}

/// Why a library could not do what it was set up for: its outer errors only repeat what was asked of it.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let why = causes(error).last().map(ToString::to_string).unwrap_or_default();
    text::one_line(&why, WORDS)
}

/// The error and everything under it, outermost first. What an `io::Error` carries is not its source, so it is looked
/// into separately.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> Vec<&'e (dyn Error + 'static)> {
    let mut all = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        all.push(error);
        let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref).map(|e| e as &(dyn Error + 'static));
        next = carried.or_else(|| error.source());
    }
    all
}

fn first<'e, T: Error + 'static>(causes: &[&'e (dyn Error + 'static)]) -> Option<&'e T> {
    causes.iter().find_map(|e| e.downcast_ref::<T>())
}
