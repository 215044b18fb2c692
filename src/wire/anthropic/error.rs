//! The words by which this wire's clients know a failure.

use crate::model::Class;

/// The type by which this wire's clients know a class, and what a message must contain for them to understand it.
pub const fn words(class: Class) -> (&'static str, Option<&'static str>) {
    match class {
        Class::RateLimit | Class::Quota => ("rate_limit_error", None),
        Class::Billing => ("billing_error", None),
        Class::Overloaded => ("overloaded_error", None),
        Class::Server | Class::Network => ("api_error", None),
        Class::Auth => ("authentication_error", None),
        Class::Permission => ("permission_error", None),
        // Clients tell by these words that they have to shorten the conversation.
        Class::ContextTooLong => ("invalid_request_error", Some("prompt is too long")),
        Class::ContentFilter => ("invalid_request_error", Some("Output blocked by content filtering policy")),
        Class::BadRequest => ("invalid_request_error", None),
        Class::NotFound => ("not_found_error", None),
        Class::Timeout => ("timeout_error", None),
    }
}
