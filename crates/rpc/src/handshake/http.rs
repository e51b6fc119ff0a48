//! The handshake on the wire: an HTTP/1.1 upgrade that carries the hellos, then the proofs.
//!
//! A stranger gets an HTTP answer that says what is spoken here, and nothing else.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use platform::net::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::{ClusterId, NodeId};

use super::{
    Caller, ClientHello, HandshakeError, Lane, PROOF_BYTES, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN, Role, ServerHello,
    Transcript, common_version,
};
use crate::wire::SessionKeys;

const PROTOCOL: &str = "cairn-rpc";
const PATH: &str = "/cairn-rpc";
const HELLO: &str = "cairn-hello";
/// What is read of a peer's words where it refuses.
const REASON_BYTES_MAX: usize = 512;
/// The server's answer to a true proof, before its own; anything else says that it refuses.
const BELIEVED: u8 = 1;
const REFUSED: u8 = 0;

/// A connection whose both ends have proved who they are.
pub(crate) struct Established {
    pub(crate) connection: Box<dyn Connection>,
    /// What was read of it already.
    pub(crate) ahead: Bytes,
    pub(crate) writing: SessionKeys,
    pub(crate) reading: SessionKeys,
    pub(crate) in_flight_max: u32,
    /// The protocol that both speak.
    pub(crate) version: u16,
    /// What the connection is for.
    pub(crate) lane: Lane,
}

/// Asks for the upgrade as the client. Returns the connection, and the node that it leads to.
///
/// # Errors
/// [`HandshakeError`].
pub(crate) async fn request(
    connection: Box<dyn Connection>,
    hello: ClientHello,
    key: &[u8; 32],
) -> Result<(Established, NodeId), HandshakeError> {
    let client_hello = hello.encode();
    let (server_hello, mut connection, mut ahead) = upgrade(connection, &client_hello).await?;
    let server = ServerHello::decode(&server_hello).map_err(not_rpc)?;
    check(&hello, &server)?;
    let transcript = Transcript::new(key, &client_hello, &server_hello);
    connection.write_all(transcript.client_proof().as_bytes()).await.map_err(broken)?;
    connection.flush().await.map_err(broken)?;
    let mut answer = [0; 1];
    read_exact(&mut connection, &mut ahead, &mut answer).await?;
    if answer != [BELIEVED] {
        return Err(HandshakeError::Refused);
    }
    let mut proof = [0; PROOF_BYTES];
    read_exact(&mut connection, &mut ahead, &mut proof).await?;
    // `blake3::Hash` compares in constant time.
    if blake3::Hash::from_bytes(proof) != transcript.server_proof() {
        return Err(HandshakeError::Unproven);
    }
    let (writing, reading) = (transcript.client_keys(), transcript.server_keys());
    let (in_flight_max, version, lane) = (server.in_flight_max, server.version, hello.lane);
    Ok((Established { connection, ahead, writing, reading, in_flight_max, version, lane }, server.node))
}

/// What the server says must fit what the client asked for; that nobody changed it, the proof will tell.
fn check(client: &ClientHello, server: &ServerHello) -> Result<(), HandshakeError> {
    let (min, max) = (server.version_min, server.version_max);
    if common_version(min, max) != Some(server.version) {
        return Err(HandshakeError::Version { min, max });
    }
    // Whoever joins takes anybody who knows the secret, and finds itself among those that were named to it.
    if client.lane == Lane::Join {
        return Ok(());
    }
    if server.cluster != client.cluster {
        return Err(HandshakeError::WrongCluster { found: server.cluster });
    }
    // Nobody calls himself: what says so sends our own words back.
    let is_ourselves = client.role == Role::Node(server.node);
    if is_ourselves || client.wanted.is_some_and(|wanted| wanted != server.node) {
        return Err(HandshakeError::WrongNode { found: server.node });
    }
    Ok(())
}

async fn upgrade(
    connection: Box<dyn Connection>,
    hello: &[u8],
) -> Result<(Vec<u8>, Box<dyn Connection>, Bytes), HandshakeError> {
    let (mut sender, http) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.map_err(broken)?;
    let request = Request::get(PATH)
        .header(http::header::HOST, PROTOCOL)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, PROTOCOL)
        .header(HELLO, hex::encode(hello))
        .body(Empty::<Bytes>::new())
        .expect("a request of constant parts and hex digits");
    let http = http.with_upgrades();
    tokio::pin!(http);
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        answered(response).await
    };
    tokio::pin!(exchange);
    // The connection must be driven for the exchange to go on, and may be done with its part first.
    let mut is_driven = true;
    let (server_hello, upgraded) = loop {
        tokio::select! {
            biased;
            exchanged = &mut exchange => break exchanged?,
            driven = &mut http, if is_driven => {
                driven.map_err(broken)?;
                is_driven = false;
            }
        }
    };
    let parts = upgraded.downcast::<TokioIo<Box<dyn Connection>>>().expect("what was upgraded is our connection");
    Ok((server_hello, parts.io.into_inner(), parts.read_buf))
}

