//! Random steps, and the log that they become.

use bytes::Bytes;
use index::command::{
    BucketAt, BucketConfig, BucketRow, CompletePart, CompleteUpload, CreateUpload, ETagCondition, FollowLifecycle,
    LifecycleTimes, LockChange, PutPart, SetObjectLock, SetObjectTags, WhichVersion, WriteConditions,
};
use index::contract::samples;
use index::{Answer, Command, CommandBody, RangeEntry, Refusal};
use proptest::prelude::*;
use proptest::sample::Index;
use types::{
    BucketId, CommitStamp, DefaultRetention, LegalHold, ObjectAttributes, ObjectKey, ObjectLock, Part, Retention,
    RetentionMode, RetentionPeriod, Timestamp, UploadId, VersionId, Versioning,
};

use crate::lifecycle::{Judgement, judgement};
use crate::reference::Reference;

pub(crate) const KEYS: [&[u8]; 9] = [b"a", b"a/", b"a/b", b"a/b/c", b"a/c", b"a\0", b"a\0\xff", b"b", b"\xff\xff"];

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Versioning(u64, Versioning),
    /// Of bucket 2: the other one is replaced in, too.
    LockBucket(Option<DefaultRetention>),
    Put {
        bucket: u64,
        key: usize,
        bytes: u32,
        inline: bool,
        lock: (Option<Retention>, LegalHold),
        conditions: Conditions,
        stale: bool,
    },
    Delete {
        bucket: u64,
        key: usize,
        which: Which,
        bypass: bool,
        conditions: Conditions,
    },
    Tag {
        bucket: u64,
        key: usize,
        which: Which,
        tags: usize,
    },
    Lock {
        key: usize,
        which: Which,
        change: LockChange,
    },
    Create {
        bucket: u64,
        key: usize,
    },
    PutPart {
        upload: Index,
        number: u32,
        bytes: u32,
        inline: bool,
    },
    Complete {
        upload: Index,
        parts: u8,
        spoil: bool,
        conditions: Conditions,
    },
    Abort {
        upload: Index,
    },
    /// The bucket's keys are noted by rules of so many days, or not any more.
    Follow {
        bucket: u64,
        days: Option<u64>,
    },
    Expire {
        bucket: u64,
        key: usize,
        judgement: Judgement,
    },
    /// A command of the log comes again, under its own request id.
    Repeat(Index),
}

#[derive(Debug, Clone)]
pub(crate) enum Which {
    Key,
    Newest,
    Null,
    Known(Index),
    Unknown,
}

#[derive(Debug, Clone)]
pub(crate) enum Conditions {
    None,
    MatchAny,
    MatchSome(u32),
    NoneMatchAny,
    NoneMatchSome(u32),
}

pub(crate) fn conditions() -> impl Strategy<Value = Conditions> {
    prop_oneof![
        8 => Just(Conditions::None),
        1 => Just(Conditions::MatchAny),
        1 => (1u32..4).prop_map(Conditions::MatchSome),
        1 => Just(Conditions::NoneMatchAny),
        1 => (1u32..4).prop_map(Conditions::NoneMatchSome),
    ]
}

fn mode() -> impl Strategy<Value = RetentionMode> {
    prop_oneof![Just(RetentionMode::Governance), Just(RetentionMode::Compliance)]
}

/// Some end while the steps last.
fn retention() -> impl Strategy<Value = Retention> {
    (mode(), 0u64..120).prop_map(|(mode, until)| Retention { mode, until: Timestamp(until) })
}

