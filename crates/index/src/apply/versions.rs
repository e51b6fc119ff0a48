//! The versions of a key: which is newest, which is null, and what becomes of those that go.
//!
//! `current` has the newest version of a key unless that is a marker; `versions` has all others. The newest version of
//! a key, wherever it stands, is the one that is not superseded.

use std::borrow::Cow;

use types::{CommitStamp, ObjectAttributes, ObjectLock, Retention, RetentionMode, Versioning};

use super::{Applying, Site, Stop, signed};
use crate::IndexDatabaseError;
use crate::command::{Answer, ETagCondition, Refusal, WhichVersion, WriteConditions};
use crate::rows::{BodyKind, DegradedKept, HeadRow};
use crate::tables::{Stored, StoredBody};

/// A version about to go: its body has been read, and it is held by no lock.
pub(super) struct Doomed {
    pub(super) stored: Stored,
    body: Option<StoredBody>,
}

/// What becomes visible.
pub(super) struct Incoming<'a> {
    pub(super) head: HeadRow,
    pub(super) body: Vec<u8>,
    pub(super) inline: Option<&'a [u8]>,
    /// Its runs.
    pub(super) runs: Vec<&'a types::Run>,
}

impl Applying<'_> {
    /// Whether the conditions hold of the newest version: `None` stands for no version, or a marker.
    pub(super) fn check_conditions(conditions: &WriteConditions, newest: Option<&HeadRow>) -> Result<(), Stop> {
        let matches = |condition: &ETagCondition, head: &HeadRow| match condition {
            ETagCondition::Any => true,
            ETagCondition::OneOf(tags) => tags.contains(&head.etag),
        };
        if let Some(condition) = &conditions.if_match {
            let head = newest.ok_or(Refusal::NoSuchKey)?;
            if !matches(condition, head) {
                return Err(Refusal::PreconditionFailed.into());
            }
        }
        match (&conditions.if_none_match, newest) {
            (Some(condition), Some(head)) if matches(condition, head) => Err(Refusal::PreconditionFailed.into()),
            _ => Ok(()),
        }
    }

    /// Reads what a version holds, before it goes.
    ///
    /// # Errors
    /// [`Refusal::Locked`].
    pub(super) fn doom(&self, stored: Stored, bypass_governance: bool) -> Result<Doomed, Stop> {
        let body = stored.body.map(|id| self.tables.body(id)).transpose()?;
        if let Some(attributes) = body.as_ref().map(|body| &body.attributes) {
            let retained = self
                .lasting(attributes)
                .is_some_and(|retention| !(bypass_governance && retention.mode == RetentionMode::Governance));
            if retained || attributes.legal_hold.is_on() {
                return Err(Refusal::Locked.into());
            }
        }
        Ok(Doomed { stored, body })
    }

    /// A version's retention, if it is not over.
    pub(super) fn lasting(&self, attributes: &ObjectAttributes) -> Option<Retention> {
        attributes.retention.filter(|retention| retention.until > self.stamp.time())
    }

    /// What a version made now has: the bucket's default retention, unless it comes with one.
    pub(super) fn attributes_of<'a>(
        &self,
        given: &'a ObjectAttributes,
        object_lock: ObjectLock,
    ) -> Cow<'a, ObjectAttributes> {
        match object_lock.retention_at(self.stamp.time()) {
            Some(retention) if given.retention.is_none() => {
                Cow::Owned(ObjectAttributes { retention: Some(retention), ..given.clone() })
            }
            _ => Cow::Borrowed(given),
        }
    }

    /// The null version that a write to a bucket that isn't (or is no longer) versioned replaces.
    pub(super) fn doomed_null(
        &self,
        site: &Site<'_>,
        versioning: Versioning,
        current: Option<&Stored>,
    ) -> Result<Option<Doomed>, Stop> {
        let null = match (versioning, current) {
            (Versioning::Enabled, _) => None,
            (_, Some(current)) if current.head.null => Some(current.clone()),
            (Versioning::Off, _) => None,
            (Versioning::Suspended, _) => self.null_version(site)?,
        };
        null.map(|stored| self.doom(stored, false)).transpose()
    }

    /// The null version, where it stands in `versions`.
    fn null_version(&self, site: &Site<'_>) -> Result<Option<Stored>, Stop> {
        match self.tables.null_stamp(&site.place)? {
            Some(stamp) => Ok(Some(self.version_at(site, stamp)?)),
            None => Ok(None),
        }
    }

    fn version_at(&self, site: &Site<'_>, stamp: CommitStamp) -> Result<Stored, IndexDatabaseError> {
        let damaged = || IndexDatabaseError::Damaged { reason: format!("{:?} has no null version", site.key) };
        self.tables.version(&site.place, stamp)?.ok_or_else(damaged)
    }

    /// Makes a version the newest of its key.
    pub(super) fn install(
        &mut self,
        site: &Site<'_>,
        versioning: Versioning,
        current: Option<Stored>,
        incoming: Incoming<'_>,
    ) -> Result<Answer, Stop> {
        let doomed = self.doomed_null(site, versioning, current.as_ref())?;
        let Incoming { head, body, inline, runs } = incoming;
        let had_object = current.is_some();
        let mut body_id = None;
        if let Some(doomed) = doomed {
            body_id = doomed.stored.body;
            self.remove_row(site, &doomed.stored)?;
            self.free(site, doomed, &runs)?;
        }
        self.supersede(site, versioning, current.filter(|current| !(head.null && current.head.null)))?;
        let body_id = match body_id {
            Some(id) => {
                self.tables.replace_body(id, &body, inline)?;
                id
            }
            None => {
                self.memory.last_body += 1;
                self.tables.insert_body(self.memory.last_body, &body, inline)?;
                self.memory.last_body
            }
        };
        if had_object {
            self.tables.replace_current(&site.place, &head, body_id)?;
        } else {
            self.tables.insert_current(&site.place, &head, body_id)?;
        }
        let usage = self.usage(site.bucket);
        usage.objects += i64::from(!had_object);
        usage.versions += 1;
        usage.bytes += signed(head.plain_bytes);
        self.note_change(site)?;
        Ok(Answer::Put { id: head.id, null: head.null })
    }

    /// Makes a marker the newest version of its key.
    pub(super) fn install_marker(
        &mut self,
        site: &Site<'_>,
        versioning: Versioning,
        current: Option<Stored>,
        head: HeadRow,
    ) -> Result<Answer, Stop> {
        let doomed = self.doomed_null(site, versioning, current.as_ref())?;
        if current.is_some() {
            self.tables.delete_current(&site.place)?;
            self.usage(site.bucket).objects -= 1;
        }
        if let Some(doomed) = doomed {
            self.remove_row(site, &doomed.stored)?;
            let body = doomed.stored.body;
            self.free(site, doomed, &[])?;
            self.delete_body(body)?;
        }
        self.supersede(site, versioning, current.filter(|current| !(head.null && current.head.null)))?;
        self.tables.put_version(&site.place, &head, None)?;
        if head.null {
            self.tables.put_null_stamp(&site.place, head.id.stamp)?;
        }
        self.usage(site.bucket).markers += 1;
        self.note_change(site)?;
        Ok(Answer::Deleted { marker: true, version: Some((head.id, head.null)) })
    }

    /// Takes a version's row out of `versions`; one of `current` is for the caller to replace or delete.
    fn remove_row(&self, site: &Site<'_>, stored: &Stored) -> Result<(), Stop> {
        let in_current = stored.head.superseded.is_none() && !stored.head.marker;
        if !in_current {
            self.tables.delete_version(&site.place, stored.head.id.stamp)?;
            if stored.head.null {
                self.tables.delete_null_stamp(&site.place)?;
            }
        }
        Ok(())
    }

    /// The version that was the newest gives way: one of `current` moves to `versions`, a marker stays there. A bucket
    /// that never was versioned has nothing there.
    fn supersede(&self, site: &Site<'_>, versioning: Versioning, current: Option<Stored>) -> Result<(), Stop> {
        let superseded = Some(self.stamp);
        if let Some(Stored { head, body }) = current {
            self.tables.put_version(&site.place, &HeadRow { superseded, ..head.clone() }, body)?;
            if head.null {
                self.tables.put_null_stamp(&site.place, head.id.stamp)?;
            }
        } else if versioning != Versioning::Off
            && let Some(Stored { head, body }) = self.tables.newest_version(&site.place)?
            && head.superseded.is_none()
        {
            self.tables.put_version(&site.place, &HeadRow { superseded, ..head }, body)?;
        }
        Ok(())
    }

    /// Removes one version for good; the newest one left becomes the newest again.
    pub(super) fn remove(&mut self, site: &Site<'_>, doomed: Doomed) -> Result<Answer, Stop> {
        let Stored { head, body } = doomed.stored.clone();
        self.remove_row(site, &doomed.stored)?;
        if head.superseded.is_none() && !head.marker {
            self.tables.delete_current(&site.place)?;
            self.usage(site.bucket).objects -= 1;
        }
        self.free(site, doomed, &[])?;
        self.delete_body(body)?;
        if head.superseded.is_none() {
            self.promote(site)?;
        }
        // What was promoted may be due as the newest, and a marker that is left alone may be.
        if self.tables.newest_version(&site.place)?.is_some() || self.tables.current(&site.place)?.is_some() {
            self.note_look(site)?;
        }
        Ok(Answer::Deleted { marker: head.marker, version: Some((head.id, head.null)) })
    }

    fn promote(&mut self, site: &Site<'_>) -> Result<(), Stop> {
        let Some(Stored { head, body }) = self.tables.newest_version(&site.place)? else { return Ok(()) };
        let head = HeadRow { superseded: None, ..head };
        let Some(body) = body else {
            return Ok(self.tables.put_version(&site.place, &head, None)?);
        };
        self.tables.delete_version(&site.place, head.id.stamp)?;
        if head.null {
            self.tables.delete_null_stamp(&site.place)?;
        }
        self.tables.insert_current(&site.place, &head, body)?;
        self.usage(site.bucket).objects += 1;
        Ok(())
    }

    /// Frees what a version holds: its runs but `kept`, its parts, its upload. Its row in `bodies` is left.
    fn free(&mut self, site: &Site<'_>, doomed: Doomed, kept: &[&types::Run]) -> Result<(), Stop> {
        let head = &doomed.stored.head;
        let usage = self.usage(site.bucket);
        if head.marker {
            usage.markers -= 1;
        } else {
            usage.versions -= 1;
            usage.bytes -= signed(head.plain_bytes);
        }
        match doomed.body.map(|body| body.kind) {
            Some(BodyKind::Single(part)) => {
                self.free_part(site, &part, kept)?;
                let row = DegradedKept { version: Some(head.id), upload: None, number: part.number };
                self.note_degraded(site, &row, part.degraded, false)?;
            }
            Some(BodyKind::Multipart { upload, .. }) => {
                self.free_upload(site, upload)?;
                self.tables.delete_upload(&site.place, upload)?;
            }
            None => {}
        }
        Ok(())
    }

    fn delete_body(&self, body: Option<i64>) -> Result<(), Stop> {
        if let Some(id) = body {
            self.tables.delete_body(id)?;
        }
        Ok(())
    }

    /// The version that `which` names; `current` has been read.
    pub(super) fn find_version(
        &self,
        site: &Site<'_>,
        which: WhichVersion,
        current: Option<Stored>,
    ) -> Result<Option<Stored>, Stop> {
        Ok(self.tables.find_version(&site.place, which, current)?)
    }
}
