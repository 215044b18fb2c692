//! The server's half of requests: clients' spellings, and what is wrong with a body.

use super::*;
use proptest::prelude::*;
use serde_json::json;

const PATH: &str = "/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse";

fn read(json: &str) -> Request {
    decode_request(PATH, json.as_bytes()).unwrap()
}

#[test]
fn clients_spellings_mean_the_same() {
    let r = read(
        r#"{"system_instruction":{"parts":{"text":"s"}},"safety_settings":[],
        "tools":[{"function_declarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}}}]},{"functionDeclarations":[{"name":"g","description":"d","parametersJsonSchema":{"$schema":"x"}},{"name":"now"}]},{"googleSearch":{}}],
        "tool_config":{"function_calling_config":{"mode":"any","allowed_function_names":["f"]}},
        "generation_config":{"max_output_tokens":5,"top_p":0.5,"topK":3,"stop_sequences":["x"],"seed":7,"response_mime_type":"application/json","response_schema":{"type":"OBJECT"},"thinkingConfig":{"include_thoughts":true,"thinking_level":"low"}},
        "contents":[{"parts":[{"text":"a"}]},
        {"role":"model","parts":[{"text":"hm","thought":true,"thoughtSignature":"T"},{"text":"b","thought_signature":"S"},{"text":"","thoughtSignature":"E"},{"functionCall":{"name":"f","args":{"k": 1.0}},"thoughtSignature":"C"},{"function_call":{"id":"i","name":"g"}},{"functionCall":{"name":"f"},"thoughtSignature":"skip_thought_signature_validator"}]},
        {"role":"function","parts":[{"functionResponse":{"name":"f","response":{"output":"1"}}},{"function_response":{"id":"i","name":"g","response":{"error":"no"}}},{"functionResponse":{"name":"f","response":{"n": 1.50}}},{"functionResponse":{"name":"stray","response":{}}}]},
        {"role":"user","parts":[{"inline_data":{"mime_type":"image/png","data":"QQ=="}},{"fileData":{"mimeType":"image/png","fileUri":"https://x/a.png"}},{"fileData":{"mimeType":"video/mp4","fileUri":"https://y"}},{"inlineData":{"mimeType":"application/pdf","data":"QQ=="}},{"text":"next"}]}]}"#,
    );
    let roles: Vec<Role> = r.messages.iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool, Role::User]);
    assert_eq!((r.model.as_str(), r.stream, r.max_output, r.top_p, r.seed), ("gemini-3-flash", true, Some(5), Some(0.5), Some(7)));
    assert_eq!(
        (r.stop.as_slice(), &r.tool_choice, r.reasoning_effort.as_deref()),
        (&["x".to_owned()][..], &ToolChoice::Tool("f".into()), Some("low"))
    );
    assert_eq!(
        r.response_format,
        Some(ResponseFormat::JsonSchema { name: String::new(), schema: json!({"type": "object"}), strict: None })
    );
    let tools: Vec<_> = r.tools.iter().map(|t| (t.name.as_str(), t.parameters.clone())).collect();
    let nullable = json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}});
    assert_eq!(tools, [("f", nullable), ("g", json!({"$schema": "x"})), ("now", json!({"type": "object", "properties": {}}))]);
    let own = &r.extensions["gemini"];
    assert_eq!(
        (&own["tools"], &own["generationConfig"], &own["safetySettings"]),
        (&json!([{"googleSearch": {}}]), &json!({"topK": 3}), &json!([]))
    );
    let said = r.messages.get(2).unwrap();
    assert_eq!(said.blocks[0], Block::Thinking { text: "hm".into(), signature: Some("T".into()), redacted: false });
    assert_eq!(said.blocks[2], Block::Opaque { wire: "gemini".into(), raw: r#"{"thoughtSignature":"S"}"#.into() });
    assert_eq!(said.blocks[3], Block::Opaque { wire: "gemini".into(), raw: r#"{"text":"","thoughtSignature":"E"}"#.into() });
    let calls: Vec<_> = said.calls().map(|c| (c.name.as_str(), c.args_raw.as_str(), c.signature.as_deref())).collect();
    assert_eq!(calls, [("f", r#"{"k":1.0}"#, Some("C")), ("g", "", None), ("f", "", None)]);
    let ids: Vec<&str> = said.calls().map(|c| c.id.as_str()).collect();
    let results: Vec<_> = r.messages.get(3).unwrap().tool_results().map(|t| (t.call_id.as_str(), t.joined(), t.is_error)).collect();
    assert_eq!(ids[1], "i");
    assert_eq!(
        results,
        [(ids[0], "1".into(), false), (ids[1], "no".into(), true), (ids[2], r#"{"n": 1.50}"#.into(), false), ("stray", "{}".into(), false)]
    );
    assert_eq!(
        r.messages.get(4).unwrap().blocks.iter().map(Block::kind).collect::<Vec<_>>(),
        ["an image", "an image", "an opaque block", "a document", "text"]
    );
}

#[test]
fn modes_and_configs_that_have_no_neutral_word_are_kept() {
    let with = |fields: &str| read(&format!(r#"{{"contents":[{{"parts":[{{"text":"a"}}]}}],{fields}}}"#));
    for config in [r#"{"mode":"VALIDATED"}"#, r#"{"mode":"ANY","allowedFunctionNames":["a","b"]}"#] {
        let r = with(&format!(r#""toolConfig":{{"functionCallingConfig":{config}}}"#));
        assert_eq!(r.tool_choice, ToolChoice::Auto);
        assert_eq!(r.extensions["gemini"]["toolConfig"]["functionCallingConfig"], serde_json::from_str::<Value>(config).unwrap());
    }
    let r = with(
        r#""generationConfig":{"thinkingConfig":{"thinkingBudget":-1},"responseMimeType":"text/x.enum","responseSchema":{"type":"STRING"}}"#,
    );
    let kept = json!({"thinkingConfig": {"thinkingBudget": -1}, "responseMimeType": "text/x.enum", "responseSchema": {"type": "string"}});
    assert_eq!((r.reasoning_effort, &r.extensions["gemini"]["generationConfig"]), (None, &kept));
    let partial = read(
        r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","partialArgs":[{"jsonPath":"$.a","numberValue":2}]}}]}]}"#,
    );
    assert_eq!(partial.messages.last().unwrap().calls().next().unwrap().args_raw, r#"{"a":2}"#);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (body, says) in [
        ("{", "not valid JSON"),
        ("[]", "the body: expected an object"),
        ("{}", "contents: expected at least one"),
        (r#"{"contents":[]}"#, "contents: expected at least one"),
        (r#"{"contents":7}"#, "contents: expected a list"),
        (r#"{"contents":[7]}"#, "contents[0]: expected an object"),
        (r#"{"contents":[{"role":"assistant","parts":[]}]}"#, "contents[0].role: expected user or model"),
        (r#"{"contents":[{"parts":7}]}"#, "contents[0].parts: expected a list"),
        (r#"{"contents":[{"parts":[{"functionCall":{"name":"f"}}]}]}"#, "contents[0].parts[0]: expected calls only of the model"),
        (r#"{"contents":[{"role":"model","parts":[{"functionCall":{}}]}]}"#, "contents[0].parts[0].functionCall.name"),
        (r#"{"contents":[{"parts":[{"functionResponse":{"name":"f","response":7}}]}]}"#, "functionResponse.response: expected an object"),
        (r#"{"contents":[{"parts":[{"functionResponse":{"response":{}}}]}]}"#, "functionResponse.name"),
        (r#"{"systemInstruction":{},"contents":[]}"#, "systemInstruction.parts"),
        (r#"{"contents":[{"parts":[{"text":"x"}]}],"tools":[{"functionDeclarations":[{}]}]}"#, "tools[0].functionDeclarations"),
        (
            r#"{"contents":[{"parts":[{"text":"x"}]}],"toolConfig":{"functionCallingConfig":{"mode":"MAYBE"}}}"#,
            "functionCallingConfig.mode",
        ),
        (r#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"stopSequences":[1]}}"#, "stopSequences: expected strings"),
    ] {
        let error = decode_request(PATH, body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{body}: {error}");
    }
    assert!(decode_request("/v1/chat/completions", b"{}").unwrap_err().to_string().starts_with("the path: expected a model"));
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in prop_oneof![any::<Vec<u8>>(), "[{}\\[\\]\":a-z0-9, ]{0,60}".prop_map(String::into_bytes)]) {
        let _ = decode_request(PATH, &body);
    }
}
