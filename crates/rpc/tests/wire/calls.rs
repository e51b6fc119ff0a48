//! Deadlines, giving up, backpressure, and the end of connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use index::command::CommandBody;
use index::contract::samples::plain;
use index::{Answer, Command, IndexError, IndexService, Query, QueryAnswer};
use platform::{LinkFaults, MemoryNetwork, Network};
use rpc::RpcSettings;
use rpc::client::{RemoteIndex, RpcClient};
use rpc::server::Services;
use shards::contract::{address, body, header};
use shards::{ShardError, ShardService};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use types::{Integrity, NodeId};

use crate::world::{DISK, NODE, Setup, SlowShards, Told, World, as_node, ask, client, local_index, secret};

const SECONDS: Duration = Duration::from_secs(20);

fn slow_services() -> (Arc<SlowShards>, Services) {
    let slow = Arc::new(SlowShards::default());
    (Arc::clone(&slow), Services { shards: Some(slow), index: Some(local_index()), ..Services::default() })
}

async fn slow_world(settings: RpcSettings, budget_bytes: u64) -> (Arc<SlowShards>, Arc<World>) {
    let (slow, services) = slow_services();
    let world = World::with(Setup { settings, budget_bytes, ..Setup::of(services) }, 1).await;
    (slow, Arc::new(world))
}

async fn append(world: &World, run: u64, bytes: usize) -> Result<(), ShardError> {
    let there = address(1, run, 0);
    world.shards.append(DISK, header(there, Integrity::Xxh3), body(&there, bytes)).await
}

