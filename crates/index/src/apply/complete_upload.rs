//! CompleteMultipartUpload: an upload becomes a version. Parts stay where they are.

use std::borrow::Cow;

use types::{PartNumber, PartSummary, UploadId};

use super::versions::Incoming;
use super::{Applying, Site, Stop, signed};
use crate::command::{Answer, BucketConfig, CompletePart, CompleteUpload, Refusal, UploadManifest};
use crate::rows::{self, BodyKind, BodyRow, CompletedRow, DegradedKept, PartRow, UploadRow, inline_bytes};

/// The parts that a Complete takes up and those that it leaves.
struct Chosen {
    summaries: Vec<PartSummary>,
    left: Vec<PartRow<'static>>,
    /// Plain bytes of those taken up, and of all.
    plain_bytes: u64,
    all_bytes: u64,
}

impl Applying<'_> {
    pub(super) fn complete_upload(&mut self, complete: &CompleteUpload) -> Result<Answer, Stop> {
        let BucketConfig { versioning, object_lock } = self.live_bucket(complete.bucket)?.config;
        let site = Site::new(complete.bucket.id, &complete.key);
        let row = self.tables.upload(&site.place, complete.upload)?.ok_or(Refusal::NoSuchUpload)?;
        if let Some(done) = &row.completed {
            // The same Complete again is answered again; its manifest is the sender's to discard.
            let same = done.etag == complete.version.etag;
            let again = Answer::Put { id: done.id, null: done.null };
            return if same { Ok(again) } else { Err(Refusal::NoSuchUpload.into()) };
        }
        let current = self.tables.current(&site.place)?;
        Self::check_conditions(&complete.conditions, current.as_ref().map(|current| &current.head))?;
        if let Some(manifest) = &complete.manifest {
            self.check_runs(&manifest.part, &[])?;
        }
        let chosen = self.choose_parts(&site, complete.upload, &complete.parts)?;
        let version = crate::command::NewVersion { owner: row.owner.clone(), ..complete.version.clone() };
        let head = self.new_head(&version, versioning, chosen.plain_bytes, &row.attributes.storage_class);
        let body = BodyRow {
            checksum: complete.version.checksum.as_ref().map(Cow::Borrowed),
            attributes: self.attributes_of(&row.attributes, object_lock),
            kind: BodyKind::Multipart { upload: complete.upload, parts: chosen.summaries },
        };
        let incoming = Incoming { head, body: rows::encode(&body), inline: None, runs: Vec::new() };
        let answer = self.install(&site, versioning, current, incoming)?;
        let Answer::Put { id, null } = answer else { return Ok(answer) };

        for part in chosen.left {
            self.drop_part(&site, complete.upload, &part)?;
        }
        if let Some(manifest) = &complete.manifest {
            self.put_manifest(&site, complete.upload, manifest)?;
        }
        let completed = CompletedRow { id, null, etag: version.etag, checksum: version.checksum };
        let began = row.began;
        let row = UploadRow { completed: Some(completed), ..row };
        self.tables.put_upload(&site.place, complete.upload, &row)?;
        self.tables.delete_upload_time(&site.place, began, complete.upload)?;
        let usage = self.usage(site.bucket);
        usage.uploads -= 1;
        usage.upload_bytes -= signed(chosen.all_bytes);
        Ok(answer)
    }

    /// Checks that each part named is there as it was read.
    fn choose_parts(&self, site: &Site<'_>, upload: UploadId, named: &[CompletePart]) -> Result<Chosen, Stop> {
        let mut chosen =
            Chosen { summaries: Vec::with_capacity(named.len()), left: Vec::new(), plain_bytes: 0, all_bytes: 0 };
        let mut wanted = named.iter().peekable();
        for (number, part) in self.tables.part_rows(&site.place, upload)? {
            chosen.all_bytes += part.plain_bytes;
            let Some(name) = wanted.next_if(|name| name.number == number) else {
                chosen.left.push(part);
                continue;
            };
            let unchanged =
                (name.etag, name.modified, name.plain_bytes) == (part.etag, part.modified, part.plain_bytes);
            if !unchanged {
                return Err(Refusal::PartChanged.into());
            }
            chosen.plain_bytes += part.plain_bytes;
            chosen.summaries.push(PartSummary { number, plain_bytes: part.plain_bytes });
        }
        // What is left over is not there, or out of order.
        if wanted.peek().is_some() || chosen.summaries.is_empty() {
            return Err(Refusal::PartChanged.into());
        }
        Ok(chosen)
    }

    fn drop_part(&mut self, site: &Site<'_>, upload: UploadId, part: &PartRow<'_>) -> Result<(), Stop> {
        self.free_part(site, part, &[])?;
        let row = DegradedKept { version: None, upload: Some(upload), number: part.number };
        self.note_degraded(site, &row, part.degraded, false)?;
        Ok(self.tables.delete_part(&site.place, upload, part.number)?)
    }

    fn put_manifest(&mut self, site: &Site<'_>, upload: UploadId, manifest: &UploadManifest) -> Result<(), Stop> {
        let mut row = PartRow::of(&manifest.part, self.stamp, manifest.degraded);
        row.number = PartNumber::MANIFEST;
        self.tables.put_part(&site.place, upload, &row, inline_bytes(&manifest.part).as_deref())?;
        let degraded = DegradedKept { version: None, upload: Some(upload), number: PartNumber::MANIFEST };
        self.note_degraded(site, &degraded, false, manifest.degraded)
    }
}
