//! Responses, as OpenAI takes them, and what the backend of a ChatGPT login adds to that ([`Api::Codex`]).

use super::{Api, Args, Check, Said, Side, schema, sub};
use serde_json::Value;

const FIELDS: &[&str] = &[
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "store",
    "stream",
    "stream_options",
    "include",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "max_output_tokens",
    "max_tool_calls",
    "service_tier",
    "temperature",
    "top_p",
    "metadata",
    "truncation",
    "user",
    "safety_identifier",
];

pub fn check(c: &mut Check, body: &Value, api: Api) {
    c.only("", body, FIELDS);
    let model = c.word("", body, "model");
    tools(c, body);
    settings(c, body, model, api);
    if let Some(text) = body.get("instructions") {
        // The backend of a login wants the field even where there is nothing to say.
        let fits = text.as_str().is_some_and(|t| !t.trim().is_empty() || t.is_empty() && api == Api::Codex);
        c.rule(fits, "/instructions", "is no text, or blank");
        c.said(Side::System, text.as_str().unwrap_or_default());
    }
    let stored = body["store"] != false;
    match &body["input"] {
        Value::String(text) => c.said(Side::User, text),
        items => self::items(c, items, stored, api),
    }
}

fn tools(c: &mut Check, body: &Value) {
    if let Some(tools) = body.get("tools") {
        for (i, tool) in c.list("/tools", tools).iter().enumerate() {
            let at = format!("/tools/{i}");
            if tool["type"] != "function" {
                c.word(&at, tool, "type");
                continue;
            }
            // Flat, other than in Chat Completions.
            c.only(&at, tool, &["type", "name", "description", "parameters", "strict"]);
            let name = c.word(&at, tool, "name");
            c.plain_name(&sub(&at, "name"), name);
            c.tool(&at, name);
            schema::openai(c, &sub(&at, "parameters"), &tool["parameters"]);
        }
    }
    match body.get("tool_choice") {
        None => {}
        Some(Value::String(word)) => {
            c.rule(["auto", "none", "required"].contains(&word.as_str()), "/tool_choice", "is not a word for it");
        }
        Some(choice) if choice["type"] == "function" => {
            c.known_tool("/tool_choice/name", choice["name"].as_str().unwrap_or_default());
        }
        Some(choice) => c.rule(choice["type"].is_string(), "/tool_choice/type", "is missing"),
    }
}

fn settings(c: &mut Check, body: &Value, model: &str, api: Api) {
    c.numbers("", body, &[("temperature", (0.0, 2.0)), ("top_p", (0.0, 1.0))].into());
    if let Some(most) = body.get("max_output_tokens") {
        // "Expected a value >= 16" (anomalyco/opencode#40885)
        c.rule(most.as_u64().is_some_and(|n| n >= 16), "/max_output_tokens", "is below 16");
    }
    // Later ones take them while they do not reason, which is their default.
    let reasons = model == "gpt-5" || ["gpt-5-", "o1", "o3", "o4"].iter().any(|family| model.starts_with(family));
    for key in ["temperature", "top_p"] {
        // "Unsupported parameter: 'temperature' is not supported with this model."
        c.rule(!reasons || body.get(key).is_none(), &sub("", key), "is refused by a model that reasons");
    }
    if let Some(reasoning) = body.get("reasoning") {
        c.only("/reasoning", reasoning, &["effort", "summary", "generate_summary"]);
    }
    if let Some(format) = body["text"].get("format") {
        let at = "/text/format";
        match format["type"].as_str() {
            Some("text" | "json_object") => {}
            // Flat, other than in Chat Completions.
            Some("json_schema") => {
                let name = c.word(at, format, "name");
                c.plain_name(&sub(at, "name"), name);
                c.rule(format["schema"].is_object(), &sub(at, "schema"), "is no object");
            }
            _ => c.say(&sub(at, "type"), "is not a word for it"),
        }
    }
    let encrypted = body["include"].as_array().is_some_and(|i| i.iter().any(|i| i == "reasoning.encrypted_content"));
    if api == Api::Codex {
        // 400 "Store must be set to false", "Stream must be set to true", "Unsupported parameter: max_output_tokens"
        // (RayBytes/ChatMock#103)
        c.rule(body["store"] == false, "/store", "is not false");
        c.rule(body["stream"] == true, "/stream", "is not true");
        c.rule(body.get("max_output_tokens").is_none(), "/max_output_tokens", "is refused here");
        c.rule(body.get("previous_response_id").is_none(), "/previous_response_id", "is refused here");
        c.rule(body["instructions"].is_string(), "/instructions", "is required here");
        c.rule(encrypted, "/include", "does not ask for encrypted reasoning, which nothing else keeps");
    }
}

