//! The index, wherever it is led: on this node, or on another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use index::{
    Answer, Command, FIRST_FEATURE_LEVEL, IndexError, IndexService, Query, QueryAnswer, Refusal, Router, SYSTEM_RANGE,
};
use rpc::client::{Directory, RemoteIndex, Stale};
use tokio::time::Instant;
use types::{FeatureLevel, RangeId};

use super::ClusterDirectory;

/// How long it is tried again while nobody leads: an election takes two to three seconds.
pub(crate) const ELECTION_PATIENCE: Duration = Duration::from_secs(5);
/// How long it waits in between.
const ELECTION_PAUSE: Duration = Duration::from_millis(50);

/// How long other nodes may take for each of the first tries of a question: a leader behind a partition says nothing, and another may be
/// elected meanwhile. The tries after them take what they take.
const SHORT_TRIES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(2)];

/// The index of the whole cluster. A command is repeated only where it certainly was not taken.
pub struct ClusterIndex {
    /// The ranges of this node; a gateway has none.
    own: Option<Arc<dyn IndexService>>,
    remote: RemoteIndex,
    directory: Arc<ClusterDirectory>,
    router: Router,
    /// The cluster's feature level, as it was answered last: never above what it is.
    feature_level: AtomicU32,
}

impl ClusterIndex {
    /// Asks `own` first, then whoever leads by the directory.
    pub fn new(own: Option<Arc<dyn IndexService>>, remote: RemoteIndex, directory: Arc<ClusterDirectory>) -> Self {
        let feature_level = AtomicU32::new(FIRST_FEATURE_LEVEL.0);
        Self { own, remote, directory, router: Router::default(), feature_level }
    }

    fn feature_level(&self) -> FeatureLevel {
        FeatureLevel(self.feature_level.load(Ordering::Relaxed))
    }

    /// What this node itself answers; `None` where it does not lead.
    fn elsewhere<T>(&self, range: RangeId, answered: Result<T, IndexError>) -> Option<Result<T, IndexError>> {
        match answered {
            Err(IndexError::NotLeader { leader }) => {
                if let Some(leader) = leader {
                    self.directory.set_leader(range, leader);
                }
                None
            }
            answered => Some(answered),
        }
    }

    async fn propose_once(&self, range: RangeId, command: &Command) -> Result<Answer, IndexError> {
        if let Some(own) = &self.own
            && let Some(answered) = self.elsewhere(range, own.propose_to(range, command.clone()).await)
        {
            return answered;
        }
        self.remote.propose_to(range, command.clone()).await
    }

    /// `None` where another node did not answer within `patience`.
    async fn query_once(
        &self,
        range: RangeId,
        query: &Query,
        patience: Option<Duration>,
    ) -> Option<Result<QueryAnswer, IndexError>> {
        if let Some(own) = &self.own
            && let Some(answered) = self.elsewhere(range, own.query_at(range, query.clone()).await)
        {
            return Some(answered);
        }
        let answered = self.remote.query_at(range, query.clone());
        match patience {
            Some(patience) => tokio::time::timeout(patience, answered).await.ok(),
            None => Some(answered.await),
        }
    }

    /// Whoever was asked last has not answered yet: others may know better who leads.
    async fn doubt_leader(&self, range: RangeId) {
        if let Some(asked) = self.directory.leader(range) {
            self.directory.refresh(Stale::Leader { range, not_at: asked.node, hint: None }).await;
        }
    }

    /// Whether it is worth asking again: nobody leads, and may soon. A gateway that was revoked need not wait for that.
    async fn try_again<T>(&self, outcome: &Result<T, IndexError>, deadline: Instant) -> bool {
        let waits = matches!(outcome, Err(IndexError::NotLeader { .. } | IndexError::Unavailable { .. }));
        if !waits || self.remote.is_refused() || Instant::now() + ELECTION_PAUSE > deadline {
            return false;
        }
        tokio::time::sleep(ELECTION_PAUSE).await;
        true
    }
}

#[async_trait]
impl IndexService for ClusterIndex {
    async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        self.router.propose(self, command).await
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        self.router.query(self, query).await
    }

    async fn propose_to(&self, range: RangeId, command: Command) -> Result<Answer, IndexError> {
        // Whoever leads may run a build that can't even read it.
        if command.body.feature_level() > self.feature_level() {
            self.query_at(SYSTEM_RANGE, Query::Cluster).await?;
            let level = self.feature_level();
            if command.body.feature_level() > level {
                return Ok(Answer::Refused(Refusal::FeatureLevel { level }));
            }
        }
        let deadline = Instant::now() + ELECTION_PATIENCE;
        loop {
            let outcome = self.propose_once(range, &command).await;
            if !self.try_again(&outcome, deadline).await {
                return outcome;
            }
        }
    }

    async fn query_at(&self, range: RangeId, query: Query) -> Result<QueryAnswer, IndexError> {
        // Likewise. What a level brings, nobody has before it.
        if query.answer_below(self.feature_level()).is_some() {
            self.query_at(SYSTEM_RANGE, Query::Cluster).await?;
            if let Some(answer) = query.answer_below(self.feature_level()) {
                return Ok(answer);
            }
        }
        let deadline = Instant::now() + ELECTION_PATIENCE;
        let mut short_tries = SHORT_TRIES.into_iter();
        loop {
            let Some(outcome) = self.query_once(range, &query, short_tries.next()).await else {
                self.doubt_leader(range).await;
                continue;
            };
            if let Ok(QueryAnswer::Cluster(Some(view))) = &outcome {
                self.feature_level.fetch_max(view.feature_level.0, Ordering::Relaxed);
            }
            if !self.try_again(&outcome, deadline).await {
                return outcome;
            }
        }
    }
}
