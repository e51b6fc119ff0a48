//! What is asked of several ranges is answered as one index would.

mod buckets;
mod listings;
mod world;

use index::contract::index_contract;
use index::contract::samples::{at, form_for_splits, numbered, part_in, plain, run};
use index::query::Usage;
use index::{Answer, CommandBody, IndexService, Query, QueryAnswer, Refusal};
use types::{BucketId, CommitStamp, TicketId};

use world::{World, home};

#[tokio::test]
async fn an_index_that_was_split_keeps_the_contract() {
    let world = World::new();
    for (bucket, text) in [(1_000_001, "same"), (1_000_002, "m"), (1_000_003, "k"), (1_000_002, "a"), (1_000_005, "z")]
    {
        world.split(bucket, text).await;
    }
    index_contract(&*world.index).await;
}

#[tokio::test]
async fn whoever_goes_by_an_old_map_is_corrected() {
    let world = World::new();
    let bucket = world.bucket(1).await;
    for text in ["a", "m", "z"] {
        world.put(bucket, text, b"1").await;
    }
    let old = index::Router::default();
    world.split(1, "m").await;
    world.split(1, "x").await;
    world.split(1, "c").await;
    for text in ["a", "m", "z"] {
        let query = index::contract::samples::ask_version(1, text, index::command::WhichVersion::Newest);
        let answer = old.query(&*world.index, query).await.unwrap();
        assert!(matches!(answer, QueryAnswer::Version { version: Some(_), row: Some(_) }), "{text}: {answer:?}");
    }
    let raised = old.propose(&*world.index, plain(CommandBody::RaiseFloor { floor: TicketId(7) })).await.unwrap();
    assert_eq!(raised, Answer::Done);
    for text in ["a", "d", "n", "y"] {
        let put = index::contract::samples::put_object(bucket, index::contract::samples::key(text), 1, part_in(1, &[]));
        let late = numbered(6, 1, 0, CommandBody::PutObject(Box::new(put)));
        let answer = world.index.propose(late).await.unwrap();
        assert_eq!(answer, Answer::Refused(index::Refusal::BelowFloor), "the floor of every range is raised");
    }
}

#[tokio::test]
async fn usage_and_totals_are_those_of_all_ranges() {
    let world = World::new();
    let (first, second) = (world.bucket(1).await, world.bucket(2).await);
    for text in ["a", "m", "z"] {
        world.put(first, text, b"12").await;
        world.put(second, text, b"123").await;
    }
    for (bucket, text) in [(1, "m"), (2, "m"), (1, "x")] {
        world.split(bucket, text).await;
    }
    world.put(second, "b", b"123").await;
    let QueryAnswer::Usage(usage) = world.ask(Query::Usage(BucketId(2))).await else { panic!("usage") };
    assert_eq!(usage, Usage { objects: 4, versions: 4, bytes: 12, ..Usage::default() });
    let QueryAnswer::Totals(totals) = world.ask(Query::Totals).await else { panic!("totals") };
    assert_eq!((totals.usage.objects, totals.usage.bytes), (7, 18));
}

