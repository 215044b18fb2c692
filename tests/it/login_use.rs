//! Logins in use: tokens that end in the middle of a task, many processes at once, refusals, and where a token never goes.

use crate::login::{assert_kept_to_the_vault, browse, files, home, logged_in, login, record};
use crate::support::{Authority, Launch, Reply, Server, TestEnv};
use code_pup::auth::oauth::{Client, Login, Shelf, Store, Transport};
use code_pup::base::net::Pool;
use code_pup::base::places::Places;
use code_pup::base::redact::Redactor;
use code_pup::catalog::Manifests;
use code_pup::config::Backend;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const HOUR: i64 = 3_600_000;

/// Answers like a model server that knows which tokens are good.
fn guarded(authority: &Authority, mut answer: impl FnMut(usize) -> Reply + Send + 'static) -> Server {
    let authority = authority.clone();
    Server::respond(move |request| {
        if authority.accepts(request.header("authorization")) {
            return answer(request.turn());
        }
        Reply::error(401, "invalid_token", "the token has expired")
    })
}

fn run(env: &TestEnv, server: &Server) -> Launch {
    env.pup().args(["run", "--model", "acme-1", "--approve", "all", "--output", "json", "go"]).env("ACME_BASE_URL", server.base_url())
}

/// Shifts the times of a stored login, as if the clock had been moved or time had passed.
fn shift(env: &TestEnv, change: impl Fn(&mut Value)) {
    let path = env.pup_home().join("state/logins/acme.json");
    let mut record: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut record);
    std::fs::write(path, record.to_string()).unwrap();
}

fn moved(value: &mut Value, by: i64) {
    *value = json!(value.as_i64().unwrap() + by);
}

/// The token is `age` old; it lives an hour.
pub fn aged(env: &TestEnv, age: i64) {
    shift(env, |r| {
        moved(&mut r["obtained_at"], -age);
        moved(&mut r["expires_at"], -age);
    });
}

fn two_turns(turn: usize) -> Reply {
    if turn == 0 { Reply::tool_call("list_files", json!({"path": "."})) } else { Reply::text("done") }
}

#[test]
fn a_token_that_ends_in_the_middle_of_a_task_costs_nothing() {
    let authority = Authority::new();
    let env = home(&authority);
    logged_in(&env, "acme");
    let ends = authority.clone();
    let server = guarded(&authority, move |turn| {
        if turn == 0 {
            ends.revoke_access();
        }
        two_turns(turn)
    });
    let result = run(&env, &server).run().expect_code(0).json();
    assert_eq!((&result["text"], result["attempts"].as_array().map(Vec::len)), (&json!("done"), Some(2)), "{result}");
    assert_eq!((server.finish().len(), authority.grants("refresh_token").len()), (3, 1), "one refused, renewed, repeated");

    // Ahead of its end it is renewed before anybody refuses it.
    aged(&env, HOUR - 200_000);
    let server = guarded(&authority, two_turns);
    run(&env, &server).run().expect_code(0);
    assert_eq!((server.finish().len(), authority.grants("refresh_token").len()), (2, 2));
    // What every request carries.
    let server = guarded(&authority, two_turns);
    run(&env, &server).run().expect_code(0);
    let requests = server.finish();
    assert!(requests.iter().all(|r| r.header("user-agent").is_some_and(|a| a.starts_with("pup/"))));
    assert_eq!(authority.grants("refresh_token").len(), 2, "and while it is fresh nobody renews it");
    assert_kept_to_the_vault(&env, &authority);
}

#[test]
fn a_token_that_is_refused_twice_is_an_auth_failure_and_no_loop() {
    let authority = Authority::new();
    let env = home(&authority);
    logged_in(&env, "acme");
    let server = Server::respond(|_| Reply::error(401, "invalid_token", "never"));
    let out = run(&env, &server).run().expect_code(4);
    assert!(out.json()["error"].to_string().contains("pup auth login acme"), "{}", out.report());
    assert_eq!((server.finish().len(), authority.grants("refresh_token").len()), (2, 1));
    assert!(record(&env, "acme")["ended"].is_null(), "the server is wrong, as far as anybody knows");
}

#[test]
fn eight_processes_renew_once() {
    let authority = Authority::new();
    let env = home(&authority);
    logged_in(&env, "acme");
    authority.delay(Duration::from_millis(700));
    // At its end by the clock, and refused before that.
    for round in 0..2 {
        if round == 0 {
            aged(&env, 2 * HOUR);
        } else {
            authority.revoke_access();
        }
        let server = guarded(&authority, |_| Reply::text("done"));
        let all: Vec<_> = (0..8).map(|_| run(&env, &server).spawn()).collect();
        for pup in all {
            pup.wait().expect_code(0);
        }
        assert_eq!(authority.grants("refresh_token").len(), round + 1);
        assert!(server.finish().len() >= 8);
    }
    assert_kept_to_the_vault(&env, &authority);
}

