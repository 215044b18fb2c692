//! A provider's stream of a reply, as the provider would write it: each wire's frames with everything that providers hang
//! on them. Read by the codec, they give blocks as they are in real histories.

use super::words::Marks;
use code_pup::model::{Block, ToolCall};
use code_pup::wire::Wire;
use serde_json::{Value, json};
use std::fmt::Write;

/// The stream of these blocks.
pub fn stream(wire: Wire, blocks: &[Block], marks: &mut Marks) -> Vec<u8> {
    match wire {
        Wire::OpenaiChat => chat(blocks, marks),
        Wire::OpenaiResponses => responses(blocks, marks),
        Wire::Anthropic => anthropic(blocks, marks),
        Wire::Gemini => gemini(blocks, marks, |chunk| chunk),
        Wire::Antigravity => gemini(blocks, marks, |chunk| format!(r#"{{"response":{chunk},"traceId":"t"}}"#)),
        Wire::ClaudeCli | Wire::CodexCli => unreachable!("no server speaks it"),
    }
}

fn data(out: &mut String, value: &Value) {
    write!(out, "data: {value}\n\n").unwrap();
}

fn chat(blocks: &[Block], marks: &mut Marks) -> Vec<u8> {
    let mut out = ": PROCESSING\n\n".to_owned();
    let id = format!("chatcmpl-{}", marks.next('N'));
    let chunk = |out: &mut String, delta: Value| {
        data(
            out,
            &json!({"id": id, "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]}),
        );
    };
    chunk(&mut out, json!({"role": "assistant", "content": ""}));
    let mut calls = 0;
    for (n, block) in blocks.iter().enumerate() {
        match block {
            Block::Text { text } => chunk(&mut out, json!({"content": text})),
            Block::Thinking { text, signature: None, .. } => chunk(&mut out, json!({"reasoning_content": text})),
            Block::Thinking { signature: Some(data), redacted: true, .. } => chunk(
                &mut out,
                json!({"reasoning_details": [{"type": "reasoning.encrypted", "data": data, "id": marks.next('S'), "format": "own-v1", "index": n}]}),
            ),
            Block::Thinking { text, signature, .. } => chunk(
                &mut out,
                json!({"reasoning": text, "reasoning_details": [{"type": "reasoning.text", "text": text, "signature": signature, "id": null, "index": n}]}),
            ),
            Block::ToolCall(call) => {
                let extra = call.signature.as_ref().map(|s| json!({"google": {"thought_signature": s}}));
                let mut first =
                    json!({"index": calls, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}});
                if let Some(extra) = extra {
                    first["extra_content"] = extra;
                }
                chunk(&mut out, json!({"tool_calls": [first]}));
                for piece in halves(&call.args_raw) {
                    chunk(&mut out, json!({"tool_calls": [{"index": calls, "function": {"arguments": piece}}]}));
                }
                calls += 1;
            }
            _ => {}
        }
    }
    let finish = if calls > 0 { "tool_calls" } else { "stop" };
    data(&mut out, &json!({"id": id, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}));
    data(&mut out, &json!({"id": id, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}}));
    out.push_str("data: [DONE]\n\n");
    out.into_bytes()
}

fn anthropic(blocks: &[Block], marks: &mut Marks) -> Vec<u8> {
    let mut out = String::new();
    let event = |out: &mut String, value: Value| {
        writeln!(out, "event: {}", value["type"].as_str().unwrap()).unwrap();
        data(out, &value);
    };
    event(
        &mut out,
        json!({"type": "message_start", "message": {"id": format!("msg_{}", marks.next('N')), "type": "message", "role": "assistant", "model": "m",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 1}}}),
    );
    event(&mut out, json!({"type": "ping"}));
    let mut calls = false;
    let mut index = 0;
    for block in blocks {
        let (start, deltas) = match block {
            Block::Text { text } => {
                (json!({"type": "text", "text": ""}), halves(text).into_iter().map(|t| json!({"type": "text_delta", "text": t})).collect())
            }
            Block::Thinking { signature: Some(data), redacted: true, .. } => (json!({"type": "redacted_thinking", "data": data}), vec![]),
            Block::Thinking { text, signature, .. } => {
                let mut deltas = vec![json!({"type": "thinking_delta", "thinking": text})];
                deltas.extend(signature.iter().map(|s| json!({"type": "signature_delta", "signature": s})));
                (json!({"type": "thinking", "thinking": "", "signature": ""}), deltas)
            }
            Block::ToolCall(ToolCall { id, name, args_raw, .. }) => {
                calls = true;
                let deltas = halves(args_raw).into_iter().map(|t| json!({"type": "input_json_delta", "partial_json": t})).collect();
                (json!({"type": "tool_use", "id": id, "name": name, "input": {}}), deltas)
            }
            Block::Opaque { raw, .. } => (serde_json::from_str(raw).unwrap(), vec![]),
            _ => continue,
        };
        event(&mut out, json!({"type": "content_block_start", "index": index, "content_block": start}));
        for delta in deltas {
            event(&mut out, json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        event(&mut out, json!({"type": "content_block_stop", "index": index}));
        index += 1;
    }
    let stop = if calls { "tool_use" } else { "end_turn" };
    event(&mut out, json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": 9}}));
    event(&mut out, json!({"type": "message_stop"}));
    out.into_bytes()
}

/// Each block an item, added, grown and done, with ids of the provider's own.
fn responses(blocks: &[Block], marks: &mut Marks) -> Vec<u8> {
    let mut out = String::new();
    let mut number = 0;
    let mut event = |kind: &str, mut fields: Value| {
        fields["type"] = json!(kind);
        fields["sequence_number"] = json!(number);
        number += 1;
        write!(out, "event: {kind}\ndata: {fields}\n\n").unwrap();
    };
    let response = |id: &str, status: &str, output: &[Value]| {
        json!({"response": {"id": id, "object": "response", "status": status, "model": "m", "output": output, "error": null,
            "usage": if status == "completed" { json!({"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}) } else { Value::Null }}})
    };
    let id = format!("resp_{}", marks.next('N'));
    event("response.created", response(&id, "in_progress", &[]));
    let mut items = Vec::new();
    for block in blocks {
        let mut id = |prefix: &str| format!("{prefix}_{}", marks.next('N'));
        let n = items.len();
        let (begun, item, deltas) = match block {
            Block::Text { text } => {
                let id = id("msg");
                let item = |content: Value, status: &str| json!({"type": "message", "id": id, "role": "assistant", "status": status, "content": content});
                let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
                let deltas: Vec<Value> =
                    halves(text).into_iter().map(|t| json!({"item_id": id, "output_index": n, "content_index": 0, "delta": t})).collect();
                (item(json!([]), "in_progress"), item(json!([part]), "completed"), ("response.output_text", deltas))
            }
            Block::Thinking { signature: Some(proof), .. } => {
                let item: Value = serde_json::from_str(proof).unwrap();
                let texts = item["summary"].as_array().unwrap().iter();
                let deltas =
                    texts.map(|t| json!({"item_id": item["id"], "output_index": n, "summary_index": 0, "delta": t["text"]})).collect();
                let mut begun = item.clone();
                begun["summary"] = json!([]);
                begun["encrypted_content"] = json!("half");
                (begun, item, ("response.reasoning_summary_text", deltas))
            }
            Block::ToolCall(ToolCall { id: call_id, name, args_raw, .. }) => {
                let id = id("fc");
                let item = |args: &str, status: &str| json!({"type": "function_call", "id": id, "call_id": call_id, "name": name, "arguments": args, "status": status});
                let deltas = halves(args_raw).into_iter().map(|t| json!({"item_id": id, "output_index": n, "delta": t})).collect();
                (item("", "in_progress"), item(args_raw, "completed"), ("response.function_call_arguments", deltas))
            }
            Block::Opaque { raw, .. } => {
                let item: Value = serde_json::from_str(raw).unwrap();
                (item.clone(), item, ("", vec![]))
            }
            _ => continue,
        };
        event("response.output_item.added", json!({"output_index": n, "item": begun}));
        for delta in deltas.1 {
            event(&format!("{}.delta", deltas.0), delta);
        }
        event("response.output_item.done", json!({"output_index": n, "item": item}));
        items.push(item);
    }
    event("response.completed", response(&id, "completed", &items));
    out.into_bytes()
}

/// Google's chunks. A call comes whole, its arguments an object, often without an id.
fn gemini(blocks: &[Block], marks: &mut Marks, wrap: impl Fn(String) -> String) -> Vec<u8> {
    let mut out = String::new();
    let id = marks.next('N');
    let mut chunk = |parts: &[String], finish: &str, beside: &str| {
        let parts = parts.join(",");
        let content = format!(
            r#"{{"candidates":[{{"content":{{"role":"model","parts":[{parts}]}},"index":0{finish}}}],"responseId":"{id}"{beside}}}"#
        );
        write!(out, "data: {}\r\n\r\n", wrap(content)).unwrap();
    };
    let proof = |signature: &Option<String>| signature.as_ref().map(|s| format!(r#","thoughtSignature":"{s}""#)).unwrap_or_default();
    let mut calls = Vec::new();
    for block in blocks {
        match block {
            Block::Text { text } => halves(text).into_iter().for_each(|t| chunk(&[json!({"text": t}).to_string()], "", "")),
            Block::Thinking { redacted: true, .. } => {}
            Block::Thinking { text, signature, .. } => {
                chunk(&[format!(r#"{{"text":{},"thought":true{}}}"#, json!(text), proof(signature))], "", "");
            }
            Block::ToolCall(ToolCall { id, name, args_raw, signature }) => {
                // A line of the stream holds it whole.
                let args_raw = args_raw.replace(['\r', '\n'], " ");
                let id = if id.contains("toolu") { format!(r#""id":{},"#, json!(id)) } else { String::new() };
                calls.push(format!(r#"{{"functionCall":{{{id}"name":{},"args":{args_raw}}}{}}}"#, json!(name), proof(signature)));
            }
            Block::Opaque { raw, .. } => chunk(std::slice::from_ref(raw), "", ""),
            _ => {}
        }
    }
    if !calls.is_empty() {
        chunk(&calls, "", "");
    }
    let last = format!(r#"{{"text":"","thoughtSignature":"Cs{}AA"}}"#, marks.next('S'));
    let usage = r#","modelVersion":"m","usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":5,"totalTokenCount":8}"#;
    chunk(&[last], r#","finishReason":"STOP""#, usage);
    out.into_bytes()
}

/// A text in two pieces.
fn halves(text: &str) -> Vec<&str> {
    let at = text.char_indices().map(|(at, _)| at).nth(text.chars().count() / 2).unwrap_or(0);
    let (a, b) = text.split_at(at);
    vec![a, b]
}
