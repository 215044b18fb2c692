//! Messages, as Anthropic takes them.

use super::{Args, Check, Said, Side, plain, schema, sub};
use serde_json::Value;

const FIELDS: &[&str] = &[
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "thinking",
    "output_config",
    "metadata",
    "service_tier",
];

pub fn check(c: &mut Check, body: &Value) {
    c.only("", body, FIELDS);
    let model = c.word("", body, "model");
    tools(c, body);
    let thinks = settings(c, body);
    system(c, body);
    messages(c, body, thinks, model);
    marks(c, body);
}

fn tools(c: &mut Check, body: &Value) {
    if let Some(tools) = body.get("tools") {
        for (i, tool) in c.list("/tools", tools).iter().enumerate() {
            let at = format!("/tools/{i}");
            let name = c.word(&at, tool, "name");
            c.rule(plain(name, 64), &sub(&at, "name"), "is not 1 to 64 of [A-Za-z0-9_-]");
            // "tools: Tool names must be unique."
            c.tool(&at, name);
            if tool.get("type").is_none_or(|t| t == "custom") {
                c.only(&at, tool, &["type", "name", "description", "input_schema", "cache_control", "strict"]);
                schema::anthropic(c, &sub(&at, "input_schema"), &tool["input_schema"]);
            }
        }
    }
    if let Some(choice) = body.get("tool_choice") {
        c.rule(body.get("tools").is_some(), "/tool_choice", "there are no tools to choose from");
        c.only("/tool_choice", choice, &["type", "name", "disable_parallel_tool_use"]);
        match choice["type"].as_str() {
            Some("auto" | "any" | "none") => {}
            Some("tool") => c.known_tool("/tool_choice/name", choice["name"].as_str().unwrap_or_default()),
            _ => c.say("/tool_choice/type", "is not a word for it"),
        }
    }
}

/// Whether the request thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thinks {
    No,
    Budget,
    Adaptive,
}

fn settings(c: &mut Check, body: &Value) -> Thinks {
    let most = body["max_tokens"].as_u64().unwrap_or(0);
    c.rule(most > 0, "/max_tokens", "is no positive number");
    c.rule(body.get("stream").is_none_or(Value::is_boolean), "/stream", "is neither true nor false");
    c.numbers("", body, &[("temperature", (0.0, 1.0)), ("top_p", (0.0, 1.0))].into());
    if let Some(stops) = body.get("stop_sequences") {
        // "stop_sequences: each stop sequence must contain non-whitespace"
        let fits = c.list("/stop_sequences", stops).iter().all(|s| s.as_str().is_some_and(|s| !s.trim().is_empty()));
        c.rule(fits, "/stop_sequences", "has one that is no text, or blank");
    }
    if let Some(metadata) = body.get("metadata") {
        c.only("/metadata", metadata, &["user_id"]);
    }
    if let Some(config) = body.get("output_config") {
        c.only("/output_config", config, &["effort", "format"]);
        let effort = config["effort"].as_str();
        let known = effort.is_none_or(|e| ["low", "medium", "high", "xhigh", "max"].contains(&e));
        c.rule(known, "/output_config/effort", "is not a word for it");
        if let Some(format) = config.get("format") {
            c.rule(format["type"] == "json_schema" && format["schema"].is_object(), "/output_config/format", "is no JSON schema");
        }
    }
    let thinking = &body["thinking"];
    let thinks = match thinking["type"].as_str() {
        None | Some("disabled") => Thinks::No,
        Some("adaptive") => Thinks::Adaptive,
        Some("enabled") => {
            let budget = thinking["budget_tokens"].as_u64().unwrap_or(0);
            c.rule(budget >= 1024, "/thinking/budget_tokens", "is below 1,024");
            c.rule(budget < most, "/thinking/budget_tokens", "is not below max_tokens");
            Thinks::Budget
        }
        Some(_) => {
            c.say("/thinking/type", "is not a word for it");
            Thinks::No
        }
    };
    if thinks != Thinks::No {
        // "`temperature` may only be set to 1 when thinking is enabled."
        c.rule(body.get("temperature").is_none_or(|t| t.as_f64() == Some(1.0)), "/temperature", "may not stand beside thinking");
        c.rule(body["top_p"].as_f64().is_none_or(|p| p >= 0.95), "/top_p", "may not be below 0.95 beside thinking");
        // "Thinking may not be enabled when tool_choice forces tool use."
        let forced = ["any", "tool"].iter().any(|word| body["tool_choice"]["type"] == *word);
        c.rule(!forced, "/tool_choice/type", "forces a tool, which excludes thinking");
    }
    thinks
}

