//! The ways into providers that a user has: keys and logins, asked as one.

use super::app::{self, App};
use crate::auth::oauth::Logins;
use crate::auth::{Access, Keys};
use crate::base::Failure;
use crate::base::redact::Redactor;
use crate::catalog::{Provider, Usable};

/// Keys and logins. Which provider takes which is in the catalogue.
#[derive(Debug)]
pub struct Doors {
    keys: Keys<'static>,
    logins: Logins<'static>,
    redactor: Redactor,
}

impl Doors {
    /// `redactor` learns every secret that comes up, also later.
    pub fn load(app: &App, redactor: &Redactor) -> Result<Self, Failure> {
        let logins = Logins::load(&app.places, &app.manifests, app.settings.auth.store, &app::env)?;
        Ok(Self { keys: app.keys(redactor)?, logins, redactor: redactor.clone() })
    }

    pub fn keys(&self) -> &Keys<'static> {
        &self.keys
    }

    pub fn logins(&self) -> &Logins<'static> {
        &self.logins
    }

    /// The ways into a provider, one for each key; never none. Keys come before a login.
    pub fn access(&self, provider: &Provider) -> Result<Vec<Access>, Failure> {
        if provider.login.is_some() && !self.keys.has(provider) {
            return Ok(vec![Access::Login(self.logins.access(&provider.id, &self.redactor)?)]);
        }
        self.keys.access(provider)
    }

    /// Whether it can be entered, as far as that can be told without asking anybody.
    pub fn usable(&self, provider: &Provider) -> Usable {
        match self.keys.usable(provider) {
            Usable::Yes => Usable::Yes,
            _ if provider.login.is_some() => self.logins.usable(&provider.id),
            other => other,
        }
    }
}
