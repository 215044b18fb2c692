//! A file of models and prices in the form of <https://models.dev/api.json>: `{provider: {models: {id: {cost, limit}}}}`, with
//! dollars a million tokens.

use super::build::Catalog;
use crate::base::Failure;
use crate::model::{Listed, ListedPrice};
use serde_json::Value;

/// What the file says of each provider of the catalogue that it has, under its id or another name of it.
pub fn read(text: &str, name: &str, catalog: &Catalog) -> Result<Vec<(String, Vec<Listed>)>, Failure> {
    let form =
        "the form is {\"PROVIDER\": {\"models\": {\"ID\": {\"cost\": {...}, \"limit\": {...}}}}}, as https://models.dev/api.json has it";
    let root: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|e| Failure::config(format!("{name}: this is not JSON: {e}")).hint(form))?;
    let Some(root) = root.as_object() else { return Err(Failure::config(format!("{name}: this is no list of prices")).hint(form)) };
    let mut all = Vec::new();
    for provider in catalog.providers() {
        let names = std::iter::once(&provider.id).chain(&provider.listed_as);
        let models = names.filter_map(|n| root.get(n)?.get("models")?.as_object()).flatten();
        let models: Vec<Listed> = models.map(|(id, entry)| listed(id, entry)).collect();
        if !models.is_empty() {
            all.push((provider.id.clone(), models));
        }
    }
    if all.is_empty() { Err(Failure::config(format!("{name}: no provider of the catalogue has models there")).hint(form)) } else { Ok(all) }
}

fn listed(id: &str, entry: &Value) -> Listed {
    let tokens = |place: &str| entry.pointer(place).and_then(Value::as_u64).filter(|n| *n > 0);
    let cost = entry.get("cost").and_then(Value::as_object);
    let dollars = |kind: &str| cost.and_then(|c| c.get(kind)?.as_f64());
    // `context_over_200k` is the price above 200,000 tokens; newer files have a list of such steps.
    let over = |key: &str| key.strip_prefix("context_over_")?.strip_suffix('k')?.parse::<u64>().ok().map(|k| k * 1000);
    let tiers = cost.and_then(|c| c.get("tiers")?.as_array()).into_iter().flatten();
    let steps =
        cost.into_iter().flat_map(|c| c.keys().filter_map(|k| over(k))).chain(tiers.filter_map(|t| t.pointer("/tier/size")?.as_u64()));
    let price = ListedPrice {
        input: dollars("input"),
        cache_read: dollars("cache_read"),
        cache_write: dollars("cache_write"),
        output: dollars("output"),
        up_to: steps.filter(|n| *n > 0).min(),
    };
    Listed { id: id.to_owned(), context: tokens("/limit/context"), max_output: tokens("/limit/output"), price }
}
