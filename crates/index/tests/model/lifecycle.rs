//! Lifecycle in the reference: which keys are noted, and what is done with those that are still as they were judged.

use std::collections::{BTreeMap, BTreeSet};

use index::command::{
    BucketAt, DeleteObject, Expire, ExpireAction, ExpireKey, ExpireKind, Expired, LifecycleTimes, WhichVersion,
    WriteConditions,
};
use index::contract::samples;
use index::query::DueRow;
use index::{Answer, CommandBody, IndexDatabase, Query, QueryAnswer, Refusal};
use proptest::prelude::*;
use proptest::sample::Index;
use types::{BucketId, CommitStamp, ObjectKey, Timestamp, Versioning};

use crate::reference::{Outcome, Reference, Version};

/// What is followed, and what is noted.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    buckets: BTreeMap<BucketId, LifecycleTimes>,
    due: BTreeSet<(Timestamp, BucketId, ObjectKey)>,
}

/// What of a key expires, and what of the judgement is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Judgement {
    version: Index,
    upload: bool,
    spoil: u8,
    next: Option<u64>,
}

pub(crate) fn judgement() -> impl Strategy<Value = Judgement> {
    (any::<Index>(), proptest::bool::weighted(0.1), 0u8..12, proptest::option::of(0u64..90))
        .prop_map(|(version, upload, spoil, next)| Judgement { version, upload, spoil, next })
}

impl Reference {
    pub(crate) fn follow(&mut self, bucket: BucketId, times: Option<LifecycleTimes>) {
        match times {
            Some(times) => {
                let standing = self.followed.buckets.get(&bucket);
                if standing.is_none_or(|standing| standing.fingerprint != times.fingerprint) {
                    self.followed.buckets.insert(bucket, times);
                }
            }
            None => drop(self.followed.buckets.remove(&bucket)),
        }
    }

    /// A key was changed in a way that makes something due later.
    pub(crate) fn note_change(&mut self, bucket: BucketId, key: &ObjectKey) {
        let at = self.followed.buckets.get(&bucket).and_then(|times| times.look_at(self.last.time()));
        self.followed.due.extend(at.map(|at| (at, bucket, key.clone())));
    }

    /// A key was changed in a way that may make something due at once.
    pub(crate) fn note_look(&mut self, bucket: BucketId, key: &ObjectKey) {
        if self.followed.buckets.contains_key(&bucket) {
            self.followed.due.insert((self.last.time(), bucket, key.clone()));
        }
    }

    /// Notes what a command's answer says that it did.
    pub(crate) fn note(&mut self, command: &CommandBody, answer: &Answer, is_repeat: bool) {
        match (command, answer) {
            (CommandBody::PutObject(put), Answer::Put { .. }) => self.note_change(put.bucket.id, &put.key),
            (CommandBody::CompleteUpload(complete), Answer::Put { .. }) if !is_repeat => {
                self.note_change(complete.bucket.id, &complete.key);
            }
            (CommandBody::CreateUpload(create), Answer::UploadCreated { .. }) if !is_repeat => {
                self.note_change(create.bucket.id, &create.key);
            }
            (CommandBody::SetObjectTags(set), Answer::Tagged { .. }) => self.note_look(set.bucket.id, &set.key),
            (CommandBody::SetObjectLock(set), Answer::LockSet { .. }) => self.note_look(set.bucket.id, &set.key),
            (CommandBody::DeleteObject(delete), Answer::Deleted { version: Some(_), .. }) => {
                self.note_deletion(delete);
            }
            _ => {}
        }
    }

    fn note_deletion(&mut self, delete: &DeleteObject) {
        let bucket = &self.buckets[&delete.bucket.id];
        let versioning = bucket.row.as_ref().expect("it lives").config.versioning;
        if delete.version.is_none() && versioning != Versioning::Off {
            self.note_change(delete.bucket.id, &delete.key);
        } else if !bucket.keys[&delete.key].is_empty() {
            self.note_look(delete.bucket.id, &delete.key);
        }
    }

    pub(crate) fn expire(&mut self, expire: &Expire) -> Outcome {
        self.live(expire.bucket)?;
        let mut done = Expired::default();
        for key in &expire.keys {
            self.followed
                .due
                .retain(|(at, bucket, known)| (Some(*at), *bucket, known) != (key.noted, expire.bucket.id, &key.key));
            let mut left = false;
            for action in &key.actions {
                let outcome = if action.since <= self.last.time() {
                    self.expire_one(expire.bucket, &key.key, &action.kind)
                } else {
                    Err(Refusal::NoSuchVersion)
                };
                match outcome {
                    Ok(count) => count(&mut done),
                    Err(_) => {
                        done.left += 1;
                        left = true;
                    }
                }
            }
            let next = if left { Some(self.last.time()) } else { key.next };
            if let Some(at) = next.filter(|_| self.followed.buckets.contains_key(&expire.bucket.id)) {
                self.followed.due.insert((at, expire.bucket.id, key.key.clone()));
            }
        }
        Ok(Answer::Expired(done))
    }

