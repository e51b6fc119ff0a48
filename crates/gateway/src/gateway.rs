//! The gateway as a whole: its settings, what it works with, and its handle.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iam::KnownKeys;
use objects::Objects;
use platform::{Clock, Entropy, Workers};
use s3_wire::BaseDomains;
use sigv4::SigningKeys;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use types::Credential;

use crate::activity::Timeouts;
use crate::compat::Compat;
use crate::framing::HeadLimits;
use crate::health::Readiness;
use crate::listener::{self, Serving};
use crate::port::Port;
use crate::read_share::ReadShare;
use crate::record::RequestMetrics;
use crate::request_id::RequestIds;
use crate::tls::Tls;
use crate::trace::Traces;

/// How a gateway serves. `config/cairn.toml` lists those that an operator may set.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Domains under which a bucket is a host name, beside `localhost`.
    pub domains: Vec<String>,
    /// The only region that signatures may name; `None`: any.
    pub region: Option<String>,
    /// Whose answers are given where they differ.
    pub compat: Compat,
    /// Whether Signature Version 2 counts, too.
    pub signature_v2: bool,
    /// The certificate; `None`: plain HTTP.
    pub tls: Option<Tls>,
    /// How long clients may take.
    pub timeouts: Timeouts,
    /// Bounds of a request's head.
    pub head_limits: HeadLimits,
    /// The most connections at once; more wait in the kernel.
    pub connections_max: usize,
    /// The longest piece of a body that is read at once, in bytes, at least 8 KiB.
    pub read_buffer_bytes: usize,
    /// What all uploads together hold of their bodies outside of the memory budget, in bytes.
    pub read_buffers_bytes: usize,
    /// After how long a CompleteMultipartUpload begins to answer white space.
    pub complete_patience: Duration,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            region: None,
            compat: Compat::default(),
            signature_v2: false,
            tls: None,
            timeouts: Timeouts::default(),
            head_limits: HeadLimits { bytes_max: 64 << 10, headers_max: 100 },
            connections_max: 10_000,
            read_buffer_bytes: 256 << 10,
            read_buffers_bytes: 24 << 20,
            complete_patience: Duration::from_secs(10),
        }
    }
}

impl GatewaySettings {
    /// The location of a bucket whose maker names none: the configured region. Empty is us-east-1, as in S3.
    pub fn location_default(&self) -> String {
        location_default(self.region.as_deref())
    }
}

/// The location of a bucket whose maker names none, where signatures may name only this region.
pub fn location_default(region: Option<&str>) -> String {
    region.filter(|region| *region != REGION_DEFAULT).unwrap_or_default().to_owned()
}

/// The region of what names none.
pub const REGION_DEFAULT: &str = "us-east-1";

/// What a gateway works with.
#[derive(Debug, Clone)]
pub struct GatewayServices {
    /// S3's operations.
    pub objects: Objects,
    /// The root credentials, as they are now.
    pub credentials: watch::Receiver<Arc<[Credential]>>,
    /// What is known of all other access keys.
    pub keys: Arc<KnownKeys>,
    /// Whether reads and writes work: what the health pages say.
    pub readiness: watch::Receiver<Readiness>,
    /// Time: of signatures and records.
    pub clock: Arc<dyn Clock>,
    /// Randomness of request ids.
    pub entropy: Arc<dyn Entropy>,
    /// Threads for hashing.
    pub workers: Workers,
}

/// Why a gateway does not serve.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct GatewayCore {
    pub(crate) settings: GatewaySettings,
    pub(crate) services: GatewayServices,
    pub(crate) bases: BaseDomains,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) request_ids: RequestIds,
    pub(crate) metrics: Arc<RequestMetrics>,
    pub(crate) traces: Traces,
    pub(crate) read_share: Arc<ReadShare>,
}

/// The S3 front.
#[derive(Debug)]
pub struct Gateway;

impl Gateway {
    /// Takes the port that S3 is to be served on.
    ///
    /// # Errors
    /// [`GatewayError::Listen`].
    pub fn take_port(address: SocketAddr) -> Result<Port, GatewayError> {
        Port::take(address).map_err(|source| GatewayError::Listen { address, source })
    }

    /// Serves on the current runtime until the handle drains it or is dropped.
    ///
    /// # Errors
    /// [`GatewayError::Listen`].
    pub fn serve(
        port: Port,
        settings: GatewaySettings,
        services: GatewayServices,
    ) -> Result<GatewayHandle, GatewayError> {
        let local_addr = port.address();
        let listener = port.listen().map_err(|source| GatewayError::Listen { address: local_addr, source })?;
        let request_ids = RequestIds::new(services.entropy.as_ref());
        let traces = Traces::new();
        let core = Arc::new(GatewayCore {
            bases: BaseDomains::new(settings.domains.iter().map(String::as_str)),
            signing_keys: SigningKeys::new(),
            request_ids,
            metrics: Arc::new(RequestMetrics::new()),
            traces: traces.clone(),
            read_share: Arc::new(ReadShare::new(settings.read_buffers_bytes, settings.read_buffer_bytes)),
            settings,
            services,
        });
        let (serving, watched) = watch::channel(Serving::On);
        let task = tokio::spawn(listener::serve(core, listener, watched));
        Ok(GatewayHandle { local_addr, traces, serving, task })
    }
}

/// A gateway that serves. Dropping it ends the gateway without waiting for requests.
pub struct GatewayHandle {
    local_addr: SocketAddr,
    traces: Traces,
    serving: watch::Sender<Serving>,
    task: JoinHandle<bool>,
}

impl GatewayHandle {
    /// Where it listens: with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where its requests are shown as they end.
    pub fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Takes no more connections and requests, and waits for those under way, at most for `patience`; what is left
    /// then is broken off. Returns whether nothing was.
    pub async fn drain(self, patience: Duration) -> bool {
        // Nobody listens where the gateway has ended already, with its runtime.
        let _ = self.serving.send(Serving::Draining(patience));
        self.task.await.unwrap_or(false)
    }
}

impl fmt::Debug for GatewayHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayHandle").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}
