//! Requests of this wire: bytes, losses, and the stable prefix.

use super::*;
use crate::model::{ImageSource, Origin, Part, ResponseFormat, ToolCall, ToolChoice, ToolResult};
use crate::wire::{Wire, encode};
use proptest::prelude::*;
use serde_json::json;

fn body(dialect: &Dialect, request: &Request) -> (String, Vec<String>) {
    let (bytes, losses) = encode(Wire::Gemini, dialect, request);
    (String::from_utf8(bytes).unwrap(), losses.into_iter().map(|l| l.at).collect())
}

fn contents(dialect: &Dialect, request: &Request) -> Vec<Value> {
    let value: Value = serde_json::from_str(&body(dialect, request).0).unwrap();
    value["contents"].as_array().unwrap().clone()
}

fn ask(model: &str, messages: Vec<Message>) -> Request {
    Request { model: model.into(), messages: messages.into_iter().collect(), ..Request::default() }
}

fn call(id: &str, name: &str) -> Block {
    Block::ToolCall(ToolCall { id: id.into(), name: name.into(), args_raw: "{}".into(), signature: None })
}

fn said(text: &str) -> Block {
    Block::Text { text: text.into() }
}

fn tool(name: &str) -> ToolSpec {
    ToolSpec { name: name.into(), description: "d".into(), parameters: json!({"type": "object", "properties": {"p": {"type": "string"}}}) }
}

fn origin(model: &str) -> Origin {
    Origin { provider: "p".into(), account: None, model: model.into() }
}

fn from(model: &str, blocks: Vec<Block>) -> Message {
    Message { origin: Some(origin(model)), ..Message::new(Role::Assistant, blocks) }
}

const PNG: &str = r#"{"inlineData":{"mimeType":"image/png","data":"AA"}}"#;

fn png() -> ImageSource {
    ImageSource::Inline { media_type: "image/png".into(), data: "AA".into() }
}

#[test]
fn a_turn_with_everything_is_compact_and_in_a_fixed_order() {
    let request = Request {
        tools: vec![tool("f"), ToolSpec { parameters: json!({"type": "object"}), ..tool("now") }].into(),
        tool_choice: ToolChoice::Tool("f".into()),
        response_format: Some(ResponseFormat::JsonSchema {
            name: String::new(),
            schema: json!({"type": "object", "properties": {"a": {"const": "x"}}}),
            strict: None,
        }),
        max_output: Some(9),
        temperature: Some(0.5),
        top_p: Some(0.9),
        stop: vec!["x".into()],
        seed: Some(7),
        reasoning_effort: Some("low".into()),
        stream: true,
        ..ask(
            "gemini-3-flash",
            vec![
                Message::system("s"),
                Message::new(
                    Role::User,
                    vec![
                        said("u"),
                        Block::Image { source: png() },
                        Block::Image { source: ImageSource::Url { url: "https://x/y.webp?z".into() } },
                    ],
                ),
                from("other", vec![said("t"), call("a", "f"), call("b", "f")]),
                Message::results(vec![ToolResult::text("a", "1", false), ToolResult::text("b", "no", true)]),
                Message::user("next"),
            ],
        )
    };
    let encoded = crate::wire::Encoder::new(Wire::Gemini, Dialect::default()).encode(&request);
    assert_eq!(
        (encoded.path.as_ref(), encoded.losses.as_slice()),
        ("/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse", &[][..])
    );
    assert_eq!(
        String::from_utf8(encoded.to_vec()).unwrap(),
        concat!(
            r#"{"systemInstruction":{"parts":[{"text":"s"}]},"tools":[{"functionDeclarations":[{"name":"f","description":"d","parameters":{"type":"object","properties":{"p":{"type":"string"}}}},"#,
            r#"{"name":"now","description":"d"}]}],"contents":["#,
            r#"{"role":"user","parts":[{"text":"u"},{"inlineData":{"mimeType":"image/png","data":"AA"}},{"fileData":{"mimeType":"image/webp","fileUri":"https://x/y.webp?z"}}]},"#,
            r#"{"role":"model","parts":[{"text":"t"},{"functionCall":{"name":"f","args":{}},"thoughtSignature":"skip_thought_signature_validator"},{"functionCall":{"name":"f","args":{}}}]},"#,
            r#"{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"1"}}},{"functionResponse":{"name":"f","response":{"error":"no"}}}]},"#,
            r#"{"role":"user","parts":[{"text":"next"}]}],"#,
            r#""toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}},"#,
            r#""generationConfig":{"maxOutputTokens":9,"temperature":0.5,"topP":0.9,"seed":7,"stopSequences":["x"],"responseMimeType":"application/json","#,
            r#""responseSchema":{"type":"object","properties":{"a":{"type":"string","enum":["x"]}}},"thinkingConfig":{"includeThoughts":true,"thinkingLevel":"LOW"}}}"#,
        )
    );
}

