//! The names of fields in spans and log lines: one name for one thing.

/// The id of an S3 or admin request, as the client sees it.
pub const REQUEST_ID: &str = "request_id";
/// S3's name of the operation.
pub const OPERATION: &str = "operation";
/// The bucket's name.
pub const BUCKET: &str = "bucket";
/// The object's key.
pub const KEY: &str = "key";
/// The version's id.
pub const VERSION_ID: &str = "version_id";
/// The node's id.
pub const NODE: &str = "node";
/// The disk's id.
pub const DISK: &str = "disk";
/// The shard's address.
pub const SHARD: &str = "shard";
/// An epoch.
pub const EPOCH: &str = "epoch";
/// A number of bytes.
pub const BYTES: &str = "bytes";
/// How it ended.
pub const OUTCOME: &str = "outcome";
