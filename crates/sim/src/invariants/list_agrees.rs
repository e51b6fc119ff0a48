//! The list agrees with reads: what a LIST that began after an answer shows is not older than that answer, as far as
//! nothing else was under way in between.

use super::Evidence;
use crate::history::{Operation, Outcome, Record};

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for (subject, records) in evidence.by_subject() {
        for listed in records.iter().filter(|record| record.listed && record.answered.is_some()) {
            let Some(before) = last_before(&records, listed) else { continue };
            let shown = listed.outcome;
            let expected = match (before.operation, before.outcome) {
                (Operation::Get, outcome) => outcome,
                (Operation::Delete, Outcome::Done) => Outcome::Absent,
                (Operation::Put(value) | Operation::PutNew(value) | Operation::PutOver(_, value), Outcome::Done) => {
                    Outcome::Found(value)
                }
                _ => continue,
            };
            if shown != expected {
                wrong.push(format!("{subject:?}: {shown:?} where {expected:?} was answered before ({listed:?})"));
            }
        }
    }
    wrong
}

/// The last operation that ended before the LIST began, if no write was under way since it began.
fn last_before<'a>(records: &'a [Record], listed: &Record) -> Option<&'a Record> {
    let ended = |record: &&Record| record.answered.is_some_and(|answered| answered < listed.invoked);
    let last = records.iter().filter(ended).max_by_key(|record| record.answered)?;
    let disturbs = |record: &&Record| {
        let is_write = record.operation != Operation::Get && !std::ptr::eq(*record, last);
        let began_before = listed.answered.is_some_and(|answered| record.invoked < answered);
        let ended_after = record.answered.is_none_or(|answered| answered > last.invoked);
        is_write && began_before && ended_after
    };
    records.iter().find(disturbs).is_none().then_some(last)
}
