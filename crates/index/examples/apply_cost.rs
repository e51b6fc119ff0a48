//! What commands and queries of the real index cost in CPU, checkpoints included.
//!
//! `cargo run --release -p index --example apply_cost -- DIRECTORY [BATCH [WAL_MIB [ROWS [INLINE_BYTES [PAGE_BYTES]]]]]`
//!
//! One thread does all, so the on-CPU time of this thread, by /proc/thread-self/schedstat, is all that user code and
//! system calls take; the kernel's write-back threads are not in it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a measurement of real files")]

use std::path::Path;
use std::sync::Arc;

use index::command::{CommandBody, WhichVersion};
use index::contract::samples::{at, inline_part, key, numbered, plain, put_object, whole_bucket};
use index::query::ListRange;
use index::{FIRST_DATA_RANGE, IndexDatabase, IndexReader, IndexSettings, Query, RangeEntry};
use platform::RealDisk;
use types::{BucketId, Timestamp};

struct Run {
    database: IndexDatabase,
    wal_bytes_max: u64,
    number: u64,
    checkpoints: u64,
    checkpoint_us: f64,
    inline: Vec<u8>,
    keys: Random,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let (batch, wal_mib, rows, inline_bytes) = (number(1, 64), number(2, 32), number(3, 200_000), number(4, 4096));
    let directory = Path::new(&arguments[0]).join(format!("apply-{}", std::process::id()));
    let disk = Arc::new(RealDisk::create(&directory).unwrap());
    let location = sqlite_vfs::DatabaseLocation { disk, path: "index.sqlite".into() };
    let settings = IndexSettings { page_bytes: number(5, 4096) as u32, ..IndexSettings::default() };
    let database = IndexDatabase::open(location, settings).unwrap();
    let mut run = Run {
        database,
        wal_bytes_max: (wal_mib as u64) << 20,
        number: 0,
        checkpoints: 0,
        checkpoint_us: 0.0,
        inline: vec![0x77; inline_bytes],
        keys: Random(1),
    };
    run.bucket();
    run.puts(rows, 256);
    run.database.checkpoint().unwrap();
    (run.checkpoints, run.checkpoint_us) = (0, 0.0);
    let cpu = cpu_us();
    run.puts(rows / 2, batch);
    let per_put = (cpu_us() - cpu) / (rows / 2) as f64;
    println!(
        "put of {inline_bytes} B, batch {batch}, wal {wal_mib} MiB, {rows} rows: {per_put:.1} us, of which {:.1} us in {} checkpoints",
        run.checkpoint_us / (rows / 2) as f64,
        run.checkpoints
    );
    let mut reader = run.database.reader().unwrap();
    queries(&mut reader, rows);
    let cpu = cpu_us();
    run.keys = Random(1);
    run.puts(rows / 4, batch);
    println!("overwrite: {:.1} us", (cpu_us() - cpu) / (rows / 4) as f64);
    std::fs::remove_dir_all(&directory).unwrap();
}

impl Run {
    fn bucket(&mut self) {
        let body = CommandBody::CreateBucketRow { id: BucketId(1), config: Default::default() };
        self.apply(vec![plain(body)]);
    }

    fn apply(&mut self, commands: Vec<index::Command>) {
        let applied = self.number.to_be_bytes().to_vec().into();
        let entry = RangeEntry { range: FIRST_DATA_RANGE, applied, membership: None, time: Timestamp(1), commands };
        self.database.apply(&[entry]).unwrap();
        if self.database.wal_bytes() > self.wal_bytes_max {
            let cpu = cpu_us();
            assert!(self.database.checkpoint().unwrap().complete);
            self.checkpoint_us += cpu_us() - cpu;
            self.checkpoints += 1;
        }
    }

    fn puts(&mut self, count: usize, batch: usize) {
        for _ in 0..count / batch {
            let commands = (0..batch).map(|_| {
                self.number += 1;
                let put = put_object(at(1, 1), self.keys.key(), self.number, inline_part(1, &self.inline));
                numbered(1, self.number, self.number.saturating_sub(64), CommandBody::PutObject(Box::new(put)))
            });
            let commands = commands.collect();
            self.apply(commands);
        }
    }
}

fn queries(reader: &mut IndexReader, rows: usize) {
    let mut keys = Random(1);
    let queries: Vec<Query> = (0..rows)
        .map(|_| Query::Version { bucket: BucketId(1), key: keys.key(), which: WhichVersion::Newest })
        .step_by((rows / 20_000).max(1))
        .collect();
    for query in queries.iter().step_by(10) {
        reader.query(query).unwrap();
    }
    let cpu = cpu_us();
    for query in &queries {
        reader.query(query).unwrap();
    }
    println!("version, one a transaction: {:.1} us", (cpu_us() - cpu) / queries.len() as f64);
    let cpu = cpu_us();
    for batch in queries.chunks(16) {
        reader.query_all(batch.iter().map(|query| (FIRST_DATA_RANGE, query))).unwrap();
    }
    println!("version, 16 a transaction: {:.1} us", (cpu_us() - cpu) / queries.len() as f64);
    let mut list = |name: &str, delimiter: &'static str, limit: usize| {
        let mut keys = Random(9);
        let rounds = 200;
        let ranges: Vec<Query> = (0..rounds)
            .map(|_| {
                let after = keys.key().as_bytes()[..4].to_vec().into();
                let prefix = bytes::Bytes::new();
                Query::Objects(ListRange { delimiter: delimiter.into(), after, prefix, ..whole_bucket(1, limit) })
            })
            .collect();
        let cpu = cpu_us();
        for range in &ranges {
            reader.query(range).unwrap();
        }
        println!("{name}: {:.0} us", (cpu_us() - cpu) / rounds as f64);
    };
    list("list of 1000", "", 1000);
    list("list of 1000 common prefixes", "/", 1000);
}

/// Microseconds that this thread has run.
fn cpu_us() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1000.0
}

/// splitmix64: the same keys in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn key(&mut self) -> types::ObjectKey {
        key(format!("{:016x}/{:08x}", self.next(), self.next() as u32))
    }
}
