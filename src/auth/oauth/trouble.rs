//! What can go wrong between pup and an authorisation server, and whether a new login is what helps.

use crate::base::{clock, text};
use crate::model::{Class, ProviderError, Scope};
use crate::wire::{classify, wait};
use serde_json::Value;
use std::time::Duration;

/// The shortest and the longest time that a server's own wish is honoured for.
const WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));

/// A failure of a login, or of keeping one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    pub kind: Kind,
    /// For people; holds no secret.
    pub message: String,
    /// The server's own word.
    pub code: Option<String>,
    pub retry_after: Option<Duration>,
}

/// Who has to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The user: the grant is gone, only a new login brings another.
    Ended,
    /// Somebody: the request or its configuration is wrong, which says nothing about the grant.
    Refused,
    /// Nobody: it may work in a while.
    Passing,
}

impl Trouble {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None, retry_after: None }
    }

    pub fn passing(message: impl Into<String>) -> Self {
        Self::new(Kind::Passing, message)
    }

    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// As a provider's failure, for the one whose request waits for a token.
    pub fn into_provider_error(self, provider: &str) -> ProviderError {
        let (class, scope) = match self.kind {
            Kind::Ended => (Class::Auth, Scope::Key),
            Kind::Refused => (Class::Auth, Scope::Provider),
            Kind::Passing if self.retry_after.is_some() => (Class::RateLimit, Scope::Key),
            Kind::Passing => (Class::Network, Scope::Provider),
        };
        let again = if self.kind == Kind::Ended { format!("; log in again: pup auth login {provider}") } else { String::new() };
        let mut error = ProviderError::new(class, scope, format!("the login of {provider}: {}{again}", self.message));
        error.code = self.code;
        error.retry_after_s = self.retry_after.map(|d| d.as_secs_f64());
        error
    }
}

/// Errors after which the grant is of no use any more. The first is the standard's, the others are OpenAI's.
const GONE: [&str; 4] = ["invalid_grant", "refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated"];

/// Reads a refusal of the token endpoint. Servers write errors in several shapes, and proxies in between write pages.
pub fn of_response(status: u16, headers: &[(String, String)], body: &[u8]) -> Trouble {
    let json = serde_json::from_slice::<Value>(body).ok();
    let (code, said) = json.as_ref().map(read).unwrap_or_default();
    let kind = match (status, code.as_deref()) {
        (_, Some(code)) if GONE.contains(&code) => Kind::Ended,
        (408 | 425 | 429 | 500.., _) => Kind::Passing,
        // A wrong client is a matter of configuration, whatever status it comes with.
        (_, Some("invalid_client" | "unauthorized_client")) => Kind::Refused,
        (401, Some(_)) => Kind::Ended,
        // No answer of an authorisation server: a gateway, or a captive portal.
        _ if json.is_none() => Kind::Passing,
        _ => Kind::Refused,
    };
    let own = wait::retry_after(headers, wait::Now::new(headers, Some(clock::unix_ms()))).and_then(|s| Duration::try_from_secs_f64(s).ok());
    let retry_after = (status == 429).then(|| own.unwrap_or(WAIT.0).clamp(WAIT.0, WAIT.1));
    let said = match (said, &json) {
        (Some(said), _) => said,
        (None, Some(_)) => String::new(),
        (None, None) => not_json(body),
    };
    let word = code.as_deref().map(|c| format!(" {c}")).unwrap_or_default();
    let more = if said.is_empty() { String::new() } else { format!(": {}", text::one_line(&said, 200)) };
    Trouble { kind, message: format!("the server answered {status}{word}{more}"), code, retry_after }
}

/// What stands where JSON is due.
pub fn not_json(body: &[u8]) -> String {
    let start = body.trim_ascii_start();
    if start.starts_with(b"<") {
        let title = classify::page_title(body);
        let title = if title.is_empty() { title } else { format!(" ({title})") };
        return format!(
            "a web page instead of JSON{title}: a proxy or the network's own sign-in may stand in between, or the address is wrong"
        );
    }
    match start.first() {
        None => "nothing".into(),
        // Not repeated: there may be half a token in it.
        Some(b'{' | b'[' | b'"') => "broken JSON".into(),
        Some(_) => format!("no JSON but {}", String::from_utf8_lossy(start)),
    }
}

