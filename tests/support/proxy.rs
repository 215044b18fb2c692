//! A proxy on 127.0.0.1: HTTP (both forms: `CONNECT` and whole addresses) or SOCKS 5. It notes what it was asked for and
//! leads everything to one server, whatever the name.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct Proxy {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Http,
    Socks5,
}

impl Proxy {
    pub fn http(to: SocketAddr) -> Self {
        Self::start(Kind::Http, to)
    }

    pub fn socks5(to: SocketAddr) -> Self {
        Self::start(Kind::Socks5, to)
    }

    /// The head of each connection's first request; for SOCKS, `host:port`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn start(kind: Kind, to: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on 127.0.0.1");
        let address = listener.local_addr().expect("the port's number");
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                thread::spawn(move || {
                    let _ = match kind {
                        Kind::Http => http(stream, to, &kept),
                        Kind::Socks5 => socks5(stream, to, &kept),
                    };
                });
            }
        });
        Self { address, asked }
    }
}

fn http(mut client: TcpStream, to: SocketAddr, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    asked.lock().unwrap().push(text.clone());
    let mut server = TcpStream::connect(to)?;
    if text.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        server.write_all(&head)?;
    }
    both_ways(client, server)
}

fn socks5(mut client: TcpStream, to: SocketAddr, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut hello = [0; 2];
    client.read_exact(&mut hello)?;
    let mut methods = vec![0; usize::from(hello[1])];
    client.read_exact(&mut methods)?;
    client.write_all(&[5, 0])?;
    let mut request = [0; 5];
    client.read_exact(&mut request)?;
    assert_eq!(request[3], 3, "the name is to be looked up by the proxy");
    let mut name = vec![0; usize::from(request[4])];
    client.read_exact(&mut name)?;
    let mut port = [0; 2];
    client.read_exact(&mut port)?;
    asked.lock().unwrap().push(format!("{}:{}", String::from_utf8_lossy(&name), u16::from_be_bytes(port)));
    let server = TcpStream::connect(to)?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])?;
    both_ways(client, server)
}

fn both_ways(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let (mut up_from, mut up_to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut up_from, &mut up_to);
        let _ = up_to.shutdown(std::net::Shutdown::Write);
    });
    let (mut down_from, mut down_to) = (server, client);
    io::copy(&mut down_from, &mut down_to)?;
    down_to.shutdown(std::net::Shutdown::Both)
}
