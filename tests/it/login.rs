//! `pup auth login` and `logout` against a scripted authorisation server: every way through every provider's flow.

use crate::support::authority::{Authority, code_for, fields, jwt};
use crate::support::browser::{self, Page};
use crate::support::launch::Running;
use crate::support::{Launch, Reply, Stdin, TestEnv};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The three providers at one scripted server, with callbacks on any free port.
pub fn manifest(authority: &Authority) -> String {
    let entry = |more: Value| {
        let mut entry = json!({
            "endpoints": {
                "authorize": authority.url("/authorize"), "token": authority.url("/token"), "revoke": authority.url("/revoke"),
                "userinfo": authority.url("/userinfo"), "onboard": authority.url("")
            },
            "redirect": {"ports": [0], "path": "/auth/callback"},
            "allowed_hosts": ["127.0.0.1"]
        });
        for (key, value) in more.as_object().unwrap() {
            match (&mut entry[key], value) {
                (Value::Object(slot), Value::Object(new)) => slot.extend(new.clone()),
                (slot, new) => *slot = new.clone(),
            }
        }
        entry
    };
    let device = json!({"endpoints": {
        "device": authority.url("/codex/usercode"), "device_token": authority.url("/codex/token"),
        "device_page": authority.url("/codex/device"), "device_redirect": authority.url("/codex/callback")
    }});
    let acme =
        json!({"client_id": "pup-at-acme", "scopes": ["chat"], "strategy": "rfc8628", "endpoints": {"device": authority.url("/device")}});
    let claude = json!({"paste": {"redirect_uri": authority.url("/shows/code")}});
    json!({"schema": 1, "provides": {"oauth": {
        "claude_code": entry(claude), "chatgpt": entry(device), "antigravity": entry(json!({})), "acme": entry(acme)
    }}})
    .to_string()
}

/// A provider without anything special, for models over a wire that every build has.
pub const ACME: &str = r#"{"providers": {"acme": {"wire": "openai-chat", "base_url": "http://127.0.0.1:9/v1", "api_key_env": [], "login": "oauth", "default_model": "acme-1"}},
    "models": {"acme-1": {"provider": "acme", "context": 100000}}}"#;

/// An environment whose logins are made at `authority`.
pub fn home(authority: &Authority) -> TestEnv {
    let env = TestEnv::new();
    env.write_config("plugins/test/plugin.json", manifest(authority));
    env.write_config("models.json", ACME);
    env
}

/// What the account of a ChatGPT login says of itself.
pub fn chatgpt_tokens() -> Value {
    json!({"id_token": jwt(&json!({"email": "me@example.com", "https://api.openai.com/auth": {"chatgpt_account_id": "acc-1", "chatgpt_plan_type": "plus"}}))})
}

pub fn login(env: &TestEnv, args: &[&str]) -> Launch {
    env.pup()
        .args(["auth", "login"])
        .args(args)
        .env("ANTIGRAVITY_CLIENT_ID", "client-g")
        .env("ANTIGRAVITY_CLIENT_SECRET", "canary-client-secret")
}

/// The address that a login shows.
pub fn address(pup: &mut Running) -> String {
    let find = |err: &str| err.lines().find(|l| l.starts_with("http://127.0.0.1")).map(str::to_owned);
    pup.wait_until("the address to open", |_, err| find(err).is_some());
    find(&pup.output().1).unwrap()
}

/// Starts a login, agrees in the browser, and returns the page on which that ended.
pub fn browse(pup: &mut Running) -> Page {
    let landed = browser::agree(&address(pup));
    browser::get(&landed).expect("the callback answers")
}

/// A login that was made in the browser.
pub fn logged_in(env: &TestEnv, provider: &str) {
    let mut pup = login(env, &[provider, "--accept-terms"]).spawn();
    browse(&mut pup);
    pup.wait().expect_code(0);
}

pub fn record(env: &TestEnv, provider: &str) -> Value {
    let path = env.pup_home().join("state/logins").join(format!("{provider}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap_or_else(|_| "null".into())).unwrap()
}

/// Every file of pup's, with its text.
pub fn files(env: &TestEnv) -> Vec<(PathBuf, String)> {
    fn walk(folder: PathBuf, into: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(path, into);
            } else {
                into.push((path.clone(), String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned()));
            }
        }
    }
    let mut all = Vec::new();
    walk(env.pup_home(), &mut all);
    walk(env.home(), &mut all);
    walk(env.project(), &mut all);
    all
}

/// Fails if a secret stands anywhere but in the vault, which only its owner may read.
#[track_caller]
pub fn assert_kept_to_the_vault(env: &TestEnv, authority: &Authority) {
    let canaries = authority.canaries();
    for (path, text) in files(env) {
        if path.ends_with("vault.json") {
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        } else if let Some(canary) = canaries.iter().find(|c| text.contains(c.as_str())) {
            panic!("{} holds {canary}", path.display());
        }
    }
}

