use std::time::Duration;

use super::*;
use crate::history::{Operation, Outcome, ValueId, listing_id};

/// An operation from one moment to another; without the other, of unknown outcome.
fn record(operation: Operation, from: u64, to: Option<u64>, outcome: Outcome) -> Record {
    let subject = Subject::Key("key".to_owned());
    let time = (Duration::ZERO, None);
    Record { client: 0, subject, operation, listed: false, invoked: from, answered: to, outcome, time }
}

fn key() -> Subject {
    Subject::Key("key".to_owned())
}

fn bucket() -> Subject {
    Subject::Bucket("bucket".to_owned())
}

fn done(operation: Operation, from: u64, to: u64) -> Record {
    record(operation, from, Some(to), Outcome::Done)
}

fn found(value: ValueId, from: u64, to: u64) -> Record {
    record(Operation::Get, from, Some(to), Outcome::Found(value))
}

fn absent(from: u64, to: u64) -> Record {
    record(Operation::Get, from, Some(to), Outcome::Absent)
}

fn unknown(operation: Operation, from: u64) -> Record {
    record(operation, from, None, Outcome::Unknown)
}

fn is_good(mut records: Vec<Record>, subject: &Subject) -> bool {
    records.sort_by_key(|record| record.invoked);
    match check(&records, subject, CONFIGURATIONS_MAX) {
        Verdict::Linearizable => true,
        Verdict::Violation(_) => false,
        Verdict::Undecided => panic!("so few operations are decided"),
    }
}

#[test]
fn good_histories_are_found_good() {
    use Operation::{Delete, Put, PutNew, PutOver};
    let good = [
        vec![],
        vec![absent(1, 2), done(Put(1), 3, 4), found(1, 5, 6), done(Delete, 7, 8), absent(9, 10)],
        // While a PUT runs, either may be read; the old one even by who asks second, of two at the same time.
        vec![done(Put(1), 1, 2), done(Put(2), 3, 10), found(2, 4, 7), found(1, 5, 6), found(2, 8, 9)],
        // An unknown outcome may show late, or never, and between others.
        vec![unknown(Put(1), 1), absent(2, 3), done(Put(2), 4, 5), found(1, 6, 7)],
        vec![unknown(Delete, 1), done(Put(2), 4, 5), found(2, 6, 7), absent(8, 9)],
        vec![unknown(Put(1), 1), absent(20, 21)],
        // Conditions.
        vec![done(PutNew(1), 1, 4), record(PutNew(2), 2, Some(3), Outcome::PreconditionFailed)],
        vec![done(Put(1), 1, 2), done(PutOver(1, 2), 3, 4), found(2, 5, 6)],
        vec![record(PutOver(1, 2), 1, Some(2), Outcome::Absent)],
        vec![unknown(Put(7), 1), record(PutNew(2), 2, Some(3), Outcome::PreconditionFailed), found(7, 4, 5)],
    ];
    for (number, history) in good.into_iter().enumerate() {
        assert!(is_good(history, &key()), "good history {number}");
    }
}

#[test]
fn bad_histories_are_found_bad() {
    use Operation::{Delete, Put, PutNew, PutOver};
    let failed = Outcome::PreconditionFailed;
    let bad = [
        // A lost write, a stale read, a value from nowhere, one that came back.
        vec![done(Put(1), 1, 2), absent(3, 4)],
        vec![done(Put(1), 1, 2), done(Put(2), 3, 4), found(1, 5, 6)],
        vec![found(1, 1, 2)],
        vec![done(Put(1), 1, 2), done(Delete, 3, 4), found(1, 5, 6)],
        // Two reads one after the other, in the wrong order, while a PUT runs.
        vec![done(Put(1), 1, 2), done(Put(2), 3, 10), found(2, 4, 5), found(1, 6, 7)],
        // Two winners; a 412 without an object; a 412 for the object that it names.
        vec![done(PutNew(1), 1, 4), done(PutNew(2), 2, 3)],
        vec![record(PutNew(2), 2, Some(3), failed)],
        vec![done(Put(1), 1, 2), record(PutOver(1, 2), 3, Some(4), failed)],
        vec![done(Put(1), 1, 2), done(PutOver(1, 2), 3, 6), done(PutOver(1, 3), 4, 5)],
        // A retry that was refused for its own success.
        vec![record(PutNew(1), 1, Some(2), failed), found(1, 3, 4)],
        // A write that took effect twice.
        vec![done(Put(1), 1, 2), found(1, 3, 4), done(Put(2), 5, 6), found(2, 7, 8), found(1, 9, 10)],
        vec![unknown(Put(1), 1), found(1, 3, 4), done(Put(2), 5, 6), found(2, 7, 8), found(1, 9, 10)],
    ];
    for (number, history) in bad.into_iter().enumerate() {
        assert!(!is_good(history, &key()), "bad history {number}");
    }
}

#[test]
fn buckets_come_and_go_with_what_is_in_them() {
    use Operation::{CreateBucket, Delete, DeleteBucket, Put};
    let not_empty = |from, to| record(DeleteBucket, from, Some(to), Outcome::BucketNotEmpty);
    let made = || done(CreateBucket, 1, 2);
    assert!(is_good(vec![made(), done(Put(1), 3, 4), not_empty(5, 6), found(1, 7, 8)], &bucket()));
    assert!(is_good(vec![made(), done(Put(1), 3, 4), done(Delete, 5, 6), done(DeleteBucket, 7, 8)], &bucket()));
    assert!(is_good(vec![made(), done(DeleteBucket, 3, 9), record(Put(1), 4, Some(5), Outcome::NoBucket)], &bucket()));
    assert!(!is_good(vec![made(), done(DeleteBucket, 3, 9), done(Put(1), 4, 5)], &bucket()), "it was not empty");
    assert!(!is_good(vec![made(), done(Put(1), 3, 4), done(DeleteBucket, 5, 6)], &bucket()));
    assert!(!is_good(vec![done(Put(1), 3, 4)], &bucket()), "there was no bucket");
    let again = vec![made(), done(DeleteBucket, 3, 4), done(CreateBucket, 5, 6), found(1, 7, 8)];
    assert!(!is_good(again, &bucket()), "a new bucket is empty");
}

