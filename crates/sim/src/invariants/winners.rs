//! Precondition winners are unique: of the writes that name one content in If-Match, one at most succeeds.

use std::collections::BTreeMap;

use super::Evidence;
use crate::history::{Operation, Outcome};

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut winners = BTreeMap::new();
    let mut wrong = Vec::new();
    for record in evidence.records.iter().filter(|record| record.outcome == Outcome::Done) {
        let Operation::PutOver(old, new) = record.operation else { continue };
        if let Some(other) = winners.insert(old, new) {
            wrong.push(format!("{:?}: both {other} and {new} replaced {old}", record.subject));
        }
    }
    wrong
}
