//! Connections through the real binary: kept between turns and links, over proxies, TLS and HTTP/2, and what is said when
//! one does not come about.

use crate::support::server::Refusing;
use crate::support::{Ca, Front, Launch, Outcome, Proxy, Reply, Server, TestEnv};
use code_pup::auth::Access;
use code_pup::base::net::Pool;
use code_pup::model::{Message, Request};
use code_pup::provider::{Endpoint, HttpProvider, Provider, Timeouts};
use code_pup::wire::{Dialect, Encoder, Wire};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

/// A name that nothing resolves, and that no test needs to.
const NAME: &str = "api.example.invalid";

/// `pup run` with a provider of its own at this address.
fn run(env: &TestEnv, base_url: &str) -> Launch {
    run_with(env, json!({"base_url": base_url}))
}

fn run_with(env: &TestEnv, mut provider: Value) -> Launch {
    for (key, value) in [("wire", json!("openai-chat")), ("api_key_env", json!([])), ("default_model", json!("m"))] {
        provider[key] = value;
    }
    let catalog = json!({"providers": {"acme": provider}, "models": {"m": {"provider": "acme", "name": "m"}}});
    env.write_config("models.json", catalog.to_string());
    env.pup().args(["run", "--provider", "acme", "--no-session", "--output", "json", "hello"])
}

fn said(out: &Outcome) -> String {
    out.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

fn attempts(out: &Outcome) -> usize {
    out.json()["attempts"].as_array().map_or(0, Vec::len)
}

#[test]
fn one_connection_serves_turns_further_links_and_what_follows_an_error() {
    let env = TestEnv::new();
    let server = Server::script([
        Reply::tool_call("list_files", json!({"path": "."})),
        Reply::error(500, "server_error", "once"),
        Reply::error(500, "server_error", "twice"),
        Reply::text("from the second link"),
    ]);
    let provider = json!({"wire": "openai-chat", "base_url": server.base_url(), "api_key_env": []});
    let catalog = json!({
        "providers": {"acme": provider, "other": provider},
        "models": {"a": {"provider": "acme", "name": "a"}, "b": {"provider": "other", "name": "b"}},
        "chains": {"coding": ["a", "b"]},
    });
    env.write_config("models.json", catalog.to_string());
    let out = env.pup().args(["run", "--output", "json", "hello"]).run().expect_code(0);
    assert_eq!((&out.json()["model"], &out.json()["text"]), (&json!("b"), &json!("from the second link")), "{}", out.report());
    let requests = server.finish();
    let asked: Vec<_> = requests.iter().map(|r| (r.body["model"].as_str().unwrap(), r.connection)).collect();
    assert_eq!(asked, [("a", 0), ("a", 0), ("a", 0), ("b", 0)]);
}

#[test]
fn the_pool_counts_what_became_of_connections() {
    let server = Server::script([Reply::text("one"), Reply::error(429, "rate_limit_exceeded", "slow down"), Reply::text("three")]);
    let (pool, refusing) = (Pool::default(), Refusing::new());
    let second = Duration::from_secs(5);
    let provider = |base_url: String| {
        let timeouts = Timeouts { connect: second, first_byte: second, idle: second };
        let (provider, wire, headers, dialect) = ("acme".to_owned(), Wire::OpenaiChat, Vec::new(), Dialect::default());
        Provider::Http(HttpProvider::new(
            Endpoint { provider, wire, base_url, headers, access: Access::Open, dialect, timeouts },
            pool.clone(),
        ))
    };
    let request = Request { model: "m".into(), messages: [Message::user("hi")].into_iter().collect(), stream: true, ..Request::default() };
    let encoded = Encoder::new(Wire::OpenaiChat, Dialect::default()).encode(&request);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for good in [true, false, true] {
            match provider(server.base_url()).send(&encoded, &[]).await {
                Ok(mut exchange) => while exchange.next().await.is_some() {},
                Err(refused) => assert!(!good, "{}", refused.error),
            }
        }
        let error = provider(refusing.base_url()).send(&encoded, &[]).await.unwrap_err().error;
        assert!(error.message.to_lowercase().contains("connection refused"), "{error}");
    });
    let mut stats = serde_json::to_value(pool.stats()).unwrap();
    let lists = stats.as_array_mut().unwrap();
    lists.sort_by_key(|host| host["failed"].as_u64());
    let [well, badly] = lists.as_slice() else { panic!("two hosts: {lists:?}") };
    assert_eq!(*well, json!({"host": server.address().to_string(), "requests": 3, "reused": 2, "opened": 1, "failed": 0}));
    assert_eq!((&badly["requests"], &badly["opened"], &badly["failed"]), (&json!(1), &json!(0), &json!(1)));
    server.finish();
}

