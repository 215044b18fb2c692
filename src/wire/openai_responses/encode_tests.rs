//! Requests of Responses: bytes, losses, and the stable prefix.

use super::super::about;
use super::*;
use crate::model::{Block, History, ImageSource, Origin, Part, ResponseFormat, ToolCall, ToolChoice, ToolResult};
use crate::wire::{Wire, encode};
use proptest::prelude::*;
use serde_json::json;

fn body(dialect: &Dialect, request: &Request) -> (String, Vec<String>) {
    let (bytes, losses) = encode(Wire::OpenaiResponses, dialect, request);
    (String::from_utf8(bytes).unwrap(), losses.into_iter().map(|l| l.at).collect())
}

fn ask(messages: Vec<Message>) -> Request {
    Request { model: "gpt-5".into(), messages: messages.into_iter().collect(), ..Request::default() }
}

fn call(id: &str, args: &str) -> Block {
    Block::ToolCall(ToolCall { id: id.into(), name: "f".into(), args_raw: args.into(), signature: None })
}

fn tool(name: &str) -> ToolSpec {
    ToolSpec { name: name.into(), description: "d".into(), parameters: json!({"type": "object"}) }
}

fn origin(model: &str) -> Origin {
    Origin { provider: "p".into(), account: None, model: model.into() }
}

fn by(origin: Origin, blocks: Vec<Block>) -> Message {
    Message { origin: Some(origin), ..Message::new(Role::Assistant, blocks) }
}

fn said(text: &str) -> Block {
    Block::Text { text: text.into() }
}

const PROOF: &str = r#"{"id":"rs_1", "type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"BLOB+/="}"#;

fn thought() -> Block {
    Block::Thinking { text: "hm".into(), signature: Some(PROOF.into()), redacted: false }
}

fn own(raw: &str) -> Block {
    Block::Opaque { wire: NAME.into(), raw: raw.into() }
}

const NAME: &str = super::super::NAME;

#[test]
fn a_turn_with_everything_is_compact_and_in_a_fixed_order() {
    let request = Request {
        tools: vec![tool("f")].into(),
        tool_choice: ToolChoice::Required,
        parallel_tool_calls: Some(false),
        response_format: Some(ResponseFormat::JsonSchema { name: "n".into(), schema: json!({"type": "object"}), strict: Some(true) }),
        max_output: Some(9),
        temperature: Some(0.5),
        stop: vec!["x".into()],
        seed: Some(7),
        reasoning_effort: Some("low".into()),
        stream: true,
        metadata: [("prompt_cache_key".to_owned(), "session".to_owned()), ("k".to_owned(), "v".to_owned())].into_iter().collect(),
        ..ask(vec![
            Message::system("s"),
            Message::system("more"),
            Message::user("u"),
            Message::new(Role::Assistant, vec![said("t"), call("a", ""), call("b", "{\"k")]),
            Message::results(vec![ToolResult::text("a", "1", false), ToolResult::text("b", "2", true)]),
            Message::system("late"),
        ])
    };
    let (got, losses) = body(&Dialect::default(), &request);
    assert_eq!(
        got,
        concat!(
            r#"{"model":"gpt-5","instructions":"s\n\nmore","#,
            r#""tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object","properties":{}},"strict":false}],"#,
            r#""input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"u"}]},"#,
            r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"t","annotations":[]}]},"#,
            r#"{"type":"function_call","call_id":"a","name":"f","arguments":"{}"},"#,
            r#"{"type":"function_call","call_id":"b","name":"f","arguments":"{\"k"},"#,
            r#"{"type":"function_call_output","call_id":"a","output":"1"},{"type":"function_call_output","call_id":"b","output":"2"},"#,
            r#"{"type":"message","role":"developer","content":[{"type":"input_text","text":"late"}]}],"#,
            r#""tool_choice":"required","parallel_tool_calls":false,"reasoning":{"effort":"low"},"#,
            r#""text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true}},"#,
            r#""max_output_tokens":16,"prompt_cache_key":"session","metadata":{"k":"v"},"#,
            r#""store":false,"include":["reasoning.encrypted_content"],"stream":true}"#,
        )
    );
    assert_eq!(losses, ["messages[4].blocks[1]", "temperature", "max_output", "stop", "seed"]);
}