fn system(c: &mut Check, body: &Value) {
    match body.get("system") {
        None => {}
        Some(Value::String(text)) => {
            c.rule(!text.trim().is_empty(), "/system", "is blank");
            c.said(Side::System, text);
        }
        Some(blocks) => {
            for (i, block) in c.list("/system", blocks).iter().enumerate() {
                let at = format!("/system/{i}");
                c.only(&at, block, &["type", "text", "cache_control"]);
                let text = c.text(&at, block, "text");
                c.said(Side::System, text);
            }
        }
    }
}

fn messages(c: &mut Check, body: &Value, thinks: Thinks, model: &str) {
    let messages = c.list("/messages", &body["messages"]);
    let mut before = "assistant";
    for (i, message) in messages.iter().enumerate() {
        let at = format!("/messages/{i}");
        c.only(&at, message, &["role", "content"]);
        let role = message["role"].as_str().unwrap_or_default();
        // The first is the user's; neighbours of one role are merged by the server, or refused by stricter ones.
        c.rule(role != before, &sub(&at, "role"), "does not alternate, or the first is not the user's");
        before = role;
        let content = sub(&at, "content");
        match (&message["content"], role) {
            (Value::String(text), "user" | "assistant") => {
                let side = if role == "user" { Side::User } else { Side::Assistant };
                c.rule(!text.trim().is_empty(), &content, "is blank");
                c.closed(&content);
                c.said(side, text);
            }
            (blocks, "user") => user(c, &content, blocks),
            (blocks, "assistant") => assistant(c, &content, blocks),
            _ => c.say(&sub(&at, "role"), "is not a role"),
        }
    }
    let Some((at, last)) = messages.iter().enumerate().rfind(|(_, m)| m["role"] == "assistant") else { return };
    let at = format!("/messages/{at}/content/0");
    let kind = last["content"][0]["type"].as_str().unwrap_or_default();
    let thought = matches!(kind, "thinking" | "redacted_thinking");
    let calls = last["content"].as_array().is_some_and(|blocks| blocks.iter().any(|b| b["type"] == "tool_use"));
    match thinks {
        // "When `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the
        // lastmost set of `tool_use` and `tool_result` blocks)." (anomalyco/opencode#3077)
        Thinks::Budget => c.rule(!calls || thought, &at, "the last turn's calls have no thinking before them"),
        // "When thinking is disabled, an `assistant` message in the final position cannot contain `thinking`."
        // (tailcallhq/forgecode#1853). Models that think by themselves do not mind.
        Thinks::No if !["4-6", "4-7", "sonnet-5", "opus-5"].iter().any(|v| model.contains(v)) => {
            c.rule(!thought, &at, "thinking goes back although the request does not think");
        }
        Thinks::No | Thinks::Adaptive => {}
    }
}