#[test]
fn plain_http_goes_through_the_proxy_that_the_environment_names() {
    for (variable, value_of) in [("HTTP_PROXY", "http"), ("http_proxy", "bare"), ("ALL_PROXY", "http"), ("all_proxy", "socks5h")] {
        let env = TestEnv::new();
        let server = Server::script([Reply::text("hello")]);
        let proxy = if value_of == "socks5h" { Proxy::socks5(server.address()) } else { Proxy::http(server.address()) };
        let value = if value_of == "bare" { proxy.address.to_string() } else { format!("{value_of}://{}", proxy.address) };
        run(&env, &format!("http://{NAME}:8000/v1")).env(variable, value).run().expect_code(0);
        let asked = proxy.asked();
        let wanted = if value_of == "socks5h" { format!("{NAME}:8000") } else { format!("POST http://{NAME}:8000/v1/chat/completions ") };
        assert!(asked.len() == 1 && asked[0].starts_with(&wanted), "{variable}: {asked:?}");
        assert_eq!(server.finish()[0].header("host"), Some(&*format!("{NAME}:8000")));
    }
}

#[test]
fn this_machine_and_what_no_proxy_names_are_reached_directly() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("hello")]);
    let other = Server::script([]);
    let proxy = Proxy::http(other.address());
    let address = format!("http://{}", proxy.address);
    let with = |l: Launch| l.env("HTTP_PROXY", &address).env("HTTPS_PROXY", &address).env("ALL_PROXY", &address);
    with(run(&env, &server.base_url())).run().expect_code(0);
    // A label of this length has no address anywhere, and is not even asked for.
    let name = format!("{}.example.invalid", "x".repeat(70));
    let out = with(run(&env, &format!("http://{name}/v1"))).env("NO_PROXY", "other.invalid,.example.invalid");
    let out = out.args(["--timeout", "1s"]).run().expect_code(5);
    assert!(said(&out).contains(&format!("DNS: `{name}` has no address")), "{}", out.report());
    assert_eq!(proxy.asked(), [""; 0]);
}

#[test]
fn tls_through_a_proxy_believes_the_authority_that_the_user_names() {
    let authority = Ca::new();
    for way in ["http.ca_file", "SSL_CERT_FILE"] {
        let env = TestEnv::new();
        let file = authority.file(&env.home());
        let server = Server::script([Reply::tool_call("list_files", json!({"path": "."})), Reply::text("hello")]);
        let front = Front::before(&authority, NAME, server.address());
        let proxy = Proxy::http(front.address);
        let mut launch = run(&env, &format!("https://{NAME}/v1")).env("HTTPS_PROXY", format!("http://me:secret@{}", proxy.address));
        if way == "SSL_CERT_FILE" {
            launch = launch.env(way, &file);
        } else {
            env.write_config("config.toml", format!("[http]\nca_file = {file:?}\n"));
        }
        launch.run().expect_code(0);
        let asked = proxy.asked();
        assert!(asked.len() == 1 && asked[0].starts_with(&format!("CONNECT {NAME}:443 HTTP/1.1\r\n")), "{way}: {asked:?}");
        assert!(asked[0].to_lowercase().contains("proxy-authorization: basic bwu6c2vjcmv0"), "{asked:?}");
        assert_eq!((front.seen().connections, server.finish().len()), (1, 2), "{way}");
    }
}

#[test]
fn a_certificate_that_is_not_believed_ends_the_run_at_once_and_says_what_to_set() {
    let (authority, stranger) = (Ca::new(), Ca::new());
    let server = Server::script([]);
    let front = Front::before(&authority, "127.0.0.1", server.address());
    let named = Front::before(&authority, "elsewhere.invalid", server.address());
    let env = TestEnv::new();
    let (ours, strange) = (authority.file(&env.home().join("a")), stranger.file(&env.home().join("b")));
    let empty = env.write("empty.pem", "no certificate\n");
    let missing = env.home().join("missing.pem");
    let url = |front: &Front| format!("https://{}/v1", front.address);
    for (address, file, wanted) in [
        (url(&front), &strange, vec!["TLS: its certificate is not trusted", "UnknownIssuer", "`http.ca_file`", "SSL_CERT_FILE"]),
        (url(&named), &ours, vec!["TLS: its certificate is not trusted", "elsewhere.invalid", "another name"]),
        (url(&front), &empty, vec!["http.ca_file names", "empty.pem", "no certificate in PEM form"]),
        (url(&front), &missing, vec!["http.ca_file names", "missing.pem", "No such file"]),
    ] {
        env.write_config("config.toml", format!("[http]\nca_file = {file:?}\n"));
        let out = run(&env, &address).run().expect_code(5);
        assert!(wanted.iter().all(|w| said(&out).contains(w)), "{wanted:?}\n{}", out.report());
        assert_eq!(attempts(&out), 1, "waiting does not mend a certificate\n{}", out.report());
    }
    assert_eq!(front.seen().connections, 0);
    // A project says nothing about whom to believe.
    env.write_config("config.toml", "");
    env.write(".pup/config.toml", format!("[http]\nca_file = {strange:?}\n"));
    env.pup().args(["trust", "add", "."]).run().expect_code(0);
    let out = run(&env, &url(&front)).run().expect_code(3);
    assert!(said(&out).contains("`http.ca_file` cannot be set by a project"), "{}", out.report());
}

