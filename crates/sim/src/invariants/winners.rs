//! Precondition winners are unique: of the writes that name one content in If-Match, one at most succeeds.

use std::collections::BTreeMap;

use super::Evidence;
use crate::history::{Operation, Outcome, Subject};

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut winners = BTreeMap::new();
    let mut wrong = Vec::new();
    for record in evidence.records.iter().filter(|record| record.outcome == Outcome::Done) {
        // Where there are versions, what was replaced may be the newest again.
        if matches!(record.subject, Subject::Versions(_)) {
            continue;
        }
        let (Operation::PutOver(old, _) | Operation::DeleteOver(old)) = record.operation else { continue };
        // A copy of it in another key is another.
        if let Some(other) = winners.insert((record.subject.clone(), old), record.operation) {
            let (subject, operation) = (&record.subject, record.operation);
            wrong.push(format!("{subject:?}: both {other:?} and {operation:?} replaced {old}"));
        }
    }
    wrong
}
