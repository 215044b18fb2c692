//! The built-in catalogue holds what it must: models by type, chains, limits, windows, and no figure that nobody knows.

use super::*;
use crate::base::places::Places;
use std::collections::{BTreeMap, BTreeSet};

fn catalog() -> Catalog {
    let nowhere = std::path::PathBuf::from("/nonexistent-place-for-tests");
    Catalog::load(&Places { config: nowhere.clone(), state: nowhere.clone(), cache: nowhere }, None, &|_| None).unwrap()
}

#[test]
fn the_typed_models_by_type() {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for kind in catalog().models().iter().filter_map(|m| m.kind.clone()) {
        *count.entry(kind).or_default() += 1;
    }
    let wanted = [
        ("antigravity", 10),
        ("cerebras", 1),
        ("chatgpt", 2),
        ("claude_code", 3),
        ("custom_openai", 10),
        ("gemini", 2),
        ("openrouter", 2),
        ("zai_api", 2),
        ("zai_coding", 2),
    ];
    assert_eq!(count, wanted.map(|(k, n)| (k.to_owned(), n)).into());
    assert_eq!(count.values().sum::<usize>(), 34);
}

#[test]
fn the_chains() {
    let catalog = catalog();
    let [orchestrator, reasoning, coding, librarian] = Workload::ALL.map(|w| catalog.chain(w));
    assert_eq!([orchestrator, reasoning, coding, librarian].map(<[_]>::len), [10, 10, 9, 9]);
    let ends = [orchestrator, reasoning, coding, librarian].map(|c| (c[0].as_str(), c[c.len() - 1].as_str()));
    let wanted = [
        ("claude-code-claude-opus-4-5-20251101", "Cerebras-GLM-4.7"),
        ("claude-code-claude-sonnet-4-5-20250929", "Cerebras-GLM-4.7"),
        ("Cerebras-GLM-4.7", "synthetic-hf-zai-org-GLM-4.7"),
        ("claude-code-claude-haiku-4-5-20251001", "antigravity-gemini-3-pro-high"),
    ];
    assert_eq!(ends, wanted);
    let coding: Vec<&str> = coding.iter().map(String::as_str).collect();
    let wanted = [
        "Cerebras-GLM-4.7",
        "synthetic-GLM-4.7",
        "chatgpt-gpt-5.2-codex",
        "synthetic-MiniMax-M2.1",
        "synthetic-hf-MiniMaxAI-MiniMax-M2.1",
        "claude-code-claude-haiku-4-5-20251001",
        "antigravity-gemini-3-flash",
        "antigravity-claude-sonnet-4-5",
        "synthetic-hf-zai-org-GLM-4.7",
    ];
    assert_eq!(coding, wanted);
    let typed = |id: &String| catalog.model(id).unwrap().kind.is_some();
    assert!(Workload::ALL.iter().flat_map(|w| catalog.chain(*w)).all(typed));
}

#[test]
fn the_further_routes() {
    let catalog = catalog();
    let routes = |provider: &str| catalog.models().iter().filter(|m| m.provider == provider && m.kind.is_none()).count();
    let all = ["openrouter", "together", "groq", "gemini"].map(routes);
    assert!(all.iter().sum::<usize>() >= 70 && all.iter().all(|n| *n >= 8), "{all:?}");
}

#[test]
fn limits_of_quotas_and_of_windows_are_two_tables() {
    let catalog = catalog();
    let quota = |name| catalog.quota(name).map(|q| (q.tpm, q.tpd));
    for (name, tpm, tpd) in [
        ("cerebras", 300_000, 24_000_000),
        ("gemini", 100_000, 2_000_000),
        ("gemini_flash", 150_000, 2_000_000),
        ("codex", 200_000, 10_000_000),
        ("claude_sonnet", 100_000, 5_000_000),
        ("claude_opus", 50_000, 1_000_000),
        ("chatgpt", 150_000, 5_000_000),
        ("deepseek", 60_000, 500_000),
        ("kimi", 60_000, 500_000),
        ("qwen", 60_000, 500_000),
        ("minimax", 60_000, 500_000),
        ("openrouter_free", 20_000, 100_000),
        ("synthetic", 30_000, 200_000),
    ] {
        assert_eq!(quota(name), Some((Some(tpm), Some(tpd))), "{name}");
    }
    assert_eq!(quota("antigravity"), Some((None, None)), "one account-wide quota of unknown size");
    let slim = |link: Link| link.slimmer().map(|s| (s.compact_at, s.max_input, s.diet));
    for (provider, at, most, diet) in [
        ("cerebras", 0.2, 50_000, Diet::BootCamp),
        ("antigravity", 0.5, 100_000, Diet::Balanced),
        ("claude_code", 0.6, 180_000, Diet::Balanced),
        ("chatgpt", 0.55, 120_000, Diet::Balanced),
        ("anthropic", 0.7, 180_000, Diet::Maintenance),
        ("openai", 0.7, 120_000, Diet::Maintenance),
    ] {
        let link = catalog.on(catalog.provider(provider).unwrap(), "whatever-it-has");
        assert_eq!(slim(link), Some((Some(at), Some(most), Some(diet))), "{provider}");
    }
    for model in catalog.models().iter().filter(|m| m.provider == "openrouter") {
        let wanted = model.name.ends_with(":free").then_some((Some(0.25), Some(40_000), Some(Diet::BootCamp)));
        assert_eq!(slim(catalog.link(model).unwrap()), wanted, "{}", model.id);
        assert_eq!(model.quota == ["openrouter_free"], model.name.ends_with(":free"), "{}", model.id);
        assert_eq!(model.billing == Billing::Free, !model.paid, "{}", model.id);
    }
}

