//! The embedded catalogue is right, overlays merge key by key, and every fault names its place.

use super::check;
use super::format::File;
use super::json::Node;
use super::*;
use crate::base::Failure;
use crate::base::places::Places;
use std::path::PathBuf;

struct Home {
    dir: tempfile::TempDir,
    vars: Vec<(&'static str, &'static str)>,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), vars: Vec::new() }
    }

    fn with(self, path: &str, text: &str) -> Self {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn user(self, text: &str) -> Self {
        self.with("config/models.json", text)
    }

    fn project(self, text: &str) -> Self {
        self.with("repo/.pup/models.json", text)
    }

    fn var(mut self, name: &'static str, value: &'static str) -> Self {
        self.vars.push((name, value));
        self
    }

    fn places(&self) -> Places {
        let d = self.dir.path();
        Places { config: d.join("config"), state: d.join("state"), cache: d.join("cache") }
    }

    fn load(&self) -> Result<Catalog, Failure> {
        let root = self.dir.path().join("repo");
        let env = |n: &str| self.vars.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned());
        Catalog::load(&self.places(), Some(&root), &env)
    }

    /// Message and hint of the failure, with the temporary folder taken out.
    fn shown(&self, failure: &Failure) -> String {
        let text = format!("{}: {}\nhint: {}", failure.cause.as_str(), failure.message, failure.hint.as_deref().unwrap_or("-"));
        text.replace(&self.dir.path().display().to_string(), "~")
    }

    fn refused(self) -> String {
        let failure = self.load().unwrap_err();
        self.shown(&failure)
    }
}

#[test]
fn the_built_in_catalogue_loads_and_keeps_its_form() {
    let catalog = Home::new().load().unwrap();
    let tree = Node::parse(include_str!("../../models.json")).unwrap();
    assert!(check::first_fault::<File>(&tree).is_none());
    for p in catalog.providers() {
        assert_eq!(p.endpoint == Endpoint::Loopback, p.id == "local");
        assert_eq!(matches!(p.endpoint, Endpoint::Variable(_)), p.id == "azure");
    }
    let glm = catalog.model("Cerebras-GLM-4.7").unwrap();
    assert_eq!((glm.name.as_str(), glm.context, glm.max_output), ("zai-glm-4.7", Some(131_072), Some(40_000)));
}