#[track_caller]
fn assert_silent(text: &str, authority: &Authority) {
    for canary in authority.canaries().iter().map(String::as_str).chain(["canary-client-secret", "canary-signature", "canary-verifier"]) {
        assert!(!text.contains(canary), "{canary} in:\n{text}");
    }
}

#[test]
fn the_browser_way_of_each_provider() {
    for (provider, json, shown) in [
        ("claude_code", true, "logged in to Claude (plan) as me@example.com\n"),
        ("chatgpt", false, "logged in to ChatGPT (plan) as me@example.com (plus)\n"),
        ("antigravity", false, "logged in to Google Antigravity as me@example.com, project made-1\n"),
        ("acme", false, "logged in to acme\n"),
    ] {
        let authority = Authority::new();
        let mut extra = chatgpt_tokens();
        extra["account"] = json!({"uuid": "u-1", "email_address": "me@example.com"});
        authority.answers_with(extra);
        let env = home(&authority);
        let mut pup = login(&env, &[provider, "--accept-terms", "-vv"]).spawn();
        let page = browse(&mut pup);
        let out = pup.wait().expect_code(0);
        assert_eq!(out.stdout, shown, "{provider}");
        assert_eq!((page.status, page.header("cache-control"), page.header("connection")), (200, Some("no-store"), Some("close")));
        assert_silent(&(out.stdout.clone() + &out.stderr + &page.text()), &authority);
        assert_kept_to_the_vault(&env, &authority);

        let request = &authority.to("/token")[0];
        let kind = if json { "application/json" } else { "application/x-www-form-urlencoded" };
        assert_eq!(request.header("content-type"), Some(kind), "{provider}");
        assert!(request.header("user-agent").is_some_and(|a| a.starts_with("pup/")), "{:?}", request.headers);
        let sent = fields(request);
        assert_eq!(sent.contains_key("state"), provider == "claude_code", "{sent:?}");
        let secret = (provider == "antigravity").then_some("canary-client-secret");
        assert_eq!(sent.get("client_secret").and_then(Value::as_str), secret);
        let record = record(&env, provider);
        assert_eq!(record["allowed_hosts"], json!(["127.0.0.1"]));
        let life = record["expires_at"].as_u64().unwrap() - record["obtained_at"].as_u64().unwrap();
        assert_eq!(life, 3_600_000);
    }
}

#[test]
fn what_is_pasted_may_have_any_form_and_the_wrong_thing_is_answered() {
    let authority = Authority::new();
    let env = home(&authority);
    // A provider that shows the code: as it stands there, and the code alone.
    for with_state in [true, false] {
        let mut pup = login(&env, &["claude_code", "--no-browser", "--accept-terms"]).stdin(Stdin::Open).spawn();
        let (code, state) = code_for(&address(&mut pup));
        pup.type_line("");
        pup.type_line(&format!("{code}#not-the-state"));
        pup.wait_until("the complaint", |_, err| err.contains("belongs to another login"));
        pup.type_line(&if with_state { format!("{code}#{state}") } else { code });
        pup.wait().expect_code(0);
    }
    // One that sends it to this machine: the address on which the browser ended.
    let mut pup = login(&env, &["acme", "--no-browser"]).stdin(Stdin::Open).spawn();
    let url = address(&mut pup);
    let landed = browser::agree(&url);
    assert!(landed.starts_with("http://localhost:"), "{landed}");
    pup.type_line(&url);
    pup.wait_until("the complaint", |_, err| err.contains("the address to open"));
    pup.type_line(&landed);
    pup.wait().expect_code(0);
    // And where the browser runs here after all, nothing has to be pasted.
    let mut pup = login(&env, &["acme", "--no-browser"]).stdin(Stdin::Open).spawn();
    browse(&mut pup);
    pup.wait().expect_code(0);
    // Nobody there.
    let out = login(&env, &["claude_code", "--no-browser"]).run().expect_code(4);
    assert!(out.stderr.contains("no code came from standard input"), "{}", out.report());
    assert_kept_to_the_vault(&env, &authority);
}

