//! SetObjectTags: other tags for one version, and nothing else of it.

use super::{Applying, Site, Stop};
use crate::command::{Answer, Refusal, SetObjectTags, WhichVersion};
use crate::rows;

impl Applying<'_> {
    /// The head stays as it is, and with it the version's id, its place among the others and its date.
    pub(super) fn set_object_tags(&mut self, set: &SetObjectTags) -> Result<Answer, Stop> {
        self.live_bucket(set.bucket)?;
        let site = Site::new(set.bucket.id, &set.key);
        let current = self.tables.current(&site.place)?;
        let Some(stored) = self.find_version(&site, set.version, current)? else {
            return Err(match set.version {
                WhichVersion::Newest => Refusal::NoSuchKey.into(),
                WhichVersion::Null | WhichVersion::Id(_) => Refusal::NoSuchVersion.into(),
            });
        };
        let (id, null) = (stored.head.id, stored.head.null);
        let Some(body) = stored.body else { return Err(Refusal::IsMarker { id, null }.into()) };
        let mut row = self.tables.body(body)?;
        row.attributes.to_mut().tags.clone_from(&set.tags);
        self.tables.rewrite_body(body, &rows::encode(&row))?;
        Ok(Answer::Tagged { id, null })
    }
}
