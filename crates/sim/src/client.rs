//! Clients: they do S3's operations on few names through the gateways, note what they do before they do it, and believe
//! nothing that they were not told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use objects::data::WholeBody;
use objects::{
    BodyFacts, CreateBucketRequest, DeleteObjectRequest, ETagCondition, GetObjectRequest, ListEntry,
    ListObjectsRequest, ListStart, Objects, ObjectsError, PutObjectRequest, ReadConditions, Selection, WhichVersion,
    WriteConditions,
};
use parking_lot::Mutex;
use platform::{Entropy, SeededEntropy};
use tokio::sync::watch;
use types::{AccountId, BucketName, CanonicalId, ObjectAttributes, ObjectKey, Owner};

use crate::history::{History, Operation, Outcome, Subject, ValueId};
use crate::values::{Values, tag_of, value_of};

/// The bucket that stays.
pub(crate) const BUCKET: &str = "stays";
/// The only key of a bucket that comes and goes.
const KEY_OF_BUCKET: &str = "only";
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long a client pauses at most.
const PAUSE_MAX_MILLIS: u64 = 120;
/// Keys of one page of a LIST.
const KEYS_MAX: usize = 1000;

/// What all clients share.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) history: History,
    pub(crate) values: Values,
    /// The gateways as they are now.
    pub(crate) gateways: watch::Receiver<Vec<Objects>>,
    pub(crate) keys: usize,
    pub(crate) buckets: usize,
    /// Keys that are written once: whatever is lost of them stays lost.
    pub(crate) once: Arc<Mutex<Vec<Subject>>>,
    /// Bytes that were answered and are of no PUT.
    pub(crate) torn: Arc<Mutex<Vec<String>>>,
}

/// One client.
pub(crate) struct Client {
    number: usize,
    shared: Clients,
    dice: SeededEntropy,
    /// What it saw last of each key.
    seen: BTreeMap<Subject, ValueId>,
}

impl Client {
    pub(crate) fn new(number: usize, shared: Clients, seed: u64) -> Self {
        Self { number, shared, dice: SeededEntropy::new(seed), seen: BTreeMap::new() }
    }

