//! Which item of the history a bad request names or implies.
//!
//! Codes first, then sentences, then the path that the provider gives. A refusal of a parameter blames nothing.

use crate::model::Blame;
use crate::model::blame::{ImageFault, Item, SignatureFault};

const INVALID: Item = Item::Signature { why: SignatureFault::Invalid };
const MISSING: Item = Item::Signature { why: SignatureFault::Missing };
const TOO_LARGE: Item = Item::Image { why: ImageFault::TooLarge };
const DIMENSIONS: Item = Item::Image { why: ImageFault::Dimensions };
const FORMAT: Item = Item::Image { why: ImageFault::Format };
const UNREADABLE: Item = Item::Image { why: ImageFault::Unreadable };
const UNREACHABLE: Item = Item::Image { why: ImageFault::Unreachable };
const UNSUPPORTED: Item = Item::Image { why: ImageFault::Unsupported };

/// Codes and types that say it all.
const CODES: &[(&str, Item)] = &[
    ("invalid_encrypted_content", INVALID),
    ("thinking_signature_invalid", INVALID),
    ("invalid_image", UNREADABLE),
    ("invalid_base64_image", UNREADABLE),
    ("image_parse_error", UNREADABLE),
    ("empty_image_file", UNREADABLE),
    ("image_too_small", DIMENSIONS),
    ("image_too_large", TOO_LARGE),
    ("image_file_too_large", TOO_LARGE),
    ("invalid_image_format", FORMAT),
    ("unsupported_image_media_type", FORMAT),
    ("invalid_image_mode", FORMAT),
    ("invalid_image_url", UNREACHABLE),
    ("failed_to_download_image", UNREACHABLE),
    ("image_file_not_found", UNREACHABLE),
    ("unsupported_file", Item::Document),
    ("invalid_request_message_order", Item::Order),
];

/// Sentences, in lower case: every part has to be there, in any order. The first row that fits wins.
const TEXTS: &[(&[&str], Item)] = &[
    // Signatures and what else only its origin understands.
    (&["missing a thought_signature"], MISSING),
    (&["thought_signature", "missing"], MISSING),
    (&["thought", "signature", "corrupted"], INVALID),
    (&["thought", "signature", "not valid"], INVALID),
    (&["thought", "signature", "invalid"], INVALID),
    (&["invalid `signature` in `thinking`"], INVALID),
    (&["invalid signature in thinking"], INVALID),
    (&["thinking", "blocks", "cannot be modified"], INVALID),
    (&["must start with a thinking block"], MISSING),
    (&["expected `thinking` or `redacted_thinking`"], MISSING),
    (&["signature: field required"], MISSING),
    (&["encrypted content", "could not be verified"], INVALID),
    (&["encrypted_content", "could not be"], INVALID),
    (&["invalid_encrypted_content"], INVALID),
    (&["item with id", "not found"], INVALID),
    (&["without its required", "reasoning"], MISSING),
    (&["reasoning", "without its required following item"], INVALID),
    (&["reasoning_content", "must be passed back"], MISSING),
    (&["reasoning_content is missing"], MISSING),
    // Images.
    (&["image exceeds", "maximum"], TOO_LARGE),
    (&["image", "too large"], TOO_LARGE),
    (&["image dimensions exceed"], DIMENSIONS),
    (&["image", "exceed", "pixels"], DIMENSIONS),
    (&["image", "media type", "appears to be"], FORMAT),
    (&["unsupported image"], FORMAT),
    (&["unsupported mime type: image"], FORMAT),
    (&["could not process image"], UNREADABLE),
    (&["unable to process input image"], UNREADABLE),
    (&["provided image is not valid"], UNREADABLE),
    (&["invalid image"], UNREADABLE),
    (&["invalid base64", "image"], UNREADABLE),
    (&["failed to", "decode", "image"], UNREADABLE),
    (&["failed to", "load image"], UNREADABLE),
    (&["failed to", "download", "image"], UNREACHABLE),
    (&["error while downloading"], UNREACHABLE),
    (&["unable to download"], UNREACHABLE),
    (&["not support image"], UNSUPPORTED),
    (&["image", "not supported"], UNSUPPORTED),
    (&["unknown variant `image_url`"], UNSUPPORTED),
    (&["not a multimodal model"], UNSUPPORTED),
    // Documents.
    (&["pdf", "not valid"], Item::Document),
    (&["could not process pdf"], Item::Document),
    (&["pdf pages"], Item::Document),
    (&["pdf", "password"], Item::Document),
    (&["document has no pages"], Item::Document),
    (&["could not process document"], Item::Document),
    (&["unable to process", "document"], Item::Document),
    (&["unsupported mime type"], Item::Document),
    (&["file type you uploaded is not supported"], Item::Document),
    // Calls and results.
    (&["tool_use", "without", "tool_result"], Item::ToolPair),
    (&["unexpected", "tool_use_id"], Item::ToolPair),
    (&["multiple `tool_result`"], Item::ToolPair),
    (&["`tool_use` ids must be unique"], Item::ToolPair),
    (&["no tool output found"], Item::ToolPair),
    (&["no tool call found"], Item::ToolPair),
    (&["'tool_calls' must be followed"], Item::ToolPair),
    (&["role 'tool' must be a response"], Item::ToolPair),
    (&["did not have response messages"], Item::ToolPair),
    (&["number of function response parts"], Item::ToolPair),
    (&["same number of function calls and responses"], Item::ToolPair),
    (&["function call turn comes immediately after"], Item::ToolPair),
    (&["function response turn comes immediately after"], Item::ToolPair),
    (&["tool call id", "must be"], Item::ToolPair),
    (&["tool call id has to be defined"], Item::ToolPair),
    (&["for 'role:tool'"], Item::ToolPair),
    // Roles.
    (&["must alternate"], Item::Order),
    (&["requests alternate between"], Item::Order),
    (&["expected last role"], Item::Order),
    (&["unexpected role", "after role"], Item::Order),
    (&["does not support assistant message prefill"], Item::Order),
];

