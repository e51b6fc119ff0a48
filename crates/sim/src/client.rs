//! Clients: they do S3's operations on few names through the gateways, note what they do before they do it, and believe
//! nothing that they were not told.

mod calls;
mod uploads;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use objects::{ListEntry, ListObjectsRequest, ListStart, Objects, WhichVersion, WriteConditions};
use parking_lot::Mutex;
use platform::{Entropy, SeededEntropy};
use tokio::sync::watch;
use types::BucketName;

use crate::history::{History, Listing, ListingId, Operation, Outcome, Subject, ValueId};
use crate::values::Values;

use calls::{Judge, bucket_of, create, delete, get, if_match, if_none_match, key_of, outcome_of, put};

pub(crate) use calls::make_buckets;
pub(crate) use versions::KnownVersion;

/// The bucket that stays.
const BUCKET: &str = "stays";
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
    /// Buckets with versions.
    pub(crate) versioned: usize,
    /// Versions whose ids were answered.
    pub(crate) known_versions: Arc<Mutex<Vec<KnownVersion>>>,
    /// What listings of versions showed.
    pub(crate) listings: Arc<Mutex<BTreeMap<ListingId, Listing>>>,
    /// What was copied where.
    pub(crate) copied: Arc<Mutex<BTreeSet<(Subject, ValueId)>>>,
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
        let pick = |of: usize| number as usize / 64 % of;
        if self.shared.versioned > 0 && (number / 7_919).is_multiple_of(5) {
            let subject = Subject::Versions(versioned_bucket(pick(self.shared.versioned)));
            return self.act_on_versions(subject).await;
        }
        if self.shared.buckets > 0 && (number / 36).is_multiple_of(3) {
            let subject = Subject::Bucket(format!("comes-and-goes-{}", pick(self.shared.buckets)));
            return self.act_on_bucket(subject).await;
        }
        let subject = Subject::Key(key_name(pick(self.shared.keys)));
        match number / 4096 % 14 {
            0 | 1 => self.put(subject, Condition::None).await,
            2 | 3 => self.put(subject, Condition::New).await,
            4 | 5 => self.put(subject, Condition::Over).await,
            6 => drop(self.delete(subject).await),
            7..=9 => drop(self.get(subject).await),
            10 => self.delete_over(subject).await,
            11 => self.copy(subject).await,
            _ => self.upload(subject).await,
        }
    }

    /// Does something to a bucket that comes and goes, often to make it or to have it gone: it must be empty for that.
    async fn act_on_bucket(&mut self, subject: Subject) {
        match self.dice.number() % 14 {
            0 | 1 => self.put(subject, Condition::None).await,
            2 => self.put(subject, Condition::New).await,
            3 => self.put(subject, Condition::Over).await,
            4 => self.delete_over(subject).await,
            5..=7 => drop(self.delete(subject).await),
            8 => drop(self.get(subject).await),
            9 | 10 => self.create_bucket(subject).await,
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
            (Condition::Over, Some(seen)) => {
                (Operation::PutOver(*seen, value), if_match(self.shared.values.tag(*seen)))
            }
            _ => (Operation::Put(value), WriteConditions::default()),
        };
        let putting = put(self.gateway(), &subject, conditions, body);
        let putting = async move { outcome_of(putting.await.map(|_| Outcome::Done)) };
        let outcome = self.record(&subject, operation, putting).await;
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
        let reading = get(self.gateway(), &subject, WhichVersion::Newest, self.judge());
        let outcome = self.record(&subject, Operation::Get, reading).await;
        if let Outcome::Found(value) = outcome {
            self.seen.insert(subject, value);
        }
        outcome
    }

    /// Writes; the answer.
    pub(crate) async fn put_whatever(&mut self, subject: Subject) -> Outcome {
        let (value, body) = self.shared.values.make();
        let putting = put(self.gateway(), &subject, WriteConditions::default(), body);
        let putting = async move { outcome_of(putting.await.map(|_| Outcome::Done)) };
        self.record(&subject, Operation::Put(value), putting).await
    }

    fn judge(&self) -> Judge {
        Judge { values: self.shared.values.clone(), torn: self.shared.torn.clone() }
    }

    async fn delete(&mut self, subject: Subject) -> Outcome {
        let deleting = delete(self.gateway(), &subject, None, WriteConditions::default());
        let deleting = async move { outcome_of(deleting.await.map(|_| Outcome::Done)) };
        self.record(&subject, Operation::Delete, deleting).await
    }

    /// Deletes what was seen last.
    async fn delete_over(&mut self, subject: Subject) {
        let Some(seen) = self.seen.get(&subject).copied() else { return };
        let deleting = delete(self.gateway(), &subject, None, if_match(self.shared.values.tag(seen)));
        let deleting = async move { outcome_of(deleting.await.map(|_| Outcome::Done)) };
        self.record(&subject, Operation::DeleteOver(seen), deleting).await;
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

pub(crate) fn key_name(number: usize) -> String {
    format!("key-{number}")
}

pub(crate) fn versioned_bucket(number: usize) -> String {
    format!("versions-{number}")
}
