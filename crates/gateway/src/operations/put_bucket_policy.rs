//! PutBucketPolicy.

use authz::{Policy, PrincipalPattern};
use objects::DocumentKind;
use s3_wire::bucket_policy::{malformed_policy, put_answer};
use s3_wire::{ErrorCode, S3Error};
use types::Owner;

use crate::answer::{Answer, whole};
use crate::call::Call;
use crate::rights::block_of;

/// Puts a policy in place of the bucket's.
pub(crate) async fn put_bucket_policy(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    let name = call.head.bucket()?;
    let document = call.document(bytes_max).await?;
    let policy = Policy::bucket(&document, &name).map_err(|error| malformed_policy(error.to_string()))?;
    let bucket = call.objects().bucket(&name).await.map_err(|error| call.refusal(error))?;
    let documents = call.objects().bucket_documents_now(&name).await.map_err(|error| call.refusal(error))?;
    if !policy.principals().all(|principal| is_known(principal, &bucket.owner)) {
        return Err(malformed_policy("Invalid principal in policy".to_owned()));
    }
    if block_of(&documents).refuses_policy(&policy) {
        return Err(ErrorCode::AccessDenied.into());
    }
    let stored = call.objects().put_bucket_document(&name, DocumentKind::Policy, Some(document)).await;
    stored.map_err(|error| call.refusal(error))?;
    Ok(whole(put_answer()))
}

/// Whether there is such a principal: a policy that names nobody would be taken for one that lets somebody in.
fn is_known(principal: &PrincipalPattern, owner: &Owner) -> bool {
    match principal {
        PrincipalPattern::Everyone | PrincipalPattern::Service(_) | PrincipalPattern::Federated(_) => true,
        PrincipalPattern::Account(account) => *account == owner.account,
        PrincipalPattern::CanonicalUser(id) => **id == *owner.canonical_id.0,
        PrincipalPattern::Identity { .. } => false,
    }
}
