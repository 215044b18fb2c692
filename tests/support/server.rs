//! A scripted OpenAI server on 127.0.0.1 that records each request and fails the test when one breaks an invariant.
//!
//! It answers `POST */chat/completions` and `POST */responses` from a script (one reply a request) or from a closure over the request; a closure
//! that looks only at [`Request::turn`] gives a retried request the answer that it would have had. `GET */models` lists
//! one model. Anything else is 404 and recorded under [`Server::others`].

use super::http::{self, BodyWriter, Framing, RawRequest};
use super::invariant;
use super::reply::{Api, Ask, Cut, End, Reply};
use super::request::api;
pub use super::request::{Request, assert_stable_prefix};
use super::responses;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The model that the server lists.
pub const MODEL: &str = "mock-model";

enum Source {
    Script(VecDeque<Reply>),
    Responder(Box<dyn FnMut(&Request) -> Reply + Send>),
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    others: Vec<RawRequest>,
    violations: Vec<String>,
    /// Numbers of the requests whose client left before it had the whole answer.
    hangups: Vec<usize>,
    open: Vec<(usize, TcpStream)>,
    connections: usize,
    stopped: bool,
}

struct Shared {
    source: Mutex<Source>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    /// A thread that failed while it held the lock has already recorded why.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn complain(&self, what: String) {
        self.state().violations.push(what);
        self.changed.notify_all();
    }

    /// Waits, but not beyond the server's end. False when it came.
    fn pause(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut state = self.state();
        while !state.stopped {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        false
    }
}

/// The server. Ends with the value; violations that nobody took by then fail the test.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
    judged: bool,
}

impl Server {
    /// The n-th request gets the n-th reply. More requests than replies, or fewer, fail the test.
    pub fn script(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::start(Source::Script(replies.into_iter().collect()))
    }

    /// Each request gets what the closure says.
    pub fn respond(with: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        Self::start(Source::Responder(Box::new(with)))
    }

    /// A task in turns: a request with k tool results gets `replies[k]`, however often it is sent.
    pub fn turns(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::start(Self::turn_source(replies))
    }

    fn turn_source(replies: impl IntoIterator<Item = Reply>) -> Source {
        let replies: Vec<Reply> = replies.into_iter().collect();
        Source::Responder(Box::new(move |request| {
            let after_the_last = || Reply::error(400, "script_over", &format!("turn {} is not in the script", request.turn()));
            replies.get(request.turn()).cloned().unwrap_or_else(after_the_last)
        }))
    }

    /// The same as [`Self::turns`] on a port that somebody else chose, see [`Refusing`].
    pub fn turns_on(listener: TcpListener, replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::start_on(listener, Self::turn_source(replies))
    }

    fn start(source: Source) -> Self {
        Self::start_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on 127.0.0.1"), source)
    }

    fn start_on(listener: TcpListener, source: Source) -> Self {
        let address = listener.local_addr().expect("the port's number");
        let shared = Arc::new(Shared { source: Mutex::new(source), state: Mutex::default(), changed: Condvar::new() });
        let accept = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept(&listener, &shared))
        };
        Self { address, shared, listener: Some(accept), judged: false }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client takes as its base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The chat requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// What else was asked for: `GET /v1/models` and whatever is unknown here.
    pub fn others(&self) -> Vec<RawRequest> {
        self.shared.state().others.clone()
    }

    /// The numbers of the requests whose client hung up before the answer's end.
    pub fn hangups(&self) -> Vec<usize> {
        self.shared.state().hangups.clone()
    }

    /// Waits until this many chat requests have come.
    #[track_caller]
    pub fn wait_for(&self, requests: usize) {
        self.wait_until(&format!("{requests} requests"), |state| state.requests.len() >= requests);
    }

    /// Waits until a client has hung up on request `number`.
    #[track_caller]
    pub fn wait_for_hangup(&self, number: usize) {
        self.wait_until(&format!("a hang-up on request {number}"), |state| state.hangups.contains(&number));
    }

    #[track_caller]
    fn wait_until(&self, what: &str, there: impl Fn(&State) -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        let mut state = self.shared.state();
        while !there(&state) {
            let left = until.saturating_duration_since(Instant::now());
            let (count, failed) = (state.requests.len(), state.violations.clone());
            assert!(!left.is_zero(), "the scripted server saw no {what} in 30 s; {count} requests came; violations: {failed:?}");
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// What was wrong so far, taken out: the test itself answers for it.
    pub fn take_violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.shared.state().violations)
    }

    /// Ends the server; fails on any violation or on replies that nobody asked for; else hands over the requests.
    #[track_caller]
    pub fn finish(mut self) -> Vec<Request> {
        self.stop();
        self.judge();
        std::mem::take(&mut self.shared.state().requests)
    }

    fn stop(&mut self) {
        let Some(listener) = self.listener.take() else { return };
        self.shared.state().stopped = true;
        self.shared.changed.notify_all();
        // Wakes the listener, which looks at `stopped` before it serves anybody.
        drop(TcpStream::connect(self.address));
        let _ = listener.join();
        for (_, stream) in self.shared.state().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    #[track_caller]
    fn judge(&mut self) {
        if std::mem::replace(&mut self.judged, true) {
            return;
        }
        let mut found = self.take_violations();
        if let Source::Script(rest) = &*self.shared.source.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
            && !rest.is_empty()
        {
            found.push(format!("the script has {} more replies that nobody asked for", rest.len()));
        }
        assert!(found.is_empty(), "the scripted server objects:\n  {}", found.join("\n  "));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if !thread::panicking() {
            self.judge();
        }
    }
}