    fn expire_one(
        &mut self,
        bucket: BucketAt,
        key: &ObjectKey,
        kind: &ExpireKind,
    ) -> Result<fn(&mut Expired), Refusal> {
        let versions = self.buckets[&bucket.id].keys.get(key).cloned().unwrap_or_default();
        let delete = |version, random| DeleteObject {
            bucket,
            key: key.clone(),
            version,
            conditions: WriteConditions::default(),
            random,
            owner: samples::owner(),
            bypass_governance: false,
        };
        let stands = |holds: bool| if holds { Ok(()) } else { Err(Refusal::NoSuchVersion) };
        let (delete, count): (_, fn(&mut Expired)) = match kind {
            ExpireKind::Newest { version, tags, random } => {
                let newest = versions.last().filter(|newest| newest.id == *version && !newest.marker);
                stands(newest.is_some_and(|newest| newest.tags == *tags))?;
                (delete(None, *random), |done| done.objects += 1)
            }
            ExpireKind::Noncurrent { version, superseded, tags, newer } => {
                let at = versions.iter().position(|known| known.id == *version).ok_or(Refusal::NoSuchVersion)?;
                let newer_there = versions[at + 1..].iter().filter(|known| known.superseded.is_some()).count();
                let same = versions[at].superseded == Some(*superseded) && versions[at].tags == *tags;
                stands(same && newer_there >= *newer as usize)?;
                (delete(Some(WhichVersion::Id(*version)), 0), |done| done.noncurrent += 1)
            }
            ExpireKind::Marker { version } => {
                stands(matches!(&versions[..], [only] if only.marker && only.id == *version))?;
                (delete(Some(WhichVersion::Id(*version)), 0), |done| done.markers += 1)
            }
            ExpireKind::Upload { upload } => {
                let abort = CommandBody::AbortUpload { bucket, key: key.clone(), upload: *upload };
                self.body(&abort)?;
                return Ok(|done| done.uploads += 1);
            }
            ExpireKind::Class { .. } => panic!("the reference knows no storage classes"),
        };
        let command = CommandBody::DeleteObject(Box::new(delete));
        self.body(&command)?;
        Ok(count)
    }

    /// What an [`Expire`] of a key may be, by what there is.
    pub(crate) fn judged(&self, bucket: BucketAt, key: &ObjectKey, judged: &Judgement, random: u64) -> CommandBody {
        let known = &self.buckets[&bucket.id];
        let versions = known.keys.get(key).map(Vec::as_slice).unwrap_or_default();
        let mut uploads = known.uploads.keys().filter(|(of, _)| of == key).map(|(_, upload)| *upload);
        let kind = if let Some(upload) = uploads.next().filter(|_| judged.upload) {
            Some(ExpireKind::Upload { upload })
        } else if versions.is_empty() {
            None
        } else {
            Some(of_version(versions, judged.version.index(versions.len()), judged.spoil, random))
        };
        let since = Timestamp(if judged.spoil == 1 { u64::MAX } else { 0 });
        let noted = self.followed.due.iter().find(|(_, of, noted)| *of == bucket.id && noted == key);
        let expired = ExpireKey {
            key: key.clone(),
            noted: noted.map(|(at, ..)| *at),
            actions: kind.into_iter().map(|kind| ExpireAction { kind, since }).collect(),
            next: judged.next.map(Timestamp),
        };
        CommandBody::Expire(Box::new(Expire { bucket, keys: vec![expired], pass: None }))
    }
}

fn of_version(versions: &[Version], at: usize, spoil: u8, random: u64) -> ExpireKind {
    let Version { id: version, superseded, marker, tags, .. } = versions[at].clone();
    let newer = versions[at + 1..].iter().filter(|known| known.superseded.is_some()).count();
    let newer = u32::try_from(newer).expect("few") + u32::from(spoil == 2);
    let tags = if spoil == 3 { vec![("other".to_owned(), String::new())] } else { tags };
    match superseded {
        Some(superseded) => {
            let superseded = if spoil == 4 { CommitStamp(1) } else { superseded };
            ExpireKind::Noncurrent { version, superseded, tags, newer }
        }
        None if marker => ExpireKind::Marker { version },
        None => ExpireKind::Newest { version, tags, random },
    }
}

/// Compares all that is noted.
pub(crate) fn compare_due(reference: &Reference, database: &mut IndexDatabase) {
    let found = match database.query(&Query::Due { after: None, limit: usize::MAX }).expect("the database answers") {
        QueryAnswer::Due(rows) => rows,
        other => panic!("notes were asked for, not {other:?}"),
    };
    let found: BTreeSet<_> = found.into_iter().map(|DueRow { at, bucket, key, .. }| (at, bucket, key)).collect();
    assert_eq!(found, reference.followed.due);
}
