//! `pup models update` and `pup models test` against scripted servers: what is compared, what is written, what never is.

use crate::support::http::RawRequest;
use crate::support::{Answer, Cut, End, Launch, Reply, Server, Terminal, TestEnv, WireServer};
use serde_json::{Value, json};
use std::path::PathBuf;

fn json_answer(status: u16, body: &Value) -> Answer {
    Answer::json(status, body.to_string())
}

fn update(env: &TestEnv, args: &[&str]) -> Launch {
    env.pup().args(["models", "update"]).args(args)
}

/// Groq's provider, at this server.
fn groq(launch: Launch, web: &WireServer) -> Launch {
    launch.env("GROQ_BASE_URL", format!("{}/openai/v1", web.url())).env("GROQ_API_KEY", "groq-canary-canary")
}

fn list(models: &Value) -> Answer {
    json_answer(200, &json!({"object": "list", "data": models}))
}

/// Every name of Groq's in the catalogue, each with this window, and one that the catalogue does not have.
fn all_of_groq(env: &TestEnv, window: u64) -> Value {
    let all = env
        .pup()
        .args(["models", "list", "--provider", "groq", "--json"])
        .env("PUP_LOCAL_BASE_URL", "http://127.0.0.1:9")
        .run()
        .expect_code(0)
        .json();
    let known = all.as_array().unwrap().iter().map(|m| json!({"id": m["name"], "context_window": m["context"]}));
    let mut entries: Vec<Value> =
        known.chain([json!({"id": "brand/new-1", "context_window": 1000, "max_completion_tokens": 500})]).collect();
    entries.iter_mut().find(|e| e["id"] == "llama-3.3-70b-versatile").unwrap()["context_window"] = json!(window);
    json!(entries)
}

fn overlay(env: &TestEnv) -> PathBuf {
    env.pup_home().join("config/models.json")
}

/// Every file under pup's folders.
fn files(env: &TestEnv) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![env.pup_home()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path.strip_prefix(env.pup_home()).unwrap().display().to_string()) }
        }
    }
    found.sort();
    found
}

#[test]
fn what_differs_is_shown_then_written_once_and_then_up_to_date() {
    let env = TestEnv::new();
    let body = all_of_groq(&env, 65_536);
    let web = WireServer::asked(move |_| list(&body));
    let out = groq(update(&env, &["--dry-run", "--json"]), &web).run().expect_code(0);
    let found = out.json();
    assert_eq!(
        found["changes"],
        json!([{"model": "groq-llama-3.3-70b", "field": "context", "old": 131_072, "new": 65_536, "source": "groq"}])
    );
    assert_eq!(
        (&found["providers"][0]["unknown"], &found["written"], &found["gone"]),
        (&json!(["brand/new-1"]), &json!(false), &json!([]))
    );
    assert_eq!(files(&env), [""; 0], "a dry run writes nothing at all");

    // Nobody can be asked: nothing but the list is kept.
    let out = groq(update(&env, &[]), &web).run().expect_code(8);
    assert!(out.stdout.contains("  groq-llama-3.3-70b  context  131,072 -> 65,536  groq\nnothing written\n"), "{}", out.report());
    assert!(out.stderr.contains("add `--yes`"), "{}", out.report());
    assert_eq!(files(&env), ["cache/models/groq.json"]);

    let out = groq(update(&env, &["--yes"]), &web).run().expect_code(0);
    assert!(out.stdout.ends_with(&format!("wrote 1 change into {}\n", overlay(&env).display())), "{}", out.report());
    assert_eq!(
        std::fs::read_to_string(overlay(&env)).unwrap(),
        "{\n  \"models\": {\n    \"groq-llama-3.3-70b\": { \"context\": 65536 }\n  }\n}\n"
    );
    let out = groq(update(&env, &[]), &web).run().expect_code(0);
    assert!(
        out.stdout.contains("models, asked 0 s ago; 1 not in the catalogue") && out.stdout.ends_with("up to date\n"),
        "{}",
        out.report()
    );

    // Asked in the dry run and once after it; then the cache answered.
    let asked = web.requests();
    assert_eq!(asked.len(), 2);
    assert!(
        asked
            .iter()
            .all(|r| r.method == "GET" && r.path == "/openai/v1/models" && r.header("authorization") == Some("Bearer groq-canary-canary"))
    );
    groq(update(&env, &["--force"]), &web).run().expect_code(0);
    assert_eq!(web.requests().len(), 3);
    for file in files(&env) {
        assert!(!std::fs::read_to_string(env.pup_home().join(&file)).unwrap().contains("canary"), "{file}");
    }
}

