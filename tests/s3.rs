//! Every S3 operation through the AWS SDK for Rust, one file for an operation, named as on the other floors; what
//! crosses operations has files named for it. `raw` is HTTP by hand.

mod abort_multipart_upload;
mod checksums;
mod compat_rgw;
mod complete_multipart_upload;
mod conditions;
mod copy_object;
mod create_bucket;
mod create_multipart_upload;
mod delete_bucket;
mod delete_object;
mod delete_objects;
mod get_bucket_location;
mod get_bucket_versioning;
mod get_object;
mod get_object_attributes;
mod head_bucket;
mod head_object;
mod keys;
mod list_buckets;
mod list_multipart_uploads;
mod list_object_versions;
mod list_objects;
mod list_objects_v2;
mod list_parts;
mod metadata;
mod not_configured;
mod object_lock;
mod post_object;
mod preflight;
mod presigned;
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
pub mod raw;
mod signature_version2;
mod upload_part;
mod upload_part_copy;
mod versioning;
mod wire;

use std::fmt::Debug;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};

use crate::server::Server;

/// A client of the shared server and a bucket that nobody else has.
pub async fn fresh() -> (Client, String) {
    let server = Server::shared();
    (server.client(), server.bucket().await)
}

/// The code of the error that a request must end in.
pub fn code_of<T: Debug, E: ProvideErrorMetadata + Debug, R: Debug>(outcome: Result<T, SdkError<E, R>>) -> String {
    let error = outcome.expect_err("the request must fail");
    error.code().unwrap_or_else(|| panic!("an error without a code: {error:?}")).to_owned()
}

/// The HTTP status of the error that a request must end in: HEAD has no body with a code.
pub fn status_of<T: Debug, E: Debug>(outcome: Result<T, SdkError<E, aws_sdk_s3::config::http::HttpResponse>>) -> u16 {
    let error = outcome.expect_err("the request must fail");
    error.raw_response().unwrap_or_else(|| panic!("no answer: {error:?}")).status().as_u16()
}

/// Puts `body` and returns its ETag and version id.
pub async fn put(client: &Client, bucket: &str, key: &str, body: &[u8]) -> (String, Option<String>) {
    let put = client.put_object().bucket(bucket).key(key).body(body.to_vec().into()).send().await.expect("PUT");
    (put.e_tag.expect("a PUT answers an ETag"), put.version_id)
}

/// The object's bytes.
pub async fn get(client: &Client, bucket: &str, key: &str) -> Vec<u8> {
    let got = client.get_object().bucket(bucket).key(key).send().await.expect("GET");
    got.body.collect().await.expect("the body arrives").to_vec()
}

/// Sets a bucket's versioning.
pub async fn set_versioning(client: &Client, bucket: &str, status: BucketVersioningStatus) {
    let configuration = VersioningConfiguration::builder().status(status).build();
    let put = client.put_bucket_versioning().bucket(bucket).versioning_configuration(configuration);
    put.send().await.expect("versioning is set");
}
