//! The callback: a server on this machine that lives as long as a login, answers one path, and believes only the state
//! that it was told.

use super::paste::{self, Said};
use super::{Trouble, flow, page};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// The most of a request that is read; browsers send a few hundred bytes.
const MAX_HEAD: usize = 16 * 1024;
/// How long a connection may take to send it: browsers open some ahead and say nothing.
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_CONNECTIONS: usize = 32;

/// A port that listens.
#[derive(Debug)]
pub struct Callback {
    listener: TcpListener,
    port: u16,
    path: String,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Code(String),
    Denied {
        error: String,
        description: String,
    },
    /// It has not the state of this login.
    Foreign,
    /// Neither a code nor an error.
    Empty,
    NotFound,
    NotGet,
    Malformed,
}

impl Callback {
    /// Takes the first port that is free; 0 is any. `None` where all of them are taken.
    pub async fn listen(ports: &[u16], path: &str) -> Result<Option<Self>, Trouble> {
        for port in ports {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).await {
                Ok(listener) => {
                    let port = listener.local_addr().as_ref().map_or(*port, SocketAddr::port);
                    return Ok(Some(Self { listener, port, path: path.to_owned() }));
                }
                Err(e) => tracing::debug!(port, error = %e, "cannot listen for the login's answer"),
            }
        }
        Ok(None)
    }

    /// The address to give to the provider. The name, not the number: that is what is registered.
    pub fn redirect_uri(&self) -> String {
        format!("http://localhost:{}{}", self.port, self.path)
    }

    /// Serves until it is dropped. The first answer of the login with this state goes to `tell`, after the browser has
    /// its page; whatever else comes gets a page that says so.
    pub async fn serve(&self, state: &str, tell: oneshot::Sender<Result<String, Trouble>>) {
        let tell = Mutex::new(Some(tell));
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if open.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => open.push(self.answer(stream, state, &tell)),
                    // Out of descriptors, most likely: not for long.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                Some(()) = open.next() => {}
            }
        }
    }

    async fn answer(&self, mut stream: TcpStream, state: &str, tell: &Mutex<Option<oneshot::Sender<Result<String, Trouble>>>>) {
        let exchange = async {
            let head = head(&mut stream).await?;
            let verdict = judge(&head, self.port, &self.path, state);
            let taken = match &verdict {
                Verdict::Code(_) | Verdict::Denied { .. } => tell.lock().ok().and_then(|mut t| t.take()),
                _ => None,
            };
            let page = if taken.is_none() && matches!(verdict, Verdict::Code(_) | Verdict::Denied { .. }) {
                page::DUPLICATE
            } else {
                verdict.page()
            };
            // The browser first: the program may be over as soon as it knows.
            let sent = async {
                stream.write_all(page::response(page).as_bytes()).await?;
                stream.shutdown().await
            };
            let sent = sent.await;
            if let Some(tell) = taken {
                let said = match verdict {
                    Verdict::Code(code) => Ok(code),
                    Verdict::Denied { error, description } => Err(flow::denied(&error, &description)),
                    _ => return sent,
                };
                let _ = tell.send(said);
            }
            sent
        };
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a connection to the login's callback broke"),
            Err(_) => tracing::debug!("a connection to the login's callback said nothing"),
        }
    }
}

impl Verdict {
    fn page(&self) -> page::Page {
        match self {
            Self::Code(_) => page::RECEIVED,
            Self::Denied { .. } => page::DENIED,
            Self::Foreign => page::FOREIGN,
            Self::Empty => page::EMPTY,
            Self::NotFound => page::NOT_FOUND,
            Self::NotGet => page::NOT_GET,
            Self::Malformed => page::MALFORMED,
        }
    }
}

/// The request up to its empty line, or as much as is taken.
async fn head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut buffer = [0; 2048];
    while head.len() < MAX_HEAD && !head.windows(4).any(|w| w == b"\r\n\r\n") {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            break;
        }
        head.extend_from_slice(buffer.get(..n).unwrap_or_default());
    }
    Ok(head)
}

