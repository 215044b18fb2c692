//! Finish reasons: what the provider's word for the end means, and the word for what we mean.

use crate::model::{Class, ProviderError, Scope, Stop};

/// What a finish reason stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    Stop(Stop),
    /// The model wrote a call that the server could not read or does not offer; asked again it may well do better.
    BadCall,
    /// A call came back without its signature.
    Unsigned,
}

/// Vertex has numbers instead of words where it is asked for them.
pub fn read(word: &str) -> Finish {
    Finish::Stop(match word.to_ascii_uppercase().as_str() {
        "STOP" | "1" => Stop::End,
        "MAX_TOKENS" | "2" => Stop::MaxTokens,
        "SAFETY"
        | "3"
        | "RECITATION"
        | "4"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Stop::ContentFilter,
        "LANGUAGE" => Stop::Refusal,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" | "MALFORMED_RESPONSE" => return Finish::BadCall,
        "MISSING_THOUGHT_SIGNATURE" => return Finish::Unsigned,
        _ => Stop::Unknown,
    })
}

/// The word of this wire that a client understands.
pub const fn write(stop: Stop) -> &'static str {
    match stop {
        Stop::End | Stop::ToolUse | Stop::StopSequence | Stop::Pause => "STOP",
        Stop::MaxTokens => "MAX_TOKENS",
        Stop::ContentFilter => "SAFETY",
        Stop::Refusal => "LANGUAGE",
        Stop::Unknown | Stop::Error => "OTHER",
    }
}

/// The failure that a finish reason stands for.
pub fn failure(finish: Finish, word: &str, says: Option<&str>) -> Option<ProviderError> {
    let (class, what) = match finish {
        Finish::Stop(_) => return None,
        Finish::BadCall => (Class::Server, "the model wrote a tool call that its provider could not read"),
        Finish::Unsigned => (Class::BadRequest, "the history has a tool call without its thought signature"),
    };
    let message = says.map_or_else(|| format!("{what} ({word})"), |says| format!("{what} ({word}): {says}"));
    Some(ProviderError::new(class, Scope::Request, message).with_code(Some(word.to_owned())))
}
