//! The gateway over real sockets, with an index and disks in memory: one file a subject.
//!
//! Requests are written byte by byte where a subject needs that, and signed by AWS's own signer. No test sleeps: the
//! clock of signatures is turned by hand, and timeouts under test are some milliseconds long.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

mod client;
mod world;

mod authentication;
mod bodies;
mod buckets;
mod connections;
mod http_limits;
mod identities;
mod multipart;
mod objects_of_s3;
mod tls;
