//! What S3 means: put, get, list, multipart, versions, copies.
//!
//! The operations stand one to a file over the index and the [`data`] path. This crate never sees HTTP, RPC or SQL: it
//! takes values, asks `IndexService` and `ShardService`, and answers values or an error that the gateway has words for.

pub mod data;
