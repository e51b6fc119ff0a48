//! What the operations on a bucket's documents share: reading, storing and removing one.

use bytes::Bytes;
use objects::DocumentKind;
use s3_wire::S3Error;
use s3_wire::bucket_document::{delete_answer, get_answer, get_answer_without, put_answer};

use crate::answer::{Answer, whole};
use crate::call::Call;

/// The document as it was stored, or what S3 says where there is none.
pub(super) async fn read(call: &Call<'_>, kind: DocumentKind) -> Result<Answer, S3Error> {
    let bucket = call.head.bucket()?;
    let found = call.objects().get_bucket_document(&bucket, kind).await.map_err(|error| call.refusal(error))?;
    match found {
        Some(document) => Ok(whole(get_answer(document))),
        None => get_answer_without(call.operation, &bucket).map(whole),
    }
}

/// Stores a document in the form that reading answers.
pub(super) async fn store(call: &Call<'_>, kind: DocumentKind, document: Bytes) -> Result<Answer, S3Error> {
    let bucket = call.head.bucket()?;
    let stored = call.objects().put_bucket_document(&bucket, kind, Some(document)).await;
    stored.map_err(|error| call.refusal(error))?;
    Ok(whole(put_answer(call.operation)))
}

/// Removes a document, if it is there.
pub(super) async fn remove(call: &Call<'_>, kind: DocumentKind) -> Result<Answer, S3Error> {
    let bucket = call.head.bucket()?;
    let removed = call.objects().put_bucket_document(&bucket, kind, None).await;
    removed.map_err(|error| call.refusal(error))?;
    Ok(whole(delete_answer()))
}
