//! S3's bytes to values and back: requests, answers, errors, XML, checksums, ranges, conditions, aws-chunked bodies.
//!
//! Pure: no I/O, no clock, no async. This crate doesn't know whether a signature is true (`sigv4`), whether a request
//! is allowed (`authz`), what a bucket holds (`objects`), or how HTTP moves (`gateway`): it reads heads and documents
//! that others gathered, and writes heads and documents that others send.
//!
//! A request's way through it: [`target::Target`] from Host and path, [`query::Query`], the [`operation::Operation`],
//! then the request of that operation's own module (`put_object`, `list_objects_v2`, ...), and its answer out of the
//! same module. Whatever is refused is an [`error::S3Error`] in AWS's words.

mod answer;
pub mod body;
pub mod checksum;
pub mod chunked;
pub mod conditions;
pub mod error;
pub mod head;
pub mod operation;
pub mod percent;
pub mod query;
pub mod range;
pub mod target;
pub mod time;
pub mod xml;

pub use error::{ErrorCode, ErrorContext, S3Error};
pub use head::{RequestHead, VersionRef};
pub use operation::{Operation, RequestBody};
pub use query::Query;
pub use target::{BaseDomains, Level, Target};
