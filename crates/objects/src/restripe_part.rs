//! Re-striping: a part that was written into narrower runs than wanted is written again, and its row names the new runs.
//!
//! No S3 operation: upkeep calls it for the parts that the index has queued. Content, tag, checksums and time of the part
//! stay; readers under way follow it to its new place.

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use index::command::ReplacePart;
use index::query::DegradedRow;
use index::{Answer, CommandBody, Query, QueryAnswer, Refusal};
use types::{
    BucketId, Checksum, HomeKey, ObjectKey, Part, PartNumber, Profile, Run, RunForm, StorageClass, Version, VersionId,
    VersionKind,
};

use crate::changes::Finished;
use crate::commit::unexpected;
use crate::data::{BodyError, BodyReader, BodySource};
use crate::reads::{error_of_read, to_read};
use crate::records::{NamedRecord, ObjectRecord, PartRecord};
use crate::writes::{NewPart, PartToWrite, error_of_write};
use crate::{BodyFacts, Objects, ObjectsError, WhichVersion};

/// What re-striping is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// As many data and parity shards as the wanted profile has, or more.
    AtLeast,
    /// The wanted profile, narrower or wider than what there is.
    Exactly,
}

/// What re-striping a part came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restriped {
    /// The part lies in runs of the wanted profile.
    Whole,
    /// It lies in wider runs than before, but not yet in the wanted ones.
    Wider,
    /// The live disks still hold nothing wider, or not the profile itself: nothing was changed.
    NotYet,
    /// The part is gone, or lies elsewhere by now: nothing is left to do.
    Changed,
}

/// A degraded part as its row says it.
struct Degraded {
    home: HomeKey,
    part: Part,
    record: PartRecord,
    class: StorageClass,
}

impl Objects {
    /// Writes a part anew under its class's profile, where it is not what `aim` asks for.
    ///
    /// # Errors
    /// [`ObjectsError::Damaged`] when the part's bytes are not what its row says; [`ObjectsError::SlowDown`],
    /// [`ObjectsError::NoRoom`], [`ObjectsError::Unavailable`], [`ObjectsError::TicketOver`]: later again.
    pub async fn restripe_part(&self, row: &DegradedRow, aim: Aim) -> Result<Restriped, ObjectsError> {
        let Some(degraded) = self.degraded_part(row).await? else { return Ok(Restriped::Changed) };
        let profile = self.profile_of_standing(&degraded.class);
        self.write_anew(row, degraded, profile, aim).await
    }

    /// Writes all parts of a version anew in the profile of another storage class. Afterwards the version may be said to
    /// be of that class; it is not yet. `false`: not all of it could be written so.
    ///
    /// # Errors
    /// As [`Objects::restripe_part`]; [`ObjectsError::InvalidStorageClass`].
    pub async fn move_version(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        id: VersionId,
        class: &StorageClass,
    ) -> Result<bool, ObjectsError> {
        let profile = self.profile_of(class)?;
        let home = HomeKey { bucket, key: key.clone() };
        let (Some(version), _) = self.version(&home, WhichVersion::Id(id)).await? else { return Ok(false) };
        let rows = parts_to_restripe(bucket, key, &version);
        for row in rows {
            let Some(degraded) = self.degraded_part(&row).await? else { continue };
            if runs_of(&degraded.part).iter().all(|run| Aim::Exactly.is_met(run, profile)) {
                continue;
            }
            match self.write_anew(&row, degraded, profile, Aim::Exactly).await? {
                Restriped::Whole => {}
                // One that somebody else has changed may lie in another profile.
                Restriped::Changed | Restriped::Wider | Restriped::NotYet => return Ok(false),
            }
        }
        Ok(true)
    }

