//! Which cluster this process belongs to, once it knows.

use std::sync::Arc;

use parking_lot::Mutex;
use types::ClusterId;

/// The cluster of this process; clones share it. While it is empty, nothing but joining goes over connections.
#[derive(Debug, Clone, Default)]
pub struct ClusterCell(Arc<Mutex<Option<ClusterId>>>);

impl ClusterCell {
    /// The cluster, if it is known.
    pub fn get(&self) -> Option<ClusterId> {
        *self.0.lock()
    }

    /// It is known from now on.
    pub fn set(&self, cluster: ClusterId) {
        *self.0.lock() = Some(cluster);
    }
}

impl From<ClusterId> for ClusterCell {
    fn from(cluster: ClusterId) -> Self {
        Self(Arc::new(Mutex::new(Some(cluster))))
    }
}
