//! One key, many writers who each want to be the first, through gateways on both sides of a partition.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata;
use tokio::task::JoinSet;

use super::load::{get, once};
use super::machines::Fleet;
use crate::body::body;

const ROUNDS: usize = 10;
const WRITERS: usize = 50;

/// Ten rounds of fifty `If-None-Match: *`, half of them through a gateway that sees two nodes of five: at most one is
/// told that it was the first, in at least nine rounds one is, and once the network is whole its bytes are what stands.
#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_who_want_to_be_first_at_most_one_is_and_its_bytes_stand() {
    let name = "faults::conditional::of_fifty_who_want_to_be_first_at_most_one_is_and_its_bytes_stand";
    let Some(fleet) = Fleet::of(name) else { return };
    let client = fleet.gateways[0].client();
    client.create_bucket().bucket("races").send().await.expect("created");
    let clients = [once(&fleet.gateways[0].endpoint), once(&fleet.gateways[1].endpoint)];
    let mut won = 0;
    for round in 0..ROUNDS {
        // The minority changes, so that leaders are on either side.
        let minority = [round % 5, (round + 1) % 5, 6];
        let majority: Vec<usize> = (0..7).filter(|host| !minority.contains(host)).collect();
        fleet.network.cut(&minority, &majority);
        fleet.network.cut(&majority, &minority);
        let key = format!("key {round}");
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let (client, key) = (clients[writer % 2].clone(), key.clone());
            writers.spawn(async move {
                let bytes = bytes_of(round, writer);
                let put = client.put_object().bucket("races").key(&key).if_none_match("*").body(bytes.into());
                let refused = match put.send().await {
                    Ok(_) => return Ok(writer),
                    Err(refused) => refused,
                };
                let code = refused.code().map(str::to_owned);
                Err(code.unwrap_or_else(|| {
                    if refused.as_service_error().is_none() { "no answer" } else { "no code" }.to_owned()
                }))
            });
        }
        let (mut winners, mut refusals) = (Vec::new(), BTreeMap::<String, usize>::new());
        for told in writers.join_all().await {
            match told {
                Ok(writer) => winners.push(writer),
                Err(code) => *refusals.entry(code).or_default() += 1,
            }
        }
        println!("round {round}: {winners:?} won, the others were told {refusals:?}");
        fleet.network.heal();
        assert!(winners.len() <= 1, "round {round}: {winners:?} were all told to be the first");
        won += winners.len();
        let standing = standing(&clients[1], &key).await;
        match (winners.first(), standing) {
            (Some(winner), Some(bytes)) => assert!(bytes == bytes_of(round, *winner), "round {round}: another's bytes"),
            (Some(winner), None) => panic!("round {round}: {winner} was the first, and nothing is there"),
            (None, Some(bytes)) => {
                assert!((0..WRITERS).any(|writer| bytes == bytes_of(round, writer)), "round {round}: nobody's bytes");
            }
            (None, None) => {}
        }
    }
    println!("{won} of {ROUNDS} rounds had a winner");
    assert!(won * 10 >= ROUNDS * 9, "only {won} of {ROUNDS} rounds had a winner");
}

/// Inline and striped bodies, each writer's its own.
fn bytes_of(round: usize, writer: usize) -> Vec<u8> {
    let size = if round.is_multiple_of(2) { 500 } else { 200_000 };
    body(size, (round * WRITERS + writer) as u64 + 1)
}

/// What is under the key once the network is whole.
async fn standing(client: &aws_sdk_s3::Client, key: &str) -> Option<Vec<u8>> {
    for _ in 0..100 {
        match get(client, "races", key).await {
            Ok(found) => return found,
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    panic!("{key} can't be read once the network is whole");
}