    async fn write_anew(
        &self,
        row: &DegradedRow,
        degraded: Degraded,
        profile: Profile,
        aim: Aim,
    ) -> Result<Restriped, ObjectsError> {
        let Degraded { home, part, record, .. } = degraded;
        let old_runs = runs_of(&part);
        if old_runs.iter().all(|run| aim.is_met(run, profile)) {
            return Ok(Restriped::Changed);
        }
        let first = old_runs.first().expect("no run is none that is not as wanted");
        // Asked before anything is written: as long as disks are missing, what would be written and discarded at each
        // look would fill the others.
        let reachable = self.data().reachable(profile, first.form).await.map_err(error_of_write)?;
        if !aim.is_neared_by(reachable, first.form, profile, &old_runs) {
            return Ok(Restriped::NotYet);
        }
        let transfer = self.begin();
        // Word for word what the part was first written with, so that a rebuild knows both for one.
        let written_before = self.data().part_metadata(first, &home).await;
        let record = written_before.unwrap_or_else(|| NamedRecord { bucket: None, record }.encode());
        let to_write =
            PartToWrite { home: home.clone(), number: part.number, profile, record, checksum: None, may_inline: false };
        let said = BodyFacts { declared_bytes: Some(part.plain_bytes), ..BodyFacts::default() };
        let mut body = PartBody(self.data().read(vec![to_read(&home, part.clone())], 0..part.plain_bytes));
        let NewPart { part: written, degraded } = self.write_part(&transfer, to_write, said, &mut body).await?;
        let new_runs = runs_of(&written);
        if (written.etag.md5, written.crc64_nvme) != (part.etag.md5, part.crc64_nvme) {
            self.discard(new_runs, &home);
            let reason = format!("part {} of key {} is not what it was stored as", part.number.get(), home.key);
            return Err(ObjectsError::Damaged { reason });
        }
        if degraded && (aim == Aim::Exactly || narrowest(&new_runs) <= narrowest(&old_runs)) {
            self.discard(new_runs, &home);
            return Ok(Restriped::NotYet);
        }
        let replace = ReplacePart {
            bucket: home.bucket,
            key: home.key.clone(),
            version: row.version,
            upload: row.upload,
            number: part.number,
            expected: old_runs,
            part: Part { extents: written.extents, stored_bytes: written.stored_bytes, ..part },
            degraded,
        };

        let objects = self.clone();
        Finished::new(async move {
            let body = CommandBody::ReplacePart(Box::new(replace));
            let error = match objects.index().commit(&transfer, &body).await {
                Ok(Answer::Done) => return Ok(if degraded { Restriped::Wider } else { Restriped::Whole }),
                Ok(Answer::Refused(Refusal::PartChanged)) => {
                    objects.discard(new_runs, &home);
                    return Ok(Restriped::Changed);
                }
                Ok(other) => unexpected("the replacement of a part", &other),
                Err(error) => error,
            };
            objects.discard_after(&error, new_runs, &home);
            Err(error)
        })
        .await
    }

    async fn degraded_part(&self, row: &DegradedRow) -> Result<Option<Degraded>, ObjectsError> {
        let home = HomeKey { bucket: row.bucket, key: row.key.clone() };
        match (row.upload, row.version) {
            (Some(_), _) => self.degraded_part_of_upload(row, home).await,
            (None, Some(id)) => {
                let (version, bucket) = self.version(&home, WhichVersion::Id(id)).await?;
                let (Some(version), Some(bucket)) = (version, bucket) else { return Ok(None) };
                let VersionKind::Single(part) = version.kind else { return Ok(None) };
                let class = version.attributes.storage_class.clone();
                let record = PartRecord::Object(ObjectRecord {
                    began: version.id.stamp.time(),
                    versioning: bucket.config.versioning,
                    attributes: version.attributes,
                    owner: version.owner,
                    declared_bytes: Some(part.plain_bytes),
                    checksum: version.checksum.map(|checksum| checksum.algorithm),
                });
                Ok(Some(Degraded { home, part, record, class }))
            }
            (None, None) => Ok(None),
        }
    }

