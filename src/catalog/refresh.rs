//! What lists of models say that the catalogue does not: figures that changed, models that are new, models that are gone.
//! Nothing here asks or writes anything.
//!
//! Three rules keep it safe. What a user wrote stays. A model that a list does not have any more is reported and stays. And
//! a window is never widened beyond what its price is known for, since some prices rise with the prompt.

use super::build::{Catalog, Model};
use super::edit;
use super::format::Billing;
use crate::model::{Listed, ListedPrice};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// More models than any provider has.
const MOST_MODELS: usize = 20_000;

/// Dollars a million tokens above which a price is a mistake.
const MOST_DOLLARS: f64 = 10_000.0;

/// A window above this is a mistake.
const MOST_TOKENS: u64 = 100_000_000;

/// A list of one provider's models.
#[derive(Debug, Clone)]
pub struct Source<'l> {
    /// Id of the provider.
    pub provider: &'l str,
    pub from: From<'l>,
    pub models: &'l [Listed],
}

/// Who made the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From<'l> {
    /// The provider: what is not in there is gone.
    Provider,
    /// A file of this name, which may know some of the models only.
    File(&'l str),
}

/// A figure of a model's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Context,
    MaxOutput,
    Price(&'static str),
}

impl Field {
    fn name(self) -> String {
        match self {
            Self::Context => "context".to_owned(),
            Self::MaxOutput => "max_output".to_owned(),
            Self::Price(kind) => format!("price.{kind}"),
        }
    }
}

/// A figure that a list gives otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pub model: String,
    /// `context`, `max_output`, or `price.` and one of its keys.
    pub field: String,
    /// Null where it was unknown.
    pub old: Value,
    pub new: Value,
    pub source: String,
}

/// A figure that stays although a list gives another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kept {
    pub model: String,
    pub field: String,
    pub value: Value,
    pub listed: Value,
    pub source: String,
    pub why: &'static str,
}

/// A model that is to be added.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Added {
    pub id: String,
    pub entry: Map<String, Value>,
}

/// A model that its provider's list does not have any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gone {
    pub model: String,
    pub provider: String,
    pub name: String,
}

/// Everything that a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Refresh {
    pub changes: Vec<Change>,
    pub added: Vec<Added>,
    pub kept: Vec<Kept>,
    pub gone: Vec<Gone>,
    /// By provider: names of its list that the catalogue does not have.
    pub unknown: BTreeMap<String, Vec<String>>,
    pub warnings: Vec<String>,
}

/// What earlier updates wrote, by model and field. Whatever else stands in the user's file is the user's own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Written(BTreeMap<String, BTreeMap<String, Value>>);

/// The user's file, and what of it is not to be touched.
#[derive(Debug, Clone, Default)]
pub struct Own {
    pub text: String,
    pub written: Written,
}

impl Own {
    /// The user's own value of a field.
    fn value(&self, file: &Value, model: &str, field: &str) -> Option<Value> {
        let path = field.split('.').try_fold(file.get("models")?.get(model)?, |at, key| at.get(key))?;
        let ours = self.written.0.get(model).and_then(|fields| fields.get(field));
        (ours != Some(path)).then(|| path.clone())
    }

    /// The file and the record of what was written, with all of this in them. None where the file is not as it must be.
    pub fn with(&self, refresh: &Refresh) -> Option<Self> {
        let mut next = self.clone();
        for Change { model, field, new, .. } in &refresh.changes {
            let path: Vec<&str> = ["models", model].into_iter().chain(field.split('.')).collect();
            next.text = edit::set(&next.text, &path, new)?;
            next.written.note(model, field, new);
        }
        for Added { id, entry } in &refresh.added {
            next.text = edit::set(&next.text, &["models", id], &Value::Object(entry.clone()))?;
            for field in ["context", "max_output"] {
                entry.get(field).into_iter().for_each(|value| next.written.note(id, field, value));
            }
            for (kind, value) in entry.get("price").and_then(Value::as_object).into_iter().flatten() {
                next.written.note(id, &format!("price.{kind}"), value);
            }
        }
        Some(next)
    }
}

impl Written {
    fn note(&mut self, model: &str, field: &str, value: &Value) {
        self.0.entry(model.to_owned()).or_default().insert(field.to_owned(), value.clone());
    }
}

/// Why this cannot be a provider's list, if it cannot.
pub fn implausible(models: &[Listed]) -> Option<String> {
    match models.len() {
        0 => Some("its list of models is empty".to_owned()),
        n if n > MOST_MODELS => Some(format!("its list has {n} models, which cannot be right")),
        _ => None,
    }
}

