//! What nodes tell the one that watches, and what it tells them. They go as forming's messages do, under its version.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use types::{ClusterId, DiskId, FeatureLevel, Node, NodeId, RangeId, VoterId};

/// How a node is, by its own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heartbeat {
    /// Its cluster.
    pub(crate) cluster: ClusterId,
    /// Its row in the layout.
    pub(crate) node: Node,
    /// The voter that it is in all ranges.
    pub(crate) voter: VoterId,
    /// The newest format that it reads.
    pub(crate) feature_level: FeatureLevel,
    /// Its release.
    pub(crate) release: String,
    /// Where it serves S3; empty where it doesn't.
    pub(crate) endpoint: String,
    /// Where it serves the admin API.
    pub(crate) admin_endpoint: String,
    /// Seconds since it serves.
    pub(crate) uptime_seconds: u64,
    /// Its disks, those that it misses included.
    pub(crate) disks: Vec<DiskReport>,
    /// The ranges that it has a replica of.
    pub(crate) ranges: Vec<RangeReport>,
}

/// How a disk is, by its node's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DiskReport {
    /// The disk.
    pub(crate) disk: DiskId,
    /// Whether it works.
    pub(crate) health: ReportedHealth,
    /// Bytes of its file system.
    pub(crate) total_bytes: u64,
    /// Free bytes of its file system.
    pub(crate) free_bytes: u64,
    /// Bytes of live shards.
    pub(crate) shard_bytes: u64,
    /// Live shards.
    pub(crate) shards: u64,
    /// Shards found corrupt or unreadable since the node's start.
    pub(crate) read_errors: u64,
    /// What it holds of the index.
    pub(crate) index_roles: Vec<String>,
}

/// Whether a disk works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ReportedHealth {
    /// It does.
    Up,
    /// It takes nothing more.
    Full,
    /// It failed, or is not there.
    Down {
        /// What happened.
        reason: String,
    },
}

/// A range's group as one node sees it; indexes are those after the last entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RangeReport {
    /// The range.
    pub(crate) range: RangeId,
    /// Whether the node leads it.
    pub(crate) leads: bool,
    /// The leader's node, as far as it is known.
    pub(crate) leader: Option<NodeId>,
    /// The term of the last vote.
    pub(crate) term: u64,
    /// Who decides, and where they run.
    pub(crate) voters: BTreeMap<VoterId, NodeId>,
    /// Who gets the log and does not decide.
    pub(crate) learners: BTreeMap<VoterId, NodeId>,
    /// Of the log.
    pub(crate) log_end: u64,
    /// Known to be committed.
    pub(crate) committed: u64,
    /// Seen by readers.
    pub(crate) applied: u64,
    /// On the leader: had by each voter and learner.
    pub(crate) matched: BTreeMap<VoterId, u64>,
}

/// What the leader makes of a node's silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NodeState {
    /// It was heard a moment ago.
    Up,
    /// It is late: kept away from, and nothing else.
    Suspect,
    /// It is silent: its disks are down.
    Down,
    /// It has been silent so long that its disks are given up.
    Out,
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Out => "out",
        })
    }
}

/// What the one that watches answers a heartbeat: in short, how all nodes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Glance {
    /// Who watches.
    pub(crate) leader: NodeId,
    /// All nodes of the layout.
    pub(crate) nodes: Vec<GlanceNode>,
}

/// A node in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GlanceNode {
    /// The node.
    pub(crate) node: NodeId,
    /// How it is.
    pub(crate) state: NodeState,
    /// The voter that it is; `None` while it was not heard.
    pub(crate) voter: Option<VoterId>,
    /// Its disks that work, and their free bytes.
    pub(crate) free_bytes: BTreeMap<DiskId, u64>,
}

/// All that the one that watches knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterReport {
    /// Who watches.
    pub(crate) leader: NodeId,
    /// All nodes of the layout, and others that were heard.
    pub(crate) nodes: Vec<NodeReport>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeReport {
    /// The node.
    pub(crate) node: NodeId,
    /// How it is.
    pub(crate) state: NodeState,
    /// Milliseconds since it was heard; `None` where this leader has not heard it.
    pub(crate) silent_ms: Option<u64>,
    /// What it said last.
    pub(crate) last: Option<Box<Heartbeat>>,
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// The id of a node.
    pub(crate) fn node_id(number: u8) -> NodeId {
        NodeId::from_bytes([number; 16])
    }

    /// The id of a voter; its node's number is in it.
    pub(crate) fn voter_id(number: u8) -> VoterId {
        VoterId::from_bytes([number; 16])
    }

    /// The id of one of a node's disks.
    pub(crate) fn disk_id(node: u8, disk: u8) -> DiskId {
        let mut bytes = [node; 16];
        bytes[15] = disk;
        DiskId::from_bytes(bytes)
    }

    /// Of two nodes, one of which is out.
    pub(crate) fn glance() -> Glance {
        let node = |number, state| GlanceNode {
            node: node_id(number),
            state,
            voter: Some(voter_id(number)),
            free_bytes: [(disk_id(number, 1), 1 << 39)].into(),
        };
        let out = GlanceNode { voter: None, free_bytes: BTreeMap::new(), ..node(2, NodeState::Out) };
        Glance { leader: node_id(1), nodes: vec![node(1, NodeState::Up), out] }
    }

    /// Of a node whose disks are well: those with these numbers.
    pub(crate) fn heartbeat(number: u8, disks: &[u8]) -> Heartbeat {
        let report = |disk: &u8| DiskReport {
            disk: disk_id(number, *disk),
            health: ReportedHealth::Up,
            total_bytes: 1 << 40,
            free_bytes: 1 << 39,
            shard_bytes: 300,
            shards: 2,
            read_errors: 0,
            index_roles: vec!["log".to_owned()],
        };
        let voters: BTreeMap<_, _> = [(voter_id(number), node_id(number))].into();
        let range = RangeReport {
            range: RangeId(1),
            leads: true,
            leader: Some(node_id(number)),
            term: 3,
            voters: voters.clone(),
            learners: BTreeMap::new(),
            log_end: 300,
            committed: 299,
            applied: 299,
            matched: [(voter_id(number), 300)].into(),
        };
        let node =
            Node { id: node_id(number), address: format!("{number}:9002"), rack: None, zone: Some("z".to_owned()) };
        Heartbeat {
            cluster: ClusterId::from_bytes([0xc1; 16]),
            node,
            voter: voter_id(number),
            feature_level: FeatureLevel(1),
            release: "0.1.0".to_owned(),
            endpoint: "http://a:9000".to_owned(),
            admin_endpoint: "http://a:9001".to_owned(),
            uptime_seconds: 77,
            disks: disks.iter().map(report).collect(),
            ranges: vec![range],
        }
    }
}
