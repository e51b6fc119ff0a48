//! PutObjectLegalHold.

use authz::Action;
use objects::PutObjectLegalHoldRequest;
use s3_wire::S3Error;
use s3_wire::object_legal_hold::parse;
use s3_wire::tagging::put_object_answer;

use crate::answer::{Answer, whole};
use crate::call::{Call, shown, which};
use crate::rights::{LockWish, Wish};

/// Sets or lifts a version's legal hold.
pub(crate) async fn put_object_legal_hold(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    let hold = parse(&document)?;
    let (bucket, key, which) = (call.head.bucket()?, call.head.key()?, which(call.head.version()?));
    let wish = Wish::of_object(Action::PutObjectLegalHold, &bucket, &key).of_version(which);
    call.demand(wish.locking(LockWish { hold, ..LockWish::default() })).await?;
    let request = PutObjectLegalHoldRequest { bucket, key, which, hold };
    let version = call.objects().put_object_legal_hold(request).await.map_err(|error| call.refusal(error))?;
    Ok(whole(put_object_answer(shown(version))))
}
