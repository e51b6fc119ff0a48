//! What a server needs of the outside world before it touches a disk: its ports and its certificate.

use std::net::SocketAddr;

use admin::AdminServer;
use gateway::tls::{Tls, TlsFiles};
use gateway::{Gateway, Port};

use crate::admin_front::AdminFront;
use crate::server::StartError;
use crate::settings::ServerSettings;

/// The S3 port, and the certificate that it and the admin API are served with.
pub(crate) struct Front {
    /// `None` in a process that serves no S3.
    pub(crate) s3: Option<Port>,
    pub(crate) tls: Option<Tls>,
}

/// The admin port.
pub(crate) enum AdminSide {
    /// Nobody answers yet.
    Taken(Port),
    /// Somebody answers, to be replaced.
    Served(AdminFront),
}

impl AdminSide {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Taken(port) => port.address(),
            Self::Served(front) => front.address(),
        }
    }
}

impl Front {
    /// Reads the certificate and takes both ports: S3's, and that of the admin API.
    ///
    /// # Errors
    /// [`StartError::Tls`], [`StartError::Gateway`], [`StartError::Admin`].
    pub(crate) fn open(settings: &ServerSettings) -> Result<(Self, Port), StartError> {
        let tls = settings.tls.clone();
        let tls = tls.map(|(certificate, key)| Tls::load(TlsFiles { certificate, key })).transpose()?;
        let serves_s3 = settings.cluster.as_ref().is_none_or(|cluster| cluster.serves_s3);
        let s3 = serves_s3.then(|| Gateway::take_port(settings.listen)).transpose()?;
        let admin = AdminServer::take_port(settings.admin_listen)?;
        // A port can be taken twice as long as nobody listens on it.
        if s3.as_ref().is_some_and(|s3| is_one_port(s3.address(), admin.address())) {
            return Err(StartError::OnePort(admin.address()));
        }
        Ok((Self { s3, tls }, admin))
    }
}

fn is_one_port(one: SocketAddr, other: SocketAddr) -> bool {
    let overlap = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && overlap
}

/// How addresses that are served with this certificate, or with none, begin.
pub(crate) fn scheme(tls: Option<&Tls>) -> &'static str {
    if tls.is_some() { "https" } else { "http" }
}
