//! What every network must hold.

use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::net::{Connection, Listener, Network};

const PATIENCE: Duration = Duration::from_secs(30);

/// Checks a network: `address` is one that it can listen at, with port 0.
///
/// # Panics
/// Where it breaks a promise.
pub async fn network_contract(network: Arc<dyn Network>, address: &str) {
    let suite = async {
        nobody_listens_where_a_listener_was_dropped(&*network, address).await;
        bytes_arrive_in_order_both_ways(&*network, address).await;
        slices_are_written_by_one_call(&*network, address).await;
        an_end_is_seen_and_the_other_way_goes_on(&*network, address).await;
        who_reads_nothing_holds_the_writer_up(&*network, address).await;
        a_peer_that_went_away_is_noticed(&*network, address).await;
    };
    tokio::time::timeout(PATIENCE, suite).await.expect("nothing hangs");
}

async fn pair(network: &dyn Network, address: &str) -> (Box<dyn Connection>, Box<dyn Connection>) {
    let listener = network.listen(address).await.expect("it can listen");
    pair_at(network, &*listener).await
}

async fn pair_at(network: &dyn Network, listener: &dyn Listener) -> (Box<dyn Connection>, Box<dyn Connection>) {
    let address = listener.local_address().expect("it listens somewhere");
    let (connected, accepted) = tokio::join!(network.connect(&address), listener.accept());
    (connected.expect("connected"), accepted.expect("accepted").0)
}

async fn nobody_listens_where_a_listener_was_dropped(network: &dyn Network, address: &str) {
    let listener = network.listen(address).await.expect("it can listen");
    let taken = listener.local_address().expect("an address");
    assert!(!taken.ends_with(":0"), "the port is told: {taken}");
    let refused = network.listen(&taken).await.map(|_| ()).expect_err("it is taken");
    assert_eq!(refused.kind(), ErrorKind::AddrInUse);
    let _pair = pair_at(network, &*listener).await;
    drop(listener);
    assert!(network.connect(&taken).await.is_err(), "nobody is there any more");
}

async fn bytes_arrive_in_order_both_ways(network: &dyn Network, address: &str) {
    let (one, other) = pair(network, address).await;
    let bytes: Vec<u8> = (0..3_000_000u32).map(|at| (at / 251) as u8 ^ at as u8).collect();
    let ((mut one_in, mut one_out), (mut other_in, mut other_out)) = (one.split(), other.split());
    let (mut there, mut back) = (vec![0; bytes.len()], vec![0; bytes.len()]);
    let (a, b, c, d) = tokio::join!(
        one_out.write_all(&bytes),
        other_out.write_all(&bytes),
        other_in.read_exact(&mut there),
        one_in.read_exact(&mut back),
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok());
    assert!(there == bytes && back == bytes, "bytes arrive as they were sent");
}

async fn slices_are_written_by_one_call(network: &dyn Network, address: &str) {
    let (mut one, mut other) = pair(network, address).await;
    assert!(one.is_write_vectored());
    let slices = [b"one ".as_slice(), b"", b"after ", b"the other"].map(IoSlice::new);
    let written = one.write_vectored(&slices).await.expect("written");
    assert_eq!(written, 19);
    let mut read = [0; 19];
    other.read_exact(&mut read).await.expect("read");
    assert_eq!(&read, b"one after the other");
}

async fn an_end_is_seen_and_the_other_way_goes_on(network: &dyn Network, address: &str) {
    let (one, mut other) = pair(network, address).await;
    let (mut one_in, mut one_out) = one.split();
    one_out.write_all(b"last words").await.expect("written");
    one_out.shutdown().await.expect("ended");
    drop(one_out);
    let mut heard = Vec::new();
    other.read_to_end(&mut heard).await.expect("an end in order");
    assert_eq!(heard, b"last words");
    other.write_all(b"answer").await.expect("the other way goes on");
    let mut answer = [0; 6];
    one_in.read_exact(&mut answer).await.expect("read");
    assert_eq!(&answer, b"answer");
}

async fn who_reads_nothing_holds_the_writer_up(network: &dyn Network, address: &str) {
    let (mut one, mut other) = pair(network, address).await;
    let much = vec![7; 64 << 20];
    let mut writing = Box::pin(one.write_all(&much));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut writing).await.is_err(), "there is a bound");
    let mut read = vec![0; much.len()];
    let (written, arrived) = tokio::join!(writing, other.read_exact(&mut read));
    assert!(written.is_ok() && arrived.is_ok() && read == much, "and once it is read, all of it arrives");
}

async fn a_peer_that_went_away_is_noticed(network: &dyn Network, address: &str) {
    let (mut one, other) = pair(network, address).await;
    drop(other);
    let failed = async {
        loop {
            if let Err(error) = one.write_all(&[1; 1000]).await {
                return error;
            }
            tokio::task::yield_now().await;
        }
    };
    let kind = failed.await.kind();
    assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{kind:?}");
}
