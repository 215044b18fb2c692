//! Where secrets are kept that a user hands to pup: in the system's keyring, or in a file that only its owner can read.
//!
//! `<state>/vault.json` is the index of both: it says for each id where its secret is, and holds those that are not in the
//! keyring. So a vault without entries, or one whose secrets are all in the file, never touches D-Bus, and neither does
//! asking which ids there are. Nothing is cached: another process may have put a newer token there a moment ago.
//!
//! Ids are chosen by who stores: `key/PROVIDER/LABEL` for keys. One entry is one secret and not a bundle, because the
//! Windows keyring takes no more than 2,560 UTF-16 units.

mod book;
mod keyring;

use super::secret::Secret;
use crate::base::places::{Places, pasteable};
use crate::base::{Cause, Failure};
pub use crate::config::Backend;
use book::{Book, Entry, Shelf};
use keyring::Keyring;

/// Where a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Keyring,
    File,
}

/// An entry, as far as it is known without asking the keyring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub id: String,
    pub kept: Kept,
    /// Of an entry in the file.
    pub secret: Option<Secret>,
}

/// The secrets of a user. Several processes may use one vault at the same time.
#[derive(Debug)]
pub struct Vault {
    shelf: Shelf,
    backend: Backend,
    keyring: Keyring,
}

impl Vault {
    /// Looks at the index; the keyring is left alone until a secret in it is needed.
    pub fn open(places: &Places, backend: Backend) -> Result<Self, Failure> {
        let vault = Self { shelf: Shelf::new(places), backend, keyring: Keyring::default() };
        vault.shelf.read()?;
        Ok(vault)
    }

    /// The secret of this id. `None` where there is none, or where somebody took it out of the keyring.
    pub fn get(&self, id: &str) -> Result<Option<Secret>, Failure> {
        let book = self.shelf.read()?;
        match book.entries.get(id) {
            None => Ok(None),
            Some(Entry::File { secret }) => Ok(Some(Secret::new(secret.as_str()))),
            Some(Entry::Keyring) => {
                self.may_use_keyring(id)?;
                self.keyring.get(&user(&book, id)).map_err(|why| unreachable(id, &why))
            }
        }
    }

    /// Keeps a secret under the first id that is free of those that `nth` makes of 1, 2, 3, ...
    pub fn add(&self, nth: impl Fn(u32) -> String, secret: &Secret) -> Result<(String, Kept), Failure> {
        let mut id = String::new();
        // Taken at once, so that another process takes the next one.
        self.shelf.change(|book| {
            let free = (1..=u32::MAX).map(&nth).find(|id| !book.entries.contains_key(id));
            id = free.unwrap_or_default();
            book.entries.insert(id.clone(), Entry::Keyring);
        })?;
        match self.put(&id, secret) {
            Ok(kept) => Ok((id, kept)),
            Err(failure) => {
                // The first failure is the one to tell.
                let _ = self.shelf.change(|book| {
                    book.entries.remove(&id);
                });
                Err(failure)
            }
        }
    }

    /// Keeps a secret, in the place of an older one of this id.
    pub fn put(&self, id: &str, secret: &Secret) -> Result<Kept, Failure> {
        let user = user(&self.shelf.read()?, id);
        let kept = match self.backend {
            Backend::File => Kept::File,
            Backend::Auto | Backend::Keyring => match self.keyring.put(&user, secret) {
                Ok(()) => Kept::Keyring,
                Err(why) if self.backend == Backend::Keyring => {
                    return Err(Failure::new(Cause::Auth, format!("the keyring did not take {id}: {why}")).hint(USE_FILE));
                }
                Err(why) => {
                    tracing::debug!(id, why, "kept in the file, not in the keyring");
                    Kept::File
                }
            },
        };
        let entry = match kept {
            Kept::Keyring => Entry::Keyring,
            Kept::File => Entry::File { secret: secret.expose().to_owned() },
        };
        self.shelf.change(|book| {
            book.entries.insert(id.to_owned(), entry);
        })?;
        Ok(kept)
    }

    /// Forgets a secret; whether there was one.
    pub fn remove(&self, id: &str) -> Result<bool, Failure> {
        let book = self.shelf.read()?;
        if book.entries.get(id) == Some(&Entry::Keyring) {
            self.may_use_keyring(id)?;
            self.keyring.remove(&user(&book, id)).map_err(|why| unreachable(id, &why))?;
        }
        let mut had = false;
        self.shelf.change(|book| had = book.entries.remove(id).is_some())?;
        Ok(had)
    }

    /// Every id, in their order.
    pub fn ids(&self) -> Result<Vec<String>, Failure> {
        Ok(self.shelf.read()?.entries.keys().cloned().collect())
    }

    /// Every entry, in the order of their ids.
    pub fn all(&self) -> Result<Vec<Held>, Failure> {
        let held = |(id, entry)| match entry {
            Entry::Keyring => Held { id, kept: Kept::Keyring, secret: None },
            Entry::File { secret } => Held { id, kept: Kept::File, secret: Some(Secret::new(secret)) },
        };
        Ok(self.shelf.read()?.entries.into_iter().map(held).collect())
    }

    /// The file, for messages.
    pub fn path(&self) -> &std::path::Path {
        self.shelf.path()
    }

    /// What a person should know of what was found, once.
    pub fn notes(&self) -> Vec<String> {
        self.shelf.notes()
    }

    /// Why the keyring could not be used, if it was tried and could not.
    pub fn keyring_trouble(&self) -> Option<String> {
        self.keyring.trouble()
    }

    fn may_use_keyring(&self, id: &str) -> Result<(), Failure> {
        if self.backend != Backend::File {
            return Ok(());
        }
        Err(Failure::new(Cause::Auth, format!("{id} is kept in the keyring, and `auth.store` is `file`"))
            .hint("pup config set auth.store auto"))
    }
}

const USE_FILE: &str = "unlock or start the keyring, or keep secrets in a file that only you can read: pup config set auth.store file";

fn unreachable(id: &str, why: &str) -> Failure {
    Failure::new(Cause::Auth, format!("{id} is kept in the keyring, which cannot be used here: {why}"))
        .hint("unlock or start the keyring, or store the secret again where it can be reached: pup config set auth.store file")
}

/// An id's name in the keyring, which all of a user's pup homes share: the scope tells them apart.
fn user(book: &Book, id: &str) -> String {
    format!("{id}@{}", book.scope)
}

/// The mode of a file that others can use, if they can.
#[cfg(unix)]
pub fn open_to_others(file: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(file.permissions().mode() & 0o777).filter(|mode| mode & 0o077 != 0)
}

#[cfg(not(unix))]
pub fn open_to_others(_: &std::fs::Metadata) -> Option<u32> {
    None
}

pub fn chmod(path: &std::path::Path) -> String {
    format!("chmod 600 {}", pasteable(path))
}

#[cfg(test)]
#[path = "vault_tests.rs"]
mod tests;
