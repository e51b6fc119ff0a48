//! How much CPU and time a command and a query take, with many callers in this process.
//!
//! `cargo run --release -p consensus --example load -- DIRECTORY [CALLERS] [SECONDS] [MIRRORS] [INLINE BYTES]`

#![allow(clippy::disallowed_methods, reason = "a measurement reads real time and the process's own accounts")]

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use consensus::{ConsensusSettings, DatabaseUpkeep, LogSettings, MirrorRegistry, MirrorSet, ReplicatedIndex};
use index::command::{BucketConfig, WhichVersion};
use index::contract::samples;
use index::{CommandBody, IndexService, IndexSettings, Query};
use platform::{Disk, RealDisk, SystemClock, SystemEntropy};
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
    let disks: Vec<(DiskId, Arc<dyn Disk>)> = (0..mirrors.max(1))
        .map(|disk| {
            let made = RealDisk::create(root.join(disk.to_string())).expect("a directory");
            (DiskId::from_bytes([disk as u8 + 1; 16]), Arc::new(made) as Arc<dyn Disk>)
        })
        .collect();
    let settings = ConsensusSettings {
        disks,
        registry: Arc::new(Registry(root.join("mirror-set"))),
        node: NodeId::from_bytes([1; 16]),
        peers: None,
        founding: consensus::Founding::Alone,
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
        log: LogSettings { mirrors, ..LogSettings::default() },
        index: IndexSettings::default(),
        recent_versions_bytes: 0,
        upkeep: DatabaseUpkeep::default(),
    };
    println!("before: {}", resident());
    let began = Instant::now();
    let index = Arc::new(ReplicatedIndex::open(settings).await.expect("opened"));
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
    index.shutdown().await;
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
