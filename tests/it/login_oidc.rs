//! Logins at a certified authorisation server of other people's making (`oidc-provider`), in a process of its own.

use crate::login::{address, login, record};
use crate::login_use::{HOUR, aged};
use crate::support::browser::Session;
use crate::support::launch::Running;
use crate::support::{Launch, Reply, Server, Stdin, TestEnv, browser, need};
use serde_json::{Value, json};
use std::time::Duration;

/// The server, until the value is dropped.
struct Oidc {
    issuer: String,
    node: Running,
}

impl Oidc {
    /// Its access tokens last `seconds`.
    fn start(env: &TestEnv, seconds: u64) -> Option<Self> {
        let modules = need::node_package("oidc-provider")?;
        let script = need::root().join("tests/support/oidc/server.mjs");
        let mut node =
            env.command("node").arg(script).arg(modules).env("TOKEN_SECONDS", seconds.to_string()).limit(Duration::from_mins(5)).spawn();
        node.wait_until("the server's address", |out, _| out.contains("http://"));
        let issuer = node.output().0.lines().next().unwrap_or_default().to_owned();
        let manifest = json!({"schema": 1, "provides": {"oauth": {"acme": {
            "client_id": "pup-at-oidc",
            "endpoints": {"authorize": format!("{issuer}/auth"), "token": format!("{issuer}/token"), "revoke": format!("{issuer}/token/revocation"),
                "device": format!("{issuer}/device/auth"), "userinfo": format!("{issuer}/me")},
            "scopes": ["openid", "email", "offline_access"], "authorize_params": {"prompt": "consent"},
            "redirect": {"ports": [0], "path": "/callback"},
            "account_from": {"sources": ["id_token", "userinfo"], "id": ["/sub"], "email": ["/email"], "required": true},
            "strategy": "rfc8628", "allowed_hosts": ["127.0.0.1"]
        }}}});
        env.write_config("plugins/oidc/plugin.json", manifest.to_string());
        env.write_config("models.json", crate::login::ACME);
        Some(Self { issuer, node })
    }

    /// Logs the user in and agrees, from wherever the provider asks; returns where that leads in the end.
    fn agree(session: &mut Session, from: &str) -> Result<String, String> {
        let mut at = session.visit(from, None);
        for _ in 0..6 {
            let page = match at {
                Err(elsewhere) => return Ok(elsewhere),
                Ok(page) => page,
            };
            let Some(action) = attribute(&page.body, "action=\"") else { return Err(page.body) };
            let prompt = attribute(&page.body, "name=\"prompt\" value=\"");
            let xsrf = attribute(&page.body, "name=\"xsrf\" value=\"").unwrap_or_default();
            let code = attribute(&page.body, "name=\"user_code\" value=\"").unwrap_or_default();
            let mut form = vec![("login", "rex"), ("password", "any")];
            match prompt.as_deref() {
                Some(prompt) => form.push(("prompt", if prompt == "login" { "login" } else { "consent" })),
                None => form.extend([("xsrf", xsrf.as_str()), ("user_code", code.as_str()), ("confirm", "yes")]),
            }
            at = session.visit(&action, Some(&form));
        }
        Err("the forms have no end".to_owned())
    }

    /// What the server itself says of a token.
    fn is_active(issuer: &str, token: &str) -> bool {
        let mut session = Session::default();
        let page =
            session.visit(&format!("{issuer}/token/introspection"), Some(&[("token", token), ("client_id", "pup-at-oidc")])).unwrap();
        serde_json::from_str::<Value>(&page.body).is_ok_and(|v| v["active"] == true)
    }

    /// How often this happened, once it has happened at all: the server's words come over a pipe.
    #[track_caller]
    fn happened(&mut self, what: &str) -> usize {
        let count = |out: &str| out.lines().filter(|l| l.starts_with(what)).count();
        self.node.wait_until(what, |out, _| count(out) > 0);
        std::thread::sleep(Duration::from_millis(200));
        count(&self.node.output().0)
    }

