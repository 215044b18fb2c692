//! Logging out: the provider is told, where it listens, and everything is forgotten here, whatever it says.

use super::client::Client;
use super::store::Store;
use super::transport::Transport;
use super::{Kind, Trouble};
use crate::base::Failure;
use crate::catalog::OAuth;

/// What the provider made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// It took the tokens back.
    Yes,
    /// It offers no way to say so.
    NotOffered,
    /// It could not be told; why.
    Failed(String),
    /// There was no login.
    NothingThere,
}

/// Ends a login. `client` is missing where it is not configured any more.
pub async fn end(oauth: Option<&OAuth>, client: Option<&Client>, transport: &Transport, store: &Store) -> Result<Revoked, Failure> {
    let hold = store.hold()?;
    // What cannot be read can still be forgotten.
    let (record, tokens) = (store.record().ok().flatten(), store.tokens().ok().flatten());
    let told = match (&tokens, &record, oauth) {
        (Some(tokens), Some(record), Some(oauth)) => {
            let (token, hint) = tokens.refresh.as_ref().map_or((&tokens.access, "access_token"), |r| (r, "refresh_token"));
            match (oauth.endpoints.revoke.as_deref(), client) {
                (None, _) => Revoked::NotOffered,
                (Some(_), None) => Revoked::Failed("its client is not configured".to_owned()),
                // A refresh token goes to whom it came from, and to nobody else.
                (Some(url), _) if host(url) != host(&record.token_url) => {
                    Revoked::Failed("the login was made at another server".to_owned())
                }
                (Some(url), Some(client)) => {
                    transport.redactor.learn(hint, token.expose());
                    match revoke(oauth, client, transport, url, token.expose(), hint).await {
                        Ok(()) => Revoked::Yes,
                        // It is of no use any more, which is what was wanted.
                        Err(gone) if gone.kind == Kind::Ended => Revoked::Yes,
                        Err(why) => Revoked::Failed(why.message),
                    }
                }
            }
        }
        (Some(_), ..) => Revoked::NotOffered,
        (None, ..) => Revoked::NothingThere,
    };
    let had = store.forget(&hold)?;
    Ok(if had && told == Revoked::NothingThere { Revoked::NotOffered } else { told })
}

async fn revoke(oauth: &OAuth, client: &Client, transport: &Transport, url: &str, token: &str, hint: &str) -> Result<(), Trouble> {
    let mut fields = vec![("token", token), ("token_type_hint", hint), ("client_id", client.id.as_str())];
    if let Some(secret) = &client.secret {
        fields.push(("client_secret", secret.expose()));
    }
    transport.post(url, &fields, oauth.revoke_body).await.map(drop)
}

fn host(url: &str) -> Option<String> {
    reqwest::Url::parse(url).ok().map(|u| u.origin().ascii_serialization())
}
