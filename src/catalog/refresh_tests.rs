//! What is compared, what changes, what stays; and that a second run finds nothing.

use super::super::price_list;
use super::*;
use crate::base::places::Places;
use proptest::prelude::*;
use std::path::Path;

fn load(home: &Path, text: &str) -> Catalog {
    let places = Places::under(home);
    std::fs::create_dir_all(&places.config).unwrap();
    std::fs::write(places.config.join("models.json"), text).unwrap();
    Catalog::load(&places, None, &|_| None).unwrap_or_else(|e| panic!("{}: {text}", e.message))
}

const ACME: &str = r#"{
  "providers": {
    "acme": { "wire": "openai-chat", "base_url": "http://127.0.0.1:9/v1", "api_key_env": [], "billing": "metered", "listed_as": ["the-acme"] },
    "plan": { "wire": "openai-chat", "base_url": "http://127.0.0.1:9/v1", "api_key_env": [], "billing": "subscription" }
  },
  "models": {
    "priced": { "provider": "acme", "name": "priced-1", "context": 200000, "price": { "input": 3.0, "output": 15.0, "batch": { "input": 1.5 } } },
    "bare": { "provider": "acme", "name": "bare-1" },
    "whole": { "provider": "acme", "name": "priced-1", "context": 1000000 },
    "gift": { "provider": "acme", "name": "gift-1", "billing": "free", "context": 5 },
    "planned": { "provider": "plan", "name": "p", "context": 1000 }
  }
}
"#;

fn listed(id: &str, context: Option<u64>, input: Option<f64>, up_to: Option<u64>) -> Listed {
    Listed { id: id.into(), context, max_output: None, price: ListedPrice { input, up_to, ..ListedPrice::default() } }
}

fn of<'l>(provider: &'l str, models: &'l [Listed]) -> Source<'l> {
    Source { provider, from: From::Provider, models }
}

fn lines(found: &Refresh) -> Vec<String> {
    let change = |c: &Change| format!("{} {} {} -> {}", c.model, c.field, c.old, c.new);
    let kept = |k: &Kept| format!("{} {} stays {}, not {}: {}", k.model, k.field, k.value, k.listed, k.why);
    let added = |a: &Added| format!("+ {} {}", a.id, Value::Object(a.entry.clone()));
    let gone = |g: &Gone| format!("- {} ({})", g.model, g.name);
    let warnings = found.warnings.iter().map(|w| format!("! {w}"));
    found
        .changes
        .iter()
        .map(change)
        .chain(found.kept.iter().map(kept))
        .chain(found.added.iter().map(added))
        .chain(found.gone.iter().map(gone))
        .chain(warnings)
        .collect()
}

