//! The admin API over HTTP: health pages, metrics, and the authenticated routes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Router};
use gateway::tls::Tls;
use gateway::{Port, Readiness};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use iam::KnownKeys;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::asked::Connection;
use crate::auth::{AdminAuthenticator, AuthFailure};
use crate::changes::{Change, ChangeOptions, RebalanceWish};
use crate::gateways::AddGateway;
use crate::identities::{IdentityWish, Listed, ListedOf};
use crate::rebuild::RebuildOptions;
use crate::service::{AdminError, AdminService, RestripeWish, WantedProfile};
use crate::trace;

/// How the admin API is served.
#[derive(Debug)]
pub struct AdminSettings {
    /// The bearer token that `/metrics` asks for.
    pub metrics_token: Option<String>,
    /// TLS, where it is configured.
    pub tls: Option<Tls>,
}

/// Why the admin API is not served.
#[derive(Debug, thiserror::Error)]
pub enum AdminServerError {
    /// The address cannot be had.
    #[error("the admin API cannot listen on {listen}; choose another address with --admin-listen")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The admin API while it is served.
#[derive(Debug)]
pub struct AdminServer {
    address: SocketAddr,
    authenticator: Arc<AdminAuthenticator>,
    stop: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    service: Arc<dyn AdminService>,
    authenticator: Arc<AdminAuthenticator>,
    metrics_token: Option<String>,
}

impl AdminServer {
    /// Takes the port that the admin API is to be served on.
    ///
    /// # Errors
    /// [`AdminServerError::Listen`].
    pub fn take_port(listen: SocketAddr) -> Result<Port, AdminServerError> {
        Port::take(listen).map_err(|source| AdminServerError::Listen { listen, source })
    }

    /// Serves from now on.
    ///
    /// # Errors
    /// [`AdminServerError::Listen`].
    pub fn start(
        port: Port,
        settings: AdminSettings,
        service: Arc<dyn AdminService>,
        authenticator: AdminAuthenticator,
    ) -> Result<Self, AdminServerError> {
        let address = port.address();
        let listener = port.listen().map_err(|source| AdminServerError::Listen { listen: address, source })?;
        let authenticator = Arc::new(authenticator);
        let shared = Shared { service, authenticator: authenticator.clone(), metrics_token: settings.metrics_token };
        let router = router(Arc::new(shared));
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, settings.tls, router, stopped));
        Ok(Self { address, authenticator, stop, accepting })
    }

    /// Lets in users that may, from now on.
    pub fn know(&self, keys: Arc<KnownKeys>) {
        self.authenticator.know(keys);
    }

    /// Where it is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections; those that are open end with their request.
    pub async fn stop(self) {
        // Nobody listens only when accepting has ended already.
        let _ = self.stop.send(true);
        let _ = self.accepting.await;
    }
}

async fn accept(listener: TcpListener, tls: Option<Tls>, router: Router, mut stopped: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let acceptor = tls.as_ref().map(Tls::acceptor);
                let router = router.clone().layer(Extension(Connection { peer, is_tls: acceptor.is_some() }));
                tokio::spawn(serve(stream, acceptor, router, stopped.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the admin API was not accepted");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router);
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(std::time::Duration::from_secs(30));
    match acceptor {
        None => {
            let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                _ = connection.as_mut() => {}
                _ = stopped.changed() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
        }
        Some(acceptor) => {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let authenticated = Router::new();
    #[cfg(feature = "next-level")]
    let authenticated = authenticated.route("/v1/probe", post(probe));
    let authenticated = authenticated
        .route("/v1/status", get(status))
        .route("/v1/trace", get(trace_requests))
        .route("/v1/nodes", get(nodes))
        .route("/v1/ranges", get(ranges))
        .route("/v1/ranges/{range}/split", post(split_range))
        .route("/v1/profile", post(set_profile))
        .route("/v1/scrub", post(start_scrub))
        .route("/v1/restripe/{wish}", post(restripe))
        .route("/v1/disks/{disk}/readmit", post(readmit_disk))
        .route("/v1/disks/{disk}/{change}", post(change_disk))
        .route("/v1/nodes/{node}/{change}", post(change_node))
        .route("/v1/rebalance/{wish}", post(rebalance))
        .route("/v1/moves", get(moves))
        .route("/v1/gateways", get(gateways).post(add_gateway))
        .route("/v1/gateways/{id}", delete(remove_gateway))
        .route("/v1/identities", post(change_identities))
        .route("/v1/identities/{what}", get(identities))
        .route("/v1/index/rebuild", get(index_rebuild).post(rebuild_index))
        .route_layer(middleware::from_fn_with_state(shared.clone(), authenticate));
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/healthz", get(ready))
        .route("/metrics", get(metrics))
        .merge(authenticated)
        .fallback(async || (StatusCode::NOT_FOUND, "no such admin path\n"))
        .with_state(shared)
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.service.readiness() {
        Readiness::Ready => match shared.service.shortfall().await {
            None => "ok\n".into_response(),
            Some(reason) => format!("ok, but {reason}\n").into_response(),
        },
        Readiness::NotReady { reason } => {
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], format!("{reason}\n")).into_response()
        }
    }
}

async fn metrics(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let wanted = shared.metrics_token.as_ref().map(|token| format!("Bearer {token}"));
    match (wanted, given) {
        (Some(wanted), given) if !given.is_some_and(|given| sigv4::is_equal(given.as_bytes(), wanted.as_bytes())) => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], "a bearer token is needed\n")
                .into_response()
        }
        _ => {
            let page = shared.service.metrics_page().await;
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page).into_response()
        }
    }
}

