//! The admin API, its client and its CLI verbs, the health pages and the metrics page.
//!
//! What the pages and verbs say comes through [`service::AdminService`], which `node` implements; this crate knows
//! neither disks nor the index. Health pages and metrics are open, every other path needs a SigV4 signature by a key
//! that may `admin:*`.

mod asked;
pub mod auth;
mod change_command;
pub mod changes;
pub mod cli;
pub mod client;
mod gateway_command;
pub mod gateways;
pub mod identities;
mod identity_command;
pub mod nodes;
pub mod progress;
pub mod rebuild;
mod rebuild_command;
pub mod server;
pub mod service;
pub mod status;
pub mod trace;
mod trust;

pub use auth::AdminAuthenticator;
pub use change_command::{DiskCommand, MovedOff, RebalanceCommand};
pub use changes::{Change, ChangeOptions, ChangePlan, MovesStatus, PlannedMoves, RebalanceWish};
pub use cli::{AdminCommand, run_admin_command, run_health};
pub use client::{AdminClient, AdminClientError};
pub use gateway_command::GatewayCommand;
pub use gateways::{AddGateway, GatewayName, KnownGateway, NewGateway};
pub use identities::{GivenKey, IdentityWish, Listed, ListedIdentity, ListedOf, MadeIdentity};
pub use identity_command::{AccountCommand, GroupCommand, KeyCommand, PolicyCommand, UserCommand};
pub use nodes::{NodeStatus, RangeStatus, ReplicaStatus, SplitPoint};
pub use rebuild::{ArchivedRange, RebuildOptions, RebuildReport, RebuildStatus, ReportedKey, ReportedKeys};
pub use server::{AdminServer, AdminServerError, AdminSettings};
pub use service::{AdminError, AdminService, RestripeWish, WantedProfile};
pub use status::{
    DeletedStatus, DiskStatus, FeatureLevelStatus, IndexStatus, LifecycleStatus, RepairStatus, RestripeStatus,
    ScrubStatus, Status, UsageStatus,
};
