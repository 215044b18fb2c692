//! The keys that a user has for a provider: from the environment, from the config folder's `.env`, from the vault.
//!
//! A variable `NAME` may hold several values separated by commas, and `NAME_1`, `NAME_2` and so on may hold more (the count
//! ends at the first number that is missing; `NAME_1` may be). Of a provider's variables the first that holds anything
//! counts; keys of the vault come behind those. A value that occurs twice is one key.

use super::dotenv;
use super::key::{Key, Source};
use super::oauth::Login;
use super::secret::Secret;
use super::standing::{KeyId, Standing, Standings};
use super::vault::{self, Held, Kept, Vault};
use crate::base::clock::rfc3339;
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Cause, Failure};
use crate::catalog::{Endpoint, Provider, Usable};
use crate::config::Backend;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// How a provider is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    Key(Key),
    Login(Login),
    /// The provider asks for no key.
    Open,
}

impl Access {
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Key(key) => Some(key),
            Self::Login(_) | Self::Open => None,
        }
    }

    /// What tells one account from another: a key's name, a login's account.
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key.label()),
            Self::Login(login) => Some(login.account()),
            Self::Open => None,
        }
    }

    /// The secret that goes with requests now, where nobody has to be asked for it.
    pub fn at_hand(&self) -> Option<Secret> {
        match self {
            Self::Key(key) => key.at_hand().cloned(),
            Self::Login(login) => login.at_hand(),
            Self::Open => None,
        }
    }

    /// What it is remembered by.
    pub fn id(&self, provider: &str) -> Option<KeyId> {
        match self {
            Self::Key(key) => Some(key.id(provider)),
            Self::Login(login) => Some(login.id()),
            Self::Open => None,
        }
    }
}

/// A key that there is, whether it can be used or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    pub key: Key,
    /// Why no provider would take it, or why it cannot be had.
    pub fault: Option<Fault>,
    pub standing: Standing,
}

/// What is wrong with a key before anybody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Characters,
    Quoted,
    StoreIsFile,
}

impl Fault {
    /// Behind the key's name.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Characters => "holds a space, a line break or another character that no key has",
            Self::Quoted => "is wrapped in quotes, which no key has",
            Self::StoreIsFile => "is kept in the keyring, and `auth.store` is `file`",
        }
    }

    pub const fn hint(self) -> &'static str {
        match self {
            Self::Characters | Self::Quoted => "copy the key again, without anything around it",
            Self::StoreIsFile => "pup config set auth.store auto",
        }
    }

    /// What is wrong with this value, if anything is.
    pub fn of(secret: &str) -> Option<Self> {
        let wrapped = |q: char| secret.len() > 1 && secret.starts_with(q) && secret.ends_with(q);
        if !secret.bytes().all(|b| b.is_ascii_graphic()) {
            return Some(Self::Characters);
        }
        (wrapped('"') || wrapped('\'')).then_some(Self::Quoted)
    }
}

impl Known {
    /// Whether it is worth a request, now or later.
    pub fn is_usable(&self) -> bool {
        self.fault.is_none() && !matches!(self.standing, Standing::Disabled(_))
    }

    /// Why it is left out, where it is.
    pub fn why_out(&self, provider: &str) -> Option<Failure> {
        let label = self.key.label();
        if let Some(fault) = self.fault {
            return Some(Failure::new(Cause::Auth, format!("{label} {}", fault.what())).hint(fault.hint()));
        }
        let Standing::Disabled(mark) = &self.standing else { return None };
        let message = format!("{provider}: the key {label} is disabled since {}: {}", rfc3339(mark.at), mark.error);
        Some(Failure::new(Cause::Auth, message).hint(format!("set another key, or try this one again: pup auth enable {provider} {label}")))
    }
}

/// All keys that could be used.
pub struct Keys<'e> {
    env: &'e dyn Fn(&str) -> Option<String>,
    file: BTreeMap<String, String>,
    file_path: PathBuf,
    vault: Result<Arc<Vault>, Failure>,
    /// What the vault held when this was loaded.
    held: Vec<Held>,
    backend: Backend,
    standings: Standings,
    redactor: Redactor,
    /// By provider; a chain asks for the same ones again and again.
    known: RefCell<BTreeMap<String, Rc<[Known]>>>,
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("file", &self.file.keys()).field("vault", &self.vault).finish_non_exhaustive()
    }
}

/// What the ids of keys in the vault begin with.
const IN_VAULT: &str = "key/";

/// The id under which the vault keeps a key.
pub fn vault_id(provider: &str, label: &str) -> String {
    format!("{IN_VAULT}{provider}/{label}")
}

