//! Which action of policies an operation needs (Service Authorization Reference, "Actions, resources, and condition
//! keys for Amazon S3"). What an operation needs beside it (tags of a PUT, the source of a copy, each key of a
//! DeleteObjects) is asked where it is known.

use authz::Action;
use s3_wire::Operation;

/// The action that `operation` needs on what it is aimed at; `names_version` says whether it names a version.
/// `None`: anyone may ask (a browser's preflight is never signed).
pub(crate) const fn action_of(operation: Operation, names_version: bool) -> Option<Action> {
    use Operation as Op;
    Some(match operation {
        Op::ListBuckets => Action::ListAllMyBuckets,
        Op::PreflightBucket | Op::PreflightObject => return None,

        Op::CreateBucket | Op::CreateSession => Action::CreateBucket,
        Op::DeleteBucket => Action::DeleteBucket,
        Op::HeadBucket | Op::ListObjects | Op::ListObjectsV2 => Action::ListBucket,
        Op::ListObjectVersions => Action::ListBucketVersions,
        Op::ListMultipartUploads => Action::ListBucketMultipartUploads,
        Op::DeleteObjects => Action::DeleteObject,
        Op::PostObject => Action::PutObject,

        Op::GetBucketAccelerateConfiguration => Action::GetAccelerateConfiguration,
        Op::PutBucketAccelerateConfiguration => Action::PutAccelerateConfiguration,
        Op::GetBucketAcl => Action::GetBucketAcl,
        Op::PutBucketAcl => Action::PutBucketAcl,
        Op::GetBucketAnalyticsConfiguration | Op::ListBucketAnalyticsConfigurations => {
            Action::GetAnalyticsConfiguration
        }
        Op::PutBucketAnalyticsConfiguration | Op::DeleteBucketAnalyticsConfiguration => {
            Action::PutAnalyticsConfiguration
        }
        Op::GetBucketCors => Action::GetBucketCors,
        Op::PutBucketCors | Op::DeleteBucketCors => Action::PutBucketCors,
        Op::GetBucketEncryption => Action::GetEncryptionConfiguration,
        Op::PutBucketEncryption | Op::DeleteBucketEncryption => Action::PutEncryptionConfiguration,
        Op::GetBucketIntelligentTieringConfiguration | Op::ListBucketIntelligentTieringConfigurations => {
            Action::GetIntelligentTieringConfiguration
        }
        Op::PutBucketIntelligentTieringConfiguration | Op::DeleteBucketIntelligentTieringConfiguration => {
            Action::PutIntelligentTieringConfiguration
        }
        Op::GetBucketInventoryConfiguration | Op::ListBucketInventoryConfigurations => {
            Action::GetInventoryConfiguration
        }
        Op::PutBucketInventoryConfiguration | Op::DeleteBucketInventoryConfiguration => {
            Action::PutInventoryConfiguration
        }
        Op::GetBucketLifecycleConfiguration => Action::GetLifecycleConfiguration,
        Op::PutBucketLifecycleConfiguration | Op::DeleteBucketLifecycle => Action::PutLifecycleConfiguration,
        Op::GetBucketLocation => Action::GetBucketLocation,
        Op::GetBucketLogging => Action::GetBucketLogging,
        Op::PutBucketLogging => Action::PutBucketLogging,
        Op::GetBucketMetricsConfiguration | Op::ListBucketMetricsConfigurations => Action::GetMetricsConfiguration,
        Op::PutBucketMetricsConfiguration | Op::DeleteBucketMetricsConfiguration => Action::PutMetricsConfiguration,
        Op::GetBucketNotificationConfiguration => Action::GetBucketNotification,
        Op::PutBucketNotificationConfiguration => Action::PutBucketNotification,
        Op::GetBucketOwnershipControls => Action::GetBucketOwnershipControls,
        Op::PutBucketOwnershipControls | Op::DeleteBucketOwnershipControls => Action::PutBucketOwnershipControls,
        Op::GetBucketPolicy => Action::GetBucketPolicy,
        Op::PutBucketPolicy => Action::PutBucketPolicy,
        Op::DeleteBucketPolicy => Action::DeleteBucketPolicy,
        Op::GetBucketPolicyStatus => Action::GetBucketPolicyStatus,
        Op::GetPublicAccessBlock => Action::GetBucketPublicAccessBlock,
        Op::PutPublicAccessBlock | Op::DeletePublicAccessBlock => Action::PutBucketPublicAccessBlock,
        Op::GetBucketReplication => Action::GetReplicationConfiguration,
        Op::PutBucketReplication | Op::DeleteBucketReplication => Action::PutReplicationConfiguration,
        Op::GetBucketRequestPayment => Action::GetBucketRequestPayment,
        Op::PutBucketRequestPayment => Action::PutBucketRequestPayment,
        Op::GetBucketTagging | Op::GetBucketAbac => Action::GetBucketTagging,
        Op::PutBucketTagging | Op::DeleteBucketTagging | Op::PutBucketAbac => Action::PutBucketTagging,
        Op::GetBucketVersioning => Action::GetBucketVersioning,
        Op::PutBucketVersioning => Action::PutBucketVersioning,
        Op::GetBucketWebsite => Action::GetBucketWebsite,
        Op::PutBucketWebsite => Action::PutBucketWebsite,
        Op::DeleteBucketWebsite => Action::DeleteBucketWebsite,
        Op::GetObjectLockConfiguration => Action::GetBucketObjectLockConfiguration,
        Op::PutObjectLockConfiguration => Action::PutBucketObjectLockConfiguration,
        Op::GetBucketMetadataConfiguration | Op::GetBucketMetadataTableConfiguration => {
            Action::GetInventoryConfiguration
        }
        Op::CreateBucketMetadataConfiguration
        | Op::CreateBucketMetadataTableConfiguration
        | Op::DeleteBucketMetadataConfiguration
        | Op::DeleteBucketMetadataTableConfiguration
        | Op::UpdateBucketMetadataAnnotationTableConfiguration
        | Op::UpdateBucketMetadataInventoryTableConfiguration
        | Op::UpdateBucketMetadataJournalTableConfiguration => Action::PutInventoryConfiguration,

        Op::GetObject | Op::HeadObject | Op::SelectObjectContent if names_version => Action::GetObjectVersion,
        Op::GetObject | Op::HeadObject | Op::SelectObjectContent => Action::GetObject,
        Op::GetObjectAcl if names_version => Action::GetObjectVersionAcl,
        Op::GetObjectAcl => Action::GetObjectAcl,
        Op::GetObjectAttributes if names_version => Action::GetObjectVersionAttributes,
        Op::GetObjectAttributes => Action::GetObjectAttributes,
        Op::GetObjectTagging if names_version => Action::GetObjectVersionTagging,
        Op::GetObjectTagging | Op::GetObjectAnnotation | Op::ListObjectAnnotations => Action::GetObjectTagging,
        Op::GetObjectLegalHold => Action::GetObjectLegalHold,
        Op::GetObjectRetention => Action::GetObjectRetention,
        Op::GetObjectTorrent => Action::GetObjectTorrent,
        Op::ListParts => Action::ListMultipartUploadParts,

        Op::PutObject
        | Op::CopyObject
        | Op::CreateMultipartUpload
        | Op::UploadPart
        | Op::UploadPartCopy
        | Op::CompleteMultipartUpload
        | Op::RenameObject
        | Op::UpdateObjectEncryption => Action::PutObject,
        Op::AbortMultipartUpload => Action::AbortMultipartUpload,
        Op::PutObjectAcl if names_version => Action::PutObjectVersionAcl,
        Op::PutObjectAcl => Action::PutObjectAcl,
        Op::PutObjectTagging if names_version => Action::PutObjectVersionTagging,
        Op::PutObjectTagging | Op::PutObjectAnnotation => Action::PutObjectTagging,
        Op::PutObjectLegalHold => Action::PutObjectLegalHold,
        Op::PutObjectRetention => Action::PutObjectRetention,
        Op::RestoreObject => Action::RestoreObject,
        Op::DeleteObject if names_version => Action::DeleteObjectVersion,
        Op::DeleteObject => Action::DeleteObject,
        Op::DeleteObjectTagging if names_version => Action::DeleteObjectVersionTagging,
        Op::DeleteObjectTagging | Op::DeleteObjectAnnotation => Action::DeleteObjectTagging,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_preflights_need_no_action() {
        for &operation in Operation::ALL {
            let needs = action_of(operation, false).is_some() && action_of(operation, true).is_some();
            assert_eq!(needs, !operation.name().starts_with("Preflight"), "{}", operation.name());
        }
    }

    #[test]
    fn naming_a_version_asks_for_the_right_to_versions() {
        assert_eq!(action_of(Operation::GetObject, true), Some(Action::GetObjectVersion));
        assert_eq!(action_of(Operation::HeadObject, false), Some(Action::GetObject));
        assert_eq!(action_of(Operation::DeleteObject, true), Some(Action::DeleteObjectVersion));
    }
}
