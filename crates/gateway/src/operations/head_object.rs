//! HeadObject.

use s3_wire::S3Error;

use super::get_object::{head_of, parse};
use super::object_lock;
use crate::answer::{Answer, empty};
use crate::call::Call;
use crate::expiration::Expiring;

/// What GetObject would answer, without bytes.
pub(crate) async fn head_object(call: &Call<'_>) -> Result<Answer, S3Error> {
    let (request, wanted) = parse(call)?;
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    let mut selected = match call.objects().head_object(request).await {
        Ok(selected) => selected,
        Err(error) => return Err(wanted.refusal(call, error, &bucket, &key).await),
    };
    object_lock::hide_unknowable(call, &mut selected.head.attributes).await?;
    let mut head = head_of(&selected, &wanted);
    if let Some(object) = Expiring::of_head(&bucket, &key, &selected.head) {
        call.set_expiration(&object, head.headers_mut()).await;
    }
    Ok(head.map(|()| empty()))
}
