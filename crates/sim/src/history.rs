//! What clients did and heard, in the order in which it happened.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Names the bytes of one PUT: no two have the same.
pub type ValueId = u64;

/// Names what a listing of versions shows: equal where they show the same.
pub type ListingId = u64;

/// What a listing of versions shows of a key, the newest first: contents, and [`MARKER`].
pub type Listing = Vec<ValueId>;

/// A delete marker in a listing.
pub const MARKER: ValueId = 0;

/// The name of what a listing shows.
pub fn listing_id(listing: &[ValueId]) -> ListingId {
    let mut hasher = blake3::Hasher::new();
    for value in listing {
        hasher.update(&value.to_le_bytes());
    }
    u64::from_le_bytes(*hasher.finalize().as_bytes().first_chunk().expect("32 bytes"))
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// PUT, whatever there is.
    Put(ValueId),
    /// PUT with `If-None-Match: *`.
    PutNew(ValueId),
    /// PUT with the tag of the first in `If-Match`.
    PutOver(ValueId, ValueId),
    /// GET.
    Get,
    /// DELETE.
    Delete,
    /// DELETE with this tag in `If-Match`.
    DeleteOver(ValueId),
    /// CompleteMultipartUpload once more, of the upload that became this.
    CompleteAgain(ValueId),
    /// DELETE in a bucket with versions; the marker that it adds is named so.
    Mark(ValueId),
    /// GET of a version by its id.
    GetVersion(ValueId),
    /// DELETE of a version, or marker, by its id.
    Remove(ValueId),
    /// ListObjectVersions.
    ListVersions,
    /// Enables versioning, or suspends it.
    SetVersioning(bool),
    /// CreateBucket.
    CreateBucket,
    /// DeleteBucket.
    DeleteBucket,
}

impl Operation {
    /// Whether it may change something.
    pub fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::GetVersion(_) | Self::ListVersions | Self::CompleteAgain(_))
    }
}

/// What a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Done.
    Done,
    /// The object has these bytes.
    Found(ValueId),
    /// There is no object.
    Absent,
    /// 412.
    PreconditionFailed,
    /// The bucket is there already, and the caller's.
    BucketExists,
    /// There is no bucket.
    NoBucket,
    /// The bucket is not empty.
    BucketNotEmpty,
    /// The versions are those of the listing with this name.
    Versions(ListingId),
    /// It was refused for what has to do with another subject.
    NoEffect,
    /// An error, no answer, or the end of the client: it happened, or will, or not.
    Unknown,
}

/// What an operation is about: what one register of the model stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A key of the bucket that stays.
    Key(String),
    /// A bucket that comes and goes, with one key.
    Bucket(String),
    /// A bucket with versions, of one key.
    Versions(String),
}

/// One operation on one subject. A LIST is a GET of every key, all at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who asked.
    pub client: usize,
    /// About what.
    pub subject: Subject,
    /// What.
    pub operation: Operation,
    /// Whether it is part of a LIST.
    pub listed: bool,
    /// When it began: a number in the order of all events.
    pub invoked: u64,
    /// When it was answered; `None`: never.
    pub answered: Option<u64>,
    /// What was answered.
    pub outcome: Outcome,
    /// The same two in simulated time since the start, for people.
    pub time: (Duration, Option<Duration>),
}

/// Records what clients do. Clones write into the same history.
#[derive(Debug, Clone)]
pub struct History(Arc<Mutex<Events>>);

#[derive(Debug)]
struct Events {
    start: Instant,
    records: Vec<Record>,
    events: u64,
}

impl Events {
    fn next(&mut self) -> u64 {
        self.events += 1;
        self.events
    }
}

impl Default for History {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Events { start: Instant::now(), records: Vec::new(), events: 0 })))
    }
}

/// An operation that has begun.
#[derive(Debug)]
#[must_use = "what was begun must be answered; dropping it leaves its outcome unknown"]
pub struct Begun(Vec<usize>);

impl History {
    /// Notes the beginning of the same operation on some subjects.
    pub fn begin(&self, client: usize, subjects: Vec<Subject>, operation: Operation, listed: bool) -> Begun {
        let mut events = self.0.lock();
        let (invoked, now) = (events.next(), events.start.elapsed());
        let first = events.records.len();
        for subject in subjects {
            let (answered, outcome, time) = (None, Outcome::Unknown, (now, None));
            events.records.push(Record { client, subject, operation, listed, invoked, answered, outcome, time });
        }
        Begun((first..events.records.len()).collect())
    }

    /// Notes the answers, in the order of the subjects.
    pub fn answer(&self, begun: Begun, outcomes: impl IntoIterator<Item = Outcome>) {
        let mut events = self.0.lock();
        let (answered, now) = (events.next(), events.start.elapsed());
        for (at, outcome) in begun.0.into_iter().zip(outcomes) {
            let record = &mut events.records[at];
            record.outcome = outcome;
            if outcome != Outcome::Unknown {
                record.answered = Some(answered);
                record.time.1 = Some(now);
            }
        }
    }

    /// All records, in order of their beginnings.
    pub fn records(&self) -> Vec<Record> {
        self.0.lock().records.clone()
    }

    /// A hash of all that happened: equal where two runs were.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for record in &self.0.lock().records {
            hasher.update(format!("{record:?}\n").as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}
