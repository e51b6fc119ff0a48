//! The client of the admin API: signs each request with the root key and reads JSON.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use platform::{Clock, SystemClock};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use types::{AccessKeyId, SecretKey};

use crate::changes::{Change, ChangeOptions, ChangePlan, MovesStatus, RebalanceWish};
use crate::gateways::{AddGateway, KnownGateway, NewGateway};
use crate::identities::{IdentityWish, Listed, ListedIdentity, ListedOf, MadeIdentity};
use crate::nodes::{NodeStatus, RangeStatus, SplitPoint};
use crate::rebuild::{RebuildOptions, RebuildStatus};
use crate::service::{AdminError, RestripeWish, WantedProfile};
use crate::status::Status;
use crate::trace::TraceLine;
use crate::trust::TrustedCertificates;

/// The name of the file on each disk that has the root credential.
pub const CREDENTIAL_FILE: &str = "root-credential.json";

/// The service that the signatures of admin requests name: what was signed for S3 is no admin request.
pub const SERVICE: &str = "cairn-admin";

/// Where and as whom.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// `http://host:port` or `https://host:port`.
    pub url: String,
    /// A data directory whose credential is used when the environment has none.
    pub data: PathBuf,
    /// A file of certificates (PEM): authorities, or the server's own.
    pub ca: Option<PathBuf>,
}

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    /// Not an address.
    #[error("{0:?} is no address; write http://host:port")]
    Url(String),
    /// No key.
    #[error(
        "no key: set CAIRN_ROOT_ACCESS_KEY and CAIRN_ROOT_SECRET_KEY, or name a data directory of the server with \
         --data ({path} cannot be read)"
    )]
    NoKey {
        /// The file that was tried.
        path: PathBuf,
    },
    /// No gateway's credential where one was to be given.
    #[error("no credential: set CAIRN_GATEWAY_CREDENTIAL, or CAIRN_GATEWAY_CREDENTIAL_FILE to a file that can be read")]
    NoCredential,
    /// No policy's text.
    #[error("{path} cannot be read")]
    Policy {
        /// The file.
        path: PathBuf,
    },
    /// The file of certificates is not valid.
    #[error("{path} holds no certificate in PEM")]
    Authority {
        /// The file.
        path: PathBuf,
    },
    /// The server was not reached.
    #[error("the admin API at {url} was not reached: {reason}")]
    Unreachable {
        /// Its address.
        url: String,
        /// Why.
        reason: String,
    },
    /// Reads and writes don't work.
    #[error("not ready: {0}")]
    NotReady(String),
    /// The server said no.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A rebuild of the index failed.
    #[error("the index was not rebuilt: {0}")]
    Rebuild(String),
    /// Another port of Cairn's answered.
    #[error(
        "{url} serves {serves}, not the admin API: name its address with --admin-url or CAIRN_ADMIN_URL (port 9001 \
         unless --admin-listen says otherwise)"
    )]
    OtherPort {
        /// Its address.
        url: String,
        /// What is served there, in words.
        serves: &'static str,
    },
    /// The server's answer makes no sense.
    #[error("the admin API at {url} answered {status}, which is not understood")]
    Answer {
        /// Its address.
        url: String,
        /// The HTTP status.
        status: StatusCode,
    },
}

/// A client of one admin API.
pub struct AdminClient {
    url: String,
    host: String,
    tls: Option<Arc<rustls::ClientConfig>>,
    /// `None` where only the open pages are asked for.
    key: Option<(AccessKeyId, SecretKey)>,
    clock: SystemClock,
}

impl AdminClient {
    /// Reads the key.
    ///
    /// # Errors
    /// [`AdminClientError::Url`], [`AdminClientError::NoKey`], [`AdminClientError::Authority`].
    pub fn new(settings: ClientSettings) -> Result<Self, AdminClientError> {
        let key = read_key(&settings.data)?;
        Ok(Self { key: Some(key), ..Self::without_key(settings)? })
    }

