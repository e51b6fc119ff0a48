//! ReplacePart: a part's bytes lie elsewhere from now on; its content is the same.

use types::{Part, UploadId, VersionId};

use super::{Applying, Site, Stop};
use crate::command::{Answer, Refusal, ReplacePart, WhichVersion};
use crate::rows::{BodyKind, BodyRow, DegradedKept, PartRow, inline_bytes, runs_of};

impl Applying<'_> {
    pub(super) fn replace_part(&mut self, replace: &ReplacePart) -> Result<Answer, Stop> {
        let site = Site::new(replace.bucket, &replace.key);
        match (replace.version, replace.upload) {
            (_, Some(upload)) => self.replace_part_row(replace, &site, upload),
            (Some(version), None) => self.replace_part_of_version(replace, &site, version),
            (None, None) => Err(Refusal::PartChanged.into()),
        }
    }

    fn replace_part_of_version(
        &mut self,
        replace: &ReplacePart,
        site: &Site<'_>,
        version: VersionId,
    ) -> Result<Answer, Stop> {
        let current = self.tables.current(&site.place)?;
        let stored = self.find_version(site, WhichVersion::Id(version), current)?;
        let id = stored.and_then(|stored| stored.body).ok_or(Refusal::PartChanged)?;
        let body = self.tables.body(id)?;
        let BodyKind::Single(old) = body.kind else { return Err(Refusal::PartChanged.into()) };
        let new = self.moved_part(replace, &old)?;
        let degraded = DegradedKept { version: Some(version), upload: None, number: old.number };
        self.note_degraded(site, &degraded, old.degraded, new.degraded)?;
        self.free_part(site, &old, &runs_of(&replace.part))?;
        let body = BodyRow { kind: BodyKind::Single(new), ..body };
        self.tables.replace_body(id, &crate::rows::encode(&body), inline_bytes(&replace.part).as_deref())?;
        Ok(Answer::Done)
    }

    fn replace_part_row(&mut self, replace: &ReplacePart, site: &Site<'_>, upload: UploadId) -> Result<Answer, Stop> {
        let old = self.tables.part(&site.place, upload, replace.number)?.ok_or(Refusal::PartChanged)?;
        let new = self.moved_part(replace, &old)?;
        let degraded = DegradedKept { version: None, upload: Some(upload), number: old.number };
        self.note_degraded(site, &degraded, old.degraded, new.degraded)?;
        self.free_part(site, &old, &runs_of(&replace.part))?;
        self.tables.put_part(&site.place, upload, &new, inline_bytes(&replace.part).as_deref())?;
        Ok(Answer::Done)
    }

    /// The part as it will be: the extents are new, all that clients see stays, the time at which it was stored too.
    fn moved_part<'p>(&mut self, replace: &'p ReplacePart, old: &PartRow<'_>) -> Result<PartRow<'p>, Stop> {
        let Part { number, etag, crc64_nvme, plain_bytes, .. } = &replace.part;
        let same_content = (*etag, *crc64_nvme, *plain_bytes) == (old.etag, old.crc64_nvme, old.plain_bytes);
        let lies_as_expected = old.runs().iter().map(|run| run.id).eq(replace.expected.iter().map(|run| run.id));
        if !same_content || !lies_as_expected || *number != old.number || replace.number != old.number {
            return Err(Refusal::PartChanged.into());
        }
        self.check_runs(&replace.part, &old.runs())?;
        Ok(PartRow::of(&replace.part, old.modified, replace.degraded))
    }
}
