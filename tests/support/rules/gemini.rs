//! generateContent, as Google takes it, and what Antigravity puts around it.

use super::{Api, Args, Check, Said, Side, base64, schema, sub};
use serde_json::Value;

/// What stands for the signature of a call that another model made (the reference's page on thought signatures).
const SKIP: &str = "skip_thought_signature_validator";

/// `{"project", "model", "request": {...}, ...}`
pub fn wrapped(c: &mut Check, body: &Value) {
    c.only("", body, &["project", "model", "userAgent", "requestType", "requestId", "request", "user_prompt_id"]);
    let model = c.word("", body, "model");
    c.word("", body, "project");
    check(c, "/request", &body["request"], model, Api::Antigravity);
}

pub fn check(c: &mut Check, at: &str, body: &Value, model: &str, api: Api) {
    let mut fields = vec!["contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "cachedContent"];
    match api {
        // It refuses the safety settings of the public API (router-for-me/CLIProxyAPI).
        Api::Antigravity => fields.extend(["sessionId", "session_id", "labels"]),
        _ => fields.push("safetySettings"),
    }
    // "messages", "max_tokens", "model" and the like are unknown names: 400.
    c.only(at, body, &fields);
    tools(c, at, body, model, api);
    settings(c, &sub(at, "generationConfig"), body.get("generationConfig"), model);
    if let Some(system) = body.get("systemInstruction") {
        let at = sub(at, "systemInstruction");
        c.only(&at, system, &["parts", "role"]);
        for (i, part) in c.list(&sub(&at, "parts"), &system["parts"]).iter().enumerate() {
            let at = format!("{at}/parts/{i}");
            c.only(&at, part, &["text"]);
            let text = c.text(&at, part, "text");
            c.said(Side::System, text);
        }
    }
    contents(c, &sub(at, "contents"), &body["contents"], model);
}

fn tools(c: &mut Check, at: &str, body: &Value, model: &str, api: Api) {
    let claude = model.contains("claude");
    if let Some(tools) = body.get("tools") {
        for (i, tool) in c.list(&sub(at, "tools"), tools).iter().enumerate() {
            let at = format!("{at}/tools/{i}");
            if tool.get("functionDeclarations").is_none() && tool.as_object().is_some_and(|t| !t.is_empty()) {
                // A tool of Google's own. Functions cannot be used beside it (NoeFabris/opencode-antigravity-auth).
                c.rule(tools.as_array().is_some_and(|t| t.len() == 1), &at, "stands beside functions");
                continue;
            }
            c.only(&at, tool, &["functionDeclarations"]);
            for (i, declared) in c.list(&sub(&at, "functionDeclarations"), &tool["functionDeclarations"]).iter().enumerate() {
                let at = format!("{at}/functionDeclarations/{i}");
                c.only(&at, declared, &["name", "description", "parameters", "parametersJsonSchema"]);
                let name = c.word(&at, declared, "name");
                function_name(c, &sub(&at, "name"), name);
                c.tool(&at, name);
                let both = declared.get("parameters").is_some() && declared.get("parametersJsonSchema").is_some();
                c.rule(!both, &at, "`parameters` and `parametersJsonSchema` exclude each other");
                if let Some(parameters) = declared.get("parameters") {
                    let at = sub(&at, "parameters");
                    schema::gemini(c, &at, parameters);
                    let kind = parameters["type"].as_str().unwrap_or_default().to_ascii_lowercase();
                    c.rule(kind == "object", &sub(&at, "type"), "is not an object's");
                    // An object without properties is refused for Claude (NoeFabris/opencode-antigravity-auth).
                    let holds = parameters["properties"].as_object().is_some_and(|p| !p.is_empty());
                    c.rule(!claude || holds, &sub(&at, "properties"), "is empty, which Claude is not served with");
                }
                if let Some(parameters) = declared.get("parametersJsonSchema") {
                    c.rule(parameters.is_object(), &sub(&at, "parametersJsonSchema"), "is no object");
                    c.rule(api == Api::Gemini, &sub(&at, "parametersJsonSchema"), "is not a field here");
                }
            }
        }
    }
    if let Some(config) = body.get("toolConfig") {
        let at = sub(at, "toolConfig/functionCallingConfig");
        let config = &config["functionCallingConfig"];
        c.only(&at, config, &["mode", "allowedFunctionNames"]);
        let mode = config["mode"].as_str().unwrap_or_default();
        c.rule(["AUTO", "ANY", "NONE", "VALIDATED"].contains(&mode), &sub(&at, "mode"), "is not a mode");
        c.rule(body.get("tools").is_some(), &at, "there are no functions to call");
        if let Some(names) = config.get("allowedFunctionNames") {
            // "Allowed function names are only valid with mode ANY or VALIDATED."
            c.rule(matches!(mode, "ANY" | "VALIDATED"), &sub(&at, "allowedFunctionNames"), "is only for the modes ANY and VALIDATED");
            for name in c.list(&sub(&at, "allowedFunctionNames"), names) {
                c.known_tool(&sub(&at, "allowedFunctionNames"), name.as_str().unwrap_or_default());
            }
        }
    }
}

/// A letter or `_` first, then `[A-Za-z0-9_.:-]`, at most 64.
fn function_name(c: &mut Check, at: &str, name: &str) {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b));
    c.rule(first && rest && name.len() <= 64, at, format!("`{name}` is not a function's name"));
}

