//! Who is let in, and who is believed. A box in the middle sees and changes all that goes by.

use std::sync::Arc;
use std::time::Duration;

use index::IndexError;
use parking_lot::Mutex;
use platform::{MemoryNetwork, Network};
use rpc::client::{Identity, RemoteIndex, RpcClient};
use rpc::server::{NodeIdentity, Services};
use rpc::{ClusterSecret, RpcSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::{ClusterId, NodeId};

use crate::world::{CALLER, CLUSTER, NODE, Running, Setup, Told, as_node, ask, client, identity, local_index, secret};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

type Edit = Arc<dyn Fn(Way, &mut Vec<u8>) + Send + Sync>;

/// A host that passes connections on, and may change what goes by.
async fn middle(network: &MemoryNetwork, target: &str, edit: Edit) -> String {
    let host = Arc::new(network.host("middle"));
    let listener = host.listen("middle:0").await.expect("it can listen");
    let (address, target) = (listener.local_address().expect("an address"), target.to_owned());
    tokio::spawn(async move {
        while let Ok((caller, _)) = listener.accept().await {
            let Ok(called) = host.connect(&target).await else { continue };
            let ((from_caller, to_caller), (from_called, to_called)) = (caller.split(), called.split());
            tokio::spawn(pump(Way::There, from_caller, to_called, Arc::clone(&edit)));
            tokio::spawn(pump(Way::Back, from_called, to_caller, Arc::clone(&edit)));
        }
    });
    address
}

async fn pump(way: Way, mut from: platform::net::ReadHalf, mut to: platform::net::WriteHalf, edit: Edit) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let mut chunk = bytes[..read].to_vec();
        edit(way, &mut chunk);
        if to.write_all(&chunk).await.is_err() {
            break;
        }
    }
}

async fn node(network: &MemoryNetwork) -> Running {
    let services = Services { index: Some(local_index()), ..Services::default() };
    Setup::of(services).run(&network.host("node"), "node:9002").await
}

fn impatient() -> RpcSettings {
    RpcSettings { reconnect_pause: Duration::ZERO, ..RpcSettings::default() }
}

fn index_at(client: RpcClient, node: NodeId, address: &str) -> RemoteIndex {
    RemoteIndex::new(client, Told::all_at(node, address))
}

