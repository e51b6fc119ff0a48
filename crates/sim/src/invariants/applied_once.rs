//! Retries apply once: a content that was seen, and then another, is not seen again.

use super::Evidence;
use crate::history::{Operation, Outcome, Record, Subject};

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    // Where there are versions, an older one is the newest again once those after it are removed.
    let of_one = |subject: &Subject| !matches!(subject, Subject::Versions(_));
    for (subject, records) in evidence.by_subject().into_iter().filter(|(subject, _)| of_one(subject)) {
        // That an upload is not completed again says nothing of what there is.
        let shows = |record: &&Record| {
            let is_shown = matches!(record.outcome, Outcome::Found(_) | Outcome::Absent);
            is_shown && !matches!(record.operation, Operation::CompleteAgain(_))
        };
        let shown: Vec<&Record> = records.iter().filter(shows).collect();
        let value_of = |record: &Record| match record.outcome {
            Outcome::Found(value) => Some(value),
            _ => None,
        };
        for first in shown.iter().filter(|record| value_of(record).is_some()) {
            let follows =
                |later: &Record, earlier: &Record| earlier.answered.is_some_and(|answered| answered < later.invoked);
            let other = shown.iter().find(|other| follows(other, first) && value_of(other) != value_of(first));
            let again = other.and_then(|other| {
                shown.iter().find(|again| follows(again, other) && value_of(again) == value_of(first))
            });
            if let (Some(other), Some(again)) = (other, again) {
                wrong.push(format!("{subject:?}: {first:?}, then {other:?}, then {again:?}"));
                break;
            }
        }
    }
    wrong
}
