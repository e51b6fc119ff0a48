//! Proposing commands so that each takes effect at most once, whatever gets lost on the way.
//!
//! A command goes out under a request id; where its outcome stays unknown it is repeated under that id, so that the
//! repeat gets the first answer. Nothing is retried without its id.

use std::sync::Arc;
use std::time::Duration;

use index::{Answer, Command, CommandBody, IndexError, IndexService, Query, QueryAnswer, Refusal};

use crate::ObjectsError;
use crate::tickets::{Tickets, Transfer};

/// How often a command is sent whose effect is certainly none, or a question: some leader should be back by then.
const ATTEMPTS_WITHOUT_EFFECT: u32 = 6;
/// How often a command is sent whose outcome is unknown: by the pauses about half a minute.
const ATTEMPTS_UNKNOWN: u32 = 18;
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long to wait after attempt `attempt`, the first being 1.
pub(crate) fn pause_after(attempt: u32) -> Duration {
    Duration::from_millis(50).saturating_mul(1 << (attempt - 1).min(8)).min(PAUSE_MAX)
}

/// The index as the operations use it.
pub(crate) struct Committer {
    index: Arc<dyn IndexService>,
    tickets: Tickets,
}

impl Committer {
    pub(crate) fn new(index: Arc<dyn IndexService>, tickets: Tickets) -> Self {
        Self { index, tickets }
    }

    pub(crate) fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// Commits a command under the transfer's ticket and returns what `apply` answered.
    ///
    /// # Errors
    /// [`ObjectsError::TicketOver`]: certainly without effect, and the next transfer gets a new ticket.
    /// [`ObjectsError::Unavailable`], which says whether the outcome is unknown. [`ObjectsError::Damaged`].
    pub(crate) async fn commit(&self, transfer: &Transfer, body: &CommandBody) -> Result<Answer, ObjectsError> {
        if transfer.is_over() {
            return Err(ObjectsError::TicketOver);
        }
        let number = transfer.number();
        let mut outcome_unknown = false;
        let mut attempt = 1;
        loop {
            let (request, answered) = (Some(number.request()), number.answered());
            let error = match self.index.propose(Command { request, answered, body: body.clone() }).await {
                Ok(Answer::Refused(Refusal::BelowFloor)) => {
                    return Err(self.below_floor(transfer, outcome_unknown).await);
                }
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            outcome_unknown |= matches!(error, IndexError::Unknown { .. });
            let attempts_max = if outcome_unknown { ATTEMPTS_UNKNOWN } else { ATTEMPTS_WITHOUT_EFFECT };
            if attempt == attempts_max || matches!(error, IndexError::Damaged { .. }) {
                return Err(error_of(error, outcome_unknown));
            }
            tracing::debug!(error = %error, attempt, "a command is sent again");
            tokio::time::sleep(pause_after(attempt)).await;
            attempt += 1;
        }
    }

    /// The ticket is over. If an earlier attempt may have taken effect, its kept answer is gone with the ticket.
    async fn below_floor(&self, transfer: &Transfer, outcome_unknown: bool) -> ObjectsError {
        if let Err(error) = self.tickets.replace(transfer.ticket()).await {
            tracing::warn!(error = %error, ticket = %transfer.ticket(), "no new ticket was granted");
        }
        if outcome_unknown {
            let reason = "the ticket ended while the command was being repeated".to_owned();
            return ObjectsError::Unavailable { reason, outcome_unknown };
        }
        ObjectsError::TicketOver
    }

    /// Asks a question, again if need be.
    ///
    /// # Errors
    /// [`ObjectsError::Unavailable`], [`ObjectsError::Damaged`].
    pub(crate) async fn ask(&self, query: Query) -> Result<QueryAnswer, ObjectsError> {
        let mut attempt = 1;
        loop {
            match self.index.query(query.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(
                    IndexError::Unavailable { .. }
                    | IndexError::Unknown { .. }
                    | IndexError::NotLeader { .. }
                    | IndexError::WrongRange { .. },
                ) if attempt < ATTEMPTS_WITHOUT_EFFECT => {
                    tokio::time::sleep(pause_after(attempt)).await;
                    attempt += 1;
                }
                Err(error) => return Err(error_of(error, false)),
            }
        }
    }
}

pub(crate) fn error_of(error: IndexError, outcome_unknown: bool) -> ObjectsError {
    match error {
        IndexError::Unavailable { reason } | IndexError::Unknown { reason } => {
            ObjectsError::Unavailable { reason, outcome_unknown }
        }
        IndexError::NotLeader { .. } | IndexError::WrongRange { .. } => {
            ObjectsError::Unavailable { reason: error.to_string(), outcome_unknown }
        }
        IndexError::Damaged { reason } => ObjectsError::Damaged { reason },
    }
}

/// An answer of a kind that the question doesn't have.
pub(crate) fn unexpected(what: &str, answer: &impl std::fmt::Debug) -> ObjectsError {
    ObjectsError::Damaged { reason: format!("{what} was answered with {answer:?}") }
}
