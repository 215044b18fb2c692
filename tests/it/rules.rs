//! The rules of the providers' APIs, which other tests hold requests against: they find nothing in what providers accepted,
//! and they do find what is wrong.

use super::recordings::exchanges;
use crate::support::rules::{Api, Violation, read};
use serde_json::{Value, json};

/// Requests that went through although they break a rule, and why the rule stays.
const ODD: [(&str, &str); 12] = [
    // A field that only this server has, null everywhere, like all of its unset ones.
    ("together/text-ratelimit-headers-mixtral-8x7b-instruct-v0_1", ""),
    // An empty list of tools: OpenAI refuses it.
    ("anthropic/stream-cache-claude-sonnet-4-6", "/tools"),
    ("openai/chat-legacy-function-call-gpt-4", ""),
    ("chatgpt/completed-without-output-gpt-5_4", "/instructions"),
    // No instruction at all, written down.
    ("gemini/cached-tokens-gemini-3_5-flash", "/systemInstruction/parts"),
    ("gemini/google-search-gemini-3_5-flash", "/systemInstruction/parts"),
    // An older model, which took any order.
    ("vertex/text-gemini-2_0-flash", "/contents"),
    // Fields spelt as protobuf does it, which the API takes, too.
    ("gemini/stream-array-gemini-3-flash-preview", "/contents"),
    ("gemini/stream-parallel-calls-gemini-3_5-flash", "/generationConfig"),
    ("gemini/stream-max-tokens-gemini-2_5-flash", "/toolConfig"),
    // The public API takes `default`; Antigravity, whose servers share the path, does not.
    ("gemini/stream-multiturn-t", "/tools"),
    ("vertex/stream-gemini-3-pro-preview", ""),
];

#[test]
fn what_a_provider_accepted_breaks_no_rule() {
    let apis = [
        ("chat", Api::Chat),
        ("messages", Api::Anthropic),
        ("responses", Api::Responses),
        ("gemini", Api::Gemini),
        ("gemini_stream", Api::Gemini),
    ];
    let mut found = Vec::new();
    let mut checked = 0;
    for (name, api) in apis {
        let Some(exchanges) = exchanges(name) else { return };
        for x in exchanges.iter().filter(|x| x.status == 200 && x.request.is_object()) {
            checked += 1;
            // Fields that pup does not use, or leaves out where others write null.
            let habit = |v: &Violation| v.rule.ends_with("is not a field of this object") || v.rule == "is null";
            let odd = |v: &Violation| ODD.iter().any(|(case, at)| x.name.starts_with(case) && v.at.starts_with(at));
            let mistral = if x.name.starts_with("mistral/") { Api::Mistral } else { api };
            let reading = read(mistral, &x.name, x.request.to_string().as_bytes());
            found.extend(reading.violations.into_iter().filter(|v| !habit(v) && !odd(v)).map(|v| format!("{}: {v}", x.name)));
        }
    }
    assert!(checked > 130, "{checked}");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

const CHAT: &str = r#"{"model":"m","max_tokens":9,"stop":["x"],"tool_choice":"auto",
"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"x":{"type":"array","items":{}}}}}}],
"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"u"},{"type":"image_url","image_url":{"url":"https://e/"}}]},
{"role":"assistant","content":null,"tool_calls":[{"id":"aaaaaaaaa","type":"function","function":{"name":"f","arguments":"{}"}},
{"id":"bbbbbbbbb","type":"function","function":{"name":"f","arguments":"{\"k"}}]},
{"role":"tool","tool_call_id":"aaaaaaaaa","content":""},{"role":"tool","tool_call_id":"bbbbbbbbb","content":"2"},{"role":"assistant","content":"ok"}]}"#;

const ANTHROPIC: &str = r#"{"model":"claude-sonnet-4-5","max_tokens":4000,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],
"thinking":{"type":"enabled","budget_tokens":1024},"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto"},
"messages":[{"role":"user","content":"u"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},
{"type":"tool_use","id":"a","name":"f","input":{}},{"type":"tool_use","id":"b","name":"f","input":{}}]},
{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"1"},
{"type":"tool_result","tool_use_id":"b","is_error":true,"content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]},
{"type":"text","text":"go on","cache_control":{"type":"ephemeral"}}]}]}"#;

const RESPONSES: &str = r#"{"model":"gpt-5","instructions":"s","store":false,"stream":true,"include":["reasoning.encrypted_content"],
"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}}}],
"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"u"}]},
{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"e"},{"type":"function_call","id":"fc_1","call_id":"a","name":"f","arguments":"{}"},
{"type":"function_call_output","call_id":"a","output":"1"},
{"type":"message","role":"assistant","content":[{"type":"output_text","text":"t"}]}]}"#;

