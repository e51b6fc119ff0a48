//! The index on other nodes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::{Answer, Command, IndexError, IndexService, Query, QueryAnswer, Router};
use tokio::time::Instant;
use types::RangeId;

use super::{CallError, Directory, Peer, RpcClient, Stale};
use crate::encoding::{CallRefusal, IndexAnswer, IndexRequest, Service, decode};
use crate::handshake::Lane;

/// How many nodes are asked for one answer.
const NODES_ASKED_MAX: u32 = 4;

/// The index, at whichever nodes lead the ranges in question.
///
/// A command is sent again only where it certainly was not taken; else the outcome is [`IndexError::Unknown`], and
/// whoever has given it a request id may repeat it. Queries are repeated.
pub struct RemoteIndex {
    client: RpcClient,
    directory: Arc<dyn Directory>,
    router: Router,
}

/// What one node said.
enum Said {
    Answer(IndexAnswer),
    /// Somebody else may know; the command had no effect.
    Elsewhere {
        stale: Stale,
        reason: String,
    },
    /// It may have had an effect.
    Unknown(String),
    /// It had none, and asking elsewhere doesn't help.
    Refused(String),
}

impl RemoteIndex {
    /// Goes by this directory.
    pub fn new(client: RpcClient, directory: Arc<dyn Directory>) -> Self {
        Self { client, directory, router: Router::default() }
    }

    /// Whether nodes refuse this process's credential: then trying again is of no use.
    pub fn is_refused(&self) -> bool {
        self.client.is_refused()
    }

    /// Asks node after node, as the directory names them.
    async fn ask(&self, range: RangeId, payload: Vec<u8>, may_repeat: bool) -> Result<IndexAnswer, IndexError> {
        let deadline = Instant::now() + self.client.settings().index_timeout;
        let mut reason = format!("nobody is known to lead range {range}");
        for _ in 0..NODES_ASKED_MAX {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(peer) = self.directory.leader(range).filter(|_| !left.is_zero()) else { break };
            match self.ask_at(&peer, range, &payload, left).await {
                Said::Answer(answer) => return Ok(answer),
                Said::Refused(why) => return Err(IndexError::Unavailable { reason: why }),
                Said::Unknown(why) if !may_repeat => return Err(IndexError::Unknown { reason: why }),
                Said::Unknown(why) => {
                    reason = why;
                    self.directory.refresh(Stale::Leader { range, not_at: peer.node, hint: None }).await;
                }
                Said::Elsewhere { stale, reason: why } => {
                    reason = why;
                    self.directory.refresh(stale).await;
                    // Whoever could not be reached a moment ago can't be now.
                    if self.directory.leader(range).is_some_and(|next| next == peer)
                        && !matches!(stale, Stale::Leader { hint: Some(_), .. })
                    {
                        break;
                    }
                }
            }
        }
        Err(IndexError::Unavailable { reason })
    }

    async fn ask_at(&self, peer: &Peer, range: RangeId, payload: &[u8], timeout: Duration) -> Said {
        let elsewhere =
            |hint, reason| Said::Elsewhere { stale: Stale::Leader { range, not_at: peer.node, hint }, reason };
        let reply = self.client.call(peer, Lane::Small, Service::Index, payload, Vec::new(), timeout).await;
        match reply {
            Ok(reply) => match decode::<IndexAnswer>(&reply.payload) {
                Ok(IndexAnswer::Failed(error @ IndexError::NotLeader { leader })) => {
                    elsewhere(leader, error.to_string())
                }
                Ok(answer) => Said::Answer(answer),
                Err(error) => Said::Unknown(error.to_string()),
            },
            Err(CallError::NotSent { reason }) => elsewhere(None, reason),
            Err(error @ CallError::WrongNode) => {
                Said::Elsewhere { stale: Stale::Address { node: peer.node }, reason: error.to_string() }
            }
            Err(CallError::Lost { reason }) => Said::Unknown(reason),
            Err(CallError::Refused(refusal @ CallRefusal::DeadlinePassed)) => Said::Unknown(refusal.to_string()),
            Err(CallError::Refused(refusal)) => Said::Refused(refusal.to_string()),
        }
    }
}

#[async_trait]
impl IndexService for RemoteIndex {
    async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        self.router.propose(self, command).await
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        self.router.query(self, query).await
    }

    async fn propose_to(&self, range: RangeId, command: Command) -> Result<Answer, IndexError> {
        match self.ask(range, IndexRequest::encode_command(range, &command), false).await? {
            IndexAnswer::Answer(answer) => Ok(answer),
            IndexAnswer::Failed(error) => Err(error),
            IndexAnswer::Query(_) => {
                Err(IndexError::Unknown { reason: "a command was answered as a query".to_owned() })
            }
        }
    }

    async fn query_at(&self, range: RangeId, query: Query) -> Result<QueryAnswer, IndexError> {
        match self.ask(range, IndexRequest::encode_query(range, &query), true).await? {
            IndexAnswer::Query(answer) => Ok(answer),
            IndexAnswer::Failed(error) => Err(error),
            IndexAnswer::Answer(_) => {
                Err(IndexError::Unavailable { reason: "a query was answered as a command".to_owned() })
            }
        }
    }
}
