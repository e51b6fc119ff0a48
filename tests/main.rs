//! The real binary, as its users have it: S3 through the AWS SDK for Rust, loss of disks, crashes, and the rules that
//! hold over the whole tree. One binary, so that the SDK is linked once. `tests/clients` holds what other clients do.

#![allow(unreachable_pub, reason = "a test binary exports nothing")]
#![allow(clippy::large_futures, reason = "the SDK's requests are large, and a test has few of them")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests stand outside the store")]

mod admin;
mod body;
mod cluster;
mod crash;
mod draining;
mod faults;
mod golden;
mod layering;
mod lifecycle;
mod loss;
mod model;
mod mounts;
mod processes;
mod rebuild;
mod restripe;
#[cfg(feature = "next-level")]
mod rolled;
mod s3;
mod semantics;
mod server;
mod slow_clients;
mod start;
mod strangers;
