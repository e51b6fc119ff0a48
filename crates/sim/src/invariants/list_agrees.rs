//! The list agrees with reads: what a LIST that began after an answer shows is not older than that answer, as far as
//! nothing else was under way in between.

use super::Evidence;
use crate::history::{Listing, MARKER, Operation, Outcome, Record};

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for (subject, records) in evidence.by_subject() {
        for listed in records.iter().filter(|record| record.listed && record.answered.is_some()) {
            if let Outcome::Versions(listing) = listed.outcome {
                wrong.extend(check_versions(&records, listed, &evidence.listings[&listing]));
                continue;
            }
            let Some(before) = last_before(&records, listed) else { continue };
            let shown = listed.outcome;
            let expected = match (before.operation, before.outcome) {
                (Operation::Get, outcome) => outcome,
                (Operation::Delete | Operation::DeleteOver(_), Outcome::Done) => Outcome::Absent,
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

/// What a listing of versions contradicts of what was answered last before it.
fn check_versions(records: &[Record], listed: &Record, listing: &Listing) -> Option<String> {
    let before = last_before(records, listed)?;
    let agrees = match (before.operation, before.outcome) {
        (Operation::Get, Outcome::Found(value)) => listing.first() == Some(&value),
        (Operation::Get, Outcome::Absent) => listing.first().is_none_or(|newest| *newest == MARKER),
        (Operation::Put(value) | Operation::PutNew(value) | Operation::PutOver(_, value), Outcome::Done) => {
            listing.first() == Some(&value)
        }
        (Operation::Mark(_), Outcome::Done) => listing.first() == Some(&MARKER),
        (Operation::GetVersion(value), Outcome::Found(_)) => listing.contains(&value),
        (Operation::GetVersion(value) | Operation::Remove(value), Outcome::Absent | Outcome::Done) => {
            !listing.contains(&value)
        }
        _ => true,
    };
    (!agrees).then(|| format!("{:?}: versions {listing:?} after {before:?} ({listed:?})", listed.subject))
}

/// The last operation that ended before the LIST began, if no write was under way since it began.
fn last_before<'a>(records: &'a [Record], listed: &Record) -> Option<&'a Record> {
    let ended = |record: &&Record| record.answered.is_some_and(|answered| answered < listed.invoked);
    let last = records.iter().filter(ended).max_by_key(|record| record.answered)?;
    let disturbs = |record: &&Record| {
        let is_write = record.operation.is_write() && !std::ptr::eq(*record, last);
        let began_before = listed.answered.is_some_and(|answered| record.invoked < answered);
        let ended_after = record.answered.is_none_or(|answered| answered > last.invoked);
        is_write && began_before && ended_after
    };
    records.iter().find(disturbs).is_none().then_some(last)
}
