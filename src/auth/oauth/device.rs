//! Device flows: a code is typed in a browser anywhere, so they work over SSH. The standard's (RFC 8628), and OpenAI's,
//! which hands out an authorisation code in the end.

use super::client::Client;
use super::grant::Grant;
use super::transport::{Refusals, Transport};
use super::{Kind, Trouble, failed, flow, trouble};
use crate::base::text;
use crate::catalog::OAuth;
use crate::catalog::manifest::{Strategy, TokenBody};
use oauth2::{DeviceAuthorizationUrl, PkceCodeVerifier, RedirectUrl, Scope, StandardDeviceAuthorizationResponse};
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long OpenAI's codes last.
const CODEX_CODE: Duration = Duration::from_mins(15);
/// Between two questions, where the server names no time; and the bounds of what it may name.
const INTERVAL: u64 = 5;
const INTERVALS: (u64, u64) = (1, 60);

/// A device flow that waits for the user.
#[derive(Debug)]
pub struct Device<'a> {
    oauth: &'a OAuth,
    client: &'a Client,
    /// Where the user goes.
    pub page: String,
    /// The same with the code filled in, where the server has that.
    pub page_with_code: Option<String>,
    /// What the user types there.
    pub code: String,
    pub lasts: Duration,
    kind: Flavour,
}

#[derive(Debug)]
enum Flavour {
    Standard(Box<StandardDeviceAuthorizationResponse>),
    Codex { id: String, interval: Duration },
}

impl<'a> Device<'a> {
    /// Asks for a code.
    pub async fn begin(oauth: &'a OAuth, client: &'a Client, transport: &Transport) -> Result<Self, Trouble> {
        let Some(url) = oauth.endpoints.device.as_deref().filter(|_| oauth.has_device_flow()) else {
            return Err(Trouble::refused(format!("{} has no device flow", oauth.display_name)));
        };
        if oauth.strategy == Strategy::CodexDevice {
            codex(oauth, client, transport, url).await
        } else {
            standard(oauth, client, transport, url).await
        }
    }

    /// Asks until the user is done, at most for `limit`.
    pub async fn wait(&self, transport: &Transport, limit: Duration) -> Result<Grant, Trouble> {
        let limit = limit.min(self.lasts);
        match &self.kind {
            Flavour::Standard(details) => {
                let speaker = self.client.speaker(&self.oauth.token_url)?;
                let send = transport.speaks(self.oauth.token_body, Refusals::HandedOn);
                let mut request = speaker.exchange_device_access_token(details);
                for (name, value) in &self.oauth.token_params {
                    request = request.add_extra_param(name.as_str(), value.as_str());
                }
                let grant: Grant = request.request_async(&send, tokio::time::sleep, Some(limit)).await.map_err(not_granted)?;
                transport.learn(&grant);
                if grant.access().is_none() {
                    return Err(Trouble::refused("the server answered without an access token"));
                }
                Ok(grant)
            }
            Flavour::Codex { id, interval } => self.codex(transport, id, *interval, limit).await,
        }
    }

    async fn codex(&self, transport: &Transport, id: &str, interval: Duration, limit: Duration) -> Result<Grant, Trouble> {
        let e = &self.oauth.endpoints;
        let (Some(url), Some(redirect)) = (&e.device_token, &e.device_redirect) else {
            return Err(Trouble::refused("the device flow is not complete in its manifest"));
        };
        let began = Instant::now();
        let answer = loop {
            let asked = transport.ask(url, &[("device_auth_id", id), ("user_code", &self.code)], TokenBody::Json).await;
            match asked {
                Ok((200..300, _, body)) => break serde_json::from_slice::<Value>(&body).map_err(|_| trouble::not_json(&body)),
                // Not yet.
                Ok((403 | 404, ..)) => {}
                Ok((status, headers, body)) => {
                    let refusal = trouble::of_response(status, &headers, &body);
                    if refusal.kind != Kind::Passing {
                        return Err(refusal);
                    }
                }
                Err(passing) if passing.kind == Kind::Passing => tracing::debug!(error = %passing, "the device flow's poll failed"),
                Err(other) => return Err(other),
            }
            if began.elapsed() + interval >= limit {
                return Err(expired());
            }
            tokio::time::sleep(interval).await;
        };
        let answer = answer.map_err(|found| Trouble::refused(format!("the server answered with {}", text::one_line(&found, 200))))?;
        let field = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(code), Some(verifier)) = (field("authorization_code"), field("code_verifier")) else {
            return Err(Trouble::refused("the server's answer holds no authorisation code"));
        };
        transport.redactor.learn("code", &code);
        transport.redactor.learn("code_verifier", &verifier);
        let redirect = RedirectUrl::new(redirect.clone()).map_err(|e| Trouble::refused(format!("endpoints.device_redirect: {e}")))?;
        flow::exchange(self.oauth, self.client, transport, code, PkceCodeVerifier::new(verifier), &redirect, None).await
    }
}

