//! The ways into providers that a user has: keys and logins, asked as one.

use super::app::{self, App};
use crate::auth::oauth::{Logins, Transport};
use crate::auth::{Access, Keys, Standing};
use crate::base::clock::rfc3339;
use crate::base::redact::Redactor;
use crate::base::{Cause, Failure};
use crate::catalog::{Provider, Usable};

/// Keys and logins. Which provider takes which is in the catalogue.
#[derive(Debug)]
pub struct Doors {
    keys: Keys<'static>,
    logins: Logins<'static>,
    transport: Transport,
}

impl Doors {
    /// `redactor` learns every secret that comes up, also later.
    pub fn load(app: &App, redactor: &Redactor) -> Result<Self, Failure> {
        let logins = Logins::load(&app.places, &app.manifests, app.settings.auth.store, &app::env)?;
        Ok(Self { keys: app.keys(redactor)?, logins, transport: Transport { redactor: redactor.clone(), pool: app.pool.clone() } })
    }

    pub fn keys(&self) -> &Keys<'static> {
        &self.keys
    }

    /// The ways into a provider, one for each key; never none. Keys come before a login.
    pub fn access(&self, provider: &Provider) -> Result<Vec<Access>, Failure> {
        if provider.login.is_some() && !self.keys.has(provider) {
            let login = self.logins.access(&provider.id, &self.transport)?;
            return match self.keys.standings().of(&login.id()) {
                Standing::Disabled(mark) => {
                    let what = format!("the login of {} is disabled since {}: {}", provider.id, rfc3339(mark.at), mark.error);
                    Err(Failure::new(Cause::Auth, what).hint(format!("pup auth login {}", provider.id)))
                }
                Standing::Ready | Standing::Cooling(_) => Ok(vec![Access::Login(login)]),
            };
        }
        self.keys.access(provider)
    }

    fn login(&self, provider: &Provider) -> Usable {
        let record = self.logins.record(&provider.id).ok().flatten();
        let standing = record.map(|r| self.keys.standings().of(&r.id()));
        match (self.logins.usable(&provider.id), standing) {
            (Usable::Yes, Some(Standing::Disabled(_))) => Usable::LoginEnded,
            (usable, _) => usable,
        }
    }

    /// What a person should know of this provider's doors although work can begin.
    pub fn notes(&self, provider: &Provider) -> Vec<String> {
        let mut notes = self.keys.notes(provider);
        if self.usable(provider) == Usable::LoginEnded {
            let ended = self.access(provider).err();
            notes.extend(ended.map(|f| f.hint.as_ref().map_or(f.message.clone(), |hint| format!("{} ({hint})", f.message))));
        }
        notes
    }

    /// Whether it can be entered, as far as that can be told without asking anybody.
    pub fn usable(&self, provider: &Provider) -> Usable {
        match self.keys.usable(provider) {
            Usable::Yes => Usable::Yes,
            _ if provider.login.is_some() => self.login(provider),
            other => other,
        }
    }
}