fn grant() -> Command {
    plain(CommandBody::GrantTicket { holder: NodeId::from_bytes([7; 16]), nonce: [1; 16] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_with_its_deadline_on_both_sides() {
    let settings = RpcSettings { append_timeout: Duration::from_millis(300), ..RpcSettings::default() };
    let (slow, world) = slow_world(settings, 64 << 20).await;
    let late = append(&world, 1, 1000).await;
    assert!(matches!(&late, Err(ShardError::Unreachable { reason, .. }) if reason.contains("time")), "{late:?}");
    slow.until(|| slow.given_up.load(Ordering::SeqCst) == 1).await;
}

/// The client's word that it gives up doesn't arrive: the server goes by the deadline that the request brought.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_gives_up_by_its_own_watch() {
    let settings = RpcSettings { append_timeout: Duration::from_secs(1), ..RpcSettings::default() };
    let (slow, world) = slow_world(settings, 64 << 20).await;
    let appending = Arc::clone(&world);
    let append = tokio::spawn(async move { append(&appending, 1, 1000).await });
    slow.until_begun(1).await;
    world.network.set_faults("caller", "node", LinkFaults { blocked: true, ..LinkFaults::default() });
    slow.until(|| slow.given_up.load(Ordering::SeqCst) == 1).await;
    assert!(append.await.expect("no panic").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_is_not_worked_for() {
    let (slow, world) = slow_world(RpcSettings::default(), 64 << 20).await;
    let appending = Arc::clone(&world);
    let append = tokio::spawn(async move { append(&appending, 1, 1 << 20).await });
    slow.until_begun(1).await;
    append.abort();
    slow.until(|| slow.given_up.load(Ordering::SeqCst) == 1).await;
    slow.held.lock().clear();
    assert_eq!(world.running.budget.reserved_bytes(), 0, "its memory is given back");
    ask(&world.index).await.expect("the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_wait_for_each_other_and_small_messages_for_none_of_them() {
    let settings = RpcSettings { bulk_connections: 1, bulk_in_flight_max: 4, ..RpcSettings::default() };
    let (slow, world) = slow_world(settings, 64 << 20).await;
    let appends: Vec<_> = (0..16)
        .map(|run| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { append(&world, run, 1 << 20).await })
        })
        .collect();
    slow.until_begun(4).await;
    for _ in 0..200 {
        ask(&world.index).await.expect("answered beside them");
    }
    assert_eq!(slow.begun.load(Ordering::SeqCst), 4, "no more than were agreed");
    assert!(world.running.budget.reserved_bytes() <= 5 << 20);
    slow.open.send_replace(true);
    for append in appends {
        append.await.expect("no panic").expect("all are appended in the end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_find_no_memory_are_refused_and_the_connection_goes_on() {
    let settings =
        RpcSettings { bulk_connections: 1, memory_patience: Duration::from_millis(100), ..RpcSettings::default() };
    let (slow, world) = slow_world(settings, 1 << 20).await;
    let appending = Arc::clone(&world);
    let first = tokio::spawn(async move { append(&appending, 1, 1 << 20).await });
    slow.until_begun(1).await;
    for run in 2..5 {
        let refused = append(&world, run, 1 << 20).await;
        assert!(
            matches!(&refused, Err(ShardError::Unreachable { reason, .. }) if reason.contains("no memory")),
            "{refused:?}"
        );
    }
    let read = world.shards.read(DISK, address(1, 1, 0), 0..100_000).await;
    assert!(matches!(read, Err(ShardError::Unreachable { .. })), "reads take memory too: {read:?}");
    slow.open.send_replace(true);
    first.await.expect("no panic").expect("the first has its memory");
    slow.held.lock().clear();
    append(&world, 6, 1 << 20).await.expect("there is memory again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closing_server_answers_what_is_under_way_and_takes_nothing_more() {
    let (slow, world) = slow_world(RpcSettings::default(), 64 << 20).await;
    let appending = Arc::clone(&world);
    let append = tokio::spawn(async move { append(&appending, 1, 100_000).await });
    slow.until_begun(1).await;
    world.running.server.close();
    slow.open.send_replace(true);
    append.await.expect("no panic").expect("what was under way is answered");
    let world = Arc::into_inner(world).expect("nobody else has it");
    let World { running, index, .. } = world;
    tokio::time::timeout(SECONDS, running.ended()).await.expect("the server ends by itself");
    let refused = index.propose(grant()).await;
    assert!(matches!(refused, Err(IndexError::Unavailable { .. })), "it certainly had no effect: {refused:?}");
}

/// An index that never answers.
#[derive(Default)]
struct Silent {
    asked: Notify,
}

#[async_trait]
impl IndexService for Silent {
    async fn propose(&self, _: Command) -> Result<Answer, IndexError> {
        self.asked.notify_one();
        std::future::pending().await
    }

    async fn query(&self, _: Query) -> Result<QueryAnswer, IndexError> {
        Ok(QueryAnswer::BucketCount(1))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_answer_is_lost_is_of_unknown_outcome() {
    let silent = Arc::new(Silent::default());
    let services = Services { index: Some(silent.clone()), ..Services::default() };
    let world = Arc::new(World::new(services).await);
    let proposing = Arc::clone(&world);
    let proposed = tokio::spawn(async move { proposing.index.propose(grant()).await });
    silent.asked.notified().await;
    world.network.cut("caller", "node");
    let outcome = tokio::time::timeout(SECONDS, proposed).await.expect("at once").expect("no panic");
    assert!(matches!(outcome, Err(IndexError::Unknown { .. })), "{outcome:?}");
    ask(&world.index).await.expect("a new connection is opened");
    world.network.kill("node");
    // The first may go out before the connection's end is seen; once it is, nothing can have been sent.
    let first = world.index.propose(grant()).await;
    assert!(matches!(first, Err(IndexError::Unknown { .. } | IndexError::Unavailable { .. })), "{first:?}");
    let refused = world.index.propose(grant()).await;
    assert!(matches!(refused, Err(IndexError::Unavailable { .. })), "nobody was there: {refused:?}");
}

/// A peer that takes everything and says nothing: the deadline ends the call, and silence the connection.
#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up() {
    let settings = RpcSettings { index_timeout: Duration::from_secs(60), ..RpcSettings::default() };
    let (_slow, world) = slow_world(settings, 64 << 20).await;
    ask(&world.index).await.expect("answered");
    world.network.set_faults("node", "caller", LinkFaults { blocked: true, ..LinkFaults::default() });
    let before = tokio::time::Instant::now();
    let unknown = world.index.propose(grant()).await;
    assert!(matches!(unknown, Err(IndexError::Unknown { .. })), "{unknown:?}");
    let waited = before.elapsed();
    assert!(waited <= settings.silence_max + 2 * settings.keepalive, "{waited:?}");
    world.network.set_faults("node", "caller", LinkFaults::default());
    tokio::time::sleep(settings.reconnect_pause).await;
    ask(&world.index).await.expect("a new connection is opened");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept() {
    let (_slow, world) = slow_world(RpcSettings::default(), 64 << 20).await;
    ask(&world.index).await.expect("answered");
    tokio::time::sleep(Duration::from_secs(600)).await;
    // Were the connection gone, a new one could not be opened.
    world.running.server.close();
    let listening = world.network.host("caller").connect("node:9002").await;
    drop(listening);
    ask(&world.index).await.expect_err("the server is closing");
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_long_under_way_arrive() {
    let (slow, world) = slow_world(RpcSettings::default(), 64 << 20).await;
    slow.open.send_replace(true);
    let delay = Duration::from_millis(200);
    let faults = LinkFaults { delay, short_reads: true, ..LinkFaults::default() };
    world.network.set_faults_between("caller", "node", faults);
    let before = tokio::time::Instant::now();
    ask(&world.index).await.expect("answered");
    let asks = join_all((0..20).map(|_| ask(&world.index))).await;
    assert!(asks.iter().all(Result::is_ok));
    // An opening of two and a half round trips, one for the first and one for all others together.
    assert!(before.elapsed() < delay * 12, "{:?}", before.elapsed());
    append(&world, 1, 300_000).await.expect("appended");
    assert_eq!(slow.held.lock().concat(), body(&address(1, 1, 0), 300_000).concat());
}

/// Something that is no server of ours: it sends garbage, or nothing, or breaks off.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_talks_nonsense_is_an_error_at_once() {
    let network = MemoryNetwork::new(1);
    let listener = network.host("node").listen("node:9002").await.expect("it can listen");
    let words: [&[u8]; 5] = [
        b"\x00\x01\x02\x03",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: cairn-rpc\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: cairn-rpc\r\ncairn-hello: 01ff\r\n\r\n",
        b"",
    ];
    let talking = tokio::spawn(async move {
        for words in words {
            let (mut connection, _) = listener.accept().await.expect("connected");
            let mut heard = [0; 1];
            connection.read_exact(&mut heard).await.expect("it asks first");
            connection.write_all(words).await.expect("written");
            connection.shutdown().await.expect("ended");
        }
    });
    for _ in words {
        let settings = RpcSettings { connect_timeout: SECONDS, index_timeout: SECONDS * 2, ..RpcSettings::default() };
        let client: RpcClient = client(Arc::new(network.host("caller")), as_node(secret()), settings);
        let index = RemoteIndex::new(client, Told::all_at(NODE, "node:9002"));
        let before = tokio::time::Instant::now();
        let refused = index.propose(grant()).await;
        assert!(matches!(refused, Err(IndexError::Unavailable { .. })), "{refused:?}");
        assert!(before.elapsed() < SECONDS, "it is noticed before any time is over");
    }
    talking.await.expect("all were asked");
}
