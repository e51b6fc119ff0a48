//! How much CPU and time a command and a query take, with many callers in this process.
//!
//! `cargo run --release -p consensus --example load -- DIRECTORY [CALLERS] [SECONDS] [MIRRORS] [INLINE BYTES] [VOTERS]`

#![allow(clippy::disallowed_methods, reason = "a measurement reads real time and the process's own accounts")]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use consensus::{
    ConsensusSettings, DatabaseUpkeep, Founding, LogSettings, MirrorRegistry, MirrorSet, RaftMessage, RaftTransport,
    ReplicatedIndex, TransportError,
};
use index::command::{BucketConfig, WhichVersion};
use index::contract::samples;
use index::{CommandBody, IndexService, IndexSettings, Query};
use parking_lot::Mutex;
use platform::{Disk, RealDisk, SystemClock, SystemEntropy};
use rpc::server::RaftHandler;
use types::{BucketId, DiskId, NodeId};

/// Keeps the mirror set in a file beside the disks.
#[derive(Debug)]
struct Registry(PathBuf);

impl MirrorRegistry for Registry {
    fn read(&self) -> io::Result<Vec<(DiskId, Option<MirrorSet>)>> {
        let set = std::fs::read(&self.0).ok().and_then(|bytes| postcard::from_bytes(&bytes).ok());
        Ok(vec![(DiskId::from_bytes([1; 16]), set)])
    }

    fn write(&self, _disk: DiskId, set: &MirrorSet) -> io::Result<()> {
        std::fs::write(&self.0, postcard::to_allocvec(set).map_err(io::Error::other)?)
    }
}

/// The voters of all nodes, which are in this process.
#[derive(Clone, Default)]
struct InProcess(Arc<Mutex<BTreeMap<NodeId, Arc<dyn RaftHandler>>>>);

#[async_trait]
impl RaftTransport for InProcess {
    async fn send(&self, to: NodeId, message: RaftMessage) -> Result<Bytes, TransportError> {
        let handler = self.0.lock().get(&to).cloned();
        let handler = handler.ok_or_else(|| TransportError::Unreachable { reason: "it is not open yet".to_owned() })?;
        let replied = handler.handle(to, message.range, message.voter, message.bytes).await;
        replied.map_err(|error| TransportError::NoAnswer { reason: error.to_string() })
    }
}

fn settings(root: &Path, node: NodeId, mirrors: usize, peers: Option<InProcess>) -> ConsensusSettings {
    let disks: Vec<(DiskId, Arc<dyn Disk>)> = (0..mirrors.max(1))
        .map(|disk| {
            let made = RealDisk::create(root.join(disk.to_string())).expect("a directory");
            (DiskId::from_bytes([disk as u8 + 1; 16]), Arc::new(made) as Arc<dyn Disk>)
        })
        .collect();
    ConsensusSettings {
        disks,
        registry: Arc::new(Registry(root.join("mirror-set"))),
        node,
        founding: if peers.is_some() { Founding::Wait } else { Founding::Alone },
        peers: peers.map(|peers| Arc::new(peers) as Arc<dyn RaftTransport>),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
        log: LogSettings { mirrors, ..LogSettings::default() },
        index: IndexSettings::default(),
        recent_versions_bytes: 0,
        upkeep: DatabaseUpkeep::default(),
    }
}

