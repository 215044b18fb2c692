//! Refusals of history items in the words of each vendor.

use super::*;
use crate::model::{Class, Scope};
use crate::wire::{Wire, classify};

/// status, code, param, message; item, path, ids.
type Row = (u16, Option<&'static str>, Option<&'static str>, &'static str, Option<Item>, Option<&'static str>, &'static [&'static str]);

#[test]
fn a_bad_request_names_the_item_it_is_about() {
    let rows: &[Row] = &[
        // Anthropic
        (
            400,
            None,
            None,
            "messages.3.content.0: Invalid `signature` in `thinking` block",
            Some(INVALID),
            Some("messages.3.content.0"),
            &[],
        ),
        (
            400,
            None,
            None,
            "messages.1.content.0.thinking.signature: Field required",
            Some(MISSING),
            Some("messages.1.content.0.thinking.signature"),
            &[],
        ),
        (
            400,
            None,
            None,
            "messages.5.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
            Some(MISSING),
            Some("messages.5.content.0.type"),
            &[],
        ),
        (
            400,
            None,
            None,
            "messages.7.content.1: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
            Some(INVALID),
            Some("messages.7.content.1"),
            &[],
        ),
        (
            400,
            None,
            None,
            "messages.2: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_01A, toolu_02B. Each `tool_use` block must have one.",
            Some(Item::ToolPair),
            Some("messages.2"),
            &["toolu_01A", "toolu_02B"],
        ),
        (
            400,
            None,
            None,
            "messages.0.content.1: unexpected `tool_use_id` found in `tool_result` blocks: toolu_9. Each must have its call.",
            Some(Item::ToolPair),
            Some("messages.0.content.1"),
            &["toolu_9"],
        ),
        (
            400,
            None,
            None,
            "messages.3.content.1.image.source.base64: image exceeds 5 MB maximum: 6912992 bytes > 5242880 bytes",
            Some(TOO_LARGE),
            Some("messages.3.content.1.image.source.base64"),
            &[],
        ),
        (
            400,
            None,
            None,
            "messages.9.content.32.image.source.base64.data: At least one of the image dimensions exceed max allowed size for many-image requests: 2000 pixels",
            Some(DIMENSIONS),
            Some("messages.9.content.32.image.source.base64.data"),
            &[],
        ),
        (
            400,
            None,
            None,
            "messages.0.content.1.image.source.base64.media_type: Input should be 'image/png'",
            Some(UNREADABLE),
            Some("messages.0.content.1.image.source.base64.media_type"),
            &[],
        ),
        (400, None, None, "Could not process image", Some(UNREADABLE), None, &[]),
        (
            400,
            None,
            None,
            "messages.2.content.0.pdf.source.base64.data: The PDF specified was not valid.",
            Some(Item::Document),
            Some("messages.2.content.0.pdf.source.base64.data"),
            &[],
        ),
        (400, None, None, "messages.0: Input does not match the expected shape.", Some(Item::Message), Some("messages.0"), &[]),
        (400, None, None, "messages: roles must alternate between \"user\" and \"assistant\"", Some(Item::Order), None, &[]),
        (400, None, None, "messages: at least one message is required", None, None, &[]),
        (400, None, None, "tools.0.custom.input_schema: JSON schema is invalid", None, None, &[]),
        // OpenAI
        (400, Some("invalid_encrypted_content"), None, "The encrypted content gAAA... could not be verified.", Some(INVALID), None, &[]),
        (
            400,
            None,
            None,
            "The encrypted content for item rs_1 could not be verified. Reason: it could not be decrypted.",
            Some(INVALID),
            None,
            &[],
        ),
        (400, None, Some("input"), "No tool output found for function call call_Ab9.", Some(Item::ToolPair), None, &["call_Ab9"]),
        (
            400,
            None,
            Some("input"),
            "No tool call found for function call output with call_id call_7.",
            Some(Item::ToolPair),
            None,
            &["call_7"],
        ),
        (
            400,
            None,
            None,
            "Item 'fc_1' of type 'function_call' was provided without its required 'reasoning' item: 'rs_1'.",
            Some(MISSING),
            None,
            &[],
        ),
        (404, None, Some("input"), "Item with id 'rs_0b' not found. Items are not persisted.", Some(INVALID), None, &["rs_0b"]),
        (
            400,
            None,
            Some("messages.[3].role"),
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: call_1, call_2",
            Some(Item::ToolPair),
            Some("messages.[3].role"),
            &["call_1", "call_2"],
        ),
        (400, None, None, "Invalid image.", Some(UNREADABLE), None, &[]),
        (400, Some("invalid_image_url"), None, "Error while downloading https://x/y.jpg.", Some(UNREACHABLE), None, &[]),
        (400, Some("unsupported_file"), Some("input"), "Please try again with a pdf", Some(Item::Document), None, &[]),
        (
            400,
            Some("string_above_max_length"),
            Some("messages[1].tool_calls[0].id"),
            "Invalid 'messages[1].tool_calls[0].id': string too long.",
            Some(Item::ToolPair),
            Some("messages[1].tool_calls[0].id"),
            &[],
        ),
        (
            400,
            Some("invalid_value"),
            Some("input[3].id"),
            "Invalid 'input[3].id': 'x'. Expected an ID that begins with 'fc'.",
            Some(Item::Message),
            Some("input[3].id"),
            &[],
        ),
        (400, Some("unsupported_parameter"), Some("temperature"), "Unsupported parameter: 'temperature'", None, None, &[]),
        // Gemini
        (
            400,
            None,
            None,
            "Function call is missing a thought_signature in functionCall parts. Additional data, function call `f`, position 2.",
            Some(MISSING),
            None,
            &[],
        ),
        (400, None, None, "Corrupted thought signature.", Some(INVALID), None, &[]),
        (400, None, None, "Unable to process input image. Please retry", Some(UNREADABLE), None, &[]),
        (
            400,
            None,
            None,
            "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            Some(Item::ToolPair),
            None,
            &[],
        ),
        (
            400,
            None,
            None,
            "* GenerateContentRequest.contents[2].parts[0].data: required oneof field 'data' must have one initialized field",
            Some(Item::Message),
            Some("contents[2].parts[0].data"),
            &[],
        ),
        (400, None, None, "Please use a valid role: user, model.", None, None, &[]),
        // Mistral, Groq, DeepSeek, local servers
        (
            400,
            Some("invalid_request_message_order"),
            None,
            "Expected last role User or Tool for serving but got assistant",
            Some(Item::Order),
            None,
            &[],
        ),
        (400, None, None, "Unexpected role 'user' after role 'tool'", Some(Item::Order), None, &[]),
        (
            400,
            None,
            None,
            "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.",
            Some(Item::ToolPair),
            None,
            &["call_1"],
        ),
        (
            400,
            None,
            None,
            "'messages.2' : for 'role:tool' the following must be satisfied[('messages.2.tool_call_id' : property 'tool_call_id' is missing)]",
            Some(Item::ToolPair),
            Some("messages.2"),
            &[],
        ),
        (400, None, None, "The `reasoning_content` in the thinking mode must be passed back to the API.", Some(MISSING), None, &[]),
        (400, None, None, "Conversation roles must alternate user/assistant/user/assistant/...", Some(Item::Order), None, &[]),
        (
            400,
            None,
            None,
            "Failed to deserialize: messages[1]: unknown variant `image_url`, expected `text`",
            Some(UNSUPPORTED),
            Some("messages[1]"),
            &[],
        ),
    ];
    for (status, code, param, message, item, path, ids) in rows {
        let body = serde_json::json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}});
        let error = classify(Wire::OpenaiChat, *status, &[], body.to_string().as_bytes());
        assert_eq!((error.class, error.scope), (Class::BadRequest, Scope::Request), "{message}");
        let want = item.map(|item| Blame { item, path: path.map(str::to_owned), ids: ids.iter().map(|id| (*id).to_owned()).collect() });
        assert_eq!(error.blames.map(|b| *b), want, "{message}");
    }
}