async fn standard<'a>(oauth: &'a OAuth, client: &'a Client, transport: &Transport, url: &str) -> Result<Device<'a>, Trouble> {
    let url = DeviceAuthorizationUrl::new(url.to_owned()).map_err(|e| Trouble::refused(format!("endpoints.device: {e}")))?;
    let speaker = client.speaker(&oauth.token_url)?.set_device_authorization_url(url);
    let send = transport.speaks(oauth.token_body, Refusals::Errors);
    let details: StandardDeviceAuthorizationResponse = speaker
        .exchange_device_code()
        .add_scopes(oauth.scopes.iter().cloned().map(Scope::new))
        .request_async(&send)
        .await
        .map_err(failed)?;
    transport.redactor.learn("device_code", details.device_code().secret());
    Ok(Device {
        oauth,
        client,
        page: printable(details.verification_uri().as_str()),
        page_with_code: details.verification_uri_complete().map(|u| printable(u.secret())),
        code: printable(details.user_code().secret()),
        lasts: details.expires_in(),
        kind: Flavour::Standard(Box::new(details)),
    })
}

async fn codex<'a>(oauth: &'a OAuth, client: &'a Client, transport: &Transport, url: &str) -> Result<Device<'a>, Trouble> {
    let (status, headers, body) = transport.ask(url, &[("client_id", &client.id)], TokenBody::Json).await?;
    if status == 404 {
        return Err(Trouble::refused("the device flow is not switched on for this account (ChatGPT: Settings, Security)"));
    }
    if !(200..300).contains(&status) {
        return Err(trouble::of_response(status, &headers, &body));
    }
    let answer: Value = serde_json::from_slice(&body)
        .map_err(|_| Trouble::passing(format!("the server answered with {}", text::one_line(&trouble::not_json(&body), 200))))?;
    let field = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    let (Some(id), Some(code)) = (field("device_auth_id"), field("user_code").or_else(|| field("usercode"))) else {
        return Err(Trouble::refused("the server's answer holds no code"));
    };
    transport.redactor.learn("device_auth_id", &id);
    // A string, of all things.
    let interval = answer.get("interval").and_then(|i| i.as_u64().or_else(|| i.as_str()?.trim().parse().ok())).unwrap_or(INTERVAL);
    let page = oauth.endpoints.device_page.clone().unwrap_or_default();
    let kind = Flavour::Codex { id, interval: Duration::from_secs(interval.clamp(INTERVALS.0, INTERVALS.1)) };
    Ok(Device { oauth, client, page, page_with_code: None, code: printable(&code), lasts: CODEX_CODE, kind })
}

/// Fit for a terminal, whatever the server says.
fn printable(text: &str) -> String {
    text::one_line(&text::strip_controls(text), 500)
}

fn expired() -> Trouble {
    Trouble::refused("nobody entered the code in time")
}

fn not_granted(error: oauth2::RequestTokenError<Trouble, oauth2::DeviceCodeErrorResponse>) -> Trouble {
    use oauth2::DeviceCodeErrorResponseType as Type;
    match error {
        oauth2::RequestTokenError::ServerResponse(said) => {
            let description = said.error_description().map(String::as_str).unwrap_or_default();
            match said.error() {
                Type::AccessDenied => flow::denied("access_denied", description),
                Type::ExpiredToken => expired(),
                other => flow::denied(other.as_ref(), description),
            }
        }
        other => failed(other),
    }
}
