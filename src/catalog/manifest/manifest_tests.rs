//! Built-in manifests are complete; the user's change them key by key; every fault names its place.

use super::*;
use crate::catalog::Catalog;
use std::path::PathBuf;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn plugin(self, name: &str, text: &str) -> Self {
        let folder = self.0.path().join("config/plugins").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("plugin.json"), text).unwrap();
        self
    }

    fn load(&self) -> Result<Manifests, Failure> {
        Manifests::load(&Places::under(self.0.path()))
    }

    fn refused(&self) -> String {
        let f = self.load().unwrap_err();
        let text = format!("{}: {}\nhint: {}", f.cause.as_str(), f.message, f.hint.as_deref().unwrap_or("-"));
        text.replace(&self.0.path().join("config/plugins").display().to_string(), "~")
    }
}

fn one(entry: &str) -> String {
    Home::new().plugin("acme", &format!("{{\"schema\": 1, \"provides\": {{\"oauth\": {{\"acme\": {entry}}}}}}}")).refused()
}

#[test]
fn the_published_schema_is_current() {
    let text = serde_json::to_string_pretty(&schemars::schema_for!(File)).unwrap() + "\n";
    crate::base::published(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/schema/plugin.schema.json"), &text);
}

#[test]
fn every_login_of_the_catalogue_has_a_manifest_and_every_opt_in_has_terms() {
    let home = Home::new();
    let (manifests, catalog) = (home.load().unwrap(), Catalog::load(&Places::under(home.0.path()), None, &|_| None).unwrap());
    let with_login: Vec<&str> = catalog.providers().iter().filter(|p| p.login.is_some()).map(|p| p.id.as_str()).collect();
    let mut known: Vec<&str> = manifests.logins().map(|o| o.provider.as_str()).collect();
    known.sort_by_key(|id| with_login.iter().position(|p| p == id));
    assert_eq!(known, with_login);
    for provider in catalog.providers() {
        assert_eq!(manifests.terms(&provider.id).is_some(), provider.opt_in.is_some(), "{}", provider.id);
        if let (Some(oauth), crate::catalog::Endpoint::Url(url)) = (manifests.oauth(&provider.id), &provider.endpoint) {
            let host = reqwest::Url::parse(url).unwrap().host_str().unwrap().to_owned();
            assert!(oauth.allowed_hosts.contains(&host), "{} is served at {host}", provider.id);
        }
    }
    for (label, text) in BUILT_IN {
        assert!(Source::built_in(label, text).value::<File>().is_ok(), "{label}");
        assert!(!text.contains("GOCSPX-") && !text.contains("\"client_secret\""), "{label} has a secret");
    }
}

#[test]
fn a_users_manifest_changes_a_built_in_login_key_by_key() {
    let home = Home::new().plugin(
        "mine",
        r#"{"schema": 1, "provides": {"oauth": {"chatgpt": {"endpoints": {"token": "http://127.0.0.1:9/token"}, "allowed_hosts": ["127.0.0.1:9"]}}}}"#,
    );
    let manifests = home.load().unwrap();
    let oauth = manifests.oauth("chatgpt").unwrap();
    assert_eq!((oauth.token_url.as_str(), oauth.allowed_hosts.as_slice()), ("http://127.0.0.1:9/token", &["127.0.0.1:9".to_owned()][..]));
    assert_eq!(oauth.endpoints.authorize.as_deref(), Some("https://auth.openai.com/oauth/authorize"));
    assert_eq!(oauth.redirect.ports, [1455, 1457]);
}

#[test]
fn a_plain_provider_needs_no_code() {
    let home = Home::new().plugin(
        "acme",
        r#"{"schema": 1, "provides": {"oauth": {"acme": {
            "client_id": "pup", "strategy": "rfc8628", "allowed_hosts": ["api.acme.dev"],
            "endpoints": {"token": "https://acme.dev/token", "device": "https://acme.dev/device"}}}}}"#,
    );
    let manifests = home.load().unwrap();
    let oauth = manifests.oauth("acme").unwrap();
    assert!(oauth.has_device_flow() && oauth.endpoints.authorize.is_none());
    assert_eq!((oauth.token_body, oauth.redirect.ports.as_slice()), (TokenBody::Form, &[0][..]));
}

