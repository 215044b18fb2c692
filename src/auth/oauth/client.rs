//! The client that a user logs in to: its id, and its secret where the provider wants one of programs like this.

use super::grant::Grant;
use crate::auth::{Secret, dotenv};
use crate::base::places::{Places, pasteable};
use crate::base::{Cause, Failure};
use crate::catalog::OAuth;
use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, StandardRevocableToken, TokenUrl};
use std::fmt;
use std::path::PathBuf;

/// The environment, and behind it `.env` of the config folder.
pub struct Variables<'e> {
    env: &'e dyn Fn(&str) -> Option<String>,
    file: Vec<(String, String)>,
    path: PathBuf,
}

impl fmt::Debug for Variables<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<'e> Variables<'e> {
    pub fn load(places: &Places, env: &'e dyn Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let path = places.config.join(".env");
        Ok(Self { env, file: dotenv::read(&path)?, path })
    }

    fn get(&self, name: &str) -> Option<String> {
        let filed = || self.file.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone());
        let value = (self.env)(name).filter(|v| !v.trim().is_empty()).or_else(filed)?;
        Some(value.trim().to_owned()).filter(|v| !v.is_empty())
    }
}

/// Id and secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub id: String,
    pub secret: Option<Secret>,
}

/// The `oauth2` crate's client, with an answer that servers really give.
pub type Speaker = oauth2::Client<
    BasicErrorResponse,
    Grant,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl Client {
    /// Takes the variables that the manifest names, else its own id.
    pub fn find(oauth: &OAuth, variables: &Variables<'_>) -> Result<Self, Failure> {
        let id = oauth.client_id_env.as_deref().and_then(|n| variables.get(n)).or_else(|| oauth.client_id.clone());
        let secret = oauth.client_secret_env.as_deref().and_then(|n| variables.get(n));
        let missing = match (&id, &secret) {
            (None, _) => "client id",
            (_, None) if oauth.client_secret_env.is_some() => "client secret",
            (Some(id), _) => return Ok(Self { id: id.clone(), secret: secret.map(Secret::new) }),
        };
        let what = format!("{} wants a {missing} of its own, which pup does not come with", oauth.display_name);
        Err(Failure::new(Cause::Config, what).hint(format!(
            "set {}, in the environment or in {}",
            Self::variables(oauth).collect::<Vec<_>>().join(" and "),
            pasteable(&variables.path)
        )))
    }

    /// The variables that can hold it.
    pub fn variables(oauth: &OAuth) -> impl Iterator<Item = &str> {
        [oauth.client_id_env.as_deref(), oauth.client_secret_env.as_deref()].into_iter().flatten()
    }

    /// What speaks to the token endpoint.
    pub fn speaker(&self, token_url: &str) -> Result<Speaker, super::Trouble> {
        let url =
            TokenUrl::new(token_url.to_owned()).map_err(|e| super::Trouble::refused(format!("the token endpoint {token_url:?}: {e}")))?;
        let mut speaker = oauth2::Client::new(ClientId::new(self.id.clone())).set_auth_type(AuthType::RequestBody).set_token_uri(url);
        if let Some(secret) = &self.secret {
            speaker = speaker.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
        }
        Ok(speaker)
    }
}
