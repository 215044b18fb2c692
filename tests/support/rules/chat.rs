//! Chat Completions, as OpenAI takes it; compatible servers are laxer, except where [`Api::Mistral`] says otherwise.

use super::{Api, Args, Check, Said, Side, schema, sub};
use serde_json::Value;

const FIELDS: &[&str] = &[
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "n",
    "reasoning_effort",
    "metadata",
    "stream",
    "stream_options",
    // Compatible servers' own.
    "reasoning",
    "thinking",
    "random_seed",
    "prompt_cache_key",
    "chat_template_kwargs",
];

pub fn check(c: &mut Check, body: &Value, api: Api) {
    c.only("", body, FIELDS);
    c.word("", body, "model");
    tools(c, body, api);
    settings(c, body);
    messages(c, &body["messages"], api);
}

fn tools(c: &mut Check, body: &Value, api: Api) {
    if body.get("tools").is_some() {
        for (i, tool) in c.list("/tools", &body["tools"]).iter().enumerate() {
            let at = format!("/tools/{i}");
            c.only(&at, tool, &["type", "function"]);
            c.rule(tool["type"] == "function", &sub(&at, "type"), "is not `function`");
            let at = sub(&at, "function");
            let function = &tool["function"];
            c.only(&at, function, &["name", "description", "parameters", "strict"]);
            let name = c.word(&at, function, "name");
            c.plain_name(&sub(&at, "name"), name);
            c.tool(&at, name);
            schema::openai(c, &sub(&at, "parameters"), &function["parameters"]);
        }
    }
    if body.get("tool_choice").is_some() || body.get("parallel_tool_calls").is_some() {
        // "'tool_choice' is only allowed when 'tools' are specified."
        c.rule(body.get("tools").is_some(), "/tool_choice", "there are no tools to choose from");
    }
    match &body["tool_choice"] {
        Value::Null => {}
        Value::String(word) => {
            let known = ["auto", "none", "required"].contains(&word.as_str()) || word == "any" && api == Api::Mistral;
            c.rule(known, "/tool_choice", "is not a word for it");
        }
        choice => {
            c.rule(choice["type"] == "function", "/tool_choice/type", "is not `function`");
            let name = choice["function"]["name"].as_str().unwrap_or_default();
            c.known_tool("/tool_choice/function/name", name);
        }
    }
}

fn settings(c: &mut Check, body: &Value) {
    let bounds = [("temperature", (0.0, 2.0)), ("top_p", (0.0, 1.0)), ("n", (1.0, 128.0))];
    c.numbers("", body, &bounds.into());
    for key in ["max_tokens", "max_completion_tokens"] {
        c.rule(body.get(key).is_none_or(|n| n.as_u64().is_some_and(|n| n > 0)), &sub("", key), "is no positive number");
    }
    let both = body.get("max_tokens").is_some() && body.get("max_completion_tokens").is_some();
    c.rule(!both, "/max_tokens", "and max_completion_tokens exclude each other");
    if let Some(stop) = body.get("stop") {
        let stops = c.list("/stop", stop);
        c.rule(stops.len() <= 4, "/stop", "has more than four");
        c.rule(stops.iter().all(|s| s.as_str().is_some_and(|s| !s.is_empty())), "/stop", "has one that is no string, or empty");
    }
    let streams = body["stream"] == true;
    c.rule(body.get("stream").is_none_or(Value::is_boolean), "/stream", "is neither true nor false");
    c.rule(body.get("stream_options").is_none() || streams, "/stream_options", "is only for streams");
    match body["response_format"]["type"].as_str() {
        None | Some("text" | "json_object") => {
            c.rule(body.get("response_format").is_none_or(|f| f["type"].is_string()), "/response_format/type", "is missing");
        }
        Some("json_schema") => {
            let inner = &body["response_format"]["json_schema"];
            let at = "/response_format/json_schema";
            c.only(at, inner, &["name", "schema", "strict", "description"]);
            let name = c.word(at, inner, "name");
            c.plain_name(&sub(at, "name"), name);
            c.rule(inner["schema"].is_object(), &sub(at, "schema"), "is no object");
        }
        Some(_) => c.say("/response_format/type", "is not a word for it"),
    }
    if let Some(metadata) = body.get("metadata") {
        let fits = |m: &serde_json::Map<String, Value>| {
            m.len() <= 16 && m.iter().all(|(k, v)| k.len() <= 64 && v.as_str().is_some_and(|v| v.len() <= 512))
        };
        c.rule(metadata.as_object().is_some_and(fits), "/metadata", "is not at most 16 keys of 64 with strings of 512");
    }
}

fn messages(c: &mut Check, messages: &Value, api: Api) {
    let mut before = "";
    for (i, message) in c.list("/messages", messages).iter().enumerate() {
        let at = format!("/messages/{i}");
        let role = message["role"].as_str().unwrap_or_default();
        if role != "tool" {
            c.closed(&at);
        }
        if api == Api::Mistral {
            // "Unexpected role 'user' after role 'tool'" (mistralai/mistral-vibe#578, zed-industries/zed#37021).
            let fits = before != "tool" || matches!(role, "tool" | "assistant");
            c.rule(fits, &sub(&at, "role"), format!("`{role}` may not follow a tool's message"));
        }
        before = role;
        match role {
            "system" | "developer" => plain(c, &at, message, Side::System),
            "user" => plain(c, &at, message, Side::User),
            "assistant" => assistant(c, &at, message, api, i + 1 == messages.as_array().map_or(0, Vec::len)),
            "tool" => {
                c.only(&at, message, &["role", "tool_call_id", "content", "name"]);
                let id = c.word(&at, message, "tool_call_id");
                // It may be empty: a command can print nothing.
                c.rule(message["content"].is_string(), &sub(&at, "content"), "is no string");
                c.result(&at, id, message["content"].as_str().unwrap_or_default(), false);
            }
            _ => c.say(&sub(&at, "role"), "is not a role"),
        }
    }
}

