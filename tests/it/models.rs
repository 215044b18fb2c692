//! `pup models`: lists, one model, and chains as they stand with no key, with one, and with a key of another door.

use crate::support::{Launch, TestEnv};
use serde_json::Value;

/// Nothing listens there, so no server of the machine that tests run on is found.
const NO_SERVER: (&str, &str) = ("PUP_LOCAL_BASE_URL", "http://127.0.0.1:9/v1");

fn models(env: &TestEnv, args: &[&str]) -> Launch {
    env.pup().arg("models").args(args).env(NO_SERVER.0, NO_SERVER.1)
}

/// Ids of the links that are in, with who serves them.
fn open(chain: &Value) -> Vec<String> {
    let links = chain["links"].as_array().unwrap().iter().filter(|l| l["state"] == "in");
    links.map(|l| format!("{} <- {}", l["id"].as_str().unwrap(), l["served_by"]["provider"].as_str().unwrap())).collect()
}

#[test]
fn list_shows_every_model_and_what_it_costs() {
    let env = TestEnv::new();
    let all = models(&env, &["list", "--json"]).run().expect_code(0).json();
    let all = all.as_array().unwrap();
    assert_eq!(all.iter().filter(|m| !m["type"].is_null()).count(), 34);
    assert!(all.len() >= 104, "{}", all.len());
    let glm = all.iter().find(|m| m["id"] == "Cerebras-GLM-4.7").unwrap();
    assert_eq!((&glm["name"], &glm["context"], &glm["max_output"]), (&"zai-glm-4.7".into(), &131_072.into(), &40_000.into()));
    assert_eq!(glm["chains"], serde_json::json!(["ORCHESTRATOR", "REASONING", "CODING", "LIBRARIAN"]));
    assert_eq!((&glm["state"], &glm["reasons"][0]["why"]), (&"out".into(), &"no_key".into()));

    let out = models(&env, &["list", "--provider", "groq"]).env("GROQ_API_KEY", "k").run().expect_code(0);
    let mut lines = out.stdout.lines();
    assert_eq!(lines.next(), Some("groq: ready"));
    assert!(lines.clone().count() >= 8 && lines.all(|l| l.starts_with("  groq-")), "{}", out.report());
    assert!(out.stdout.contains("groq-llama-3.3-70b") && out.stdout.contains("131,072  $0.59 in, $0.79 out"), "{}", out.report());
    let out = models(&env, &["list", "--provider", "grok"]).run().expect_code(2);
    assert!(out.stdout.is_empty() && out.stderr.contains("did you mean `groq`?"), "{}", out.report());
}

#[test]
fn show_knows_listed_and_unlisted_names_and_offers_near_ones() {
    let env = TestEnv::new();
    let out = models(&env, &["show", "claude-code-claude-opus-4-5-20251101"]).run().expect_code(0);
    for part in [
        "claude-opus-4-5-20251101 over anthropic",
        "200,000 tokens",
        "by plan",
        "orchestrator",
        "not logged in: pup auth login claude_code",
    ] {
        assert!(out.stdout.contains(part), "no {part}\n{}", out.report());
    }
    let unlisted = models(&env, &["show", "openai/gpt-9", "--json"]).env("OPENAI_API_KEY", "k").run().expect_code(0).json();
    assert_eq!((&unlisted["listed"], &unlisted["wire"]), (&false.into(), &"openai-responses".into()));
    let out = models(&env, &["show", "Cerebras-GLM-4.6"]).run().expect_code(2);
    assert!(out.stdout.is_empty() && out.stderr.contains("`Cerebras-GLM-4.7`"), "{}", out.report());
}

#[test]
fn without_a_key_every_link_says_what_it_wants() {
    let env = TestEnv::new();
    for (workload, members) in [("ORCHESTRATOR", 10), ("reasoning", 10), ("coding", 9), ("Librarian", 9)] {
        let chain = models(&env, &["chain", workload, "--json"]).run().expect_code(0).json();
        let links = chain["links"].as_array().unwrap();
        assert_eq!(links.iter().filter(|l| l["place"] == "chain").count(), members);
        assert_eq!((&chain["usable"], links.last().unwrap()["id"].as_str()), (&0.into(), Some("local")));
        assert!(links.iter().all(|l| l["state"] == "out" && l["reasons"][0]["message"].is_string()), "{chain}");
    }
    let out = models(&env, &["chain", "coding"]).run().expect_code(0);
    assert!(out.stdout.contains(" - out Cerebras-GLM-4.7\n       cerebras: CEREBRAS_API_KEY is not set\n"), "{}", out.report());
    assert!(out.stdout.contains("0 of 10 links of CODING can be used") && out.stdout.contains("export a key"), "{}", out.report());
    let out = models(&env, &["chain", "codnig"]).run().expect_code(2);
    assert!(out.stdout.is_empty() && out.stderr.contains("CODING"), "{}", out.report());
}

