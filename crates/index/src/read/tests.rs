//! What a listing costs, in steps of SQLite's machine: they are the same in every run, where time is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use types::{BucketId, Timestamp, Versioning};

use super::answer;
use crate::apply::Memory;
use crate::command::{BucketConfig, Command, CommandBody, WhichVersion};
use crate::contract::samples::{ask_version, at, delete, plain, put, whole_bucket};
use crate::query::{ListRange, Query, QueryAnswer};
use crate::{FIRST_DATA_RANGE, RangeEntry, schema};

struct Costs {
    connection: Connection,
    memory: Memory,
    steps: Arc<AtomicU64>,
}

impl Costs {
    /// A database with bucket 1.
    fn new() -> Self {
        let mut connection = Connection::open_in_memory().expect("opened");
        schema::prepare(&connection).expect("an empty database");
        let memory = Memory::load(&connection).expect("nothing");
        let steps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&steps);
        let handler = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        connection.progress_handler(1, Some(handler)).expect("set");
        let mut costs = Self { connection, memory, steps };
        let config = BucketConfig { versioning: Versioning::Enabled, ..BucketConfig::default() };
        costs.apply(vec![plain(CommandBody::CreateBucketRow { id: BucketId(1), config })]);
        costs
    }

    fn apply(&mut self, commands: Vec<Command>) {
        let (range, applied, time) = (FIRST_DATA_RANGE, bytes::Bytes::new(), Timestamp(1));
        let entry = RangeEntry { range, applied, membership: None, time, commands };
        self.connection.execute_batch("BEGIN").expect("begun");
        self.memory.apply(&self.connection, &[entry]).expect("applied");
        self.connection.execute_batch("COMMIT").expect("committed");
    }

    fn puts(&mut self, texts: impl IntoIterator<Item = String>) {
        self.apply(texts.into_iter().map(|text| put(at(1, 1), &text, 1, b"x")).collect());
    }

    /// The steps of a query, and how many entries it answered.
    fn of(&self, query: &Query) -> (u64, usize) {
        let mut last = 0;
        // The first round prepares statements.
        for _ in 0..2 {
            self.steps.store(0, Ordering::Relaxed);
            let entries = match answer(&self.connection, FIRST_DATA_RANGE, query).expect("answered") {
                QueryAnswer::Objects(page) | QueryAnswer::Versions(page) => page.entries.len(),
                QueryAnswer::Version { version, .. } => usize::from(version.is_some()),
                other => panic!("{other:?} has no entries"),
            };
            last = entries;
        }
        (self.steps.load(Ordering::Relaxed), last)
    }

    fn page(&self, after: &str) -> (u64, usize) {
        let range = ListRange { after: after.to_owned().into(), ..whole_bucket(1, 50) };
        self.of(&Query::Objects(range))
    }
}

fn keys(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |number| format!("{prefix}{number:05}"))
}

#[test]
fn a_page_costs_the_same_wherever_it_begins() {
    let mut costs = Costs::new();
    costs.puts(keys("k", 100));
    let small = costs.page("");
    costs.puts(keys("k", 3000));
    let (first, middle, last) = (costs.page(""), costs.page("k01500"), costs.page("k02940"));
    assert_eq!((first.1, middle.1, last.1), (50, 50, 50));
    assert_eq!(first, middle);
    assert_eq!(first, last);
    assert_eq!(first, small, "nor does the bucket's size matter");
}

#[test]
fn deleted_keys_cost_a_listing_nothing() {
    let mut costs = Costs::new();
    costs.puts(keys("z", 100));
    let before = costs.page("");
    costs.puts(keys("a", 2000));
    costs.apply(keys("a", 2000).map(|text| delete(at(1, 1), &text, 1, None)).collect());
    assert_eq!(costs.page(""), before, "2000 markers lie in front of the page");
}

#[test]
fn a_common_prefix_costs_one_seek_whatever_it_holds() {
    let cost = |keys_below: usize| {
        let mut costs = Costs::new();
        for prefix in 0..20 {
            costs.puts(keys(&format!("{prefix:02}/"), keys_below));
        }
        let rolled_up = ListRange { delimiter: "/".into(), ..whole_bucket(1, 1000) };
        [
            costs.of(&Query::Objects(rolled_up.clone())),
            costs.of(&Query::Versions { range: rolled_up, after_version: None }),
        ]
    };
    let (few, many) = (cost(2), cost(200));
    assert_eq!(few, many);
    assert_eq!((few[0].1, few[1].1), (20, 20));
}

#[test]
fn a_page_of_versions_streams_from_both_tables() {
    let mut costs = Costs::new();
    costs.puts(keys("k", 100));
    costs.puts(keys("k", 100));
    let page = |costs: &Costs, after: &str| {
        let range = ListRange { after: after.to_owned().into(), ..whole_bucket(1, 50) };
        costs.of(&Query::Versions { range, after_version: None })
    };
    let small = page(&costs, "");
    for _ in 0..2 {
        costs.puts(keys("k", 3000));
    }
    let (first, last) = (page(&costs, "k00100"), page(&costs, "k02900"));
    assert_eq!(first, last);
    assert_eq!(first, small);
}

#[test]
fn a_null_version_is_found_without_a_walk_through_the_others() {
    let mut costs = Costs::new();
    let config = |versioning| BucketConfig { versioning, ..BucketConfig::default() };
    let row = |config| plain(CommandBody::CreateBucketRow { id: BucketId(2), config });
    costs.apply(vec![row(config(Versioning::Off)), put(at(2, 1), "k", 1, b"null")]);
    let enable = CommandBody::ChangeBucketRow { bucket: at(2, 1), config: config(Versioning::Enabled) };
    costs.apply(vec![plain(enable), put(at(2, 2), "k", 1, b"x")]);
    let few = costs.of(&ask_version(2, "k", WhichVersion::Null));
    costs.apply((0..1000).map(|_| put(at(2, 2), "k", 1, b"x")).collect());
    assert_eq!(costs.of(&ask_version(2, "k", WhichVersion::Null)), few);
}
