//! GetObjectAttributes.

use authz::Action;
use objects::PartsWanted;
use s3_wire::S3Error;
use s3_wire::get_object_attributes::{AttributesPart, GetObjectAttributesRequest, PartsPage, answer};
use types::{Checksum, ChecksumType};

use super::get_object::facts;
use crate::answer::{Answer, whole};
use crate::call::{Call, which};
use crate::compat::Compat;
use crate::rights::Wish;

/// What an object is, and a page of its parts.
pub(crate) async fn get_object_attributes(call: &Call<'_>) -> Result<Answer, S3Error> {
    let request = GetObjectAttributesRequest::parse(&call.head)?;
    // As S3 does, only to those who may read the object.
    let action = if request.version.is_some() { Action::GetObjectVersion } else { Action::GetObject };
    call.demand(Wish::of_object(action, &request.bucket, &request.key).of_version(which(request.version))).await?;
    let found = call
        .objects()
        .get_object_attributes(objects::GetObjectAttributesRequest {
            bucket: request.bucket.clone(),
            key: request.key.clone(),
            which: which(request.version),
            parts: request
                .wanted
                .parts
                .then_some(PartsWanted { after: request.parts_after, max_parts: request.parts_max }),
        })
        .await;
    let found = match found {
        Ok(found) => found,
        Err(error) => return Err(call.read_refusal(error, &request.bucket, &request.key).await),
    };
    request.conditions.check(&found.head.etag, found.head.modified)?;
    let checksum = found.head.checksum.as_ref();
    let listed: Vec<_> = found.parts.iter().flat_map(|page| &page.parts).map(part).collect();
    // RGW tells each part, and shows with a checksum how many it is made of.
    let is_rgw = call.core.settings.compat == Compat::Rgw;
    let parts_of_checksum = found.parts.as_ref().filter(|_| is_rgw && names_parts(checksum)).map(|page| page.total);
    let parts = found.parts.as_ref().map(|page| PartsPage {
        count: usize::from(page.total),
        page: (is_rgw || names_parts(checksum)).then_some(&*listed),
        truncated: page.truncated,
    });
    Ok(whole(answer(&request, &facts(&found.head), checksum, parts_of_checksum, parts.as_ref())))
}

/// Whether parts are told one by one: as S3 does, only where the object's checksum is made of theirs.
fn names_parts(checksum: Option<&Checksum>) -> bool {
    checksum.is_some_and(|checksum| checksum.checksum_type == ChecksumType::Composite)
}

fn part(part: &objects::ListedPart) -> AttributesPart {
    AttributesPart { number: part.number, size: part.plain_bytes, checksum: part.checksum.clone() }
}
