//! ListBuckets.

use s3_wire::S3Error;
use s3_wire::list_buckets::{ListBucketsRequest, ListedBucket, answer};

use types::{AccountId, CanonicalId, Owner};

use crate::answer::{Answer, whole};
use crate::call::Call;

/// The caller's own buckets.
pub(crate) async fn list_buckets(call: &Call<'_>) -> Result<Answer, S3Error> {
    let request = ListBucketsRequest::parse(&call.head)?;
    if call.authenticated.is_nobody() {
        let name = "anonymous";
        let nobody = Owner { account: AccountId(0), canonical_id: CanonicalId(name.into()), display_name: name.into() };
        return Ok(whole(answer(&request, &nobody, &[], None)));
    }
    let owner = call.owner()?;
    let page = call
        .objects()
        .list_buckets(objects::ListBucketsRequest {
            owner: owner.account,
            prefix: request.prefix.clone(),
            region: request.region.clone(),
            token: request.token.clone(),
            max_buckets: request.limit,
        })
        .await
        .map_err(|error| call.refusal(error))?;
    let listed: Vec<_> = page
        .buckets
        .iter()
        .map(|bucket| ListedBucket { name: &bucket.name, created: bucket.created, region: &bucket.region })
        .collect();
    Ok(whole(answer(&request, owner, &listed, page.next_token.as_deref())))
}
