//! HTTP in, HTTP out: the S3 front.
//!
//! A [`Gateway`] listens, speaks HTTP/1.1 (hyper) over plain sockets or TLS, and sends each request down one readable
//! way (`request_path`): name, target, operation, signature, rights, then the operation's own file, which parses with
//! `s3-wire`, asks [`objects::Objects`] and writes the answer. Between socket and hyper stand a scanner that refuses what
//! two parsers could read differently (`framing`) and a watchdog that leaves clients who do nothing (`activity`).
//!
//! This crate knows no shard, no index and no disk; it doesn't know whether a signature is true (`sigv4`), who may do
//! what (`authz`), or how S3 is spelt (`s3-wire`).

mod actions;
mod activity;
mod additions;
mod answer;
mod authenticate;
mod body;
mod call;
mod chunk_check;
mod compat;
mod conditions;
mod connection;
mod document;
mod expiration;
mod form_body;
mod framing;
mod gateway;
mod health;
mod listener;
mod operations;
mod port;
mod read_share;
mod record;
mod refused;
mod request_id;
mod request_path;
mod rights;
mod store_error;
pub mod tls;
mod trace;
mod transport;
mod unavailable;

pub use activity::Timeouts;
pub use compat::Compat;
pub use framing::HeadLimits;
pub use gateway::{Gateway, GatewayError, GatewayHandle, GatewayServices, GatewaySettings};
pub use gateway::{REGION_DEFAULT, location_default};
pub use health::Readiness;
pub use port::Port;
pub use trace::{TraceFeed, Traced, TracedRequest, Traces};
pub use unavailable::Unavailable;
