//! Opens disks, forms the cluster, keeps the layout, and wires the roles: the only crate that sees everything.
//!
//! [`Server`] is gateway and storage node in one process. Start with its `start`, which is the list of what a server is
//! made of, in order.

mod admin_front;
mod care;
mod credential;
mod disks;
mod duties;
mod front;
mod index;
mod layout;
mod memory;
mod rebuild;
mod registry;
mod server;
mod settings;
mod status;
mod waiting;

pub use gateway::Compat;
pub use server::{DiskSummary, Server, StartError, Started, Summary};
pub use settings::ServerSettings;
pub use waiting::WaitingServer;
