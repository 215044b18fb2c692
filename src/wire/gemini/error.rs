//! The words by which this wire's clients know a failure.

use crate::model::Class;

/// Number and status by which this wire's clients know a class, and what a message must contain for them to understand it.
pub const fn words(class: Class) -> (u16, &'static str, Option<&'static str>) {
    match class {
        Class::RateLimit => (429, "RESOURCE_EXHAUSTED", None),
        // Clients tell by these words that waiting for a minute does not help.
        Class::Quota => (429, "RESOURCE_EXHAUSTED", Some("daily limit")),
        Class::Billing => (402, "FAILED_PRECONDITION", None),
        Class::Overloaded => (503, "UNAVAILABLE", None),
        Class::Server => (500, "INTERNAL", None),
        Class::Network => (502, "INTERNAL", None),
        Class::Auth => (401, "UNAUTHENTICATED", None),
        Class::Permission => (403, "PERMISSION_DENIED", None),
        Class::ContextTooLong => (400, "INVALID_ARGUMENT", Some("The input token count exceeds the maximum number of tokens allowed")),
        Class::BadRequest | Class::ContentFilter => (400, "INVALID_ARGUMENT", None),
        Class::NotFound => (404, "NOT_FOUND", None),
        Class::Timeout => (504, "DEADLINE_EXCEEDED", None),
    }
}