/// Code (lower case) and description, from `{"error":"code","error_description":..}`, `{"error":{"code","message"}}`,
/// `{"code":..,"message":..}`, `{"detail":..}` or Google's form.
fn read(body: &Value) -> (Option<String>, Option<String>) {
    let text = |v: Option<&Value>| v.and_then(Value::as_str).filter(|s| !s.is_empty()).map(str::to_owned);
    let error = body.get("error");
    let inner = |key: &str| error.and_then(|e| e.get(key));
    // Google's code is a number; what it means is in the details.
    let reason = || error?.get("details")?.as_array()?.iter().find_map(|d| text(d.get("reason")));
    let code = text(inner("code")).or_else(|| text(error)).or_else(reason);
    let code = code.or_else(|| text(inner("status"))).or_else(|| text(inner("type"))).or_else(|| text(body.get("code")));
    let said = text(body.get("error_description"))
        .or_else(|| text(inner("message")))
        .or_else(|| text(body.get("message")))
        .or_else(|| text(body.get("detail")));
    (code.map(|c| text::one_line(&c.to_ascii_lowercase(), 60)), said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> (Kind, String) {
        let trouble = of_response(status, &[], body.as_bytes());
        (trouble.kind, trouble.message)
    }

    #[test]
    fn the_grant_is_gone_only_where_the_server_says_so() {
        for body in [
            r#"{"error":"invalid_grant","error_description":"Refresh token not found or invalid"}"#,
            r#"{"error":{"code":"refresh_token_reused","message":"used twice"}}"#,
            r#"{"code":"Refresh_Token_Expired"}"#,
            r#"{"error":"refresh_token_invalidated"}"#,
        ] {
            assert_eq!(of(400, body).0, Kind::Ended, "{body}");
        }
        assert_eq!(of(401, r#"{"error":{"code":"token_revoked","message":"x"}}"#).0, Kind::Ended);
        assert_eq!(of(401, r#"{"error":"invalid_client"}"#).0, Kind::Refused);
        assert_eq!(of(400, r#"{"error":"invalid_scope"}"#).0, Kind::Refused);
        assert_eq!(of(500, r#"{"error":"server_error"}"#).0, Kind::Passing);
        for status in [400, 403, 502] {
            assert_eq!(of(status, "<html><title>Just a moment</title></html>").0, Kind::Passing);
        }
    }

    #[test]
    fn every_shape_of_an_error_is_shown_in_its_own_words() {
        assert_eq!(of(400, r#"{"error":"invalid_grant","error_description":"gone"}"#).1, "the server answered 400 invalid_grant: gone");
        assert_eq!(of(403, r#"{"error":{"code":"nope","message":"not you"}}"#).1, "the server answered 403 nope: not you");
        let google =
            r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED","details":[{"reason":"SECURITY_POLICY_VIOLATED"}]}}"#;
        assert_eq!(of(403, google).1, "the server answered 403 security_policy_violated: no");
        assert_eq!(of(400, r#"{"detail":"bad"}"#).1, "the server answered 400: bad");
        assert_eq!(
            of(502, "<title>Bad gateway</title>").1,
            "the server answered 502: a web page instead of JSON (Bad gateway): a proxy or the network's own sign-in may stand in between, or the address is wrong"
        );
        assert_eq!(of(500, "").1, "the server answered 500: nothing");
        assert_eq!(of(502, r#"{"access_token": "canary"#).1, "the server answered 502: broken JSON");
        assert_eq!(of(500, "oops").1, "the server answered 500: no JSON but oops");
    }

    #[test]
    fn a_server_that_wants_a_pause_gets_one_within_bounds() {
        let after = |value: &str| of_response(429, &[("Retry-After".into(), value.into())], b"{}").retry_after.map(|d| d.as_secs());
        assert_eq!((after("1"), after("60"), after("9999")), (Some(5), Some(60), Some(300)));
        assert_eq!(of_response(429, &[], b"").retry_after, Some(WAIT.0));
        assert_eq!(of_response(500, &[("retry-after".into(), "60".into())], b"").retry_after, None);
    }
}
