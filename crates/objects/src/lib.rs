//! What S3 means: put, get, list, multipart, versions, copies.
//!
//! The operations stand one to a file, each a method of [`Objects`], over the index and the [`data`] path. This crate
//! never sees HTTP, RPC or SQL: it takes values, asks `IndexService` and `ShardService`, and answers values or an
//! [`ObjectsError`] that the gateway has words for. It doesn't ask who may do what: its callers have authorized.
//!
//! What is visible is decided by `index`'s `apply`; the operations here prepare commands under a bucket's epoch and a
//! ticket, and repeat them when either has changed meanwhile.

pub mod data;
pub mod records;

mod abort_multipart_upload;
mod body;
mod bucket_config;
mod bucket_documents;
mod buckets;
mod changes;
mod commit;
mod complete_multipart_upload;
mod conditions;
mod copies;
mod copy_object;
mod create_bucket;
mod create_multipart_upload;
mod delete_bucket;
mod delete_object;
mod delete_objects;
mod discard;
mod error;
mod get_bucket_location;
mod get_bucket_versioning;
mod get_object;
mod get_object_attributes;
mod get_object_lock_configuration;
mod head;
mod head_bucket;
mod head_object;
mod list_buckets;
mod list_multipart_uploads;
mod list_object_versions;
mod list_objects;
mod list_parts;
mod listing;
mod objects;
mod put_bucket_document;
mod put_bucket_versioning;
mod put_object;
mod put_object_legal_hold;
mod put_object_lock_configuration;
mod put_object_retention;
mod put_object_tagging;
mod ranges;
mod reads;
mod restripe_part;
mod tickets;
mod tokens;
mod unfinished_buckets;
mod upload_part;
mod upload_part_copy;
mod uploads;
mod version_changes;
mod writes;

// The nouns of the index that requests and answers are made of, so that callers need not know the index.
pub use index::command::{DocumentKind, ETagCondition, UploadChecksum, WhichVersion, WriteConditions};
pub use index::query::{ListEntry, ListedUpload, ListedVersion};

pub use body::BodyFacts;
pub use bucket_documents::BucketDocuments;
pub use complete_multipart_upload::{CompleteMultipartUploadRequest, NamedPart};
pub use conditions::ReadConditions;
pub use copy_object::{CopiedObject, CopyMetadata, CopyObjectRequest, CopySource};
pub use create_bucket::CreateBucketRequest;
pub use create_multipart_upload::{BegunUpload, CreateMultipartUploadRequest};
pub use delete_object::{DeleteObjectRequest, DeletedObject};
pub use delete_objects::{DeleteEntry, DeleteObjectsRequest};
pub use discard::{DiscardQueue, GivenUpRuns};
pub use error::{Condition, ObjectsError};
pub use get_object::{GetObjectRequest, ObjectBody, ReadObject, SelectedObject, Selection};
pub use get_object_attributes::{GetObjectAttributesRequest, ObjectAttributesAnswer, ObjectPartsPage, PartsWanted};
pub use head::{ChosenPart, ObjectHead, ShownVersion};
pub use head_bucket::Bucket;
pub use list_buckets::{BucketsPage, ListBucketsRequest};
pub use list_multipart_uploads::{ListMultipartUploadsRequest, UploadsPage};
pub use list_object_versions::{ListObjectVersionsRequest, VersionsPage};
pub use list_objects::{ListObjectsRequest, ListStart, ObjectsPage};
pub use list_parts::{ListPartsRequest, ListedPart, PartsPage};
pub use objects::{Objects, ObjectsServices, ObjectsSettings};
pub use put_bucket_versioning::VersioningStatus;
pub use put_object::{PutObjectRequest, WrittenVersion};
pub use put_object_legal_hold::PutObjectLegalHoldRequest;
pub use put_object_retention::PutObjectRetentionRequest;
pub use put_object_tagging::PutObjectTaggingRequest;
pub use ranges::ByteRange;
pub use restripe_part::{Aim, Restriped, is_as_wanted, parts_to_restripe};
pub use upload_part::{UploadPartRequest, WrittenPart};
pub use upload_part_copy::{CopiedPart, UploadPartCopyRequest};
