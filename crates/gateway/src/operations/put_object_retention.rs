//! PutObjectRetention.

use authz::Action;
use objects::PutObjectRetentionRequest;
use s3_wire::S3Error;
use s3_wire::object_retention::parse;
use s3_wire::tagging::put_object_answer;

use crate::answer::{Answer, whole};
use crate::call::{Call, shown, which};
use crate::rights::{LockWish, Wish};

/// Sets until when a version is held.
pub(crate) async fn put_object_retention(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    let retention = parse(&document)?;
    let (bucket, key, which) = (call.head.bucket()?, call.head.key()?, which(call.head.version()?));
    let lock = LockWish { retention, ..LockWish::default() };
    let wish = |action| Wish::of_object(action, &bucket, &key).of_version(which).locking(lock);
    call.demand(wish(Action::PutObjectRetention)).await?;
    let bypass_governance =
        call.head.bypasses_governance() && call.may(wish(Action::BypassGovernanceRetention)).await?;
    let (bucket, key) = (bucket.clone(), key.clone());
    let request = PutObjectRetentionRequest { bucket, key, which, retention, bypass_governance };
    let version = call.objects().put_object_retention(request).await.map_err(|error| call.refusal(error))?;
    Ok(whole(put_object_answer(shown(version))))
}