async fn answered(
    response: Response<hyper::body::Incoming>,
) -> Result<(Vec<u8>, hyper::upgrade::Upgraded), HandshakeError> {
    let hello = hello_of(response.headers());
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        if let Some(server) = hello.and_then(|hello| ServerHello::decode(&hello).ok()) {
            return Err(match response.status() {
                StatusCode::UPGRADE_REQUIRED => {
                    HandshakeError::Version { min: server.version_min, max: server.version_max }
                }
                StatusCode::MISDIRECTED_REQUEST => HandshakeError::WrongNode { found: server.node },
                StatusCode::CONFLICT => HandshakeError::WrongCluster { found: server.cluster },
                _ => HandshakeError::Refused,
            });
        }
        let status = response.status();
        let said = Limited::new(response.into_body(), REASON_BYTES_MAX).collect().await;
        let said = said.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
        return Err(HandshakeError::NotRpc { reason: format!("{status} {said:?}") });
    }
    let hello = hello.ok_or_else(|| HandshakeError::NotRpc { reason: "an upgrade without a hello".to_owned() })?;
    let upgraded = hyper::upgrade::on(response).await.map_err(broken)?;
    Ok((hello, upgraded))
}

/// How many requests may be unanswered on a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InFlightMax {
    pub(crate) small: u32,
    pub(crate) bulk: u32,
}

impl InFlightMax {
    fn of(self, lane: Lane) -> u32 {
        match lane {
            Lane::Bulk => self.bulk,
            Lane::Small | Lane::Raft | Lane::Join => self.small,
        }
    }
}

/// Looks up the key that a caller must know.
pub(crate) type KeyOf<'a> =
    dyn Fn(Role) -> Pin<Box<dyn Future<Output = Option<[u8; 32]>> + Send + 'a>> + Send + Sync + 'a;

/// What the server says of itself.
pub(crate) struct ServerSelf<'a> {
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) node: NodeId,
    pub(crate) in_flight_max: InFlightMax,
    pub(crate) nonce: [u8; 32],
    /// The key that a caller of this name must know; `None` for one who is not known, or no more.
    pub(crate) key_of: Box<KeyOf<'a>>,
}

/// A connection that a client was let in on.
pub(crate) struct Admitted {
    pub(crate) established: Established,
    pub(crate) caller: Caller,
    /// What it has shown that it knows.
    pub(crate) key: [u8; 32],
}

/// Takes an upgrade as the server.
///
/// # Errors
/// [`HandshakeError`].
pub(crate) async fn answer(
    connection: Box<dyn Connection>,
    server: ServerSelf<'_>,
) -> Result<Admitted, HandshakeError> {
    let hello = ServerHello {
        version: 0,
        version_min: PROTOCOL_VERSION_MIN,
        version_max: PROTOCOL_VERSION,
        cluster: server.cluster,
        node: server.node,
        in_flight_max: 0,
        nonce: server.nonce,
    };
    let (agreed, mut connection, mut ahead) = take_upgrade(connection, hello, server.in_flight_max).await?;
    let Agreed { client, version, client_hello, server_hello } = agreed;
    let mut proof = [0; PROOF_BYTES];
    read_exact(&mut connection, &mut ahead, &mut proof).await?;
    let key = (server.key_of)(client.role).await;
    let shared = key.map(|key| (key, Transcript::new(&key, &client_hello, &server_hello)));
    let is_true = |transcript: &Transcript| blake3::Hash::from_bytes(proof) == transcript.client_proof();
    let Some((key, transcript)) = shared.filter(|(_, transcript)| is_true(transcript)) else {
        let _ = connection.write_all(&[REFUSED]).await;
        let _ = connection.shutdown().await;
        return Err(HandshakeError::Unproven);
    };
    let mut answer = vec![BELIEVED];
    answer.extend_from_slice(transcript.server_proof().as_bytes());
    connection.write_all(&answer).await.map_err(broken)?;
    connection.flush().await.map_err(broken)?;
    let (writing, reading) = (transcript.server_keys(), transcript.client_keys());
    let in_flight_max = server.in_flight_max.of(client.lane);
    let lane = client.lane;
    let established = Established { connection, ahead, writing, reading, in_flight_max, version, lane };
    let caller = match client.role {
        Role::Node(node) => Caller::Node(node),
        Role::Gateway(gateway) => Caller::Gateway(gateway),
    };
    Ok(Admitted { established, caller, key })
}