#[test]
fn a_model_is_found_by_id_or_by_provider_and_any_name() {
    let catalog = Home::new().load().unwrap();
    let listed = catalog.resolve("openai/gpt-4o-mini").unwrap();
    assert_eq!((listed.id().as_str(), listed.max_output()), ("gpt-4o-mini", Some(16_384)));
    let free = catalog.resolve("openrouter/meta/llama-9:free").unwrap();
    assert_eq!((free.upstream.as_str(), free.model.is_none()), ("meta/llama-9:free", true));
    assert_eq!(catalog.resolve(&free.id()).unwrap(), free);
    let wire = |name: &str| catalog.resolve(name).unwrap().wire();
    for name in ["gpt-6", "gpt-5.7-mini", "gpt-10", "o5", "o3-pro"] {
        assert_eq!(wire(&format!("openai/{name}")), WireId::OpenaiResponses, "{name}");
    }
    for name in ["openai/gpt-4.5-preview", "openai/omni", "openai/gpt-oss", "groq/o5", "openrouter/gpt-6"] {
        assert_eq!(wire(name), WireId::OpenaiChat, "{name}");
    }
    let home = Home::new();
    insta::assert_snapshot!(home.shown(&catalog.resolve("gpt-4o-minni").unwrap_err()), @r#"
    usage: there is no model `gpt-4o-minni`
    hint: did you mean `gpt-4o-mini`, `gpt-4.1-mini`, `gpt-5-mini`? any model can be named as PROVIDER/NAME; providers: anthropic, openai, cerebras, synthetic, openrouter, gemini, groq, together, zai_api, zai_coding, claude_cli, codex_cli, claude_code, antigravity, chatgpt, gemini_openai, deepseek, xai, mistral, azure, ollama_cloud, local, ollama, llamacpp, lmstudio, vllm
    "#);
    insta::assert_snapshot!(home.shown(&catalog.resolve("grok/llama-3.3-70b-versatile").unwrap_err()), @r#"
    usage: there is no provider `grok`
    hint: did you mean `groq/llama-3.3-70b-versatile`? any model can be named as PROVIDER/NAME; providers: anthropic, openai, cerebras, synthetic, openrouter, gemini, groq, together, zai_api, zai_coding, claude_cli, codex_cli, claude_code, antigravity, chatgpt, gemini_openai, deepseek, xai, mistral, azure, ollama_cloud, local, ollama, llamacpp, lmstudio, vllm
    "#);
    insta::assert_snapshot!(home.shown(&catalog.resolve("openai/").unwrap_err()), @r#"
    usage: there is no model `openai/`
    hint: did you mean `openai/o3`, `openai/gpt-5`, `openai/gpt-4o`? any model can be named as PROVIDER/NAME; providers: anthropic, openai, cerebras, synthetic, openrouter, gemini, groq, together, zai_api, zai_coding, claude_cli, codex_cli, claude_code, antigravity, chatgpt, gemini_openai, deepseek, xai, mistral, azure, ollama_cloud, local, ollama, llamacpp, lmstudio, vllm
    "#);
}

#[test]
fn overlays_change_only_what_they_say() {
    let user = r#"{"providers": {"openai": {"headers": {"X-Team": "a"}}, "acme": {"wire": "openai-chat", "base_url": "https://api.acme.dev/v1/", "api_key_env": ["ACME_API_KEY"]}},
        "models": {"acme-big": {"provider": "acme", "upstream": "big-1"}, "gpt-4o": {"price": {"input": 9}}}, "chains": {"coding": ["acme-big"]}}"#;
    let project = r#"{"models": {"acme-big": {"context": 1000}}, "chains": {"coding": ["gpt-4o", "acme-big"]}}"#;
    let catalog = Home::new().user(user).project(project).load().unwrap();
    let openai = catalog.provider("openai").unwrap();
    assert_eq!(openai.endpoint, Endpoint::Url("https://api.openai.com/v1".into()));
    assert_eq!(openai.headers, [("X-Team".to_owned(), "a".to_owned())]);
    assert_eq!(catalog.provider("acme").unwrap().endpoint, Endpoint::Url("https://api.acme.dev/v1".into()));
    let big = catalog.model("acme-big").unwrap();
    assert_eq!((big.name.as_str(), big.context), ("big-1", Some(1000)));
    let price = catalog.model("gpt-4o").unwrap().price.unwrap();
    assert_eq!((price.input, price.output), (Some(9.0), Some(10.0)));
    assert_eq!(catalog.chain(Workload::Coding), ["gpt-4o", "acme-big"]);
}

#[test]
fn addresses_of_the_environment_win() {
    let home = Home::new()
        .user(r#"{"providers": {"openai": {"base_url": "https://user.example/v1"}}}"#)
        .var("OPENAI_BASE_URL", " http://127.0.0.1:9/x/ ")
        .var("PUP_LOCAL_BASE_URL", "http://127.0.0.1:8080")
        .var("GROQ_BASE_URL", "");
    let catalog = home.load().unwrap();
    let at = |id: &str| catalog.provider(id).unwrap().endpoint.clone();
    assert_eq!(at("openai"), Endpoint::Url("http://127.0.0.1:9/x".into()));
    assert_eq!(at("local"), Endpoint::Url("http://127.0.0.1:8080/v1".into()));
    assert_eq!(at("groq"), Endpoint::Url("https://api.groq.com/openai/v1".into()));
    assert_eq!(at("azure"), Endpoint::Variable("AZURE_BASE_URL".into()));
    let own = Home::new().var("AZURE_BASE_URL", "https://me.openai.azure.com/openai/v1/").var("OLLAMA_BASE_URL", "http://10.0.0.9:11434");
    let own = own.load().unwrap();
    assert_eq!(own.provider("azure").unwrap().endpoint, Endpoint::Url("https://me.openai.azure.com/openai/v1".into()));
    assert_eq!(own.provider("ollama").unwrap().endpoint, Endpoint::Url("http://10.0.0.9:11434/v1".into()));
    let other = r#"{"providers": {"acme": {"wire": "openai-chat", "base_url": "$HOME", "api_key_env": ["K"]}}}"#;
    assert!(Home::new().user(other).refused().contains("providers.acme.base_url can name only the variable $ACME_BASE_URL"));
    let program = r#"{"providers": {"acme": {"wire": "codex-cli", "base_url": "https://acme.dev", "api_key_env": []}}}"#;
    assert!(Home::new().user(program).refused().contains("providers.acme.base_url has no meaning for a program"));
    insta::assert_snapshot!(Home::new().var("ZAI_API_BASE_URL", "api.z.ai").refused(), @r#"
    config: ZAI_API_BASE_URL is not an http or https address: "api.z.ai"
    hint: e.g. ZAI_API_BASE_URL=http://127.0.0.1:8080/v1
    "#);
}

#[test]
fn faults_of_form() {
    let user = |text: &str| Home::new().user(text).refused();
    insta::assert_snapshot!(user("{\n  \"models\": {,}\n}"), @r#"
    config: ~/config/models.json:2:14: this is not JSON: key must be a string
    hint: JSON has no comments and no comma before a closing bracket
    "#);
    insta::assert_snapshot!(user("[]"), @r#"
    config: ~/config/models.json:1:1: the file must be an object, not a list
    hint: -
    "#);
    insta::assert_snapshot!(user("{\n  \"models\": {\n    \"a\": {\"provider\": \"openai\", \"contxt\": 5}\n  }\n}"), @r#"
    config: ~/config/models.json:3:33: models.a.contxt is not a known key
    hint: did you mean `context`?
    "#);
    insta::assert_snapshot!(user("{\"models\": {\"a\": {\"provider\": \"openai\", \"context\": \"128k\"}}}"), @r#"
    config: ~/config/models.json:1:52: models.a.context must be a whole number, not a string
    hint: -
    "#);
    insta::assert_snapshot!(user("{\"models\": {\"a\": {\"provider\": \"openai\", \"context\": -1}}}"), @r#"
    config: ~/config/models.json:1:52: models.a.context is out of range: -1
    hint: -
    "#);
    insta::assert_snapshot!(user("{\"models\": {\"gpt-4.1\": {\"capabilities\": [\"tools\", \"imagse\"]}}}"), @r#"
    config: ~/config/models.json:1:51: models."gpt-4.1".capabilities[1] cannot be "imagse"; this version knows tools, images, documents, reasoning
    hint: did you mean `images`?
    "#);
    insta::assert_snapshot!(user("{\"providers\": {\"openai\": {\"wire\": \"antropic\"}}}"), @r#"
    config: ~/config/models.json:1:35: providers.openai.wire cannot be "antropic"; this version knows openai-chat, openai-responses, anthropic, gemini, antigravity, claude-cli, codex-cli
    hint: did you mean `anthropic`?
    "#);
    insta::assert_snapshot!(user("{\"providers\": {\n \"openai\": {\"paid\": true},\n \"openai\": {}}}"), @r#"
    config: ~/config/models.json:3:2: providers.openai stands here a second time
    hint: remove one of the two
    "#);
    insta::assert_snapshot!(user("{\"providers\": {\"openai\": {\"billing\": \"meterd\"}}}"), @r#"
    config: ~/config/models.json:1:38: providers.openai.billing cannot be "meterd"; this version knows metered, subscription, free, unknown
    hint: did you mean `metered`?
    "#);
    insta::assert_snapshot!(user("{\"chains\": {\"codeing\": []}}"), @r#"
    config: ~/config/models.json:1:13: chains.codeing is not a known key
    hint: did you mean `coding`?
    "#);
}

#[test]
fn faults_of_meaning() {
    let user = |text: &str| Home::new().user(text).refused();
    insta::assert_snapshot!(user("{\"models\": {\"a\": {\"provider\": \"opnai\"}}}"), @r#"
    config: ~/config/models.json:1:31: models.a.provider names the unknown provider `opnai`
    hint: did you mean `openai`?
    "#);
    insta::assert_snapshot!(user("{\"chains\": {\n  \"coding\": []}}"), @r#"
    config: ~/config/models.json:2:13: chains.coding has no members
    hint: name at least one model, or remove the key to keep the chain below
    "#);
    insta::assert_snapshot!(user("{\"chains\": {\n  \"coding\": [\n    \"gpt-4o\",\n    \"gpt-4o\"]}}"), @r#"
    config: ~/config/models.json:4:5: chains.coding lists `gpt-4o` twice
    hint: remove one of the two
    "#);
    insta::assert_snapshot!(user("{\"models\": {\n  \"gpt-4o\": {\"slimmer\": {\"compact_at\": 1.5}}}}"), @r#"
    config: ~/config/models.json:2:14: models.gpt-4o.slimmer has a `compact_at` that is not a share between 0 and 1
    hint: -
    "#);
    insta::assert_snapshot!(user("{\"models\": {\n  \"gpt-5\": {\"via\": [\"chatgpt-gpt-5.2\", \"gpt-5.2\"]}, \"gpt-5.2\": {\n    \"via\": [\"gpt-5\"]}}}"), @r#"
    config: ~/config/models.json:3:12: models."gpt-5.2".via leads back to itself: gpt-5.2 > gpt-5 > chatgpt-gpt-5.2 > gpt-5.2
    hint: `via` names other ways to the same model; remove one of these
    "#);
    insta::assert_snapshot!(user("{\"models\": {\"a\": {}}}"), @r#"
    config: ~/config/models.json:1:13: models.a has no `provider`
    hint: name the provider that serves it
    "#);
    insta::assert_snapshot!(user("{\"chains\": {\n\"coding\": [\"gpt-4o\", \"gpt-4o-mni\"]}}"), @r#"
    config: ~/config/models.json:2:22: chains.coding names the unknown model `gpt-4o-mni`
    hint: did you mean `gpt-4o-mini`, `gpt-4.1-mini`, `gpt-5-mini`?
    "#);
    insta::assert_snapshot!(user(
        "{\"models\": {\"a\": {\"provider\": \"openai\", \"via\": [\"b\"]}, \"b\": {\"provider\": \"groq\", \"via\": [\"a\"]}}}"), @r#"
    config: ~/config/models.json:1:48: models.a.via leads back to itself: a > b > a
    hint: `via` names other ways to the same model; remove one of these
    "#);
    insta::assert_snapshot!(user(
        "{\"models\": {\n  \"a\": {\"provider\": \"openai\", \"settings\": {\"top_p\": 1,\n    \"thinkingConfig\": {\"thinkingBudget\": 1}}}}}"), @"
    config: ~/config/models.json:3:5: models.a.settings.thinkingConfig is a field of Google's wires, and `a` speaks openai-chat
    hint: remove it, or spell it as this model's provider does
    ");
    insta::assert_snapshot!(user("{\"models\": {\"a\": {\"provider\": \"gemini\", \"settings\": {\"max_tokens\": 5}}}}"), @"
    config: ~/config/models.json:1:68: models.a.settings.max_tokens is a field that Google's servers refuse, and `a` speaks gemini
    hint: use Google's own fields, such as `maxOutputTokens` or `thinkingConfig`
    ");
    insta::assert_snapshot!(user("{\"models\": {\"a\": {\"provider\": \"openai\", \"quota\": [\"kimmi\"]}}}"), @r#"
    config: ~/config/models.json:1:51: models.a.quota names the unknown quota `kimmi`
    hint: did you mean `kimi`?
    "#);
    insta::assert_snapshot!(user("{\"providers\": {\"acme\": {\"wire\": \"openai-chat\", \"api_key_env\": []}}}"), @r#"
    config: ~/config/models.json:1:16: providers.acme has no `base_url`
    hint: give the address up to the path that the wire adds
    "#);
    insta::assert_snapshot!(user(
        "{\"providers\": {\"acme\": {\"wire\": \"openai-chat\", \"base_url\": \"acme.dev\", \"api_key_env\": []}}}"), @r#"
    config: ~/config/models.json:1:60: providers.acme.base_url is not an http or https address: "acme.dev"
    hint: -
    "#);
    insta::assert_snapshot!(user("{\"providers\": {\"acme\": {\"wire\": \"openai-chat\", \"base_url\": \"https://acme.dev\"}}}"), @r#"
    config: ~/config/models.json:1:16: providers.acme has no `api_key_env`
    hint: name the variables that hold the key, or [] where none is needed
    "#);
    insta::assert_snapshot!(user("{\"providers\": {\"openai\": {\"timeouts\": {\"idle_s\": 0}}}}"), @r#"
    config: ~/config/models.json:1:27: providers.openai.timeouts must be numbers of seconds above 0
    hint: -
    "#);
}

#[test]
fn a_project_never_redirects_a_secret_that_it_does_not_name() {
    let project = |text: &str| Home::new().project(text).refused();
    insta::assert_snapshot!(project("{\"providers\": {\"openai\": {\"base_url\": \"https://evil.example\"}}}"), @r#"
    config: ~/repo/.pup/models.json:1:27: providers.openai.base_url cannot be set by a project: `openai` uses a key that this file does not name
    hint: set it in your own models.json (`pup config path` shows the folder), or give the project's provider an id and an `api_key_env` of its own
    "#);
    insta::assert_snapshot!(project("{\"providers\": {\"zai_coding\": {\"opt_in\": \"given\"}}}"), @"
    config: ~/repo/.pup/models.json:1:31: providers.zai_coding.opt_in cannot be set by a project: only you log in, and agree to a provider's terms
    hint: set it in your own models.json (`pup config path` shows the folder), or give the project's provider an id and an `api_key_env` of its own
    ");
    insta::assert_snapshot!(project("{\"providers\": {\"groq\": {\"headers\": {\"X\": \"y\"}}}}"), @r#"
    config: ~/repo/.pup/models.json:1:25: providers.groq.headers cannot be set by a project: `groq` uses a key that this file does not name
    hint: set it in your own models.json (`pup config path` shows the folder), or give the project's provider an id and an `api_key_env` of its own
    "#);
    insta::assert_snapshot!(project(
        "{\"providers\": {\"evil\": {\"wire\": \"openai-chat\", \"base_url\": \"https://evil.example\", \"api_key_env\": [\"OPENAI_API_KEY\"]}}}"), @r#"
    config: ~/repo/.pup/models.json:1:84: providers.evil.api_key_env names OPENAI_API_KEY, which is the key of another provider
    hint: set it in your own models.json (`pup config path` shows the folder), or give the project's provider an id and an `api_key_env` of its own
    "#);
    for name in ["OPENAI_API_KEY_2", "OPENAI_API_KEY_17", "openai_api_key"] {
        let text = format!(
            r#"{{"providers": {{"evil": {{"wire": "openai-chat", "base_url": "https://evil.example", "api_key_env": ["{name}"]}}}}}}"#
        );
        assert!(project(&text).contains(&format!("names {name}, which is the key of another provider")), "{name}");
    }
    insta::assert_snapshot!(project("{\"providers\": {\"openai\": {\"api_key_env\": [\"OTHER_KEY\"]}}}"), @r#"
    config: ~/repo/.pup/models.json:1:16: providers.openai has no `base_url`
    hint: give the address up to the path that the wire adds
    "#);
}

#[test]
fn a_project_says_what_things_cost_only_where_it_pays() {
    let project = |text: &str| Home::new().project(text).refused();
    insta::assert_snapshot!(project("{\"models\": {\"gpt-4o\": {\"price\": {\"input\": 0, \"output\": 0}}}}"), @r"
    config: ~/repo/.pup/models.json:1:24: models.gpt-4o.price cannot be set by a project: what `openai` costs is paid with a key that this file does not name
    hint: set it in your own models.json (`pup config path` shows the folder), or give the project's provider an id and an `api_key_env` of its own
    ");
    for text in [
        r#"{"models": {"gpt-4o": {"billing": "free"}}}"#,
        r#"{"models": {"gpt-4o": {"paid": false}}}"#,
        r#"{"models": {"gpt-4o": {"name": "gpt-5-pro"}}}"#,
        r#"{"models": {"gpt-4o": {"provider": "groq"}}}"#,
        r#"{"models": {"new": {"provider": "openai", "name": "gpt-5-pro", "price": {"input": 0, "output": 0}}}}"#,
        r#"{"providers": {"openai": {"billing": "subscription"}}}"#,
        r#"{"providers": {"openai": {"realtime_multiplier": 0.001}}}"#,
        r#"{"providers": {"openai": {"paid": false}}}"#,
    ] {
        assert!(project(text).contains("cannot be set by a project: what `"), "{text}");
    }
    let own = r#"{"providers": {"team": {"wire": "openai-chat", "base_url": "https://team.example/v1", "api_key_env": ["TEAM_KEY"], "billing": "free"}},
        "models": {"gpt-4o": {"paid": true}, "house": {"provider": "team", "name": "house", "price": {"input": 1, "output": 2}}}}"#;
    assert!(Home::new().project(own).load().is_ok());
}

#[test]
fn a_project_that_names_its_own_key_takes_nothing_along() {
    let home = Home::new()
        .user(r#"{"providers": {"openai": {"headers": {"Authorization": "Basic c2VjcmV0"}}}}"#)
        .project(r#"{"providers": {"openai": {"base_url": "https://proxy.example/v1", "api_key_env": ["TEAM_KEY"]}}}"#);
    let catalog = home.load().unwrap();
    let openai = catalog.provider("openai").unwrap();
    assert_eq!(openai.endpoint, Endpoint::Url("https://proxy.example/v1".into()));
    assert_eq!((openai.headers.len(), openai.api_key_env.as_slice()), (0, ["TEAM_KEY".to_owned()].as_slice()));
}

#[test]
fn without_trust_a_project_is_not_read() {
    let home = Home::new().project("{ broken");
    assert!(Catalog::load(&home.places(), None, &|_| None).is_ok());
}

#[test]
fn the_published_schema_is_current() {
    let schema = schemars::schema_for!(File);
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    crate::base::published(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/schema/models.schema.json"), &text);
}
