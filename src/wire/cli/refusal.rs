//! What a program's complaint means. It passes on what its service said, with or without the status, in its own words.

use crate::model::{Class, ProviderError, Scope};
use crate::wire::classify::{self, Sender};
use serde_json::json;

/// A complaint with the status that the service gave, and the seconds after which the program would have tried again.
pub fn with_status(sender: Sender, status: u16, kind: Option<&str>, message: &str, wait: Option<f64>) -> ProviderError {
    let body = json!({"type": "error", "error": {"type": kind, "message": message}});
    let headers: Vec<_> = wait.map(|s| ("retry-after".to_owned(), s.to_string())).into_iter().collect();
    classify::http(sender, status, &headers, body.to_string().as_bytes())
}

/// Phrases of complaints that come without a status, in lower case.
const PHRASES: [(&str, Class, Scope); 16] = [
    ("not logged in", Class::Auth, Scope::Key),
    ("please run /login", Class::Auth, Scope::Key),
    ("codex login", Class::Auth, Scope::Key),
    ("invalid api key", Class::Auth, Scope::Key),
    ("token has expired", Class::Auth, Scope::Key),
    ("could not be refreshed", Class::Auth, Scope::Key),
    ("only authorized for", Class::Permission, Scope::Key),
    ("organization has disabled", Class::Permission, Scope::Key),
    ("usage limit", Class::Quota, Scope::Key),
    ("hit your limit", Class::Quota, Scope::Key),
    ("quota exceeded", Class::Quota, Scope::Key),
    ("credit balance", Class::Billing, Scope::Key),
    ("prompt is too long", Class::ContextTooLong, Scope::Request),
    ("context window", Class::ContextTooLong, Scope::Request),
    ("at capacity", Class::Overloaded, Scope::Model),
    ("stream disconnected", Class::Network, Scope::Provider),
];

/// A complaint of which only the words are known. One that says nothing that is known is a failure of the program.
pub fn of_words(message: &str) -> ProviderError {
    let lower = message.to_lowercase();
    let known = PHRASES.iter().find(|(phrase, ..)| lower.contains(phrase));
    let (class, scope) = known.map_or((Class::Server, Scope::Provider), |(_, class, scope)| (*class, *scope));
    ProviderError::new(class, scope, crate::base::text::one_line(message, 400))
}

/// With what the user can do about it, where it is the login.
pub fn advise(error: ProviderError, how: &str) -> ProviderError {
    if error.class != Class::Auth {
        return error;
    }
    let message = format!("{} ({how})", error.message.trim_end_matches('.'));
    error.told(message)
}
