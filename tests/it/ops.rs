//! Operations through the router's door: vectors, counts and lists, over the same plan, cooldowns and errors as an answer.

use crate::support::http::RawRequest;
use crate::support::{Answer, Cut, End, WireServer};
use code_pup::auth::Access;
use code_pup::base::net::Pool;
use code_pup::model::{Class, EmbedRequest, Embeddings, Listed, Message, Request};
use code_pup::provider::{Endpoint, HttpProvider, Provider, Timeouts};
use code_pup::route::{Ask, Exhausted, Link, LiveEvent, Operation, Outcome, Product, Rotation, Router, Rules};
use code_pup::wire::{Dialect, Wire};
use serde_json::{Value, json};
use std::time::Duration;

fn json_answer(status: u16, body: &Value) -> Answer {
    Answer::json(status, body.to_string())
}

fn link(id: &str, wire: Wire, web: &WireServer, embed_inputs: Option<usize>) -> Link {
    let wait = Duration::from_secs(10);
    let endpoint = Endpoint {
        provider: format!("provider-of-{id}"),
        wire,
        base_url: format!("{}/v1", web.url()),
        headers: Vec::new(),
        access: Access::Open,
        dialect: Dialect { embed_inputs, ..Dialect::default() },
        timeouts: Timeouts { connect: wait, first_byte: wait, idle: wait },
    };
    Link::new(id.to_owned(), format!("{id}-upstream"), Provider::Http(HttpProvider::new(endpoint, Pool::default())), None)
}

/// Every event of one operation.
fn events(links: Vec<Link>, operation: Operation) -> Vec<LiveEvent> {
    let rules =
        Rules { backoff_min: Duration::from_millis(20), deadline: Some(Duration::from_secs(5)), max_attempts: 6, ..Rules::default() };
    let router = Router::new(links, rules, Rotation::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut live = router.start(Ask { operation, deadline: None });
        let mut all = Vec::new();
        while let Some(event) = live.next().await {
            all.push(event);
        }
        all
    })
}

fn result(links: Vec<Link>, operation: Operation) -> Result<Product, Exhausted> {
    let router =
        Router::new(links, Rules { max_attempts: 2, backoff_min: Duration::from_millis(20), ..Rules::default() }, Rotation::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(router.start(Ask { operation, deadline: Some(Duration::from_secs(5)) }).result())
}

fn texts(n: usize) -> Operation {
    Operation::Embed(EmbedRequest { input: (0..n).map(|i| i.to_string()).collect(), ..EmbedRequest::default() })
}

/// A vector that says which text and which server it is for.
fn vectors(request: &RawRequest, server: usize) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let inputs = body["input"].as_array().unwrap();
    let item = |(ix, text): (usize, &Value)| json!({"object": "embedding", "index": ix, "embedding": [text.as_str().unwrap().parse::<usize>().unwrap(), server]});
    let data: Vec<Value> = inputs.iter().enumerate().map(item).collect();
    json_answer(
        200,
        &json!({"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": inputs.len(), "total_tokens": 0}}),
    )
}

#[test]
fn many_texts_are_dealt_out_and_a_retry_goes_on_behind_what_is_there() {
    let mut calls = 0;
    let web = WireServer::asked(move |request| {
        calls += 1;
        if calls == 2 { json_answer(500, &json!({"error": {"message": "hiccup"}})) } else { vectors(request, 1) }
    });
    let all = events(vec![link("a", Wire::OpenaiChat, &web, None)], texts(4_100));
    let [
        LiveEvent::Failed { attempt, .. },
        LiveEvent::Waiting { .. },
        LiveEvent::Result(Product::Embeddings(got)),
        LiveEvent::Answered { .. },
    ] = all.as_slice()
    else {
        panic!("{all:?}")
    };
    assert_eq!(attempt.outcome, Outcome::Failed(Class::Server));
    assert!(got.vectors.iter().enumerate().all(|(ix, v)| *v == [ix as f32, 1.0]) && got.vectors.len() == 4_100);
    assert_eq!((got.usage.input, got.model.as_deref()), (Some(4_100), Some("a-upstream")), "once for each call that answered");
    let sizes: Vec<usize> = web.requests().iter().map(inputs).collect();
    assert_eq!(sizes, [2_048, 2_048, 2_048, 4]);
    assert!(web.requests().iter().all(|r| r.method == "POST" && r.path == "/v1/embeddings"));
}

