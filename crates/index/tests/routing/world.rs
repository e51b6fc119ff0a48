//! An index without a log that can be split.

use std::sync::Arc;
use std::time::Duration;

use index::command::{BucketAt, BucketConfig};
use index::contract::samples::{self, plain};
use index::{Answer, CommandBody, IndexService, LocalIndex, Query, QueryAnswer};
use platform::ManualClock;
use types::{BucketId, HomeKey, RangeDescriptor, Timestamp};

pub(crate) struct World {
    pub(crate) index: Arc<LocalIndex>,
    clock: Arc<ManualClock>,
}

pub(crate) fn home(bucket: u64, text: impl AsRef<[u8]>) -> HomeKey {
    HomeKey { bucket: BucketId(bucket), key: samples::key(text) }
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000)));
        Self { index: Arc::new(LocalIndex::in_memory(clock.clone()).expect("opened")), clock }
    }

    /// The key is the first of the new range.
    pub(crate) async fn split(&self, bucket: u64, text: impl AsRef<[u8]>) -> [RangeDescriptor; 2] {
        self.index.split(home(bucket, text)).expect("split")
    }

    /// Proposes a command by itself, a millisecond after the last one.
    pub(crate) async fn propose(&self, body: CommandBody) -> Answer {
        self.clock.advance(Duration::from_millis(1));
        self.index.propose(plain(body)).await.expect("the index takes commands")
    }

    pub(crate) async fn ask(&self, query: Query) -> QueryAnswer {
        self.index.query(query).await.expect("the index answers")
    }

    pub(crate) async fn bucket(&self, id: u64) -> BucketAt {
        let create = CommandBody::CreateBucketRow { id: BucketId(id), config: BucketConfig::default() };
        match self.propose(create).await {
            Answer::BucketRow(row) => BucketAt { id: row.id, epoch: row.epoch },
            other => panic!("a bucket was made, not {other:?}"),
        }
    }

    pub(crate) async fn put(&self, bucket: BucketAt, text: impl AsRef<[u8]>, bytes: &[u8]) {
        let put = samples::put_object(bucket, samples::key(text), 1, samples::inline_part(1, bytes));
        let answer = self.propose(CommandBody::PutObject(Box::new(put))).await;
        assert!(matches!(answer, Answer::Put { .. }), "{answer:?}");
    }
}
