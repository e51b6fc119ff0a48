//! Which S3 operation a request is.

mod identify;

use crate::bucket_cors::CORS_BYTES_MAX;
use crate::bucket_policy::POLICY_BYTES_MAX;
use crate::target::Level;

pub use identify::{ExampleRequest, example_requests, identify};

macro_rules! operations {
    ($($level:ident { $($operation:ident),* $(,)? })*) => {
        /// Every operation of the S3 API by AWS's name, those that Cairn doesn't serve yet included. (Two of the API's
        /// names are missing: `ListDirectoryBuckets` and `WriteGetObjectResponse` belong to other endpoints.)
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the names are the S3 API reference's")]
        pub enum Operation {$($($operation,)*)*}

        impl Operation {
            /// All of them.
            pub const ALL: &[Self] = &[$($(Self::$operation,)*)*];

            /// AWS's name.
            pub const fn name(self) -> &'static str {
                match self {$($(Self::$operation => stringify!($operation),)*)*}
            }

            /// What it is aimed at.
            pub const fn level(self) -> Level {
                match self {$($(Self::$operation => Level::$level,)*)*}
            }
        }
    };
}

operations! {
    Service { ListBuckets }
    Bucket {
        CreateBucket, CreateBucketMetadataConfiguration, CreateBucketMetadataTableConfiguration, CreateSession,
        DeleteBucket, DeleteBucketAnalyticsConfiguration, DeleteBucketCors, DeleteBucketEncryption,
        DeleteBucketIntelligentTieringConfiguration, DeleteBucketInventoryConfiguration, DeleteBucketLifecycle,
        DeleteBucketMetadataConfiguration, DeleteBucketMetadataTableConfiguration, DeleteBucketMetricsConfiguration,
        DeleteBucketOwnershipControls, DeleteBucketPolicy, DeleteBucketReplication, DeleteBucketTagging,
        DeleteBucketWebsite, DeleteObjects, DeletePublicAccessBlock, GetBucketAbac, GetBucketAccelerateConfiguration,
        GetBucketAcl, GetBucketAnalyticsConfiguration, GetBucketCors, GetBucketEncryption,
        GetBucketIntelligentTieringConfiguration, GetBucketInventoryConfiguration, GetBucketLifecycleConfiguration,
        GetBucketLocation, GetBucketLogging, GetBucketMetadataConfiguration, GetBucketMetadataTableConfiguration,
        GetBucketMetricsConfiguration, GetBucketNotificationConfiguration, GetBucketOwnershipControls,
        GetBucketPolicy, GetBucketPolicyStatus, GetBucketReplication, GetBucketRequestPayment, GetBucketTagging,
        GetBucketVersioning, GetBucketWebsite, GetObjectLockConfiguration, GetPublicAccessBlock, HeadBucket,
        ListBucketAnalyticsConfigurations, ListBucketIntelligentTieringConfigurations,
        ListBucketInventoryConfigurations, ListBucketMetricsConfigurations, ListMultipartUploads, ListObjectVersions,
        ListObjects, ListObjectsV2, PostObject, PreflightBucket, PutBucketAbac, PutBucketAccelerateConfiguration,
        PutBucketAcl, PutBucketAnalyticsConfiguration, PutBucketCors, PutBucketEncryption,
        PutBucketIntelligentTieringConfiguration, PutBucketInventoryConfiguration, PutBucketLifecycleConfiguration,
        PutBucketLogging, PutBucketMetricsConfiguration, PutBucketNotificationConfiguration,
        PutBucketOwnershipControls, PutBucketPolicy, PutBucketReplication, PutBucketRequestPayment, PutBucketTagging,
        PutBucketVersioning, PutBucketWebsite, PutObjectLockConfiguration, PutPublicAccessBlock,
        UpdateBucketMetadataAnnotationTableConfiguration, UpdateBucketMetadataInventoryTableConfiguration,
        UpdateBucketMetadataJournalTableConfiguration,
    }
    Object {
        AbortMultipartUpload, CompleteMultipartUpload, CopyObject, CreateMultipartUpload, DeleteObject,
        DeleteObjectAnnotation, DeleteObjectTagging, GetObject, GetObjectAcl, GetObjectAnnotation,
        GetObjectAttributes, GetObjectLegalHold, GetObjectRetention, GetObjectTagging, GetObjectTorrent, HeadObject,
        ListObjectAnnotations, ListParts, PreflightObject, PutObject, PutObjectAcl, PutObjectAnnotation,
        PutObjectLegalHold, PutObjectRetention, PutObjectTagging, RenameObject, RestoreObject, SelectObjectContent,
        UpdateObjectEncryption, UploadPart, UploadPartCopy,
    }
}

/// The longest XML body of CompleteMultipartUpload and DeleteObjects, in bytes.
pub const LONG_XML_BYTES_MAX: usize = 8 << 20;

/// The longest XML body of every other operation, in bytes.
pub const XML_BYTES_MAX: usize = 1 << 20;

/// What kind of body an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// None: what is sent is not read as anything.
    None,
    /// A document, which is gathered before it is parsed.
    Document {
        /// Its greatest length in bytes.
        bytes_max: usize,
    },
    /// An object's bytes, which are streamed.
    Stream,
}

impl Operation {
    /// What kind of body it takes.
    pub const fn request_body(self) -> RequestBody {
        match self {
            Self::PutObject | Self::UploadPart | Self::PostObject | Self::PutObjectAnnotation => RequestBody::Stream,
            Self::CompleteMultipartUpload | Self::DeleteObjects => {
                RequestBody::Document { bytes_max: LONG_XML_BYTES_MAX }
            }
            Self::PutBucketPolicy => RequestBody::Document { bytes_max: POLICY_BYTES_MAX },
            Self::PutBucketCors => RequestBody::Document { bytes_max: CORS_BYTES_MAX },
            Self::CreateBucket
            | Self::PutBucketVersioning
            | Self::PutBucketTagging
            | Self::PutBucketLifecycleConfiguration
            | Self::PutPublicAccessBlock
            | Self::PutBucketRequestPayment
            | Self::PutBucketAccelerateConfiguration
            | Self::PutObjectLockConfiguration
            | Self::PutObjectRetention
            | Self::PutObjectLegalHold
            | Self::PutObjectTagging => RequestBody::Document { bytes_max: XML_BYTES_MAX },
            _ => RequestBody::None,
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(self) -> bool {
        let name = self.name();
        ["Get", "Head", "List", "Preflight", "Select"].iter().any(|verb| name.starts_with(verb))
    }
}
