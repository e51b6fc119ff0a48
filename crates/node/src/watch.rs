//! Nodes watch each other: each tells the system range's leader every second how it is, and that one decides who is
//! down and whose disks are given up.
//!
//! States of nodes are soft: the leader has them in memory, and a new one listens anew. What must be durable goes into
//! the layout and beside it: disks of a silent node are down and noted as away, those of one that stays away are out.

mod lookout;
mod machine;
mod messages;

pub(crate) use lookout::{Lookout, LookoutParts, Reporter};
pub(crate) use machine::WatchSettings;
pub(crate) use messages::{
    ClusterReport, DiskReport, Glance, Heartbeat, NodeReport, NodeState, RangeReport, ReportedHealth,
};
#[cfg(test)]
pub(crate) use messages::{GlanceNode, samples};