#[test]
fn figures_change_only_where_that_is_safe() {
    let home = tempfile::tempdir().unwrap();
    let catalog = load(home.path(), ACME);
    let plan = [Listed { id: "models/p".into(), context: Some(2000), ..listed("p", None, Some(1.0), None) }];
    let look = |models: &[Listed]| {
        lines(&compare(&catalog, &catalog, &[of("acme", models), of("plan", &plan)], &Own::default(), &|_, name| name == "new-1"))
    };
    // A window wider than what the price is known for; the same with a price that says how far it goes; one without.
    assert_eq!(
        look(&[
            listed("priced-1", Some(1_000_000), None, None),
            listed("bare-1", Some(8), None, None),
            listed("gift-1", None, Some(0.0), None)
        ]),
        [
            "bare context null -> 8",
            "planned context 1000 -> 2000",
            "priced context stays 200000, not 1000000: its price is known up to there only",
        ]
    );
    assert_eq!(
        look(&[
            listed("priced-1", Some(1_000_000), Some(4.0), Some(272_000)),
            listed("bare-1", Some(500_000), Some(1.0), Some(128_000)),
            listed("gift-1", Some(9), Some(7.0), None)
        ]),
        [
            "priced price.input 3.0 -> 4.0",
            "priced context 200000 -> 272000",
            "bare price.input null -> 1.0",
            "bare context null -> 128000",
            "gift context 5 -> 9",
            "planned context 1000 -> 2000",
            "! gift: the catalogue has it as free, but acme has a price; left as it is",
        ]
    );
    // Gone, new, absurd.
    assert_eq!(
        look(&[
            listed("priced-1", Some(0), Some(-1.0), None),
            listed("bare-1", Some(u64::MAX), Some(20_000.0), None),
            listed("new-1", Some(1_000_000), Some(0.0), Some(100)),
            listed("other", None, None, None),
            listed("new-1", None, None, None),
        ]),
        [
            "planned context 1000 -> 2000",
            r#"+ acme/new-1 {"provider":"acme","name":"new-1","context":100,"price":{"input":0.0}}"#,
            "- gift (gift-1)",
            "! priced: a context of 0 tokens, as acme has it, cannot be right; left out",
            "! priced: a price (input) of -1.0 dollars, as acme has it, cannot be right; left out",
            "! bare: a context of 18446744073709551615 tokens, as acme has it, cannot be right; left out",
            "! bare: a price (input) of 20000.0 dollars, as acme has it, cannot be right; left out",
            "! whole: a context of 0 tokens, as acme has it, cannot be right; left out",
            "! whole: a price (input) of -1.0 dollars, as acme has it, cannot be right; left out",
        ]
    );
}

#[test]
fn what_the_user_wrote_stays_and_what_an_update_wrote_may_change() {
    let home = tempfile::tempdir().unwrap();
    let at = |window| {
        [
            listed("priced-1", Some(window), Some(9.0), None),
            listed("bare-1", Some(window), Some(9.0), None),
            listed("gift-1", None, None, None),
        ]
    };
    let nobody = |_: &str, _: &str| false;
    let own = Own { text: ACME.to_owned(), written: Written::default() };
    let first = compare(&load(home.path(), ACME), &Catalog::default(), &[of("acme", &at(7_000))], &own, &nobody);
    assert_eq!(
        lines(&first),
        [
            "bare price.input null -> 9.0",
            "bare context null -> 7000",
            "whole price.input null -> 9.0",
            "priced price.input stays 3.0, not 9.0: your own models.json says so",
            "priced context stays 200000, not 7000: your own models.json says so",
            "whole context stays 1000000, not 7000: your own models.json says so",
        ]
    );
    let own = own.with(&first).unwrap();
    let second = compare(&load(home.path(), &own.text), &Catalog::default(), &[of("acme", &at(8_000))], &own, &nobody);
    assert_eq!(second.changes.iter().map(|c| format!("{} {} {}", c.model, c.field, c.new)).collect::<Vec<_>>(), ["bare context 8000"]);
}

