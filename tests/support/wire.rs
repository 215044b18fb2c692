//! A scripted server for any wire: it answers with bytes that a test has, and does not look into requests but for how far
//! a task has come. [`super::Server`] knows Chat Completions and checks them; here the tests do that.

use super::http::{self, BodyWriter, Framing, RawRequest};
use super::reply::Cut;
use super::server;
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server sends for one request.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub end: End,
}

/// What happens after the last byte that is to be sent.
#[derive(Clone, Copy)]
pub enum End {
    Whole,
    /// So many bytes of the body arrive, then the connection dies.
    CutAt(usize, Cut),
    /// So many bytes arrive, then nothing, on an open connection.
    StallAt(usize),
}

impl Answer {
    /// A good stream.
    pub fn stream(body: Vec<u8>) -> Self {
        Self { status: 200, headers: vec![("content-type".into(), "text/event-stream".into())], body, end: End::Whole }
    }

    /// A JSON body.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type".into(), "application/json".into())], body: body.into(), end: End::Whole }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn end(self, end: End) -> Self {
        Self { end, ..self }
    }
}

/// A server that keeps what it was asked. It ends with the test.
pub struct WireServer {
    port: u16,
    seen: Arc<Mutex<Vec<RawRequest>>>,
}

impl WireServer {
    /// `turn` tells from a request how many tool results it has; `answer` what a request with so many gets.
    pub fn new(turn: fn(&RawRequest) -> usize, mut answer: impl FnMut(usize) -> Answer + Send + 'static) -> Self {
        Self::asked(move |request| answer(turn(request)))
    }

    /// One that answers by the whole request.
    pub fn asked(answer: impl FnMut(&RawRequest) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on 127.0.0.1");
        let port = listener.local_addr().expect("the port's number").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&seen), Arc::new(Mutex::new(answer)));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    let mut reader = BufReader::new(stream.try_clone().expect("the stream's other half"));
                    while let Ok(Some(request)) = http::read_request(&mut reader) {
                        let reply = (answer.lock().expect("no answer failed"))(&request);
                        kept.lock().expect("nobody failed").push(request);
                        if send(&mut stream, &reply).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { port, seen }
    }

    /// The same request twice gets its fault first, and what is right from then on.
    pub fn once_spoilt(turn: fn(&RawRequest) -> usize, right: Vec<Answer>, spoil: fn(Answer) -> Answer) -> Self {
        let mut spoilt = std::collections::HashSet::new();
        Self::new(turn, move |turn| if spoilt.insert(turn) { spoil(right[turn].clone()) } else { right[turn].clone() })
    }

    /// Up to, and without, any path.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn requests(&self) -> Vec<RawRequest> {
        self.seen.lock().expect("nobody failed").clone()
    }
}

fn send(stream: &mut TcpStream, reply: &Answer) -> io::Result<()> {
    if matches!(reply.end, End::Whole) {
        let mut body = BodyWriter::begin(stream, reply.status, &reply.headers, Framing::Chunked, reply.body.len())?;
        body.piece(&reply.body)?;
        return body.end();
    }
    let (End::CutAt(at, _) | End::StallAt(at)) = reply.end else { return Ok(()) };
    let mut body = BodyWriter::begin(stream, reply.status, &reply.headers, Framing::Length, reply.body.len())?;
    body.piece(&reply.body[..at])?;
    stream.flush()?;
    match reply.end {
        End::StallAt(_) => server::wait_for_client(stream)?,
        // The last holder of the socket closes it, and only that: a shutdown before would turn the abort into an orderly end.
        End::CutAt(_, Cut::Reset) => server::reset(stream)?,
        End::CutAt(_, Cut::Close) | End::Whole => stream.shutdown(Shutdown::Both)?,
    }
    Err(io::ErrorKind::ConnectionAborted.into())
}