#[tokio::test]
async fn garbage_of_all_ranges_is_found_in_pages_and_removed() {
    let world = World::new();
    let bucket = world.bucket(1).await;
    world.split(1, "m").await;
    world.split(1, "x").await;
    let mut expected = Vec::new();
    for (tail, text) in (1..).zip(["a", "b", "m", "n", "z"]) {
        expected.push(tail);
        let runs = vec![types::Run { home: Some(home(1, text)), ..run(9, tail, 10) }];
        assert_eq!(world.propose(CommandBody::DiscardRuns { runs }).await, Answer::Done);
    }
    // And of several ranges at once.
    let runs = ["c", "y"].into_iter().zip(6..);
    let runs: Vec<_> = runs.map(|(text, tail)| types::Run { home: Some(home(1, text)), ..run(9, tail, 10) }).collect();
    expected.extend([6, 7]);
    assert_eq!(world.propose(CommandBody::DiscardRuns { runs }).await, Answer::Done);
    for limit in [1, 2, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let query = Query::Garbage { freed_before: CommitStamp(u64::MAX), after: after.take(), limit };
            let QueryAnswer::Garbage(rows) = world.ask(query).await else { panic!("garbage") };
            found.extend(rows.iter().map(|row| row.run.id.tail));
            match rows.last() {
                Some(last) if rows.len() == limit => after = Some(last.row.clone()),
                _ => break,
            }
        }
        found.sort_unstable();
        assert_eq!(found, expected, "pages of {limit}");
    }
    let all = Query::Garbage { freed_before: CommitStamp(u64::MAX), after: None, limit: 100 };
    let QueryAnswer::Garbage(rows) = world.ask(all.clone()).await else { panic!("garbage") };
    let rows = rows.into_iter().map(|row| row.row).collect();
    assert_eq!(world.propose(CommandBody::RemoveGarbage { rows }).await, Answer::Done);
    assert_eq!(world.ask(all).await, QueryAnswer::Garbage(Vec::new()));
    let _ = (bucket, at(1, 1));
}

#[tokio::test]
async fn versions_and_degraded_parts_of_all_ranges_are_gone_through_in_pages() {
    let world = World::new();
    let bucket = world.bucket(1).await;
    let texts = ["a", "b", "l\0", "m", "n", "x", "z"];
    for (tail, text) in (1..).zip(texts) {
        let put = index::contract::samples::put_object(
            bucket,
            index::contract::samples::key(text),
            tail,
            part_in(1, &[run(9, tail, 10)]),
        );
        let put = index::command::PutObject { degraded: true, ..put };
        world.propose(CommandBody::PutObject(Box::new(put))).await;
    }
    for text in ["m", "x", "b"] {
        world.split(1, text).await;
    }
    for limit in [1, 2, 3, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let query = Query::VersionRows { after: after.take(), limit };
            let QueryAnswer::VersionRows { rows, next } = world.ask(query).await else { panic!("rows") };
            found.extend(rows.into_iter().map(|row| row.key));
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(found, texts.map(index::contract::samples::key), "pages of {limit}");
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let QueryAnswer::Degraded(rows) = world.ask(Query::Degraded { after: after.take(), limit }).await else {
                panic!("degraded parts")
            };
            found.extend(rows.iter().map(|row| row.key.clone()));
            match rows.last() {
                Some(last) if rows.len() == limit => after = Some(last.row.clone()),
                _ => break,
            }
        }
        assert_eq!(found, texts.map(index::contract::samples::key), "pages of {limit}");
    }
}

#[tokio::test]
async fn ids_of_ranges_are_given_once_and_the_map_keeps_what_is_newest() {
    let world = World::new();
    let [lower, upper] = world.split(1, "m").await;
    let [_, third] = world.split(1, "x").await;
    assert!(lower.id < upper.id && upper.id < third.id);
    let refused = world.propose(CommandBody::AllotRange).await;
    assert!(
        matches!(refused, Answer::Refused(Refusal::FeatureLevel { .. })),
        "not before all can read it: {refused:?}"
    );
    assert_eq!(world.index.propose(form_for_splits()).await, Ok(Answer::Done));
    let Answer::Range(next) = world.propose(CommandBody::AllotRange).await else { panic!("an id") };
    assert!(next > third.id);
    let note = |ranges: Vec<types::RangeDescriptor>| CommandBody::NoteRanges { ranges };
    assert_eq!(world.propose(note(vec![third.clone(), lower.clone()])).await, Answer::Done);
    let old = types::RangeDescriptor::whole(lower.id);
    assert_eq!(world.propose(note(vec![old])).await, Answer::Done);
    assert_eq!(world.ask(Query::Ranges).await, QueryAnswer::Ranges(vec![lower, third]));
}
