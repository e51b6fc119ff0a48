//! SetObjectTags: other tags for one version, and nothing else of it.

use types::VersionId;

use super::{Applying, Site, Stop};
use crate::command::{Answer, Refusal, SetObjectTags, WhichVersion};
use crate::rows;
use crate::tables::StoredBody;

/// A version of which something is to be set.
pub(super) struct Settable {
    pub(super) id: VersionId,
    pub(super) null: bool,
    /// The number of its body.
    pub(super) body: i64,
    pub(super) row: StoredBody,
}

impl Applying<'_> {
    /// The head stays as it is, and with it the version's id, its place among the others and its date.
    pub(super) fn set_object_tags(&mut self, set: &SetObjectTags) -> Result<Answer, Stop> {
        self.live_bucket(set.bucket)?;
        let site = Site::new(set.bucket.id, &set.key);
        let Settable { id, null, body, mut row } = self.settable(&site, set.version)?;
        row.attributes.to_mut().tags.clone_from(&set.tags);
        self.tables.rewrite_body(body, &rows::encode(&row))?;
        self.note_look(&site)?;
        Ok(Answer::Tagged { id, null })
    }

    /// The version of which something is to be set: it is there, and no marker.
    pub(super) fn settable(&self, site: &Site<'_>, which: WhichVersion) -> Result<Settable, Stop> {
        let current = self.tables.current(&site.place)?;
        let Some(stored) = self.find_version(site, which, current)? else {
            return Err(match which {
                WhichVersion::Newest => Refusal::NoSuchKey.into(),
                WhichVersion::Null | WhichVersion::Id(_) => Refusal::NoSuchVersion.into(),
            });
        };
        let (id, null) = (stored.head.id, stored.head.null);
        let Some(body) = stored.body else { return Err(Refusal::IsMarker { id, null }.into()) };
        Ok(Settable { id, null, body, row: self.tables.body(body)? })
    }
}
