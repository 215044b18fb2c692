//! `pup auth login` and `pup auth logout`.

use super::app::{self, App};
use super::auth_way::{self, Way};
use super::log;
use super::output::{Screen, Style};
use super::{auth_terms, print};
use crate::auth::oauth::{Client, Record, Revoked, Store, Transport, Variables, end};
use crate::base::clock::rfc3339;
use crate::base::{Cause, Failure, text};
use crate::catalog::{OAuth, Provider};
use crate::config::{Kind, Value};
use clap::Subcommand;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum LoginCommand {
    /// Log in to a provider with your account there
    Login(Login),
    /// Forget a login, and tell the provider where it listens
    Logout(Logout),
}

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Login {
    /// claude_code, chatgpt, antigravity, or a provider of your own plugins
    pub provider: String,
    /// Open no browser: print the address, and take the code or the address that you land on
    #[arg(long, conflicts_with = "device")]
    pub no_browser: bool,
    /// Show a code to type in a browser on any machine, where the provider has that; works over SSH
    #[arg(long)]
    pub device: bool,
    /// Agree to the terms that are shown, where there are any
    #[arg(long)]
    pub accept_terms: bool,
    /// How long to wait for you, e.g. 90s [default: 10m]
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Log what happens to stderr; twice for more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Logout {
    /// The provider's id
    pub provider: String,
    /// Log what happens to stderr; twice for more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How long a user may take, if nothing else is said.
const LIMIT: Duration = Duration::from_mins(10);

pub fn run(command: &LoginCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        LoginCommand::Login(args) => login(args, out),
        LoginCommand::Logout(args) => logout(args, out),
    }
}

fn login(args: &Login, out: &mut dyn Write) -> Result<(), Failure> {
    let app = App::load(Path::new("."), &[])?;
    log::start(args.verbose, &app.redactor, log::Sink::Stderr);
    let limit = match args.timeout.as_deref().map(|t| Value::from_text(Kind::Duration, t)) {
        None => LIMIT,
        Some(Some(Value::Duration(limit))) => limit,
        Some(_) => return Err(Failure::usage(format!("--timeout must be {}", Kind::Duration.wanted()))),
    };
    let provider = app.catalog.known_provider(&args.provider)?;
    let screen = Screen::detect(false, false);
    let Some(oauth) = app.manifests.oauth(&provider.id).filter(|_| provider.login.is_some()) else {
        return by_key(&app, args, screen, out);
    };
    // What is missing here is told before anybody reads terms.
    let client = Client::find(oauth, &Variables::load(&app.places, &app::env)?)?;
    if let Some(secret) = &client.secret {
        app.redactor.learn("client_secret", secret.expose());
    }
    auth_terms::agree(&app, provider, args.accept_terms, screen)?;
    let transport = Transport { redactor: app.redactor.clone(), pool: app.pool.clone() };
    let store = Store::new(&app.places, &provider.id, app.settings.auth.store);
    let way = if args.device {
        Way::Device
    } else if args.no_browser {
        Way::Paste
    } else {
        Way::Browser
    };
    let visit = auth_way::Visit { oauth, client: &client, transport: &transport, store: &store, limit, screen };
    let record = block_on(auth_way::make(&visit, way))??;
    print::line(out, &greeting(oauth, &record))
}

/// A provider that takes a key has no login; its terms may still want a yes.
fn by_key(app: &App, args: &Login, screen: Screen, out: &mut dyn Write) -> Result<(), Failure> {
    let provider = app.catalog.known_provider(&args.provider)?;
    if provider.login.is_some() {
        let file = app.places.config.join("plugins").join(&provider.id).join("plugin.json");
        return Err(Failure::config(format!("no plugin says how to log in to {}", provider.id))
            .hint(format!("describe it in {} (docs/auth.md)", file.display())));
    }
    let key = key_hint(provider);
    if app.manifests.terms(&provider.id).is_none() {
        let what = format!("{} has no login", provider.id);
        return Err(Failure::usage(what).hint(key));
    }
    auth_terms::agree(app, provider, args.accept_terms, screen)?;
    print::line(out, &format!("{} may be used now. It takes a key: {key}", provider.id))
}

fn key_hint(provider: &Provider) -> String {
    provider
        .api_key_env
        .first()
        .map_or_else(|| "it needs no key".to_owned(), |name| format!("export {name}=..., or pup auth add-key {}", provider.id))
}

fn greeting(oauth: &OAuth, record: &Record) -> String {
    let name = record.name().map(|n| format!(" as {}", text::strip_controls(n))).unwrap_or_default();
    let plan = record.plan.as_deref().map(|p| format!(" ({})", text::strip_controls(p))).unwrap_or_default();
    let project = record.project.as_deref().map(|p| format!(", project {}", text::strip_controls(p))).unwrap_or_default();
    format!("logged in to {}{name}{plan}{project}", oauth.display_name)
}

fn logout(args: &Logout, out: &mut dyn Write) -> Result<(), Failure> {
    let app = App::load(Path::new("."), &[])?;
    log::start(args.verbose, &app.redactor, log::Sink::Stderr);
    let id = args.provider.as_str();
    let oauth = app.manifests.oauth(id);
    if oauth.is_none() {
        let provider = app.catalog.known_provider(id)?;
        if provider.login.is_none() {
            return Err(Failure::usage(format!("{id} has no login")).hint("keys are removed with: pup auth remove-key"));
        }
    }
    let variables = Variables::load(&app.places, &app::env)?;
    let client = oauth.and_then(|o| Client::find(o, &variables).ok());
    if let Some(secret) = client.as_ref().and_then(|c| c.secret.as_ref()) {
        app.redactor.learn("client_secret", secret.expose());
    }
    let transport = Transport { redactor: app.redactor.clone(), pool: app.pool.clone() };
    let store = Store::new(&app.places, id, app.settings.auth.store);
    let told = block_on(end(oauth.map(AsRef::as_ref), client.as_ref(), &transport, &store))??;
    let name = oauth.map_or(id, |o| o.display_name.as_str());
    let line = match told {
        Revoked::Yes => format!("logged out of {name}; it has taken the tokens back"),
        Revoked::NotOffered => {
            format!("logged out of {name}: the tokens are forgotten here; it offers no way to take them back before they end")
        }
        Revoked::Failed(why) => format!(
            "logged out of {name}: the tokens are forgotten here, but it could not be told ({why}); to be sure, end pup's access in your account there"
        ),
        Revoked::NothingThere => format!("there was no login to {name}"),
    };
    print::line(out, &line)
}

/// Runs a login's own little runtime.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::internal(format!("cannot start the runtime: {e}")))?;
    let done = runtime.block_on(work);
    // A read of the terminal that nobody answered may hold a thread: do not wait for it.
    runtime.shutdown_background();
    Ok(done)
}

/// When a login without a refresh token ends, to be said once.
pub fn note(oauth: &OAuth, record: &Record, renewable: bool, screen: Screen) {
    if renewable {
        return;
    }
    let end = record.expires_at.map_or_else(|| "with its token".to_owned(), |at| format!("at {}", rfc3339(at)));
    screen.always(Style::Yellow, &format!("{} gave no refresh token: this login ends {end}", oauth.display_name));
}

/// A login that did not come about.
pub fn failed(oauth: &OAuth, what: &dyn std::fmt::Display) -> Failure {
    Failure::new(Cause::Auth, format!("{}: {what}", oauth.display_name))
}