#[test]
fn what_is_one_model_is_one_quota_and_what_has_another_door_names_it() {
    let catalog = catalog();
    let model = |id: &str| catalog.model(id).unwrap();
    assert_eq!(model("synthetic-GLM-4.7").upstream, model("synthetic-hf-zai-org-GLM-4.7").upstream);
    assert_eq!(model("synthetic-Kimi-K2-Thinking").quota, ["kimi", "synthetic"]);
    for m in catalog.models() {
        for way in &m.via {
            assert_eq!(model(way).upstream, m.upstream, "{} via {way}", m.id);
        }
        let has_door = m.provider == "claude_code" || m.provider == "chatgpt" || m.id.starts_with("antigravity-gemini-");
        assert_eq!(!m.via.is_empty(), has_door, "{}", m.id);
    }
    let opt_in: Vec<&str> = catalog.providers().iter().filter(|p| p.opt_in.is_some()).map(|p| p.id.as_str()).collect();
    assert_eq!(opt_in, ["zai_coding", "claude_code", "antigravity"]);
    assert!(catalog.providers().iter().all(|p| p.opt_in != Some(OptIn::Given)));
}

#[test]
fn every_provider_says_how_it_is_reached() {
    let catalog = catalog();
    let wanted = [
        "anthropic",
        "antigravity",
        "azure",
        "cerebras",
        "chatgpt",
        "claude_cli",
        "claude_code",
        "codex_cli",
        "deepseek",
        "gemini",
        "gemini_openai",
        "groq",
        "llamacpp",
        "lmstudio",
        "local",
        "mistral",
        "ollama",
        "ollama_cloud",
        "openai",
        "openrouter",
        "synthetic",
        "together",
        "vllm",
        "xai",
        "zai_api",
        "zai_coding",
    ];
    assert_eq!(catalog.providers().iter().map(|p| p.id.as_str()).collect::<BTreeSet<_>>(), wanted.into());
    for p in catalog.providers() {
        let at_home = ["local", "ollama", "llamacpp", "lmstudio", "vllm"].contains(&p.id.as_str());
        assert_eq!(p.api_key_env.is_empty(), p.login.is_some() || at_home || p.wire.is_program(), "{}", p.id);
        assert_ne!(p.billing, Billing::Unknown, "{}", p.id);
        // What runs at home, and Azure's deployments, have the names that their owner gave them; Google's other flavour is
        // asked for by name.
        let unnamed = at_home || ["azure", "gemini_openai"].contains(&p.id.as_str());
        let default = p.default_model.as_deref().map(|id| catalog.model(id).unwrap().provider.as_str());
        assert_eq!(default, (!unnamed).then_some(p.id.as_str()));
        for (name, value) in &p.headers {
            assert_eq!((name.as_str(), value.as_str()), ("X-Title", "pup"), "{}: only pup's own name is shown", p.id);
        }
    }
}

#[test]
fn prices_are_whole_or_absent() {
    for m in catalog().models() {
        let Some(p) = m.price else { continue };
        assert!(p.input.is_some() && (p.output.is_some() || m.dimensions.is_some()), "{}", m.id);
        assert_eq!(p.input == Some(0.0), m.billing == Billing::Free, "{}: a price of nothing is a claim", m.id);
        assert!(p.cache_read.is_none() || p.cache_read < p.input, "{}", m.id);
        assert_ne!(m.billing, Billing::Subscription, "{}: a plan has no price by the token", m.id);
        if let Some(batch) = p.batch {
            assert!(m.batch && batch.input < p.input && batch.output < p.output, "{}", m.id);
        }
    }
}

#[test]
fn embedding_models_are_not_taken_for_agents() {
    for m in catalog().models() {
        assert_eq!(m.dimensions.is_some(), m.id.contains("embedding"), "{}", m.id);
        assert!(m.dimensions.is_none() || m.capabilities.as_deref() == Some(&[]), "{}", m.id);
    }
}

#[test]
fn the_page_about_models_names_each_that_is_on_no_chain() {
    let catalog = catalog();
    let page = include_str!("../../docs/models.md");
    let on: BTreeSet<&str> = Workload::ALL.iter().flat_map(|w| catalog.chain(*w)).map(String::as_str).collect();
    let off: Vec<&str> =
        catalog.models().iter().filter(|m| m.kind.is_some() && !on.contains(m.id.as_str())).map(|m| m.id.as_str()).collect();
    assert_eq!(off.len(), 9, "{off:?}");
    for id in off {
        assert!(page.contains(&format!("`{id}`")), "{id} is on no chain and docs/models.md does not say why");
    }
}