    /// Does one thing after the other until `stopped` changes.
    pub(crate) async fn run(mut self, stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            tokio::time::sleep(Duration::from_millis(self.dice.number() % PAUSE_MAX_MILLIS)).await;
            self.act().await;
        }
    }

    async fn act(&mut self) {
        let number = self.dice.number();
        if number.is_multiple_of(12) {
            return self.list().await;
        }
        if (number / 12).is_multiple_of(3) {
            return self.put_once().await;
        }
        let about_bucket = self.shared.buckets > 0 && (number / 36).is_multiple_of(4);
        let pick = |of: usize| number as usize / 64 % of;
        let subject = match about_bucket {
            true => Subject::Bucket(format!("comes-and-goes-{}", pick(self.shared.buckets))),
            false => Subject::Key(key_name(pick(self.shared.keys))),
        };
        let kinds = if about_bucket { 13 } else { 10 };
        match number / 4096 % kinds {
            0 | 1 => self.put(subject, Condition::None).await,
            2 | 3 => self.put(subject, Condition::New).await,
            4 | 5 => self.put(subject, Condition::Over).await,
            6 => drop(self.delete(subject).await),
            7..=9 => drop(self.get(subject).await),
            10 | 11 => self.create_bucket(subject).await,
            _ => self.delete_bucket(subject).await,
        }
    }

    /// Any of the gateways, mostly the client's own.
    fn gateway(&self) -> Objects {
        let gateways = self.shared.gateways.borrow();
        let own = if self.dice.number().is_multiple_of(4) { self.dice.number() as usize } else { self.number };
        gateways[own % gateways.len()].clone()
    }

    async fn put(&mut self, subject: Subject, condition: Condition) {
        let (value, body) = self.shared.values.make();
        let (operation, conditions) = match (condition, self.seen.get(&subject)) {
            (Condition::New, _) => (Operation::PutNew(value), if_none_match()),
            (Condition::Over, Some(seen)) => (Operation::PutOver(*seen, value), if_match(*seen)),
            _ => (Operation::Put(value), WriteConditions::default()),
        };
        let outcome = self.record(&subject, operation, put(self.gateway(), &subject, conditions, body)).await;
        if outcome == Outcome::Done {
            self.seen.insert(subject, value);
        }
    }

    /// Writes a key that nobody writes again.
    async fn put_once(&mut self) {
        let subject = {
            let mut once = self.shared.once.lock();
            let subject = Subject::Key(format!("once-{}", once.len()));
            once.push(subject.clone());
            subject
        };
        self.put(subject, Condition::New).await;
    }

    /// Reads; the answer.
    pub(crate) async fn get(&mut self, subject: Subject) -> Outcome {
        let torn = self.shared.torn.clone();
        let outcome = self.record(&subject, Operation::Get, get(self.gateway(), &subject, torn)).await;
        if let Outcome::Found(value) = outcome {
            self.seen.insert(subject, value);
        }
        outcome
    }

    /// Writes; the answer.
    pub(crate) async fn put_whatever(&mut self, subject: Subject) -> Outcome {
        let (value, body) = self.shared.values.make();
        let putting = put(self.gateway(), &subject, WriteConditions::default(), body);
        self.record(&subject, Operation::Put(value), putting).await
    }

    async fn delete(&mut self, subject: Subject) -> Outcome {
        self.record(&subject, Operation::Delete, delete(self.gateway(), &subject)).await
    }

    async fn create_bucket(&mut self, subject: Subject) {
        let request = create(bucket_of(&subject));
        let gateway = self.gateway();
        self.record(&subject, Operation::CreateBucket, async move {
            outcome_of(gateway.create_bucket(request).await.map(|_| Outcome::Done))
        })
        .await;
    }

    async fn delete_bucket(&mut self, subject: Subject) {
        let bucket = bucket_of(&subject);
        let gateway = self.gateway();
        self.record(&subject, Operation::DeleteBucket, async move {
            outcome_of(gateway.delete_bucket(&bucket).await.map(|()| Outcome::Done))
        })
        .await;
    }

    async fn record(&self, subject: &Subject, operation: Operation, doing: impl Future<Output = Outcome>) -> Outcome {
        let begun = self.shared.history.begin(self.number, vec![subject.clone()], operation, false);
        let outcome = tokio::time::timeout(PATIENCE, doing).await.unwrap_or(Outcome::Unknown);
        self.shared.history.answer(begun, [outcome]);
        outcome
    }

    /// Lists the bucket that stays: a read of all its keys at once.
    pub(crate) async fn list(&mut self) {
        let subjects: Vec<Subject> = (0..self.shared.keys).map(|key| Subject::Key(key_name(key))).collect();
        let begun = self.shared.history.begin(self.number, subjects.clone(), Operation::Get, true);
        let request = ListObjectsRequest {
            bucket: BucketName::new(BUCKET).expect("a valid name"),
            prefix: Bytes::new(),
            delimiter: Bytes::new(),
            start: ListStart::Beginning,
            max_keys: KEYS_MAX,
        };
        let gateway = self.gateway();
        let Ok(Ok(page)) = tokio::time::timeout(PATIENCE, gateway.list_objects(request)).await else { return };
        let mut listed = BTreeMap::new();
        for entry in page.entries {
            let ListEntry::Entry(version) = entry else { continue };
            match self.shared.values.with_tag(&version.etag) {
                Some(value) => drop(listed.insert(version.key, value)),
                None => self.shared.torn.lock().push(format!("{} is listed with a tag of no PUT", version.key)),
            }
        }
        let outcome = |subject: &Subject| match listed.get(&key_of(subject)) {
            Some(value) => Outcome::Found(*value),
            None => Outcome::Absent,
        };
        self.shared.history.answer(begun, subjects.iter().map(outcome));
    }
}

#[derive(Clone, Copy)]
enum Condition {
    None,
    New,
    Over,
}

