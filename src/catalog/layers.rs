//! The layers of the catalogue: built-in, user, trusted project; merged key by key, each able to say where a key stands.

use super::check;
use super::format::File;
use super::json::Kind;
use super::source::{Source, lay_over_with, with_hint};
use crate::base::Failure;
use crate::base::places::Places;
use serde_json::{Map, Value};
use std::path::Path;

const BUILT_IN: &str = include_str!("../../models.json");

/// What decides where a request and its secret go, and what only the user can agree to. A project may set them only for
/// a provider of its own.
const GUARDED: [&str; 4] = ["base_url", "headers", "login", "opt_in"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    BuiltIn,
    User,
    Project,
}

#[derive(Debug)]
struct Layer {
    owner: Owner,
    source: Source,
}

/// All layers, lowest first.
#[derive(Debug)]
pub struct Layers(Vec<Layer>);

impl Layers {
    /// The built-in one alone.
    pub fn built_in() -> Self {
        Self(vec![Layer { owner: Owner::BuiltIn, source: Source::built_in("built-in models.json", BUILT_IN) }])
    }

    /// Reads the user's file and, where `project` names a trusted root, the project's. Absent files are no layers.
    pub fn read(places: &Places, project: Option<&Path>) -> Result<Self, Failure> {
        let Self(mut all) = Self::built_in();
        let files = [(Owner::User, Some(places.config.join("models.json"))), (Owner::Project, project.map(|p| p.join(".pup/models.json")))];
        for (owner, path) in files {
            if let Some(source) = path.map(|p| Source::read(&p)).transpose()?.flatten() {
                all.push(Layer { owner, source });
            }
        }
        Ok(Self(all))
    }

    /// Parses and merges all layers. Without overlays this is one pass over the built-in text.
    pub fn merge(&self) -> Result<File, Failure> {
        let [built_in] = self.0.as_slice() else { return self.merge_overlays() };
        let Source { label, text } = &built_in.source;
        serde_json::from_str(text).map_err(|e| Failure::internal(format!("{label}: {e}")))
    }

    fn merge_overlays(&self) -> Result<File, Failure> {
        let mut merged = Value::Object(Map::new());
        for layer in &self.0 {
            let value = layer.parse()?;
            match layer.owner {
                Owner::Project => {
                    let value = layer.guard(value, &merged)?;
                    lay_over(&mut merged, value);
                }
                Owner::BuiltIn | Owner::User => lay_over(&mut merged, value),
            }
        }
        serde_json::from_value(merged).map_err(|e| {
            let names: Vec<&str> = self.0.iter().map(|l| l.source.label.as_str()).collect();
            Failure::config(format!("{} do not fit together: {e}", names.join(" and ")))
        })
    }

    /// A failure about a key that the entry at `path` lacks, placed at the entry's topmost mention.
    pub fn missing(&self, path: &[&str], key: &str, hint: &str) -> Failure {
        self.failure(path, &format!("has no `{key}`"), Some(hint.to_owned()))
    }

    /// A failure about the string `item` of the list at `path`, placed where the topmost layer that has the list says it.
    pub fn item_failure(&self, path: &[&str], item: &str, what: &str, hint: Option<String>) -> Failure {
        let topmost = self.0.iter().rev().find_map(|l| l.source.tree().filter(|t| t.find(path).is_some()).map(|t| (l, t)));
        match topmost.and_then(|(layer, tree)| Some((layer, tree.find_item(path, item)?))) {
            Some((layer, at)) => layer.source.failure(at, path, what, hint),
            None => self.failure(path, what, hint),
        }
    }

    /// How high the topmost layer stands that has `path`: the higher, the later it was said.
    pub fn height(&self, path: &[&str]) -> Option<usize> {
        self.0.iter().rposition(|l| l.source.tree().is_some_and(|t| t.find(path).is_some()))
    }

    /// Whether a project's file has `path`.
    pub fn project_says(&self, path: &[&str]) -> bool {
        let of_project = self.0.iter().filter(|l| l.owner == Owner::Project);
        of_project.filter_map(|l| l.source.tree()).any(|t| t.find(path).is_some())
    }

    /// A failure about the value at `path`, placed in the topmost layer that has it (or has its entry).
    pub fn failure(&self, path: &[&str], what: &str, hint: Option<String>) -> Failure {
        for depth in (1..=path.len()).rev() {
            let Some(prefix) = path.get(..depth) else { continue };
            for layer in self.0.iter().rev() {
                if let Some(member) = layer.source.tree().as_ref().and_then(|t| t.find(prefix)) {
                    let whole = depth == path.len() && !matches!(member.value.kind, Kind::Object(_));
                    let at = if whole { member.value.at } else { member.key_at };
                    return layer.source.failure(at, path, what, hint);
                }
            }
        }
        with_hint(Failure::config(format!("models.json: {} {what}", check::key_path(path))), hint)
    }
}

impl Layer {
    fn parse(&self) -> Result<Value, Failure> {
        match self.owner {
            // Checked by a test.
            Owner::BuiltIn => self.source.syntax(),
            Owner::User | Owner::Project => self.source.value::<File>(),
        }
    }