fn user(c: &mut Check, at: &str, blocks: &Value) {
    let mut results = true;
    for (i, block) in c.list(at, blocks).iter().enumerate() {
        let at = format!("{at}/{i}");
        if block["type"] == "tool_result" {
            // "tool_result blocks must come first"
            c.rule(results, &at, "a result behind other content");
            result(c, &at, block);
            continue;
        }
        if std::mem::replace(&mut results, false) {
            // "`tool_use` ids were found without `tool_result` blocks immediately after" (anthropics/claude-code#1237)
            c.closed(&at);
        }
        match block["type"].as_str() {
            Some("text") => text(c, &at, block, Side::User),
            Some("image") => image(c, &at, block, Side::User),
            Some("document") => document(c, &at, block),
            Some("search_result") => c.other(Side::User),
            _ => c.say(&sub(&at, "type"), "is not a block of the user's"),
        }
    }
    c.closed(at);
}

fn text(c: &mut Check, at: &str, block: &Value, side: Side) {
    c.only(at, block, &["type", "text", "cache_control", "citations"]);
    // "text content blocks must contain non-whitespace text" (anthropics/claude-code#59812)
    let text = c.text(at, block, "text");
    c.said(side, text);
}

fn image(c: &mut Check, at: &str, block: &Value, side: Side) {
    c.only(at, block, &["type", "source", "cache_control"]);
    source(c, &sub(at, "source"), &block["source"], &["image/jpeg", "image/png", "image/gif", "image/webp"]);
    c.other(side);
}

fn document(c: &mut Check, at: &str, block: &Value) {
    c.only(at, block, &["type", "source", "title", "context", "citations", "cache_control"]);
    source(c, &sub(at, "source"), &block["source"], &["application/pdf"]);
    c.rule(block.get("title").is_none_or(|t| t.as_str().is_some_and(|t| !t.is_empty())), &sub(at, "title"), "is no text, or empty");
    c.other(Side::User);
}

fn source(c: &mut Check, at: &str, source: &Value, kinds: &[&str]) {
    match source["type"].as_str() {
        Some("base64") => {
            c.only(at, source, &["type", "media_type", "data"]);
            let kind = source["media_type"].as_str().unwrap_or_default();
            c.rule(kinds.contains(&kind), &sub(at, "media_type"), format!("`{kind}` is not taken here"));
            c.base64(&sub(at, "data"), source["data"].as_str().unwrap_or_default());
        }
        Some("url") => {
            c.only(at, source, &["type", "url"]);
            c.web_address(&sub(at, "url"), source["url"].as_str().unwrap_or_default());
        }
        Some("text") => c.only(at, source, &["type", "media_type", "data"]),
        Some("file") => c.only(at, source, &["type", "file_id"]),
        _ => c.say(&sub(at, "type"), "is not a source"),
    }
}

fn result(c: &mut Check, at: &str, block: &Value) {
    c.only(at, block, &["type", "tool_use_id", "content", "is_error", "cache_control"]);
    let id = c.word(at, block, "tool_use_id");
    let error = block["is_error"] == true;
    c.rule(block.get("is_error").is_none_or(Value::is_boolean), &sub(at, "is_error"), "is neither true nor false");
    let mut words = String::new();
    let mut media = 0;
    let content = sub(at, "content");
    match block.get("content") {
        None => {}
        Some(Value::String(text)) => {
            c.rule(!text.trim().is_empty(), &content, "is blank");
            words.push_str(text);
        }
        Some(parts) => {
            for (i, part) in c.list(&content, parts).iter().enumerate() {
                let at = format!("{content}/{i}");
                match part["type"].as_str() {
                    Some("text") => {
                        c.only(&at, part, &["type", "text", "cache_control"]);
                        words.push_str(c.text(&at, part, "text"));
                    }
                    Some("image") => {
                        c.only(&at, part, &["type", "source", "cache_control"]);
                        let kinds = &["image/jpeg", "image/png", "image/gif", "image/webp"];
                        source(c, &sub(&at, "source"), &part["source"], kinds);
                        media += 1;
                    }
                    _ => c.say(&sub(&at, "type"), "is not a part of a result"),
                }
            }
        }
    }
    // "content cannot be empty if `is_error` is true"
    c.rule(!error || !words.is_empty() || media > 0, &content, "an error without words");
    c.result(at, id, &words, error);
    (0..media).for_each(|_| c.other(Side::User));
}

