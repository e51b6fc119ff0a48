//! PreflightBucket and PreflightObject: a browser asks what a page of another origin may do. Nobody signs that.

use objects::{DocumentKind, ObjectsError};
use s3_wire::S3Error;
use s3_wire::cors::{Disallowed, Preflight};

use crate::additions::cors_rules;
use crate::answer::{Answer, whole};
use crate::call::Call;

/// Answers by the bucket's rules as they are now.
pub(crate) async fn preflight(call: &Call<'_>) -> Result<Answer, S3Error> {
    let question = Preflight::parse(call.head.headers, call.operation.level())?;
    let bucket = call.head.bucket()?;
    let documents = match call.objects().bucket_documents_now(&bucket).await {
        Ok(documents) => documents,
        Err(ObjectsError::NoSuchBucket { .. }) => return Err(question.refused(Disallowed::NoBucket)),
        Err(error) => return Err(call.refusal(error)),
    };
    if documents.text(DocumentKind::Cors).is_none() {
        return Err(question.refused(Disallowed::NoRules));
    }
    match &*cors_rules(&documents) {
        Some(rules) => question.answer(rules).map(whole),
        None => Err(question.refused(Disallowed::NoRuleFits)),
    }
}