#[test]
fn a_list_is_kept_for_a_day_for_one_address_and_survives_no_damage() {
    let env = TestEnv::new();
    let body = all_of_groq(&env, 131_072);
    let other = body.clone();
    let (web, elsewhere) = (WireServer::asked(move |_| list(&body)), WireServer::asked(move |_| list(&other)));
    let run = |web: &WireServer| groq(update(&env, &[]), web).run().expect_code(0);
    run(&web);
    let path = env.pup_home().join("cache/models/groq.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let day = 24 * 3600 * 1000;
    for (damage, asked) in [
        (json!({}), 1),
        (json!({"asked_at": kept["asked_at"].as_u64().unwrap() - day}), 2),
        (json!({"asked_at": kept["asked_at"].as_u64().unwrap() + day}), 3),
        (json!({"models": []}), 4),
        (json!({"v": 99}), 5),
        (json!("garbage"), 6),
    ] {
        let mut next = kept.clone();
        match damage.as_object() {
            Some(fields) => fields.iter().for_each(|(k, v)| next[k] = v.clone()),
            None => next = damage,
        }
        std::fs::write(&path, next.to_string()).unwrap();
        run(&web);
        assert_eq!(web.requests().len(), asked);
    }
    run(&elsewhere);
    assert_eq!((web.requests().len(), elsewhere.requests().len()), (6, 1));
}

#[test]
fn the_user_s_own_words_and_layout_stay() {
    let env = TestEnv::new();
    let body = all_of_groq(&env, 65_536);
    let hand = "{\r\n\t\"models\" : {\r\n\t\t\"groq-llama-3.3-70b\":{ \"context\":100000 , \"tier\":1 },\r\n\t\t\"groq-gpt-oss-20b\": {}\r\n\t},\r\n\t\"providers\": {\"groq\":{\"billing\":\"subscription\"}}\r\n}\r\n";
    env.write_config("models.json", hand);
    let kept = env.pup_home().join("elsewhere.json");
    std::fs::rename(overlay(&env), &kept).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&kept, overlay(&env)).unwrap();
    let mut first = body.clone();
    let small = |list: &mut Value, n: u64| {
        list.as_array_mut().unwrap().iter_mut().find(|e| e["id"] == "openai/gpt-oss-20b").unwrap()["context_window"] = json!(n);
    };
    small(&mut first, 7_000);
    let mut second = body;
    small(&mut second, 8_000);
    let mut lists = [first, second].into_iter();
    let web = WireServer::asked(move |_| list(&lists.next().unwrap()));
    let out = groq(update(&env, &["--yes"]), &web).run().expect_code(0);
    assert!(
        out.stdout.contains("groq-llama-3.3-70b  context  100,000 stays  groq has 65,536: your own models.json says so"),
        "{}",
        out.report()
    );
    let written = |n: u64| hand.replace("\"groq-gpt-oss-20b\": {}", &format!("\"groq-gpt-oss-20b\": {{ \"context\": {n} }}"));
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), written(7_000));
    // What an update wrote is not the user's, and may change again.
    groq(update(&env, &["--yes", "--force"]), &web).run().expect_code(0);
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), written(8_000));
    assert!(!cfg!(unix) || overlay(&env).is_symlink(), "a link stays a link");
}

