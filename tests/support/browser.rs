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
    request_with(method, url, headers, "")
}

fn request_with(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> std::io::Result<Page> {
    let url = reqwest::Url::parse(url).expect("an address");
    let port = url.port().expect("a port");
    // Callbacks name `localhost`; which of its addresses that is differs from machine to machine.
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let target = url.query().map_or_else(|| url.path().to_owned(), |q| format!("{}?{q}", url.path()));
    let host = format!("{}:{port}", url.host_str().unwrap_or_default());
    let own_host = [("host", host.as_str())].into_iter().filter(|_| !headers.iter().any(|(n, _)| *n == "host"));
    let all = own_host.chain([("connection", "close"), ("accept", "text/html")]).chain(headers.iter().copied());
    let head: Vec<String> = all.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    stream.write_all(format!("{method} {target} HTTP/1.1\r\n{}\r\n{body}", head.concat()).as_bytes())?;
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

/// A browser with cookies, for a provider that wants its forms filled in.
#[derive(Debug, Default)]
pub struct Session {
    cookies: std::collections::BTreeMap<String, String>,
}

impl Session {
    /// Gets an address, or posts a form to it, and follows redirects inside the provider. What leads to another port is
    /// returned: its address, and nothing was sent there.
    #[track_caller]
    pub fn visit(&mut self, url: &str, form: Option<&[(&str, &str)]>) -> Result<Page, String> {
        let mut url = reqwest::Url::parse(url).expect("an address");
        let mut body = form.map(encode);
        for _ in 0..20 {
            let cookies = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("; ");
            let page = send(&url, &cookies, body.take().as_deref()).expect("the provider answers");
            for (_, value) in page.headers.iter().filter(|(n, _)| n == "set-cookie") {
                let pair = value.split(';').next().unwrap_or_default();
                if let Some((name, value)) = pair.split_once('=') {
                    self.cookies.insert(name.trim().to_owned(), value.trim().to_owned());
                }
            }
            let Some(next) = page.header("location").filter(|_| (300..400).contains(&page.status)) else { return Ok(page) };
            let next = url.join(next).expect("an address");
            if next.port() != url.port() {
                return Err(next.into());
            }
            url = next;
        }
        panic!("redirects without end at {url}");
    }
}

fn encode(fields: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("form:").expect("an address");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

fn send(url: &reqwest::Url, cookies: &str, body: Option<&str>) -> std::io::Result<Page> {
    let length = body.map(|b| b.len().to_string()).unwrap_or_default();
    let mut headers = vec![("cookie", cookies)];
    if body.is_some() {
        headers.extend([("content-type", "application/x-www-form-urlencoded"), ("content-length", length.as_str())]);
    }
    request_with(if body.is_some() { "POST" } else { "GET" }, url.as_str(), &headers, body.unwrap_or_default())
}