fn assistant(c: &mut Check, at: &str, blocks: &Value) {
    let blocks = c.list(at, blocks);
    for (i, block) in blocks.iter().enumerate() {
        let at = format!("{at}/{i}");
        match block["type"].as_str() {
            Some("text") => text(c, &at, block, Side::Assistant),
            Some("thinking") => {
                c.only(&at, block, &["type", "thinking", "signature"]);
                c.rule(block["thinking"].is_string(), &sub(&at, "thinking"), "is no text");
                c.word(&at, block, "signature");
                c.reading.said.push(Said::Thought);
            }
            Some("redacted_thinking") => {
                c.only(&at, block, &["type", "data"]);
                c.word(&at, block, "data");
                c.reading.said.push(Said::Thought);
            }
            Some("tool_use") => call(c, &at, block),
            // What a server's own tools left goes back as it came.
            Some(kind) if kind.starts_with("server_tool") || kind.ends_with("_result") || kind == "compaction" => c.other(Side::Assistant),
            _ => c.say(&sub(&at, "type"), "is not a block of the assistant's"),
        }
    }
    let last = blocks.last().and_then(|b| b["type"].as_str()).unwrap_or_default();
    // "The final block in an assistant message cannot be `thinking`."
    c.rule(!matches!(last, "thinking" | "redacted_thinking"), at, "ends in thinking");
}

fn call(c: &mut Check, at: &str, block: &Value) {
    c.only(at, block, &["type", "id", "name", "input", "cache_control", "caller"]);
    let id = c.word(at, block, "id");
    // "String should match pattern '^[a-zA-Z0-9_-]+$'" (anomalyco/opencode#1279)
    c.rule(plain(id, 64), &sub(at, "id"), format!("`{id}` is not 1 to 64 of [A-Za-z0-9_-]"));
    // "`tool_use` ids must be unique" in the whole request (NVIDIA-NeMo/Switchyard#502, anthropics/claude-code#28515)
    let fresh = c.ids.insert(id.to_owned());
    c.rule(fresh, &sub(at, "id"), "a call before this one has the same id");
    let name = c.word(at, block, "name");
    c.plain_name(&sub(at, "name"), name);
    // "Input should be a valid dictionary"
    c.rule(block["input"].is_object(), &sub(at, "input"), "is no object");
    c.call(id, name, Args::Object(block["input"].clone()));
}

/// At most four marks for the cache, longer ones first, none on thinking or on nothing.
fn marks(c: &mut Check, body: &Value) {
    let mut marks = Vec::new();
    for key in ["tools", "system", "messages"] {
        find(&sub("", key), &body[key], &mut marks);
    }
    c.rule(marks.len() <= 4, "", "has more than four cache marks");
    let mut short = false;
    for (at, mark, kind) in marks {
        c.rule(mark["type"] == "ephemeral", &at, "is no ephemeral mark");
        c.rule(!matches!(kind.as_str(), "thinking" | "redacted_thinking"), &at, "stands on thinking");
        match mark["ttl"].as_str() {
            Some("1h") => c.rule(!short, &at, "an hour's mark behind a shorter one"),
            Some("5m") | None => short = true,
            Some(_) => c.say(&at, "has an unknown ttl"),
        }
    }
}

fn find(at: &str, value: &Value, marks: &mut Vec<(String, Value, String)>) {
    match value {
        Value::Array(list) => list.iter().enumerate().for_each(|(i, v)| find(&sub(at, i), v, marks)),
        Value::Object(map) => {
            if let Some(mark) = map.get("cache_control") {
                marks.push((at.to_owned(), mark.clone(), value["type"].as_str().unwrap_or_default().to_owned()));
            }
            for (key, inner) in map.iter().filter(|(key, _)| !matches!(key.as_str(), "input" | "input_schema" | "cache_control")) {
                find(&sub(at, key), inner, marks);
            }
        }
        _ => {}
    }
}