impl<'e> Keys<'e> {
    /// Reads `<config>/.env` and the vault's index; `env` wins over the file. A vault that cannot be read is in nobody's way
    /// who has another key. `redactor` learns every secret that is read.
    pub fn load(places: &Places, env: &'e dyn Fn(&str) -> Option<String>, backend: Backend, redactor: &Redactor) -> Result<Self, Failure> {
        let file_path = places.config.join(".env");
        let file: BTreeMap<String, String> = dotenv::read(&file_path)?.into_iter().collect();
        for (name, value) in &file {
            value.split(',').chain([value.as_str()]).for_each(|v| redactor.learn(name, v.trim()));
        }
        let opened = Vault::open(places, backend).and_then(|vault| Ok((vault.all()?, Arc::new(vault))));
        let (held, vault) = opened.map_or_else(|failure| (Vec::new(), Err(failure)), |(held, vault)| (held, Ok(vault)));
        for Held { id, secret, .. } in &held {
            if let Some(secret) = secret {
                redactor.learn(id, secret.expose());
            }
        }
        let standings = Standings::load(places, redactor);
        Ok(Self { env, file, file_path, vault, held, backend, standings, redactor: redactor.clone(), known: RefCell::default() })
    }

    /// The ways into a provider, one for each key that can be used; never none. A key that is disabled or cannot be one is
    /// passed over, unless there is no other: then the failure says what is wrong with it.
    pub fn access(&self, provider: &Provider) -> Result<Vec<Access>, Failure> {
        let known = self.of(provider);
        let usable: Vec<Access> = known.iter().filter(|k| k.is_usable()).map(|k| Access::Key(k.key.clone())).collect();
        if !usable.is_empty() {
            return Ok(usable);
        }
        if let Some(failure) = known.iter().find_map(|k| k.why_out(&provider.id)) {
            return Err(failure);
        }
        let names = &provider.api_key_env;
        if names.is_empty() && provider.login.is_none() {
            return Ok(vec![Access::Open]);
        }
        if let Err(failure) = &self.vault {
            return Err(failure.clone());
        }
        if names.is_empty() {
            return Err(Failure::new(Cause::Auth, format!("{} wants a login, not a key", provider.id))
                .hint(format!("pup auth login {}", provider.id)));
        }
        let first = names.first().map_or("", String::as_str);
        let are = if names.len() == 1 { "is not set" } else { "are not set" };
        Err(Failure::new(Cause::Auth, format!("there is no key for {}: {} {are}", provider.id, names.join(", "))).hint(format!(
            "export {first}=..., or write {first}=... into {}, or keep it safe: pup auth add-key {}",
            self.file_path.display(),
            provider.id
        )))
    }

    /// Whether [`Keys::access`] finds a way in that may work.
    pub fn has(&self, provider: &Provider) -> bool {
        self.usable(provider) == Usable::Yes
    }

    /// The same, with the reason. Whether a server answers where none needs a key is not known here.
    pub fn usable(&self, provider: &Provider) -> Usable {
        let known = self.of(provider);
        let disabled = |k: &Known| k.fault.is_none() && !k.is_usable();
        if known.iter().any(Known::is_usable) {
            return Usable::Yes;
        }
        match (provider.api_key_env.as_slice(), provider.login) {
            _ if known.iter().any(disabled) => Usable::KeysDisabled,
            // What is wrong with it is said where it is used.
            _ if !known.is_empty() => Usable::Yes,
            ([], Some(_)) => Usable::NoLogin,
            ([], None) => Usable::Yes,
            _ => Usable::NoKey,
        }
    }

    /// Every key of the provider, in the order of use.
    pub fn of(&self, provider: &Provider) -> Rc<[Known]> {
        if let Some(known) = self.known.borrow().get(&provider.id) {
            return Rc::clone(known);
        }
        let known: Rc<[Known]> = self.find(provider).into();
        self.known.borrow_mut().insert(provider.id.clone(), Rc::clone(&known));
        known
    }

    /// What a person should know of this provider's keys although work can begin.
    pub fn notes(&self, provider: &Provider) -> Vec<String> {
        let hinted = |f: Failure| f.hint.map_or(f.message.clone(), |hint| format!("{} ({hint})", f.message));
        self.of(provider).iter().filter_map(|k| k.why_out(&provider.id)).map(hinted).collect()
    }

    /// What a person should know of the files that keys are kept in, although work can begin.
    pub fn file_notes(&self) -> Vec<String> {
        let mut notes = match &self.vault {
            Ok(vault) => vault.notes(),
            Err(failure) => vec![format!("{} ({})", failure.message, failure.hint.as_deref().unwrap_or("keys in it are not used"))],
        };
        notes.extend(self.standings.note());
        notes
    }

