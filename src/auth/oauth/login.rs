//! A login in use: gives out its access token, to its own hosts only, and renews it in time.
//!
//! One renewal at a time, over tasks and over processes: whoever wants one waits for the lock, looks at what is stored
//! then, and renews only if nobody else has. A renewed token is stored before it is used, since providers rotate refresh
//! tokens and take the second use of one for theft.

use super::client::Client;
use super::record::{Ended, Freshness, Record};
use super::store::{Held, Store, Tokens};
use super::transport::{Refusals, Transport};
use super::{Grant, Kind, Trouble, failed};
use crate::auth::{KeyId, Secret};
use crate::base::Failure;
use crate::base::clock::{self, unix_ms};
use crate::catalog::OAuth;
use crate::model::{Class, ProviderError, Scope};
use oauth2::RefreshToken;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// While a token still works, how long a renewal that failed is left alone.
const PAUSE: Duration = Duration::from_secs(30);
/// Longer than any wait that is stored: a clock that was put back must not lock a login.
const LONGEST_WAIT_MS: u64 = 310_000;

/// A provider's login. Clones share it.
#[derive(Clone)]
pub struct Login(Arc<Inner>);

struct Inner {
    oauth: Arc<OAuth>,
    client: Client,
    store: Store,
    transport: Transport,
    /// As it was when the login was opened: who it is.
    opened: Record,
    now: Mutex<Option<Current>>,
}

/// What was last read or renewed.
#[derive(Debug, Clone)]
struct Current {
    record: Record,
    tokens: Tokens,
    /// A renewal has failed just now.
    paused: Option<Instant>,
}

/// What one request carries.
#[derive(Debug, Clone)]
pub struct Bearer {
    pub token: Secret,
    /// Further headers that belong to it.
    pub headers: Vec<(String, String)>,
    serial: u64,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("provider", &self.0.oauth.provider).finish_non_exhaustive()
    }
}

impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Login {}

impl Login {
    /// Opens a stored login, which `record` is of. Its tokens are not looked at before the first request.
    pub fn new(oauth: Arc<OAuth>, client: Client, store: Store, transport: Transport, record: Record) -> Self {
        Self(Arc::new(Inner { oauth, client, store, transport, opened: record, now: Mutex::new(None) }))
    }

    pub fn provider(&self) -> &str {
        &self.0.oauth.provider
    }

    /// Tells this account from others, for marking what it answers.
    pub fn account(&self) -> &str {
        self.0.opened.label()
    }

    /// What it is remembered by.
    pub fn id(&self) -> KeyId {
        self.0.opened.id()
    }

    /// The cloud project that requests are made for.
    pub fn project(&self) -> Option<&str> {
        self.0.opened.project.as_deref()
    }

    /// The token that was last given out; none before the first request.
    pub fn at_hand(&self) -> Option<Secret> {
        self.0.now.try_lock().ok()?.as_ref().map(|c| c.tokens.access.clone())
    }

    /// A token for a request to `url`.
    pub async fn bearer(&self, url: &str) -> Result<Bearer, ProviderError> {
        if let Ok(now) = self.0.now.try_lock()
            && let Some(current) = &*now
            && current.record.freshness(unix_ms()) == Freshness::Fresh
        {
            return self.0.bearer(current, url);
        }
        let current = self.current(None).await?;
        self.0.bearer(&current, url)
    }

    /// Another token, after the server at `url` refused `stale`.
    pub async fn renewed(&self, stale: &Bearer, url: &str) -> Result<Bearer, ProviderError> {
        let current = self.current(Some(stale.token.clone())).await?;
        self.0.bearer(&current, url)
    }

    /// The provider does not let this account be used so: nobody tries again before the next login.
    pub async fn refuse(&self, bearer: &Bearer, why: &str) {
        // Providers like to repeat what they refuse.
        let why = why.replace(bearer.token.expose(), &bearer.token.masked());
        let (inner, serial) = (Arc::clone(&self.0), bearer.serial);
        let noted = tokio::spawn(async move {
            let store = inner.store.clone();
            *inner.now.lock().await = None;
            blocking(move || {
                let hold = store.hold()?;
                match store.record()? {
                    // A login that was made, or renewed, meanwhile is another matter.
                    Some(record) if record.serial == serial && record.ended.is_none() => {
                        store.save_record(&hold, &Record { ended: Some(Ended { why, at: unix_ms() }), ..record })
                    }
                    _ => Ok(()),
                }
            })
            .await
        });
        if let Ok(Err(error)) = noted.await {
            tracing::warn!(%error, "a refused login could not be marked");
        }
    }

