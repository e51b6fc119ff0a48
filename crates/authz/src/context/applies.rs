//! Which keys say something of which actions (Service Authorization Reference, "Actions, resources, and condition keys
//! for Amazon S3"). A bucket policy with a condition that says nothing of its action is refused.

use super::KeyName;
use crate::action::Action;

/// Whether a request for `action` can have `key`.
pub(crate) const fn applies_to(key: KeyName, action: Action) -> bool {
    use KeyName as K;
    match key {
        K::Prefix | K::Delimiter | K::MaxKeys => {
            matches!(action, Action::ListBucket | Action::ListBucketVersions)
        }
        K::VersionId => names_version(action),
        K::ExistingObjectTag => looks_at_object(action) || names_version(action),
        K::RequestObjectTag | K::RequestObjectTagKeys => matches!(
            action,
            Action::PutObject
                | Action::PutObjectTagging
                | Action::PutObjectVersionTagging
                | Action::ReplicateObject
                | Action::ReplicateTags
        ),
        K::Acl | K::GrantFullControl | K::GrantRead | K::GrantReadAcp | K::GrantWrite | K::GrantWriteAcp => matches!(
            action,
            Action::CreateBucket
                | Action::PutBucketAcl
                | Action::PutObject
                | Action::PutObjectAcl
                | Action::PutObjectVersionAcl
        ),
        K::CopySource
        | K::MetadataDirective
        | K::StorageClass
        | K::WebsiteRedirectLocation
        | K::ServerSideEncryption
        | K::ServerSideEncryptionAwsKmsKeyId
        | K::ServerSideEncryptionCustomerAlgorithm
        | K::ObjectCreationOperation => {
            matches!(action, Action::PutObject | Action::ReplicateObject | Action::UpdateObjectEncryption)
        }
        K::IfMatch => matches!(action, Action::PutObject | Action::DeleteObject),
        K::IfNoneMatch => matches!(action, Action::PutObject),
        K::ObjectLockMode | K::ObjectLockRetainUntilDate | K::ObjectLockRemainingRetentionDays => matches!(
            action,
            Action::PutObject
                | Action::PutObjectRetention
                | Action::BypassGovernanceRetention
                | Action::PutBucketObjectLockConfiguration
                | Action::ReplicateObject
        ),
        K::ObjectLockLegalHold => {
            matches!(action, Action::PutObject | Action::PutObjectLegalHold | Action::BypassGovernanceRetention)
        }
        K::LocationConstraint => matches!(action, Action::CreateBucket),
        K::ObjectOwnership => matches!(action, Action::CreateBucket | Action::PutBucketOwnershipControls),
        K::InventoryAccessibleOptionalFields => matches!(action, Action::PutInventoryConfiguration),
        K::IsReplicationPauseRequest => matches!(action, Action::PutReplicationConfiguration),
        _ => true,
    }
}

const fn names_version(action: Action) -> bool {
    matches!(
        action,
        Action::GetObjectVersion
            | Action::GetObjectVersionAcl
            | Action::GetObjectVersionAttributes
            | Action::GetObjectVersionTagging
            | Action::GetObjectVersionTorrent
            | Action::GetObjectVersionForReplication
            | Action::PutObjectVersionAcl
            | Action::PutObjectVersionTagging
            | Action::DeleteObjectVersion
            | Action::DeleteObjectVersionTagging
    )
}

/// Actions on an object that is there, whose tags AWS looks at. Those on retention and legal hold are not among them.
const fn looks_at_object(action: Action) -> bool {
    matches!(
        action,
        Action::GetObject
            | Action::GetObjectAcl
            | Action::GetObjectAttributes
            | Action::GetObjectTagging
            | Action::GetObjectTorrent
            | Action::PutObjectAcl
            | Action::PutObjectTagging
            | Action::DeleteObject
            | Action::DeleteObjectTagging
            | Action::RestoreObject
            | Action::UpdateObjectEncryption
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_listings_say_nothing_of_objects_and_global_ones_something_of_all() {
        assert!(applies_to(KeyName::Prefix, Action::ListBucket));
        assert!(!applies_to(KeyName::Prefix, Action::ListBucketMultipartUploads));
        assert!(!applies_to(KeyName::Prefix, Action::GetObject));
        assert!(!applies_to(KeyName::ExistingObjectTag, Action::GetObjectRetention));
        assert!(applies_to(KeyName::ExistingObjectTag, Action::GetObjectVersion));
        assert!(Action::ALL.iter().all(|&action| applies_to(KeyName::SourceIp, action)));
    }
}
