//! Opens disks, forms the cluster, keeps the layout, and wires the roles: the only crate that sees everything.
//!
//! [`Server`] is gateway and storage node in one process. Start with its `start`, which is the list of what a server is
//! made of, in order.

mod admin_front;
mod care;
#[allow(dead_code, reason = "the roles that use it come next")]
mod cluster;
mod credential;
mod disks;
mod duties;
#[allow(dead_code, reason = "the roles that use it come next")]
mod forming;
mod front;
mod gateway_credentials;
mod index;
#[allow(dead_code, reason = "the roles that use it come next")]
mod late;
mod layout;
mod memory;
mod metrics_page;
mod protection;
mod rebuild;
mod registry;
mod s3_side;
mod server;
mod settings;
mod status;
mod summary;
mod waiting;

pub use gateway::Compat;
pub use protection::Protection;
pub use server::{Server, StartError, Started};
pub use settings::ServerSettings;
pub use summary::{DiskSummary, Summary};
pub use waiting::WaitingServer;
