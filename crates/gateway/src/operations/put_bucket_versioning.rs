//! PutBucketVersioning.

use objects::VersioningStatus;
use s3_wire::bucket_versioning::{PutBucketVersioningRequest, put_answer};
use s3_wire::{ErrorCode, S3Error};
use types::Versioning;

use crate::answer::{Answer, whole};
use crate::call::Call;

/// Enables or suspends versioning.
pub(crate) async fn put_bucket_versioning(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    let PutBucketVersioningRequest { bucket, versioning } = PutBucketVersioningRequest::parse(&call.head, &document)?;
    let status = match versioning {
        Versioning::Enabled => VersioningStatus::Enabled,
        Versioning::Suspended => VersioningStatus::Suspended,
        // There is no way to say it: once enabled, versioning never goes off.
        Versioning::Off => return Err(ErrorCode::IllegalVersioningConfigurationException.into()),
    };
    call.objects().put_bucket_versioning(&bucket, status).await.map_err(|error| call.refusal(error))?;
    Ok(whole(put_answer()))
}
