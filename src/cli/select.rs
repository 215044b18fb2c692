//! Which models a run talks to: the one that was named, or the workload's chain as far as this user can reach it.

use super::app::App;
use super::doors::{self, Doors};
use super::means::Means;
use crate::auth::Access;
use crate::base::redact::Redactor;
use crate::base::{Cause, Failure, text};
use crate::catalog::{self, Capability, Closed, State, Usable, Why, WireId, Workload};
use crate::model::aside::Kind;
use crate::provider::cli::Setup;
use crate::provider::local::{self, Server, Software};
use crate::provider::{CliProvider, Endpoint, HttpProvider, Provider, Timeouts};
use crate::route::{Link, Quota, Terms, limiter};
use crate::wire::quirk::Calls;
use crate::wire::{Dialect, Wire};
use std::sync::Arc;

/// What was asked for, strongest first.
#[derive(Debug)]
pub struct Wanted {
    pub model: Option<String>,
    pub provider: Option<String>,
    /// The agent's own choice.
    pub pin: Option<String>,
    pub workload: Workload,
    pub behind: Behind,
}

/// What stands behind a model that was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    Nothing,
    /// The workload's chain.
    Chain,
}

/// The links of a run, and what a person should know of those that are not among them.
pub struct Chosen {
    pub links: Vec<Link>,
    pub notes: Vec<String>,
}