async fn authenticate(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Result<Response, Infallible> {
    Ok(match shared.authenticator.check(request, connection).await {
        Ok(request) => next.run(request).await,
        Err(failure) => {
            let status = match failure {
                AuthFailure::Denied(_) => StatusCode::FORBIDDEN,
                AuthFailure::Unknown => StatusCode::SERVICE_UNAVAILABLE,
                AuthFailure::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            };
            (status, axum::Json(AdminError::Refused(failure.to_string()))).into_response()
        }
    })
}

async fn status(State(shared): State<Arc<Shared>>) -> Response {
    answer(shared.service.status().await)
}

/// JSON, a line each, until either side ends it.
async fn trace_requests(State(shared): State<Arc<Shared>>) -> Response {
    let feed = match shared.service.trace() {
        Ok(feed) => feed,
        Err(error) => return answer::<()>(Err(error)),
    };
    let lines = futures::stream::unfold(feed, async |mut feed| {
        let line = trace::next_line(&mut feed).await?;
        let text = serde_json::to_string(&line).expect("plain data is JSON") + "\n";
        Some((Ok::<_, Infallible>(text), feed))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

async fn nodes(State(shared): State<Arc<Shared>>) -> Response {
    answer(shared.service.nodes().await)
}

async fn ranges(State(shared): State<Arc<Shared>>) -> Response {
    answer(shared.service.ranges().await)
}

async fn split_range(State(shared): State<Arc<Shared>>, Path(range): Path<u64>, body: Bytes) -> Response {
    let at = if body.is_empty() { Ok(None) } else { serde_json::from_slice(&body).map(Some) };
    match at {
        Ok(at) => answer(shared.service.split_range(range, at).await),
        Err(error) => answer::<()>(Err(AdminError::Refused(format!("that is no place to split at: {error}")))),
    }
}

async fn set_profile(State(shared): State<Arc<Shared>>, Query(wanted): Query<WantedProfile>) -> Response {
    answer(shared.service.set_profile(wanted).await)
}

async fn restripe(State(shared): State<Arc<Shared>>, Path(wish): Path<RestripeWish>) -> Response {
    answer(shared.service.restripe(wish).await)
}

async fn start_scrub(State(shared): State<Arc<Shared>>) -> Response {
    answer(shared.service.start_scrub().await)
}

#[cfg(feature = "next-level")]
async fn probe(State(shared): State<Arc<Shared>>) -> Response {
    answer(shared.service.probe().await)
}

async fn readmit_disk(State(shared): State<Arc<Shared>>, Path(disk): Path<String>) -> Response {
    answer(shared.service.readmit_disk(&disk).await)
}

async fn change_disk(
    State(shared): State<Arc<Shared>>,
    Path((disk, change)): Path<(String, Change)>,
    Query(options): Query<ChangeOptions>,
) -> Response {
    answer(shared.service.change_disk(&disk, change, options).await)
}

async fn change_node(
    State(shared): State<Arc<Shared>>,
    Path((node, change)): Path<(String, Change)>,
    Query(options): Query<ChangeOptions>,
) -> Response {
    answer(shared.service.change_node(&node, change, options).await)
}

async fn rebalance(
    State(shared): State<Arc<Shared>>,
    Path(wish): Path<RebalanceWish>,
    Query(options): Query<ChangeOptions>,
) -> Response {
    answer(shared.service.rebalance(wish, options).await)
}

async fn moves(State(shared): State<Arc<Shared>>) -> Response {
    answer(shared.service.moves().await)
}

async fn add_gateway(State(shared): State<Arc<Shared>>, axum::Json(gateway): axum::Json<AddGateway>) -> Response {
    answer(shared.service.add_gateway(gateway).await)
}

async fn gateways(State(shared): State<Arc<Shared>>) -> Response {
    answer(shared.service.gateways().await)
}

async fn remove_gateway(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    answer(shared.service.remove_gateway(&id).await)
}

async fn change_identities(State(shared): State<Arc<Shared>>, axum::Json(wish): axum::Json<IdentityWish>) -> Response {
    answer(shared.service.change_identities(wish).await)
}

async fn identities(
    State(shared): State<Arc<Shared>>,
    Path(what): Path<Listed>,
    Query(of): Query<ListedOf>,
) -> Response {
    answer(shared.service.identities(what, of).await)
}

async fn rebuild_index(State(shared): State<Arc<Shared>>, Query(options): Query<RebuildOptions>) -> Response {
    answer(shared.service.rebuild_index(options).await)
}

async fn index_rebuild(State(shared): State<Arc<Shared>>) -> Response {
    axum::Json(shared.service.index_rebuild()).into_response()
}

fn answer<T: serde::Serialize>(outcome: Result<T, AdminError>) -> Response {
    match outcome {
        Ok(value) => axum::Json(value).into_response(),
        Err(error) => {
            let status = match error {
                AdminError::NotFound(_) => StatusCode::NOT_FOUND,
                AdminError::Refused(_) => StatusCode::CONFLICT,
                AdminError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, axum::Json(error)).into_response()
        }
    }
}
