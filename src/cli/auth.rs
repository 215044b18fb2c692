//! `pup auth`: keeps keys for providers, and shows which there are and how they stand.

use super::app::App;
use super::auth_login::{self, LoginCommand};
use super::{auth_logins, hidden, print};
use crate::auth::standing::{Change, Mark};
use crate::auth::{Fault, Kept, Keys, Known, Secret, Standing, vault_id};
use crate::base::clock::{rfc3339, unix_ms};
use crate::base::{Cause, Failure, text};
use crate::catalog::Provider;
use clap::Subcommand;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AuthCommand {
    #[command(flatten)]
    Login(LoginCommand),
    /// Keep a key for a provider: asks for it without showing it, or reads it from stdin
    AddKey {
        /// The provider's id, as `pup models list` shows it
        provider: String,
        /// What to call the key, where there are several [default: the next number]
        #[arg(long, value_name = "LABEL")]
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Refused: whoever lists processes would see it, and the shell would remember it.
        #[arg(hide = true)]
        on_the_command_line: Vec<String>,
    },
    /// Forget a key that was added
    RemoveKey {
        provider: String,
        /// Its label; not needed where there is only one
        label: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Try a key again that its provider refused or limited
    Enable {
        provider: String,
        /// Its label; all of the provider's keys where absent
        label: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show every key and login: where it comes from and whether it can be used
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show how keys and logins stand, with their last errors; exit code 4 where none can be used
    Status {
        /// Only this provider
        provider: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command; its exit code.
pub fn run(command: &AuthCommand) -> Result<u8, Failure> {
    // Before anything else is looked at, and without repeating it.
    if let AuthCommand::AddKey { on_the_command_line, provider, .. } = command
        && !on_the_command_line.is_empty()
    {
        return Err(Failure::usage("a key does not belong on the command line: other processes can read it there, and the shell keeps it")
            .hint(format!("if that was a key, replace it at its provider; then: pup auth add-key {provider}   (it asks for the key)")));
    }
    let out = &mut std::io::stdout();
    if let AuthCommand::Login(command) = command {
        return auth_login::run(command, out).map(|()| 0);
    }
    let app = App::load(Path::new("."), &[])?;
    let keys = app.keys(&app.redactor)?;
    match command {
        AuthCommand::Login(_) => {}
        AuthCommand::AddKey { provider, name, json, .. } => add(&app, &keys, provider, name.as_deref(), *json, out)?,
        AuthCommand::RemoveKey { provider, label, json } => remove(&app, &keys, provider, label.as_deref(), *json, out)?,
        AuthCommand::Enable { provider, label, json } => enable(&app, &keys, provider, label.as_deref(), *json, out)?,
        AuthCommand::List { json } => list(&app, &keys, *json, out)?,
        AuthCommand::Status { provider, json } => return status(&app, &keys, provider.as_deref(), *json, out),
    }
    Ok(0)
}

fn add(app: &App, keys: &Keys<'_>, provider: &str, name: Option<&str>, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let provider = app.catalog.known_provider(provider)?;
    takes_keys(provider)?;
    name.map_or(Ok(()), check_label)?;
    let vault = keys.vault().map_err(Clone::clone)?;
    let secret = Secret::new(hidden::read(&format!("key for {}", provider.id))?);
    if let Some(fault) = Fault::of(secret.expose()) {
        return Err(Failure::usage(format!("the key {}", fault.what())).hint(fault.hint()));
    }
    let same = keys.of(provider).iter().find(|k| k.key.at_hand() == Some(&secret)).map(|k| k.key.label().to_owned());
    let (label, kept) = match (same, name) {
        (Some(label), name) if name.is_none_or(|n| n != label) => {
            return Err(Failure::usage(format!("{} has this key already: {label}", provider.id)).hint("pup auth list"));
        }
        (_, Some(name)) => (name.to_owned(), vault.put(&vault_id(&provider.id, name), &secret)?),
        (_, None) => {
            let (id, kept) = vault.add(|n| vault_id(&provider.id, &n.to_string()), &secret)?;
            (id.rsplit('/').next().unwrap_or_default().to_owned(), kept)
        }
    };
    let forgotten = keys.standings().set(Change::Forgotten { provider: provider.id.clone(), label: label.clone() });
    let masked = secret.masked();
    if json {
        let kept = if kept == Kept::Keyring { "keyring" } else { "vault_file" };
        return print::json(out, &json!({ "provider": provider.id, "label": label, "masked": masked, "source": kept }));
    }
    let place = match kept {
        Kept::Keyring => "in the keyring".to_owned(),
        Kept::File => format!("in {}, which only you can read", vault.path().display()),
    };
    print::line(out, &format!("key {label} of {} ({masked}) is kept {place}", provider.id))?;
    if let (Kept::File, Some(why)) = (kept, vault.keyring_trouble()) {
        print::line(out, &format!("(the keyring cannot be used here: {why})"))?;
    }
    for note in keys.file_notes().into_iter().chain(forgotten.err().map(|f| f.message)) {
        print::line(out, &note)?;
    }
    Ok(())
}

/// Whether keys of the vault are used for it.
fn takes_keys(provider: &Provider) -> Result<(), Failure> {
    let id = &provider.id;
    if provider.foreign {
        let names = provider.api_key_env.join(" or ");
        return Err(Failure::usage(format!(
            "the address of {id} was set by this repository, and kept keys go only to addresses that you set"
        ))
        .hint(format!("set {names} in the environment, or give {id} its address in your own models.json")));
    }
    if provider.is_local() {
        return Err(Failure::usage("a server on this machine needs no key").hint("one that does is a provider of its own in models.json"));
    }
    if provider.api_key_env.is_empty() && provider.login.is_some() {
        return Err(Failure::usage(format!("{id} is entered by a login, not with a key")).hint(format!("pup auth login {id}")));
    }
    Ok(())
}

fn check_label(label: &str) -> Result<(), Failure> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"@+._-".contains(&b);
    if (1..=40).contains(&label.len()) && label.bytes().all(good) {
        return Ok(());
    }
    Err(Failure::usage(format!("{label:?} cannot be a key's label"))
        .hint("up to 40 lower-case letters, digits and @ + . _ -; e.g. --name work"))
}

fn remove(app: &App, keys: &Keys<'_>, provider: &str, label: Option<&str>, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let provider = app.catalog.known_provider(provider)?;
    let vault = keys.vault().map_err(Clone::clone)?;
    let known = keys.of(provider);
    let ours: Vec<&str> = known.iter().filter(|k| k.key.source().is_vault()).map(|k| k.key.label()).collect();
    let label = match (label, ours.as_slice()) {
        (Some(label), _) => label,
        (None, [only]) => only,
        (None, []) => return Err(Failure::usage(format!("no key of {} was added", provider.id)).hint("pup auth list")),
        (None, several) => {
            return Err(Failure::usage(format!("{} has several keys: {}", provider.id, several.join(", "))).hint(format!(
                "say which: pup auth remove-key {} {}",
                provider.id,
                several.first().unwrap_or(&"")
            )));
        }
    };
    if !vault.remove(&vault_id(&provider.id, label))? {
        let elsewhere = known.iter().find(|k| k.key.label() == label).map(|k| k.key.source().as_str());
        return Err(match elsewhere {
            Some(place) => Failure::usage(format!("{label} was not added: it comes from the {place}")).hint("take it out there"),
            None => Failure::usage(format!("{} has no key {label}", provider.id)).hint("pup auth list"),
        });
    }
    let forgotten = keys.standings().set(Change::Forgotten { provider: provider.id.clone(), label: label.to_owned() });
    if json {
        return print::json(out, &json!({ "provider": provider.id, "label": label, "removed": true }));
    }
    print::line(out, &format!("key {label} of {} is forgotten; at the provider it is as valid as before", provider.id))?;
    forgotten.err().map_or(Ok(()), |f| print::line(out, &f.message))
}

fn enable(app: &App, keys: &Keys<'_>, provider: &str, label: Option<&str>, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let provider = app.catalog.known_provider(provider)?;
    let known = keys.of(provider);
    let meant: Vec<&str> = known.iter().map(|k| k.key.label()).filter(|l| label.is_none_or(|wanted| wanted == *l)).collect();
    if meant.is_empty() {
        let what = label.map_or_else(|| "no keys".to_owned(), |l| format!("no key {l}"));
        return Err(Failure::usage(format!("{} has {what}", provider.id)).hint("pup auth list"));
    }
    for label in &meant {
        keys.standings().set(Change::Forgotten { provider: provider.id.clone(), label: (*label).to_owned() })?;
    }
    if json {
        return print::json(out, &json!({ "provider": provider.id, "enabled": meant }));
    }
    print::line(out, &format!("{}: {} will be tried again", provider.id, meant.join(", ")))
}

/// The providers that there is a key for, with what is known of it.
fn found<'a>(app: &'a App, keys: &'a Keys<'_>) -> impl Iterator<Item = (&'a Provider, Known)> {
    app.catalog.providers().iter().flat_map(|p| keys.of(p).iter().cloned().map(|k| (p.as_ref(), k)).collect::<Vec<_>>())
}

fn list(app: &App, keys: &Keys<'_>, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        let all: Vec<Value> = found(app, keys).map(|(p, k)| described(p, &k, keys)).collect();
        let logins: Vec<Value> = auth_logins::found(app, keys).iter().map(auth_logins::Found::described).collect();
        return print::json(out, &json!({ "keys": all, "logins": logins, "problems": problems(keys) }));
    }
    let row = |(p, k): (&Provider, Known)| {
        vec![p.id.clone(), k.key.label().to_owned(), masked(&k), k.key.source().as_str().to_owned(), word(&k).to_owned()]
    };
    let mut rows: Vec<Vec<String>> = found(app, keys).map(row).collect();
    rows.extend(auth_logins::found(app, keys).iter().map(auth_logins::Found::row));
    print::table(out, &rows)?;
    if rows.is_empty() {
        print::line(
            out,
            "there are no keys and no logins; add a key: pup auth add-key PROVIDER   (`pup models list` names the providers)",
        )?;
    }
    said_of_files(keys, out)
}

fn status(app: &App, keys: &Keys<'_>, only: Option<&str>, json: bool, out: &mut dyn Write) -> Result<u8, Failure> {
    let only = only.map(|id| app.catalog.known_provider(id)).transpose()?;
    let meant: Vec<(&Provider, Known)> = found(app, keys).filter(|(p, _)| only.is_none_or(|o| o.id == p.id)).collect();
    let mut logins = auth_logins::found(app, keys);
    logins.retain(|l| only.is_none_or(|o| o.id == l.provider));
    let usable = meant.iter().any(|(_, k)| k.is_usable()) || logins.iter().any(auth_logins::Found::is_usable);
    let code = if usable || only.is_some_and(|o| keys.has(o)) { 0 } else { Cause::Auth.exit_code() };
    if json {
        let all: Vec<Value> = meant.iter().map(|(p, k)| described(p, k, keys)).collect();
        let logins: Vec<Value> = logins.iter().map(auth_logins::Found::described).collect();
        print::json(out, &json!({ "usable": code == 0, "keys": all, "logins": logins, "problems": problems(keys) }))?;
        return Ok(code);
    }
    let mut shown = None;
    for (provider, known) in &meant {
        if shown.replace(&provider.id) != Some(&provider.id) {
            print::line(out, &provider.id)?;
        }
        let last = if is_last(provider, known, keys) { ", used last" } else { "" };
        print::line(out, &format!("  {}: {}, {}{last}", known.key.label(), masked(known), known.key.source().as_str()))?;
        for line in details(provider, known, keys) {
            print::line(out, &format!("    {line}"))?;
        }
    }
    for login in &logins {
        if shown.replace(&login.provider) != Some(&login.provider) {
            print::line(out, &login.provider)?;
        }
        login.lines().iter().try_for_each(|line| print::line(out, line))?;
    }
    if meant.is_empty() && logins.is_empty() {
        match only.map(|p| keys.access(p)) {
            Some(Err(failure)) => {
                print::line(out, &failure.message)?;
                print::line(out, failure.hint.as_deref().unwrap_or_default())?;
            }
            Some(Ok(_)) => print::line(out, "it needs no key")?,
            None => print::line(
                out,
                "there are no keys and no logins; add a key: pup auth add-key PROVIDER   (`pup models list` names the providers)",
            )?,
        }
    }
    said_of_files(keys, out)?;
    Ok(code)
}

fn said_of_files(keys: &Keys<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    problems(keys).iter().try_for_each(|note| print::line(out, note))
}

/// What is wrong with the files that keys are kept in.
fn problems(keys: &Keys<'_>) -> Vec<String> {
    keys.file_notes().into_iter().chain(keys.exposed()).collect()
}

fn is_last(provider: &Provider, known: &Known, keys: &Keys<'_>) -> bool {
    keys.standings().last(&provider.id).as_deref() == Some(known.key.label())
}

fn masked(known: &Known) -> String {
    known.key.secret().map_or_else(|_| "(cannot be read)".to_owned(), Secret::masked)
}

fn word(known: &Known) -> &'static str {
    match (&known.fault, &known.standing) {
        (Some(_), _) => "unusable",
        (None, Standing::Ready) => "ready",
        (None, Standing::Cooling(_)) => "cooling",
        (None, Standing::Disabled(_)) => "disabled",
    }
}