/// A port of this machine that is taken, and refuses every connection until [`Refusing::listen`].
pub struct Refusing(tokio::net::TcpSocket);

impl Refusing {
    pub fn new() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port on 127.0.0.1");
        Self(socket)
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.0.local_addr().expect("the port's number"))
    }

    /// Takes connections from now on.
    pub fn listen(self) -> TcpListener {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let _inside = runtime.enter();
        let listener = self.0.listen(64).and_then(tokio::net::TcpListener::into_std).expect("a listening socket");
        listener.set_nonblocking(false).expect("a blocking socket");
        listener
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let mut state = shared.state();
        if state.stopped {
            return;
        }
        let Ok(stream) = stream else { continue };
        let number = state.connections;
        state.connections += 1;
        if let Ok(clone) = stream.try_clone() {
            state.open.push((number, clone));
        }
        drop(state);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let served = serve(stream, number, &shared);
            // The clone kept for `stop` would hold the connection open.
            shared.state().open.retain(|(n, _)| *n != number);
            match served {
                Err(e) if e.kind() == io::ErrorKind::InvalidData => shared.complain(format!("connection {number}: not HTTP: {e}")),
                // Anything else is a client that left, which a test sees in `hangups` where it matters.
                _ => {}
            }
        });
    }
}

enum Next {
    KeepAlive,
    Close,
    /// The last holder of the socket closes it, and only that: a shutdown before would turn the abort into an orderly end.
    Abort,
}

fn serve(mut stream: TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(raw) = http::read_request(&mut reader)? {
        let last = raw.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
        let next = if raw.method == "POST" && api(&raw.path).is_some() {
            let (request, reply) = take(raw, connection, shared);
            let number = request.number;
            answer(&mut stream, &request, &reply, shared).inspect_err(|_| {
                shared.state().hangups.push(number);
                shared.changed.notify_all();
            })?
        } else {
            let reply = other(&raw);
            shared.state().others.push(raw);
            send(&mut stream, &reply, &[reply.pieces(&NO_ASK).0.concat()], None, shared)?
        };
        match next {
            Next::KeepAlive if !last => {}
            Next::KeepAlive | Next::Close => break,
            Next::Abort => return Ok(()),
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
    Ok(())
}

const NO_ASK: Ask<'static> = Ask { api: Api::Chat, model: MODEL, stream: false, usage: false, turn: 0 };

fn other(raw: &RawRequest) -> Reply {
    if raw.method == "GET" && raw.path.ends_with("/models") {
        let list = json!({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "test"}]});
        return Reply::plain(200, "application/json", list.to_string());
    }
    Reply::error(404, "not_found", &format!("no such path here: {} {}", raw.method, raw.path))
}