fn lock() -> impl Strategy<Value = (Option<Retention>, LegalHold)> {
    let hold = prop_oneof![18 => Just(LegalHold::Unset), 1 => Just(LegalHold::On), 1 => Just(LegalHold::Off)];
    (proptest::option::weighted(0.15, retention()), hold)
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let versioning = prop_oneof![Just(Versioning::Enabled), Just(Versioning::Suspended)];
    let which = prop_oneof![
        6 => Just(Which::Key),
        1 => Just(Which::Newest),
        2 => Just(Which::Null),
        4 => any::<Index>().prop_map(Which::Known),
        1 => Just(Which::Unknown),
    ]
    .boxed();
    let key = 0..KEYS.len();
    let default =
        (mode(), 1u32..3).prop_map(|(mode, days)| DefaultRetention { mode, period: RetentionPeriod::Days(days) });
    let change = prop_oneof![
        3 => (proptest::option::weighted(0.8, retention()), any::<bool>())
            .prop_map(|(retention, bypass_governance)| LockChange::Retention { retention, bypass_governance }),
        1 => prop_oneof![Just(LegalHold::On), Just(LegalHold::Off)].prop_map(LockChange::LegalHold),
    ]
    .boxed();
    prop_oneof![
        1 => (1u64..3, versioning).prop_map(|(bucket, versioning)| Step::Versioning(bucket, versioning)),
        8 => (1u64..3, key.clone(), 1u32..4, any::<bool>(), lock(), conditions(), proptest::bool::weighted(0.05))
            .prop_map(|(bucket, key, bytes, inline, lock, conditions, stale)| Step::Put { bucket, key, bytes, inline, lock, conditions, stale }),
        1 => proptest::option::of(default).prop_map(Step::LockBucket),
        4 => (key.clone(), which.clone(), change)
            .prop_map(|(key, which, change)| Step::Lock { key, which, change }),
        3 => (1u64..3, key.clone(), which.clone(), 0usize..3)
            .prop_map(|(bucket, key, which, tags)| Step::Tag { bucket, key, which, tags }),
        8 => (1u64..3, key.clone(), which, any::<bool>(), conditions())
            .prop_map(|(bucket, key, which, bypass, conditions)| Step::Delete { bucket, key, which, bypass, conditions }),
        2 => (1u64..3, key).prop_map(|(bucket, key)| Step::Create { bucket, key }),
        4 => (any::<Index>(), 1u32..4, 1u32..4, any::<bool>())
            .prop_map(|(upload, number, bytes, inline)| Step::PutPart { upload, number, bytes, inline }),
        3 => (any::<Index>(), any::<u8>(), proptest::bool::weighted(0.1), conditions())
            .prop_map(|(upload, parts, spoil, conditions)| Step::Complete { upload, parts, spoil, conditions }),
        1 => any::<Index>().prop_map(|upload| Step::Abort { upload }),
        1 => (1u64..3, proptest::option::weighted(0.8, 0u64..3)).prop_map(|(bucket, days)| Step::Follow { bucket, days }),
        6 => (1u64..3, 0..KEYS.len(), judgement())
            .prop_map(|(bucket, key, judgement)| Step::Expire { bucket, key, judgement }),
        3 => any::<Index>().prop_map(Step::Repeat),
    ]
}