fn reason(outcome: Result<index::QueryAnswer, IndexError>) -> String {
    match outcome {
        Err(IndexError::Unavailable { reason }) => reason,
        other => panic!("it should have been turned away: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_the_secret_is_turned_away() {
    let network = MemoryNetwork::new(1);
    let running = node(&network).await;
    let wrong = ClusterSecret::new("another secret that is long enough").expect("long enough");
    let stranger = client(Arc::new(network.host("caller")), as_node(wrong), impatient());
    let told = reason(ask(&index_at(stranger, NODE, &running.address)).await);
    assert!(told.contains("refuses our credential"), "{told}");
    let id = types::GatewayId::from_bytes([1; 16]);
    let key = rpc::GatewayKey::from_bytes([2; 32]);
    let unknown = Identity::Gateway(rpc::GatewayCredential { id, key });
    let gateway = client(Arc::new(network.host("caller")), unknown, impatient());
    let told = reason(ask(&index_at(gateway, NODE, &running.address)).await);
    assert!(told.contains("refuses our credential"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_know_the_secret_is_not_believed() {
    let network = MemoryNetwork::new(1);
    let services = Services { index: Some(local_index()), ..Services::default() };
    let wrong = ClusterSecret::new("another secret that is long enough").expect("long enough");
    let setup = Setup { identity: NodeIdentity { secret: wrong, ..identity() }, ..Setup::of(services) };
    let running = setup.run(&network.host("node"), "node:9002").await;
    // It refuses the client's proof; one that lies about that has no proof of its own.
    let lie: Edit = Arc::new(|way, chunk| {
        if way == Way::Back && chunk.len() == 1 {
            *chunk = vec![1; 33];
        }
    });
    let address = middle(&network, &running.address, lie).await;
    let caller = client(Arc::new(network.host("caller")), as_node(secret()), impatient());
    let told = reason(ask(&index_at(caller, NODE, &address)).await);
    assert!(told.contains("could not prove"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_another_cluster_and_another_node_are_turned_away() {
    let network = MemoryNetwork::new(1);
    let running = node(&network).await;
    let other = RpcClient::new(
        Arc::new(network.host("caller")),
        Arc::new(platform::SystemEntropy),
        ClusterId::from_bytes([0xc2; 16]).into(),
        as_node(secret()),
        platform::BufferPool::new(0),
        impatient(),
    );
    let told = reason(ask(&index_at(other, NODE, &running.address)).await);
    assert!(told.contains(&CLUSTER.to_string()), "{told}");
    let caller = client(Arc::new(network.host("caller")), as_node(secret()), impatient());
    let told = reason(ask(&index_at(caller, NodeId::from_bytes([0x77; 16]), &running.address)).await);
    assert!(told.contains("elsewhere"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_back_to_its_sender_is_not_taken_for_a_peer() {
    let network = MemoryNetwork::new(1);
    let services = Services { index: Some(local_index()), ..Services::default() };
    let own = Setup { identity: NodeIdentity { node: CALLER, ..identity() }, ..Setup::of(services) };
    let own = own.run(&network.host("caller"), "caller:9002").await;
    let address = middle(&network, &own.address, Arc::new(|_, _| {})).await;
    for wanted in [NODE, CALLER] {
        let caller = client(Arc::new(network.host("caller")), as_node(secret()), impatient());
        let told = reason(ask(&index_at(caller, wanted, &address)).await);
        assert!(told.contains("elsewhere"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_conversation_cannot_be_held_again() {
    let network = MemoryNetwork::new(1);
    let running = node(&network).await;
    let recorded = Arc::new(Mutex::new(Vec::new()));
    let record: Edit = {
        let recorded = Arc::clone(&recorded);
        Arc::new(move |way, chunk| {
            if way == Way::There {
                recorded.lock().extend_from_slice(chunk);
            }
        })
    };
    let address = middle(&network, &running.address, record).await;
    let caller = client(Arc::new(network.host("caller")), as_node(secret()), impatient());
    ask(&index_at(caller, NODE, &address)).await.expect("answered");
    let words = recorded.lock().clone();
    let mut again = network.host("thief").connect(&running.address).await.expect("connected");
    again.write_all(&words).await.expect("written");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, again.read_to_end(&mut answer)).await.expect("the server ends it");
    read.expect("in order");
    // The upgrade, and the one byte that says no.
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an HTTP answer") + 4;
    assert_eq!(answer[head..], [0]);
}

/// Versions, ids, the lane, limits and nonces: whatever is changed in either hello, the two don't come together. So
/// nobody in the middle talks them into an older protocol.
#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_the_hellos_can_be_changed_on_the_way() {
    let network = MemoryNetwork::new(1);
    let running = node(&network).await;
    let changed = Arc::new(Mutex::new((Way::There, usize::MAX, 0)));
    let change: Edit = {
        let changed = Arc::clone(&changed);
        Arc::new(move |way, chunk| {
            let mut changed = changed.lock();
            let name = b"cairn-hello: ";
            let Some(at) = chunk.windows(name.len()).position(|window| window.eq_ignore_ascii_case(name)) else {
                return;
            };
            if way == changed.0
                && let Some(digit) =
                    chunk.get_mut(at + name.len() + changed.1).filter(|digit| digit.is_ascii_hexdigit())
            {
                *digit = if *digit == b'0' { b'1' } else { b'0' };
                changed.2 += 1;
            }
        })
    };
    let address = middle(&network, &running.address, change).await;
    for way in [Way::There, Way::Back] {
        let mut digits = 0;
        loop {
            *changed.lock() = (way, digits, 0);
            let caller = client(Arc::new(network.host("caller")), as_node(secret()), impatient());
            let asked = ask(&index_at(caller, NODE, &address)).await;
            if changed.lock().2 == 0 {
                asked.expect("unchanged, they come together");
                break;
            }
            assert!(asked.is_err(), "{way:?}: digit {digits} was changed and nobody noticed");
            digits += 1;
        }
        assert!(digits > 100, "{way:?}: a hello has more than {digits} digits");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_learn_what_is_spoken_here_and_nothing_else() {
    let network = MemoryNetwork::new(1);
    let running = node(&network).await;
    for words in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"GET /cairn-rpc HTTP/1.1\r\nHost: a\r\nUpgrade: cairn-rpc\r\ncairn-hello: 0102\r\n\r\n",
    ] {
        let mut stranger = network.host("stranger").connect(&running.address).await.expect("connected");
        stranger.write_all(words).await.expect("written");
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stranger.read_to_end(&mut answer)).await.expect("ended").expect("in order");
        assert!(answer.starts_with(b"HTTP/1.1 426"), "{}", String::from_utf8_lossy(&answer));
    }
    let mut stranger = network.host("stranger").connect(&running.address).await.expect("connected");
    stranger.write_all(&[0xff; 5000]).await.expect("written");
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stranger.read_to_end(&mut answer)).await.expect("ended");
    assert!(!answer.starts_with(b"HTTP/1.1 101"));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_not_waited_for() {
    let network = MemoryNetwork::new(1);
    let _running = node(&network).await;
    let mut silent = network.host("stranger").connect("node:9002").await.expect("connected");
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, silent.read_to_end(&mut answer)).await.expect("the server ends it").expect("ended");
    assert!(answer.is_empty());
}
