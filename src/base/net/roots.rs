//! Which certificate authorities are believed: the platform's, and those of the file that the user named.

use super::trouble::{self, NetError};
use reqwest::{Certificate, ClientBuilder};
use std::path::{Path, PathBuf};

/// The variable that OpenSSL made usual. Where the platform's store is a set of files it replaces that store, as it
/// does for other programs; where the system itself judges certificates, its file is believed besides.
const VARIABLE: &str = "SSL_CERT_FILE";

/// A client that believes the platform and the user's file.
pub(super) fn trusting(builder: ClientBuilder, ca_file: Option<&Path>) -> Result<ClientBuilder, NetError> {
    let builder = match ca_file {
        Some(path) => builder.tls_certs_merge(read(path, "http.ca_file")?),
        None => builder,
    };
    match variable() {
        Some(path) if cfg!(any(windows, target_vendor = "apple")) => Ok(builder.tls_certs_merge(read(&path, VARIABLE)?)),
        // It would be passed over in silence, and every certificate of the world would then look wrong.
        Some(path) => read(&path, VARIABLE).map(|_| builder),
        None => Ok(builder),
    }
}

fn variable() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from)
}

fn read(path: &Path, setting: &str) -> Result<Vec<Certificate>, NetError> {
    let wrong = |why: String| NetError::setup(format!("cannot set up TLS: {setting} names {}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    let found = Certificate::from_pem_bundle(&bytes).map_err(|e| wrong(trouble::innermost(&e)))?;
    if found.is_empty() { Err(wrong("it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)".to_owned())) } else { Ok(found) }
}