/// How the key stands, a line each.
fn details(provider: &Provider, known: &Known, keys: &Keys<'_>) -> Vec<String> {
    let (id, label) = (&provider.id, known.key.label());
    let mut lines = match (&known.fault, &known.standing) {
        (Some(fault), _) => vec![format!("unusable: it {} ({})", fault.what(), fault.hint())],
        (None, Standing::Ready) => vec!["ready".to_owned()],
        (None, Standing::Cooling(mark)) => vec![cooling(mark)],
        (None, Standing::Disabled(mark)) => {
            vec![format!("disabled since {}: {}", rfc3339(mark.at), mark.error), format!("try it again: pup auth enable {id} {label}")]
        }
    };
    let marks = keys.standings().marks(&known.key.id(id));
    let now = unix_ms();
    lines.extend(
        marks
            .models
            .iter()
            .filter(|(_, m)| m.left(now).is_none_or(|l| !l.is_zero()))
            .map(|(model, m)| format!("for {model}: {}", cooling(m))),
    );
    if let (Standing::Ready, Some(over)) = (&known.standing, &marks.key) {
        lines.push(format!("last error, {}: {}", rfc3339(over.at), over.error));
    }
    if let Err(failure) = known.key.secret() {
        lines.push(format!("{} ({})", failure.message, failure.hint.unwrap_or_default()));
    }
    lines
}