/// The conversation.
fn items(c: &mut Check, items: &Value, stored: bool, api: Api) {
    // A reasoning item that waits for the item that it belongs to.
    let mut waiting: Option<String> = None;
    for (i, item) in c.list("/input", items).iter().enumerate() {
        let at = format!("/input/{i}");
        let kind = item["type"].as_str().unwrap_or("message");
        let of_assistant = kind == "function_call" || kind == "message" && item["role"] == "assistant" || kind.ends_with("_call");
        if let Some(before) = waiting.take()
            && !of_assistant
        {
            if kind == "reasoning" {
                // Several in a row belong to the same item.
                waiting = Some(before);
            } else {
                // "Item 'rs_...' of type 'reasoning' was provided without its required following item." (vercel/ai#7099)
                c.say(&before, "reasoning without the item that followed it");
            }
        }
        match kind {
            "message" => message(c, &at, item, stored),
            "function_call" => {
                c.only(&at, item, &["type", "id", "call_id", "name", "arguments", "status"]);
                item_id(c, &at, item, "fc_");
                let id = c.word(&at, item, "call_id");
                // "string too long. Expected a string with maximum length 64" (vercel/ai#5171)
                c.rule(id.chars().count() <= 64, &sub(&at, "call_id"), "has more than 64 characters");
                let fresh = c.ids.insert(id.to_owned());
                c.rule(fresh, &sub(&at, "call_id"), "a call before this one has the same id");
                let name = c.word(&at, item, "name");
                c.plain_name(&sub(&at, "name"), name);
                let args = item["arguments"].as_str().unwrap_or_default();
                c.rule(!args.trim().is_empty() && args.trim() != "null", &sub(&at, "arguments"), "is no text, or nothing");
                c.call(id, name, Args::Text(args.to_owned()));
            }
            "function_call_output" => output(c, &at, item),
            "reasoning" => {
                // Later models leave nulls in what they send; it goes back unchanged.
                let id = item["id"].as_str();
                c.rule(id.is_none_or(|id| id.starts_with("rs_")), &sub(&at, "id"), "does not begin with `rs_`");
                // "missing required field `summary`" (newo-ether/Agora#141)
                c.rule(item["summary"].is_array(), &sub(&at, "summary"), "is no list");
                let sealed = item["encrypted_content"].as_str().is_some_and(|e| !e.is_empty());
                // Nothing is stored, so an item that does not hold its content cannot be found: 404.
                c.rule(stored || sealed, &sub(&at, "encrypted_content"), "is missing, and nothing is stored");
                c.reading.said.push(Said::Thought);
                waiting = Some(at.clone());
            }
            "item_reference" => c.rule(stored, &at, "a reference, and nothing is stored"),
            // Items of the provider's own tools go back as they came.
            kind if kind.ends_with("_call") || kind.ends_with("_call_output") || kind == "compaction" => c.other(Side::Assistant),
            _ => c.say(&sub(&at, "type"), "is not an item"),
        }
        if api == Api::Codex && item["role"] == "system" {
            c.say(&sub(&at, "role"), "system messages are not allowed here");
        }
    }
    if let Some(before) = waiting {
        c.say(&before, "reasoning without the item that followed it");
    }
}

