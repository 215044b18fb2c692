//! From merged entries to a catalogue in which every reference leads somewhere.

use super::foreign;
use super::format::{self, Billing, Capability, File, Login, ModelEntry, OptIn, Price, ProviderEntry, Quota, Rotation, Slimmer, WireId};
use super::layers::Layers;
use super::workload::Workload;
use crate::base::places::Places;
use crate::base::{Failure, nearest};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Where a provider is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Without a slash at its end.
    Url(String),
    /// Whatever server answers on this machine's loopback; only the provider `local`.
    Loopback,
    /// A vendor's own program, wherever it is installed.
    Program,
    /// At the user's own place, which this environment variable names and does not yet.
    Variable(String),
}

/// Waits of a provider; unset ones come from the config.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Option<Duration>,
    pub first_byte: Option<Duration>,
    pub idle: Option<Duration>,
}

/// Somebody who serves models.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    pub id: String,
    pub wire: WireId,
    pub endpoint: Endpoint,
    /// Environment variables that may hold the key; empty where none is needed, or where there is a login instead.
    pub api_key_env: Vec<String>,
    pub login: Option<Login>,
    pub opt_in: Option<OptIn>,
    pub headers: Vec<(String, String)>,
    pub quirks: Vec<String>,
    /// Names under which price lists know it, besides its id.
    pub listed_as: Vec<String>,
    /// The most texts that it takes in one call for embeddings.
    pub embed_inputs: Option<usize>,
    /// A model id of the catalogue.
    pub default_model: Option<String>,
    pub realtime_multiplier: f64,
    pub billing: Billing,
    pub slimmer: Option<Slimmer>,
    pub paid: bool,
    pub timeouts: Timeouts,
    pub rotation: Option<Rotation>,
    /// Its address was set by a repository: a secret that the user keeps under this id was not meant for it.
    pub foreign: bool,
}

impl Provider {
    /// Whether it is whatever runs on this machine, at its usual place or where the user said.
    pub fn is_local(&self) -> bool {
        self.id == LOCAL
    }
}

/// The provider of whatever server runs on this machine.
pub(super) const LOCAL: &str = "local";

/// Providers for one kind of server that people run themselves.
const AT_HOME: [&str; 4] = ["ollama", "llamacpp", "lmstudio", "vllm"];

/// The environment variable that says where a provider is.
fn override_name(id: &str) -> String {
    match id {
        LOCAL => "PUP_LOCAL_BASE_URL".to_owned(),
        id => format!("{}_BASE_URL", id.to_ascii_uppercase().replace(['-', '.'], "_")),
    }
}

/// A listed model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub id: String,
    /// Id of its provider.
    pub provider: String,
    pub kind: Option<String>,
    pub display_name: String,
    /// What the provider is told.
    pub name: String,
    /// Which model it really is; shared by entries that share limits.
    pub upstream: String,
    pub via: Vec<String>,
    /// The provider's wire unless the entry says otherwise.
    pub wire: WireId,
    /// Tokens; `None` is unknown.
    pub context: Option<u64>,
    pub max_output: Option<u64>,
    pub tier: Option<u8>,
    /// `None` is unknown: tools are then assumed.
    pub capabilities: Option<Vec<Capability>>,
    pub quota: Vec<String>,
    pub paid: bool,
    pub billing: Billing,
    pub batch: bool,
    pub dimensions: Option<u32>,
    pub price: Option<Price>,
    /// The entry's own, else its provider's.
    pub slimmer: Option<Slimmer>,
    pub settings: Map<String, Value>,
}

/// Everything that can be asked for, in the order of the files.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    providers: Vec<Arc<Provider>>,
    models: Vec<Arc<Model>>,
    chains: BTreeMap<Workload, Vec<String>>,
    quotas: BTreeMap<String, Quota>,
}

impl Catalog {
    /// Loads the built-in catalogue, the user's overlay and that of `project`, which must be trusted.
    /// `env` gives `<PROVIDER>_BASE_URL` (for `local`: `PUP_LOCAL_BASE_URL`), which wins over all files.
    pub fn load(places: &Places, project: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let layers = Layers::read(places, project)?;
        let file = layers.merge()?;
        Builder { layers: &layers, env }.build(file)
    }

    /// The built-in catalogue, without anybody's file.
    pub fn built_in() -> Result<Self, Failure> {
        let layers = Layers::built_in();
        let file = layers.merge()?;
        Builder { layers: &layers, env: &|_| None }.build(file)
    }

