//! Chains as they stand for users with this or that in hand.

use super::*;
use crate::base::places::Places;

/// A user, by the providers that would answer.
struct User {
    providers: &'static [&'static str],
    paid: Paid,
    overlay: Option<&'static str>,
}

impl User {
    fn with(providers: &'static [&'static str]) -> Self {
        Self { providers, paid: Paid::Used, overlay: None }
    }

    fn overlay(self, text: &'static str) -> Self {
        Self { overlay: Some(text), ..self }
    }

    fn frugal(self) -> Self {
        Self { paid: Paid::Skipped, ..self }
    }

    fn catalog(&self) -> Catalog {
        let dir = tempfile::tempdir().unwrap();
        let d = dir.path();
        if let Some(text) = self.overlay {
            std::fs::write(d.join("models.json"), text).unwrap();
        }
        Catalog::load(&Places { config: d.into(), state: d.into(), cache: d.into() }, None, &|_| None).unwrap()
    }

    /// A build that speaks the protocols of the vendors' APIs and programs, without that of Antigravity, and makes no logins.
    fn ask<T>(&self, question: impl FnOnce(&Catalog, &Terms<'_>) -> T) -> T {
        let usable = |p: &Provider| match p.login {
            _ if self.providers.contains(&p.id.as_str()) => Usable::Yes,
            Some(_) => Usable::NoLogin,
            None if p.endpoint == Endpoint::Program => Usable::NoProgram,
            None if p.is_local() => Usable::NoServer,
            None if p.api_key_env.is_empty() => Usable::Yes,
            None => Usable::NoKey,
        };
        let speaks = |w: WireId| w != WireId::Antigravity;
        question(&self.catalog(), &Terms { usable: &usable, speaks: &speaks, paid: self.paid })
    }

    fn chain(&self, workload: Workload) -> Vec<ChainLink> {
        self.ask(|catalog, terms| catalog.chain_links(workload, terms))
    }

    /// `ID <- PROVIDER/NAME` of the links that can be tried.
    fn open(&self, workload: Workload) -> Vec<String> {
        let row = |l: &ChainLink| match &l.state {
            State::In { served_by, .. } => Some(format!("{} <- {}/{}", l.id, served_by.provider.id, served_by.upstream)),
            State::Out(_) => None,
        };
        self.chain(workload).iter().filter_map(row).collect()
    }

    /// What is said of the link with this id.
    fn said(&self, workload: Workload, id: &str) -> Vec<String> {
        let chain = self.chain(workload);
        let link = chain.iter().find(|l| l.id == id).unwrap();
        let (State::In { passed_over: closed, .. } | State::Out(closed)) = &link.state;
        closed.iter().map(ToString::to_string).collect()
    }
}

#[test]
fn with_nothing_every_link_is_out_and_says_why() {
    let user = User::with(&[]);
    for (workload, members) in Workload::ALL.into_iter().zip([10, 10, 9, 9]) {
        let chain = user.chain(workload);
        assert_eq!(chain.iter().filter(|l| matches!(l.place, Place::Chain(_))).count(), members);
        assert!(chain.iter().all(|l| matches!(&l.state, State::Out(why) if !why.is_empty())), "{chain:?}");
        let last = chain.last().unwrap();
        assert_eq!((last.id.as_str(), last.place), ("local", Place::Tail));
    }
    assert_eq!(user.said(Workload::Coding, "Cerebras-GLM-4.7"), ["cerebras: CEREBRAS_API_KEY is not set"]);
    assert_eq!(user.said(Workload::Coding, "synthetic-GLM-4.7"), ["synthetic: none of SYN_API_KEY, SYNTHETIC_API_KEY is set"]);
    assert_eq!(
        user.said(Workload::Coding, "claude-code-claude-haiku-4-5-20251001"),
        [
            "claude_code: not logged in: pup auth login claude_code",
            "anthropic: ANTHROPIC_API_KEY is not set",
            "claude_cli: the program claude is not installed"
        ]
    );
    assert_eq!(
        user.said(Workload::Coding, "chatgpt-gpt-5.2-codex"),
        [
            "chatgpt: not logged in: pup auth login chatgpt",
            "openai: OPENAI_API_KEY is not set",
            "codex_cli: the program codex is not installed"
        ]
    );
    assert_eq!(user.said(Workload::Coding, "local"), ["local: no model server answers on this machine"]);
}

