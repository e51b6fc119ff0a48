//! The operations, one to a file: each parses its request with `s3-wire`, asks `objects`, and writes the answer.

mod abort_multipart_upload;
mod bucket_document;
mod complete_multipart_upload;
mod copy_object;
mod create_bucket;
mod create_multipart_upload;
mod delete_bucket;
mod delete_bucket_cors;
mod delete_bucket_lifecycle;
mod delete_bucket_policy;
mod delete_bucket_tagging;
mod delete_object;
mod delete_object_tagging;
mod delete_objects;
mod delete_public_access_block;
mod get_bucket_accelerate_configuration;
mod get_bucket_cors;
mod get_bucket_lifecycle_configuration;
mod get_bucket_location;
mod get_bucket_policy;
mod get_bucket_policy_status;
mod get_bucket_request_payment;
mod get_bucket_tagging;
mod get_bucket_versioning;
mod get_object;
mod get_object_attributes;
mod get_object_legal_hold;
mod get_object_lock_configuration;
mod get_object_retention;
mod get_object_tagging;
mod get_public_access_block;
mod head_bucket;
mod head_object;
mod list_buckets;
mod list_multipart_uploads;
mod list_object_versions;
mod list_objects;
mod list_objects_v2;
mod list_parts;
mod not_configured;
mod object_lock;
mod post_object;
mod preflight;
mod put_bucket_accelerate_configuration;
mod put_bucket_cors;
mod put_bucket_lifecycle_configuration;
mod put_bucket_policy;
mod put_bucket_request_payment;
mod put_bucket_tagging;
mod put_bucket_versioning;
mod put_object;
mod put_object_legal_hold;
mod put_object_lock_configuration;
mod put_object_retention;
mod put_object_tagging;
mod put_public_access_block;
mod upload_part;
mod upload_part_copy;

use futures::FutureExt;
use futures::future::BoxFuture;
use s3_wire::bucket_cors::CORS_BYTES_MAX;
use s3_wire::bucket_policy::POLICY_BYTES_MAX;
use s3_wire::operation::{LONG_XML_BYTES_MAX, XML_BYTES_MAX};
use s3_wire::{Operation, S3Error};

use crate::answer::Answer;
use crate::call::Call;

