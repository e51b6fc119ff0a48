//! S3's bytes to values and back: requests, answers, errors, XML, checksums, ranges, conditions, aws-chunked bodies, forms.
//!
//! Pure: no I/O, no clock, no async. This crate doesn't know whether a signature is true (`sigv4`), whether a request
//! is allowed (`authz`), what a bucket holds (`objects`), or how HTTP moves (`gateway`): it reads heads and documents
//! that others gathered, and writes heads and documents that others send.
//!
//! A request's way through it: [`target::Target`] from Host and path, [`query::Query`], the [`operation::Operation`],
//! then the request of that operation's own module (`put_object`, `list_objects_v2`, ...), and its answer out of the
//! same module. Whatever is refused is an [`error::S3Error`] in AWS's words.

mod answer;

pub mod abort_multipart_upload;
pub mod body;
pub mod bucket_accelerate;
pub mod bucket_cors;
pub mod bucket_document;
pub mod bucket_lifecycle;
pub mod bucket_policy;
pub mod bucket_request_payment;
pub mod bucket_versioning;
pub mod bucket_website;
pub mod checksum;
pub mod chunked;
pub mod complete_multipart_upload;
pub mod conditions;
pub mod copy_object;
pub mod copy_source;
pub mod cors;
pub mod create_bucket;
pub mod create_multipart_upload;
pub mod delete_bucket;
pub mod delete_object;
pub mod delete_objects;
pub mod error;
pub mod form;
pub mod get_bucket_location;
pub mod get_object;
pub mod get_object_attributes;
pub mod head;
pub mod head_bucket;
pub mod lifecycle;
pub mod list_buckets;
pub mod list_multipart_uploads;
pub mod list_object_versions;
pub mod list_objects;
pub mod list_objects_v2;
pub mod list_parts;
pub mod listing;
pub mod not_configured;
pub mod object_attributes;
pub mod object_legal_hold;
pub mod object_lock;
pub mod object_lock_configuration;
pub mod object_retention;
pub mod operation;
pub mod percent;
pub mod post_object;
pub mod post_policy;
pub mod public_access_block;
pub mod put_object;
pub mod query;
pub mod range;
pub mod tagging;
pub mod target;
pub mod time;
pub mod upload_part;
pub mod upload_part_copy;
pub mod website;
pub mod xml;

pub use error::{ErrorCode, ErrorContext, S3Error};
pub use head::{RequestHead, VersionRef};
pub use operation::{Operation, RequestBody};
pub use query::Query;
pub use target::{BaseDomains, Level, Target};
