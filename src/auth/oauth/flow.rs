//! The authorisation code flow with PKCE: the address to open, the check of what comes back, the exchange of the code.

use super::client::Client;
use super::grant::Grant;
use super::paste::Said;
use super::transport::{Refusals, Transport};
use super::{Trouble, failed};
use crate::catalog::OAuth;
use oauth2::{AuthUrl, AuthorizationCode, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};
use std::borrow::Cow;

/// Random bytes of a verifier and of a state.
const VERIFIER_BYTES: u32 = 64;
const STATE_BYTES: u32 = 32;

/// A login that waits for the user's word.
#[derive(Debug)]
pub struct Flow<'a> {
    oauth: &'a OAuth,
    client: &'a Client,
    redirect: RedirectUrl,
    verifier: PkceCodeVerifier,
    state: CsrfToken,
    url: String,
}

impl<'a> Flow<'a> {
    /// `redirect_uri` is where the provider sends the code.
    pub fn begin(oauth: &'a OAuth, client: &'a Client, redirect_uri: String) -> Result<Self, Trouble> {
        let bad = |what: &str, e: &dyn std::fmt::Display| Trouble::refused(format!("{what}: {e}"));
        let Some(authorize) = oauth.endpoints.authorize.clone() else {
            return Err(Trouble::refused(format!("{} has no page to log in at", oauth.display_name)));
        };
        let authorize = AuthUrl::new(authorize).map_err(|e| bad("endpoints.authorize", &e))?;
        let redirect = RedirectUrl::new(redirect_uri).map_err(|e| bad("the redirect address", &e))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256_len(VERIFIER_BYTES);
        let speaker = client.speaker(&oauth.token_url)?.set_auth_uri(authorize);
        // Independent of the verifier: it stands in addresses, which browsers keep.
        let mut request = speaker
            .authorize_url(|| CsrfToken::new_random_len(STATE_BYTES))
            .add_scopes(oauth.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge)
            .set_redirect_uri(Cow::Borrowed(&redirect));
        for (name, value) in &oauth.authorize_params {
            request = request.add_extra_param(name.as_str(), value.as_str());
        }
        let (url, state) = request.url();
        Ok(Self { oauth, client, verifier, state, url: url.into(), redirect })
    }

    /// What the user opens.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn state(&self) -> &str {
        self.state.secret()
    }

    /// The code in what was pasted, if it belongs to this login. A bare code cannot tell; PKCE still binds it.
    pub fn code(&self, said: Said) -> Result<String, Trouble> {
        let (Said::Code { state, .. } | Said::Denied { state, .. }) = &said;
        if state.as_deref().is_some_and(|s| s != self.state()) {
            return Err(Trouble::refused("that belongs to another login: its state is not the one that was sent"));
        }
        match said {
            Said::Code { code, .. } => Ok(code),
            Said::Denied { error, description, .. } => Err(denied(&error, &description)),
        }
    }

    /// Trades the code for tokens.
    pub async fn exchange(&self, transport: &Transport, code: String) -> Result<Grant, Trouble> {
        transport.redactor.learn("code", &code);
        transport.redactor.learn("code_verifier", self.verifier.secret());
        let verifier = PkceCodeVerifier::new(self.verifier.secret().clone());
        exchange(self.oauth, self.client, transport, code, verifier, &self.redirect, Some(self.state())).await
    }
}

/// Trades a code for tokens. `state` is repeated where the provider wants that.
pub async fn exchange(
    oauth: &OAuth,
    client: &Client,
    transport: &Transport,
    code: String,
    verifier: PkceCodeVerifier,
    redirect: &RedirectUrl,
    state: Option<&str>,
) -> Result<Grant, Trouble> {
    let speaker = client.speaker(&oauth.token_url)?;
    let mut request =
        speaker.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier).set_redirect_uri(Cow::Borrowed(redirect));
    for (name, value) in &oauth.token_params {
        request = request.add_extra_param(name.as_str(), value.as_str());
    }
    if let Some(state) = state.filter(|_| oauth.state_in_body) {
        request = request.add_extra_param("state", state.to_owned());
    }
    let send = transport.speaks(oauth.token_body, Refusals::Errors);
    let grant: Grant = request.request_async(&send).await.map_err(failed)?;
    transport.learn(&grant);
    if grant.access().is_none() {
        return Err(Trouble::refused("the server answered without an access token"));
    }
    Ok(grant)
}

