//! One client's connection, from accept to close.
//!
//! hyper speaks HTTP/1.1; around it this file puts what a server in the open needs: a bounded handshake, the watchdog,
//! an answer in S3's words where a request's head is refused before hyper has it, draining, and a close that lets the
//! last answer arrive although the client is still sending.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::activity::{Activity, Verdict, Watchdog};
use crate::framing::Refusal;
use crate::gateway::GatewayCore;
use crate::refused;
use crate::request_path::respond;
use crate::transport::{Stream, Transport};

/// What requests know of their connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) is_tls: bool,
    pub(crate) activity: Arc<Activity>,
}

/// Serves an accepted socket until either side ends it.
pub(crate) async fn serve_connection(
    core: Arc<GatewayCore>,
    socket: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    activity: Arc<Activity>,
) {
    if socket.set_nodelay(true).is_err() {
        return; // The client is gone.
    }
    let is_tls = tls.is_some();
    let stream = match tls {
        None => Stream::Plain(socket),
        Some(acceptor) => {
            let accepting = tokio::time::timeout(core.settings.timeouts.handshake, acceptor.accept(socket));
            let accepted = tokio::select! {
                accepted = accepting => accepted,
                // Who has not even agreed on TLS has sent no request.
                () = activity.draining() => return,
            };
            match accepted {
                Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
                Ok(Err(error)) => return tracing::debug!(%peer, %error, "TLS handshake failed"),
                Err(_) => return tracing::debug!(%peer, "TLS handshake timed out"),
            }
        }
    };
    let connection = Arc::new(Connection { peer, is_tls, activity });
    let (activity, share) = (Arc::clone(&connection.activity), Arc::clone(&core.read_share));
    let transport = Transport::new(stream, core.settings.head_limits, activity, share);
    let end = speak_http(&core, &connection, transport).await;
    end.close(&core, &connection).await;
}

/// What is left of a connection once HTTP on it is over.
struct End {
    stream: Stream,
    refusal: Option<Refusal>,
    /// Whether the client is still sending something that nobody will read.
    is_mid_request: bool,
    /// Whether an answer was begun and is not complete.
    is_mid_answer: bool,
}

async fn speak_http(core: &Arc<GatewayCore>, connection: &Arc<Connection>, transport: Transport) -> End {
    let activity = &connection.activity;
    let service = service_fn(|request: Request<Incoming>| {
        let answer = respond(Arc::clone(core), Arc::clone(connection), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(core.settings.read_buffer_bytes)
        // A client that shuts its side down after its request still gets the answer, and a commit under way isn't
        // cut off by it.
        .half_close(true)
        // The watchdog's work.
        .header_read_timeout(None);
    let mut http = builder.serve_connection(TokioIo::new(transport), service);
    let mut watchdog = Watchdog::new(core.settings.timeouts);
    let mut is_draining = false;

    let (verdict, is_broken) = poll_fn(|cx: &mut Context<'_>| {
        activity.keep_waker(cx.waker());
        if activity.drains() && !std::mem::replace(&mut is_draining, true) {
            Pin::new(&mut http).graceful_shutdown();
            watchdog.drain();
        }
        if let Poll::Ready(verdict) = watchdog.poll(activity, cx) {
            return Poll::Ready((Some(verdict), false));
        }
        Pin::new(&mut http).poll(cx).map(|ended| (None, ended.is_err()))
    })
    .await;

    let is_mid_answer = activity.is_send_blocked() || activity.requests_under_way() > 0;
    let transport = http.into_parts().io.into_inner();
    let refusal = match verdict {
        Some(Verdict::HeadTimeout) => Some(Refusal::HeadTimeout),
        Some(Verdict::Stalled | Verdict::Idle) => None,
        None => transport.refusal(),
    };
    tracing::debug!(peer = %connection.peer, ?verdict, ?refusal, is_broken, "connection over");
    End {
        refusal: refusal.filter(|_| !is_mid_answer),
        is_mid_request: transport.is_mid_request() && verdict != Some(Verdict::Stalled),
        is_mid_answer,
        stream: transport.into_stream(),
    }
}

impl End {
    /// Answers a refused head, and closes so that the client can read the last answer: a socket that is closed with
    /// unread bytes in it is reset, and a reset takes the answer with it.
    async fn close(mut self, core: &GatewayCore, connection: &Connection) {
        let linger = core.settings.timeouts.linger;
        let closing = async {
            if let Some(refusal) = self.refusal {
                let answer = refused::answer(core, refusal);
                self.stream.write_all(&answer).await?;
            }
            if self.is_mid_answer {
                return Ok(()); // Broken off: nothing that follows would be understood.
            }
            self.stream.shutdown().await?;
            if self.is_mid_request {
                let mut unread = vec![0; 16 << 10];
                while self.stream.read(&mut unread).await? > 0 {}
            }
            Ok::<_, std::io::Error>(())
        };
        match timeout(linger, closing).await {
            Some(Ok(())) => {}
            ended => tracing::debug!(peer = %connection.peer, ?ended, "connection not closed cleanly"),
        }
    }
}

async fn timeout<T>(limit: std::time::Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, pin!(work)).await.ok()
}
