//! A scripted authorisation server on 127.0.0.1: it checks PKCE, rotates refresh tokens, ends a login whose old refresh
//! token is used again, and goes wrong where it is told to. It records every request.
//!
//! All its tokens begin with `canary-`, so that a test can look for them where they do not belong.

use super::http::{self, BodyWriter, Framing, RawRequest};
use super::reply::Reply;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::BufReader;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How a request goes wrong: the reply instead of the right one, and how often.
struct Fault {
    path: &'static str,
    grant: Option<&'static str>,
    reply: Reply,
    times: usize,
}

#[derive(Default)]
struct State {
    requests: Vec<RawRequest>,
    /// Code: challenge, redirect address.
    codes: HashMap<String, (String, String)>,
    /// Refresh token: whether it is still good.
    refresh: HashMap<String, bool>,
    /// Access token: whether it is still good.
    access: HashMap<String, bool>,
    count: usize,
    faults: Vec<Fault>,
    /// How long a token lasts, in seconds.
    lifetime: u64,
    /// Whether `expires_in` is in answers.
    silent_lifetime: bool,
    /// Devices: polls that are answered "not yet", and what then.
    pending: usize,
    denied: bool,
    /// What is added to each token answer.
    extra: Map<String, Value>,
    rotates: bool,
    /// How long the token endpoint takes.
    delay: Duration,
    project: Option<Value>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The server. It lives as long as the test's process.
#[derive(Clone)]
pub struct Authority {
    port: u16,
    shared: Arc<Shared>,
}

impl Authority {
    pub fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on 127.0.0.1");
        let port = listener.local_addr().expect("the port's number").port();
        let state = State { lifetime: 3600, rotates: true, ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let server = Self { port, shared };
        let accepting = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = accepting.clone();
                thread::spawn(move || server.serve(&stream));
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each request to `path` (with this `grant_type`, if one is named) gets `reply` this many times.
    pub fn goes_wrong(&self, path: &'static str, grant: Option<&'static str>, reply: Reply, times: usize) -> &Self {
        self.state().faults.push(Fault { path, grant, reply, times });
        self
    }

    pub fn mend(&self) {
        self.state().faults.clear();
    }

    pub fn lifetime(&self, seconds: u64) -> &Self {
        self.state().lifetime = seconds;
        self
    }

    pub fn says_no_lifetime(&self) -> &Self {
        self.state().silent_lifetime = true;
        self
    }

    pub fn keeps_refresh_tokens(&self) -> &Self {
        self.state().rotates = false;
        self
    }

    pub fn delay(&self, delay: Duration) -> &Self {
        self.state().delay = delay;
        self
    }

    /// So many polls of a device are answered "not yet".
    pub fn pending(&self, polls: usize) -> &Self {
        self.state().pending = polls;
        self
    }

    pub fn device_denied(&self) -> &Self {
        self.state().denied = true;
        self
    }

    pub fn answers_with(&self, extra: Value) -> &Self {
        let Value::Object(extra) = extra else { panic!("an object") };
        self.state().extra = extra;
        self
    }

    /// The account's cloud project; without one it has to be made.
    pub fn project(&self, project: Value) -> &Self {
        self.state().project = Some(project);
        self
    }

    /// No access token that was given out is good any more, whatever its lifetime says.
    pub fn revoke_access(&self) {
        self.state().access.values_mut().for_each(|good| *good = false);
    }

    /// Whether a model server would take this `authorization` header.
    pub fn accepts(&self, authorization: Option<&str>) -> bool {
        let token = authorization.and_then(|a| a.strip_prefix("Bearer ")).unwrap_or_default();
        self.state().access.get(token) == Some(&true)
    }

    /// Every token that was ever given out.
    pub fn canaries(&self) -> Vec<String> {
        let state = self.state();
        state.refresh.keys().chain(state.access.keys()).chain(state.codes.keys()).cloned().collect()
    }

    pub fn requests(&self) -> Vec<RawRequest> {
        self.state().requests.clone()
    }

    /// The bodies of requests to the token endpoint with this grant type, in order.
    pub fn grants(&self, grant: &str) -> Vec<Map<String, Value>> {
        let all = self.requests();
        let tokens = all.iter().filter(|r| path_of(r) == "/token");
        tokens.map(fields).filter(|f| f.get("grant_type").and_then(Value::as_str) == Some(grant)).collect()
    }

    /// The requests to a path.
    pub fn to(&self, path: &str) -> Vec<RawRequest> {
        self.requests().into_iter().filter(|r| path_of(r) == path).collect()
    }

    /// Waits until a request to `path` has come.
    #[track_caller]
    pub fn wait_for(&self, path: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        let mut state = self.state();
        while !state.requests.iter().any(|r| path_of(r) == path) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no request to {path} in 30 s");
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn serve(&self, stream: &TcpStream) {
        let Ok(clone) = stream.try_clone() else { return };
        let mut reader = BufReader::new(clone);
        while let Ok(Some(request)) = http::read_request(&mut reader) {
            let (fault, delay) = self.take(&request);
            thread::sleep(delay);
            let reply = fault.unwrap_or_else(|| self.answer(&request));
            thread::sleep(reply.first_byte_after);
            let (pieces, kind) =
                reply.pieces(&super::reply::Ask { api: super::reply::Api::Chat, model: "", stream: false, usage: false, turn: 0 });
            let body = pieces.concat();
            let mut headers = reply.headers.clone();
            headers.extend(kind.map(|k| ("content-type".to_owned(), k.to_owned())));
            let mut to = stream;
            let sent = BodyWriter::begin(&mut to, reply.status, &headers, Framing::Length, body.len())
                .and_then(|mut w| w.piece(&body).and_then(|()| w.end()));
            if sent.is_err() || request.header("connection") == Some("close") {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
    }

    fn take(&self, request: &RawRequest) -> (Option<Reply>, Duration) {
        let mut state = self.state();
        state.requests.push(request.clone());
        self.shared.changed.notify_all();
        let grant = fields(request).get("grant_type").and_then(Value::as_str).map(str::to_owned);
        let at = path_of(request);
        let fits = |f: &&mut Fault| f.times > 0 && f.path == at && f.grant.is_none_or(|g| grant.as_deref() == Some(g));
        let fault = state.faults.iter_mut().find(fits).map(|f| {
            f.times -= 1;
            f.reply.clone()
        });
        let delay = if at == "/token" { state.delay } else { Duration::ZERO };
        (fault, delay)
    }

    fn answer(&self, request: &RawRequest) -> Reply {
        match path_of(request) {
            "/authorize" => self.authorize(request),
            "/token" => self.token(&fields(request)),
            "/revoke" => self.revoke(&fields(request)),
            "/device" => ok(&json!({"device_code": "canary-device-code", "user_code": "WDJB-MJHT", "interval": 1,
                "verification_uri": self.url("/activate"), "verification_uri_complete": self.url("/activate?user_code=WDJB-MJHT"), "expires_in": 60})),
            "/codex/usercode" => ok(&json!({"device_auth_id": "canary-device-auth", "usercode": "ABCD-1234", "interval": "1"})),
            "/codex/token" => self.codex(&fields(request)),
            "/userinfo" if self.accepts(request.header("authorization")) => ok(&json!({"id": "1234567", "email": "me@example.com"})),
            "/v1internal:loadCodeAssist" if self.accepts(request.header("authorization")) => match &self.state().project {
                Some(project) => ok(&json!({"currentTier": {"id": "free-tier"}, "cloudaicompanionProject": project})),
                None => ok(&json!({"allowedTiers": [{"id": "free-tier", "isDefault": true}]})),
            },
            "/v1internal:onboardUser" => {
                ok(&json!({"name": "operations/o-1", "done": true, "response": {"cloudaicompanionProject": {"id": "made-1"}}}))
            }
            _ => Reply::plain(404, "application/json", json!({"error": "not_found"}).to_string()),
        }
    }

    fn authorize(&self, request: &RawRequest) -> Reply {
        let q = query(request);
        let get = |name: &str| q.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if get("response_type") != "code" || get("code_challenge_method") != "S256" || get("state").len() < 40 {
            return Reply::plain(400, "text/plain", format!("a request without PKCE or state: {q:?}"));
        }
        let mut state = self.state();
        state.count += 1;
        let code = format!("canary-code-{}", state.count);
        state.codes.insert(code.clone(), (get("code_challenge"), get("redirect_uri")));
        let mut to = reqwest::Url::parse(&get("redirect_uri")).expect("a redirect address");
        to.query_pairs_mut().append_pair("code", &code).append_pair("state", &get("state"));
        Reply::plain(302, "text/plain", "").header("location", to.as_str())
    }

    fn token(&self, f: &Map<String, Value>) -> Reply {
        let get = |name: &str| f.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut state = self.state();
        match get("grant_type") {
            "authorization_code" => {
                let Some((challenge, redirect)) = state.codes.get(get("code")).cloned() else {
                    return refuse("invalid_grant", "no such code");
                };
                let hashed = URL_SAFE_NO_PAD.encode(Sha256::digest(get("code_verifier")));
                if hashed != challenge || redirect != get("redirect_uri") {
                    return refuse("invalid_grant", "PKCE or redirect address do not fit");
                }
                // A code is good once; its name stays, for `canaries`.
                state.codes.insert(get("code").to_owned(), (String::new(), String::new()));
                state.grant()
            }
            "refresh_token" => match state.refresh.get(get("refresh_token")).copied() {
                Some(true) => {
                    if state.rotates {
                        state.refresh.insert(get("refresh_token").to_owned(), false);
                    }
                    state.grant()
                }
                Some(false) => {
                    // Somebody has the token of somebody else: all of them end.
                    state.refresh.values_mut().for_each(|good| *good = false);
                    state.access.values_mut().for_each(|good| *good = false);
                    refuse("invalid_grant", "the refresh token was used before")
                }
                None => refuse("invalid_grant", "no such refresh token"),
            },
            "urn:ietf:params:oauth:grant-type:device_code" if get("device_code") == "canary-device-code" => {
                if state.denied {
                    return refuse("access_denied", "the user said no");
                }
                match state.pending {
                    0 => state.grant(),
                    n => {
                        state.pending = n - 1;
                        refuse("authorization_pending", "not yet")
                    }
                }
            }
            other => refuse("unsupported_grant_type", other),
        }
    }

    fn codex(&self, f: &Map<String, Value>) -> Reply {
        if f.get("device_auth_id").and_then(Value::as_str) != Some("canary-device-auth") {
            return Reply::plain(
                400,
                "application/json",
                json!({"error": {"code": "bad_request", "message": "no such device"}}).to_string(),
            );
        }
        let mut state = self.state();
        if state.pending > 0 {
            state.pending -= 1;
            return Reply::plain(if state.pending.is_multiple_of(2) { 403 } else { 404 }, "application/json", "{}");
        }
        let verifier = "canary-verifier-made-by-the-server-0123456789abcdef";
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        state.codes.insert("canary-code-device".into(), (challenge.clone(), self.url("/codex/callback")));
        ok(&json!({"authorization_code": "canary-code-device", "code_challenge": challenge, "code_verifier": verifier}))
    }

    fn revoke(&self, f: &Map<String, Value>) -> Reply {
        let token = f.get("token").and_then(Value::as_str).unwrap_or_default();
        let mut state = self.state();
        if let Some(good) = state.refresh.get_mut(token) {
            *good = false;
        }
        state.access.values_mut().for_each(|good| *good = false);
        Reply::plain(200, "application/json", "")
    }
}

impl State {
    fn grant(&mut self) -> Reply {
        self.count += 1;
        let (access, refresh) = (format!("canary-access-{:08}", self.count), format!("canary-refresh-{:08}", self.count));
        self.access.insert(access.clone(), true);
        let mut answer = json!({"access_token": access, "token_type": "Bearer"});
        if !self.silent_lifetime {
            answer["expires_in"] = self.lifetime.into();
        }
        let first = self.refresh.is_empty();
        if self.rotates || first || !self.refresh.values().any(|good| *good) {
            self.refresh.insert(refresh.clone(), true);
            answer["refresh_token"] = refresh.into();
        }
        for (name, value) in &self.extra {
            answer[name] = value.clone();
        }
        ok(&answer)
    }
}

fn ok(body: &Value) -> Reply {
    Reply::plain(200, "application/json; charset=utf-8", body.to_string())
}

fn refuse(code: &str, description: &str) -> Reply {
    Reply::plain(400, "application/json", json!({"error": code, "error_description": description}).to_string())
}

fn path_of(request: &RawRequest) -> &str {
    request.path.split('?').next().unwrap_or_default()
}

fn query(request: &RawRequest) -> Map<String, Value> {
    pairs(request.path.split_once('?').map_or("", |(_, q)| q))
}

fn pairs(text: &str) -> Map<String, Value> {
    let mut url = reqwest::Url::parse("form:").expect("an address");
    url.set_query(Some(text));
    url.query_pairs().map(|(k, v)| (k.into_owned(), Value::String(v.into_owned()))).collect()
}

/// The fields of a body, which says itself whether it is JSON or a form.
pub fn fields(request: &RawRequest) -> Map<String, Value> {
    let body = String::from_utf8_lossy(&request.body);
    match request.header("content-type") {
        Some(kind) if kind.starts_with("application/json") => serde_json::from_str(&body).unwrap_or_default(),
        Some(kind) if kind.starts_with("application/x-www-form-urlencoded") => pairs(&body),
        _ => Map::new(),
    }
}

/// Code and state that the user is shown at the end, as on a provider's own page.
pub fn code_for(authorize: &str) -> (String, String) {
    let landed = reqwest::Url::parse(&super::browser::agree(authorize)).expect("an address");
    let get = |name: &str| landed.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned()).unwrap_or_default();
    (get("code"), get("state"))
}

/// A JWT with these claims, signed by nobody.
pub fn jwt(claims: &Value) -> String {
    let part = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
    format!("{}.{}.canary-signature", part(&json!({"alg": "none"})), part(claims))
}