    /// A model server that asks the authorisation server about each token.
    fn model(&self, mut answer: impl FnMut(usize) -> Reply + Send + 'static) -> Server {
        let issuer = self.issuer.clone();
        Server::respond(move |request| {
            let token = request.header("authorization").and_then(|a| a.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
            if Self::is_active(&issuer, &token) { answer(request.turn()) } else { Reply::error(401, "invalid_token", "not active") }
        })
    }
}

fn attribute(html: &str, before: &str) -> Option<String> {
    let (_, rest) = html.split_once(before)?;
    Some(rest.split('"').next()?.replace("&amp;", "&"))
}

fn browse(pup: &mut Running) {
    let landed = Oidc::agree(&mut Session::default(), &address(pup)).unwrap();
    assert!(landed.contains("code=") && landed.contains("iss="), "{landed}");
    assert_eq!(browser::get(&landed).unwrap().status, 200);
}

fn run(env: &TestEnv, server: &Server) -> Launch {
    env.pup().args(["run", "--model", "acme-1", "--approve", "all", "--output", "json", "go"]).env("ACME_BASE_URL", server.base_url())
}

/// The tokens that are stored.
fn stored(env: &TestEnv, name: &str) -> String {
    let vault: Value = serde_json::from_str(&std::fs::read_to_string(env.pup_home().join("state/vault.json")).unwrap()).unwrap();
    vault["entries"][format!("oauth/acme/{name}")]["secret"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_browser_way_the_pasted_way_and_the_way_of_devices() {
    let env = TestEnv::new();
    let Some(oidc) = Oidc::start(&env, 3600) else { return };
    let mut pup = login(&env, &["acme"]).spawn();
    browse(&mut pup);
    assert_eq!(pup.wait().expect_code(0).stdout, "logged in to acme as rex@example.com\n");
    assert_eq!(record(&env, "acme")["account"], "rex");
    assert!(Oidc::is_active(&oidc.issuer, &stored(&env, "access")));

    let mut pup = login(&env, &["acme", "--no-browser"]).stdin(Stdin::Open).spawn();
    let landed = Oidc::agree(&mut Session::default(), &address(&mut pup)).unwrap();
    pup.type_line(&landed.replace("state=", "state=x"));
    pup.wait_until("the complaint", |_, err| err.contains("belongs to another login"));
    pup.type_line(&landed);
    pup.wait().expect_code(0);

    let mut pup = login(&env, &["acme", "--device"]).spawn();
    let page = |err: &str| {
        err.lines().find(|l| l.contains("user_code=")).map(|l| l.trim_end_matches(')').rsplit(' ').next().unwrap_or_default().to_owned())
    };
    pup.wait_until("the page", |_, err| page(err).is_some());
    let end = Oidc::agree(&mut Session::default(), &page(&pup.output().1).unwrap());
    assert!(
        end.is_err_and(|page| page.contains("Sign-in Success") || page.to_lowercase().contains("success")),
        "the device is not confirmed"
    );
    pup.wait().expect_code(0);
}

#[test]
fn a_token_that_ends_in_the_middle_of_a_task() {
    let env = TestEnv::new();
    let Some(mut oidc) = Oidc::start(&env, 3) else { return };
    let mut pup = login(&env, &["acme"]).spawn();
    browse(&mut pup);
    pup.wait().expect_code(0);
    let first = stored(&env, "refresh");
    let server = oidc.model(|turn| if turn == 0 { Reply::tool_call("shell", json!({"command": "sleep 4"})) } else { Reply::text("done") });
    let result = run(&env, &server).run().expect_code(0).json();
    assert_eq!((&result["text"], result["attempts"].as_array().map(Vec::len)), (&json!("done"), Some(2)), "{result}");
    assert_ne!(first, stored(&env, "refresh"));
    oidc.happened("refresh_token.consumed");
}

#[test]
fn rotation_reuse_and_revocation() {
    let env = TestEnv::new();
    let Some(mut oidc) = Oidc::start(&env, 3600) else { return };
    let mut pup = login(&env, &["acme"]).spawn();
    browse(&mut pup);
    pup.wait().expect_code(0);
    let first = stored(&env, "refresh");
    // Eight at once, all of them after its end.
    aged(&env, 2 * HOUR);
    let quick = oidc.model(|_| Reply::text("done"));
    let all: Vec<_> = (0..8).map(|_| run(&env, &quick).spawn()).collect();
    for pup in all {
        pup.wait().expect_code(0);
    }
    assert_eq!(oidc.happened("refresh_token.consumed"), 1, "{}", oidc.node.output().0);
    assert!(!oidc.node.output().0.contains("grant.revoked"), "nobody used a token twice");
    // Somebody else uses an old refresh token: the server takes the whole grant back, and the login is over.
    let reused = Session::default()
        .visit(
            &format!("{}/token", oidc.issuer),
            Some(&[("grant_type", "refresh_token"), ("refresh_token", &first), ("client_id", "pup-at-oidc")]),
        )
        .unwrap();
    assert_eq!(reused.status, 400, "{reused:?}");
    oidc.happened("grant.revoked");
    let out = run(&env, &quick).run().expect_code(4);
    assert!(out.json()["error"].to_string().contains("pup auth login acme"), "{}", out.report());
    assert!(record(&env, "acme")["ended"]["why"].as_str().unwrap().contains("invalid_grant"));

    let mut pup = login(&env, &["acme"]).spawn();
    browse(&mut pup);
    pup.wait().expect_code(0);
    run(&env, &quick).run().expect_code(0);
    let refresh = stored(&env, "refresh");
    let out = env.pup().args(["auth", "logout", "acme"]).run().expect_code(0);
    assert!(out.stdout.contains("taken the tokens back"), "{}", out.report());
    assert!(!Oidc::is_active(&oidc.issuer, &refresh), "the server still takes the token");
}