    pub fn provider(&self, id: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|p| p.id == id)
    }

    /// The user has agreed to the terms of a provider.
    pub fn agreed(&mut self, id: &str) {
        if let Some(provider) = self.providers.iter_mut().find(|p| p.id == id && p.opt_in.is_some()) {
            Arc::make_mut(provider).opt_in = Some(OptIn::Given);
        }
    }

    /// In order of preference.
    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    pub fn model(&self, id: &str) -> Option<&Arc<Model>> {
        self.models.iter().find(|m| m.id == id)
    }

    pub fn models(&self) -> &[Arc<Model>] {
        &self.models
    }

    /// Model ids, best first; empty where the workload has no chain.
    pub fn chain(&self, workload: Workload) -> &[String] {
        self.chains.get(&workload).map_or(&[], Vec::as_slice)
    }

    pub fn quota(&self, name: &str) -> Option<&Quota> {
        self.quotas.get(name)
    }
}

struct Builder<'a> {
    layers: &'a Layers,
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl Builder<'_> {
    fn build(&self, file: File) -> Result<Catalog, Failure> {
        let File { schema: _, quotas, providers, models, chains } = file;
        let quotas: BTreeMap<String, Quota> = quotas.0.into_iter().collect();
        let providers = providers.0.into_iter().map(|(id, e)| self.provider(id, e).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        let by_id: HashMap<&str, &Provider> = providers.iter().map(|p| (p.id.as_str(), p.as_ref())).collect();
        let models = models.0.into_iter().map(|(id, e)| self.model(id, e, &by_id).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        let model_ids: HashMap<&str, &Model> = models.iter().map(|m| (m.id.as_str(), m.as_ref())).collect();
        let known_quotas: HashMap<&str, &Quota> = quotas.iter().map(|(k, v)| (k.as_str(), v)).collect();
        for model in &models {
            self.check_model(model, &model_ids, &known_quotas)?;
        }
        for provider in &providers {
            if let Some(id) = &provider.default_model {
                self.known(&["providers", &provider.id, "default_model"], "model", id, &model_ids)?;
            }
        }
        let chains = self.chains(chains, &model_ids)?;
        Ok(Catalog { providers, models, chains, quotas })
    }

    fn provider(&self, id: String, entry: ProviderEntry) -> Result<Provider, Failure> {
        let fail = |field: &str, what: &str| Err(self.layers.failure(&["providers", &id, field], what, None));
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
            return Err(self.layers.failure(
                &["providers", &id],
                "is not a usable provider id",
                Some("use letters, digits, `_`, `-` and `.`".into()),
            ));
        }
        let missing = |key: &str, hint: &str| Err(self.layers.missing(&["providers", &id], key, hint));
        let Some(wire) = entry.wire else { return missing("wire", "say which protocol it speaks, e.g. \"wire\": \"openai-chat\"") };
        let Some(api_key_env) = entry.api_key_env else {
            return missing("api_key_env", "name the variables that hold the key, or [] where none is needed");
        };
        let own_address = self.override_of(&id)?;
        let foreign = own_address.is_none() && self.layers.project_says(&["providers", &id, "base_url"]);
        let endpoint = match (entry.base_url, own_address) {
            (None, _) if wire.is_program() => Endpoint::Program,
            (Some(_), _) if wire.is_program() => {
                return fail("base_url", "has no meaning for a program (`cli.claude` and `cli.codex` of the config say where one is)");
            }
            (_, Some(url)) => Endpoint::Url(url),
            (Some(variable), None) if variable.starts_with('$') => match variable.strip_prefix('$') {
                Some(name) if name == override_name(&id) => Endpoint::Variable(name.to_owned()),
                _ => return fail("base_url", &format!("can name only the variable ${}", override_name(&id))),
            },
            (Some(url), None) => match tidy_url(&url) {
                Some(url) => Endpoint::Url(url),
                None => return fail("base_url", &format!("is not an http or https address: {url:?}")),
            },
            (None, None) if id == LOCAL => Endpoint::Loopback,
            (None, None) => return missing("base_url", "give the address up to the path that the wire adds"),
        };
        for (name, value) in &entry.headers {
            let good = http::HeaderName::from_bytes(name.as_bytes()).is_ok() && http::HeaderValue::from_str(value).is_ok();
            if !good {
                return Err(self.layers.failure(&["providers", &id, "headers", name], "is not a usable HTTP header", None));
            }
        }
        let waits = entry.timeouts.unwrap_or_default();
        let Some(timeouts) = timeouts(waits) else { return fail("timeouts", "must be numbers of seconds above 0") };
        let realtime_multiplier = entry.realtime_multiplier.unwrap_or(1.0);
        if realtime_multiplier < 0.0 {
            return fail("realtime_multiplier", "must not be negative");
        }
        self.check_slimmer(&["providers", &id, "slimmer"], entry.slimmer.as_ref())?;
        let billing = entry.billing.unwrap_or_default();
        Ok(Provider {
            wire,
            endpoint,
            api_key_env,
            login: entry.login,
            opt_in: entry.opt_in,
            headers: entry.headers.into_iter().collect(),
            quirks: entry.quirks.unwrap_or_default(),
            listed_as: entry.listed_as.unwrap_or_default(),
            embed_inputs: entry.embed_inputs,
            default_model: entry.default_model,
            realtime_multiplier,
            billing,
            slimmer: entry.slimmer,
            paid: entry.paid.unwrap_or(billing != Billing::Free),
            timeouts,
            rotation: entry.rotation,
            foreign,
            id,
        })
    }

    fn override_of(&self, id: &str) -> Result<Option<String>, Failure> {
        // Google's own clients read another name.
        let names = std::iter::once(override_name(id)).chain((id == "gemini").then(|| "GOOGLE_GEMINI_BASE_URL".to_owned()));
        let set = |name: String| (self.env)(&name).map(|v| (name, v.trim().to_owned())).filter(|(_, v)| !v.is_empty());
        let Some((name, value)) = names.into_iter().find_map(set) else { return Ok(None) };
        let Some(url) = tidy_url(&value) else {
            return Err(Failure::config(format!("{name} is not an http or https address: {value:?}"))
                .hint(format!("e.g. {name}=http://127.0.0.1:8080/v1")));
        };
        // The servers that people run at home all serve the wire under /v1, and people name them by host and port.
        let bare = (id == LOCAL || AT_HOME.contains(&id)) && url.splitn(3, '/').nth(2).is_some_and(|rest| !rest.contains('/'));
        Ok(Some(if bare { format!("{url}/v1") } else { url }))
    }

    fn model(&self, id: String, entry: ModelEntry, providers: &HashMap<&str, &Provider>) -> Result<Model, Failure> {
        let Some(provider_id) = entry.provider else {
            return Err(self.layers.missing(&["models", &id], "provider", "name the provider that serves it"));
        };
        let provider = *self.known(&["models", &id, "provider"], "provider", &provider_id, providers)?;
        if let Some(price) = &entry.price
            && !prices(price).into_iter().flatten().all(|p| p >= 0.0)
        {
            return Err(self.layers.failure(&["models", &id, "price"], "must not be negative", None));
        }
        if let Some(wire) = entry.wire
            && wire.is_program() != provider.wire.is_program()
        {
            let what = format!("cannot be {} at {provider_id}, which speaks {}", wire.as_str(), provider.wire.as_str());
            return Err(self.layers.failure(&["models", &id, "wire"], &what, None));
        }
        self.check_slimmer(&["models", &id, "slimmer"], entry.slimmer.as_ref())?;
        let wire = entry.wire.unwrap_or(provider.wire);
        for name in entry.settings.keys() {
            if let Some((why, instead)) = foreign::why(wire, name) {
                let what = format!("{why}, and `{id}` speaks {}", wire.as_str());
                return Err(self.layers.failure(&["models", &id, "settings", name], &what, Some(instead.to_owned())));
            }
        }
        let name = entry.name.clone().or_else(|| entry.upstream.clone()).unwrap_or_else(|| id.clone());
        Ok(Model {
            kind: entry.kind,
            display_name: entry.display_name.unwrap_or_else(|| id.clone()),
            upstream: entry.upstream.unwrap_or_else(|| name.clone()),
            name,
            via: entry.via.unwrap_or_default(),
            wire,
            context: entry.context,
            max_output: entry.max_output,
            tier: entry.tier,
            capabilities: entry.capabilities,
            quota: entry.quota.unwrap_or_default(),
            paid: entry.paid.unwrap_or(provider.paid),
            billing: entry.billing.unwrap_or(provider.billing),
            batch: entry.batch.unwrap_or(false),
            dimensions: entry.dimensions,
            price: entry.price,
            slimmer: entry.slimmer.or_else(|| provider.slimmer.clone()),
            settings: entry.settings,
            provider: provider_id,
            id,
        })
    }

    fn check_slimmer(&self, path: &[&str], slimmer: Option<&Slimmer>) -> Result<(), Failure> {
        match slimmer.and_then(|s| s.compact_at) {
            Some(share) if !(0.0..=1.0).contains(&share) => {
                Err(self.layers.failure(path, "has a `compact_at` that is not a share between 0 and 1", None))
            }
            _ => Ok(()),
        }
    }

    fn check_model(&self, model: &Model, models: &HashMap<&str, &Model>, quotas: &HashMap<&str, &Quota>) -> Result<(), Failure> {
        for name in &model.quota {
            self.known_item(&["models", &model.id, "quota"], "quota", name, quotas)?;
        }
        for id in &model.via {
            self.known_item(&["models", &model.id, "via"], "model", id, models)?;
        }
        if model.via.is_empty() {
            return Ok(());
        }
        match cycle(model, models) {
            Some(round) => Err(self.goes_round(round)),
            None => Ok(()),
        }
    }

    /// The failure of a `via` that leads back, blamed on the member that was said last: that one closed the circle.
    fn goes_round(&self, mut round: Vec<String>) -> Failure {
        let newest = (0..round.len()).max_by_key(|ix| {
            let height = round.get(*ix).and_then(|id| self.layers.height(&["models", id, "via"]));
            (height, std::cmp::Reverse(*ix))
        });
        round.rotate_left(newest.unwrap_or(0));
        let start = round.first().cloned().unwrap_or_default();
        self.layers.failure(
            &["models", &start, "via"],
            &format!("leads back to itself: {} > {start}", round.join(" > ")),
            Some("`via` names other ways to the same model; remove one of these".into()),
        )
    }

    fn chains(&self, chains: format::Chains, models: &HashMap<&str, &Model>) -> Result<BTreeMap<Workload, Vec<String>>, Failure> {
        let format::Chains { orchestrator, reasoning, coding, librarian } = chains;
        let mut all = BTreeMap::new();
        let rows = [
            (Workload::Orchestrator, orchestrator),
            (Workload::Reasoning, reasoning),
            (Workload::Coding, coding),
            (Workload::Librarian, librarian),
        ];
        for (workload, chain) in rows {
            let Some(chain) = chain else { continue };
            let key = workload.as_str().to_ascii_lowercase();
            if chain.is_empty() {
                let hint = "name at least one model, or remove the key to keep the chain below";
                return Err(self.layers.failure(&["chains", &key], "has no members", Some(hint.into())));
            }
            let mut seen = HashSet::new();
            for id in &chain {
                self.known_item(&["chains", &key], "model", id, models)?;
                if !seen.insert(id) {
                    let hint = Some("remove one of the two".into());
                    return Err(self.layers.item_failure(&["chains", &key], id, &format!("lists `{id}` twice"), hint));
                }
            }
            all.insert(workload, chain);
        }
        Ok(all)
    }

    /// The entry called `id`, or a failure at `path` with the nearest names.
    fn known<'m, T>(&self, path: &[&str], what: &str, id: &str, all: &'m HashMap<&str, T>) -> Result<&'m T, Failure> {
        all.get(id).ok_or_else(|| self.layers.failure(path, &unknown(what, id), near(id, all)))
    }

    /// As [`Self::known`], for an item of the list at `path`.
    fn known_item<'m, T>(&self, path: &[&str], what: &str, id: &str, all: &'m HashMap<&str, T>) -> Result<&'m T, Failure> {
        all.get(id).ok_or_else(|| self.layers.item_failure(path, id, &unknown(what, id), near(id, all)))
    }
}

