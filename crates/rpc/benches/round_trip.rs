//! What a call over the wire costs, beside the same call in the process: wall time, and the whole process's CPU time
//! (`cpu` in the name; it is both ends', and includes criterion's own).
//!
//! The services do nothing, so that what is measured is the way to them: loopback TCP, frames, MACs, checksums.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use index::{Answer, Command, IndexError, IndexService, Query, QueryAnswer};
use platform::{BufferPool, MemoryBudget, Network, SystemEntropy, TcpNetwork};
use rpc::client::{Directory, Identity, Peer, RemoteIndex, RemoteShards, RpcClient, Stale};
use rpc::server::{NoGateways, NodeIdentity, RpcServer, Services};
use rpc::{ClusterSecret, RpcSettings};
use shards::contract::{address, header};
use shards::{ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, StoredShard};
use tokio::runtime::Runtime;
use types::{ClusterId, DiskId, Integrity, NodeId, PlacementGroupId, RangeId, RunId, SlotEpoch, SlotIndex};

const CLUSTER: ClusterId = ClusterId::from_bytes([1; 16]);
const NODE: NodeId = NodeId::from_bytes([2; 16]);
const DISK: DiskId = DiskId::from_bytes([3; 16]);
const SHARD_BYTES: usize = 1 << 20;
const PIECE_BYTES: usize = 256 << 10;
const CALLERS: [u64; 2] = [1, 64];
const SHARD_CALLERS: [u64; 2] = [1, 8];

/// Takes and gives shards without a disk.
struct Nowhere {
    body: ShardBody,
}

#[async_trait]
impl ShardService for Nowhere {
    async fn append(&self, _: DiskId, _: ShardHeader, _: ShardBody) -> Result<(), ShardError> {
        Ok(())
    }

    async fn read(&self, _: DiskId, _: ShardAddress, _: Range<u64>) -> Result<ShardBody, ShardError> {
        Ok(self.body.clone())
    }

    async fn header(&self, _: DiskId, address: ShardAddress) -> Result<ShardHeader, ShardError> {
        Err(ShardError::Missing { address })
    }

    async fn free(&self, _: DiskId, _: PlacementGroupId, _: Vec<RunId>) -> Result<(), ShardError> {
        Ok(())
    }

    async fn seal(&self, _: DiskId, _: PlacementGroupId, _: SlotIndex, _: SlotEpoch) -> Result<(), ShardError> {
        Ok(())
    }

    async fn list(&self, _: DiskId, _: Option<ShardAddress>, _: usize) -> Result<Vec<StoredShard>, ShardError> {
        Ok(Vec::new())
    }
}

/// Knows one number.
struct Fixed;

#[async_trait]
impl IndexService for Fixed {
    async fn propose(&self, _: Command) -> Result<Answer, IndexError> {
        Ok(Answer::Done)
    }

    async fn query(&self, _: Query) -> Result<QueryAnswer, IndexError> {
        Ok(QueryAnswer::BucketCount(7))
    }
}

struct OneNode(Peer);

#[async_trait]
impl Directory for OneNode {
    fn disk(&self, _: DiskId) -> Option<Peer> {
        Some(self.0.clone())
    }

    fn leader(&self, _: RangeId) -> Option<Peer> {
        Some(self.0.clone())
    }

    async fn refresh(&self, _: Stale) {}
}

/// A shard in aligned pieces, as a disk or an encoder hands it over.
fn shard() -> ShardBody {
    let pool = BufferPool::new(0);
    let piece = |at: usize| {
        let mut buffer = pool.take(PIECE_BYTES);
        buffer.fill(at as u8);
        buffer.freeze()
    };
    (0..SHARD_BYTES / PIECE_BYTES).map(piece).collect()
}

