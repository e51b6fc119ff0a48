//! The seam between those who ask the index and those who keep it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use types::{NodeId, RangeDescriptor, RangeId};

use crate::{Answer, Command, FIRST_DATA_RANGE, Query, QueryAnswer, Refusal, SYSTEM_RANGE};

/// Why the index gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum IndexError {
    /// Certainly without effect: answer 503, or try again.
    #[error("the index is unavailable: {reason}")]
    Unavailable {
        /// What is missing.
        reason: String,
    },
    /// The command may or may not have taken effect: repeat it under the same request id, or answer 503.
    #[error("the outcome is unknown: {reason}")]
    Unknown {
        /// What happened.
        reason: String,
    },
    /// The index's own data is wrong. A human must look.
    #[error("the index is damaged: {reason}")]
    Damaged {
        /// What was found.
        reason: String,
    },
    /// Certainly without effect: another node leads the range. Ask there; who doesn't know nodes tries again.
    #[error("the range is led elsewhere")]
    NotLeader {
        /// Who leads it, as far as is known.
        leader: Option<NodeId>,
    },
    /// Certainly without effect: the range that was asked does not have what was asked for. Ask the one that does.
    #[error("the range does not have the key")]
    WrongRange {
        /// The ranges that the node which was asked knows.
        known: Vec<RangeDescriptor>,
    },
}

/// The replicated index: finds the range of a command or query by itself.
#[async_trait]
pub trait IndexService: Send + Sync {
    /// Commits one command and returns what `apply` answered, once the commit is durable. A command that is repeated
    /// under the same request id gets the first answer.
    ///
    /// # Errors
    /// [`IndexError`]; a refusal (a failed precondition, say) is an [`Answer::Refused`], not an error.
    async fn propose(&self, command: Command) -> Result<Answer, IndexError>;

    /// Answers a query linearizably: every command answered before the call is seen.
    ///
    /// # Errors
    /// [`IndexError::Unavailable`], [`IndexError::Damaged`].
    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError>;

    /// As [`IndexService::propose`], to this range alone.
    ///
    /// # Errors
    /// [`IndexError`]; [`IndexError::WrongRange`] where the range does not have what the command is about.
    async fn propose_to(&self, range: RangeId, command: Command) -> Result<Answer, IndexError> {
        if range != range_of(command.body.is_of_system_range()) {
            return Err(IndexError::NotLeader { leader: None });
        }
        self.propose(command).await
    }

    /// As [`IndexService::query`], to this range alone.
    ///
    /// # Errors
    /// [`IndexError`]; [`IndexError::WrongRange`] where the range does not have what the query is about.
    async fn query_at(&self, range: RangeId, query: Query) -> Result<QueryAnswer, IndexError> {
        if range != range_of(query.is_of_system_range()) {
            return Err(IndexError::NotLeader { leader: None });
        }
        self.query(query).await
    }
}

/// What a range answered, or that it was the wrong one.
///
/// # Errors
/// [`IndexError::WrongRange`], with what `known` says; what that fails with.
pub fn answer_of_range(
    answer: Answer,
    known: impl FnOnce() -> Result<Vec<RangeDescriptor>, IndexError>,
) -> Result<Answer, IndexError> {
    match answer {
        Answer::Refused(Refusal::NotInRange(_)) => Err(IndexError::WrongRange { known: known()? }),
        answer => Ok(answer),
    }
}

/// As [`answer_of_range`], for a query.
///
/// # Errors
/// [`IndexError::WrongRange`], with what `known` says; what that fails with.
pub fn query_answer_of_range(
    answer: QueryAnswer,
    known: impl FnOnce() -> Result<Vec<RangeDescriptor>, IndexError>,
) -> Result<QueryAnswer, IndexError> {
    match answer {
        QueryAnswer::NotInRange(_) => Err(IndexError::WrongRange { known: known()? }),
        answer => Ok(answer),
    }
}

/// Of an index that was never split, there are two.
const fn range_of(is_of_system_range: bool) -> RangeId {
    if is_of_system_range { SYSTEM_RANGE } else { FIRST_DATA_RANGE }
}
