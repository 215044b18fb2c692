//! Just enough HTTP/1.1 for a scripted server: reading one request, writing one response that may go wrong on purpose.

use std::io::{self, BufRead, Read, Write};

/// The most that a request may hold, in bytes: a guard against a test that runs away.
const MAX_BODY: usize = 256 << 20;

/// A request as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawRequest {
    pub method: String,
    pub path: String,
    /// Names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl RawRequest {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Reads the next request of a connection; `None` when the client closed it between two.
pub fn read_request(from: &mut impl BufRead) -> io::Result<Option<RawRequest>> {
    let Some(first) = read_line(from)? else { return Ok(None) };
    let mut words = first.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(invalid(format!("not a request line: {first}")));
    };
    let mut request = RawRequest { method: method.to_owned(), path: path.to_owned(), ..RawRequest::default() };
    loop {
        let line = read_line(from)?.ok_or_else(|| invalid("the headers are cut off"))?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid(format!("not a header: {line}")))?;
        request.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    request.body = read_body(from, &request)?;
    Ok(Some(request))
}

fn read_body(from: &mut impl BufRead, request: &RawRequest) -> io::Result<Vec<u8>> {
    if request.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        let mut body = Vec::new();
        loop {
            let line = read_line(from)?.ok_or_else(|| invalid("the body is cut off"))?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16).map_err(invalid)?;
            let start = body.len();
            grow(&mut body, size)?;
            from.read_exact(&mut body[start..])?;
            let end = read_line(from)?;
            if end.as_deref() != Some("") {
                return Err(invalid("a chunk does not end where it says"));
            }
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = request.header("content-length").map_or(Ok(0), str::parse::<usize>).map_err(invalid)?;
    let mut body = Vec::new();
    grow(&mut body, length)?;
    from.read_exact(&mut body)?;
    Ok(body)
}

fn grow(body: &mut Vec<u8>, by: usize) -> io::Result<()> {
    if body.len().saturating_add(by) > MAX_BODY {
        return Err(invalid("the request is larger than any test needs"));
    }
    body.resize(body.len() + by, 0);
    Ok(())
}

fn read_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if from.take(64 << 10).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let text = String::from_utf8(line).map_err(invalid)?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// How the client learns where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Chunked,
    Length,
    /// By the end of the connection, so that a cut looks like an end.
    UntilClose,
}

/// Writes the body of one response, piece by piece, in its framing.
pub struct BodyWriter<'a, W: Write> {
    to: &'a mut W,
    framing: Framing,
}

impl<'a, W: Write> BodyWriter<'a, W> {
    /// Writes status line and headers. `length` is that of the whole body, whatever part of it will be sent.
    pub fn begin(to: &'a mut W, status: u16, headers: &[(String, String)], framing: Framing, length: usize) -> io::Result<Self> {
        let mut head = vec![format!("HTTP/1.1 {status} {}", reason(status))];
        head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        head.push(match framing {
            Framing::Chunked => "transfer-encoding: chunked".to_owned(),
            Framing::Length => format!("content-length: {length}"),
            Framing::UntilClose => "connection: close".to_owned(),
        });
        let head = head.join("\r\n") + "\r\n\r\n";
        to.write_all(head.as_bytes())?;
        Ok(Self { to, framing })
    }

    pub fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.framing == Framing::Chunked {
            // One write a chunk: the peer sees a frame whole, or not at all.
            let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
            chunk.extend_from_slice(bytes);
            chunk.extend_from_slice(b"\r\n");
            self.to.write_all(&chunk)
        } else {
            self.to.write_all(bytes)
        }
    }

    pub fn end(self) -> io::Result<()> {
        if self.framing == Framing::Chunked { self.to.write_all(b"0\r\n\r\n") } else { Ok(()) }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<Option<RawRequest>> {
        read_request(&mut io::Cursor::new(text.as_bytes()))
    }

    #[test]
    fn both_kinds_of_body_are_read_whole() {
        let plain = read("POST /v1/x HTTP/1.1\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabcREST").unwrap().unwrap();
        assert_eq!((plain.path.as_str(), plain.body.as_slice(), plain.header("x-a")), ("/v1/x", &b"abc"[..], Some("b")));
        let chunked = read("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n").unwrap().unwrap();
        assert_eq!(chunked.body, b"abc");
    }

    #[test]
    fn a_cut_request_is_an_error_and_a_closed_connection_is_not() {
        assert!(read("").unwrap().is_none());
        for cut in [
            "POST",
            "POST / HTTP/1.1\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
            "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        ] {
            assert!(read(cut).is_err(), "{cut:?}");
        }
    }

    #[test]
    fn a_response_is_framed_as_asked() {
        let write = |framing| {
            let mut out = Vec::new();
            let mut body = BodyWriter::begin(&mut out, 200, &[("a".into(), "b".into())], framing, 2).unwrap();
            body.piece(b"hi").unwrap();
            body.end().unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(write(Framing::Chunked), "HTTP/1.1 200 OK\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
        assert!(write(Framing::Length).ends_with("content-length: 2\r\n\r\nhi"));
        assert!(write(Framing::UntilClose).ends_with("connection: close\r\n\r\nhi"));
    }
}
