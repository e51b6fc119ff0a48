//! GetObject and HeadObject: one request but for the method.

use http::Response;
use objects::{ObjectHead, ObjectsError, SelectedObject, Selection};
use s3_wire::S3Error;
use s3_wire::get_object::{Content as Chosen, GetObjectRequest, ObjectAnswer, ObjectFacts, ResponseOverrides};
use s3_wire::range::{ByteRange, RangeSpec};
use types::{BucketName, ObjectKey};

use super::object_lock;
use crate::answer::{Answer, Content};
use crate::call::{Call, shown, which};
use crate::conditions;
use crate::expiration::Expiring;

/// Reads an object.
pub(crate) async fn get_object(call: &Call<'_>) -> Result<Answer, S3Error> {
    let (request, wire) = parse(call)?;
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    let mut read = match call.objects().get_object(request).await {
        Ok(read) => read,
        Err(error) => return Err(wire.refusal(call, error, &bucket, &key).await),
    };
    let bytes = read.selected.range.end - read.selected.range.start;
    object_lock::hide_unknowable(call, &mut read.selected.head.attributes).await?;
    let mut head = head_of(&read.selected, &wire);
    if let Some(object) = Expiring::of_head(&bucket, &key, &read.selected.head) {
        call.set_expiration(&object, head.headers_mut()).await;
    }
    Ok(head.map(|()| Content::Object { body: read.body, bytes }))
}

/// The request as `objects` takes it, and what only the answer needs.
pub(super) fn parse(call: &Call<'_>) -> Result<(objects::GetObjectRequest, Wanted), S3Error> {
    let request = GetObjectRequest::parse(&call.head)?;
    if call.is_anonymous() && !request.overrides.is_empty() {
        return Err(ResponseOverrides::refused_to_anonymous());
    }
    let selection = match (request.range, request.part_number) {
        (Some(range), _) => conditions::selection(range),
        (None, Some(part)) => Selection::Part(part),
        (None, None) => Selection::Whole,
    };
    let (range, overrides) = (request.range, request.overrides);
    let wanted = Wanted { selection, range, checksum: request.checksum_mode, overrides };
    let request = objects::GetObjectRequest {
        bucket: request.bucket,
        key: request.key,
        which: which(request.version),
        conditions: conditions::of_read(request.conditions),
        selection,
    };
    Ok((request, wanted))
}

/// What of a request shapes the answer's head.
pub(super) struct Wanted {
    selection: Selection,
    range: Option<RangeSpec>,
    checksum: bool,
    overrides: ResponseOverrides,
}

impl Wanted {
    /// S3's words for a read that was refused.
    pub(super) async fn refusal(
        &self,
        call: &Call<'_>,
        error: ObjectsError,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> S3Error {
        match (error, self.range) {
            // 416 repeats what was asked for.
            (ObjectsError::InvalidRange { object_bytes }, Some(range)) => range.unsatisfiable(object_bytes),
            (error, _) => call.read_refusal(error, bucket, key).await,
        }
    }
}

/// The head of the answer.
pub(super) fn head_of(selected: &SelectedObject, wanted: &Wanted) -> Response<()> {
    let SelectedObject { head, range, part } = selected;
    let is_whole = *range == (0..head.plain_bytes);
    let content = match wanted.selection {
        Selection::Whole => Chosen::Whole,
        // An object that was not uploaded in parts is its own first part.
        Selection::Part(_) if range.is_empty() && head.parts.is_none() => Chosen::Whole,
        Selection::Part(_) if range.is_empty() => Chosen::EmptyPart,
        Selection::Range(_) | Selection::Part(_) => {
            Chosen::Range(ByteRange { first: range.start, last: range.end - 1 })
        }
    };
    // Of a part, by number or by its bytes, its own checksum; of another range none, unless it is everything.
    let checksum = match (wanted.checksum, part) {
        (false, _) => None,
        (true, Some(part)) if head.parts.is_some() => part.checksum.as_ref(),
        (true, _) => head.checksum.as_ref().filter(|_| is_whole),
    };
    ObjectAnswer {
        object: facts(head),
        content,
        parts_count: head.parts.filter(|_| matches!(wanted.selection, Selection::Part(_))),
        checksum,
        overrides: &wanted.overrides,
    }
    .write()
}

/// An object as answers describe it.
pub(super) fn facts(head: &ObjectHead) -> ObjectFacts<'_> {
    ObjectFacts {
        attributes: &head.attributes,
        etag: &head.etag,
        modified: head.modified,
        plain_bytes: head.plain_bytes,
        version_id: shown(head.version),
    }
}