/// The provider's no, in words.
pub fn denied(error: &str, description: &str) -> Trouble {
    use crate::base::text;
    let words: Vec<&str> = description.split_whitespace().collect();
    let said = text::one_line(&text::strip_controls(&words.join(" ")), 200);
    let what = match (error, said.as_str()) {
        ("access_denied", "") => "the login was refused, or its window closed".to_owned(),
        ("access_denied", said) => format!("the login was refused: {said}"),
        (error, "") => format!("the provider answered {}", text::one_line(&text::strip_controls(error), 60)),
        (error, said) => format!("the provider answered {}: {said}", text::one_line(&text::strip_controls(error), 60)),
    };
    let entitled = !description.contains("missing_codex_entitlement");
    let more = if entitled { "" } else { " (this workspace's plan has no Codex: choose another workspace, or ask its owner)" };
    Trouble { code: Some(error.to_owned()), ..Trouble::refused(what + more) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::places::Places;
    use crate::catalog::Manifests;

    fn query(url: &str) -> Vec<(String, String)> {
        reqwest::Url::parse(url).unwrap().query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect()
    }

    fn get<'q>(query: &'q [(String, String)], name: &str) -> &'q str {
        query.iter().find(|(k, _)| k == name).map_or("", |(_, v)| v)
    }

    #[test]
    fn the_address_has_what_each_provider_wants_and_nothing_secret() {
        let manifests = Manifests::load(&Places::under(std::path::Path::new("/nowhere"))).unwrap();
        for oauth in manifests.logins() {
            let client = Client { id: "client".into(), secret: Some(crate::auth::Secret::new("canary-client-secret")) };
            let flow = Flow::begin(oauth, &client, "http://localhost:1455/auth/callback".into()).unwrap();
            let q = query(flow.url());
            assert_eq!((get(&q, "response_type"), get(&q, "client_id"), get(&q, "code_challenge_method")), ("code", "client", "S256"));
            assert_eq!(get(&q, "scope"), oauth.scopes.join(" "));
            assert_eq!(get(&q, "redirect_uri"), "http://localhost:1455/auth/callback");
            for (name, value) in &oauth.authorize_params {
                assert_eq!(get(&q, name), value);
            }
            let (verifier, challenge) = (flow.verifier.secret(), get(&q, "code_challenge"));
            assert_eq!(PkceCodeChallenge::from_code_verifier_sha256(&flow.verifier).as_str(), challenge);
            assert!(verifier.len() >= 43 && flow.state().len() >= 43 && get(&q, "state") == flow.state());
            assert!(!flow.url().contains(verifier.as_str()) && !flow.url().contains("canary") && !verifier.contains(flow.state()));
            let shown = format!("{flow:?}");
            assert!(!shown.contains("canary") && !shown.contains(verifier.as_str()), "{shown}");
        }
    }

    #[test]
    fn what_belongs_to_another_login_is_refused() {
        let manifests = Manifests::load(&Places::under(std::path::Path::new("/nowhere"))).unwrap();
        let client = Client { id: "client".into(), secret: None };
        let flow = Flow::begin(manifests.oauth("chatgpt").unwrap(), &client, "http://localhost:1/x".into()).unwrap();
        let said = |state: Option<&str>| Said::Code { code: "c".into(), state: state.map(str::to_owned) };
        let own = flow.state().to_owned();
        assert_eq!(flow.code(said(Some(&own))), Ok("c".to_owned()));
        assert_eq!(flow.code(said(None)), Ok("c".to_owned()));
        assert!(flow.code(said(Some("other"))).unwrap_err().message.contains("another login"));
        let no = Said::Denied { error: "access_denied".into(), description: "missing_codex_entitlement".into(), state: Some(own) };
        assert!(flow.code(no).unwrap_err().message.contains("no Codex"));
    }
}