#[test]
fn one_provider_s_failure_is_named_and_stops_nobody() {
    let many = json!((0..100_000).map(|n| json!({"id": format!("m{n}")})).collect::<Vec<_>>());
    let whole = json!({"data": [{"id": "a"}, {"id": "b"}]}).to_string();
    let rows: Vec<(Answer, i32, &str)> = vec![
        (Answer::json(200, "<html><title>Welcome to the hotel</title></html>"), 5, "a web page (Welcome to the hotel)"),
        (list(&json!([])), 5, "its list of models is empty"),
        (list(&many), 5, "100000 models, which cannot be right"),
        (Answer::json(200, &whole[..whole.len() - 3]), 5, "the reply is not a list of models"),
        (Answer::json(200, whole.clone()).end(End::CutAt(7, Cut::Close)), 5, "the connection broke"),
        (json_answer(200, &json!({"models": "none"})), 5, "the reply is not a list of models"),
        (
            json_answer(
                401,
                &json!({"error": {"message": "Incorrect API key provided: together-canary-canary", "code": "invalid_api_key"}}),
            ),
            4,
            "Incorrect API key",
        ),
        (json_answer(503, &json!({"error": {"message": "down for maintenance"}})), 5, "down for maintenance"),
    ];
    for (answer, code, wanted) in rows {
        let env = TestEnv::new();
        let body = all_of_groq(&env, 65_536);
        let (good, bad) = (WireServer::asked(move |_| list(&body)), WireServer::asked(move |_| answer.clone()));
        let launch = groq(update(&env, &["--yes", "--json"]), &good)
            .env("TOGETHER_BASE_URL", bad.url())
            .env("TOGETHER_API_KEY", "together-canary-canary");
        let out = launch.run().expect_code(code);
        let found = out.json();
        let of = |id: &str| found["providers"].as_array().unwrap().iter().find(|p| p["provider"] == id).unwrap().clone();
        assert_eq!((&of("groq")["ok"], &found["written"]), (&json!(true), &json!(true)), "{}", out.report());
        let error = of("together")["error"]["message"].as_str().unwrap().to_owned();
        assert!(error.starts_with("together: ") && error.contains(wanted), "{wanted}\n{}", out.report());
        assert!(!out.stdout.contains("canary"), "{}", out.report());
        assert!(
            found["changes"]
                .as_array()
                .unwrap()
                .iter()
                .chain(found["gone"].as_array().unwrap())
                .all(|c| c["model"].as_str().unwrap().starts_with("groq")),
            "{}",
            out.report()
        );
        let written: Vec<String> = files(&env).into_iter().filter(|f| !f.starts_with("state/keys")).collect();
        assert_eq!(written, ["cache/models/groq.json", "config/models.json", "state/models-update.json"]);
    }
}

/// OpenRouter's form: 400 models, of which two are Qwen's.
fn openrouter(_: &RawRequest) -> Answer {
    let filler = (0..398).map(
        |n| json!({"id": format!("vendor-{n}/model"), "context_length": 1000, "pricing": {"prompt": "0.000001", "completion": "0.000002"}}),
    );
    let qwen = |name: &str, price: &str| {
        json!({"id": format!("qwen/{name}"), "context_length": 262_144, "top_provider": {"context_length": 262_144, "max_completion_tokens": 65_536},
            "pricing": {"prompt": price, "completion": price}})
    };
    list(&json!(filler.chain([qwen("new-max", "0.0000012"), qwen("new-free:free", "0")]).collect::<Vec<_>>()))
}

#[test]
fn unknown_models_are_counted_and_added_only_where_a_glob_names_them() {
    let env = TestEnv::new();
    let web = WireServer::asked(openrouter);
    let run = |args: &[&str]| update(&env, args).env("OPENROUTER_BASE_URL", web.url()).env("OPENROUTER_API_KEY", "k").run();
    let out = run(&[]).expect_code(0);
    assert!(out.stdout.contains("openrouter: 400 models; 400 not in the catalogue (`--add 'GLOB'` adds them)"), "{}", out.report());
    assert!(out.stdout.contains("(stepfun/step-3.5-flash:free) is not in the list any more; it stays"), "{}", out.report());
    assert!(out.stdout.ends_with("up to date\n") && !overlay(&env).exists(), "{}", out.report());

    let out = run(&["--add", "openrouter/QWEN/*", "--add", "nosuch*", "--yes"]).expect_code(0);
    assert!(
        out.stdout.contains("  openrouter/qwen/new-max        context 262,144, max_output 65,536, $1.2 input, $1.2 output\n"),
        "{}",
        out.report()
    );
    assert!(out.stdout.contains("warning: no model of the lists is named like `nosuch*`"), "{}", out.report());
    assert!(out.stdout.contains("398 not in the catalogue"), "{}", out.report());
    let show = |id: &str| {
        let args = ["models", "show", id, "--json"];
        env.pup().args(args).env("PUP_LOCAL_BASE_URL", "http://127.0.0.1:9").run().expect_code(0).json()
    };
    let shown = show("openrouter/qwen/new-max");
    assert_eq!((&shown["listed"], &shown["context"], &shown["price"]["input"]), (&json!(true), &json!(262_144), &json!(1.2)));
    let free = show("openrouter/qwen/new-free:free");
    assert_eq!((&free["billing"], &free["paid"]), (&json!("free"), &json!(false)));
    assert!(run(&["--add", "qwen/*"]).expect_code(0).stdout.ends_with("up to date\n"));
    assert_eq!(web.requests().len(), 1);
}