#[test]
fn a_price_file_is_read_under_any_name_of_a_provider() {
    let home = tempfile::tempdir().unwrap();
    let catalog = load(home.path(), ACME);
    let file = json!({
        "the-acme": {"id": "the-acme", "models": {
            "bare-1": {"cost": {"input": 2, "output": 8.5, "cache_read": 0.2, "context_over_200k": {"input": 4}}, "limit": {"context": 1_000_000, "output": 64_000}},
            "priced-1": {"cost": {"input": 3, "tiers": [{"input": 6, "tier": {"size": 272_000}}]}},
            "odd": {"cost": "free", "limit": null}
        }},
        "somebody-else": {"models": {"x": {}}}
    });
    let read = price_list::read(&file.to_string(), "prices.json", &catalog).unwrap();
    let [(provider, models)] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!(provider, "acme");
    let bare = models.iter().find(|m| m.id == "bare-1").unwrap();
    let price = ListedPrice { input: Some(2.0), output: Some(8.5), cache_read: Some(0.2), cache_write: None, up_to: Some(200_000) };
    assert_eq!((bare.context, bare.max_output, bare.price), (Some(1_000_000), Some(64_000), price));
    assert_eq!(models.iter().find(|m| m.id == "priced-1").unwrap().price.up_to, Some(272_000));
    for (text, wanted) in [
        ("<html>", "not JSON"),
        ("[]", "no list of prices"),
        ("{}", "no provider of the catalogue"),
        ("{\"acme\": {\"models\": {}}}", "no provider"),
    ] {
        let failure = price_list::read(text, "prices.json", &catalog).unwrap_err();
        assert!(failure.message.starts_with("prices.json: ") && failure.message.contains(wanted), "{failure:?}");
    }
    // Of two sources the provider's own counts, figure by figure.
    let list = [listed("bare-1", Some(128_000), None, None)];
    let sources = [of("acme", &list), Source { provider: "acme", from: From::File("prices.json"), models }];
    let found = compare(&catalog, &catalog, &sources, &Own::default(), &|_, _| false);
    let bare: Vec<String> =
        found.changes.iter().filter(|c| c.model == "bare").map(|c| format!("{} {} {}", c.field, c.new, c.source)).collect();
    assert_eq!(
        bare,
        [
            "price.input 2.0 prices.json",
            "price.cache_read 0.2 prices.json",
            "price.output 8.5 prices.json",
            "context 128000 acme",
            "max_output 64000 prices.json"
        ]
    );
    assert!(found.gone.iter().any(|g| g.model == "priced"), "only the provider's own list tells what is gone");
}

prop_compose! {
    fn any_listed()(
        id in prop_oneof![Just("priced-1"), Just("bare-1"), Just("gift-1"), Just("new-1"), Just("models/new-2")],
        context in prop::option::of(prop_oneof![Just(0u64), 1_000u64..2_000_000, Just(u64::MAX)]),
        max_output in prop::option::of(1u64..100_000),
        input in prop::option::of(prop_oneof![Just(0.0), Just(-1.0), Just(3.0), 0.001f64..50_000.0]),
        output in prop::option::of(0.0f64..100.0),
        up_to in prop::option::of(prop_oneof![Just(1u64), 1_000u64..2_000_000]),
    ) -> Listed {
        Listed { id: id.into(), context, max_output, price: ListedPrice { input, output, up_to, ..ListedPrice::default() } }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_second_run_finds_nothing_and_nothing_is_lost(
        lists in prop::collection::vec(any_listed(), 1..6), file in prop::collection::vec(any_listed(), 0..4), mine in any::<bool>()
    ) {
        let home = tempfile::tempdir().unwrap();
        let own = Own { text: if mine { ACME.to_owned() } else { ACME.replace(", \"context\": 5", "") }, written: Written::default() };
        let sources = [of("acme", &lists), Source { provider: "acme", from: From::File("f"), models: &file }];
        let everything = |_: &str, _: &str| true;
        let before = load(home.path(), &own.text);
        let first = compare(&before, &Catalog::default(), &sources, &own, &everything);
        let own = own.with(&first).unwrap();
        let after = load(home.path(), &own.text);
        let second = compare(&after, &Catalog::default(), &sources, &own, &everything);
        prop_assert!(second.changes.is_empty() && second.added.is_empty(), "{:?}\n{}", second, own.text);
        prop_assert!(before.models().iter().all(|m| after.model(&m.id).is_some()));
        let priced = after.model("priced").unwrap();
        prop_assert_eq!((priced.context, priced.price.unwrap().input, priced.price.unwrap().batch.unwrap().input), (Some(200_000), Some(3.0), Some(1.5)));
        for model in after.models().iter().filter(|m| m.provider == "acme") {
            let price = model.price.unwrap_or_default();
            prop_assert!([price.input, price.output].into_iter().flatten().all(|d| (0.0..=MOST_DOLLARS).contains(&d)));
        }
    }
}