fn unknown(what: &str, id: &str) -> String {
    format!("names the unknown {what} `{id}`")
}

fn near<T>(id: &str, all: &HashMap<&str, T>) -> Option<String> {
    let mut names: Vec<&str> = all.keys().copied().collect();
    names.sort_unstable();
    nearest::did_you_mean(id, names)
}

/// The way round from `start` back to it, if `via` has one; `start` is named once.
fn cycle(start: &Model, models: &HashMap<&str, &Model>) -> Option<Vec<String>> {
    let mut open: Vec<Vec<&str>> = vec![vec![start.id.as_str()]];
    let mut seen = HashSet::new();
    while let Some(way) = open.pop() {
        let last = way.last().and_then(|id| models.get(id))?;
        for next in &last.via {
            if *next == start.id {
                return Some(way.into_iter().map(str::to_owned).collect());
            }
            let mut longer = way.clone();
            longer.push(next);
            if models.contains_key(next.as_str()) && seen.insert(next.as_str()) {
                open.push(longer);
            }
        }
    }
    None
}

fn prices(price: &Price) -> [Option<f64>; 6] {
    let batch = price.batch.unwrap_or_default();
    [price.input, price.cache_read, price.cache_write, price.output, batch.input, batch.output]
}

fn timeouts(entry: format::TimeoutsEntry) -> Option<Timeouts> {
    let wait = |seconds: Option<f64>| match seconds {
        None => Some(None),
        Some(s) => Duration::try_from_secs_f64(s).ok().filter(|d| !d.is_zero()).map(Some),
    };
    Some(Timeouts { connect: wait(entry.connect_s)?, first_byte: wait(entry.first_byte_s)?, idle: wait(entry.idle_s)? })
}

/// An http or https address without the slashes at its end; `None` where it is none.
fn tidy_url(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let uri: http::Uri = text.parse().ok()?;
    let good = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|h| !h.is_empty()) && uri.query().is_none();
    good.then(|| text.to_owned())
}