/// A login of this process, as a run has it.
fn opened(env: &TestEnv) -> Login {
    let places = Places::under(&env.pup_home());
    let oauth = Arc::clone(Manifests::load(&places).unwrap().oauth("acme").unwrap());
    let record = Shelf::new(&places, "acme").record().unwrap().unwrap();
    let client = Client { id: "pup-at-acme".into(), secret: None };
    Login::new(
        oauth,
        client,
        Store::new(&places, "acme", Backend::File),
        Transport { redactor: Redactor::default(), pool: Pool::default() },
        record,
    )
}

fn on_a_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn forty_tasks_renew_once_and_a_request_that_is_given_up_loses_no_token() {
    let authority = Authority::new();
    let env = home(&authority);
    logged_in(&env, "acme");
    aged(&env, 2 * HOUR);
    authority.delay(Duration::from_millis(300));
    on_a_runtime(async {
        let (one, other) = (opened(&env), opened(&env));
        let asked = (0..40).map(|i| if i % 2 == 0 { one.bearer("http://127.0.0.1:1/") } else { other.bearer("http://127.0.0.1:1/") });
        let all = futures_util::future::join_all(asked).await;
        let first = all[0].as_ref().unwrap().token.clone();
        assert!(all.iter().all(|b| b.as_ref().is_ok_and(|b| b.token == first)));
        assert_eq!(authority.grants("refresh_token").len(), 1);
        // Refused by the server at the same time in many tasks.
        let bearers: Vec<_> = all.into_iter().map(Result::unwrap).collect();
        let renewed = futures_util::future::join_all(bearers.iter().map(|b| one.renewed(b, "http://127.0.0.1:1/"))).await;
        assert!(renewed.iter().all(|b| b.as_ref().is_ok_and(|b| b.token != first)));
        assert_eq!(authority.grants("refresh_token").len(), 2);
    });
    aged(&env, 2 * HOUR);
    on_a_runtime(async {
        let login = opened(&env);
        let given_up = tokio::time::timeout(Duration::from_millis(50), login.bearer("http://127.0.0.1:1/")).await;
        assert!(given_up.is_err(), "it was given up while the server worked");
        let bearer = login.bearer("http://127.0.0.1:1/").await.unwrap();
        assert!(authority.accepts(Some(&format!("Bearer {}", bearer.token.expose()))));
        assert_eq!(authority.grants("refresh_token").len(), 3);
    });
}

#[test]
fn refresh_tokens_rotate_and_one_that_does_not_is_kept() {
    let authority = Authority::new();
    let env = home(&authority);
    logged_in(&env, "acme");
    let server = guarded(&authority, |_| Reply::text("done"));
    for _ in 0..3 {
        aged(&env, 2 * HOUR);
        run(&env, &server).run().expect_code(0);
    }
    let sent: Vec<_> = authority.grants("refresh_token").iter().map(|f| f["refresh_token"].clone()).collect();
    assert!(sent.len() == 3 && sent[0] != sent[1] && sent[1] != sent[2], "{sent:?}");
    authority.keeps_refresh_tokens();
    for _ in 0..2 {
        aged(&env, 2 * HOUR);
        run(&env, &server).run().expect_code(0);
    }
    let sent: Vec<_> = authority.grants("refresh_token").iter().map(|f| f["refresh_token"].clone()).collect();
    assert_eq!(sent[3], sent[4]);
    // Killed while it waits for the new token: the next process goes on from what is stored.
    aged(&env, 2 * HOUR);
    authority.delay(Duration::from_secs(3));
    let before = authority.to("/token").len();
    let pup = run(&env, &server).spawn();
    while authority.to("/token").len() == before {
        std::thread::sleep(Duration::from_millis(10));
    }
    pup.signal(rustix::process::Signal::KILL);
    pup.wait();
    authority.delay(Duration::ZERO);
    run(&env, &server).run().expect_code(0);
}

/// A chain of the login's model and one by key.
fn with_a_second_link(env: &TestEnv) {
    let mut models: Value = serde_json::from_str(crate::login::ACME).unwrap();
    models["providers"]["spare"] = json!({"wire": "openai-chat", "base_url": "http://127.0.0.1:9/v1", "api_key_env": ["SPARE_KEY"]});
    models["models"]["spare-1"] = json!({"provider": "spare", "context": 100_000});
    models["chains"] = json!({"coding": ["acme-1", "spare-1"]});
    env.write_config("models.json", models.to_string());
}