fn settings(c: &mut Check, at: &str, config: Option<&Value>, model: &str) {
    let Some(config) = config else { return };
    let fields = [
        "temperature",
        "topP",
        "topK",
        "candidateCount",
        "maxOutputTokens",
        "stopSequences",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "thinkingConfig",
        "seed",
        "presencePenalty",
        "frequencyPenalty",
    ];
    c.only(at, config, &fields);
    c.numbers(at, config, &[("temperature", (0.0, 2.0)), ("topP", (0.0, 1.0))].into());
    let most = config.get("maxOutputTokens");
    c.rule(most.is_none_or(|n| n.as_u64().is_some_and(|n| n > 0)), &sub(at, "maxOutputTokens"), "is no positive number");
    if let Some(stops) = config.get("stopSequences") {
        c.rule(stops.as_array().is_none_or(|s| s.len() <= 5), &sub(at, "stopSequences"), "has more than five");
        c.list(&sub(at, "stopSequences"), stops);
    }
    if config.get("responseSchema").is_some() || config.get("responseJsonSchema").is_some() {
        c.rule(config["responseMimeType"] == "application/json", &sub(at, "responseMimeType"), "has to be JSON where a schema is");
    }
    if let Some(inner) = config.get("responseSchema") {
        schema::gemini(c, &sub(at, "responseSchema"), inner);
    }
    if let Some(thinking) = config.get("thinkingConfig") {
        let at = sub(at, "thinkingConfig");
        c.only(&at, thinking, &["includeThoughts", "thinkingBudget", "thinkingLevel"]);
        let both = thinking.get("thinkingBudget").is_some() && thinking.get("thinkingLevel").is_some();
        // "You can only set only one of thinking budget and thinking level."
        c.rule(!both, &at, "a budget and a level exclude each other");
        if let Some(level) = thinking["thinkingLevel"].as_str() {
            let known = ["MINIMAL", "LOW", "MEDIUM", "HIGH"].contains(&level.to_ascii_uppercase().as_str());
            c.rule(known, &sub(&at, "thinkingLevel"), "is not a level");
            c.rule(!model.contains("2.5"), &sub(&at, "thinkingLevel"), "is not for the 2.5 family");
        }
        if model.contains("claude") {
            let (budget, most) = (thinking["thinkingBudget"].as_u64(), config["maxOutputTokens"].as_u64());
            c.rule(
                budget.is_none_or(|b| b == 0 || most.is_some_and(|m| m > b)),
                &sub(&at, "thinkingBudget"),
                "is not below maxOutputTokens",
            );
        }
    }
}

fn contents(c: &mut Check, at: &str, contents: &Value, model: &str) {
    let contents = c.list(at, contents);
    let answers = |content: &Value| content["parts"].as_array().is_some_and(|p| p.iter().any(|p| p.get("functionResponse").is_some()));
    // The turn in progress begins behind the last content in which the user says something.
    let turn = contents.iter().rposition(|content| content["role"] == "user" && !answers(content)).unwrap_or(0);
    let mut before: Option<&Value> = None;
    for (i, content) in contents.iter().enumerate() {
        let at = format!("{at}/{i}");
        c.only(&at, content, &["role", "parts"]);
        let role = content["role"].as_str().unwrap_or_default();
        // "Please use a valid role: user, model."
        c.rule(matches!(role, "user" | "model"), &sub(&at, "role"), "is neither `user` nor `model`");
        if let Some(before) = before {
            // Roles alternate, but words of the user do not share a content with answers (NousResearch/hermes-agent#55125).
            let apart = role == "user" && answers(before) != answers(content);
            c.rule(before["role"] != role || apart, &sub(&at, "role"), "does not alternate");
        } else {
            // "function call turn comes immediately after a user turn" (diegosouzapw/OmniRoute#13573)
            c.rule(role == "user", &sub(&at, "role"), "the first is not the user's");
        }
        let parts = c.list(&sub(&at, "parts"), &content["parts"]);
        if answers(content) {
            responses(c, &at, parts, before, model);
        } else {
            c.closed(&at);
            let mut signed = false;
            for (n, part) in parts.iter().enumerate() {
                let at = format!("{at}/parts/{n}");
                self::part(c, &at, part, role, model);
                if part.get("functionCall").is_some() && !std::mem::replace(&mut signed, true) {
                    // "Function call is missing a thought_signature in functionCall parts." The first call of each step of
                    // the turn in progress (octos-org/octos#1897); required of the third family only.
                    let need = i > turn && model.contains("gemini-3");
                    c.rule(!need || part.get("thoughtSignature").is_some(), &at, "the first call of its step has no signature");
                }
            }
        }
        before = Some(content);
    }
}