#[test]
fn a_file_of_prices_needs_no_key_and_absurd_figures_are_left_out() {
    let env = TestEnv::new();
    let prices = json!({
        "google": {"models": {"gemini-2.5-flash": {"cost": {"input": 0.35, "output": 2.5}, "limit": {"context": 1_048_576, "output": 65_536}}}},
        "groq": {"models": {
            "llama-3.3-70b-versatile": {"cost": {"input": -1, "output": 10_001}},
            "llama-3.1-8b-instant": {"cost": {"input": 1e300, "output": 0.09}}
        }}
    });
    let path = env.write("prices.json", prices.to_string());
    let run = |args: &[&str]| update(&env, &[&["--prices", path.to_str().unwrap()], args].concat()).run();
    let out = run(&["--yes"]).expect_code(0);
    assert!(out.stdout.contains("gemini-2.5-flash") && out.stdout.contains("price.input   $0.3 -> $0.35"), "{}", out.report());
    assert_eq!(out.stdout.matches("cannot be right; left out").count(), 3, "{}", out.report());
    assert!(run(&[]).expect_code(0).stdout.ends_with("up to date\n"));
    for (text, wanted) in [("<html>", "this is not JSON"), ("{\"nobody\": {\"models\": {\"x\": {}}}}", "no provider of the catalogue")] {
        env.write("prices.json", text);
        let out = run(&[]).expect_code(3);
        assert!(out.stderr.contains("prices.json") && out.stderr.contains(wanted), "{}", out.report());
    }
}

#[test]
fn on_a_terminal_it_asks() {
    for (answer, word) in [("y", "wrote 1 change"), ("n", "nothing written")] {
        let env = TestEnv::new();
        let body = all_of_groq(&env, 65_536);
        let web = WireServer::asked(move |_| list(&body));
        let mut terminal = Terminal::start(groq(update(&env, &[]), &web), 30, 160);
        terminal.wait_for("? write 1 change into");
        terminal.send(answer).key(crate::support::Key::Enter);
        terminal.wait_for(word);
        assert_eq!(terminal.wait_exit(), 0);
        assert_eq!(overlay(&env).exists(), answer == "y");
    }
}

#[test]
fn what_cannot_be_asked_says_why() {
    let env = TestEnv::new();
    for (args, code, wanted) in [
        (&[][..], 4, "there is no provider to ask"),
        (&["--provider", "groq"][..], 4, "GROQ_API_KEY"),
        (&["--provider", "grok"][..], 2, "did you mean `groq`?"),
        (&["--provider", "local"][..], 2, "a server on this machine"),
        (&["--add", "a[b"][..], 2, "`a[b` is not a glob"),
        (&["--prices", "missing.json"][..], 3, "missing.json"),
    ] {
        let out = update(&env, args).run().expect_code(code);
        assert!(out.stdout.is_empty() && out.stderr.contains(wanted), "{}", out.report());
    }
    env.write_config("models.json", "{\"models\": {");
    let out = update(&env, &[]).env("GROQ_API_KEY", "k").run().expect_code(3);
    assert!(out.stderr.contains("models.json:1:"), "{}", out.report());
}

#[test]
fn a_server_without_a_key_is_asked_where_the_catalogue_has_models_of_it() {
    let env = TestEnv::new();
    let web = WireServer::asked(|_| list(&json!([{"id": "m-1", "max_model_len": 32_768}, {"id": "m-2"}])));
    let provider = json!({"wire": "openai-chat", "base_url": web.url(), "api_key_env": []});
    env.write_config("models.json", json!({"providers": {"home": provider}}).to_string());
    let out = update(&env, &[]).run().expect_code(4);
    assert!(web.requests().is_empty(), "{}", out.report());
    let out = update(&env, &["--provider", "home", "--add", "m-1", "--yes"]).run().expect_code(0);
    assert!(
        out.stdout.contains("home: 2 models; 1 not in the catalogue") && out.stdout.contains("home/m-1  context 32,768"),
        "{}",
        out.report()
    );
    assert!(update(&env, &[]).run().expect_code(0).stdout.ends_with("up to date\n"));
}

fn test(env: &TestEnv, id: &str, args: &[&str]) -> Launch {
    env.pup().args(["models", "test", id]).args(args)
}