#[test]
fn the_place_may_stand_in_a_list_of_its_own_and_the_words_in_an_upstreams_reply() {
    let fastapi = br#"{"detail":[{"loc":["body","messages",4,"content"],"msg":"str type expected"}]}"#;
    let blame = *classify(Wire::OpenaiChat, 422, &[], fastapi).blames.unwrap();
    assert_eq!((blame.item, blame.message()), (Item::Message, Some(4)));
    let wrapped = br#"{"error":{"code":400,"message":"Provider returned error","metadata":{"provider_name":"Google","raw":"{\"error\":{\"message\":\"Corrupted thought signature.\"}}"}}}"#;
    assert_eq!(classify(Wire::OpenaiChat, 400, &[], wrapped).blames.unwrap().item, INVALID);
}

#[test]
fn nothing_but_a_bad_request_blames_an_item() {
    for (status, message) in [
        (400, "prompt is too long: messages.3 is 9 tokens > 8 maximum"),
        (401, "Invalid image."),
        (429, "messages.3.content.1.image: too many"),
        (500, "Could not process image"),
    ] {
        let body = serde_json::json!({"error": {"message": message}});
        assert_eq!(classify(Wire::Anthropic, status, &[], body.to_string().as_bytes()).blames, None, "{status} {message}");
    }
}