    /// Holds a project's layer to the rule that it never redirects a secret that is not its own.
    ///
    /// A provider entry that names its own key variables replaces address and headers of the layers below as a whole,
    /// so that nothing of theirs travels to the new address.
    fn guard(&self, mut value: Value, below: &Value) -> Result<Value, Failure> {
        self.guard_money(&value, below)?;
        let taken = key_variables(below);
        let Some(Value::Object(providers)) = value.get_mut("providers") else { return Ok(value) };
        for (id, entry) in providers.iter_mut() {
            let Value::Object(entry) = entry else { continue };
            let known = self::entry(below, "providers", id).is_some();
            if let Some(field) = ["login", "opt_in"].into_iter().find(|f| known && entry.contains_key(*f)) {
                let what = "cannot be set by a project: only you log in, and agree to a provider's terms";
                return Err(self.refuse(&["providers", id, field], what));
            }
            match entry.get("api_key_env").and_then(Value::as_array) {
                Some(names) => {
                    if let Some(name) = names.iter().filter_map(Value::as_str).find(|n| taken.contains(&family(n))) {
                        return Err(
                            self.refuse(&["providers", id, "api_key_env"], &format!("names {name}, which is the key of another provider"))
                        );
                    }
                    if known {
                        entry.insert(REPLACES.to_owned(), Value::Bool(true));
                    }
                }
                None => {
                    if let Some(field) = GUARDED.into_iter().find(|f| known && entry.contains_key(*f)) {
                        let what = format!("cannot be set by a project: `{id}` uses a key that this file does not name");
                        return Err(self.refuse(&["providers", id, field], &what));
                    }
                }
            }
        }
        Ok(value)
    }

    /// Nor does it say what the user pays where the user pays: caps and the gate of paid models reckon with that.
    fn guard_money(&self, value: &Value, below: &Value) -> Result<(), Failure> {
        // One that the file brings itself, or gives a key of its own.
        let is_own = |id: &str| {
            entry(value, "providers", id).is_some_and(|p| p.get("api_key_env").is_some() || entry(below, "providers", id).is_none())
        };
        let entries = |list: &str| value.get(list).and_then(Value::as_object).into_iter().flatten();
        for (id, said) in entries("providers").filter(|(id, _)| !is_own(id)) {
            self.refuse_money(&["providers", id], id, said, &["billing", "paid", "realtime_multiplier"])?;
        }
        for (id, said) in entries("models") {
            let known = entry(below, "models", id);
            let provider = said.get("provider").or_else(|| known?.get("provider")).and_then(Value::as_str).unwrap_or_default();
            if !is_own(provider) {
                // The price of one model must not stand at another one.
                let fields: &[&str] =
                    if known.is_some() { &["price", "billing", "paid", "name", "provider"] } else { &["price", "billing", "paid"] };
                self.refuse_money(&["models", id], provider, said, fields)?;
            }
        }
        Ok(())
    }

    fn refuse_money(&self, at: &[&str], provider: &str, entry: &Value, fields: &[&str]) -> Result<(), Failure> {
        // That something is paid for makes nothing looser.
        let looser = |field: &&&str| entry.get(**field).is_some_and(|value| **field != "paid" || *value != Value::Bool(true));
        match fields.iter().find(looser) {
            Some(field) => {
                let what = format!("cannot be set by a project: what `{provider}` costs is paid with a key that this file does not name");
                Err(self.refuse(&[at, &[field]].concat(), &what))
            }
            None => Ok(()),
        }
    }

    fn refuse(&self, path: &[&str], what: &str) -> Failure {
        let at = self.source.tree().as_ref().and_then(|t| t.find(path)).map_or(0, |m| m.key_at);
        let hint = "set it in your own models.json (`pup config path` shows the folder), or give the project's provider an id and an `api_key_env` of its own";
        self.source.failure(at, path, what, Some(hint.into()))
    }
}

fn entry<'v>(layer: &'v Value, list: &str, id: &str) -> Option<&'v Value> {
    layer.get(list)?.get(id)
}

/// Marks an entry whose guarded fields replace those below; never written by people (the key check refuses it).
const REPLACES: &str = "\u{0}replaces";

/// The variables that hold keys of the providers below, by their families.
fn key_variables(below: &Value) -> Vec<String> {
    let providers = below.get("providers").and_then(Value::as_object);
    let names = providers.into_iter().flat_map(Map::values).filter_map(|p| p.get("api_key_env")?.as_array());
    names.flatten().filter_map(Value::as_str).map(family).collect()
}

/// `NAME` of `NAME` and of `NAME_7`, which holds more keys of the same provider. Some systems do not tell cases apart.
fn family(name: &str) -> String {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let stem = stem.strip_suffix('_').filter(|_| stem.len() < name.len()).unwrap_or(name);
    stem.to_ascii_uppercase()
}

/// Objects merge member by member, everything else replaces; an entry that replaces guarded fields begins without them.
fn lay_over(below: &mut Value, above: Value) {
    lay_over_with(below, above, &|old, new| {
        if new.remove(REPLACES).is_some() {
            old.retain(|key, _| !GUARDED.contains(&key.as_str()));
        }
    });
}
