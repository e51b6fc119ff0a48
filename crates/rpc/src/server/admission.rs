//! Which gateways are let in.

use tokio::sync::watch;
use types::GatewayId;

use crate::secret::GatewayKey;

/// The gateways' credentials, as they stand in the system range.
pub trait GatewayRegistry: Send + Sync {
    /// The key of a credential; `None` for one that is not known, or was revoked.
    fn key(&self, gateway: GatewayId) -> Option<GatewayKey>;

    /// Whether a credential is known to have been revoked: it is refused at once, where one that is not known is waited
    /// for a while.
    fn is_revoked(&self, gateway: GatewayId) -> bool;

    /// Changes whenever [`GatewayRegistry::key`] may answer otherwise than before: connections of gateways whose key
    /// is another or none are closed then.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// No gateway is let in.
#[derive(Debug)]
pub struct NoGateways {
    changes: watch::Sender<u64>,
}

impl Default for NoGateways {
    fn default() -> Self {
        Self { changes: watch::Sender::new(0) }
    }
}

impl GatewayRegistry for NoGateways {
    fn key(&self, _gateway: GatewayId) -> Option<GatewayKey> {
        None
    }

    fn is_revoked(&self, _gateway: GatewayId) -> bool {
        true
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
