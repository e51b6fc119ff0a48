//! Serving this node's shard stores, index and voters to others, each by what its role may do.

mod admission;
mod archive;
mod dispatch;
mod join;
mod permissions;
mod raft;
mod rpc_server;
mod serving;

pub use admission::{GatewayRegistry, NoGateways};
pub use join::JoinHandler;
pub use raft::{RaftError, RaftHandler};
pub use rpc_server::{NodeIdentity, RpcServer, Services};