/// Turns steps into commands, by what the reference has.
pub(crate) struct Writer {
    pub(crate) reference: Reference,
    next: u64,
    /// The commands by number, with their first answers.
    kept: Vec<(Command, Answer)>,
    answered: u64,
    pub(crate) log: Vec<RangeEntry>,
    pub(crate) answers: Vec<Answer>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        let mut writer = Self {
            reference: Reference::default(),
            next: 0,
            kept: Vec::new(),
            answered: 0,
            log: Vec::new(),
            answers: Vec::new(),
        };
        for bucket in [1, 2] {
            writer.write(7, CommandBody::CreateBucketRow { id: BucketId(bucket), config: BucketConfig::default() });
        }
        writer
    }

    fn unique(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn write(&mut self, time: u64, body: CommandBody) {
        let number = 1 + self.kept.len() as u64;
        // Some answers are reported as received at once, some later.
        let answered = (number - 1).saturating_sub(number % 5);
        self.answered = self.answered.max(answered);
        let answer = self.reference.apply(Timestamp(time), &body);
        self.kept.push((samples::numbered(1, number, answered, body), answer));
        let (command, answer) = self.kept.last().expect("just pushed").clone();
        self.append(time, command, answer);
    }

    fn append(&mut self, time: u64, command: Command, answer: Answer) {
        let index = self.log.len() as u64;
        let applied = index.to_be_bytes().to_vec().into();
        let membership = index.is_multiple_of(16).then(|| Bytes::from(vec![index as u8]));
        let (range, time) = (index::FIRST_DATA_RANGE, Timestamp(time));
        self.log.push(RangeEntry { range, applied, membership, time, commands: vec![command] });
        self.answers.push(answer);
    }

    /// A late copy of a command is answered as the first one was, or, once that answer has been received, refused.
    fn repeat(&mut self, time: u64, pick: &Index) {
        let (command, answer) = pick.get(&self.kept).clone();
        let number = command.request.expect("all have one").number.0;
        let forgotten = number <= self.answered;
        self.append(time, command, if forgotten { Answer::Refused(Refusal::BelowFloor) } else { answer });
    }

    fn at(&self, bucket: u64) -> BucketAt {
        BucketAt { id: BucketId(bucket), epoch: self.row(bucket).epoch }
    }

    fn row(&self, bucket: u64) -> &BucketRow {
        self.reference.buckets[&BucketId(bucket)].row.as_ref().expect("made first")
    }

    fn part(&mut self, number: u32, bytes: u32, inline: bool) -> Part {
        let tail = self.unique();
        if inline {
            samples::inline_part(number, &vec![7; bytes as usize])
        } else {
            samples::part_in(number, &[samples::run(1, tail, bytes)])
        }
    }

    fn upload(&self, pick: &Index) -> Option<(BucketId, ObjectKey, UploadId)> {
        let all: Vec<_> = self
            .reference
            .buckets
            .iter()
            .flat_map(|(id, bucket)| bucket.uploads.keys().map(|(key, upload)| (*id, key.clone(), *upload)))
            .collect();
        if all.is_empty() { None } else { Some(pick.get(&all).clone()) }
    }

    pub(crate) fn step(&mut self, time: u64, step: &Step) {
        let random = self.unique();
        match step {
            Step::Versioning(bucket, versioning) => {
                let config = BucketConfig { versioning: *versioning, ..self.row(*bucket).config.clone() };
                self.write(time, CommandBody::ChangeBucketRow { bucket: self.at(*bucket), config });
            }
            Step::Put { bucket, key, bytes, inline, lock, conditions, stale } => {
                let mut at = self.at(*bucket);
                at.epoch.0 -= u64::from(*stale);
                let part = self.part(1, *bytes, *inline);
                let mut put = samples::put_object(at, samples::key(KEYS[*key]), random, part);
                (put.version.attributes.retention, put.version.attributes.legal_hold) = *lock;
                put.degraded = !*inline && *bytes == 3;
                put.conditions = written(conditions);
                self.write(time, CommandBody::PutObject(Box::new(put)));
            }
            Step::Delete { bucket, key, which, bypass, conditions } => {
                let (at, key) = (self.at(*bucket), samples::key(KEYS[*key]));
                let version = self.which(&at, &key, which);
                let mut delete = samples::delete_object(at, key, random, version);
                delete.conditions = written(conditions);
                delete.bypass_governance = *bypass;
                self.write(time, CommandBody::DeleteObject(Box::new(delete)));
            }
            Step::LockBucket(default) => {
                let object_lock = default.map_or(ObjectLock::On, ObjectLock::Default);
                let config = BucketConfig { object_lock, ..self.row(2).config.clone() };
                self.write(time, CommandBody::ChangeBucketRow { bucket: self.at(2), config });
            }
            Step::Lock { key, which, change } => {
                let (at, key) = (self.at(2), samples::key(KEYS[*key]));
                let version = self.which(&at, &key, which).unwrap_or(WhichVersion::Newest);
                let set = SetObjectLock { bucket: at, key, version, change: *change };
                self.write(time, CommandBody::SetObjectLock(Box::new(set)));
            }
            Step::Tag { bucket, key, which, tags } => {
                let (at, key) = (self.at(*bucket), samples::key(KEYS[*key]));
                let version = self.which(&at, &key, which).unwrap_or(WhichVersion::Newest);
                let tags = (0..*tags).map(|tag| (format!("tag-{tag}"), random.to_string())).collect();
                let set = SetObjectTags { bucket: at, key, version, tags };
                self.write(time, CommandBody::SetObjectTags(Box::new(set)));
            }
            Step::Create { bucket, key } => {
                let create = CreateUpload {
                    bucket: self.at(*bucket),
                    key: samples::key(KEYS[*key]),
                    upload: UploadId::from_bytes([random as u8; 16]),
                    attributes: ObjectAttributes::default(),
                    owner: samples::owner(),
                    checksum: None,
                };
                self.write(time, CommandBody::CreateUpload(Box::new(create)));
            }
            Step::PutPart { upload, number, bytes, inline } => {
                let Some((bucket, key, upload)) = self.upload(upload) else { return };
                let part = self.part(*number, *bytes, *inline);
                let put = PutPart { bucket: self.at(bucket.0), key, upload, part, degraded: *bytes == 3 };
                self.write(time, CommandBody::PutPart(Box::new(put)));
            }
            Step::Complete { upload, parts, spoil, conditions } => {
                let Some(picked) = self.upload(upload) else { return };
                self.complete(time, picked, *parts, *spoil, written(conditions), random);
            }
            Step::Follow { bucket, days } => {
                let rules = days.map(|days| LifecycleTimes {
                    fingerprint: [days as u8; 16],
                    after_us: (days > 0).then_some(days * 10),
                    round_us: 10,
                    date: (days == 2).then_some(Timestamp(30)),
                });
                let follow = FollowLifecycle { bucket: self.at(*bucket), rules };
                self.write(time, CommandBody::FollowLifecycle(Box::new(follow)));
            }
            Step::Expire { bucket, key, judgement } => {
                let key = samples::key(KEYS[*key]);
                let body = self.reference.judged(self.at(*bucket), &key, judgement, random);
                self.write(time, body);
            }
            Step::Repeat(pick) => self.repeat(time, pick),
            Step::Abort { upload } => {
                let Some((bucket, key, upload)) = self.upload(upload) else { return };
                self.write(time, CommandBody::AbortUpload { bucket: self.at(bucket.0), key, upload });
            }
        }
    }

    fn complete(
        &mut self,
        time: u64,
        (bucket, key, upload): (BucketId, ObjectKey, UploadId),
        choice: u8,
        spoil: bool,
        conditions: WriteConditions,
        random: u64,
    ) {
        let known = &self.reference.buckets[&bucket].uploads[&(key.clone(), upload)];
        let chosen = known.parts.values().enumerate().filter(|(at, _)| choice & (1 << (at % 8)) != 0);
        let mut parts: Vec<CompletePart> = chosen
            .map(|(_, part)| CompletePart {
                number: part.number,
                etag: part.etag,
                modified: part.modified,
                plain_bytes: part.plain_bytes,
            })
            .collect();
        if spoil {
            parts.reverse();
        }
        let etag = known.completed.map_or(samples::etag(random % 3), |(_, _, etag)| etag);
        let version = samples::new_version(random, 0, etag);
        let bucket = self.at(bucket.0);
        let complete = CompleteUpload { bucket, key, upload, conditions, parts, manifest: None, version };
        self.write(time, CommandBody::CompleteUpload(Box::new(complete)));
    }

    fn which(&self, at: &BucketAt, key: &ObjectKey, which: &Which) -> Option<WhichVersion> {
        let versions = self.reference.buckets[&at.id].keys.get(key).map(Vec::as_slice).unwrap_or_default();
        match which {
            Which::Key => None,
            Which::Newest => Some(WhichVersion::Newest),
            Which::Null => Some(WhichVersion::Null),
            Which::Known(pick) if !versions.is_empty() => Some(WhichVersion::Id(pick.get(versions).id)),
            Which::Known(_) | Which::Unknown => Some(WhichVersion::Id(VersionId { stamp: CommitStamp(5), random: 5 })),
        }
    }
}

pub(crate) fn written(conditions: &Conditions) -> WriteConditions {
    let some = |bytes: &u32| Some(ETagCondition::OneOf(vec![samples::etag((*bytes).into())]));
    let (if_match, if_none_match) = match conditions {
        Conditions::None => (None, None),
        Conditions::MatchAny => (Some(ETagCondition::Any), None),
        Conditions::MatchSome(bytes) => (some(bytes), None),
        Conditions::NoneMatchAny => (None, Some(ETagCondition::Any)),
        Conditions::NoneMatchSome(bytes) => (None, some(bytes)),
    };
    WriteConditions { if_match, if_none_match }
}