/// Makes the bucket that stays.
pub(crate) async fn make_bucket(gateway: &Objects) -> Result<(), ObjectsError> {
    match gateway.create_bucket(create(BucketName::new(BUCKET).expect("a valid name"))).await {
        Ok(_) | Err(ObjectsError::BucketAlreadyOwnedByYou { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(crate) fn key_name(number: usize) -> String {
    format!("key-{number}")
}

fn bucket_of(subject: &Subject) -> BucketName {
    let name = match subject {
        Subject::Key(_) => BUCKET,
        Subject::Bucket(name) => name,
    };
    BucketName::new(name).expect("a valid name")
}

fn key_of(subject: &Subject) -> ObjectKey {
    let name = match subject {
        Subject::Key(name) => name,
        Subject::Bucket(_) => KEY_OF_BUCKET,
    };
    ObjectKey::new(name.as_bytes().to_vec()).expect("a valid key")
}

fn owner() -> Owner {
    Owner { account: AccountId::ROOT, canonical_id: CanonicalId("c0ffee".into()), display_name: "root".into() }
}

fn create(bucket: BucketName) -> CreateBucketRequest {
    CreateBucketRequest { bucket, owner: owner(), region: String::new(), object_lock: false }
}

fn if_none_match() -> WriteConditions {
    WriteConditions { if_none_match: Some(ETagCondition::Any), ..WriteConditions::default() }
}

fn if_match(value: ValueId) -> WriteConditions {
    WriteConditions { if_match: Some(ETagCondition::OneOf(vec![tag_of(value)])), ..WriteConditions::default() }
}

async fn put(gateway: Objects, subject: &Subject, conditions: WriteConditions, body: Bytes) -> Outcome {
    let request = PutObjectRequest {
        bucket: bucket_of(subject),
        key: key_of(subject),
        attributes: ObjectAttributes::default(),
        owner: owner(),
        conditions,
        said: BodyFacts { declared_bytes: Some(body.len() as u64), ..BodyFacts::default() },
    };
    outcome_of(gateway.put_object(request, &mut WholeBody::new(body)).await.map(|_| Outcome::Done))
}

async fn get(gateway: Objects, subject: &Subject, torn: Arc<Mutex<Vec<String>>>) -> Outcome {
    let request = GetObjectRequest {
        bucket: bucket_of(subject),
        key: key_of(subject),
        which: WhichVersion::Newest,
        conditions: ReadConditions::default(),
        selection: Selection::Whole,
    };
    let read = match gateway.get_object(request).await {
        Ok(read) => read,
        Err(error) => return outcome_of(Err(error)),
    };
    let (mut body, mut bytes) = (read.body, Vec::new());
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => {
                tracing::info!(?subject, %error, "a read broke off");
                return Outcome::Unknown;
            }
        }
    }
    match value_of(&bytes) {
        Some(value) if tag_of(value) == read.selected.head.etag => Outcome::Found(value),
        _ => {
            torn.lock().push(format!("{subject:?} was read as {} bytes of no PUT", bytes.len()));
            Outcome::Unknown
        }
    }
}

async fn delete(gateway: Objects, subject: &Subject) -> Outcome {
    let request = DeleteObjectRequest {
        bucket: bucket_of(subject),
        key: key_of(subject),
        version: None,
        conditions: WriteConditions::default(),
        owner: owner(),
        bypass_governance: false,
    };
    outcome_of(gateway.delete_object(request).await.map(|_| Outcome::Done))
}

fn outcome_of(answer: Result<Outcome, ObjectsError>) -> Outcome {
    match answer {
        Ok(outcome) => outcome,
        Err(ObjectsError::NoSuchKey { .. } | ObjectsError::NewestIsMarker { .. }) => Outcome::Absent,
        Err(ObjectsError::PreconditionFailed { .. }) => Outcome::PreconditionFailed,
        Err(ObjectsError::NoSuchBucket { .. }) => Outcome::NoBucket,
        Err(ObjectsError::BucketAlreadyOwnedByYou { .. }) => Outcome::BucketExists,
        Err(ObjectsError::BucketNotEmpty { .. }) => Outcome::BucketNotEmpty,
        Err(error) => {
            tracing::debug!(%error, "an operation failed");
            Outcome::Unknown
        }
    }
}
