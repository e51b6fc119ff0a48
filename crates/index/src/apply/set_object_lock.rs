//! SetObjectLock: what holds one version (S3 User Guide, "Locking objects with Object Lock").

use types::{ObjectAttributes, Retention, RetentionMode};

use super::set_object_tags::Settable;
use super::{Applying, Site, Stop};
use crate::command::{Answer, LockChange, Refusal, SetObjectLock};
use crate::rows;

impl Applying<'_> {
    /// As with tags, the version's head stays, and with it all that orders versions.
    pub(super) fn set_object_lock(&mut self, set: &SetObjectLock) -> Result<Answer, Stop> {
        if !self.live_bucket(set.bucket)?.config.object_lock.is_on() {
            return Err(Refusal::NoObjectLock.into());
        }
        let site = Site::new(set.bucket.id, &set.key);
        let Settable { id, null, body, mut row } = self.settable(&site, set.version)?;
        match set.change {
            LockChange::Retention { retention, bypass_governance } => {
                self.check_retention(&row.attributes, retention, bypass_governance)?;
                row.attributes.to_mut().retention = retention;
            }
            LockChange::LegalHold(hold) => row.attributes.to_mut().legal_hold = hold,
        }
        self.tables.rewrite_body(body, &rows::encode(&row))?;
        // What it held may have been due.
        self.note_look(&site)?;
        Ok(Answer::LockSet { id, null })
    }

    /// A retention that lasts may be extended in its mode. Anything else takes a bypass, and in compliance mode nothing
    /// does.
    fn check_retention(
        &self,
        attributes: &ObjectAttributes,
        wanted: Option<Retention>,
        bypass_governance: bool,
    ) -> Result<(), Stop> {
        if wanted.is_some_and(|wanted| wanted.until <= self.stamp.time()) {
            return Err(Refusal::RetainUntilPassed.into());
        }
        let Some(lasting) = self.lasting(attributes) else { return Ok(()) };
        let bypassed = bypass_governance && lasting.mode == RetentionMode::Governance;
        let extends = wanted.is_some_and(|wanted| wanted.mode == lasting.mode && wanted.until >= lasting.until);
        if bypassed || extends { Ok(()) } else { Err(Refusal::Locked.into()) }
    }
}
