//! What a token endpoint gives: tokens, how long they last, and whose they are.

use super::transport::NOW;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::basic::BasicTokenType;
use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// A token that was just made lives at least this long, whatever the clocks say: a wrong one must not make pup renew
/// its login with every request.
const LEAST: u64 = 60_000;

/// A token endpoint's answer. Servers leave out what the standard requires (the token's type) and more in a refresh,
/// so every field is optional.
#[derive(Debug, Serialize, Deserialize)]
pub struct Grant {
    #[serde(default = "no_token")]
    access_token: AccessToken,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
    /// Also a string, or a number with a fraction.
    #[serde(default)]
    expires_in: Option<Value>,
    #[serde(default)]
    id_token: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

fn no_token() -> AccessToken {
    AccessToken::new(String::new())
}

impl Grant {
    pub fn access(&self) -> Option<&str> {
        Some(self.access_token.secret().as_str()).filter(|t| !t.trim().is_empty())
    }

    pub fn refresh(&self) -> Option<&str> {
        self.refresh_token.as_ref().map(|t| t.secret().as_str()).filter(|t| !t.trim().is_empty())
    }

    pub fn id_token(&self) -> Option<&str> {
        self.id_token.as_deref()
    }

    /// The fields that are no tokens.
    pub fn rest(&self) -> &Map<String, Value> {
        &self.rest
    }

    /// When the access token ends by our clock, which says `now` (milliseconds since 1970); `None` where nobody tells.
    ///
    /// Only differences are taken over from the server: its clock and ours need not agree.
    pub fn expires_at(&self, now: u64) -> Option<u64> {
        let server_now = self.rest.get(NOW).and_then(Value::as_u64).unwrap_or(now);
        let stated = self.expires_in.as_ref().and_then(seconds).map(|s| (s * 1000.0) as u64);
        let lifetime = stated.or_else(|| {
            let claims = claims(self.access()?)?;
            let ms = |name: &str| claims.get(name).and_then(Value::as_f64).filter(|s| *s > 0.0).map(|s| (s * 1000.0) as u64);
            let end = ms("exp")?;
            Some(end.saturating_sub(ms("iat").filter(|iat| *iat < end).unwrap_or(server_now)).max(LEAST))
        })?;
        Some(now.saturating_add(lifetime))
    }
}

fn seconds(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (number.is_finite() && number > 0.0).then_some(number.min(10.0 * 365.0 * 86400.0))
}

/// The claims of a JWT. They are not verified: they come from the server that made them, over a connection that was.
pub fn claims(jwt: &str) -> Option<Value> {
    let payload = jwt.split('.').nth(1)?.trim_end_matches('=');
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok().filter(Value::is_object)
}

impl TokenResponse for Grant {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &BasicTokenType::Bearer
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.as_ref().and_then(seconds).and_then(|s| Duration::try_from_secs_f64(s).ok())
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOON: u64 = 1_800_000_000_000;

    fn grant(value: Value) -> Grant {
        serde_json::from_value(value).unwrap()
    }

    fn jwt(claims: &Value) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn answers_may_lack_anything() {
        let empty = grant(json!({"token_type": "MAC", "refresh_token": " "}));
        assert_eq!((empty.access(), empty.refresh(), empty.expires_at(NOON)), (None, None, None));
        let full = grant(json!({"access_token": "a", "refresh_token": "r", "expires_in": "3600", "account": {"uuid": "u"}}));
        assert_eq!((full.access(), full.refresh(), full.expires_at(NOON)), (Some("a"), Some("r"), Some(NOON + 3_600_000)));
        assert_eq!(full.rest()["account"]["uuid"], "u");
    }

    #[test]
    fn a_wrong_clock_here_changes_nothing() {
        let hour = 3_600_000;
        for now in [NOON - hour, NOON, NOON + hour] {
            let by_claims = grant(json!({"access_token": jwt(&json!({"iat": NOON / 1000, "exp": NOON / 1000 + 600}))}));
            assert_eq!(by_claims.expires_at(now), Some(now + 600_000));
            let by_date = grant(json!({"access_token": jwt(&json!({"exp": NOON / 1000 + 600})), NOW: NOON}));
            assert_eq!(by_date.expires_at(now), Some(now + 600_000));
        }
        let already_over = grant(json!({"access_token": jwt(&json!({"exp": 5}))}));
        assert_eq!(already_over.expires_at(NOON), Some(NOON + LEAST), "no renewing with every request");
    }

    #[test]
    fn what_is_no_jwt_has_no_claims() {
        assert_eq!(claims(&jwt(&json!({"a": 1}))), Some(json!({"a": 1})));
        for other in ["", "opaque", "a.b", "a.!!.c", "a..c", "sk-ant-oat01-x.y.z"] {
            assert_eq!(claims(other), None, "{other}");
        }
    }
}