/// Decides about a request by its text alone.
fn judge(head: &[u8], port: u16, path: &str, state: &str) -> Verdict {
    let Ok(text) = std::str::from_utf8(head) else { return Verdict::Malformed };
    let Some((lines, _)) = text.split_once("\r\n\r\n") else { return Verdict::Malformed };
    let mut lines = lines.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else { return Verdict::Malformed };
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
        return Verdict::Malformed;
    }
    // A page that got a name of its own to lead here does not get to talk.
    let hosts = lines.filter_map(|l| l.split_once(':')).filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let ours = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
    if !hosts.map(|(_, value)| value.trim()).all(|host| ours.iter().any(|o| o.eq_ignore_ascii_case(host))) {
        return Verdict::NotFound;
    }
    let (at, query) = target.split_once('?').unwrap_or((target, ""));
    if at != path {
        return Verdict::NotFound;
    }
    if method != "GET" {
        return Verdict::NotGet;
    }
    match paste::from_query(query) {
        None => Verdict::Empty,
        Some(Said::Code { state: s, .. } | Said::Denied { state: s, .. }) if s.as_deref() != Some(state) => Verdict::Foreign,
        Some(Said::Code { code, .. }) => Verdict::Code(code),
        Some(Said::Denied { error, description, .. }) => Verdict::Denied { error, description },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(request: &str) -> Verdict {
        judge(request.as_bytes(), 1455, "/auth/callback", "st")
    }

    fn get(target: &str) -> Verdict {
        of(&format!("GET {target} HTTP/1.1\r\nHost: localhost:1455\r\n\r\n"))
    }

    #[test]
    fn only_the_right_state_on_the_right_path_is_believed() {
        assert_eq!(get("/auth/callback?code=a%2Bb&state=st"), Verdict::Code("a+b".into()));
        assert_eq!(
            get("/auth/callback?error=access_denied&error_description=no&state=st"),
            Verdict::Denied { error: "access_denied".into(), description: "no".into() }
        );
        for foreign in ["code=a", "code=a&state=", "code=a&state=other", "error=access_denied", "error=x&state=other", "code=a&state=st2"] {
            assert_eq!(get(&format!("/auth/callback?{foreign}")), Verdict::Foreign, "{foreign}");
        }
        assert_eq!(get("/auth/callback"), Verdict::Empty);
        for elsewhere in ["/", "/favicon.ico", "/auth/callback/x?code=a&state=st", "/AUTH/callback?code=a&state=st", "/cancel"] {
            assert_eq!(get(elsewhere), Verdict::NotFound, "{elsewhere}");
        }
        assert_eq!(of("POST /auth/callback?code=a&state=st HTTP/1.1\r\nHost: localhost:1455\r\n\r\n"), Verdict::NotGet);
        assert_eq!(of("GET /auth/callback?code=a&state=st HTTP/1.1\r\nHost: evil.dev\r\n\r\n"), Verdict::NotFound);
        assert_eq!(of("GET /auth/callback?code=a&state=st HTTP/1.1\r\nHost: 127.0.0.1:1455\r\n\r\n"), Verdict::Code("a".into()));
        for broken in ["", "\r\n\r\n", "GET\r\n\r\n", "GET /auth/callback?code=a&state=st HTTP/1.1\r\nHost: x", "\u{16}\u{3}\u{1}\r\n\r\n"]
        {
            assert_eq!(of(broken), Verdict::Malformed, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_the_state_opens_it(target in "/auth/callback\\?[a-z=&%0-9]{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let believed = matches!(get(&target), Verdict::Code(_) | Verdict::Denied { .. });
            prop_assert!(!believed || target.contains("state=st"));
            let _ = judge(&bytes, 1, "/", "st");
        }
    }
}