#[test]
fn faults_have_their_place() {
    let home = Home::new().plugin("a", "{\n  \"schema\": 1,\n  \"provides\": {\"oauth\": {\"x\": {\"client_secret\": \"s\"}}}\n}");
    insta::assert_snapshot!(home.refused(), @"
    config: ~/a/plugin.json:3:32: provides.oauth.x.client_secret is not a known key
    hint: did you mean `client_secret_env`?
    ");
    let home = Home::new().plugin("a", "{\"schema\": 2, \"shiny\": true}");
    insta::assert_snapshot!(home.refused(), @"
    config: ~/a/plugin.json:1:12: schema is 2; this version of pup reads 1
    hint: update pup, or remove the plugin
    ");
    let home = Home::new().plugin("a", "{\"provides\": {}}");
    insta::assert_snapshot!(home.refused(), @r#"
    config: ~/a/plugin.json:1:1: the file has no `schema`
    hint: begin the file with {"schema": 1, ...
    "#);
    let home = Home::new().plugin("a", "{\"schema\": 1,\n \"provides\": {\"hooks\": {}}}");
    insta::assert_snapshot!(home.refused(), @"
    config: ~/a/plugin.json:2:15: provides.hooks is not a known key
    hint: the keys here are oauth, terms
    ");
    let entry = r#"{"schema": 1, "provides": {"oauth": {"chatgpt": {"client_id": "x"}}}}"#;
    insta::assert_snapshot!(Home::new().plugin("a", entry).plugin("b", entry).refused(), @"
    config: ~/b/plugin.json:1:38: provides.oauth.chatgpt is in ~/a/plugin.json too
    hint: keep one of the two
    ");
    insta::assert_snapshot!(one(r#"{"client_id": "x", "endpoints": {"token": "http://acme.dev/t", "authorize": "https://acme.dev/a"}}"#), @"
    config: ~/acme/plugin.json:1:88: provides.oauth.acme.endpoints.token must be an https address: tokens go there
    hint: -
    ");
    insta::assert_snapshot!(one(r#"{"client_id": "x", "endpoints": {"authorize": "https://acme.dev/a"}}"#), @"
    config: ~/acme/plugin.json:1:65: provides.oauth.acme.endpoints has no `token`: it is where codes are exchanged and tokens refreshed
    hint: -
    ");
    insta::assert_snapshot!(one(r#"{"endpoints": {"token": "https://acme.dev/t", "authorize": "https://acme.dev/a"}}"#), @"
    config: ~/acme/plugin.json:1:38: provides.oauth.acme has no `client_id`: it says which client the user logs in to
    hint: give `client_id`, or name the variable that holds it as `client_id_env`
    ");
    insta::assert_snapshot!(one(r#"{"client_id": "x", "endpoints": {"token": "https://acme.dev/t"}}"#), @"
    config: ~/acme/plugin.json:1:65: provides.oauth.acme.endpoints has no `authorize`: it is what the user opens
    hint: a login needs `authorize`, or `device` and the strategy `rfc8628`
    ");
    insta::assert_snapshot!(one(r#"{"client_id": "x", "strategy": "rfc", "endpoints": {"token": "https://acme.dev/t"}}"#), @r#"
    config: ~/acme/plugin.json:1:77: provides.oauth.acme.strategy cannot be "rfc"; this version knows none, rfc8628, codex_device, google_onboard
    hint: did you mean `rfc8628`?
    "#);
    insta::assert_snapshot!(
        one(r#"{"client_id": "x", "strategy": "google_onboard", "endpoints": {"token": "https://acme.dev/t", "authorize": "https://acme.dev/a"}}"#),
        @"
        config: ~/acme/plugin.json:1:95: provides.oauth.acme.endpoints has no `onboard`: it is needed by the strategy
        hint: -
        "
    );
    insta::assert_snapshot!(one(r#"{"client_id": "x", "endpoints": {"token": "https://acme.dev/t", "authorize": "https://acme.dev/a"}}"#), @r#"
    config: ~/acme/plugin.json:1:38: provides.oauth.acme has no `allowed_hosts`: it says where the token may be sent
    hint: e.g. "allowed_hosts": ["api.example.com"]
    "#);
    insta::assert_snapshot!(
        one(r#"{"client_id": "x", "allowed_hosts": ["*.acme.dev"], "endpoints": {"token": "https://acme.dev/t", "authorize": "https://acme.dev/a"}}"#),
        @r#"
        config: ~/acme/plugin.json:1:82: provides.oauth.acme.allowed_hosts has "*.acme.dev", which is neither a host nor host:port
        hint: -
        "#
    );
}