/// Steps of a path that say what kind of item it leads to.
const STEPS: &[(&str, Item)] = &[
    ("signature", INVALID),
    ("thought_signature", INVALID),
    ("thoughtSignature", INVALID),
    ("encrypted_content", INVALID),
    ("thinking", INVALID),
    ("image", UNREADABLE),
    ("image_url", UNREADABLE),
    ("input_image", UNREADABLE),
    ("inline_data", UNREADABLE),
    ("inlineData", UNREADABLE),
    ("document", Item::Document),
    ("pdf", Item::Document),
    ("file", Item::Document),
    ("input_file", Item::Document),
    ("tool_call_id", Item::ToolPair),
    ("tool_use_id", Item::ToolPair),
    ("call_id", Item::ToolPair),
    ("tool_calls", Item::ToolPair),
    ("tool_use", Item::ToolPair),
    ("tool_result", Item::ToolPair),
    ("function_response", Item::ToolPair),
    ("function_call", Item::ToolPair),
];

/// What stands before ids in a sentence.
const BEFORE_IDS: [&str; 9] = [
    "immediately after: ",
    "`tool_result` blocks: ",
    "blocks with id: ",
    "did not have response messages: ",
    "function call with id ",
    "with call_id ",
    "for function call ",
    "item with id ",
    "tool call id was ",
];

/// Whether one of these codes alone says that an item of the history is refused.
pub fn is_coded(words: &[String]) -> bool {
    CODES.iter().any(|(code, _)| words.iter().any(|w| w == code))
}

/// The item that a refusal is about.
///
/// `words` are its codes and types in lower case, `text` its messages, `place` a path that stands in a field of its own.
pub fn find(words: &[String], text: &str, place: Option<&str>) -> Option<Blame> {
    let lower = text.to_ascii_lowercase();
    let path = place.and_then(path_in).or_else(|| path_in(text));
    let coded = || CODES.iter().find(|(code, _)| words.iter().any(|w| w == code));
    let told = || TEXTS.iter().find(|(parts, _)| parts.iter().all(|part| lower.contains(part)));
    let item = coded().map(|(_, item)| *item).or_else(|| told().map(|(_, item)| *item)).or_else(|| by_path(path.as_deref()?, &lower))?;
    Some(Blame { item, path, ids: ids(text, &lower) })
}

/// The kind of item that the last telling step of a path leads to; a message, if none tells.
fn by_path(path: &str, message: &str) -> Option<Item> {
    let step = path.rsplit(['.', '[', ']']).find_map(|step| STEPS.iter().find(|(name, _)| *name == step));
    match step.map(|(_, item)| *item) {
        Some(INVALID) if message.contains("required") || message.contains("missing") => Some(MISSING),
        None if !path.contains(|c: char| c.is_ascii_digit()) => None,
        item => Some(item.unwrap_or(Item::Message)),
    }
}

/// The first path into the conversation: `messages.3.content`, `messages.[3]`, `input[3].id`, `contents[1].parts[0]`.
fn path_in(text: &str) -> Option<String> {
    let starts = ["messages", "input", "contents"].iter().flat_map(|root| text.match_indices(root).map(|(at, root)| (at, root.len())));
    let paths = starts.filter_map(|(at, len)| {
        let inside_word = text.get(..at)?.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let rest = text.get(at + len..)?;
        let number = rest.strip_prefix('.').unwrap_or(rest);
        let number = number.strip_prefix('[').unwrap_or(number);
        if inside_word || number.len() == rest.len() || !number.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '[' | ']')).unwrap_or(rest.len());
        Some((at, text.get(at..at + len + end)?.trim_end_matches('.').to_owned()))
    });
    paths.min_by_key(|(at, _)| *at).map(|(_, path)| path)
}

/// Every id in a list behind one of the known phrases. `lower` is `text` in ASCII lower case, so positions agree.
fn ids(text: &str, lower: &str) -> Vec<String> {
    let at = BEFORE_IDS.iter().find_map(|phrase| lower.find(phrase).map(|at| at + phrase.len()));
    let Some(listed) = at.and_then(|at| text.get(at..)) else { return Vec::new() };
    let mut found = Vec::new();
    for word in listed.split(' ') {
        let id = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        if id.is_empty() {
            break;
        }
        found.push(id.to_owned());
        if !word.ends_with(',') {
            break;
        }
    }
    found
}

#[cfg(test)]
#[path = "blame_tests.rs"]
mod tests;