fn inputs(request: &RawRequest) -> usize {
    serde_json::from_slice::<Value>(&request.body).unwrap()["input"].as_array().unwrap().len()
}

#[test]
fn another_link_begins_anew_and_one_without_the_operation_is_skipped_with_that_reason() {
    let mut calls = 0;
    let first = WireServer::asked(move |request| {
        calls += 1;
        if calls == 1 {
            vectors(request, 1)
        } else {
            json_answer(401, &json!({"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}))
        }
    });
    let second = WireServer::asked(|request| vectors(request, 2));
    let claude = WireServer::asked(|_| json_answer(500, &json!({})));
    let links = || {
        vec![
            link("claude", Wire::Anthropic, &claude, None),
            link("a", Wire::OpenaiChat, &first, Some(3)),
            link("b", Wire::OpenaiChat, &second, Some(100)),
        ]
    };
    let mut all = events(links(), texts(5));
    all.retain(|e| !matches!(e, LiveEvent::Notice(_)));
    let Some(LiveEvent::Result(Product::Embeddings(Embeddings { vectors, usage, .. }))) = all.get(all.len() - 2) else { panic!("{all:?}") };
    assert_eq!(*vectors, [[0.0, 2.0], [1.0, 2.0], [2.0, 2.0], [3.0, 2.0], [4.0, 2.0]], "no vectors of two models together");
    assert_eq!((usage.input, first.requests().len(), second.requests().len()), (Some(5), 2, 1));
    assert_eq!(claude.requests().len(), 0);

    let report = result(links().into_iter().take(1).collect(), texts(1)).unwrap_err();
    let failure = report.failure();
    assert_eq!((failure.cause.exit_code(), report.attempts), (2, 0));
    assert!(failure.message.contains("the wire anthropic has no embeddings") && failure.hint.is_none(), "{failure:?}");
}

#[test]
fn tokens_are_counted_and_lists_are_read_to_their_end() {
    let web = WireServer::asked(|request| match request.path.as_str() {
        "/v1/messages/count_tokens" => json_answer(200, &json!({"input_tokens": 14})),
        "/v1/models?limit=1000" => json_answer(200, &json!({"data": [{"id": "x", "max_tokens": 5}], "has_more": true, "last_id": "x"})),
        "/v1/models?limit=1000&after_id=x" => json_answer(200, &json!({"data": [{"id": "y"}], "has_more": false, "last_id": "y"})),
        "/v1/models" => json_answer(200, &json!({"data": [{"id": "z"}]})),
        other => json_answer(404, &json!({"error": {"message": format!("no {other}")}})),
    });
    let claude = || vec![link("claude", Wire::Anthropic, &web, None)];
    let request = Request { messages: [Message::user("hi")].into_iter().collect(), max_output: Some(3), ..Request::default() };
    assert_eq!(result(claude(), Operation::CountTokens(request)).unwrap(), Product::Tokens(14));
    let sent: Value = serde_json::from_slice(&web.requests()[0].body).unwrap();
    assert_eq!((&sent["model"], sent.get("max_tokens")), (&json!("claude-upstream"), None));

    let listed = |id: &str| Listed { id: id.into(), ..Listed::default() };
    let got = result(claude(), Operation::ListModels).unwrap();
    assert_eq!(got, Product::Models(vec![Listed { max_output: Some(5), ..listed("x") }, listed("y")]));
    let got = result(vec![link("gpt", Wire::OpenaiChat, &web, None)], Operation::ListModels).unwrap();
    assert_eq!(got, Product::Models(vec![listed("z")]));
    assert!(web.requests().iter().filter(|r| r.path.contains("models")).all(|r| r.method == "GET" && r.body.is_empty()));
}

#[test]
fn googles_own_wire_has_all_three() {
    let web = WireServer::asked(|request| match request.path.as_str() {
        "/v1/v1beta/models/g-upstream:batchEmbedContents" => {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let texts: Vec<Value> = body["requests"].as_array().unwrap().iter().map(|r| r["content"]["parts"][0]["text"].clone()).collect();
            let vector = |text: &Value| json!({"values": [text.as_str().unwrap().parse::<usize>().unwrap()]});
            json_answer(
                200,
                &json!({"embeddings": texts.iter().map(vector).collect::<Vec<_>>(), "usageMetadata": {"promptTokenCount": texts.len()}}),
            )
        }
        "/v1/v1beta/models/g-upstream:countTokens" => json_answer(200, &json!({"totalTokens": 8})),
        "/v1/v1beta/models?pageSize=1000" => json_answer(200, &json!({"models": [{"name": "models/x"}], "nextPageToken": "T"})),
        "/v1/v1beta/models?pageSize=1000&pageToken=T" => json_answer(200, &json!({"models": [{"name": "models/y", "inputTokenLimit": 9}]})),
        other => json_answer(404, &json!({"error": {"message": format!("no {other}")}})),
    });
    let g = || vec![link("g", Wire::Gemini, &web, None)];
    let Product::Embeddings(got) = result(g(), texts(250)).unwrap() else { panic!() };
    assert!(got.vectors.iter().enumerate().all(|(ix, v)| *v == [ix as f32]) && got.usage.input == Some(250));
    assert_eq!(web.requests().len(), 3, "a hundred at a time");
    let request = Request { messages: [Message::user("hi")].into_iter().collect(), ..Request::default() };
    assert_eq!(result(g(), Operation::CountTokens(request)).unwrap(), Product::Tokens(8));
    let listed = |id: &str, context| Listed { id: id.into(), context, ..Listed::default() };
    assert_eq!(result(g(), Operation::ListModels).unwrap(), Product::Models(vec![listed("x", None), listed("y", Some(9))]));
}

#[test]
fn what_is_not_the_result_is_a_failure_that_says_what_came() {
    let list = json!({"data": [{"id": "a"}, {"id": "b"}]}).to_string();
    for (answer, class, wanted) in [
        (Answer::json(200, "<html><title>Sign in</title></html>"), Class::Network, "a web page (Sign in)"),
        (Answer::json(200, &list[..list.len() - 3]), Class::Network, "the reply is not a list of models"),
        (Answer::json(200, list.clone()).end(End::CutAt(9, Cut::Close)), Class::Network, "the connection broke"),
        (json_answer(200, &json!({"error": {"message": "The server is overloaded", "code": 529}})), Class::Overloaded, "overloaded"),
        (json_answer(403, &json!({"error": {"message": "not yours"}})), Class::Permission, "not yours"),
        (json_answer(404, &json!({"detail": "Not Found"})), Class::NotFound, "Not Found"),
        (
            json_answer(200, &json!({"data": [{"id": "x"}], "has_more": true, "last_id": "x"})),
            Class::Network,
            "the list of models has no end",
        ),
    ] {
        let wire = if wanted.contains("no end") { Wire::Anthropic } else { Wire::OpenaiChat };
        let web = WireServer::asked(move |_| answer.clone());
        let report = result(vec![link("a", wire, &web, None)], Operation::ListModels).unwrap_err();
        let (_, error) = &report.errors[0];
        assert_eq!(error.class, class, "{error}");
        assert!(error.message.contains(wanted), "{error}");
        let attempts = if class.is_transient() { 2 } else { 1 };
        assert_eq!(report.attempts, attempts, "{error}");
    }
}
