//! The seam between those who ask the index and those who keep it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use types::{NodeId, RangeId};

use crate::{Answer, Command, FIRST_DATA_RANGE, Query, QueryAnswer, SYSTEM_RANGE};

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

    /// The range that it takes a command to. Whoever asks from elsewhere names the range that it means: where that is
    /// another one, one of the two goes by an old map.
    fn range_of_command(&self, command: &Command) -> RangeId {
        range_of(command.body.is_of_system_range())
    }

    /// The range that it takes a query to, as [`IndexService::range_of_command`].
    fn range_of_query(&self, query: &Query) -> RangeId {
        range_of(query.is_of_system_range())
    }
}

/// Until ranges split, there are two.
const fn range_of(is_of_system_range: bool) -> RangeId {
    if is_of_system_range { SYSTEM_RANGE } else { FIRST_DATA_RANGE }
}