#[test]
fn each_call_gets_one_answer_in_its_order_and_nothing_else_stands_among_them() {
    let shot = |id: &str| ToolResult { call_id: id.into(), parts: vec![Part::Image { source: png() }], is_error: false };
    let request = ask(
        "gemini-2.5-flash",
        vec![
            Message::user("u"),
            Message::new(Role::Assistant, vec![call("a", "f"), call("b", "g"), call("c", "f")]),
            Message::results(vec![ToolResult::text("c", "3", false), shot("b")]),
            Message::results(vec![
                ToolResult::text("zzz", "lost", false),
                ToolResult::text("a", "1", false),
                ToolResult::text("a", "again", false),
            ]),
            Message::user("go on"),
        ],
    );
    let all = contents(&Dialect::default(), &request);
    let answers: Vec<String> = all[2]["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| format!("{}={}", p["functionResponse"]["name"], p["functionResponse"]["response"]["output"]))
        .collect();
    assert_eq!(answers, [r#""f"="1""#, r#""g"="[The result is shown in the next message.]""#, r#""f"="3""#]);
    let behind = json!({"role": "user", "parts": [
        {"text": "Images in the result of g:"}, serde_json::from_str::<Value>(PNG).unwrap(),
        {"text": "[result of an earlier tool call]\nlost"}, {"text": "[result of an earlier tool call]\nagain"}, {"text": "go on"},
    ]});
    assert_eq!(all[3], behind);
    let losses = body(&Dialect::default(), &request).1;
    assert_eq!(losses, ["messages[3].blocks[0]", "messages[3].blocks[2]"]);
    // A call that nobody answered gets an error, also where another message follows at once.
    let open = ask(
        "m",
        vec![Message::user("u"), Message::new(Role::Assistant, vec![call("a", "f")]), Message::assistant("done"), Message::user("x")],
    );
    let all = contents(&Dialect::default(), &open);
    assert!(all[2]["parts"][0]["functionResponse"]["response"]["error"].as_str().unwrap().contains("interrupted"), "{all:?}");
    assert_eq!(body(&Dialect::default(), &open).1, ["messages[1]"]);
}

#[test]
fn signatures_go_home_byte_for_byte_and_nothing_foreign_does() {
    let history = |model: &str| {
        let signed = |id: &str, signature: Option<&str>| {
            Block::ToolCall(ToolCall { id: id.into(), name: "f".into(), args_raw: "{}".into(), signature: signature.map(str::to_owned) })
        };
        vec![
            Message::user("u"),
            from(
                model,
                vec![
                    Block::Thinking { text: "secret".into(), signature: Some("TH+/=".into()), redacted: false },
                    said("said"),
                    Block::Opaque { wire: "gemini".into(), raw: super::super::parts::mark("TX+/=") },
                    signed("given-1", Some("CA+/=")),
                    signed("gcall_0123", None),
                    Block::Opaque { wire: "gemini".into(), raw: r#"{"executableCode":{"n":1.50}}"#.into() },
                    Block::Opaque { wire: "openai-chat".into(), raw: r#"{"reasoning_details":["other"]}"#.into() },
                ],
            ),
            Message::results(vec![ToolResult::text("given-1", "1", false), ToolResult::text("gcall_0123", "2", false)]),
            from(model, vec![Block::Opaque { wire: "gemini".into(), raw: r#"{"text":"","thoughtSignature":"EN+/="}"#.into() }]),
            Message::user("v"),
        ]
    };
    for model in ["gemini-3-pro-preview", "gemini-2.5-pro"] {
        let home = Dialect::default().to_target(origin(model));
        let (got, losses) = body(&home, &ask(model, history(model)));
        let want = concat!(
            r#"{"role":"model","parts":[{"text":"secret","thought":true,"thoughtSignature":"TH+/="},{"text":"said","thoughtSignature":"TX+/="},"#,
            r#"{"functionCall":{"id":"given-1","name":"f","args":{}},"thoughtSignature":"CA+/="},{"functionCall":{"name":"f","args":{}}},{"executableCode":{"n":1.50}}]},"#,
            r#"{"role":"user","parts":[{"functionResponse":{"id":"given-1","name":"f","response":{"output":"1"}}},{"functionResponse":{"name":"f","response":{"output":"2"}}}]},"#,
            r#"{"role":"model","parts":[{"text":"","thoughtSignature":"EN+/="}]},"#,
        );
        assert!(got.contains(want), "{got}");
        assert_eq!(losses, ["messages[1].blocks[6]"]);
        let strangers = [
            body(&Dialect::default(), &ask(model, history(model))),
            body(&home, &ask(model, history("another"))),
            body(&Dialect::default().to_target(Origin { account: Some("b".into()), ..origin(model) }), &ask(model, history(model))),
        ];
        for (got, losses) in strangers {
            for foreign in ["secret", "TH+/=", "TX+/=", "CA+/=", "EN+/=", "given-1", "gcall_", "executableCode", "reasoning_details"] {
                assert!(!got.contains(foreign), "{foreign} in {got}");
            }
            assert_eq!(losses.len(), 6, "{losses:?}");
            assert_eq!(got.matches("skip_thought_signature_validator").count(), usize::from(model.starts_with("gemini-3")), "{got}");
        }
    }
}

#[test]
fn only_models_of_version_three_get_the_stand_in_once_a_step() {
    let step = |n: usize, model: &str| {
        let ids = [format!("{n}a"), format!("{n}b")];
        [
            from(model, ids.iter().map(|id| call(id, "f")).collect()),
            Message::results(ids.iter().map(|id| ToolResult::text(id, "r", false)).collect()),
        ]
    };
    let count = |target: &str, made_by: &str| {
        let messages = [vec![Message::user("u")], step(0, made_by).to_vec(), step(1, made_by).to_vec()].concat();
        body(&Dialect::default().to_target(origin(target)), &ask(target, messages))
            .0
            .matches(r#""thoughtSignature":"skip_thought_signature_validator""#)
            .count()
    };
    for (target, steps) in [
        ("gemini-3-pro-preview", 2),
        ("gemini-3.5-flash", 2),
        ("gemini-pro-latest", 2),
        ("gemini-2.5-pro", 0),
        ("gemini-2.0-flash", 0),
        ("claude-sonnet-4-5", 0),
        ("gemma-4-31b-it", 0),
    ] {
        assert_eq!(count(target, "gpt-5"), steps, "{target}");
        assert_eq!(count(target, target), steps, "{target}, its own history without signatures");
    }
}

#[test]
fn what_the_wire_cannot_carry_is_named_and_the_model_told() {
    let document = |media_type: &str, name: Option<&str>| Block::Document {
        media_type: media_type.into(),
        data: "QQ==".into(),
        name: name.map(str::to_owned),
    };
    let request = Request {
        parallel_tool_calls: Some(false),
        temperature: Some(3.0),
        top_p: Some(f64::NAN),
        seed: Some(1 << 40),
        n: Some(2),
        stop: ["a", "b", "", "c", "d", "e", "f"].map(str::to_owned).to_vec(),
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        reasoning_effort: Some("low".into()),
        response_format: Some(ResponseFormat::JsonObject),
        tools: vec![ToolSpec { parameters: json!({"type": "object", "properties": {"a": {"not": {}}}}), ..tool("f") }].into(),
        ..ask(
            "gemini-2.0-flash",
            vec![
                Message::assistant("first"),
                Message::new(
                    Role::User,
                    vec![
                        document("application/pdf", Some("a.pdf")),
                        document("application/zip", None),
                        Block::Image { source: ImageSource::Inline { media_type: "image/gif".into(), data: "QQ==".into() } },
                        said(" "),
                    ],
                ),
                Message::system("late"),
            ],
        )
    };
    let (got, losses) = body(&Dialect::default(), &request);
    assert!(
        got.contains(r#""contents":[{"role":"user","parts":[{"text":"[The conversation begins with the assistant.]"}]},{"role":"model""#),
        "{got}"
    );
    for part in [
        r#"{"inlineData":{"mimeType":"application/pdf","data":"QQ=="}}"#,
        "application/zip",
        "image/gif stood here",
        r#"{"text":"late"}"#,
        r#""stopSequences":["a","b","c","d","e"]"#,
        r#""temperature":2.0"#,
    ] {
        assert!(got.contains(part), "{part} in {got}");
    }
    assert!(!got.contains("responseMimeType") && !got.contains("thinkingConfig") && !got.contains("topP"), "{got}");
    let want = [
        "tools[0].parameters",
        "messages[0]",
        "messages[1].blocks[0]",
        "messages[1].blocks[1]",
        "messages[1].blocks[2]",
        "messages[1].blocks[3]",
        "messages[2].blocks[0]",
        "parallel_tool_calls",
        "reasoning_effort",
        "temperature",
        "top_p",
        "seed",
        "n",
        "stop",
        "stop",
        "response_format",
        "metadata.k",
    ];
    assert_eq!(losses, want);
}

#[test]
fn extensions_are_merged_and_never_override() {
    let mut request = Request {
        temperature: Some(0.0),
        tools: vec![tool("f")].into(),
        tool_choice: ToolChoice::Required,
        ..ask("m", vec![Message::user("u")])
    };
    let own = json!({
        "safetySettings": [{"category": "C"}], "contents": [], "tools": [{"googleSearch": {}}], "generationConfig": {"temperature": 2, "topK": 5, "thinkingConfig": {"thinkingBudget": -1}},
        "toolConfig": {"functionCallingConfig": {"mode": "NONE", "streamFunctionCallArguments": true}, "retrievalConfig": {}},
    });
    request.extensions.insert("gemini".into(), own.as_object().unwrap().clone());
    request.extensions.insert("antigravity".into(), json!({"project": "p"}).as_object().unwrap().clone());
    let (got, mut losses) = body(&Dialect::default(), &request);
    let value: Value = serde_json::from_str(&got).unwrap();
    assert_eq!(value["generationConfig"], json!({"temperature": 0.0, "topK": 5, "thinkingConfig": {"thinkingBudget": -1}}));
    assert_eq!(
        value["toolConfig"],
        json!({"functionCallingConfig": {"mode": "ANY", "streamFunctionCallArguments": true}, "retrievalConfig": {}})
    );
    assert_eq!((&value["tools"][1], &value["safetySettings"]), (&json!({"googleSearch": {}}), &json!([{"category": "C"}])));
    losses.sort();
    let want = [
        "extensions.antigravity.project",
        "extensions.gemini.contents",
        "extensions.gemini.generationConfig.temperature",
        "extensions.gemini.toolConfig.functionCallingConfig.mode",
    ];
    assert_eq!(losses, want);
}

#[test]
fn what_was_serialised_once_is_handed_out_again() {
    let long: String = "x".repeat(5000);
    let mut messages: Vec<Message> = vec![Message::system("s"), Message::user(long)];
    let mut encoder = Encoder::new(Dialect::default());
    let mut request = ask("m", messages.clone());
    request.tools = vec![tool("f")].into();
    let first = encoder.encode(&request);
    messages.push(Message::assistant("ok"));
    let mut history = request.messages.clone();
    history.push(messages.pop().unwrap());
    history.push(Message::user("go on"));
    request.messages = history;
    request.max_output = Some(3);
    let second = encoder.encode(&request);
    assert_eq!((first.body[0].as_ptr(), first.body[1].as_ptr()), (second.body[0].as_ptr(), second.body[1].as_ptr()));
    assert_eq!(second.to_vec(), encode(Wire::Gemini, &Dialect::default(), &request).0);
}

/// What a conversation may do between two requests.
#[derive(Debug, Clone)]
enum Step {
    Push(u8),
    Drop(prop::sample::Index),
    Replace(prop::sample::Index, u8),
    Model(bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0u8..8).prop_map(Step::Push),
        2 => any::<prop::sample::Index>().prop_map(Step::Drop),
        2 => (any::<prop::sample::Index>(), 0u8..8).prop_map(|(at, kind)| Step::Replace(at, kind)),
        1 => any::<bool>().prop_map(Step::Model),
    ]
}

fn make(kind: u8, n: usize) -> Arc<Message> {
    let image = Part::Image { source: ImageSource::Url { url: format!("http://x/{n}") } };
    // Few ids, so that some results meet their calls, also out of order.
    let id = |k: usize| format!("c{}", (n + k) % 3);
    Arc::new(match kind {
        0 => Message::user(format!("user {n}")),
        1 => Message::new(Role::Assistant, vec![call(&id(0), "f"), call(&id(1), "g")]),
        2 => Message::results(vec![ToolResult::text(id(1), "r", false), ToolResult::text(id(0), "s", true)]),
        3 => Message::results(vec![ToolResult { call_id: id(2), parts: vec![image], is_error: false }]),
        // A message that leaves no bytes.
        4 => Message::new(Role::Assistant, vec![Block::Thinking { text: "t".into(), signature: None, redacted: false }]),
        5 => Message::system(format!("system {n}")),
        6 => Message::user(format!("more {n}")),
        _ => Message::assistant(format!("said {n}")),
    })
}

/// What the server checks of any contents.
fn check(contents: &[Value]) {
    for (n, content) in contents.iter().enumerate() {
        let parts = content["parts"].as_array().unwrap();
        let count = |key: &str| parts.iter().filter(|p| !p[key].is_null()).count();
        let (calls, answers) = (count("functionCall"), count("functionResponse"));
        assert!(!parts.is_empty() && (content["role"] == "user" || content["role"] == "model"));
        if calls > 0 {
            let next = &contents[n + 1]["parts"];
            let names = |parts: &Value, key: &str| {
                parts.as_array().unwrap().iter().filter(|p| !p[key].is_null()).map(|p| p[key]["name"].clone()).collect::<Vec<_>>()
            };
            assert_eq!(names(&content["parts"], "functionCall"), names(next, "functionResponse"));
            assert_eq!(contents[n + 1]["role"], "user");
        }
        if answers > 0 {
            assert_eq!((answers, &content["role"]), (parts.len(), &json!("user")), "nothing else stands among answers");
            assert!(contents[n - 1]["parts"].as_array().unwrap().iter().any(|p| !p["functionCall"].is_null()));
        } else if n > 0 {
            let before_answers = contents[n - 1]["parts"].as_array().unwrap().iter().any(|p| !p["functionResponse"].is_null());
            assert!(before_answers || contents[n - 1]["role"] != content["role"], "roles alternate");
        }
    }
    assert!(contents.is_empty() || contents[0]["role"] == "user");
}

proptest! {
    #[test]
    fn turn_by_turn_is_the_same_as_at_once(steps in prop::collection::vec((any_step(), any::<bool>()), 1..40)) {
        let mut messages: Vec<Arc<Message>> = Vec::new();
        let mut encoder = Encoder::new(Dialect::default());
        let tools: Arc<[ToolSpec]> = vec![tool("f")].into();
        let mut model = "gemini-2.5-flash";
        for (n, (step, send)) in steps.iter().enumerate() {
            match step {
                Step::Push(kind) => messages.push(make(*kind, n)),
                Step::Drop(at) => messages.truncate(at.index(messages.len() + 1)),
                Step::Replace(at, kind) if !messages.is_empty() => {
                    let at = at.index(messages.len());
                    messages[at] = make(*kind, n);
                }
                Step::Replace(..) => {}
                Step::Model(three) => model = if *three { "gemini-3-pro-preview" } else { "gemini-2.5-flash" },
            }
            if *send {
                let request = Request { model: model.into(), tools: tools.clone(), messages: messages.iter().cloned().collect(), ..Request::default() };
                let turn = String::from_utf8(encoder.encode(&request).to_vec()).unwrap();
                let once = body(&Dialect::default(), &request).0;
                prop_assert_eq!(&turn, &once);
                check(serde_json::from_str::<Value>(&turn).unwrap()["contents"].as_array().unwrap());
            }
        }
    }
}
