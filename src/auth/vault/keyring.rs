//! The system's keyring, asked from threads of their own: it may be missing, locked, or never answer.

use crate::auth::secret::Secret;
use std::sync::{Mutex, PoisonError};

/// A way to the keyring that remembers when there is none.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    reach: Mutex<Option<Result<(), String>>>,
}

impl Keyring {
    /// The secret of this name; `None` where there is none. Errors are a short reason.
    pub fn get(&self, user: &str) -> Result<Option<Secret>, String> {
        let found = self.ask(user, |entry| match entry.get() {
            Ok(secret) => Ok(Some(secret)),
            Err(Fault::NoEntry) => Ok(None),
            Err(other) => Err(other),
        })?;
        Ok(found.map(Secret::new))
    }

    pub fn put(&self, user: &str, secret: &Secret) -> Result<(), String> {
        let secret = secret.clone();
        self.ask(user, move |entry| entry.set(secret.expose()))
    }

    /// Removing what is not there is no error.
    pub fn remove(&self, user: &str) -> Result<(), String> {
        self.ask(user, |entry| match entry.delete() {
            Err(Fault::NoEntry) => Ok(()),
            done => done,
        })
    }

    /// Why it cannot be used, if that was found out.
    pub fn trouble(&self) -> Option<String> {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner).clone().and_then(Result::err)
    }

    fn ask<T: Send + 'static>(
        &self,
        user: &str,
        question: impl FnOnce(&system::Entry) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, String> {
        let mut reach = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        reach.get_or_insert_with(system::probe).clone()?;
        match system::call(user, question) {
            Ok(answer) => Ok(answer),
            Err(fault) => {
                let why = fault.to_string();
                // Its one connection is taken up by the question that was never answered.
                if fault == Fault::Silent {
                    *reach = Some(Err(why.clone()));
                }
                Err(why)
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(not(feature = "keyring"), allow(dead_code, reason = "only a keyring has them"))]
enum Fault {
    #[error("there is no such entry")]
    NoEntry,
    #[error("it did not answer in time")]
    Silent,
    #[error("{0}")]
    Other(String),
}

#[cfg(feature = "keyring")]
mod system {
    use super::Fault;
    use crate::base::text;
    use std::sync::mpsc;
    use std::time::Duration;

    /// What pup's entries are filed under.
    const SERVICE: &str = "pup";
    /// For finding out whether there is a keyring; it may have to be started.
    const PROBE: Duration = Duration::from_secs(5);
    /// For one question; a locked keyring asks its owner for a password first.
    const CALL: Duration = Duration::from_mins(1);

    pub(super) struct Entry(keyring::Entry);

    impl Entry {
        pub fn get(&self) -> Result<String, Fault> {
            self.0.get_password().map_err(|e| fault(&e))
        }

        pub fn set(&self, secret: &str) -> Result<(), Fault> {
            self.0.set_password(secret).map_err(|e| fault(&e))
        }

        pub fn delete(&self) -> Result<(), Fault> {
            self.0.delete_credential().map_err(|e| fault(&e))
        }
    }

    /// Without this, the first entry of a process without D-Bus would be an error for all that follow.
    pub(super) fn probe() -> Result<(), String> {
        let status = || keyring::Entry::store_status().as_ref().copied().map_err(fault);
        on_a_thread(PROBE, status).map_err(|e| e.to_string())
    }

    pub(super) fn call<T: Send + 'static>(
        user: &str,
        question: impl FnOnce(&Entry) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let user = user.to_owned();
        on_a_thread(CALL, move || question(&Entry(keyring::Entry::new(SERVICE, &user).map_err(|e| fault(&e))?)))
    }

    fn on_a_thread<T: Send + 'static>(time: Duration, work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
        let (answer, question) = mpsc::channel();
        let spawned = std::thread::Builder::new().name("keyring".to_owned()).spawn(move || {
            // Nobody listens any more where it took too long.
            let _ = answer.send(work());
        });
        spawned.map_err(|e| Fault::Other(format!("no thread to ask it from: {e}")))?;
        question.recv_timeout(time).map_err(|e| match e {
            mpsc::RecvTimeoutError::Timeout => Fault::Silent,
            mpsc::RecvTimeoutError::Disconnected => Fault::Other("it broke down while it was asked".to_owned()),
        })?
    }

    fn fault(error: &keyring::Error) -> Fault {
        match error {
            keyring::Error::NoEntry => Fault::NoEntry,
            // Its own words say no more than that something failed.
            keyring::Error::PlatformFailure(cause) | keyring::Error::NoStorageAccess(cause) => {
                Fault::Other(text::one_line(&cause.to_string(), 200))
            }
            other => Fault::Other(text::one_line(&other.to_string(), 200)),
        }
    }
}

#[cfg(not(feature = "keyring"))]
mod system {
    use super::Fault;

    const NOT_BUILT: &str = "this pup was built without it";

    /// Never made.
    pub(super) enum Entry {}

    impl Entry {
        pub fn get(&self) -> Result<String, Fault> {
            match *self {}
        }

        pub fn set(&self, _: &str) -> Result<(), Fault> {
            match *self {}
        }

        pub fn delete(&self) -> Result<(), Fault> {
            match *self {}
        }
    }

    pub(super) fn probe() -> Result<(), String> {
        Err(NOT_BUILT.to_owned())
    }

    pub(super) fn call<T>(_: &str, _: impl FnOnce(&Entry) -> Result<T, Fault>) -> Result<T, Fault> {
        Err(Fault::Other(NOT_BUILT.to_owned()))
    }
}