/// Compares the catalogue with lists; of two that speak of one figure the first is believed. `built_in` is the catalogue
/// without anybody's file; `wanted` says which unknown models are to be added, by provider and name.
pub fn compare(catalog: &Catalog, built_in: &Catalog, sources: &[Source<'_>], own: &Own, wanted: &dyn Fn(&str, &str) -> bool) -> Refresh {
    let file = serde_json::from_str(own.text.trim_start_matches('\u{feff}')).unwrap_or(Value::Null);
    let mut found = Refresh::default();
    for model in catalog.models() {
        let lists = || sources.iter().filter(|s| s.provider == model.provider);
        let entries = lists().filter_map(|s| Some((s, s.models.iter().find(|l| plain(&l.id) == plain(&model.name))?)));
        let entries: Vec<(&Source<'_>, &Listed)> = entries.collect();
        let gone = lists().any(|s| s.from == From::Provider) && !entries.iter().any(|(s, _)| s.from == From::Provider);
        if gone {
            found.gone.push(Gone { model: model.id.clone(), provider: model.provider.clone(), name: model.name.clone() });
        }
        let offer = Offer::of(&entries, &model.id, &mut found.warnings);
        let own = |field: Field| own.value(&file, &model.id, &field.name());
        let built_in = built_in.model(&model.id).filter(|b| b.price == model.price).and_then(|b| b.context);
        Judge { model, priced_to: built_in.max(model.context), own: &own, found: &mut found }.judge(&offer);
    }
    for source in sources.iter().filter(|s| s.from == From::Provider) {
        let known =
            |listed: &&Listed| catalog.models().iter().any(|m| m.provider == source.provider && plain(&m.name) == plain(&listed.id));
        let mut unknown = Vec::new();
        for listed in source.models.iter().filter(|l| !known(l)) {
            let name = plain(&listed.id);
            let id = format!("{}/{name}", source.provider);
            if unknown.iter().any(|n| n == name) || found.added.iter().any(|a| a.id == id) || catalog.model(&id).is_some() {
                continue;
            }
            if wanted(source.provider, name) {
                let same = |s: &&Source<'_>| s.provider == source.provider;
                let entries = sources.iter().filter(same).filter_map(|s| Some((s, s.models.iter().find(|l| plain(&l.id) == name)?)));
                let offer = Offer::of(&entries.collect::<Vec<_>>(), &id, &mut found.warnings);
                found.added.push(Added { entry: offer.entry(source.provider, name), id });
            } else {
                unknown.push(name.to_owned());
            }
        }
        found.unknown.insert(source.provider.to_owned(), unknown);
    }
    found
}

/// Google writes its names with the collection before them.
fn plain(name: &str) -> &str {
    name.strip_prefix("models/").unwrap_or(name)
}

/// What the lists say of one model, without what makes no sense.
#[derive(Debug, Default)]
struct Offer {
    context: Option<(u64, String)>,
    max_output: Option<(u64, String)>,
    price: Option<(ListedPrice, String)>,
}

impl Offer {
    fn of(entries: &[(&Source<'_>, &Listed)], model: &str, warnings: &mut Vec<String>) -> Self {
        let mut offer = Self::default();
        for (source, listed) in entries {
            let from = match source.from {
                From::Provider => source.provider.to_owned(),
                From::File(name) => name.to_owned(),
            };
            let mut tokens = |what: &str, n: Option<u64>| {
                let n = n?;
                let sane = (1..=MOST_TOKENS).contains(&n);
                if !sane {
                    warnings.push(format!("{model}: a {what} of {n} tokens, as {from} has it, cannot be right; left out"));
                }
                sane.then(|| (n, from.clone()))
            };
            let (context, max_output) = (tokens("context", listed.context), tokens("max_output", listed.max_output));
            offer.context = offer.context.or(context);
            offer.max_output = offer.max_output.or(max_output);
            let mut price = listed.price;
            for (kind, figure) in figures_mut(&mut price) {
                if let Some(dollars) = figure.filter(|d| !(0.0..=MOST_DOLLARS).contains(d)) {
                    warnings.push(format!("{model}: a price ({kind}) of {dollars:?} dollars, as {from} has it, cannot be right; left out"));
                    *figure = None;
                }
            }
            if figures(&price).iter().any(|(_, figure)| figure.is_some()) {
                offer.price = offer.price.or(Some((price, from)));
            }
        }
        offer
    }

    /// The window as far as the price holds.
    fn window(&self) -> Option<u64> {
        let (window, _) = self.context.as_ref()?;
        Some(self.price.as_ref().and_then(|(price, _)| price.up_to).map_or(*window, |step| step.min(*window)))
    }

    /// A new entry.
    fn entry(&self, provider: &str, name: &str) -> Map<String, Value> {
        let mut entry = Map::new();
        let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
        put("provider", json!(provider));
        put("name", json!(name));
        self.window().map(|n| put("context", json!(n)));
        self.max_output.as_ref().map(|(n, _)| put("max_output", json!(n)));
        if let Some((price, _)) = &self.price {
            if price.input == Some(0.0) && price.output == Some(0.0) {
                put("paid", json!(false));
                put("billing", json!("free"));
            }
            let known = figures(price).into_iter().filter_map(|(kind, figure)| Some((kind.to_owned(), json!(figure?))));
            put("price", Value::Object(known.collect()));
        }
        entry
    }
}

type Figures<T> = [(&'static str, T); 4];

fn figures(p: &ListedPrice) -> Figures<Option<f64>> {
    [("input", p.input), ("cache_read", p.cache_read), ("cache_write", p.cache_write), ("output", p.output)]
}

fn figures_mut(p: &mut ListedPrice) -> Figures<&mut Option<f64>> {
    [("input", &mut p.input), ("cache_read", &mut p.cache_read), ("cache_write", &mut p.cache_write), ("output", &mut p.output)]
}

/// Decides about one model.
struct Judge<'a> {
    model: &'a Model,
    /// The window for which its price, if it has one, is known.
    priced_to: Option<u64>,
    own: &'a dyn Fn(Field) -> Option<Value>,
    found: &'a mut Refresh,
}

impl Judge<'_> {
    fn judge(&mut self, offer: &Offer) {
        let priced = self.price(offer);
        if let Some((listed, from)) = &offer.context {
            self.context(offer, *listed, from, priced);
        }
        if let Some((listed, from)) = &offer.max_output {
            self.figure(Field::MaxOutput, self.model.max_output.map(|n| json!(n)), json!(listed), from);
        }
    }

    /// Whether the lists' price is this model's.
    fn price(&mut self, offer: &Offer) -> bool {
        let Some((price, from)) = &offer.price else { return false };
        match self.model.billing {
            // A plan has no price by the token, and a gift none at all.
            Billing::Subscription | Billing::Free => {
                if self.model.billing == Billing::Free && figures(price).iter().any(|(_, figure)| figure.is_some_and(|d| d > 0.0)) {
                    let warning = format!("{}: the catalogue has it as free, but {from} has a price; left as it is", self.model.id);
                    self.found.warnings.push(warning);
                }
                return true;
            }
            Billing::Metered | Billing::Unknown => {}
        }
        if let (Some(step), Some(window)) = (price.up_to, self.window(offer))
            && window > step
        {
            // The entry is for the whole window, and its price is left unknown on purpose.
            return false;
        }
        let old = self.model.price.unwrap_or_default();
        let old = [old.input, old.cache_read, old.cache_write, old.output];
        for ((kind, new), old) in figures(price).into_iter().zip(old) {
            let same = new.zip(old).is_some_and(|(a, b)| (a - b).abs() <= a.abs().max(b.abs()) * 1e-9);
            if let Some(new) = new.filter(|_| !same) {
                self.figure(Field::Price(kind), old.map(|d| json!(d)), json!(new), from);
            }
        }
        true
    }

    /// The window that the entry will have at least: a list may make it smaller, unless the user has said what it is.
    fn window(&self, offer: &Offer) -> Option<u64> {
        let listed = offer.context.as_ref().map(|(n, _)| *n).filter(|_| (self.own)(Field::Context).is_none());
        let window = self.model.context?;
        Some(listed.map_or(window, |n| n.min(window)))
    }

    fn context(&mut self, offer: &Offer, listed: u64, from: &str, priced: bool) {
        let old = self.model.context;
        let fits = match (priced, self.model.price, self.priced_to) {
            (true, ..) => offer.window().unwrap_or(listed),
            (false, Some(_), Some(most)) => listed.min(most),
            (false, ..) => listed,
        };
        if fits < listed && !priced {
            self.keep(Field::Context, json!(fits), json!(listed), from, "its price is known up to there only");
        }
        self.figure(Field::Context, old.map(|n| json!(n)), json!(fits), from);
    }

    fn figure(&mut self, field: Field, old: Option<Value>, new: Value, from: &str) {
        if old.as_ref() == Some(&new) {
            return;
        }
        if let Some(own) = (self.own)(field).filter(|v| !v.is_null()) {
            return self.keep(field, own, new, from, "your own models.json says so");
        }
        let (model, field, source) = (self.model.id.clone(), field.name(), from.to_owned());
        self.found.changes.push(Change { model, field, old: old.unwrap_or(Value::Null), new, source });
    }

    fn keep(&mut self, field: Field, value: Value, listed: Value, from: &str, why: &'static str) {
        let (model, field, source) = (self.model.id.clone(), field.name(), from.to_owned());
        self.found.kept.push(Kept { model, field, value, listed, source, why });
    }
}

#[cfg(test)]
#[path = "refresh_tests.rs"]
mod tests;
