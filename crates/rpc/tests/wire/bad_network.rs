//! A box between client and server that flips, loses, repeats, delays and cuts: calls fail, and nothing wrong is
//! ever returned or stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use index::contract::samples::{at, key, plain, put, whole_bucket};
use index::query::ListEntry;
use index::{Answer, CommandBody, IndexService, Query, QueryAnswer};
use platform::LinkFaults;
use rpc::server::Services;
use rpc::{Lane, RpcSettings};
use shards::contract::{address, body, header};
use shards::{ShardError, ShardService};
use types::{BucketId, Integrity, RangeId, VoterId};

use crate::world::{CALLER, DISK, Echo, Setup, World, local_index, local_shards};

const BYTES: [usize; 4] = [100, 5000, 100_000, 400_000];

struct Counts {
    right: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    fn count(&self, is_right: bool) {
        let counter = if is_right { &self.right } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_wrong_is_ever_returned() {
    let faults = [
        LinkFaults { flip_one_in: 20, ..LinkFaults::default() },
        LinkFaults { flip_one_in: 20, short_reads: true, ..LinkFaults::default() },
        LinkFaults { repeat_one_in: 20, ..LinkFaults::default() },
        LinkFaults { lose_one_in: 20, delay: Duration::from_millis(1), ..LinkFaults::default() },
        LinkFaults { cut_one_in: 20, ..LinkFaults::default() },
        LinkFaults { flip_one_in: 60, repeat_one_in: 60, lose_one_in: 60, cut_one_in: 60, ..LinkFaults::default() },
    ];
    for (seed, faults) in (1..).zip(faults) {
        let settings = RpcSettings {
            connect_timeout: Duration::from_millis(300),
            reconnect_pause: Duration::from_millis(1),
            append_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(1),
            index_timeout: Duration::from_secs(1),
            keepalive: Duration::from_millis(200),
            silence_max: Duration::from_millis(600),
            ..RpcSettings::default()
        };
        let services = Services {
            shards: Some(local_shards().await),
            index: Some(local_index()),
            raft: Some(Arc::new(Echo::default())),
            ..Services::default()
        };
        let world = World::with(Setup { settings, ..Setup::of(services) }, seed).await;
        let row = CommandBody::CreateBucketRow { id: BucketId(1), config: index::command::BucketConfig::default() };
        assert!(matches!(world.index.propose(plain(row)).await, Ok(Answer::BucketRow(_))));
        world.network.set_faults_between("caller", "node", faults);
        let counts = Counts { right: AtomicU64::new(0), failed: AtomicU64::new(0) };
        for round in 0..12 {
            let works = (0..16).map(|number| work(&world, &counts, round * 16 + number));
            join_all(works).await;
        }
        let (right, failed) = (counts.right.into_inner(), counts.failed.into_inner());
        assert!(right > 0 && failed > 0, "{faults:?}: {right} right, {failed} failed: it shows nothing");
        heals(&world).await;
    }
}

/// One of each, and a look at what came of it.
async fn work(world: &World, counts: &Counts, number: u64) {
    let bytes = BYTES[number as usize % BYTES.len()];
    let there = address(1, number, 0);
    let appended = world.shards.append(DISK, header(there, Integrity::Xxh3), body(&there, bytes)).await;
    counts.count(appended.is_ok());
    match world.shards.read(DISK, there, 0..bytes as u64).await {
        Ok(read) => {
            assert!(read.concat() == body(&there, bytes).concat(), "other bytes were read");
            counts.count(true);
        }
        Err(ShardError::Missing { .. }) => assert!(appended.is_err(), "an acknowledged shard is missing"),
        Err(ShardError::Unreachable { .. }) => counts.count(false),
        Err(other) => panic!("{other:?}"),
    }
    let text = format!("key-{number}");
    let proposed = world.index.propose(put(at(1, 1), &text, number, text.as_bytes())).await;
    let query = Query::Version { bucket: BucketId(1), key: key(&text), which: index::command::WhichVersion::Newest };
    match (world.index.query(query).await, &proposed) {
        (Ok(QueryAnswer::Version { version: Some(version), .. }), _) => {
            assert_eq!(version.id.random, number);
            counts.count(true);
        }
        (Ok(QueryAnswer::Version { version: None, .. }), Err(_)) => counts.count(true),
        (Ok(other), _) => panic!("{proposed:?}, and then {other:?}"),
        (Err(_), _) => counts.count(false),
    }
    let voter = VoterId::from_bytes([9; 16]);
    let message = number.to_le_bytes().repeat(1 + number as usize * 10);
    let (range, second) = (RangeId(1), Duration::from_secs(1));
    match world.client.raft(&world.peer(), Lane::Raft, range, voter, &message, second).await {
        Ok(answer) => {
            assert!(answer == [&CALLER.to_bytes()[..], &voter.to_bytes(), &message].concat(), "another answer");
            counts.count(true);
        }
        Err(_) => counts.count(false),
    }
}

/// Once the network is good again, all goes on, and what lies there is right.
async fn heals(world: &World) {
    world.network.set_faults_between("caller", "node", LinkFaults::default());
    let healed = async {
        // Often enough that each of the connections is met.
        let mut good = 0;
        while good < 10 {
            let is_good =
                world.shards.list(DISK, None, 1).await.is_ok() && world.index.query(Query::BucketCount).await.is_ok();
            good = if is_good { good + 1 } else { 0 };
        }
    };
    tokio::time::timeout(Duration::from_secs(20), healed).await.expect("it heals");
    let listed = world.shards.list(DISK, None, 10_000).await.expect("listed");
    for shard in listed {
        let read = world.shards.read(DISK, shard.address, 0..shard.bytes).await.expect("whole");
        assert!(read.concat() == body(&shard.address, shard.bytes as usize).concat(), "other bytes were stored");
    }
    let QueryAnswer::Objects(page) = world.index.query(Query::Objects(whole_bucket(1, 1000))).await.expect("listed")
    else {
        panic!("objects were asked for")
    };
    for entry in page.entries {
        let ListEntry::Entry(listed) = entry else { panic!("no prefixes were asked for") };
        assert_eq!(listed.key, key(format!("key-{}", listed.id.random)));
    }
}