fn chain(env: &TestEnv, server: &Server, spare: &Server) -> Launch {
    env.pup()
        .args(["run", "--output", "json", "go"])
        .env("ACME_BASE_URL", server.base_url())
        .env("SPARE_BASE_URL", spare.base_url())
        .env("SPARE_KEY", "spare-key-0123456789")
}

#[test]
fn a_login_that_is_over_is_marked_once_and_the_chain_goes_on() {
    let authority = Authority::new();
    let env = home(&authority);
    with_a_second_link(&env);
    logged_in(&env, "acme");
    // Somebody used the refresh token before us: the provider ends them all.
    let stolen = authority.canaries().into_iter().find(|c| c.starts_with("canary-refresh")).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..2 {
        let body = format!("grant_type=refresh_token&refresh_token={stolen}");
        let sent = client.post(authority.url("/token")).header("content-type", "application/x-www-form-urlencoded").body(body);
        on_a_runtime(async { sent.send().await.unwrap() });
    }
    let (server, spare) = (guarded(&authority, |_| Reply::text("no")), Server::respond(|_| Reply::text("spare")));
    let out = chain(&env, &server, &spare).run().expect_code(0);
    let result = out.json();
    assert_eq!((&result["text"], &result["attempts"][0]["outcome"]), (&json!("spare"), &json!("auth")), "{}", out.report());
    let ended = record(&env, "acme")["ended"].clone();
    assert!(ended["why"].as_str().unwrap().contains("used before"), "{ended}");
    let refreshes = authority.grants("refresh_token").len();
    // From now on it is left out, and says why.
    let out = chain(&env, &server, &spare).run().expect_code(0);
    let result = out.json();
    assert_eq!(result["attempts"].as_array().map(Vec::len), Some(1), "{}", out.report());
    assert!(result["notes"].to_string().contains("the login of acme has ended"), "{}", out.report());
    let doctor = env.pup().arg("doctor").run();
    assert!(doctor.stdout.contains("wrong login: acme") && doctor.stdout.contains("used before"), "{}", doctor.report());
    let out = run(&env, &server).run().expect_code(4);
    let error = out.json()["error"].to_string();
    assert!(error.contains("has ended") && error.contains("used before") && error.contains("pup auth login acme"), "{}", out.report());
    assert_eq!(authority.grants("refresh_token").len(), refreshes, "nobody asks again");
    let left: String = files(&env).into_iter().map(|(_, text)| text).collect();
    assert!(!left.contains("canary-"), "tokens of no use are not kept");
    // A new login makes it good.
    logged_in(&env, "acme");
    let server = guarded(&authority, |_| Reply::text("back"));
    assert_eq!(chain(&env, &server, &spare).run().expect_code(0).json()["text"], "back");
}

#[test]
fn a_refusal_of_the_account_is_explained_and_holds_until_the_next_login() {
    let authority = Authority::new();
    let env = home(&authority);
    with_a_second_link(&env);
    logged_in(&env, "acme");
    let server = Server::respond(|_| Reply::error(403, "permission_error", "This credential is only authorized for use with Acme Code"));
    let spare = Server::respond(|_| Reply::text("spare"));
    let out = chain(&env, &server, &spare).run().expect_code(0);
    let result = out.json();
    assert_eq!(
        (&result["text"], &result["attempts"][0]["outcome"], &result["attempts"][0]["scope"]),
        (&json!("spare"), &json!("permission"), &json!("key"))
    );
    chain(&env, &server, &spare).run().expect_code(0);
    assert_eq!(server.finish().len(), 1, "it is not tried again");
    let out = env.pup().args(["run", "--model", "acme-1", "go"]).run().expect_code(4);
    assert!(out.stderr.contains("has ended") && out.stderr.contains("only authorized for use with Acme Code"), "{}", out.report());
    assert!(record(&env, "acme")["ended"]["why"].as_str().unwrap().contains("only authorized for use with Acme Code"));
    let server = guarded(&authority, |_| Reply::text("allowed now"));
    logged_in(&env, "acme");
    assert_eq!(chain(&env, &server, &spare).run().expect_code(0).json()["text"], "allowed now");
}