#[test]
fn one_key_keeps_the_order_of_the_chain() {
    let open = User::with(&["synthetic"]).open(Workload::Coding);
    let wanted = [
        "synthetic-GLM-4.7 <- synthetic/hf:zai-org/GLM-4.7",
        "synthetic-MiniMax-M2.1 <- synthetic/hf:MiniMaxAI/MiniMax-M2.1",
        "synthetic-hf-MiniMaxAI-MiniMax-M2.1 <- synthetic/hf:MiniMaxAI/MiniMax-M2.1",
        "synthetic-hf-zai-org-GLM-4.7 <- synthetic/hf:zai-org/GLM-4.7",
    ];
    assert_eq!(open, wanted);
}

#[test]
fn an_anthropic_key_serves_the_claude_code_links_in_their_places() {
    let user = User::with(&["anthropic"]);
    let wanted = [
        "claude-code-claude-opus-4-5-20251101 <- anthropic/claude-opus-4-5-20251101",
        "claude-code-claude-sonnet-4-5-20250929 <- anthropic/claude-sonnet-4-5-20250929",
    ];
    assert_eq!(user.open(Workload::Orchestrator), wanted, "the default model is there already, so it is not in the tail");
    let coding = user.chain(Workload::Coding);
    let haiku = coding.iter().find(|l| l.id == "claude-code-claude-haiku-4-5-20251001").unwrap();
    assert_eq!(haiku.place, Place::Chain(6));
    assert_eq!(user.said(Workload::Coding, &haiku.id), ["claude_code: not logged in: pup auth login claude_code"]);
    assert_eq!(user.open(Workload::Coding).last().unwrap(), "claude-sonnet-4-5-20250929 <- anthropic/claude-sonnet-4-5-20250929");
}

#[test]
fn a_google_key_serves_the_gemini_links_of_antigravity() {
    let wanted = [
        "antigravity-gemini-3-flash <- gemini/gemini-3-flash-preview",
        "antigravity-gemini-3-pro-low <- gemini/gemini-3-pro-preview",
        "antigravity-gemini-3-pro-high <- gemini/gemini-3-pro-preview",
        "gemini-2.5-flash <- gemini/gemini-2.5-flash",
    ];
    assert_eq!(User::with(&["gemini"]).open(Workload::Librarian), wanted);
}

#[test]
fn a_key_of_any_provider_is_enough_and_the_best_tier_comes_first() {
    for id in ["openai", "anthropic", "groq", "together", "gemini", "openrouter", "cerebras", "synthetic", "zai_api", "local"] {
        let user = User { providers: Box::leak(Box::new([id])), paid: Paid::Used, overlay: None };
        for workload in Workload::ALL {
            assert!(!user.open(workload).is_empty(), "{id} does not serve {workload}");
        }
    }
    let many = User::with(&["local", "groq", "openai", "zai_api"]).open(Workload::Reasoning);
    let wanted = [
        "chatgpt-gpt-5.2-codex <- openai/gpt-5.2-codex",
        "zai-glm-4.7-api <- zai_api/glm-4.7",
        "gpt-4.1 <- openai/gpt-4.1",
        "groq-llama-3.3-70b <- groq/llama-3.3-70b-versatile",
        "local <- local/",
    ];
    assert_eq!(many, wanted);
}

