//! What goes wrong while a login is made: foreign callbacks, taken ports, refusals, web pages, kills, two at once.

use crate::login::{address, assert_kept_to_the_vault, browse, chatgpt_tokens, files, home, logged_in, login, record};
use crate::support::{Authority, Reply, Stdin, TestEnv, browser};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

#[test]
fn a_callback_that_is_not_this_login_s_is_answered_and_ignored() {
    let authority = Authority::new();
    authority.delay(Duration::from_millis(1500));
    let env = home(&authority);
    let mut pup = login(&env, &["acme"]).spawn();
    let landed = browser::agree(&address(&mut pup));
    let with = |change: &dyn Fn(&mut reqwest::Url)| {
        let mut url = reqwest::Url::parse(&landed).unwrap();
        change(&mut url);
        url.to_string()
    };
    let page = |url: &str| browser::get(url).unwrap();
    let foreign = page(&with(&|u| u.set_query(Some("code=canary-foreign&state=wrong"))));
    assert!(foreign.status == 400 && foreign.body.contains("ignored") && !foreign.body.contains("canary"), "{foreign:?}");
    assert_eq!(page(&with(&|u| u.set_query(Some("error=access_denied")))).status, 400, "nobody else ends a login");
    assert_eq!(page(&with(&|u| u.set_query(None))).status, 400);
    assert_eq!(page(&with(&|u| u.set_path("/"))).status, 404);
    assert_eq!(browser::request("POST", &landed, &[]).unwrap().status, 405);
    assert_eq!(browser::request("GET", &landed, &[("host", "evil.example")]).unwrap().status, 404);
    // Connections that say nothing, or too much, are in nobody's way.
    let port = reqwest::Url::parse(&landed).unwrap().port().unwrap();
    let idle: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()).collect();
    let long = browser::request("GET", &landed, &[("x-long", &"x".repeat(100_000))]);
    assert!(long.map_or(true, |p| p.status == 400));
    assert!(authority.to("/token").is_empty());
    let good = page(&landed);
    assert!(good.status == 200 && good.body.contains("Back to pup"), "{good:?}");
    // While the code is traded, the page may be loaded again.
    authority.wait_for("/token");
    assert!(page(&landed).body.contains("answered before"));
    pup.wait().expect_code(0);
    drop(idle);
    assert_eq!(authority.grants("authorization_code").len(), 1);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "the port is closed with the login");
}

/// Two ports that are free, as far as anybody can know.
fn two_ports() -> [u16; 2] {
    let all = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    all.map(|l| l.local_addr().unwrap().port())
}

fn with_ports(env: &TestEnv, authority: &Authority, ports: &[u16]) {
    let mut manifest: Value = serde_json::from_str(&crate::login::manifest(authority)).unwrap();
    manifest["provides"]["oauth"]["chatgpt"]["redirect"] = json!({"ports": ports, "path": "/auth/callback"});
    env.write_config("plugins/test/plugin.json", manifest.to_string());
}

#[test]
fn two_logins_at_once_take_two_ports_and_a_third_is_told() {
    let authority = Authority::new();
    authority.answers_with(chatgpt_tokens());
    let env = home(&authority);
    let ports = two_ports();
    with_ports(&env, &authority, &ports);
    let mut first = login(&env, &["chatgpt"]).spawn();
    let first_url = address(&mut first);
    let mut second = login(&env, &["chatgpt"]).spawn();
    let second_url = address(&mut second);
    for (url, port) in [(&first_url, ports[0]), (&second_url, ports[1])] {
        assert!(url.contains(&format!("localhost%3A{port}%2Fauth")), "{url}");
    }
    let third = login(&env, &["chatgpt"]).run().expect_code(4);
    for part in [&format!("the ports {} and {} are taken", ports[0], ports[1]), "--no-browser", "--device"] {
        assert!(third.stderr.contains(part), "{}", third.report());
    }
    // The answer of one is not the other's.
    let landed = browser::agree(&first_url);
    let crossed = landed.replace(&format!(":{}", ports[0]), &format!(":{}", ports[1]));
    assert_eq!(browser::get(&crossed).unwrap().status, 400);
    for pup in [&mut second, &mut first] {
        browse(pup);
    }
    first.wait().expect_code(0);
    second.wait().expect_code(0);
    // With no port left, the address can still be pasted.
    let taken = ports.map(|p| TcpListener::bind((Ipv4Addr::LOCALHOST, p)).unwrap());
    let mut pup = login(&env, &["chatgpt", "--no-browser"]).stdin(Stdin::Open).spawn();
    let landed = browser::agree(&address(&mut pup));
    pup.type_line(&landed);
    pup.wait().expect_code(0);
    drop(taken);
    assert_eq!(record(&env, "chatgpt")["account"], "acc-1");
    assert_kept_to_the_vault(&env, &authority);
}