    async fn degraded_part_of_upload(
        &self,
        row: &DegradedRow,
        home: HomeKey,
    ) -> Result<Option<Degraded>, ObjectsError> {
        let Some(upload) = row.upload else { return Ok(None) };
        let view = match self.index().ask(Query::Upload { bucket: home.bucket, key: home.key.clone(), upload }).await? {
            QueryAnswer::Upload(Some(view)) => view,
            QueryAnswer::Upload(None) => return Ok(None),
            other => return Err(unexpected("an upload", &other)),
        };
        let parts = if row.number == PartNumber::MANIFEST {
            let query = Query::Manifest { bucket: home.bucket, key: home.key.clone(), upload };
            match self.index().ask(query).await? {
                QueryAnswer::Parts(parts) => parts,
                other => return Err(unexpected("an upload's manifest", &other)),
            }
        } else {
            self.part_rows(&home, upload, row.number.get() - 1, 1).await?
        };
        let Some(part) = parts.into_iter().next().filter(|part| part.number == row.number) else { return Ok(None) };
        let began = part.modified.time();
        let record = if row.number == PartNumber::MANIFEST {
            PartRecord::Manifest { upload, began, declared_bytes: part.plain_bytes }
        } else {
            PartRecord::UploadPart { upload, began, declared_bytes: Some(part.plain_bytes) }
        };
        Ok(Some(Degraded { home, part, record, class: view.attributes.storage_class }))
    }
}

/// The parts of a version that may have runs, as the queue of degraded parts names them.
pub fn parts_to_restripe(bucket: BucketId, key: &ObjectKey, version: &Version) -> Vec<DegradedRow> {
    let part =
        |version, upload, number| DegradedRow { row: Vec::new(), bucket, key: key.clone(), version, upload, number };
    match &version.kind {
        VersionKind::DeleteMarker => Vec::new(),
        VersionKind::Single(single) => vec![part(Some(version.id), None, single.number)],
        VersionKind::Multipart { upload, parts } => {
            let numbers = std::iter::once(PartNumber::MANIFEST).chain(parts.iter().map(|part| part.number));
            numbers.map(|number| part(None, Some(*upload), number)).collect()
        }
    }
}

fn runs_of(part: &Part) -> Vec<Run> {
    part.extents.iter().filter_map(|extent| extent.run().cloned()).collect()
}

impl Aim {
    fn is_met(self, run: &Run, wanted: Profile) -> bool {
        match self {
            Self::AtLeast => is_as_wanted(run, wanted),
            Self::Exactly => (run.profile.k(), run.profile.m()) == shape(run.form, wanted),
        }
    }

    /// Whether runs of `reachable` are worth being written.
    fn is_neared_by(self, reachable: Profile, form: RunForm, wanted: Profile, old: &[Run]) -> bool {
        match self {
            Self::AtLeast => Some(rank(reachable)) > narrowest(old),
            Self::Exactly => (reachable.k(), reachable.m()) == shape(form, wanted),
        }
    }
}

/// How many data and parity shards a run of this form has where a profile is wanted: whole copies are 1+m.
fn shape(form: RunForm, wanted: Profile) -> (usize, usize) {
    match form {
        RunForm::Striped => (wanted.k(), wanted.m()),
        RunForm::Copies { .. } => (1, wanted.m()),
    }
}

/// Whether a run has the wanted profile, or what stands for it in its form: whole copies are 1+m, whatever the wanted k.
pub fn is_as_wanted(run: &Run, wanted: Profile) -> bool {
    let wide_enough = matches!(run.form, RunForm::Copies { .. }) || run.profile.k() >= wanted.k();
    wide_enough && run.profile.m() >= wanted.m()
}

/// What the worst of the runs' profiles is worth.
fn narrowest(runs: &[Run]) -> Option<(usize, usize)> {
    runs.iter().map(|run| rank(run.profile)).min()
}

/// What a profile is worth: more parity counts before more width.
fn rank(profile: Profile) -> (usize, usize) {
    (profile.m(), profile.k())
}

/// A part's bytes as a body to write.
struct PartBody(BodyReader);

#[async_trait]
impl BodySource for PartBody {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let next = self.0.next().await.transpose();
        next.map_err(|error| BodyError(Box::new(error_of_read(error))))
    }

    async fn finish(&mut self) -> Result<Vec<Checksum>, BodyError> {
        Ok(Vec::new())
    }
}