#[test]
fn device_flows_need_no_browser_here() {
    let authority = Authority::new();
    authority.answers_with(chatgpt_tokens()).pending(1);
    let env = home(&authority);
    let out = login(&env, &["acme", "--device"]).run().expect_code(0);
    assert!(out.stderr.contains("WDJB-MJHT") && out.stderr.contains("/activate"), "{}", out.report());
    assert_eq!(authority.to("/token").len(), 2, "one was too early");
    authority.pending(2);
    let out = login(&env, &["chatgpt", "--device"]).run().expect_code(0);
    assert!(out.stderr.contains("ABCD-1234") && out.stderr.contains("/codex/device"), "{}", out.report());
    assert_eq!(out.stdout, "logged in to ChatGPT (plan) as me@example.com (plus)\n");
    assert_silent(&(out.stdout.clone() + &out.stderr), &authority);
    assert!(!out.stderr.contains("canary"), "{}", out.report());

    // A provider that has nothing else goes that way by itself.
    let solo = json!({"schema": 1, "provides": {"oauth": {"solo": {"client_id": "pup", "strategy": "rfc8628", "allowed_hosts": ["127.0.0.1"],
        "endpoints": {"token": authority.url("/token"), "device": authority.url("/device")}}}}});
    env.write_config("plugins/solo/plugin.json", solo.to_string());
    env.write_config("models.json", ACME.replace("acme", "solo"));
    let out = login(&env, &["solo"]).run().expect_code(0);
    assert!(out.stderr.contains("WDJB-MJHT") && out.stdout == "logged in to solo\n", "{}", out.report());
    env.write_config("models.json", ACME);

    authority.device_denied();
    let out = login(&env, &["acme", "--device"]).run().expect_code(4);
    assert!(out.stderr.contains("the user said no"), "{}", out.report());
    let out = login(&env, &["claude_code", "--device", "--accept-terms"]).run().expect_code(4);
    assert!(out.stderr.contains("has no device flow") && out.stderr.contains("--no-browser"), "{}", out.report());
}

#[test]
fn the_browser_that_is_opened_gets_the_address_and_no_secret() {
    let authority = Authority::new();
    let env = home(&authority);
    let opener = env.write("bin/xdg-open", "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$HOME/opened\"\n");
    std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", opener.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut pup = login(&env, &["acme"]).env("PATH", path).env("DISPLAY", ":7").spawn();
    let shown = address(&mut pup);
    let opened = std::fs::read_to_string(env.home().join("opened")).unwrap();
    assert_eq!(opened.trim(), shown);
    let arguments = std::fs::read_to_string(format!("/proc/{}/cmdline", pup.pid())).unwrap();
    let landed = browser::agree(&shown);
    browser::get(&landed).unwrap();
    let out = pup.wait().expect_code(0);
    assert!(out.stderr.contains("Your browser should show"), "{}", out.report());
    let exchange = fields(&authority.to("/token")[0]);
    for secret in ["code_verifier", "code"] {
        let secret = exchange[secret].as_str().unwrap();
        assert!(!opened.contains(secret) && !arguments.contains(secret) && !out.stderr.contains(secret));
    }
}

#[test]
fn terms_come_first_and_need_a_yes_once() {
    let authority = Authority::new();
    authority.answers_with(chatgpt_tokens());
    let env = home(&authority);
    for (provider, word) in [("claude_code", "Anthropic"), ("antigravity", "suspended"), ("zai_coding", "coding plan")] {
        let out = login(&env, &[provider]).run().expect_code(4);
        assert!(out.stderr.contains(word) && out.stderr.contains("--accept-terms"), "{}", out.report());
    }
    assert!(authority.requests().is_empty(), "nothing was asked of anybody");
    // chatgpt has no such terms; the coding plan has no login, only terms.
    let mut pup = login(&env, &["chatgpt"]).spawn();
    browse(&mut pup);
    pup.wait().expect_code(0);
    let out = login(&env, &["zai_coding", "--accept-terms"]).run().expect_code(0);
    assert!(out.stdout.contains("ZAI_API_KEY"), "{}", out.report());
    let why = |id: &str| {
        let out = env.pup().args(["models", "show", id, "--json"]).env("ZAI_API_KEY", "k-0123456789").run().expect_code(0);
        out.json().to_string()
    };
    assert!(!why("zai-glm-4.7-coding").contains("opt_in_missing"));
    assert!(why("claude-code-claude-haiku-4-5-20251001").contains("no_login"));

    logged_in(&env, "claude_code");
    assert!(!why("claude-code-claude-haiku-4-5-20251001").contains("no_login"));
    let agreed: Value = serde_json::from_str(&std::fs::read_to_string(env.pup_home().join("state/terms.json")).unwrap()).unwrap();
    assert!(agreed["claude_code"]["at"].as_str().unwrap().starts_with("20"), "{agreed}");
    // The second time nobody is asked.
    let mut pup = login(&env, &["claude_code"]).spawn();
    browse(&mut pup);
    let out = pup.wait().expect_code(0);
    assert!(!out.stderr.contains("Anthropic"), "{}", out.report());
}