#[test]
fn a_no_a_silence_and_a_wrong_answer_each_say_what_they_are() {
    let authority = Authority::new();
    let env = home(&authority);
    // The window was closed, or the user said no.
    let mut pup = login(&env, &["acme"]).spawn();
    let mut landed = reqwest::Url::parse(&browser::agree(&address(&mut pup))).unwrap();
    let state = landed.query_pairs().find(|(k, _)| k == "state").unwrap().1.into_owned();
    landed.set_query(Some(&format!("error=access_denied&error_description=the%20user%0aleft%1b[31m&state={state}")));
    let page = browser::get(landed.as_str()).unwrap();
    assert!(page.body.contains("refused") && !page.body.contains("left"), "{page:?}");
    let out = pup.wait().expect_code(4);
    assert!(out.stderr.contains("the login was refused: the user left") && !out.stderr.contains('\u{1b}'), "{}", out.report());

    let out = login(&env, &["acme", "--timeout", "1s"]).run().expect_code(4);
    assert!(out.stderr.contains("nothing came back within 1 s") && out.stderr.contains("pup auth login acme"), "{}", out.report());

    let json = "application/json";
    for (reply, said) in [
        (Reply::html(200), "a web page instead of JSON (Gateway)"),
        (Reply::html(502), "a web page instead of JSON (Gateway)"),
        (Reply::plain(200, json, "{\"token_type\": \"Bearer\"}"), "without an access token"),
        (Reply::plain(200, json, "{\"access_token\": \"canary-cut"), "broken JSON"),
        (Reply::plain(200, json, "[]"), "broken JSON"),
        (Reply::plain(200, json, "{\"access_token\": 7}"), "not what it should be"),
        (Reply::plain(400, json, r#"{"error":"invalid_grant","error_description":"code expired"}"#), "400 invalid_grant: code expired"),
        (Reply::plain(403, json, r#"{"error":{"code":"unsupported_country","message":"not here"}}"#), "unsupported_country: not here"),
        (Reply::plain(302, "text/html", "").header("location", "http://127.0.0.1:1/"), "the server answered 302"),
    ] {
        authority.goes_wrong("/token", None, reply, 1);
        let mut pup = login(&env, &["acme", "-vv"]).spawn();
        browse(&mut pup);
        let out = pup.wait().expect_code(4);
        assert!(out.stderr.contains(said), "{said}: {}", out.report());
        assert!(!out.stderr.contains("canary"), "{}", out.report());
    }
    assert_eq!(record(&env, "acme"), Value::Null);
    // The account is needed, and nothing tells it.
    let mut pup = login(&env, &["chatgpt"]).spawn();
    browse(&mut pup);
    let out = pup.wait().expect_code(4);
    assert!(out.stderr.contains("do not say which account"), "{}", out.report());
}

#[test]
fn a_google_account_without_a_project_gets_one_or_is_told() {
    let authority = Authority::new();
    let env = home(&authority);
    logged_in(&env, "antigravity");
    assert_eq!(record(&env, "antigravity")["project"], "made-1");
    let made = &authority.to("/v1internal:onboardUser")[0];
    let order: Value = serde_json::from_slice(&made.body).unwrap();
    assert_eq!(
        (&order["tierId"], &order["cloudaicompanionProject"]),
        (&json!("free-tier"), &Value::Null),
        "a free account names no project"
    );

    authority.project(json!({"id": "given-1"}));
    logged_in(&env, "antigravity");
    assert_eq!(record(&env, "antigravity")["project"], "given-1");
    authority.project(json!("12345"));
    let mut pup = login(&env, &["antigravity"]).spawn();
    browse(&mut pup);
    let out = pup.wait().expect_code(4);
    assert!(out.stderr.contains("a project's number"), "{}", out.report());
    assert_eq!(record(&env, "antigravity")["project"], "given-1", "the login before is still there");

    let paid = json!({"allowedTiers": [{"id": "standard-tier", "isDefault": true}], "ineligibleTiers": [{"reasonMessage": "not for this country"}]});
    authority.goes_wrong("/v1internal:loadCodeAssist", None, Reply::plain(200, "application/json", paid.to_string()), 1);
    let mut pup = login(&env, &["antigravity"]).spawn();
    browse(&mut pup);
    let out = pup.wait().expect_code(4);
    assert!(out.stderr.contains("not for this country") && out.stderr.contains("\"project\""), "{}", out.report());
}

#[test]
fn a_login_that_is_killed_at_any_step_leaves_nothing_in_the_way() {
    let authority = Authority::new();
    let slow = Reply::plain(200, "application/json", "{}").first_byte_after(Duration::from_secs(20));
    for step in ["/authorize", "/token", "/userinfo", "/v1internal:loadCodeAssist"] {
        let env = home(&authority);
        if step != "/authorize" {
            authority.goes_wrong(step, None, slow.clone(), 1);
        }
        let before = authority.to(step).len();
        let mut pup = login(&env, &["antigravity", "--accept-terms"]).spawn();
        if step == "/authorize" {
            address(&mut pup);
        } else {
            browse(&mut pup);
            while authority.to(step).len() == before {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        pup.signal(rustix::process::Signal::KILL);
        pup.wait();
        authority.mend();
        let left: Vec<_> = files(&env).into_iter().filter(|(_, t)| authority.canaries().iter().any(|c| t.contains(c))).collect();
        assert!(left.is_empty() && record(&env, "antigravity").is_null(), "{step}: {left:?}");
        logged_in(&env, "antigravity");
        assert!(record(&env, "antigravity")["ended"].is_null(), "{step}");
    }
}
