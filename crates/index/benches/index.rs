//! Commands and queries of the index, by criterion: wall time of one thread over a database in a temporary directory.
//!
//! `cargo bench -p index`. Checkpoints are left out; what they add, in CPU, is measured by the example `apply_cost`.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]
#![allow(clippy::unwrap_used, reason = "a bench")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use index::command::{CommandBody, WhichVersion};
use index::contract::samples::{
    at, create_upload, delete_object, inline_part, key, numbered, part_in, plain, put_object, put_part, run, upload_id,
    whole_bucket,
};
use index::query::ListRange;
use index::{Command, FIRST_DATA_RANGE, IndexDatabase, IndexReader, IndexSettings, Proposal, Query, RangeEntry};
use platform::RealDisk;
use types::{BucketId, ObjectKey, Timestamp};

const ROWS: u64 = 100_000;

struct Bench {
    database: IndexDatabase,
    number: u64,
    _directory: tempfile::TempDir,
}

impl Bench {
    /// A database with `ROWS` objects of 4 KiB in bucket 1, and as many keys below 100 prefixes in bucket 2.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = Arc::new(RealDisk::create(directory.path().join("disk")).unwrap());
        let location = sqlite_vfs::DatabaseLocation { disk, path: "index.sqlite".into() };
        let database = IndexDatabase::open(location, IndexSettings::default()).unwrap();
        let mut bench = Self { database, number: 0, _directory: directory };
        for id in [1, 2].map(BucketId) {
            bench.apply(vec![plain(CommandBody::CreateBucketRow { id, config: Default::default() })]);
        }
        for _ in 0..ROWS / 250 {
            let commands = bench.puts(250, 4096);
            bench.apply(commands);
            bench.checkpoint();
        }
        for prefix in 0..100 {
            let keys = (0..ROWS / 100).map(|number| key(format!("{prefix:02}/{number:05}")));
            let puts = keys.map(|key| put_object(at(2, 1), key, 1, inline_part(1, b"")));
            bench.apply(puts.map(|put| plain(CommandBody::PutObject(Box::new(put)))).collect());
        }
        bench.database.checkpoint().unwrap();
        bench
    }

    /// Puts of new keys in random order.
    fn puts(&mut self, count: usize, bytes: usize) -> Vec<Command> {
        let part = inline_part(1, &vec![7; bytes]);
        let mut put = || {
            self.number += 1;
            let put = put_object(at(1, 1), random_key(self.number), self.number, part.clone());
            numbered(1, self.number, self.number.saturating_sub(64), CommandBody::PutObject(Box::new(put)))
        };
        (0..count).map(|_| put()).collect()
    }

    fn apply(&mut self, commands: Vec<Command>) {
        let applied = self.number.to_be_bytes().to_vec().into();
        let entry = RangeEntry { range: FIRST_DATA_RANGE, applied, membership: None, time: Timestamp(1), commands };
        self.database.apply(&[entry]).unwrap();
    }

    /// Keeps the WAL of its usual length; not timed, for it waits for the disk.
    fn checkpoint(&mut self) {
        if self.database.wal_bytes() > 32 << 20 {
            self.database.checkpoint().unwrap();
        }
    }
}

fn random_key(number: u64) -> ObjectKey {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    key(format!("{:016x}/{number:08x}", z ^ (z >> 27)))
}

fn commands(criterion: &mut Criterion) {
    let mut bench = Bench::new();
    let mut group = criterion.benchmark_group("apply");
    for (batch, bytes) in [(1, 4096), (16, 4096), (64, 4096), (64, 0)] {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("put of {bytes} B, batch {batch}"), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = std::time::Duration::ZERO;
                for _ in 0..rounds {
                    let commands = bench.puts(batch, bytes);
                    spent += timed(|| bench.apply(commands));
                    bench.checkpoint();
                }
                spent
            });
        });
    }
    group.throughput(Throughput::Elements(64));
    let mut next = 0;
    group.bench_function("delete, batch 64", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = std::time::Duration::ZERO;
            for _ in 0..rounds {
                let deletes = (0..64).map(|_| {
                    next += 1;
                    delete_object(at(1, 1), random_key(next % ROWS), 1, None)
                });
                let commands = deletes.map(|delete| plain(CommandBody::DeleteObject(Box::new(delete)))).collect();
                spent += timed(|| bench.apply(commands));
                bench.checkpoint();
            }
            spent
        });
    });
    bench.apply(vec![create_upload(at(1, 1), "upload", upload_id(1))]);
    group.bench_function("put of a part, batch 64", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = std::time::Duration::ZERO;
            for round in 0..rounds {
                let part = |number| part_in(number, &[run(1, round << 16 | u64::from(number), 4 << 20)]);
                let commands = (1..65).map(|number| put_part(at(1, 1), "upload", upload_id(1), part(number))).collect();
                spent += timed(|| bench.apply(commands));
                bench.checkpoint();
            }
            spent
        });
    });
    group.finish();
}

#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn timed(work: impl FnOnce()) -> std::time::Duration {
    let start = std::time::Instant::now();
    work();
    start.elapsed()
}

fn queries(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut reader = bench.database.reader().unwrap();
    let mut number = 0;
    let mut version = || {
        number = number % ROWS + 1;
        Query::Version { bucket: BucketId(1), key: random_key(number), which: WhichVersion::Newest }
    };
    criterion.bench_function("query/version of 4 KiB", |bencher| {
        bencher.iter_batched(&mut version, |query| reader.query(&query).unwrap(), BatchSize::SmallInput);
    });
    criterion.bench_function("query/version of 4 KiB, 16 a transaction", |bencher| {
        let queries = || (0..16).map(|_| version()).collect::<Vec<_>>();
        bencher.iter_batched(
            queries,
            |queries| reader.query_all(queries.iter().map(|query| (FIRST_DATA_RANGE, query))).unwrap(),
            BatchSize::SmallInput,
        );
    });
    let mut list = |name: &str, range: ListRange| {
        let query = Query::Objects(range);
        criterion.bench_function(name, |bencher| bencher.iter(|| ask(&mut reader, &query)));
    };
    list("query/list of 1000", whole_bucket(1, 1000));
    list("query/list of 1000 at the end", ListRange { after: "fd".into(), ..whole_bucket(1, 1000) });
    list("query/list of 100 prefixes over 100,000 keys", ListRange { delimiter: "/".into(), ..whole_bucket(2, 1000) });
}

fn ask(reader: &mut IndexReader, query: &Query) -> index::QueryAnswer {
    black_box(reader.query(query).unwrap())
}

fn formats(criterion: &mut Criterion) {
    let put = put_object(at(1, 1), random_key(1), 1, inline_part(1, &[7; 4096]));
    let commands = vec![numbered(1, 1, 0, CommandBody::PutObject(Box::new(put)))];
    let proposal = Proposal { time: Timestamp(1), commands };
    let bytes = proposal.encode();
    criterion
        .bench_function("proposal/encode a put of 4 KiB", |bencher| bencher.iter(|| black_box(&proposal).encode()));
    criterion.bench_function("proposal/decode a put of 4 KiB", |bencher| {
        bencher.iter(|| Proposal::decode(black_box(&bytes)))
    });
}

criterion_group!(benches, formats, commands, queries);
criterion_main!(benches);