#[test]
fn a_provider_whose_terms_may_forbid_it_waits_for_the_users_word() {
    let keys = &["zai_api", "zai_coding"];
    let said = User::with(keys).said(Workload::Coding, "zai-glm-4.7-coding");
    assert!(said[0].starts_with("zai_coding: its terms may not allow this") && said[0].contains("pup auth login zai_coding"), "{said:?}");
    let agreed = User::with(keys).overlay(r#"{"providers": {"zai_coding": {"opt_in": "given"}}}"#);
    assert_eq!(agreed.open(Workload::Coding), ["zai-glm-4.7-api <- zai_api/glm-4.7", "zai-glm-4.7-coding <- zai_coding/glm-4.7"]);
    let login = User::with(&["claude_code", "anthropic"]);
    assert_eq!(login.open(Workload::Coding)[0], "claude-code-claude-haiku-4-5-20251001 <- anthropic/claude-haiku-4-5-20251001");
    let agreed = login.overlay(r#"{"providers": {"claude_code": {"opt_in": "given"}}}"#);
    assert_eq!(agreed.open(Workload::Coding)[0], "claude-code-claude-haiku-4-5-20251001 <- claude_code/claude-haiku-4-5-20251001");
}

#[test]
fn without_paid_models_only_what_is_free_is_left() {
    let user = User::with(&["cerebras", "openrouter", "openai", "local"]).frugal();
    let wanted = [
        "openrouter-arcee-ai-trinity-large-preview-free <- openrouter/arcee-ai/trinity-large-preview:free",
        "openrouter-stepfun-step-3.5-flash-free <- openrouter/stepfun/step-3.5-flash:free",
        "local <- local/",
    ];
    assert_eq!(user.open(Workload::Librarian), wanted);
    assert_eq!(user.said(Workload::Librarian, "Cerebras-GLM-4.7"), ["cerebras: it costs money, and paid_models is false"]);
    assert_eq!(user.said(Workload::Librarian, "gpt-4.1"), ["openai: it costs money, and paid_models is false"]);
}

#[test]
fn a_model_that_calls_no_tools_is_out_and_a_better_one_stands_in_for_a_default() {
    let overlay = r#"{"providers": {"acme": {"wire": "openai-chat", "base_url": "https://acme.dev", "api_key_env": [], "default_model": "talker"}},
        "models": {"talker": {"provider": "acme", "capabilities": ["images"]}, "doer": {"provider": "acme", "tier": 2}, "best": {"provider": "acme", "tier": 1}},
        "chains": {"coding": ["talker"]}}"#;
    let user = User::with(&[]).overlay(overlay);
    assert_eq!(user.open(Workload::Coding), ["best <- acme/best"]);
    assert_eq!(user.said(Workload::Coding, "talker"), ["acme: talker does not call tools"]);
    let only = r#"{"providers": {"acme": {"wire": "antigravity", "base_url": "https://acme.dev", "api_key_env": []}}, "models": {"m": {"provider": "acme"}}}"#;
    assert_eq!(User::with(&[]).overlay(only).said(Workload::Coding, "m"), ["acme: its protocol antigravity is not built yet"]);
}

#[test]
fn ways_are_followed_through_and_named_once() {
    let overlay = r#"{"models": {"a": {"provider": "openai", "via": ["b", "c"]}, "b": {"provider": "groq", "via": ["d"]},
        "c": {"provider": "together"}, "d": {"provider": "together", "name": "c"}}}"#;
    let user = User::with(&["together"]).overlay(overlay);
    user.ask(|catalog, terms| {
        let a = catalog.model("a").unwrap();
        let ways: Vec<String> = catalog.ways(a).iter().map(|w| format!("{}/{}", w.provider.id, w.upstream)).collect();
        assert_eq!(ways, ["openai/a", "groq/b", "together/c"]);
        let Some(State::In { served_by, passed_over }) = catalog.reach(a, terms) else { panic!("closed") };
        assert_eq!((served_by.provider.id.as_str(), passed_over.len()), ("together", 2));
    });
}
