//! Envelopes of Raft messages.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use rpc::client::{CallError, RaftCallError};
use rpc::server::{RaftError, Services};
use rpc::{CallRefusal, Lane};
use types::{RangeId, VoterId};

use crate::world::{CALLER, Echo, World};

const SECOND: Duration = Duration::from_secs(20);
const VOTER: VoterId = VoterId::from_bytes([9; 16]);

#[tokio::test(flavor = "multi_thread")]
async fn messages_reach_the_voter_in_their_order_and_answers_their_senders() {
    let echo = Arc::new(Echo::default());
    let world = World::new(Services { raft: Some(echo.clone()), ..Services::default() }).await;
    let peer = world.peer();
    let messages: Vec<Bytes> = (0..500u32).map(|number| vec![number as u8; number as usize * 7].into()).collect();
    let numbered = messages.iter().enumerate().map(|(number, message)| {
        let mut message = message.to_vec();
        message.extend_from_slice(&(number as u32).to_le_bytes());
        Bytes::from(message)
    });
    let numbered: Vec<Bytes> = numbered.collect();
    // The first opens the connection; the others are sent in the order in which they are polled first, which is theirs
    // as long as tokio doesn't make some of them yield.
    let call = async |message: &Bytes| world.client.raft(&peer, Lane::Raft, RangeId(1), VOTER, message, SECOND).await;
    call(&numbered[0]).await.expect("answered");
    echo.seen.lock().clear();
    let answers = tokio::task::unconstrained(join_all(numbered.iter().map(call))).await;
    for (message, answer) in numbered.iter().zip(answers) {
        let expected = [&CALLER.to_bytes()[..], &VOTER.to_bytes(), message].concat();
        assert_eq!(answer.expect("answered"), expected);
    }
    assert!(*echo.seen.lock() == numbered, "they began in another order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_that_is_not_there_and_a_service_that_is_not_there_are_told_apart() {
    let world = World::new(Services { raft: Some(Arc::new(Echo::default())), ..Services::default() }).await;
    let peer = world.peer();
    let nobody = world.client.raft(&peer, Lane::Raft, RangeId(2), VOTER, b"hello", SECOND).await;
    assert_eq!(nobody, Err(RaftCallError::Raft(RaftError::NotHere)));
    let world = World::new(Services::default()).await;
    let nothing = world.client.raft(&world.peer(), Lane::Raft, RangeId(1), VOTER, b"hello", SECOND).await;
    assert_eq!(nothing, Err(RaftCallError::Call(CallError::Refused(CallRefusal::NoService))));
}
