//! The shard stores and the index of other nodes behind the same traits, and an envelope for Raft's messages.
//!
//! A connection is authenticated once, by both sides, and carries many requests at a time, each with a deadline
//! (docs/decisions/0009-rpc.md). This crate knows who may ask for what; it knows neither what a shard is for nor what
//! a command does, and doesn't look into Raft's messages.
//!
//! Where to go next: [`server::RpcServer`] serves; [`client::RemoteShards`] and [`client::RemoteIndex`] ask; `wire`
//! is what goes over a connection, `handshake` how it begins.

pub mod client;
mod cluster_cell;
mod connection;
mod encoding;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(test)]
mod golden;
mod handshake;
mod secret;
pub mod server;
mod settings;
mod wire;

pub use cluster_cell::ClusterCell;
pub use encoding::CallRefusal;
pub use handshake::{Caller, HandshakeError, Lane, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN};
pub use secret::{
    CLUSTER_SECRET_CHARS_MIN, ClusterSecret, GatewayCredential, GatewayKey, NoCredential, SecretTooShort,
};
pub use settings::RpcSettings;
