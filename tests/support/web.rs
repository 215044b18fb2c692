//! A plain server on 127.0.0.1 that answers each request by a closure and keeps what it was asked. It ends with the test.

use super::http::{self, BodyWriter, Framing, RawRequest};
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the server sends for one request.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection is cut behind this many bytes.
    pub cut: Option<usize>,
}

impl Answer {
    pub fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), kind.to_owned())], body: body.into(), cut: None }
    }

    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn cut(self, at: usize) -> Self {
        Self { cut: Some(at), ..self }
    }
}

pub struct Web {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<RawRequest>>>,
}

impl Web {
    pub fn new(answer: impl FnMut(&RawRequest) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on 127.0.0.1");
        let address = listener.local_addr().expect("the port's number");
        let seen = Arc::<Mutex<Vec<RawRequest>>>::default();
        let (kept, answer) = (Arc::clone(&seen), Arc::new(Mutex::new(answer)));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().expect("the same socket"));
                    while let Ok(Some(request)) = http::read_request(&mut reader) {
                        let reply = (answer.lock().unwrap())(&request);
                        kept.lock().unwrap().push(request);
                        if send(&stream, &reply).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// `http://127.0.0.1:PORT`, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> Vec<RawRequest> {
        self.seen.lock().unwrap().clone()
    }
}

fn send(mut stream: &TcpStream, reply: &Answer) -> io::Result<()> {
    let Some(cut) = reply.cut else {
        let mut body = BodyWriter::begin(&mut stream, reply.status, &reply.headers, Framing::Chunked, reply.body.len())?;
        body.piece(&reply.body)?;
        return body.end();
    };
    let mut body = BodyWriter::begin(&mut stream, reply.status, &reply.headers, Framing::Length, reply.body.len())?;
    body.piece(&reply.body[..cut])?;
    stream.flush()?;
    stream.shutdown(Shutdown::Both)
}