/// A server on the loopback interface, and what reaches it.
async fn remote() -> (Arc<dyn ShardService>, Arc<dyn IndexService>) {
    let secret = ClusterSecret::new("a secret that is long enough for a bench").expect("long enough");
    let listener = TcpNetwork.listen("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_address().expect("an address");
    let services = Services {
        shards: Some(Arc::new(Nowhere { body: shard() })),
        index: Some(Arc::new(Fixed)),
        ..Services::default()
    };
    let server = RpcServer::new(
        NodeIdentity { node: NODE, cluster: CLUSTER.into(), secret: secret.clone() },
        services,
        Arc::new(NoGateways::default()),
        Arc::new(SystemEntropy),
        BufferPool::new(64 << 20),
        MemoryBudget::new(256 << 20),
        RpcSettings::default(),
    );
    tokio::spawn(async move { server.serve(&*listener).await });
    let client = RpcClient::new(
        Arc::new(TcpNetwork),
        Arc::new(SystemEntropy),
        CLUSTER.into(),
        Identity::Node { node: NodeId::from_bytes([4; 16]), secret },
        BufferPool::new(64 << 20),
        RpcSettings::default(),
    );
    let directory = Arc::new(OneNode(Peer { node: NODE, address }));
    let shards = RemoteShards::new(client.clone(), Arc::clone(&directory) as Arc<dyn Directory>);
    (Arc::new(shards), Arc::new(RemoteIndex::new(client, directory)))
}

/// CPU time of this process so far, to 10 ms (proc(5)).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let after_name = stat.rsplit_once(") ").expect("a name in parentheses").1;
    let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

/// `calls` in all, `callers` of them at a time.
fn run<F: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    callers: u64,
    calls: u64,
    call: impl Fn() -> F + Clone + Send + 'static,
) {
    runtime.block_on(async {
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let call = call.clone();
                let share = calls / callers + u64::from(caller < calls % callers);
                tokio::spawn(async move {
                    for _ in 0..share {
                        call().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("done");
        }
    });
}

fn measure<F: Future<Output = ()> + Send + 'static>(
    criterion: &mut Criterion,
    runtime: &Runtime,
    (group, name): (&str, &str),
    callers: &[u64],
    bytes: Option<u64>,
    call: impl Fn() -> F + Clone + Send + 'static,
) {
    let mut group = criterion.benchmark_group(group);
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500)).sample_size(10);
    if let Some(bytes) = bytes {
        group.throughput(Throughput::Bytes(bytes));
    }
    for &callers in callers {
        for is_cpu in [false, true] {
            let name = if is_cpu { format!("{name}/cpu") } else { name.to_owned() };
            group.bench_function(BenchmarkId::new(name, callers), |bencher| {
                bencher.iter_custom(|calls| {
                    #[allow(clippy::disallowed_methods, reason = "a bench measures")]
                    let start = std::time::Instant::now();
                    let start_cpu = cpu_time();
                    run(runtime, callers, calls, call.clone());
                    if is_cpu { (cpu_time() - start_cpu).max(Duration::from_nanos(1)) } else { start.elapsed() }
                });
            });
        }
    }
}

fn bench(criterion: &mut Criterion) {
    let many = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let one = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    for (threads, runtime) in [("2 threads", many()), ("1 thread", one())] {
        let runtime = runtime.expect("a runtime");
        let local: (Arc<dyn ShardService>, Arc<dyn IndexService>) =
            (Arc::new(Nowhere { body: shard() }), Arc::new(Fixed));
        for (way, (shards, index)) in [("in process", local), ("wire", runtime.block_on(remote()))] {
            let name = format!("{way}, {threads}");
            let call = move || {
                let index = Arc::clone(&index);
                async move { drop(index.query(Query::BucketCount).await.expect("answered")) }
            };
            measure(criterion, &runtime, ("query", &name), &CALLERS, None, call);
            let (reading, body) = (Arc::clone(&shards), shard());
            let call = move || {
                let (shards, body) = (Arc::clone(&shards), body.clone());
                let header = header(address(1, 1, 0), Integrity::Xxh3);
                async move { shards.append(DISK, header, body).await.expect("taken") }
            };
            measure(criterion, &runtime, ("append 1MiB", &name), &SHARD_CALLERS, Some(SHARD_BYTES as u64), call);
            let call = move || {
                let shards = Arc::clone(&reading);
                async move {
                    drop(shards.read(DISK, address(1, 1, 0), 0..SHARD_BYTES as u64).await.expect("given"));
                }
            };
            measure(criterion, &runtime, ("read 1MiB", &name), &SHARD_CALLERS, Some(SHARD_BYTES as u64), call);
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
