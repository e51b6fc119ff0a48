//! What this node says of itself to whoever asks: the other nodes, and its own admin API.

use std::sync::Arc;
use std::time::Duration;

use archive::ArchiveStatus;
use async_trait::async_trait;
use consensus::ReplicatedIndex;
use futures::future::join_all;
use index::FEATURE_LEVEL;
use platform::Clock;
use shards::{DiskHealth, LocalShards};
use types::{ClusterId, Node};

use crate::care::DiskCare;
use crate::watch::{DiskReport, Heartbeat, RangeReport, ReportedHealth, Reporter};

/// How long a disk may take to say how full it is.
const USAGE_PATIENCE: Duration = Duration::from_millis(500);

/// Says how this node is.
pub(crate) struct NodeReporter {
    pub(crate) cluster: ClusterId,
    pub(crate) node: Node,
    pub(crate) endpoint: String,
    pub(crate) admin_endpoint: String,
    pub(crate) started: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shards: Arc<LocalShards>,
    pub(crate) index: Arc<ReplicatedIndex>,
    pub(crate) archive: ArchiveStatus,
    pub(crate) care: Arc<DiskCare>,
}

#[async_trait]
impl Reporter for NodeReporter {
    async fn report(&self) -> Heartbeat {
        Heartbeat {
            cluster: self.cluster,
            node: self.node.clone(),
            voter: self.index.voter(),
            feature_level: FEATURE_LEVEL,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            endpoint: self.endpoint.clone(),
            admin_endpoint: self.admin_endpoint.clone(),
            uptime_seconds: (self.clock.monotonic() - self.started).as_secs(),
            disks: self.disks().await,
            ranges: self.ranges(),
        }
    }
}

impl NodeReporter {
    /// The node's disks by the layout: those that it misses are down.
    async fn disks(&self) -> Vec<DiskReport> {
        let layout = self.care.layout.current();
        let states = self.shards.disk_states();
        let roles = self.index.status();
        let (states, roles) = (&states, &roles);
        let disks = layout.disks.iter().filter(|row| row.node == self.node.id).map(async |row| {
            // One that hangs must not keep its node from saying anything.
            let usage = tokio::time::timeout(USAGE_PATIENCE, self.care.usage(row.id)).await;
            let usage = usage.ok().and_then(Result::ok).unwrap_or_default();
            DiskReport {
                disk: row.id,
                health: health_of(states.get(&row.id)),
                total_bytes: usage.total_bytes,
                free_bytes: usage.free_bytes,
                shard_bytes: usage.live_bytes,
                shards: usage.shards,
                read_errors: usage.bad_reads,
                index_roles: crate::index::roles_of(roles, &self.archive, row.id),
            }
        });
        join_all(disks).await
    }

    fn ranges(&self) -> Vec<RangeReport> {
        let report = |(range, status): (_, consensus::RangeStatus)| RangeReport {
            range,
            leads: status.leads,
            leader: status.leader,
            term: status.term,
            voters: status.voters,
            learners: status.learners,
            log_end: status.log_end,
            committed: status.committed,
            applied: status.applied,
            matched: status.matched,
        };
        self.index.status().ranges.into_iter().map(report).collect()
    }
}

fn health_of(health: Option<&DiskHealth>) -> ReportedHealth {
    match health {
        None => ReportedHealth::Down { reason: "its directory is missing, or was not named at the start".to_owned() },
        Some(DiskHealth::Down { reason }) => ReportedHealth::Down { reason: reason.to_string() },
        Some(DiskHealth::Full) => ReportedHealth::Full,
        Some(DiskHealth::Up) => ReportedHealth::Up,
    }
}