#[test]
fn too_many_orders_are_given_up() {
    let many: Vec<Record> = (0..40).map(|number| unknown(Operation::Put(number), number)).collect();
    let impossible = found(1_000, 100, 101);
    let records: Vec<Record> = many.into_iter().chain([impossible]).collect();
    assert_eq!(check(&records, &key(), 1_000), Verdict::Undecided);
}

fn listed(versions: &[ValueId], from: u64) -> Record {
    record(Operation::ListVersions, from, Some(from + 1), Outcome::Versions(listing_id(versions)))
}

#[test]
fn versions_stack_and_suspended_ones_replace_the_null_version() {
    use Operation::{Get, GetVersion, Mark, Put, PutNew, Remove, SetVersioning};
    let versions = Subject::Versions("versions".to_owned());
    let good = [
        vec![done(Put(1), 1, 2), done(Put(2), 3, 4), listed(&[2, 1], 5), done(Mark(3), 7, 8), listed(&[0, 2, 1], 9)],
        vec![done(Put(1), 1, 2), done(Mark(2), 3, 4), absent(5, 6), done(PutNew(3), 7, 8), listed(&[3, 0, 1], 9)],
        vec![done(Put(1), 1, 2), done(Mark(2), 3, 4), done(Remove(2), 5, 6), found(1, 7, 8)],
        vec![done(Put(1), 1, 2), done(Put(2), 3, 4), record(GetVersion(1), 5, Some(6), Outcome::Found(1))],
        vec![
            done(Put(1), 1, 2),
            done(SetVersioning(false), 3, 4),
            done(Put(2), 5, 6),
            done(Put(3), 7, 8),
            listed(&[3, 1], 9),
            done(Mark(4), 11, 12),
            listed(&[0, 1], 13),
        ],
        // Either order of two that race, but one of them.
        vec![done(Put(1), 1, 10), done(Put(2), 2, 9), listed(&[1, 2], 11)],
        vec![unknown(Put(1), 1), done(Put(2), 2, 3), listed(&[2], 4), listed(&[1, 2], 6)],
    ];
    for (number, history) in good.into_iter().enumerate() {
        assert!(is_good(history, &versions), "good history {number}");
    }
    let gone = |value, from| record(GetVersion(value), from, Some(from + 1), Outcome::Absent);
    let bad = [
        // A version is lost, twice there, out of order, or back.
        vec![done(Put(1), 1, 2), done(Put(2), 3, 4), listed(&[2], 5)],
        vec![done(Put(1), 1, 2), listed(&[1, 1], 5)],
        vec![done(Put(1), 1, 2), done(Put(2), 3, 4), listed(&[1, 2], 5)],
        vec![done(Put(1), 1, 2), done(Remove(1), 3, 4), listed(&[1], 5)],
        vec![done(Put(1), 1, 2), gone(1, 3)],
        // A marker that was added twice, for one of unknown outcome.
        vec![unknown(Mark(1), 1), listed(&[0, 0], 3)],
        // Suspended writes keep what has an id.
        vec![done(Put(1), 1, 2), done(SetVersioning(false), 3, 4), done(Put(2), 5, 6), listed(&[2], 7)],
        vec![done(Put(1), 1, 2), record(Get, 3, Some(4), Outcome::Absent)],
    ];
    for (number, history) in bad.into_iter().enumerate() {
        assert!(!is_good(history, &versions), "bad history {number}");
    }
}

#[test]
fn conditional_deletes_and_repeated_completes_say_what_was_there() {
    use Operation::{CompleteAgain, DeleteOver, Put, PutOver};
    let failed = |from| record(DeleteOver(1), from, Some(from + 1), Outcome::PreconditionFailed);
    let again = |outcome, from| record(CompleteAgain(1), from, Some(from + 1), outcome);
    assert!(is_good(vec![done(Put(1), 1, 2), done(DeleteOver(1), 3, 4), absent(5, 6)], &key()));
    assert!(is_good(vec![done(Put(2), 1, 2), failed(3)], &key()));
    assert!(!is_good(vec![done(Put(1), 1, 2), failed(3)], &key()), "it was that one");
    let both = vec![done(Put(1), 1, 2), done(DeleteOver(1), 3, 6), done(PutOver(1, 2), 4, 5)];
    assert!(!is_good(both, &key()), "two winners");
    assert!(is_good(vec![done(Put(1), 1, 2), again(Outcome::Done, 3), found(1, 5, 6)], &key()));
    assert!(is_good(vec![done(Put(1), 1, 2), done(Put(2), 3, 4), again(Outcome::Absent, 5)], &key()));
    assert!(!is_good(vec![done(Put(1), 1, 2), again(Outcome::Absent, 3)], &key()), "it is there");
    assert!(!is_good(vec![done(Put(1), 1, 2), done(Put(2), 3, 4), again(Outcome::Done, 5)], &key()), "it is not");
}