    /// On a task of its own: a request that is given up must not tear a renewal apart, whose token is then lost.
    async fn current(&self, stale: Option<Secret>) -> Result<Current, ProviderError> {
        let inner = Arc::clone(&self.0);
        let provider = inner.oauth.provider.clone();
        let done = tokio::spawn(async move { inner.current(stale).await }).await;
        let done = done.unwrap_or_else(|_| Err(Trouble::passing("its renewal was cut off")));
        done.map_err(|t| t.into_provider_error(&provider))
    }
}

impl Inner {
    /// The token with its headers, for a host that it may go to.
    fn bearer(&self, current: &Current, url: &str) -> Result<Bearer, ProviderError> {
        let Current { record, tokens, .. } = current;
        if !record.may_go_to(url) {
            let place = reqwest::Url::parse(url).map_or_else(|_| url.to_owned(), |u| u.origin().ascii_serialization());
            let what = format!(
                "the token of {} goes to {} only, and this address is {place}; if it is meant to be, put the host into `allowed_hosts` of a plugin.json of yours and log in again",
                record.provider,
                record.allowed_hosts.join(", ")
            );
            return Err(ProviderError::new(Class::Permission, Scope::Provider, what));
        }
        let account = record.account.as_deref().unwrap_or_default();
        let filled = |value: &str| value.replace("{account}", account);
        let headers = self.oauth.headers.iter().map(|(n, v)| (n.to_ascii_lowercase(), filled(v))).filter(|(_, v)| !v.is_empty());
        Ok(Bearer { token: tokens.access.clone(), headers: headers.collect(), serial: record.serial })
    }

    async fn current(&self, stale: Option<Secret>) -> Result<Current, Trouble> {
        let mut now = self.now.lock().await;
        if now.is_none() {
            let store = self.store.clone();
            let found = blocking(move || load(&store)).await.map_err(stored)??;
            self.learn(&found.tokens);
            *now = Some(found);
        }
        let Some(current) = now.as_mut() else { return Err(Trouble::refused("there is no login")) };
        let rejected = stale.as_ref().is_some_and(|s| *s == current.tokens.access);
        let freshness = current.record.freshness(unix_ms());
        let paused = current.paused.is_some_and(|since| since.elapsed() < PAUSE);
        if !rejected && (freshness == Freshness::Fresh || (freshness == Freshness::Ageing && paused)) {
            return Ok(current.clone());
        }
        match self.renew(stale.filter(|_| rejected)).await {
            Ok(renewed) => {
                *now = Some(renewed.clone());
                Ok(renewed)
            }
            Err(why) if why.kind != Kind::Ended && !rejected && freshness == Freshness::Ageing => {
                tracing::debug!(error = %why, "the login could not be renewed; its token still works");
                current.paused = Some(Instant::now());
                Ok(current.clone())
            }
            Err(why) => {
                // Next time, what is stored by then counts.
                *now = None;
                Err(why)
            }
        }
    }

    /// A token that nobody has refused yet: another process's, or a new one.
    async fn renew(&self, rejected: Option<Secret>) -> Result<Current, Trouble> {
        let store = self.store.clone();
        let (hold, found) = blocking(move || {
            let hold = store.hold()?;
            let found = load(&store)?;
            Ok::<_, Failure>((hold, found))
        })
        .await
        .map_err(stored)?;
        let found = found?;
        self.learn(&found.tokens);
        let now = unix_ms();
        let usable = match rejected {
            Some(token) => found.tokens.access != token,
            None => found.record.freshness(now) == Freshness::Fresh,
        };
        if usable {
            return Ok(found);
        }
        if let Some(wait) = found.record.retry_at.and_then(|at| at.checked_sub(now)).filter(|w| (1..LONGEST_WAIT_MS).contains(w)) {
            let mut trouble = Trouble::passing("the server wants no renewal yet");
            trouble.retry_after = Some(Duration::from_millis(wait));
            return Err(trouble);
        }
        let Current { record, tokens, .. } = found;
        let Some(refresh) = tokens.refresh.clone() else {
            let why = "its token has ended, and the server gave none to renew it with";
            return Err(self.ended(hold, record, Trouble::new(Kind::Ended, why)).await);
        };
        tracing::debug!(provider = record.provider, "renewing the login");
        match self.refresh(&refresh, &record.token_url).await {
            Ok(grant) => self.took(hold, record, tokens, grant).await,
            Err(why) if why.kind == Kind::Ended => Err(self.ended(hold, record, why).await),
            Err(why) => {
                if let Some(pause) = why.retry_after {
                    let noted = Record { retry_at: Some(unix_ms().saturating_add(clock::millis(pause))), ..record };
                    self.write(hold, move |store, hold| store.save_record(hold, &noted)).await;
                }
                Err(why)
            }
        }
    }