#[test]
fn a_server_that_cannot_renew_now_stops_nobody_whose_token_still_works() {
    let authority = Authority::new();
    let env = home(&authority);
    logged_in(&env, "acme");
    let quick = |server: &Server| run(&env, server).env("PUP_HTTP_RETRIES", "0");
    aged(&env, HOUR - 200_000);
    authority.goes_wrong("/token", None, Reply::html(503), 1);
    let server = guarded(&authority, two_turns);
    quick(&server).run().expect_code(0);
    assert_eq!(authority.grants("refresh_token").len(), 1, "and in the same run nobody asks again");
    // It wants a pause, which every process keeps.
    let pause = Reply::error(429, "slow_down", "too many").header("retry-after", "120");
    authority.goes_wrong("/token", None, pause, 1);
    aged(&env, HOUR);
    let out = quick(&server).run().expect_code(5);
    assert!(out.json()["attempts"][0]["retry_after_s"].as_f64().is_some_and(|s| s > 100.0), "{}", out.report());
    let out = quick(&server).run().expect_code(5);
    assert!(out.json()["attempts"][0]["retry_after_s"].as_f64().is_some_and(|s| s > 100.0), "{}", out.report());
    assert_eq!(authority.grants("refresh_token").len(), 2);
    shift(&env, |r| moved(&mut r["retry_at"], -HOUR));
    // Out, and back: nothing is lost.
    for reply in
        [Reply::html(502), Reply::html(200), Reply::plain(200, "application/json", "{\"access_token\": \"can"), Reply::error(500, "x", "y")]
    {
        authority.goes_wrong("/token", None, reply, 1);
        quick(&server).run().expect_code(5);
        assert!(record(&env, "acme")["ended"].is_null());
    }
    quick(&server).run().expect_code(0);
}

#[test]
fn a_clock_that_is_an_hour_off_costs_one_renewal_at_most() {
    let authority = Authority::new();
    let env = home(&authority);
    // The clock was ahead when the login was made, or behind; it is right now, and the token over.
    for by in [HOUR, -HOUR] {
        logged_in(&env, "acme");
        let before = authority.grants("refresh_token").len();
        aged(&env, -by);
        authority.revoke_access();
        let server = guarded(&authority, two_turns);
        run(&env, &server).run().expect_code(0);
        run(&env, &server).run().expect_code(0);
        assert_eq!(authority.grants("refresh_token").len(), before + 1);
    }
    // A server that tells no lifetime is believed until it refuses.
    authority.says_no_lifetime();
    logged_in(&env, "acme");
    assert!(record(&env, "acme")["expires_at"].is_null());
    authority.revoke_access();
    let server = guarded(&authority, two_turns);
    run(&env, &server).run().expect_code(0);
}

#[test]
fn a_token_goes_nowhere_else() {
    let authority = Authority::new();
    let env = home(&authority);
    logged_in(&env, "acme");
    // Another address, by way of configuration.
    let server = Server::respond(|_| Reply::text("gotcha"));
    let elsewhere = server.base_url().replace("127.0.0.1", "localhost");
    let out = env.pup().args(["run", "--model", "acme-1", "go"]).env("ACME_BASE_URL", elsewhere).run().expect_code(4);
    assert!(out.stderr.contains("goes to 127.0.0.1 only") && out.stderr.contains("http://localhost:"), "{}", out.report());
    assert!(server.finish().is_empty() && record(&env, "acme")["ended"].is_null());
    // A redirect.
    let foreign = Server::respond(|_| Reply::text("gotcha"));
    let there = format!("{}/chat/completions", foreign.base_url().replace("127.0.0.1", "localhost"));
    let server = Server::respond(move |_| Reply::plain(307, "text/plain", "").header("location", &there));
    run(&env, &server).env("PUP_HTTP_RETRIES", "0").run();
    assert!(foreign.finish().is_empty() && server.finish().len() == 1);
    // A refresh token goes back to where it came from, whatever the manifest says by now.
    let thief = Authority::new();
    env.write_config("plugins/test/plugin.json", crate::login::manifest(&thief));
    aged(&env, 2 * HOUR);
    let server = guarded(&authority, |_| Reply::text("done"));
    run(&env, &server).run().expect_code(0);
    let out = env.pup().args(["auth", "logout", "acme"]).run().expect_code(0);
    assert!(out.stdout.contains("made at another server"), "{}", out.report());
    assert!(thief.requests().is_empty());
}

