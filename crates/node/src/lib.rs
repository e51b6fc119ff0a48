//! Opens disks, forms the cluster, keeps the layout, and wires the roles: the only crate that sees everything.
//!
//! [`Server`] is gateway and storage node in one process. Start with its `start`, which is the list of what a server is
//! made of, in order.

mod absent;
mod admin_front;
mod care;
mod changes;
mod cluster;
mod credential;
mod decisions;
mod disks;
mod duties;
mod forming;
mod front;
mod gateway_credentials;
mod gateway_server;
mod gathering;
mod identities;
mod index;
mod late;
mod layout;
mod leftovers;
mod levels;
mod member;
mod memory;
mod metrics_page;
mod named_disks;
mod operator;
mod overview;
mod protection;
mod ranges;
mod readiness;
mod rebuild;
mod registry;
mod repair_status;
mod report;
mod s3_side;
mod server;
mod settings;
mod shortfall;
mod slots;
mod status;
mod summary;
mod timed_index;
mod voters;
mod voting;
mod waiting;
mod watch;

pub use ::index::NewerLevel;
pub use gateway::Compat;
pub use gateway_server::{GatewayRole, GatewayServer};
pub use protection::Protection;
pub use rpc::{CLUSTER_SECRET_CHARS_MIN, ClusterSecret, GatewayCredential, NoCredential};
pub use server::{Server, StartError, Started};
pub use settings::{ClusterSettings, ServerSettings};
pub use summary::{DiskSummary, Summary};
pub use waiting::WaitingServer;

/// What a node and a gateway are put together from, for simulations that do it over other networks and disks.
pub mod parts {
    pub use crate::changes::NodeChanges;
    pub use crate::cluster::{ClusterArchive, ClusterDirectory, ClusterIndex, ClusterShards};
    pub use crate::duties::{DutyServices, DutySettings, assemble, shared_out};
    pub use crate::late::OwnShards;
    pub use crate::layout::{LayoutError, LayoutKeeper};
    pub use crate::ranges::{Ranges, SplitError};
    pub use crate::registry::SuperblockRegistry;
}