const GEMINI: &str = r#"{"systemInstruction":{"parts":[{"text":"s"}]},"tools":[{"functionDeclarations":[{"name":"f",
"parameters":{"type":"object","properties":{"x":{"type":"string","enum":["a"]}},"required":["x"]}},{"name":"g"}]}],
"contents":[{"role":"user","parts":[{"text":"u"}]},{"role":"model","parts":[{"text":"t"},{"functionCall":{"name":"f","args":{}},"thoughtSignature":"AAAA"},
{"functionCall":{"name":"g","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"1"}}},
{"functionResponse":{"name":"g","response":{"output":"2"}}}]},{"role":"user","parts":[{"text":"and?"}]},{"role":"model","parts":[{"text":"ok"}]}],
"generationConfig":{"maxOutputTokens":9}}"#;

/// Puts `value` at a place of a body (nothing: takes away what is there) and says where rules are then broken.
fn broken(api: Api, base: &str, at: &str, value: Option<Value>) -> Vec<String> {
    let mut body: Value = serde_json::from_str(base).unwrap();
    let (parent, key) = at.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap_or_else(|| panic!("{at}"));
    match (parent, value) {
        (Value::Object(map), Some(value)) => drop(map.insert(key.to_owned(), value)),
        (Value::Object(map), None) => assert!(map.shift_remove(key).is_some(), "{at}"),
        (Value::Array(list), Some(value)) => list.insert(key.parse().unwrap(), value),
        (Value::Array(list), None) => drop(list.remove(key.parse().unwrap())),
        _ => panic!("{at}"),
    }
    read(api, "gemini-3-pro", body.to_string().as_bytes()).violations.into_iter().map(|v| v.at).collect()
}

/// What is put where, and where that breaks a rule.
type Row = (Api, &'static str, Option<Value>, &'static str);

#[test]
fn each_rule_finds_what_breaks_it() {
    for (api, base) in [
        (Api::Chat, CHAT),
        (Api::Mistral, CHAT),
        (Api::Anthropic, ANTHROPIC),
        (Api::Responses, RESPONSES),
        (Api::Codex, RESPONSES),
        (Api::Gemini, GEMINI),
    ] {
        let found = read(api, "gemini-3-pro", base.as_bytes()).violations;
        assert!(found.is_empty(), "{api:?}: {found:?}");
    }
    let doubled = CHAT.replacen("\"max_tokens\":9", "\"max_tokens\":9,\"model\":\"m\"", 1);
    assert_eq!(read(Api::Chat, "", doubled.as_bytes()).violations[0].at, "/model");
    assert_eq!(read(Api::Chat, "", &CHAT.as_bytes()[..99]).violations.len(), 1);
    let user = || json!({"role": "user", "content": "u"});
    let some = |v: Value| Some(v);
    let rows: Vec<Row> = vec![
        (Api::Chat, "/model", None, "/model"),
        (Api::Chat, "/odd", some(json!(1)), "/odd"),
        (Api::Chat, "/temperature", some(Value::Null), "/temperature"),
        (Api::Chat, "/stop", some(json!(["a", "b", "c", "d", "e"])), "/stop"),
        (Api::Chat, "/stop/0", some(json!("")), "/stop"),
        (Api::Chat, "/max_completion_tokens", some(json!(9)), "/max_tokens"),
        (Api::Chat, "/stream_options", some(json!({})), "/stream_options"),
        (Api::Chat, "/tool_choice", some(json!({"type": "function", "function": {"name": "g"}})), "/tool_choice/function/name"),
        (Api::Chat, "/tools", None, "/tool_choice"),
        (Api::Chat, "/tools/0/function/name", some(json!("a.b")), "/tools/0/function/name"),
        (Api::Chat, "/tools/0/function/parameters/oneOf", some(json!([])), "/tools/0/function/parameters/oneOf"),
        (Api::Chat, "/tools/0/function/parameters/properties", None, "/tools/0/function/parameters/properties"),
        (Api::Chat, "/tools/0/function/parameters/properties/x/items", None, "/tools/0/function/parameters/properties/x"),
        (Api::Chat, "/messages", some(json!([])), "/messages"),
        (Api::Chat, "/messages/1/content", some(json!(" \n")), "/messages/1/content"),
        (
            Api::Chat,
            "/messages/1/content/1/image_url/url",
            some(json!("data:text/plain;base64,AAAA")),
            "/messages/1/content/1/image_url/url",
        ),
        (Api::Chat, "/messages/2/content", some(json!("")), "/messages/2/content"),
        (Api::Chat, "/messages/2/tool_calls", some(json!([])), "/messages/2/tool_calls"),
        (Api::Chat, "/messages/2/tool_calls/0/id", some(json!("x".repeat(41))), "/messages/2/tool_calls/0/id"),
        (Api::Chat, "/messages/2/tool_calls/1/id", some(json!("aaaaaaaaa")), "/messages/2/tool_calls/1/id"),
        (Api::Chat, "/messages/2/tool_calls/0/function/arguments", some(json!("null")), "/messages/2/tool_calls/0/function/arguments"),
        (Api::Chat, "/messages/3", None, "/messages/4"),
        (Api::Chat, "/messages/3", some(user()), "/messages/3"),
        (Api::Chat, "/messages/4/tool_call_id", some(json!("x")), "/messages/4"),
        (Api::Chat, "/messages/5/content", some(Value::Null), "/messages/5/content"),
        (Api::Mistral, "/messages/2/tool_calls/0/id", some(json!("call_1")), "/messages/2/tool_calls/0/id"),
        (Api::Mistral, "/messages/5", some(user()), "/messages/5/role"),
        (Api::Anthropic, "/max_tokens", None, "/max_tokens"),
        (Api::Anthropic, "/max_tokens", some(json!(1024)), "/thinking/budget_tokens"),
        (Api::Anthropic, "/thinking/budget_tokens", some(json!(1023)), "/thinking/budget_tokens"),
        (Api::Anthropic, "/temperature", some(json!(0.5)), "/temperature"),
        (Api::Anthropic, "/tool_choice/type", some(json!("any")), "/tool_choice/type"),
        (Api::Anthropic, "/stop_sequences", some(json!([" "])), "/stop_sequences"),
        (Api::Anthropic, "/thinking", None, "/messages/1/content/0"),
        (Api::Anthropic, "/system/0/text", some(json!("")), "/system/0/text"),
        (
            Api::Anthropic,
            "/messages/2/content/3",
            some(json!({"type": "text", "text": "t", "cache_control": {"type": "ephemeral", "ttl": "1h"}})),
            "/messages/2/content/3",
        ),
        (Api::Anthropic, "/messages/0", None, "/messages/0/role"),
        (Api::Anthropic, "/messages/1/content/0", None, "/messages/1/content/0"),
        (Api::Anthropic, "/messages/1/content/0/signature", some(json!("")), "/messages/1/content/0/signature"),
        (
            Api::Anthropic,
            "/messages/1/content/3",
            some(json!({"type": "thinking", "thinking": "", "signature": "s"})),
            "/messages/1/content",
        ),
        (Api::Anthropic, "/messages/1/content/1/id", some(json!("b")), "/messages/1/content/2/id"),
        (Api::Anthropic, "/messages/1/content/1/id", some(json!("functions.f:0")), "/messages/1/content/1/id"),
        (Api::Anthropic, "/messages/1/content/1/input", some(json!("{}")), "/messages/1/content/1/input"),
        (Api::Anthropic, "/messages/2/content/0", None, "/messages/2/content/1"),
        (Api::Anthropic, "/messages/2/content/0", some(json!({"type": "text", "text": "t"})), "/messages/2/content/1"),
        (Api::Anthropic, "/messages/2/content/1/content", some(json!([])), "/messages/2/content/1/content"),
        (
            Api::Anthropic,
            "/messages/2/content/1/content/0/source/media_type",
            some(json!("image/bmp")),
            "/messages/2/content/1/content/0/source/media_type",
        ),
        (Api::Anthropic, "/messages/2/content/2/text", some(json!("\n")), "/messages/2/content/2/text"),
        (Api::Anthropic, "/messages/2/content/2/cache_control/ttl", some(json!("odd")), "/messages/2/content/2"),
        (Api::Anthropic, "/tools/0/input_schema/type", None, "/tools/0/input_schema/type"),
        (Api::Responses, "/max_output_tokens", some(json!(15)), "/max_output_tokens"),
        (Api::Responses, "/temperature", some(json!(0)), "/temperature"),
        (Api::Responses, "/input/0/content/0/type", some(json!("output_text")), "/input/0/content/0/type"),
        (Api::Responses, "/input/1/encrypted_content", None, "/input/1/encrypted_content"),
        (Api::Responses, "/input/1/summary", None, "/input/1/summary"),
        (Api::Responses, "/input/1/id", some(json!("1")), "/input/1/id"),
        (Api::Responses, "/input/2/id", some(json!("call_1")), "/input/2/id"),
        (Api::Responses, "/input/2/call_id", some(json!("x".repeat(65))), "/input/2/call_id"),
        (Api::Responses, "/input/2/arguments", some(json!("")), "/input/2/arguments"),
        (Api::Responses, "/input/2", None, "/input/1"),
        (Api::Responses, "/input/3", None, ""),
        (Api::Responses, "/input/4/id", some(json!("x")), "/input/4/id"),
        (Api::Responses, "/input/5", some(json!({"type": "item_reference", "id": "rs_1"})), "/input/5"),
        (Api::Responses, "/input/5", some(json!({"type": "reasoning", "summary": [], "encrypted_content": "e"})), "/input/5"),
        (Api::Codex, "/store", None, "/store"),
        (Api::Codex, "/instructions", None, "/instructions"),
        (Api::Codex, "/max_output_tokens", some(json!(99)), "/max_output_tokens"),
        (Api::Gemini, "/model", some(json!("m")), "/model"),
        (Api::Gemini, "/contents/0", None, "/contents/0/role"),
        (Api::Gemini, "/contents/0/role", some(json!("assistant")), "/contents/0/role"),
        (Api::Gemini, "/contents/1/parts/1/thoughtSignature", some(json!("not base64")), "/contents/1/parts/1/thoughtSignature"),
        (Api::Gemini, "/contents/1/parts/1/functionCall/args", some(json!("{}")), "/contents/1/parts/1/functionCall/args"),
        (Api::Gemini, "/contents/1/parts/0/text", some(json!("")), "/contents/1/parts/0/text"),
        (Api::Gemini, "/contents/2/parts/1", None, "/contents/2"),
        (Api::Gemini, "/contents/2/parts/2", some(json!({"text": "t"})), "/contents/2/parts/2/text"),
        (Api::Gemini, "/contents/2/parts/0/functionResponse/name", some(json!("g")), "/contents/2/parts/0/functionResponse/name"),
        (Api::Gemini, "/contents/2/parts/0/functionResponse/response", some(json!("1")), "/contents/2/parts/0/functionResponse/response"),
        (Api::Gemini, "/contents/3/parts/0/inlineData", some(json!({"mimeType": "image/png", "data": "AAAA"})), "/contents/3/parts/0"),
        (Api::Gemini, "/contents/4/role", some(json!("user")), "/contents/4/role"),
        (Api::Gemini, "/tools/0/functionDeclarations/0/name", some(json!("3d")), "/tools/0/functionDeclarations/0/name"),
        (
            Api::Gemini,
            "/tools/0/functionDeclarations/0/parameters/$ref",
            some(json!("#")),
            "/tools/0/functionDeclarations/0/parameters/$ref",
        ),
        (
            Api::Gemini,
            "/tools/0/functionDeclarations/0/parameters/properties/x/enum",
            some(json!([1])),
            "/tools/0/functionDeclarations/0/parameters/properties/x/enum",
        ),
        (
            Api::Gemini,
            "/tools/0/functionDeclarations/0/parameters/properties",
            some(json!({})),
            "/tools/0/functionDeclarations/0/parameters/properties",
        ),
        (Api::Gemini, "/tools/1", some(json!({"googleSearch": {}})), "/tools/1"),
        (
            Api::Gemini,
            "/toolConfig",
            some(json!({"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}})),
            "/toolConfig/functionCallingConfig/allowedFunctionNames",
        ),
        (Api::Gemini, "/generationConfig/stopSequences", some(json!(["1", "2", "3", "4", "5", "6"])), "/generationConfig/stopSequences"),
    ];
    for (api, at, value, want) in rows {
        let base = match api {
            Api::Chat | Api::Mistral => CHAT,
            Api::Anthropic => ANTHROPIC,
            Api::Responses | Api::Codex => RESPONSES,
            Api::Gemini | Api::Antigravity => GEMINI,
        };
        let found = broken(api, base, at, value.clone());
        assert!(found.iter().any(|f| f == want), "{api:?}: {value:?} at {at} gives {found:?}");
    }
    // Only the turn in progress needs signatures: with the last question gone, the call stands in it.
    let mut going_on: Value = serde_json::from_str(GEMINI).unwrap();
    going_on["contents"].as_array_mut().unwrap().remove(3);
    let unsigned = "/contents/1/parts/1/thoughtSignature";
    assert_eq!(broken(Api::Gemini, GEMINI, unsigned, None), Vec::<String>::new());
    assert_eq!(broken(Api::Gemini, &going_on.to_string(), unsigned, None), ["/contents/1/parts/1"]);
    let wrapped = json!({"project": "p", "model": "claude-sonnet-4-5", "request": serde_json::from_str::<Value>(GEMINI).unwrap()});
    let found: Vec<String> = read(Api::Antigravity, "", wrapped.to_string().as_bytes()).violations.into_iter().map(|v| v.at).collect();
    assert_eq!(found, Vec::<String>::new());
}
