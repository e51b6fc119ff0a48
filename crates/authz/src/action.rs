//! What may be allowed: the actions of S3's policies, and Cairn's own.

macro_rules! actions {
    ($($action:ident $name:literal)*) => {
        /// Something that a policy can allow or deny, by its name in policies (Service Authorization Reference,
        /// "Actions, resources, and condition keys for Amazon S3").
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {$(
            #[doc = concat!("`", $name, "`")]
            $action,
        )*}

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$action),*];

            /// Its name in policies.
            pub const fn name(self) -> &'static str {
                match self {$(Self::$action => $name,)*}
            }
        }
    };
}

actions! {
    AbortMultipartUpload "s3:AbortMultipartUpload"
    BypassGovernanceRetention "s3:BypassGovernanceRetention"
    CreateBucket "s3:CreateBucket"
    DeleteBucket "s3:DeleteBucket"
    DeleteBucketPolicy "s3:DeleteBucketPolicy"
    DeleteBucketWebsite "s3:DeleteBucketWebsite"
    DeleteObject "s3:DeleteObject"
    DeleteObjectTagging "s3:DeleteObjectTagging"
    DeleteObjectVersion "s3:DeleteObjectVersion"
    DeleteObjectVersionTagging "s3:DeleteObjectVersionTagging"
    GetAccelerateConfiguration "s3:GetAccelerateConfiguration"
    GetAnalyticsConfiguration "s3:GetAnalyticsConfiguration"
    GetBucketAcl "s3:GetBucketAcl"
    GetBucketCors "s3:GetBucketCORS"
    GetBucketLocation "s3:GetBucketLocation"
    GetBucketLogging "s3:GetBucketLogging"
    GetBucketNotification "s3:GetBucketNotification"
    GetBucketObjectLockConfiguration "s3:GetBucketObjectLockConfiguration"
    GetBucketOwnershipControls "s3:GetBucketOwnershipControls"
    GetBucketPolicy "s3:GetBucketPolicy"
    GetBucketPolicyStatus "s3:GetBucketPolicyStatus"
    GetBucketPublicAccessBlock "s3:GetBucketPublicAccessBlock"
    GetBucketRequestPayment "s3:GetBucketRequestPayment"
    GetBucketTagging "s3:GetBucketTagging"
    GetBucketVersioning "s3:GetBucketVersioning"
    GetBucketWebsite "s3:GetBucketWebsite"
    GetEncryptionConfiguration "s3:GetEncryptionConfiguration"
    GetIntelligentTieringConfiguration "s3:GetIntelligentTieringConfiguration"
    GetInventoryConfiguration "s3:GetInventoryConfiguration"
    GetLifecycleConfiguration "s3:GetLifecycleConfiguration"
    GetMetricsConfiguration "s3:GetMetricsConfiguration"
    GetObject "s3:GetObject"
    GetObjectAcl "s3:GetObjectAcl"
    GetObjectAttributes "s3:GetObjectAttributes"
    GetObjectLegalHold "s3:GetObjectLegalHold"
    GetObjectRetention "s3:GetObjectRetention"
    GetObjectTagging "s3:GetObjectTagging"
    GetObjectTorrent "s3:GetObjectTorrent"
    GetObjectVersion "s3:GetObjectVersion"
    GetObjectVersionAcl "s3:GetObjectVersionAcl"
    GetObjectVersionAttributes "s3:GetObjectVersionAttributes"
    GetObjectVersionTagging "s3:GetObjectVersionTagging"
    GetReplicationConfiguration "s3:GetReplicationConfiguration"
    ListAllMyBuckets "s3:ListAllMyBuckets"
    ListBucket "s3:ListBucket"
    ListBucketMultipartUploads "s3:ListBucketMultipartUploads"
    ListBucketVersions "s3:ListBucketVersions"
    ListMultipartUploadParts "s3:ListMultipartUploadParts"
    PutAccelerateConfiguration "s3:PutAccelerateConfiguration"
    PutAnalyticsConfiguration "s3:PutAnalyticsConfiguration"
    PutBucketAcl "s3:PutBucketAcl"
    PutBucketCors "s3:PutBucketCORS"
    PutBucketLogging "s3:PutBucketLogging"
    PutBucketNotification "s3:PutBucketNotification"
    PutBucketObjectLockConfiguration "s3:PutBucketObjectLockConfiguration"
    PutBucketOwnershipControls "s3:PutBucketOwnershipControls"
    PutBucketPolicy "s3:PutBucketPolicy"
    PutBucketPublicAccessBlock "s3:PutBucketPublicAccessBlock"
    PutBucketRequestPayment "s3:PutBucketRequestPayment"
    PutBucketTagging "s3:PutBucketTagging"
    PutBucketVersioning "s3:PutBucketVersioning"
    PutBucketWebsite "s3:PutBucketWebsite"
    PutEncryptionConfiguration "s3:PutEncryptionConfiguration"
    PutIntelligentTieringConfiguration "s3:PutIntelligentTieringConfiguration"
    PutInventoryConfiguration "s3:PutInventoryConfiguration"
    PutLifecycleConfiguration "s3:PutLifecycleConfiguration"
    PutMetricsConfiguration "s3:PutMetricsConfiguration"
    PutObject "s3:PutObject"
    PutObjectAcl "s3:PutObjectAcl"
    PutObjectLegalHold "s3:PutObjectLegalHold"
    PutObjectRetention "s3:PutObjectRetention"
    PutObjectTagging "s3:PutObjectTagging"
    PutObjectVersionAcl "s3:PutObjectVersionAcl"
    PutObjectVersionTagging "s3:PutObjectVersionTagging"
    PutReplicationConfiguration "s3:PutReplicationConfiguration"
    RestoreObject "s3:RestoreObject"
    AdminRead "admin:Read"
    AdminWrite "admin:Write"
}