/// Opens so many voters in this process, and returns the one that leads, and the others.
async fn open(root: &Path, mirrors: usize, voters: usize) -> (Arc<ReplicatedIndex>, Vec<Arc<ReplicatedIndex>>) {
    let node = |number: usize| NodeId::from_bytes([number as u8 + 1; 16]);
    if voters < 2 {
        let settings = settings(root, node(0), mirrors, None);
        return (Arc::new(ReplicatedIndex::open(settings).await.expect("opened")), Vec::new());
    }
    let peers = InProcess::default();
    let mut all = Vec::new();
    for number in 0..voters {
        let settings = settings(&root.join(format!("node-{number}")), node(number), mirrors, Some(peers.clone()));
        let index = Arc::new(ReplicatedIndex::open(settings).await.expect("opened"));
        peers.0.lock().insert(node(number), index.raft_handler());
        all.push(index);
    }
    let members = all.iter().enumerate().map(|(number, index)| (index.voter(), node(number))).collect();
    all[0].found(&members).await.expect("founded");
    all[0].ready().await.expect("ready");
    loop {
        let at = all.iter().position(|index| index.status().leads);
        match at {
            Some(at) => return (all.remove(at), all),
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().expect("user") + fields[12].parse::<u64>().expect("system");
    ticks as f64 / 100.0
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let lines: Vec<&str> =
        status.lines().filter(|line| line.starts_with("RssAnon") || line.starts_with("RssFile")).collect();
    lines.join(" ").replace('\t', "")
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| arguments.get(at).map_or(default, |text| text.parse().expect("a number"));
    let root = PathBuf::from(arguments.first().expect("a directory"));
    let (callers, seconds, mirrors, bytes) = (number(1, 64), number(2, 5), number(3, 1), number(4, 0));
    let voters = number(5, 1);
    println!("before: {}", resident());
    let began = Instant::now();
    let (index, others) = open(&root, mirrors, voters).await;
    println!("opened in {:?}, {}", began.elapsed(), resident());
    let body = CommandBody::CreateBucketRow { id: BucketId(7), config: BucketConfig::default() };
    index.propose(samples::plain(body)).await.expect("made");

    let inline: Arc<[u8]> = vec![7; bytes].into();
    let put = move |index: Arc<ReplicatedIndex>, n: u64| {
        let inline = inline.clone();
        async move {
            let key = samples::key(format!("{:016x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
            let put = samples::put_object(samples::at(7, 1), key, n, samples::inline_part(1, &inline));
            index.propose(samples::plain(CommandBody::PutObject(Box::new(put)))).await.expect("put");
        }
    };
    let written = Arc::new(AtomicU64::new(0));
    measure("put", callers, seconds, &index, &written, put).await;
    let all = written.load(Ordering::Relaxed);
    let get = move |index: Arc<ReplicatedIndex>, n: u64| async move {
        let n = n.wrapping_mul(0xD134_2543_DE82_EF95) % all;
        let key = samples::key(format!("{:016x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        index.query(Query::Version { bucket: BucketId(7), key, which: WhichVersion::Newest }).await.expect("answered");
    };
    measure("query", callers, seconds, &index, &Arc::default(), get).await;
    println!("{:?}", index.status());
    let (cpu, began) = (cpu_seconds(), Instant::now());
    tokio::time::sleep(Duration::from_secs(10)).await;
    println!("idle: {:.2} % of a core, {}", (cpu_seconds() - cpu) * 100.0 / began.elapsed().as_secs_f64(), resident());
    // `LEAVE=1`: as if killed, so that the next start has the log to go through.
    if std::env::var_os("LEAVE").is_some() {
        std::process::abort();
    }
    for index in others.iter().chain([&index]) {
        index.shutdown().await;
    }
}

async fn measure<F: Future<Output = ()> + Send + 'static>(
    what: &str,
    callers: usize,
    seconds: usize,
    index: &Arc<ReplicatedIndex>,
    counter: &Arc<AtomicU64>,
    call: impl Fn(Arc<ReplicatedIndex>, u64) -> F + Clone + Send + Sync + 'static,
) {
    let stop = Arc::new(AtomicBool::new(false));
    let (cpu, began) = (cpu_seconds(), Instant::now());
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (index, stop, counter, call) = (index.clone(), stop.clone(), counter.clone(), call.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    call(index.clone(), counter.fetch_add(1, Ordering::Relaxed)).await;
                    latencies.push(began.elapsed());
                }
                latencies
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
    stop.store(true, Ordering::Relaxed);
    let mut latencies: Vec<Duration> = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("a caller"));
    }
    let (cpu, elapsed) = (cpu_seconds() - cpu, began.elapsed().as_secs_f64());
    latencies.sort();
    let count = latencies.len();
    let at = |share: f64| latencies[((count - 1) as f64 * share) as usize];
    println!(
        "{what}: {callers} callers, {:.0}/s, {:.1} us CPU each, p50 {:?}, p99 {:?}, max {:?}",
        count as f64 / elapsed,
        cpu * 1e6 / count as f64,
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
