//! What a gateway reaches with its credential, and for how long.

use std::sync::Arc;
use std::time::Duration;

use index::command::{BucketConfig, CommandBody};
use index::contract::samples::{credential, form_cluster, plain};
use index::{Answer, IndexError, IndexService, Query};
use platform::SystemEntropy;
use rpc::client::{CallError, Identity, RaftCallError, RemoteArchive, RemoteIndex, RemoteShards, RpcClient};
use rpc::server::Services;
use rpc::{CallRefusal, GatewayCredential, GatewayKey, Lane, RpcSettings};
use shards::contract::{address, body, header};
use shards::{ArchiveError, ArchiveService, ShardService};
use types::{BucketId, FeatureLevel, GatewayId, Integrity, Layout, LayoutEpoch, NodeId, RangeId, TicketId, VoterId};

use crate::world::{
    DISK, Echo, Gateways, NODE, Setup, SlowShards, Told, World, ask, client, local_index, local_shards,
};

const GATEWAY: GatewayId = GatewayId::from_bytes([0x61; 16]);

struct Fixture {
    world: World,
    gateways: Arc<Gateways>,
    client: RpcClient,
    shards: RemoteShards,
    index: RemoteIndex,
}

async fn fixture(shards: Arc<dyn ShardService>, archive: Option<Arc<dyn ArchiveService>>) -> Fixture {
    let gateways = Arc::new(Gateways::default());
    let key = GatewayKey::generate(&SystemEntropy);
    gateways.set(GATEWAY, Some(key.clone()));
    let services = Services {
        shards: Some(shards),
        archive,
        index: Some(local_index()),
        raft: Some(Arc::new(Echo::default())),
        ..Services::default()
    };
    let world = World::with(Setup { gateways: gateways.clone(), ..Setup::of(services) }, 1).await;
    let identity = Identity::Gateway(GatewayCredential { id: GATEWAY, key });
    let client = client(Arc::new(world.network.host("gateway")), identity, RpcSettings::default());
    let directory = Told::all_at(NODE, &world.running.address);
    let shards = RemoteShards::new(client.clone(), directory.clone());
    let index = RemoteIndex::new(client.clone(), directory);
    Fixture { world, gateways, client, shards, index }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_reads_and_writes_objects_and_administers_nothing() {
    let disks = local_shards().await;
    let Fixture { world, client, shards, index, .. } = fixture(disks.clone(), Some(disks)).await;
    let there = address(1, 1, 0);
    shards.append(DISK, header(there, Integrity::Xxh3), body(&there, 5000)).await.expect("a gateway appends");
    assert_eq!(shards.read(DISK, there, 0..5000).await.expect("and reads").concat(), body(&there, 5000).concat());
    let grant = CommandBody::GrantTicket { holder: NodeId::from_bytes([7; 16]), nonce: [1; 16] };
    assert!(matches!(index.propose(plain(grant)).await, Ok(Answer::Ticket(_))), "it takes tickets");
    let row = CommandBody::CreateBucketRow { id: BucketId(1), config: BucketConfig::default() };
    assert!(matches!(index.propose(plain(row)).await, Ok(Answer::BucketRow(_))), "and makes buckets");
    let layout = Layout { epoch: LayoutEpoch(2), ..Layout::default() };
    for body in [
        CommandBody::Form(Box::new(form_cluster())),
        CommandBody::PutCredential(credential("OTHER")),
        CommandBody::ChangeLayout { expected: LayoutEpoch(1), layout },
        CommandBody::RaiseFeatureLevel(FeatureLevel(9)),
        CommandBody::RaiseFloor { floor: TicketId(1 << 40) },
        CommandBody::ExpireTickets { idle_us_max: 0 },
        CommandBody::RemoveGarbage { rows: vec![1_u64.to_be_bytes().to_vec()] },
    ] {
        let refused = index.propose(plain(body.clone())).await;
        assert!(
            matches!(&refused, Err(IndexError::Unavailable { reason }) if reason.contains("not allowed")),
            "{body:?}: {refused:?}"
        );
        let node = world.index.propose(plain(body)).await;
        assert!(node.is_ok(), "a node may: {node:?}");
    }
    assert!(shards.free(DISK, there.group, vec![there.run]).await.is_err());
    assert!(shards.list(DISK, None, 1).await.is_err());
    assert!(index.query(Query::Garbage { freed_before: types::CommitStamp(1), after: None, limit: 1 }).await.is_err());
    let second = Duration::from_secs(20);
    let archive = RemoteArchive::new(client.clone(), Told::all_at(NODE, &world.running.address));
    let refused = archive.archives(DISK).await;
    assert!(
        matches!(&refused, Err(ArchiveError::Unreachable { reason, .. }) if reason.contains("not allowed")),
        "{refused:?}"
    );
    assert_eq!(world.archive.archives(DISK).await, Ok(Vec::new()), "a node may");
    let raft = client.raft(&world.peer(), Lane::Raft, RangeId(1), VoterId::from_bytes([1; 16]), b"vote", second).await;
    assert!(matches!(raft, Err(RaftCallError::Call(CallError::Refused(CallRefusal::Forbidden { .. })))), "{raft:?}");
    assert!(world.shards.read(DISK, there, 0..5000).await.is_ok(), "nothing was freed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_gateway_is_cut_off_in_the_middle_and_does_not_come_back() {
    let slow = Arc::new(SlowShards::default());
    let Fixture { world, gateways, shards, index, .. } = fixture(slow.clone(), None).await;
    ask(&index).await.expect("a gateway asks");
    let there = address(1, 1, 0);
    let read = tokio::spawn(async move { shards.read(DISK, there, 0..100).await });
    slow.until_begun(1).await;
    // Another gateway's fate doesn't matter to this one.
    gateways.set(GatewayId::from_bytes([0x62; 16]), None);
    ask(&index).await.expect("still there");
    gateways.set(GATEWAY, None);
    let cut = tokio::time::timeout(Duration::from_secs(20), read).await.expect("at once").expect("no panic");
    assert!(cut.is_err(), "what was under way is not answered");
    slow.until(|| slow.given_up.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
    assert!(matches!(ask(&index).await, Err(IndexError::Unavailable { .. })), "nor is it let in again");
    ask(&world.index).await.expect("nodes are not concerned");
}