/// One answer for each call of the content before, in its order, and nothing beside them.
fn responses(c: &mut Check, at: &str, parts: &[Value], before: Option<&Value>, model: &str) {
    // "number of function response parts is equal to the number of function call parts" (cloudwego/eino-ext#571)
    let calls: Vec<&Value> =
        before.iter().flat_map(|b| b["parts"].as_array().into_iter().flatten()).filter_map(|p| p.get("functionCall")).collect();
    c.rule(calls.len() == parts.len(), at, format!("{} parts answer {} calls", parts.len(), calls.len()));
    let mut images = 0;
    for (n, part) in parts.iter().enumerate() {
        let at = format!("{at}/parts/{n}");
        // No binary parts beside it (google-gemini/gemini-cli#16135).
        c.only(&at, part, &["functionResponse"]);
        let answer = &part["functionResponse"];
        let at = sub(&at, "functionResponse");
        c.only(&at, answer, &["id", "name", "response", "parts"]);
        c.rule(answer["response"].is_object(), &sub(&at, "response"), "is no object");
        if let Some(inner) = answer.get("parts") {
            c.rule(!model.contains("gemini-2"), &sub(&at, "parts"), "the second family takes none");
            images += c.list(&sub(&at, "parts"), inner).len();
        }
        let call = calls.get(n).copied().unwrap_or(&Value::Null);
        c.rule(answer["name"] == call["name"], &sub(&at, "name"), "is not that of the call at this place");
        c.rule(answer.get("id") == call.get("id"), &sub(&at, "id"), "is not that of the call at this place");
        let mut text = String::new();
        strings(&answer["response"], &mut text);
        let error = answer["response"].get("error").is_some();
        if c.open.is_empty() {
            c.say(&at, "answers no open call");
        } else {
            let call = c.open.remove(0).call;
            c.reading.said.push(Said::Result { call, text, error });
        }
    }
    (0..images).for_each(|_| c.other(Side::User));
    c.closed(at);
}

fn strings(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Array(list) => list.iter().for_each(|v| strings(v, out)),
        Value::Object(map) => map.values().for_each(|v| strings(v, out)),
        _ => {}
    }
}

fn part(c: &mut Check, at: &str, part: &Value, role: &str, model: &str) {
    c.only(
        at,
        part,
        &[
            "text",
            "thought",
            "thoughtSignature",
            "inlineData",
            "fileData",
            "functionCall",
            "executableCode",
            "codeExecutionResult",
            "videoMetadata",
        ],
    );
    let data = ["text", "inlineData", "fileData", "functionCall", "executableCode", "codeExecutionResult"];
    let held = data.iter().filter(|key| part.get(**key).is_some()).count();
    // "required oneof field 'data' must have one initialized field"
    c.rule(held == 1, at, format!("holds {held} kinds of data, not one"));
    let side = if role == "model" { Side::Assistant } else { Side::User };
    let signature = part.get("thoughtSignature");
    if let Some(signature) = signature {
        let signature = signature.as_str().unwrap_or_default();
        c.rule(role == "model", &sub(at, "thoughtSignature"), "is the model's own");
        let stands_in = signature == SKIP && model.contains("gemini");
        // "Corrupted thought signature"
        c.rule(stands_in || base64(signature), &sub(at, "thoughtSignature"), "is no base64");
        c.rule(signature != SKIP || part.get("functionCall").is_some(), &sub(at, "thoughtSignature"), "stands in for a call's only");
    }
    if part["thought"] == true {
        c.rule(role == "model", &sub(at, "thought"), "is the model's own");
        c.reading.said.push(Said::Thought);
    } else if let Some(text) = part.get("text") {
        let text = text.as_str().unwrap_or_default();
        // Nothing but a signature may stand on an empty text.
        c.rule(!text.trim().is_empty() || signature.is_some(), &sub(at, "text"), "is no text, or blank");
        c.said(side, text);
    }
    if let Some(call) = part.get("functionCall") {
        c.rule(role == "model", &sub(at, "functionCall"), "is the model's own");
        c.only(&sub(at, "functionCall"), call, &["id", "name", "args"]);
        let name = c.word(&sub(at, "functionCall"), call, "name");
        function_name(c, &sub(at, "functionCall/name"), name);
        c.rule(call["args"].is_object(), &sub(at, "functionCall/args"), "is no object");
        c.call(call["id"].as_str().unwrap_or_default(), name, Args::Object(call["args"].clone()));
    }
    if let Some(inline) = part.get("inlineData") {
        let at = sub(at, "inlineData");
        c.only(&at, inline, &["mimeType", "data", "displayName"]);
        c.word(&at, inline, "mimeType");
        c.base64(&sub(&at, "data"), inline["data"].as_str().unwrap_or_default());
        c.other(side);
    }
    if let Some(file) = part.get("fileData") {
        let at = sub(at, "fileData");
        c.only(&at, file, &["mimeType", "fileUri"]);
        c.word(&at, file, "fileUri");
        c.other(side);
    }
}
