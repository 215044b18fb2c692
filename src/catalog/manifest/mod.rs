//! Plugin manifests: the logins that pup can make and the terms that come before them, as data.
//!
//! The built-in ones are part of the program. The user's stand in `<config>/plugins/*/plugin.json` and may define further
//! logins, or change built-in ones key by key. A repository's plugins are never read here, trusted or not: who may say
//! where a login's tokens go could have them.

mod format;
mod oauth;

pub use format::{AccountFrom, AccountSource, Endpoints, Redirect, Strategy, TokenBody};
pub use oauth::OAuth;

use super::json::Kind;
use super::source::{Source, lay_over_with, with_hint};
use crate::base::Failure;
use crate::base::places::Places;
use format::{File, OAuthEntry, TermsEntry};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

const BUILT_IN: [(&str, &str); 4] = [
    ("built-in plugins/claude_code/plugin.json", include_str!("../../../plugins/claude_code/plugin.json")),
    ("built-in plugins/chatgpt/plugin.json", include_str!("../../../plugins/chatgpt/plugin.json")),
    ("built-in plugins/antigravity/plugin.json", include_str!("../../../plugins/antigravity/plugin.json")),
    ("built-in plugins/zai_coding/plugin.json", include_str!("../../../plugins/zai_coding/plugin.json")),
];

/// The version of the form that this program reads.
const SCHEMA: u32 = 1;

/// What a user has to agree to before a provider is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermsOfUse {
    pub paragraphs: Vec<String>,
    pub links: Vec<String>,
}

/// Everything that the plugins provide.
#[derive(Debug, Clone, Default)]
pub struct Manifests {
    oauth: BTreeMap<String, Arc<OAuth>>,
    terms: BTreeMap<String, TermsOfUse>,
}

impl Manifests {
    /// Reads the built-in manifests and the user's.
    pub fn load(places: &Places) -> Result<Self, Failure> {
        let mut layers: Vec<Layer> = Vec::new();
        for (label, text) in BUILT_IN {
            layers.push(Layer::new(Source::built_in(label, text))?);
        }
        let built_in = layers.len();
        for source in users(places)? {
            let layer = Layer::new(source)?;
            for (part, id) in layer.entries() {
                if let Some(other) = layers.iter().skip(built_in).find(|l| l.has(part, id)) {
                    let what = format!("is in {} too", other.source.label);
                    return Err(layer.failure(&["provides", part, id], &what, Some("keep one of the two")));
                }
            }
            layers.push(layer);
        }
        Layers(layers).build()
    }

    /// The login of a provider.
    pub fn oauth(&self, provider: &str) -> Option<&Arc<OAuth>> {
        self.oauth.get(provider)
    }

    /// Every login, by provider.
    pub fn logins(&self) -> impl Iterator<Item = &Arc<OAuth>> {
        self.oauth.values()
    }

    /// What a user has to agree to before using a provider.
    pub fn terms(&self, provider: &str) -> Option<&TermsOfUse> {
        self.terms.get(provider)
    }

    /// The variables that hold clients and their secrets.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.oauth.values().flat_map(|o| [o.client_id_env.as_deref(), o.client_secret_env.as_deref()]).flatten()
    }
}

/// The user's manifests, in the order of their folders' names.
fn users(places: &Places) -> Result<Vec<Source>, Failure> {
    let folder = places.config.join("plugins");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Failure::io("read", &folder, &e)),
    };
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path().join("plugin.json")).collect();
    paths.sort();
    paths.iter().filter(|p| p.exists()).filter_map(|p| Source::read(p).transpose()).collect()
}

/// A manifest whose form is right.
struct Layer {
    source: Source,
    provides: Map<String, Value>,
}