fn cooling(mark: &Mark) -> String {
    let left = mark.left(unix_ms()).map(|l| l.as_secs().max(1)).unwrap_or_default();
    let until = mark.until().map(rfc3339).unwrap_or_default();
    format!("cooling until {until} ({left} s): {}", mark.error)
}

/// What scripts get of a key.
fn described(provider: &Provider, known: &Known, keys: &Keys<'_>) -> Value {
    let error = |m: &Mark| {
        json!({
            "class": m.error.class, "scope": m.error.scope, "status": m.error.status, "at": rfc3339(m.at),
            "message": text::one_line(&m.error.message, 300), "in_a_row": m.in_a_row,
        })
    };
    let marks = keys.standings().marks(&known.key.id(&provider.id));
    let until = |m: &Mark| m.until().map(rfc3339);
    let held = match &known.standing {
        Standing::Ready => None,
        Standing::Cooling(mark) | Standing::Disabled(mark) => Some(mark),
    };
    let now = unix_ms();
    let models = marks.models.iter().filter(|(_, m)| m.left(now).is_none_or(|l| !l.is_zero()));
    let models: serde_json::Map<String, Value> =
        models.map(|(model, m)| (model.clone(), json!({ "until": until(m), "last_error": error(m) }))).collect();
    let secret = known.key.secret();
    let why = match (&known.fault, held, &secret) {
        (Some(fault), ..) => Some(format!("it {}", fault.what())),
        (None, Some(mark), _) => Some(mark.error.to_string()),
        (None, None, Err(failure)) => Some(failure.message.clone()),
        (None, None, Ok(_)) => None,
    };
    json!({
        "provider": provider.id, "label": known.key.label(), "source": known.key.source(),
        "masked": secret.ok().map(Secret::masked), "state": word(known), "reason": why,
        "until": held.and_then(until), "last_error": marks.key.as_ref().map(error), "models": models,
        "used_last": is_last(provider, known, keys),
    })
}