#[test]
fn with_one_key_the_chain_is_what_that_key_opens() {
    let env = TestEnv::new();
    let out = models(&env, &["chain", "coding"]).env("CEREBRAS_API_KEY", "k").run().expect_code(0);
    assert!(out.stdout.starts_with(" 1 in  Cerebras-GLM-4.7\n       served by cerebras, zai-glm-4.7\n"), "{}", out.report());
    assert!(out.stdout.contains("1 of 10 links of CODING can be used"), "{}", out.report());
    let chain = models(&env, &["chain", "reasoning", "--json"]).env("GROQ_API_KEY", "k").run().expect_code(0).json();
    assert_eq!(open(&chain), ["groq-llama-3.3-70b <- groq"]);
    env.write_config(".env", "SYN_API_KEY=canary-canary-canary\n");
    let out = models(&env, &["chain", "coding", "--json"]).run().expect_code(0);
    assert_eq!(open(&out.json()).len(), 4);
    assert!(!out.stdout.contains("canary"), "{}", out.report());
}

#[test]
fn an_anthropic_key_serves_the_claude_code_links() {
    let env = TestEnv::new();
    let chain = models(&env, &["chain", "coding", "--json"]).env("ANTHROPIC_API_KEY", "k").run().expect_code(0).json();
    assert_eq!(open(&chain), ["claude-code-claude-haiku-4-5-20251001 <- anthropic", "claude-sonnet-4-5-20250929 <- anthropic"]);
    let haiku = chain["links"].as_array().unwrap().iter().find(|l| l["id"] == "claude-code-claude-haiku-4-5-20251001").unwrap();
    assert_eq!((&haiku["position"], &haiku["reasons"][0]["why"]), (&6.into(), &"no_login".into()));
    assert_eq!(haiku["served_by"]["wire"], "anthropic");
}

#[test]
fn paid_models_can_be_left_out() {
    let env = TestEnv::new();
    let keys = |l: Launch| l.env("CEREBRAS_API_KEY", "k").env("OPENROUTER_API_KEY", "k");
    let free = ["openrouter-arcee-ai-trinity-large-preview-free <- openrouter", "openrouter-stepfun-step-3.5-flash-free <- openrouter"];
    let chain = keys(models(&env, &["chain", "librarian", "--json"])).env("USE_PAID_MODELS", "false").run().expect_code(0).json();
    assert_eq!(open(&chain), free);
    env.write_config("config.toml", "paid_models = false\n");
    let chain = keys(models(&env, &["chain", "librarian", "--json"])).run().expect_code(0).json();
    assert_eq!(open(&chain), free);
    // Where nothing is left, that is the reason, and no key.
    let out = env.pup().args(["run", "hi"]).env("CEREBRAS_API_KEY", "k").run().expect_code(4);
    assert!(out.stderr.contains("costs money") && out.stderr.contains("pup config set paid_models true"), "{}", out.report());
}

#[test]
fn a_wrong_overlay_names_file_line_and_key() {
    let env = TestEnv::new();
    for (text, says) in [
        (
            "{\n\"chains\": {\"coding\": [\n  \"gpt-4o\",\n  \"gtp-4.1\"\n]}}",
            ["models.json:4:3", "chains.coding", "did you mean `gpt-4.1`"],
        ),
        ("{\n\"chains\": {\n\"reasoning\": []}}", ["models.json:3:", "chains.reasoning has no members", "remove the key"]),
        (
            "{\"models\": {\n\"gpt-4o\": {\"via\": [\"gpt-4.1\"]},\n\"gpt-4.1\": {\"via\": [\"gpt-4o\"]}}}",
            ["models.json:3:", "leads back to itself: gpt-4.1 > gpt-4o > gpt-4.1", "remove one"],
        ),
    ] {
        env.write_config("models.json", text);
        let out = models(&env, &["chain", "coding"]).run().expect_code(3);
        assert!(out.stdout.is_empty() && says.iter().all(|s| out.stderr.contains(s)), "{says:?}\n{}", out.report());
    }
}
