//! From a request to its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use platform::{MemoryBudget, Reservation};
use shards::ShardError;

use super::permissions::{gateway_may_ask_disk, gateway_may_propose, gateway_may_query};
use super::{Services, archive};
use crate::encoding::{
    CallRefusal, DecodeError, IndexAnswer, IndexAsked, IndexRequest, RaftAnswer, RaftRequest, Service, ShardAnswer,
    ShardRequest, decode, encode,
};
use crate::handshake::Caller;
use crate::wire::{BODY_BYTES_MAX, PAYLOAD_BYTES_MAX};

/// An answer, ready to be sent.
pub(super) struct Answered {
    pub(super) payload: Vec<u8>,
    pub(super) body: Vec<Bytes>,
}

impl Answered {
    fn plain(payload: Vec<u8>) -> Self {
        Self { payload, body: Vec::new() }
    }

    /// Whether it doesn't fit a frame.
    pub(super) fn is_too_long(&self) -> bool {
        self.payload.len() > PAYLOAD_BYTES_MAX || self.body.iter().map(Bytes::len).sum::<usize>() > BODY_BYTES_MAX
    }
}

/// What requests are answered with.
pub(super) struct Dispatch {
    pub(super) services: Services,
    pub(super) budget: MemoryBudget,
    /// The same, for what no client waits for.
    pub(super) upkeep_budget: MemoryBudget,
    pub(super) patience: Duration,
}

/// A piece of an answer, which holds its share of the budget until it is sent.
struct Held {
    bytes: Bytes,
    _reservations: Arc<[Reservation]>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Dispatch {
    pub(super) async fn answer(
        &self,
        caller: Caller,
        service: Service,
        payload: Bytes,
        body: Vec<Bytes>,
    ) -> Result<Answered, CallRefusal> {
        let answer = match service {
            Service::Shards => self.shards(caller, &payload, body).await,
            Service::Index => self.index(caller, &payload).await,
            Service::Raft => self.raft(caller, &payload).await,
            Service::Join => self.join(caller, payload).await,
            Service::Archive => self.archive(caller, &payload, body).await,
        };
        match &answer {
            Ok(_) => tracing::debug!(?service, ?caller, "a call was answered"),
            Err(refusal) => tracing::debug!(?service, ?caller, %refusal, "a call was refused"),
        }
        answer
    }

    async fn shards(&self, caller: Caller, payload: &[u8], body: Vec<Bytes>) -> Result<Answered, CallRefusal> {
        let shards = self.services.shards.as_ref().ok_or(CallRefusal::NoService)?;
        let request = ShardRequest::decode(payload).map_err(unreadable)?;
        if matches!(caller, Caller::Gateway(_)) && !gateway_may_ask_disk(&request) {
            return Err(forbidden("a gateway neither frees nor lists shards, and seals no slots"));
        }
        let outcome = match request {
            ShardRequest::Append { disk, header } => {
                shards.append(disk, *header, body).await.map(|()| (ShardAnswer::Done, Vec::new()))
            }
            ShardRequest::Read { disk, address, start, end } => {
                let bytes = end.saturating_sub(start);
                if bytes > BODY_BYTES_MAX as u64 {
                    let reason = format!("a range of {bytes} bytes is longer than any shard");
                    Err(ShardError::Invalid { reason })
                } else {
                    // A node reads to make shards again, or for its own clients, whom it sees itself.
                    let budget = if matches!(caller, Caller::Node(_)) { &self.upkeep_budget } else { &self.budget };
                    let reservation = budget.reserve(bytes, self.patience).await;
                    let reservation = reservation.map_err(|_none| CallRefusal::Busy)?;
                    let read = shards.read(disk, address, start..end).await;
                    read.map(|body| (ShardAnswer::Bytes, held(body, [reservation])))
                }
            }
            ShardRequest::Header { disk, address } => {
                let header = shards.header(disk, address).await;
                header.map(|header| (ShardAnswer::Header(Box::new(header)), Vec::new()))
            }
            ShardRequest::Free { disk, group, runs } => {
                shards.free(disk, group, runs).await.map(|()| (ShardAnswer::Done, Vec::new()))
            }
            ShardRequest::Seal { disk, group, slot, epoch } => {
                shards.seal(disk, group, slot, epoch).await.map(|()| (ShardAnswer::Done, Vec::new()))
            }
            ShardRequest::List { disk, after, limit } => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(LISTED_MAX);
                shards.list(disk, after, limit).await.map(|listed| (ShardAnswer::Listed(listed), Vec::new()))
            }
        };
        let (answer, body) = outcome.unwrap_or_else(|error| (ShardAnswer::Failed(error), Vec::new()));
        Ok(Answered { payload: encode(&answer), body })
    }

