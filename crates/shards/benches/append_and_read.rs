//! Appending to and reading from a real disk, in a temporary directory: wall time of an operation, and the whole
//! process's CPU time of it (`cpu` in the name; it includes criterion's own and tokio's).
//!
//! `TMPDIR` chooses the file system. All appends are synced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use platform::{BufferPool, RealDisk, SystemEntropy, Workers};
use shards::contract::{address, claims, header};
use shards::superblock::{DiskIdentity, format};
use shards::{LocalShards, ShardAddress, ShardBody, ShardService, ShardSettings, StoreEnvironment};
use tokio::runtime::Runtime;
use types::{ClusterId, DiskId, Integrity, NodeId};

const SIZES: [(&str, usize); 5] =
    [("4KiB", 4 << 10), ("16KiB", 16 << 10), ("64KiB", 64 << 10), ("256KiB", 256 << 10), ("1MiB", 1 << 20)];
const CALLERS: [u64; 2] = [1, 64];
/// Freed behind the appends, so that a run of any length fits the disk.
const RUNS_KEPT: u64 = 512;

struct Disk {
    _directory: tempfile::TempDir,
    shards: Arc<LocalShards>,
    id: DiskId,
    pool: BufferPool,
    next_run: AtomicU64,
}

impl Disk {
    fn new(runtime: &Runtime) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let disk = RealDisk::open(directory.path()).expect("it is there");
        let identity = DiskIdentity {
            cluster: ClusterId::from_bytes([1; 16]),
            node: NodeId::from_bytes([2; 16]),
            disk: DiskId::from_bytes([3; 16]),
        };
        format(&disk, identity, &SystemEntropy).expect("formatted");
        let pool = BufferPool::new(64 << 20);
        let environment = StoreEnvironment {
            workers: Workers::new("shards", 2),
            pool: pool.clone(),
            settings: ShardSettings::default(),
        };
        let shards = Arc::new(LocalShards::new(environment));
        let id = runtime.block_on(async {
            let id = shards.add_disk(Arc::new(disk)).await.expect("opened");
            shards.set_slots(id, claims()).await.expect("claimed");
            id
        });
        Self { _directory: directory, shards, id, pool, next_run: AtomicU64::new(1) }
    }

    /// A body in aligned pieces, as an encoder hands it over.
    fn body(&self, bytes: usize) -> ShardBody {
        let piece = |at: usize| {
            let mut buffer = self.pool.take((bytes - at).min(256 << 10));
            buffer.fill(at as u8);
            buffer.freeze()
        };
        (0..bytes).step_by(256 << 10).map(piece).collect()
    }

    async fn append(&self, body: ShardBody) -> ShardAddress {
        let run = self.next_run.fetch_add(1, Ordering::Relaxed);
        let address = address(1, run, 0);
        self.shards.append(self.id, header(address, Integrity::Xxh3), body).await.expect("appended");
        if run.is_multiple_of(RUNS_KEPT / 2) && run > RUNS_KEPT {
            let old = run - RUNS_KEPT..run - RUNS_KEPT / 2;
            let runs = old.map(|run| shards::contract::address(1, run, 0).run).collect();
            self.shards.free(self.id, address.group, runs).await.expect("freed");
        }
        address
    }
}

/// `operations` in all, `callers` of them at a time.
fn run(runtime: &Runtime, disk: &Arc<Disk>, callers: u64, operations: u64, body: &[Bytes], read: Option<ShardAddress>) {
    runtime.block_on(async {
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let (disk, body) = (Arc::clone(disk), body.to_vec());
                let share = operations / callers + u64::from(caller < operations % callers);
                tokio::spawn(async move {
                    let bytes = body.iter().map(Bytes::len).sum::<usize>() as u64;
                    for _ in 0..share {
                        match read {
                            None => drop(disk.append(body.clone()).await),
                            Some(address) => drop(disk.shards.read(disk.id, address, 0..bytes).await.expect("read")),
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("done");
        }
    });
}

/// CPU time of this process so far, to 10 ms (proc(5)).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let after_name = stat.rsplit_once(") ").expect("a name in parentheses").1;
    let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

fn bench(criterion: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for reading in [false, true] {
        let mut group = criterion.benchmark_group(if reading { "read" } else { "append" });
        group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1)).sample_size(10);
        for (name, bytes) in SIZES {
            let disk = Arc::new(Disk::new(&runtime));
            let body = disk.body(bytes);
            let address = runtime.block_on(disk.append(body.clone()));
            let read = reading.then_some(address);
            group.throughput(Throughput::Bytes(bytes as u64));
            for callers in CALLERS {
                group.bench_function(BenchmarkId::new(name, callers), |bencher| {
                    bencher.iter_custom(|operations| {
                        #[allow(clippy::disallowed_methods, reason = "a bench measures")]
                        let start = std::time::Instant::now();
                        run(&runtime, &disk, callers, operations, &body, read);
                        start.elapsed()
                    });
                });
                group.bench_function(BenchmarkId::new(format!("{name}/cpu"), callers), |bencher| {
                    bencher.iter_custom(|operations| {
                        let start = cpu_time();
                        run(&runtime, &disk, callers, operations, &body, read);
                        (cpu_time() - start).max(Duration::from_nanos(1))
                    });
                });
            }
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
