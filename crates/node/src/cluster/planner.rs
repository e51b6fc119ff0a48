//! Placement groups for a gateway, which doesn't change the layout: nodes are asked to make them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use index::SYSTEM_RANGE;
use objects::data::{GroupPlanner, PlannerError};
use rpc::client::{Directory, Peer, RpcClient};
use tokio::time::timeout;
use types::{DiskId, Profile};

use super::ClusterDirectory;
use crate::forming::{JoinReply, JoinRequest};
use crate::layout::LayoutKeeper;

/// How long a node may take to make groups.
const PLANNING_PATIENCE: Duration = Duration::from_secs(10);
/// After so long without an answer the next node is asked as well: the first may be behind a partition.
const STAGGER: Duration = Duration::from_millis(500);

/// Has nodes make groups: a gateway doesn't change the layout.
pub(crate) struct AskingPlanner {
    pub(crate) client: RpcClient,
    pub(crate) layout: Arc<LayoutKeeper>,
    pub(crate) directory: Arc<ClusterDirectory>,
}

impl AskingPlanner {
    /// All nodes, the one first that likely leads the system range: any can do it, by way of that one.
    fn peers(&self) -> Vec<Peer> {
        let leader = self.directory.leader(SYSTEM_RANGE);
        let others = self.directory.peers().into_iter().filter(|peer| Some(peer) != leader.as_ref());
        leader.clone().into_iter().chain(others).collect()
    }

    async fn ask(&self, peer: Peer, request: &[u8]) -> Result<(), String> {
        let answered = self.client.join(&peer.address, request, PLANNING_PATIENCE).await;
        let (_, bytes) = answered.map_err(|error| error.to_string())?;
        match JoinReply::decode(&bytes) {
            Some(JoinReply::GroupsMade) => Ok(()),
            Some(JoinReply::Refused(why)) => Err(why),
            _ => Err(format!("{} is of another release", peer.address)),
        }
    }
}

#[async_trait]
impl GroupPlanner for AskingPlanner {
    async fn make_groups(&self, profile: Profile, avoid: &[DiskId]) -> Result<(), PlannerError> {
        let request = JoinRequest::MakeGroups { profile, avoid: avoid.to_vec() }.encode();
        let asked = first_success(self.peers(), STAGGER, |peer| self.ask(peer, &request)).await;
        asked.map_err(|reason| PlannerError { reason: reason.unwrap_or_else(|| "no node is known".to_owned()) })?;
        self.layout.refresh().await.map_err(|error| PlannerError { reason: error.to_string() })
    }

    async fn refresh(&self) -> Result<(), PlannerError> {
        GroupPlanner::refresh(&*self.layout).await
    }
}

/// Asks one after the other, the next once the last one has failed or is not heard of for `stagger`; none of those asked
/// is given up before one succeeds. The last failure where all fail, `None` where there is nobody.
async fn first_success<P, T, E, F>(
    peers: impl IntoIterator<Item = P>,
    stagger: Duration,
    ask: impl Fn(P) -> F,
) -> Result<T, Option<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut asked: FuturesUnordered<F> = FuturesUnordered::new();
    let mut last_error = None;
    for peer in peers {
        asked.push(ask(peer));
        match timeout(stagger, asked.next()).await {
            Ok(Some(Ok(answer))) => return Ok(answer),
            Ok(Some(Err(error))) => last_error = Some(error),
            Ok(None) | Err(_) => {}
        }
    }
    while let Some(answered) = asked.next().await {
        match answered {
            Ok(answer) => return Ok(answer),
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_says_nothing_holds_nobody_up_and_one_that_comes_late_is_heard() {
        let second = Duration::from_secs(1);
        let ask = |after: Option<Duration>| async move {
            match after {
                Some(after) => {
                    tokio::time::sleep(after).await;
                    Ok::<_, &str>(after)
                }
                None => std::future::pending().await,
            }
        };
        let began = Instant::now();
        let heard = first_success([None, None, Some(second / 10)], second, ask).await;
        assert_eq!((heard, began.elapsed()), (Ok(second / 10), second * 21 / 10));
        let began = Instant::now();
        let heard = first_success([Some(second * 5), None], second, ask).await;
        assert_eq!((heard, began.elapsed()), (Ok(second * 5), second * 5));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_the_next_is_asked_at_once() {
        let began = Instant::now();
        let ask = |name: &'static str| async move { if name == "c" { Ok(name) } else { Err(name) } };
        assert_eq!(first_success(["a", "b", "c"], STAGGER, ask).await, Ok("c"));
        assert_eq!(first_success(["a", "b"], STAGGER, ask).await, Err(Some("b")));
        assert_eq!(first_success(Vec::new(), STAGGER, ask).await, Err(None));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