fn plain(c: &mut Check, at: &str, message: &Value, side: Side) {
    c.only(at, message, &["role", "content", "name"]);
    content(c, &sub(at, "content"), &message["content"], side);
}

fn content(c: &mut Check, at: &str, content: &Value, side: Side) {
    match content {
        Value::String(text) => {
            c.rule(!text.trim().is_empty(), at, "is blank");
            c.said(side, text);
        }
        Value::Array(parts) => {
            c.rule(!parts.is_empty(), at, "has no parts");
            for (i, part) in parts.iter().enumerate() {
                content_part(c, &sub(at, i), part, side);
            }
        }
        _ => c.say(at, "is neither text nor parts"),
    }
}

fn content_part(c: &mut Check, at: &str, part: &Value, side: Side) {
    match part["type"].as_str() {
        Some("text") => {
            c.only(at, part, &["type", "text", "cache_control"]);
            let text = c.text(at, part, "text");
            c.said(side, text);
        }
        // Mistral's own, and only to those who asked for it.
        Some("thinking") if side == Side::Assistant => {
            c.only(at, part, &["type", "thinking"]);
            for (i, inner) in c.list(&sub(at, "thinking"), &part["thinking"]).iter().enumerate() {
                c.text(&format!("{at}/thinking/{i}"), inner, "text");
            }
            c.reading.said.push(Said::Thought);
        }
        Some("image_url") if side == Side::User => {
            c.only(at, part, &["type", "image_url"]);
            c.only(&sub(at, "image_url"), &part["image_url"], &["url", "detail"]);
            let url = part["image_url"]["url"].as_str().unwrap_or_default();
            c.image_url(&sub(at, "image_url/url"), url);
            c.other(side);
        }
        Some("file") if side == Side::User => {
            let data = part["file"]["file_data"].as_str().unwrap_or_default();
            c.rule(data.starts_with("data:application/pdf;base64,"), &sub(at, "file/file_data"), "is no PDF");
            c.other(side);
        }
        _ => c.say(&sub(at, "type"), "is not a part of this role"),
    }
}

fn assistant(c: &mut Check, at: &str, message: &Value, api: Api, last: bool) {
    let mut keys = vec!["role", "tool_calls", "reasoning", "reasoning_content", "reasoning_details", "extra_content"];
    let calls = message.get("tool_calls");
    if api == Api::Mistral && message.get("prefix").is_some() {
        // Only what the model is to go on with, at the end.
        c.rule(message["prefix"] == true && last, &sub(at, "prefix"), "is not for this message");
        keys.push("prefix");
    }
    let reasoning = keys[2..6].iter().any(|key| message.get(*key).is_some());
    match message.get("content") {
        // `content` is required unless there are calls (OpenAI's reference); servers of reasoning take it beside those.
        None | Some(Value::Null) => c.rule(calls.is_some() || reasoning, &sub(at, "content"), "is missing, and there are no calls"),
        Some(_) => keys.push("content"),
    }
    if !message["content"].is_null() {
        content(c, &sub(at, "content"), &message["content"], Side::Assistant);
    }
    if message.get("content").is_some_and(Value::is_null) {
        let mut rest = message.clone();
        rest.as_object_mut().expect("a message").remove("content");
        c.only(at, &rest, &keys);
    } else {
        c.only(at, message, &keys);
    }
    for key in ["reasoning", "reasoning_content"] {
        c.rule(message.get(key).is_none_or(|t| t.as_str().is_some_and(|t| !t.is_empty())), &sub(at, key), "is no text, or empty");
    }
    if reasoning {
        c.reading.said.push(Said::Thought);
    }
    let Some(calls) = calls else { return };
    let mut here = Vec::new();
    for (i, call) in c.list(&sub(at, "tool_calls"), calls).iter().enumerate() {
        let at = format!("{at}/tool_calls/{i}");
        c.only(&at, call, &["id", "type", "function", "extra_content"]);
        c.rule(call["type"] == "function", &sub(&at, "type"), "is not `function`");
        let id = c.word(&at, call, "id");
        match api {
            // "Tool call id was ... but must be a-z, A-Z, 0-9, with a length of 9." (anomalyco/opencode#1680)
            Api::Mistral => {
                c.rule(id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric()), &sub(&at, "id"), "is not nine of [A-Za-z0-9]");
            }
            // "string too long. Expected a string with maximum length 40" (microsoft/autogen#6377)
            _ => c.rule(id.chars().count() <= 40, &sub(&at, "id"), "has more than 40 characters"),
        }
        c.rule(!here.contains(&id), &sub(&at, "id"), "stands twice in one message");
        here.push(id);
        let function = &call["function"];
        c.only(&sub(&at, "function"), function, &["name", "arguments"]);
        let name = c.word(&sub(&at, "function"), function, "name");
        c.plain_name(&sub(&at, "function/name"), name);
        let args = function["arguments"].as_str().unwrap_or_default();
        // No arguments are `{}`: several servers parse this and refuse `""` and `null` (BerriAI/litellm#5063).
        c.rule(!args.trim().is_empty() && args.trim() != "null", &sub(&at, "function/arguments"), "is no text, or nothing");
        c.call(id, name, Args::Text(args.to_owned()));
    }
}
