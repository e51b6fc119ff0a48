//! The S3 port of a server that has no index: every request is answered 503 in S3's words, until there is one.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use platform::Entropy;
use s3_wire::{ErrorCode, ErrorContext, S3Error};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::gateway::GatewayError;
use crate::health::{self, Readiness};
use crate::port::Port;
use crate::request_id::RequestIds;
use crate::tls::Tls;

/// How long a client may take for its head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// When a client may ask again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// A port that answers 503. Dropping it closes the port.
#[derive(Debug)]
pub struct Unavailable {
    local_addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Unavailable {
    /// Answers from now on. The health pages answer by `readiness`.
    ///
    /// # Errors
    /// [`GatewayError::Listen`].
    pub fn serve(
        port: Port,
        tls: Option<Tls>,
        readiness: watch::Receiver<Readiness>,
        entropy: &dyn Entropy,
    ) -> Result<Self, GatewayError> {
        let local_addr = port.address();
        let listener = port.listen().map_err(|source| GatewayError::Listen { address: local_addr, source })?;
        let ids = Arc::new(RequestIds::new(entropy));
        let task = tokio::spawn(accept(listener, tls, readiness, ids));
        Ok(Self { local_addr, task })
    }

    /// Where it listens: with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Closes the port; connections end.
    pub async fn close(mut self) {
        self.task.abort();
        // Cancelled, and the listener is closed then.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Unavailable {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<Tls>, readiness: watch::Receiver<Readiness>, ids: Arc<RequestIds>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let Ok((stream, _)) = accepted else {
            tokio::task::yield_now().await;
            continue;
        };
        let (readiness, ids) = (readiness.clone(), ids.clone());
        let acceptor = tls.as_ref().map(Tls::acceptor);
        connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&request, &readiness, &ids);
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(false);
            // A client that goes away, or speaks no HTTP, is no matter here.
            match acceptor {
                None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        drop(http.serve_connection(TokioIo::new(stream), service).await);
                    }
                }
            }
        });
    }
}

fn answer(
    request: &Request<Incoming>,
    readiness: &watch::Receiver<Readiness>,
    ids: &RequestIds,
) -> Response<Full<Bytes>> {
    if let Some(page) = health::answer(request.method(), request.uri().path(), readiness) {
        return page.map(Full::new);
    }
    let id = ids.next();
    let error = S3Error::from(ErrorCode::ServiceUnavailable);
    let context =
        ErrorContext { resource: request.uri().path(), request_id: id.as_str(), host_id: ids.host().as_str() };
    let mut response = Response::new(Full::new(error.body(&context)));
    *response.status_mut() = error.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    headers.insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}
