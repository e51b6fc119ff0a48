//! The network in memory does what it is told.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::{Connection, LinkFaults, MemoryNetwork, Network};

async fn pair(network: &MemoryNetwork) -> (Box<dyn Connection>, Box<dyn Connection>) {
    let listener = network.host("b").listen("b:1").await.expect("it can listen");
    let connected = network.host("a").connect("b:1").await.expect("connected");
    (connected, listener.accept().await.expect("accepted").0)
}

async fn read(connection: &mut Box<dyn Connection>, bytes: usize) -> Vec<u8> {
    let mut buffer = vec![0; bytes];
    connection.read_exact(&mut buffer).await.expect("read");
    buffer
}

#[tokio::test(start_paused = true)]
async fn a_blocked_link_holds_back_and_loses_nothing() {
    let network = MemoryNetwork::new(1);
    let (mut a, mut b) = pair(&network).await;
    network.set_faults("a", "b", LinkFaults { blocked: true, ..LinkFaults::default() });
    a.write_all(b"wait").await.expect("taken");
    b.write_all(b"back").await.expect("the other way is whole");
    assert_eq!(read(&mut a, 4).await, b"back");
    let waiting = tokio::time::timeout(Duration::from_secs(100), read(&mut b, 4)).await;
    assert!(waiting.is_err(), "nothing arrives");
    let opened = network.host("b");
    let mut opening = tokio::spawn(async move { opened.connect("a:1").await.map(|_| ()) });
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut opening).await.is_err(), "nothing is opened");
    network.set_faults("a", "b", LinkFaults::default());
    assert_eq!(read(&mut b, 4).await, b"wait");
    assert!(opening.await.expect("no panic").is_err(), "nobody listens there");
}

#[tokio::test(start_paused = true)]
async fn a_slow_link_takes_its_time_and_keeps_the_order() {
    let network = MemoryNetwork::new(1);
    let (mut a, mut b) = pair(&network).await;
    let delay = Duration::from_millis(50);
    network.set_faults("a", "b", LinkFaults { delay, short_reads: true, ..LinkFaults::default() });
    let before = Instant::now();
    a.write_all(b"one").await.expect("taken");
    network.set_faults("a", "b", LinkFaults::default());
    a.write_all(b"two").await.expect("taken");
    assert_eq!(read(&mut b, 6).await, b"onetwo", "what was sent later doesn't overtake");
    assert!(before.elapsed() >= delay && before.elapsed() < delay * 2);
}

#[tokio::test]
async fn a_cut_is_seen_at_both_ends_and_a_dead_host_refuses() {
    let network = MemoryNetwork::new(1);
    let (mut a, mut b) = pair(&network).await;
    network.cut("b", "a");
    assert!(a.read_u8().await.is_err() && b.write_all(b"x").await.is_err());
    let listener = network.host("b").listen("b:2").await.expect("it can listen");
    network.host("a").connect("b:2").await.expect("connected");
    network.kill("b");
    assert!(network.host("a").connect("b:2").await.is_err());
    drop(listener);
    assert!(network.host("a").listen("b:3").await.is_err(), "a host listens at its own name");
}

#[tokio::test]
async fn mishaps_happen_and_follow_from_the_seed() {
    let outcome = async |seed, faults| {
        let network = MemoryNetwork::new(seed);
        let (mut a, mut b) = pair(&network).await;
        network.set_faults("a", "b", faults);
        for number in 0..200u8 {
            if a.write_all(&[number; 10]).await.is_err() {
                break;
            }
        }
        drop(a);
        let mut heard = Vec::new();
        let ended = b.read_to_end(&mut heard).await.is_ok();
        (heard, ended)
    };
    let whole: Vec<u8> = (0..200).flat_map(|number| [number; 10]).collect();
    assert_eq!(outcome(1, LinkFaults::default()).await, (whole.clone(), true));
    let faults = LinkFaults::default();
    let flips = LinkFaults { flip_one_in: 10, ..faults };
    let repeats = LinkFaults { repeat_one_in: 10, ..faults };
    let losses = LinkFaults { lose_one_in: 10, ..faults };
    let cuts = LinkFaults { cut_one_in: 10, ..faults };
    let (flipped, _) = outcome(1, flips).await;
    let bits: u32 = flipped.iter().zip(&whole).map(|(one, other)| (one ^ other).count_ones()).sum();
    assert!(flipped.len() == whole.len() && (5..50).contains(&bits), "{bits} bits");
    assert!(outcome(1, repeats).await.0.len() > whole.len());
    assert!(outcome(1, losses).await.0.len() < whole.len());
    assert!(!outcome(1, cuts).await.1);
    assert_eq!(outcome(7, flips).await, outcome(7, flips).await);
    assert_ne!(outcome(7, flips).await, outcome(8, flips).await);
}

#[tokio::test]
async fn both_networks_keep_the_contract() {
    crate::contract::network_contract(Arc::new(super::TcpNetwork), "127.0.0.1:0").await;
    crate::contract::network_contract(Arc::new(MemoryNetwork::new(1).host("host")), "host:0").await;
}
