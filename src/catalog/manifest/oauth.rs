//! A provider's login, complete and checked: what its flows take as given.

use super::format::{AccountFrom, Endpoints, OAuthEntry, Paste, Redirect, Strategy, TokenBody};
use crate::base::net;

/// How a login is made, kept and ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// The provider's id in the catalogue.
    pub provider: String,
    pub display_name: String,
    pub client_id: Option<String>,
    pub client_id_env: Option<String>,
    pub client_secret_env: Option<String>,
    pub endpoints: Endpoints,
    /// `endpoints.token`, which is always there.
    pub token_url: String,
    pub scopes: Vec<String>,
    pub token_body: TokenBody,
    pub revoke_body: TokenBody,
    pub state_in_body: bool,
    pub authorize_params: Vec<(String, String)>,
    pub token_params: Vec<(String, String)>,
    pub redirect: Redirect,
    /// The address of the provider's own page that shows the code.
    pub paste_redirect: Option<String>,
    pub account_from: AccountFrom,
    pub strategy: Strategy,
    pub project: Option<String>,
    pub allowed_hosts: Vec<String>,
    /// Names are valid header names.
    pub headers: Vec<(String, String)>,
}

/// What is wrong with an entry.
#[derive(Debug)]
pub struct Wrong {
    /// Dots lead into the entry.
    pub key: String,
    /// Follows the key's name in a sentence.
    pub what: String,
    pub hint: Option<&'static str>,
}

impl OAuth {
    pub(super) fn new(provider: &str, entry: OAuthEntry) -> Result<Self, Wrong> {
        let e = entry.endpoints;
        for (key, url) in [
            ("authorize", &e.authorize),
            ("token", &e.token),
            ("revoke", &e.revoke),
            ("device", &e.device),
            ("device_token", &e.device_token),
            ("device_page", &e.device_page),
            ("device_redirect", &e.device_redirect),
            ("userinfo", &e.userinfo),
            ("onboard", &e.onboard),
        ] {
            if let Some(url) = url {
                is_private(url).map_err(|what| wrong(format!("endpoints.{key}"), what, None))?;
            }
        }
        let Some(token_url) = e.token.clone() else {
            return Err(wrong("endpoints.token", "is where codes are exchanged and tokens refreshed", None));
        };
        if entry.client_id.is_none() && entry.client_id_env.is_none() {
            let hint = "give `client_id`, or name the variable that holds it as `client_id_env`";
            return Err(wrong("client_id", "says which client the user logs in to", Some(hint)));
        }
        let strategy = entry.strategy.unwrap_or_default();
        if e.authorize.is_none() && (e.device.is_none() || !matches!(strategy, Strategy::Rfc8628 | Strategy::CodexDevice)) {
            let hint = "a login needs `authorize`, or `device` and the strategy `rfc8628`";
            return Err(wrong("endpoints.authorize", "is what the user opens", Some(hint)));
        }
        let needed: &[(&str, bool)] = match strategy {
            Strategy::None => &[],
            Strategy::Rfc8628 => &[("device", e.device.is_some())],
            Strategy::CodexDevice => &[
                ("device", e.device.is_some()),
                ("device_token", e.device_token.is_some()),
                ("device_page", e.device_page.is_some()),
                ("device_redirect", e.device_redirect.is_some()),
            ],
            Strategy::GoogleOnboard => &[("onboard", e.onboard.is_some())],
        };
        if let Some((key, _)) = needed.iter().find(|(_, there)| !there) {
            return Err(wrong(format!("endpoints.{key}"), "is needed by the strategy", None));
        }
        let redirect = entry.redirect.unwrap_or_else(|| Redirect { ports: vec![0], path: "/callback".into() });
        if redirect.ports.is_empty() {
            return Err(wrong("redirect.ports", "is empty", Some("0 is any free port")));
        }
        if !redirect.path.starts_with('/') || redirect.path.contains(['?', '#', ' ']) {
            return Err(wrong("redirect.path", "must be a path that begins with a slash", None));
        }
        let allowed_hosts = entry.allowed_hosts.unwrap_or_default();
        if allowed_hosts.is_empty() {
            return Err(wrong("allowed_hosts", "says where the token may be sent", Some("e.g. \"allowed_hosts\": [\"api.example.com\"]")));
        }
        if let Some(host) = allowed_hosts.iter().find(|h| h.is_empty() || h.contains(['/', '*', ' ', '@'])) {
            return Err(wrong("allowed_hosts", format!("has {host:?}, which is neither a host nor host:port"), None));
        }
        for (name, value) in &entry.headers {
            // The account's id is checked when it is known.
            let good = http::HeaderName::from_bytes(name.as_bytes()).is_ok() && http::HeaderValue::from_str(value).is_ok();
            if !good || name.eq_ignore_ascii_case("authorization") {
                return Err(wrong(format!("headers.{name}"), "is not a header that a login can set", None));
            }
        }
        let token_body = entry.token_body.unwrap_or_default();
        Ok(Self {
            provider: provider.to_owned(),
            display_name: entry.display_name.unwrap_or_else(|| provider.to_owned()),
            client_id: entry.client_id,
            client_id_env: entry.client_id_env,
            client_secret_env: entry.client_secret_env,
            endpoints: e,
            token_url,
            scopes: entry.scopes.unwrap_or_default(),
            token_body,
            revoke_body: entry.revoke_body.unwrap_or(token_body),
            state_in_body: entry.state_in_body.unwrap_or(false),
            authorize_params: entry.authorize_params.into_iter().collect(),
            token_params: entry.token_params.into_iter().collect(),
            redirect,
            paste_redirect: entry.paste.map(|Paste { redirect_uri }| redirect_uri),
            account_from: entry.account_from.unwrap_or_default(),
            strategy,
            project: entry.project,
            allowed_hosts,
            headers: entry.headers.into_iter().collect(),
        })
    }

    /// Whether the provider has a device flow.
    pub fn has_device_flow(&self) -> bool {
        self.endpoints.device.is_some() && matches!(self.strategy, Strategy::Rfc8628 | Strategy::CodexDevice)
    }
}

fn wrong(key: impl Into<String>, what: impl Into<String>, hint: Option<&'static str>) -> Wrong {
    Wrong { key: key.into(), what: what.into(), hint }
}

/// Codes and tokens travel encrypted, or not beyond this machine.
fn is_private(url: &str) -> Result<(), String> {
    let Ok(parsed) = reqwest::Url::parse(url) else { return Err(format!("is not an address: {url:?}")) };
    match parsed.scheme() {
        "https" => Ok(()),
        "http" if net::is_loopback(url) => Ok(()),
        "http" => Err("must be an https address: tokens go there".to_owned()),
        _ => Err(format!("is not an https address: {url:?}")),
    }
}
