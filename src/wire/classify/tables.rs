//! Vendors whose own rules are a few lines.

use super::facts::{Facts, Shape};
use super::rule::{Row, Ruling, first, says, status, word};
use crate::model::{Class, Scope};

pub const OPENAI: &[Row] = &[
    word(&["invalid_prompt"]).and_says(&["policy"]).is(Class::ContentFilter, Scope::Request),
    word(&["invalid_prompt"]).and_says(&["safety"]).is(Class::ContentFilter, Scope::Request),
    status(&[403]).and_says(&["country"]).is(Class::Permission, Scope::Provider),
    says(&["try signing in again"]).is(Class::Auth, Scope::Key),
];

pub const GROQ: &[Row] = &[
    status(&[498]).is(Class::Overloaded, Scope::Model),
    // Cancelled, and a dependency that failed: nothing is wrong with the request.
    status(&[424, 499]).is(Class::Server, Scope::Request),
    status(&[503]).is(Class::Overloaded, Scope::Model),
];

/// Its 403 is a prompt that is too long together with what was asked for, not a matter of keys.
pub const TOGETHER: &[Row] = &[
    status(&[403]).is(Class::ContextTooLong, Scope::Request),
    status(&[402]).is(Class::Billing, Scope::Key),
    word(&["model_rate_limit"]).is(Class::RateLimit, Scope::Model),
];

pub const SYNTHETIC: &[Row] = &[status(&[429]).and_says(&["subscription"]).is(Class::Quota, Scope::Key)];

const CEREBRAS: &[Row] = &[
    word(&["token_quota_exceeded", "request_quota_exceeded"]).and_says(&["per day"]).is(Class::Quota, Scope::Key),
    word(&["token_quota_exceeded", "request_quota_exceeded"]).is(Class::RateLimit, Scope::Key),
];

/// A prompt that is too long is refused without a word.
pub fn cerebras(facts: &Facts) -> Option<Ruling> {
    let silent = facts.shape == Shape::Empty && matches!(facts.status, 400 | 413);
    silent.then_some((Class::ContextTooLong, Scope::Request)).or_else(|| first(CEREBRAS, facts))
}
