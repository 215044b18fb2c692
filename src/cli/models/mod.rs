//! `pup models`: what the catalogue holds, and how a workload's chain stands for this user.

mod check;
mod lists;
mod update;

use super::app::App;
use super::doors::Doors;
use super::means::Means;
use super::{print, select};
use crate::base::Failure;
use crate::base::text::thousands;
use crate::catalog::{Billing, Capability, ChainLink, Closed, Endpoint, Link, Model, Place, Provider, State, Workload};
use crate::provider::local::{self, Software};
use clap::Subcommand;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ModelsCommand {
    #[command(flatten)]
    Look(Look),
    /// Ask a model for one token: does it answer, how fast, what is left of its limits
    Test {
        /// A catalogue id, or PROVIDER/NAME
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Compare the catalogue with the providers' own lists, and write what differs into your models.json
    Update(update::Args),
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Look {
    /// Show every model of the catalogue
    List {
        /// Only the models of this provider
        #[arg(long, value_name = "ID")]
        provider: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what is known of a model
    Show {
        /// A catalogue id, or PROVIDER/NAME
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a workload's chain: each link in or out, and why
    Chain {
        /// orchestrator, reasoning, coding or librarian
        workload: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn run(command: &ModelsCommand, out: &mut dyn Write) -> Result<u8, Failure> {
    match command {
        ModelsCommand::Test { id, json } => check::run(id, *json, out),
        ModelsCommand::Update(args) => update::run(args, out),
        ModelsCommand::Look(command) => look(command, out).map(|()| 0),
    }
}

fn look(command: &Look, out: &mut dyn Write) -> Result<(), Failure> {
    // Before anything is asked of the machine: a wrong word is answered at once.
    let workload = if let Look::Chain { workload, .. } = command { Some(workload.parse::<Workload>()?) } else { None };
    let app = App::load(Path::new("."), &[])?;
    let link = if let Look::Show { id, .. } = command { Some(app.catalog.resolve(id)?) } else { None };
    let doors = Doors::load(&app, &app.redactor)?;
    let means = Means::new(&doors, app.settings.paid_models, local_answers(&app)?);
    match (command, workload, link) {
        (Look::Chain { json, .. }, Some(workload), _) => chain(&app, &means, workload, *json, out),
        (Look::Show { json, .. }, _, Some(link)) => show(&app, &means, &link, *json, out),
        (Look::List { provider, json }, ..) => list(&app, &means, provider.as_deref(), *json, out),
        (Look::Chain { .. } | Look::Show { .. }, ..) => Err(Failure::internal("models: a command without its subject")),
    }
}

fn local_answers(app: &App) -> Result<bool, Failure> {
    let endpoint = app.catalog.providers().iter().find(|p| p.is_local()).map(|p| &p.endpoint);
    match endpoint {
        None | Some(Endpoint::Variable(_) | Endpoint::Program) => Ok(false),
        Some(Endpoint::Url(url)) => select::on_this_machine(local::probe(&app.pool, url, Software::Unknown)).map(|found| found.is_some()),
        Some(Endpoint::Loopback) => select::on_this_machine(local::find(&app.pool)).map(|found| !found.is_empty()),
    }
}

fn list(app: &App, means: &Means<'_>, only: Option<&str>, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let only = only.map(|id| app.catalog.known_provider(id)).transpose()?;
    let wanted = |p: &Provider| only.is_none_or(|o| o.id == p.id);
    if json {
        let models = app.catalog.models().iter().filter(|m| app.catalog.provider(&m.provider).is_some_and(|p| wanted(p)));
        let entries: Vec<Value> = models.filter_map(|m| Some(listed(app, means, &app.catalog.link(m)?, m))).collect();
        return print::json(out, &entries);
    }
    for provider in app.catalog.providers().iter().filter(|p| wanted(p)) {
        let way = app.catalog.on(provider, "");
        let state = match (means.why_closed(&way), &provider.endpoint) {
            (Some(why), _) => Closed { way, why }.to_string(),
            (None, Endpoint::Url(url)) if provider.api_key_env.is_empty() => {
                format!("{}: needs no key, if it answers at {url}", provider.id)
            }
            (None, _) => format!("{}: ready", provider.id),
        };
        print::line(out, &state)?;
        let models = app.catalog.models().iter().filter(|m| m.provider == provider.id);
        let row = |m: &Arc<Model>| {
            let window = m.context.map_or_else(|| "?".to_owned(), thousands);
            vec![format!("  {}", m.id), format!("{window:>9}"), price(m)]
        };
        print::table(out, &models.map(row).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn show(app: &App, means: &Means<'_>, link: &Link, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(model) = &link.model else {
        return show_unlisted(means, link, json, out);
    };
    if json {
        return print::json(out, &listed(app, means, link, model));
    }
    let unknown = || "unknown".to_owned();
    let words = |list: &[String]| if list.is_empty() { "-".to_owned() } else { list.join(", ") };
    let tokens = |n: Option<u64>| n.map_or_else(unknown, |n| format!("{} tokens", thousands(n)));
    let can = |c: &Vec<Capability>| words(&c.iter().map(|c| c.as_str().to_owned()).collect::<Vec<_>>());
    let chains = chains_of(app, &model.id);
    let rows = [
        ("name", model.display_name.clone()),
        ("provider", model.provider.clone()),
        ("asked as", format!("{} over {}", model.name, link.wire().as_str())),
        ("same model as", model.upstream.clone()),
        ("other ways", words(&model.via)),
        ("window", tokens(model.context)),
        ("longest answer", tokens(model.max_output)),
        ("can", model.capabilities.as_ref().map_or_else(unknown, can)),
        ("tier", model.tier.map_or_else(unknown, |t| t.to_string())),
        ("price, a million", price(model)),
        ("billing", model.billing.as_str().to_owned()),
        ("quotas", words(&model.quota)),
        ("batch jobs", if model.batch { "yes" } else { "no" }.to_owned()),
        ("chains", words(&chains.iter().map(|w| w.as_str().to_ascii_lowercase()).collect::<Vec<_>>())),
    ];
    print::line(out, &model.id)?;
    print::table(out, &rows.map(|(key, value)| vec![format!("  {key}"), value]))?;
    for line in means.reach(&app.catalog, model).iter().flat_map(explained) {
        print::line(out, &format!("  {line}"))?;
    }
    Ok(())
}

/// A name that the catalogue does not list: only what its provider says of it is known.
fn show_unlisted(means: &Means<'_>, link: &Link, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let state = match means.why_closed(link) {
        None => State::In { served_by: link.clone(), passed_over: Vec::new() },
        Some(why) => State::Out(vec![Closed { way: link.clone(), why }]),
    };
    if json {
        let mut entry =
            json!({ "id": link.id(), "listed": false, "provider": link.provider.id, "name": link.upstream, "wire": link.wire().as_str() });
        add_state(&mut entry, &state);
        return print::json(out, &entry);
    }
    print::line(out, &format!("{} is not in the catalogue; its window and price are unknown", link.id()))?;
    for line in explained(&state) {
        print::line(out, &format!("  {line}"))?;
    }
    Ok(())
}

fn chain(app: &App, means: &Means<'_>, workload: Workload, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let links = means.chain(&app.catalog, workload);
    let open = links.iter().filter(|l| matches!(l.state, State::In { .. })).count();
    if json {
        let links: Vec<Value> = links.iter().map(link_json).collect();
        return print::json(out, &json!({ "workload": workload, "usable": open, "links": links }));
    }
    let mut attempt = 0;
    let mut behind = false;
    for ChainLink { id, place, state } in &links {
        if *place == Place::Tail && !behind {
            behind = true;
            print::line(out, "behind the chain:")?;
        }
        let mark = match state {
            State::In { .. } => {
                attempt += 1;
                format!("{attempt:>2} in ")
            }
            State::Out(_) => " - out".to_owned(),
        };
        print::line(out, &format!("{mark} {id}"))?;
        for line in explained(state) {
            print::line(out, &format!("       {line}"))?;
        }
    }
    let total = links.len();
    print::line(out, &format!("{open} of {total} links of {workload} can be used, in this order"))?;
    if open == 0 {
        print::line(out, "export a key that is named above, or start Ollama, llama.cpp's llama-server or LM Studio")?;
    }
    Ok(())
}

/// Why a link is in or out, a line each.
fn explained(state: &State) -> Vec<String> {
    match state {
        State::In { served_by, passed_over } => {
            let name = if served_by.upstream.is_empty() { "any model it has" } else { &served_by.upstream };
            let served = format!("served by {}, {name}", served_by.provider.id);
            std::iter::once(served).chain(passed_over.iter().map(|c| format!("not by {c}"))).collect()
        }
        State::Out(closed) => closed.iter().map(ToString::to_string).collect(),
    }
}

fn link_json(link: &ChainLink) -> Value {
    let (place, position) = match link.place {
        Place::Chain(n) => ("chain", Some(n)),
        Place::Tail => ("tail", None),
    };
    let mut entry = json!({ "id": link.id, "place": place, "position": position });
    add_state(&mut entry, &link.state);
    entry
}

fn add_state(entry: &mut Value, state: &State) {
    let (word, served, closed) = match state {
        State::In { served_by, passed_over } => ("in", Some(served_by), passed_over),
        State::Out(closed) => ("out", None, closed),
    };
    let way = |l: &Link| {
        let name = (!l.upstream.is_empty()).then_some(l.upstream.as_str());
        json!({ "provider": l.provider.id, "name": name, "model": l.model.as_ref().map(|m| &m.id), "wire": l.wire().as_str() })
    };
    let reason = |c: &Closed| {
        let mut reason = way(&c.way);
        add(&mut reason, "why", json!(c.why.as_str()));
        add(&mut reason, "message", json!(c.to_string()));
        reason
    };
    add(entry, "state", json!(word));
    add(entry, "served_by", json!(served.map(way)));
    add(entry, "reasons", json!(closed.iter().map(reason).collect::<Vec<_>>()));
}

fn add(entry: &mut Value, key: &str, value: Value) {
    if let Some(entry) = entry.as_object_mut() {
        entry.insert(key.to_owned(), value);
    }
}

/// Everything that the catalogue says of a listed model, and how it stands for this user.
fn listed(app: &App, means: &Means<'_>, link: &Link, m: &Arc<Model>) -> Value {
    let mut entry = json!({
        "id": m.id, "listed": true, "provider": m.provider, "type": m.kind, "name": m.name, "display_name": m.display_name,
        "upstream": m.upstream, "via": m.via, "wire": link.wire().as_str(), "context": m.context, "max_output": m.max_output,
        "tier": m.tier, "capabilities": m.capabilities, "quota": m.quota, "paid": m.paid, "billing": m.billing, "batch": m.batch,
        "dimensions": m.dimensions, "price": m.price, "slimmer": link.slimmer(), "chains": chains_of(app, &m.id),
    });
    if let Some(state) = means.reach(&app.catalog, m) {
        add_state(&mut entry, &state);
    }
    entry
}

fn chains_of(app: &App, id: &str) -> Vec<Workload> {
    Workload::ALL.into_iter().filter(|w| app.catalog.chain(*w).iter().any(|m| m == id)).collect()
}

/// What a million tokens cost, or why there is no figure.
fn price(model: &Model) -> String {
    let figures = model.price.map(|p| (p.input, p.output));
    match (model.billing, figures) {
        (Billing::Free, _) => "free".to_owned(),
        (Billing::Subscription, _) => "by plan".to_owned(),
        (_, Some((Some(input), Some(output)))) => format!("${input} in, ${output} out"),
        (_, Some((Some(input), None))) => format!("${input} in"),
        (Billing::Metered | Billing::Unknown, _) => "price unknown".to_owned(),
    }
}
