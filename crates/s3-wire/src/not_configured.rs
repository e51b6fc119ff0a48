//! What is answered for sub-resources that Cairn doesn't have yet: AWS's answer for a bucket or an object where nothing
//! of the kind was ever set. Setting one is `NotImplemented`; deleting what isn't set succeeds.

use bytes::Bytes;
use http::{Response, StatusCode};
use types::{BucketName, Owner};

use crate::answer;
use crate::error::{ErrorCode, S3Error};
use crate::operation::Operation;
use crate::xml::XmlWriter;

/// Answers `operation` on an existing bucket, or on an existing object of it, owned by `owner`.
///
/// `None`: Cairn serves this operation; it is answered elsewhere.
pub fn answer(operation: Operation, bucket: &BucketName, owner: &Owner) -> Option<Result<Response<Bytes>, S3Error>> {
    use Operation as Op;
    let of_bucket = |code: ErrorCode| Some(Err(S3Error::new(code).with("BucketName", bucket.as_str())));
    match operation {
        Op::GetBucketAcl | Op::GetObjectAcl => Some(Ok(owner_only(owner))),
        Op::GetBucketEncryption => of_bucket(ErrorCode::ServerSideEncryptionConfigurationNotFoundError),
        Op::GetBucketWebsite => of_bucket(ErrorCode::NoSuchWebsiteConfiguration),
        Op::GetBucketReplication => of_bucket(ErrorCode::ReplicationConfigurationNotFoundError),
        Op::GetBucketOwnershipControls => of_bucket(ErrorCode::OwnershipControlsNotFoundError),
        Op::GetBucketMetadataConfiguration | Op::GetBucketMetadataTableConfiguration => {
            of_bucket(ErrorCode::MetadataConfigurationNotFound)
        }
        Op::GetBucketAnalyticsConfiguration
        | Op::GetBucketIntelligentTieringConfiguration
        | Op::GetBucketInventoryConfiguration
        | Op::GetBucketMetricsConfiguration
        | Op::DeleteBucketAnalyticsConfiguration
        | Op::DeleteBucketIntelligentTieringConfiguration
        | Op::DeleteBucketInventoryConfiguration
        | Op::DeleteBucketMetricsConfiguration => of_bucket(ErrorCode::NoSuchConfiguration),
        Op::DeleteBucketEncryption
        | Op::DeleteBucketOwnershipControls
        | Op::DeleteBucketReplication
        | Op::DeleteBucketWebsite => Some(Ok(answer::empty(StatusCode::NO_CONTENT))),
        _ => match empty_document(operation) {
            Some(document) => Some(Ok(document)),
            None if is_served(operation) => None,
            None => Some(Err(not_implemented(operation))),
        },
    }
}

/// `NotImplemented`, naming the operation.
pub fn not_implemented(operation: Operation) -> S3Error {
    S3Error::new(ErrorCode::NotImplemented).with("Operation", operation.name())
}

/// Whether Cairn serves it: reads and writes what it names.
pub const fn is_served(operation: Operation) -> bool {
    use Operation as Op;
    matches!(
        operation,
        Op::ListBuckets
            | Op::CreateBucket
            | Op::HeadBucket
            | Op::DeleteBucket
            | Op::GetBucketLocation
            | Op::GetBucketVersioning
            | Op::PutBucketVersioning
            | Op::GetBucketTagging
            | Op::PutBucketTagging
            | Op::DeleteBucketTagging
            | Op::GetBucketCors
            | Op::PutBucketCors
            | Op::DeleteBucketCors
            | Op::GetBucketLifecycleConfiguration
            | Op::PutBucketLifecycleConfiguration
            | Op::DeleteBucketLifecycle
            | Op::GetBucketPolicy
            | Op::PutBucketPolicy
            | Op::DeleteBucketPolicy
            | Op::GetBucketPolicyStatus
            | Op::GetPublicAccessBlock
            | Op::PutPublicAccessBlock
            | Op::DeletePublicAccessBlock
            | Op::PreflightBucket
            | Op::PreflightObject
            | Op::GetBucketRequestPayment
            | Op::PutBucketRequestPayment
            | Op::GetBucketAccelerateConfiguration
            | Op::PutBucketAccelerateConfiguration
            | Op::GetObjectLockConfiguration
            | Op::PutObjectLockConfiguration
            | Op::ListObjects
            | Op::ListObjectsV2
            | Op::ListObjectVersions
            | Op::ListMultipartUploads
            | Op::DeleteObjects
            | Op::PutObject
            | Op::PostObject
            | Op::GetObject
            | Op::HeadObject
            | Op::DeleteObject
            | Op::CopyObject
            | Op::GetObjectAttributes
            | Op::GetObjectTagging
            | Op::PutObjectTagging
            | Op::DeleteObjectTagging
            | Op::GetObjectRetention
            | Op::PutObjectRetention
            | Op::GetObjectLegalHold
            | Op::PutObjectLegalHold
            | Op::CreateMultipartUpload
            | Op::UploadPart
            | Op::UploadPartCopy
            | Op::CompleteMultipartUpload
            | Op::AbortMultipartUpload
            | Op::ListParts
    )
}

/// The documents that say "nothing": an empty root, a default, a list without entries.
fn empty_document(operation: Operation) -> Option<Response<Bytes>> {
    use Operation as Op;
    let (root, content) = match operation {
        Op::GetBucketLogging => ("BucketLoggingStatus", ""),
        Op::GetBucketNotificationConfiguration => ("NotificationConfiguration", ""),
        Op::GetBucketAbac => ("AbacStatus", "<Status>Disabled</Status>"),
        Op::ListBucketAnalyticsConfigurations => ("ListBucketAnalyticsConfigurationResult", NO_ENTRIES),
        Op::ListBucketIntelligentTieringConfigurations => {
            ("ListBucketIntelligentTieringConfigurationsOutput", NO_ENTRIES)
        }
        Op::ListBucketInventoryConfigurations => ("ListInventoryConfigurationsResult", NO_ENTRIES),
        Op::ListBucketMetricsConfigurations => ("ListMetricsConfigurationsResult", NO_ENTRIES),
        _ => return None,
    };
    let mut xml = XmlWriter::document();
    xml.open_root(root);
    xml.raw(content);
    xml.close(root);
    Some(answer::document(xml))
}

const NO_ENTRIES: &str = "<IsTruncated>false</IsTruncated>";

/// The owner, and nobody else, has FULL_CONTROL.
fn owner_only(owner: &Owner) -> Response<Bytes> {
    let mut xml = XmlWriter::document();
    xml.open_root("AccessControlPolicy");
    xml.owner("Owner", owner);
    xml.open("AccessControlList");
    xml.open("Grant");
    xml.raw("<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\">");
    xml.text("ID", owner.canonical_id.0.as_bytes());
    xml.text("DisplayName", owner.display_name.as_bytes());
    xml.close("Grantee");
    xml.text("Permission", "FULL_CONTROL");
    xml.close("Grant");
    xml.close("AccessControlList");
    xml.close("AccessControlPolicy");
    answer::document(xml)
}
