//! HeadObject.

use s3_wire::S3Error;

use super::get_object::{head_of, parse};
use crate::answer::{Answer, empty};
use crate::call::Call;

/// What GetObject would answer, without bytes.
pub(crate) async fn head_object(call: &Call<'_>) -> Result<Answer, S3Error> {
    let (request, wanted) = parse(call)?;
    let bucket = request.bucket.clone();
    let selected = call.objects().head_object(request).await.map_err(|error| wanted.refusal(call, error, &bucket))?;
    Ok(head_of(&selected, &wanted).map(|()| empty()))
}
