//! The logins in `pup auth list` and `status`: whose they are, how long they last, and how they stand.

use super::app::App;
use crate::auth::oauth::{ACCESS, Record, Shelf, token_id};
use crate::auth::{Kept, Keys, Standing};
use crate::base::Failure;
use crate::base::clock::{rfc3339, unix_ms};
use crate::base::text::strip_controls;
use serde_json::{Value, json};

/// A login that there is, or the remains of one.
pub struct Found {
    pub provider: String,
    record: Result<Record, Failure>,
    standing: Standing,
    kept: Option<Kept>,
}

/// Every login, in the order of the catalogue.
pub fn found(app: &App, keys: &Keys<'_>) -> Vec<Found> {
    let vault = keys.vault().ok().and_then(|v| v.all().ok()).unwrap_or_default();
    let look = |provider: &str| {
        let record = Shelf::new(&app.places, provider).record().transpose()?;
        let standing = record.as_ref().map_or(Standing::Ready, |r| keys.standings().of(&r.id()));
        let kept = vault.iter().find(|held| held.id == token_id(provider, ACCESS)).map(|held| held.kept);
        Some(Found { provider: provider.to_owned(), record, standing, kept })
    };
    app.catalog.providers().iter().filter(|p| p.login.is_some()).filter_map(|p| look(&p.id)).collect()
}

impl Found {
    /// Whether it is worth a request, now or later.
    pub fn is_usable(&self) -> bool {
        self.record.as_ref().is_ok_and(|r| r.ended.is_none()) && !matches!(self.standing, Standing::Disabled(_))
    }

    fn state(&self) -> &'static str {
        match (&self.record, &self.standing) {
            (Err(_), _) => "unusable",
            (Ok(record), _) if record.ended.is_some() => "ended",
            (Ok(_), Standing::Disabled(_)) => "disabled",
            (Ok(_), Standing::Cooling(_)) => "cooling",
            (Ok(_), Standing::Ready) => "ready",
        }
    }

    fn reason(&self) -> Option<String> {
        match (&self.record, &self.standing) {
            (Err(failure), _) => Some(failure.message.clone()),
            (Ok(Record { ended: Some(ended), .. }), _) => Some(ended.why.clone()),
            (Ok(_), Standing::Disabled(mark) | Standing::Cooling(mark)) => Some(mark.error.to_string()),
            (Ok(_), Standing::Ready) => None,
        }
    }

    fn source(&self) -> &'static str {
        match self.kept {
            Some(Kept::Keyring) => "keyring",
            Some(Kept::File) => "vault file",
            None => "nowhere",
        }
    }

    fn name(&self) -> String {
        self.record.as_ref().ok().and_then(Record::name).map(strip_controls).unwrap_or_default()
    }

    /// A row of `list`: provider, label, who, source, state.
    pub fn row(&self) -> Vec<String> {
        vec![self.provider.clone(), "login".to_owned(), self.name(), self.source().to_owned(), self.state().to_owned()]
    }

    /// The lines of `status`.
    pub fn lines(&self) -> Vec<String> {
        let plan =
            self.record.as_ref().ok().and_then(|r| r.plan.as_deref()).map(|p| format!(", {}", strip_controls(p))).unwrap_or_default();
        let name = Some(self.name()).filter(|n| !n.is_empty()).map(|n| format!(" as {n}")).unwrap_or_default();
        let mut lines = vec![format!("  login{name}{plan}, {}", self.source())];
        let why = self.reason().map(|w| format!(": {w}")).unwrap_or_default();
        lines.push(format!("    {}{why}", self.state()));
        if let (Ok(record), "ready") = (&self.record, self.state())
            && let Some(end) = record.expires_at
        {
            let renewed = if end > unix_ms() {
                format!("its token lasts until {}, and is renewed by itself", rfc3339(end))
            } else {
                "its token is renewed at the next use".to_owned()
            };
            lines.push(format!("    {renewed}"));
        }
        if !self.is_usable() {
            lines.push(format!("    log in again: pup auth login {}", self.provider));
        }
        lines
    }

    /// What scripts get.
    pub fn described(&self) -> Value {
        let record = self.record.as_ref().ok();
        let until = if let Standing::Cooling(mark) = &self.standing { mark.until().map(rfc3339) } else { None };
        json!({
            "provider": self.provider, "account": record.and_then(|r| r.account.as_deref()), "email": record.and_then(|r| r.email.as_deref()),
            "plan": record.and_then(|r| r.plan.as_deref()), "project": record.and_then(|r| r.project.as_deref()),
            "source": match self.kept { Some(Kept::Keyring) => Some("keyring"), Some(Kept::File) => Some("vault_file"), None => None },
            "state": self.state(), "reason": self.reason(), "until": until,
            "since": record.map(|r| rfc3339(r.since)), "token_expires": record.and_then(|r| r.expires_at).map(rfc3339),
            "allowed_hosts": record.map(|r| &r.allowed_hosts),
        })
    }
}
