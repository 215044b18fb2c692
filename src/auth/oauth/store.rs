//! Where a login is kept: its record in a file of its own, its tokens in the vault, both changed under one lock.
//!
//! What is written last is what is looked at first: whoever sees a new record finds the tokens that belong to it, and a
//! process that dies between the writes leaves tokens that are newer than the record says, which costs one refresh.

use super::record::{Record, VERSION};
use crate::auth::{Backend, Secret, Vault};
use crate::base::lock::FileLock;
use crate::base::places::{Places, pasteable};
use crate::base::{Cause, Failure, atomic};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long another process may take to renew a login: its request has 30 seconds, and it stores what came.
const PATIENCE: Duration = Duration::from_secs(45);

/// The tokens of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    pub access: Secret,
    /// Without one the login ends with its access token.
    pub refresh: Option<Secret>,
}

/// Where the record of one provider's login is.
#[derive(Debug, Clone)]
pub struct Shelf {
    provider: String,
    folder: PathBuf,
}

/// Where one provider's login is. Clones share the vault, which is opened when it is first needed.
#[derive(Debug, Clone)]
pub struct Store {
    shelf: Shelf,
    vault: Arc<Opener>,
}

#[derive(Debug)]
struct Opener {
    places: Places,
    backend: Backend,
    open: OnceLock<Vault>,
}

/// The right to change a login.
#[derive(Debug)]
pub struct Held(#[allow(dead_code, reason = "holds the lock until it is dropped")] FileLock);

#[derive(Deserialize)]
struct Version {
    v: u64,
}

impl Shelf {
    pub fn new(places: &Places, provider: &str) -> Self {
        Self { provider: provider.to_owned(), folder: places.state.join("logins") }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.provider))
    }

    /// What is known of the login; `None` where there is none.
    pub fn record(&self) -> Result<Option<Record>, Failure> {
        let path = self.path();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Failure::io("read", &path, &e).with_cause(Cause::Auth)),
        };
        let login = format!("log in again: pup auth login {}", self.provider);
        match serde_json::from_slice::<Version>(&bytes) {
            Ok(Version { v }) if v > VERSION => {
                let what = format!("{} was written by a newer pup (form {v}; this one reads {VERSION})", path.display());
                return Err(Failure::new(Cause::Auth, what).hint(format!("update pup, or {login}")));
            }
            _ => {}
        }
        match serde_json::from_slice::<Record>(&bytes) {
            Ok(record) if record.provider == self.provider => Ok(Some(record)),
            Ok(other) => {
                let what = format!("{} holds a login of {}", path.display(), other.provider);
                Err(Failure::new(Cause::Auth, what).hint(format!("rm {}; then {login}", pasteable(&path))))
            }
            Err(e) => Err(Failure::new(Cause::Auth, format!("{} is damaged: {e}", path.display())).hint(login)),
        }
    }

    fn write(&self, record: &Record) -> Result<(), Failure> {
        let path = self.path();
        let bytes = serde_json::to_vec_pretty(record).map_err(|e| Failure::internal(format!("a login's record: {e}")))?;
        atomic::write(&path, &bytes, true).map_err(|e| Failure::io("write", &path, &e).with_cause(Cause::Auth))
    }
}

impl Store {
    pub fn new(places: &Places, provider: &str, backend: Backend) -> Self {
        let vault = Arc::new(Opener { places: places.clone(), backend, open: OnceLock::new() });
        Self { shelf: Shelf::new(places, provider), vault }
    }

    pub fn record(&self) -> Result<Option<Record>, Failure> {
        self.shelf.record()
    }

    fn vault(&self) -> Result<&Vault, Failure> {
        if let Some(vault) = self.vault.open.get() {
            return Ok(vault);
        }
        let vault = Vault::open(&self.vault.places, self.vault.backend)?;
        Ok(self.vault.open.get_or_init(|| vault))
    }

    /// The tokens; `None` where the vault has none.
    pub fn tokens(&self) -> Result<Option<Tokens>, Failure> {
        let vault = self.vault()?;
        let Some(access) = vault.get(&self.id(ACCESS))? else { return Ok(None) };
        Ok(Some(Tokens { access, refresh: vault.get(&self.id(REFRESH))? }))
    }

    /// Waits for the right to change the login.
    pub fn hold(&self) -> Result<Held, Failure> {
        let path = self.shelf.folder.join(format!("{}.lock", self.shelf.provider));
        match FileLock::take(&path, PATIENCE) {
            Ok(Some(lock)) => Ok(Held(lock)),
            Ok(None) => Err(Failure::new(Cause::Auth, format!("another process is busy with the login of {}", self.shelf.provider))
                .hint("wait until it is done, or end it")),
            Err(e) => Err(Failure::io("lock", &path, &e).with_cause(Cause::Auth)),
        }
    }

    /// Keeps a login; the refresh token first, since an old one may be of no use any more.
    pub fn save(&self, _: &Held, record: &Record, tokens: &Tokens) -> Result<(), Failure> {
        let vault = self.vault()?;
        match &tokens.refresh {
            Some(refresh) => {
                vault.put(&self.id(REFRESH), refresh)?;
            }
            None => {
                vault.remove(&self.id(REFRESH))?;
            }
        }
        vault.put(&self.id(ACCESS), &tokens.access)?;
        self.shelf.write(record)
    }

    /// Keeps what is known of a login whose tokens stay as they are.
    pub fn save_record(&self, _: &Held, record: &Record) -> Result<(), Failure> {
        self.shelf.write(record)
    }

    /// Keeps a record and forgets the tokens, which are of no use any more.
    pub fn end(&self, _: &Held, record: &Record) -> Result<(), Failure> {
        self.shelf.write(record)?;
        self.forget_tokens()
    }

    /// Forgets everything; whether there was anything.
    pub fn forget(&self, _: &Held) -> Result<bool, Failure> {
        let path = self.shelf.path();
        let had = match std::fs::remove_file(&path) {
            Ok(()) => true,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
            Err(e) => return Err(Failure::io("remove", &path, &e).with_cause(Cause::Auth)),
        };
        self.forget_tokens()?;
        Ok(had)
    }

    fn forget_tokens(&self) -> Result<(), Failure> {
        let vault = self.vault()?;
        vault.remove(&self.id(ACCESS))?;
        vault.remove(&self.id(REFRESH))?;
        Ok(())
    }

    fn id(&self, token: &str) -> String {
        token_id(&self.shelf.provider, token)
    }
}

/// The names of a login's tokens.
pub const ACCESS: &str = "access";
const REFRESH: &str = "refresh";

/// The id under which the vault keeps a token.
pub fn token_id(provider: &str, token: &str) -> String {
    format!("oauth/{provider}/{token}")
}