fn item_id(c: &mut Check, at: &str, item: &Value, begins: &str) {
    let Some(id) = item.get("id") else { return };
    let id = id.as_str().unwrap_or_default();
    // "Invalid 'input[2].id': ... Expected an ID that begins with 'fc'." (pydantic/pydantic-ai#2621)
    c.rule(id.starts_with(begins) && id.len() <= 64, &sub(at, "id"), format!("does not begin with `{begins}`, or is longer than 64"));
}

fn message(c: &mut Check, at: &str, item: &Value, stored: bool) {
    let role = item["role"].as_str().unwrap_or_default();
    if role != "assistant" {
        // "No tool output found for function call": the answers stand before whatever the user says next.
        c.closed(at);
    }
    let (side, text, others) = match role {
        "user" => (Side::User, "input_text", &["input_image", "input_file"][..]),
        "system" | "developer" => (Side::System, "input_text", &[][..]),
        "assistant" => (Side::Assistant, "output_text", &["refusal"][..]),
        _ => return c.say(&sub(at, "role"), "is not a role"),
    };
    c.only(at, item, &["type", "id", "role", "content", "status", "phase"]);
    if role == "assistant" {
        item_id(c, at, item, "msg_");
    } else {
        c.rule(item.get("id").is_none() || stored, &sub(at, "id"), "an id, and nothing is stored");
    }
    if let Value::String(text) = &item["content"] {
        c.rule(!text.trim().is_empty(), &sub(at, "content"), "is blank");
        return c.said(side, text);
    }
    for (i, part) in c.list(&sub(at, "content"), &item["content"]).iter().enumerate() {
        let at = format!("{at}/content/{i}");
        match part["type"].as_str() {
            // "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'." (openai/codex#4870)
            Some(kind) if kind == text => {
                let text = c.text(&at, part, "text");
                c.said(side, text);
            }
            Some("refusal") if role == "assistant" => {
                let text = c.text(&at, part, "refusal");
                c.said(side, text);
            }
            Some(kind) if others.contains(&kind) => media(c, &at, part),
            _ => c.say(&sub(&at, "type"), "is not a part of this role"),
        }
    }
}

fn media(c: &mut Check, at: &str, part: &Value) {
    if part["type"] == "input_image" {
        c.only(at, part, &["type", "image_url", "detail", "file_id"]);
        c.image_url(&sub(at, "image_url"), part["image_url"].as_str().unwrap_or_default());
    } else {
        c.only(at, part, &["type", "filename", "file_data", "file_url", "file_id"]);
        if let Some(data) = part.get("file_data") {
            let (kind, data) =
                data.as_str().and_then(|d| d.strip_prefix("data:")).and_then(|d| d.split_once(";base64,")).unwrap_or_default();
            c.rule(!kind.is_empty(), &sub(at, "file_data"), "is no data URL");
            c.base64(&sub(at, "file_data"), data);
            // "Missing required parameter: 'input[0].content[0].filename'"
            c.word(at, part, "filename");
        }
    }
    c.other(Side::User);
}

fn output(c: &mut Check, at: &str, item: &Value) {
    c.only(at, item, &["type", "id", "call_id", "output", "status"]);
    let id = c.word(at, item, "call_id");
    let mut images = 0;
    let text = match &item["output"] {
        Value::String(text) => text.clone(),
        parts => {
            let mut text = String::new();
            for (i, part) in c.list(&sub(at, "output"), parts).iter().enumerate() {
                let at = format!("{at}/output/{i}");
                match part["type"].as_str() {
                    Some("input_text") => text.push_str(c.text(&at, part, "text")),
                    Some("input_image") => {
                        c.image_url(&sub(&at, "image_url"), part["image_url"].as_str().unwrap_or_default());
                        images += 1;
                    }
                    _ => c.say(&sub(&at, "type"), "is not a part of an output"),
                }
            }
            text
        }
    };
    c.result(at, id, &text, false);
    (0..images).for_each(|_| c.other(Side::User));
}
