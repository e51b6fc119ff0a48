//! Stale answers make the directory look again.

use std::sync::Arc;

use async_trait::async_trait;
use index::command::CommandBody;
use index::contract::samples::plain;
use index::{Answer, Command, IndexError, IndexService, Query, QueryAnswer};
use platform::MemoryNetwork;
use rpc::RpcSettings;
use rpc::client::{RemoteIndex, RemoteShards, Stale};
use rpc::server::{NodeIdentity, Services};
use shards::{ShardError, ShardService};
use types::{NodeId, RangeId};

use crate::world::{
    DISK, NODE, OTHER_DISK, Running, Setup, Told, as_node, ask, client, identity, local_index, local_shards, secret,
};

const OTHER: NodeId = NodeId::from_bytes([0xa3; 16]);

/// An index that is led by somebody else.
struct Follower;

#[async_trait]
impl IndexService for Follower {
    async fn propose(&self, _: Command) -> Result<Answer, IndexError> {
        Err(IndexError::NotLeader { leader: Some(NODE) })
    }

    async fn query(&self, _: Query) -> Result<QueryAnswer, IndexError> {
        Err(IndexError::NotLeader { leader: Some(NODE) })
    }
}

/// Two nodes: the one that the directory names has nothing, the other all.
async fn two_nodes(network: &MemoryNetwork) -> (Running, Running) {
    let empty = Services {
        shards: Some(Arc::new(shards::LocalShards::new(shards::StoreEnvironment {
            workers: platform::Workers::new("shards", 1),
            pool: platform::BufferPool::new(0),
            settings: shards::ShardSettings::default(),
        }))),
        index: Some(Arc::new(Follower)),
        ..Services::default()
    };
    let other = Setup { identity: NodeIdentity { node: OTHER, ..identity() }, ..Setup::of(empty) };
    let full = Services { shards: Some(local_shards().await), index: Some(local_index()), ..Services::default() };
    let other = other.run(&network.host("other"), "other:9002").await;
    (other, Setup::of(full).run(&network.host("node"), "node:9002").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_moved_and_a_leader_that_changed_are_looked_up_again() {
    let network = MemoryNetwork::new(1);
    let _running = two_nodes(&network).await;
    let client = client(Arc::new(network.host("caller")), as_node(secret()), RpcSettings::default());
    let directory = Told::all_at(OTHER, "other:9002");
    directory.will_say(NODE, "node:9002");
    let shards = RemoteShards::new(client.clone(), directory.clone());
    shards.list(DISK, None, 1).await.expect("found where it is");
    assert_eq!(*directory.refreshes.lock(), [Stale::Disk { disk: DISK, not_at: OTHER }]);

    let directory = Told::all_at(OTHER, "other:9002");
    directory.will_say(NODE, "node:9002");
    let index = RemoteIndex::new(client, directory.clone());
    let grant = CommandBody::GrantTicket { holder: NODE, nonce: [1; 16] };
    assert!(matches!(index.propose(plain(grant)).await, Ok(Answer::Ticket(_))));
    let expected = Stale::Leader { range: index::SYSTEM_RANGE, not_at: OTHER, hint: Some(NODE) };
    assert_eq!(*directory.refreshes.lock(), [expected]);
    ask(&index).await.expect("it knows now");
    assert_eq!(directory.refreshes.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_directory_knows_nothing_better_the_error_is_told() {
    let network = MemoryNetwork::new(1);
    let (_other, running) = two_nodes(&network).await;
    let client = client(Arc::new(network.host("caller")), as_node(secret()), RpcSettings::default());
    let directory = Told::all_at(NODE, &running.address);
    let shards = RemoteShards::new(client.clone(), directory.clone());
    let unknown = shards.list(OTHER_DISK, None, 1).await;
    assert_eq!(unknown, Err(ShardError::UnknownDisk { disk: OTHER_DISK }));
    assert_eq!(directory.refreshes.lock().len(), 1, "it was asked once");

    let index = RemoteIndex::new(client, Told::all_at(OTHER, "other:9002"));
    let refused = ask(&index).await;
    assert!(matches!(&refused, Err(IndexError::Unavailable { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_at_a_known_address_is_not_taken_for_the_wanted_one() {
    let network = MemoryNetwork::new(1);
    let _running = two_nodes(&network).await;
    let client = client(Arc::new(network.host("caller")), as_node(secret()), RpcSettings::default());
    let directory = Told::all_at(NODE, "other:9002");
    directory.will_say(NODE, "node:9002");
    let shards = RemoteShards::new(client, directory.clone());
    shards.list(DISK, None, 1).await.expect("found at its address");
    assert_eq!(*directory.refreshes.lock(), [Stale::Address { node: NODE }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_means_another_range_than_the_node_is_told_so_and_nothing_is_done() {
    let network = MemoryNetwork::new(1);
    let (_other, running) = two_nodes(&network).await;
    let client = client(Arc::new(network.host("caller")), as_node(secret()), RpcSettings::default());
    let grant = || plain(CommandBody::GrantTicket { holder: NODE, nonce: [1; 16] });
    let told = Told::all_at(NODE, &running.address);
    let index = RemoteIndex::new(client.clone(), told.clone());
    let other = RangeId(7);
    let query = index.query_at(other, Query::Tickets).await.map(drop);
    for refused in [index.propose_to(other, grant()).await.map(drop), query] {
        assert!(matches!(&refused, Err(IndexError::Unavailable { .. })), "{refused:?}");
    }
    let expected = Stale::Leader { range: other, not_at: NODE, hint: None };
    assert_eq!(*told.refreshes.lock(), [expected; 2]);
    let right = RemoteIndex::new(client.clone(), Told::all_at(NODE, &running.address));
    let QueryAnswer::Tickets { tickets, .. } = right.query(Query::Tickets).await.expect("answered") else { panic!() };
    assert!(tickets.is_empty(), "the command did nothing");
}
