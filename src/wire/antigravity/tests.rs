//! The envelope: what stands in it, who sees what, and that both directions agree.

use super::*;
use crate::model::{
    Accumulator, Block, BlockKind, Delta, History, Message, Origin, Stop, ToolCall, ToolChoice, ToolResult, ToolSpec, Usage,
};
use crate::wire::{Decoder, Wire};

fn ask(model: &str) -> Request {
    let parameters = json!({"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}});
    let tools = [("f", parameters), ("now", json!({"type": "object"}))];
    let tools: Vec<ToolSpec> =
        tools.into_iter().map(|(name, parameters)| ToolSpec { name: name.into(), description: String::new(), parameters }).collect();
    let call = Block::ToolCall(ToolCall { id: "foreign".into(), name: "f".into(), args_raw: "{}".into(), signature: None });
    let messages: History = [
        Message::system("s"),
        Message::user("u"),
        Message::new(Role::Assistant, vec![call]),
        Message::results(vec![ToolResult::text("foreign", "r", false)]),
    ]
    .into_iter()
    .collect();
    Request { model: model.into(), messages, tools: tools.into(), stream: true, ..Request::default() }
}

fn encoded(request: &Request) -> (Encoded, Value) {
    let dialect = Dialect { project: Some("proj-1".into()), ..Dialect::default() };
    let encoded = Encoder::new(dialect).encode(request);
    let body = serde_json::from_slice(&encoded.to_vec()).unwrap();
    (encoded, body)
}

#[test]
fn the_envelope_has_the_account_and_says_who_asks() {
    let (encoded, body) = encoded(&ask("gemini-3-flash"));
    assert_eq!(encoded.path, "/v1internal:streamGenerateContent?alt=sse");
    let keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["model", "request", "project", "userAgent", "requestType", "requestId"]);
    assert_eq!(
        (&body["model"], &body["project"], &body["userAgent"], &body["requestType"]),
        (&json!("gemini-3-flash"), &json!("proj-1"), &json!("pup"), &json!("agent"))
    );
    let inner: Vec<&str> = body["request"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(inner, ["systemInstruction", "tools", "contents", "sessionId"]);
    assert_eq!(
        body["request"]["tools"][0]["functionDeclarations"][0]["parameters"],
        json!({"type": "object", "properties": {"a": {"type": "string"}}}),
        "the stricter schema"
    );
    assert!(!String::from_utf8(encoded.to_vec()).unwrap().contains("foreign"));
}

#[test]
fn a_session_is_that_of_the_conversation_and_a_request_has_its_own_id() {
    let first = ask("gemini-3-flash");
    let mut next = first.clone();
    next.messages.push(Message::assistant("done"));
    next.messages.push(Message::user("more"));
    let mut other = first.clone();
    other.messages = [Message::user("something else")].into_iter().collect();
    let ids = |r: &Request| {
        let body = encoded(r).1;
        (body["request"]["sessionId"].as_str().unwrap().to_owned(), body["requestId"].as_str().unwrap().to_owned())
    };
    assert_eq!(ids(&first), ids(&first), "a retry is the same request");
    assert_eq!(ids(&first).0, ids(&next).0);
    assert_ne!(ids(&first).1, ids(&next).1);
    assert_ne!(ids(&first).0, ids(&other).0);
    let id = ids(&first).1;
    let groups: Vec<usize> = id.strip_prefix("agent-").unwrap().split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
}

#[test]
fn claude_is_asked_as_the_service_can_pass_it_on() {
    let request = Request { reasoning_effort: Some("medium".into()), temperature: Some(1.5), ..ask("claude-sonnet-4-5-thinking") };
    let (encoded, body) = encoded(&request);
    let inner = &body["request"];
    assert_eq!(inner["toolConfig"], json!({"functionCallingConfig": {"mode": "VALIDATED"}}));
    assert_eq!(
        inner["generationConfig"],
        json!({"maxOutputTokens": 64_000, "temperature": 1.0, "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 8192}})
    );
    assert!(inner["tools"][0]["functionDeclarations"][1]["parameters"]["properties"]["_placeholder"].is_object());
    assert!(!inner.to_string().contains("thoughtSignature"), "no stand-in for a signature");
    assert_eq!(encoded.losses.iter().map(|l| l.at.as_str()).collect::<Vec<_>>(), ["tools[0].parameters", "temperature"]);
    // Its own thinking and ids go back.
    let home = Origin { provider: "antigravity".into(), account: None, model: request.model.clone() };
    let thought = Block::Thinking { text: "t".into(), signature: Some("P+/=".into()), redacted: false };
    let call = Block::ToolCall(ToolCall { id: "toolu_vrtx_1".into(), name: "f".into(), args_raw: "{}".into(), signature: None });
    let said = Message { origin: Some(home.clone()), ..Message::new(Role::Assistant, vec![thought, call]) };
    let messages = [Message::user("u"), said, Message::results(vec![ToolResult::text("toolu_vrtx_1", "r", false)])].into_iter().collect();
    let body = Encoder::new(Dialect::default().to_target(home)).encode(&Request { messages, ..request }).to_vec();
    let body = String::from_utf8(body).unwrap();
    for part in [
        r#"{"text":"t","thought":true,"thoughtSignature":"P+/="}"#,
        r#""functionCall":{"id":"toolu_vrtx_1","name":"f""#,
        r#""functionResponse":{"id":"toolu_vrtx_1","name":"f""#,
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
}

#[test]
fn what_is_encoded_is_decoded_again() {
    for model in ["gemini-3-flash", "claude-opus-4-5-thinking"] {
        let mut request = Request { reasoning_effort: Some("low".into()), max_output: Some(30_000), ..ask(model) };
        let own = json!({"project": "mine", "sessionId": "s-1", "enabledCreditTypes": ["x"], "userAgent": "u", "requestType": "t", "requestId": "i"});
        request.extensions.insert(NAME.to_owned(), own.as_object().unwrap().clone());
        let (encoded, _) = encoded(&request);
        let got = decode_request(&encoded.path, &encoded.to_vec()).unwrap();
        assert_eq!(got.extensions, request.extensions);
        assert_eq!(
            (&got.model, got.stream, got.max_output, &got.reasoning_effort, &got.tool_choice),
            (&request.model, true, Some(30_000), &request.reasoning_effort, &ToolChoice::Auto)
        );
        assert_eq!(got.messages.iter().map(|m| m.role).collect::<Vec<_>>(), request.messages.iter().map(|m| m.role).collect::<Vec<_>>());
    }
    let chosen = decode_request("/v1internal:generateContent", br#"{"model":"m","request":{"contents":[{"parts":[{"text":"x"}]}],"session_id":"s","toolConfig":{"functionCallingConfig":{"mode":"VALIDATED","allowedFunctionNames":["a"]}}},"user_prompt_id":"p"}"#).unwrap();
    assert_eq!((chosen.stream, &chosen.extensions[NAME]), (false, json!({"sessionId": "s", "user_prompt_id": "p"}).as_object().unwrap()));
    assert!(chosen.extensions["gemini"]["toolConfig"].is_object(), "more than the mode is kept");
    for (body, says) in [
        ("{}", "request: expected"),
        (r#"{"request":{}}"#, "model: expected"),
        (r#"{"model":"m","request":{}}"#, "contents: expected"),
        ("[]", "the body"),
        ("{", "not valid JSON"),
    ] {
        let error = decode_request("/v1internal:generateContent", body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{body}: {error}");
    }
}

#[test]
fn replies_come_in_the_envelope_and_are_read_out_of_it() {
    let events = [
        StreamEvent::Start { id: Some("msg_vrtx_1".into()), model: Some("claude-x".into()) },
        StreamEvent::BlockStart { ix: 0, kind: BlockKind::Thinking },
        StreamEvent::Delta { ix: 0, delta: Delta::Thinking { text: "hm".into() } },
        StreamEvent::Delta { ix: 0, delta: Delta::Signature { text: "P".into() } },
        StreamEvent::BlockEnd { ix: 0 },
        StreamEvent::Usage { usage: Usage { input: Some(3), output: Some(2), ..Usage::default() } },
        StreamEvent::End { stop: Stop::End, reason: None },
    ];
    let mut all = Accumulator::default();
    for event in &events {
        all.push(event);
    }
    let want = Reply { reason: Some("STOP".into()), ..all.finish() };
    let (bytes, losses) = encode_events(Head::default(), &events);
    assert_eq!(losses, []);
    for bytes in [bytes, encode_reply(&want)] {
        assert!(String::from_utf8_lossy(&bytes).contains(r#"{"response":{"candidates""#));
        let mut decoder = Decoder::new(Wire::Antigravity, &Dialect::default());
        let mut events = Vec::new();
        decoder.feed(&bytes, &mut events);
        decoder.finish(&mut events);
        let mut all = Accumulator::default();
        for event in &events {
            all.push(event);
        }
        assert_eq!(all.finish(), want);
    }
}

#[test]
fn a_count_is_asked_for_with_the_conversation_alone() {
    let encoded = encode_count(
        &Dialect::default(),
        &Request { messages: [Message::system("s"), Message::user("u")].into_iter().collect(), ..ask("models/m") },
    );
    assert_eq!(encoded.path, "/v1internal:countTokens");
    assert_eq!(
        String::from_utf8(encoded.to_vec()).unwrap(),
        r#"{"request":{"model":"models/m","contents":[{"role":"user","parts":[{"text":"u"}]}]}}"#
    );
    assert_eq!(encoded.losses.iter().map(|l| l.at.as_str()).collect::<Vec<_>>(), ["messages[0]", "tools"]);
}
