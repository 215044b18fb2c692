//! The end of a login: from tokens to something that is kept.

use super::grant::Grant;
use super::record::{Record, VERSION};
use super::store::{Store, Tokens};
use super::transport::Transport;
use super::{Trouble, account, onboard};
use crate::auth::Secret;
use crate::base::clock;
use crate::base::{Cause, Failure};
use crate::catalog::OAuth;
use crate::catalog::manifest::Strategy;

/// Finds out whose the tokens are and stores the login, in the place of an older one.
pub async fn keep(oauth: &OAuth, grant: &Grant, transport: &Transport, store: &Store) -> Result<Record, Failure> {
    let failed = |t: Trouble| Failure::new(Cause::Auth, format!("{}: {t}", oauth.display_name));
    // Counted from when the answer came, not from when it is stored.
    let obtained_at = clock::unix_ms();
    let access = grant.access().ok_or_else(|| failed(Trouble::refused("the server answered without an access token")))?;
    let account = account::of(oauth, grant, transport).await.map_err(failed)?;
    let project = match (oauth.strategy, &oauth.endpoints.onboard) {
        (Strategy::GoogleOnboard, Some(base)) => {
            Some(onboard::project(transport, base, access, oauth.project.as_deref()).await.map_err(failed)?)
        }
        _ => oauth.project.clone(),
    };
    let record = Record {
        v: VERSION,
        provider: oauth.provider.clone(),
        serial: obtained_at,
        account: account.id,
        email: account.email,
        plan: account.plan,
        project,
        since: obtained_at,
        obtained_at,
        expires_at: grant.expires_at(obtained_at),
        allowed_hosts: oauth.allowed_hosts.clone(),
        token_url: oauth.token_url.clone(),
        retry_at: None,
        ended: None,
    };
    let tokens = Tokens { access: Secret::new(access), refresh: grant.refresh().map(Secret::new) };
    let hold = store.hold()?;
    store.save(&hold, &record, &tokens)?;
    Ok(record)
}
