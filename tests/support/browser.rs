//! What a browser does in a login, as far as a test needs it: gets an address, follows no redirect by itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A page.
#[derive(Debug, Clone)]
pub struct Page {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Page {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Everything of it, for searching.
    pub fn text(&self) -> String {
        format!("{:?}\n{}", self.headers, self.body)
    }
}

/// GETs an `http` address of this machine; an error where nobody listens or the connection breaks.
pub fn get(url: &str) -> std::io::Result<Page> {
    request("GET", url, &[])
}

/// The same with any method and further headers, which may replace `host`.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> std::io::Result<Page> {
    let url = reqwest::Url::parse(url).expect("an address");
    let port = url.port().expect("a port");
    // Callbacks name `localhost`; which of its addresses that is differs from machine to machine.
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let target = url.query().map_or_else(|| url.path().to_owned(), |q| format!("{}?{q}", url.path()));
    let mut head = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\naccept: text/html\r\n");
    if !headers.iter().any(|(n, _)| *n == "host") {
        head += &format!("host: {}:{port}\r\n", url.host_str().unwrap_or_default());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let mut headers = Vec::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_lowercase(), value.trim().to_owned()));
        }
    }
    let mut body = Vec::new();
    reader.read_to_end(&mut body)?;
    Ok(Page { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Opens the address of a login, where the user agrees at once, and returns what it redirects to.
#[track_caller]
pub fn agree(authorize: &str) -> String {
    let page = get(authorize).expect("the provider's page");
    assert_eq!(page.status, 302, "the provider did not agree: {}", page.body);
    page.header("location").expect("a redirect has an address").to_owned()
}