#[test]
fn a_model_that_does_not_reason_is_asked_for_no_reasoning() {
    let request = Request {
        model: "gpt-4.1".into(),
        temperature: Some(0.5),
        top_p: Some(0.9),
        reasoning_effort: Some("low".into()),
        ..ask(vec![Message::user("u")])
    };
    let (got, losses) = body(&Dialect::default(), &request);
    assert!(got.ends_with(r#"],"temperature":0.5,"top_p":0.9,"store":false}"#), "{got}");
    assert_eq!(losses, ["reasoning_effort"]);
    let (got, losses) = body(&Dialect::default(), &Request { model: "grok-4".into(), ..request });
    assert!(got.contains(r#""reasoning":{"effort":"low"},"temperature":0.5"#) && got.contains("encrypted_content"), "{got}");
    assert_eq!(losses, Vec::<String>::new(), "of other vendors' models nothing is known");
}

#[test]
fn images_and_documents_are_sent_where_they_stand() {
    let image = Part::Image { source: ImageSource::Inline { media_type: "image/png".into(), data: "AA".into() } };
    let pdf =
        |name: Option<&str>| Block::Document { media_type: "application/pdf".into(), data: "QQ==".into(), name: name.map(str::to_owned) };
    let csv = Block::Document { media_type: "text/csv".into(), data: "QQ==".into(), name: Some("a.csv".into()) };
    let user = Message::new(
        Role::User,
        vec![said("u"), Block::Image { source: ImageSource::Url { url: "https://x/y.png".into() } }, pdf(Some("a.pdf")), pdf(None), csv],
    );
    let text = |t: &str| Part::Text { text: t.into() };
    let result = ToolResult { call_id: "a".into(), parts: vec![text("see"), image], is_error: false };
    let (got, losses) =
        body(&Dialect::default(), &ask(vec![user, Message::new(Role::Assistant, vec![call("a", "{}")]), Message::results(vec![result])]));
    for part in [
        r#"{"type":"input_image","image_url":"https://x/y.png"}"#,
        r#"{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,QQ=="}"#,
        r#"{"type":"input_file","filename":"unnamed.pdf","file_data":"data:application/pdf;base64,QQ=="}"#,
        r#"{"type":"input_text","text":"[A document was attached here, a.csv (text/csv), but this model cannot be shown it.]"}"#,
        r#""output":[{"type":"input_text","text":"see"},{"type":"input_image","image_url":"data:image/png;base64,AA"}]"#,
    ] {
        assert!(got.contains(part), "{part} in {got}");
    }
    assert_eq!(losses, ["messages[0].blocks[4]"]);
}

#[test]
fn reasoning_goes_home_byte_for_byte_with_the_ids_of_what_followed_it() {
    let noted = |id: &str| {
        Block::ToolCall(ToolCall {
            id: "a".into(),
            name: "f".into(),
            args_raw: "{}".into(),
            signature: Some(about::call(about::CALL, Some(id))),
        })
    };
    let search = r#"{"id":"ws_1", "type":"web_search_call","n":1.50}"#;
    let blocks = vec![
        Block::Thinking { text: "first part".into(), signature: None, redacted: false },
        Block::Thinking {
            text: "hm".into(),
            signature: Some(PROOF.replace(r#"[{"type""#, r#"[{"type":"summary_text","text":"first part"},{"type""#)),
            redacted: false,
        },
        own(search),
        thought(),
        own(r#"{"type":"message","id":"msg_1","phase":"commentary"}"#),
        said("t"),
        noted("fc_1"),
    ];
    let history = |origin: Origin| {
        ask(vec![Message::user("u"), by(origin, blocks.clone()), Message::results(vec![ToolResult::text("a", "r", false)])])
    };
    let home = Dialect::default().to_target(origin("gpt-5"));
    let (got, losses) = body(&home, &history(origin("gpt-5")));
    assert!(got.contains(&format!("{PROOF},{{\"type\":\"message\",\"id\":\"msg_1\"")) && got.contains(search), "{got}");
    assert!(
        got.contains(
            r#"{"type":"message","id":"msg_1","status":"completed","role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"t","annotations":[]}]},{"type":"function_call","id":"fc_1","call_id":"a","#
        ),
        "{got}"
    );
    assert_eq!(losses, Vec::<String>::new());
    for (dialect, from) in [
        (Dialect::default(), origin("gpt-5")),
        (home.clone(), origin("other")),
        (home.clone(), Origin { account: Some("b".into()), ..origin("gpt-5") }),
    ] {
        let (got, losses) = body(&dialect, &history(from));
        for foreign in ["BLOB", "rs_1", "hm", "first part", "ws_1", "msg_1", "fc_1", "commentary"] {
            assert!(!got.contains(foreign), "{foreign} in {got}");
        }
        assert_eq!(losses.len(), 6, "{losses:?}");
    }
}

#[test]
fn ids_go_only_with_their_reasoning_and_reasoning_only_with_what_it_led_to() {
    let home = Dialect::default().to_target(origin("gpt-5"));
    let noted = Block::ToolCall(ToolCall {
        id: "a".into(),
        name: "f".into(),
        args_raw: "{}".into(),
        signature: Some(about::call(about::CALL, Some("fc_1"))),
    });
    let one = |blocks: Vec<Block>| body(&home, &ask(vec![Message::user("u"), by(origin("gpt-5"), blocks), Message::user("v")]));
    let (got, losses) = one(vec![own(r#"{"type":"message","id":"msg_1"}"#), said("t"), noted.clone()]);
    assert!(!got.contains("msg_1") && !got.contains("fc_1") && losses.is_empty(), "{got} {losses:?}");
    let odd = Block::ToolCall(ToolCall {
        id: "a".into(),
        name: "f".into(),
        args_raw: "{}".into(),
        signature: Some(about::call(about::CALL, Some("x".repeat(90).as_str()))),
    });
    let (got, _) = one(vec![thought(), own(r#"{"type":"message","id":"capture-1"}"#), said("t"), odd]);
    assert!(got.contains("BLOB") && !got.contains("capture-1") && !got.contains("xxx"), "a proxy's own ids: {got}");
    let (got, losses) = one(vec![said("t"), thought()]);
    assert!(!got.contains("BLOB") && losses == ["messages[1].blocks[1]"], "{got} {losses:?}");
    let (got, losses) = one(vec![thought()]);
    assert!(!got.contains("BLOB") && losses == ["messages[1].blocks[0]"], "{got} {losses:?}");
    // What its text says besides is lost, and so is thinking that nobody proves, or that another wire's proof is on.
    let other = |signature: Option<&str>, redacted| Block::Thinking { text: "x".into(), signature: signature.map(str::to_owned), redacted };
    let (got, losses) =
        one(vec![other(None, false), other(Some("SIG"), false), other(Some(PROOF), true), other(Some(PROOF), false), said("t")]);
    assert_eq!((got.matches("BLOB").count(), losses.len()), (1, 4), "{got} {losses:?}");
}

#[test]
fn what_is_written_is_never_a_reference() {
    let (got, losses) = body(
        &Dialect::default(),
        &ask(vec![
            Message::user("u"),
            Message::new(
                Role::User,
                vec![
                    own(r#"{"type":"item_reference","id":"rs_1"}"#),
                    own("nonsense"),
                    own(r#"{"type":"computer_call_output","call_id":"c"}"#),
                    own(r#"{"type":"input_audio","n":1.50}"#),
                ],
            ),
        ]),
    );
    assert!(!got.contains("item_reference") && !got.contains("nonsense"), "{got}");
    assert!(got.contains(r#",{"type":"computer_call_output","call_id":"c"},{"type":"message","role":"user","content":[{"type":"input_audio","n":1.50}]}]"#), "{got}");
    assert_eq!(losses, ["messages[1].blocks[0]", "messages[1].blocks[1]"]);
}

#[test]
fn a_call_of_free_text_and_its_result_are_items_of_their_own_kind() {
    let custom = Block::ToolCall(ToolCall {
        id: "a".into(),
        name: "math".into(),
        args_raw: "4 + 4".into(),
        signature: Some(about::call(about::CUSTOM_CALL, Some("ctc_1"))),
    });
    let messages = |origin: Origin| {
        ask(vec![
            Message::user("u"),
            by(origin, vec![custom.clone(), call("b", "")]),
            Message::results(vec![ToolResult::text("a", "8", false)]),
            Message::results(vec![ToolResult::text("b", "9", false)]),
        ])
    };
    let home = Dialect::default().to_target(origin("gpt-5"));
    let (got, losses) = body(&home, &messages(origin("gpt-5")));
    assert!(got.contains(r#"{"type":"custom_tool_call","call_id":"a","name":"math","input":"4 + 4"}"#), "{got}");
    assert!(
        got.contains(
            r#"{"type":"custom_tool_call_output","call_id":"a","output":"8"},{"type":"function_call_output","call_id":"b","output":"9"}"#
        ),
        "{got}"
    );
    assert!(losses.is_empty());
    let (got, losses) = body(&home, &messages(origin("other")));
    assert!(got.contains(r#""arguments":"4 + 4""#) && !got.contains("custom") && losses == ["messages[1].blocks[0]"], "{got}");
}

#[test]
fn ids_and_names_fit_and_pairs_stay_pairs() {
    let (id, name) = ("x".repeat(90), "n.".repeat(60));
    let long = Block::ToolCall(ToolCall { id: id.clone(), name, args_raw: "{}".into(), signature: None });
    let (got, _) = body(
        &Dialect::default(),
        &ask(vec![Message::user("u"), Message::new(Role::Assistant, vec![long]), Message::results(vec![ToolResult::text(id, "r", false)])]),
    );
    let items = serde_json::from_str::<Value>(&got).unwrap()["input"].clone();
    let text = |n: usize, key: &str| items[n][key].as_str().unwrap().to_owned();
    assert_eq!(text(1, "call_id"), text(2, "call_id"));
    assert!(text(1, "call_id").len() <= 64 && text(1, "name").len() <= 64);
}

#[test]
fn callers_own_fields_are_merged_and_never_override() {
    let mut request =
        Request { reasoning_effort: Some("high".into()), tools: vec![tool("f"), tool("g")].into(), ..ask(vec![Message::user("u")]) };
    let fields = json!({
        "stream": true, "input": [], "service_tier": "flex", "store": true, "include": ["file_search_call.results"],
        "reasoning": {"summary": "auto", "effort": "low"}, "text": {"verbosity": "low"}, "tool_choice": {"type": "web_search"},
        "tools": [{"type": "function", "name": "g", "parameters": {}, "strict": true}, {"type": "web_search"}],
    });
    request.extensions.insert(NAME.into(), fields.as_object().unwrap().clone());
    request.extensions.insert("anthropic".into(), json!({"thinking": {}}).as_object().unwrap().clone());
    let (got, mut losses) = body(&Dialect::default(), &request);
    let got: Value = serde_json::from_str(&got).unwrap();
    assert_eq!(got["tools"].as_array().unwrap().iter().map(|t| (&t["type"], &t["strict"])).collect::<Vec<_>>().len(), 3);
    assert_eq!((&got["tools"][0]["strict"], &got["tools"][2]["name"]), (&json!(true), &json!("f")));
    assert_eq!(got["reasoning"], json!({"summary": "auto", "effort": "high"}));
    assert_eq!((&got["text"], &got["store"], &got["service_tier"]), (&json!({"verbosity": "low"}), &json!(true), &json!("flex")));
    assert_eq!((&got["include"], &got["tool_choice"]["type"]), (&json!(["file_search_call.results"]), &json!("web_search")));
    losses.sort();
    assert_eq!(losses, ["extensions.anthropic.thinking", "extensions.openai-responses.input", "extensions.openai-responses.stream"]);
}

#[test]
fn a_chatgpt_login_gets_what_it_takes_and_nothing_else() {
    let chatgpt = Dialect::from_quirks(&["chatgpt-backend"]).unwrap();
    let mut request = Request {
        model: "gpt-5.2-codex".into(),
        tools: vec![tool("f")].into(),
        max_output: Some(100),
        temperature: Some(0.5),
        top_p: Some(0.5),
        reasoning_effort: Some("minimal".into()),
        metadata: [("prompt_cache_key".to_owned(), "session".to_owned()), ("k".to_owned(), "v".to_owned())].into_iter().collect(),
        ..ask(vec![Message::user("u")])
    };
    let fields = json!({"store": true, "service_tier": "flex", "text": {"verbosity": "low"}, "previous_response_id": "resp_1"});
    request.extensions.insert(NAME.into(), fields.as_object().unwrap().clone());
    let (got, mut losses) = body(&chatgpt, &request);
    let want = concat!(
        r#"{"model":"gpt-5.2-codex","instructions":"","tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object","properties":{}},"strict":false}],"#,
        r#""input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"u"}]}],"#,
        r#""tool_choice":"auto","parallel_tool_calls":true,"reasoning":{"effort":"low","summary":"auto"},"text":{"verbosity":"low"},"#,
        r#""prompt_cache_key":"session","store":false,"include":["reasoning.encrypted_content"],"stream":true}"#,
    );
    assert_eq!(got, want);
    losses.sort();
    let fields = ["previous_response_id", "service_tier", "store"].map(|f| format!("extensions.openai-responses.{f}"));
    let other = ["max_output", "metadata", "reasoning_effort", "temperature", "top_p"].map(str::to_owned);
    assert_eq!(losses, [&fields[..], &other[..]].concat());
}

#[test]
fn what_was_serialised_once_is_handed_out_again() {
    let mut history: History = [Message::system("s"), Message::user("x".repeat(5000))].into_iter().collect();
    let mut encoder = Encoder::new(Dialect::default());
    let mut request = Request { tools: vec![tool("f")].into(), messages: history.clone(), ..ask(vec![]) };
    let first = encoder.encode(&request);
    history.push(Message::assistant("ok"));
    history.push(Message::user("go on"));
    request.messages = history;
    request.max_output = Some(50);
    let second = encoder.encode(&request);
    assert_eq!(first.path, "/responses");
    assert!(first.body[..2].iter().zip(&second.body).all(|(a, b)| a.as_ptr() == b.as_ptr()), "head and first message are shared");
    assert_eq!(second.to_vec(), encode(Wire::OpenaiResponses, &Dialect::default(), &request).0);
}

/// What a conversation may do between two requests.
#[derive(Debug, Clone)]
enum Step {
    Push(u8),
    Drop(prop::sample::Index),
    Replace(prop::sample::Index, u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..8).prop_map(Step::Push),
        1 => any::<prop::sample::Index>().prop_map(Step::Drop),
        1 => (any::<prop::sample::Index>(), 0u8..8).prop_map(|(at, kind)| Step::Replace(at, kind)),
    ]
}

fn make(kind: u8, n: usize) -> Arc<Message> {
    let custom = about::call(about::CUSTOM_CALL, None);
    let free = Block::ToolCall(ToolCall { id: format!("c{n}"), name: "f".into(), args_raw: "x".into(), signature: Some(custom) });
    Arc::new(match kind {
        0 => Message::user(format!("user {n}")),
        1 => by(origin("gpt-5"), vec![thought(), call(&format!("c{n}"), "{}")]),
        2 => Message::results(vec![ToolResult::text(format!("c{}", n.saturating_sub(1)), "r", false)]),
        3 => by(origin("gpt-5"), vec![free]),
        // A message that leaves no bytes.
        4 => by(origin("gpt-5"), vec![Block::Thinking { text: "t".into(), signature: None, redacted: false }]),
        5 => by(origin("gpt-5"), vec![thought(), own(r#"{"type":"message","id":"msg_1"}"#), said("thought")]),
        6 => Message::system(format!("system {n}")),
        _ => Message::assistant(format!("said {n}")),
    })
}

proptest! {
    #[test]
    fn turn_by_turn_is_the_same_as_at_once(steps in prop::collection::vec((any_step(), any::<bool>()), 1..40)) {
        let mut messages: Vec<Arc<Message>> = Vec::new();
        let dialect = Dialect::default().to_target(origin("gpt-5"));
        let mut encoder = Encoder::new(dialect.clone());
        let tools: Arc<[ToolSpec]> = vec![tool("f")].into();
        let settings = Request { tools, ..ask(vec![]) };
        for (n, (step, send)) in steps.iter().enumerate() {
            match step {
                Step::Push(kind) => messages.push(make(*kind, n)),
                Step::Drop(at) => messages.truncate(at.index(messages.len() + 1)),
                Step::Replace(at, kind) if !messages.is_empty() => {
                    let at = at.index(messages.len());
                    messages[at] = make(*kind, n);
                }
                Step::Replace(..) => {}
            }
            if *send {
                let request = Request { messages: messages.iter().cloned().collect(), ..settings.clone() };
                let turn = String::from_utf8(encoder.encode(&request).to_vec()).unwrap();
                let once = String::from_utf8(encode(Wire::OpenaiResponses, &dialect, &request).0).unwrap();
                prop_assert_eq!(&turn, &once);
                let value: Value = serde_json::from_str(&turn).unwrap();
                prop_assert!(value["input"].is_array());
            }
        }
    }
}