#[test]
fn on_a_terminal_the_yes_is_typed_and_the_code_is_pasted() {
    use crate::support::Terminal;
    let authority = Authority::new();
    let env = home(&authority);
    let mut term = Terminal::start(login(&env, &["claude_code", "--no-browser"]), 60, 200);
    term.wait_for("Type yes").send("no\r");
    assert_eq!(term.wait_exit(), 4);
    let mut term = Terminal::start(login(&env, &["claude_code", "--no-browser"]), 60, 1000);
    term.wait_for("Type yes").send("yes\r").wait_for("paste the code");
    let url = term.screen().lines().map(str::trim).find(|l| l.starts_with("http://127")).unwrap().to_owned();
    let (code, state) = code_for(&url);
    term.send(&format!("{code}#{state}\r")).wait_for("logged in");
    assert_eq!(term.wait_exit(), 0);
    assert!(record(&env, "claude_code")["ended"].is_null());
}

#[test]
fn logging_out_tells_the_provider_and_forgets() {
    let authority = Authority::new();
    authority.answers_with(chatgpt_tokens());
    let env = home(&authority);
    let logout = |provider: &str| env.pup().args(["auth", "logout", provider]).run();
    let out = logout("chatgpt").expect_code(0);
    assert!(out.stdout.contains("there was no login"), "{}", out.report());

    logged_in(&env, "chatgpt");
    let out = logout("chatgpt").expect_code(0);
    assert!(out.stdout.contains("taken the tokens back"), "{}", out.report());
    let told = &authority.to("/revoke")[0];
    let sent = fields(told);
    assert_eq!(told.header("content-type"), Some("application/json"));
    assert_eq!((&sent["token_type_hint"], &sent["client_id"]), (&json!("refresh_token"), &json!("app_EMoamEEZ73f0CkXaXp7hrann")));
    assert!(sent["token"].as_str().unwrap().starts_with("canary-refresh"));
    let left: String = files(&env).into_iter().map(|(_, text)| text).collect();
    assert_silent(&left, &authority);
    assert_eq!(record(&env, "chatgpt"), Value::Null);

    // A provider that fails does not keep anybody from forgetting.
    logged_in(&env, "acme");
    authority.goes_wrong("/revoke", None, Reply::html(503), 1);
    let out = logout("acme").expect_code(0);
    assert!(out.stdout.contains("could not be told") && out.stdout.contains("503"), "{}", out.report());
    assert_eq!(record(&env, "acme"), Value::Null);
    let out = logout("openai").expect_code(2);
    assert!(out.stderr.contains("has no login"), "{}", out.report());
}

#[test]
fn what_cannot_be_logged_in_to_says_what_is_missing() {
    let authority = Authority::new();
    let env = home(&authority);
    let out = env.pup().args(["auth", "login", "antigravity", "--accept-terms"]).run().expect_code(3);
    assert!(out.stderr.contains("ANTIGRAVITY_CLIENT_ID and ANTIGRAVITY_CLIENT_SECRET") && out.stderr.contains(".env"), "{}", out.report());
    env.write_config(".env", "ANTIGRAVITY_CLIENT_ID=client-g\n");
    let out = env.pup().args(["auth", "login", "antigravity", "--accept-terms"]).run().expect_code(3);
    assert!(out.stderr.contains("client secret"), "{}", out.report());
    let out = login(&env, &["openai"]).run().expect_code(2);
    assert!(out.stderr.contains("openai has no login") && out.stderr.contains("OPENAI_API_KEY"), "{}", out.report());
    let out = login(&env, &["chatgtp"]).run().expect_code(2);
    assert!(out.stderr.contains("did you mean `chatgpt`?"), "{}", out.report());
}

#[test]
fn a_project_says_nothing_about_logins() {
    let authority = Authority::new();
    let env = home(&authority);
    let foreign = Authority::new();
    env.write(".pup/plugins/evil/plugin.json", manifest(&foreign));
    env.write(".pup/models.json", r#"{"providers": {"acme": {"base_url": "http://127.0.0.1:1/v1"}}}"#);
    env.pup().args(["trust", "add"]).run().expect_code(0);
    let out = login(&env, &["acme"]).run().expect_code(3);
    assert!(out.stderr.contains("cannot be set by a project"), "{}", out.report());
    env.write(".pup/models.json", r#"{"providers": {"acme": {"api_key_env": [], "login": "oauth", "base_url": "http://127.0.0.1:1/v1"}}}"#);
    env.pup().args(["trust", "add"]).run().expect_code(0);
    let out = login(&env, &["acme"]).run().expect_code(3);
    assert!(out.stderr.contains("cannot be set by a project"), "{}", out.report());
    env.write(".pup/models.json", "{}");
    env.pup().args(["trust", "add"]).run().expect_code(0);
    logged_in(&env, "acme");
    assert!(foreign.requests().is_empty() && !authority.requests().is_empty());
}
