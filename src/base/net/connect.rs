//! How a connection comes about: names are looked up, connecting has its limit, and each connection is counted for the
//! request that caused it.

use super::pool::Ticket;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

tokio::task_local! {
    /// The request that is being sent. A client asks for a connection inside the request's own future.
    pub(super) static TICKET: Arc<Ticket>;
}

/// Goes around a client's connector. The limit is here and not on the client, because providers that share one may have
/// different limits; it covers the name, the socket, a proxy's tunnel and TLS.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch;

impl<S> Layer<S> for Watch {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched(inner)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Watched<S>(S);

impl<S, To> Service<To> for Watched<S>
where
    S: Service<To, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, to: To) -> Self::Future {
        let mut connecting = Box::pin(self.0.call(to));
        let Ok(ticket) = TICKET.try_with(Arc::clone) else { return connecting };
        ticket.dialled();
        Box::pin(async move {
            let connected = tokio::time::timeout(ticket.connect, poll_fn(|cx| connecting.as_mut().poll(cx))).await;
            let connected = connected.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
            ticket.connected(connected.is_ok());
            connected
        })
    }
}

/// The system's resolver, with an error that says which name it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map(Iterator::collect::<Vec<_>>);
            match found {
                Ok(found) => Ok(Box::new(found.into_iter()) as Addrs),
                Err(source) => Err(UnknownName { name, source }.into()),
            }
        })
    }
}

/// A name without an address.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` has no address: {source}")]
pub(super) struct UnknownName {
    pub name: String,
    source: io::Error,
}