/// Does what `call` asks for. Boxed, so that a request carries one operation's state and not room for any.
pub(crate) fn perform<'a>(call: &'a mut Call<'_>) -> BoxFuture<'a, Result<Answer, S3Error>> {
    match call.operation {
        Operation::ListBuckets => list_buckets::list_buckets(call).boxed(),
        Operation::CreateBucket => create_bucket::create_bucket(call, XML_BYTES_MAX).boxed(),
        Operation::HeadBucket => head_bucket::head_bucket(call).boxed(),
        Operation::DeleteBucket => delete_bucket::delete_bucket(call).boxed(),
        Operation::GetBucketLocation => get_bucket_location::get_bucket_location(call).boxed(),
        Operation::PutBucketVersioning => put_bucket_versioning::put_bucket_versioning(call, XML_BYTES_MAX).boxed(),
        Operation::GetBucketVersioning => get_bucket_versioning::get_bucket_versioning(call).boxed(),
        Operation::PutBucketTagging => put_bucket_tagging::put_bucket_tagging(call, XML_BYTES_MAX).boxed(),
        Operation::GetBucketTagging => get_bucket_tagging::get_bucket_tagging(call).boxed(),
        Operation::DeleteBucketTagging => delete_bucket_tagging::delete_bucket_tagging(call).boxed(),
        Operation::PutBucketCors => put_bucket_cors::put_bucket_cors(call, CORS_BYTES_MAX).boxed(),
        Operation::GetBucketCors => get_bucket_cors::get_bucket_cors(call).boxed(),
        Operation::DeleteBucketCors => delete_bucket_cors::delete_bucket_cors(call).boxed(),
        Operation::PutBucketLifecycleConfiguration => {
            put_bucket_lifecycle_configuration::put_bucket_lifecycle_configuration(call, XML_BYTES_MAX).boxed()
        }
        Operation::GetBucketLifecycleConfiguration => {
            get_bucket_lifecycle_configuration::get_bucket_lifecycle_configuration(call).boxed()
        }
        Operation::DeleteBucketLifecycle => delete_bucket_lifecycle::delete_bucket_lifecycle(call).boxed(),
        Operation::PutBucketPolicy => put_bucket_policy::put_bucket_policy(call, POLICY_BYTES_MAX).boxed(),
        Operation::GetBucketPolicy => get_bucket_policy::get_bucket_policy(call).boxed(),
        Operation::DeleteBucketPolicy => delete_bucket_policy::delete_bucket_policy(call).boxed(),
        Operation::GetBucketPolicyStatus => get_bucket_policy_status::get_bucket_policy_status(call).boxed(),
        Operation::PutPublicAccessBlock => {
            put_public_access_block::put_public_access_block(call, XML_BYTES_MAX).boxed()
        }
        Operation::GetPublicAccessBlock => get_public_access_block::get_public_access_block(call).boxed(),
        Operation::DeletePublicAccessBlock => delete_public_access_block::delete_public_access_block(call).boxed(),
        Operation::PreflightBucket | Operation::PreflightObject => preflight::preflight(call).boxed(),
        Operation::PutBucketRequestPayment => {
            put_bucket_request_payment::put_bucket_request_payment(call, XML_BYTES_MAX).boxed()
        }
        Operation::GetBucketRequestPayment => get_bucket_request_payment::get_bucket_request_payment(call).boxed(),
        Operation::PutBucketAccelerateConfiguration => {
            put_bucket_accelerate_configuration::put_bucket_accelerate_configuration(call, XML_BYTES_MAX).boxed()
        }
        Operation::GetBucketAccelerateConfiguration => {
            get_bucket_accelerate_configuration::get_bucket_accelerate_configuration(call).boxed()
        }
        Operation::PutObjectLockConfiguration => {
            put_object_lock_configuration::put_object_lock_configuration(call, XML_BYTES_MAX).boxed()
        }
        Operation::GetObjectLockConfiguration => {
            get_object_lock_configuration::get_object_lock_configuration(call).boxed()
        }

        Operation::PutObject => put_object::put_object(call).boxed(),
        Operation::PostObject => post_object::post_object(call).boxed(),
        Operation::GetObject => get_object::get_object(call).boxed(),
        Operation::HeadObject => head_object::head_object(call).boxed(),
        Operation::GetObjectAttributes => get_object_attributes::get_object_attributes(call).boxed(),
        Operation::GetObjectTagging => get_object_tagging::get_object_tagging(call).boxed(),
        Operation::PutObjectTagging => put_object_tagging::put_object_tagging(call, XML_BYTES_MAX).boxed(),
        Operation::DeleteObjectTagging => delete_object_tagging::delete_object_tagging(call).boxed(),
        Operation::PutObjectRetention => put_object_retention::put_object_retention(call, XML_BYTES_MAX).boxed(),
        Operation::GetObjectRetention => get_object_retention::get_object_retention(call).boxed(),
        Operation::PutObjectLegalHold => put_object_legal_hold::put_object_legal_hold(call, XML_BYTES_MAX).boxed(),
        Operation::GetObjectLegalHold => get_object_legal_hold::get_object_legal_hold(call).boxed(),
        Operation::DeleteObject => delete_object::delete_object(call).boxed(),
        Operation::DeleteObjects => delete_objects::delete_objects(call, LONG_XML_BYTES_MAX).boxed(),
        Operation::CopyObject => copy_object::copy_object(call).boxed(),

        Operation::ListObjects => list_objects::list_objects(call).boxed(),
        Operation::ListObjectsV2 => list_objects_v2::list_objects_v2(call).boxed(),
        Operation::ListObjectVersions => list_object_versions::list_object_versions(call).boxed(),

        Operation::CreateMultipartUpload => create_multipart_upload::create_multipart_upload(call).boxed(),
        Operation::UploadPart => upload_part::upload_part(call).boxed(),
        Operation::UploadPartCopy => upload_part_copy::upload_part_copy(call).boxed(),
        Operation::CompleteMultipartUpload => {
            complete_multipart_upload::complete_multipart_upload(call, LONG_XML_BYTES_MAX).boxed()
        }
        Operation::AbortMultipartUpload => abort_multipart_upload::abort_multipart_upload(call).boxed(),
        Operation::ListParts => list_parts::list_parts(call).boxed(),
        Operation::ListMultipartUploads => list_multipart_uploads::list_multipart_uploads(call).boxed(),

        // What isn't there yet says so (the other operations of the API: `s3_wire::not_configured`).
        _ => not_configured::not_configured(call).boxed(),
    }
}