    async fn refresh(&self, refresh: &Secret, token_url: &str) -> Result<Grant, Trouble> {
        let speaker = self.client.speaker(token_url)?;
        let token = RefreshToken::new(refresh.expose().to_owned());
        let mut request = speaker.exchange_refresh_token(&token);
        for (name, value) in &self.oauth.token_params {
            request = request.add_extra_param(name.as_str(), value.as_str());
        }
        let send = self.transport.speaks(self.oauth.token_body, Refusals::Errors);
        let grant: Grant = request.request_async(&send).await.map_err(failed)?;
        self.transport.learn(&grant);
        Ok(grant)
    }

    /// Stores what a refresh brought.
    async fn took(&self, hold: Held, old: Record, old_tokens: Tokens, grant: Grant) -> Result<Current, Trouble> {
        let now = unix_ms();
        // Absent, the old one stays good.
        let refresh = grant.refresh().map(Secret::new).or_else(|| old_tokens.refresh.clone());
        let fresh = grant.access().map(Secret::new);
        let record = match &fresh {
            Some(_) => Record { obtained_at: now, expires_at: grant.expires_at(now), retry_at: None, serial: old.serial + 1, ..old },
            None => old,
        };
        let tokens = Tokens { access: fresh.clone().unwrap_or_else(|| old_tokens.access.clone()), refresh };
        let (noted, kept) = (record.clone(), tokens.clone());
        self.write(hold, move |store, hold| store.save(hold, &noted, &kept)).await;
        match fresh {
            Some(_) => Ok(Current { record, tokens, paused: None }),
            None => Err(Trouble::passing("the server renewed it without an access token")),
        }
    }

    /// Stores that the login is over, and says so.
    async fn ended(&self, hold: Held, record: Record, why: Trouble) -> Trouble {
        let over = Record { ended: Some(Ended { why: why.message.clone(), at: unix_ms() }), ..record };
        self.write(hold, move |store, hold| store.end(hold, &over)).await;
        why
    }

    /// A write that fails costs other processes their login, not this one its work.
    async fn write(&self, hold: Held, change: impl FnOnce(&Store, &Held) -> Result<(), Failure> + Send + 'static) {
        let store = self.store.clone();
        if let Err(error) = blocking(move || change(&store, &hold)).await {
            tracing::warn!(%error, "the login of {} could not be stored", self.oauth.provider);
        }
    }

    fn learn(&self, tokens: &Tokens) {
        self.transport.redactor.learn("access_token", tokens.access.expose());
        if let Some(refresh) = &tokens.refresh {
            self.transport.redactor.learn("refresh_token", refresh.expose());
        }
    }
}

/// What is stored: a login that can be used, or why there is none.
fn load(store: &Store) -> Result<Result<Current, Trouble>, Failure> {
    let Some(record) = store.record()? else { return Ok(Err(Trouble::new(Kind::Ended, "you are logged out"))) };
    if let Some(ended) = &record.ended {
        return Ok(Err(Trouble::new(Kind::Ended, format!("it has ended ({})", ended.why))));
    }
    Ok(match store.tokens()? {
        Some(tokens) => Ok(Current { record, tokens, paused: None }),
        None => Err(Trouble::new(Kind::Ended, "its tokens are gone from where they were kept")),
    })
}

/// The store's own failures concern this machine; the grant may be as good as ever.
fn stored(failure: Failure) -> Trouble {
    Trouble::refused(match failure.hint {
        Some(hint) => format!("{} ({hint})", failure.message),
        None => failure.message,
    })
}

/// Files and keyrings make one wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Failure::internal("a blocking task was cut off")))
}
