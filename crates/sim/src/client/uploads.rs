//! Multipart uploads: made, completed, completed again, and aborted; and copies.

use objects::data::WholeBody;
use objects::{
    CompleteMultipartUploadRequest, CopyObjectRequest, CopySource, CreateMultipartUploadRequest, ETagCondition,
    NamedPart, Objects, ObjectsError, ReadConditions, UploadPartRequest, WhichVersion, WriteConditions,
};
use platform::Entropy;
use types::{ObjectAttributes, PartNumber};

use super::calls::{bucket_of, facts, if_none_match, key_of, outcome_of, owner};
use super::{Client, PATIENCE};
use crate::history::{Operation, Outcome, Subject, ValueId};

/// One upload in so many is aborted.
const ABORTED_ONE_IN: u64 = 5;
/// One in so many has two parts, of which the first is large.
const IN_TWO_ONE_IN: u64 = 12;

impl Client {
    /// Uploads an object in parts. What comes before Complete has no effect that others see, and is not noted.
    pub(super) async fn upload(&mut self, subject: Subject) {
        let is_new = self.dice.number().is_multiple_of(2);
        let conditions = if is_new { if_none_match() } else { WriteConditions::default() };
        let in_two = self.dice.number().is_multiple_of(IN_TWO_ONE_IN);
        let (value, parts) = self.shared.values.make_parts(in_two);
        let sending = send(self.gateway(), &subject, parts, conditions);
        let Ok(Ok(complete)) = tokio::time::timeout(PATIENCE, sending).await else { return };
        if self.dice.number().is_multiple_of(ABORTED_ONE_IN) {
            return self.abort(&subject, complete).await;
        }
        let operation = if is_new { Operation::PutNew(value) } else { Operation::Put(value) };
        let gateway = self.gateway();
        let request = complete.clone();
        let completing = async move {
            match gateway.complete_multipart_upload(request).await {
                // It may have been one that was not answered, and is gone since.
                Err(ObjectsError::NoSuchUpload { .. }) => Outcome::Unknown,
                outcome => outcome_of(outcome.map(|_| Outcome::Done)),
            }
        };
        if self.record(&subject, operation, completing).await == Outcome::Done {
            self.seen.insert(subject.clone(), value);
            if self.dice.number().is_multiple_of(2) {
                self.complete_again(&subject, complete, value).await;
            }
        }
    }

    async fn complete_again(&self, subject: &Subject, complete: CompleteMultipartUploadRequest, value: ValueId) {
        let gateway = self.gateway();
        let tag = self.shared.values.tag(value);
        let torn = self.shared.torn.clone();
        let completing = async move {
            match gateway.complete_multipart_upload(complete).await {
                Ok(version) if version.etag == tag => Outcome::Done,
                Ok(version) => {
                    torn.lock().push(format!("an upload that became {tag} was completed again as {}", version.etag));
                    Outcome::Unknown
                }
                Err(ObjectsError::NoSuchUpload { .. }) => Outcome::Absent,
                Err(error) => outcome_of(Err(error)),
            }
        };
        self.record(subject, Operation::CompleteAgain(value), completing).await;
    }

    /// Aborts an upload: it cannot be completed any more.
    async fn abort(&self, subject: &Subject, complete: CompleteMultipartUploadRequest) {
        let (bucket, key) = (bucket_of(subject), key_of(subject));
        let gateway = self.gateway();
        let aborting = gateway.abort_multipart_upload(&bucket, &key, complete.upload);
        let Ok(Ok(())) = tokio::time::timeout(PATIENCE, aborting).await else { return };
        let completing = self.gateway();
        let completed = tokio::time::timeout(PATIENCE, completing.complete_multipart_upload(complete)).await;
        if let Ok(Ok(_)) = completed {
            self.shared.torn.lock().push(format!("{subject:?}: an upload that was aborted was completed"));
        }
    }

    /// Copies what was seen of some key: a read of that, and a write. No content comes to a key twice.
    pub(super) async fn copy(&mut self, target: Subject) {
        let seen: Vec<(Subject, ValueId)> = self
            .seen
            .iter()
            .filter(|(subject, _)| matches!(subject, Subject::Key(_)) && **subject != target)
            .map(|(subject, value)| (subject.clone(), *value))
            .collect();
        let Some((source, value)) = seen.get(self.dice.number() as usize % seen.len().max(1)).cloned() else { return };
        let tag = self.shared.values.tag(value);
        let is_first = tag.parts.is_none() && self.shared.copied.lock().insert((target.clone(), value));
        if !is_first || self.shared.copied.lock().contains(&(source.clone(), value)) {
            return;
        }
        let request = copy_request(&source, &target, tag);
        let reading = self.shared.history.begin(self.number, vec![source], Operation::Get, false);
        let writing = self.shared.history.begin(self.number, vec![target.clone()], Operation::Put(value), false);
        let gateway = self.gateway();
        let copied = tokio::time::timeout(PATIENCE, gateway.copy_object(request)).await;
        let (read, written) = match copied {
            Ok(Ok(_)) => (Outcome::Found(value), Outcome::Done),
            // Of the source.
            Ok(Err(ObjectsError::PreconditionFailed { .. } | ObjectsError::NoSuchKey { .. })) => {
                (Outcome::Unknown, Outcome::NoEffect)
            }
            _ => (Outcome::Unknown, Outcome::Unknown),
        };
        self.shared.history.answer(reading, [read]);
        self.shared.history.answer(writing, [written]);
        if written == Outcome::Done {
            self.seen.insert(target, value);
        }
    }
}

/// Sends the parts of a new upload; what Complete is to say of it.
async fn send(
    gateway: Objects,
    subject: &Subject,
    parts: Vec<bytes::Bytes>,
    conditions: WriteConditions,
) -> Result<CompleteMultipartUploadRequest, ObjectsError> {
    let (bucket, key) = (bucket_of(subject), key_of(subject));
    let create = CreateMultipartUploadRequest {
        bucket: bucket.clone(),
        key: key.clone(),
        attributes: ObjectAttributes::default(),
        owner: owner(),
        checksum: None,
    };
    let upload = gateway.create_multipart_upload(create).await?.upload;
    let mut named = Vec::new();
    for (body, number) in parts.into_iter().zip(1..) {
        let number = PartNumber::new(number).expect("few parts");
        let said = facts(&body);
        let request = UploadPartRequest { bucket: bucket.clone(), key: key.clone(), upload, number, said };
        let etag = gateway.upload_part(request, &mut WholeBody::new(body)).await?.etag;
        named.push(NamedPart { number, etag, checksums: Vec::new() });
    }
    let (checksum, checksum_type, object_bytes) = (None, None, None);
    Ok(CompleteMultipartUploadRequest {
        bucket,
        key,
        upload,
        parts: named,
        conditions,
        checksum,
        checksum_type,
        object_bytes,
        needs_part_checksums: true,
    })
}

fn copy_request(source: &Subject, target: &Subject, tag: types::ETag) -> CopyObjectRequest {
    let if_match = Some(ETagCondition::OneOf(vec![tag]));
    let source = CopySource {
        bucket: bucket_of(source),
        key: key_of(source),
        which: WhichVersion::Newest,
        conditions: ReadConditions { if_match, ..ReadConditions::default() },
    };
    CopyObjectRequest {
        source,
        bucket: bucket_of(target),
        key: key_of(target),
        owner: owner(),
        conditions: WriteConditions::default(),
        metadata: None,
        website_redirect: None,
        tags: None,
        storage_class: None,
        checksum: None,
        retention: None,
        legal_hold: types::LegalHold::Unset,
    }
}
