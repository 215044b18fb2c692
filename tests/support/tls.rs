//! TLS before a scripted server: a certificate authority of the test's own, and a front that takes connections with a
//! certificate of it. HTTP/1.1 goes on to a plain server, byte by byte; HTTP/2 is answered here.

use super::reply::{Api, Ask, Reply};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Somebody whose word about names is believed by whoever has [`Ca::pem`].
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Ca {
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two of one name would look like one whose signature is wrong.
        params.distinguished_name.push(DnType::CommonName, format!("Ca {}", &key.public_key_pem()[60..80]));
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate in a file of this folder.
    pub fn file(&self, folder: &Path) -> PathBuf {
        std::fs::create_dir_all(folder).expect("the folder");
        let path = folder.join("ca.pem");
        std::fs::write(&path, &self.pem).expect("the certificate's file");
        path
    }

    fn config(&self, name: &str, protocol: &str) -> ServerConfig {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .expect("a key that fits its certificate");
        config.alpn_protocols = vec![protocol.into()];
        config
    }
}

/// What happened at a front.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Connections over which TLS came about.
    pub connections: usize,
    /// Method and address of each request over HTTP/2.
    pub requests: Vec<String>,
}

/// The front. Its threads end with the test.
pub struct Front {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Front {
    /// Speaks HTTP/1.1 as `name` for the plain server at `behind`.
    pub fn before(authority: &Ca, name: &str, behind: SocketAddr) -> Self {
        Self::start(authority.config(name, "http/1.1"), move |stream, _| async move {
            let mut stream = stream;
            let Ok(mut plain) = TcpStream::connect(behind).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut plain).await;
        })
    }

    /// Offers nothing but HTTP/2 as `name`; the n-th chat request gets the n-th reply.
    pub fn http2(authority: &Ca, name: &str, replies: Vec<Reply>) -> Self {
        let replies = Arc::new(replies);
        Self::start(authority.config(name, "h2"), move |stream, seen| {
            let replies = Arc::clone(&replies);
            async move {
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.requests.push(format!("{} {}", request.method(), request.uri()));
                        seen.requests.len() - 1
                    };
                    tokio::spawn(over_http2(request.into_body(), respond, Arc::clone(&replies), number));
                }
            }
        })
    }

    fn start<F>(
        config: ServerConfig,
        serve: impl Fn(tokio_rustls::server::TlsStream<TcpStream>, Arc<Mutex<Seen>>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on 127.0.0.1");
        listener.set_nonblocking(true).expect("a socket for tokio");
        let address = listener.local_addr().expect("the port's number");
        let (acceptor, seen) = (TlsAcceptor::from(Arc::new(config)), Arc::<Mutex<Seen>>::default());
        let ours = Arc::clone(&seen);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let (listener, serve) = (TcpListener::from_std(listener).expect("the listener"), Arc::new(serve));
                while let Ok((stream, _)) = listener.accept().await {
                    let (acceptor, seen, serve) = (acceptor.clone(), Arc::clone(&ours), Arc::clone(&serve));
                    tokio::spawn(async move {
                        // A client that does not believe us leaves here.
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        seen.lock().unwrap().connections += 1;
                        serve(stream, seen).await;
                    });
                }
            });
        });
        Self { address, seen }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

async fn over_http2(
    mut body: h2::RecvStream,
    mut respond: h2::server::SendResponse<bytes::Bytes>,
    replies: Arc<Vec<Reply>>,
    number: usize,
) {
    while let Some(Ok(chunk)) = body.data().await {
        let _ = body.flow_control().release_capacity(chunk.len());
    }
    let (status, bytes) = match replies.get(number) {
        Some(reply) => {
            (reply.status, reply.pieces(&Ask { api: Api::Chat, model: "m", stream: true, usage: true, turn: number }).0.concat())
        }
        None => (400, b"{\"error\":{\"message\":\"the test has no reply for this request\"}}".to_vec()),
    };
    let head = http::Response::builder().status(status).header("content-type", "text/event-stream").body(()).expect("a head");
    if let Ok(mut out) = respond.send_response(head, false) {
        let _ = out.send_data(bytes.into(), true);
    }
}
