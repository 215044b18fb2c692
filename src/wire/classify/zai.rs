//! Z.AI and its sister site: four-digit codes decide, for one HTTP status covers pace, empty balance and locked accounts.

use super::facts::Facts;
use super::rule::{Row, Ruling, first, status};
use super::vendor::Vendor;
use crate::model::{Class, Scope};
use serde_json::Value;

const STATUSES: &[Row] = &[
    // "No API permission", "file too large".
    status(&[434]).is(Class::Permission, Scope::Key),
    status(&[435]).is(Class::BadRequest, Scope::Request),
];

pub fn judge(facts: &Facts) -> Option<Ruling> {
    numbered(facts).or_else(|| first(STATUSES, facts))
}

/// Its zone, for dates without one: Beijing time.
pub const ZONE: i8 = 8;

/// Whether this is a refusal of its kind, whoever passes it on.
pub fn is_its(facts: &Facts) -> bool {
    facts.vendor == Vendor::Zai || (facts.vendor == Vendor::Unknown && numbered(facts).is_some())
}

fn numbered(facts: &Facts) -> Option<Ruling> {
    let number = match facts.error.get("code")? {
        Value::String(code) if code.len() == 4 => code.parse::<u64>().ok()?,
        Value::Number(code) => code.as_u64()?,
        _ => return None,
    };
    Some(match number {
        1000..=1004 | 1110..=1112 | 1114..=1129 => (Class::Auth, Scope::Key),
        // No balance; a plan that has run out.
        1113 | 1309 => (Class::Billing, Scope::Key),
        // No such model, or none that the plan has.
        1211 | 1311 => (Class::NotFound, Scope::Model),
        1210 | 1212..=1215 => (Class::BadRequest, Scope::Request),
        // No access; use beyond what is fair.
        1220..=1222 | 1313 => (Class::Permission, Scope::Key),
        1234 => (Class::Network, Scope::Provider),
        1261 => (Class::ContextTooLong, Scope::Request),
        1301 => (Class::ContentFilter, Scope::Request),
        1302 | 1303 | 1305 => (Class::RateLimit, Scope::Key),
        1304 | 1308 | 1310 | 1316..=1321 => (Class::Quota, Scope::Key),
        1312 => (Class::Overloaded, Scope::Model),
        _ => return None,
    })
}
