//! DeleteObject: a version goes, or a marker comes.

use types::{ETag, StorageClass, VersionId, Versioning};

use super::{Applying, Site, Stop};
use crate::command::{Answer, DeleteObject, Refusal, WhichVersion};
use crate::rows::HeadRow;
use crate::tables::Stored;

const NOTHING: Answer = Answer::Deleted { marker: false, version: None };

impl Applying<'_> {
    pub(super) fn delete_object(&mut self, delete: &DeleteObject) -> Result<Answer, Stop> {
        let versioning = self.live_bucket(delete.bucket)?.config.versioning;
        let site = Site::new(delete.bucket.id, &delete.key);
        let current = self.tables.current(&site.place)?;
        match delete.version {
            Some(which) => self.delete_version(delete, &site, which, current),
            None => self.delete_newest(delete, &site, versioning, current),
        }
    }

    /// Conditions are those of that version. One that isn't there is deleted already, unless a condition is set on it.
    fn delete_version(
        &mut self,
        delete: &DeleteObject,
        site: &Site<'_>,
        which: WhichVersion,
        current: Option<Stored>,
    ) -> Result<Answer, Stop> {
        let Some(stored) = self.find_version(site, which, current)? else {
            let unconditional = delete.conditions.if_match.is_none();
            return if unconditional { Ok(NOTHING) } else { Err(Refusal::NoSuchVersion.into()) };
        };
        let head = Some(&stored.head).filter(|head| !head.marker);
        Self::check_conditions(&delete.conditions, head)?;
        let doomed = self.doom(stored, delete.bypass_governance)?;
        self.remove(site, doomed)
    }

    fn delete_newest(
        &mut self,
        delete: &DeleteObject,
        site: &Site<'_>,
        versioning: Versioning,
        current: Option<Stored>,
    ) -> Result<Answer, Stop> {
        Self::check_conditions(&delete.conditions, current.as_ref().map(|current| &current.head))?;
        if versioning != Versioning::Off {
            let marker = self.new_marker(delete, versioning);
            return self.install_marker(site, versioning, current, marker);
        }
        let Some(stored) = current else { return Ok(NOTHING) };
        let doomed = self.doom(stored, false)?;
        self.remove(site, doomed)
    }

    fn new_marker(&self, delete: &DeleteObject, versioning: Versioning) -> HeadRow {
        HeadRow {
            id: VersionId { stamp: self.stamp, random: delete.random },
            null: versioning != Versioning::Enabled,
            marker: true,
            plain_bytes: 0,
            etag: ETag::of_body([0; 16]),
            storage_class: StorageClass::default(),
            checksum: None,
            owner: delete.owner.clone(),
            superseded: None,
        }
    }
}