    /// For the pages that are open to all.
    ///
    /// # Errors
    /// [`AdminClientError::Url`], [`AdminClientError::Authority`].
    pub fn without_key(settings: ClientSettings) -> Result<Self, AdminClientError> {
        let url = settings.url.trim_end_matches('/').to_owned();
        let (secure, host) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(host), _) => (false, host.to_owned()),
            (_, Some(host)) => (true, host.to_owned()),
            _ => return Err(AdminClientError::Url(settings.url)),
        };
        let tls = if secure { Some(Arc::new(tls_config(settings.ca.as_deref())?)) } else { None };
        Ok(Self { url, host, tls, key: None, clock: SystemClock::new() })
    }

    /// `GET /readyz`: whether requests should come here, and what of it does not work all the same.
    ///
    /// # Errors
    /// [`AdminClientError::NotReady`] with the reason, and what keeps an answer from coming.
    pub async fn ready(&self) -> Result<Option<String>, AdminClientError> {
        let request = self.request(Method::GET, "/readyz", Bytes::new())?;
        let (status, body) = self.send(request).await?;
        match status {
            StatusCode::OK => {
                let body = String::from_utf8_lossy(&body);
                Ok(body.trim().strip_prefix("ok, but ").map(str::to_owned))
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                Err(AdminClientError::NotReady(String::from_utf8_lossy(&body).trim().to_owned()))
            }
            _ => Err(self.misunderstood(status, &body)),
        }
    }

    /// `GET /v1/status`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn status(&self) -> Result<Status, AdminClientError> {
        self.call(Method::GET, "/v1/status").await
    }

    /// `GET /v1/nodes`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn nodes(&self) -> Result<Vec<NodeStatus>, AdminClientError> {
        self.call(Method::GET, "/v1/nodes").await
    }

    /// `GET /v1/ranges`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn ranges(&self) -> Result<Vec<RangeStatus>, AdminClientError> {
        self.call(Method::GET, "/v1/ranges").await
    }

    /// `POST /v1/ranges/RANGE/split`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn split_range(&self, range: u64, at: Option<SplitPoint>) -> Result<(), AdminClientError> {
        let body = at.map_or_else(Vec::new, |at| serde_json::to_vec(&at).expect("plain data is JSON"));
        self.call_with(Method::POST, &format!("/v1/ranges/{range}/split"), body.into()).await
    }

    /// `POST /v1/profile`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn set_profile(&self, wanted: WantedProfile) -> Result<(), AdminClientError> {
        self.call(Method::POST, &format!("/v1/profile?k={}&m={}", wanted.k, wanted.m)).await
    }

    /// `POST /v1/restripe/WISH`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn restripe(&self, wish: RestripeWish) -> Result<(), AdminClientError> {
        let wish = match wish {
            RestripeWish::Start => "start",
            RestripeWish::Stop => "stop",
        };
        self.call(Method::POST, &format!("/v1/restripe/{wish}")).await
    }

    /// `POST /v1/scrub`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn start_scrub(&self) -> Result<(), AdminClientError> {
        self.call(Method::POST, "/v1/scrub").await
    }

    /// `POST /v1/probe`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    #[cfg(feature = "next-level")]
    pub async fn probe(&self) -> Result<(), AdminClientError> {
        self.call(Method::POST, "/v1/probe").await
    }

    /// `POST /v1/disks/DISK/readmit`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn readmit_disk(&self, disk: &str) -> Result<(), AdminClientError> {
        self.call(Method::POST, &format!("/v1/disks/{}/readmit", escaped(disk))).await
    }

    /// `POST /v1/disks/DISK/CHANGE`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn change_disk(
        &self,
        disk: &str,
        change: Change,
        options: ChangeOptions,
    ) -> Result<ChangePlan, AdminClientError> {
        let (change, dry_run) = (change.word(), options.dry_run);
        self.call(Method::POST, &format!("/v1/disks/{}/{change}?dry_run={dry_run}", escaped(disk))).await
    }

    /// `POST /v1/nodes/NODE/CHANGE`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn change_node(
        &self,
        node: &str,
        change: Change,
        options: ChangeOptions,
    ) -> Result<ChangePlan, AdminClientError> {
        let (change, dry_run) = (change.word(), options.dry_run);
        self.call(Method::POST, &format!("/v1/nodes/{node}/{change}?dry_run={dry_run}")).await
    }

    /// `POST /v1/rebalance/WISH`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn rebalance(&self, wish: RebalanceWish, options: ChangeOptions) -> Result<ChangePlan, AdminClientError> {
        let (wish, dry_run) = (wish.word(), options.dry_run);
        self.call(Method::POST, &format!("/v1/rebalance/{wish}?dry_run={dry_run}")).await
    }

    /// `GET /v1/moves`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn moves(&self) -> Result<MovesStatus, AdminClientError> {
        self.call(Method::GET, "/v1/moves").await
    }

    /// `POST /v1/gateways`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn add_gateway(&self, gateway: AddGateway) -> Result<NewGateway, AdminClientError> {
        let body = serde_json::to_vec(&gateway).expect("plain data is JSON");
        self.call_with(Method::POST, "/v1/gateways", body.into()).await
    }

    /// `GET /v1/gateways`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn gateways(&self) -> Result<Vec<KnownGateway>, AdminClientError> {
        self.call(Method::GET, "/v1/gateways").await
    }

    /// `DELETE /v1/gateways/ID`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn remove_gateway(&self, id: &str) -> Result<(), AdminClientError> {
        self.call(Method::DELETE, &format!("/v1/gateways/{id}")).await
    }

    /// `POST /v1/identities`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn change_identities(&self, wish: &IdentityWish) -> Result<MadeIdentity, AdminClientError> {
        let body = serde_json::to_vec(wish).expect("plain data is JSON");
        self.call_with(Method::POST, "/v1/identities", body.into()).await
    }

    /// `GET /v1/identities/WHAT`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn identities(&self, what: Listed, of: &ListedOf) -> Result<Vec<ListedIdentity>, AdminClientError> {
        let named = [("account", &of.account), ("user", &of.user)].into_iter();
        let given = named.filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_ref()?))));
        let query = given.collect::<Vec<_>>().join("&");
        self.call(Method::GET, &format!("/v1/identities/{}?{query}", what.word())).await
    }

    /// `POST /v1/index/rebuild`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn rebuild_index(&self, options: RebuildOptions) -> Result<(), AdminClientError> {
        let RebuildOptions { dry_run, accept_loss } = options;
        self.call(Method::POST, &format!("/v1/index/rebuild?accept_loss={accept_loss}&dry_run={dry_run}")).await
    }

    /// `GET /v1/index/rebuild`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn index_rebuild(&self) -> Result<RebuildStatus, AdminClientError> {
        self.call(Method::GET, "/v1/index/rebuild").await
    }

    /// `GET /v1/trace`: hands each line to `show` until that returns `false` or the server ends.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub async fn trace(&self, mut show: impl FnMut(TraceLine) -> bool) -> Result<(), AdminClientError> {
        let opened = self.open(self.signed(Method::GET, "/v1/trace", Bytes::new())?).await?;
        let status = opened.response.status();
        if !status.is_success() {
            return Err(self.refusal(status, &self.collect(opened).await?));
        }
        let (mut lines, mut body) = (Vec::new(), opened.response.into_body());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.unreachable(&error))?;
            let Ok(bytes) = frame.into_data() else { continue };
            lines.extend_from_slice(&bytes);
            while let Some(end) = lines.iter().position(|byte| *byte == b'\n') {
                let line = serde_json::from_slice(&lines[..end]);
                lines.drain(..=end);
                let line = line.map_err(|_| AdminClientError::Answer { url: self.url.clone(), status })?;
                if !show(line) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, AdminClientError> {
        self.call_with(method, path, Bytes::new()).await
    }

    /// Sends JSON.
    async fn call_with<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, AdminClientError> {
        let (status, body) = self.send(self.signed(method, path, body)?).await?;
        if !status.is_success() {
            return Err(self.refusal(status, &body));
        }
        serde_json::from_slice(&body).map_err(|_| AdminClientError::Answer { url: self.url.clone(), status })
    }

    fn signed(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, AdminClientError> {
        let mut request = self.request(method, path, body.clone())?;
        let (access_key_id, secret_key) = self.key.as_ref().expect("verbs that sign are given a key");
        let signer =
            sigv4::Signer { access_key_id, secret_key, region: "us-east-1", service: SERVICE, now: self.clock.now() };
        signer.sign(&mut request, &body);
        Ok(request)
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> AdminClientError {
        match serde_json::from_slice::<AdminError>(body) {
            Ok(error) => error.into(),
            Err(_) => self.misunderstood(status, body),
        }
    }

    /// What an answer is that no admin API gives: S3 alone speaks XML, and nodes alone want the protocol to be changed.
    fn misunderstood(&self, status: StatusCode, body: &[u8]) -> AdminClientError {
        let url = self.url.clone();
        match status {
            _ if body.starts_with(b"<?xml") => AdminClientError::OtherPort { url, serves: "S3" },
            StatusCode::UPGRADE_REQUIRED => AdminClientError::OtherPort { url, serves: "nodes and gateways" },
            _ => AdminClientError::Answer { url, status },
        }
    }

    fn unreachable(&self, reason: &dyn std::fmt::Display) -> AdminClientError {
        AdminClientError::Unreachable { url: self.url.clone(), reason: reason.to_string() }
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, AdminClientError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(hyper::header::HOST, &self.host)
            .header(hyper::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body));
        request.map_err(|_| AdminClientError::Url(self.url.clone()))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), AdminClientError> {
        let opened = self.open(request).await?;
        Ok((opened.response.status(), self.collect(opened).await?))
    }

    async fn collect(&self, opened: Opened) -> Result<Bytes, AdminClientError> {
        let body = opened.response.into_body().collect().await;
        Ok(body.map_err(|error| self.unreachable(&error))?.to_bytes())
    }

    async fn open(&self, request: Request<Full<Bytes>>) -> Result<Opened, AdminClientError> {
        let address = if self.host.contains(':') { self.host.clone() } else { format!("{}:9001", self.host) };
        let stream = TcpStream::connect(&address).await.map_err(|error| self.unreachable(&error))?;
        let opened = match &self.tls {
            None => exchange(TokioIo::new(stream), request).await,
            Some(config) => {
                let name = address.rsplit_once(':').map_or(address.as_str(), |(name, _)| name).to_owned();
                let name = rustls::pki_types::ServerName::try_from(name)
                    .map_err(|_| AdminClientError::Url(self.url.clone()))?;
                let connecting = tokio_rustls::TlsConnector::from(config.clone()).connect(name, stream);
                let stream = connecting.await.map_err(|error| self.unreachable(&distrust(&error)))?;
                exchange(TokioIo::new(stream), request).await
            }
        };
        opened.map_err(|error| match self.tls {
            None if error.is_parse() => {
                self.unreachable(&"its answer is no HTTP; if it is served by TLS, write https://")
            }
            _ => self.unreachable(&error),
        })
    }
}

/// An answer whose body may still be on its way.
struct Opened {
    response: Response<Incoming>,
    /// What moves its bytes.
    _connection: AbortOnDrop,
}

struct AbortOnDrop(JoinHandle<Result<(), hyper::Error>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why TLS was not agreed on, and what to do where it is that nobody vouches for the server.
/// Names and directories have letters that a path or a query gives another meaning.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn distrust(error: &std::io::Error) -> String {
    let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(cause) if *cause == unknown => {
            "nobody vouches for its certificate; name its authority, or the certificate itself, with --ca".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(_))) => {
            "its certificate is not the one of --ca, nor vouched for by it".to_owned()
        }
        _ => error.to_string(),
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Opened, hyper::Error>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let connection = AbortOnDrop(tokio::spawn(connection));
    Ok(Opened { response: sender.send_request(request).await?, _connection: connection })
}

