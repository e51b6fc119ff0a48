//! What duties change of the cluster, by this node's hand: the layout, and what is known of how full disks are.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use platform::Entropy;
use shards::{DiskHealth, LocalShards};
use telemetry::with_causes;
use types::DiskId;
use upkeep::DutyError;
use upkeep::collect::Room;
use upkeep::heirs::{ClusterChanges, LayoutPlan};

use crate::layout::LayoutKeeper;
use crate::watch::{DiskReport, Lookout, ReportedHealth};

/// Changes the cluster.
pub struct NodeChanges {
    layout: Arc<LayoutKeeper>,
    shards: Arc<LocalShards>,
    entropy: Arc<dyn Entropy>,
    /// In a cluster, who knows of the other nodes.
    lookout: OnceLock<Arc<Lookout>>,
}

impl NodeChanges {
    /// By `layout`; knows of its own disks alone until it is told who knows of the others.
    pub fn new(layout: Arc<LayoutKeeper>, shards: Arc<LocalShards>, entropy: Arc<dyn Entropy>) -> Self {
        Self { layout, shards, entropy, lookout: OnceLock::new() }
    }

    /// Knows of all nodes' disks from now on.
    pub(crate) fn listen(&self, lookout: Arc<Lookout>) {
        let _only_once = self.lookout.set(lookout);
    }

    /// What `read` takes of each disk, as its node said last.
    pub(crate) async fn of_disks(&self, read: impl Fn(&DiskReport) -> u64) -> Option<BTreeMap<DiskId, u64>> {
        let report = self.lookout.get()?.report().await.ok()?;
        let last = report.nodes.into_iter().filter_map(|node| node.last);
        Some(last.flat_map(|last| last.disks).map(|disk| (disk.disk, read(&disk))).collect())
    }

    /// Room on each disk, of those that say so.
    pub(crate) async fn free_bytes(&self) -> BTreeMap<DiskId, u64> {
        match self.of_disks(|disk| disk.free_bytes).await {
            Some(free) => free,
            None => self.own(|usage| usage.free_bytes).await,
        }
    }

    async fn own(&self, read: impl Fn(&shards::DiskUsage) -> u64) -> BTreeMap<DiskId, u64> {
        let mut of_disks = BTreeMap::new();
        for disk in self.shards.disk_states().keys() {
            if let Ok(usage) = self.shards.usage(*disk).await {
                of_disks.insert(*disk, read(&usage));
            }
        }
        of_disks
    }
}

#[async_trait]
impl ClusterChanges for NodeChanges {
    async fn change_layout(&self, plan: &LayoutPlan<'_>) -> Result<(), DutyError> {
        self.layout.change(plan).await.map_err(|error| DutyError::Other(with_causes(&error)))
    }

    async fn shard_bytes(&self) -> BTreeMap<DiskId, u64> {
        match self.of_disks(|disk| disk.shard_bytes).await {
            Some(bytes) => bytes,
            None => self.own(|usage| usage.live_bytes).await,
        }
    }

    fn nonce(&self) -> [u8; 16] {
        self.entropy.id()
    }
}

#[async_trait]
impl Room for NodeChanges {
    async fn is_some_disk_full(&self) -> bool {
        match self.of_disks(|disk| u64::from(disk.health == ReportedHealth::Full)).await {
            Some(full) => full.values().any(|full| *full > 0),
            None => self.shards.disk_states().values().any(|health| *health == DiskHealth::Full),
        }
    }
}
