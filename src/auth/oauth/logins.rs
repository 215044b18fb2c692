//! All logins of a user: which there are, and the way to one that is used.

use super::client::{Client, Variables};
use super::login::Login;
use super::record::Record;
use super::store::{Shelf, Store};
use super::transport::Transport;
use crate::auth::Backend;
use crate::base::places::Places;
use crate::base::{Cause, Failure};
use crate::catalog::{Manifests, OAuth, Usable};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The logins of a user. Looking at them touches neither the vault nor the network.
pub struct Logins<'e> {
    places: Places,
    manifests: Manifests,
    backend: Backend,
    variables: Variables<'e>,
    /// One a provider, so that all links to it share the renewals.
    open: Mutex<BTreeMap<String, Login>>,
}

impl fmt::Debug for Logins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").finish_non_exhaustive()
    }
}

impl<'e> Logins<'e> {
    pub fn load(
        places: &Places,
        manifests: &Manifests,
        backend: Backend,
        env: &'e dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let variables = Variables::load(places, env)?;
        Ok(Self { places: places.clone(), manifests: manifests.clone(), backend, variables, open: Mutex::default() })
    }

    /// What is known of a provider's login; an error where its file cannot be read.
    pub fn record(&self, provider: &str) -> Result<Option<Record>, Failure> {
        Shelf::new(&self.places, provider).record()
    }

    /// Whether the provider would answer a request of this user, as far as is known here.
    pub fn usable(&self, provider: &str) -> Usable {
        match self.record(provider) {
            Ok(None) => Usable::NoLogin,
            Ok(Some(record)) if record.ended.is_none() => match self.manifests.oauth(provider).map(|o| Client::find(o, &self.variables)) {
                Some(Ok(_)) => Usable::Yes,
                Some(Err(_)) | None => Usable::NoClient,
            },
            Ok(Some(_)) | Err(_) => Usable::LoginEnded,
        }
    }

    /// A login to be used. The transport's redactor learns its tokens.
    pub fn access(&self, provider: &str, transport: &Transport) -> Result<Login, Failure> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(login) = open.get(provider) {
            return Ok(login.clone());
        }
        let oauth = self.oauth(provider)?;
        let again = || format!("pup auth login {provider}");
        let Some(record) = self.record(provider)? else {
            return Err(Failure::new(Cause::Auth, format!("you are not logged in to {}", oauth.display_name)).hint(again()));
        };
        if let Some(ended) = &record.ended {
            let what = format!("the login of {} has ended: {}", oauth.display_name, ended.why);
            return Err(Failure::new(Cause::Auth, what).hint(again()));
        }
        let client = Client::find(oauth, &self.variables)?;
        if let Some(secret) = &client.secret {
            transport.redactor.learn("client_secret", secret.expose());
        }
        let store = Store::new(&self.places, provider, self.backend);
        let login = Login::new(Arc::clone(oauth), client, store, transport.clone(), record);
        open.insert(provider.to_owned(), login.clone());
        Ok(login)
    }

    fn oauth(&self, provider: &str) -> Result<&Arc<OAuth>, Failure> {
        self.manifests.oauth(provider).ok_or_else(|| {
            let file = self.places.config.join("plugins").join(provider).join("plugin.json");
            Failure::config(format!("{provider} wants a login, and no plugin says how it is made"))
                .hint(format!("describe it in {} (docs/auth.md)", file.display()))
        })
    }
}