#[test]
fn http2_is_spoken_where_it_is_offered_over_one_connection() {
    let env = TestEnv::new();
    let authority = Ca::new();
    let replies = vec![Reply::tool_call("list_files", json!({"path": "."})), Reply::error(503, "overloaded", "wait"), Reply::text("hello")];
    let front = Front::http2(&authority, "127.0.0.1", replies);
    env.write_config("config.toml", format!("[http]\nca_file = {:?}\n", authority.file(&env.home())));
    let out = run(&env, &format!("https://{}/v1", front.address)).run().expect_code(0);
    assert_eq!(out.json()["text"], "hello");
    let seen = front.seen();
    let wanted = format!("POST https://{}/v1/chat/completions", front.address);
    assert_eq!((seen.connections, seen.requests), (1, vec![wanted; 3]), "{}", out.report());
}

#[test]
fn headers_and_waits_of_a_provider_reach_the_wire() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("hello")]);
    let headers = json!({"x-team": "blue", "User-Agent": "acme-agent"});
    run_with(&env, json!({"base_url": server.base_url(), "headers": headers})).run().expect_code(0);
    let request = &server.finish()[0];
    assert_eq!((request.header("x-team"), request.header("user-agent")), (Some("blue"), Some("acme-agent")));

    // A listener that nobody serves: the socket connects, and TLS never comes about.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let slow = Server::respond(|_| Reply::text("hello").first_byte_after(Duration::from_secs(8)));
    let stalling = Server::respond(|_| Reply::text("hello there").stall_after(2));
    for (base_url, wait, wanted) in [
        (format!("https://{}/v1", silent.local_addr().unwrap()), "connect_s", "timed out while connecting"),
        (slow.base_url(), "first_byte_s", "no answer from http://127.0.0.1"),
        (stalling.base_url(), "idle_s", "no bytes for 0.2 s"),
    ] {
        let provider = json!({"base_url": base_url, "timeouts": {wait: 0.2}});
        let out = run_with(&env, provider).env("PUP_HTTP_RETRIES", "1").run().expect_code(5);
        assert!(said(&out).contains(wanted) && attempts(&out) == 2, "{wait}\n{}", out.report());
    }
}

#[test]
fn what_kept_a_connection_from_coming_about_is_said() {
    let env = TestEnv::new();
    let refusing = Refusing::new();
    let resetting = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = resetting.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in resetting.incoming().map_while(Result::ok) {
            let _ = tokio::net::TcpSocket::from_std_stream(stream).set_zero_linger();
        }
    });
    let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let not_tls = format!("https://{}/v1", plain.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in plain.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let dead = refusing.base_url();
    let port = dead.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let proxied = format!("http://{NAME}/v1");
    for (base_url, variable, wanted) in [
        (&dead, None, vec!["cannot connect", port.as_str(), "connection refused"]),
        (&format!("http://{address}/v1"), None, vec!["reset by peer"]),
        (&not_tls, None, vec!["cannot connect", "TLS failed"]),
        (&proxied, Some(("HTTP_PROXY", format!("http://{port}"))), vec![NAME, "through the proxy", &port, "connection refused"]),
        (&proxied, Some(("ALL_PROXY", "ftp://127.0.0.1".to_owned())), vec!["ALL_PROXY is not the address of a proxy"]),
    ] {
        let mut launch = run(&env, base_url).env("PUP_HTTP_RETRIES", "1");
        if let Some((name, value)) = variable {
            launch = launch.env(name, value);
        }
        let out = launch.run().expect_code(5);
        assert!(wanted.iter().all(|w| said(&out).to_lowercase().contains(&w.to_lowercase())), "{wanted:?}\n{}", out.report());
    }
}
