//! PutObject.

use authz::Action;
use s3_wire::S3Error;
use s3_wire::put_object::{PutObjectRequest, StoredAnswer};

use super::object_lock;
use crate::answer::{Answer, whole};
use crate::call::{Call, shown_of_write};
use crate::conditions;
use crate::expiration::Expiring;
use crate::rights::Wish;

/// Stores an object.
pub(crate) async fn put_object(call: &mut Call<'_>) -> Result<Answer, S3Error> {
    let PutObjectRequest { bucket, key, attributes, body: announced, conditions } =
        PutObjectRequest::parse(&call.head)?;
    if !attributes.tags.is_empty() {
        call.demand(Wish::of_object(Action::PutObjectTagging, &bucket, &key).giving(&attributes.tags)).await?;
    }
    object_lock::check_given(&call.asker(), &bucket, &key, &attributes).await?;
    let owner = call.owner_in(&bucket).await?;
    let request = objects::PutObjectRequest {
        bucket: bucket.clone(),
        key: key.clone(),
        attributes,
        owner,
        conditions: conditions::of_write(conditions),
        said: call.body_facts(&announced),
    };
    let objects = call.objects();
    let mut body = call.object_body(&announced)?;
    let stored = objects.put_object(request, &mut body).await.map_err(|error| call.refusal(error))?;
    let answer = StoredAnswer {
        etag: &stored.etag,
        version: shown_of_write(stored.version),
        checksum: stored.checksum.as_ref(),
    };
    let mut answer = whole(answer.write());
    let (made, plain_bytes, tags) = (stored.modified, stored.plain_bytes, &stored.tags[..]);
    let object = Expiring { bucket: &bucket, key: &key, made, plain_bytes, tags };
    call.set_expiration(&object, answer.headers_mut()).await;
    Ok(answer)
}