#[test]
fn what_is_stored_may_be_damaged_gone_newer_or_open_to_others() {
    let authority = Authority::new();
    let env = home(&authority);
    let server = guarded(&authority, |_| Reply::text("done"));
    let path = env.pup_home().join("state/logins/acme.json");
    let vault = env.pup_home().join("state/vault.json");
    let refused = |what: &str, hint: &str| {
        let out = run(&env, &server).run().expect_code(4);
        assert!(out.stdout.contains(what) && out.stdout.contains(hint), "{what}: {}", out.report());
    };
    for (text, what) in [("{\"v\": 1, \"prov", "is damaged"), ("", "is damaged"), ("{\"v\": 99}", "written by a newer pup")] {
        logged_in(&env, "acme");
        std::fs::write(&path, text).unwrap();
        refused(what, "pup auth login acme");
        let out = env.pup().args(["auth", "logout", "acme"]).run().expect_code(0);
        assert!(out.stdout.contains("logged out"), "{}", out.report());
    }
    logged_in(&env, "acme");
    std::fs::remove_file(&vault).unwrap();
    refused("tokens are gone", "pup auth login acme");
    logged_in(&env, "acme");
    std::fs::write(&vault, "{ damaged").unwrap();
    refused("tokens are gone", "pup auth login acme");
    logged_in(&env, "acme");
    std::fs::set_permissions(&vault, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    refused("can be used by others", "chmod 600");
    std::fs::set_permissions(&vault, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    run(&env, &server).run().expect_code(0);
}

#[test]
fn no_log_journal_or_command_sees_a_token() {
    let authority = Authority::new();
    let env = home(&authority);
    let mut pup = login(&env, &["acme", "-vv"]).spawn();
    browse(&mut pup);
    let first = pup.wait().expect_code(0);
    let vault = env.pup_home().join("state/vault.json");
    // The model reads the vault, before and after a renewal that nobody knew of when the run began.
    let ends = authority.clone();
    let command = format!("cat {}; env; cat /proc/$PPID/cmdline", vault.display());
    let processes = Arc::new(Mutex::new(String::new()));
    let at_work = Arc::clone(&processes);
    let server = guarded(&authority, move |turn| {
        at_work.lock().unwrap().push_str(&crate::keys::arguments());
        if turn == 1 {
            ends.revoke_access();
        }
        if turn < 3 { Reply::tool_call("shell", json!({"command": command.clone()})) } else { Reply::text("done") }
    });
    let out = run(&env, &server).args(["-vv"]).env("ANTIGRAVITY_CLIENT_SECRET", "canary-client-secret").run().expect_code(0);
    let requests = server.finish();
    let bodies: String = requests.iter().map(|r| String::from_utf8_lossy(&r.raw).into_owned()).collect();
    assert!(bodies.contains("[redacted:access_token]") && bodies.contains("[redacted:refresh_token]"), "the vault was read");
    assert_eq!(authority.grants("refresh_token").len(), 1);
    let canaries = authority.canaries();
    assert!(canaries.len() >= 5);
    let processes = processes.lock().unwrap().clone();
    #[cfg(target_os = "linux")]
    assert!(processes.contains("pup"), "the processes were listed");
    for canary in canaries.iter().map(String::as_str).chain(["canary-client-secret"]) {
        let said = [("login", &first.stderr), ("stderr", &out.stderr), ("stdout", &out.stdout), ("requests", &bodies)];
        for (place, text) in said.into_iter().chain([("the process list", &processes)]) {
            assert!(!text.contains(canary), "{canary} in {place}");
        }
    }
    assert!(out.stderr.contains("renewing the login"), "the log is there");
    assert_kept_to_the_vault(&env, &authority);
}

#[cfg(all(target_os = "linux", feature = "keyring"))]
#[test]
fn tokens_are_kept_in_the_keyring_and_renewed_there() {
    let authority = Authority::new();
    let env = home(&authority);
    logged_in(&env, "acme");
    let vault = env.pup_home().join("state/vault.json");
    assert!(std::fs::read_to_string(&vault).unwrap().contains("canary-refresh"), "without a keyring they are in the file");
    let server = guarded(&authority, |_| Reply::text("done"));
    // The same login moves into the keyring with its next renewal.
    aged(&env, 2 * HOUR);
    let script = format!(
        "{pup} run --model acme-1 --output json go >/dev/null\n{pup} auth status acme\n{pup} auth logout acme",
        pup = env!("CARGO_BIN_EXE_pup")
    );
    let Some(out) = crate::keys::in_keyring(&env, &script, &[("ACME_BASE_URL", server.base_url())]) else { return };
    let out = out.expect_code(0);
    assert!(out.stdout.contains("login, keyring") && out.stdout.contains("taken the tokens back"), "{}", out.report());
    assert_eq!(authority.grants("refresh_token").len(), 1);
    assert_kept_to_the_vault(&env, &authority);
    assert!(!std::fs::read_to_string(&vault).unwrap().contains("canary"));
}