/// The links of a run, in the order of attempts, one for each key that can be used. Keys that are used become known to the
/// redactor. A key that its provider has refused is left out and named; if nothing else is left, that is the failure.
pub fn links(app: &App, wanted: &Wanted, redactor: &Redactor) -> Result<Chosen, Failure> {
    let doors = Doors::load(app, redactor)?;
    let (keys, means) = (doors.keys(), Means::new(&doors, app.settings.paid_models, false));
    let named = wanted.model.as_deref().or(app.settings.model.as_deref());
    let first = match (wanted.provider.as_deref(), named) {
        (Some(provider), _) => Some(default_of(app, provider)?),
        (None, Some(model)) => Some(app.catalog.resolve(model)?),
        (None, None) => None,
    };
    let mut links = Vec::new();
    match (&first, wanted.pin.as_deref()) {
        (Some(chosen), _) => links.extend(open(app, &doors, &means, chosen)?),
        // An agent's own choice that cannot be used is no reason not to work: the chain stands behind it.
        (None, Some(pin)) => links.extend(open(app, &doors, &means, &app.catalog.resolve(pin)?).unwrap_or_default()),
        (None, None) => {}
    }
    let mut refused: Vec<&Arc<catalog::Provider>> = Vec::new();
    let mut paid = Vec::new();
    if first.is_none() || wanted.behind == Behind::Chain {
        for link in means.chain(&app.catalog, wanted.workload) {
            if let State::In { served_by, .. } = &link.state
                && !links.iter().any(|l| l.id == link.id)
            {
                links.extend(build(app, &doors, served_by, &link.id)?);
            }
            if let State::Out(closed) = &link.state
                && closed.iter().any(|c| c.why == Why::PaidSkipped)
            {
                paid.push(link.id);
            }
        }
        let is_refused = |p: &&Arc<catalog::Provider>| matches!(doors.usable(p), Usable::KeysDisabled | Usable::LoginEnded);
        refused.extend(app.catalog.providers().iter().filter(is_refused));
    }
    if links.is_empty() {
        links.extend(found_locally(app)?);
    }
    if links.is_empty() {
        return Err(refused
            .first()
            .and_then(|p| doors.access(p).err())
            .or_else(|| keys.vault().err().cloned())
            .unwrap_or_else(|| if paid.is_empty() { nothing(app) } else { only_paid(&paid) }));
    }
    let mut notes = keys.file_notes();
    let used = links.iter().filter_map(|l| app.catalog.provider(l.provider.id()));
    for note in used.chain(refused).flat_map(|p| doors.notes(p)) {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    Ok(Chosen { links, notes })
}

/// The named model, over its own provider or another door to it.
fn open(app: &App, doors: &Doors, means: &Means<'_>, chosen: &catalog::Link) -> Result<Vec<Link>, Failure> {
    if chosen.provider.is_local() {
        return named_locally(app, chosen).map(|link| vec![link]);
    }
    match chosen.model.as_ref().and_then(|m| means.reach(&app.catalog, m)) {
        Some(State::In { served_by, .. }) => build(app, doors, &served_by, &chosen.id()),
        // The one door says itself, and in more words, what is wrong with it.
        Some(State::Out(closed)) if matches!(closed.as_slice(), [Closed { why: Why::NoLogin | Why::LoginEnded | Why::NoClient, .. }]) => {
            build(app, doors, chosen, &chosen.id())
        }
        Some(State::Out(closed)) if closed.iter().any(|c| !matches!(c.why, Why::NoKey | Why::KeysDisabled | Why::NoTools)) => {
            let reasons: Vec<String> = closed.iter().map(ToString::to_string).collect();
            Err(Failure::new(Cause::Auth, format!("{} cannot be reached\n  {}", chosen.id(), reasons.join("\n  ")))
                .hint("`pup models list` shows what can; `pup doctor` what is set up"))
        }
        // Only a key is missing or refused, which says so itself; or it is named on purpose, tools or not.
        _ => build(app, doors, chosen, &chosen.id()),
    }
}

/// A provider's default model.
fn default_of(app: &App, id: &str) -> Result<catalog::Link, Failure> {
    let provider = app.catalog.known_provider(id)?;
    match &provider.default_model {
        Some(model) => app.catalog.resolve(model),
        None if id == LOCAL => Ok(app.catalog.on(provider, "")),
        None => Err(Failure::usage(format!("{id} has no default model")).hint(format!("name one: `--model {id}/NAME`"))),
    }
}

const LOCAL: &str = "local";

/// The first model of the first server on this machine.
fn found_locally(app: &App) -> Result<Option<Link>, Failure> {
    let Some(provider) = app.catalog.provider(LOCAL) else { return Ok(None) };
    let found = match &provider.endpoint {
        catalog::Endpoint::Url(url) => on_this_machine(local::probe(&app.pool, url, Software::Unknown))?,
        catalog::Endpoint::Loopback => on_this_machine(local::find(&app.pool))?.into_iter().next(),
        catalog::Endpoint::Variable(name) => return Err(no_address(LOCAL, name)),
        catalog::Endpoint::Program => None,
    };
    let Some((server, model)) = found.and_then(|s| s.models.first().cloned().map(|m| (s, m))) else { return Ok(None) };
    local_link(app, &app.catalog.on(provider, &model), &server).map(Some)
}

/// A link to a provider itself, once for each key, for what is asked without a model.
pub fn to_provider(app: &App, doors: &Doors, provider: &Arc<catalog::Provider>) -> Result<Vec<Link>, Failure> {
    build(app, doors, &app.catalog.on(provider, ""), &provider.id)
}

/// Where a provider is reached.
pub fn address(provider: &catalog::Provider) -> Result<&str, Failure> {
    match &provider.endpoint {
        catalog::Endpoint::Url(url) => Ok(url),
        catalog::Endpoint::Variable(name) => Err(no_address(&provider.id, name)),
        catalog::Endpoint::Program => Err(Failure::usage(format!("{} is a program on this machine and has no address", provider.id))
            .hint(format!("ask it for an answer: pup models test {}/NAME", provider.id))),
        catalog::Endpoint::Loopback => {
            Err(Failure::config(format!("{} has no address", provider.id)).hint("give it a `base_url` in models.json"))
        }
    }
}

/// Makes a link usable: address, key, dialect; once for each key. `id` is our name of the model, whoever serves it.
fn build(app: &App, doors: &Doors, chosen: &catalog::Link, id: &str) -> Result<Vec<Link>, Failure> {
    if chosen.provider.endpoint == catalog::Endpoint::Program {
        return program(app, doors, chosen, id).map(|link| vec![link]);
    }
    let access = doors.access(&chosen.provider)?;
    let endpoint = endpoint(app, chosen, address(&chosen.provider)?, dialect(chosen, &[])?)?;
    let first = HttpProvider::new(endpoint, app.pool.clone());
    Ok(access.iter().map(|access| link(app, chosen, id, first.entered_by(access.clone()))).collect())
}

/// `local/NAME`: the server that has the model, or the one that was named, whatever it says of itself.
fn named_locally(app: &App, chosen: &catalog::Link) -> Result<Link, Failure> {
    let wanted = &chosen.upstream;
    let servers = match &chosen.provider.endpoint {
        catalog::Endpoint::Url(url) => {
            let server = on_this_machine(local::probe(&app.pool, url, Software::Unknown))?;
            vec![server.unwrap_or_else(|| Server { base_url: url.clone(), software: Software::Unknown, models: Vec::new() })]
        }
        catalog::Endpoint::Loopback => on_this_machine(local::find(&app.pool))?,
        catalog::Endpoint::Variable(name) => return Err(no_address(LOCAL, name)),
        catalog::Endpoint::Program => Vec::new(),
    };
    let known = servers.iter().find(|s| wanted.is_empty() && !s.models.is_empty() || s.models.iter().any(|m| m == wanted));
    if let Some(server) = known {
        let name = if wanted.is_empty() { server.models.first().cloned().unwrap_or_default() } else { wanted.clone() };
        return local_link(app, &app.catalog.on(&chosen.provider, &name), server);
    }
    match (servers.as_slice(), &chosen.provider.endpoint) {
        // A server that was named by its address serves the name, or says itself that it does not.
        ([server], catalog::Endpoint::Url(_)) if !wanted.is_empty() => local_link(app, chosen, server),
        ([], _) | ([_], catalog::Endpoint::Url(_)) => {
            Err(Failure::new(Cause::Auth, "no model server answers on this machine").hint(START_LOCAL))
        }
        (servers, _) => {
            let names: Vec<String> = servers.iter().flat_map(|s| s.models.iter().map(|m| format!("local/{m}"))).collect();
            let hint = crate::base::nearest::did_you_mean(&format!("local/{wanted}"), names.iter().map(String::as_str))
                .unwrap_or_else(|| format!("they have {}", names.join(", ")));
            Err(Failure::usage(format!("no server on this machine has the model `{wanted}`")).hint(hint))
        }
    }
}

const START_LOCAL: &str = "start Ollama (port 11434), llama.cpp's llama-server (8080) or LM Studio (1234), or name a server: PUP_LOCAL_BASE_URL=http://127.0.0.1:PORT/v1";

fn local_link(app: &App, chosen: &catalog::Link, server: &Server) -> Result<Link, Failure> {
    tracing::debug!(server = server.base_url, software = server.software.name(), "local server");
    let known = server.software.provider().and_then(|id| app.catalog.provider(id));
    let mut dialect = dialect(chosen, known.map_or(&[], |software| &software.quirks))?;
    // Small models write calls as text: they are read out of it, beside the wire's own field.
    if dialect.calls == Calls::Native {
        dialect.calls = Calls::Text;
    }
    let endpoint = endpoint(app, chosen, &server.base_url, dialect)?;
    Ok(link(app, chosen, &chosen.id(), HttpProvider::new(endpoint, app.pool.clone())))
}

/// How a link is spoken to: in its provider's way, which wins over what is `known` of the software.
pub(super) fn dialect(link: &catalog::Link, known: &[String]) -> Result<Dialect, Failure> {
    let quirks: Vec<&String> = known.iter().chain(&link.provider.quirks).collect();
    let dialect = Dialect::from_quirks(&quirks).map_err(|e| {
        Failure::config(format!("models.json: providers.{}.quirks: {e}", link.provider.id)).hint("remove the name, or correct it")
    })?;
    Ok(Dialect {
        default_output: link.max_output(),
        window: link.context(),
        settings: link.settings(),
        embed_inputs: link.provider.embed_inputs,
        ..dialect
    })
}

fn no_address(provider: &str, variable: &str) -> Failure {
    Failure::config(format!("{provider} has no address: {variable} is not set"))
        .hint(format!("export {variable}=https://..., up to the path that the protocol adds, or give it a `base_url` in models.json"))
}

/// Everything about reaching it but the key.
fn endpoint(app: &App, chosen: &catalog::Link, url: &str, dialect: Dialect) -> Result<Endpoint, Failure> {
    let provider = &chosen.provider;
    Ok(Endpoint {
        provider: provider.id.clone(),
        wire: wire(chosen)?,
        base_url: url.to_owned(),
        headers: provider.headers.clone(),
        access: Access::Open,
        dialect,
        timeouts: timeouts(app, provider),
    })
}

fn timeouts(app: &App, provider: &catalog::Provider) -> Timeouts {
    let (http, own) = (&app.settings.http, provider.timeouts);
    Timeouts {
        connect: own.connect.unwrap_or(http.connect_timeout),
        first_byte: own.first_byte.unwrap_or(http.first_byte_timeout),
        idle: own.idle.unwrap_or(http.idle_timeout),
    }
}

/// A link to a vendor's program.
fn program(app: &App, doors: &Doors, chosen: &catalog::Link, id: &str) -> Result<Link, Failure> {
    let provider = &chosen.provider;
    let Some((software, path)) = doors.program(provider) else { return Err(not_installed(app, provider)) };
    let setup = Setup {
        provider: provider.id.clone(),
        software,
        path: path.to_owned(),
        cwd: app.places.cache.join("cli"),
        hidden: app.secret_variables(),
        dialect: dialect(chosen, &[])?,
        timeouts: timeouts(app, provider),
    };
    let provider = Provider::Cli(CliProvider::new(setup));
    let link = Link::new(id.to_owned(), chosen.upstream.clone(), provider, None);
    Ok(link.lacking(lacks(chosen)).under(terms(app, chosen)).slimmed_by(chosen.slimmer().cloned()))
}

fn not_installed(app: &App, provider: &catalog::Provider) -> Failure {
    let Some(software) = doors::software(provider) else { return Failure::internal(format!("{} is no program", provider.id)) };
    let own = doors::own_path(app, software).map(|path| format!("{} is no program that can be run", path.display()));
    Failure::new(Cause::Auth, own.unwrap_or_else(|| format!("{software} is not installed"))).hint(format!(
        "{}; or say where it is: pup config set {} PATH",
        software.install(),
        software.setting()
    ))
}

fn link(app: &App, chosen: &catalog::Link, id: &str, provider: HttpProvider) -> Link {
    let account = provider.endpoint().access.label().map(str::to_owned);
    let link = Link::new(id.to_owned(), chosen.upstream.clone(), Provider::Http(provider), account);
    link.lacking(lacks(chosen)).under(terms(app, chosen)).slimmed_by(chosen.slimmer().cloned())
}

/// How its use counts and is paid, by the catalogue.
fn terms(app: &App, link: &catalog::Link) -> Terms {
    let quota = |name: &String| {
        let &catalog::Quota { rpm, tpm, tpd } = app.catalog.quota(name)?;
        Some(Quota { name: name.clone(), limits: limiter::Limits { rpm, tpm, tpd } })
    };
    Terms {
        billing: link.model.as_ref().map_or(link.provider.billing, |m| m.billing),
        price: link.model.as_ref().and_then(|m| m.price),
        multiplier: link.provider.realtime_multiplier,
        max_output: link.max_output(),
        quotas: link.model.iter().flat_map(|m| &m.quota).filter_map(quota).collect(),
    }
}

/// What the catalogue says that a model cannot take. Of a model that it does not list nothing is known, and it is tried.
fn lacks(link: &catalog::Link) -> Vec<Kind> {
    let Some(can) = link.model.as_ref().and_then(|m| m.capabilities.as_ref()) else { return Vec::new() };
    let gates = [(Kind::Image, Capability::Images), (Kind::Document, Capability::Documents)];
    gates.into_iter().filter(|(_, needed)| !can.contains(needed)).map(|(kind, _)| kind).collect()
}

/// The codec of a link: its own wire's, or that of its provider where this build has only that one.
pub(super) fn wire(link: &catalog::Link) -> Result<Wire, Failure> {
    let built = |id: WireId| id.as_str().parse::<Wire>().ok();
    built(link.wire()).or_else(|| built(link.provider.wire)).ok_or_else(|| {
        Failure::config(format!("{} speaks {}, which this version cannot", link.provider.id, link.wire().as_str()))
            .hint("`pup models list` shows what can be reached")
    })
}

/// All that could be used costs money, and the user wants none of that.
fn only_paid(models: &[String]) -> Failure {
    let some = text::one_line(&models.join(", "), 120);
    Failure::new(Cause::Auth, format!("every model that there is a key for costs money ({some}), and `paid_models` is false"))
        .hint("pup config set paid_models true   (or, where it is set, USE_PAID_MODELS=true); or start a local server, or set the key of a provider that is free")
}

/// Nothing to talk to: the three shortest ways to get something.
fn nothing(app: &App) -> Failure {
    let first = app.catalog.providers().iter().find_map(|p| p.api_key_env.first()).map_or("OPENAI_API_KEY", String::as_str);
    Failure::new(Cause::Auth, "there is no model to talk to: no key is set and no local server answers").hint(format!(
        "three ways to get one:\n  1. export {first}=...   (or another provider's key)\n  2. start Ollama, llama.cpp's llama-server or LM Studio on this machine\n  3. PUP_LOCAL_BASE_URL=http://127.0.0.1:PORT/v1 pup run \"...\"   (any OpenAI-compatible server)\nor look at it work without one: pup demo"
    ))
}

/// Runs a probe before the run's own runtime exists.
pub fn on_this_machine<T>(probe: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::internal(format!("cannot start the runtime: {e}")))?;
    let found = runtime.block_on(probe);
    runtime.shutdown_background();
    Ok(found)
}
