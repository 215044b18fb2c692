//! Refusals of history items in the words of each vendor.

use super::*;
use crate::model::{Class, Scope};
use crate::wire::{Wire, classify};

/// "kind.why path ids", with `-` for what is not known.
fn shown(blame: Option<&Blame>) -> String {
    let Some(blame) = blame else { return "nothing -".to_owned() };
    let item = serde_json::to_value(blame.item).unwrap();
    let words = [item["kind"].as_str(), item["why"].as_str()].into_iter().flatten().collect::<Vec<_>>().join(".");
    let path = blame.path.clone().unwrap_or_else(|| "-".to_owned());
    [vec![words, path], blame.ids.clone()].concat().join(" ")
}

/// Lines of `status code param message => what it blames`.
#[test]
fn a_bad_request_names_the_item_it_is_about() {
    let rows = r#"
        // Anthropic
        400 - - messages.3.content.0: Invalid `signature` in `thinking` block => signature.invalid messages.3.content.0
        400 - - messages.1.content.0.thinking.signature: Field required => signature.missing messages.1.content.0.thinking.signature
        400 - - messages.5.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. => signature.missing messages.5.content.0.type
        400 - - messages.7.content.1: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. => signature.invalid messages.7.content.1
        400 - - messages.2: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_01A, toolu_02B. Each `tool_use` block must have one. => tool_pair messages.2 toolu_01A toolu_02B
        400 - - messages.0.content.1: unexpected `tool_use_id` found in `tool_result` blocks: toolu_9. Each must have its call. => tool_pair messages.0.content.1 toolu_9
        400 - - messages.9.content.32.image.source.base64.data: At least one of the image dimensions exceed max allowed size for many-image requests: 2000 pixels => image.dimensions messages.9.content.32.image.source.base64.data
        400 - - messages.0.content.1.image.source.base64.media_type: Input should be 'image/png' => image.unreadable messages.0.content.1.image.source.base64.media_type
        400 - - Could not process image => image.unreadable -
        400 - - messages.2.content.0.pdf.source.base64.data: The PDF specified was not valid. => document messages.2.content.0.pdf.source.base64.data
        400 - - messages.0: Input does not match the expected shape. => message messages.0
        400 - - messages: roles must alternate between "user" and "assistant" => order -
        400 - - messages: at least one message is required => nothing -
        400 - - tools.0.custom.input_schema: JSON schema is invalid => nothing -
        // OpenAI
        400 invalid_encrypted_content - The encrypted content gAAA... could not be verified. => signature.invalid -
        400 - - The encrypted content for item rs_1 could not be verified. Reason: it could not be decrypted. => signature.invalid -
        400 - input No tool output found for function call call_Ab9. => tool_pair - call_Ab9
        400 - input No tool call found for function call output with call_id call_7. => tool_pair - call_7
        400 - - Item 'fc_1' of type 'function_call' was provided without its required 'reasoning' item: 'rs_1'. => signature.missing -
        404 - input Item with id 'rs_0b' not found. Items are not persisted. => signature.invalid - rs_0b
        400 - messages.[3].role An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: call_1, call_2 => tool_pair messages.[3].role call_1 call_2
        400 - - Invalid image. => image.unreadable -
        400 invalid_image_url - Error while downloading https://x/y.jpg. => image.unreachable -
        400 unsupported_file input Please try again with a pdf => document -
        400 string_above_max_length messages[1].tool_calls[0].id Invalid 'messages[1].tool_calls[0].id': string too long. => tool_pair messages[1].tool_calls[0].id
        400 invalid_value input[3].id Invalid 'input[3].id': 'x'. Expected an ID that begins with 'fc'. => message input[3].id
        400 unsupported_parameter temperature Unsupported parameter: 'temperature' => nothing -
        // Gemini
        400 - - Function call is missing a thought_signature in functionCall parts. Additional data, function call `f`, position 2. => signature.missing -
        400 - - Corrupted thought signature. => signature.invalid -
        400 - - Unable to process input image. Please retry => image.unreadable -
        400 - - Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn. => tool_pair -
        400 - - * GenerateContentRequest.contents[2].parts[0].data: required oneof field 'data' must have one initialized field => message contents[2].parts[0].data
        400 - - Please use a valid role: user, model. => nothing -
        // Mistral, Groq, DeepSeek, local servers
        400 invalid_request_message_order - Expected last role User or Tool for serving but got assistant => order -
        400 - - Unexpected role 'user' after role 'tool' => order -
        400 - - Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9. => tool_pair - call_1
        400 - - 'messages.2' : for 'role:tool' the following must be satisfied[('messages.2.tool_call_id' : property 'tool_call_id' is missing)] => tool_pair messages.2
        400 - - The `reasoning_content` in the thinking mode must be passed back to the API. => signature.missing -
        400 - - Conversation roles must alternate user/assistant/user/assistant/... => order -
        400 - - Failed to deserialize: messages[1]: unknown variant `image_url`, expected `text` => image.unsupported messages[1]
        "#;
    for row in rows.lines().map(str::trim).filter(|r| !r.is_empty() && !r.starts_with("//")) {
        let (reply, want) = row.rsplit_once(" => ").unwrap();
        let [status, code, param, message] = reply.splitn(4, ' ').collect::<Vec<_>>().try_into().unwrap();
        let known = |text: &'static str| Some(text).filter(|t| *t != "-");
        let body =
            serde_json::json!({"error": {"message": message, "type": "invalid_request_error", "param": known(param), "code": known(code)}});
        let error = classify(Wire::OpenaiChat, status.parse().unwrap(), &[], body.to_string().as_bytes());
        assert_eq!((error.class, error.scope), (Class::BadRequest, Scope::Request), "{row}");
        assert_eq!(shown(error.blames.as_deref()), want, "{row}");
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
