//! The ways into providers that a user has: keys and logins, asked as one.

use super::app::{self, App};
use crate::auth::oauth::{Logins, Transport};
use crate::auth::{Access, Keys, Standing};
use crate::base::clock::rfc3339;
use crate::base::redact::Redactor;
use crate::base::{Cause, Failure};
use crate::catalog::{Endpoint, Provider, Usable};
use crate::provider::cli::{self, Software};
use crate::wire::Wire;
use std::path::{Path, PathBuf};

/// Keys and logins. Which provider takes which is in the catalogue.
#[derive(Debug)]
pub struct Doors {
    keys: Keys<'static>,
    logins: Logins<'static>,
    transport: Transport,
    /// Where the vendors' programs are, as far as they are installed.
    programs: Vec<(Software, PathBuf)>,
}

impl Doors {
    /// `redactor` learns every secret that comes up, also later.
    pub fn load(app: &App, redactor: &Redactor) -> Result<Self, Failure> {
        let logins = Logins::load(&app.places, &app.manifests, app.settings.auth.store, &app::env)?;
        let programs =
            Software::ALL.into_iter().filter_map(|s| Some((s, cli::find(s, own_path(app, s), app::env("PATH").as_deref())?))).collect();
        Ok(Self {
            keys: app.keys(redactor)?,
            programs,
            logins,
            transport: Transport { redactor: redactor.clone(), pool: app.pool.clone() },
        })
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

    /// The program that this provider is, where it is installed.
    pub fn program(&self, provider: &Provider) -> Option<(Software, &Path)> {
        let software = software(provider)?;
        self.programs.iter().find(|(s, _)| *s == software).map(|(s, path)| (*s, path.as_path()))
    }

    /// Whether it can be entered, as far as that can be told without asking anybody.
    pub fn usable(&self, provider: &Provider) -> Usable {
        if provider.endpoint == Endpoint::Program && self.program(provider).is_none() {
            return Usable::NoProgram;
        }
        match self.keys.usable(provider) {
            Usable::Yes => Usable::Yes,
            _ if provider.login.is_some() => self.login(provider),
            other => other,
        }
    }
}

/// The program that this provider is, if it is one.
pub fn software(provider: &Provider) -> Option<Software> {
    provider.wire.as_str().parse::<Wire>().ok().and_then(Software::of)
}

/// Where the user says that it is.
pub fn own_path(app: &App, software: Software) -> Option<&Path> {
    match software {
        Software::Claude => app.settings.cli.claude.as_deref(),
        Software::Codex => app.settings.cli.codex.as_deref(),
    }
}