struct Agreed {
    client: ClientHello,
    version: u16,
    client_hello: Vec<u8>,
    server_hello: Vec<u8>,
}

async fn take_upgrade(
    connection: Box<dyn Connection>,
    hello: ServerHello,
    in_flight_max: InFlightMax,
) -> Result<(Agreed, Box<dyn Connection>, Bytes), HandshakeError> {
    let taken = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&taken);
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        let (response, outcome) = respond(&mut request, hello.clone(), in_flight_max);
        *slot.lock() = Some(outcome);
        std::future::ready(Ok::<_, std::convert::Infallible>(response))
    });
    hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(connection), service)
        .with_upgrades()
        .await
        .map_err(broken)?;
    let outcome = taken.lock().take();
    let nothing = || HandshakeError::Connection { reason: "the peer asked for nothing".to_owned() };
    let (agreed, on_upgrade) = outcome.ok_or_else(nothing)??;
    let upgraded = on_upgrade.await.map_err(broken)?;
    let parts = upgraded.downcast::<TokioIo<Box<dyn Connection>>>().expect("what was upgraded is our connection");
    Ok((agreed, parts.io.into_inner(), parts.read_buf))
}

type Outcome = Result<(Agreed, hyper::upgrade::OnUpgrade), HandshakeError>;

/// The answer to a request for an upgrade, and what comes of it.
fn respond(
    request: &mut Request<hyper::body::Incoming>,
    mut hello: ServerHello,
    in_flight_max: InFlightMax,
) -> (Response<Full<Bytes>>, Outcome) {
    let asks = request.headers().get(UPGRADE).is_some_and(|upgrade| upgrade.as_bytes() == PROTOCOL.as_bytes());
    let client_hello = hello_of(request.headers()).filter(|_| asks && request.uri().path() == PATH);
    let Some(client_hello) = client_hello else {
        let mut response = Response::new(Full::from("Cairn's nodes speak their own protocol here.\n"));
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
        return (response, Err(HandshakeError::NotRpc { reason: "a request for something else".to_owned() }));
    };
    let client = match ClientHello::decode(&client_hello) {
        Ok(client) => client,
        Err(error) => return (refusing(StatusCode::UPGRADE_REQUIRED, &hello), Err(not_rpc(error))),
    };
    let (min, max) = (client.version_min, client.version_max);
    let Some(version) = common_version(min, max) else {
        return (refusing(StatusCode::UPGRADE_REQUIRED, &hello), Err(HandshakeError::Version { min, max }));
    };
    hello.version = version;
    let joins = client.lane == Lane::Join;
    if !joins && (client.cluster.is_none() || client.cluster != hello.cluster) {
        let error = HandshakeError::WrongCluster { found: client.cluster };
        return (refusing(StatusCode::CONFLICT, &hello), Err(error));
    }
    let is_ourselves = !joins && client.role == Role::Node(hello.node);
    if is_ourselves || client.wanted.is_some_and(|wanted| wanted != hello.node) {
        let error = HandshakeError::WrongNode { found: client.wanted.unwrap_or(hello.node) };
        return (refusing(StatusCode::MISDIRECTED_REQUEST, &hello), Err(error));
    }
    hello.in_flight_max = in_flight_max.of(client.lane);
    let server_hello = hello.encode();
    let mut response = with_hello(StatusCode::SWITCHING_PROTOCOLS, &server_hello);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    let agreed = Agreed { client, version, client_hello, server_hello };
    (response, Ok((agreed, hyper::upgrade::on(request))))
}

fn refusing(status: StatusCode, hello: &ServerHello) -> Response<Full<Bytes>> {
    with_hello(status, &hello.encode())
}

fn with_hello(status: StatusCode, hello: &[u8]) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    let hello = HeaderValue::from_str(&hex::encode(hello)).expect("hex digits are a header's value");
    response.headers_mut().insert(HELLO, hello);
    response
}

fn hello_of(headers: &http::HeaderMap) -> Option<Vec<u8>> {
    headers.get(HELLO).and_then(|hello| hex::decode(hello.as_bytes()).ok())
}

async fn read_exact(
    connection: &mut Box<dyn Connection>,
    ahead: &mut Bytes,
    target: &mut [u8],
) -> Result<(), HandshakeError> {
    let taken = ahead.split_to(ahead.len().min(target.len()));
    target[..taken.len()].copy_from_slice(&taken);
    connection.read_exact(&mut target[taken.len()..]).await.map_err(broken)?;
    Ok(())
}

fn broken(error: impl std::fmt::Display) -> HandshakeError {
    HandshakeError::Connection { reason: error.to_string() }
}

fn not_rpc(error: impl std::fmt::Display) -> HandshakeError {
    HandshakeError::NotRpc { reason: error.to_string() }
}