impl Layer {
    fn new(source: Source) -> Result<Self, Failure> {
        // What a newer form means is not known, so its version is looked at before its keys are.
        let mut value = source.syntax()?;
        let at = |key: &[&str]| source.tree().and_then(|t| t.find(key).map(|m| m.value.at)).unwrap_or(0);
        match value.get("schema") {
            Some(version) if version.as_u64().is_some_and(|v| v > u64::from(SCHEMA)) => {
                let hint = Some("update pup, or remove the plugin".to_owned());
                return Err(source.failure(
                    at(&["schema"]),
                    &["schema"],
                    &format!("is {version}; this version of pup reads {SCHEMA}"),
                    hint,
                ));
            }
            Some(version) if version.as_u64() == Some(u64::from(SCHEMA)) => {}
            Some(_) => return Err(source.failure(at(&["schema"]), &["schema"], &format!("must be {SCHEMA}"), None)),
            None => {
                let hint = Some(format!("begin the file with {{\"schema\": {SCHEMA}, ..."));
                return Err(source.failure::<&str>(0, &[], "has no `schema`", hint));
            }
        }
        source.value::<File>()?;
        let provides = value.get_mut("provides").map(Value::take).and_then(|v| if let Value::Object(m) = v { Some(m) } else { None });
        Ok(Self { source, provides: provides.unwrap_or_default() })
    }

    /// Every entry that it has: part and id.
    fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.provides
            .iter()
            .flat_map(|(part, entries)| entries.as_object().into_iter().flat_map(Map::keys).map(move |id| (part.as_str(), id.as_str())))
    }

    fn has(&self, part: &str, id: &str) -> bool {
        self.provides.get(part).is_some_and(|p| p.get(id).is_some())
    }

    fn failure(&self, path: &[&str], what: &str, hint: Option<&str>) -> Failure {
        let at = self.source.tree().and_then(|t| {
            let member = t.find(path)?;
            Some(if matches!(member.value.kind, Kind::Object(_)) { member.key_at } else { member.value.at })
        });
        self.source.failure(at.unwrap_or(0), path, what, hint.map(str::to_owned))
    }
}

/// The manifests, lowest first.
struct Layers(Vec<Layer>);

impl Layers {
    fn build(&self) -> Result<Manifests, Failure> {
        let mut merged = Value::Object(Map::new());
        for layer in &self.0 {
            lay_over_with(&mut merged, Value::Object(layer.provides.clone()), &|_, _| {});
        }
        let format::Provides { oauth, terms } = serde_json::from_value(merged).map_err(|e| {
            let names: Vec<&str> = self.0.iter().map(|l| l.source.label.as_str()).collect();
            Failure::config(format!("{} do not fit together: {e}", names.join(" and ")))
        })?;
        let oauth = oauth.into_iter().map(|(id, entry)| Ok((id.clone(), Arc::new(self.oauth(&id, entry)?))));
        let terms = terms.into_iter().map(|(id, TermsEntry { text, links })| (id, TermsOfUse { paragraphs: text, links }));
        Ok(Manifests { oauth: oauth.collect::<Result<_, Failure>>()?, terms: terms.collect() })
    }

    fn oauth(&self, id: &str, entry: OAuthEntry) -> Result<OAuth, Failure> {
        OAuth::new(id, entry).map_err(|wrong| {
            let mut path = vec!["provides", "oauth", id];
            path.extend(wrong.key.split('.').filter(|k| !k.is_empty()));
            self.failure(&path, &wrong.what, wrong.hint)
        })
    }

    /// A failure about the value at `path`, placed in the topmost manifest that has it, or has its entry.
    fn failure(&self, path: &[&str], what: &str, hint: Option<&str>) -> Failure {
        let has = |l: &&Layer, depth: usize| path.get(..depth).is_some_and(|p| l.source.tree().is_some_and(|t| t.find(p).is_some()));
        for depth in (1..=path.len()).rev() {
            if let Some(layer) = self.0.iter().rev().find(|l| has(l, depth)) {
                let known = path.get(..depth).unwrap_or(path);
                let missing = path.get(depth..).unwrap_or(&[]);
                let what = if missing.is_empty() { what.to_owned() } else { format!("has no `{}`: it {what}", missing.join(".")) };
                return layer.failure(known, &what, hint);
            }
        }
        with_hint(Failure::config(format!("plugin.json: {} {what}", super::check::key_path(path))), hint.map(str::to_owned))
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
