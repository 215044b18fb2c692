//! What is known of a login besides its tokens: whose it is, how long it lasts, where it may be used. Holds no secret.

use crate::auth::KeyId;
use crate::base::net;
use serde::{Deserialize, Serialize};

/// The form that this version writes.
pub const VERSION: u64 = 1;

/// A login as it is stored in `<state>/logins/PROVIDER.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub v: u64,
    pub provider: String,
    /// Another with each login and each refresh.
    pub serial: u64,
    /// The account's id at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The cloud project that requests are made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Of the login; milliseconds since 1970, as all times here.
    pub since: u64,
    /// When the access token came.
    pub obtained_at: u64,
    /// When it ends; unknown where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// Where the access token may be sent.
    pub allowed_hosts: Vec<String>,
    /// The token endpoint that made the tokens, and the only one that the refresh token may be sent to.
    pub token_url: String,
    /// The server wants no refresh before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<u64>,
    /// Why it is of no use any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// The end of a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub why: String,
    pub at: u64,
}

/// Whether an access token can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    Fresh,
    /// Works, and should be renewed.
    Ageing,
    Expired,
}

impl Record {
    /// How the access token stands at `now`. It is renewed ahead of its end, by a tenth of its life, at least half a minute
    /// and at most five; of a very short one the second half.
    pub fn freshness(&self, now: u64) -> Freshness {
        let Some(end) = self.expires_at else { return Freshness::Fresh };
        let life = end.saturating_sub(self.obtained_at);
        let margin = (life / 10).clamp(30_000, 300_000).min(life / 2);
        if now >= end {
            Freshness::Expired
        } else if now >= end - margin {
            Freshness::Ageing
        } else {
            Freshness::Fresh
        }
    }

    /// Whether the access token may go to `url`: over TLS, or not beyond this machine, and to a host that was stored.
    pub fn may_go_to(&self, url: &str) -> bool {
        let Some(there) = reqwest::Url::parse(url).ok() else { return false };
        let Some(host) = there.host_str() else { return false };
        let here = net::is_loopback(url);
        if there.scheme() != "https" && !here {
            return false;
        }
        let port = there.port_or_known_default();
        self.allowed_hosts.iter().any(|allowed| match allowed.rsplit_once(':').and_then(|(h, p)| Some((h, p.parse::<u16>().ok()?))) {
            Some((name, number)) => name.eq_ignore_ascii_case(host) && port == Some(number),
            // On this machine ports change from run to run; elsewhere another port is another server.
            None => allowed.eq_ignore_ascii_case(host) && (here || port == Some(443)),
        })
    }

    /// Tells this account from others.
    pub fn label(&self) -> &str {
        self.account.as_deref().or(self.email.as_deref()).unwrap_or("login")
    }

    /// What it is remembered by. What was held against one login is not held against the next.
    pub fn id(&self) -> KeyId {
        KeyId { provider: self.provider.clone(), label: self.label().to_owned(), print: self.since.to_string() }
    }

    /// Who it is, for people.
    pub fn name(&self) -> Option<&str> {
        self.email.as_deref().or(self.account.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(hosts: &[&str]) -> Record {
        Record {
            v: VERSION,
            provider: "p".into(),
            serial: 1,
            account: None,
            email: None,
            plan: None,
            project: None,
            since: 0,
            obtained_at: 0,
            expires_at: None,
            allowed_hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
            token_url: "https://auth.p.dev/token".into(),
            retry_at: None,
            ended: None,
        }
    }

    #[test]
    fn a_token_goes_to_its_hosts_and_nowhere_else() {
        let r = record(&["api.p.dev", "127.0.0.1:80", "localhost", "x.dev:8443"]);
        for yes in ["https://api.p.dev/v1", "https://API.P.dev:443", "http://127.0.0.1/v1", "http://localhost:9/", "https://x.dev:8443/"] {
            assert!(r.may_go_to(yes), "{yes}");
        }
        for no in [
            "http://api.p.dev/v1",
            "https://api.p.dev:8443/",
            "https://api.p.dev.evil.dev/",
            "https://evil.dev/api.p.dev",
            "https://api.p.dev@evil.dev/",
            "http://127.0.0.1:81/",
            "https://x.dev/",
            "nonsense",
            "",
        ] {
            assert!(!r.may_go_to(no), "{no}");
        }
        assert!(!record(&[]).may_go_to("https://api.p.dev"));
    }

    proptest! {
        #[test]
        fn a_token_is_renewed_ahead_of_its_end_and_never_all_its_life(life in 2u64..100_000_000, obtained in 0u64..2_000_000_000_000, share in 0.0..1.0) {
            let r = Record { obtained_at: obtained, expires_at: Some(obtained + life), ..record(&[]) };
            prop_assert_eq!(r.freshness(obtained + life), Freshness::Expired);
            prop_assert_eq!(r.freshness(obtained), Freshness::Fresh);
            // A clock that was put back makes nobody renew.
            prop_assert_eq!(r.freshness(obtained.saturating_sub(3_600_000)), Freshness::Fresh);
            let age = (life as f64 * share) as u64;
            match r.freshness(obtained + age) {
                Freshness::Ageing => prop_assert!(life - age <= 300_000 && age >= life / 2),
                Freshness::Fresh => prop_assert!(life - age > 30_000 || age <= life / 2 + 1),
                Freshness::Expired => prop_assert!(age == life),
            }
        }
    }

    #[test]
    fn the_usual_lifetimes() {
        for (life_s, ahead_s) in [(3600, 300), (28_800, 300), (600, 60), (60, 30), (10, 5)] {
            let r = Record { expires_at: Some(life_s * 1000), ..record(&[]) };
            let edge = (life_s - ahead_s) * 1000;
            assert_eq!((r.freshness(edge - 1), r.freshness(edge)), (Freshness::Fresh, Freshness::Ageing), "{life_s}");
        }
    }
}