/// Trusts what is in `ca`, which TLS to an admin API with a certificate of one's own needs.
fn tls_config(ca: Option<&Path>) -> Result<rustls::ClientConfig, AdminClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trusted = match ca {
        None => TrustedCertificates::new(Vec::new(), provider.clone()).expect("nothing is listed"),
        Some(path) => {
            let wrong = || AdminClientError::Authority { path: path.to_owned() };
            let pem = read_file(path).ok_or_else(wrong)?;
            let listed: Result<Vec<_>, _> = rustls_pemfile::certs(&mut pem.as_slice()).collect();
            let listed = listed.ok().filter(|listed| !listed.is_empty()).ok_or_else(wrong)?;
            TrustedCertificates::new(listed, provider.clone()).map_err(|_| wrong())?
        }
    };
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3");
    // rustls calls a verifier of one's own dangerous; `trust` says what this one checks.
    Ok(builder.dangerous().with_custom_certificate_verifier(trusted).with_no_client_auth())
}

/// The environment's key, else that of the data directory.
fn read_key(data: &Path) -> Result<(AccessKeyId, SecretKey), AdminClientError> {
    let variable = |names: [&str; 2]| names.into_iter().find_map(|name| std::env::var(name).ok());
    let access = variable(["CAIRN_ROOT_ACCESS_KEY", "MINIO_ROOT_USER"]);
    let secret = variable(["CAIRN_ROOT_SECRET_KEY", "MINIO_ROOT_PASSWORD"]);
    if let (Some(access), Some(secret)) = (access, secret) {
        return Ok((AccessKeyId(access.into()), SecretKey(secret.into())));
    }
    let path = data.join(CREDENTIAL_FILE);
    let stored = read_file(&path).and_then(|text| serde_json::from_slice::<StoredCredential>(&text).ok());
    let stored = stored.ok_or(AdminClientError::NoKey { path })?;
    Ok((AccessKeyId(stored.access_key.into()), SecretKey(stored.secret_key.into())))
}

#[allow(clippy::disallowed_methods, reason = "the client reads files of the user's, not of a disk")]
pub(crate) fn read_file(path: &Path) -> Option<Vec<u8>> {
    std::fs::read(path).ok()
}

/// The content of [`CREDENTIAL_FILE`].
#[derive(serde::Serialize, serde::Deserialize)]
pub struct StoredCredential {
    /// The access key's id.
    pub access_key: String,
    /// The secret.
    pub secret_key: String,
}
