//! What is to be done with one key: pure, by rules and what there is of it.

use index::command::{ExpireAction, ExpireKey, ExpireKind};
use index::query::{KeyFacts, KeyVersion};
use s3_wire::bucket_lifecycle::LifecycleConfiguration;
use s3_wire::lifecycle::{Day, Due, VersionFacts};
use types::{ObjectKey, StorageClass, Timestamp, VersionId};

/// A version that is to be moved to another class, and what is to be said once it was.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WantedMove {
    pub(super) version: VersionId,
    pub(super) class: StorageClass,
    pub(super) action: ExpireAction,
}

/// Looks at a key, page by page of its versions, newest first.
pub(super) struct Looker<'r> {
    rules: &'r LifecycleConfiguration,
    day: Day,
    now: Timestamp,
    random: u64,
    /// How many versions that are not the newest were seen.
    noncurrent: u32,
    actions: Vec<ExpireAction>,
    moves: Vec<WantedMove>,
    next: Option<Timestamp>,
}

impl<'r> Looker<'r> {
    /// `random` becomes a half of the id of a marker.
    pub(super) fn new(rules: &'r LifecycleConfiguration, day: Day, now: Timestamp, random: u64) -> Self {
        Self { rules, day, now, random, noncurrent: 0, actions: Vec::new(), moves: Vec::new(), next: None }
    }

    /// How much is to be done so far.
    pub(super) fn actions(&self) -> usize {
        self.actions.len() + self.moves.len()
    }

    /// Has the key looked at again at this moment, or before.
    pub(super) fn look_again(&mut self, at: Timestamp) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// Takes in a page.
    pub(super) fn look(&mut self, key: &[u8], facts: &KeyFacts, is_first: bool) {
        let alone = is_first && !facts.truncated && facts.versions.len() == 1;
        for version in &facts.versions {
            self.look_at_version(key, version, alone);
            self.noncurrent += u32::from(version.superseded.is_some());
        }
        for upload in &facts.uploads {
            let Some(abort) = self.rules.abort(key, upload.began, self.day) else { continue };
            if abort.at <= self.now {
                self.actions.push(ExpireAction { kind: ExpireKind::Upload { upload: upload.id }, since: abort.at });
            } else {
                self.look_again(abort.at);
            }
        }
    }

    fn look_at_version(&mut self, key: &[u8], version: &KeyVersion, alone: bool) {
        let facts = VersionFacts {
            key,
            made: version.id.stamp.time(),
            superseded: version.superseded.map(types::CommitStamp::time),
            newer_noncurrent: self.noncurrent,
            marker: version.marker,
            alone,
            plain_bytes: version.plain_bytes,
            tags: &version.tags,
            class: &version.storage_class,
        };
        let judged = self.rules.judge(&facts, self.now, self.day);
        if let Some(next) = judged.next {
            self.look_again(next);
        }
        match judged.due {
            None => {}
            Some(Due::Move { since, class }) => {
                let kind = ExpireKind::Class {
                    version: version.id,
                    superseded: version.superseded,
                    tags: version.tags.clone(),
                    newer: self.newer(version),
                    from: version.storage_class.clone(),
                    to: class.clone(),
                };
                self.moves.push(WantedMove { version: version.id, class, action: ExpireAction { kind, since } });
            }
            Some(Due::Expire { since }) => self.expire(version, since),
        }
    }

    /// How many newer versions a judgement relies on: those that rules may ask for at most.
    fn newer(&self, version: &KeyVersion) -> u32 {
        let asked = self.rules.rules.iter().flat_map(|rule| {
            let expiration = rule.noncurrent_expiration.and_then(|rule| rule.newer);
            rule.noncurrent_transitions.iter().filter_map(|rule| rule.newer).chain(expiration)
        });
        if version.superseded.is_none() { 0 } else { asked.max().unwrap_or(0).min(self.noncurrent) }
    }

    fn expire(&mut self, version: &KeyVersion, since: Timestamp) {
        let (id, tags) = (version.id, version.tags.clone());
        let kind = match version.superseded {
            // What a lock holds is not removed for good; it is looked at again when the lock may have ended.
            Some(_) if version.legal_hold => return self.look_again(Timestamp(self.now.0 + self.day.us())),
            Some(_) if version.retention.is_some_and(|retention| retention.until > self.now) => {
                let until = version.retention.map(|retention| retention.until);
                return until.into_iter().for_each(|until| self.look_again(until));
            }
            Some(superseded) => ExpireKind::Noncurrent { version: id, superseded, tags, newer: self.newer(version) },
            None if version.marker => ExpireKind::Marker { version: id },
            None => ExpireKind::Newest { version: id, tags, random: self.random },
        };
        self.actions.push(ExpireAction { kind, since });
    }

    /// What was found, and what is to be moved before it is done.
    pub(super) fn finish(self, key: ObjectKey, noted: Option<Timestamp>) -> (ExpireKey, Vec<WantedMove>) {
        (ExpireKey { key, noted, actions: self.actions, next: self.next }, self.moves)
    }
}