    async fn archive(&self, caller: Caller, payload: &[u8], body: Vec<Bytes>) -> Result<Answered, CallRefusal> {
        if matches!(caller, Caller::Gateway(_)) {
            return Err(forbidden("a gateway keeps no archive"));
        }
        let archive = self.services.archive.as_ref().ok_or(CallRefusal::NoService)?;
        archive::answer(&**archive, decode(payload).map_err(unreadable)?, body, &self.upkeep_budget, self.patience)
            .await
    }

    async fn index(&self, caller: Caller, payload: &[u8]) -> Result<Answered, CallRefusal> {
        let index = self.services.index.as_ref().ok_or(CallRefusal::NoService)?;
        let is_gateway = matches!(caller, Caller::Gateway(_));
        let IndexRequest { range, asked } = IndexRequest::decode(payload).map_err(unreadable)?;
        let answer = match asked {
            IndexAsked::Propose(command) => {
                if is_gateway && !gateway_may_propose(&command.body) {
                    return Err(forbidden("a gateway does not administer the cluster"));
                }
                let answer = match range {
                    Some(range) => index.propose_to(range, command).await,
                    None => index.propose(command).await,
                };
                answer.map(IndexAnswer::Answer)
            }
            IndexAsked::Query(query) => {
                if is_gateway && !gateway_may_query(&query) {
                    return Err(forbidden("a gateway does not ask what upkeep asks"));
                }
                let answer = match range {
                    Some(range) => index.query_at(range, query).await,
                    None => index.query(query).await,
                };
                answer.map(IndexAnswer::Query)
            }
        };
        Ok(Answered::plain(encode(&answer.unwrap_or_else(IndexAnswer::Failed))))
    }

    async fn join(&self, caller: Caller, message: Bytes) -> Result<Answered, CallRefusal> {
        let join = self.services.join.as_ref().ok_or(CallRefusal::NoService)?;
        Ok(Answered::plain(join.handle(caller, message).await.into()))
    }

    async fn raft(&self, caller: Caller, payload: &Bytes) -> Result<Answered, CallRefusal> {
        let Caller::Node(from) = caller else { return Err(forbidden("a gateway takes no part in Raft")) };
        let raft = self.services.raft.as_ref().ok_or(CallRefusal::NoService)?;
        let (RaftRequest { range, voter }, message) = RaftRequest::decode(payload).map_err(unreadable)?;
        let payload = match raft.handle(from, range, voter, message).await {
            Ok(answer) => RaftAnswer::Answered.encode_with(&answer),
            Err(error) => RaftAnswer::Failed(error).encode_with(&[]),
        };
        Ok(Answered::plain(payload))
    }
}

/// Shards in one page of a listing, whatever was asked for: the caller asks on after the last.
const LISTED_MAX: usize = 10_000;

/// The pieces, which hold the reservations until the last of them is sent.
pub(super) fn held(body: Vec<Bytes>, reservations: impl Into<Arc<[Reservation]>>) -> Vec<Bytes> {
    let reservations = reservations.into();
    let piece = |bytes| Bytes::from_owner(Held { bytes, _reservations: Arc::clone(&reservations) });
    body.into_iter().map(piece).collect()
}

fn forbidden(what: &str) -> CallRefusal {
    CallRefusal::Forbidden { what: what.to_owned() }
}

fn unreadable(error: DecodeError) -> CallRefusal {
    CallRefusal::Unreadable { reason: error.to_string() }
}