/// Records a request and chooses its reply, one request at a time: who sees the request knows that its reply is taken.
fn take(raw: RawRequest, connection: usize, shared: &Shared) -> (Request, Reply) {
    let mut source = shared.source.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let number = shared.state().requests.len();
    let mut wrong = Vec::new();
    let body: Value = serde_json::from_slice(&raw.body).unwrap_or_else(|e| {
        wrong.push(format!("the body is not JSON: {e}"));
        Value::Null
    });
    if !body.is_null() {
        wrong.extend(match api(&raw.path) {
            Some(Api::Responses) => responses::broken(&body),
            Some(Api::Chat) | None => invariant::broken(&body),
        });
    }
    if !raw.header("content-type").is_some_and(|v| v.starts_with("application/json")) {
        wrong.push("its content-type is not application/json".to_owned());
    }
    let request = Request { number, connection, path: raw.path, headers: raw.headers, raw: raw.body, body };
    let reply = choose(&mut source, &request).unwrap_or_else(|what| {
        wrong.push(what);
        Reply::error(400, "script_over", "the test has no reply for this request")
    });
    let mut state = shared.state();
    state.violations.extend(wrong.into_iter().map(|what| format!("request {number}: {what}")));
    state.requests.push(request.clone());
    shared.changed.notify_all();
    (request, reply)
}

/// The reply, or what is to be held against the test.
fn choose(source: &mut Source, request: &Request) -> Result<Reply, String> {
    match source {
        Source::Script(replies) => replies.pop_front().ok_or_else(|| "the script has no reply for it".to_owned()),
        Source::Responder(with) => {
            // A closure that asserts must fail the test, not only this thread.
            let called = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| with(request)));
            called.map_err(|payload| {
                let said = payload.downcast_ref::<String>().cloned().or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                format!("the responder failed: {}", said.unwrap_or_default())
            })
        }
    }
}

fn answer(stream: &mut TcpStream, request: &Request, reply: &Reply, shared: &Shared) -> io::Result<Next> {
    let ask = Ask {
        api: request.api(),
        model: request.body["model"].as_str().unwrap_or_default(),
        stream: request.body["stream"] == true,
        usage: request.body["stream_options"]["include_usage"] == true,
        turn: request.turn(),
    };
    let (pieces, content_type) = reply.pieces(&ask);
    send(stream, reply, &pieces, content_type, shared)
}

fn send(stream: &mut TcpStream, reply: &Reply, pieces: &[Vec<u8>], content_type: Option<&str>, shared: &Shared) -> io::Result<Next> {
    if !shared.pause(reply.first_byte_after) {
        return Ok(Next::Close);
    }
    let mut headers = reply.headers.clone();
    if let Some(kind) = content_type
        && !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("content-type"))
    {
        headers.insert(0, ("content-type".to_owned(), kind.to_owned()));
    }
    if reply.close_after && reply.framing != Framing::UntilClose {
        headers.push(("connection".to_owned(), "close".to_owned()));
    }
    let whole = pieces.iter().map(Vec::len).sum();
    let mut body = BodyWriter::begin(stream, reply.status, &headers, reply.framing, whole)?;
    let mut left = match reply.end {
        End::CutAt(bytes, _) => bytes,
        End::CutHalf(_) => whole / 2,
        End::Whole | End::StallAfter(_) => usize::MAX,
    };
    for (i, piece) in pieces.iter().enumerate() {
        if reply.end == End::StallAfter(i) {
            break;
        }
        if i > 0 && !shared.pause(reply.delay_each) {
            return Ok(Next::Close);
        }
        let (now, later) = piece.split_at(left.min(piece.len()));
        body.piece(now)?;
        left -= now.len();
        if !later.is_empty() {
            break;
        }
    }
    match reply.end {
        End::Whole => {
            body.end()?;
            let close = reply.close_after || reply.framing == Framing::UntilClose;
            Ok(if close { Next::Close } else { Next::KeepAlive })
        }
        End::CutAt(_, Cut::Close) | End::CutHalf(Cut::Close) => Ok(Next::Close),
        End::CutAt(_, Cut::Reset) | End::CutHalf(Cut::Reset) => {
            reset(stream)?;
            Ok(Next::Abort)
        }
        End::StallAfter(_) => {
            wait_for_client(stream)?;
            Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the client gave up on a stalled answer"))
        }
    }
}

/// Makes the close of this connection an abort. The standard library cannot ask for that yet; tokio's socket type can.
pub(super) fn reset(stream: &TcpStream) -> io::Result<()> {
    tokio::net::TcpSocket::from_std_stream(stream.try_clone()?).set_zero_linger()
}

/// Returns when the client is gone, or the server ends.
pub(super) fn wait_for_client(stream: &mut TcpStream) -> io::Result<()> {
    stream.flush()?;
    let mut buffer = [0; 512];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
    Ok(())
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