#[test]
fn a_test_is_one_call_for_one_token() {
    let env = TestEnv::new();
    let limited = |reply: Reply| {
        let headers =
            [("x-ratelimit-limit-requests", "500"), ("x-ratelimit-remaining-requests", "499"), ("x-ratelimit-reset-requests", "6m0s")];
        headers.into_iter().fold(reply, |reply, (name, value)| reply.header(name, value))
    };
    let server = Server::script([limited(Reply::text("OK").usage(9, 1)), limited(Reply::text("OK").usage(9, 1)), Reply::text("OK")]);
    let out = test(&env, "openai/gpt-4o-mini", &["--json"]).model_server(&server).run().expect_code(0);
    let got = out.json();
    assert_eq!(
        (&got["ok"], &got["cause"], &got["provider"], &got["wire"]),
        (&json!(true), &json!("done"), &json!("openai"), &json!("openai-chat"))
    );
    assert_eq!((&got["usage"]["input"], &got["usage"]["output"], &got["error"]), (&json!(9), &json!(1), &Value::Null));
    assert!(
        got["first_byte_ms"].as_u64().unwrap() <= got["total_ms"].as_u64().unwrap() && got["cost_usd"].as_f64().unwrap() > 0.0,
        "{}",
        out.report()
    );
    let window = &got["limits"]["windows"][0];
    assert_eq!(
        (&window["name"], &window["limit"], &window["remaining"], &window["reset_s"]),
        (&json!("requests"), &json!(500), &json!(499), &json!(360.0))
    );
    let out = test(&env, "gpt-4o-mini", &[]).model_server(&server).run().expect_code(0);
    assert!(out.stdout.ends_with("  limit: requests: 499 of 500 left, full again in 6 min\n"), "{}", out.report());
    assert!(
        out.stdout.starts_with("ok: gpt-4o-mini answered over openai in ") && out.stdout.contains("tokens: 9 in, 1 out; cost: $0.000002"),
        "{}",
        out.report()
    );
    let out = test(&env, "openai/never-listed", &[]).model_server(&server).run().expect_code(0);
    assert!(out.stdout.contains("cost: unknown"), "{}", out.report());
    let requests = server.finish();
    assert!(requests.iter().all(|r| r.body["max_completion_tokens"] == 1 && r.messages().len() == 1 && r.tools().is_empty()));
}

#[test]
fn a_test_that_fails_says_how_by_word_and_code() {
    let refused = |status, kind| Reply::error(status, kind, "as scripted");
    let rows = [
        (refused(401, "invalid_api_key"), 4, "auth"),
        (refused(404, "model_not_found"), 2, "not_found"),
        (refused(429, "rate_limit_exceeded"), 5, "rate_limit"),
        (refused(500, "server_error"), 5, "server"),
        (refused(400, "invalid_request_error"), 9, "bad_request"),
        (Reply::html(200), 5, "network"),
    ];
    for (reply, code, class) in rows {
        let env = TestEnv::new();
        let server = Server::script([reply.clone(), reply]);
        let out = test(&env, "openai/gpt-4o-mini", &["--json"]).model_server(&server).run().expect_code(code);
        let got = out.json();
        assert_eq!(
            (&got["ok"], &got["error"]["class"], &got["exit_code"]),
            (&json!(false), &json!(class), &json!(code)),
            "{}",
            out.report()
        );
        // Elsewhere, since a key that was refused is not asked with again.
        let out = test(&TestEnv::new(), "openai/gpt-4o-mini", &[]).model_server(&server).run().expect_code(code);
        assert!(out.stdout.is_empty() && out.stderr.contains("gpt-4o-mini: "), "{}", out.report());
        assert_eq!(server.finish().len(), 2, "one attempt each");
    }
    let env = TestEnv::new();
    let out = test(&env, "openai/gpt-4o-mini", &[]).run().expect_code(4);
    assert!(out.stderr.contains("OPENAI_API_KEY"), "{}", out.report());
    let out = test(&env, "gpt-4o-mimi", &[]).run().expect_code(2);
    assert!(out.stderr.contains("`gpt-4o-mini`"), "{}", out.report());
    let out = test(&env, "openai/gpt-4o-mini", &["--json"])
        .env("OPENAI_API_KEY", "k")
        .env("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        .run()
        .expect_code(5);
    assert!(out.json()["error"]["message"].as_str().unwrap().to_lowercase().contains("connection refused"), "{}", out.report());
}

#[test]
fn a_model_that_refuses_so_short_an_answer_is_asked_for_a_longer_one() {
    let env = TestEnv::new();
    let refusal = "Could not finish the message because max_tokens or model output limit was reached.";
    let server = Server::script([Reply::error(400, "invalid_request_error", refusal), Reply::text("OK")]);
    test(&env, "openai/gpt-4o-mini", &[]).model_server(&server).run().expect_code(0);
    let bounds: Vec<Value> = server.finish().iter().map(|r| r.body["max_completion_tokens"].clone()).collect();
    assert_eq!(bounds, [1, 64]);
}
