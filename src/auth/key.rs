//! One key: a secret, the name it goes by and where it comes from. A secret in the keyring is fetched when it is first sent.

use super::secret::Secret;
use super::standing::KeyId;
use super::vault::Vault;
use crate::base::redact::Redactor;
use crate::base::{Cause, Failure, digest};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Where a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Environment,
    /// The config folder's `.env`.
    EnvFile,
    Keyring,
    /// The vault's own file.
    VaultFile,
}

impl Source {
    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::EnvFile => ".env file",
            Self::Keyring => "keyring",
            Self::VaultFile => "vault file",
        }
    }

    /// Whether `pup auth` put it there and can remove it.
    pub const fn is_vault(self) -> bool {
        matches!(self, Self::Keyring | Self::VaultFile)
    }
}

/// A key of a provider. Only [`Key::secret`] gives the value away.
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    label: String,
    source: Source,
    /// Changes when the key's value or the address that it is sent to does; safe to store.
    print: String,
    value: Value,
}

enum Value {
    Known(Secret),
    Kept(Kept),
}

/// A secret that the keyring is asked for once, when somebody needs it.
struct Kept {
    vault: Arc<Vault>,
    id: String,
    redactor: Redactor,
    found: OnceLock<Secret>,
}

impl Key {
    /// `address` is where the key is sent to.
    pub(super) fn known(label: String, source: Source, secret: Secret, address: &str) -> Self {
        // What is in the vault changes only by commands, which reset its standing themselves.
        let of = if source.is_vault() { "" } else { secret.expose() };
        Self(Arc::new(Inner { print: print(address, of), label, source, value: Value::Known(secret) }))
    }

    pub(super) fn in_keyring(label: String, id: String, vault: Arc<Vault>, redactor: Redactor, address: &str) -> Self {
        let kept = Kept { vault, id, redactor, found: OnceLock::new() };
        Self(Arc::new(Inner { print: print(address, ""), label, source: Source::Keyring, value: Value::Kept(kept) }))
    }

    /// What it is remembered by.
    pub fn id(&self, provider: &str) -> KeyId {
        KeyId { provider: provider.to_owned(), label: self.0.label.clone(), print: self.0.print.clone() }
    }

    /// The variable that it came from or the name that it was given; safe to show and to store.
    pub fn label(&self) -> &str {
        &self.0.label
    }

    pub fn source(&self) -> Source {
        self.0.source
    }

    /// The value, where nobody has to be asked for it.
    pub fn at_hand(&self) -> Option<&Secret> {
        match &self.0.value {
            Value::Known(secret) => Some(secret),
            Value::Kept(kept) => kept.found.get(),
        }
    }

    /// The value, for the one header that carries it. May wait for the keyring, and that for its owner.
    pub fn secret(&self) -> Result<&Secret, Failure> {
        match &self.0.value {
            Value::Known(secret) => Ok(secret),
            Value::Kept(kept) => kept.fetch(),
        }
    }
}

impl Kept {
    fn fetch(&self) -> Result<&Secret, Failure> {
        if let Some(secret) = self.found.get() {
            return Ok(secret);
        }
        let secret = self.vault.get(&self.id)?.ok_or_else(|| {
            Failure::new(Cause::Auth, format!("the keyring has no {} any more", self.id)).hint("add the key again: `pup auth add-key`")
        })?;
        self.redactor.learn(&self.id, secret.expose());
        Ok(self.found.get_or_init(|| secret))
    }
}

fn print(address: &str, secret: &str) -> String {
    digest::sha256(format!("{address}\0{secret}").as_bytes()).chars().take(12).collect()
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (&self.0.label, self.0.source, &self.0.print) == (&other.0.label, other.0.source, &other.0.print)
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, ...)", self.0.label)
    }
}