    /// That others can read the `.env` file, where they can. It is the user's own file, so this is said where keys are
    /// looked at, not with each run.
    pub fn exposed(&self) -> Option<String> {
        let path = &self.file_path;
        let mode = vault::open_to_others(&std::fs::metadata(path).ok()?).filter(|_| !self.file.is_empty())?;
        Some(format!("{} can be read by others (its mode is {mode:03o}): {}", path.display(), vault::chmod(path)))
    }

    /// The vault, or why there is none.
    pub fn vault(&self) -> Result<&Arc<Vault>, &Failure> {
        self.vault.as_ref()
    }

    /// How keys stand.
    pub fn standings(&self) -> &Standings {
        &self.standings
    }

    /// Teaches the redactor every key of these providers that is at hand.
    pub fn teach<'p>(&self, providers: impl IntoIterator<Item = &'p Provider>) {
        for name in providers.into_iter().flat_map(|p| &p.api_key_env) {
            for (label, _, value) in self.family(name) {
                self.redactor.learn(&label, &value);
            }
        }
    }

    fn find(&self, provider: &Provider) -> Vec<Known> {
        let address = match &provider.endpoint {
            Endpoint::Url(url) => url.as_str(),
            Endpoint::Loopback | Endpoint::Program | Endpoint::Variable(_) => "",
        };
        let named = provider.api_key_env.iter().map(|name| self.family(name)).find(|all| !all.is_empty()).unwrap_or_default();
        let mut found: Vec<(Key, Option<Fault>)> = Vec::new();
        for (label, source, value) in named {
            let fault = Fault::of(&value);
            found.push((Key::known(label, source, Secret::new(value), address), fault));
        }
        // What the user keeps for a provider is not for an address that a repository gave it.
        if !provider.foreign {
            found.extend(self.in_vault(&provider.id, address));
        }
        let mut known: Vec<Known> = Vec::new();
        for (key, fault) in found {
            let again = |k: &Known| key.at_hand().is_some() && k.key.at_hand() == key.at_hand();
            if !known.iter().any(again) {
                known.push(Known { standing: self.standings.of(&key.id(&provider.id)), key, fault });
            }
        }
        known
    }

    fn in_vault(&self, provider: &str, address: &str) -> Vec<(Key, Option<Fault>)> {
        let prefix = vault_id(provider, "");
        let Ok(vault) = &self.vault else { return Vec::new() };
        let ours = self.held.iter().filter_map(|held| Some((held.id.strip_prefix(&prefix)?.to_owned(), held.clone())));
        ours.map(|(label, held)| match (held.kept, held.secret) {
            (Kept::File, secret) => {
                let secret = secret.unwrap_or_else(|| Secret::new(""));
                let fault = Fault::of(secret.expose());
                (Key::known(label, Source::VaultFile, secret, address), fault)
            }
            (Kept::Keyring, _) => {
                let fault = (self.backend == Backend::File).then_some(Fault::StoreIsFile);
                (Key::in_keyring(label, held.id, Arc::clone(vault), self.redactor.clone(), address), fault)
            }
        })
        .collect()
    }

    /// Label, source and trimmed value of every key that `NAME` and its numbered sisters hold.
    fn family(&self, name: &str) -> Vec<(String, Source, String)> {
        let mut all = Vec::new();
        for variable in self.variables(name) {
            let Some((source, text)) = self.value(&variable) else { continue };
            let values = text.split(',').map(str::trim).filter(|v| !v.is_empty()).enumerate();
            all.extend(values.map(|(ix, value)| {
                let label = if ix == 0 { variable.clone() } else { format!("{variable}#{}", ix + 1) };
                (label, source, value.to_owned())
            }));
        }
        all
    }

    fn value(&self, name: &str) -> Option<(Source, String)> {
        let filled = |v: &String| !v.trim().is_empty();
        let set = (self.env)(name).filter(filled).map(|v| (Source::Environment, v));
        set.or_else(|| self.file.get(name).filter(|v| filled(v)).map(|v| (Source::EnvFile, v.clone())))
    }

    fn variables(&self, name: &str) -> impl Iterator<Item = String> {
        variables_of(name, |v| self.value(v).is_some())
    }
}

/// The environment variables that hold keys of this provider, or could: a model's commands do not get them.
pub fn variables(provider: &Provider, env: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    provider.api_key_env.iter().flat_map(|name| variables_of(name, |v| env(v).is_some())).collect()
}

/// `NAME`, `NAME_1`, and `NAME_2` and so on as far as they are set.
fn variables_of(name: &str, is_set: impl Fn(&str) -> bool) -> impl Iterator<Item = String> {
    let name = name.to_owned();
    let first = [name.clone(), format!("{name}_1")];
    first.into_iter().chain((2..).map(move |n: u32| format!("{name}_{n}")).take_while(move |v| is_set(v)))
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
